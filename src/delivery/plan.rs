//! What the next message of a lane is. Pure: the same rows at the same time make the same message.

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::cut::cut;
use super::file::filename;
use crate::domain::{Lane, Mentions, blueprint};
use crate::store::OutboxRow;

/// Discord's limit of a message's text, in Unicode code points.
pub(crate) const MAX_CHARS: usize = 2000;

/// Discord's limit of the users, and of the roles, that a message may ping.
const MAX_MENTIONS: usize = 100;

/// How much of a row that is longer than a message is shown; the rest of [`MAX_CHARS`] is for the note behind it.
const SHOWN_CHARS: usize = 1900;

/// What decides how rows go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Of which lane the rows are.
    pub lane: Lane,
    /// The time.
    pub now: Timestamp,
    /// Rows that happened earlier before `now` go as a digest.
    pub max_replay_age: Duration,
    /// A backlog that would need more messages goes as a file.
    pub max_backlog_messages: usize,
}

impl Rules {
    /// Whether it happened too long ago to be said as if it were now.
    pub(crate) fn is_stale(&self, row: &OutboxRow) -> bool {
        let age = self.now.duration_since(row.occurred_at);
        Duration::try_from(age).is_ok_and(|age| age > self.max_replay_age)
    }

    /// Alerts are said whatever their age.
    fn goes_as_digest(&self, row: &OutboxRow) -> bool {
        self.lane == Lane::Chat && !goes_alone(row) && self.is_stale(row)
    }
}

/// A message to be: the first `rows` rows, up to and with `last_row`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Its text.
    pub content: String,
    /// Set where the rows' plain text goes along.
    pub filename: Option<String>,
    /// Whom it may ping.
    pub mentions: Mentions,
    /// How many rows.
    pub rows: usize,
    /// The last one's id.
    pub last_row: i64,
    /// The notice whose message it replaces the text of.
    pub edits: Option<i64>,
}

/// How the next rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// As this message.
    Message(Draft),
    /// As one file of the old rows at the head.
    Digest,
    /// As one file of as much as fits.
    Backlog,
}

/// What to do with `rows`, the head of the lane. `None` when there are none.
pub(crate) fn plan(rows: &[OutboxRow], rules: &Rules) -> Option<Plan> {
    let (first, mut taken) = segment(rows, rules)?;
    if rows.first().is_some_and(goes_alone) {
        return Some(first);
    }
    let mut messages = 1;
    while messages <= rules.max_backlog_messages.max(1) {
        let Some((_, more)) = segment(&rows[taken..], rules) else { return Some(first) };
        taken += more;
        messages += 1;
    }
    Some(Plan::Backlog)
}

/// What goes as one message, and how many rows it takes.
fn segment(rows: &[OutboxRow], rules: &Rules) -> Option<(Plan, usize)> {
    if rules.goes_as_digest(rows.first()?) {
        let stale = rows.iter().take_while(|row| rules.goes_as_digest(row)).count();
        return Some((Plan::Digest, stale));
    }
    let draft = fold(rows, rules)?;
    let taken = draft.rows;
    Some((Plan::Message(draft), taken))
}

/// A row that was refused in company, down to the last split.
fn goes_alone(row: &OutboxRow) -> bool {
    row.group_limit == Some(1)
}

fn fold(rows: &[OutboxRow], rules: &Rules) -> Option<Draft> {
    let mut folding = Folding::default();
    let mut limit = u32::MAX;
    for row in rows {
        if brings_file(row) {
            if folding.rows == 0 {
                return Some(with_file(row, rules));
            }
            break;
        }
        limit = limit.min(row.group_limit.unwrap_or(u32::MAX));
        if folding.rows >= limit as usize || rules.goes_as_digest(row) || !folding.push(row, said(row, rules)) {
            break;
        }
    }
    match rows.get(folding.rows.checked_sub(1)?) {
        Some(last) if folding.chars <= MAX_CHARS => Some(Draft { edits: last.edits, ..folding.into_draft(last.id) }),
        _ => rows.first().map(|row| excerpt(row, rules)),
    }
}

/// The row's text. One that is late says when it was.
fn said(row: &OutboxRow, rules: &Rules) -> String {
    if rules.is_stale(row) {
        return format!("{} (<t:{}:R>)", row.content, row.occurred_at.as_second());
    }
    row.content.clone()
}

/// Lines put together, repeats counted.
#[derive(Debug, Default)]
struct Folding<'a> {
    text: String,
    chars: usize,
    rows: usize,
    /// The last line, how often it was said, and the text before its count.
    last: Option<(&'a OutboxRow, String)>,
    repeats: usize,
    mentions: Mentions,
}

impl<'a> Folding<'a> {
    /// Takes the row in if there is room. The first row is always taken.
    fn push(&mut self, row: &'a OutboxRow, line: String) -> bool {
        let same =
            |(last, text): &(&OutboxRow, String)| last.server == row.server && last.event == row.event && *text == line;
        let repeats = if self.last.as_ref().is_some_and(same) { self.repeats + 1 } else { 1 };
        let more = if repeats > 1 {
            count_mark(repeats).chars().count() - count_mark(repeats - 1).chars().count()
        } else {
            line.chars().count() + usize::from(self.rows > 0)
        };
        let mentions = self.mentions.union(&row.mentions);
        let room = self.chars + more <= MAX_CHARS && mentions.users.len().max(mentions.roles.len()) <= MAX_MENTIONS;
        if self.rows > 0 && !room {
            return false;
        }
        self.mentions = mentions;
        if repeats == 1 {
            self.end_line();
            self.last = Some((row, line));
        }
        self.repeats = repeats;
        self.chars += more;
        self.rows += 1;
        true
    }

    fn end_line(&mut self) {
        let Some((_, line)) = self.last.take() else { return };
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&line);
        self.text.push_str(&count_mark(self.repeats));
    }

    fn into_draft(mut self, last_row: i64) -> Draft {
        self.end_line();
        Draft { content: self.text, filename: None, mentions: self.mentions, rows: self.rows, last_row, edits: None }
    }
}

fn count_mark(repeats: usize) -> String {
    if repeats > 1 { format!(" ×{repeats}") } else { String::new() }
}

/// Whether the row's plain text goes along as a file: it has a blueprint, which the message only names.
fn brings_file(row: &OutboxRow) -> bool {
    row.edits.is_none() && row.content.chars().count() <= SHOWN_CHARS && blueprint::find(&row.plain).next().is_some()
}

fn with_file(row: &OutboxRow, rules: &Rules) -> Draft {
    Draft {
        content: said(row, rules),
        filename: Some(filename(&row.server, row.occurred_at)),
        mentions: row.mentions.clone(),
        rows: 1,
        last_row: row.id,
        edits: None,
    }
}

/// The beginning of a row that is longer than a message; the whole of it goes along as a file, but with an edit, which
/// brings no file to a message.
fn excerpt(row: &OutboxRow, rules: &Rules) -> Draft {
    let mut content = cut(&row.content, SHOWN_CHARS).to_owned();
    content.push('…');
    if content.matches("```").count() % 2 == 1 {
        content.push_str("\n```");
    }
    if row.edits.is_none() {
        content.push_str(" (the whole text is attached)");
    }
    if rules.is_stale(row) {
        // Writing to a String cannot fail.
        let _infallible = write!(content, " (<t:{}:R>)", row.occurred_at.as_second());
    }
    let filename = row.edits.is_none().then(|| filename(&row.server, row.occurred_at));
    Draft { content, filename, mentions: row.mentions.clone(), rows: 1, last_row: row.id, edits: row.edits }
}
