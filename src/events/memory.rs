//! What the interpreter of a log has to know of the lines before. It is stored with the checkpoint, so that a
//! restart changes nothing about how the next line is read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{ChannelId, Lane};

/// Beyond so many players, or a name so long, the interpreter no longer claims to know who joined.
const MAX_PLAYERS: usize = 256;
const MAX_NAME: usize = 100;

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
    /// Who joined since the run began. `None`: its beginning was not seen, or there were too many.
    pub(super) joined: Option<Vec<String>>,
}

/// What a bare line is joined to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub(super) enum Thread {
    /// Nothing: it stands for itself.
    #[default]
    None,
    /// A line that was not relayed.
    Silenced,
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
    },
}

impl Thread {
    /// Whether the last line was relayed as `key`.
    pub(super) fn is(&self, key: &str) -> bool {
        matches!(self, Self::Relayed { event, .. } if event == key)
    }
}

impl Memory {
    /// Reads what [`Memory::to_json`] wrote. Anything else is a fresh memory: at worst, one line reads differently.
    pub(super) fn from_json(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data without maps becomes JSON")
    }

    /// A run begins: nobody has joined yet.
    pub(super) fn begin_run(&mut self) {
        self.joined = Some(Vec::new());
    }

    /// Lines were lost: what was known of the run is no longer sure.
    pub(super) fn forget_run(&mut self) {
        *self = Self { mixed: self.mixed, last_seen: self.last_seen, ..Self::default() };
    }

    pub(super) fn note_join(&mut self, player: &str) {
        let Some(joined) = &mut self.joined else { return };
        if joined.iter().any(|known| known == player) {
            return;
        }
        if joined.len() < MAX_PLAYERS && player.len() <= MAX_NAME {
            joined.push(player.to_owned());
        } else {
            self.joined = None;
        }
    }

    /// Whether `player` surely has not joined in this run: a map saved with players on it says on loading that they
    /// leave.
    pub(super) fn never_joined(&self, player: &str) -> bool {
        self.joined.as_ref().is_some_and(|joined| !joined.iter().any(|known| known == player))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_or_foreign_state_is_a_fresh_one() {
        for json in ["", "{", "[]", "null", "7", r#"{"log_open":"yes"}"#, r#"{"thread":{"fate":"unheard of"}}"#] {
            assert_eq!(Memory::from_json(json), Memory::default(), "{json}");
        }
        assert!(Memory::from_json(r#"{"log_open":true,"from":"the future"}"#).log_open);
    }

    #[test]
    fn whoever_may_have_joined_is_not_called_a_ghost() {
        let mut memory = Memory::default();
        assert!(!memory.never_joined("Bob"), "the run's beginning was not seen");
        memory.begin_run();
        assert!(memory.never_joined("Bob"));
        memory.note_join("Bob");
        assert!(!memory.never_joined("Bob"));
        (0..=MAX_PLAYERS).for_each(|n| memory.note_join(&n.to_string()));
        assert!(!memory.never_joined("Ann"), "too many to know");
        memory.begin_run();
        memory.forget_run();
        assert!(!memory.never_joined("Ann"), "lines were lost");
    }

    #[test]
    fn the_state_stays_small() {
        let mut memory = Memory::default();
        memory.begin_run();
        (0..10_000).for_each(|n| memory.note_join(&format!("{n:0100}")));
        assert!(memory.to_json().len() < 30_000);
    }
}
