//! The metrics of the running relay as Prometheus sees them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]
#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind, Scope, SimChannel, SimDiscord, SimDiscordConfig};
use factorio_isr::sim::rcon::{Game, SimRcon};
use regex::Regex;
use serde_json::Value;

use crate::harness::{DEADLINE, Relay, Site, TOKEN, within};

const CHAT: u64 = 1001;
const CLOSED: u64 = 1002;

const PASSWORD: &str = "rcon-secret-41";

/// A relay with a console log in two servers, an engine log and RCON with Lua in one, in a world with a rate limit and a
/// channel that refuses.
struct Busy {
    sim: SimDiscord,
    game: SimRcon,
    site: Site,
    relay: Relay,
}

impl Busy {
    async fn start() -> Self {
        let config = SimDiscordConfig {
            token: TOKEN.to_owned(),
            channels: vec![SimChannel::new(CHAT, "chat"), SimChannel::new(CLOSED, "closed")],
            ..SimDiscordConfig::default()
        };
        let sim = crate::discord_sim::start(config).await.unwrap();
        let limit = FaultKind::rate_limited(Duration::from_millis(300), Scope::User);
        sim.set_fault(Fault::new(limit).channel(CHAT).times(1));
        sim.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).channel(CLOSED));
        let site = Site::new(&sim.base_url());
        let engine = site.dir.path().join("factorio-current.log");
        fs::write(&engine, "   0.000 2026-01-01 12:00:00; Factorio 2.0.60 (build 83512, linux64, headless)\n").unwrap();
        let game = SimRcon::start(PASSWORD, Game::default(), |_| {}).await.unwrap();
        let keys = format!(
            "engine_log = \"{}\"\nrcon = {{ port = {}, password = \"{PASSWORD}\", allow_lua = true }}\nprometheus_file = {{ path = \"{}\" }}",
            engine.display(),
            game.address().port(),
            site.dir.path().join("game.prom").display()
        );
        let site = site.server_with("prod", &format!("default = {CHAT}"), &keys).server_with(
            "closed",
            &format!("default = {CHAT}, joins = {CLOSED}"),
            "",
        );
        let relay = site.start();
        relay.wait_for("/ready", |status, body| status == 200 && body.contains("\"rcon\":\"healthy\"")).await;
        Self { sim, game, site, relay }
    }

    /// Three lines of chat and one of the engine that are delivered, the first after a rate limit, and one that is refused.
    async fn work(&self) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        self.site.append("prod", &format!("{now} [CHAT] Bob: one\n{now} [CHAT] Bob: two\n"));
        self.site.append("closed", &format!("{now} [CHAT] Al: three\n{now} [JOIN] Al joined the game\n"));
        let settled = |state: &Samples| {
            state.sum("factorio_isr_relay_latency_seconds_count") == 4.0
                && state.sum("factorio_isr_parked_channels") == 1.0
        };
        self.samples_when(settled).await;
        assert_eq!(self.sim.stats().limited(Scope::User), 1);
    }

    async fn scrape(&self) -> String {
        self.relay.get("/metrics").await.1
    }

    /// The samples, once they suit.
    async fn samples_when(&self, suits: impl Fn(&Samples) -> bool) -> Samples {
        let body = self.relay.wait_for("/metrics", |_, body| suits(&Samples::read(body))).await;
        Samples::read(&body)
    }
}

/// A scraped body: series to value.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    fn read(body: &str) -> Self {
        let lines = body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines.filter_map(|line| line.rsplit_once(' ')).map(|(at, n)| (at.to_owned(), n.parse().unwrap())).collect(),
        )
    }

    /// The sum over the series of this name, whose labels have all that stands in braces.
    fn sum(&self, selector: &str) -> f64 {
        let (name, labels) = selector.split_once('{').unwrap_or((selector, "}"));
        let wanted: Vec<&str> = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect();
        let of_it = self.0.iter().filter(|(series, _)| {
            series.split('{').next() == Some(name) && wanted.iter().all(|label| series.contains(label))
        });
        of_it.map(|(_, value)| value).sum()
    }

    fn has(&self, name: &str) -> bool {
        self.0.keys().any(|series| series.split('{').next() == Some(name))
    }
}

/// What promtool says of a scrape; the second is what it may say: advice about names that are not ours to choose.
pub fn promtool_of(text: &str) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scraped");
    fs::write(&path, text).unwrap();
    let checked = Command::new("promtool").args(["check", "metrics"]).stdin(fs::File::open(&path).unwrap()).output();
    let checked = checked.unwrap();
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    let advice = "non-histogram and non-summary metrics should not have \"_count\" suffix";
    let graftorio2 = ["factorio_connected_player_count", "factorio_total_player_count"];
    let expected: String = graftorio2.map(|name| format!("{name} {advice}\n")).concat();
    (said, expected)
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
async fn promtool_has_nothing_to_say_but_of_graftorio2s_names() {
    let busy = Busy::start().await;
    busy.work().await;
    busy.samples_when(|samples| samples.has("factorio_item_production_input")).await;
    let (said, expected) = promtool_of(&busy.scrape().await);
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_tell_what_happened() {
    let busy = Busy::start().await;
    busy.work().await;
    let rest = |samples: &Samples| samples.sum("factorio_isr_outbox_depth") == 1.0;
    let samples = busy.samples_when(rest).await;
    for (selector, expected) in [
        ("factorio_isr_lines_read_total{server=\"prod\",source=\"console\"}", 2.0),
        ("factorio_isr_lines_read_total{server=\"prod\",source=\"engine\"}", 1.0),
        ("factorio_isr_lines_read_total{server=\"closed\"}", 2.0),
        ("factorio_isr_events_processed_total{server=\"prod\",event_type=\"chat\"}", 2.0),
        ("factorio_isr_events_processed_total{server=\"closed\",event_type=\"join\"}", 1.0),
        ("factorio_isr_log_gaps_total", 0.0),
        ("factorio_isr_log_rotations_total", 0.0),
        ("factorio_isr_tail_lag_bytes", 0.0),
        ("factorio_isr_discord_rate_limited_total{scope=\"user\"}", 1.0),
        ("factorio_isr_discord_rate_limited_total", 1.0),
        ("factorio_isr_relay_latency_seconds_count", 4.0),
        ("factorio_isr_rows_per_message_sum", 4.0),
        ("factorio_isr_parked_channels", 1.0),
        ("factorio_isr_dead_letters", 0.0),
        ("factorio_isr_gateway_reconnects_total", 0.0),
        ("factorio_isr_task_restarts_total", 0.0),
        ("factorio_isr_config_last_reload_successful", 1.0),
        ("factorio_isr_component_status", 6.0),
        ("factorio_isr_ready", 1.0),
        ("factorio_isr_gateway_connected", 1.0),
        ("factorio_isr_rcon_connected{server=\"prod\"}", 1.0),
        ("factorio_isr_task_running{task=\"pipeline\"}", 1.0),
        ("factorio_isr_task_running{task=\"tail prod/engine\"}", 1.0),
        ("factorio_isr_lines_unmatched_total", 0.0),
        ("factorio_isr_discord_requests_total{route=\"message_send\",status=\"429\"}", 1.0),
        ("factorio_isr_discord_requests_total{route=\"message_send\",status=\"4xx\"}", 1.0),
        ("factorio_isr_discord_requests_total{route=\"command_registration\"}", 0.0),
        ("factorio_isr_discord_requests_total{route=\"other\"}", 0.0),
        ("factorio_isr_discord_requests_total{status=\"error\"}", 0.0),
    ] {
        let read = samples.sum(selector);
        assert!(read == expected, "{selector}: {read}, not {expected}");
    }
    for (selector, least, most) in [
        ("factorio_isr_tail_lag_seconds", 0.0, 5.0),
        ("factorio_isr_outbox_oldest_age_seconds", 0.0, 60.0),
        ("factorio_isr_relay_latency_seconds_sum", 0.3, 60.0),
        ("factorio_isr_commit_latency_seconds_sum", 0.000_001, 30.0),
        ("factorio_isr_commit_latency_seconds_count", 2.0, 30.0),
        ("factorio_isr_discord_api_latency_seconds_count", 4.0, 20.0),
        ("factorio_isr_delivery_retries_total", 1.0, 5.0),
        ("factorio_isr_deliveries_total{outcome=\"delivered\"}", 1.0, 4.0),
        ("process_resident_memory_bytes", 1e6, 1e9),
        ("factorio_isr_discord_requests_total{route=\"gateway\",status=\"2xx\"}", 1.0, 3.0),
        ("factorio_isr_discord_requests_total{route=\"message_send\",status=\"2xx\"}", 1.0, 4.0),
        ("factorio_isr_rcon_commands_total{server=\"prod\",outcome=\"answered\"}", 1.0, 1000.0),
        ("factorio_isr_store_file_bytes", 4096.0, 1e8),
        ("factorio_isr_store_wal_bytes", 1.0, 1e8),
        ("factorio_isr_tokio_workers", 1.0, 1024.0),
        ("factorio_isr_tokio_alive_tasks", 10.0, 1000.0),
        ("factorio_isr_tokio_busy_seconds_total", 0.001, 1000.0),
    ] {
        let read = samples.sum(selector);
        assert!((least..=most).contains(&read), "{selector}: {read}, not from {least} to {most}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_was_broken_off_are_counted() {
    let busy = Busy::start().await;
    busy.sim.cut_gateway();
    busy.samples_when(|samples| samples.sum("factorio_isr_gateway_reconnects_total") >= 1.0).await;
    busy.work().await;
    let old = |samples: &Samples| samples.sum("factorio_isr_outbox_oldest_age_seconds") >= 2.0;
    busy.samples_when(old).await;
    let refused = ApiError::invalid_form("content", "REFUSED", "never");
    busy.sim.set_fault(Fault::new(FaultKind::Answer(refused)).channel(CHAT));
    let console = busy.site.console_log("prod");
    fs::rename(&console, console.with_extension("log.1")).unwrap();
    busy.site.append("prod", "2026-01-01 12:00:00 [CHAT] Bob: a new file\n");
    let refused = |samples: &Samples| {
        samples.sum("factorio_isr_log_rotations_total{server=\"prod\"}") == 1.0
            && samples.sum("factorio_isr_dead_letters") == 1.0
            && samples.sum("factorio_isr_errors_total{component=\"delivery\",error_type=\"payload\"}") >= 1.0
    };
    busy.samples_when(refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_says_so() {
    let mut busy = Busy::start().await;
    busy.site.append("prod", "a line of no known shape\n2026-01-01 12:00:00 [CHAT] Bob: hello\n");
    let seen = |samples: &Samples| {
        samples.sum("factorio_isr_lines_unmatched_total{server=\"prod\",source=\"console\"}") == 1.0
            && samples.sum("factorio_isr_last_event_timestamp_seconds{server=\"prod\"}") == 1_767_268_800.0
            && samples.sum("factorio_isr_last_event_timestamp_seconds{server=\"closed\"}") == 0.0
    };
    busy.samples_when(seen).await;
    busy.sim.stop().await;
    busy.game.stop();
    let gone = |samples: &Samples| {
        samples.sum("factorio_isr_gateway_connected") == 0.0
            && samples.sum("factorio_isr_gateway_heartbeat_latency_seconds") == 0.0
            && samples.sum("factorio_isr_rcon_connected") == 0.0
            && samples.sum("factorio_isr_ready") == 0.0
    };
    busy.samples_when(gone).await;
    // Of before the restart, the newest line is still known.
    busy.relay.terminate().await;
    busy.relay = busy.site.start();
    let known = |samples: &Samples| samples.sum("factorio_isr_last_event_timestamp_seconds") == 1_767_268_800.0;
    busy.samples_when(known).await;
}

/// A Prometheus of our own, killed when dropped.
pub struct Prometheus {
    client: reqwest::Client,
    process: std::process::Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    async fn scraping(target: &str) -> Self {
        let jobs = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: relay\n    static_configs:\n      \
             - targets: [\"{target}\"]\n"
        );
        Self::start(&jobs).await
    }

    /// Starts it with this configuration.
    pub async fn start(jobs: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("prometheus.yml");
        fs::write(&config, jobs).unwrap();
        let log = dir.path().join("prometheus.log");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let client = reqwest::Client::new();
        let mut prometheus = Self { client, process, port: 0, _dir: dir };
        prometheus.port = prometheus.port_said_in(&log).await;
        within(prometheus.ready()).await;
        prometheus
    }

    /// It listens before it answers questions.
    async fn ready(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let url = format!("http://127.0.0.1:{}/-/ready", self.port);
        while !self.client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            tick.tick().await;
        }
    }

    /// What the HTTP API answers at `path`: also when it refuses.
    pub async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let answer = self.client.get(url).query(query).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path} {query:?}: {status} {text}"))
    }

    async fn port_said_in(&mut self, log: &std::path::Path) -> u16 {
        let said = Regex::new(r"127\.0\.0\.1:(\d+)").unwrap();
        let port = |text: &str| {
            let lines = text.lines().filter(|line| line.to_lowercase().contains("listening on"));
            lines.filter_map(|line| said.captures(line)?[1].parse().ok()).find(|port| *port != 0)
        };
        let deadline = Instant::now() + DEADLINE;
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            let text = fs::read_to_string(log).unwrap();
            if let Some(port) = port(&text) {
                return port;
            }
            let running = self.process.try_wait().unwrap().is_none();
            assert!(running && Instant::now() < deadline, "prometheus does not listen:\n{text}");
        }
    }

    /// The values of a query's result, waiting for the first one.
    async fn values(&self, query: &str) -> Vec<f64> {
        let deadline = Instant::now() + DEADLINE;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let client = reqwest::Client::new();
        loop {
            tick.tick().await;
            let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
            let answer = client.get(url).query(&[("query", query)]).send().await.unwrap();
            let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
            let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
            if !results.is_empty() {
                return results.iter().map(|result| result["value"][1].as_str().unwrap().parse().unwrap()).collect();
            }
            assert!(Instant::now() < deadline, "`{query}` never had a value: {answer}");
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
async fn a_real_prometheus_scrapes_the_relay() {
    let busy = Busy::start().await;
    busy.work().await;
    let address = busy.relay.address().await;
    let prometheus = Prometheus::scraping(address.trim_start_matches("http://")).await;
    assert_eq!(prometheus.values("up == 1").await, [1.0]);
    assert!(prometheus.values("factorio_isr_uptime_seconds").await[0] > 0.0);
    let chat = "sum(factorio_isr_events_processed_total{event_type=\"chat\"})";
    assert_eq!(prometheus.values(chat).await, [3.0]);
    let slowest = "histogram_quantile(1, factorio_isr_relay_latency_seconds_bucket)";
    assert!(prometheus.values(slowest).await[0] > 0.0);
    assert_eq!(prometheus.values("scrape_samples_post_metric_relabeling > 100").await.len(), 1);
}
