//! The outbox to a recorded sink: what a channel's readers see, whatever the sink answers.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use factorio_isr::config::settings::{RelaySettings, ServerPrefix};
use factorio_isr::delivery::{DeliveryWorker, NoticeSink, Outcome, OutgoingMessage, Refusal, RetryScope, Schedule};
use factorio_isr::domain::{
    ChannelId, Clock, FileId, Lane, LogSource, Mentions, Notice, Position, ServerTag, SystemClock,
};
use factorio_isr::health::{Component, ComponentState, HealthRegistry, PartStatus};
use factorio_isr::store::{
    AlertCommit, AlertNotice, CommitOutcome, IngestedBatch, NoticeRole, PostedNotice, Store, StoredAlerts,
};
use factorio_isr::telemetry::metrics::ErrorType;
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusBuilder;
use proptest::prelude::*;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_mins(1);

/// One call of the sink.
#[derive(Debug, Clone)]
struct Attempt {
    at: Instant,
    message: OutgoingMessage,
    outcome: Outcome,
}

type Answer = Box<dyn FnMut(&OutgoingMessage) -> Outcome + Send>;

/// A sink that answers as told and writes down what it was asked.
struct Recorder {
    answer: Mutex<Answer>,
    /// One permit per answer; ample unless a test takes them away.
    answers: Semaphore,
    begun: watch::Sender<usize>,
    attempts: watch::Sender<Vec<Attempt>>,
}

impl Recorder {
    fn new(answer: impl FnMut(&OutgoingMessage) -> Outcome + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(Box::new(answer)),
            answers: Semaphore::new(1 << 20),
            begun: watch::Sender::default(),
            attempts: watch::Sender::default(),
        })
    }

    /// One that answers only what it gets permits for.
    fn held(answer: impl FnMut(&OutgoingMessage) -> Outcome + Send + 'static) -> Arc<Self> {
        let recorder = Self::new(answer);
        recorder.answers.forget_permits(1 << 20);
        recorder
    }

    /// Waits until so many messages were handed over.
    async fn begun(&self, count: usize) {
        let mut begun = self.begun.subscribe();
        timeout(DEADLINE, begun.wait_for(|begun| *begun >= count)).await.expect("too few begun").unwrap();
    }

    fn now_answers(&self, answer: impl FnMut(&OutgoingMessage) -> Outcome + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// Waits until there are so many attempts, and gives them.
    async fn attempts(&self, count: usize) -> Vec<Attempt> {
        let mut attempts = self.attempts.subscribe();
        let enough = attempts.wait_for(|attempts| attempts.len() >= count);
        timeout(DEADLINE, enough).await.expect("too few attempts").unwrap().clone()
    }

    /// The contents of the messages that arrived in a channel, in order.
    fn arrived(&self, channel: ChannelId) -> Vec<String> {
        let delivered = |attempt: &&Attempt| matches!(attempt.outcome, Outcome::Delivered { .. });
        let attempts = self.attempts.borrow();
        let here = attempts.iter().filter(|attempt| attempt.message.channel == channel).filter(delivered);
        here.map(|attempt| attempt.message.content.clone()).collect()
    }
}

#[async_trait]
impl NoticeSink for Recorder {
    async fn deliver(&self, message: &OutgoingMessage) -> Outcome {
        self.begun.send_modify(|begun| *begun += 1);
        let at = Instant::now();
        self.answers.acquire().await.unwrap().forget();
        let outcome = (self.answer.lock().unwrap())(message);
        let attempt = Attempt { at, message: message.clone(), outcome: outcome.clone() };
        self.attempts.send_modify(|attempts| attempts.push(attempt));
        outcome
    }
}

fn delivered() -> Outcome {
    Outcome::Delivered { message_id: 1, rest: None }
}

fn delivered_then_rest(millis: u64) -> Outcome {
    Outcome::Delivered { message_id: 1, rest: Some(Duration::from_millis(millis)) }
}

fn retry(scope: RetryScope, after: Option<u64>, uncertain: bool) -> Outcome {
    let error = if after.is_some() { ErrorType::RateLimited } else { ErrorType::Network };
    Outcome::Retry {
        after: after.map(Duration::from_millis),
        scope,
        error,
        reason: "no route to host".into(),
        uncertain,
    }
}

fn refuse_channel() -> Outcome {
    let reason = "Missing Access (50001)".to_owned();
    Outcome::Rejected { refusal: Refusal::Channel, error: ErrorType::Channel, reason }
}

fn refuse_payload() -> Outcome {
    let reason = "blocked by AutoMod (200000)".to_owned();
    Outcome::Rejected { refusal: Refusal::Payload, error: ErrorType::Payload, reason }
}

/// A store, a sink, and at most one worker between them.
struct Relay {
    store: Store,
    sink: Arc<Recorder>,
    health: HealthRegistry,
    settings: RelaySettings,
    offset: AtomicU64,
    cancel: CancellationToken,
    worker: Option<JoinHandle<anyhow::Result<()>>>,
    dir: TempDir,
}

impl Relay {
    async fn idle(sink: Arc<Recorder>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
        let settings = RelaySettings {
            max_replay_age: Duration::from_mins(15),
            poll_interval: Duration::from_millis(250),
            max_backlog_messages: 5,
            park_retry: Duration::from_millis(30),
            keep_delivered: Duration::from_hours(1),
            server_prefix: ServerPrefix::Auto,
        };
        let (health, cancel) = (HealthRegistry::new(), CancellationToken::new());
        Self { store, sink, health, settings, offset: AtomicU64::new(0), cancel, worker: None, dir }
    }

    async fn started(sink: Arc<Recorder>) -> Self {
        let mut relay = Self::idle(sink).await;
        relay.start();
        relay
    }

    fn start(&mut self) {
        self.cancel = CancellationToken::new();
        let schedule = Schedule { first: Duration::from_millis(4), longest: Duration::from_millis(20) };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let worker = DeliveryWorker::new(
            self.store.clone(),
            self.sink.clone(),
            self.settings.clone(),
            clock,
            self.health.clone(),
        );
        self.worker = Some(tokio::spawn(worker.with_schedule(schedule).run(self.cancel.clone())));
    }

    async fn stop(&mut self) {
        self.cancel.cancel();
        let worker = self.worker.take().unwrap();
        timeout(DEADLINE, worker).await.expect("the worker does not stop").unwrap().unwrap();
    }

    async fn kill(&mut self) {
        let worker = self.worker.take().unwrap();
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());
    }

    async fn say(&self, channel: ChannelId, lane: Lane, texts: &[&str]) {
        self.commit(texts.iter().map(|text| notice(channel, lane, text)).collect()).await;
    }

    async fn commit(&self, notices: Vec<Notice>) {
        let at = |offset| Position { file: FileId { device: 1, inode: 1 }, offset, ..Position::default() };
        let offset = self.offset.fetch_add(1, Ordering::Relaxed);
        let batch = IngestedBatch {
            happenings: Vec::new(),
            server: prod(),
            source: LogSource::Console,
            start: if offset == 0 { Position::default() } else { at(offset) },
            end: at(offset + 1),
            state: String::new(),
            notices,
            chats: Vec::new(),
            read_at: Timestamp::now(),
            utc_offset: None,
            trace: None,
        };
        assert_eq!(self.store.commit(&[batch]).await.unwrap(), [CommitOutcome::Committed]);
    }

    /// Waits until nothing is left to deliver.
    async fn drained(&self) {
        let drained = async {
            while self.store.outbox_stats().await.unwrap().chat_depth
                + self.store.outbox_stats().await.unwrap().alert_depth
                > 0
            {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, drained).await.expect("the outbox is not delivered");
    }

    async fn delivery_is(&self, wanted: impl Fn(&ComponentState) -> bool) -> ComponentState {
        let mut changes = self.health.subscribe();
        let reached = changes.wait_for(|_| self.health.state(Component::Delivery).is_some_and(|state| wanted(&state)));
        timeout(DEADLINE, reached).await.expect("the state is not reached").unwrap();
        self.health.state(Component::Delivery).unwrap()
    }
}

fn prod() -> ServerTag {
    ServerTag::new("prod").unwrap()
}

fn channel(id: u64) -> ChannelId {
    ChannelId::new(id).unwrap()
}

fn notice(channel: ChannelId, lane: Lane, text: &str) -> Notice {
    let (content, plain) = (text.to_owned(), text.to_owned());
    let (mentions, occurred_at) = (Mentions::default(), Timestamp::now());
    Notice { server: prod(), channel, lane, event: "chat".into(), content, plain, mentions, occurred_at }
}

fn file_lines(message: &OutgoingMessage) -> Vec<String> {
    let file = message.attachment.as_ref().expect("a file");
    String::from_utf8(file.bytes.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_line_goes_at_once_and_what_piles_up_is_folded() {
    let relay = Relay::started(Recorder::held(|_| delivered_then_rest(150))).await;
    relay.say(channel(1), Lane::Chat, &["a"]).await;
    relay.sink.begun(1).await;
    relay.say(channel(1), Lane::Chat, &["b"]).await;
    relay.say(channel(1), Lane::Chat, &["c", "c"]).await;
    relay.sink.answers.add_permits(2);
    let attempts = relay.sink.attempts(2).await;
    let (first, second) = (&attempts[0], &attempts[1]);
    assert!(second.at - first.at >= Duration::from_millis(150));
    assert_eq!(relay.sink.arrived(channel(1)), ["a", "b\nc ×2"]);
    assert_ne!(first.message.nonce, second.message.nonce);
}

#[tokio::test]
async fn alerts_overtake_chat_that_waits() {
    let relay = Relay::started(Recorder::held(|_| delivered())).await;
    relay.say(channel(1), Lane::Chat, &["first"]).await;
    relay.sink.begun(1).await;
    relay.say(channel(1), Lane::Chat, &["chat"]).await;
    relay.say(channel(1), Lane::Alert, &["alert"]).await;
    relay.sink.answers.add_permits(3);
    relay.sink.attempts(3).await;
    assert_eq!(relay.sink.arrived(channel(1)), ["first", "alert", "chat"]);
}

/// Channel 1 is limited once, for so long.
fn limited_once(millis: u64) -> Arc<Recorder> {
    let mut limited = false;
    Recorder::new(move |message| {
        if message.channel == channel(1) && !std::mem::replace(&mut limited, true) {
            return retry(RetryScope::Channel, Some(millis), false);
        }
        delivered()
    })
}

#[tokio::test]
async fn a_rate_limited_channel_rests_to_the_letter() {
    let relay = Relay::started(limited_once(400)).await;
    relay.say(channel(1), Lane::Chat, &["a"]).await;
    let attempts = relay.sink.attempts(2).await;
    assert!(attempts[1].at - attempts[0].at >= Duration::from_millis(400));
    assert_eq!(attempts[1].message, attempts[0].message);
}

#[tokio::test]
async fn a_rate_limited_channel_holds_no_other() {
    let relay = Relay::started(limited_once(3_600_000)).await;
    relay.say(channel(1), Lane::Chat, &["a"]).await;
    relay.sink.attempts(1).await;
    relay.say(channel(2), Lane::Chat, &["b"]).await;
    assert_eq!(relay.sink.attempts(2).await[1].message.channel, channel(2));
}

#[tokio::test]
async fn a_global_limit_holds_every_channel() {
    let mut limited = false;
    let sink = Recorder::new(move |_| {
        if std::mem::replace(&mut limited, true) { delivered() } else { retry(RetryScope::Global, Some(400), false) }
    });
    let relay = Relay::started(sink).await;
    relay.say(channel(1), Lane::Chat, &["a"]).await;
    let limited = relay.sink.attempts(1).await.remove(0);
    relay.say(channel(2), Lane::Chat, &["b"]).await;
    for attempt in &relay.sink.attempts(3).await[1..] {
        assert!(attempt.at - limited.at >= Duration::from_millis(400));
    }
}

#[tokio::test]
async fn an_outage_is_said_in_health_and_heals() {
    let relay = Relay::started(Recorder::new(|_| retry(RetryScope::Global, None, true))).await;
    relay.say(channel(1), Lane::Chat, &["a"]).await;
    let state = relay.delivery_is(|state| !state.works()).await;
    let reason = state.reason().unwrap();
    assert!(reason.starts_with("Nothing gets through since 2") && reason.ends_with("no route to host"), "{reason}");
    relay.sink.attempts(4).await;
    relay.sink.now_answers(|_| delivered());
    relay.delivery_is(|state| *state == ComponentState::Healthy).await;
    relay.drained().await;
    let attempts = relay.sink.attempts(5).await;
    assert_eq!(attempts[0].message.first_attempt, None);
    assert!(attempts[1].message.first_attempt.is_some(), "an unheard answer may have been a yes");
    assert!(attempts.iter().all(|attempt| attempt.message.nonce == attempts[0].message.nonce));
}

#[tokio::test]
async fn a_refused_channel_is_parked_and_flows_when_the_cause_is_gone() {
    let relay =
        Relay::started(Recorder::new(
            |message| {
                if message.channel == channel(1) { refuse_channel() } else { delivered() }
            },
        ))
        .await;
    relay.say(channel(1), Lane::Chat, &["a", "b"]).await;
    let state = relay.delivery_is(|state| matches!(state, ComponentState::Degraded(_))).await;
    assert_eq!(state.reason(), Some("channel 1: parked, its messages are kept: Missing Access (50001)"));
    relay.say(channel(1), Lane::Chat, &["c"]).await;
    relay.say(channel(2), Lane::Chat, &["d"]).await;
    relay.sink.attempts(4).await;
    assert_eq!(relay.store.outbox_stats().await.unwrap().dead, 0);

    relay.sink.now_answers(|_| delivered());
    relay.delivery_is(|state| *state == ComponentState::Healthy).await;
    relay.drained().await;
    assert_eq!(relay.sink.arrived(channel(1)), ["a\nb", "c"]);
    assert_eq!(relay.sink.arrived(channel(2)), ["d"]);
}

#[tokio::test]
async fn one_refused_line_becomes_a_dead_letter_and_its_neighbours_arrive() {
    let mut relay =
        Relay::idle(Recorder::new(
            |message| {
                if message.content.contains("bad") { refuse_payload() } else { delivered() }
            },
        ))
        .await;
    relay.say(channel(1), Lane::Chat, &["a", "b", "c", "bad", "d", "e"]).await;
    relay.start();
    relay.drained().await;
    assert_eq!(relay.sink.arrived(channel(1)).join("\n"), "a\nb\nc\nd\ne");
    let outbox = relay.store.outbox_stats().await.unwrap();
    assert_eq!((outbox.dead, outbox.last_refusal.as_deref()), (1, Some("blocked by AutoMod (200000)")));
    let state = relay.delivery_is(|state| matches!(state, ComponentState::Degraded(_))).await;
    assert_eq!(state.reason(), Some("notices refused for good: 1, the last: blocked by AutoMod (200000)"));
}

#[tokio::test]
async fn a_message_without_an_answer_is_sent_again_byte_for_byte_after_a_restart() {
    let mut relay = Relay::idle(Recorder::new(|_| retry(RetryScope::Global, None, true))).await;
    let texts: Vec<String> = (0..300).map(|line| format!("{line} {}", "x".repeat(100))).collect();
    relay.say(channel(1), Lane::Chat, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    relay.start();
    relay.sink.attempts(1).await;
    relay.kill().await;
    relay.say(channel(1), Lane::Chat, &["later"]).await;
    relay.sink.now_answers(|_| delivered());
    let before = relay.sink.attempts(1).await.len();
    relay.start();
    let attempts = relay.sink.attempts(before + 2).await;
    let (lost, again, later) = (&attempts[0].message, &attempts[before].message, &attempts[before + 1].message);
    assert_eq!((&again.content, &again.nonce, &again.attachment), (&lost.content, &lost.nonce, &lost.attachment));
    assert_eq!(file_lines(again), texts);
    assert!(again.first_attempt.is_some());
    assert_eq!((later.content.as_str(), later.first_attempt), ("later", None));
}

#[tokio::test]
async fn a_stopped_worker_waits_for_the_answer_and_stores_it() {
    let mut relay = Relay::started(Recorder::held(|_| delivered())).await;
    relay.say(channel(1), Lane::Chat, &["a"]).await;
    relay.sink.begun(1).await;
    relay.cancel.cancel();
    relay.sink.answers.add_permits(1);
    relay.stop().await;
    assert_eq!(relay.store.outbox_stats().await.unwrap().chat_depth, 0);
    assert_eq!(relay.sink.arrived(channel(1)), ["a"]);
}

#[tokio::test]
async fn old_lines_go_as_a_digest_and_old_alerts_with_their_time() {
    let mut relay = Relay::idle(Recorder::new(|_| delivered())).await;
    let hour_ago = Timestamp::now() - Duration::from_hours(1);
    let old = |lane, text| Notice { occurred_at: hour_ago, ..notice(channel(1), lane, text) };
    relay.commit(vec![old(Lane::Chat, "a"), old(Lane::Alert, "crashed"), old(Lane::Chat, "b")]).await;
    relay.say(channel(1), Lane::Chat, &["now"]).await;
    relay.start();
    let attempts = relay.sink.attempts(3).await;
    let time = hour_ago.as_second();
    let digest = format!("🕰️ 2 lines from <t:{time}:t> to <t:{time}:t>, too late to post one by one, attached");
    assert_eq!(relay.sink.arrived(channel(1)), [format!("crashed (<t:{time}:R>)"), digest, "now".into()]);
    assert_eq!(file_lines(&attempts[1].message), ["a", "b"]);
}

#[tokio::test]
async fn a_hundred_thousand_lines_of_an_outage_are_delivered_whole_in_a_few_messages() {
    let relay = Relay::started(Recorder::new(|_| retry(RetryScope::Global, None, false))).await;
    let mut texts = Vec::new();
    for batch in 0..100 {
        let lines: Vec<String> = (0..1000).map(|line| format!("[CHAT] Bob: line {batch}.{line}")).collect();
        relay.say(channel(1), Lane::Chat, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
        texts.extend(lines);
    }
    relay.sink.now_answers(|_| delivered());
    relay.drained().await;
    let attempts = relay.sink.attempts.borrow().clone();
    let sent: Vec<_> = attempts.iter().filter(|a| matches!(a.outcome, Outcome::Delivered { .. })).collect();
    assert!(sent.len() <= 8, "{} messages", sent.len());
    let said = sent.iter().flat_map(|attempt| match &attempt.message.attachment {
        Some(_) => file_lines(&attempt.message),
        None => attempt.message.content.lines().map(str::to_owned).collect(),
    });
    assert!(said.eq(texts), "lines are missing, doubled or out of order");
}

#[tokio::test]
async fn more_channels_than_connections_to_the_database_do_not_wait_for_one_another_for_ever() {
    let relay = Relay::started(Recorder::new(|_| delivered_then_rest(5))).await;
    let text = "x".repeat(1500);
    for _ in 0..40 {
        let notices = (1..=16).flat_map(|id| std::iter::repeat_n(notice(channel(id), Lane::Chat, &text), 4));
        relay.commit(notices.collect()).await;
    }
    // Less than the time after which a connection is given up.
    timeout(Duration::from_secs(25), relay.drained()).await.expect("the channels hold each other up");
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_yet_is_kept_and_the_message_not_sent_again() {
    let sink = Recorder::new(|_| delivered());
    sink.answers.forget_permits(1 << 20);
    let relay = Relay::started(sink).await;
    relay.say(channel(1), Lane::Chat, &["a"]).await;
    timeout(DEADLINE, relay.sink.begun.subscribe().wait_for(|begun| *begun == 1)).await.unwrap().unwrap();
    let path = relay.dir.path().join("isr.db");
    let other = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    relay.sink.answers.add_permits(9);
    let mut changes = relay.health.subscribe();
    let store_is = |works: bool| {
        let health = relay.health.clone();
        move |_: &_| health.state(Component::Store).is_some_and(|state| state.works() == works)
    };
    timeout(DEADLINE, changes.wait_for(store_is(false))).await.expect("the lock is not noticed").unwrap();
    held.rollback().await.unwrap();
    timeout(DEADLINE, changes.wait_for(store_is(true))).await.expect("it does not heal").unwrap();
    relay.drained().await;
    relay.say(channel(1), Lane::Chat, &["b"]).await;
    relay.drained().await;
    assert_eq!(relay.sink.arrived(channel(1)), ["a", "b"]);
}

#[tokio::test]
async fn all_sending_rests_before_discord_bans_the_address() {
    let mut relay = Relay::idle(Recorder::new(|_| refuse_channel())).await;
    relay.settings.park_retry = Duration::ZERO;
    relay.say(channel(1), Lane::Chat, &["a"]).await;
    relay.start();
    let told = |states: &BTreeMap<(Component, String), PartStatus>| {
        let delivery = states.get(&(Component::Delivery, String::new()));
        delivery.is_some_and(|part| part.state.reason().is_some_and(|reason| reason.starts_with("all sending rests")))
    };
    timeout(DEADLINE, relay.health.subscribe().wait_for(told)).await.expect("nothing is said").unwrap();
    relay.say(channel(2), Lane::Chat, &["b"]).await;
    let more = timeout(Duration::from_millis(200), relay.sink.attempts(1001)).await;
    assert!(more.is_err(), "it was sent all the same");
    assert_eq!(relay.sink.attempts(1000).await.len(), 1000);
}

#[tokio::test]
async fn a_message_in_doubt_knows_the_others_in_its_channel_though_nothing_is_kept() {
    let mut relay = Relay::idle(Recorder::new(|_| delivered())).await;
    relay.settings.keep_delivered = Duration::ZERO;
    relay.say(channel(1), Lane::Chat, &["gg"]).await;
    relay.say(channel(2), Lane::Chat, &["elsewhere"]).await;
    relay.start();
    relay.drained().await;
    relay.sink.now_answers(|_| retry(RetryScope::Global, None, true));
    relay.say(channel(1), Lane::Chat, &["gg"]).await;
    let attempts = relay.sink.attempts(4).await;
    assert_eq!((&attempts[2].message.others, &attempts[3].message.others), (&vec![], &vec![1]));
    relay.stop().await;
    let later = Timestamp::now() + Duration::from_secs(1);
    while relay.store.prune(later, later).await.unwrap() {}
    relay.start();
    assert_eq!(relay.sink.attempts(attempts.len() + 2).await.last().unwrap().message.others, [1]);
}

#[tokio::test]
async fn delivered_rows_leave_the_database_when_their_time_is_over() {
    let mut relay = Relay::started(Recorder::new(|_| delivered())).await;
    let path = relay.dir.path().join("isr.db");
    let file = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await.unwrap();
    let rows = || sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox").fetch_one(&file);
    relay.say(channel(1), Lane::Chat, &["a", "b"]).await;
    relay.drained().await;
    relay.stop().await;
    assert_eq!(rows().await.unwrap(), 2);
    relay.settings.keep_delivered = Duration::ZERO;
    relay.start();
    let pruned = async {
        while rows().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, pruned).await.expect("the rows are kept");
}

#[tokio::test]
async fn an_operator_sees_the_outbox_in_metrics() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut relay =
        Relay::idle(Recorder::new(
            |message| {
                if message.channel == channel(1) { delivered() } else { refuse_channel() }
            },
        ))
        .await;
    relay.say(channel(1), Lane::Alert, &["a", "b"]).await;
    relay.say(channel(2), Lane::Chat, &["c", "d", "e"]).await;
    relay.start();
    relay.sink.attempts(4).await;
    let shows = |line: &str| page.render().lines().any(|shown| shown == line);
    let counted = async {
        while !shows("factorio_isr_outbox_depth{lane=\"alert\"} 0") {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, counted).await.expect("the outbox is not counted again");
    for line in [
        "factorio_isr_outbox_depth{lane=\"chat\"} 3",
        "factorio_isr_parked_channels 1",
        "factorio_isr_dead_letters 0",
        "factorio_isr_deliveries_total{outcome=\"delivered\"} 1",
        "factorio_isr_deliveries_total{outcome=\"retry\"} 0",
        "factorio_isr_deliveries_total{outcome=\"rejected\"} 0",
        "factorio_isr_rows_per_message_sum 2",
        "factorio_isr_relay_latency_seconds_count 2",
        "factorio_isr_commit_latency_seconds_count 2",
    ] {
        assert!(shows(line), "{line} is not in\n{}", page.render());
    }
    for moved in [
        "factorio_isr_errors_total{component=\"delivery\",error_type=\"channel\"} ",
        "factorio_isr_deliveries_total{outcome=\"parked\"} ",
    ] {
        assert!(page.render().lines().any(|shown| shown.starts_with(moved)), "{moved}\n{}", page.render());
    }
}

#[tokio::test]
async fn a_notice_that_is_refused_for_good_counts_once_however_often_its_message_was_halved() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let refuse_bad = |message: &OutgoingMessage| {
        if message.content.contains("bad") { refuse_payload() } else { delivered() }
    };
    let mut relay = Relay::idle(Recorder::new(refuse_bad)).await;
    relay.say(channel(1), Lane::Chat, &["a", "b", "c", "bad", "d", "e"]).await;
    relay.start();
    relay.drained().await;
    relay.stop().await;
    assert_eq!(relay.store.outbox_stats().await.unwrap().dead, 1);
    let rejected = "factorio_isr_deliveries_total{outcome=\"rejected\"} 1";
    assert!(page.render().lines().any(|shown| shown == rejected), "{}", page.render());
}

#[derive(Debug, Clone)]
enum Step {
    Say { channel: u64, alert: bool, lines: usize, poison: bool },
    Stop,
    Kill,
}

fn any_step() -> impl Strategy<Value = Step> {
    let lines = prop_oneof![4 => 1_usize..6, 1 => 300_usize..600];
    let say = (1_u64..4, any::<bool>(), lines, prop::bool::weighted(0.2))
        .prop_map(|(channel, alert, lines, poison)| Step::Say { channel, alert, lines, poison });
    prop_oneof![8 => say, 1 => Just(Step::Stop), 2 => Just(Step::Kill)]
}

/// What readers see of each lane: Discord keeps the first message of a nonce.
#[derive(Default)]
struct Readers {
    nonces: BTreeMap<String, (String, Option<Vec<u8>>)>,
    lines: BTreeMap<String, Vec<String>>,
}

impl Readers {
    fn arrive(&mut self, message: &OutgoingMessage) {
        let bytes = message.attachment.as_ref().map(|file| file.bytes.to_vec());
        let sent = (message.content.clone(), bytes);
        if let Some(before) = self.nonces.get(&message.nonce) {
            assert_eq!(*before, sent, "another message under the same nonce");
            return;
        }
        let lines = if sent.1.is_some() { file_lines(message) } else { sent.0.lines().map(str::to_owned).collect() };
        for line in lines {
            let lane = line.split('#').next().unwrap().to_owned();
            self.lines.entry(lane).or_default().push(line);
        }
        self.nonces.insert(message.nonce.clone(), sent);
    }
}

fn answer(readers: &Mutex<Readers>, message: &OutgoingMessage, whim: u8) -> Outcome {
    let poisoned = |text: &[u8]| text.windows(6).any(|part| part == b"poison");
    if poisoned(message.content.as_bytes()) || message.attachment.as_ref().is_some_and(|file| poisoned(&file.bytes)) {
        return refuse_payload();
    }
    let (arrives, outcome) = match whim {
        0 => (false, retry(RetryScope::Channel, Some(3), false)),
        1 => (true, retry(RetryScope::Global, None, true)),
        2 => (false, retry(RetryScope::Global, None, true)),
        3 => (false, refuse_channel()),
        4 => (true, retry(RetryScope::Channel, None, true)),
        _ => (true, delivered()),
    };
    if arrives {
        readers.lock().unwrap().arrive(message);
    }
    outcome
}

async fn every_line_arrives_once(steps: Vec<Step>, whims: Vec<u8>) {
    let readers = Arc::new(Mutex::new(Readers::default()));
    let sink_readers = readers.clone();
    let mut whims = whims.into_iter();
    let sink = Recorder::new(move |message| answer(&sink_readers, message, whims.next().unwrap_or(9)));
    let mut relay = Relay::started(sink).await;
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut number, mut poisoned) = (0, 0);
    for step in steps {
        match step {
            Step::Say { channel: id, alert, lines, poison } => {
                let lane = if alert { Lane::Alert } else { Lane::Chat };
                let key = format!("{id}-{}", lane.as_str());
                let bad = if poison { lines / 2 } else { lines };
                let mut said = Vec::new();
                for line in 0..lines {
                    number += 1;
                    let word = if line == bad { "poison" } else { "some words of Bob" };
                    said.push(format!("{key}#{number} {word}"));
                }
                poisoned += u64::from(poison);
                relay.say(channel(id), lane, &said.iter().map(String::as_str).collect::<Vec<_>>()).await;
                expected.entry(key).or_default().extend(said.into_iter().filter(|line| !line.ends_with("poison")));
            }
            Step::Stop => {
                relay.stop().await;
                relay.start();
            }
            Step::Kill => {
                relay.kill().await;
                relay.start();
            }
        }
    }
    relay.drained().await;
    expected.retain(|_, lines| !lines.is_empty());
    assert_eq!(readers.lock().unwrap().lines, expected);
    assert_eq!(relay.store.outbox_stats().await.unwrap().dead, poisoned);
    let nonces: BTreeSet<_> = relay.sink.attempts.borrow().iter().map(|a| a.message.nonce.len()).collect();
    assert!(nonces.iter().all(|length| *length <= 25));
    relay.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the sink answers and whenever the worker is stopped or killed: every line once, in its lane's order.
    #[test]
    fn any_answers_and_restarts_deliver_every_line_once_and_in_order(
        steps in prop::collection::vec(any_step(), 1..25),
        whims in prop::collection::vec(0_u8..9, 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(every_line_arrives_once(steps, whims));
    }
}

/// An alert, or its end, as the alerts put them into the outbox.
async fn alert(relay: &Relay, text: &str, role: NoticeRole) -> Option<PostedNotice> {
    let notice = notice(channel(1), Lane::Alert, text);
    let notices = vec![AlertNotice { notice, alert: "crash".into(), subject: String::new(), role }];
    let alerts = StoredAlerts { cursor: 0, memory: "{}".into(), rows: Vec::new() };
    let commit = AlertCommit { server: prod(), alerts, notices, at: Timestamp::now() };
    relay.store.commit_alerts(&commit).await.unwrap().into_values().next()
}

/// What was asked of the sink: the text, and the message it replaces.
fn asked(attempts: &[Attempt]) -> Vec<(String, Option<u64>)> {
    attempts.iter().map(|attempt| (attempt.message.content.clone(), attempt.message.edits)).collect()
}

#[tokio::test]
async fn an_alert_goes_alone_and_its_end_edits_it_in_order() {
    let relay = Relay::idle(Recorder::new(|_| Outcome::Delivered { message_id: 4711, rest: None })).await;
    relay.say(channel(1), Lane::Alert, &["before"]).await;
    let told = alert(&relay, "fires", NoticeRole::Tells).await;
    relay.say(channel(1), Lane::Alert, &["behind", "too"]).await;
    alert(&relay, "is over", NoticeRole::Ends(told)).await;
    let mut relay = relay;
    relay.start();
    relay.drained().await;
    let expected = [("before", None), ("fires", None), ("behind\ntoo", None), ("is over", Some(4711))];
    assert_eq!(asked(&relay.sink.attempts(4).await), expected.map(|(text, edits)| (text.to_owned(), edits)));
}

#[tokio::test]
async fn an_end_long_after_still_knows_the_message_whatever_was_pruned() {
    let relay = Relay::started(Recorder::new(|_| Outcome::Delivered { message_id: 4711, rest: None })).await;
    let told = alert(&relay, "fires", NoticeRole::Tells).await;
    relay.drained().await;
    let later = Timestamp::now() + Duration::from_mins(1);
    while relay.store.prune(later, later).await.unwrap() {}
    alert(&relay, "is over", NoticeRole::Ends(told)).await;
    let attempts = relay.sink.attempts(2).await;
    assert_eq!(asked(&attempts)[1], ("is over".to_owned(), Some(4711)));
}

#[tokio::test]
async fn an_edit_is_repeated_until_it_is_done_across_a_kill() {
    let mut relay = Relay::started(Recorder::new(|_| Outcome::Delivered { message_id: 4711, rest: None })).await;
    let told = alert(&relay, "fires", NoticeRole::Tells).await;
    relay.drained().await;
    relay.sink.now_answers(|_| retry(RetryScope::Global, None, true));
    alert(&relay, "is over", NoticeRole::Ends(told)).await;
    relay.sink.attempts(3).await;
    relay.kill().await;
    relay.sink.now_answers(|_| Outcome::Delivered { message_id: 4711, rest: None });
    relay.start();
    relay.drained().await;
    let attempts = relay.sink.attempts(4).await;
    assert!(asked(&attempts)[1..].iter().all(|asked| *asked == ("is over".to_owned(), Some(4711))), "{attempts:?}");
}

#[tokio::test]
async fn the_end_of_an_alert_that_is_gone_or_was_never_there_is_a_new_message() {
    let gone = |message: &OutgoingMessage| match message.edits {
        Some(_) => Outcome::Gone { reason: "deleted".into() },
        None => Outcome::Delivered { message_id: 4711, rest: None },
    };
    let relay = Relay::started(Recorder::new(gone)).await;
    let told = alert(&relay, "fires", NoticeRole::Tells).await;
    alert(&relay, "is over", NoticeRole::Ends(told)).await;
    alert(&relay, "is over, too", NoticeRole::Ends(None)).await;
    relay.drained().await;
    let expected = [("fires", None), ("is over", Some(4711)), ("is over", None), ("is over, too", None)];
    let attempts = relay.sink.attempts(4).await;
    assert_eq!(asked(&attempts), expected.map(|(text, edits)| (text.to_owned(), edits)));
    assert_eq!(attempts[2].message.first_attempt, None, "it cannot be there yet");
}
