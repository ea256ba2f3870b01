//! Every alert through its whole life, on simulated time. A rule without a life here fails the first test.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::config::settings::{AlertLimits, AlertRule, AlertSettings};
use crate::domain::{AlertKind, EventKind, Happening, ServerTag};
use crate::game::{Absence, Reading, Sample, SampleSource, Ups};
use crate::rcon::Evolution;

const START: i64 = 1_800_000_000;
/// The least time between two of the same alert.
pub(super) const COOLDOWN: u64 = 1000;
pub(super) const REMIND: u64 = 3000;

pub(super) fn time(seconds: u64) -> Timestamp {
    Timestamp::from_second(START + i64::try_from(seconds).unwrap()).unwrap()
}

/// All alerts, with numbers that are easy to reckon with.
pub(super) fn settings() -> AlertSettings {
    let seconds = Duration::from_secs;
    let rule = |kind: &AlertKind| {
        let (after, samples) = match kind {
            AlertKind::LowUps => (0, 3),
            AlertKind::RconDown => (120, 1),
            AlertKind::LogSilent => (60, 1),
            _ => (0, 1),
        };
        (*kind, AlertRule { ping: true, cooldown: seconds(COOLDOWN), after: seconds(after), samples })
    };
    AlertSettings {
        remind_after: Some(seconds(REMIND)),
        rules: AlertKind::ALL.iter().map(rule).collect(),
        limits: AlertLimits {
            ups_below: 55.0,
            ups_recovered: 58.0,
            log_quiet: seconds(7200),
            save_overdue: seconds(1800),
            crashes: 3,
            crashes_within: seconds(900),
            desync_calm: seconds(900),
            script_calm: seconds(900),
            evolution_step: 0.1,
            watchlist: vec!["Griefer".to_owned()],
            refusals: 3,
            refusals_within: seconds(600),
            backlog_age: seconds(600),
        },
        ..AlertSettings::none()
    }
}

/// Something that comes to the engine.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    Sample(Box<Result<Reading, Absence>>),
    Happening(EventKind, Option<&'static str>),
    /// Seconds since the last line was read, and since the oldest notice was.
    Tick(u64, Option<u64>),
}

pub(super) fn reading() -> Reading {
    Reading {
        source: SampleSource::Native,
        players: None,
        age: None,
        ups: None,
        paused: None,
        evolution: Vec::new(),
        version: None,
        known_players: None,
        lua: None,
        fallback: None,
        took: Duration::ZERO,
        bytes: 0,
    }
}

pub(super) fn ups(ups: f64, target: f64) -> Seen {
    let ups = Some(Ups { ups, target, window: Duration::from_mins(1), error: 1.0 });
    Seen::Sample(Box::new(Ok(Reading { ups, ..reading() })))
}

pub(super) fn players(names: &[&str]) -> Seen {
    let players = Some(names.iter().map(ToString::to_string).collect());
    Seen::Sample(Box::new(Ok(Reading { players, ..reading() })))
}

pub(super) fn evolution(factor: f64) -> Seen {
    let surface = Some("nauvis".to_owned());
    let evolution = vec![Evolution { surface, factor, time: 0, pollution: 0, spawner_kills: 0 }];
    Seen::Sample(Box::new(Ok(Reading { evolution, ..reading() })))
}

pub(super) fn down() -> Seen {
    Seen::Sample(Box::new(Err(Absence::Down("refused".to_owned()))))
}

pub(super) fn happened(kind: EventKind) -> Seen {
    Seen::Happening(kind, None)
}

pub(super) const TICK: Seen = Seen::Tick(0, None);

impl Seen {
    /// Gives it to the engine.
    pub(super) fn show(&self, engine: &mut Engine, silences: &Silences, now: Timestamp) -> Vec<Changed> {
        let before = |seconds: u64| now - Duration::from_secs(seconds);
        match self {
            Self::Sample(outcome) => {
                let sample = Sample { at: now, outcome: (**outcome).clone() };
                engine.take(&Input::Sample(&sample), silences, now)
            }
            Self::Happening(kind, player) => {
                let (server, player) = (ServerTag::new("prod").unwrap(), player.map(ToOwned::to_owned));
                let happening = Happening { server, at: now, kind: *kind, player, detail: Some("why".to_owned()) };
                engine.take(&Input::Happening(&happening), silences, now)
            }
            Self::Tick(read, waits) => {
                let around = Surroundings { last_read: Some(before(*read)), oldest_waiting: waits.map(before) };
                engine.take(&Input::Tick(around), silences, now)
            }
        }
    }
}

/// What makes an alert fire and what ends it, second by second.
pub(super) struct Life {
    kind: AlertKind,
    /// What must have been seen before.
    before: Vec<Seen>,
    /// What does not make it fire yet, with the seconds to the next.
    nearly: Vec<(Seen, u64)>,
    /// What then does.
    fires: Seen,
    /// What keeps it firing.
    lasts: Option<Seen>,
    /// The seconds until what ends it.
    until: u64,
    /// What ends it.
    ends: Seen,
}

impl Life {
    pub(super) fn of(kind: AlertKind) -> Self {
        use EventKind as E;
        let life = |nearly: Vec<(Seen, u64)>, fires: Seen, lasts: Option<Seen>, until: u64, ends: Seen| Self {
            kind,
            before: Vec::new(),
            nearly,
            fires,
            lasts,
            until,
            ends,
        };
        match kind {
            AlertKind::LowUps => {
                let slow = || ups(40.0, 60.0);
                life(vec![(slow(), 30), (slow(), 30)], slow(), Some(ups(56.0, 60.0)), 30, ups(57.0, 60.0))
            }
            AlertKind::RconDown => life(vec![(down(), 119), (TICK, 1)], TICK, Some(down()), 30, players(&[])),
            AlertKind::LogSilent => {
                let silent = || Seen::Tick(100_000, None);
                let nearly = vec![(players(&["Bob"]), 30), (silent(), 30)];
                let life = life(nearly, silent(), Some(silent()), 30, Seen::Tick(0, None));
                Self { before: vec![players(&[])], ..life }
            }
            AlertKind::Autosave => {
                let before = vec![happened(E::SaveFinished), players(&["Bob"])];
                let life = life(vec![(TICK, 1700)], TICK, Some(TICK), 30, happened(E::SaveFinished));
                Self { before, ..life }
            }
            AlertKind::CrashLoop => {
                let crash = || happened(E::ServerCrashed);
                let nearly = vec![
                    (crash(), 1),
                    (happened(E::ServerOnline), 100),
                    (crash(), 1),
                    (happened(E::ServerOnline), 100),
                ];
                life(nearly, crash(), Some(happened(E::ServerOnline)), 901, TICK)
            }
            AlertKind::Crash => life(Vec::new(), happened(E::Crash), Some(TICK), 60, happened(E::Ready)),
            AlertKind::Desync => life(Vec::new(), happened(E::Desync), Some(TICK), 901, TICK),
            AlertKind::ScriptError => life(Vec::new(), happened(E::ScriptCrash), Some(TICK), 901, TICK),
            AlertKind::Evolution => {
                let life = life(vec![(evolution(0.19), 30)], evolution(0.2), None, 30, evolution(0.21));
                Self { before: vec![evolution(0.15)], ..life }
            }
            AlertKind::Watchlist => {
                let nearly = vec![(Seen::Happening(E::Join, Some("Bob")), 5)];
                let fires = Seen::Happening(E::Join, Some("griefer"));
                life(nearly, fires, Some(TICK), 60, Seen::Happening(E::Leave, Some("Griefer")))
            }
            AlertKind::JoinRefused => {
                let refused = || Seen::Happening(E::JoinRefused, Some("Eve"));
                life(vec![(refused(), 10), (refused(), 10)], refused(), Some(TICK), 601, TICK)
            }
            AlertKind::Backlog => {
                let waits = |seconds| Seen::Tick(0, Some(seconds));
                life(vec![(waits(599), 1)], waits(600), Some(waits(301)), 15, waits(299))
            }
        }
    }
}

/// One alert alone, with a clock.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) silences: Silences,
    kind: AlertKind,
    pub(super) now: u64,
}

impl World {
    pub(super) fn of(kind: AlertKind, change: impl FnOnce(&mut AlertSettings)) -> Self {
        let mut settings = settings();
        settings.rules.retain(|other, _| *other == kind);
        change(&mut settings);
        let engine = Engine::new(settings, Memory::default(), BTreeMap::new());
        Self { engine, silences: Silences::default(), kind, now: 0 }
    }

    pub(super) fn see(&mut self, seen: &Seen) -> Vec<Change> {
        let changes = seen.show(&mut self.engine, &self.silences, time(self.now));
        changes.into_iter().map(|changed| changed.change).collect()
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now += seconds;
    }

    /// All that leads to the alert, and what then comes of it.
    pub(super) fn provoke(&mut self, life: &Life) -> Vec<Change> {
        for seen in &life.before {
            assert_eq!(self.see(seen), [], "{}: too early", self.kind);
            self.wait(100);
        }
        for (seen, seconds) in &life.nearly {
            assert_eq!(self.see(seen), [], "{}: does not hold long enough", self.kind);
            self.wait(*seconds);
        }
        self.see(&life.fires)
    }

    fn end(&mut self, life: &Life) -> Vec<Change> {
        self.wait(life.until);
        self.see(&life.ends)
    }
}

fn lives() -> Vec<Life> {
    AlertKind::ALL.iter().map(|kind| Life::of(*kind)).collect()
}

#[test]
fn every_alert_holds_then_fires_once_and_recovers_once() {
    for life in lives() {
        let mut world = World::of(life.kind, |_| {});
        assert_eq!(world.provoke(&life), [Change::Fired], "{}", life.kind);
        assert_eq!(world.engine.firing(life.kind), 1, "{}", life.kind);
        for lasts in life.lasts.iter().cycle().take(3) {
            world.wait(1);
            assert_eq!(world.see(lasts), [], "{}: fires on", life.kind);
        }
        assert_eq!(world.end(&life), [Change::Recovered], "{}", life.kind);
        assert_eq!(world.engine.firing(life.kind), 0, "{}", life.kind);
        world.wait(1);
        assert_eq!(world.see(&life.ends), [], "{}: is over", life.kind);
    }
}

#[test]
fn every_alert_that_lasts_is_repeated_at_the_interval() {
    for life in lives() {
        let Some(lasts) = &life.lasts else { continue };
        // Those that end by themselves shall last long enough.
        let mut world = World::of(life.kind, |settings| {
            let limits = &mut settings.limits;
            let long = Duration::from_hours(10);
            (limits.desync_calm, limits.script_calm) = (long, long);
            (limits.crashes_within, limits.refusals_within) = (long, long);
        });
        assert_eq!(world.provoke(&life), [Change::Fired], "{}", life.kind);
        world.wait(REMIND - 1);
        assert_eq!(world.see(lasts), [], "{}: not yet", life.kind);
        world.wait(1);
        assert_eq!(world.see(lasts), [Change::Reminded], "{}", life.kind);
        world.wait(1);
        assert_eq!(world.see(lasts), [], "{}: once", life.kind);
        world.wait(REMIND);
        assert_eq!(world.see(lasts), [Change::Reminded], "{}: again", life.kind);
    }
}

#[test]
fn a_silenced_alert_neither_fires_nor_reminds_and_another_one_does() {
    for life in lives() {
        let mut world = World::of(life.kind, |_| {});
        world.silences.single.insert(life.kind, time(100_000));
        assert_eq!(world.provoke(&life), [], "{}", life.kind);
        assert_eq!(world.end(&life), [], "{}: nobody heard of it", life.kind);

        let mut world = World::of(life.kind, |_| {});
        let other = AlertKind::ALL.iter().find(|kind| **kind != life.kind).copied().unwrap();
        world.silences.single.insert(other, time(100_000));
        assert_eq!(world.provoke(&life), [Change::Fired], "{}", life.kind);
        world.silences.all = Some(time(100_000));
        world.wait(REMIND);
        let lasts = life.lasts.clone().unwrap_or(TICK);
        assert!(!world.see(&lasts).contains(&Change::Reminded), "{}", life.kind);
    }
}

#[test]
fn what_still_holds_when_the_silence_ends_is_told_then() {
    for kind in [AlertKind::RconDown, AlertKind::Crash, AlertKind::Watchlist, AlertKind::Backlog, AlertKind::Autosave] {
        let life = Life::of(kind);
        let mut world = World::of(kind, |_| {});
        world.silences.all = Some(time(5000));
        assert_eq!(world.provoke(&life), [], "{kind}");
        world.now = 5000;
        assert_eq!(world.see(&Seen::Tick(0, Some(700))), [Change::Fired], "{kind}");
    }
}

#[test]
fn every_alert_cools_down() {
    for life in lives().into_iter().filter(|life| life.kind != AlertKind::Autosave) {
        let mut world = World::of(life.kind, |settings| {
            for rule in settings.rules.values_mut() {
                rule.cooldown = Duration::from_hours(2);
            }
        });
        assert_eq!(world.provoke(&life), [Change::Fired], "{}", life.kind);
        assert_eq!(world.end(&life), [Change::Recovered], "{}", life.kind);
        world.wait(1);
        let again = world.again(&life, 0.3);
        assert_eq!(again, [], "{}: cools down", life.kind);
        world.end(&life);
        world.wait(7200);
        let again = world.again(&life, 0.5);
        assert_eq!(again, [Change::Fired], "{}: has cooled down", life.kind);
    }
}

impl World {
    /// The same once more, for evolution at the next step.
    fn again(&mut self, life: &Life, factor: f64) -> Vec<Change> {
        let mut changes = Vec::new();
        for (seen, seconds) in
            life.before.iter().map(|seen| (seen, &100)).chain(life.nearly.iter().map(|(s, n)| (s, n)))
        {
            changes.extend(self.see(seen));
            self.wait(*seconds);
        }
        let fires = if life.kind == AlertKind::Evolution { evolution(factor) } else { life.fires.clone() };
        changes.extend(self.see(&fires));
        changes
    }
}

#[test]
fn an_alert_that_is_switched_off_says_nothing() {
    for life in lives() {
        let mut world = World::of(life.kind, |settings| settings.rules.clear());
        assert_eq!(world.provoke(&life), [], "{}", life.kind);
    }
}

#[test]
fn ups_is_judged_by_what_the_game_aims_at() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    for _ in 0..5 {
        assert_eq!(world.see(&ups(29.0, 30.0)), [], "a game at half speed is not slow");
        world.wait(30);
    }
    let changes: Vec<_> = (0..3).flat_map(|_| world.see(&ups(100.0, 120.0))).collect();
    assert_eq!(changes, [Change::Fired], "100 of 120 is slow");
}

/// A measurement that may be off by so much.
pub(super) fn rough(ups: f64, error: f64) -> Seen {
    let ups = Some(Ups { ups, target: 60.0, window: Duration::from_mins(1), error });
    Seen::Sample(Box::new(Ok(Reading { ups, ..reading() })))
}

#[test]
fn a_reading_that_may_be_fast_enough_is_not_slow() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    let changes: Vec<_> = (0..5).flat_map(|_| world.see(&rough(54.0, 1.5))).collect();
    assert_eq!(changes, [], "it may be 55.5, which is not below 55");
    let changes: Vec<_> = (0..3).flat_map(|_| world.see(&rough(53.0, 1.5))).collect();
    assert_eq!(changes, [Change::Fired], "it is 54.5 at most");
}

#[test]
fn a_reading_that_may_be_well_ends_a_low_ups() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    (0..3).for_each(|_| drop(world.see(&rough(40.0, 6.0))));
    world.wait(30);
    assert_eq!(world.see(&rough(51.0, 6.0)), [], "57 at most is not 58");
    assert_eq!(world.see(&rough(54.0, 6.0)), [Change::Recovered], "a window so short cannot tell it from 60");
}

#[test]
fn a_game_that_hangs_for_a_sample_is_not_well_again() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    let hangs = || Seen::Sample(Box::new(Err(Absence::Silent("no answer in time".to_owned()))));
    let slow = || ups(40.0, 60.0);
    let changes: Vec<_> = [slow(), slow(), hangs(), slow()].iter().flat_map(|seen| world.see(seen)).collect();
    assert_eq!(changes, [Change::Fired], "three samples in a row told of it");
    world.wait(30);
    assert_eq!(world.see(&hangs()), [], "nobody knows");
    assert_eq!(world.see(&down()), [Change::Recovered], "a game that does not run is not slow");
}

#[test]
fn one_good_sample_between_slow_ones_begins_the_count_anew() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    let changes: Vec<_> =
        [40.0, 40.0, 56.0, 40.0, 40.0].into_iter().flat_map(|slow| world.see(&ups(slow, 60.0))).collect();
    assert_eq!(changes, []);
    assert_eq!(world.see(&ups(40.0, 60.0)), [Change::Fired]);
}

#[test]
fn a_paused_map_is_not_slow() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    let paused = Reading { paused: Some(true), ..reading() };
    let slow = Reading { ups: Some(Ups { ups: 0.0, target: 60.0, window: Duration::ZERO, error: 1.0 }), ..paused };
    for _ in 0..5 {
        assert_eq!(world.see(&Seen::Sample(Box::new(Ok(slow.clone())))), []);
    }
}

#[test]
fn a_pause_with_players_in_the_game_does_not_end_a_low_ups() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    (0..3).for_each(|_| drop(world.see(&ups(2.0, 60.0))));
    world.wait(30);
    let paused = |players: &[&str]| {
        let players = Some(players.iter().map(ToString::to_string).collect());
        Seen::Sample(Box::new(Ok(Reading { paused: Some(true), players, ..reading() })))
    };
    assert_eq!(world.see(&paused(&["Ann"])), [], "it may be as slow as that");
    assert_eq!(world.see(&paused(&[])), [Change::Recovered]);
}

/// What all alerts together say, by their keys.
fn told(seen: &[Seen]) -> Vec<String> {
    let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
    let mut changes = Vec::new();
    for (second, seen) in (0..).zip(seen) {
        changes.extend(seen.show(&mut engine, &Silences::default(), time(second)));
    }
    changes.iter().map(|changed| format!("{} {}", changed.key.0, changed.change.as_str())).collect()
}

#[test]
fn one_crash_is_told_once_whichever_log_tells_it_first() {
    use EventKind::{Crash, Ready, ScriptCrash, ServerCrashed, ServerOnline};
    let both = ["crash fired", "crash recovered"];
    assert_eq!(told(&[Crash, Ready, ServerCrashed, ServerOnline].map(happened)), both);
    assert_eq!(told(&[Crash, ServerCrashed, ServerOnline, Ready].map(happened)), both);
    assert_eq!(told(&[ServerCrashed, ServerOnline].map(happened)), both);
    assert_eq!(told(&[ScriptCrash, ServerCrashed, ServerOnline].map(happened)), ["script_error fired"]);
}

#[test]
fn a_crash_that_the_engine_log_tells_late_is_the_one_the_console_told() {
    let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
    let mut take = |kind, second| {
        let (server, at) = (ServerTag::new("prod").unwrap(), time(second));
        let happening = Happening { server, at, kind, player: None, detail: None };
        let changes = engine.take(&Input::Happening(&happening), &Silences::default(), time(900));
        changes.into_iter().map(|changed| changed.change).collect::<Vec<_>>()
    };
    assert_eq!(take(EventKind::ServerCrashed, 500), [Change::Fired]);
    assert_eq!(take(EventKind::ServerOnline, 500), [Change::Recovered]);
    assert_eq!(take(EventKind::Crash, 400), []);
}

#[test]
fn crashes_are_told_once_each_however_the_two_logs_are_read() {
    use EventKind::{Crash, Ready, ServerCrashed, ServerOnline};
    let console =
        [(ServerOnline, 0), (ServerCrashed, 200), (ServerOnline, 200), (ServerCrashed, 400), (ServerOnline, 400)];
    let engine = [(Ready, 5), (Crash, 100), (Ready, 205), (Crash, 300), (Ready, 405)];
    for order in 0_u32..1 << 10 {
        if order.count_ones() != 5 {
            continue;
        }
        let mut alert = World::of(AlertKind::Crash, |settings| {
            settings.rules.get_mut(&AlertKind::Crash).unwrap().cooldown = Duration::ZERO;
        });
        let (mut console, mut engine) = (console.iter(), engine.iter());
        let mut fired = 0;
        for bit in 0..10 {
            let next = if order >> bit & 1 == 1 { console.next() } else { engine.next() };
            let (kind, second) = *next.unwrap();
            let (server, at) = (ServerTag::new("prod").unwrap(), time(second));
            let happening = Happening { server, at, kind, player: None, detail: None };
            let changes = alert.engine.take(&Input::Happening(&happening), &alert.silences, time(1000));
            fired += changes.iter().filter(|changed| changed.change == Change::Fired).count();
        }
        assert!(fired <= 2, "{order:010b}: told {fired} times");
        assert!(fired > 0, "{order:010b}");
        assert_eq!(alert.engine.firing(AlertKind::Crash), 0, "{order:010b}: the game runs");
    }
}

#[test]
fn the_third_crash_is_told_as_a_loop_and_not_as_a_crash() {
    let one = || [EventKind::ServerCrashed, EventKind::ServerOnline].map(happened);
    let mut said = told(&[one(), one(), one(), one()].concat());
    assert_eq!(said.split_off(2), ["crash_loop fired"], "crash cools down from the first on");
    assert_eq!(said, ["crash fired", "crash recovered"]);
}

#[test]
fn a_save_that_fails_is_told_at_once_and_over_with_the_next() {
    use EventKind::{SaveFailed, SaveFinished};
    let seen = [SaveFailed, SaveFailed, SaveFinished].map(happened);
    assert_eq!(told(&seen), ["autosave fired", "autosave recovered"]);
}

#[test]
fn nobody_waits_for_a_save_while_nobody_plays() {
    let mut world = World::of(AlertKind::Autosave, |_| {});
    world.see(&happened(EventKind::SaveFinished));
    world.see(&players(&[]));
    world.wait(100_000);
    assert_eq!(world.see(&TICK), []);
    world.see(&players(&["Bob"]));
    world.wait(1799);
    assert_eq!(world.see(&TICK), [], "the time counts from when somebody plays");
    world.wait(1);
    assert_eq!(world.see(&TICK), [Change::Fired]);
}

#[test]
fn a_game_whose_clock_is_ahead_is_heard_at_once() {
    let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
    let (server, at) = (ServerTag::new("prod").unwrap(), time(60));
    let happening = Happening { server, at, kind: EventKind::Crash, player: None, detail: None };
    assert_eq!(engine.take(&Input::Happening(&happening), &Silences::default(), time(0)).len(), 1);
}

#[test]
fn an_alert_has_the_time_of_what_it_tells() {
    let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
    let (server, at) = (ServerTag::new("prod").unwrap(), time(0));
    let happening = Happening { server, at, kind: EventKind::Crash, player: None, detail: None };
    let changes = engine.take(&Input::Happening(&happening), &Silences::default(), time(7200));
    assert_eq!(changes[0].since, at);
    let reminded = engine.take(&Input::Tick(Surroundings::default()), &Silences::default(), time(7201));
    assert_eq!(reminded, [], "it was told just now");
}
