use proptest::prelude::*;

use super::tests::{SimMap, Turn, WINDOW};
use super::*;

/// The longest a writing may take, as the looks are told.
const WRITING: f64 = 0.25;

/// A mod that writes the map's clock into a file, and the file system that dates it.
#[derive(Debug, Clone)]
struct Writer {
    /// Once in so many ticks.
    every: f64,
    /// How long the writings take, one after another, in seconds.
    takes: Vec<f64>,
    /// The resolution of the file's times, in seconds.
    resolution: f64,
}

/// What was known behind a writing: when that was, how fast the map was said to be, and how long the window is.
type Said = (f64, Option<Ups>);

impl Writer {
    /// As graftorio2 does by default, on a usual file system.
    fn usual() -> Self {
        Self { every: 300.0, takes: vec![0.05], resolution: 0.004 }
    }

    fn any() -> impl Strategy<Value = Self> {
        let takes = prop::collection::vec(0.001..WRITING - 0.02, 1..20);
        let resolution = prop_oneof![Just(0.004), Just(1.0)];
        let writer = |(every, takes, resolution)| Self { every, takes, resolution };
        (prop_oneof![Just(300.0), 60.0..900.0], takes, resolution).prop_map(writer)
    }

    fn fine() -> impl Strategy<Value = Self> {
        Self::any().prop_map(|writer| Self { resolution: 0.004, ..writer })
    }

    /// When the map is written until `end`, and its tick then.
    fn writings(&self, map: &SimMap, end: f64) -> Vec<(f64, f64)> {
        let (mut writings, mut next, mut before) = (Vec::new(), f64::NEG_INFINITY, 0.0);
        for step in 0_u32.. {
            let now = f64::from(step) * 0.05;
            if now > end {
                return writings;
            }
            let tick = map.tick(now);
            if tick >= next || tick < before {
                if next > f64::NEG_INFINITY {
                    writings.push((now, tick));
                }
                next = (tick / self.every).floor() * self.every + self.every;
            }
            before = tick;
        }
        writings
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks are whole and positive")]
    fn said(&self, map: &SimMap, end: f64) -> Vec<Said> {
        let (mut meter, start) = (UpsMeter::of_writings(WINDOW), Instant::now());
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds + 10.0);
        let look = |(turn, (now, tick)): (usize, (f64, f64))| {
            let written = now + self.takes[turn % self.takes.len()];
            let dated = (written / self.resolution).floor() * self.resolution;
            meter.take(ClockLook {
                asked: at(dated - WRITING),
                answered: at(dated + self.resolution),
                tick: tick as u64,
                resolution: 1,
                speed: None,
                halted: Some(false),
                empty: false,
            });
            (written, meter.ups())
        };
        self.writings(map, end).into_iter().enumerate().map(look).collect()
    }
}

#[test]
fn a_file_that_is_written_in_step_tells_the_speed_after_a_window() {
    let said = Writer::usual().said(&SimMap::running(60.0), 200.0);
    for (at, ups) in &said {
        assert_eq!(ups.is_some(), *at > 62.0, "after {at} s");
    }
    let ups = said.last().unwrap().1.unwrap();
    assert!((ups.ups - 60.0).abs() <= ups.error && ups.error < 0.35, "{ups:?}");
}

#[test]
fn a_map_that_crawls_is_slow_though_its_file_is_seldom_written() {
    for speed in [5.0, 10.0, 20.0] {
        let map = SimMap::running(60.0).then(100.0, Turn::Runs(speed));
        let said = Writer::usual().said(&map, 500.0);
        let (_, ups) = said.last().unwrap();
        let ups = ups.unwrap_or_else(|| panic!("no claim at {speed}"));
        assert!((ups.ups - speed).abs() <= ups.error && ups.error < 1.0, "{speed}: {ups:?}");
    }
}

#[test]
fn a_drop_of_speed_is_known_soon_after_a_window() {
    let map = SimMap::running(60.0).then(123.0, Turn::Runs(30.0));
    let (_, ups) = *Writer::usual().said(&map, 190.0).last().unwrap();
    assert!((ups.unwrap().ups - 30.0).abs() < 1.0, "{ups:?}");
}

#[test]
fn a_map_whose_speed_jumps_about_has_its_median() {
    let mut map = SimMap::running(60.0);
    for (turn, ups) in [22.0, 58.0, 34.0, 49.0, 40.0, 28.0, 55.0].into_iter().cycle().take(60).enumerate() {
        map = map.then(turn as f64 * 6.7, Turn::Runs(ups));
    }
    let said = Writer { every: 120.0, ..Writer::usual() }.said(&map, 390.0);
    for (at, ups) in said.into_iter().filter(|(at, _)| *at > 70.0) {
        let ups = ups.unwrap_or_else(|| panic!("no claim after {at} s"));
        assert!((28.0..56.0).contains(&ups.ups) && ups.error > 1.0, "after {at} s: {ups:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_steady_speed_is_measured_within_the_stated_bound(writer in Writer::any(), speed in 20.0..240.0) {
        let said = writer.said(&SimMap::running(speed), 300.0);
        for (at, ups) in said.into_iter().filter(|(at, _)| *at > 70.0 + 5.0 * writer.every / speed) {
            let ups = ups.ok_or_else(|| TestCaseError::fail(format!("no claim after {at} s")))?;
            let off = 0.05 + 1.03 * speed * (WRITING + writer.resolution) / (WINDOW.as_secs_f64() - 2.5);
            prop_assert!((ups.ups - speed).abs() <= ups.error, "after {} s: {:?}", at, ups);
            prop_assert!(ups.error <= off, "after {} s: {:?}, not {}", at, ups, off);
        }
    }

    /// A file is not rewritten while the map stands, whoever or whatever halts it.
    #[test]
    fn a_pause_or_a_save_is_never_a_low_speed(
        writer in Writer::fine(), at in 20.0..180.0, length in 0.5..400.0, saves in any::<bool>(),
    ) {
        let map = SimMap::running(60.0);
        let map = if saves { map.saving(at, length, 60.0) } else {
            map.then(at, Turn::Stands).then(at + length, Turn::Runs(60.0))
        };
        for (at, ups) in writer.said(&map, 700.0) {
            let Some(ups) = ups else { continue };
            // A halt that is shorter than what a writing may be off cannot be told from the rest.
            prop_assert!(ups.ups + ups.error >= 59.0 && ups.ups <= 60.0 + ups.error, "after {} s: {:?}", at, ups);
        }
    }

    #[test]
    fn a_rollback_or_a_leap_starts_the_window_anew(
        writer in Writer::any(), at in 100.0..150.0, by in prop_oneof![-1e6..-3e3, 5e4..1e6],
    ) {
        let map = SimMap::running(60.0);
        let age = map.tick(at) + by;
        let said = writer.said(&map.then(at, Turn::Loads(age)), 400.0);
        let behind: Vec<&Said> = said.iter().filter(|(now, _)| *now > at + 0.3).collect();
        prop_assert_eq!(behind[0].1.map(|ups| ups.ups), None);
        for (now, ups) in &said {
            let off = ups.as_ref().map_or(0.0, |ups| (ups.ups - 60.0).abs() - ups.error);
            prop_assert!(off <= 0.0, "after {} s: {:?}", now, ups);
        }
        prop_assert!(behind.last().unwrap().1.is_some());
    }
}
