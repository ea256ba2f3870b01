//! One open file and how far it has been read: bytes to lines, and the proof that it is still the same file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::fingerprint::{SAMPLE, fingerprint, read_up_to};
use super::line_buffer::LineBuffer;
use super::stat::{FileTime, Stat};
use crate::domain::{LogItem, LogLine, Position};

/// Bytes asked for in one read.
const CHUNK: usize = 64 * 1024;
/// A batch is closed when it holds so many lines ...
const BATCH_LINES: usize = 1_000;
/// ... or when so many bytes were read for it.
const BATCH_BYTES: u64 = 256 * 1024;

/// What a reading brought.
#[derive(Debug)]
pub(super) enum Reading {
    /// Nothing new.
    End,
    /// New bytes, and the lines that they complete, if any.
    Bytes(Vec<LogItem>),
    /// The file does not hold any more what was read from it: it was truncated, and perhaps grew again.
    Replaced,
}

/// An open log file.
#[derive(Debug)]
pub(super) struct OpenLog {
    file: File,
    /// As of the last reading that proved the file the same.
    stat: Stat,
    /// The name it was opened by; it may have another by now.
    path: PathBuf,
    generation: u64,
    read_offset: u64,
    /// The first bytes of the file, read or not, [`SAMPLE`] at most.
    head: Vec<u8>,
    /// The last bytes before `read_offset`, [`SAMPLE`] at most.
    recent: Vec<u8>,
    /// Everything before this has become lines.
    lines_end: u64,
    lines_end_tail: Vec<u8>,
    line: LineBuffer,
    /// The greatest length this life of the file was seen to have.
    known_len: u64,
    /// The length this very file was last seen to have.
    seen_len: u64,
    /// An equal `stat` next time would not prove the file unchanged.
    unproven: bool,
    newest_beside: FileTime,
}

impl OpenLog {
    /// Goes on reading an open file at `offset`, where a line begins.
    pub(super) fn at(file: File, path: &Path, generation: u64, offset: u64) -> io::Result<Self> {
        let stat = Stat::of_file(&file)?;
        let sample = offset.min(SAMPLE as u64);
        let sample_len = usize::try_from(sample).expect("a sample is short");
        let head = read_up_to(&file, 0, SAMPLE)?;
        let recent = read_up_to(&file, offset - sample, sample_len)?;
        Ok(Self {
            file,
            stat,
            path: path.to_owned(),
            generation,
            read_offset: offset,
            head,
            lines_end: offset,
            lines_end_tail: recent.clone(),
            recent,
            line: LineBuffer::default(),
            known_len: offset,
            seen_len: offset,
            unproven: true,
            newest_beside: FileTime::MIN,
        })
    }

    /// Goes on in a copy of this file, which holds everything that was read, at the same place.
    pub(super) fn continue_in(&mut self, file: File, path: &Path) -> io::Result<()> {
        self.stat = Stat::of_file(&file)?;
        self.file = file;
        self.seen_len = 0;
        path.clone_into(&mut self.path);
        self.unproven = true;
        Ok(())
    }

    /// The same file, to be read from its start as a new generation.
    pub(super) fn next_life(&self, offset: u64) -> io::Result<Self> {
        Self::at(self.file.try_clone()?, &self.path, self.generation + 1, offset)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stat(&self) -> Stat {
        self.stat
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The file as it is now.
    pub(super) fn stat_now(&self) -> io::Result<Stat> {
        Stat::of_file(&self.file)
    }

    /// The end of the last whole line: where a new reader would go on.
    pub(super) fn lines_end(&self) -> Position {
        self.position(self.lines_end, &self.lines_end_tail)
    }

    /// The end of all that was read, half lines too.
    pub(super) fn read_end(&self) -> Position {
        self.position(self.read_offset, &self.recent)
    }

    fn position(&self, offset: u64, tail: &[u8]) -> Position {
        let fingerprint = fingerprint(&self.head, tail);
        Position { generation: self.generation, file: self.stat.id, offset, fingerprint, seen_at: self.seen_at() }
    }

    fn seen_at(&self) -> FileTime {
        if self.is_blank() { self.stat.modified.max(self.newest_beside) } else { self.stat.modified }
    }

    /// Of an empty file: how new the files are that are known to lie beside it.
    pub(super) fn newest_beside(&mut self, newest: Option<FileTime>) {
        self.newest_beside = newest.unwrap_or(FileTime::MIN);
    }

    /// Half a line that stands whole in another file is not a line.
    pub(super) fn forget_half_line(&mut self) {
        self.line = LineBuffer::default();
        self.read_offset = self.lines_end;
        self.recent.clone_from(&self.lines_end_tail);
    }

    /// Whether the file was empty when it was opened and not a byte was read since.
    pub(super) fn is_blank(&self) -> bool {
        self.read_offset == 0 && self.head.is_empty()
    }

    /// Bytes that were seen and not read.
    pub(super) fn unread(&self) -> u64 {
        self.known_len.saturating_sub(self.read_offset)
    }

    fn head_holds(&self) -> io::Result<bool> {
        Ok(read_up_to(&self.file, 0, self.head.len())? == self.head)
    }

    /// Reads on, a batch at most. `now` is a fresh `stat` of this file.
    pub(super) fn read(&mut self, now: Stat) -> io::Result<Reading> {
        if now.len < self.read_offset {
            return Ok(Reading::Replaced);
        }
        let unchanged = now == self.stat && now.len == self.read_offset;
        if unchanged && !self.unproven {
            return Ok(Reading::End);
        }
        let reading = if self.head_holds()? { self.read_batch()? } else { Reading::Replaced };
        if self.is_shorter_than_seen(&reading, now)? {
            return Ok(Reading::Replaced);
        }
        if !matches!(reading, Reading::Replaced) {
            self.stat = now;
            self.seen_len = now.len.max(self.read_offset);
            self.known_len = self.known_len.max(self.seen_len);
            self.unproven = now.changed_just_now();
        }
        Ok(reading)
    }

    /// Whether the file lost bytes that a look at it saw, before they were read.
    fn is_shorter_than_seen(&mut self, reading: &Reading, now: Stat) -> io::Result<bool> {
        let seen = now.len.max(self.seen_len);
        let shrunk = match reading {
            Reading::Bytes(_) => false,
            Reading::End => seen > self.read_offset,
            Reading::Replaced => Stat::of_file(&self.file)?.len < now.len,
        };
        if shrunk {
            self.known_len = self.known_len.max(seen);
        }
        Ok(shrunk)
    }

    fn read_batch(&mut self) -> io::Result<Reading> {
        let start = self.read_offset;
        let mut items = Vec::new();
        while items.len() < BATCH_LINES && self.read_offset - start < BATCH_BYTES {
            // One read brings the bytes we know and the new ones behind them, so that nothing can happen in between.
            let known = self.recent.len();
            let window = read_up_to(&self.file, self.read_offset - known as u64, known + CHUNK)?;
            if !window.starts_with(&self.recent) {
                // What was read before is good; the next reading meets the same again.
                let nothing_yet = self.read_offset == start;
                return Ok(if nothing_yet { Reading::Replaced } else { Reading::Bytes(items) });
            }
            if window.len() == known {
                break;
            }
            self.take(&window, known, &mut items);
        }
        Ok(if self.read_offset == start { Reading::End } else { Reading::Bytes(items) })
    }

    /// Makes lines of the bytes of `window` behind the first `known` ones, until the batch is full.
    fn take(&mut self, window: &[u8], known: usize, items: &mut Vec<LogItem>) {
        let window_start = self.read_offset - known as u64;
        let mut at = known;
        while at < window.len() && items.len() < BATCH_LINES {
            let rest = &window[at..];
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                self.line.extend(rest);
                at = window.len();
                break;
            };
            self.line.extend(&rest[..length]);
            at += length + 1;
            self.lines_end = window_start + at as u64;
            self.finish_line(self.lines_end, items);
        }
        let lines_end = usize::try_from(self.lines_end.saturating_sub(window_start)).unwrap_or(0);
        if lines_end > known {
            self.lines_end_tail = last_sample(&window[..lines_end]);
        }
        if self.head.len() < SAMPLE {
            // So little was read that the window begins where the file does.
            self.head = window[..window.len().min(SAMPLE)].to_vec();
        }
        self.recent = last_sample(&window[..at]);
        self.read_offset = window_start + at as u64;
    }

    fn finish_line(&mut self, end: u64, items: &mut Vec<LogItem>) {
        if let Some(line) = self.line.finish() {
            items.push(LogItem::Line(LogLine { text: line.text, end, skipped_bytes: line.skipped_bytes }));
        }
    }

    /// Ends the reading of a file that will not be written to any more: a half line is a line now.
    pub(super) fn finish(&mut self) -> Vec<LogItem> {
        let mut items = Vec::new();
        self.finish_line(self.read_offset, &mut items);
        self.lines_end = self.read_offset;
        self.lines_end_tail.clone_from(&self.recent);
        items
    }
}

fn last_sample(bytes: &[u8]) -> Vec<u8> {
    bytes[bytes.len().saturating_sub(SAMPLE)..].to_vec()
}

/// The end of the last whole line of a file: where a reader begins that wants new lines only.
pub(super) fn end_of_lines(file: &File) -> io::Result<u64> {
    let mut end = Stat::of_file(file)?.len;
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let length = usize::try_from(end - start).expect("a chunk fits");
        let chunk = read_up_to(file, start, length)?;
        if let Some(newline) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A log of which `a` is read, that grew to `len` bytes, was looked at, and became `then` before it was read.
    fn looked_at(first: &str, len: usize, then: &str) -> (Reading, OpenLog) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), first).unwrap();
        let mut open = OpenLog::at(File::open(file.path()).unwrap(), file.path(), 1, 0).unwrap();
        open.read(open.stat_now().unwrap()).unwrap();
        fs::write(file.path(), format!("{first}{}", "x".repeat(len - first.len()))).unwrap();
        let now = open.stat_now().unwrap();
        fs::write(file.path(), then).unwrap();
        (open.read(now).unwrap(), open)
    }

    #[test]
    fn bytes_that_vanish_between_the_look_and_the_reading_are_known_to_be_lost() {
        for (first, then, lost) in [("a\n", "", 998), ("a\n", "b\nc\n", 998), ("", "", 1_000)] {
            let (reading, open) = looked_at(first, 1_000, then);
            assert!(matches!(reading, Reading::Replaced), "{first:?} {then:?} {reading:?}");
            assert_eq!(open.unread(), lost, "{first:?} {then:?}");
        }
    }

    #[test]
    fn a_file_cut_back_to_where_it_was_read_is_known_to_have_lost_the_rest() {
        let (reading, open) = looked_at("a\n", 1_000, "a\n");
        assert!(matches!(reading, Reading::Replaced));
        assert_eq!((open.unread(), open.lines_end().offset), (998, 2));
    }
}
