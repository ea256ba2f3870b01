//! Lua disables achievements on the map it ran in. A map that is younger than that one was then, met in a later run, is
//! another one, or an older save of it.

use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use super::Keeper;
use crate::domain::{EventKind, Happening};
use crate::game::sample::{Achievements, Reading, Sample};
use crate::store::{GameFacts, StoreError};

/// How old the map was, as told at that time.
pub(super) type Aged = (Timestamp, Duration);

/// How many times faster than the clock a map may get older: `game.speed` is there for Lua.
const FASTEST: u32 = 10;

pub(super) fn achievements(facts: &GameFacts) -> Achievements {
    facts.lua_at.map_or(Achievements::Possible, |lua_at| Achievements::Lost { lua_at })
}

/// How old a map was at least at `then`, by its age later in the same run.
fn age_at_least(then: Timestamp, (now, age): Aged) -> Duration {
    let since = Duration::try_from(now.duration_since(then)).unwrap_or_default();
    age.saturating_sub(since.saturating_mul(FASTEST))
}

impl Keeper {
    /// Takes in a line; they come in their order. Lua runs in the map whose age was told last, if it was so in this run.
    pub(super) fn note_map(&mut self, happening: &Happening) {
        let Some((told_at, age)) = self.aged else { return };
        // Where Lua is allowed it runs at each sample: only the first has to be stored.
        let placed = self.facts.as_ref().is_some_and(|facts| facts.lua_age.is_some());
        match happening.kind {
            EventKind::ServerOnline | EventKind::ServerCrashed if told_at < happening.at => self.aged = None,
            EventKind::Command if told_at <= happening.at && self.lua_aged.is_none() && !placed => {
                self.lua_aged = Some((happening.at, age));
            }
            _ => {}
        }
    }

    /// Stores how old the map was when Lua ran, by the lines that were read.
    pub(super) async fn place_lua(&mut self) {
        if let Some((lua_at, age)) = self.lua_aged.take() {
            let stored = self.store.lua_ran_at_age(&self.server, lua_at, age).await;
            self.placed(stored);
        }
    }

    /// Takes in how old the map is. A younger one than that in which Lua ran has its achievements. Where nobody knows in
    /// which map it ran, as it was read only after the run, they stay lost.
    pub(super) async fn judge_map(&mut self, at: Timestamp, age: Duration) {
        self.aged = Some((at, age));
        self.read_facts().await;
        let Some(GameFacts { lua_at: Some(lua_at), lua_age, started_at: Some(started_at), .. }) = self.facts else {
            return;
        };
        let stored = match lua_age {
            None if started_at <= lua_at => {
                let then = age_at_least(lua_at, (at, age));
                self.store.lua_ran_at_age(&self.server, lua_at, then).await
            }
            Some(then) if age < then && started_at > lua_at => self.store.lua_was_in_another_map(&self.server).await,
            _ => return,
        };
        self.placed(stored);
    }

    /// Any answer to Lua, an error as well, shows that it was run.
    pub(super) async fn notice_lua(&mut self, sample: &Sample) {
        let answered = |reading: &&Reading| reading.lua.is_some() || reading.fallback.is_some();
        let Some(reading) = sample.outcome.as_ref().ok().filter(answered) else { return };
        self.read_facts().await;
        if self.facts.as_ref().is_some_and(|facts| facts.lua_at.is_some()) {
            return;
        }
        match self.store.lua_ran(&self.server, sample.at).await {
            Ok(()) => self.lua_aged = reading.age.map(|age| (sample.at, age)),
            Err(error) => warn!(server = %self.server, %error, "That Lua ran cannot be stored"),
        }
        self.facts = None;
        self.place_lua().await;
    }

    fn placed(&mut self, stored: Result<(), StoreError>) {
        match stored {
            Ok(()) => self.facts = None,
            Err(error) => warn!(server = %self.server, %error, "In which map Lua ran cannot be stored"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_was_as_old_as_it_can_have_been_at_least() {
        let at = |seconds: i64| Timestamp::from_second(1_790_000_000 + seconds).unwrap();
        let now = (at(100), Duration::from_secs(1000));
        for (then, expected) in [(100, 1000), (98, 980), (1, 10), (0, 0), (-5000, 0), (130, 1000)] {
            assert_eq!(age_at_least(at(then), now), Duration::from_secs(expected), "{then}");
        }
    }
}
