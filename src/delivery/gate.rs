//! The one gate all channels pass before they send: closed while Discord as a whole is not to be asked. Behind a
//! closed gate one channel at a time tries, so that a return of Discord is not met by a crowd.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::invalid_requests::InvalidRequests;
use super::schedule::Schedule;
use crate::telemetry::metrics::ErrorType;

/// Shared by all channels.
#[derive(Debug)]
pub(crate) struct Gate {
    schedule: Schedule,
    state: Mutex<State>,
    probe: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    closed: Option<Closed>,
    /// Counts openings and closings: an answer to a request of an earlier round says nothing about this one.
    round: u64,
    refusals: InvalidRequests,
}

#[derive(Debug)]
struct Closed {
    until: Instant,
    failures: u32,
}

/// Leave to send once.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    round: u64,
    _probe: Option<tokio::sync::MutexGuard<'a, ()>>,
}

impl Gate {
    /// An open gate.
    pub(crate) fn new(schedule: Schedule) -> Self {
        Self { schedule, state: Mutex::default(), probe: tokio::sync::Mutex::default() }
    }

    /// Waits until this caller may send.
    pub(crate) async fn pass(&self) -> Pass<'_> {
        let mut probe = None;
        loop {
            if probe.is_none() && self.state().closed.is_some() {
                probe = Some(self.probe.lock().await);
            }
            let Some(opens) = self.opens_at() else { break };
            sleep_until(opens).await;
        }
        let state = self.state();
        Pass { round: state.round, _probe: probe.filter(|_| state.closed.is_some()) }
    }

    /// Whether `pass` still holds: it does not when the gate closed since it was given.
    pub(crate) fn admits(&self, pass: &Pass<'_>) -> bool {
        let state = self.state();
        state.closed.is_none() || state.round == pass.round
    }

    /// A request with `pass` was answered by Discord itself. Answers whether that opened the gate.
    pub(crate) fn open(&self, pass: &Pass<'_>) -> bool {
        let mut state = self.state();
        let opens = state.closed.is_some() && state.round == pass.round;
        if opens {
            state.closed = None;
            state.round += 1;
        }
        opens
    }

    /// A request with `pass` failed in a way that concerns all. Nobody sends before `after` is over.
    pub(crate) fn close(&self, pass: &Pass<'_>, after: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.state();
        let known = state.round != pass.round;
        let failures = state.closed.as_ref().map_or(0, |closed| closed.failures);
        if let Some(closed) = state.closed.as_mut().filter(|_| known) {
            closed.until = closed.until.max(now + after.unwrap_or_default());
            return;
        }
        let wait = self.schedule.wait(failures + 1, after, fastrand::f64());
        state.closed = Some(Closed { until: now + wait, failures: failures + 1 });
        state.round += 1;
    }

    /// Counts an answer towards Discord's limit of invalid requests. Answers whether that is near enough to rest.
    pub(crate) fn note(&self, error: ErrorType) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        state.refusals.note(error, now);
        state.refusals.resting_until(now).is_some()
    }

    fn opens_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state();
        let closed = state.closed.as_ref().map(|closed| closed.until).filter(|until| *until > now);
        closed.max(state.refusals.resting_until(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(40);

    fn gate() -> Gate {
        Gate::new(Schedule { first: WAIT, longest: WAIT * 100 })
    }

    async fn stays_closed(gate: &Gate, time: Duration) -> bool {
        tokio::time::timeout(time, gate.pass()).await.is_err()
    }

    #[tokio::test]
    async fn nobody_sends_before_the_wait_is_over() {
        let gate = gate();
        let start = Instant::now();
        gate.close(&gate.pass().await, Some(WAIT * 4));
        let pass = gate.pass().await;
        assert!(start.elapsed() >= WAIT * 4);
        assert!(gate.open(&pass));
        assert!(!stays_closed(&gate, WAIT * 50).await);
    }

    #[tokio::test]
    async fn behind_a_closed_gate_one_tries_at_a_time() {
        let gate = gate();
        gate.close(&gate.pass().await, None);
        let first = gate.pass().await;
        assert!(stays_closed(&gate, WAIT * 3).await, "a second one tried");
        gate.open(&first);
        drop(first);
        let _both = (gate.pass().await, gate.pass().await);
    }

    #[tokio::test]
    async fn failures_of_one_moment_count_once() {
        let gate = gate();
        let passes = [gate.pass().await, gate.pass().await, gate.pass().await];
        for pass in &passes {
            gate.close(pass, None);
        }
        assert_eq!(gate.state().closed.as_ref().map(|closed| closed.failures), Some(1));
        gate.close(&gate.pass().await, None);
        assert_eq!(gate.state().closed.as_ref().map(|closed| closed.failures), Some(2));
    }

    #[tokio::test]
    async fn a_late_success_from_before_does_not_open() {
        let gate = gate();
        let start = Instant::now();
        let (slow, failed) = (gate.pass().await, gate.pass().await);
        gate.close(&failed, Some(WAIT * 4));
        assert!(!gate.open(&slow));
        assert!(!gate.admits(&slow));
        assert!(gate.admits(&gate.pass().await));
        assert!(start.elapsed() >= WAIT * 4);
    }

    #[tokio::test]
    async fn a_late_failure_from_before_only_prolongs() {
        let gate = gate();
        let start = Instant::now();
        let (slow, failed) = (gate.pass().await, gate.pass().await);
        gate.close(&failed, None);
        gate.close(&slow, Some(WAIT * 4));
        gate.pass().await;
        assert!(start.elapsed() >= WAIT * 4);
    }

    #[tokio::test]
    async fn a_thousand_refusals_close_it_for_all() {
        let gate = gate();
        for n in 1..=1000 {
            gate.pass().await;
            assert_eq!(gate.note(ErrorType::Channel), n == 1000);
        }
        assert!(stays_closed(&gate, WAIT).await);
    }
}
