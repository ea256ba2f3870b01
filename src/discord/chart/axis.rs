//! Where the lines of the grid are, and what stands at them.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Beyond, the grid has a line a day instead of one in three hours.
const HOURS_UP_TO: SignedDuration = SignedDuration::from_hours(36);
/// Lines across a panel, the one at zero not counted.
const MOST_STEPS: f64 = 5.0;

/// Round hours or midnights of `zone`, in seconds since 1970.
pub(super) fn times(from: Timestamp, to: Timestamp, zone: &TimeZone) -> Vec<i64> {
    let hours: &[i8] = if to.duration_since(from) > HOURS_UP_TO { &[0] } else { &[0, 3, 6, 9, 12, 15, 18, 21] };
    let last = zone.to_datetime(to).date();
    let mut day = zone.to_datetime(from).date();
    let mut times = Vec::new();
    while day <= last {
        let at = |hour: &i8| zone.to_timestamp(day.to_datetime(Time::constant(*hour, 0, 0, 0))).ok();
        times.extend(hours.iter().filter_map(at));
        let Ok(next) = day.tomorrow() else { break };
        day = next;
    }
    times.into_iter().filter(|at| (from..=to).contains(at)).map(Timestamp::as_second).collect()
}

/// `15:00`, and the day at midnight.
pub(super) fn time_label(second: i64, zone: &TimeZone) -> String {
    let at = zone.to_datetime(Timestamp::from_second(second).unwrap_or_default());
    let midnight = at.hour() == 0 && at.minute() == 0;
    at.strftime(if midnight { "%a %-d" } else { "%H:%M" }).to_string()
}

/// What the times are those of: a zone's name, or its distance from UTC at `at` where it has none.
pub(super) fn zone_name(zone: &TimeZone, at: Timestamp) -> String {
    // `Etc/Unknown`: of a system that does not say which zone it is in, which counts as UTC.
    let named = zone.iana_name().filter(|name| !matches!(*name, "Etc/Unknown" | "Etc/UTC"));
    let seconds = zone.to_offset(at).seconds();
    match named {
        Some(name) => format!("Times of {}", name.replace('_', " ")),
        None if seconds == 0 => "Times of UTC".to_owned(),
        None => {
            let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
            format!("Times of UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    }
}

/// Round values from zero to the first at or above `most`.
pub(super) fn values(most: f64) -> Vec<f64> {
    let sizes = (0..9).flat_map(|power| [1.0, 2.0, 5.0].map(|size| size * 10_f64.powi(power)));
    let step = sizes.into_iter().find(|step| most / step <= MOST_STEPS).unwrap_or(most);
    let mut values = vec![0.0];
    while values.last().is_some_and(|last| *last < most) {
        values.push(step * values.len() as f64);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_named_even_where_it_has_no_name() {
        let name = |zone: &TimeZone| zone_name(zone, Timestamp::UNIX_EPOCH);
        assert_eq!(name(&TimeZone::get("America/New_York").unwrap()), "Times of America/New York");
        assert_eq!(name(&TimeZone::fixed(jiff::tz::offset(-3))), "Times of UTC-03:00");
        assert_eq!(name(&TimeZone::posix("IST-5:30").unwrap()), "Times of UTC+05:30");
        assert_eq!(name(&TimeZone::unknown()), "Times of UTC");
        assert_eq!(name(&TimeZone::get("Etc/UTC").unwrap()), "Times of UTC");
    }

    #[test]
    fn values_are_round_and_few() {
        assert_eq!(values(1.0), [0.0, 1.0]);
        assert_eq!(values(7.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(values(60.0), [0.0, 20.0, 40.0, 60.0]);
        assert_eq!(values(240.0), [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]);
    }

    #[test]
    fn a_day_has_hours_and_a_week_has_midnights_of_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let to: Timestamp = "2026-03-29T12:30:00Z".parse().unwrap();
        let labels = |days: i64| {
            let from = to - SignedDuration::from_hours(24 * days);
            times(from, to, &zone).into_iter().map(|at| time_label(at, &zone)).collect::<Vec<_>>()
        };
        // The night has an hour less.
        assert_eq!(labels(1), ["15:00", "18:00", "21:00", "Sun 29", "03:00", "06:00", "09:00", "12:00"]);
        assert_eq!(labels(7), ["Mon 23", "Tue 24", "Wed 25", "Thu 26", "Fri 27", "Sat 28", "Sun 29"]);
    }
}
