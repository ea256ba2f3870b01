//! Whom the page asks.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::ServerTag;
use crate::health::{HealthRegistry, Lifecycle};
use crate::telemetry::{Pulse, RecentErrors};

/// What the page is made of.
#[derive(Debug, Clone)]
pub struct PageSources {
    /// How far the process is.
    pub lifecycle: Lifecycle,
    /// How the components are.
    pub health: HealthRegistry,
    /// The configured servers.
    pub servers: Vec<ShownServer>,
    /// Who knows the games.
    pub games: Arc<dyn Games>,
    /// How much the relay does.
    pub pulse: Pulse,
    /// What failed lately.
    pub errors: RecentErrors,
    /// Whether there is a `/metrics` to link to.
    pub metrics: bool,
}

/// A server as the page names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownServer {
    /// Its tag.
    pub tag: ServerTag,
    /// What people call it.
    pub name: String,
}

/// Somebody who knows how the games are.
pub trait Games: fmt::Debug + Send + Sync {
    /// How the game of a server is; `None` where nobody looks.
    fn facts(&self, server: &ServerTag) -> Option<GameFacts>;
}

/// What the page tells of a game.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GameFacts {
    /// Whether it can be asked.
    pub link: GameAnswers,
    /// How many are in the game.
    pub players: Option<usize>,
    /// Who they are; empty unless the operator lets names be shown.
    pub names: Vec<String>,
    /// Updates a second, measured and aimed at.
    pub ups: Option<(f64, f64)>,
    /// Whether the map stands still.
    pub paused: bool,
    /// The game's version.
    pub version: Option<String>,
    /// Where the numbers are from: `native`, `lua` or `files`.
    pub source: Option<&'static str>,
    /// Whether a mod's file tells how the game is, which cannot be asked.
    pub by_files: bool,
    /// When they are from.
    pub sampled_at: Option<Timestamp>,
    /// The alerts that fire.
    pub alerts: Vec<ShownAlert>,
}

/// An alert that fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownAlert {
    /// What people call it.
    pub title: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// How many players or surfaces it fires for.
    pub subjects: usize,
}

/// Whether a game can be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GameAnswers {
    /// It was not asked yet.
    #[default]
    NotYet,
    /// It has no RCON: only its log tells.
    Never,
    /// It answers.
    Yes,
    /// It is connected, but did not answer the last time.
    NotNow,
    /// It cannot be reached.
    No,
}
