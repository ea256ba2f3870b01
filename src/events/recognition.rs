//! Whether a log is one of Factorio, and in which wrapper. Lines of a log that is not recognised yet are held back, not
//! relayed: it may be any file.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::Interpreter;
use crate::domain::{Gap, LineBatch, LogItem, LogLine, LogSource};
use crate::log_format::{
    Content, Damage, Fit, LineShape, LogRole, PROOF_EXPECTED, Runs, Wrapper, classify, clean, sample, shape,
};

/// Lines that are held back at most.
const MOST_LINES: u64 = 1_000;
/// Bytes of lines that are held back at most.
const MOST_BYTES: u64 = 1 << 20;

/// What is known about a log's file. Stored with the checkpoint, so that a restart changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Recognition {
    /// A line of Factorio, of a known mod or of a user pattern was read.
    pub(super) proven: bool,
    /// Whether the file has a wrapper is known, and does not change any more.
    pub(super) settled: bool,
    /// The wrapper of the file; while that is not settled, of the file before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wrapper: Option<Wrapper>,
    /// What was dropped since the log was last proven.
    #[serde(skip_serializing_if = "Dropped::is_nothing")]
    pub(super) dropped: Dropped,
    /// What was read of the file.
    pub(super) content: Content,
}

/// Lines that were dropped because too many were held back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Dropped {
    lines: u64,
    bytes: u64,
}

impl Dropped {
    fn is_nothing(&self) -> bool {
        self.lines == 0
    }

    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
    }

    fn gap(self) -> Gap {
        let lines = if self.lines == 1 { "1 line".to_owned() } else { format!("{} lines", self.lines) };
        let reason = format!("{lines} that came before the first recognised line of the log could not be kept");
        Gap { bytes: Some(self.bytes), reason }
    }
}

impl Recognition {
    /// What is known of a log that an earlier version read.
    pub(super) fn of_earlier_version() -> Self {
        Self { proven: true, ..Self::default() }
    }

    /// The text of the game's line in `line`, which is cleaned. `None` where the file's wrapper is not around it.
    pub(super) fn unwrap<'a>(&self, line: &'a str) -> Option<Cow<'a, str>> {
        match &self.wrapper {
            Some(wrapper) if self.settled && shape(line).is_none() => wrapper.unwrap(line),
            _ => Some(line.into()),
        }
    }

    fn begin_file(&mut self) {
        self.settled = false;
        self.content = Content::default();
    }
}

/// The batches of one log that are held back, in order.
///
/// Their lines are not committed: after a kill they are read again, so that holding loses and doubles nothing.
#[derive(Debug, Default)]
pub(super) struct Holding {
    held: VecDeque<LineBatch>,
    lines: u64,
    bytes: u64,
    /// What was dropped of the first held batch.
    dropped_in_first: Dropped,
    runs: Runs,
    /// Lines seen since the start of the program without proof.
    seen: u64,
    /// The first of them, as it may be shown.
    first: Option<String>,
    damage: Option<Damage>,
    warned: bool,
}

impl Holding {
    /// Forgets all that is held: it will be read again.
    pub(super) fn clear(&mut self) {
        *self = Self { warned: self.warned, ..Self::default() };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes the next batch of the log. Returns the batches that are to be interpreted and committed now, in order.
    pub(super) fn admit(&mut self, interpreter: &mut Interpreter, batch: LineBatch) -> Vec<LineBatch> {
        if matches!(batch.source, LogSource::Mod(_)) {
            return vec![batch];
        }
        let mut ready = Vec::new();
        if batch.start.generation != batch.end.generation {
            ready = self.leave_file(interpreter);
        }
        let recognition = interpreter.recognition();
        let recognised = recognition.proven && recognition.settled;
        if self.held.is_empty() && (recognised || !batch.items.iter().any(is_line)) {
            ready.push(batch);
            return ready;
        }
        let texts: Vec<String> = batch.items.iter().filter_map(line_of).map(|line| line.text.clone()).collect();
        self.hold(batch);
        for text in texts {
            self.look_at(interpreter, &text);
        }
        if self.is_due(interpreter) {
            ready.extend(self.release(interpreter));
        }
        ready.extend(self.drop_oldest(interpreter));
        ready
    }

    fn hold(&mut self, batch: LineBatch) {
        for line in batch.items.iter().filter_map(line_of) {
            self.lines += 1;
            self.bytes += line.text.len() as u64;
        }
        self.held.push_back(batch);
    }

    /// All is known that the held lines wait for.
    fn is_due(&self, interpreter: &mut Interpreter) -> bool {
        let recognition = interpreter.recognition();
        // What does not have the wrapper of the file before may be of another program, or this file has another one.
        let undecided = recognition.wrapper.is_some() || !self.runs.is_empty();
        recognition.proven && (recognition.settled || !undecided)
    }

    fn look_at(&mut self, interpreter: &mut Interpreter, text: &str) {
        let text = clean(text);
        if !interpreter.recognition().settled {
            self.settle(interpreter, &text);
        }
        let recognition = interpreter.recognition();
        if recognition.proven {
            return;
        }
        let proof = if recognition.settled {
            recognition.unwrap(&text).map(Cow::into_owned)
        } else {
            // What may be wrapped could match a pattern by chance.
            (classify(&text) == Fit::Other).then(|| text.clone().into_owned())
        };
        if proof.is_some_and(|text| interpreter.knows(&text)) {
            interpreter.recognition().proven = true;
        } else if !text.trim().is_empty() {
            self.seen += 1;
            if self.first.is_none() {
                self.damage = Damage::of(&text);
                self.first = Some(sample(text.trim()));
            }
        }
    }

    /// Learns from one line which wrapper the file has.
    fn settle(&mut self, interpreter: &mut Interpreter, text: &str) {
        let recognition = interpreter.recognition();
        let plain = shape(text).is_some();
        // A log that is rotated keeps its wrapper.
        let as_before = !plain && recognition.wrapper.as_ref().is_some_and(|wrapper| wrapper.unwrap(text).is_some());
        if as_before {
            recognition.settled = true;
            return;
        }
        match classify(text) {
            Fit::Plain => {
                recognition.wrapper = None;
                recognition.settled = true;
            }
            Fit::Candidate(wrapper) => {
                let Some(wrapper) = self.runs.count(wrapper) else { return };
                info!(
                    server = interpreter.tag(),
                    wrapper = wrapper.describe(),
                    "Log lines are wrapped; unwrapping them"
                );
                let recognition = interpreter.recognition();
                recognition.wrapper = Some(wrapper);
                recognition.settled = true;
                self.prove_again(interpreter);
            }
            Fit::Unclear => {}
            Fit::Other => self.runs.clear(),
        }
    }

    /// The held lines may prove the log now that their wrapper is known.
    fn prove_again(&self, interpreter: &mut Interpreter) {
        let lines = self.held.iter().flat_map(|batch| batch.items.iter().filter_map(line_of));
        for line in lines {
            let text = clean(&line.text);
            let text = interpreter.recognition().unwrap(&text).map(Cow::into_owned);
            if text.is_some_and(|text| interpreter.knows(&text)) {
                interpreter.recognition().proven = true;
                return;
            }
        }
    }

    fn release(&mut self, interpreter: &mut Interpreter) -> Vec<LineBatch> {
        let recognition = interpreter.recognition().clone();
        let of_engine = |line: &LogLine| {
            let text = clean(&line.text);
            recognition.unwrap(&text).is_some_and(|text| shape(&text) == Some(LineShape::Engine))
        };
        // The head of a capture of standard output has lines of the entrypoint, which are not of the game.
        if self.held.iter().flat_map(|batch| &batch.items).filter_map(line_of).any(of_engine) {
            interpreter.holds_engine_lines();
        }
        let mut released: Vec<LineBatch> = std::mem::take(&mut self.held).into();
        let mut dropped = std::mem::take(&mut interpreter.recognition().dropped);
        dropped.add(std::mem::take(&mut self.dropped_in_first));
        // Only the last one was read just now.
        for batch in released.iter_mut().rev().skip(1) {
            batch.live = false;
        }
        if let Some(first) = released.first_mut().filter(|_| !dropped.is_nothing()) {
            first.items.insert(0, LogItem::Gap(dropped.gap()));
        }
        self.clear();
        released
    }

    /// Another file begins. Lines of the former one that were never recognised are of no log.
    fn leave_file(&mut self, interpreter: &mut Interpreter) -> Vec<LineBatch> {
        let left = if self.held.is_empty() {
            Vec::new()
        } else if interpreter.recognition().proven {
            self.release(interpreter)
        } else {
            let lost = Dropped { lines: self.lines, bytes: self.bytes };
            self.dropped_in_first.add(lost);
            interpreter.recognition().dropped.add(self.dropped_in_first);
            let mut left: Vec<LineBatch> = std::mem::take(&mut self.held).into();
            for batch in &mut left {
                batch.items.clear();
            }
            self.clear();
            left
        };
        interpreter.recognition().begin_file();
        left
    }

    /// Drops what is too much, oldest first. Returns the batches of which nothing is left, for their checkpoints.
    fn drop_oldest(&mut self, interpreter: &mut Interpreter) -> Vec<LineBatch> {
        let mut ready = Vec::new();
        while self.lines > MOST_LINES || self.bytes > MOST_BYTES {
            if interpreter.recognition().proven {
                // A wrapper that three lines in a row do not have in all this is none, but that of the file before may
                // still come.
                interpreter.recognition().settled = true;
                ready.extend(self.release(interpreter));
                return ready;
            }
            let Some(first) = self.held.front_mut() else { return ready };
            let mut items = 0;
            for item in &first.items {
                if self.lines <= MOST_LINES && self.bytes <= MOST_BYTES {
                    break;
                }
                items += 1;
                if let Some(line) = line_of(item) {
                    let bytes = line.text.len() as u64;
                    self.lines -= 1;
                    self.bytes -= bytes;
                    self.dropped_in_first.add(Dropped { lines: 1, bytes });
                }
            }
            first.items.drain(..items);
            if first.items.is_empty() {
                interpreter.recognition().dropped.add(std::mem::take(&mut self.dropped_in_first));
                ready.extend(self.held.pop_front());
            }
            if !std::mem::replace(&mut self.warned, true) {
                warn!(
                    server = interpreter.tag(),
                    lines = MOST_LINES,
                    "Too many lines of a log that is not recognised; dropping the oldest"
                );
            }
        }
        ready
    }

    /// Why the log is not relayed, and what to do; `None` while that is in order.
    pub(super) fn problem(&self, recognition: &Recognition, role: LogRole) -> Option<String> {
        if recognition.proven {
            return None;
        }
        if let Some(damage) = self.damage {
            return Some(format!("nothing of it is relayed: {}", damage.text()));
        }
        let unknown = if role == LogRole::Mod { u64::from(recognition.content.other) } else { self.seen };
        if unknown < PROOF_EXPECTED {
            return None;
        }
        let first = self.first.as_deref().map(|first| format!("; the first is `{first}`")).unwrap_or_default();
        let wrapped = recognition.wrapper.as_ref().filter(|_| recognition.settled);
        let wrapped = wrapped.map(|wrapper| format!(" (in {})", wrapper.describe())).unwrap_or_default();
        Some(format!(
            "nothing of it is relayed: none of its first {unknown} lines{wrapped} is a line of Factorio{first}. {}",
            role.remedy()
        ))
    }
}

fn line_of(item: &LogItem) -> Option<&LogLine> {
    match item {
        LogItem::Line(line) => Some(line),
        LogItem::Gap(_) | LogItem::Before(_) => None,
    }
}

fn is_line(item: &LogItem) -> bool {
    line_of(item).is_some()
}

#[cfg(test)]
#[path = "recognition_tests.rs"]
mod tests;
