//! Series that exist at zero from the first scrape, so that `rate()` sees the first event.

use std::sync::Arc;

use metrics::{Label, counter, gauge, histogram};

use super::game_metrics::GAME_METRICS;
use super::labels::{DISCORD_STATUSES, DiscordRoute, ERROR_COMPONENTS, RCON_OUTCOMES};
use super::metrics::{
    ALERTS, ALERTS_FIRING, BYTES_READ, COMMIT_LATENCY, DEAD_LETTERS, DELIVERIES, DISCORD_LATENCY, DISCORD_REQUESTS,
    ERRORS, EVENTS_PROCESSED, ErrorType, GAME_SERIES_CUT, GATEWAY_CONNECTED, GATEWAY_CONNECTION_ATTEMPTS,
    GATEWAY_EVENTS_DROPPED, GATEWAY_EVENTS_UNDECODABLE, GATEWAY_HEARTBEAT, GATEWAY_RECONNECTS, INBOUND_CHATS,
    INBOUND_LATENCY, INBOUND_WAITING, LAST_EVENT, LINES_READ, LINES_UNMATCHED, LOG_GAPS, LOG_ROTATIONS, LOG_SUPPRESSED,
    OUTBOX_DEPTH, OUTBOX_OLDEST, OVERSIZE_LINES, PARKED_CHANNELS, PROMETHEUS_FILE_AGE, PROMETHEUS_FILE_DROPPED,
    RATE_LIMITED, RCON_COMMANDS, RCON_CONNECTED, RCON_LATENCY, RCON_QUEUE_DEPTH, RCON_RECONNECTS, RELAY_LATENCY,
    RETRIES, ROWS_PER_MESSAGE, STATUS_PAGE_VIEWERS, STATUS_UPDATES, STORE_FILE_BYTES, STORE_WAL_BYTES, TAIL_LAG_BYTES,
    TAIL_LAG_SECONDS, TRACE_SPANS,
};
use crate::domain::{AlertKind, EventKind, Lane, LogSource, ServerTag};
use crate::health::Component;

/// What of a configured server has series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSeries {
    /// The `server` label.
    pub tag: ServerTag,
    /// Its logs.
    pub logs: Vec<LogSource>,
    /// Whether RCON is configured.
    pub rcon: bool,
    /// Whether the game is asked by Lua: nothing else tells more than the caps let through.
    pub lua: bool,
    /// Whether a file of metrics is configured.
    pub prometheus_file: bool,
    /// The alerts that are on.
    pub alerts: Vec<AlertKind>,
    /// The event keys of the patterns that look at its lines.
    pub events: Vec<Arc<str>>,
}

/// Creates the series of these servers, and all whose labels are closed.
pub fn preregister(servers: &[ServerSeries]) {
    for server in servers {
        of_server(server);
    }
    of_errors(servers.iter().any(|server| server.rcon));
    of_delivery();
}

fn label(name: &'static str, value: &str) -> Label {
    Label::new(name, value.to_owned())
}

fn of_server(server: &ServerSeries) {
    let tag = || label("server", server.tag.as_str());
    let built_in = EventKind::ALL.iter().map(|kind| kind.as_str());
    for event in built_in.chain(server.events.iter().map(AsRef::as_ref)) {
        counter!(EVENTS_PROCESSED, vec![tag(), label("event_type", event)]).increment(0);
    }
    gauge!(LAST_EVENT, vec![tag()]).increment(0.0);
    for source in &server.logs {
        of_log(&[tag(), label("source", source.as_str())]);
    }
    if server.prometheus_file {
        gauge!(PROMETHEUS_FILE_AGE, vec![tag()]).increment(0.0);
        for reason in ["invalid", "cap", "collision"] {
            counter!(PROMETHEUS_FILE_DROPPED, vec![tag(), label("reason", reason)]).increment(0);
        }
    }
    for alert in &server.alerts {
        gauge!(ALERTS_FIRING, vec![tag(), label("alert", alert.as_str())]).increment(0.0);
        for change in ["fired", "grown", "reminded", "recovered"] {
            counter!(ALERTS, vec![tag(), label("alert", alert.as_str()), label("change", change)]).increment(0);
        }
    }
    if server.rcon {
        drop(histogram!(RCON_LATENCY, vec![tag()]));
        counter!(RCON_RECONNECTS, vec![tag()]).increment(0);
        for name in [RCON_CONNECTED, RCON_QUEUE_DEPTH, INBOUND_WAITING] {
            gauge!(name, vec![tag()]).increment(0.0);
        }
        for outcome in RCON_OUTCOMES {
            counter!(RCON_COMMANDS, vec![tag(), label("outcome", outcome)]).increment(0);
        }
        for outcome in ["said", "doubt", "expired"] {
            counter!(INBOUND_CHATS, vec![tag(), label("outcome", outcome)]).increment(0);
        }
        drop(histogram!(INBOUND_LATENCY));
    }
    if server.lua {
        for metric in GAME_METRICS.iter().filter(|metric| metric.labels.contains(&"name")) {
            counter!(GAME_SERIES_CUT, vec![tag(), label("family", metric.name)]).increment(0);
        }
    }
}

fn of_log(labels: &[Label]) {
    for name in [LINES_READ, LINES_UNMATCHED, BYTES_READ, OVERSIZE_LINES, LOG_GAPS, LOG_ROTATIONS] {
        counter!(name, labels.to_vec()).increment(0);
    }
    for name in [TAIL_LAG_BYTES, TAIL_LAG_SECONDS] {
        gauge!(name, labels.to_vec()).increment(0.0);
    }
}

/// A component nobody reports for has no series.
fn of_errors(rcon: bool) {
    for component in ERROR_COMPONENTS.into_iter().filter(|component| rcon || *component != Component::Rcon.as_str()) {
        for kind in ErrorType::ALL {
            let labels = vec![label("component", component), label("error_type", kind.as_str())];
            counter!(ERRORS, labels).increment(0);
        }
    }
}

fn of_delivery() {
    for lane in Lane::ALL {
        gauge!(OUTBOX_DEPTH, "lane" => lane.as_str()).increment(0.0);
    }
    for outcome in ["delivered", "retry", "parked", "rejected"] {
        counter!(DELIVERIES, "outcome" => outcome).increment(0);
    }
    for outcome in ["exported", "failed", "dropped"] {
        counter!(TRACE_SPANS, "outcome" => outcome).increment(0);
    }
    for route in DiscordRoute::ALL {
        for status in DISCORD_STATUSES {
            counter!(DISCORD_REQUESTS, "route" => route.as_str(), "status" => status).increment(0);
        }
    }
    for level in ["warn", "error"] {
        counter!(LOG_SUPPRESSED, "level" => level).increment(0);
    }
    for scope in ["user", "global", "shared", "unknown"] {
        counter!(RATE_LIMITED, "scope" => scope).increment(0);
    }
    for kind in ["interaction", "ready", "message", "message_update", "message_delete"] {
        counter!(GATEWAY_EVENTS_DROPPED, "kind" => kind).increment(0);
    }
    for kind in ["envelope", "interaction", "message", "message_update", "message_delete"] {
        counter!(GATEWAY_EVENTS_UNDECODABLE, "kind" => kind).increment(0);
    }
    for what in ["message", "channel"] {
        for outcome in ["done", "gone", "retry", "refused"] {
            counter!(STATUS_UPDATES, "what" => what, "outcome" => outcome).increment(0);
        }
    }
    counter!(STATUS_UPDATES, "what" => "presence", "outcome" => "done").increment(0);
    for name in [RETRIES, GATEWAY_RECONNECTS, GATEWAY_CONNECTION_ATTEMPTS] {
        counter!(name).increment(0);
    }
    gauge!(STATUS_PAGE_VIEWERS).increment(0.0);
    for name in [
        OUTBOX_OLDEST,
        DEAD_LETTERS,
        PARKED_CHANNELS,
        GATEWAY_CONNECTED,
        GATEWAY_HEARTBEAT,
        STORE_FILE_BYTES,
        STORE_WAL_BYTES,
    ] {
        gauge!(name).increment(0.0);
    }
    for name in [DISCORD_LATENCY, COMMIT_LATENCY, ROWS_PER_MESSAGE, RELAY_LATENCY] {
        drop(histogram!(name));
    }
}
