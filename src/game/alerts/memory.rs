//! What the rules must remember of what they have seen. Small, bounded, and stored with the states.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rules::{Input, at_least};
use super::starts::Starts;
use crate::config::settings::AlertLimits;
use crate::domain::{AlertKind, EventKind, Happening};
use crate::game::{FileNews, FileReading, Reading, Sample};
use crate::rcon::Evolution;

/// Names of refused players that are counted at a time: the last ones.
const MOST_REFUSED: usize = 64;
/// Crashes counted at a time.
const MOST_CRASHES: usize = 50;
/// Characters kept of an error.
const MOST_DETAIL: usize = 1000;
/// Other errors that are kept beside the last one, and the characters of each.
pub(super) const MOST_BEFORE: usize = 8;
const MOST_BEFORE_CHARS: usize = 100;
/// Surfaces whose evolution is followed.
const MOST_SURFACES: usize = 100;
/// A line and the sample that shows the same are not of the same moment.
const SLACK: Duration = Duration::from_secs(15);
/// So long after a game answers again, or the program was started, the logs have been read.
pub(super) const READ: Duration = Duration::from_mins(1);

/// What was seen so far. Absent keys have their default, so that a later version may add some.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Who was in the game by the last sample; `None` where nobody knows.
    pub(super) online: Option<BTreeSet<String>>,
    /// How many were in the game by its file, where that tells.
    pub(super) counted: usize,
    /// Whether its file tells how the game is, which cannot be asked.
    pub(super) by_file: bool,
    /// Since when somebody is in the game.
    pub(super) online_since: Option<Timestamp>,
    /// When the last sample was taken that told who is in the game.
    pub(super) sampled_at: Option<Timestamp>,
    /// Somebody came or went by RCON.
    pub(super) unheard: Option<Unheard>,
    /// Since when the game cannot be asked, and whether it is connected all the same.
    pub(super) unreachable: Option<(Timestamp, bool)>,
    /// When the last save was done.
    pub(super) saved_at: Option<Timestamp>,
    /// When a save failed last, and why, if none was done since.
    pub(super) save_failed: Option<Trouble>,
    /// The crash after which the game does not run yet.
    pub(super) down: Option<Trouble>,
    /// Crashes that the console log has still to tell of, by being opened without having been closed.
    pub(super) untold: Vec<Timestamp>,
    /// The last crash that only the console log told of, when it was opened again.
    pub(super) told_at: Option<Timestamp>,
    /// The last crashes.
    pub(super) crashes: Vec<Timestamp>,
    /// So many of them came together that it is a loop.
    pub(super) looping: bool,
    /// The starts since the server was last ready.
    pub(super) starts: Starts,
    /// The alert of the error that was reported last, to which further lines belong.
    pub(super) last_error: Option<AlertKind>,
    /// The desyncs since it was calm.
    pub(super) desync: Option<Trouble>,
    /// The script errors since it was calm.
    pub(super) script: Option<Trouble>,
    /// The steps of evolution by surface.
    pub(super) evolution: BTreeMap<String, Step>,
    /// Who of the watch-list is in the game, in lower case, and since when.
    pub(super) watched: BTreeMap<String, Timestamp>,
    /// When whom the game refused.
    pub(super) refused: BTreeMap<String, Refused>,
}

/// A change of who is in the game, which the log should tell of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Unheard {
    /// The line cannot be older.
    pub(super) after: Timestamp,
    /// When the change was seen.
    pub(super) seen: Timestamp,
}

/// What went wrong, once or several times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: u64,
    pub(super) detail: Option<String>,
    #[serde(default)]
    pub(super) before: Vec<String>,
}

/// How far the enemies of a surface have evolved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) factor: f64,
    /// When a step was reached with it; `None` where it was met as it is.
    pub(super) reached: Option<Timestamp>,
    /// Whether a file told it, which may be of another force: what different sources tell is not compared.
    #[serde(default)]
    pub(super) by_file: bool,
}

/// Refusals of one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) at: Vec<Timestamp>,
    pub(super) reason: Option<String>,
    /// How many there were; more than times are kept, once there are as many as the rule asks for.
    #[serde(default)]
    pub(super) count: usize,
}

impl Trouble {
    pub(super) fn of(happening: &Happening) -> Self {
        let detail = happening.detail.as_ref().map(|detail| detail.chars().take(MOST_DETAIL).collect());
        Self { first: happening.at, last: happening.at, count: 1, detail, before: Vec::new() }
    }

    /// The same with another one of its kind.
    pub(super) fn merge(self, new: Self, kind: EventKind) -> Self {
        let (first, last) = (self.first.min(new.first), self.last.max(new.last));
        let count = self.count.saturating_add(new.count);
        let (Some(old), Some(detail)) = (&self.detail, &new.detail) else {
            return Self { first, last, count, detail: new.detail.or(self.detail), before: self.before };
        };
        let (old, now) = (beginning(old), beginning(detail));
        let same = |one: &str, other: &str| sense(kind, one) == sense(kind, other);
        let mut before = self.before;
        before.retain(|one| !same(one, &old) && !same(one, &now));
        before.extend(Some(old).filter(|old| !same(old, &now)));
        let surplus = before.len().saturating_sub(MOST_BEFORE);
        before.drain(..surplus);
        Self { first, last, count, detail: new.detail, before }
    }

    /// Adds lines to what the game says, as far as they are kept.
    pub(super) fn extend(&mut self, lines: &str) {
        let detail = self.detail.get_or_insert_default();
        let mut chars = detail.chars().count();
        for line in lines.lines() {
            chars += line.chars().count() + 1;
            if chars > MOST_DETAIL {
                break;
            }
            if !detail.is_empty() {
                detail.push('\n');
            }
            detail.push_str(line);
        }
    }

    /// Whether there was no other one for so long.
    pub(super) fn is_over(&self, now: Timestamp, calm: Duration) -> bool {
        at_least(now, self.last, calm)
    }
}

/// The first line, as far as it is kept beside a later one.
fn beginning(detail: &str) -> String {
    detail.lines().next().unwrap_or_default().chars().take(MOST_BEFORE_CHARS).collect()
}

/// What tells one error from another: not the tick, nor an amount. Desyncs are told apart by the number of the peer.
fn sense(kind: EventKind, detail: &str) -> String {
    if kind == EventKind::Desync { detail.to_owned() } else { detail.replace(|c: char| c.is_ascii_digit(), "") }
}

impl Memory {
    /// Takes in what was seen.
    pub(super) fn take(&mut self, input: &Input<'_>, limits: &AlertLimits, now: Timestamp) {
        match input {
            Input::Sample(sample) => self.sampled(sample, limits),
            Input::File(FileNews::Tells(reading, headcount)) => self.told(reading, *headcount, limits),
            Input::File(FileNews::Ended { .. }) => self.forget_file(),
            Input::Happening(happening) => self.happened(happening, limits),
            Input::Tick(around) => {
                if self.unheard.as_ref().is_some_and(|unheard| around.last_read > Some(unheard.after)) {
                    self.unheard = None;
                }
                self.forget(limits, now);
            }
        }
    }

    fn sampled(&mut self, sample: &Sample, limits: &AlertLimits) {
        match &sample.outcome {
            Ok(reading) => {
                (self.unreachable, self.by_file, self.counted) = (None, false, 0);
                self.runs_at(sample.at);
                self.read(reading, sample.at, limits);
            }
            Err(absence) => {
                let since = self.unreachable.take().map_or(sample.at, |(since, _)| since);
                self.unreachable = Some((since, absence.is_connected()));
                // What happens meanwhile is not seen, but for how many the file counts.
                (self.online, self.unheard) = (None, None);
                self.online_since = self.online_since.filter(|_| self.by_file);
            }
        }
    }

    /// Whether somebody is there, nobody tells any more.
    pub(super) fn forget_file(&mut self) {
        if std::mem::take(&mut self.by_file) {
            (self.counted, self.online_since) = (0, None);
        }
    }

    /// The game cannot be asked any more.
    pub(super) fn forget_samples(&mut self) {
        (self.online, self.online_since, self.sampled_at) = (None, None, None);
        (self.unheard, self.unreachable) = (None, None);
    }

    /// A file tells that the game runs, and how many are there: not who, and not whether RCON works.
    fn told(&mut self, reading: &FileReading, headcount: Option<usize>, limits: &AlertLimits) {
        (self.by_file, self.online, self.unheard) = (true, None, None);
        self.counted = headcount.unwrap_or_default();
        self.online_since = if self.counted == 0 { None } else { self.online_since.or(Some(reading.at)) };
        if reading.moves {
            self.runs_at(reading.at);
        }
        self.evolved(&reading.numbers.evolution, reading.at, limits, true);
    }

    /// The game answers: a crash before that is over.
    fn runs_at(&mut self, at: Timestamp) {
        if self.down.as_ref().is_some_and(|crash| crash.last < at) {
            self.down = None;
        }
        // Whatever the console log could have told of them, it has.
        self.untold.retain(|crash| !at_least(at, *crash, READ));
    }

    fn read(&mut self, reading: &Reading, at: Timestamp, limits: &AlertLimits) {
        if let Some(players) = &reading.players {
            self.see_players(players.iter().cloned().collect(), at, reading.took, limits);
        }
        self.evolved(&reading.evolution, at, limits, false);
    }

    fn evolved(&mut self, surfaces: &[Evolution], at: Timestamp, limits: &AlertLimits, by_file: bool) {
        for surface in surfaces {
            let name = surface.surface.clone().unwrap_or_default();
            // A factor that is printed as 0.5 may be a little less in binary. Both are counted now: the step may be
            // another one since.
            let steps = |factor: f64| (factor / limits.evolution_step.max(0.01) + 1e-6).floor();
            let before = self.evolution.get(&name).filter(|before| before.by_file == by_file);
            let reached = before.filter(|before| steps(surface.factor) > steps(before.factor)).map(|_| at);
            self.evolution.insert(name, Step { factor: surface.factor, reached, by_file });
        }
        self.bound_evolution(surfaces);
    }

    /// Of too many surfaces those go first that are not named, and then those where the enemies have evolved
    /// least, as on platforms, which have none. One that comes back is met as it then is.
    fn bound_evolution(&mut self, surfaces: &[Evolution]) {
        if self.evolution.len() <= MOST_SURFACES {
            return;
        }
        let named: BTreeSet<_> = surfaces.iter().map(|one| one.surface.as_deref().unwrap_or("")).collect();
        let mut all: Vec<_> = std::mem::take(&mut self.evolution).into_iter().collect();
        let rank = |(name, step): &(String, Step)| (named.contains(name.as_str()), step.factor);
        all.sort_by(|one, other| {
            let ((named, factor), (other_named, other_factor)) = (rank(one), rank(other));
            other_named.cmp(&named).then(other_factor.total_cmp(&factor))
        });
        self.evolution = all.into_iter().take(MOST_SURFACES).collect();
    }

    fn see_players(&mut self, now: BTreeSet<String>, at: Timestamp, took: Duration, limits: &AlertLimits) {
        if let Some((before, then)) = self.online.as_ref().zip(self.sampled_at)
            && *before != now
            && self.unheard.is_none()
        {
            let after = then.saturating_sub(took + SLACK).unwrap_or(then);
            self.unheard = Some(Unheard { after, seen: at });
        }
        self.online_since = if now.is_empty() { None } else { self.online_since.or(Some(at)) };
        let names: BTreeSet<String> = now.iter().map(|name| name.to_lowercase()).collect();
        self.watched.retain(|name, since| names.contains(name) || !at_least(at, *since, SLACK));
        for name in limits.watchlist.iter().map(|name| name.to_lowercase()).filter(|name| names.contains(name)) {
            self.watched.entry(name).or_insert(at);
        }
        (self.online, self.sampled_at) = (Some(now), Some(at));
    }

    fn happened(&mut self, happening: &Happening, limits: &AlertLimits) {
        use EventKind as E;
        if matches!(happening.kind, E::SaveFailed | E::Crash | E::ScriptCrash | E::StartError) {
            self.last_error = AlertKind::instead_of(happening.kind);
        }
        let name = happening.player.as_ref().map(|name| name.to_lowercase());
        match happening.kind {
            EventKind::Join => {
                self.untold.retain(|crash| *crash > happening.at);
                self.down.take_if(|crash| crash.last < happening.at);
                let listed = |name: &String| limits.watchlist.iter().any(|watched| watched.to_lowercase() == *name);
                self.watched.extend(name.filter(listed).map(|name| (name, happening.at)));
            }
            EventKind::Leave | EventKind::Kick | EventKind::Ban => {
                self.watched.remove(&name.unwrap_or_default());
            }
            EventKind::SaveFinished => (self.saved_at, self.save_failed) = (Some(happening.at), None),
            EventKind::SaveFailed => self.save_failed = Some(again(self.save_failed.take(), happening)),
            EventKind::Desync => self.desync = Some(again(self.desync.take(), happening)),
            EventKind::JoinRefused => self.refuse(happening, limits),
            EventKind::StartError => self.start_error(happening),
            EventKind::RunFailed => self.run_failed(happening, limits),
            EventKind::RunKilled => self.run_killed(happening, limits),
            EventKind::ErrorContinued => self.error_continued(happening),
            EventKind::Crash | EventKind::ScriptCrash => self.crashed(happening, limits),
            EventKind::ServerCrashed => self.found_crashed(happening, limits),
            EventKind::ServerOnline => self.up(happening, limits),
            EventKind::Ready => {
                self.ready(limits);
                self.up(happening, limits);
            }
            EventKind::ServerOffline | EventKind::Stopped => {
                (self.online, self.online_since, self.unheard) = (None, None, None);
                self.watched.clear();
            }
            _ => {}
        }
    }

    /// A run began. The logs are read at their own pace: it may be the run before the crash that is known already.
    /// Where there is an engine log, that alone shows that the server is ready: the console log is opened long before.
    fn up(&mut self, happening: &Happening, limits: &AlertLimits) {
        let runs = happening.kind == EventKind::Ready || !limits.engine_log;
        if runs && self.down.as_ref().is_some_and(|crash| !is_behind(crash.last, happening.at)) {
            self.down = None;
        }
        if happening.kind == EventKind::ServerOnline {
            self.untold.retain(|crash| is_behind(*crash, happening.at));
        }
        self.unheard = None;
        self.watched.retain(|_, since| is_behind(*since, happening.at));
    }

    /// The engine says that it ends. The console log will tell the same when it is opened next.
    fn crashed(&mut self, happening: &Happening, limits: &AlertLimits) {
        if happening.kind == EventKind::ScriptCrash {
            self.script = Some(again(self.script.take(), happening));
        }
        if self.was_told_by_console(happening.at) {
            return;
        }
        self.expect_console(happening.at);
        // A script error has an alert of its own, and the run may still end with `Goodbye`.
        if happening.kind == EventKind::Crash {
            self.down = Some(again(self.down.take(), happening));
            self.count_crash(happening.at, limits);
        }
    }

    /// Whether the console log reported the end of the run at `at`, by being opened again.
    pub(super) fn was_told_by_console(&self, at: Timestamp) -> bool {
        self.told_at.is_some_and(|told| at <= told)
    }

    /// The console log will report the end of the same run.
    pub(super) fn expect_console(&mut self, at: Timestamp) {
        self.untold.push(at);
        let surplus = self.untold.len().saturating_sub(MOST_CRASHES);
        self.untold.drain(..surplus);
    }

    /// The console log was opened though it had not been closed.
    fn found_crashed(&mut self, happening: &Happening, limits: &AlertLimits) {
        let untold = self.untold.len();
        self.untold.retain(|crash| is_behind(*crash, happening.at));
        if self.untold.len() == untold {
            self.told_at = Some(happening.at);
            self.down = Some(again(self.down.take(), happening));
            self.count_crash(happening.at, limits);
        }
    }

    pub(super) fn count_crash(&mut self, at: Timestamp, limits: &AlertLimits) {
        self.watched.clear();
        (self.online, self.online_since, self.unheard) = (None, None, None);
        self.crashes.push(at);
        self.crashes.retain(|crash| !at_least(at, *crash, limits.crashes_within));
        let surplus = self.crashes.len().saturating_sub(MOST_CRASHES);
        self.crashes.drain(..surplus);
        self.looping |= limits.crashes > 0 && self.crashes.len() >= limits.crashes;
    }

    fn refuse(&mut self, happening: &Happening, limits: &AlertLimits) {
        let Some(name) = happening.player.clone() else { return };
        let refused = self.refused.entry(name.clone()).or_default();
        refused.at.push(happening.at);
        refused.at.retain(|at| !at_least(happening.at, *at, limits.refusals_within));
        let surplus = refused.at.len().saturating_sub(limits.refusals.max(2));
        refused.at.drain(..surplus);
        let goes_on = surplus > 0;
        refused.count = if goes_on { refused.count.saturating_add(1) } else { refused.at.len() };
        refused.reason.clone_from(&happening.detail);
        if self.refused.len() > MOST_REFUSED {
            let last = |refused: &Refused| refused.at.last().copied();
            let oldest = self.refused.iter().filter(|(other, _)| **other != name).min_by_key(|(_, one)| last(one));
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.refused.remove(&oldest);
            }
        }
    }

    /// Drops what no rule asks for any more; what is over stays for the verdict that says so.
    fn forget(&mut self, limits: &AlertLimits, now: Timestamp) {
        if self.crashes.last().is_some_and(|last| at_least(now, *last, limits.crashes_within)) {
            self.crashes.clear();
            self.looping = false;
        }
        if let Some(after) = limits.start_after {
            self.starts.tick(after, now);
        }
        let over = |trouble: &Option<Trouble>, calm| trouble.as_ref().is_some_and(|one| one.is_over(now, calm));
        if over(&self.desync, limits.desync_calm) {
            self.desync = None;
        }
        if over(&self.script, limits.script_calm) {
            self.script = None;
        }
        let within = limits.refusals_within;
        self.refused.retain(|_, refused| refused.at.last().is_some_and(|last| !at_least(now, *last, within)));
    }
}

impl Memory {
    /// All that went wrong and is remembered with its text.
    pub(super) fn troubles_mut(&mut self) -> impl Iterator<Item = &mut Trouble> {
        let Starts { error, failed, .. } = &mut self.starts;
        let all = [&mut self.save_failed, &mut self.down, &mut self.desync, &mut self.script, error, failed];
        all.into_iter().flatten()
    }
}

/// Whether `then` is later, in whole seconds: the console log has no others.
fn is_behind(then: Timestamp, at: Timestamp) -> bool {
    then.as_second() > at.as_second()
}

pub(super) fn again(before: Option<Trouble>, happening: &Happening) -> Trouble {
    match before {
        Some(trouble) => trouble.merge(Trouble::of(happening), happening.kind),
        None => Trouble::of(happening),
    }
}
