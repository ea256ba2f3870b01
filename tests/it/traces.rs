//! Traces, as a collector receives them from the real program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::routing::post;
use factorio_isr::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig, SimGuild};
use factorio_isr::sim::rcon::{Fault, Game, SimRcon};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::{Relay, Site, TOKEN, within};

const CHAT: u64 = 1001;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A span as it came, with the attributes of its resource.
#[derive(Debug, Clone)]
struct Received {
    name: String,
    trace: String,
    id: String,
    parent: String,
    failed: bool,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
}

/// Takes spans on 127.0.0.1, by HTTP or gRPC.
struct Collector {
    address: SocketAddr,
    spans: watch::Sender<Vec<Received>>,
    _server: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Service(watch::Sender<Vec<Received>>);

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(flag) => flag.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| pair.value.as_ref()?.value.as_ref().map(text);
    pairs.iter().filter_map(|pair| Some((pair.key.clone(), value(pair)?))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

impl Service {
    fn take(&self, request: &ExportTraceServiceRequest) {
        for from in &request.resource_spans {
            let resource = attributes(&from.resource.as_ref().unwrap().attributes);
            let spans = from.scope_spans.iter().flat_map(|scope| &scope.spans).map(|span| Received {
                name: span.name.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                failed: span.status.as_ref().is_some_and(|status| status.code == 2),
                attributes: attributes(&span.attributes),
                resource: resource.clone(),
            });
            self.0.send_modify(|all| all.extend(spans));
        }
    }
}

/// gRPC by hand: a message has five bytes before it, and the status comes behind the answer.
async fn serve_grpc(listener: TcpListener, service: Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(socket).await.unwrap();
            while let Some(Ok((request, mut reply))) = connection.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let mut body = request.into_body();
                    let mut message = Vec::new();
                    while let Some(Ok(chunk)) = body.data().await {
                        body.flow_control().release_capacity(chunk.len()).unwrap();
                        message.extend_from_slice(&chunk);
                    }
                    service.take(&ExportTraceServiceRequest::decode(&message[5..]).unwrap());
                    let headers = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                    let mut answer = reply.send_response(headers, false).unwrap();
                    answer.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
                    answer.send_trailers(HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))])).unwrap();
                });
            }
        });
    }
}

impl Collector {
    async fn listener() -> (TcpListener, SocketAddr, Service) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address, Service(watch::Sender::new(Vec::new())))
    }

    async fn http() -> Self {
        let (listener, address, service) = Self::listener().await;
        let spans = service.0.clone();
        let take = move |body: Bytes| async move {
            service.take(&ExportTraceServiceRequest::decode(body).unwrap());
            ExportTraceServiceResponse::default().encode_to_vec()
        };
        let router = Router::new().route("/v1/traces", post(take));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, spans, _server: AbortOnDropHandle::new(server) }
    }

    async fn grpc() -> Self {
        let (listener, address, service) = Self::listener().await;
        let spans = service.0.clone();
        let server = tokio::spawn(serve_grpc(listener, service));
        Self { address, spans, _server: AbortOnDropHandle::new(server) }
    }

    /// The first span that `suits`, now or later.
    async fn find(&self, suits: impl Fn(&Received) -> bool) -> Received {
        let mut spans = self.spans.subscribe();
        let found = within(spans.wait_for(|all| all.iter().any(&suits))).await.unwrap();
        found.iter().find(|span| suits(span)).unwrap().clone()
    }

    async fn named(&self, name: &str) -> Received {
        self.find(|span| span.name == name).await
    }
}

async fn discord() -> SimDiscord {
    let config = SimDiscordConfig {
        token: TOKEN.to_owned(),
        channels: vec![SimChannel::new(CHAT, "chat")],
        guild: SimGuild { id: 100, name: "Test".to_owned() },
        ..SimDiscordConfig::default()
    };
    SimDiscord::start(config).await.unwrap()
}

/// A relay with one game, whose spans go to `collector`.
async fn world(traces: &str) -> (SimDiscord, SimRcon, Site) {
    let sim = discord().await;
    let game = SimRcon::start("rcon-secret-41", Game::default(), |_| {}).await.unwrap();
    let rcon = format!("rcon = {{ port = {}, password = \"rcon-secret-41\" }}", game.address().port());
    let site = Site::new(&sim.base_url())
        .server_with("prod", &format!("default = {CHAT}"), &rcon)
        .discord_key("guild_id = 100")
        .extra(&format!("[traces]\nenabled = true\n{traces}"));
    (sim, game, site)
}

fn to(collector: &Collector, protocol: &str) -> String {
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
