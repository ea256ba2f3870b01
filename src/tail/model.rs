//! Random sequences of what writers, rotators and restarts do to a log, against a model that knows every line's fate.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;

use super::follow::Follower;
use super::step::Again;
use crate::config::settings::StartAt;
use crate::domain::{Gap, LogItem, Position};

/// A log in a directory of its own, and what its reader delivered.
pub(super) struct Bench {
    dir: TempDir,
    pub(super) log: PathBuf,
    pub(super) follower: Follower,
    /// End of the last piece.
    pub(super) position: Position,
    pub(super) lines: Vec<String>,
    pub(super) gaps: Vec<Gap>,
    /// Rotations lie seconds apart, so every change gets its own second.
    seconds: u64,
}

impl Bench {
    pub(super) fn new(start_at: StartAt) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        let follower = Follower::new(log.clone(), start_at, Position::default());
        let (lines, gaps) = (Vec::new(), Vec::new());
        Self { dir, log, follower, position: Position::default(), lines, gaps, seconds: 1_000 }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn rotated(&self, number: u32) -> PathBuf {
        self.path(&format!("console.log.{number}"))
    }

    pub(super) fn stamp(&mut self, path: &Path) {
        self.seconds += 1;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds);
        OpenOptions::new().append(true).open(path).unwrap().set_modified(time).unwrap();
    }

    pub(super) fn append_to(&mut self, path: &Path, bytes: &[u8]) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
        self.stamp(path);
    }

    pub(super) fn append(&mut self, bytes: impl AsRef<[u8]>) {
        self.append_to(&self.log.clone(), bytes.as_ref());
    }

    fn shift(&self) {
        for number in
            (1..50).rev().filter(|number| self.rotated(*number).is_symlink() || self.rotated(*number).exists())
        {
            fs::rename(self.rotated(number), self.rotated(number + 1)).unwrap();
        }
    }

    pub(super) fn rotate(&mut self) {
        self.shift();
        fs::rename(&self.log, self.rotated(1)).unwrap();
    }

    pub(super) fn copy_and_truncate(&mut self) {
        self.shift();
        let copy = self.rotated(1);
        fs::copy(&self.log, &copy).unwrap();
        self.stamp(&copy);
        self.truncate(0);
    }

    pub(super) fn truncate(&mut self, len: u64) {
        OpenOptions::new().write(true).open(&self.log).unwrap().set_len(len).unwrap();
        self.stamp(&self.log.clone());
    }

    pub(super) fn replace_by(&mut self, bytes: &[u8]) {
        let new = self.path("new");
        self.append_to(&new, bytes);
        fs::rename(new, &self.log).unwrap();
    }

    pub(super) fn swap_symlink_to(&mut self, target: &Path) {
        let link = self.path("link");
        symlink(target, &link).unwrap();
        fs::rename(link, &self.log).unwrap();
    }

    /// Everything in memory is gone; the last piece delivered is what is known.
    pub(super) fn restart(&mut self) {
        self.follower = Follower::new(self.log.clone(), StartAt::End, self.position);
    }

    pub(super) fn poll(&mut self) -> Again {
        let step = self.follower.poll().unwrap();
        if let Some(piece) = step.piece {
            assert_eq!(piece.start, self.position, "a piece begins where the one before ended");
            let order = |position: Position| (position.generation, position.offset);
            assert!(order(piece.end) >= order(piece.start));
            self.position = piece.end;
            for item in piece.items {
                match item {
                    LogItem::Line(line) => {
                        assert!(line.end <= piece.end.offset);
                        self.lines.push(line.text);
                    }
                    LogItem::Gap(gap) => self.gaps.push(gap),
                    LogItem::Before(_) => {}
                }
            }
        }
        step.again
    }

    pub(super) fn drain(&mut self) {
        for _ in 0..10_000 {
            if self.poll() == Again::Later {
                return;
            }
        }
        panic!("the reader never comes to rest");
    }
}

#[derive(Debug, Clone)]
enum Op {
    Line,
    LineWithCr,
    /// The start of a line; the next line appended to the same life completes it.
    HalfLine,
    LongBurst,
    Poll,
    Drain,
    Restart,
    Rotate,
    RotateAndCreate,
    /// The writer has not noticed yet that its file has another name.
    AppendToRenamed,
    CopyTruncate,
    TruncateOnceRead,
    DeleteOnceRead,
    ReplaceOnceRead,
    SwapSymlink,
    /// Editors write a new file and rename it over the old one.
    EditInPlace,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(Op::Line),
        2 => Just(Op::LineWithCr),
        4 => Just(Op::HalfLine),
        1 => Just(Op::LongBurst),
        6 => Just(Op::Poll),
        2 => Just(Op::Drain),
        3 => Just(Op::Restart),
        3 => Just(Op::Rotate),
        2 => Just(Op::RotateAndCreate),
        2 => Just(Op::AppendToRenamed),
        3 => Just(Op::CopyTruncate),
        1 => Just(Op::TruncateOnceRead),
        1 => Just(Op::DeleteOnceRead),
        1 => Just(Op::ReplaceOnceRead),
        2 => Just(Op::SwapSymlink),
        2 => Just(Op::EditInPlace),
    ]
}

/// What was written, life by life.
struct Model {
    bench: Bench,
    lives: Vec<String>,
    written: usize,
    targets: usize,
    /// A life was destroyed after it had been read, when the reader was in this generation.
    destroyed_in: Option<(u64, usize)>,
    /// A restart came before the reader could move on from a destroyed life: it must say so.
    gap_due: bool,
    /// Half a line of a destroyed life that a restart forgot.
    forgotten: Vec<String>,
}

impl Model {
    /// `first` is in the log when the relay first starts.
    fn new(first: &str) -> Self {
        let mut bench = Bench::new(StartAt::Beginning);
        bench.append(first);
        bench.drain();
        let lives = vec![first.to_owned()];
        Self { bench, lives, written: 0, targets: 0, destroyed_in: None, gap_due: false, forgotten: Vec::new() }
    }

    fn next_text(&mut self) -> String {
        self.written += 1;
        format!("2026-01-01 00:00:00 [CHAT] line {:06} é", self.written)
    }

    fn write(&mut self, text: &str) {
        self.lives.last_mut().unwrap().push_str(text);
        self.bench.append(text);
    }

    fn len_at_path(&self) -> Option<u64> {
        fs::metadata(&self.bench.log).ok().map(|metadata| metadata.len())
    }

    /// The reader is in the file at the path and has delivered something of it.
    fn is_read_and_filled(&self) -> bool {
        let id = fs::metadata(&self.bench.log).ok().map(|metadata| metadata.ino());
        !self.bench.log.is_symlink() && id == Some(self.bench.position.file.inode)
    }

    fn destroy(&mut self) {
        self.settle();
        self.destroyed_in.get_or_insert((self.bench.position.generation, self.lives.len()));
        self.lives.push(String::new());
    }

    fn apply(&mut self, op: &Op) {
        let exists = self.len_at_path().is_some();
        match op {
            Op::Line => {
                let text = self.next_text();
                self.write(&format!("{text}\n"));
            }
            Op::LineWithCr => {
                let text = self.next_text();
                self.write(&format!("{text}\r\n"));
            }
            Op::HalfLine => {
                let text = self.next_text();
                self.write(&text);
            }
            Op::LongBurst => {
                let burst: String = (0..1_500).map(|_| self.next_text() + "\n").collect();
                self.write(&burst);
            }
            Op::Poll => drop(self.bench.poll()),
            Op::Drain => self.bench.drain(),
            Op::Restart => self.restart(),
            Op::Rotate | Op::RotateAndCreate if exists => {
                self.bench.rotate();
                self.lives.push(String::new());
                if matches!(op, Op::RotateAndCreate) {
                    self.bench.append("");
                }
            }
            Op::AppendToRenamed if !exists && self.bench.rotated(1).exists() && self.destroyed_in.is_none() => {
                let text = self.next_text() + "\n";
                let before = self.lives.len() - 2;
                self.lives[before].push_str(&text);
                self.bench.append_to(&self.bench.rotated(1), text.as_bytes());
            }
            Op::CopyTruncate if exists => {
                self.bench.copy_and_truncate();
                self.lives.push(String::new());
            }
            Op::TruncateOnceRead if self.len_at_path() > Some(0) => {
                self.bench.drain();
                self.bench.truncate(0);
                self.destroy();
            }
            Op::DeleteOnceRead if exists => {
                self.bench.drain();
                fs::remove_file(&self.bench.log).unwrap();
                self.destroy();
            }
            Op::ReplaceOnceRead if exists => {
                self.bench.drain();
                let text = self.next_text() + "\n";
                self.bench.replace_by(text.as_bytes());
                self.destroy();
                self.lives.last_mut().unwrap().push_str(&text);
            }
            Op::SwapSymlink => self.swap_symlink(),
            Op::EditInPlace if self.bench.position.offset > 0 && self.is_read_and_filled() => {
                let content = fs::read(&self.bench.log).unwrap();
                self.bench.replace_by(&content);
            }
            _ => {}
        }
        self.settle();
    }

    /// The reader has moved on from what was destroyed.
    fn settle(&mut self) {
        self.destroyed_in = self.destroyed_in.filter(|(generation, _)| self.bench.position.generation <= *generation);
    }

    fn swap_symlink(&mut self) {
        if self.len_at_path().is_some() && !self.bench.log.is_symlink() {
            self.bench.drain();
            self.destroy();
        } else {
            self.lives.push(String::new());
        }
        self.targets += 1;
        let target = self.bench.path(&format!("console-{}.log", 20_260_100 + self.targets));
        self.bench.append_to(&target, b"");
        self.bench.swap_symlink_to(&target);
    }

    fn restart(&mut self) {
        if let Some((_, life)) = self.destroyed_in {
            // What was rotated away since cannot be told from what was read before.
            // Of a file that was empty at the checkpoint nobody knows that it ever held half a line.
            let unknown = self.bench.position.fingerprint.head_len == 0;
            if unknown || self.lives.len() > life + 1 || self.len_at_path().is_none() {
                return;
            }
            self.gap_due = true;
            self.forgotten.extend(self.lives[life - 1].rsplit('\n').next().map(str::to_owned));
            self.destroyed_in = None;
            self.bench.restart();
            self.bench.drain();
        } else {
            self.bench.restart();
        }
    }

    fn check(mut self) {
        // The last life is not empty, so that the reader leaves all others.
        self.apply(&Op::Line);
        self.bench.drain();
        let expected = self.lives.iter().flat_map(|life| life.split('\n')).map(|line| line.trim_end_matches('\r'));
        let delivered = &self.bench.lines;
        let is_forgotten =
            |line: &str| self.forgotten.iter().any(|half| half == line) && !delivered.iter().any(|d| d == line);
        let expected: Vec<&str> = expected.filter(|line| !line.is_empty() && !is_forgotten(line)).collect();
        assert_eq!(*delivered, expected);
        assert!(self.gap_due || self.bench.gaps.is_empty(), "nothing was lost, yet {:?}", self.bench.gaps);
        let lost = self.forgotten.iter().any(|half| !half.is_empty() && !delivered.contains(half));
        assert!(!lost || !self.bench.gaps.is_empty(), "a half line was lost without a word");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_line_is_delivered_once_and_in_order(
        first in prop_oneof![Just(""), Just("the first line\n")],
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut model = Model::new(first);
        for op in &ops {
            model.apply(op);
        }
        model.check();
    }
}

#[test]
fn the_bench_notices_a_line_that_is_written_behind_its_back() {
    let mut model = Model::new("the first line\n");
    File::options().append(true).open(&model.bench.log).unwrap().write_all(b"stranger\n").unwrap();
    model.bench.drain();
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| model.check()));
    assert!(checked.is_err());
}
