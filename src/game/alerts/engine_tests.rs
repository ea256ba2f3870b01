//! Every alert through its whole life, on simulated time. A rule without a life here fails the first test.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::config::settings::{AlertLimits, AlertRule, AlertSettings};
use crate::domain::{AlertKind, EventKind, Happening, ServerTag};
use crate::game::{Absence, FileNews, Reading, Sample, SampleSource, Ups};
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
            start_after: Some(seconds(60)),
            engine_log: false,
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
    /// What a file that was written now tells.
    File(FileNews),
    Happening(EventKind, Option<&'static str>),
    /// Seconds since the last line was read, and since the oldest notice was.
    Tick(u64, Option<u64>),
}

/// A reading that tells what `change` puts into it, and nothing else.
pub(super) fn sampled(change: impl FnOnce(&mut Reading)) -> Seen {
    let mut reading = Reading::of(SampleSource::Native);
    change(&mut reading);
    Seen::Sample(Box::new(Ok(reading)))
}

pub(super) fn ups(ups: f64, target: f64) -> Seen {
    let ups = Ups { ups, target, window: Duration::from_mins(1), error: 1.0 };
    sampled(|reading| reading.ups = Some(ups))
}

pub(super) fn players(names: &[&str]) -> Seen {
    sampled(|reading| reading.players = Some(names.iter().map(ToString::to_string).collect()))
}

pub(super) fn evolution(factor: f64) -> Seen {
    evolution_of(&[("nauvis".to_owned(), factor)])
}

pub(super) fn evolution_of(surfaces: &[(String, f64)]) -> Seen {
    let on = |(surface, factor): &(String, f64)| Evolution {
        surface: Some(surface.clone()),
        factor: *factor,
        time: 0,
        pollution: 0,
        spawner_kills: 0,
    };
    sampled(|reading| reading.evolution = surfaces.iter().map(on).collect())
}

pub(super) fn down() -> Seen {
    Seen::Sample(Box::new(Err(Absence::Down("refused".to_owned()))))
}

pub(super) fn happened(kind: EventKind) -> Seen {
    Seen::Happening(kind, None)
}

/// Of this server, in this second, of nobody.
pub(super) fn happening(kind: EventKind, second: u64) -> Happening {
    Happening { server: ServerTag::new("prod").unwrap(), at: time(second), kind, player: None, detail: None }
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
            Self::File(news) => {
                let mut news = news.clone();
                if let FileNews::Tells(reading, _) = &mut news {
                    reading.at = now;
                }
                engine.take(&Input::File(&news), silences, now)
            }
            Self::Happening(kind, player) => {
                let (player, detail) = (player.map(ToOwned::to_owned), Some("why".to_owned()));
                let happening = Happening { at: now, player, detail, ..happening(*kind, 0) };
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
            AlertKind::StartFailed => {
                let nearly = vec![(happened(E::StartError), 59), (TICK, 1)];
                life(nearly, TICK, Some(TICK), 30, happened(E::Ready))
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
