//! The real program against Discord over TLS, with a certificate authority of the system's store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use factorio_isr::sim::discord::{GatewayEnd, SimChannel};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::harness::{Site, TOKEN};

const CHAT: u64 = 1001;

/// A file of `tests/tls`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn server_config() -> ServerConfig {
    let chain = vec![CertificateDer::from_pem_file(file("localhost.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("localhost.key")).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

/// A Discord behind a proxy that speaks TLS, and the proxy's address.
async fn discord_behind_tls() -> (SimDiscord, String) {
    let acceptor = TlsAcceptor::from(Arc::new(server_config()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let config = SimDiscordConfig {
        token: TOKEN.to_owned(),
        channels: vec![SimChannel::new(CHAT, "factory")],
        public_url: Some(url.clone()),
        gateway_limits: GatewayLimits::none(),
        ..SimDiscordConfig::default()
    };
    let sim = crate::discord_sim::start(config).await.unwrap();
    let target = sim.base_url().replace("http://", "");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(target).await.unwrap();
                // Either side may end the connection at any time.
                drop(copy_bidirectional(&mut client, &mut server).await);
            });
        }
    });
    (sim, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_the_session_is_resumed_like_over_plain_connections() {
    let (sim, url) = discord_behind_tls().await;
    let authority = file("authority.pem").display().to_string();
    let site = Site::new(&url).server("prod", CHAT);
    let mut relay = site.start_with(&[("SSL_CERT_FILE", &authority)]);
    relay.wait_until_ready().await;
    let resumes = |count: u64| sim.wait_for(DEADLINE, move |state| state.stats().resumes >= count);
    for (count, end) in (1..).zip([GatewayEnd::Fin, GatewayEnd::Close(Some(4000)), GatewayEnd::Garbage]) {
        sim.end_gateway(end);
        assert!(resumes(count).await, "{end:?}: {:?}", sim.stats());
        relay.wait_for("/ready", |_, body| body.contains("\"discord\":\"healthy\"")).await;
    }
    assert_eq!(sim.stats().identifies, 1);
    assert_eq!(relay.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_unknown_authority_is_named_as_the_cause() {
    let (_sim, url) = discord_behind_tls().await;
    let site = Site::new(&url).server("prod", CHAT);
    let relay = site.start_with(&[]);
    let shown = relay.wait_for("/ready", |_, body| body.contains("connecting since")).await;
    assert!(shown.contains("invalid peer certificate: UnknownIssuer"), "{shown}");
}
