//! What one look at a game told.

use std::time::Duration;

use jiff::Timestamp;

use super::lua::LuaReading;
use crate::rcon::Evolution;

/// One look at a game over RCON. What a mod's file tells is a [`FileReading`](super::FileReading).
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When the game answered, or did not.
    pub at: Timestamp,
    /// What it said.
    pub outcome: Result<Reading, Absence>,
}

/// Why a look told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// There is no connection, for this reason.
    Down(String),
    /// There is one, but the game did not answer in time: it saves, or it hangs.
    Silent(String),
}

impl Absence {
    /// Whether there is a connection all the same.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Silent(_))
    }
}

/// Where a reading is from. The best that is available wins; they are in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SampleSource {
    /// A file that a mod writes, where the game cannot be asked.
    Files,
    /// The game's own commands, which keep achievements.
    Native,
    /// One silent Lua command.
    Lua,
}

impl SampleSource {
    /// As metrics and people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Native => "native",
            Self::Lua => "lua",
        }
    }
}

/// Updates of the map in a second of real time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ups {
    /// What was measured: a median over `window`, never across a gap.
    pub ups: f64,
    /// What the game aims at: 60 times its speed. Assumed to be 60 where only Lua could tell.
    pub target: f64,
    /// How much time the measurement spans.
    pub window: Duration,
    /// How far `ups` may be off, from the resolution of the source.
    pub error: f64,
}

impl Ups {
    /// What people and metrics are shown. A map never runs faster than its target, so a measurement above it that the
    /// error explains is the target. One that the error does not explain means that the target is not known, and stays.
    #[must_use]
    pub fn shown(&self) -> f64 {
        if self.ups - self.error <= self.target { self.ups.min(self.target) } else { self.ups }
    }
}

/// Whether achievements can still be had on this save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Achievements {
    /// Nothing is known against it.
    #[default]
    Possible,
    /// A Lua command has run.
    Lost {
        /// When the first one did that is known of.
        lua_at: Timestamp,
    },
}

/// What is researched.
#[derive(Debug, Clone, PartialEq)]
pub struct Research {
    /// The technology's internal name.
    pub technology: String,
    /// 0 to 1.
    pub progress: Option<f64>,
}

/// What the game said. What its source cannot tell is `None` or empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Where it is from.
    pub source: SampleSource,
    /// Who is in the game.
    pub players: Option<Vec<String>>,
    /// The age of the map.
    pub age: Option<Duration>,
    /// Measured over the last samples.
    pub ups: Option<Ups>,
    /// Whether the map stands still, because somebody paused it or nobody is there.
    pub paused: Option<bool>,
    /// By surface.
    pub evolution: Vec<Evolution>,
    /// The game's version.
    pub version: Option<String>,
    /// How many ever played here.
    pub known_players: Option<u64>,
    /// What only Lua tells.
    pub lua: Option<LuaReading>,
    /// Why the source is not Lua, where it should be.
    pub fallback: Option<String>,
    /// How long the answers took, all together.
    pub took: Duration,
    /// How long they were, all together.
    pub bytes: usize,
}

impl Reading {
    /// One of `source` that tells nothing.
    #[must_use]
    pub fn of(source: SampleSource) -> Self {
        Self {
            source,
            players: None,
            age: None,
            ups: None,
            paused: None,
            evolution: Vec::new(),
            version: None,
            known_players: None,
            lua: None,
            fallback: None,
            took: Duration::ZERO,
            bytes: 0,
        }
    }
}
