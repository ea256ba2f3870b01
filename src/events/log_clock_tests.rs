use std::collections::BTreeMap;

use super::*;
use crate::config::settings::{AlertSettings, PermissionSettings, ServerChannels, StartAt};
use crate::domain::{ChannelId, ServerTag};

pub(crate) fn server() -> ServerSettings {
    ServerSettings {
        tag: ServerTag::new("prod").unwrap(),
        name: "Our Factory".to_owned(),
        console_log: "console.log".into(),
        engine_log: None,
        mod_logs: BTreeMap::new(),
        prometheus_file: None,
        alerts: AlertSettings::none(),
        start_at: StartAt::End,
        timezone: TimeZone::UTC,
        timezone_configured: false,
        channels: ServerChannels { default: ChannelId::new(1).unwrap(), routes: BTreeMap::new() },
        permissions: PermissionSettings::default(),
        rcon: None,
    }
}

/// A log in `log_zone`, read by a relay in `relay_zone`.
struct World {
    clock: LogClock,
    log_zone: TimeZone,
    now: Timestamp,
}

impl World {
    fn new(relay_zone: &str, log_zone: &str, start: &str) -> Self {
        let server = ServerSettings { timezone: TimeZone::get(relay_zone).unwrap(), ..server() };
        let log_zone = TimeZone::get(log_zone).unwrap();
        Self { clock: LogClock::new(&server), log_zone, now: start.parse().unwrap() }
    }

    /// `seconds` later a line appears that was written just now. Returns how far the relay's idea of its time is off.
    fn line_after(&mut self, seconds: i64) -> i64 {
        self.now += SignedDuration::from_secs(seconds);
        let stamp = self.log_zone.to_datetime(self.now);
        self.clock.begin_appended(&[stamp], self.now);
        let time = self.clock.to_utc(stamp).unwrap();
        time.as_second() - self.now.as_second()
    }

    fn lines(&mut self, count: usize) -> Vec<i64> {
        (0..count).map(|_| self.line_after(6)).collect()
    }
}

const WINTER: &str = "2026-11-30T12:00:00Z";

#[test]
fn a_log_hours_behind_or_ahead_is_dated_rightly_from_the_third_read() {
    for (zone, off) in [("America/New_York", -5 * 3600), ("Europe/Helsinki", 2 * 3600), ("Asia/Kathmandu", 20_700)] {
        let mut world = World::new("UTC", zone, WINTER);
        assert_eq!(world.lines(4), [off, off, 0, 0], "{zone}");
        assert_eq!(world.clock.measured().map(Offset::seconds), Some(i32::try_from(off).unwrap()), "{zone}");
    }
}

#[test]
fn a_log_in_the_right_zone_is_left_alone_also_across_clock_changes() {
    for start in [WINTER, "2026-10-25T00:59:50Z", "2026-03-29T00:59:50Z", "2026-10-25T01:59:50Z"] {
        let mut world = World::new("Europe/Berlin", "Europe/Berlin", start);
        assert_eq!(world.lines(8), [0; 8], "{start}");
        assert_eq!(world.clock.measured(), None, "{start}");
    }
}

#[test]
fn lines_that_come_together_prove_nothing() {
    let mut world = World::new("UTC", "America/New_York", WINTER);
    for _ in 0..20 {
        world.now += SignedDuration::from_millis(200);
        let stamp = world.log_zone.to_datetime(world.now);
        world.clock.begin_appended(&[stamp], world.now);
    }
    assert_eq!(world.clock.measured(), None, "all within 4 s");
}

#[test]
fn lines_of_different_ages_prove_nothing() {
    let mut world = World::new("UTC", "UTC", WINTER);
    for minutes in [-300, -285, -301, -90, -90, -7, -300, -300] {
        world.now += SignedDuration::from_secs(30);
        let stamp = world.clock.stamp_of(world.now + SignedDuration::from_mins(minutes));
        world.clock.begin_appended(&[stamp], world.now);
    }
    assert_eq!(world.clock.measured(), None);
    // One read with lines of the last hour: a copy of another log.
    for _ in 0..5 {
        world.now += SignedDuration::from_secs(30);
        let stamps =
            [-300, -270, -240].map(|minutes| world.clock.stamp_of(world.now + SignedDuration::from_mins(minutes)));
        world.clock.begin_appended(&stamps, world.now);
    }
    assert_eq!(world.clock.measured(), None);
}

#[test]
fn what_no_time_zone_explains_is_not_measured() {
    for off in [7 * 60, 15 * 3600, -13 * 3600, 2 * 86_400, 3600 + 90] {
        let mut world = World::new("UTC", "UTC", WINTER);
        for _ in 0..5 {
            world.now += SignedDuration::from_secs(30);
            let stamp = world.clock.stamp_of(world.now + SignedDuration::from_secs(off));
            world.clock.begin_appended(&[stamp], world.now);
        }
        assert_eq!(world.clock.measured(), None, "{off}");
    }
}

#[test]
fn a_clock_change_on_the_games_host_is_measured_again() {
    let mut world = World::new("UTC", "Europe/Berlin", "2026-10-25T00:59:00Z");
    assert_eq!(world.lines(4), [7200, 7200, 0, 0]);
    world.now = "2026-10-25T01:00:05Z".parse().unwrap();
    assert_eq!(world.lines(4), [-3600, -3600, 0, 0], "the clocks went back");
    assert_eq!(world.clock.measured().map(Offset::seconds), Some(3600));
}

#[test]
fn a_host_that_was_set_to_the_right_zone_ends_the_measured_offset() {
    let mut world = World::new("UTC", "America/New_York", WINTER);
    world.lines(3);
    world.log_zone = TimeZone::UTC;
    assert_eq!(world.lines(3), [5 * 3600, 5 * 3600, 0]);
    assert_eq!(world.clock.measured(), None);
}

#[test]
fn a_configured_zone_is_measured_but_never_overridden() {
    let mut world = World::new("UTC", "America/New_York", WINTER);
    world.clock.configured = true;
    assert_eq!(world.lines(5), [-5 * 3600; 5]);
    assert_eq!(world.clock.measured().map(Offset::seconds), Some(-5 * 3600));
}

#[test]
fn a_backlog_is_dated_by_the_offset_that_was_measured_before() {
    let mut world = World::new("UTC", "America/New_York", WINTER);
    world.clock.restore(Some(jiff::tz::offset(-5)));
    world.clock.begin_backlog();
    let stamp = "2026-11-30T03:00:00".parse().unwrap();
    assert_eq!(world.clock.to_utc(stamp).unwrap().to_string(), "2026-11-30T08:00:00Z");
    assert_eq!(world.clock.correct("2026-11-30T03:00:00Z".parse().unwrap()).to_string(), "2026-11-30T08:00:00Z");
}
