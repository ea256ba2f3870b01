//! When the next connection attempt may start. Pure: the time is a parameter.

use std::time::Duration;

use tokio::time::Instant;

use super::GatewayTimings;
use super::backoff::{Backoff, random_within};
use super::disconnect::{Disconnect, NextStep};

/// After so many failed attempts to resume, the general address of the gateway is asked for again.
const RESUMES_BEFORE_ASKING: u32 = 3;
/// After so many RESUMEs that failed although the gateway had sent HELLO, the session counts as lost.
const RESUMES_BEFORE_IDENTIFY: u32 = 10;

/// The back-offs of the connection, of IDENTIFY and of refusals.
#[derive(Debug)]
pub(super) struct Schedule {
    timings: GatewayTimings,
    retries: Backoff,
    refusals: Backoff,
    identifies: Backoff,
    /// When the wait after the last end is over.
    not_before: Option<Instant>,
    last_attempt: Option<Instant>,
    /// When the next IDENTIFY may be sent.
    next_identify: Option<Instant>,
    /// When the general address may be asked for again, if Discord said so.
    ask_after: Option<Instant>,
    /// Consecutive attempts to resume that did not get Up.
    failed_resumes: u32,
    /// Those of them in which the gateway was alive: it sent HELLO.
    unanswered_resumes: u32,
}

/// What is known of an attempt that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) reached: Reached,
    /// Whether it had a session to resume.
    pub(super) resuming: bool,
}

/// How far an attempt came before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// HELLO did not arrive.
    Nothing,
    /// HELLO arrived, and RESUME or IDENTIFY was sent.
    Hello,
    /// The session was Up for this long.
    Up(Duration),
}

impl Schedule {
    pub(super) fn new(timings: GatewayTimings) -> Self {
        Self {
            retries: Backoff::new(timings.retry_first, timings.retry_longest),
            refusals: Backoff::new(timings.refused_first, timings.refused_longest),
            identifies: Backoff::new(timings.identify_first, timings.identify_longest),
            timings,
            not_before: None,
            last_attempt: None,
            next_identify: None,
            ask_after: None,
            failed_resumes: 0,
            unanswered_resumes: 0,
        }
    }

    /// When the next attempt may start; `identify` = it has no session to resume.
    pub(super) fn next_attempt(&self, identify: bool) -> Option<Instant> {
        let gap = self.last_attempt.map(|at| at + self.timings.attempt_gap);
        let identify = self.next_identify.filter(|_| identify);
        [self.not_before, gap, identify].into_iter().flatten().max()
    }

    /// Whether the general address of the gateway must be asked for at `now`.
    pub(super) fn must_ask(&self, has_session: bool, now: Instant) -> bool {
        let may_ask = self.ask_after.is_none_or(|at| now >= at);
        !has_session || (self.failed_resumes >= RESUMES_BEFORE_ASKING && may_ask)
    }

    /// Discord did not answer with the general address at `now`, and wants no further request for `retry_after`.
    pub(super) fn asking_failed(&mut self, retry_after: Option<Duration>, now: Instant) {
        self.ask_after = retry_after.map(|wait| now + wait);
    }

    /// Whether so many RESUMEs failed that the session counts as lost.
    pub(super) fn session_is_lost(&self) -> bool {
        self.unanswered_resumes >= RESUMES_BEFORE_IDENTIFY
    }

    /// An attempt starts at `now`.
    pub(super) fn attempt_started(&mut self, now: Instant) {
        self.last_attempt = Some(now);
    }

    /// IDENTIFY was sent at `now`.
    pub(super) fn identified(&mut self, now: Instant) {
        let gap = self.identifies.next_exact();
        self.next_identify = Some(now + gap + gap.mul_f64(0.1 * fastrand::f64()));
        self.unanswered_resumes = 0;
    }

    /// READY or RESUMED arrived.
    pub(super) fn up(&mut self) {
        self.failed_resumes = 0;
        self.unanswered_resumes = 0;
        self.refusals.reset();
    }

    /// An attempt or a connection ended at `now`, and `next` follows.
    pub(super) fn ended(&mut self, end: &Disconnect, next: NextStep, attempt: Attempt, now: Instant) {
        if let Reached::Up(duration) = attempt.reached {
            self.reset_after(duration);
        } else if attempt.resuming {
            self.failed_resumes += 1;
            self.unanswered_resumes += u32::from(attempt.reached == Reached::Hello);
        }
        let wait = match next {
            NextStep::Refused(_) => self.refusals.next(),
            _ => self.wait_after(end, attempt.reached),
        };
        self.not_before = Some(now + wait.max(end.retry_after().unwrap_or_default()));
    }

    fn reset_after(&mut self, up: Duration) {
        if up >= self.timings.settled {
            self.retries.reset();
        }
        // A session that lives longer than the longest gap cannot use up the day's IDENTIFYs.
        if up >= self.timings.identify_longest {
            self.identifies.reset();
        }
    }

    fn wait_after(&mut self, end: &Disconnect, reached: Reached) -> Duration {
        let settled = matches!(reached, Reached::Up(duration) if duration >= self.timings.settled);
        let wait =
            if settled { random_within(&(Duration::ZERO..=self.timings.attempt_gap)) } else { self.retries.next() };
        match end {
            Disconnect::InvalidSession { .. } => wait.max(random_within(&self.timings.invalid_session)),
            _ => wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const SETTLED: Reached = Reached::Up(Duration::from_mins(1));

    fn schedule() -> Schedule {
        Schedule::new(GatewayTimings::default())
    }

    /// An attempt to resume ends; returns the wait that follows.
    fn end(schedule: &mut Schedule, end: &Disconnect, reached: Reached, now: Instant) -> Duration {
        schedule.ended(end, end.next_step(), Attempt { reached, resuming: true }, now);
        schedule.next_attempt(false).map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Attempts that end at once, for a day; returns how many there were.
    fn attempts_in_a_day(end: &Disconnect, reached: Reached, resuming: bool) -> u32 {
        let start = Instant::now();
        let (mut schedule, mut now, mut attempts) = (schedule(), start, 0);
        while now < start + Duration::from_hours(24) {
            schedule.attempt_started(now);
            if !resuming {
                schedule.identified(now);
            }
            if let Reached::Up(duration) = reached {
                schedule.up();
                now += duration;
            }
            schedule.ended(end, end.next_step(), Attempt { reached, resuming }, now);
            attempts += 1;
            let next = schedule.next_attempt(!resuming).expect("an attempt was made");
            assert!(next >= now, "attempts are never in the past");
            now = next;
        }
        attempts
    }

    #[test]
    fn an_outage_of_a_day_costs_at_most_one_attempt_per_half_minute() {
        for end in [Disconnect::Eof, Disconnect::Closed { code: 4000 }, Disconnect::Unreachable("refused".into())] {
            let attempts = attempts_in_a_day(&end, Reached::Nothing, true);
            assert!((1440..=2900).contains(&attempts), "{attempts} for {end}");
        }
    }

    #[test]
    fn sessions_that_end_at_once_stay_within_the_identifies_of_a_day() {
        let ends = [Disconnect::Closed { code: 4009 }, Disconnect::InvalidSession { resumable: false }];
        for end in ends {
            // However long each session lives: none may lead to more than a third of the 1,000 a day.
            for up in [0, 1, 59, 61, 120, 299, 301, 600] {
                let attempts = attempts_in_a_day(&end, Reached::Up(Duration::from_secs(up)), false);
                assert!(attempts <= 300, "{attempts} for {end} after {up} s");
            }
        }
    }

    #[test]
    fn a_refused_token_is_tried_some_twenty_times_a_day() {
        let attempts = attempts_in_a_day(&Disconnect::Closed { code: 4004 }, Reached::Hello, false);
        assert!(attempts <= 60, "{attempts}");
    }

    #[test]
    fn attempts_are_a_second_apart_whatever_happened() {
        let start = Instant::now();
        let mut schedule = schedule();
        assert_eq!(schedule.next_attempt(true), None, "the first one waits for nothing");
        schedule.attempt_started(start);
        end(&mut schedule, &Disconnect::ReconnectRequested, SETTLED, start);
        assert!(schedule.next_attempt(false) >= Some(start + SECOND));
    }

    #[test]
    fn a_settled_connection_resets_the_waits_and_an_upgrade_does_not() {
        let now = Instant::now();
        let mut schedule = schedule();
        let mut wait = |reached| end(&mut schedule, &Disconnect::Eof, reached, now);
        for _ in 0..8 {
            wait(Reached::Hello);
        }
        assert!(wait(Reached::Hello) >= 30 * SECOND);
        assert!(wait(Reached::Up(59 * SECOND)) >= 30 * SECOND, "Up for less than a minute resets nothing");
        assert!(wait(SETTLED) <= SECOND);
        assert!(wait(Reached::Nothing) <= SECOND);
    }

    #[test]
    fn three_failed_resumes_ask_for_the_address_and_ten_give_the_session_up() {
        let now = Instant::now();
        let mut schedule = schedule();
        assert!(schedule.must_ask(false, now));
        for _ in 0..3 {
            assert!(!schedule.must_ask(true, now));
            end(&mut schedule, &Disconnect::Closed { code: 4000 }, Reached::Hello, now);
        }
        assert!(schedule.must_ask(true, now));
        schedule.asking_failed(Some(90 * SECOND), now);
        assert!(!schedule.must_ask(true, now + 89 * SECOND) && schedule.must_ask(true, now + 90 * SECOND));
        schedule.asking_failed(None, now);
        assert!(schedule.must_ask(true, now));
        for _ in 0..20 {
            end(&mut schedule, &Disconnect::Eof, Reached::Nothing, now);
        }
        assert!(!schedule.session_is_lost(), "an outage says nothing about the session");
        for _ in 0..7 {
            assert!(!schedule.session_is_lost());
            end(&mut schedule, &Disconnect::Closed { code: 4000 }, Reached::Hello, now);
        }
        assert!(schedule.session_is_lost());
        schedule.up();
        assert!(!schedule.session_is_lost() && !schedule.must_ask(true, now));
    }

    #[test]
    fn the_peers_own_wait_counts_when_it_is_longer() {
        let now = Instant::now();
        let mut schedule = schedule();
        let refused = Disconnect::UpgradeRefused { status: 503, retry_after: Some(90 * SECOND) };
        assert_eq!(end(&mut schedule, &refused, Reached::Nothing, now), 90 * SECOND);
    }
}
