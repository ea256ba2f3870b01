//! The sink and the gateway against the stand-in for Discord.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use factorio_isr::config::settings::DiscordSettings;
use factorio_isr::delivery::{Attachment, NoticeSink, Outcome, OutgoingMessage, Refusal, RetryScope};
use factorio_isr::discord::{DiscordSink, Dispatches, GatewayTimes, run_gateway_with};
use factorio_isr::domain::{ChannelId, Mentions};
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::sim::discord::{
    ApiError, Fault, FaultKind, GatewayFaults, Ping, RateLimits, RetryAfter, Scope, SimDiscord, SimDiscordConfig,
    SimMessage, SimState, Upgrade, Window,
};
use factorio_isr::telemetry::metrics::ErrorType;
use jiff::{SignedDuration, Timestamp};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const CHANNEL: u64 = 111;
const DEADLINE: Duration = Duration::from_secs(45);

fn settings(base: String) -> DiscordSettings {
    DiscordSettings { token: SimDiscordConfig::default().token.into(), api_base: Some(base), guild_ids: Vec::new() }
}

async fn sim_with(limits: RateLimits) -> SimDiscord {
    SimDiscord::start(SimDiscordConfig { limits, ..SimDiscordConfig::default() }).await.unwrap()
}

async fn sim_and_sink() -> (SimDiscord, DiscordSink) {
    let sim = sim_with(RateLimits::none()).await;
    let sink = DiscordSink::new(&settings(sim.base_url())).unwrap();
    assert_eq!(sink.api_base(), sim.base_url());
    (sim, sink)
}

fn message(content: &str) -> OutgoingMessage {
    static NONCE: AtomicU64 = AtomicU64::new(1);
    OutgoingMessage {
        channel: ChannelId::new(CHANNEL).unwrap(),
        nonce: NONCE.fetch_add(1, Ordering::Relaxed).to_string(),
        content: content.to_owned(),
        mentions: Mentions::default(),
        attachment: None,
        first_attempt: None,
        others: Vec::new(),
        edits: None,
    }
}

/// As `message`, tried for the first time two minutes ago: its nonce may be forgotten.
fn late(message: &OutgoingMessage) -> OutgoingMessage {
    let first_attempt = Some(Timestamp::now() - SignedDuration::from_mins(2));
    OutgoingMessage { first_attempt, ..message.clone() }
}

fn with_file(content: &str, filename: &str, text: &'static str) -> OutgoingMessage {
    let attachment = Attachment { filename: filename.to_owned(), bytes: Bytes::from_static(text.as_bytes()) };
    OutgoingMessage { attachment: Some(attachment), ..message(content) }
}

fn id_of(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Delivered { message_id, .. } => *message_id,
        other => panic!("not delivered: {other:?}"),
    }
}

fn contents(sim: &SimDiscord) -> Vec<String> {
    sim.messages(CHANNEL).iter().map(|message: &std::sync::Arc<SimMessage>| message.content.clone()).collect()
}

/// The kind of an outcome: scope or refusal, error, whether it is uncertain.
fn kind(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered { .. } => "delivered".to_owned(),
        Outcome::Retry { after, scope, error, uncertain, .. } => {
            format!("retry {scope:?} {error:?} after {after:?}{}", if *uncertain { " uncertain" } else { "" })
        }
        Outcome::Rejected { refusal, error, .. } => format!("rejected {refusal:?} {error:?}"),
        Outcome::Gone { reason } => format!("gone: {reason}"),
    }
}

async fn outcome_of(fault: FaultKind) -> Outcome {
    let (sim, sink) = sim_and_sink().await;
    // Only where nothing comes back is there anything to wait for.
    let hangs = matches!(fault, FaultKind::Hang { .. });
    sim.set_fault(Fault::new(fault));
    let sink = if hangs { sink.with_patience(Duration::from_millis(500)) } else { sink };
    sink.deliver(&message("hello")).await
}

#[tokio::test]
async fn a_message_arrives_as_written_and_pings_nobody() {
    let (sim, sink) = sim_and_sink().await;
    let sent = message("@everyone <@900> see https://example.com");
    let outcome = sink.deliver(&sent).await;
    let messages = sim.messages(CHANNEL);
    let [arrived] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(id_of(&outcome), arrived.id);
    assert_eq!(arrived.content, sent.content);
    assert_eq!(arrived.pinged, []);
    assert_eq!(arrived.allowed_mentions, Some(json!({ "parse": [], "users": [], "roles": [] })));
    assert_eq!(arrived.flags, 4, "links unfold nothing");
    assert_eq!(arrived.nonce, Some(json!(sent.nonce)));
}

#[tokio::test]
async fn exactly_those_are_pinged_whom_the_message_names() {
    let (sim, sink) = sim_and_sink().await;
    let mentions = Mentions { users: [900].into(), roles: [22].into() };
    sink.deliver(&OutgoingMessage { mentions, ..message("@everyone <@900> <@901> <@&22> <@&23>") }).await;
    assert_eq!(sim.messages(CHANNEL)[0].pinged, [Ping::User(900), Ping::Role(22)]);
}

#[tokio::test]
async fn a_file_arrives_under_its_name() {
    let (sim, sink) = sim_and_sink().await;
    let outcome = sink.deliver(&with_file("The log", "prod.txt", "line 1\nZeile 2: ä\n")).await;
    let arrived = sim.messages(CHANNEL).remove(0);
    assert_eq!(id_of(&outcome), arrived.id);
    assert_eq!(arrived.content, "The log");
    assert_eq!(arrived.attachments.len(), 1);
    assert_eq!(arrived.attachments[0].filename, "prod.txt");
    assert_eq!(arrived.attachments[0].text(), "line 1\nZeile 2: ä\n");
    assert_eq!(arrived.pinged, []);
}

#[tokio::test]
async fn a_message_sent_twice_arrives_once() {
    let (sim, sink) = sim_and_sink().await;
    let sent = message("hello");
    let first = sink.deliver(&sent).await;
    let again = sink.deliver(&sent).await;
    assert_eq!(id_of(&first), id_of(&again));
    assert_eq!(contents(&sim), ["hello"]);
}

#[tokio::test]
async fn every_answer_has_its_class() {
    let limited = |scope, header| FaultKind::RateLimited { retry_after: Duration::from_secs(7), scope, header };
    let faults = [
        FaultKind::Answer(ApiError::unauthorized()),
        FaultKind::Answer(ApiError::missing_access()),
        FaultKind::Answer(ApiError::missing_permissions()),
        FaultKind::Answer(ApiError::unknown_channel()),
        FaultKind::Answer(ApiError::unknown_message()),
        FaultKind::Answer(ApiError::automod()),
        FaultKind::Answer(ApiError::empty_message()),
        FaultKind::Answer(ApiError::too_large()),
        FaultKind::server_error(500),
        FaultKind::server_error(503),
        FaultKind::Page(502),
        FaultKind::Page(429),
        limited(Scope::User, RetryAfter::Seconds),
        limited(Scope::Shared, RetryAfter::Absent),
        limited(Scope::Global, RetryAfter::Seconds),
        FaultKind::Hang { processed: false },
        FaultKind::Cut { processed: false },
        FaultKind::Slow(Duration::from_millis(1)),
    ];
    let mut lines = Vec::new();
    for fault in faults {
        lines.push(format!("{fault:?} => {}", kind(&outcome_of(fault.clone()).await)));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    Answer(ApiError { status: 401, code: 0, message: "401: Unauthorized", errors: None }) => retry Global Auth after Some(300s)
    Answer(ApiError { status: 403, code: 50001, message: "Missing Access", errors: None }) => rejected Channel Channel
    Answer(ApiError { status: 403, code: 50013, message: "Missing Permissions", errors: None }) => rejected Channel Channel
    Answer(ApiError { status: 404, code: 10003, message: "Unknown Channel", errors: None }) => rejected Channel Channel
    Answer(ApiError { status: 404, code: 10008, message: "Unknown Message", errors: None }) => delivered
    Answer(ApiError { status: 400, code: 200000, message: "Message was blocked by automatic moderation", errors: None }) => rejected Payload Payload
    Answer(ApiError { status: 400, code: 50006, message: "Cannot send an empty message", errors: None }) => rejected Payload Payload
    Answer(ApiError { status: 413, code: 40005, message: "Request entity too large", errors: None }) => rejected Payload Payload
    Answer(ApiError { status: 500, code: 0, message: "500: Internal Server Error", errors: None }) => retry Channel ServerError after None uncertain
    Answer(ApiError { status: 503, code: 0, message: "503: Service Unavailable", errors: None }) => retry Channel ServerError after None
    Page(502) => retry Channel ServerError after None uncertain
    Page(429) => retry Global RateLimited after Some(180s)
    RateLimited { retry_after: 7s, scope: User, header: Seconds } => retry Channel RateLimited after Some(7s)
    RateLimited { retry_after: 7s, scope: Shared, header: Absent } => retry Channel RateLimited after Some(7s)
    RateLimited { retry_after: 7s, scope: Global, header: Seconds } => retry Global RateLimited after Some(7s)
    Hang { processed: false } => retry Global Network after None uncertain
    Cut { processed: false } => retry Global Network after None uncertain
    Slow(1ms) => delivered
    "#);
}

#[tokio::test]
async fn a_retry_after_in_the_form_of_a_date_is_understood() {
    let retry_after = Duration::from_mins(2);
    let fault = FaultKind::RateLimited { retry_after, scope: Scope::User, header: RetryAfter::HttpDate };
    let Outcome::Retry { after: Some(after), scope: RetryScope::Channel, .. } = outcome_of(fault).await else {
        panic!("no wait")
    };
    assert!((118..=122).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test]
async fn a_discord_that_is_not_there_holds_every_channel_and_nothing_is_uncertain() {
    let (sim, sink) = sim_and_sink().await;
    sim.stop().await;
    let outcome = sink.deliver(&message("hello")).await;
    assert_eq!(kind(&outcome), "retry Global Network after None");
    let Outcome::Retry { reason, .. } = outcome else { unreachable!() };
    assert!(reason.starts_with("Discord cannot be reached: Connection refused"), "{reason}");
    sim.restart().await.unwrap();
    id_of(&sink.deliver(&message("hello")).await);
}

#[tokio::test]
async fn no_reason_shows_the_token() {
    let sim = sim_with(RateLimits::none()).await;
    let sink =
        DiscordSink::new(&DiscordSettings { token: "wrong-and-secret".into(), ..settings(sim.base_url()) }).unwrap();
    let outcome = sink.deliver(&message("hello")).await;
    assert!(matches!(&outcome, Outcome::Retry { error: ErrorType::Auth, scope: RetryScope::Global, .. }));
    assert!(!format!("{outcome:?} {sink:?}").contains("wrong-and-secret"));
}

#[tokio::test]
async fn a_channel_that_does_not_exist_is_refused_as_a_channel() {
    let (_sim, sink) = sim_and_sink().await;
    let outcome = sink.deliver(&OutgoingMessage { channel: ChannelId::new(4).unwrap(), ..message("hello") }).await;
    assert!(matches!(outcome, Outcome::Rejected { refusal: Refusal::Channel, .. }), "{outcome:?}");
}

#[test]
fn without_an_api_base_it_is_the_real_discord() {
    let settings = DiscordSettings { api_base: None, ..settings(String::new()) };
    assert_eq!(DiscordSink::new(&settings).unwrap().api_base(), "https://discord.com");
}

#[test]
fn a_token_that_cannot_be_sent_is_an_error_that_does_not_show_it() {
    let settings = DiscordSettings { token: "bad\ntoken".into(), ..settings("http://127.0.0.1:1".into()) };
    let error = format!("{:?}", DiscordSink::new(&settings).unwrap_err());
    assert!(error.contains("discord.token") && !error.contains("bad"), "{error}");
}

#[tokio::test]
async fn a_flood_that_rests_when_told_to_never_meets_a_429() {
    let bucket = Window::new(5, Duration::from_millis(400));
    let sim = sim_with(RateLimits { messages: Some(bucket), ..RateLimits::none() }).await;
    let sink = DiscordSink::new(&settings(sim.base_url())).unwrap();
    let texts: Vec<_> = (0..23).map(|number| format!("message {number}")).collect();
    let mut rests = 0;
    for text in &texts {
        match sink.deliver(&message(text)).await {
            Outcome::Delivered { rest: Some(rest), .. } => {
                rests += 1;
                tokio::time::sleep(rest).await;
            }
            Outcome::Delivered { rest: None, .. } => {}
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(contents(&sim), texts);
    assert!(rests >= 1, "the bucket was never empty");
    assert_eq!(sim.stats().answered(429), 0);
}

#[tokio::test]
async fn a_lost_answer_is_uncertain_and_the_nonce_finds_the_message() {
    for fault in [FaultKind::Cut { processed: true }, FaultKind::Hang { processed: true }] {
        let (sim, sink) = sim_and_sink().await;
        sim.set_fault(Fault::new(fault).times(1));
        let sent = message("hello");
        let impatient = DiscordSink::new(&settings(sim.base_url())).unwrap().with_patience(Duration::from_millis(500));
        assert_eq!(kind(&impatient.deliver(&sent).await), "retry Global Network after None uncertain");
        let again = sink.deliver(&OutgoingMessage { first_attempt: Some(Timestamp::now()), ..sent }).await;
        assert_eq!(id_of(&again), sim.messages(CHANNEL)[0].id);
        assert_eq!(contents(&sim), ["hello"]);
    }
}

#[tokio::test]
async fn a_message_whose_nonce_is_forgotten_is_looked_for() {
    let (sim, sink) = sim_and_sink().await;
    sim.set_fault(Fault::new(FaultKind::Cut { processed: true }).times(2));
    let (plain, file) = (message("hello"), with_file("The log", "prod.txt", "line"));
    for sent in [&plain, &file] {
        assert!(matches!(sink.deliver(sent).await, Outcome::Retry { uncertain: true, .. }));
    }
    sim.forget_nonces();
    for sent in [&plain, &file] {
        id_of(&sink.deliver(&late(sent)).await);
    }
    assert_eq!(contents(&sim), ["hello", "The log"]);
}

#[tokio::test]
async fn an_equal_message_of_before_or_of_others_is_not_taken_for_the_lost_one() {
    let (sim, sink) = sim_and_sink().await;
    let before = id_of(&sink.deliver(&message("hello")).await);
    sim.say(CHANNEL, "Bob", "hello").unwrap();
    let repeated = OutgoingMessage { others: vec![before], ..message("hello") };
    id_of(&sink.deliver(&late(&repeated)).await);
    assert_eq!(contents(&sim), ["hello", "hello", "hello"]);
}

#[tokio::test]
async fn a_message_whose_arrival_could_not_be_stored_is_found_again() {
    let (sim, sink) = sim_and_sink().await;
    let sent = message("hello");
    let arrived = id_of(&sink.deliver(&sent).await);
    sim.forget_nonces();
    assert_eq!(id_of(&sink.deliver(&late(&sent)).await), arrived);
    assert_eq!(contents(&sim), ["hello"]);
}

#[tokio::test]
async fn a_lost_message_is_found_behind_hundreds_of_others() {
    let (sim, sink) = sim_and_sink().await;
    for number in 0..250 {
        sim.say(CHANNEL, "Bob", &number.to_string()).unwrap();
    }
    sim.set_fault(Fault::new(FaultKind::Cut { processed: true }).times(1));
    let sent = message("hello");
    assert!(matches!(sink.deliver(&sent).await, Outcome::Retry { uncertain: true, .. }));
    sim.forget_nonces();
    id_of(&sink.deliver(&late(&sent)).await);
    assert_eq!(contents(&sim).iter().filter(|content| *content == "hello").count(), 1);
}

#[tokio::test]
async fn a_channel_without_read_access_is_sent_to_all_the_same() {
    let (sim, sink) = sim_and_sink().await;
    id_of(&sink.deliver(&late(&message("first"))).await);
    sim.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).everywhere().channel(CHANNEL).times(1));
    id_of(&sink.deliver(&late(&message("second"))).await);
    assert_eq!(contents(&sim), ["first", "second"]);
}

#[tokio::test]
async fn a_look_that_fails_leaves_the_message_uncertain_and_unsent() {
    let (sim, sink) = sim_and_sink().await;
    sim.set_fault(Fault::new(FaultKind::Page(503)).everywhere().times(1));
    let outcome = sink.deliver(&late(&message("hello"))).await;
    assert_eq!(kind(&outcome), "retry Channel ServerError after None uncertain");
    assert_eq!(contents(&sim), Vec::<String>::new());
}

/// Runs `test` on this thread alone and returns what `/metrics` would show afterwards.
fn metrics_of(test: impl Future<Output = ()>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test));
    recorder.handle().render()
}

#[test]
fn requests_are_timed_and_429s_are_counted_by_scope() {
    let shown = metrics_of(async {
        let (sim, sink) = sim_and_sink().await;
        for scope in [Scope::User, Scope::Global, Scope::Global, Scope::Shared] {
            sim.set_fault(Fault::new(FaultKind::rate_limited(Duration::from_secs(1), scope)).times(1));
            sink.deliver(&message("hello")).await;
        }
        sim.set_fault(Fault::new(FaultKind::Page(429)).times(1));
        sink.deliver(&message("hello")).await;
        sink.deliver(&message("hello")).await;
    });
    for line in [
        "factorio_isr_discord_rate_limited_total{scope=\"user\"} 1",
        "factorio_isr_discord_rate_limited_total{scope=\"global\"} 2",
        "factorio_isr_discord_rate_limited_total{scope=\"shared\"} 1",
        "factorio_isr_discord_rate_limited_total{scope=\"unknown\"} 1",
        "factorio_isr_discord_api_latency_seconds_count 6",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
    }
}

#[test]
fn sessions_after_the_first_are_counted_as_reconnects() {
    let shown = metrics_of(async {
        let sim = sim_with(RateLimits::none()).await;
        let gateway = Gateway::connected(&sim, quick()).await;
        sim.send_invalid_session(false);
        gateway.says("reconnecting since").await;
        gateway.is_healthy().await;
        gateway.stops().await;
    });
    let reconnects = shown.lines().find_map(|line| line.strip_prefix("factorio_isr_gateway_reconnects_total "));
    // A starved machine may need more than one.
    assert!(reconnects.is_some_and(|count| count.parse::<u64>().unwrap() >= 1), "{shown}");
}

/// Serenity itself needs 5 s for a new session.
fn quick() -> GatewayTimes {
    GatewayTimes {
        poll: Duration::from_millis(20),
        connect_limit: Duration::from_secs(8),
        ack_limit: Duration::from_secs(20),
        stall_limit: Duration::from_secs(3),
        retry_first: Duration::from_millis(50),
        retry_longest: Duration::from_millis(400),
        refused_first: Duration::from_millis(100),
        refused_longest: Duration::from_millis(800),
        stop: Duration::from_millis(500),
        ..GatewayTimes::default()
    }
}

struct Gateway {
    sim: SimDiscord,
    health: HealthRegistry,
    cancel: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Gateway {
    fn start(sim: &SimDiscord, settings: DiscordSettings, times: GatewayTimes) -> Self {
        let (health, cancel) = (HealthRegistry::new(), CancellationToken::new());
        let handle = health.component(Component::Discord);
        let task = tokio::spawn(run_gateway_with(settings, Dispatches::default(), handle, cancel.clone(), times));
        Self { sim: sim.clone(), health, cancel, task }
    }

    async fn connected(sim: &SimDiscord, times: GatewayTimes) -> Self {
        let gateway = Self::start(sim, settings(sim.base_url()), times);
        gateway.is_healthy().await;
        gateway
    }

    async fn waits_for(&self, what: &str, wanted: impl Fn(&ComponentState) -> bool) -> ComponentState {
        let mut states = self.health.subscribe();
        let state = || self.health.state(Component::Discord).unwrap();
        let reached = timeout(DEADLINE, states.wait_for(|_| wanted(&state()))).await;
        assert!(reached.is_ok(), "not {what}: {:?}", state());
        state()
    }

    async fn is_healthy(&self) {
        self.waits_for("healthy", |state| *state == ComponentState::Healthy).await;
    }

    async fn says(&self, reason: &str) {
        self.waits_for(reason, |state| state.reason().is_some_and(|said| said.contains(reason))).await;
    }

    /// Does something to the gateway, and waits until there is a new connection that works.
    async fn survives(&self, blow: impl FnOnce(&SimDiscord)) {
        let connections = |state: &SimState| state.stats().identifies + state.stats().resumes;
        let before = self.sim.read(connections);
        blow(&self.sim);
        assert!(self.sim.wait_for(DEADLINE, |state| connections(state) > before).await, "no new connection");
        self.is_healthy().await;
    }

    async fn stops(self) {
        self.cancel.cancel();
        timeout(Duration::from_secs(5), self.task).await.expect("stops in time").unwrap().unwrap();
        let closed = |state: &SimState| state.stats().open_sockets == 0;
        assert!(self.sim.wait_for(DEADLINE, closed).await, "a connection is left");
    }
}

async fn sim_with_heartbeat(every: Duration) -> SimDiscord {
    SimDiscord::start(SimDiscordConfig { heartbeat_interval: every, ..SimDiscordConfig::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ready_session_is_healthy_and_a_stop_closes_it() {
    let sim = sim_with_heartbeat(Duration::from_millis(200)).await;
    let gateway = Gateway::connected(&sim, quick()).await;
    assert!(sim.wait_for(DEADLINE, |state| state.stats().heartbeats >= 3).await);
    assert_eq!(gateway.health.state(Component::Discord), Some(ComponentState::Healthy));
    assert_eq!(sim.stats().identifies, 1);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_discord_means_to_be_resumed_is_resumed() {
    let sim = sim_with(RateLimits::none()).await;
    let gateway = Gateway::connected(&sim, quick()).await;
    gateway.survives(|sim| sim.close_gateway(Some(4000))).await;
    gateway.survives(SimDiscord::send_reconnect).await;
    gateway.survives(SimDiscord::cut_gateway).await;
    assert_eq!(sim.stats().identifies, 1, "no new session");
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_discord_ends_is_followed_by_a_new_one() {
    for blow in [|sim: &SimDiscord| sim.close_gateway(Some(4009)), |sim: &SimDiscord| sim.send_invalid_session(false)] {
        let sim = sim_with(RateLimits::none()).await;
        let gateway = Gateway::connected(&sim, quick()).await;
        gateway.survives(blow).await;
        assert!(sim.stats().identifies <= 3, "{:?}", sim.stats());
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_session_that_may_be_resumed_heals() {
    let sim = sim_with(RateLimits::none()).await;
    let gateway = Gateway::connected(&sim, quick()).await;
    gateway.survives(|sim| sim.send_invalid_session(true)).await;
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_makes_serenity_spin_is_noticed_and_replaced() {
    for code in [None, Some(4003), Some(4010), Some(4011)] {
        // Serenity spins until its next heartbeat.
        let sim = sim_with_heartbeat(Duration::from_secs(10)).await;
        let gateway = Gateway::connected(&sim, quick()).await;
        sim.close_gateway(code);
        gateway.says("the gateway client hangs").await;
        assert!(sim.wait_for(DEADLINE, |state| state.stats().identifies == 2).await, "{code:?}");
        gateway.is_healthy().await;
        gateway.cancel.cancel();
        gateway.task.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_or_intent_is_said_in_one_sentence_and_heals() {
    for (code, sentence) in [
        (4004, "Discord refuses the token: check discord.token"),
        (4013, "Discord does not know the bot's intents"),
        (4014, "Discord refuses the bot's intents: switch them on"),
    ] {
        let sim = sim_with(RateLimits::none()).await;
        sim.set_gateway_faults(GatewayFaults { reject_identify: Some(code), ..GatewayFaults::default() });
        let gateway = Gateway::start(&sim, settings(sim.base_url()), quick());
        gateway.says(sentence).await;
        sim.clear_faults();
        gateway.is_healthy().await;
        assert!(sim.stats().requested("GET /gateway/bot") <= 10, "{:?}", sim.stats());
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identifications_that_are_closed_every_time_are_given_up_with_the_reason() {
    let sim = sim_with(RateLimits::none()).await;
    sim.set_gateway_faults(GatewayFaults { reject_identify: Some(4012), ..GatewayFaults::default() });
    let times = GatewayTimes { connect_limit: Duration::from_secs(2), ..quick() };
    let gateway = Gateway::start(&sim, settings(sim.base_url()), times);
    gateway.says(", for 2 s").await;
    sim.clear_faults();
    gateway.is_healthy().await;
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_never_reaches_the_gateway_and_is_not_tried_in_a_busy_loop() {
    let sim = sim_with(RateLimits::none()).await;
    let wrong = DiscordSettings { token: "wrong".into(), ..settings(sim.base_url()) };
    let gateway = Gateway::start(&sim, wrong, GatewayTimes::default());
    gateway.says("Discord refuses the token: check discord.token").await;
    assert_eq!(sim.stats().answered(401), 1);
    assert_eq!(sim.stats().requested("GET /gateway/bot"), 0);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unanswered_heartbeats_end_the_session_and_say_so() {
    let sim = sim_with_heartbeat(Duration::from_mins(1)).await;
    let gateway = Gateway::connected(&sim, GatewayTimes { ack_limit: Duration::from_secs(2), ..quick() }).await;
    gateway.says("Discord answered no heartbeat").await;
    gateway.is_healthy().await;
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_that_discord_ignores_are_noticed_and_heal_when_it_answers_again() {
    let sim = sim_with_heartbeat(Duration::from_millis(300)).await;
    let gateway = Gateway::connected(&sim, quick()).await;
    sim.set_gateway_faults(GatewayFaults { acknowledge: false, ..GatewayFaults::default() });
    gateway.says("reconnecting since").await;
    sim.clear_faults();
    gateway.is_healthy().await;
    let heard = sim.stats().heartbeats;
    assert!(sim.wait_for(DEADLINE, |state| state.stats().heartbeats > heard + 3).await);
    gateway.is_healthy().await;
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_accepts_and_stalls_is_given_up_and_tried_again() {
    for upgrade in [Upgrade::Stall, Upgrade::Refuse(503)] {
        let sim = sim_with(RateLimits::none()).await;
        sim.set_gateway_faults(GatewayFaults { upgrade, ..GatewayFaults::default() });
        let times = GatewayTimes { connect_limit: Duration::from_secs(1), ..quick() };
        let gateway = Gateway::start(&sim, settings(sim.base_url()), times);
        gateway.says("connecting since").await;
        gateway.says("no connection to the gateway, for 1 s").await;
        sim.clear_faults();
        gateway.is_healthy().await;
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_said_and_ends_by_itself() {
    let sim = sim_with(RateLimits::none()).await;
    let times = GatewayTimes { connect_limit: Duration::from_secs(1), ..quick() };
    let gateway = Gateway::connected(&sim, times).await;
    sim.stop().await;
    gateway.says("Discord cannot be reached: Connection refused").await;
    sim.restart().await.unwrap();
    gateway.is_healthy().await;
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_discord_ends_at_once_are_not_started_for_ever() {
    let sim = sim_with(RateLimits::none()).await;
    let gateway = Gateway::connected(&sim, GatewayTimes { churn_limit: 1, ..quick() }).await;
    sim.send_invalid_session(false);
    gateway.says("Discord ends every session").await;
    gateway.stops().await;
}

/// Answers as Discord before a session, and names this address as the gateway's; `GET /gateway` fails.
async fn api_that_names(gateway: String) -> String {
    let answer = json!({ "url": gateway, "shards": 1 }).to_string();
    let router = Router::new()
        .route("/api/v10/users/@me", get(async || r#"{"id": "900"}"#))
        .route("/api/v10/gateway/bot", get(async move || answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_is_where_our_own_question_found_it_even_when_serenitys_fails() {
    let sim = sim_with(RateLimits::none()).await;
    let api = api_that_names(sim.base_url().replace("http://", "ws://") + "/gateway").await;
    let gateway = Gateway::start(&sim, settings(api), quick());
    gateway.is_healthy().await;
    assert_eq!(sim.stats().identifies, 1);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_gateway_is_spoken_to_in_tls() {
    let sim = sim_with(RateLimits::none()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = api_that_names(format!("wss://{}", listener.local_addr().unwrap())).await;
    let gateway = Gateway::start(&sim, settings(api), quick());
    let (mut connection, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
    let first = timeout(DEADLINE, connection.read_u8()).await.unwrap().unwrap();
    assert_eq!(first, 0x16, "a TLS handshake");
    gateway.stops().await;
}
