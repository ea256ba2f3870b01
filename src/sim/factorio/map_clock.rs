//! How a simulated map ages.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::Clock;

/// Ticks in a second at speed 1.
const TICKS_A_SECOND: f64 = 60.0;

/// What a command lets a map go on that stands because nobody is there.
const NUDGE: f64 = 2.0;

/// Everything a map's age depends on. Each may be changed at any time; what was before stays as it was.
pub(super) struct MapClock {
    clock: Arc<dyn Clock>,
    tick: f64,
    /// When `tick` was true.
    since: Timestamp,
    pub(super) state: MapState,
}

/// Why a map goes on, and how fast.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a reason of its own to stand still")]
pub struct MapState {
    /// The server runs.
    pub(super) running: bool,
    /// Updates a second the machine manages.
    pub ups: f64,
    /// `game.speed`
    pub speed: f64,
    /// Somebody halted the map: `game.tick_paused`.
    pub halted: bool,
    /// The map stands while nobody is in the game.
    pub auto_pause: bool,
    /// Somebody is in the game.
    pub(super) peopled: bool,
    /// The map stands while the game saves.
    pub(super) saving: bool,
}

impl MapState {
    fn stands_for_nobody(&self) -> bool {
        self.running && self.auto_pause && !self.peopled
    }

    fn ticks_a_second(&self) -> f64 {
        let stands = !self.running || self.halted || self.saving || self.stands_for_nobody();
        if stands { 0.0 } else { self.ups.min(TICKS_A_SECOND * self.speed) }
    }
}

impl MapClock {
    /// A map of this age, whose server does not run.
    pub(super) fn new(clock: Arc<dyn Clock>, tick: u64) -> Self {
        let state = MapState {
            running: false,
            ups: f64::INFINITY,
            speed: 1.0,
            halted: false,
            auto_pause: false,
            peopled: false,
            saving: false,
        };
        Self { since: clock.now(), clock, tick: tick as f64, state }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a map is never younger than nothing")]
    pub(super) fn tick(&self) -> u64 {
        self.exact() as u64
    }

    fn exact(&self) -> f64 {
        let seconds = self.clock.now().duration_since(self.since).as_secs_f64();
        self.tick + self.state.ticks_a_second() * seconds
    }

    /// Changes what the age depends on from now on.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut MapState)) {
        self.tick = self.exact();
        self.since = self.clock.now();
        change(&mut self.state);
    }

    /// The map is another save, of this age.
    pub(super) fn load(&mut self, tick: u64) {
        self.change(|_| {});
        self.tick = tick as f64;
    }

    /// A command comes.
    pub(super) fn nudge(&mut self) {
        if self.state.stands_for_nobody() && !self.state.halted {
            self.tick += NUDGE;
        }
    }
}
