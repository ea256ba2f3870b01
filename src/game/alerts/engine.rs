//! What becomes of each alert by the verdicts of its rule: it begins, holds, fires, reminds, recovers, and rests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{Memory, READ};
use super::rules::{Facts, Finding, Input, SAVE_FAILED, Verdict, at_least, judge};
use crate::config::settings::{AlertRule, AlertSettings};
use crate::domain::AlertKind;
use crate::game::FileNews;

/// The least time between two edits of an alert's message.
const GROWTH_FLOOR: Duration = Duration::from_secs(15);
/// The same where only lines are added to its text, as a crash writes them over some seconds.
const LINES_FLOOR: Duration = Duration::from_secs(5);

/// When nothing was read for so long of the time in which the relay was not running, the logs of that time are read.
const CATCH_UP: Duration = Duration::from_secs(5);
/// A line is written a moment before it is read.
const AWAY_MARGIN: Duration = Duration::from_mins(1);

/// An alert and its subject: the player or surface it is about, empty where it is about the server.
pub type AlertKey = (AlertKind, String);

/// Until when alerts are not to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silences {
    /// All of the server's.
    pub all: Option<Timestamp>,
    /// Single ones.
    pub single: BTreeMap<AlertKind, Timestamp>,
}

impl Silences {
    /// Out of what is stored: by the alert's key, `*` for all.
    #[must_use]
    pub fn from_keys(keys: &BTreeMap<String, Timestamp>) -> Self {
        let single = keys.iter().filter_map(|(alert, until)| Some((AlertKind::from_key(alert)?, *until)));
        Self { all: keys.get("*").copied(), single: single.collect() }
    }

    /// Until when `kind` is silenced, if it is at `now`.
    #[must_use]
    pub fn until(&self, kind: AlertKind, now: Timestamp) -> Option<Timestamp> {
        self.all.max(self.single.get(&kind).copied()).filter(|until| *until > now)
    }
}

/// How far an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// All is well; it rests until its cooldown is over.
    Rest,
    /// Its condition holds, not yet for long enough; or it is silenced, or cools down.
    Pending,
    /// It fires.
    Firing,
}

/// An alert that is not wholly at rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertState {
    /// How far it is.
    pub phase: Phase,
    /// Since when its condition holds, by the game's time.
    pub since: Timestamp,
    /// Bad verdicts in a row.
    pub bad: usize,
    /// When it fired last.
    pub fired_at: Option<Timestamp>,
    /// When it was told last, as it fired or again.
    pub told_at: Option<Timestamp>,
    /// What was measured last.
    pub facts: Facts,
    /// It began while the relay was not running, and is not reported before the logs of that time are read.
    #[serde(default)]
    pub away: bool,
    /// When its own message was written last, and what it says.
    #[serde(default)]
    pub shown: Option<(Timestamp, Facts)>,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It fires.
    Fired,
    /// There is more of it than its message says.
    Grown,
    /// It still does.
    Reminded,
    /// It is over.
    Recovered,
    /// It began and ended while the relay was not running.
    Passed,
}

impl Change {
    /// All changes.
    pub const ALL: [Self; 5] = [Self::Fired, Self::Grown, Self::Reminded, Self::Recovered, Self::Passed];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Grown => "grown",
            Self::Reminded => "reminded",
            Self::Recovered => "recovered",
            Self::Passed => "passed",
        }
    }
}

/// What has changed, as it then is.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Which alert.
    pub key: AlertKey,
    /// What.
    pub change: Change,
    /// Since when its condition holds.
    pub since: Timestamp,
    /// When it changed, by the game's time.
    pub at: Timestamp,
    /// What was measured; of one that is over, while it fired.
    pub facts: Facts,
}

/// The alerts of one server. The same inputs at the same times make the same changes, whatever restarts are between.
#[derive(Debug, Clone)]
pub struct Engine {
    settings: AlertSettings,
    memory: Memory,
    states: BTreeMap<AlertKey, AlertState>,
    /// Since the program was started; `None` where the time before is as well known.
    fresh: Option<Fresh>,
}

/// What is known since the program was started.
#[derive(Debug, Clone, Copy)]
struct Fresh {
    /// When that was.
    since: Timestamp,
    /// Whether the game was asked, if it can be.
    asked: bool,
    /// Since when the relay was not running before.
    away_since: Option<Timestamp>,
    /// When something was last read that happened in that time.
    read_up: Timestamp,
}

impl Fresh {
    /// Whether `at` is in the time in which the relay was not running.
    fn was_away(&self, at: Timestamp) -> bool {
        self.away_since.is_some_and(|away| (away..self.since).contains(&at))
    }

    /// Whether more may be read of the time in which the relay was not running.
    fn catches_up(&self, now: Timestamp) -> bool {
        !at_least(now, self.read_up, CATCH_UP) && !at_least(now, self.since, READ)
    }
}

impl Engine {
    /// Goes on from what was stored; alerts that are switched off are forgotten.
    #[must_use]
    pub fn new(settings: AlertSettings, memory: Memory, states: BTreeMap<AlertKey, AlertState>) -> Self {
        let watched = |name: &String| settings.limits.watchlist.contains(name);
        let known = |(kind, subject): &AlertKey| {
            settings.rules.contains_key(kind) && (*kind != AlertKind::Watchlist || watched(subject))
        };
        let states = states.into_iter().filter(|(key, _)| known(key)).collect();
        Self { settings, memory, states, fresh: None }
    }

    /// What the rules have seen.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The alerts that are not at rest.
    #[must_use]
    pub fn states(&self) -> &BTreeMap<AlertKey, AlertState> {
        &self.states
    }

    /// How many alerts of `kind` fire.
    #[must_use]
    pub fn firing(&self, kind: AlertKind) -> usize {
        self.states.iter().filter(|((other, _), state)| *other == kind && state.phase == Phase::Firing).count()
    }

    /// The program was started at `now`. What was so before may not be so any more: nothing is told of it before the game
    /// was asked and the logs were read; and what a file told, or a game that cannot be asked any more, is forgotten.
    pub fn start(&mut self, now: Timestamp, can_be_asked: bool) {
        self.memory.forget_file();
        if !can_be_asked {
            self.memory.forget_samples();
        }
        self.fresh = Some(Fresh { since: now, asked: !can_be_asked, away_since: None, read_up: now });
    }

    /// Before the start the relay was not running since then. An alert of that time is reported when the logs of that
    /// time are read, as one that lasts or as one that has passed.
    pub fn away_since(&mut self, since: Option<Timestamp>) {
        if let Some(fresh) = &mut self.fresh {
            fresh.away_since = since.and_then(|since| since.checked_sub(AWAY_MARGIN).ok());
        }
    }

    /// Takes in what was seen by `now`, and says what is to be told.
    pub fn take(&mut self, input: &Input<'_>, silences: &Silences, now: Timestamp) -> Vec<Changed> {
        let input = &input.known_by(now);
        self.memory.set_back(now);
        self.states.values_mut().for_each(|state| state.set_back(now));
        if let Some(fresh) = &mut self.fresh {
            fresh.since = fresh.since.min(now);
            fresh.asked |= matches!(input, Input::Sample(_));
            if matches!(input, Input::Happening(happening) if fresh.was_away(happening.at)) {
                fresh.read_up = now;
            }
        }
        self.memory.take(input, &self.settings.limits, now);
        let mut changes = Vec::new();
        for kind in AlertKind::ALL.iter().copied() {
            let Some(rule) = self.settings.rules.get(&kind).copied() else { continue };
            let silent = silences.until(kind, now).is_some();
            for verdict in self.verdicts(kind, input, now) {
                let key = (kind, verdict.subject.clone());
                changes.extend(self.follow(key, verdict, &rule, silent, moment(input, now), now));
            }
            if !silent {
                changes.extend(self.grow(kind, now));
                changes.extend(self.remind(kind, now));
            }
        }
        self.states.retain(|(kind, _), state| !rests(state, self.settings.rules.get(kind), now));
        changes
    }

    /// Whether the start is so near that the logs need not have been read for something that takes `time`, or that the
    /// game was not asked.
    fn is_new(&self, time: Duration, now: Timestamp) -> bool {
        self.fresh.is_some_and(|fresh| !fresh.asked || !at_least(now, fresh.since, time.min(READ)))
    }

    /// Whether it is not known yet if what `kind` is about is still as it was before the start.
    fn waits(&self, kind: AlertKind, now: Timestamp) -> bool {
        let limits = &self.settings.limits;
        match kind {
            AlertKind::RconDown => self.is_new(Duration::ZERO, now),
            AlertKind::LogSilent => self.is_new(self.settings.rules.get(&kind).map_or(READ, |rule| rule.after), now),
            AlertKind::Autosave => self.is_new(limits.save_overdue, now),
            AlertKind::Backlog => self.is_new(limits.backlog_age, now),
            _ => false,
        }
    }

    /// Those of the rule; and what fires though its rule has forgotten it, is over.
    fn verdicts(&self, kind: AlertKind, input: &Input<'_>, now: Timestamp) -> Vec<Verdict> {
        let mut verdicts = judge(kind, &self.settings.limits, &self.memory, input, now);
        if self.waits(kind, now) {
            // A line of this moment tells that a save failed.
            verdicts.retain(|verdict| verdict.subject == SAVE_FAILED);
        }
        let judges_all = match kind {
            AlertKind::JoinRefused => true,
            AlertKind::Evolution => matches!(input, Input::Sample(_) | Input::File(FileNews::Tells(..))),
            _ => false,
        };
        if judges_all {
            let judged: BTreeSet<_> = verdicts.iter().map(|verdict| verdict.subject.clone()).collect();
            let forgotten = self.states.keys().filter(|(other, name)| *other == kind && !judged.contains(name));
            let over =
                |(_, name): &AlertKey| Verdict { subject: name.clone(), finding: Finding::Good, facts: Facts::None };
            verdicts.extend(forgotten.map(over).collect::<Vec<_>>());
        }
        verdicts
    }

    fn follow(
        &mut self,
        key: AlertKey,
        verdict: Verdict,
        rule: &AlertRule,
        silent: bool,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<Changed> {
        let Finding::Bad(since) = verdict.finding else {
            let calm = self.calm(key.0);
            let state = self.states.get_mut(&key)?;
            let at = state.ended_at(calm, at);
            return match (state.phase, verdict.finding) {
                (Phase::Firing, Finding::Good) => Some(state.recover(key, at)),
                (Phase::Pending, finding) => {
                    let passed = std::mem::take(&mut state.away) && finding == Finding::Good;
                    (state.phase, state.bad) = (Phase::Rest, 0);
                    passed.then(|| state.changed(key, Change::Passed, at))
                }
                _ => None,
            };
        };
        let fresh = self.fresh.filter(|fresh| is_of_logs(&key) && fresh.catches_up(now));
        let state = self.states.entry(key.clone()).or_insert_with(|| AlertState::new(since));
        state.facts = verdict.facts;
        state.worsen(since);
        if state.phase != Phase::Pending || silent || !state.is_due(rule, now) {
            return None;
        }
        state.away = fresh.is_some_and(|fresh| fresh.was_away(state.since));
        (!state.away).then(|| state.fire(key, now))
    }

    /// An alert of this kind is over when nothing happened for so long; `None` where something must happen.
    fn calm(&self, kind: AlertKind) -> Option<Duration> {
        match kind {
            AlertKind::Desync => Some(self.settings.limits.desync_calm),
            AlertKind::ScriptError => Some(self.settings.limits.script_calm),
            _ => None,
        }
    }

    /// Those of which there is more than their messages say, each at most once within [`GROWTH_FLOOR`].
    fn grow(&mut self, kind: AlertKind, now: Timestamp) -> Vec<Changed> {
        let firing =
            self.states.iter_mut().filter(|((other, _), state)| *other == kind && state.phase == Phase::Firing);
        firing.filter_map(|(key, state)| state.grow(key, now)).collect()
    }

    fn remind(&mut self, kind: AlertKind, now: Timestamp) -> Vec<Changed> {
        let after = self.settings.remind_after.filter(|after| !self.is_new(*after, now));
        let Some(after) = after else { return Vec::new() };
        let due = |state: &AlertState| {
            state.phase == Phase::Firing && state.told_at.is_none_or(|told| at_least(now, told, after))
        };
        let firing = self.states.iter_mut().filter(|((other, _), state)| *other == kind && due(state));
        let remind = |(key, state): (&AlertKey, &mut AlertState)| {
            state.told_at = Some(now);
            state.changed(key.clone(), Change::Reminded, now)
        };
        firing.map(remind).collect()
    }
}

/// When the input was, by the game's time.
fn moment(input: &Input<'_>, now: Timestamp) -> Timestamp {
    match input {
        Input::Sample(sample) => sample.at,
        Input::File(FileNews::Tells(reading, _)) => reading.at,
        Input::Happening(happening) => happening.at,
        Input::File(FileNews::Ended { .. }) | Input::Tick(_) => now,
    }
}

/// Whether the lines of the logs begin and end it.
fn is_of_logs((kind, subject): &AlertKey) -> bool {
    match kind {
        AlertKind::Autosave => subject == SAVE_FAILED,
        AlertKind::StartFailed
        | AlertKind::CrashLoop
        | AlertKind::Crash
        | AlertKind::Desync
        | AlertKind::ScriptError
        | AlertKind::Watchlist
        | AlertKind::JoinRefused => true,
        AlertKind::LowUps | AlertKind::RconDown | AlertKind::LogSilent | AlertKind::Evolution | AlertKind::Backlog => {
            false
        }
    }
}

/// Whether nothing of it must be remembered.
fn rests(state: &AlertState, rule: Option<&AlertRule>, now: Timestamp) -> bool {
    let cooled = |fired| rule.is_none_or(|rule| at_least(now, fired, rule.cooldown));
    state.phase == Phase::Rest && state.fired_at.is_none_or(cooled)
}

impl AlertState {
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            phase: Phase::Rest,
            since,
            bad: 0,
            fired_at: None,
            told_at: None,
            facts: Facts::None,
            away: false,
            shown: None,
        }
    }

    fn worsen(&mut self, since: Timestamp) {
        if self.phase == Phase::Rest {
            (self.phase, self.since) = (Phase::Pending, since);
        }
        self.bad = self.bad.saturating_add(1);
    }

    fn is_due(&self, rule: &AlertRule, now: Timestamp) -> bool {
        let cooled = self.fired_at.is_none_or(|fired| at_least(now, fired, rule.cooldown));
        cooled && self.bad >= rule.samples && at_least(now, self.since, rule.after)
    }

    fn fire(&mut self, key: AlertKey, now: Timestamp) -> Changed {
        self.phase = Phase::Firing;
        (self.fired_at, self.told_at) = (Some(now), Some(now));
        self.shown = Some((now, self.facts.clone()));
        self.changed(key, Change::Fired, now)
    }

    fn grow(&mut self, key: &AlertKey, now: Timestamp) -> Option<Changed> {
        // An earlier version did not note what it told.
        let (at, before) = self.shown.get_or_insert_with(|| (now, self.facts.clone()));
        let floor = if self.facts.is_longer_than(before) { LINES_FLOOR } else { GROWTH_FLOOR };
        if !self.facts.is_more_than(before) || !at_least(now, *at, floor) {
            return None;
        }
        self.shown = Some((now, self.facts.clone()));
        Some(self.changed(key.clone(), Change::Grown, now))
    }

    fn recover(&mut self, key: AlertKey, at: Timestamp) -> Changed {
        (self.phase, self.bad, self.shown) = (Phase::Rest, 0, None);
        self.changed(key, Change::Recovered, at)
    }

    /// When it ended that is seen to be over at `at`.
    fn ended_at(&self, calm: Option<Duration>, at: Timestamp) -> Timestamp {
        match (&self.facts, calm) {
            (Facts::Trouble { last, .. }, Some(calm)) => last.saturating_add(calm).map_or(at, |calm| calm.min(at)),
            _ => at,
        }
    }

    fn changed(&self, key: AlertKey, change: Change, at: Timestamp) -> Changed {
        Changed { key, change, since: self.since, at, facts: self.facts.clone() }
    }
}
