//! The third source: what a file tells that a mod rewrites while the game runs. Pure.
//!
//! A file tells of the moment it was written, and of nothing else. One that is not rewritten says that the map stands, or
//! that the game is gone, and not which: then nobody knows the speed, and soon the file is no source any more.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::prom_file::{FileNumbers, FileTold};
use super::sample::Ups;
use super::ups::{ClockLook, UpsMeter};

/// A writing takes this long at most, from the tick it tells of to the file's time.
const WRITING: Duration = Duration::from_millis(250);

/// A map goes on while its file is rewritten after so many times what it took the last time, and a little.
const LATE: u32 = 2;
pub(super) const A_LITTLE: Duration = Duration::from_secs(3);

/// What a file tells of a game now.
#[derive(Debug, Clone, PartialEq)]
pub struct FileReading {
    /// When it was seen to have been written.
    pub at: Timestamp,
    /// What stands in it.
    pub numbers: FileNumbers,
    /// Measured over the last writings.
    pub ups: Option<Ups>,
    /// Whether the map was seen to go on, and goes on still as far as is known.
    pub moves: bool,
}

/// One server's file, as it was rewritten.
#[derive(Debug, Clone)]
pub struct FileSource {
    max_age: Duration,
    meter: UpsMeter,
    told: Option<Arc<FileTold>>,
    /// The last writing with a new tick, and how long it took after the one before; `None` where there was none.
    moved: Option<(Instant, Option<Duration>)>,
}

impl FileSource {
    /// A file that is a source for `max_age` after it was written; UPS are measured over `ups_window`.
    #[must_use]
    pub fn new(max_age: Duration, ups_window: Duration) -> Self {
        Self { max_age, meter: UpsMeter::of_writings(ups_window), told: None, moved: None }
    }

    /// Takes in that it was rewritten.
    pub fn take(&mut self, told: &Arc<FileTold>) {
        let before = self.told.replace(Arc::clone(told));
        let Some(tick) = told.numbers.tick else {
            self.meter.restart();
            self.moved = None;
            return;
        };
        let last = before.as_ref().and_then(|before| Some((before, before.numbers.tick?)));
        if last.as_ref().is_some_and(|(_, before)| *before == tick) {
            return;
        }
        // What was no source for a while, or was written before the last one, cannot be compared.
        let gap = last.and_then(|(before, _)| told.written_at.checked_duration_since(before.written_at));
        let gap = gap.filter(|gap| !gap.is_zero() && *gap <= self.max_age);
        if gap.is_none() {
            self.meter.restart();
        }
        self.moved = Some((told.seen_at, gap));
        self.meter.take(look(told, tick));
    }

    /// What it tells at `now`; `None` where it is no source.
    #[must_use]
    pub fn reading(&self, now: Instant) -> Option<FileReading> {
        let told = self.told.as_ref().filter(|told| now.duration_since(told.seen_at) <= self.max_age)?;
        let moves = self.moves(now);
        let ups = self.meter.ups().filter(|_| moves);
        Some(FileReading { at: told.seen, numbers: told.numbers.clone(), ups, moves })
    }

    /// Whether the map goes on, as far as is known.
    #[must_use]
    pub fn moves(&self, now: Instant) -> bool {
        let Some((at, Some(gap))) = self.moved else { return false };
        now.duration_since(at) <= gap * LATE + A_LITTLE
    }

    /// The last writing.
    #[must_use]
    pub fn told(&self) -> Option<&FileTold> {
        self.told.as_deref()
    }
}

/// The tick was so a moment before the file's time, which may be cut off to what its file system tells.
fn look(told: &FileTold, tick: u64) -> ClockLook {
    ClockLook {
        asked: told.written_at.checked_sub(WRITING).unwrap_or(told.written_at),
        answered: told.written_at + told.resolution,
        tick,
        resolution: 1,
        speed: None,
        halted: Some(false),
        empty: false,
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
