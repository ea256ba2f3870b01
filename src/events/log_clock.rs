//! Turns the time stamps of one log into UTC, and measures their offset when they do not fit the configuration.
//!
//! The game writes local time without a zone. When the game's host and the relay have different zones, all stamps are
//! wrong by the same number of quarter hours. While the relay follows the log, the age of a new line is known: it is
//! zero. The difference between its stamp and the clock is therefore the offset of the log.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::config::settings::ServerSettings;

/// Every zone on Earth is a multiple of this away from UTC.
const QUARTER_HOUR: i64 = 15 * 60;
/// How far a stamp may be from a quarter hour: the age of the line and the error of both clocks.
const TOLERANCE: i64 = 60;
/// Offsets from UTC that are in use.
const OFFSETS: std::ops::RangeInclusive<i64> = -12 * 3600..=14 * 3600;
/// Reads that must agree.
const READS: u32 = 3;
/// How far apart they must be. Lines that waited somewhere arrive together, with stamps that differ.
const BETWEEN_READS: SignedDuration = SignedDuration::from_secs(5);
/// A read with more lines is a backlog, whose lines are of any age.
pub(super) const MAX_LINES: usize = 50;

/// The clock of one log.
#[derive(Debug)]
pub(super) struct LogClock {
    zone: TimeZone,
    /// The operator set the zone; the measured offset is then reported but not used.
    configured: bool,
    measured: Option<Offset>,
    candidate: Option<Candidate>,
    /// When the read began whose lines were just appended; `None` for a backlog.
    appended_at: Option<Timestamp>,
}

/// An offset that was seen but is not proven yet.
#[derive(Debug)]
struct Candidate {
    offset: Offset,
    reads: u32,
    last_read: Timestamp,
}

impl LogClock {
    pub(super) fn new(server: &ServerSettings) -> Self {
        Self {
            zone: server.timezone.clone(),
            configured: server.timezone_configured,
            measured: None,
            candidate: None,
            appended_at: None,
        }
    }

    /// The offset of the stamps from UTC, where it was measured and differs from the configured zone.
    pub(super) fn measured(&self) -> Option<Offset> {
        self.measured
    }

    /// Continues with an offset that was measured before.
    pub(super) fn restore(&mut self, measured: Option<Offset>) {
        self.measured = measured;
    }

    /// The zone that the stamps are read in.
    pub(super) fn zone(&self) -> TimeZone {
        match self.measured {
            Some(offset) if !self.configured => offset.to_time_zone(),
            _ => self.zone.clone(),
        }
    }

    /// Begins a read of a backlog.
    pub(super) fn begin_backlog(&mut self) {
        self.appended_at = None;
    }

    /// Begins a read of lines that were just appended, and compares their stamps with the clock.
    pub(super) fn begin_appended(&mut self, stamps: &[DateTime], now: Timestamp) {
        self.appended_at = Some(now);
        let mut offsets = stamps.iter().map(|stamp| offset_of(*stamp, now));
        let Some(first) = offsets.next() else { return };
        match first.filter(|_| offsets.all(|offset| offset == first)) {
            Some(offset) => self.observe(offset, now),
            // The lines are of different ages, or off by something that is no time zone.
            None => self.candidate = None,
        }
    }

    fn observe(&mut self, offset: Offset, now: Timestamp) {
        let of_zone = self.zone.to_offset(now);
        if offset == self.measured.unwrap_or(of_zone) {
            self.candidate = None;
            return;
        }
        let candidate = match self.candidate.take() {
            Some(seen) if seen.offset == offset && now.duration_since(seen.last_read) < BETWEEN_READS => seen,
            Some(seen) if seen.offset == offset => Candidate { offset, reads: seen.reads + 1, last_read: now },
            _ => Candidate { offset, reads: 1, last_read: now },
        };
        if candidate.reads < READS {
            self.candidate = Some(candidate);
        } else {
            self.measured = (offset != of_zone).then_some(offset);
        }
    }

    /// The UTC time of a stamp.
    ///
    /// A local time that a clock change skips is read as the later one. Of one that a clock change repeats, the earlier
    /// is taken, unless the line was just appended and the later one is not in the future.
    pub(super) fn to_utc(&self, stamp: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone().to_ambiguous_timestamp(stamp);
        if let (AmbiguousOffset::Fold { after, .. }, Some(now)) = (ambiguous.offset(), self.appended_at)
            && let Ok(later) = after.to_timestamp(stamp)
            && later.duration_since(now).as_secs() <= TOLERANCE
        {
            return Some(later);
        }
        ambiguous.compatible().ok()
    }

    /// Corrects a time that was computed in the configured zone, such as that of the engine's start.
    pub(super) fn correct(&self, time: Timestamp) -> Timestamp {
        match self.measured {
            Some(offset) if !self.configured => offset.to_timestamp(self.stamp_of(time)).unwrap_or(time),
            _ => time,
        }
    }

    /// The time in the configured zone, corrected or not: what the log would show.
    pub(super) fn stamp_of(&self, time: Timestamp) -> DateTime {
        self.zone.to_datetime(time)
    }

    /// The UTC time of a stamp in the configured zone, without the measured offset.
    pub(super) fn uncorrected(&self, stamp: DateTime) -> Option<Timestamp> {
        self.zone.to_ambiguous_timestamp(stamp).compatible().ok()
    }
}

/// The offset from UTC of a clock that shows `stamp` at `now`, if a time zone explains it.
fn offset_of(stamp: DateTime, now: Timestamp) -> Option<Offset> {
    let ahead = Offset::UTC.to_timestamp(stamp).ok()?.as_second() - now.as_second();
    let offset = (ahead + QUARTER_HOUR / 2).div_euclid(QUARTER_HOUR) * QUARTER_HOUR;
    let explained = (ahead - offset).abs() <= TOLERANCE && OFFSETS.contains(&offset);
    Offset::from_seconds(i32::try_from(offset).ok()?).ok().filter(|_| explained)
}

#[cfg(test)]
#[path = "log_clock_tests.rs"]
pub(super) mod tests;
