//! What belongs together: points without a gap between them.

use crate::store::HistoryPoint;

/// A longer silence, in seconds, between the end of what a point stands for and the next one is a gap.
const GAP: i64 = 15 * 60;

/// Seconds since 1970, and a value.
pub(super) type Spot = (i64, f64);

/// The values in order, apart wherever one is unknown or the next is too far away.
pub(super) fn runs(points: &[HistoryPoint], value: impl Fn(&HistoryPoint) -> Option<f64>) -> Vec<Vec<Spot>> {
    let mut runs: Vec<Vec<Spot>> = Vec::new();
    let mut last = None;
    for point in points {
        let at = point.at.as_second();
        let known = value(point).filter(|value| value.is_finite());
        let near = last.is_some_and(|last| at - last <= GAP);
        match (known, runs.last_mut().filter(|_| near)) {
            (Some(value), Some(run)) => run.push((at, value)),
            (Some(value), None) => runs.push(vec![(at, value)]),
            (None, _) => {}
        }
        last = known.map(|_| at.saturating_add_unsigned(point.step.as_secs()));
    }
    runs
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn unknown_values_and_long_silences_are_gaps() {
        let point = |at, ups| HistoryPoint {
            at: Timestamp::from_second(at).unwrap(),
            players: None,
            players_max: None,
            ups,
            step: Duration::ZERO,
        };
        let points = [
            point(0, Some(60.0)),
            point(300, Some(59.0)),
            point(600, None),
            point(900, Some(58.0)),
            point(900 + GAP, Some(57.0)),
            point(901 + 2 * GAP, Some(56.0)),
        ];
        let runs = runs(&points, |point| point.ups);
        let last = vec![(901 + 2 * GAP, 56.0)];
        assert_eq!(runs, [vec![(0, 60.0), (300, 59.0)], vec![(900, 58.0), (900 + GAP, 57.0)], last]);
    }
}
