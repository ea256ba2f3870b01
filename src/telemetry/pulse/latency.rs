//! Durations counted into buckets so fine that their percentiles are worth showing, and so few that a window of them is
//! cheap to keep.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::HistogramFn;

/// From 1 ms, four buckets to each doubling, up to four and a half hours; what is longer counts into the last.
const BUCKETS: usize = 96;

/// The shortest duration that is told from zero, in seconds.
const SHORTEST: f64 = 0.001;

/// Buckets to a doubling: a percentile is at most 19 % off.
const PER_DOUBLING: f64 = 4.0;

/// How many durations fell into each bucket since the start.
pub(super) type Sums = [u64; BUCKETS];

/// How many durations fell into each bucket between two looks.
pub(super) type Counts = [u32; BUCKETS];

/// Durations since the start, by bucket.
#[derive(Debug)]
pub(super) struct Buckets([AtomicU64; BUCKETS]);

/// Percentiles of the durations of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// How many there were.
    pub count: u64,
    /// Half were not longer.
    pub p50: Duration,
    /// Of a hundred, one was longer.
    pub p99: Duration,
}

impl Default for Buckets {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Buckets {
    /// The counts since the start.
    pub(super) fn counts(&self) -> Sums {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}

impl HistogramFn for Buckets {
    fn record(&self, seconds: f64) {
        self.record_many(seconds, 1);
    }

    fn record_many(&self, seconds: f64, count: usize) {
        self.0[bucket(seconds)].fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// What came between two looks.
pub(super) fn between(before: &Sums, now: &Sums) -> Counts {
    std::array::from_fn(|at| u32::try_from(now[at].saturating_sub(before[at])).unwrap_or(u32::MAX))
}

/// Of all windows together; `None` where nothing was counted.
pub(super) fn percentiles<'a>(windows: impl Iterator<Item = &'a Counts>) -> Option<Percentiles> {
    let mut sums: Sums = [0; BUCKETS];
    for window in windows {
        sums.iter_mut().zip(window).for_each(|(sum, count)| *sum += u64::from(*count));
    }
    let count: u64 = sums.iter().sum();
    (count > 0).then(|| Percentiles { count, p50: quantile(&sums, count, 0.5), p99: quantile(&sums, count, 0.99) })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the buckets")]
fn bucket(seconds: f64) -> usize {
    let at = ((seconds / SHORTEST).log2() * PER_DOUBLING).ceil();
    // NaN becomes 0.
    at.clamp(0.0, (BUCKETS - 1) as f64) as usize
}

/// The upper bound of a bucket, in seconds.
fn bound(bucket: usize) -> f64 {
    SHORTEST * (bucket as f64 / PER_DOUBLING).exp2()
}

/// The bound of the bucket in which the quantile lies.
fn quantile(sums: &Sums, count: u64, q: f64) -> Duration {
    let rank = (count as f64 * q).ceil();
    let mut seen = 0;
    let at = sums.iter().position(|here| {
        seen += here;
        seen as f64 >= rank
    });
    Duration::from_secs_f64(bound(at.unwrap_or(BUCKETS - 1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(seconds: &[f64]) -> Option<Percentiles> {
        let buckets = Buckets::default();
        for seconds in seconds {
            buckets.record(*seconds);
        }
        let counts = between(&[0; BUCKETS], &buckets.counts());
        percentiles(std::iter::once(&counts))
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn one_slow_line_in_a_hundred_shows_in_the_p99_alone() {
        let mut seconds = vec![0.1; 98];
        seconds.extend([20.0, 20.0]);
        let found = of(&seconds).unwrap();
        assert_eq!(found.count, 100);
        assert!((0.1..0.12).contains(&found.p50.as_secs_f64()), "{found:?}");
        assert!((20.0..24.0).contains(&found.p99.as_secs_f64()), "{found:?}");
    }

    #[test]
    fn what_is_no_duration_or_longer_than_any_bucket_is_counted_all_the_same() {
        assert_eq!(of(&[0.0, -1.0, f64::NAN, f64::INFINITY, 1e9]).unwrap().count, 5);
    }

    proptest! {
        #[test]
        fn a_percentile_is_never_below_and_at_most_a_fifth_above(seconds in 0.001_f64..14_000.0) {
            let p50 = of(&[seconds]).unwrap().p50.as_secs_f64();
            prop_assert!(p50 >= seconds * 0.999_999 && p50 <= seconds * 1.2, "{seconds} became {p50}");
        }
    }
}
