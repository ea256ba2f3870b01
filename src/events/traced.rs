//! The parsing and the commit of batches as spans, below those of their reading.

use std::time::{Duration, SystemTime};

use super::Interpretation;
use crate::domain::{LineBatch, LogItem, TraceContext};
use crate::log_format::redact;
use crate::store::{BatchTrace, IngestedBatch, StoreError};
use crate::telemetry::traces::spans::{EVENT_PARSE, OUTBOX_COMMIT};
use crate::telemetry::traces::{self, Recording};

/// Lines that are shown at most, where text may be shown.
const SHOWN_LINES: usize = 16;

/// Begins to parse what was read in `batch`; `None` where nobody traces.
pub(super) fn parsing(batch: &LineBatch) -> Option<Recording> {
    let span = Recording::begin(&EVENT_PARSE, Some(batch.trace?), SystemTime::now())?;
    span.set("server", batch.server.to_string());
    span.set("source", batch.source.as_str().to_owned());
    Some(span)
}

/// Ends the parsing. Answers where it was.
pub(super) fn parsed(span: &Recording, batch: &LineBatch, came: &Interpretation) -> TraceContext {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    span.set("lines", count(batch.items.len()));
    span.set("events", came.events.iter().map(|(_, n)| n).sum::<u64>().cast_signed());
    span.set("notices", count(came.notices.len()));
    let written = || came.notices.iter().map(|notice| notice.occurred_at);
    if let Some((first, last)) = written().min().zip(written().max()) {
        span.set("written.first", first.to_string());
        span.set("written.last", last.to_string());
    }
    if let Some(text) = traces::text("").map(|_| shown(batch)) {
        span.set_text("text", &text);
    }
    span.place()
}

fn shown(batch: &LineBatch) -> String {
    let line = |item: &LogItem| match item {
        LogItem::Line(line) => Some(redact(&line.text).into_owned()),
        LogItem::Gap(_) | LogItem::Before(_) => None,
    };
    batch.items.iter().filter_map(line).take(SHOWN_LINES).collect::<Vec<_>>().join("\n")
}

/// The commit of several batches: a span in the trace of each.
#[derive(Debug, Default)]
pub(super) struct Commits(Vec<Recording>);

impl Commits {
    /// Begins to store `batch`, which was parsed at `parsed`, and ties its rows to this.
    pub(super) fn add(&mut self, parsed: Option<TraceContext>, batch: &mut IngestedBatch, line_ends: Vec<u64>) {
        let Some(parsed) = parsed else { return };
        let Some(span) = Recording::begin(&OUTBOX_COMMIT, Some(parsed), SystemTime::now()) else { return };
        span.set("server", batch.server.to_string());
        span.set("source", batch.source.as_str().to_owned());
        span.set("rows", i64::try_from(batch.notices.len()).unwrap_or(i64::MAX));
        span.set("offset.end", batch.end.offset.cast_signed());
        let commit = span.place();
        batch.trace = Some(BatchTrace { commit, line_ends });
        for chat in &mut batch.chats {
            chat.trace = Some(commit);
        }
        self.0.push(span);
    }

    /// The one whose trace log lines name.
    pub(super) fn first(&self) -> Option<&Recording> {
        self.0.first()
    }

    /// They are stored, at this attempt, which took `took`.
    pub(super) fn done(&self, attempts: u32, took: Duration) {
        for span in &self.0 {
            span.set("attempts", i64::from(attempts));
            span.set("commit_seconds", took.as_secs_f64());
        }
    }

    /// They are not, and will be read again.
    pub(super) fn failed(&self, attempts: u32, error: &StoreError) {
        for span in &self.0 {
            span.set("attempts", i64::from(attempts));
            span.fail(error.error_type().as_str(), error);
        }
    }
}
