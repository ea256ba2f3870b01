//! Lua disables achievements on the map it ran in. A map that is younger than that one was then, met in a later run, is
//! another one, or an older save of it.

use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use super::Keeper;
use crate::game::sample::{Achievements, Reading, Sample};
use crate::store::GameFacts;

/// How old the map was, by the sample at that time.
pub(super) type Aged = (Timestamp, Duration);

pub(super) fn achievements(facts: &GameFacts) -> Achievements {
    facts.lua_at.map_or(Achievements::Possible, |lua_at| Achievements::Lost { lua_at })
}

/// How old the map was at least when Lua ran in it at `lua_at`: as old as by the sample `before`, if that was of the same
/// map; else what is left of the age `now` where it moved on all the time.
fn age_at_least(lua_at: Timestamp, before: Option<Aged>, now: Aged) -> Duration {
    let of_this_map = before.filter(|(at, age)| *at <= lua_at && *age <= now.1);
    let since = Duration::try_from(now.0.duration_since(lua_at)).unwrap_or_default();
    of_this_map.map_or_else(|| now.1.saturating_sub(since), |(_, age)| age)
}

impl Keeper {
    /// Finds out which map Lua ran in, and whether this is another one.
    pub(super) async fn judge_map(&mut self, sample: &Sample) {
        let Some(age) = sample.outcome.as_ref().ok().and_then(|reading| reading.age) else { return };
        let before = self.aged.replace((sample.at, age));
        self.read_facts().await;
        let Some(facts) = &self.facts else { return };
        let Some(lua_at) = facts.lua_at else { return };
        let later_run = facts.started_at.is_some_and(|started_at| started_at > lua_at);
        let stored = match facts.lua_age {
            None => {
                let then = age_at_least(lua_at, before, (sample.at, age));
                self.store.lua_ran_at_age(&self.server, lua_at, then).await
            }
            Some(then) if age < then && later_run => self.store.lua_was_in_another_map(&self.server).await,
            Some(_) => return,
        };
        match stored {
            Ok(()) => self.facts = None,
            Err(error) => warn!(server = %self.server, %error, "In which map Lua ran cannot be stored"),
        }
    }

    /// Any answer to Lua, an error as well, shows that it was run.
    pub(super) async fn notice_lua(&mut self, sample: &Sample) {
        let answered = |reading: &Reading| reading.lua.is_some() || reading.fallback.is_some();
        if !sample.outcome.as_ref().is_ok_and(answered) {
            return;
        }
        self.read_facts().await;
        if self.facts.as_ref().is_some_and(|facts| facts.lua_at.is_some()) {
            return;
        }
        match self.store.lua_ran(&self.server, sample.at).await {
            Ok(()) => self.facts = None,
            Err(error) => warn!(server = %self.server, %error, "That Lua ran cannot be stored"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    #[test]
    fn lua_ran_when_the_map_was_as_old_as_before_or_as_old_as_it_can_have_been() {
        let age = Duration::from_secs;
        let now = (at(100), age(1000));
        let cases = [
            (Some((at(70), age(970))), 80, 970),
            (Some((at(90), age(990))), 80, 980),
            (Some((at(70), age(5000))), 80, 980),
            (None, 80, 980),
            (None, -5000, 0),
            (None, 130, 1000),
        ];
        for (before, ran, expected) in cases {
            assert_eq!(age_at_least(at(ran), before, now), age(expected), "{before:?} {ran}");
        }
    }
}
