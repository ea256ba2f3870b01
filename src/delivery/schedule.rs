//! How long to wait before the next attempt. There is always a next one.

use std::time::Duration;

/// Waits that double from `first` to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer, unless the far side asks for it.
    pub longest: Duration,
}

impl Default for Schedule {
    /// 1 s to 60 s.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(1) }
    }
}

impl Schedule {
    /// The wait after `failures` failures in a row (at least 1), never shorter than `floor`. `jitter` in `0.0..1.0`
    /// chooses between three quarters of the step and the whole of it.
    #[must_use]
    pub fn wait(self, failures: u32, floor: Option<Duration>, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let step = self.first.saturating_mul(1 << doublings).min(self.longest);
        step.mul_f64(0.75 + 0.25 * jitter.clamp(0.0, 1.0)).max(floor.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let seconds: Vec<u64> =
            (1..9).map(|failures| Schedule::default().wait(failures, None, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn what_the_far_side_asks_for_is_honoured_to_the_letter() {
        let floor = Duration::from_millis(3_600_001);
        assert_eq!(Schedule::default().wait(1, Some(floor), 0.0), floor);
    }

    proptest! {
        #[test]
        fn no_wait_is_below_its_floor_or_above_the_longest(
            failures in 0_u32.., floor in 0_u64..200_000, jitter in 0.0..1.0,
        ) {
            let floor = Duration::from_millis(floor);
            let schedule = Schedule::default();
            let wait = schedule.wait(failures, Some(floor), jitter);
            prop_assert!(wait >= floor && wait <= floor.max(schedule.longest));
            prop_assert!(wait >= schedule.first.mul_f64(0.75));
        }
    }
}
