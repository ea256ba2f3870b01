//! Logs whose time stamps are in another zone than the relay: what Discord, `/ready`, the status page and `check` show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::sync::Arc;
use std::time::Duration;

use factorio_isr::config::settings::{EventSettings, ServerSettings};
use factorio_isr::domain::{Clock as _, Lane, LineBatch, LogItem, LogLine, LogSource, ManualClock, Position};
use factorio_isr::events::{EventRules, Pipeline};
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::store::{OutboxRow, Store};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{GOOD, Place};
use crate::events::{server, with_engine_log};
use crate::harness::{DEADLINE, Relay, Site, discord_with, within};

/// The pipeline with a clock that the test moves, and a game that writes local time.
struct Bench {
    dir: tempfile::TempDir,
    server: ServerSettings,
    clock: ManualClock,
    /// Of the game's host.
    zone: TimeZone,
    health: HealthRegistry,
    store: Store,
    batches: mpsc::Sender<LineBatch>,
    running: JoinHandle<anyhow::Result<()>>,
    ends: [Position; 2],
    rows: usize,
}

impl Bench {
    async fn new(server: ServerSettings, zone: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
        let clock = ManualClock::new("2026-11-30T12:00:00Z".parse().unwrap());
        let health = HealthRegistry::new();
        let (batches, running) = start(&store, &server, &clock, &health).await;
        let zone = TimeZone::get(zone).unwrap();
        let ends = [Position::default(); 2];
        Self { dir, server, clock, zone, health, store, batches, running, ends, rows: 0 }
    }

    async fn restart(self) -> Self {
        drop(self.batches);
        within(self.running).await.unwrap().unwrap();
        self.store.close().await;
        drop(self.store);
        let store = Store::open(&self.dir.path().join("isr.db")).await.unwrap();
        let health = HealthRegistry::new();
        let (batches, running) = start(&store, &self.server, &self.clock, &health).await;
        Self { health, store, batches, running, ..self }
    }

    /// The game's local time, `ago` seconds ago.
    fn stamp(&self, ago: i64) -> String {
        let then = self.clock.now() - SignedDuration::from_secs(ago);
        self.zone.to_datetime(then).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    async fn read(&mut self, source: LogSource, live: bool, texts: &[String], relayed: usize) -> Vec<OutboxRow> {
        let end = &mut self.ends[usize::from(source == LogSource::Engine)];
        let start = *end;
        let mut items = Vec::new();
        for text in texts {
            end.offset += text.len() as u64 + 1;
            items.push(LogItem::Line(LogLine { text: text.clone(), end: end.offset, skipped_bytes: 0 }));
        }
        end.generation = 1;
        let batch = LineBatch { server: self.server.tag.clone(), source, start, end: *end, items, live, trace: None };
        self.batches.send(batch).await.unwrap();
        self.rows += relayed;
        let mut committed = self.store.committed();
        loop {
            let rows = self.all_rows().await;
            if rows.len() >= self.rows {
                return rows[self.rows - relayed..].to_vec();
            }
            within(committed.changed()).await.unwrap();
        }
    }

    async fn all_rows(&self) -> Vec<OutboxRow> {
        let mut rows = Vec::new();
        for channel in 1..=8 {
            let channel = factorio_isr::domain::ChannelId::new(channel).unwrap();
            rows.extend(self.store.pending_rows(channel, Lane::Chat, 0, 1000).await.unwrap());
        }
        rows.sort_by_key(|row| row.id);
        rows
    }

    /// Six seconds later a player writes a line, which is read at once. Returns how many seconds too early it is dated.
    async fn chat(&mut self) -> i64 {
        self.clock.advance(Duration::from_secs(6));
        let line = format!("{} [CHAT] Bob: hello", self.stamp(0));
        let rows = self.read(LogSource::Console, true, &[line], 1).await;
        self.clock.now().duration_since(rows[0].occurred_at).as_secs()
    }

    /// What `/ready` shows about the time zone.
    fn reported(&self) -> Option<String> {
        let key = (Component::LogTailer, "prod/timezone".to_owned());
        self.health.snapshot().get(&key).and_then(|part| match &part.state {
            ComponentState::Degraded(reason) => Some(reason.clone()),
            _ => None,
        })
    }
}

async fn start(
    store: &Store,
    server: &ServerSettings,
    clock: &ManualClock,
    health: &HealthRegistry,
) -> (mpsc::Sender<LineBatch>, JoinHandle<anyhow::Result<()>>) {
    let rules = Arc::new(EventRules::new(&EventSettings::default()).unwrap());
    let pipeline = Pipeline::new(
        store.clone(),
        std::slice::from_ref(server),
        &rules,
        Arc::new(clock.clone()),
        health.component(Component::Pipeline),
    );
    let pipeline = pipeline.await.unwrap().with_registry(health);
    let (batches, received) = mpsc::channel(8);
    (batches, tokio::spawn(pipeline.run(received, CancellationToken::new())))
}

fn unset() -> ServerSettings {
    ServerSettings { timezone_configured: false, ..server() }
}

const HOUR: i64 = 3600;

#[tokio::test]
async fn a_log_five_hours_behind_is_relayed_live_once_measured() {
    let mut bench = Bench::new(unset(), "America/New_York").await;
    assert_eq!([bench.chat().await, bench.chat().await], [5 * HOUR; 2], "not measured yet");
    assert_eq!(bench.reported(), None);
    assert_eq!([bench.chat().await, bench.chat().await], [0; 2]);
    let reported = bench.reported().unwrap();
    assert!(reported.contains("5 h behind"), "{reported}");
    assert!(reported.contains("`servers.prod.timezone`") && reported.contains("America/New_York"), "{reported}");

    bench = bench.restart().await;
    assert_eq!(bench.chat().await, 0, "the offset is stored");
    assert!(bench.reported().is_some());
}

#[tokio::test]
async fn a_log_two_hours_ahead_is_dated_rightly_and_reported() {
    let mut bench = Bench::new(unset(), "Europe/Helsinki").await;
    let lines = [bench.chat().await, bench.chat().await, bench.chat().await];
    assert_eq!(lines, [-2 * HOUR, -2 * HOUR, 0]);
    assert!(bench.reported().unwrap().contains("2 h ahead of"));
}

#[tokio::test]
async fn a_backlog_is_never_taken_for_another_time_zone() {
    let mut bench = Bench::new(unset(), "UTC").await;
    for _ in 0..6 {
        bench.clock.advance(Duration::from_secs(6));
        let line = format!("{} [CHAT] Bob: five hours ago", bench.stamp(5 * HOUR));
        bench.read(LogSource::Console, false, &[line], 1).await;
        let many: Vec<_> = (0..51).map(|_| format!("{} [CHAT] Bob: many", bench.stamp(5 * HOUR))).collect();
        bench.read(LogSource::Console, true, &many, 51).await;
    }
    assert_eq!(bench.reported(), None);
    assert_eq!(bench.chat().await, 0);
}

#[tokio::test]
async fn a_configured_time_zone_is_reported_but_not_overridden() {
    let mut bench = Bench::new(server(), "Europe/Helsinki").await;
    for _ in 0..5 {
        assert_eq!(bench.chat().await, -2 * HOUR);
    }
    let reported = bench.reported().unwrap();
    assert!(reported.contains("2 h ahead of the configured time zone UTC"), "{reported}");
}

#[tokio::test]
async fn the_report_ends_when_the_game_writes_the_right_time() {
    let mut bench = Bench::new(unset(), "America/New_York").await;
    for _ in 0..3 {
        bench.chat().await;
    }
    assert!(bench.reported().is_some());
    bench.zone = TimeZone::UTC;
    for _ in 0..3 {
        bench.chat().await;
    }
    assert_eq!(bench.reported(), None);
}

#[tokio::test]
async fn the_engine_log_is_dated_by_the_offset_of_the_console_log() {
    let server = ServerSettings { timezone_configured: false, ..with_engine_log() };
    let mut bench = Bench::new(server, "America/New_York").await;
    for _ in 0..3 {
        bench.chat().await;
    }
    bench.clock.advance(Duration::from_mins(1));
    let header = format!("   0.000 {}; Factorio 2.0.77 (build 84539, linux64, headless)", bench.stamp(0));
    bench.clock.advance(Duration::from_secs(10));
    let stopped = "  10.000 Goodbye".to_owned();
    let rows = bench.read(LogSource::Engine, false, &[header, stopped], 2).await;
    let ages: Vec<_> = rows.iter().map(|row| bench.clock.now().duration_since(row.occurred_at).as_secs()).collect();
    assert_eq!(ages, [10, 0]);
}

const BEHIND: u64 = 1001;
const AHEAD: u64 = 1002;

/// A server without a time zone in the configuration.
fn without_zone(site: Site, tag: &str, channel: u64) -> Site {
    site.append(tag, "");
    let log = site.console_log(tag).display().to_string();
    site.extra(&format!("[servers.{tag}]\nconsole_log = \"{log}\"\nchannels = {{ default = {channel} }}"))
}

/// The program in a container's UTC, beside a game in New York and one in Helsinki.
#[tokio::test(flavor = "multi_thread")]
async fn discord_and_the_operator_see_logs_hours_behind_and_ahead() {
    let sim = discord_with(&[(BEHIND, "behind"), (AHEAD, "ahead")]).await;
    let site = without_zone(without_zone(Site::new(&sim.base_url()), "west", BEHIND), "east", AHEAD);
    let relay: Relay = site.start_with(&[("TZ", "UTC")]);
    relay.wait_until_ready().await;
    // Without clock changes, so that the offsets are the same all year.
    let zones = [("west", TimeZone::fixed(jiff::tz::offset(-5))), ("east", TimeZone::fixed(jiff::tz::offset(2)))];
    let mut interval = tokio::time::interval(Duration::from_millis(5500));
    for number in 1..=4 {
        interval.tick().await;
        for (tag, zone) in &zones {
            let stamp = zone.to_datetime(Timestamp::now()).strftime("%Y-%m-%d %H:%M:%S").to_string();
            site.append(tag, &format!("{stamp} [CHAT] Bob: line {number}\n"));
        }
        let all = |channel| sim.wait_for(DEADLINE, move |state| state.messages(channel).count() == number);
        assert!(all(BEHIND).await && all(AHEAD).await, "line {number}");
    }
    let shown = |channel| -> Vec<(String, usize)> {
        sim.messages(channel).iter().map(|message| (message.content.clone(), message.attachments.len())).collect()
    };
    let (behind, ahead) = (shown(BEHIND), shown(AHEAD));
    assert!(behind[..2].iter().all(|(content, files)| content.contains("too late") && *files == 1), "{behind:?}");
    assert_eq!(behind[2..], [("**Bob**: line 3".to_owned(), 0), ("**Bob**: line 4".to_owned(), 0)]);
    assert_eq!(ahead, [1, 2, 3, 4].map(|number| (format!("**Bob**: line {number}"), 0)));

    let ready = relay
        .wait_for("/ready", |_, body| ["west", "east"].iter().all(|tag| body.contains(&format!("{tag}/timezone"))))
        .await;
    let page = relay.page().await;
    let check = site.check_with(&[("TZ", "UTC")]);
    let log = relay.output().text();
    for (tag, measured) in [("west", "UTC-05:00, 5 h behind"), ("east", "UTC+02:00, 2 h ahead of")] {
        assert!(ready.contains(measured), "{ready}");
        assert!(page.contains("Time zone") && page.contains(measured), "{page}");
        let warning = format!("warning: servers.{tag}.timezone: the game's log is at {measured}");
        assert!(check.contains(&warning), "{check}");
        assert_eq!(log.matches(measured).count(), 1, "{log}");
    }
    assert_eq!(relay.get("/ready").await.0, 200);
}

#[test]
fn an_invalid_tz_is_reported() {
    let check = |config: &str, tz: &str| Place::with(config).var("TZ", tz).run(&["check"]).out;
    let said = check(GOOD, "Europe/Berln");
    assert!(said.contains("warning: TZ is \"Europe/Berln\", which is not a time zone, so UTC is used"), "{said}");
    let configured = format!("timezone = \"Europe/Berlin\"\n{GOOD}");
    assert!(!check(&configured, "Europe/Berln").contains("TZ is"), "it is not used");
    for valid in ["", "UTC", "Europe/Berlin", ":Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT"] {
        assert!(!check(GOOD, valid).contains("TZ is"), "{valid}");
    }
}
