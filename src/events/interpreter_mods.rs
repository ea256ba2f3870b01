//! The interpreter's part for what mods tell, in logs of their own and between the lines of the others.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::super::draft::Drafts;
use super::super::memory::Thread;
use super::super::mods::{self, ModLine};
use super::super::vanilla::Event;
use super::{Interpreter, Said};
use crate::domain::{EventKind, LineBatch, LogItem, LogLine, LogSource};
use crate::log_format::{clean, redact};

/// A launch is told at once, the ones that follow within this time with the next that is told.
const BETWEEN_ROCKETS: SignedDuration = SignedDuration::from_mins(10);
/// Two equal lines about one thing are written in the same breath.
const ONE_BREATH: SignedDuration = SignedDuration::from_secs(1);
/// More surfaces than this do not evolve on any map; those beyond are told each time.
const SURFACES: usize = 64;
/// Ticks of a game at its usual speed.
const TICKS_A_SECOND: u64 = 60;

/// Lines of a mod's log tell no time, only ticks: those of a batch are counted back from its last one, which was
/// written when the file was. Time for which the game stood still meanwhile is not seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    at: Timestamp,
    tick: Option<u64>,
}

impl Anchor {
    /// The anchor of a batch of a mod's log; `None` for other logs, whose lines tell their time.
    pub(super) fn of(source: LogSource, batch: &LineBatch, now: Timestamp) -> Option<Self> {
        if !matches!(source, LogSource::Mod(_)) {
            return None;
        }
        let written = Timestamp::from_nanosecond(batch.end.seen_at.into()).ok();
        let at = written.filter(|_| batch.end.seen_at > 0).map_or(now, |written| written.min(now));
        let tick = |item: &LogItem| match item {
            LogItem::Line(line) => mods::in_file(line.text.trim()).and_then(|line| line.tick),
            LogItem::Gap(_) | LogItem::Before(_) => None,
        };
        Some(Self { at, tick: batch.items.iter().rev().find_map(tick) })
    }

    /// When a line of this tick was written; of none, or of a later save, when the file was.
    fn at(self, tick: Option<u64>) -> Timestamp {
        let before = self.tick.zip(tick).and_then(|(last, tick)| last.checked_sub(tick)).unwrap_or_default();
        let before = before.saturating_mul(1000) / TICKS_A_SECOND;
        let before = SignedDuration::from_millis(i64::try_from(before).unwrap_or(i64::MAX));
        self.at.checked_sub(before).unwrap_or(self.at)
    }
}

impl Interpreter {
    /// A line of a mod's own log. What no known mod writes is counted, and goes out by a pattern only.
    pub(super) fn line_of_mod_log(&mut self, line: &LogLine, anchor: Anchor, drafts: &mut Drafts<'_>) {
        let text = clean(&line.text);
        let text = redact(&text);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let (event, tick, said_twice) = match mods::in_file(text) {
            Some(ModLine { event, tick, said_twice }) => (event, tick, said_twice),
            None => (Event::raw(EventKind::Unmatched, text), None, false),
        };
        let at = anchor.at(tick);
        self.memory.last_seen = Some(at);
        let pattern_text = (!self.rules.patterns.is_empty()).then_some(Cow::Borrowed(text));
        let quiet = event.kind == EventKind::Unmatched;
        self.note_mod_line(!quiet || self.knows(text));
        self.tell_of_mod(Said { event, at, pattern_text, cut: line.skipped_bytes, quiet }, said_twice, drafts);
        drafts.close();
    }

    /// What a mod gave to `log()`.
    pub(super) fn script(&mut self, said: Said<'_>, said_twice: bool, drafts: &mut Drafts<'_>) {
        self.memory.mixed = true;
        self.tell_of_mod(said, said_twice, drafts);
        drafts.close();
        self.memory.thread = Thread::Silenced;
    }

    /// Tells what a mod told, once, and not more often than anybody wants to read it.
    pub(super) fn tell_of_mod(&mut self, mut said: Said<'_>, said_twice: bool, drafts: &mut Drafts<'_>) {
        if self.was_said(&said, said_twice) {
            return drafts.count(&self.rules.of(EventKind::ModOther).key);
        }
        match said.event.kind {
            EventKind::Evolution if !self.has_evolved(&said.event) => {
                if self.tell_by_pattern(&said, false, drafts).is_none() {
                    drafts.count(&self.rules.of(EventKind::Evolution).key);
                }
                return;
            }
            EventKind::RocketLaunched => self.gather_rocket(&mut said),
            _ => {}
        }
        self.tell(&said, false, drafts);
    }

    /// Whether this is the second of two equal lines about one thing.
    fn was_said(&mut self, said: &Said<'_>, said_twice: bool) -> bool {
        if !said_twice {
            return false;
        }
        let before = self.memory.said_once.take();
        let same =
            |(text, at): (String, Timestamp)| text == said.event.text && said.at.duration_since(at) <= ONE_BREATH;
        let second = before.is_some_and(same);
        self.memory.said_once = (!second).then(|| (said.event.text.clone().into_owned(), said.at));
        second
    }

    /// Whether a surface has evolved by a whole percent since that was told last. None has at first.
    fn has_evolved(&mut self, event: &Event<'_>) -> bool {
        let (Some(factor), Some(surface)) = (event.field("factor"), event.field("surface")) else { return true };
        let told = &mut self.memory.evolution;
        let evolved = told.get(surface).map_or("0.00", String::as_str) != factor;
        if evolved && (told.len() < SURFACES || told.contains_key(surface)) {
            told.insert(surface.to_owned(), factor.to_owned());
        }
        evolved
    }

    /// A launch soon after the one told last is not told, but counted with the next one.
    fn gather_rocket(&mut self, said: &mut Said<'_>) {
        let soon = |told: Timestamp| (SignedDuration::ZERO..BETWEEN_ROCKETS).contains(&said.at.duration_since(told));
        let (told, untold) = match self.memory.rockets {
            Some((told, untold)) if soon(told) => (told, untold + 1),
            _ => (said.at, 0),
        };
        said.quiet = untold > 0;
        let before = self.memory.rockets.replace((told, untold)).map_or(0, |(_, untold)| untold);
        let more = if said.quiet || before == 0 { String::new() } else { format!(" ({before} more since the last)") };
        said.event.fields.get_or_insert_default().push(("more", more.into()));
    }
}
