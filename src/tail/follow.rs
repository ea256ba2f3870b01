//! Follows one log through rotation, truncation and restarts. Plain synchronous file I/O, no clock but the file
//! system's, so that tests can drive it step by step.
//!
//! A log is a chain of *lives*: each file, or each filling of a truncated one, is a generation. The rest of a life is
//! looked for by its bytes wherever it may be now (the open handle, the path, a rotated file, a copy); when it is read
//! to its end, the next oldest file is the next life, and the file at the path is the last one.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::fingerprint::{SAMPLE, head_holds, holds, read_up_to};
use super::open_log::{OpenLog, Reading, end_of_lines};
use super::siblings::{self, Age, Listing, Sibling};
use super::stat::{FileTime, Stat, settled_directory_time};
use super::step::{Again, Happening, Piece, Standing, Step};
use crate::config::settings::StartAt;
use crate::domain::{FileId, Gap, LogItem, Position};

/// A file to go on to.
enum Next {
    /// It holds what was read, and perhaps more.
    SameContent(File, PathBuf),
    /// It is read from its start.
    File(File, PathBuf),
}

/// Reads one log.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    start_at: StartAt,
    /// The end of the last piece handed out.
    delivered: Position,
    open: Option<OpenLog>,
    /// Pieces that wait to be handed out: start and end are filled in then.
    ready: VecDeque<(Position, Vec<LogItem>)>,
    happened: Vec<Happening>,
    /// The file was at its end and another one at the path when last looked at.
    quiet: bool,
    /// The directory's time when no successor was found in it.
    searched: Option<FileTime>,
}

impl Follower {
    /// A reader that goes on at `from`; [`Position::default()`] is "never read".
    #[must_use]
    pub fn new(path: PathBuf, start_at: StartAt, from: Position) -> Self {
        Self {
            path,
            start_at,
            delivered: from,
            open: None,
            ready: VecDeque::new(),
            happened: Vec::new(),
            quiet: false,
            searched: None,
        }
    }

    /// Looks at the log and reads a batch at most. While nothing happens this costs one `stat`.
    ///
    /// After an error nothing is lost: the next poll finds the place again by the bytes before it.
    pub fn poll(&mut self) -> io::Result<Step> {
        let (standing, again) = if self.ready.is_empty() { self.advance()? } else { (Standing::Following, Again::Now) };
        let piece = self.ready.pop_front().map(|(end, items)| {
            let start = std::mem::replace(&mut self.delivered, end);
            Piece { start, end, items }
        });
        let unread_bytes = self.open.as_ref().map_or(0, OpenLog::unread);
        let again = if piece.is_some() { Again::Now } else { again };
        Ok(Step { piece, happened: std::mem::take(&mut self.happened), standing, unread_bytes, again })
    }

    fn advance(&mut self) -> io::Result<(Standing, Again)> {
        let at_path = Stat::of_path(&self.path);
        let Some(mut open) = self.open.take() else {
            let at_path = at_path?;
            let never_read = self.delivered.generation == 0;
            return if never_read { self.begin(at_path) } else { self.resume(at_path) };
        };
        let now = match &at_path {
            Ok(Some(stat)) if stat.id == open.stat().id => *stat,
            _ => open.stat_now()?,
        };
        if open.is_blank() && now.modified != open.stat().modified && self.was_filled_before(&mut open, now)? {
            return Ok((Standing::Following, Again::Now));
        }
        // A handle that fails is let go, as when the server of a network mount forgot it: the file is opened anew.
        let reading = open.read(now)?;
        let result = self.after_reading(&mut open, reading, now, at_path);
        self.open.get_or_insert(open);
        result
    }

    fn after_reading(
        &mut self,
        open: &mut OpenLog,
        reading: Reading,
        now: Stat,
        at_path: io::Result<Option<Stat>>,
    ) -> io::Result<(Standing, Again)> {
        let standing = if matches!(at_path, Ok(None)) { Standing::Orphaned } else { Standing::Following };
        match reading {
            Reading::Bytes(items) => {
                self.quiet = false;
                if !items.is_empty() {
                    self.ready.push_back((open.lines_end(), items));
                }
                Ok((standing, Again::Now))
            }
            Reading::Replaced => Ok((standing, self.leave_truncated(open, now, at_path?)?)),
            Reading::End => Ok((standing, self.at_end(open, at_path?)?)),
        }
    }

    /// Everything is read. Where the path leads elsewhere the file is left, but not before it was seen quiet: the
    /// writer may not have turned to the new file yet.
    fn at_end(&mut self, open: &mut OpenLog, at_path: Option<Stat>) -> io::Result<Again> {
        if at_path.is_some_and(|stat| stat.id == open.stat().id) {
            self.quiet = false;
            return Ok(Again::Later);
        }
        if !std::mem::replace(&mut self.quiet, true) {
            return Ok(Again::Soon);
        }
        let Some(next) = self.successor(open, at_path)? else { return Ok(Again::Later) };
        match next {
            Next::SameContent(file, path) => self.move_to(open, file, path)?,
            Next::File(file, path) => {
                let life = OpenLog::at(file, &path, open.generation() + 1, 0)?;
                self.happened.push(Happening::Rotated { from: open.path().to_owned(), to: path });
                self.begin_life(open, life, None);
            }
        }
        Ok(Again::Now)
    }

    /// What is to be read after the file that is open, which is not the one at the path and is read to its end.
    /// `None` while nothing says that it is finished: the new file is missing or empty.
    fn successor(&mut self, open: &OpenLog, at_path: Option<Stat>) -> io::Result<Option<Next>> {
        let filled = at_path.filter(|stat| stat.len > 0);
        let directory_time = settled_directory_time(siblings::parent(&self.path));
        if filled.is_none() && directory_time.is_some() && self.searched == directory_time {
            return Ok(None);
        }
        let listing = siblings::list(&self.path)?;
        // Where the file was truncated since, its time says nothing about what was read.
        let is_own =
            |sibling: &&Sibling| sibling.stat.id == open.stat().id && sibling.stat.modified == open.stat().modified;
        let age = listing.siblings.iter().find(is_own).map(|own| own.age.clone());
        let age = age.unwrap_or_else(|| Age::of_nameless(open.stat().modified));
        let mut covered = vec![open.head().to_vec()];
        if filled.is_some() {
            let file = File::open(&self.path)?;
            if continues(&file, open)? {
                return Ok(Some(Next::SameContent(file, self.path.clone())));
            }
            covered.push(read_up_to(&file, 0, SAMPLE)?);
        }
        let except = [Some(open.stat().id), at_path.map(|stat| stat.id)];
        if let Some((file, sibling)) = first_newer(&listing, &age, &except, covered)? {
            let same = continues(&file, open)?;
            return Ok(Some(if same { Next::SameContent(file, sibling.path) } else { Next::File(file, sibling.path) }));
        }
        self.searched = directory_time;
        Ok(match filled {
            Some(_) => Some(Next::File(File::open(&self.path)?, self.path.clone())),
            None => None,
        })
    }

    /// The file was truncated, and has perhaps grown again. Its rest may stand in a copy beside it.
    fn leave_truncated(&mut self, open: &mut OpenLog, now: Stat, at_path: Option<Stat>) -> io::Result<Again> {
        let truncated = open.path().to_owned();
        let listing = siblings::list(&self.path)?;
        if let Some((file, path)) = find_copy(&open.read_end(), &listing, Some(now.id)) {
            self.happened.push(Happening::Truncated { path: truncated, copy: Some(path.clone()) });
            self.quiet = false;
            open.continue_in(file, &path)?;
            return Ok(Again::Now);
        }
        if now.len == 0 && open.unread() == 0 {
            // A life begins with its first byte. Until then it stays known what was read last, which tells whether the
            // file was filled and copied away in between.
            return if self.finish(open) { Ok(Again::Now) } else { self.at_end(open, at_path) };
        }
        self.happened.push(Happening::Truncated { path: truncated, copy: None });
        if was_cut_short(open.file(), now, &open.read_end())? {
            let gap = Gap {
                bytes: None,
                reason: "the file was cut short; what was written behind the cut before it was seen cannot be told \
                         from what was read"
                    .into(),
            };
            let life = open.next_life(now.len)?;
            self.begin_life(open, life, Some(gap));
            return Ok(Again::Now);
        }
        let life = match life_between(&listing, open, now)? {
            Some(between) => between,
            None => open.next_life(0)?,
        };
        self.begin_life(open, life, None);
        Ok(Again::Now)
    }

    /// An empty file changed. It may have been filled, copied and truncated unseen.
    fn was_filled_before(&mut self, open: &mut OpenLog, now: Stat) -> io::Result<bool> {
        let Some(life) = life_between(&siblings::list(&self.path)?, open, now)? else { return Ok(false) };
        self.begin_life(open, life, None);
        Ok(true)
    }

    fn move_to(&mut self, open: &mut OpenLog, file: File, path: PathBuf) -> io::Result<()> {
        open.continue_in(file, &path)?;
        self.quiet = false;
        self.happened.push(Happening::Moved { to: path });
        Ok(())
    }

    /// Hands out a half line that will not be completed any more. False when there is none.
    fn finish(&mut self, open: &mut OpenLog) -> bool {
        let half_line = open.finish();
        let any = !half_line.is_empty();
        if any {
            self.ready.push_back((open.lines_end(), half_line));
        }
        any
    }

    /// Ends one life and begins the next. What the former was seen to hold and could not be read is a gap.
    fn begin_life(&mut self, former: &mut OpenLog, life: OpenLog, gap: Option<Gap>) {
        let gap = gap.or_else(|| destroyed(former));
        self.finish(former);
        self.ready.push_back((life.lines_end(), gap.map(LogItem::Gap).into_iter().collect()));
        self.open = Some(life);
        self.quiet = false;
        self.searched = None;
    }

    /// The first reading ever.
    fn begin(&mut self, at_path: Option<Stat>) -> io::Result<(Standing, Again)> {
        if at_path.is_none() {
            self.ready.push_back((Position { generation: 1, ..Position::default() }, Vec::new()));
            return Ok((Standing::Missing, Again::Later));
        }
        let file = File::open(&self.path)?;
        let offset = match self.start_at {
            StartAt::Beginning => 0,
            StartAt::End => end_of_lines(&file)?,
        };
        let open = OpenLog::at(file, &self.path, 1, offset)?;
        self.ready.push_back((open.lines_end(), Vec::new()));
        self.opened(open);
        Ok((Standing::Following, Again::Now))
    }

    /// Finds the place again where an earlier reader stopped.
    fn resume(&mut self, at_path: Option<Stat>) -> io::Result<(Standing, Again)> {
        let Position { generation, offset, .. } = self.delivered;
        if let Some((file, path)) = self.rest_of_delivered(at_path)? {
            let open = OpenLog::at(file, &path, generation, offset)?;
            self.opened(open);
            return Ok((Standing::Following, Again::Now));
        }
        let Some(stat) = at_path else { return Ok((Standing::Missing, Again::Later)) };
        let file = File::open(&self.path)?;
        let offset = if was_cut_short(&file, stat, &self.delivered)? { stat.len } else { 0 };
        let gap = Gap { bytes: None, reason: self.reason_of_absence(stat.id)? };
        let open = OpenLog::at(file, &self.path, generation + 1, offset)?;
        self.ready.push_back((open.lines_end(), vec![LogItem::Gap(gap)]));
        self.opened(open);
        Ok((Standing::Following, Again::Now))
    }

    fn opened(&mut self, open: OpenLog) {
        let offset = open.lines_end().offset;
        self.happened.push(Happening::Opened { path: open.path().to_owned(), offset });
        self.open = Some(open);
    }

    /// The file that holds what was delivered last: at the path, rotated away or copied.
    fn rest_of_delivered(&self, at_path: Option<Stat>) -> io::Result<Option<(File, PathBuf)>> {
        let wanted = &self.delivered;
        let never_seen = wanted.file == FileId::default();
        if let Some(stat) = at_path {
            let file = File::open(&self.path)?;
            let provable = wanted.fingerprint.head_len > 0 || never_seen || stat.id == wanted.file;
            if provable && holds(&file, wanted)? {
                return Ok(Some((file, self.path.clone())));
            }
        }
        Ok(find_copy(wanted, &siblings::list(&self.path)?, None))
    }

    fn reason_of_absence(&self, at_path: FileId) -> io::Result<String> {
        let reason = if at_path == self.delivered.file {
            "the file was truncated or written anew while it was not being read, and no copy of it was found"
        } else {
            "the file that was read last is gone, and no copy of it was found"
        };
        Ok(match siblings::list(&self.path)?.packed {
            Some(packed) => format!("{reason}; {} may hold it", packed.display()),
            None => reason.to_owned(),
        })
    }
}

/// Whether the file was cut short, not written anew: it begins as before, so what it still holds was read.
fn was_cut_short(file: &File, now: Stat, read_end: &Position) -> io::Result<bool> {
    // A shorter head proves nothing: all logs begin with the same words.
    let provable = (SAMPLE as u64..read_end.offset).contains(&now.len);
    Ok(provable && read_end.fingerprint.head_len as usize == SAMPLE && head_holds(file, read_end)?)
}

/// Whether `file` holds all that was read of `open`, so that reading can go on in it.
fn continues(file: &File, open: &OpenLog) -> io::Result<bool> {
    let read_end = open.read_end();
    Ok(read_end.offset > 0 && holds(file, &read_end)?)
}

/// The sibling that holds what was read up to `wanted`: the file itself under a new name, else the longest copy.
/// One that cannot be read is no candidate.
fn find_copy(wanted: &Position, listing: &Listing, except: Option<FileId>) -> Option<(File, PathBuf)> {
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

/// The oldest rotated file that is newer than `age` and no copy of what is `covered` or older.
fn first_newer(
    listing: &Listing,
    age: &Age,
    except: &[Option<FileId>],
    mut covered: Vec<Vec<u8>>,
) -> io::Result<Option<(File, Sibling)>> {
    let rotated = || listing.siblings.iter().filter(|sibling| sibling.rotated && sibling.stat.len > 0);
    let is_new = |sibling: &&Sibling| sibling.age > *age && !except.contains(&Some(sibling.stat.id));
    if !rotated().any(|sibling| is_new(&sibling)) {
        return Ok(None);
    }
    // An old file that cannot be read can only fail to tell a copy of it.
    let older = rotated().filter(|sibling| sibling.age <= *age);
    covered.extend(older.filter_map(|sibling| read_up_to(&File::open(&sibling.path).ok()?, 0, SAMPLE).ok()));
    for sibling in rotated().filter(is_new) {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", sibling.path.display()));
        let file = File::open(&sibling.path).map_err(named)?;
        let head = read_up_to(&file, 0, SAMPLE).map_err(named)?;
        if !covered.iter().any(|covered| is_copy(&head, covered)) {
            return Ok(Some((file, sibling.clone())));
        }
    }
    Ok(None)
}

/// What the file was seen to hold and could not be read.
fn destroyed(former: &OpenLog) -> Option<Gap> {
    let lost = former.unread();
    (lost > 0).then(|| Gap {
        bytes: Some(lost),
        reason: "the file was truncated before it was read to its end, and no whole copy of it was found".into(),
    })
}

/// The copy of a life that `open` had and lost between the last look at it and `now`.
fn life_between(listing: &Listing, open: &OpenLog, now: Stat) -> io::Result<Option<OpenLog>> {
    let last_look = Age::of_nameless(open.stat().modified);
    let between = first_newer(listing, &last_look, &[Some(now.id)], vec![open.head().to_vec()])?;
    between
        .filter(|(_, sibling)| sibling.stat.modified <= now.modified)
        .map(|(file, sibling)| OpenLog::at(file, &sibling.path, open.generation() + 1, 0))
        .transpose()
}

/// Whether a file that begins with `head` is a copy of one that begins with `of`. Less than a whole line proves
/// nothing: many files begin with the same few bytes.
fn is_copy(head: &[u8], of: &[u8]) -> bool {
    (head.len() == SAMPLE || head.contains(&b'\n')) && of.starts_with(head)
}
