//! What one `stat` tells about a file.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::domain::FileId;

/// Nanoseconds since 1970.
pub(super) type FileTime = i64;

/// File systems keep times in steps of up to two seconds, so a file that changed within that time may change
/// again and look the same.
const TIME_STEP: Duration = Duration::from_secs(2);

/// Identity, size and times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) id: FileId,
    pub(super) len: u64,
    pub(super) modified: FileTime,
    changed: FileTime,
}

impl Stat {
    fn new(metadata: &Metadata) -> Self {
        Self {
            id: FileId { device: metadata.dev(), inode: metadata.ino() },
            len: metadata.len(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The file behind a path, symlinks followed; `None` when there is none.
    ///
    /// Anything but a regular file is an error: opening a pipe would block, reading a directory fails.
    pub(super) fn of_path(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => regular(&metadata).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file behind a handle.
    pub(super) fn of_file(file: &File) -> io::Result<Self> {
        regular(&file.metadata()?)
    }

    /// Whether an equal [`Stat`] taken later would not prove that the file is unchanged.
    pub(super) fn changed_just_now(&self) -> bool {
        is_recent(self.modified.max(self.changed))
    }
}

/// When entries of a directory last came or went; `None` where that was just now, so that more may come unseen.
pub(super) fn settled_directory_time(dir: &Path) -> Option<FileTime> {
    let metadata = fs::metadata(dir).ok()?;
    Some(nanoseconds(metadata.mtime(), metadata.mtime_nsec())).filter(|time| !is_recent(*time))
}

fn nanoseconds(seconds: i64, rest: i64) -> FileTime {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn is_recent(time: FileTime) -> bool {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(time.max(0).unsigned_abs());
    SystemTime::now().duration_since(time).map_or(true, |age| age <= TIME_STEP)
}

fn regular(metadata: &Metadata) -> io::Result<Stat> {
    if metadata.is_dir() {
        return Err(io::Error::new(
            ErrorKind::IsADirectory,
            "it is a directory; the setting must name the log file itself",
        ));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(Stat::new(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_refused_in_a_clear_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let error = Stat::of_path(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "it is a directory; the setting must name the log file itself");
    }

    #[test]
    fn a_device_is_refused() {
        assert_eq!(Stat::of_path(Path::new("/dev/null")).unwrap_err().to_string(), "it is not a regular file");
    }

    #[test]
    fn a_missing_file_and_a_missing_directory_are_no_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Stat::of_path(&dir.path().join("no/such.log")).unwrap(), None);
    }

    #[test]
    fn only_an_old_change_can_be_trusted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stat = Stat::of_path(file.path()).unwrap().unwrap();
        assert!(stat.changed_just_now());
        assert!(!Stat { modified: 1_000, changed: 1_000, ..stat }.changed_just_now());
        assert!(Stat { modified: 1_000, changed: i64::MAX, ..stat }.changed_just_now());
    }
}
