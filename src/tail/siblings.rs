//! Finds what a log was rotated to: the files that lie beside it and bear its name.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::fingerprint::{SAMPLE, read_up_to};
use super::stat::{FileTime, Stat};

/// Endings of files that are packed and cannot be read on.
const PACKED: [&str; 6] = [".gz", ".xz", ".zst", ".bz2", ".lz4", ".zip"];
/// Endings of files that are not finished, or no logs.
const UNFINISHED: [&str; 5] = ["~", ".tmp", ".part", ".swp", ".lock"];

/// A file that bears the log's name.
#[derive(Debug, Clone)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
    pub(super) age: Age,
    /// Its name is that of a rotated file. The others may be other servers' logs (`prod.log` and `prod-2.log`), so
    /// they are read only where their bytes prove them to be the file that was read before.
    pub(super) rotated: bool,
}

/// Order of writing: greater is newer. Times tie where files are rotated within one tick of the file system's
/// clock; then `.1` is newer than `.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age {
    pub(super) modified: FileTime,
    rank: i64,
    name: String,
}

impl Age {
    /// The age of a file that has no name any more: as the newest of its time, so that only what is surely newer
    /// comes after it.
    pub(super) fn of_nameless(modified: FileTime) -> Self {
        Self { modified, rank: i64::MAX, name: String::new() }
    }

    /// Older than every file of that time.
    pub(super) fn before(modified: FileTime) -> Self {
        Self { modified, rank: i64::MIN, name: String::new() }
    }
}

impl Sibling {
    /// Its first bytes; `None` where it cannot be read.
    pub(super) fn head(&self) -> Option<Vec<u8>> {
        read_up_to(&File::open(&self.path).ok()?, 0, SAMPLE).ok()
    }
}

/// What lies beside a log.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Oldest first, each file once.
    pub(super) siblings: Vec<Sibling>,
    /// The newest packed one.
    pub(super) packed: Option<PathBuf>,
}

impl Listing {
    /// The files whose names are those of rotated ones and that hold something, oldest first.
    pub(super) fn rotated(&self) -> impl Iterator<Item = &Sibling> {
        self.siblings.iter().filter(|sibling| sibling.rotated && sibling.stat.len > 0)
    }

    /// When the newest rotated file was written to.
    pub(super) fn newest(&self) -> Option<FileTime> {
        self.rotated().last().map(|sibling| sibling.stat.modified)
    }

    /// The first bytes of the rotated files that can be read.
    pub(super) fn heads(&self) -> Vec<Vec<u8>> {
        self.rotated().filter_map(Sibling::head).collect()
    }
}

/// What a file's name says about its relation to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinship {
    /// A rotated file; those with a smaller rank are older, times being equal.
    Rotated(i64),
    /// Perhaps one.
    Perhaps,
    /// A packed one.
    Packed,
}

/// The files beside `log`, and where it is a symlink also those beside its target.
pub(super) fn list(log: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut packed: Option<(FileTime, PathBuf)> = None;
    let mut seen = HashSet::new();
    for (dir, names) in places(log) {
        for path in entries(&dir)? {
            let name = name_of(&path);
            let Some(kinship) = names.iter().find_map(|log_name| kinship(log_name, &name)) else { continue };
            // An entry that vanishes or cannot be looked at while we list is not there.
            let Ok(Some(stat)) = Stat::of_path(&path) else { continue };
            if kinship == Kinship::Packed {
                packed = packed.max(Some((stat.modified, path)));
            } else if seen.insert(stat.id) {
                let (rank, rotated) = if let Kinship::Rotated(rank) = kinship { (rank, true) } else { (0, false) };
                let age = Age { modified: stat.modified, rank, name };
                listing.siblings.push(Sibling { path, stat, age, rotated });
            }
        }
    }
    listing.siblings.sort_by(|a, b| a.age.cmp(&b.age));
    listing.packed = packed.map(|(_, path)| path);
    Ok(listing)
}

/// The directory of a log.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The directories to look in, each with the names the log has there.
fn places(log: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let name = name_of(log);
    let mut places = vec![(parent(log).to_owned(), vec![name.clone()])];
    let target = fs::canonicalize(log).ok().filter(|_| log.is_symlink());
    if let Some(target) = target {
        places.push((parent(&target).to_owned(), vec![name, name_of(&target)]));
    }
    places
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn kinship(log: &str, other: &str) -> Option<Kinship> {
    if other == log || UNFINISHED.iter().any(|ending| other.ends_with(ending)) {
        return None;
    }
    if let Some(unpacked) = PACKED.iter().find_map(|ending| other.strip_suffix(ending)) {
        return (unpacked == log || kinship(log, unpacked).is_some()).then_some(Kinship::Packed);
    }
    // The game itself renames its log so at its next start.
    if log == "factorio-current.log" && other == "factorio-previous.log" {
        return Some(Kinship::Rotated(-1));
    }
    if let Some(suffix) = other.strip_prefix(log) {
        return Some(if suffix.starts_with(['.', '-', '_']) {
            Kinship::Rotated(rank(suffix))
        } else {
            Kinship::Perhaps
        });
    }
    let (stem, extension) = log.rsplit_once('.')?;
    let rest = other.strip_prefix(stem)?;
    let infix = rest.strip_suffix(extension).and_then(|rest| rest.strip_suffix('.'));
    Some(match infix {
        Some(infix) if is_number(infix) || is_date(infix) => Kinship::Rotated(rank(infix)),
        _ => Kinship::Perhaps,
    })
}

/// `.1`, `.2`: the higher the older. Anything else, as a date, is ordered by its name.
fn rank(suffix: &str) -> i64 {
    suffix.strip_prefix('.').filter(|_| is_number(suffix)).and_then(|number| number.parse().ok()).map_or(0, |n: i64| -n)
}

fn is_number(suffix: &str) -> bool {
    suffix
        .strip_prefix('.')
        .is_some_and(|digits| (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// `-20260131`, `_2026-01-31`, `.2026-01-31T12:00:00`: a separator and at least eight digits.
fn is_date(infix: &str) -> bool {
    let digits = infix.bytes().filter(u8::is_ascii_digit).count();
    infix.starts_with(['-', '.', '_'])
        && digits >= 8
        && infix.chars().all(|c| c.is_ascii_digit() || "-._:+TZ".contains(c))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn names_of_rotated_files_are_known() {
        for rotated in [
            "console.log.1",
            "console.log.12",
            "console.log-20260101",
            "console.log.old",
            "console.log_2026-01-01",
            "console-20260101.log",
            "console.1.log",
            "console_2026-01-01T00:00:00.log",
        ] {
            assert!(matches!(kinship("console.log", rotated), Some(Kinship::Rotated(_))), "{rotated}");
        }
        assert_eq!(kinship("factorio-current.log", "factorio-previous.log"), Some(Kinship::Rotated(-1)));
    }

    #[test]
    fn the_log_of_another_server_is_not_taken_for_a_rotated_one() {
        for other in ["prod-2.log", "prod2.log", "prod-eu.log", "production.log"] {
            assert_eq!(kinship("prod.log", other), Some(Kinship::Perhaps), "{other}");
        }
        assert_eq!(kinship("server-1.log", "server-2.log"), None);
        assert_eq!(kinship("console.log", "factorio-previous.log"), None);
    }

    #[test]
    fn packed_files_are_told_apart() {
        for packed in ["console.log.1.gz", "console.log.gz", "console-20260101.log.xz", "console.log.2.zst"] {
            assert_eq!(kinship("console.log", packed), Some(Kinship::Packed), "{packed}");
        }
        assert_eq!(kinship("console.log", "other.log.gz"), None);
    }

    #[test]
    fn the_log_itself_and_unfinished_files_are_no_siblings() {
        for none in ["console.log", "console.log~", "console.log.1.tmp", "console.log.swp"] {
            assert_eq!(kinship("console.log", none), None, "{none}");
        }
    }

    fn names(listing: &Listing) -> Vec<String> {
        listing.siblings.iter().map(|sibling| name_of(&sibling.path)).collect()
    }

    fn touch(dir: &Path, name: &str, seconds: u64) {
        let file = File::create(dir.join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn files_are_listed_oldest_first_and_a_tie_is_broken_by_number() {
        let dir = tempfile::tempdir().unwrap();
        for (name, seconds) in [("c.log.10", 5), ("c.log.2", 7), ("c.log.1", 7), ("c.log.3", 7), ("c.log", 9)] {
            touch(dir.path(), name, seconds);
        }
        touch(dir.path(), "c.log.4.gz", 6);
        touch(dir.path(), "c.log.5.gz", 4);
        let listing = list(&dir.path().join("c.log")).unwrap();
        assert_eq!(names(&listing), ["c.log.10", "c.log.3", "c.log.2", "c.log.1"]);
        assert_eq!(listing.packed.as_deref().map(name_of).as_deref(), Some("c.log.4.gz"));
    }

    #[test]
    fn beside_the_target_of_a_symlink_is_looked_too() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        touch(&data, "console-20260101.log", 1);
        touch(&data, "console-20260102.log", 2);
        let link = dir.path().join("console.log");
        std::os::unix::fs::symlink(data.join("console-20260102.log"), &link).unwrap();
        // The target itself is listed under its own name; the reader knows it by its inode.
        assert_eq!(names(&list(&link).unwrap()), ["console-20260101.log", "console-20260102.log"]);
    }

    #[test]
    fn a_missing_directory_has_no_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(list(&dir.path().join("none/c.log")).unwrap().siblings.is_empty());
    }
}
