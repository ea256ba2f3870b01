//! What an operator is told about the reading of one log: health, metrics, journal.

use std::io::{self, ErrorKind};

use metrics::{Counter, Gauge, counter, gauge};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::step::{Again, Happening, Piece, Standing, Step};
use super::{HANGING, TailConfig};
use crate::domain::{Gap, LogItem, LogSource};
use crate::health::{Component, ComponentHandle};
use crate::telemetry::metrics::{
    BYTES_READ, ErrorType, LINES_READ, LOG_GAPS, LOG_ROTATIONS, OVERSIZE_LINES, TAIL_LAG_BYTES, TAIL_LAG_SECONDS,
    count_error,
};

/// Reports for one log.
pub(super) struct Report {
    server: String,
    source: LogSource,
    path: String,
    health: ComponentHandle,
    lines: Counter,
    bytes: Counter,
    oversize: Counter,
    gaps: Counter,
    rotations: Counter,
    lag_bytes: Gauge,
    lag_seconds: Gauge,
    at_end: Instant,
    oversize_said: bool,
    /// The trouble that was said last, so that it is said once.
    trouble: Option<String>,
}

impl Report {
    pub(super) fn new(config: &TailConfig, health: ComponentHandle) -> Self {
        let labels = [("server", config.server.to_string()), ("source", config.source.as_str().to_owned())];
        Self {
            server: config.server.to_string(),
            source: config.source,
            path: config.path.display().to_string(),
            health,
            lines: counter!(LINES_READ, &labels),
            bytes: counter!(BYTES_READ, &labels),
            oversize: counter!(OVERSIZE_LINES, &labels),
            gaps: counter!(LOG_GAPS, &labels),
            rotations: counter!(LOG_ROTATIONS, &labels),
            lag_bytes: gauge!(TAIL_LAG_BYTES, &labels),
            lag_seconds: gauge!(TAIL_LAG_SECONDS, &labels),
            at_end: Instant::now(),
            oversize_said: false,
            trouble: None,
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        step.happened.iter().for_each(|happening| self.happening(happening));
        if let Some(piece) = &step.piece {
            self.piece(piece);
        }
        self.standing(step.standing);
        self.lag_bytes.set(step.unread_bytes as f64);
        // A log that is not there has not been read to its end.
        if step.again == Again::Later && step.standing != Standing::Missing {
            self.at_end = Instant::now();
        }
        self.lag_seconds();
    }

    /// Tells since when the end of the log was not reached.
    pub(super) fn lag_seconds(&self) {
        self.lag_seconds.set(self.at_end.elapsed().as_secs_f64());
    }

    pub(super) fn unreadable(&mut self, error: &io::Error) {
        self.lag_seconds();
        let advice = match error.kind() {
            ErrorKind::PermissionDenied => "; let the relay's user read it",
            _ => "",
        };
        self.trouble(format!("{} cannot be read: {error}{advice}", self.path), Some(ErrorType::Io));
    }

    pub(super) fn hanging(&mut self) {
        self.lag_seconds();
        let seconds = HANGING.as_secs();
        let reason = format!("{} cannot be read: its file system has not answered for {seconds} s", self.path);
        self.trouble(reason, Some(ErrorType::Io));
    }

    fn standing(&mut self, standing: Standing) {
        match standing {
            Standing::Following => {
                if self.trouble.take().is_some() {
                    info!(server = self.server, path = self.path, "The log is followed again");
                }
                self.health.healthy();
            }
            Standing::Orphaned => {
                self.trouble = None;
                self.health.degraded(format!(
                    "{} is gone; the file that was there is read until a new one appears",
                    self.path
                ));
            }
            Standing::Missing if matches!(self.source, LogSource::Mod(_)) => self.not_yet_written(),
            Standing::Missing => {
                let advice = match self.source {
                    LogSource::Console => format!("start the server with --console-log {}", self.path),
                    _ => "start the server, or correct engine_log".to_owned(),
                };
                self.trouble(format!("{} does not exist: {advice}", self.path), None);
            }
        }
    }

    /// A mod makes its file when there is something to tell, which may be in an hour: no reason to be unready.
    fn not_yet_written(&mut self) {
        let reason = format!("{} is not there yet; it is read as soon as a mod writes it", self.path);
        self.health.degraded(reason.clone());
        self.at_end = Instant::now();
        if self.trouble.as_ref() != Some(&reason) {
            info!(server = self.server, source = self.source.as_str(), reason, "The log is not read yet");
            self.trouble = Some(reason);
        }
    }

    fn trouble(&mut self, reason: String, kind: Option<ErrorType>) {
        self.health.unhealthy(reason.clone());
        if self.trouble.as_ref() != Some(&reason) {
            if let Some(kind) = kind {
                count_error(Component::LogTailer.as_str(), kind);
            }
            warn!(server = self.server, source = self.source.as_str(), reason, "The log is not read");
            self.trouble = Some(reason);
        }
    }

    fn happening(&self, happening: &Happening) {
        let (server, source) = (&self.server, self.source.as_str());
        match happening {
            Happening::Opened { path, offset } => {
                info!(server, source, path = %path.display(), offset, "Log opened");
            }
            Happening::Rotated { from, to } => {
                info!(server, source, from = %from.display(), to = %to.display(), "Log rotated, the old file is read");
            }
            Happening::Truncated { path, copy } => {
                let copy = copy.as_ref().map(|copy| copy.display().to_string());
                info!(server, source, path = %path.display(), copy, "Log truncated");
            }
            Happening::Moved { to } => info!(server, source, to = %to.display(), "Log moved"),
        }
    }

    fn piece(&mut self, piece: &Piece) {
        let same_life = piece.start.generation == piece.end.generation;
        if same_life {
            self.bytes.increment(piece.end.offset.saturating_sub(piece.start.offset));
        }
        if !same_life && piece.start.generation > 0 {
            self.rotations.increment(1);
        }
        for item in &piece.items {
            match item {
                LogItem::Gap(gap) => self.gap(gap),
                LogItem::Before(_) => {}
                LogItem::Line(line) => {
                    self.lines.increment(1);
                    if line.skipped_bytes > 0 {
                        self.oversize(line.skipped_bytes);
                    }
                }
            }
        }
    }

    fn oversize(&mut self, skipped_bytes: u64) {
        self.oversize.increment(1);
        if !std::mem::replace(&mut self.oversize_said, true) {
            warn!(
                server = self.server,
                path = self.path,
                skipped_bytes,
                "A line is longer than 64 KiB, its rest is skipped; further ones are only counted"
            );
        }
    }

    fn gap(&self, gap: &Gap) {
        self.gaps.increment(1);
        let (server, path, reason) = (&self.server, &self.path, &gap.reason);
        if let Some(bytes) = gap.bytes {
            error!(server, path, bytes, reason, "Bytes of the log are lost");
        } else {
            warn!(server, path, reason, "Lines of the log may be lost");
        }
    }
}
