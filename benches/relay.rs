//! Benchmarks of the relay: `cargo bench`.
//!
//! First the rates of the pure parts and of the way from a log to a commit (criterion), then a report on the real
//! program as a process: append-to-POST latency, memory at rest, start-up time, scrapes. `cargo bench -- --report` gives
//! only the report, `cargo bench -- --scrapes` of it only the scrapes (`SCRAPES=100` makes it fewer than 10,000). Numbers of one machine are in `benches/REPORT.md`.

use std::fs;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use factorio_isr::config::settings::{
    PermissionSettings, ServerChannels, ServerSettings, StartAt, TraceProtocol, TraceSettings,
};
use factorio_isr::domain::{ChannelId, LineBatch, LogItem, LogLine, LogSource, Position, ServerTag, SystemClock};
use factorio_isr::events::{EventRules, Interpreter, Pipeline};
use factorio_isr::health::{Component, HealthRegistry};
use factorio_isr::sim::discord::{Change, RateLimits, SimChannel, SimDiscord, SimDiscordConfig};
use factorio_isr::sim::rcon::{Game, RconEvent, SimRcon};
use factorio_isr::store::Store;
use factorio_isr::tail::{self, TailConfig, Wakes};
use factorio_isr::telemetry::{MetricsExporter, Traces};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[path = "relay/records.rs"]
mod records;
#[path = "relay/scrapes.rs"]
mod scrapes;
#[path = "relay/taps.rs"]
mod taps;

const TOKEN: &str = "bench-token";
const CHANNEL: u64 = 1001;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    if std::env::args().any(|argument| argument == "--scrapes") {
        return runtime.block_on(scrapes::report());
    }
    if !std::env::args().any(|argument| argument == "--report") {
        let mut criterion = Criterion::default().configure_from_args();
        parse_rate(&mut criterion);
        commit_rate(&mut criterion, &runtime);
        records::rates(&mut criterion, &runtime);
        taps::cost(&mut criterion);
        criterion.final_summary();
    }
    runtime.block_on(report());
}

fn server(console_log: PathBuf) -> ServerSettings {
    let default = ChannelId::new(CHANNEL).expect("not 0");
    ServerSettings {
        tag: ServerTag::new("bench").expect("a tag"),
        name: "Bench".to_owned(),
        console_log,
        engine_log: None,
        start_at: StartAt::Beginning,
        timezone: TimeZone::UTC,
        timezone_configured: true,
        channels: ServerChannels { default, routes: std::collections::BTreeMap::new() },
        permissions: PermissionSettings::default(),
        rcon: None,
        mod_logs: std::collections::BTreeMap::new(),
        prometheus_file: None,
        alerts: factorio_isr::config::settings::AlertSettings::none(),
    }
}

fn rules() -> Arc<EventRules> {
    Arc::new(EventRules::new(&factorio_isr::config::settings::EventSettings::default()).expect("defaults are valid"))
}

/// Chat, joins and rich text, as a busy server writes them.
fn lines(count: usize) -> Vec<String> {
    let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    let line = |at: usize| match at % 5 {
        0 => format!("{now} [CHAT] Engineer_{at}: ore at [gps=12.5,-34] and [item=iron-plate] *please*"),
        1 => format!("{now} [JOIN] Engineer_{at} joined the game"),
        2 => format!("{now} [LEAVE] Engineer_{at} left the game"),
        3 => format!("{now} [CHAT] Engineer_{at}: see https://example.com/a_b_c <@1> @everyone line {at}"),
        _ => format!("{now} [COMMAND] Engineer_{at} (command): game.print({at})"),
    };
    (0..count).map(line).collect()
}

/// As [`lines`], but each player that joins also leaves: a session begins or ends with every second line.
fn sessions(count: usize) -> Vec<String> {
    let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    let line = |at: usize| {
        let player = format!("Engineer_{}", at / 4 % 500);
        match at % 4 {
            0 => format!("{now} [JOIN] {player} joined the game"),
            3 => format!("{now} [LEAVE] {player} left the game"),
            _ => format!("{now} [CHAT] {player}: ore at [gps=12.5,-34], line {at}"),
        }
    };
    (0..count).map(line).collect()
}

fn parse_rate(criterion: &mut Criterion) {
    let server = server(PathBuf::from("console.log"));
    let mut end = 0;
    let items: Vec<LogItem> = lines(1000)
        .into_iter()
        .map(|text| {
            end += text.len() as u64 + 1;
            LogItem::Line(LogLine { text, end, skipped_bytes: 0 })
        })
        .collect();
    let batch = LineBatch {
        server: server.tag.clone(),
        source: LogSource::Console,
        start: Position::default(),
        end: Position { generation: 1, offset: end, ..Position::default() },
        items,
        live: false,
        trace: None,
    };
    let mut group = criterion.benchmark_group("rates");
    group.throughput(Throughput::Elements(1000));
    let mut interpreter = Interpreter::new(server, LogSource::Console, rules());
    let now = Timestamp::now();
    group.bench_function("parse", |bencher| bencher.iter(|| black_box(interpreter.interpret(black_box(&batch), now))));
    group.finish();
}

/// A file of this many lines, from the first read to the commit of the last one.
const COMMITTED_LINES: usize = 50_000;

fn commit_rate(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("rates");
    group.throughput(Throughput::Elements(COMMITTED_LINES as u64)).sample_size(10);
    for (name, lines) in
        [("log_to_commit", lines(COMMITTED_LINES)), ("log_to_commit_sessions", sessions(COMMITTED_LINES))]
    {
        let text = lines.join("\n") + "\n";
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| runtime.block_on(read_and_commit(&text))).sum());
        });
    }
    group.finish();
}

async fn read_and_commit(text: &str) -> Duration {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("console.log");
    fs::write(&log, text).expect("written");
    let server = server(log.clone());
    let store = Store::open(&dir.path().join("isr.db")).await.expect("opened");
    let health = HealthRegistry::new();
    let part = |component| health.component(component);
    let pipeline = Pipeline::new(
        store.clone(),
        std::slice::from_ref(&server),
        &rules(),
        Arc::new(SystemClock),
        part(Component::Pipeline),
    )
    .await
    .expect("made");
    let (sender, receiver) = mpsc::channel(32);
    let cancel = CancellationToken::new();
    let config = TailConfig {
        server: server.tag.clone(),
        source: LogSource::Console,
        path: log,
        start_at: StartAt::Beginning,
        poll_interval: Duration::from_millis(250),
    };
    let started = Instant::now();
    let running = tokio::spawn(pipeline.run(receiver, cancel.clone()));
    let (tail_cancel, tailer) = (cancel.clone(), part(Component::LogTailer));
    let following = tokio::spawn(async move {
        tail::follow(config, Position::default(), &Wakes::disabled(), sender, tailer, tail_cancel).await
    });
    let mut committed = store.committed();
    while store.outbox_stats().await.expect("read").depth(factorio_isr::domain::Lane::Chat) < COMMITTED_LINES as u64 {
        committed.changed().await.expect("the store lives");
    }
    let took = started.elapsed();
    cancel.cancel();
    following.await.expect("no panic").expect("followed");
    running.await.expect("no panic").expect("committed");
    took
}

async fn report() {
    println!("\nlog to commit, {COMMITTED_LINES} lines, best of {ROUNDS}:");
    cost_of_observability().await;
    println!("\nappend to POST, one line every 20 ms, no rate limit in the way:");
    latency(500).await;
    println!("\nDiscord and the game, one at a time:");
    round_trips(300).await;
    println!("\nstart-up (process start to /ready), median of 9:");
    start_up(9).await;
    println!("\nresident memory at rest:");
    for logs in [1, 100, 1000] {
        memory(logs).await;
    }
    scrapes::report().await;
}

/// How often each is measured, in turn.
const ROUNDS: usize = 7;

/// The same lines without metrics and traces, and with metrics and traces to a collector that takes them, or to none.
/// What is installed for metrics stays for the process: without it comes first.
async fn cost_of_observability() {
    let text: String = lines(COMMITTED_LINES).join("\n") + "\n";
    let mut off = Vec::new();
    for _ in 0..ROUNDS {
        off.push(read_and_commit(&text).await);
    }
    let _exporter = MetricsExporter::install().expect("installed once");
    let taking = collector().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("bound");
    let [mut metrics, mut on, mut dead] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        metrics.push(read_and_commit(&text).await);
        on.push(traced(&text, taking).await);
        dead.push(traced(&text, nobody).await);
    }
    let best = |times: &[Duration]| times.iter().min().copied().unwrap_or_default().as_secs_f64();
    let without = best(&off);
    for (what, times) in [
        ("metrics off, traces off", &off),
        ("metrics on, traces off", &metrics),
        ("metrics on, traces on", &on),
        ("metrics on, traces on, collector dead", &dead),
    ] {
        let best = best(times);
        let (rate, ratio) = (COMMITTED_LINES as f64 / best, without / best);
        println!("  {what}: {rate:.0} lines/s, {ratio:.2} of off");
    }
}

async fn traced(text: &str, collector: SocketAddr) -> Duration {
    let settings = TraceSettings {
        enabled: true,
        endpoint: Some(format!("http://{collector}")),
        protocol: TraceProtocol::Http,
        sample_ratio: 1.0,
        include_text: false,
        instance: "bench".to_owned(),
    };
    let traces = Traces::start(&settings).expect("an address");
    let took = read_and_commit(text).await;
    traces.flush(Duration::from_secs(1)).await;
    took
}

/// Takes everything.
async fn collector() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let router = axum::Router::new().route("/v1/traces", axum::routing::post(async |_: bytes::Bytes| {}));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// From a message in Discord to the game's chat, and from a slash command to its answer.
async fn round_trips(count: usize) {
    let (said, mut heard) = mpsc::unbounded_channel();
    let hook = move |event| {
        if matches!(event, RconEvent::Chat { .. }) {
            said.send(Instant::now()).ok();
        }
    };
    let game = SimRcon::start("bench", Game::default(), hook).await.expect("started");
    let site = Site::with_rcon(1, Some(game.address().port())).await;
    let (_process, _) = site.run().await;
    assert!(site.sim.wait_for(Duration::from_mins(1), |state| state.commands() != &json!([])).await, "registered");

    let (mut chat, mut commands) = (Vec::new(), Vec::new());
    let options = json!([{ "type": 1, "name": "players", "options": [] }]);
    // Each by another user: one alone would soon be told to slow down.
    for user in (0..count).map(|number| format!("User{number}")) {
        let asked = Instant::now();
        site.sim.say(CHANNEL, &user, "hello").expect("said");
        chat.push(heard.recv().await.expect("heard").duration_since(asked));
        let asked = Instant::now();
        let call = site.sim.interact(CHANNEL, &user, "factorio", &options).expect("called");
        while site.sim.interaction_reply(call).is_none_or(|reply| reply.embeds == json!([])) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        commands.push(asked.elapsed());
    }
    percentiles("message to game chat", chat);
    percentiles("slash command to answer", commands);
}

fn percentiles(what: &str, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let at = |part: usize| ms(latencies[(latencies.len() - 1) * part / 100]);
    println!("  {what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} times)", at(50), at(99), at(100), latencies.len());
}

struct Site {
    dir: tempfile::TempDir,
    sim: SimDiscord,
}

impl Site {
    async fn new(logs: usize) -> Self {
        Self::with_rcon(logs, None).await
    }

    async fn with_rcon(logs: usize, rcon: Option<u16>) -> Self {
        let config = SimDiscordConfig {
            token: TOKEN.to_owned(),
            channels: vec![SimChannel::new(CHANNEL, "bench")],
            limits: RateLimits::none(),
            ..SimDiscordConfig::default()
        };
        let site = Self {
            dir: tempfile::tempdir().expect("a folder"),
            sim: SimDiscord::start(config).await.expect("started"),
        };
        let mut config = format!(
            "[discord]\napi_base = \"{}\"\nguild_id = 100\n[http]\nhost = \"127.0.0.1\"\nport = 0\n[database]\npath = \"isr.db\"\n",
            site.sim.base_url()
        );
        for log in 0..logs {
            fs::write(site.log(log), "").expect("written");
            config.push_str(&server_table(log));
            if let Some(port) = rcon {
                let table = format!("[servers.s{log}.rcon]\nport = {port}\npassword = \"bench\"\n");
                config.push_str(&table);
            }
        }
        fs::write(site.dir.path().join("config.toml"), config).expect("written");
        site
    }

    fn log(&self, log: usize) -> PathBuf {
        self.dir.path().join(format!("s{log}.log"))
    }

    /// The running program and the time it took to be ready.
    async fn run(&self) -> (Process, Duration) {
        let (process, took, _) = self.run_at().await;
        (process, took)
    }

    /// The same, and where its endpoints are.
    async fn run_at(&self) -> (Process, Duration, String) {
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_factorio-isr"))
            .args(["run", "--config"])
            .arg(self.dir.path().join("config.toml"))
            .env("DISCORD_BOT_TOKEN", TOKEN)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let address = address(&mut log);
        std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        let process = Process(child);
        while !reqwest::get(format!("{address}/ready")).await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (process, started.elapsed(), address)
    }
}

fn address(log: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    while log.read_line(&mut line).expect("read") > 0 {
        if let Some(start) = line.find("http://127.0.0.1:").filter(|_| line.contains("Listening")) {
            let end = line[start..].find(char::is_whitespace).unwrap_or(line.len() - start);
            return line[start..start + end].to_owned();
        }
        line.clear();
    }
    panic!("the program never listened");
}

fn server_table(log: usize) -> String {
    format!(
        "[servers.s{log}]\nconsole_log = \"s{log}.log\"\nstart_at = \"beginning\"\n\
         channels = {{ default = {CHANNEL} }}\n"
    )
}

struct Process(Child);

impl Process {
    /// What the kernel says of its memory.
    fn memory(&self) -> String {
        let status = fs::read_to_string(Path::new("/proc").join(self.0.id().to_string()).join("status")).expect("read");
        let of = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            line.map_or("?", |line| line[key.len()..].trim())
        };
        format!("{} resident, of it {} anonymous, {} at most", of("VmRSS:"), of("RssAnon:"), of("VmHWM:"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn latency(count: usize) {
    let site = Site::new(1).await;
    let (_process, _) = site.run().await;
    let mut changes = site.sim.subscribe();
    let mut file = fs::OpenOptions::new().append(true).open(site.log(0)).expect("opened");
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let mut latencies = Vec::with_capacity(count);
    for (number, line) in lines(count).into_iter().enumerate() {
        pace.tick().await;
        let written = Instant::now();
        file.write_all(format!("{line} #{number}\n").as_bytes()).expect("written");
        while !matches!(changes.recv().await, Ok(Change::Message(_))) {}
        latencies.push(written.elapsed());
    }
    percentiles("append to POST", latencies);
}

async fn start_up(times: usize) {
    let site = Site::new(1).await;
    let mut took = Vec::new();
    for _ in 0..times {
        let (_process, ready) = site.run().await;
        took.push(ready);
    }
    took.sort_unstable();
    println!("  {:.0} ms (from {:.0} to {:.0})", ms(took[times / 2]), ms(took[0]), ms(took[times - 1]));
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

async fn memory(logs: usize) {
    let site = Site::new(logs).await;
    let (process, ready) = site.run().await;
    // Twice the poll interval, so that every log was looked at.
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("  {logs:>4} logs: {} (ready after {:.0} ms)", process.memory(), ms(ready));
}
