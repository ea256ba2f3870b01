//! The interpreter's part for logs that are wrapped, or not recognised yet.

use std::borrow::Cow;

use super::super::line_format::Envelope;
use super::super::mods;
use super::super::recognition::Recognition;
use super::Interpreter;
use crate::domain::LogSource;
use crate::log_format::{clean, redact, shape};

impl Interpreter {
    /// A log of which nothing is known: its lines are relayed when it is recognised.
    pub(in crate::events) fn begin_unrecognised(&mut self) {
        self.memory.recognition = Some(Recognition::default());
    }

    /// What is known of the log's file.
    pub(in crate::events) fn recognition(&mut self) -> &mut Recognition {
        self.memory.recognition.get_or_insert_with(Recognition::of_earlier_version)
    }

    /// The server, for log messages.
    pub(in crate::events) fn tag(&self) -> &str {
        self.server.tag.as_str()
    }

    /// The log has lines of the engine, so that it is a capture of standard output if it has others, too.
    pub(in crate::events) fn holds_engine_lines(&mut self) {
        self.memory.mixed = true;
    }

    /// Whether `text` is a line of Factorio, of a known mod, or one that a user pattern picks.
    pub(in crate::events) fn knows(&self, text: &str) -> bool {
        if shape(text).is_some() || mods::printed(text).is_some() {
            return true;
        }
        let text = redact(text);
        let pattern_text = Envelope::parse(&text).pattern_text(&text);
        !self.rules.patterns.is_empty() && self.rules.patterns.find(&self.server.tag, &pattern_text).is_some()
    }

    /// The line as the game wrote it. `None` where it does not have the wrapper of the file.
    pub(super) fn game_line<'a>(&self, line: &'a str) -> Option<Cow<'a, str>> {
        let cleaned = clean(line);
        let Some(recognition) = self.memory.recognition.as_ref().filter(|known| known.wrapper.is_some()) else {
            return Some(cleaned);
        };
        let unwrapped = recognition.unwrap(&cleaned)?;
        Some(clean(&unwrapped).into_owned().into())
    }

    /// Notes which kind of line it is, until that says nothing new about the file.
    pub(super) fn note_content(&mut self, text: &str) {
        let source = self.source;
        let content = &mut self.recognition().content;
        let known = if source == LogSource::Console { content.has_console() } else { content.engine > 0 };
        if !known {
            content.add(text);
        }
    }

    /// Notes a line of a mod's log.
    pub(super) fn note_mod_line(&mut self, known: bool) {
        let recognition = self.recognition();
        recognition.proven |= known;
        if !recognition.proven {
            recognition.content.other = recognition.content.other.saturating_add(1);
        }
    }
}
