//! Traces, as a collector receives them from the real program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

mod chat;
mod collector;
mod docs;
mod hostile;
mod pipeline;
mod real;
mod text;

use std::process::{Command, Stdio};
use std::time::Duration;

use factorio_isr::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig, SimGuild};
use factorio_isr::sim::rcon::{Fault, Game, SimRcon};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use self::collector::Collector;
use crate::harness::{Relay, Site, TOKEN, within};

pub const CHAT: u64 = 1001;
pub async fn discord() -> SimDiscord {
    let config = SimDiscordConfig {
        token: TOKEN.to_owned(),
        channels: vec![SimChannel::new(CHAT, "chat")],
        guild: SimGuild { id: 100, name: "Test".to_owned() },
        ..SimDiscordConfig::default()
    };
    crate::discord_sim::start(config).await.unwrap()
}

/// A relay with one game, whose spans go to `collector`.
pub async fn world(traces: &str) -> (SimDiscord, SimRcon, Site) {
    let sim = discord().await;
    let game = SimRcon::start("rcon-secret-41", Game::default(), |_| {}).await.unwrap();
    let rcon = format!("rcon = {{ port = {}, password = \"rcon-secret-41\" }}", game.address().port());
    let site = Site::new(&sim.base_url())
        .server_with("prod", &format!("default = {CHAT}"), &rcon)
        .discord_key("guild_id = 100")
        .extra(&format!("[traces]\nenabled = true\n{traces}"));
    (sim, game, site)
}

pub fn to(collector: &Collector, protocol: &str) -> String {
    format!("endpoint = \"http://{}\"\nprotocol = \"{protocol}\"\n", collector.address)
}

async fn call_players(sim: &SimDiscord, relay: &Relay) {
    relay.wait_for("/ready", |status, body| status == 200 && body.contains("\"rcon\":\"healthy\"")).await;
    assert!(sim.wait_for(crate::harness::DEADLINE, |state| state.commands() != &serde_json::json!([])).await);
    let options = serde_json::json!([{ "type": 1, "name": "players", "options": [] }]);
    sim.interact(CHAT, "Bob", "factorio", &options).unwrap();
}

async fn a_command_is_one_trace(collector: Collector, protocol: &str) {
    let (sim, _game, site) = world(&to(&collector, protocol)).await;
    let mut relay = site.start();
    call_players(&sim, &relay).await;
    let call = collector.find(|span| span.name == "slash_command" && span.attributes["command"] == "players").await;
    let asked = collector.find(|span| span.name == "rcon.command" && span.trace == call.trace).await;
    assert_eq!((asked.parent.as_str(), asked.attributes["server"].as_str()), (call.id.as_str(), "prod"));
    assert_eq!(asked.attributes["verb"], "/players");
    assert_eq!(call.attributes["outcome"], "done");
    assert!(!call.failed && !asked.failed);
    assert_eq!(call.resource["service.name"], "factorio-isr");
    assert_eq!(call.resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert!(!call.resource["service.instance.id"].is_empty());
    let probe = collector.named("health_readiness_check").await;
    assert_eq!(probe.parent, "", "a probe is a trace of its own");
    assert!(probe.attributes.contains_key("is_ready") && probe.attributes.contains_key("component.discord"));
    relay.get("/healthz").await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    // Sent at the stop, if not before.
    let alive = collector.named("health_liveness_check").await;
    assert!(alive.attributes["uptime_seconds"].parse::<f64>().unwrap() >= 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_command_and_its_rcon_command_are_one_trace_by_http() {
    a_command_is_one_trace(Collector::http().await, "http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_command_and_its_rcon_command_are_one_trace_by_grpc() {
    a_command_is_one_trace(Collector::grpc().await, "grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_sent_though_nothing_is_sampled() {
    let collector = Collector::http().await;
    let (_sim, game, site) = world(&format!("{}sample_ratio = 0.0", to(&collector, "http"))).await;
    game.set_fault(Fault::Close);
    let relay = site.start();
    relay.get("/healthz").await;
    let failed = collector.named("rcon.command").await;
    assert!(failed.failed);
    assert!(collector.spans.borrow().iter().all(|span| span.failed), "only failures leave");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_standard_variables_say_of_the_service_is_kept() {
    let named = [("OTEL_RESOURCE_ATTRIBUTES", "service.name=outpost,deployment.environment.name=test")];
    let renamed = [named[0], ("OTEL_SERVICE_NAME", "beacon")];
    for (variables, name) in [(&named[..], "outpost"), (&renamed[..], "beacon")] {
        let collector = Collector::http().await;
        let (_sim, _game, site) = world(&to(&collector, "http")).await;
        let relay = site.start_with(variables);
        relay.get("/healthz").await;
        let span = collector.named("health_liveness_check").await;
        assert_eq!((span.resource["service.name"].as_str(), &*span.resource["telemetry.sdk.language"]), (name, "rust"));
        assert_eq!(span.resource["deployment.environment.name"], "test");
        assert_eq!(span.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert!(!span.resource["service.instance.id"].is_empty());
    }
}

/// Collectors out there have certificates: what arrives is the beginning of TLS.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_https_is_spoken_to_by_tls_whatever_the_protocol() {
    for protocol in ["http", "grpc"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("endpoint = \"https://{}\"\nprotocol = \"{protocol}\"", listener.local_addr().unwrap());
        let (_sim, _game, site) = world(&endpoint).await;
        let _relay = site.start();
        let (mut connection, _) = within(listener.accept()).await.unwrap();
        let handshake = within(connection.read_u8()).await.unwrap();
        assert_eq!(handshake, 0x16, "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_logged_in_to_as_its_address_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("endpoint = \"http://user:pass@{}\"", listener.local_addr().unwrap());
    let (_sim, _game, site) = world(&endpoint).await;
    let _relay = site.start();
    let (mut connection, _) = within(listener.accept()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        within(connection.read_buf(&mut heard)).await.unwrap();
    }
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(heard.contains("authorization: Basic dXNlcjpwYXNz\r\n"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_hangs_changes_nothing_but_a_count() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    for (address, protocol) in [(hanging.local_addr().unwrap(), "http"), (nobody, "http"), (nobody, "grpc")] {
        let (sim, _game, site) = world(&format!("endpoint = \"http://{address}\"\nprotocol = \"{protocol}\"")).await;
        let mut relay = site.start();
        call_players(&sim, &relay).await;
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
        site.append("prod", &format!("{now} [CHAT] Bob: still here\n"));
        assert!(sim.wait_for(crate::harness::DEADLINE, |state| state.messages(CHAT).count() >= 1).await);
        if address == nobody {
            let lost = |body: &str| {
                body.lines().any(|line| {
                    line.strip_prefix("factorio_isr_trace_spans_total{outcome=\"failed\"} ").is_some_and(|n| n != "0")
                })
            };
            relay.wait_for("/metrics", |_, body| lost(body)).await;
        }
        let begun = std::time::Instant::now();
        assert_eq!(relay.terminate().await.code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(10), "service managers kill after ten seconds");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_its_traces_to_whoever_asks_for_them() {
    let collector = Collector::http().await;
    let mut demo = Command::new(env!("CARGO_BIN_EXE_factorio-isr"));
    demo.args(["demo", "--port", "0"])
        .env("TRACES_ENABLED", "true")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut demo = Relay::spawn(&mut demo);
    let sent = collector.find(|span| span.name == "discord.send" && !span.links.is_empty()).await;
    collector.find(|span| span.name == "outbox.commit" && span.id == sent.links[0].id).await;
    assert_eq!(demo.terminate().await.code(), Some(0));
}
