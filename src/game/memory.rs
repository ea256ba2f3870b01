//! What a sampler knows from before.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::sample::SampleSource;
use super::ups::UpsMeter;
use crate::domain::ServerTag;
use crate::rcon::{Evolution, Reply};

/// How often is asked what changes slowly.
const SLOWLY: Duration = Duration::from_mins(5);

/// How long Lua is left alone after it failed.
const LUA_RESTS: Duration = Duration::from_mins(10);

/// What a sampler knows from before.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) meter: UpsMeter,
    /// Asked for once a connection.
    pub(super) version: Option<String>,
    slow: Option<Slow>,
    source: Option<SampleSource>,
    /// Nobody was in the game.
    empty: bool,
    /// There was no connection.
    down: bool,
    /// When and why Lua failed.
    lua: Option<(Instant, String)>,
    /// The sections of Lua that failed, as they were last told of.
    sections: BTreeMap<String, String>,
}

/// What changes slowly.
#[derive(Debug)]
struct Slow {
    at: Instant,
    evolution: Vec<Evolution>,
    known_players: Option<u64>,
}

impl Memory {
    pub(super) fn new(ups_window: Duration) -> Self {
        let meter = UpsMeter::new(ups_window);
        Self {
            meter,
            version: None,
            slow: None,
            source: None,
            empty: false,
            down: false,
            lua: None,
            sections: BTreeMap::new(),
        }
    }

    /// The connection is another one: it may be another game.
    pub(super) fn forget(&mut self) {
        self.meter.restart();
        (self.version, self.slow, self.lua) = (None, None, None);
        self.empty = false;
    }

    pub(super) fn cadence(&self) -> Duration {
        self.meter.cadence()
    }

    /// Whether each command lets a map go on that stands because nobody is there.
    pub(super) fn is_idle(&self) -> bool {
        self.empty && self.meter.paused() != Some(false)
    }

    /// Whether nobody was in the game by the last sample.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// What the last sample said of the connection.
    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    pub(super) fn failed(&mut self, down: bool) {
        self.meter.restart();
        self.down = down;
    }

    pub(super) fn source(&self) -> Option<SampleSource> {
        self.source
    }

    pub(super) fn saw(&mut self, source: SampleSource, players: Option<&[String]>) {
        self.source = Some(source);
        self.down = false;
        self.empty = players.is_some_and(<[String]>::is_empty);
    }

    pub(super) fn slow_is_due(&self) -> bool {
        self.slow.as_ref().is_none_or(|slow| slow.at.elapsed() >= SLOWLY)
    }

    pub(super) fn learn_slow(&mut self, evolution: Vec<Evolution>, known_players: Option<u64>) {
        self.slow = Some(Slow { at: Instant::now(), evolution, known_players });
    }

    pub(super) fn slow(&self) -> (Vec<Evolution>, Option<u64>) {
        self.slow.as_ref().map(|slow| (slow.evolution.clone(), slow.known_players)).unwrap_or_default()
    }

    pub(super) fn may_try_lua(&self) -> bool {
        self.lua.as_ref().is_none_or(|(at, _)| at.elapsed() >= LUA_RESTS)
    }

    /// Why the source is not Lua, where it failed.
    pub(super) fn fallback(&self) -> Option<String> {
        self.lua.as_ref().map(|(_, reason)| reason.clone())
    }

    pub(super) fn lua_failed(&mut self, server: &ServerTag, reason: String) {
        if self.fallback().as_ref() != Some(&reason) {
            warn!(%server, reason, "Lua does not tell how the game is; its own commands do");
        }
        self.lua = Some((Instant::now(), reason));
    }

    /// Lua answered, but for these sections.
    pub(super) fn lua_told(&mut self, server: &ServerTag, errors: &BTreeMap<String, String>) {
        if self.lua.take().is_some() {
            info!(%server, "Lua tells again how the game is");
        }
        for (section, reason) in errors.iter().filter(|(section, _)| !self.sections.contains_key(*section)) {
            warn!(%server, section, reason, "A section of Lua is missing");
        }
        self.sections.clone_from(errors);
    }
}

/// From when to when a question was on its way.
pub(super) fn asked_at(reply: &Reply) -> (Instant, Instant) {
    let answered = Instant::now();
    (answered.checked_sub(reply.took).unwrap_or(answered), answered)
}
