//! The sink against the stand-in for Discord.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use factorio_isr::config::settings::DiscordSettings;
use factorio_isr::delivery::{Attachment, NoticeSink, Outcome, OutgoingMessage, Refusal, RetryScope};
use factorio_isr::discord::DiscordSink;
use factorio_isr::domain::{ChannelId, Mentions};
use factorio_isr::sim::discord::{
    ApiError, Fault, FaultKind, Ping, RateLimits, RetryAfter, Scope, SimDiscord, SimDiscordConfig, SimMessage, Window,
};
use factorio_isr::telemetry::metrics::ErrorType;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::harness::metrics_of;

const CHANNEL: u64 = 111;

fn settings(base: String) -> DiscordSettings {
    DiscordSettings { token: SimDiscordConfig::default().token.into(), api_base: Some(base), guild_ids: Vec::new() }
}

async fn sim_with(limits: RateLimits) -> SimDiscord {
    crate::discord_sim::start(SimDiscordConfig { limits, ..SimDiscordConfig::default() }).await.unwrap()
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
