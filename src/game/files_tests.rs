use super::*;

const MAX_AGE: Duration = Duration::from_mins(2);

/// A file, and the time at which it is looked at.
struct Disk {
    source: FileSource,
    start: Instant,
    wall: Timestamp,
}

impl Disk {
    fn new() -> Self {
        let source = FileSource::new(MAX_AGE, Duration::from_mins(1));
        Self { source, start: Instant::now(), wall: Timestamp::from_second(1_800_000_000).unwrap() }
    }

    /// Writes `tick` at a second; it is read half a second later.
    fn write(&mut self, second: f64, tick: Option<u64>) {
        let after = |seconds: f64| Duration::from_secs_f64(seconds + 10.0);
        let numbers = FileNumbers { tick, players: Some(2), ..FileNumbers::default() };
        self.source.take(&Arc::new(FileTold {
            numbers,
            written: self.wall + after(second),
            written_at: self.start + after(second),
            resolution: Duration::from_millis(10),
            seen: self.wall + after(second + 0.5),
            seen_at: self.start + after(second + 0.5),
        }));
    }

    /// Writes every five seconds from one to the other, the map running at `ups`.
    fn run(&mut self, from: u32, to: u32, first: u64, ups: u64) {
        for second in (from..=to).step_by(5) {
            self.write(f64::from(second), Some(first + u64::from(second - from) * ups));
        }
    }

    fn at(&self, second: f64) -> Option<FileReading> {
        self.source.reading(self.start + Duration::from_secs_f64(second + 10.0))
    }
}

#[test]
fn a_file_that_is_rewritten_tells_the_speed() {
    let mut disk = Disk::new();
    disk.run(0, 70, 36_000, 60);
    let reading = disk.at(71.0).unwrap();
    let ups = reading.ups.unwrap();
    assert!((ups.ups - 60.0).abs() <= ups.error && ups.error < 0.4, "{ups:?}");
    assert!(reading.moves && reading.numbers.players == Some(2));
}

#[test]
fn a_file_that_is_rewritten_no_more_has_no_speed_and_soon_is_no_source() {
    let mut disk = Disk::new();
    disk.run(0, 70, 36_000, 60);
    assert!(disk.at(80.0).unwrap().ups.is_some(), "it may be late");
    let standing = disk.at(84.0).unwrap();
    assert_eq!((standing.ups, standing.moves), (None, false));
    assert!(disk.at(190.0).is_some());
    assert_eq!(disk.at(191.0), None);
    // It stood for ten minutes, and goes on: what was in between is no low speed.
    disk.run(670, 675, 40_500, 60);
    let reading = disk.at(676.0).unwrap();
    assert_eq!((reading.ups, reading.moves), (None, true));
    disk.run(680, 740, 41_100, 60);
    let ups = disk.at(741.0).unwrap().ups.unwrap();
    assert!((ups.ups - 60.0).abs() <= ups.error, "{ups:?}");
}

#[test]
fn one_writing_does_not_tell_that_the_map_goes_on() {
    let mut disk = Disk::new();
    disk.write(0.0, Some(36_000));
    assert!(!disk.at(1.0).unwrap().moves);
    // The same tick again, as when a look fell into a writing.
    disk.write(1.0, Some(36_000));
    assert!(!disk.at(2.0).unwrap().moves);
    disk.write(5.0, Some(36_300));
    assert!(disk.at(6.0).unwrap().moves);
}

#[test]
fn a_file_without_a_tick_tells_the_rest() {
    let mut disk = Disk::new();
    disk.run(0, 70, 36_000, 60);
    disk.write(75.0, None);
    let reading = disk.at(76.0).unwrap();
    assert_eq!((reading.ups, reading.moves, reading.numbers.players), (None, false, Some(2)));
}

#[test]
fn a_clock_that_is_set_back_starts_the_measurement_anew() {
    let mut disk = Disk::new();
    disk.run(0, 70, 36_000, 60);
    disk.write(30.0, Some(40_500));
    assert_eq!(disk.at(31.0).unwrap().ups, None);
    disk.run(35, 95, 40_800, 60);
    let ups = disk.at(96.0).unwrap().ups.unwrap();
    assert!((ups.ups - 60.0).abs() <= ups.error, "{ups:?}");
}

#[test]
fn another_save_starts_the_measurement_anew() {
    let mut disk = Disk::new();
    disk.run(0, 70, 36_000, 60);
    disk.run(75, 130, 20_000, 60);
    assert_eq!(disk.at(131.0).unwrap().ups, None);
    disk.run(135, 145, 23_600, 60);
    let ups = disk.at(146.0).unwrap().ups.unwrap();
    assert!((ups.ups - 60.0).abs() <= ups.error, "{ups:?}");
}
