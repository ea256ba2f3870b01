//! The endpoints as probes, Prometheus and a browser see them.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

use std::sync::Arc;
use std::time::Duration;

use factorio_isr::domain::ServerTag;
use factorio_isr::health::{Component, HealthRegistry, Lifecycle};
use factorio_isr::http::{GameFacts, Games, HttpState, PageSources, ShownServer, StatusPage, serve};
use factorio_isr::telemetry::exposition::{Family, GameSeries, Series};
use factorio_isr::telemetry::metrics::Kind;
use factorio_isr::telemetry::{MetricsExporter, Pulse, RecentErrors};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Series so long that their text fills all buffers on the way to a reader.
#[derive(Debug)]
struct ManySeries;

impl ManySeries {
    const NUMBER: usize = 1000;
}

impl GameSeries for ManySeries {
    fn families(&self) -> Vec<Family> {
        let long = "item".repeat(2000);
        let series = |number: usize| {
            let labels = vec![("server", "prod".to_owned()), ("name", format!("{long}-{number}"))];
            Series { labels, value: 1.0 }
        };
        let series = (0..Self::NUMBER).map(series).collect();
        vec![Family { name: "factorio_many", kind: Kind::Gauge, help: "Many.", series }]
    }
}

/// Nobody looks at the games.
#[derive(Debug)]
struct NoGames;

impl Games for NoGames {
    fn facts(&self, _server: &ServerTag) -> Option<GameFacts> {
        None
    }
}

/// A served state, and its hands.
pub struct Served {
    pub base: String,
    pub lifecycle: Lifecycle,
    pub health: HealthRegistry,
    pub cancel: CancellationToken,
    pub server: JoinHandle<anyhow::Result<()>>,
}

impl Served {
    async fn start(metrics: Option<MetricsExporter>) -> Self {
        Self::start_with(metrics, None).await
    }

    async fn start_with(metrics: Option<MetricsExporter>, games: Option<ManySeries>) -> Self {
        let (served, page) = Self::still_with(metrics, games).await;
        tokio::spawn(page.run(served.cancel.clone()));
        served
    }

    /// With a page that looks at nothing by itself.
    pub async fn still(metrics: Option<MetricsExporter>) -> (Self, StatusPage) {
        Self::still_with(metrics, None).await
    }

    async fn still_with(metrics: Option<MetricsExporter>, games: Option<ManySeries>) -> (Self, StatusPage) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (lifecycle, health, cancel) = (Lifecycle::new(), HealthRegistry::new(), CancellationToken::new());
        let games: Vec<Arc<dyn GameSeries>> = games.into_iter().map(|games| Arc::new(games) as _).collect();
        let page = StatusPage::new(PageSources {
            lifecycle: lifecycle.clone(),
            health: health.clone(),
            servers: vec![ShownServer { tag: ServerTag::new("prod").unwrap(), name: "Production".to_owned() }],
            games: Arc::new(NoGames),
            pulse: Pulse::default(),
            errors: RecentErrors::default(),
            metrics: metrics.is_some(),
        });
        let state =
            HttpState { lifecycle: lifecycle.clone(), health: health.clone(), metrics, games, page: page.clone() };
        let server = tokio::spawn(serve(listener, state, cancel.clone()));
        (Self { base, lifecycle, health, cancel, server }, page)
    }

    async fn with_metrics() -> Self {
        Self::start(Some(MetricsExporter::detached())).await
    }

    /// Everything works.
    pub async fn well() -> Self {
        let served = Self::with_metrics().await;
        served.lifecycle.mark_live();
        served.lifecycle.mark_initialised();
        served.health.component(Component::Discord).healthy();
        let prod = ServerTag::new("prod").unwrap();
        served.health.server_part(Component::LogTailer, &prod, "console").healthy();
        served
    }

    pub async fn ask(&self, method: Method, path: &str, accept: &str) -> Response {
        let request = Client::new().request(method, format!("{}{path}", self.base)).header("accept", accept);
        request.timeout(Duration::from_secs(10)).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let response = self.ask(Method::GET, path, "*/*").await;
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

/// Takes the fields that are times out of `body`, after a look at them.
fn without_times(mut body: Value) -> Value {
    if let Some(at) = body.get("timestamp") {
        let age = jiff::Timestamp::now().as_duration().as_secs_f64() - at.as_f64().unwrap();
        assert!((0.0..60.0).contains(&age), "Unix time in seconds: {at}");
    }
    if let Some(uptime) = body.get("uptime_seconds") {
        assert!((0.0..60.0).contains(&uptime.as_f64().unwrap()), "{uptime}");
    }
    for time in ["timestamp", "uptime_seconds"] {
        body.as_object_mut().unwrap().remove(time);
    }
    body
}

fn fields(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn liveness_is_dead_until_marked_and_then_alive() {
    let served = Served::with_metrics().await;
    let (status, body) = served.json("/healthz").await;
    assert_eq!((status, without_times(body)), (503, json!({"status": "dead"})));
    served.lifecycle.mark_live();
    for path in ["/healthz", "/livez"] {
        let (status, body) = served.json(path).await;
        assert_eq!(fields(&body), ["status", "timestamp", "uptime_seconds"]);
        assert_eq!((status, without_times(body)), (200, json!({"status": "alive"})));
    }
    served.lifecycle.mark_fallen("pipeline");
    assert_eq!(served.json("/healthz").await.0, 503);
}

#[tokio::test]
async fn readiness_says_what_works() {
    let served = Served::well().await;
    for path in ["/ready", "/readyz"] {
        let (status, mut body) = served.json(path).await;
        let since = body["servers"]["prod"]["console"]["since"].take();
        assert!(since.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{since}");
        let expected = json!({
            "ready": true,
            "reasons": [],
            "components": {
                "discord": "healthy", "log_tailer": "healthy", "rcon": "not_configured",
                "pipeline": "starting", "delivery": "starting", "store": "starting",
            },
            "servers": {"prod": {"console": {"state": "healthy", "since": null}}},
            "details": {},
        });
        assert_eq!((status, without_times(body)), (200, expected));
    }
}

#[tokio::test]
async fn readiness_says_what_does_not_work_and_why() {
    let served = Served::well().await;
    let discord = served.health.component(Component::Discord);
    discord.unhealthy("the token is wrong");
    let (status, body) = served.json("/ready").await;
    assert_eq!((status, &body["ready"], &body["reasons"]), (503, &json!(false), &json!(["discord_unhealthy"])));
    assert_eq!(body["components"]["discord"], "unhealthy");
    assert_eq!(body["details"]["discord"][0]["reason"], "the token is wrong");
    discord.healthy();
    served.lifecycle.mark_stopping();
    let (status, body) = served.json("/ready").await;
    assert_eq!((status, &body["reasons"]), (503, &json!(["stopping"])));
}

#[tokio::test]
async fn health_names_the_service_and_its_endpoints() {
    let served = Served::well().await;
    let (status, body) = served.json("/health").await;
    assert_eq!((status, &body["status"], &body["service"]), (200, &json!("healthy"), &json!("factorio-isr")));
    let endpoints = json!({"liveness": "/healthz", "readiness": "/ready", "metrics": "/metrics"});
    assert_eq!(body["endpoints"], endpoints);
    assert_eq!((&body["alive"], &body["ready"]), (&json!(true), &json!(true)));
    without_times(body);
}

#[tokio::test]
async fn a_tool_gets_json_and_a_browser_the_page() {
    let served = Served::well().await;
    let (status, body) = served.json("/").await;
    assert_eq!((status, fields(&body), &body["service"]), (200, vec!["endpoints", "service"], &json!("factorio-isr")));
    assert_eq!(body["endpoints"]["readiness"], "/ready");

    let page = served.ask(Method::GET, "/", "text/html,application/xhtml+xml;q=0.9").await;
    assert_eq!(page.headers()["vary"], "Accept");
    let html = page.text().await.unwrap();
    assert!(html.contains("<h1>All is well</h1>") && html.contains("<b>Production</b><code>prod</code>"), "{html}");
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let served = Served::well().await;
    let response = served.ask(Method::GET, "/metrics", "*/*").await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text().await.unwrap();
    assert!(text.contains("factorio_isr_component_status{component=\"log_tailer\"} 1\n"), "{text}");
    assert!(text.contains("\nfactorio_isr_uptime_seconds "), "{text}");
}

#[tokio::test]
async fn whoever_wants_openmetrics_gets_the_text_format() {
    let served = Served::well().await;
    // What Prometheus 2.53 and 3.5 send.
    for accept in [
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
         text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    ] {
        let response = served.ask(Method::GET, "/metrics", accept).await;
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        assert!(!response.text().await.unwrap().contains("# EOF"));
    }
    assert_eq!(served.ask(Method::POST, "/metrics", "*/*").await.status(), 405);
}

async fn ask_and_read_nothing(served: &Served) -> TcpStream {
    let mut idle = TcpStream::connect(served.base.trim_start_matches("http://")).await.unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    idle
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_stand_still_hold_up_neither_scrapes_nor_probes_nor_the_stop() {
    let served = Served::start_with(Some(MetricsExporter::detached()), Some(ManySeries)).await;
    served.lifecycle.mark_live();
    let _idle = [ask_and_read_nothing(&served).await, ask_and_read_nothing(&served).await];
    let together = futures_util::future::join_all((0..10).map(|_| async {
        let text = served.ask(Method::GET, "/metrics", "*/*").await.text().await.unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("factorio_many{")).count(), ManySeries::NUMBER);
        served.lifecycle.beat();
        assert_eq!(served.ask(Method::GET, "/healthz", "*/*").await.status(), 200);
    }));
    timeout(Duration::from_mins(1), together).await.expect("all are answered");
    served.cancel.cancel();
    let end = timeout(Duration::from_secs(5), served.server).await.expect("the server ends");
    end.unwrap().unwrap();
}

#[tokio::test]
async fn disabled_metrics_are_not_found_and_not_offered() {
    let served = Served::start(None).await;
    assert_eq!(served.json("/metrics").await, (404, json!({"error": "metrics_disabled"})));
    let (_, health) = served.json("/health").await;
    assert_eq!(health["endpoints"]["metrics"], Value::Null);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_json() {
    let served = Served::well().await;
    assert_eq!(served.json("/admin").await, (404, json!({"error": "not_found"})));
    let refused = served.ask(Method::POST, "/ready", "*/*").await;
    assert_eq!(refused.status(), 405);
    assert_eq!(refused.headers()["allow"], "GET,HEAD");
    assert_eq!(refused.json::<Value>().await.unwrap(), json!({"error": "method_not_allowed"}));
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let served = Served::well().await;
    for path in ["/", "/healthz", "/ready", "/health", "/metrics"] {
        let response = served.ask(Method::HEAD, path, "*/*").await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.bytes().await.unwrap().is_empty(), "{path}");
    }
}

/// What answers to these bytes, until the other side closes; empty where that is all it does.
async fn answer_to(served: &Served, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(served.base.trim_start_matches("http://")).await.unwrap();
    // The other side may have heard enough before the end.
    drop(socket.write_all(bytes).await);
    let mut answer = Vec::new();
    drop(timeout(Duration::from_secs(30), socket.read_to_end(&mut answer)).await.expect("it is answered, or cut off"));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_and_harms_nobody_else() {
    let served = Served::well().await;
    let get =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    for (request, status) in [
        (get("/../../etc/passwd", ""), "404"),
        (get("//metrics", ""), "404"),
        (get("/%00%ff", ""), "404"),
        (get("/metrics/", ""), "404"),
        (get("http://elsewhere/metrics", ""), "200"),
        (get(&format!("/{}", "x".repeat(60_000)), ""), "404"),
        (get(&format!("/{}", "x".repeat(70_000)), ""), "414"),
        (get("/", &format!("X: {}\r\n", "x".repeat(1 << 20))), "431"),
        (get("/", &"X: y\r\n".repeat(1000)), "431"),
        (get("/", "Content-Length: nonsense\r\n"), "400"),
        ("BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(), "405"),
        ("GET\r\n\r\n".to_owned(), "400"),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), ""),
    ] {
        let answer = answer_to(&served, request.as_bytes()).await;
        let said = answer.strip_prefix("HTTP/1.1 ").unwrap_or_default();
        assert!(said.starts_with(status), "{}: {answer:?}", &request[..request.len().min(60)]);
    }
    served.lifecycle.beat();
    assert_eq!(served.ask(Method::GET, "/healthz", "*/*").await.status(), 200);
}

#[tokio::test]
async fn a_client_that_never_finishes_does_not_hold_up_the_stop() {
    let served = Served::well().await;
    let mut slow = TcpStream::connect(served.base.trim_start_matches("http://")).await.unwrap();
    slow.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\nGET /rea").await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    served.cancel.cancel();
    let end = timeout(Duration::from_secs(5), served.server).await.expect("the server ends");
    end.unwrap().unwrap();
}
