//! A flood as one file: what it takes, what is said beside it, and its bytes.

use jiff::{SignedDuration, Timestamp};

use super::plan::{Draft, Rules};
use crate::domain::{Lane, Mentions};
use crate::store::OutboxRow;

/// Bytes of one file. Discord takes 10 MiB; the rest is air for what surrounds it in the request.
pub(crate) const MAX_FILE_BYTES: usize = 8 << 20;

/// Why rows go as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// They are old.
    Digest,
    /// They are many.
    Backlog,
}

/// Rows on their way into one file. Holds counts, not texts.
#[derive(Debug)]
pub(crate) struct FileDraft {
    kind: FileKind,
    rules: Rules,
    bytes: usize,
    rows: usize,
    limit: u32,
    span: Option<(Timestamp, Timestamp)>,
    last_row: i64,
    server: Option<String>,
}

impl FileDraft {
    /// An empty one.
    pub(crate) fn new(kind: FileKind, rules: Rules) -> Self {
        Self { kind, rules, bytes: 0, rows: 0, limit: u32::MAX, span: None, last_row: 0, server: None }
    }

    /// The lane the rows are of.
    pub(crate) fn lane(&self) -> Lane {
        self.rules.lane
    }

    /// Takes the row in, or says that the file ends before it. The first row is always taken.
    pub(crate) fn take(&mut self, row: &OutboxRow) -> bool {
        let limit = self.limit.min(row.group_limit.unwrap_or(u32::MAX));
        let fits = self.bytes + row.plain.len() < MAX_FILE_BYTES
            && self.rows < limit as usize
            && (self.kind == FileKind::Backlog || self.rules.is_stale(row));
        if self.rows > 0 && !fits {
            return false;
        }
        self.limit = limit;
        self.bytes += row.plain.len() + 1;
        self.rows += 1;
        self.last_row = row.id;
        let (from, to) = self.span.unwrap_or((row.occurred_at, row.occurred_at));
        self.span = Some((from.min(row.occurred_at), to.max(row.occurred_at)));
        match &self.server {
            None => self.server = Some(row.server.clone()),
            Some(server) if *server != row.server => self.server = Some("servers".to_owned()),
            Some(_) => {}
        }
        true
    }

    /// The message beside the file. `None` when no row was taken.
    pub(crate) fn finish(self) -> Option<Draft> {
        let (from, to) = self.span?;
        let span = match self.rows {
            1 => format!("1 line of {}", self.clock_time(from)),
            rows => format!("{} lines from {} to {}", grouped(rows), self.clock_time(from), self.clock_time(to)),
        };
        let content = match self.kind {
            FileKind::Digest => format!("🕰️ {span}, too late to post one by one, attached"),
            FileKind::Backlog => format!("📜 {span}, attached"),
        };
        let filename = filename(self.server.as_deref().unwrap_or("servers"), from);
        Some(Draft {
            content,
            filename: Some(filename),
            mentions: Mentions::default(),
            rows: self.rows,
            last_row: self.last_row,
            edits: None,
        })
    }

    /// Discord shows it in the reader's own time zone; with the date where the time alone could mislead.
    fn clock_time(&self, time: Timestamp) -> String {
        let recent = self.rules.now.duration_since(time).abs() < SignedDuration::from_hours(12);
        format!("<t:{}:{}>", time.as_second(), if recent { "t" } else { "f" })
    }
}

/// As `prod-2026-11-23.txt`, the date in UTC.
pub(crate) fn filename(server: &str, from: Timestamp) -> String {
    format!("{server}-{}.txt", from.strftime("%F"))
}

/// Puts a line into a file. One that alone is larger than a file is cut.
pub(crate) fn append_line(file: &mut Vec<u8>, line: &str) {
    let room = MAX_FILE_BYTES.saturating_sub(file.len() + 1);
    file.extend_from_slice(&line.as_bytes()[..line.floor_char_boundary(room)]);
    file.push(b'\n');
}

/// As `1,234`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
