//! Waits that double. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Waits that double from `first` to `longest`.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    current: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, current: first }
    }

    /// The next wait without jitter; doubles the one after it.
    pub(super) fn next_exact(&mut self) -> Duration {
        let wait = self.current;
        self.current = (wait * 2).min(self.longest);
        wait
    }

    /// The next wait: a random time between half and the whole of it, so that many clients do not return at once.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next_exact();
        wait.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    pub(super) fn reset(&mut self) {
        self.current = self.first;
    }
}

/// A random time in `range`.
pub(super) fn random_within(range: &RangeInclusive<Duration>) -> Duration {
    let (shortest, longest) = (*range.start(), *range.end());
    shortest + longest.saturating_sub(shortest).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_reset() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(60));
        for nominal in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.next();
            let range = seconds(nominal).mul_f64(0.5)..=seconds(nominal);
            assert!(range.contains(&wait), "{wait:?} for {nominal} s");
        }
        backoff.reset();
        assert!(backoff.next() <= seconds(1));
    }

    #[test]
    fn a_random_time_is_within_its_range() {
        let range = Duration::from_secs(1)..=Duration::from_secs(5);
        for _ in 0..1000 {
            let wait = random_within(&range);
            assert!(range.contains(&wait), "{wait:?}");
        }
        let zero = Duration::ZERO..=Duration::ZERO;
        assert_eq!(random_within(&zero), Duration::ZERO);
    }
}
