//! How long a task rests between two runs.

use std::time::Duration;

/// Waits that double with every failure in a row, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The shortest wait.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
    /// A run of this length wipes out the failures before it.
    pub good_run: Duration,
}

impl Default for Backoff {
    /// 1 s to 60 s; a run of 2 min counts as good.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), max: Duration::from_mins(1), good_run: Duration::from_mins(2) }
    }
}

impl Backoff {
    /// The failures in a row, after a run of length `run` has failed too.
    #[must_use]
    pub fn failures(&self, before: u32, run: Duration) -> u32 {
        if run >= self.good_run { 1 } else { before.saturating_add(1) }
    }

    /// The wait after `failures` in a row; `chance` in 0..1 picks it from the upper half of the step.
    #[must_use]
    pub fn delay(&self, failures: u32, chance: f64) -> Duration {
        let step = self.first.saturating_mul(2_u32.saturating_pow(failures)).min(self.max);
        step.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0).max(self.first).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_from_one_second_to_a_minute() {
        let longest: Vec<u64> = (1..9).map(|n| Backoff::default().delay(n, 1.0).as_secs()).collect();
        assert_eq!(longest, [2, 4, 8, 16, 32, 60, 60, 60]);
        let shortest: Vec<u64> = (1..9).map(|n| Backoff::default().delay(n, 0.0).as_secs()).collect();
        assert_eq!(shortest, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn a_good_run_wipes_out_the_failures_before_it() {
        let backoff = Backoff::default();
        assert_eq!(backoff.failures(7, Duration::from_secs(119)), 8);
        assert_eq!(backoff.failures(7, Duration::from_mins(2)), 1);
    }

    proptest! {
        #[test]
        fn no_wait_leaves_the_bounds(failures in any::<u32>(), chance in -1.0..2.0_f64) {
            let backoff = Backoff::default();
            let wait = backoff.delay(failures, chance);
            prop_assert!(wait >= backoff.first && wait <= backoff.max);
        }
    }
}
