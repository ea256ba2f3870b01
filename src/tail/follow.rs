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

use super::before::lines_before;
use super::fingerprint::{SAMPLE, holds, read_up_to};
use super::open_log::{OpenLog, Reading, end_of_lines};
use super::search::{Newer, continues, copy_of, place_of_edit};
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
    /// It is the log edited by hand: it is read from the offset.
    Edited(File, PathBuf, u64, Option<Gap>),
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
    /// Heads of the files that lay beside an empty one when it was opened: what is not among them is new.
    beside: Vec<Vec<u8>>,
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
            beside: Vec::new(),
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
        // A file system's clock has ticks: a file that changed just now may have changed again unseen.
        let may_have_changed = now.modified != open.stat().modified || now.changed_just_now();
        if open.is_blank() && may_have_changed && self.was_filled_before(&mut open, now)? {
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
            Next::Edited(file, path, offset, gap) => {
                let life = OpenLog::at(file, &path, open.generation() + 1, offset)?;
                self.happened.push(Happening::Moved { to: path });
                open.forget_half_line();
                self.begin_life(open, life, gap);
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
            if let Some((offset, gap)) = place_of_edit(&file, &open.lines_end())? {
                return Ok(Some(Next::Edited(file, self.path.clone(), offset, gap)));
            }
            covered.push(read_up_to(&file, 0, SAMPLE)?);
        }
        let read_end = open.read_end();
        if let Some((file, path)) = copy_of(&read_end, &listing, Some(open.stat().id))
            && Stat::of_file(&file)?.len > read_end.offset
        {
            return Ok(Some(Next::SameContent(file, path)));
        }
        let except = [Some(open.stat().id), at_path.map(|stat| stat.id)];
        if let Some((file, sibling)) =
            (Newer { listing: &listing, age: &age, except: &except, covered, old: &[] }).first()?
        {
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
        // Bytes may have vanished since the last look.
        let now = if now.len > 0 { open.stat_now()? } else { now };
        let truncated = open.path().to_owned();
        let listing = siblings::list(&self.path)?;
        if let Some((file, path)) = copy_of(&open.read_end(), &listing, Some(now.id)) {
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
        let cut_back = continues(open.file(), open)?.then(|| (open.lines_end().offset, None));
        let place = match cut_back {
            None => place_of_edit(open.file(), &open.lines_end())?,
            place => place,
        };
        if let Some((offset, gap)) = place {
            let life = open.next_life(offset)?;
            open.forget_half_line();
            self.begin_life(open, life, gap);
            return Ok(Again::Now);
        }
        let life = match self.life_between(&listing, open, now)? {
            Some(between) => between,
            None => open.next_life(0)?,
        };
        self.begin_life(open, life, None);
        Ok(Again::Now)
    }

    /// An empty file changed. It may have been filled, copied and truncated unseen.
    fn was_filled_before(&mut self, open: &mut OpenLog, now: Stat) -> io::Result<bool> {
        let Some(life) = self.life_between(&siblings::list(&self.path)?, open, now)? else { return Ok(false) };
        self.begin_life(open, life, None);
        Ok(true)
    }

    /// The copy of a life that `open` had and lost between the last look at it and `now`.
    fn life_between(&self, listing: &Listing, open: &OpenLog, now: Stat) -> io::Result<Option<OpenLog>> {
        let blank = open.is_blank();
        let age = if blank { Age::before(open.stat().modified) } else { Age::of_nameless(open.stat().modified) };
        let covered = vec![open.head().to_vec()];
        let between = Newer { listing, age: &age, except: &[Some(now.id)], covered, old: &self.beside }.first()?;
        between
            .filter(|(_, sibling)| sibling.stat.modified <= now.modified)
            .map(|(file, sibling)| OpenLog::at(file, &sibling.path, open.generation() + 1, 0))
            .transpose()
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
        let gap = destroyed(former, &life).or(gap);
        self.finish(former);
        self.ready.push_back((life.lines_end(), gap.map(LogItem::Gap).into_iter().collect()));
        self.open = Some(life);
        self.quiet = false;
        self.searched = None;
        self.beside.clear();
    }

    /// The first reading ever.
    fn begin(&mut self, at_path: Option<Stat>) -> io::Result<(Standing, Again)> {
        let listing = siblings::list(&self.path)?;
        if at_path.is_none() {
            let seen_at = listing.newest().unwrap_or_default();
            self.ready.push_back((Position { generation: 1, seen_at, ..Position::default() }, Vec::new()));
            return Ok((Standing::Missing, Again::Later));
        }
        let file = File::open(&self.path)?;
        let offset = match self.start_at {
            StartAt::Beginning => 0,
            StartAt::End => end_of_lines(&file)?,
        };
        let before = lines_before(&file, offset)?;
        let open = OpenLog::at(file, &self.path, 1, offset)?;
        let open = self.opened(open, &listing);
        let before = before.into_iter().filter(|line| !line.is_empty()).map(LogItem::Before);
        self.ready.push_back((open, before.collect()));
        Ok((Standing::Following, Again::Now))
    }

    /// Finds the place again where an earlier reader stopped.
    fn resume(&mut self, at_path: Option<Stat>) -> io::Result<(Standing, Again)> {
        let listing = siblings::list(&self.path)?;
        let Position { generation, offset, .. } = self.delivered;
        let known = self.delivered.fingerprint.head_len > 0;
        // An empty file has nothing to be recognised by: the time alone tells what came later.
        let later = if known { None } else { self.first_later(&listing, at_path)? };
        let rest = if later.is_none() { self.rest_of_delivered(at_path, &listing)? } else { None };
        if let Some((file, path)) = rest {
            let unsure = !known && self.is_unsure(&listing, at_path);
            let open = OpenLog::at(file, &path, generation + u64::from(unsure), offset)?;
            let end = self.opened(open, &listing);
            if unsure {
                let reason = "the clock went back while the log was not being read; rotated files may be unread".into();
                self.ready.push_back((end, vec![LogItem::Gap(Gap { bytes: None, reason })]));
            }
            return Ok((Standing::Following, Again::Now));
        }
        let edited = match (known, at_path) {
            (true, Some(_)) => {
                let file = File::open(&self.path)?;
                place_of_edit(&file, &self.delivered)?.map(|(offset, gap)| (file, self.path.clone(), offset, gap))
            }
            _ => None,
        };
        let (file, path, offset, gap) = if let Some(edited) = edited {
            edited
        } else {
            let later = if known { self.first_later(&listing, at_path)? } else { later };
            let gap = self.absence(&listing, at_path);
            match (later, at_path) {
                (Some((file, path)), _) => (file, path, 0, gap),
                (None, Some(_)) => (File::open(&self.path)?, self.path.clone(), 0, gap),
                (None, None) => return Ok((Standing::Missing, Again::Later)),
            }
        };
        let open = OpenLog::at(file, &path, generation + 1, offset)?;
        let end = self.opened(open, &listing);
        self.ready.push_back((end, gap.map(LogItem::Gap).into_iter().collect()));
        Ok((Standing::Following, Again::Now))
    }

    /// Remembers what lies beside a file that is empty, and returns where the reading begins.
    fn opened(&mut self, mut open: OpenLog, listing: &Listing) -> Position {
        if open.is_blank() {
            self.beside = listing.heads();
            open.newest_beside(listing.newest());
        }
        let end = open.lines_end();
        self.happened.push(Happening::Opened { path: open.path().to_owned(), offset: end.offset });
        self.open = Some(open);
        end
    }

    /// The oldest rotated file that was written to after the last reading.
    fn first_later(&self, listing: &Listing, at_path: Option<Stat>) -> io::Result<Option<(File, PathBuf)>> {
        if self.is_unsure(listing, at_path) {
            return Ok(None);
        }
        let mut covered = Vec::new();
        if at_path.is_some() {
            covered.push(read_up_to(&File::open(&self.path)?, 0, SAMPLE)?);
        }
        let age = Age::of_nameless(self.delivered.seen_at);
        let newer = Newer { listing, age: &age, except: &[at_path.map(|stat| stat.id)], covered, old: &[] };
        Ok(newer.first_unlike(&self.delivered)?.map(|(file, sibling)| (file, sibling.path)))
    }

    /// Whether times prove nothing: all files are older than the last reading, so the clock went back.
    fn is_unsure(&self, listing: &Listing, at_path: Option<Stat>) -> bool {
        let newest = at_path.map(|stat| stat.modified).max(listing.newest());
        at_path.is_some() && listing.newest().is_some() && newest < Some(self.delivered.seen_at)
    }

    /// The file that holds what was delivered last: at the path, rotated away or copied.
    fn rest_of_delivered(&self, at_path: Option<Stat>, listing: &Listing) -> io::Result<Option<(File, PathBuf)>> {
        let wanted = &self.delivered;
        let never_seen = wanted.file == FileId::default();
        if let Some(stat) = at_path {
            let file = File::open(&self.path)?;
            let provable = wanted.fingerprint.head_len > 0 || never_seen || stat.id == wanted.file;
            if provable && holds(&file, wanted)? {
                return Ok(Some((file, self.path.clone())));
            }
        }
        Ok(copy_of(wanted, listing, None))
    }

    /// The gap where the file is gone that was read last. An empty one had nothing to lose while it is still there.
    fn absence(&self, listing: &Listing, at_path: Option<Stat>) -> Option<Gap> {
        let Position { file, fingerprint, .. } = self.delivered;
        let mut ids = listing.siblings.iter().map(|sibling| sibling.stat.id).chain(at_path.map(|stat| stat.id));
        let is_there = file == FileId::default() || ids.any(|id| id == file);
        (fingerprint.head_len > 0 || !is_there)
            .then(|| Gap { bytes: None, reason: self.reason_of_absence(listing, at_path) })
    }

    fn reason_of_absence(&self, listing: &Listing, at_path: Option<Stat>) -> String {
        let reason = if at_path.is_some_and(|stat| stat.id == self.delivered.file) {
            "the file was truncated or written anew while it was not being read, and no copy of it was found"
        } else {
            "the file that was read last is gone, and no copy of it was found"
        };
        // Discord shows this: no path of the host.
        match listing.packed.as_ref().and_then(|packed| packed.file_name()) {
            Some(packed) => format!("{reason}; {} may hold it", packed.to_string_lossy()),
            None => reason.to_owned(),
        }
    }
}

/// What the file was seen to hold and could not be read, unless the next life holds it: the copy of a file that was
/// empty, or the log edited.
fn destroyed(former: &OpenLog, next: &OpenLog) -> Option<Gap> {
    let offset = next.lines_end().offset;
    let is_copy = former.is_blank() && former.stat().id != next.stat().id;
    let copied = if is_copy || offset > 0 { next.stat().len.saturating_sub(offset) } else { 0 };
    let lost = former.unread().saturating_sub(copied);
    (lost > 0).then(|| Gap {
        bytes: Some(lost),
        reason: "the file was truncated before it was read to its end, and no whole copy of it was found".into(),
    })
}
