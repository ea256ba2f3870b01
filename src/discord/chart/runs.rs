//! What belongs together: points without a gap between them.

use crate::store::HistoryPoint;

/// A longer silence, in seconds, between the end of what a point stands for and the next one is a gap, unless it is the
/// points' own pace.
const GAP: i64 = 15 * 60;

/// The slowest pace of a game in which nobody is, with some delay: `idle_interval` is an hour at most.
const SLOWEST: i64 = 65 * 60;

/// A silence of so many of the neighbours' is a gap at the slower pace, too.
const MISSED: i64 = 3;

/// Seconds since 1970, and a value.
pub(super) type Spot = (i64, f64);

/// The values in order, apart wherever one is unknown or the next is too far away.
pub(super) fn runs(points: &[HistoryPoint], value: impl Fn(&HistoryPoint) -> Option<f64>) -> Vec<Vec<Spot>> {
    let mut runs: Vec<Vec<Spot>> = Vec::new();
    let mut last = None;
    for (index, point) in points.iter().enumerate() {
        let at = point.at.as_second();
        let known = value(point).filter(|value| value.is_finite());
        let near = last.is_some_and(|last| at - last <= GAP || keeps_pace(points, index));
        match (known, runs.last_mut().filter(|_| near)) {
            (Some(value), Some(run)) => run.push((at, value)),
            (Some(value), None) => runs.push(vec![(at, value)]),
            (None, _) => {}
        }
        last = known.map(|_| at.saturating_add_unsigned(point.step.as_secs()));
    }
    runs
}

/// Whether the silence before the point is no longer than those beside it let expect.
fn keeps_pace(points: &[HistoryPoint], index: usize) -> bool {
    let at = |index: usize| points.get(index).map(|point| point.at.as_second());
    let silence = |index: usize| Some(at(index)? - at(index.checked_sub(1)?)?);
    let beside = [index.checked_sub(1).and_then(silence), silence(index + 1)].into_iter().flatten().min();
    silence(index).zip(beside).is_some_and(|(silence, beside)| silence <= SLOWEST.min(MISSED * beside))
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
            point(5000 + 2 * GAP, Some(56.0)),
        ];
        let runs = runs(&points, |point| point.ups);
        let last = vec![(5000 + 2 * GAP, 56.0)];
        assert_eq!(runs, [vec![(0, 60.0), (300, 59.0)], vec![(900, 58.0), (900 + GAP, 57.0)], last]);
    }

    #[test]
    fn a_game_asked_every_twenty_minutes_while_nobody_is_there_is_a_line() {
        let point = |at| HistoryPoint {
            at: Timestamp::from_second(at).unwrap(),
            players: Some(0.0),
            players_max: Some(0),
            ups: None,
            step: Duration::ZERO,
        };
        let lengths = |times: &[i64]| {
            let points: Vec<_> = times.iter().map(|minute| point(minute * 60)).collect();
            runs(&points, |point| point.players).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[0, 20, 40, 60, 80]), [5]);
        assert_eq!(lengths(&[0, 20, 40, 200, 220, 240]), [3, 3], "the relay was away");
        assert_eq!(lengths(&[0, 1, 2, 40, 41, 42]), [3, 3], "a minute's pace does not let expect 38");
    }
}
