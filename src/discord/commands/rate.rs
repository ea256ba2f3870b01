//! How often each member may call. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::settings::{Level, RateSettings};

/// Members remembered before those are forgotten who called long ago.
const REMEMBERED: usize = 1000;

/// What is counted, each apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Query,
    Action,
    /// A call that is not done and is audited. As many as queries.
    Refusal,
}

impl Kind {
    /// What a call of a command for this level is.
    pub(super) fn of(level: Level) -> Self {
        if level > Level::Everyone { Self::Action } else { Self::Query }
    }
}

/// A call that was counted, to give it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    member: u64,
    kind: Kind,
    at: Instant,
}

/// The calls of the last windows.
#[derive(Debug)]
pub(super) struct Rates {
    queries: RateSettings,
    actions: RateSettings,
    calls: HashMap<(u64, Kind), VecDeque<Instant>>,
}

impl Rates {
    pub(super) fn new(queries: RateSettings, actions: RateSettings) -> Self {
        Self { queries, actions, calls: HashMap::new() }
    }

    fn settings(&self, kind: Kind) -> RateSettings {
        if kind == Kind::Action { self.actions } else { self.queries }
    }

    /// Counts a call, or says how long to wait.
    pub(super) fn take(&mut self, member: u64, kind: Kind, now: Instant) -> Result<Ticket, Duration> {
        let RateSettings { limit, window } = self.settings(kind);
        self.forget(now);
        let calls = self.calls.entry((member, kind)).or_default();
        calls.retain(|at| now.saturating_duration_since(*at) < window);
        if calls.len() >= limit
            && let Some(oldest) = calls.front()
        {
            return Err(window.saturating_sub(now.saturating_duration_since(*oldest)));
        }
        calls.push_back(now);
        Ok(Ticket { member, kind, at: now })
    }

    /// Gives a call back that had no effect.
    pub(super) fn refund(&mut self, ticket: &Ticket) {
        if let Some(calls) = self.calls.get_mut(&(ticket.member, ticket.kind))
            && let Some(place) = calls.iter().position(|at| *at == ticket.at)
        {
            calls.remove(place);
        }
    }

    fn forget(&mut self, now: Instant) {
        if self.calls.len() < REMEMBERED {
            return;
        }
        let longest = self.queries.window.max(self.actions.window);
        self.calls.retain(|_, calls| calls.back().is_some_and(|at| now.saturating_duration_since(*at) < longest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn rates() -> Rates {
        let rate = |limit, window| RateSettings { limit, window: seconds(window) };
        Rates::new(rate(2, 30), rate(1, 60))
    }

    #[test]
    fn a_window_holds_so_many_and_slides() {
        let (mut rates, start) = (rates(), Instant::now());
        let mut take = |after| rates.take(7, Kind::Query, start + seconds(after)).map(drop);
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(10), Ok(()));
        assert_eq!(take(12), Err(seconds(18)));
        assert_eq!(take(30), Ok(()));
        assert_eq!(take(31), Err(seconds(9)));
    }

    #[test]
    fn members_and_kinds_are_counted_apart() {
        let (mut rates, now) = (rates(), Instant::now());
        assert!(rates.take(7, Kind::Action, now).is_ok());
        assert_eq!(rates.take(7, Kind::of(Level::Moderator), now), Err(seconds(60)));
        assert!(rates.take(7, Kind::Query, now).is_ok());
        assert!(rates.take(8, Kind::Action, now).is_ok());
    }

    #[test]
    fn what_did_not_run_is_given_back() {
        let (mut rates, now) = (rates(), Instant::now());
        let ticket = rates.take(7, Kind::Action, now).unwrap();
        rates.refund(&ticket);
        assert!(rates.take(7, Kind::Action, now).is_ok());
    }
}
