//! What becomes of times that are ahead, as when the machine's clock went wrong and is set back: without this, alerts
//! would hold and rest until the clock has caught up.

use std::time::Duration;

use jiff::Timestamp;

use super::engine::{AlertState, Phase};
use super::memory::{Memory, Refused, Step, Trouble};
use super::rules::{Input, Surroundings};

/// A game may run on a machine whose clock is ahead of this one by so much; its times are shown as they are.
const AHEAD: Duration = Duration::from_hours(1);

/// A time by this machine's clock.
fn own(at: &mut Timestamp, now: Timestamp) {
    *at = now.min(*at);
}

/// A time by the game's clock.
fn of_game(at: &mut Timestamp, now: Timestamp) {
    if now.saturating_add(AHEAD).is_ok_and(|ahead| *at > ahead) {
        *at = now;
    }
}

impl Memory {
    /// Takes what is ahead of `now` for a time that is just now.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        let since = self.unreachable.as_mut().map(|(since, _)| since);
        let unheard = self.unheard.as_mut().map(|unheard| &mut unheard.seen);
        let sampled = self.online_since.as_mut().into_iter().chain(self.sampled_at.as_mut());
        if unheard.is_some_and(|seen| *seen > now) {
            // Whether a line is younger than it, nobody can tell.
            self.unheard = None;
        }
        sampled.chain(since).for_each(|at| own(at, now));
        let steps = self.evolution.values_mut().filter_map(|Step { reached, .. }| reached.as_mut());
        steps.for_each(|at| own(at, now));
        for Trouble { first, last, .. } in self.troubles_mut() {
            of_game(first, now);
            of_game(last, now);
        }
        self.times_of_game().for_each(|at| of_game(at, now));
    }

    fn times_of_game(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        let crashes = self.untold.iter_mut().chain(&mut self.crashes);
        let single = self.saved_at.iter_mut().chain(&mut self.told_at);
        let refused = self.refused.values_mut().flat_map(|Refused { at, .. }| at);
        crashes.chain(single).chain(refused).chain(self.watched.values_mut())
    }
}

impl AlertState {
    /// The same of an alert; since when one fires stays as it was told.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        let shown = self.shown.as_mut().map(|(at, _)| at);
        self.fired_at.iter_mut().chain(&mut self.told_at).chain(shown).for_each(|at| own(at, now));
        if self.phase == Phase::Pending {
            own(&mut self.since, now);
        }
    }
}

impl Input<'_> {
    /// Without a time at which lines cannot have been read.
    pub(super) fn known_by(self, now: Timestamp) -> Self {
        match self {
            Self::Tick(around) => {
                Self::Tick(Surroundings { last_read: around.last_read.filter(|read| *read <= now), ..around })
            }
            other => other,
        }
    }
}
