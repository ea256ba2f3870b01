//! The reading of a batch as a span.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::TailConfig;
use super::step::Piece;
use crate::domain::LogItem;
use crate::telemetry::traces::spans::LOG_READ;
use crate::telemetry::traces::{self, Recording};

/// When a reading began, and how long it had waited for room before; `None` while nobody traces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Began {
    at: SystemTime,
    waited: Duration,
}

impl Began {
    pub(super) fn now(waited: Duration) -> Option<Self> {
        traces::on().then(|| Self { at: SystemTime::now(), waited })
    }
}

/// The span of `piece`, which is about to be handed on.
pub(super) fn reading(began: Option<Began>, config: &TailConfig, piece: &Piece) -> Option<Recording> {
    let Began { at, waited } = began?;
    let span = Recording::begin(&LOG_READ, None, at)?;
    span.set("server", config.server.to_string());
    span.set("source", config.source.as_str().to_owned());
    name_file(&span, &config.path);
    span.set("file.inode", piece.end.file.inode.to_string());
    if let Ok(modified) = Timestamp::from_nanosecond(piece.end.seen_at.into()) {
        span.set("file.modified", modified.to_string());
    }
    // A batch that goes on to another file has no lines of the one before.
    let same_file = piece.start.generation == piece.end.generation;
    let begins = if same_file { piece.start.offset } else { piece.end.offset };
    span.set("offset.start", begins.cast_signed());
    span.set("offset.end", piece.end.offset.cast_signed());
    span.set("bytes", piece.end.offset.saturating_sub(begins).cast_signed());
    let lines = piece.items.iter().filter(|item| matches!(item, LogItem::Line(_))).count();
    span.set("lines", i64::try_from(lines).unwrap_or(i64::MAX));
    span.set("waited.channel_seconds", waited.as_secs_f64());
    Some(span)
}

fn name_file(span: &Recording, path: &Path) {
    span.set("log.file.path", path.display().to_string());
    if let Some(name) = path.file_name() {
        span.set("log.file.name", name.to_string_lossy().into_owned());
    }
}
