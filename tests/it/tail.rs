//! The tailing task on real files, with real wakes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use factorio_isr::config::settings::StartAt;
use factorio_isr::domain::{LineBatch, LogItem, LogSource, Position, ServerTag};
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::tail::{TailConfig, Wakes, follow};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

const DEADLINE: Duration = Duration::from_secs(30);
/// So long that only a wake can be in time.
const NEVER: Duration = Duration::from_hours(1);

struct Tail {
    batches: mpsc::Receiver<LineBatch>,
    health: HealthRegistry,
    task: JoinHandle<anyhow::Result<()>>,
    cancel: DropGuard,
}

impl Tail {
    fn start(path: PathBuf, poll_interval: Duration, wakes: Wakes, capacity: usize) -> Self {
        Self::spawn(path, StartAt::End, poll_interval, wakes, capacity)
    }

    fn start_from(path: PathBuf, start_at: StartAt) -> Self {
        Self::spawn(path, start_at, Duration::from_millis(20), Wakes::new(), 8)
    }

    fn spawn(path: PathBuf, start_at: StartAt, poll_interval: Duration, wakes: Wakes, capacity: usize) -> Self {
        let (out, batches) = mpsc::channel(capacity);
        let health = HealthRegistry::new();
        let cancel = CancellationToken::new();
        let server = ServerTag::new("prod").unwrap();
        let part = health.server_part(Component::LogTailer, &server, "console");
        let config = TailConfig { server, source: LogSource::Console, path, start_at, poll_interval };
        let stop = cancel.clone();
        let task = tokio::spawn(async move { follow(config, Position::default(), &wakes, out, part, stop).await });
        Self { batches, health, task, cancel: cancel.drop_guard() }
    }

    async fn batch(&mut self) -> LineBatch {
        timeout(DEADLINE, self.batches.recv()).await.expect("a batch comes in time").expect("the tail lives")
    }

    async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.extend(self.batch().await.items.into_iter().map(|item| match item {
                LogItem::Line(line) => line.text,
                LogItem::Gap(gap) => panic!("{gap:?}"),
                before @ LogItem::Before(_) => panic!("{before:?}"),
            }));
        }
        lines
    }

    async fn state(&self, wanted: impl Fn(&ComponentState) -> bool) -> ComponentState {
        let mut changes = self.health.subscribe();
        let waiting = changes.wait_for(|_| self.health.state(Component::LogTailer).is_some_and(|state| wanted(&state)));
        drop(timeout(DEADLINE, waiting).await.expect("the state comes in time").unwrap());
        self.health.state(Component::LogTailer).unwrap()
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn only_lines_appended_after_the_end_was_reached_are_live() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("console.log");
    append(&log, "first\n");
    let mut tail = Tail::start_from(log.clone(), StartAt::Beginning);
    let mut backlog = tail.batch().await;
    while backlog.items.is_empty() {
        backlog = tail.batch().await;
    }
    assert!(!backlog.live);
    // Once the tail has found nothing more to read, it waits; what comes then is new.
    let mut number = 0;
    loop {
        number += 1;
        append(&log, &format!("{number}\n"));
        if tail.batch().await.live {
            break;
        }
    }
}

#[tokio::test]
async fn an_append_arrives_by_wake() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("console.log");
    append(&log, "old\n");
    let mut tail = Tail::start(log.clone(), NEVER, Wakes::new(), 8);
    assert_eq!(tail.batch().await.items, [LogItem::Before("old".to_owned())]);
    append(&log, "new\n");
    assert_eq!(tail.lines(1).await, ["new"]);
    assert_eq!(tail.state(ComponentState::works).await, ComponentState::Healthy);
}

#[tokio::test]
async fn an_append_arrives_by_poll_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("console.log");
    append(&log, "old\n");
    let mut tail = Tail::start(log.clone(), Duration::from_millis(20), Wakes::disabled(), 8);
    assert_eq!(tail.batch().await.items, [LogItem::Before("old".to_owned())]);
    append(&log, "new\n");
    assert_eq!(tail.lines(1).await, ["new"]);
}

#[tokio::test]
async fn a_rotation_is_followed_by_wakes() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("console.log");
    append(&log, "");
    let mut tail = Tail::start(log.clone(), NEVER, Wakes::new(), 8);
    tail.batch().await;
    append(&log, "a\n");
    fs::rename(&log, dir.path().join("console.log.1")).unwrap();
    append(&log, "b\n");
    assert_eq!(tail.lines(2).await, ["a", "b"]);
}

#[tokio::test]
async fn a_missing_log_is_unhealthy_and_says_what_to_do_until_its_directory_and_file_appear() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("factorio/console.log");
    let mut tail = Tail::start(log.clone(), Duration::from_millis(20), Wakes::new(), 8);
    tail.batch().await;
    let state = tail.state(|state| !state.works() && *state != ComponentState::Starting).await;
    let path = log.display();
    let reason = format!("{path} does not exist: start the server with --console-log {path}");
    assert_eq!(state, ComponentState::Unhealthy(reason));
    fs::create_dir(dir.path().join("factorio")).unwrap();
    append(&log, "first words\n");
    assert_eq!(tail.lines(1).await, ["first words"]);
    tail.state(|state| *state == ComponentState::Healthy).await;
}

#[tokio::test]
async fn a_directory_in_place_of_the_log_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let tail = Tail::start(dir.path().to_owned(), Duration::from_millis(20), Wakes::new(), 8);
    let state = tail.state(|state| state.reason().is_some()).await;
    let path = dir.path().display();
    let reason = format!("{path} cannot be read: it is a directory; the setting must name the log file itself");
    assert_eq!(state, ComponentState::Unhealthy(reason));
}

#[tokio::test]
async fn a_busy_receiver_holds_the_reading_up_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("console.log");
    append(&log, "");
    let mut tail = Tail::start(log.clone(), Duration::from_millis(20), Wakes::new(), 1);
    let mut end = tail.batch().await.end;
    let written: Vec<String> = (0..10_000).map(|number| format!("line {number}")).collect();
    append(&log, &(written.join("\n") + "\n"));
    let mut lines = Vec::new();
    while lines.len() < written.len() {
        let batch = tail.batch().await;
        assert_eq!(batch.start, end);
        end = batch.end;
        assert!(tail.batches.len() <= 1 && batch.items.len() <= 1_000);
        lines.extend(batch.items.into_iter().filter_map(|item| match item {
            LogItem::Line(line) => Some(line.text),
            LogItem::Gap(_) | LogItem::Before(_) => None,
        }));
    }
    assert_eq!(lines, written);
}

#[tokio::test]
async fn a_cancelled_tail_stops_even_while_its_receiver_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("console.log");
    append(&log, "");
    let tail = Tail::start(log.clone(), Duration::from_millis(20), Wakes::disabled(), 1);
    append(&log, &"line\n".repeat(5_000));
    tail.state(ComponentState::works).await;
    drop(tail.cancel);
    timeout(DEADLINE, tail.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("console.log");
    append(&log, "");
    let tail = Tail::start(log, Duration::from_millis(20), Wakes::disabled(), 1);
    drop(tail.batches);
    let error = timeout(DEADLINE, tail.task).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "nobody takes the lines of the log any more");
}
