//! Tells by their bytes which file goes on where another one was left.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::fingerprint::{SAMPLE, fingerprint, head_holds, holds, last_match, read_up_to};
use super::open_log::OpenLog;
use super::siblings::{Age, Listing, Sibling};
use super::stat::Stat;
use crate::domain::{FileId, Fingerprint, Gap, Position};

/// Where to go on in a log that was edited: it begins as before and holds the bytes before the old place elsewhere, or
/// it was cut short, which is a gap.
pub(super) fn place_of_edit(file: &File, read: &Position) -> io::Result<Option<(u64, Option<Gap>)>> {
    let Fingerprint { head_len, .. } = read.fingerprint;
    // A shorter head proves nothing: all logs begin with the same words.
    if read.offset < SAMPLE as u64 || (head_len as usize) < SAMPLE || !head_holds(file, read)? {
        return Ok(None);
    }
    if let Some(offset) = last_match(file, &read.fingerprint)? {
        return Ok(Some((offset, None)));
    }
    let now = Stat::of_file(file)?;
    let gap = || Gap {
        bytes: None,
        reason: "the file was cut short; what was written behind the cut before it was seen cannot be told from what \
                 was read"
            .into(),
    };
    Ok((now.len < read.offset).then(|| (now.len, Some(gap()))))
}

/// Whether `file` holds all that was read of `open`, so that reading can go on in it.
pub(super) fn continues(file: &File, open: &OpenLog) -> io::Result<bool> {
    let read_end = open.read_end();
    Ok(read_end.offset > 0 && holds(file, &read_end)?)
}

/// The sibling that holds what was read up to `wanted`: the file itself under a new name, else the longest copy.
/// One that cannot be read is no candidate.
pub(super) fn copy_of(wanted: &Position, listing: &Listing, except: Option<FileId>) -> Option<(File, PathBuf)> {
    listing
        .siblings
        .iter()
        .filter(|sibling| Some(sibling.stat.id) != except && sibling.stat.len >= wanted.offset)
        .filter(|sibling| wanted.fingerprint.head_len > 0 || sibling.stat.id == wanted.file)
        .filter_map(|sibling| {
            let file = File::open(&sibling.path).ok()?;
            let rank = (sibling.stat.id == wanted.file, sibling.stat.len);
            holds(&file, wanted).ok()?.then(|| (rank, file, sibling.path.clone()))
        })
        .max_by_key(|(rank, ..)| *rank)
        .map(|(_, file, path)| (file, path))
}

/// A search for the oldest rotated file that is newer than `age` and no copy of what is `covered` or older.
pub(super) struct Newer<'a> {
    pub(super) listing: &'a Listing,
    pub(super) age: &'a Age,
    pub(super) except: &'a [Option<FileId>],
    /// Heads of files that are read, or will be.
    pub(super) covered: Vec<Vec<u8>>,
    /// Heads of files that are not read however they grow.
    pub(super) old: &'a [Vec<u8>],
}

impl Newer<'_> {
    pub(super) fn first(self) -> io::Result<Option<(File, Sibling)>> {
        self.first_unlike(&Position::default())
    }

    /// The first one that does not begin like the file that was read up to `read`.
    pub(super) fn first_unlike(mut self, read: &Position) -> io::Result<Option<(File, Sibling)>> {
        let Self { listing, age, except, .. } = self;
        let is_new = |sibling: &&Sibling| sibling.age > *age && !except.contains(&Some(sibling.stat.id));
        if !listing.rotated().any(|sibling| is_new(&sibling)) {
            return Ok(None);
        }
        // An old file that cannot be read can only fail to tell a copy of it.
        let older = listing.rotated().filter(|sibling| sibling.age <= *age);
        self.covered.extend(older.filter_map(Sibling::head));
        for sibling in listing.rotated().filter(is_new) {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", sibling.path.display()));
            let file = File::open(&sibling.path).map_err(named)?;
            let head = read_up_to(&file, 0, SAMPLE).map_err(named)?;
            let begins_like_read = read.fingerprint.head_len > 0 && head_holds(&file, read).map_err(named)?;
            let is_old = begins_like_read || self.old.iter().any(|old| is_copy(old, &head));
            if !is_old && !self.covered.iter().any(|covered| is_copy(&head, covered)) {
                let whole = self.longer_than(&file, &head, sibling).map_err(named)?;
                return Ok(Some(whole.unwrap_or_else(|| (file, sibling.clone()))));
            }
        }
        Ok(None)
    }

    /// The longest file that holds all of `part`, which may be a backup taken halfway.
    fn longer_than(&self, part: &File, head: &[u8], sibling: &Sibling) -> io::Result<Option<(File, Sibling)>> {
        let len = sibling.stat.len;
        let tail = read_up_to(part, len.saturating_sub(SAMPLE as u64), SAMPLE)?;
        let end = Position { offset: len, fingerprint: fingerprint(head, &tail), ..Position::default() };
        let others = self.listing.rotated().filter(|other| other.stat.len > len);
        let holding = others.filter(|other| !self.except.contains(&Some(other.stat.id))).filter_map(|other| {
            let file = File::open(&other.path).ok()?;
            holds(&file, &end).ok()?.then(|| (file, other.clone()))
        });
        Ok(holding.max_by_key(|(_, other)| other.stat.len))
    }
}

/// Whether a file that begins with `head` is a copy of one that begins with `of`. Less than a whole line proves
/// nothing: many files begin with the same few bytes.
fn is_copy(head: &[u8], of: &[u8]) -> bool {
    (head.len() == SAMPLE || head.contains(&b'\n')) && of.starts_with(head)
}
