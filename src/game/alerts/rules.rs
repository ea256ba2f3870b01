//! What each alert asks of what was seen. Every rule is a function of the thresholds, the memory and the input: it says
//! of which subjects it is so, is not so, or neither.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{Memory, Refused, Trouble};
use crate::config::settings::AlertLimits;
use crate::domain::{AlertKind, EventKind, Happening};
use crate::game::{FileNews, Sample, SampleSource, Ups};

/// What there is to judge.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A look at the game.
    Sample(&'a Sample),
    /// What a mod's file tells of a game that cannot be asked.
    File(&'a FileNews),
    /// Something that happened.
    Happening(&'a Happening),
    /// Time has passed.
    Tick(Surroundings),
}

/// How the program itself is doing for this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// When lines of the console log were last read.
    pub last_read: Option<Timestamp>,
    /// When the oldest notice was read that waits for Discord.
    pub oldest_waiting: Option<Timestamp>,
}

/// Whether an alert's condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It does, since then.
    Bad(Timestamp),
    /// Neither: what fires goes on, what only begins to does not.
    Between,
    /// It does not.
    Good,
}

/// What a rule says of one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The player or surface; empty where it is about the server.
    pub subject: String,
    /// Whether its condition holds.
    pub finding: Finding,
    /// What was measured.
    pub facts: Facts,
}

/// What was measured, as the texts say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// Nothing beside the verdict.
    None,
    /// Updates per second, measured and aimed at.
    Ups {
        /// Measured.
        ups: f64,
        /// Aimed at.
        target: f64,
        /// How far the measurement may be off.
        #[serde(default)]
        error: f64,
        /// Whether what it aims at is only assumed: Lua alone tells the game's speed.
        #[serde(default)]
        assumed: bool,
    },
    /// The game cannot be asked.
    Unreachable {
        /// Whether it is connected all the same.
        connected: bool,
    },
    /// How many play, and when a line was last read.
    Silent {
        /// How many.
        players: usize,
        /// When.
        last_read: Option<Timestamp>,
    },
    /// When the last save was.
    Overdue {
        /// When.
        saved_at: Timestamp,
    },
    /// Something went wrong, once or several times.
    Trouble {
        /// How often.
        count: u64,
        /// The last time.
        last: Timestamp,
        /// What the game says.
        detail: Option<String>,
        /// What else it said before, once each and in order: the beginnings of the last ones.
        #[serde(default)]
        before: Vec<String>,
    },
    /// How many crashes came together.
    Crashes {
        /// How many.
        count: usize,
        /// The last of them.
        last: Timestamp,
    },
    /// How far the enemies have evolved: 0 to 1.
    Evolution {
        /// By the game.
        factor: f64,
    },
    /// Refusals of one name.
    Refusals {
        /// How many, as long as they come one after another within the time.
        count: usize,
        /// Why, the last time.
        reason: Option<String>,
    },
    /// Since when the oldest notice waits.
    Waiting {
        /// When it was read.
        oldest: Timestamp,
    },
}

impl Facts {
    /// Whether it happened more often than `shown` says. What is measured anew all the time is not: it may get better
    /// and worse.
    pub(super) fn is_more_than(&self, shown: &Self) -> bool {
        match (self, shown) {
            (Self::Trouble { count, .. }, Self::Trouble { count: shown, .. }) if count != shown => count > shown,
            // They are counted within a time, and may be as many as before.
            (Self::Crashes { last, .. }, Self::Crashes { last: shown, .. }) => last > shown,
            (Self::Refusals { count, .. }, Self::Refusals { count: shown, .. }) => count > shown,
            _ => self.is_longer_than(shown),
        }
    }

    /// Whether lines were added to the text that `shown` says.
    pub(super) fn is_longer_than(&self, shown: &Self) -> bool {
        match (self, shown) {
            (
                Self::Trouble { count, detail: Some(detail), .. },
                Self::Trouble { count: shown, detail: shown_detail, .. },
            ) => count == shown && shown_detail.as_ref() != Some(detail),
            _ => false,
        }
    }
}

/// Whether `now` is at least `duration` behind `then`. No time at all has always passed: the game's clock may be ahead.
pub(super) fn at_least(now: Timestamp, then: Timestamp, duration: Duration) -> bool {
    duration.is_zero() || Duration::try_from(now.duration_since(then)).is_ok_and(|passed| passed >= duration)
}

/// What the rule of `kind` says now. Subjects it does not name stay as they are.
pub(super) fn judge(
    kind: AlertKind,
    limits: &AlertLimits,
    memory: &Memory,
    input: &Input<'_>,
    now: Timestamp,
) -> Vec<Verdict> {
    match kind {
        AlertKind::LowUps => low_ups(limits, memory, input).into_iter().collect(),
        AlertKind::RconDown => vec![rcon_down(memory)],
        AlertKind::LogSilent => log_silent(limits, memory, input, now).into_iter().collect(),
        AlertKind::Autosave => autosave(limits, memory, now),
        AlertKind::StartFailed => vec![until_forgotten(memory.starts.failed.as_ref())],
        AlertKind::CrashLoop => vec![crash_loop(limits, memory)],
        AlertKind::Crash => vec![crash(memory)],
        AlertKind::Desync => vec![until_forgotten(memory.desync.as_ref())],
        AlertKind::ScriptError => vec![until_forgotten(memory.script.as_ref())],
        AlertKind::Evolution => evolution(memory, input),
        AlertKind::Watchlist => watchlist(limits, memory),
        AlertKind::JoinRefused => join_refused(limits, memory, now),
        AlertKind::Backlog => backlog(limits, input, now).into_iter().collect(),
    }
}

fn of_server(finding: Finding, facts: Facts) -> Verdict {
    Verdict { subject: String::new(), finding, facts }
}

fn good() -> Verdict {
    of_server(Finding::Good, Facts::None)
}

/// Only samples and files count. A map that stands still with nobody in it is not slow, nor is a game that does not run; of
/// one that stands with players in it, or hangs, nobody knows. What cannot be asked, and is told of by its file, is judged
/// by the file alone.
fn low_ups(limits: &AlertLimits, memory: &Memory, input: &Input<'_>) -> Option<Verdict> {
    match input {
        Input::Sample(sample) => low_ups_of_sample(limits, memory, sample),
        Input::File(FileNews::Tells(reading, _)) => Some(slow(limits, &reading.ups?, true, reading.at)),
        Input::File(FileNews::Ended { empty }) => empty.then(good),
        // A game without RCON: nobody else will tell that it is gone. After a start its file may not have told yet.
        Input::Happening(happening)
            if memory.unreachable.is_none() && (memory.by_file || memory.sampled_at.is_none()) =>
        {
            ends(happening.kind).then(good)
        }
        Input::Happening(_) | Input::Tick(_) => None,
    }
}

/// Whether it tells that the game does not run any more.
fn ends(kind: EventKind) -> bool {
    matches!(kind, EventKind::ServerOffline | EventKind::Stopped | EventKind::Crash | EventKind::ServerCrashed)
}

fn low_ups_of_sample(limits: &AlertLimits, memory: &Memory, sample: &Sample) -> Option<Verdict> {
    let reading = match &sample.outcome {
        Ok(reading) if reading.paused == Some(true) => {
            let empty = reading.players.as_ref().is_some_and(Vec::is_empty);
            return Some(if empty { good() } else { of_server(Finding::Between, Facts::None) });
        }
        Ok(reading) => reading,
        Err(absence) => return (!absence.is_connected() && !memory.by_file).then(good),
    };
    Some(slow(limits, &reading.ups?, reading.source != SampleSource::Lua, sample.at))
}

/// What the map did at most is compared with both thresholds, for a reading may be too low: by its error, as it comes of a
/// coarse clock. So a map at `below` or more never makes it fire, and one at `recovered` or more always ends it.
fn slow(limits: &AlertLimits, measured: &Ups, assumed: bool, at: Timestamp) -> Verdict {
    let Ups { ups, target, error, .. } = *measured;
    // The thresholds are of 60.
    let at_most = (ups + error) / target.max(f64::MIN_POSITIVE) * 60.0;
    let finding = if at_most < limits.ups_below {
        Finding::Bad(at)
    } else if at_most >= limits.ups_recovered {
        Finding::Good
    } else {
        Finding::Between
    };
    of_server(finding, Facts::Ups { ups, target, error, assumed })
}

fn rcon_down(memory: &Memory) -> Verdict {
    match &memory.unreachable {
        Some((since, connected)) => of_server(Finding::Bad(*since), Facts::Unreachable { connected: *connected }),
        None => good(),
    }
}

/// Somebody came or went, or plays on and on, and no line was read. Judged when it is known what was read.
fn log_silent(limits: &AlertLimits, memory: &Memory, input: &Input<'_>, now: Timestamp) -> Option<Verdict> {
    let Input::Tick(around) = input else { return None };
    let players = memory.online.as_ref().map_or(memory.counted, std::collections::BTreeSet::len);
    let facts = Facts::Silent { players, last_read: around.last_read };
    if let Some(unheard) = &memory.unheard {
        return Some(of_server(Finding::Bad(unheard.seen), facts));
    }
    let since = memory.online_since.map(|online| around.last_read.map_or(online, |read| read.max(online)));
    let finding = since.filter(|since| at_least(now, *since, limits.log_quiet)).map_or(Finding::Good, Finding::Bad);
    Some(of_server(finding, facts))
}

/// The subject of a save that failed.
pub(super) const SAVE_FAILED: &str = "failed";

/// Two subjects: a save that failed, and one that did not come.
fn autosave(limits: &AlertLimits, memory: &Memory, now: Timestamp) -> Vec<Verdict> {
    let failed = match &memory.save_failed {
        Some(trouble) => of_server(Finding::Bad(trouble.first), trouble_facts(trouble)),
        None => good(),
    };
    // Nothing is saved while nobody plays.
    let due = memory.saved_at.zip(memory.online_since).map(|(saved, online)| (saved, saved.max(online)));
    let overdue = match due.filter(|(_, since)| at_least(now, *since, limits.save_overdue)) {
        Some((saved_at, since)) => of_server(Finding::Bad(since), Facts::Overdue { saved_at }),
        None => good(),
    };
    vec![Verdict { subject: SAVE_FAILED.to_owned(), ..failed }, Verdict { subject: "overdue".to_owned(), ..overdue }]
}

fn trouble_facts(trouble: &Trouble) -> Facts {
    let Trouble { count, last, detail, before, .. } = trouble.clone();
    Facts::Trouble { count, last, detail, before }
}

/// Quiet while the server cannot start, which is reported with its reason.
fn crash_loop(limits: &AlertLimits, memory: &Memory) -> Verdict {
    match (memory.crashes.first(), memory.crashes.last()) {
        (Some(_), _) if memory.starts.failed.is_some() && limits.start_after.is_some() => {
            of_server(Finding::Between, Facts::None)
        }
        (Some(first), Some(last)) if memory.looping => {
            of_server(Finding::Bad(*first), Facts::Crashes { count: memory.crashes.len(), last: *last })
        }
        _ => good(),
    }
}

/// Quiet while it is a loop: one crash is told once.
fn crash(memory: &Memory) -> Verdict {
    match &memory.down {
        Some(_) if memory.looping => of_server(Finding::Between, Facts::None),
        Some(trouble) => of_server(Finding::Bad(trouble.first), trouble_facts(trouble)),
        None => good(),
    }
}

/// The memory forgets it when it is over.
fn until_forgotten(trouble: Option<&Trouble>) -> Verdict {
    trouble.map_or_else(good, |trouble| of_server(Finding::Bad(trouble.first), trouble_facts(trouble)))
}

/// A step is new in the sample that shows it first.
fn evolution(memory: &Memory, input: &Input<'_>) -> Vec<Verdict> {
    let at = match input {
        Input::Sample(sample) => sample.at,
        Input::File(FileNews::Tells(reading, _)) => reading.at,
        _ => return Vec::new(),
    };
    let verdict = |(surface, step): (&String, &super::memory::Step)| Verdict {
        subject: surface.clone(),
        finding: if step.reached == Some(at) { Finding::Bad(at) } else { Finding::Good },
        facts: Facts::Evolution { factor: step.factor },
    };
    memory.evolution.iter().map(verdict).collect()
}

fn watchlist(limits: &AlertLimits, memory: &Memory) -> Vec<Verdict> {
    let verdict = |name: &String| Verdict {
        subject: name.clone(),
        finding: memory.watched.get(&name.to_lowercase()).copied().map_or(Finding::Good, Finding::Bad),
        facts: Facts::None,
    };
    limits.watchlist.iter().map(verdict).collect()
}

/// Names that are forgotten have had no refusal for long enough; the engine asks for those that fire.
fn join_refused(limits: &AlertLimits, memory: &Memory, now: Timestamp) -> Vec<Verdict> {
    let verdict = |(name, refused): (&String, &Refused)| {
        let enough = refused.at.len() >= limits.refusals.max(2);
        let recent = refused.at.last().is_some_and(|last| !at_least(now, *last, limits.refusals_within));
        let finding = match refused.at.first() {
            Some(first) if enough => Finding::Bad(*first),
            _ if recent => Finding::Between,
            _ => Finding::Good,
        };
        let facts = Facts::Refusals { count: refused.count, reason: refused.reason.clone() };
        Verdict { subject: name.clone(), finding, facts }
    };
    memory.refused.iter().map(verdict).collect()
}

/// Over when what waits is half as old.
fn backlog(limits: &AlertLimits, input: &Input<'_>, now: Timestamp) -> Option<Verdict> {
    let Input::Tick(around) = input else { return None };
    let Some(oldest) = around.oldest_waiting else { return Some(good()) };
    let finding = if at_least(now, oldest, limits.backlog_age) {
        Finding::Bad(oldest)
    } else if at_least(now, oldest, limits.backlog_age / 2) {
        Finding::Between
    } else {
        Finding::Good
    };
    Some(of_server(finding, Facts::Waiting { oldest }))
}
