//! One log file, held open as the game holds it: in append mode, a `write(2)` for each line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::feed::Tap;

/// How many rotated files are kept by default: `.1` to `.5`, as a usual logrotate rule does.
const KEPT: u32 = 5;

/// A log file and the game's handle on it. A write opens the file where it is not open.
///
/// The handle stays on its file when the path is moved or removed, until [`LogFile::reopen`].
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    handle: Option<File>,
    tap: Option<Tap>,
    kept: u32,
}

impl LogFile {
    /// A log at `path`. Nothing is opened or created yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, handle: None, tap: None, kept: KEPT }
    }

    /// Shows every whole line to `tap`, too.
    pub(super) fn set_tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// Where the log is when nobody rotates it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps so many rotated files; 5 by default.
    pub fn keep_rotated(&mut self, kept: u32) {
        self.kept = kept;
    }

    /// Opens what is at the path now, creating it where there is nothing.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.handle = Some(OpenOptions::new().append(true).create(true).open(&self.path)?);
        Ok(())
    }

    /// Lets go of the file.
    pub fn close(&mut self) {
        self.handle = None;
    }

    /// Appends `bytes` with one `write(2)`.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.handle.is_none() {
            self.reopen()?;
        }
        if let Some(file) = &mut self.handle {
            file.write_all(bytes)?;
        }
        if let Some(tap) = &mut self.tap {
            tap.see(bytes);
        }
        Ok(())
    }

    /// Appends `text` and a line end with one `write(2)`.
    pub fn write_line(&mut self, text: &str) -> io::Result<()> {
        self.write(format!("{text}\n").as_bytes())
    }

    /// Moves the log to `NAME.1`, and older ones up by one, the oldest out. The game goes on writing to the moved
    /// file until [`LogFile::reopen`].
    pub fn rotate_rename(&mut self) -> io::Result<()> {
        self.shift_rotated()?;
        fs::rename(&self.path, self.rotated(1))
    }

    /// Copies the log to `NAME.1`, and empties the file the game goes on writing to.
    pub fn rotate_copytruncate(&mut self) -> io::Result<()> {
        self.shift_rotated()?;
        fs::copy(&self.path, self.rotated(1))?;
        self.truncate()
    }

    /// Empties the file; what stood in it is gone. The next write begins at offset 0, as the game appends.
    pub fn truncate(&mut self) -> io::Result<()> {
        OpenOptions::new().write(true).open(&self.path)?.set_len(0)
    }

    /// Removes the file. The game goes on writing to what no path leads to any more.
    pub fn remove(&mut self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    /// The path of the `number`th rotated log, 1 being the youngest.
    #[must_use]
    pub fn rotated(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn shift_rotated(&self) -> io::Result<()> {
        // The files are numbered without holes: the first free number, or the last one kept, takes the oldest.
        let oldest = (1..self.kept).find(|number| !self.rotated(*number).exists()).unwrap_or(self.kept);
        for number in (1..oldest).rev() {
            fs::rename(self.rotated(number), self.rotated(number + 1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, LogFile) {
        let dir = tempfile::tempdir().unwrap();
        let log = LogFile::new(dir.path().join("console.log"));
        (dir, log)
    }

    fn text(path: impl AsRef<Path>) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn nothing_is_created_before_the_first_write() {
        let (_dir, mut log) = log();
        assert!(!log.path().exists());
        log.write_line("one").unwrap();
        assert_eq!(text(log.path()), "one\n");
    }

    #[test]
    fn renamed_log_is_written_to_until_it_is_reopened() {
        let (_dir, mut log) = log();
        log.write_line("one").unwrap();
        log.rotate_rename().unwrap();
        log.write_line("two").unwrap();
        assert!(!log.path().exists());
        log.reopen().unwrap();
        log.write_line("three").unwrap();
        assert_eq!(text(log.rotated(1)), "one\ntwo\n");
        assert_eq!(text(log.path()), "three\n");
    }

    #[test]
    fn copytruncated_log_grows_from_its_start_again() {
        let (_dir, mut log) = log();
        log.write_line("one").unwrap();
        log.rotate_copytruncate().unwrap();
        log.write_line("two").unwrap();
        assert_eq!(text(log.rotated(1)), "one\n");
        assert_eq!(text(log.path()), "two\n");
    }

    #[test]
    fn rotations_shift_the_older_logs_and_drop_the_oldest() {
        let (dir, mut log) = log();
        for n in 1..=7 {
            log.write_line(&n.to_string()).unwrap();
            log.rotate_copytruncate().unwrap();
        }
        let kept: Vec<String> = (1..=5).map(|n| text(log.rotated(n))).collect();
        assert_eq!(kept, ["7\n", "6\n", "5\n", "4\n", "3\n"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);
    }

    #[test]
    fn removed_log_takes_what_is_written_with_it() {
        let (_dir, mut log) = log();
        log.write_line("one").unwrap();
        log.remove().unwrap();
        log.write_line("lost").unwrap();
        log.reopen().unwrap();
        log.write_line("two").unwrap();
        assert_eq!(text(log.path()), "two\n");
    }
}
