//! What the interpreter of a log has to know of the lines before. It is stored with the checkpoint, so that a
//! restart changes nothing about how the next line is read.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::markup;
use super::recognition::Recognition;
use super::run::Run;
use crate::domain::{ChannelId, Lane, Words};

/// Small, and written as JSON. Absent keys have their default, so that a later version may add some.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// When the engine's seconds were zero, in Unix milliseconds; known from the header line of a run.
    pub(super) engine_zero: Option<i64>,
    /// The console log was opened and not closed since.
    pub(super) log_open: bool,
    /// The log holds lines of the engine and of the console: it is a capture of standard output. There, a bare line
    /// behind a chat line is something a mod printed and not part of the chat.
    pub(super) mixed: bool,
    /// The time of the last line that had one.
    pub(super) last_seen: Option<Timestamp>,
    /// What became of the last line, and so becomes of its continuation.
    pub(super) thread: Thread,
    /// A run began and nobody has joined yet: whoever leaves now was only on the map when it was saved.
    pub(super) loading: bool,
    /// What was said of late, and in which second, to know it again when another relay says it once more.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub(super) said: VecDeque<(String, i64)>,
    /// The last line of a mod that it says twice, and when.
    pub(super) said_once: Option<(String, Timestamp)>,
    /// When a launch was last told, and how many were not since.
    pub(super) rockets: Option<(Timestamp, u64)>,
    /// The evolution last told, by surface, as it was written.
    pub(super) evolution: BTreeMap<String, String>,
    /// Whether the log is one of Factorio, and in which wrapper. Absent in what earlier versions stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recognition: Option<Recognition>,
    /// The engine's current run.
    pub(super) run: Run,
    /// Lua commands.
    pub(super) commands: Commands,
}

/// Lua commands that were shown or not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Commands {
    /// Commands of the server itself: when each was last shown, and how many like it were not since.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) shown: BTreeMap<String, (Timestamp, u64)>,
    /// Commands of the server that were not shown because there were too many different ones.
    pub(super) hidden: u64,
    /// The last warning was about the relay's own command.
    pub(super) own_warning: bool,
}

/// How long what was said is known again.
const ECHO_SECONDS: i64 = 60;
/// The most lines that are.
const ECHO_LINES: usize = 32;
/// Characters of each: more than the words it is known by.
const ECHO_CHARS: usize = 160;

/// What a bare line is joined to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub(super) enum Thread {
    /// Nothing: it stands for itself.
    #[default]
    None,
    /// A line that was not relayed.
    Silenced,
    /// An error that an alert tells: the bare lines behind it are part of what happened.
    Alerted {
        /// The event's key.
        event: String,
    },
    /// A line that went to this channel.
    Relayed {
        /// The channel.
        channel: ChannelId,
        /// The lane.
        lane: Lane,
        /// The event's key.
        event: String,
        /// Only the first lines are shown: it is the trace of an engine's error.
        capped: bool,
        /// The line begins with the server's name.
        #[serde(default)]
        prefixed: bool,
    },
}

impl Thread {
    /// Whether the last line was relayed as `key`.
    pub(super) fn is(&self, key: &str) -> bool {
        matches!(self, Self::Relayed { event, .. } | Self::Alerted { event } if event == key)
    }
}

impl Memory {
    /// Reads what [`Memory::to_json`] wrote. Anything else is a fresh memory: at worst, one line reads differently.
    pub(super) fn from_json(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data with words for keys becomes JSON")
    }

    /// Notes what was said, with who said it; the server has no name here.
    pub(super) fn note_said(&mut self, player: Option<&str>, message: &str, at: Timestamp) {
        let beginning = message.char_indices().nth(ECHO_CHARS).map_or(message, |(end, _)| &message[..end]);
        let line = player.map_or_else(|| beginning.to_owned(), |player| [player, ": ", beginning].concat());
        if self.said.len() >= ECHO_LINES {
            self.said.pop_front();
        }
        self.said.push_back((line, at.as_second()));
    }

    /// Whether `message` says once more what was said of late, with a name in front.
    pub(super) fn was_said(&self, message: &str, at: Timestamp) -> bool {
        let (words, second) = (Words::of(&markup::to_plain(message)), at.as_second());
        let recent = self.said.iter().filter(|(_, then)| (second - then).abs() < ECHO_SECONDS);
        let mut keys = recent.filter_map(|(line, _)| Words::key(&markup::to_plain(line)));
        keys.any(|key| words.repeat(&key))
    }

    /// Lines were lost: what was known of the run is no longer sure.
    pub(super) fn forget_run(&mut self) {
        let recognition = self.recognition.take();
        *self = Self { mixed: self.mixed, last_seen: self.last_seen, recognition, ..Self::default() };
    }
}

/// Rids what [`Memory::to_json`] wrote of all that `named` says yes to, as for [`crate::store::Store::forget_player`].
/// `None` where there is nothing.
pub fn unname_parser(stored: &str, named: &dyn Fn(&str) -> bool) -> Option<String> {
    let Ok(mut memory) = serde_json::from_str::<Memory>(stored) else { return named(stored).then(String::new) };
    let before = memory.clone();
    memory.said.retain(|(line, _)| !named(line));
    memory.said_once = memory.said_once.filter(|(line, _)| !named(line));
    memory.commands.shown.retain(|command, _| !named(command));
    memory.run.unname(named);
    (memory != before).then(|| memory.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_said_is_forgotten_and_nothing_else() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let mut memory = Memory { log_open: true, said_once: Some(("Bob died".to_owned(), at)), ..Memory::default() };
        memory.note_said(Some("Ann"), "hello", at);
        let without = Memory { said_once: None, ..memory.clone() };
        memory.note_said(Some("Bob"), "hello", at);
        let unnamed = unname_parser(&memory.to_json(), &|text| text.contains("Bob"));
        assert_eq!(unnamed.as_deref().map(Memory::from_json), Some(without.clone()));
        assert_eq!(unname_parser(&without.to_json(), &|text| text.contains("Bob")), None);
        assert_eq!(unname_parser("no JSON, by Bob", &|text| text.contains("Bob")).as_deref(), Some(""));
    }

    #[test]
    fn a_broken_or_foreign_state_is_a_fresh_one() {
        for json in ["", "{", "[]", "null", "7", r#"{"log_open":"yes"}"#, r#"{"thread":{"fate":"unheard of"}}"#] {
            assert_eq!(Memory::from_json(json), Memory::default(), "{json}");
        }
        assert!(Memory::from_json(r#"{"log_open":true,"from":"the future"}"#).log_open);
    }
}
