//! The attempts to send a message as spans, linked to what they carry.

use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::KeyValue;

use super::sink::{Outcome, Refusal};
use super::waits::{Cause, Waits};
use crate::domain::Lane;
use crate::store::{MessageOrigins, RowsOrigin, StoredMessage};
use crate::telemetry::metrics::ErrorType;
use crate::telemetry::traces::spans::DISCORD_SEND;
use crate::telemetry::traces::{self, LinkTo, Recording};

/// Begins an attempt at `message`, whose rows come from `origins`.
pub(super) fn sending(message: &StoredMessage, lane: Lane, origins: &MessageOrigins) -> Option<Recording> {
    let links = origins.batches.iter().map(link).collect();
    let span = Recording::begin_linked(&DISCORD_SEND, None, SystemTime::now(), links)?;
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let (channel, attempt) = (message.channel.to_string(), i64::from(message.attempts) + 1);
    span.set("channel", channel.clone());
    span.set("lane", lane.as_str());
    span.set("rows", count(message.rows));
    span.set("attempt", attempt);
    span.set("file", message.filename.is_some());
    span.set("edits", message.edits.is_some());
    span.set("messaging.system", "discord");
    span.set("messaging.operation.name", "send");
    span.set("messaging.operation.type", "send");
    span.set("messaging.destination.name", channel);
    span.set("messaging.batch.message_count", count(message.rows));
    if attempt > 1 {
        span.set("http.request.resend_count", attempt - 1);
    }
    span.set_text("text", &message.content);
    Some(span)
}

/// What of a batch is in the message.
fn link(origin: &RowsOrigin) -> LinkTo {
    let (first, last) = (origin.line_ends, origin.written_at);
    let what = vec![
        KeyValue::new("rows", origin.rows.cast_signed()),
        KeyValue::new("line_end.first", first.0.cast_signed()),
        KeyValue::new("line_end.last", first.1.cast_signed()),
        KeyValue::new("written.first", last.0.to_string()),
        KeyValue::new("written.last", last.1.to_string()),
    ];
    (origin.commit, what)
}

/// Says what the message waited for until `now`: the causes of this run, which began at `started`, and the time before.
pub(super) fn waited(span: &Recording, since: Option<Timestamp>, now: Timestamp, started: Timestamp, waits: &Waits) {
    let Some(since) = since else { return };
    let between = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64().max(0.0);
    span.set("waited.total_seconds", between(since, now));
    span.set("waited.earlier_run_seconds", between(since, started.min(now)));
    let here = since.max(started);
    span.set("waited.rate_limit_seconds", waits.waited(Cause::RateLimit, here).as_secs_f64());
    span.set("waited.outage_seconds", waits.waited(Cause::Outage, here).as_secs_f64());
    span.set("waited.refused_seconds", waits.waited(Cause::Refused, here).as_secs_f64());
}

/// Ends an attempt; `None`: the program stops before the answer, or nothing was sent.
pub(super) fn attempted(span: &Recording, outcome: Option<&Outcome>) {
    match outcome {
        None => span.set("outcome", "unfinished"),
        Some(Outcome::Delivered { message_id, .. }) => {
            span.set("outcome", "delivered");
            // 0: Discord said that it is there, and not which it is.
            if *message_id > 0 {
                span.set("messaging.message.id", message_id.to_string());
            }
        }
        Some(Outcome::Gone { reason }) => failed(span, "gone", ErrorType::Other, reason),
        Some(Outcome::Retry { error, reason, .. }) => failed(span, "retry", *error, reason),
        Some(Outcome::Rejected { refusal: Refusal::Channel, error, reason }) => failed(span, "parked", *error, reason),
        Some(Outcome::Rejected { refusal: Refusal::Payload, error, reason }) => {
            failed(span, "rejected", *error, reason);
        }
    }
}

/// The reason quotes Discord, which may quote the message.
fn failed(span: &Recording, outcome: &'static str, error: ErrorType, reason: &str) {
    span.set("outcome", outcome);
    match traces::text(reason) {
        Some(reason) => span.fail(error.as_str(), &reason),
        None => span.fail(error.as_str(), &format!("not sent: {}", error.as_str())),
    }
}
