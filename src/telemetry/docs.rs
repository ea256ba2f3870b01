//! docs/metrics.md, made of the table of the code.

use std::fs;

use super::MetricsExporter;
use super::labels::{self, Values};
use super::metrics::{self as table, METRICS, Metric};
use crate::health::{HealthRegistry, Lifecycle};

/// What each metric is good for.
const USES: &[(&str, &str)] = &[
    (table::UPTIME, "Restarts: `resets(...[1h])`, or a value that is small."),
    (table::COMPONENT_STATUS, "The timeline of components; which one to look at."),
    (table::ERRORS, "What fails, and at whose boundary; `rate()` beside the deliveries."),
    (table::EVENTS_PROCESSED, "How busy each server is, by kind; joins, chat, crashes."),
    (table::DISCORD_LATENCY, "Whether Discord or the network to it is slow."),
    (table::RCON_LATENCY, "Whether a game is slow to answer: blocking saves, overload."),
    (table::RCON_COMMANDS, "The share that is not `answered`, and why."),
    (table::RCON_CONNECTED, "Which game cannot be asked now."),
    (table::RCON_RECONNECTS, "Connections that do not hold."),
    (table::RCON_QUEUE_DEPTH, "A game that is asked more than it answers."),
    (table::INBOUND_CHATS, "Chat from Discord that did not reach its game."),
    (table::INBOUND_WAITING, "Chat that a game that is away holds up."),
    (table::INBOUND_LATENCY, "How long people in Discord wait until the game hears them."),
    (table::GAME_SERIES_CUT, "A sign to raise `game.series.cap`, or to allow fewer names."),
    (table::BUILD_INFO, "Which version runs; joined to other series by `* on(instance) group_left(version)`."),
    (table::LINES_READ, "Traffic; silence where there should be some."),
    (table::BYTES_READ, "Traffic, in what the disk sees."),
    (table::OVERSIZE_LINES, "A mod that prints what nobody reads."),
    (table::LOG_GAPS, "Loss of lines before they were read: rotation without a copy."),
    (table::LOG_ROTATIONS, "Whether rotation happens as planned."),
    (table::TAIL_LAG_BYTES, "A backlog in the files: the database or the disk does not keep up."),
    (table::TAIL_LAG_SECONDS, "The age of that backlog; a file that cannot be read."),
    (table::LINES_UNMATCHED, "A new version of the game, or a mod, writes lines the relay does not know."),
    (table::LAST_EVENT, "`time() - ...`: since when a server is silent."),
    (table::COMMIT_LATENCY, "A slow disk below the database."),
    (table::STORE_FILE_BYTES, "Growth of the database."),
    (table::STORE_WAL_BYTES, "A log of writes that is not given back: a reader that holds it open."),
    (table::OUTBOX_DEPTH, "How much waits for Discord."),
    (table::OUTBOX_OLDEST, "For how long it waits: the first sign of an outage."),
    (table::DEAD_LETTERS, "Notices an operator must look at: Discord will never take them."),
    (table::PARKED_CHANNELS, "Missing permissions in a channel."),
    (table::DELIVERIES, "The share of attempts that fail."),
    (table::DISCORD_REQUESTS, "Which requests are refused, limited or unanswered."),
    (table::RATE_LIMITED, "Too much chat for a channel, or for the bot (`global`)."),
    (table::RETRIES, "Messages that needed more than one attempt."),
    (table::ROWS_PER_MESSAGE, "How much folding helps when it is busy."),
    (
        table::RELAY_LATENCY,
        "The objective \"delivered within 5 s\": the bucket `le=\"5\"` against the count, by notice.",
    ),
    (table::GATEWAY_CONNECTED, "Whether slash commands and chat from Discord arrive."),
    (
        table::GATEWAY_CONNECTION_ATTEMPTS,
        "Whether the relay reconnects too often: at most one attempt a second, two a minute in a long outage.",
    ),
    (table::GATEWAY_HEARTBEAT, "The distance to Discord; look at it where `factorio_isr_gateway_connected` is 1."),
    (table::GATEWAY_RECONNECTS, "A gateway that does not hold; a few a day are usual."),
    (table::GATEWAY_EVENTS_DROPPED, "More events than the program takes: chat or commands are lost."),
    (table::GATEWAY_EVENTS_UNDECODABLE, "Discord changed its format: chat or commands of this kind are lost."),
    (table::STATUS_UPDATES, "Whether status messages and topics are kept up to date."),
    (table::SLASH_COMMANDS, "What people use, and what fails for them."),
    (table::SLASH_LATENCY, "How long people wait for an answer."),
    (table::PROMETHEUS_FILE_AGE, "A mod that no longer writes its file."),
    (table::PROMETHEUS_FILE_DROPPED, "What of a mod's file is missing here, and why."),
    (table::TRACE_SPANS, "A collector that is away or too slow (`failed`, `dropped`)."),
    (table::LOG_SUPPRESSED, "A failure that goes on and on: the log has it once, with its number."),
    (table::ALERTS_FIRING, "What is wrong with the games now."),
    (table::ALERTS, "How often each alert fires: whether its threshold is right."),
    (table::STATUS_PAGE_VIEWERS, "How many browsers hold the page open: 32 at most."),
    (table::READY, "The availability of the relay: `avg_over_time(...[1h])`; it does its work as a whole."),
    (table::TASK_RUNNING, "A task that rests after a fall."),
    (table::TASK_RESTARTS, "A task that falls again and again."),
    (table::CONFIG_RELOAD_SUCCESS, "By convention; a configuration with errors does not start at all."),
    (table::CONFIG_RELOAD_TIMESTAMP, "Since when the running configuration is in use: it is read at the start only."),
    (table::TOKIO_WORKERS, "What the busy seconds are to be divided by."),
    (table::TOKIO_TASKS, "Tasks that leak."),
    (table::TOKIO_QUEUE, "More work than threads."),
    (table::TOKIO_BUSY, "`rate()` by the workers: the load of the program's threads, 0 to 1."),
];

/// What a metric is good for; `None` where nobody wrote it down.
fn use_of(name: &str) -> Option<&'static str> {
    USES.iter().find(|(metric, _)| *metric == name).map(|(_, good_for)| *good_for)
}

/// The metrics and, behind them, what their labels may say.
fn tables() -> String {
    format!("{}\n## Labels\n\n{}", metrics_table(), labels_table())
}

fn metrics_table() -> String {
    let head = "| metric | type | labels | unit | meaning | good for |\n|---|---|---|---|---|---|\n";
    METRICS.iter().fold(head.to_owned(), |table, metric| table + &row(metric))
}

fn row(metric: &Metric) -> String {
    let Metric { name, kind, help, .. } = metric;
    let good_for = use_of(name).unwrap_or_default();
    format!("| `{name}` | {} | {} | {} | {help} | {good_for} |\n", kind.as_str(), words(metric.labels), unit(metric))
}

fn unit(metric: &Metric) -> &'static str {
    let base = metric.name.trim_end_matches("_total");
    match base {
        _ if metric.help.starts_with("1 while") || metric.help.starts_with("1 when") => "0 or 1",
        _ if base.ends_with("_timestamp_seconds") => "Unix time in seconds",
        _ if base.ends_with("_seconds") => "seconds",
        _ if base.ends_with("_bytes") => "bytes",
        _ if base.ends_with("_bytes_read") => "bytes",
        _ if base.ends_with("_info") => "always 1",
        _ => "count",
    }
}

fn words(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
}

/// One row for each label and what it may say; metrics whose words differ have rows of their own.
fn labels_table() -> String {
    let mut rows: Vec<(&str, Values, Vec<&str>)> = Vec::new();
    for metric in METRICS {
        for label in metric.labels {
            let values = labels::values(metric, label).unwrap_or_default();
            match rows.iter_mut().find(|(known, same, _)| known == label && *same == values) {
                Some((_, _, of)) => of.push(metric.name),
                None => rows.push((label, values, vec![metric.name])),
            }
        }
    }
    let head = "| label | of | values |\n|---|---|---|\n";
    rows.iter().fold(head.to_owned(), |table, (label, values, of)| {
        let of = if of.len() > 3 { format!("{} metrics", of.len()) } else { words(of) };
        table + &format!("| `{label}` | {of} | {} |\n", said(values))
    })
}

fn said(values: &Values) -> String {
    let closed = words(&values.closed);
    match (closed.is_empty(), values.named_by) {
        (false, Some(named_by)) => format!("{closed}, and {named_by}"),
        (_, named_by) => format!("{closed}{}", named_by.unwrap_or_default()),
    }
}

/// What every process tells of itself on this system, from a scrape.
fn process_table() -> String {
    let exporter = MetricsExporter::detached();
    let text = exporter.scrape(&Lifecycle::new().facts(), &HealthRegistry::new().snapshot(), String::new());
    let about = |mark: &str| -> Vec<(String, String)> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(mark)?.split_once(' '));
        let mut all: Vec<_> = lines.map(|(name, said)| (name.to_owned(), said.to_owned())).collect();
        all.retain(|(name, _)| name.starts_with("process_"));
        all.sort();
        all
    };
    let head = "| metric | type | meaning |\n|---|---|---|\n";
    about("# TYPE ")
        .iter()
        .zip(about("# HELP "))
        .fold(head.to_owned(), |table, ((name, kind), (_, help))| table + &format!("| `{name}` | {kind} | {help} |\n"))
}

#[test]
fn the_document_has_the_tables_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let document = fs::read_to_string(path).unwrap();
    let made = [("made of the code", tables()), ("made of a scrape on Linux", process_table())];
    let wanted = made.iter().fold(document.clone(), |text, (mark, table)| {
        let (before, rest) = text.split_once(&format!("<!-- {mark} -->\n")).unwrap();
        let (_, after) = rest.split_once("<!-- up to here -->").unwrap();
        format!("{before}<!-- {mark} -->\n{table}<!-- up to here -->{after}")
    });
    if document != wanted && std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, wanted).unwrap();
        return;
    }
    assert_eq!(document, wanted, "UPDATE_DOCS=1 cargo test writes it");
}

#[test]
fn every_metric_is_good_for_something() {
    let useless: Vec<_> = METRICS.iter().map(|m| m.name).filter(|name| use_of(name).is_none()).collect();
    assert!(useless.is_empty(), "say in src/telemetry/docs.rs what these are good for: {useless:?}");
    assert_eq!(USES.len(), METRICS.len(), "each once");
}
