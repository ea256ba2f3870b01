use std::io::Cursor;
use std::time::Duration;

use jiff::SignedDuration;

use super::*;

const END: i64 = 1_764_072_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn from(hours: i64) -> Timestamp {
    at(END) - SignedDuration::from_hours(hours)
}

/// A point every five minutes over `hours`, as `look` has it at so many hours before the end.
fn points(hours: i64, look: impl Fn(f64) -> Option<(u32, f64)>) -> Vec<HistoryPoint> {
    let steps = 0..=hours * 12;
    let point = |step: i64| {
        let seen = look((hours * 12 - step) as f64 / 12.0);
        HistoryPoint {
            at: from(hours) + SignedDuration::from_mins(5 * step),
            players: seen.map(|(players, _)| f64::from(players)),
            players_max: seen.map(|(players, _)| players),
            ups: seen.map(|(_, ups)| ups),
            step: Duration::from_mins(5),
        }
    };
    steps.map(point).collect()
}

/// The picture, read back.
struct Picture {
    size: (u32, u32),
    pixels: Vec<u8>,
}

impl Picture {
    fn of(points: &[HistoryPoint], hours: i64) -> Self {
        let file = chart(points, from(hours), at(END), &TimeZone::UTC).unwrap();
        let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self { size: (info.width, info.height), pixels }
    }

    fn is(&self, x: u32, y: u32, colour: plotters::style::RGBColor) -> bool {
        let start = ((y * self.size.0 + x) * 3) as usize;
        self.pixels[start..start + 3] == [colour.0, colour.1, colour.2]
    }

    /// The rows in which `colour` stands in column `x`.
    fn rows(&self, x: u32, colour: plotters::style::RGBColor) -> Vec<u32> {
        (0..self.size.1).filter(|y| self.is(x, *y, colour)).collect()
    }

    /// The columns in which `colour` stands anywhere.
    fn columns(&self, colour: plotters::style::RGBColor) -> Vec<u32> {
        (0..self.size.0).filter(|x| !self.rows(*x, colour).is_empty()).collect()
    }
}

#[test]
fn both_lines_span_the_picture() {
    let picture = Picture::of(&points(24, |_| Some((5, 60.0))), 24);
    assert_eq!(picture.size, SIZE);
    for colour in [paint::PLAYERS, paint::UPS] {
        let columns = picture.columns(colour);
        assert!(columns.len() > 850, "{} columns", columns.len());
    }
}

#[test]
fn more_is_higher() {
    let picture = Picture::of(&points(24, |ago| Some(if ago > 12.0 { (2, 30.0) } else { (9, 60.0) })), 24);
    for colour in [paint::PLAYERS, paint::UPS] {
        let (early, late) = (picture.rows(250, colour), picture.rows(800, colour));
        assert!(late.last().unwrap() + 40 < early[0], "{late:?} above {early:?}");
    }
}

#[test]
fn no_line_crosses_a_gap() {
    let away = |ago: f64| !(6.0..12.0).contains(&ago);
    let whole = Picture::of(&points(24, |_| Some((5, 60.0))), 24);
    let unknown = Picture::of(&points(24, |ago| away(ago).then_some((5, 60.0))), 24);
    let absent: Vec<_> = points(24, |ago| away(ago).then_some((5, 60.0)));
    let absent: Vec<_> = absent.into_iter().filter(|point| point.players.is_some()).collect();
    let absent = Picture::of(&absent, 24);
    for colour in [paint::PLAYERS, paint::UPS] {
        let all = whole.columns(colour).len();
        for picture in [&unknown, &absent] {
            let drawn = picture.columns(colour).len();
            let share = drawn as f64 / all as f64;
            assert!((0.72..0.78).contains(&share), "{drawn} of {all} columns: a quarter of the day is unknown");
        }
    }
}

#[test]
fn one_point_alone_can_be_seen() {
    let lone: Vec<_> = points(24, |_| Some((5, 60.0))).into_iter().skip(100).take(1).collect();
    let picture = Picture::of(&lone, 24);
    assert!(!picture.columns(paint::PLAYERS).is_empty() && !picture.columns(paint::UPS).is_empty());
}

#[test]
fn nothing_known_is_a_picture_too() {
    let picture = Picture::of(&[], 168);
    assert_eq!(picture.size, SIZE);
    assert!(picture.columns(paint::PLAYERS).is_empty() && picture.columns(paint::UPS).is_empty());
    assert_eq!(alt_text(&[]), "A chart of players and UPS over time: players unknown, UPS unknown");
}

#[test]
fn the_alt_text_tells_the_extremes() {
    let points = points(24, |ago| Some((if ago > 23.0 { 12 } else { 3 }, 60.0 - ago)));
    let told = "A chart of players and UPS over time: at most 12 players at once, 36 to 60 UPS";
    assert_eq!(alt_text(&points), told);
}

#[test]
fn a_week_of_samples_is_drawn_and_odd_values_break_nothing() {
    let mut week = points(168, |ago| Some((if ago > 80.0 { 9 } else { 2 }, 60.0)));
    week[7].ups = Some(f64::NAN);
    week[8].players = Some(f64::INFINITY);
    week[9].ups = Some(100_000.0);
    assert!(chart(&week, from(168), at(END), &TimeZone::UTC).unwrap().len() < 300 * 1024);
    // An empty span, and one that runs backwards.
    for (begin, end) in [(END, END), (END, END - 10)] {
        assert!(chart(&week, at(begin), at(end), &TimeZone::UTC).is_ok());
    }
}

#[test]
fn hours_that_follow_each_other_are_a_line_and_a_missing_one_is_a_gap() {
    let hourly = |point: HistoryPoint| HistoryPoint { step: Duration::from_hours(1), ..point };
    let whole = |point: &HistoryPoint| (point.at - from(168)).as_secs() % 3600 == 0;
    let known = |ago: f64| !(80.0..90.0).contains(&ago);
    let week = points(168, |ago| known(ago).then_some((5, 60.0)));
    let week: Vec<_> = week.into_iter().filter(whole).map(hourly).collect();
    let columns = Picture::of(&week, 168).columns(paint::UPS);
    let gaps: Vec<_> = columns.windows(2).filter(|pair| pair[1] - pair[0] > 1).collect();
    assert_eq!(gaps.len(), 1, "{columns:?}");
    assert!(columns.len() > 800, "{} columns", columns.len());
}
