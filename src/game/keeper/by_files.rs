//! The keeper's part for what mods tell: a file where the game cannot be asked, and single fields where its own commands
//! cannot tell.
//!
//! Of the reading as a whole the best source wins: what the game answers over RCON, and else the file. A game that is
//! asked in vain is told of by a file only that was written after that; so a game that was killed is not online for as long
//! as its last file looks young.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::Keeper;
use crate::domain::sessions::Observation;
use crate::domain::{EventKind, Happening};
use crate::game::board::{GameLink, GameView};
use crate::game::files::{FileReading, FileSource};
use crate::game::mod_lines::ModLines;
use crate::game::prom_file::{FileTold, FileUpdates, SEEN_LATE};
use crate::game::sample::{Research, Sample, SampleSource};
use crate::game::ups::TICKS_A_SECOND;
use crate::store::{SampleRow, StoreError};

/// A line of the log and a file tell of the same moment as much apart.
const SLACK: Duration = Duration::from_secs(5);

/// A file that counts nobody for so long is believed, whatever lines may have been lost.
const NOBODY_FOR: Duration = Duration::from_mins(1);

/// Happenings looked through at the start for what mods told before.
const MOST_LOOKED_THROUGH: u32 = 2000;

/// What came of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum FileNews {
    /// It tells how the game is, and how many are there, as far as is known.
    Tells(Box<FileReading>, Option<usize>),
    /// It tells no more. Whether nobody was in the game when it told last.
    Ended {
        /// Whether nobody was there.
        empty: bool,
    },
}

/// Whether the game itself tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It has not been asked yet.
    NotYet,
    /// It has answered the last time.
    Answers,
    /// It is asked in vain since then.
    InVain(Timestamp),
    /// It cannot be asked.
    Never,
}

/// A reading that was taken in.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// When.
    at: Instant,
    /// Of which writing.
    of: Timestamp,
    /// Whether the map went on then.
    moves: bool,
}

/// A server's file, and what it is good for now.
#[derive(Debug, Clone)]
pub(super) struct ByFiles {
    source: FileSource,
    updates: FileUpdates,
    /// Between what is kept for the history and judged by the alerts.
    interval: Duration,
    asked: Asked,
    /// The reading that was taken last; `None` while it is no source.
    taken: Option<Taken>,
    /// The connection broke then; sessions end then unless the file is written on.
    broken: Option<Timestamp>,
    /// Sessions go on though the connection broke: the file was written on.
    carries: bool,
    /// Since when the file counts nobody.
    nobody_since: Option<Timestamp>,
    /// Players who left since it was written, and of whom nobody knew.
    left_unnamed: usize,
}

impl ByFiles {
    pub(super) fn updates(&self) -> FileUpdates {
        self.updates.clone()
    }

    /// What the file tells, where nobody else does.
    fn reading(&self) -> Option<FileReading> {
        let reading = self.source.reading(Instant::now())?;
        let counts = match self.asked {
            Asked::NotYet | Asked::Answers => false,
            Asked::Never => true,
            Asked::InVain(since) => is_behind(reading.at, since),
        };
        counts.then_some(reading)
    }
}

/// Whether a file that was seen then was surely written after `moment`.
fn is_behind(seen: Timestamp, moment: Timestamp) -> bool {
    moment.checked_add(SEEN_LATE).is_ok_and(|surely| seen >= surely)
}

/// The next writing of the file; never where there is none.
pub(super) async fn next(updates: &mut Option<FileUpdates>) -> Option<Arc<FileTold>> {
    let updates = updates.as_mut()?;
    updates.changed().await.ok()?;
    updates.borrow_and_update().clone()
}

impl Keeper {
    /// The same, told by a file where the game cannot be asked. What it tells is taken in once an `interval`.
    #[must_use]
    pub fn with_file(self, source: FileSource, updates: FileUpdates, interval: Duration) -> Self {
        let by_files = ByFiles {
            source,
            updates,
            interval,
            asked: if self.link.is_some() { Asked::NotYet } else { Asked::Never },
            taken: None,
            broken: None,
            carries: false,
            nobody_since: None,
            left_unnamed: 0,
        };
        Self { by_files: Some(by_files), ..self }
    }

    /// Takes in that the file was rewritten.
    pub(super) async fn take_file(&mut self, told: &Arc<FileTold>) -> Option<FileNews> {
        let by_files = self.by_files.as_mut()?;
        let before = by_files.source.told().and_then(|told| told.numbers.players);
        by_files.left_unnamed = 0;
        by_files.source.take(told);
        if by_files.broken.is_some_and(|broken| is_behind(told.seen, broken)) {
            (by_files.broken, by_files.carries) = (None, true);
        }
        self.believe_that_nobody_is_there(told).await;
        let counts_others = before != told.numbers.players;
        if self.is_due() || counts_others {
            return self.read_file().await;
        }
        None
    }

    /// Looks whether the file has become old, or the map stands, since it was rewritten last; and takes it for the source where
    /// the game has just stopped answering.
    pub(super) async fn look_at_file(&mut self) -> Option<FileNews> {
        self.end_broken().await;
        let by_files = self.by_files.as_ref()?;
        let now = by_files.reading().map(|reading| reading.moves);
        match (now, by_files.taken.map(|taken| taken.moves)) {
            (None, None) => None,
            (None, Some(_)) => Some(self.file_ended().await),
            (now, moved) if now != moved || self.is_due() => self.read_file().await,
            _ => None,
        }
    }

    /// Whether the file is to be taken in again: it is another one, and the last was a while ago.
    fn is_due(&self) -> bool {
        let Some(by_files) = &self.by_files else { return false };
        let Some(taken) = by_files.taken else { return true };
        let rewritten = by_files.source.told().is_some_and(|told| told.seen != taken.of);
        rewritten && taken.at.elapsed() >= by_files.interval
    }

    async fn read_file(&mut self) -> Option<FileNews> {
        let by_files = self.by_files.as_mut()?;
        let reading = by_files.reading()?;
        let taken = Taken { at: Instant::now(), of: reading.at, moves: reading.moves };
        let again = by_files.taken.replace(taken).is_some_and(|before| before.of == reading.at);
        self.spell.told_by_file(reading.at);
        if let Some(age) = age(&reading) {
            self.judge_map(reading.at, age).await;
        }
        self.read_facts().await;
        let (open, unnamed) = (self.open_sessions().await, self.unnamed().await);
        self.board.update(|view| {
            show(view, &reading);
            self.put(view, open.as_deref(), unnamed);
        });
        let headcount = self.board.view().headcount();
        if !again {
            self.keep(&row(&reading, headcount)).await;
        }
        Some(FileNews::Tells(Box::new(reading), headcount))
    }

    /// The file tells no more how the game is: it is old, or the game answers again.
    async fn file_ended(&mut self) -> FileNews {
        let empty = self.board.view().headcount() == Some(0);
        if let Some(by_files) = &mut self.by_files {
            by_files.taken = None;
        }
        self.end_what_was_carried().await;
        self.board.update(|view| {
            if view.files_tell {
                (view.files_tell, view.ups, view.paused, view.unnamed) = (false, None, None, 0);
                view.research = None;
            }
            if matches!(view.link, GameLink::Down(_)) {
                view.players = None;
            }
        });
        self.show_what_is_known().await;
        FileNews::Ended { empty }
    }

    /// Whether a file tells how the game is.
    pub(super) fn is_told_by_file(&self) -> bool {
        self.by_files.as_ref().is_some_and(|by_files| by_files.taken.is_some())
    }

    /// Takes in whether the game answers.
    pub(super) fn asked(&mut self, sample: &Sample) {
        let Some(by_files) = &mut self.by_files else { return };
        match (&sample.outcome, by_files.asked) {
            (Ok(_), _) => {
                by_files.asked = Asked::Answers;
                (by_files.taken, by_files.broken, by_files.carries) = (None, None, false);
            }
            (Err(_), Asked::InVain(_)) => {}
            (Err(_), _) => by_files.asked = Asked::InVain(sample.at),
        }
    }

    /// Whether the sessions wait for the file: where it is written on, the game lives though its connection broke at `at`.
    pub(super) fn waits_for_file(&mut self, at: Timestamp) -> bool {
        let Some(by_files) = &mut self.by_files else { return false };
        let moves = by_files.source.moves(Instant::now());
        if moves {
            by_files.broken = Some(at);
        }
        moves
    }

    /// The connection broke, and the file was not written on: the game was gone then.
    async fn end_broken(&mut self) {
        let Some(by_files) = &mut self.by_files else { return };
        if by_files.broken.is_none() || by_files.source.moves(Instant::now()) {
            return;
        }
        if let Some(at) = by_files.broken.take() {
            self.observe(&Observation::LinkLost { at }, None).await;
            self.show_what_is_known().await;
        }
    }

    /// The file outlived the connection, and has become old: the game is gone since, as far as anybody knows.
    async fn end_what_was_carried(&mut self) {
        let Some(by_files) = &mut self.by_files else { return };
        let last = by_files.source.told().map(|told| told.seen);
        if let (true, Some(at)) = (std::mem::take(&mut by_files.carries), last) {
            self.observe(&Observation::LinkLost { at }, None).await;
        }
    }

    /// How many the file counts beside those whom the log knows; `None` where it does not count, or is no source.
    pub(super) async fn unnamed(&self) -> Option<usize> {
        let by_files = self.by_files.as_ref().filter(|_| self.is_told_by_file())?;
        let told = by_files.source.told()?;
        let counted = told.numbers.players?;
        let known = self.store.present_around(&self.server, told.written, SLACK).await;
        let warn = |error: &StoreError| warn!(server = %self.server, %error, "Who was in the game cannot be read");
        let known = known.inspect_err(warn).ok()?;
        Some(counted.saturating_sub(known).saturating_sub(by_files.left_unnamed))
    }

    /// A file that goes on to count nobody tells that the end of a session was lost.
    async fn believe_that_nobody_is_there(&mut self, told: &FileTold) {
        let Some(by_files) = &mut self.by_files else { return };
        if by_files.asked != Asked::Never || told.numbers.players != Some(0) {
            by_files.nobody_since = None;
            return;
        }
        let since = *by_files.nobody_since.get_or_insert(told.written);
        // Nobody was there then, nor has been since: whoever came later may just not have been counted yet.
        let Ok(at) = told.written.checked_sub(NOBODY_FOR) else { return };
        if at >= since && self.board.view().players.is_some_and(|players| !players.is_empty()) {
            self.observe(&Observation::Nobody { at }, None).await;
            self.show_what_is_known().await;
        }
    }

    /// Puts onto the view what the source cannot tell, and mods do.
    pub(super) fn put_what_mods_tell(&self, view: &mut GameView) {
        if view.lua.is_some() {
            return;
        }
        let file = self.by_files.as_ref().and_then(|by_files| by_files.source.reading(Instant::now()));
        let numbers = file.map(|file| file.numbers).unwrap_or_default();
        let lent = std::mem::take(&mut view.told_by_mods).contains(&"evolution");
        let technology = self.facts.as_ref().and_then(|facts| facts.technology.clone());
        let research = technology.map(|technology| Research { technology, progress: None });
        view.research = numbers.research.or(research);
        view.rockets = numbers.rockets.or(self.lines.rockets());
        let by_lines = self.lines.evolution();
        if !by_lines.is_empty() && (view.evolution.is_empty() || lent) {
            view.evolution = by_lines;
            view.told_by_mods.push("evolution");
        }
        if view.source != Some(SampleSource::Files) {
            view.told_by_mods.extend(view.research.as_ref().map(|_| "research"));
            view.told_by_mods.extend(view.rockets.map(|_| "rockets"));
        }
    }

    /// Takes in what a line of a mod tells, or that somebody left whom only the file counts.
    pub(super) fn note_mod_line(&mut self, happening: &Happening) {
        if let Some(detail) = &happening.detail {
            self.lines.take(happening.kind, detail);
        }
        let left = matches!(happening.kind, EventKind::Leave | EventKind::Kick);
        let (Some(by_files), Some(name)) = (self.by_files.as_mut().filter(|_| left), &happening.player) else { return };
        let written = by_files.source.told().map(|told| told.written);
        let named = self.board.view().players.is_some_and(|players| players.iter().any(|one| one.name == *name));
        if !named && written.is_some_and(|written| happening.at >= written.saturating_sub(SLACK).unwrap_or(written)) {
            by_files.left_unnamed += 1;
        }
    }

    /// Reads what mods' lines told before the relay was started.
    pub(super) async fn read_mod_lines(&mut self) {
        for kind in ModLines::KINDS {
            match self.store.last_details(&self.server, kind, MOST_LOOKED_THROUGH).await {
                Ok(details) => details.iter().for_each(|detail| self.lines.take(kind, detail)),
                Err(error) => warn!(server = %self.server, %error, "What mods told cannot be read"),
            }
        }
    }
}

/// Puts what a file tells onto the view.
fn show(view: &mut GameView, reading: &FileReading) {
    let numbers = &reading.numbers;
    view.files_tell = true;
    view.source = Some(SampleSource::Files);
    view.sampled_at = Some(reading.at);
    view.ups = reading.ups;
    // A file that is not rewritten does not say why.
    view.paused = reading.moves.then_some(false);
    view.age = age(reading).or(view.age);
    view.evolution.clone_from(&numbers.evolution);
    view.told_by_mods.clear();
    view.known_players = numbers.known_players.or(view.known_players);
    (view.lua, view.fallback, view.cost) = (None, None, None);
}

/// How old the map is.
fn age(reading: &FileReading) -> Option<Duration> {
    reading.numbers.tick.map(|tick| Duration::from_secs_f64(tick as f64 / TICKS_A_SECOND))
}

fn row(reading: &FileReading, headcount: Option<usize>) -> SampleRow {
    SampleRow {
        at: reading.at,
        players: headcount.map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
        ups: reading.ups.map(|ups| ups.shown()),
        evolution: reading.numbers.evolution.iter().map(|surface| surface.factor).reduce(f64::max),
    }
}

#[cfg(test)]
#[path = "by_files_tests.rs"]
mod tests;
