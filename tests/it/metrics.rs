//! Every metric of the table in a busy world: named, described, bounded, and moved where it can be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind, Scope, SimChannel, SimDiscord, SimDiscordConfig};
use factorio_isr::sim::rcon::{Game, SimRcon};
use factorio_isr::telemetry::game_metrics::GAME_METRICS;
use factorio_isr::telemetry::labels;
use factorio_isr::telemetry::metrics::{self as table, Kind, METRICS};
use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Relay, Site, TOKEN};
use crate::prometheus::promtool_of;

const CHAT: u64 = 1001;
const CLOSED: u64 = 1002;
const STATUS: u64 = 1003;
const PASSWORD: &str = "rcon-secret-41";
const PLAYER: &str = "Zaphod";
const SAID: &str = "xyzzy";

/// Metrics that say zero in this busy world, and why.
const NOT_MOVED: [(&str, &str); 11] = [
    (table::ALERTS_FIRING, "waited for while the game is away: it is well again at the end"),
    (table::TASK_RESTARTS, "no task falls; tests of the supervisor make some"),
    (table::LOG_GAPS, "no bytes are destroyed unread; tests/it/losses.rs destroys some"),
    (table::TRACE_SPANS, "traces are off; tests/it/traces.rs has them on"),
    (table::LOG_SUPPRESSED, "no failure goes on for long; tests/it/logging.rs has some that do"),
    (table::STATUS_PAGE_VIEWERS, "nobody looks; tests/it/status_page has viewers"),
    (table::GATEWAY_EVENTS_DROPPED, "needs more events than a second of a busy guild has"),
    (table::TAIL_LAG_BYTES, "a moment's value: the logs are read"),
    (table::RCON_QUEUE_DEPTH, "a moment's value: the game answers"),
    (table::INBOUND_WAITING, "a moment's value: the chat is said"),
    (table::TOKIO_QUEUE, "a moment's value: the runtime keeps up"),
];

struct Busy {
    sim: SimDiscord,
    game: SimRcon,
    site: Site,
    relay: Relay,
    /// The counters at the last look.
    counted: Mutex<BTreeMap<String, f64>>,
}

/// One line of a scrape.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

fn read(text: &str) -> Vec<Sample> {
    let line = Regex::new(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$").unwrap();
    let label = Regex::new(r#"([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)"#).unwrap();
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sample = |text: &str| {
        let parts = line.captures(text).unwrap_or_else(|| panic!("no sample: {text}"));
        let inner = parts.get(2).map_or("", |inner| inner.as_str());
        let labels = label.captures_iter(inner).map(|pair| (pair[1].to_owned(), pair[2].to_owned())).collect();
        Sample { name: parts[1].to_owned(), labels, value: parts[3].parse().unwrap() }
    };
    samples.map(sample).collect()
}

impl Sample {
    /// The family: for the parts of a histogram, the name without its end.
    fn family(&self) -> &str {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| self.name.strip_suffix(end));
        let of_histogram =
            |base: &&str| METRICS.iter().any(|m| m.name == *base && matches!(m.kind, Kind::Histogram(_)));
        base.filter(of_histogram).unwrap_or(&self.name)
    }
}

impl Busy {
    async fn start() -> Self {
        let channels = [(CHAT, "chat"), (CLOSED, "closed"), (STATUS, "status")];
        let config = SimDiscordConfig {
            token: TOKEN.to_owned(),
            channels: channels.map(|(id, name)| SimChannel::new(id, name)).to_vec(),
            heartbeat_interval: Duration::from_millis(500),
            ..SimDiscordConfig::default()
        };
        let sim = crate::discord_sim::start(config).await.unwrap();
        let limit = FaultKind::rate_limited(Duration::from_millis(200), Scope::User);
        sim.set_fault(Fault::new(limit).channel(CHAT).times(1));
        sim.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).channel(CLOSED));
        let mut game = Game::default();
        game.join(PLAYER);
        let game = SimRcon::start(PASSWORD, game, |_| {}).await.unwrap();
        let site = Self::site(&sim, &game);
        let relay = site.start();
        relay.wait_for("/ready", |status, body| status == 200 && body.contains("\"rcon\":\"healthy\"")).await;
        assert!(sim.wait_for(DEADLINE, |state| state.commands() != &json!([])).await, "the commands are registered");
        Self { sim, game, site, relay, counted: Mutex::default() }
    }

    fn site(sim: &SimDiscord, game: &SimRcon) -> Site {
        let site = Site::new(&sim.base_url()).discord_key("guild_id = 100");
        let file = |name: &str| site.dir.path().join(name).display().to_string();
        for name in ["engine.log", "deaths.log", "game.prom"] {
            fs::write(file(name), "").unwrap();
        }
        let keys = format!(
            "engine_log = \"{}\"\nrcon = {{ port = {}, password = \"{PASSWORD}\", allow_lua = true }}\n\
             prometheus_file = {{ path = \"{}\" }}\nmod_logs = {{ deaths = \"{}\" }}\nchat_from = [{CHAT}]",
            file("engine.log"),
            game.address().port(),
            file("game.prom"),
            file("deaths.log")
        );
        let pattern = "[[patterns]]\nid = \"boss\"\nregex = '^BOSS'\nevent = \"boss_fight\"\nexamples = [\"BOSS\"]\nservers = [\"prod\"]\n";
        let game = "[game]\ninterval = \"1s\"\nidle_interval = \"1s\"\n[game.series]\ncap = 1\n";
        site.server_with("prod", &format!("default = {CHAT}, joins = {CLOSED}, status = {STATUS}"), &keys)
            .server_with("quiet", &format!("default = {CHAT}"), "")
            .extra(pattern)
            .extra(game)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.site.dir.path().join(file), text).unwrap();
    }

    /// All that can go right and wrong in a few seconds.
    async fn work(&self) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        let oversize = "x".repeat(70_000);
        self.site.append("prod", &format!("{SAID} of no known shape\nBOSS {SAID}\n{now} [CHAT] {PLAYER}: {SAID}\n"));
        self.site
            .append("prod", &format!("{now} [JOIN] {PLAYER} joined the game\n{now} [CHAT] {PLAYER}: {oversize}\n"));
        self.write("deaths.log", &format!("JLOGGER: DIED: {PLAYER} small-biter\n"));
        self.write("game.prom", "# TYPE factorio_trains gauge\nfactorio_trains{train=\"7\"} 3\nthis is no sample\n");
        self.sim.cut_gateway();
        self.moved(table::GATEWAY_RECONNECTS).await;
        self.moved(table::SLASH_LATENCY).await;
        self.game.stop();
        let crash = "   5.000 Error CrashHandler.cpp:632: Received SIGSEGV\n";
        let header = "   0.000 2026-01-01 12:00:00; Factorio 2.0.60 (build 83512, linux64, headless)\n";
        self.write("engine.log", &format!("{header}{crash}"));
        let gone =
            |samples: &[Sample]| sum(samples, table::RCON_CONNECTED) == 0.0 && sum(samples, table::ALERTS_FIRING) > 0.0;
        self.samples_when(gone).await;
        self.game.start_again().await.unwrap();
        let refused = ApiError::invalid_form("content", "REFUSED", "never");
        self.sim.set_fault(Fault::new(FaultKind::Answer(refused)).channel(CHAT).containing("never"));
        let console = self.site.console_log("quiet");
        fs::rename(&console, console.with_extension("log.1")).unwrap();
        self.site.append("quiet", &format!("{now} [CHAT] {PLAYER}: never {SAID}\n"));
    }

    /// Waits until the metric is not zero. Meanwhile people use the bot and speak: what arrives while the gateway is
    /// away is lost, as it is with Discord.
    async fn moved(&self, name: &str) {
        let options =
            json!([{ "type": 1, "name": "players", "options": [{ "type": 3, "name": "server", "value": "prod" }] }]);
        self.samples_when(|samples| {
            self.sim.interact(CHAT, PLAYER, "factorio", &options).unwrap();
            self.sim.dispatch("INTERACTION_CREATE", &command_of_another_version());
            self.sim.dispatch("MESSAGE_CREATE", &json!({ "id": "not a message" }));
            self.sim.say(CHAT, PLAYER, SAID).unwrap();
            sum(samples, name) > 0.0
        })
        .await;
    }

    async fn samples_when(&self, suits: impl Fn(&[Sample]) -> bool) -> Vec<Sample> {
        let body = self.relay.wait_for("/metrics", |_, body| {
            let samples = read(body);
            self.nothing_was_uncounted(&samples);
            suits(&samples)
        });
        read(&body.await)
    }

    /// A counter that goes down would look like a restart of the program.
    fn nothing_was_uncounted(&self, samples: &[Sample]) {
        let mut counted = self.counted.lock().unwrap();
        let ends = ["_total", "_bucket", "_sum", "_count"];
        let counts = |sample: &&Sample| ends.iter().any(|end| sample.name.ends_with(end));
        let mut seen = 0;
        for sample in samples.iter().filter(counts).filter(|sample| sample.name.starts_with("factorio_isr_")) {
            let series = format!("{}{:?}", sample.name, sample.labels);
            let before = counted.insert(series, sample.value);
            assert!(before.is_none_or(|before| before <= sample.value), "{sample:?} was {before:?}");
            seen += 1;
        }
        assert_eq!(seen, counted.len(), "a counter is gone");
    }

    /// Waits until nothing of what `missing` names is missing.
    async fn until_nothing_is_missing(&self, missing: impl Fn(&[Sample]) -> BTreeSet<&'static str>) {
        let last = Mutex::new(BTreeSet::new());
        let none = self.samples_when(|samples| {
            *last.lock().unwrap() = missing(samples);
            last.lock().unwrap().is_empty()
        });
        let none = tokio::time::timeout(DEADLINE / 2, none).await;
        assert!(none.is_ok(), "never seen: {:?}", last.lock().unwrap());
    }
}

/// A call of a command that this version does not have, as Discord may still offer it.
fn command_of_another_version() -> Value {
    let user = json!({ "id": "7", "username": PLAYER, "discriminator": "0000" });
    let member = json!({
        "user": user, "roles": [], "joined_at": null, "deaf": false, "mute": false, "flags": 0, "permissions": "0",
    });
    let call = json!({
        "id": "8", "application_id": "900", "type": 2, "data": { "id": "9", "name": SAID, "type": 1 },
        "guild_id": "100", "channel_id": CHAT.to_string(), "member": member, "token": "forged", "version": 1,
        "locale": "en-US", "entitlements": [], "authorizing_integration_owners": {}, "context": 0,
        "attachment_size_limit": 1,
    });
    serde_json::from_value::<serenity::all::Interaction>(call.clone()).expect("serenity reads it");
    call
}

fn sum(samples: &[Sample], family: &str) -> f64 {
    samples.iter().filter(|sample| sample.family() == family).map(|sample| sample.value.abs()).sum()
}

/// What may stand in a label whose words are not all closed: what this world's configuration and the code name.
fn named_here(label: &str, value: &str) -> bool {
    let tasks = Regex::new(concat!(
        r"^(http|delivery|gateway|discord-access|status|status-page|topics|presence|history|store-size|commands|inbound|pipeline",
        r"|(rcon|game|sampler|prometheus-file|tail) (prod|quiet)(/(console|engine|deaths))?)$"
    ));
    let game = |metric: &factorio_isr::telemetry::game_metrics::GameMetric| metric.name == value;
    match label {
        "server" => ["prod", "quiet"].contains(&value),
        "event_type" => value == "boss_fight",
        "source" => value == "deaths",
        "version" => value == env!("CARGO_PKG_VERSION"),
        "family" => GAME_METRICS.iter().any(game),
        "command" => {
            let listed =
                |command: String| include_str!("../../docs/commands.md").contains(&format!("| `/{command}` |"));
            listed(format!("factorio {value}")) || listed(value.to_owned())
        }
        "task" => tasks.unwrap().is_match(value),
        _ => false,
    }
}

/// What is wrong with a sample, if anything is.
fn wrong(sample: &Sample) -> Option<String> {
    let family = sample.family();
    if family.starts_with("process_") || family == "factorio_trains" {
        return None;
    }
    let names: Vec<&str> = sample.labels.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "le").collect();
    if let Some(metric) = GAME_METRICS.iter().find(|metric| metric.name == family) {
        return (!names.iter().all(|name| metric.labels.contains(name))).then(|| format!("labels of {sample:?}"));
    }
    let Some(metric) = METRICS.iter().find(|metric| metric.name == family) else {
        return Some(format!("{family} is not in the table"));
    };
    if names != metric.labels {
        return Some(format!("{family} has {names:?}, not {:?}", metric.labels));
    }
    let bad = sample.labels.iter().filter(|(name, _)| name != "le").find(|(name, value)| {
        let values = labels::values(metric, name).unwrap();
        let closed = values.closed.contains(&value.as_str());
        !closed && (values.named_by.is_none() || !named_here(name, value))
    });
    bad.map(|(name, value)| format!("{family} has {name}=\"{value}\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_described_bounded_and_moves() {
    let busy = Busy::start().await;
    busy.work().await;
    let still: BTreeSet<&str> = NOT_MOVED.iter().map(|(name, _)| *name).collect();
    let zero = |samples: &[Sample]| -> BTreeSet<&str> {
        METRICS.iter().map(|metric| metric.name).filter(|name| sum(samples, name) == 0.0).collect()
    };
    busy.until_nothing_is_missing(|samples| zero(samples).difference(&still).copied().collect()).await;

    let (_, text) = busy.relay.get("/metrics").await;
    let samples = read(&text);
    let wrong: BTreeSet<String> = samples.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for metric in METRICS {
        let kind = metric.kind.as_str();
        let head = format!("# HELP {0} {1}\n# TYPE {0} {kind}\n{0}", metric.name, metric.help);
        assert_eq!(text.matches(&head).count(), 1, "{head}");
    }
    for secret in [PLAYER, SAID, PASSWORD, TOKEN, "1001", busy.site.dir.path().to_str().unwrap()] {
        let line = text.lines().find(|line| line.contains(secret));
        // Numbers may have any digits.
        assert!(line.is_none_or(|line| !line.split(' ').next().unwrap().contains(secret)), "{line:?}");
    }
    assert_unique(&samples);
    let elsewhere = "factorio_isr_events_processed_total{server=\"quiet\",event_type=\"boss_fight\"}";
    assert!(!text.contains(elsewhere), "a pattern of one server makes series for that one only");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
async fn promtool_accepts_every_metric() {
    let busy = Busy::start().await;
    busy.work().await;
    let still: BTreeSet<&str> = NOT_MOVED.iter().map(|(name, _)| *name).collect();
    let unseen = |samples: &[Sample]| -> BTreeSet<&'static str> {
        let seen = |name: &str| samples.iter().any(|sample| sample.name.starts_with(name));
        METRICS.iter().map(|metric| metric.name).filter(|name| !seen(name) && !still.contains(name)).collect()
    };
    busy.until_nothing_is_missing(unseen).await;
    let (said, expected) = promtool_of(&busy.relay.get("/metrics").await.1);
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_while_the_relay_stops_is_whole_or_none() {
    let mut busy = Busy::start().await;
    let address = busy.relay.address().await;
    let client = reqwest::Client::new();
    // Whoever waits for an answer of Discord holds up the stop, so that there is time to look.
    busy.sim.set_fault(Fault::new(FaultKind::Hang { processed: false }).channel(CHAT));
    let unanswered = busy.sim.stats().unanswered;
    busy.site.append("quiet", "2026-01-01 00:00:00 [CHAT] Bob: the last\n");
    assert!(busy.sim.wait_for(DEADLINE, |state| state.stats().unanswered > unanswered).await);
    busy.relay.signal(nix::sys::signal::Signal::SIGTERM);
    let mut unready = false;
    // The endpoints go last, so there is something to see, and then nothing.
    while let Ok(answer) = client.get(format!("{address}/metrics")).send().await {
        let Ok(text) = answer.text().await else { break };
        let samples = read(&text);
        assert!(text.ends_with('\n') && sum(&samples, table::UPTIME) > 0.0, "{text}");
        unready |= sum(&samples, table::READY) == 0.0;
    }
    assert!(unready, "it says that it is not ready any more");
    assert!(busy.relay.exit().await.success());
}

/// No series stands there twice: Prometheus would refuse the whole scrape.
fn assert_unique(samples: &[Sample]) {
    let mut seen = BTreeMap::new();
    for sample in samples {
        let before = seen.insert((&sample.name, &sample.labels), sample.value);
        assert!(before.is_none(), "{sample:?} stands there twice");
    }
}
