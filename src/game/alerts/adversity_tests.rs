//! Alerts when the world does not behave: measurements that waver, silences that end, clocks that are set back, another
//! configuration.

use super::engine_tests::{
    COOLDOWN, Life, REMIND, Seen, TICK, World, down, evolution, happened, players, settings, time, ups,
};
use super::*;
use crate::domain::{AlertKind, EventKind};

#[test]
fn a_map_that_wavers_about_the_threshold_is_told_once() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    let mut told = Vec::new();
    for round in 0..200 {
        for _ in 0..3 {
            told.extend(world.see(&ups(53.5, 60.0)));
            world.wait(1);
        }
        told.extend(world.see(&ups(if round % 2 == 0 { 55.5 } else { 56.5 }, 60.0)));
        world.wait(1);
    }
    assert_eq!(told, [Change::Fired], "55.5 and 56.5 are within the band, or below it with what they may be off");
}

#[test]
fn a_map_that_swings_across_the_band_is_told_once_a_cooldown() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    let mut fired = 0;
    for _ in 0..500 {
        for measured in [40.0, 40.0, 40.0, 60.0] {
            fired += world.see(&ups(measured, 60.0)).iter().filter(|change| **change == Change::Fired).count();
            world.wait(1);
        }
    }
    assert_eq!(fired, 2, "in 2000 s, of which each holds the next back for 1000 s");
}

#[test]
fn a_silence_that_ends_while_it_fires_goes_on_with_the_reminders() {
    let mut world = World::of(AlertKind::RconDown, |_| {});
    let life = Life::of(AlertKind::RconDown);
    assert_eq!(world.provoke(&life), [Change::Fired]);
    world.silences.single.insert(AlertKind::RconDown, time(REMIND + 500));
    world.now = REMIND + 499;
    assert_eq!(world.see(&down()), []);
    world.now = REMIND + 500;
    assert_eq!(world.see(&down()), [Change::Reminded]);
    world.silences.all = Some(time(100_000));
    world.wait(1);
    assert_eq!(world.see(&players(&[])), [Change::Recovered], "its message does not go on telling what is over");
}

#[test]
fn another_step_in_the_configuration_is_no_step_of_evolution() {
    let mut world = World::of(AlertKind::Evolution, |_| {});
    world.see(&evolution(0.35));
    let mut finer = settings();
    finer.limits.evolution_step = 0.01;
    world.engine = Engine::new(finer, world.engine.memory().clone(), world.engine.states().clone());
    world.wait(30);
    assert_eq!(world.see(&evolution(0.35)), [], "it stands where it stood");
    world.wait(30);
    assert_eq!(world.see(&evolution(0.36)), [Change::Fired]);
}

/// A clock that was a day ahead is set right.
const SET_BACK: u64 = 86_400;

#[test]
fn a_clock_that_is_set_back_holds_no_alert_up() {
    let mut world = World::of(AlertKind::RconDown, |_| {});
    world.now = SET_BACK;
    world.see(&down());
    world.now = 1;
    assert_eq!(world.see(&TICK), []);
    world.wait(120);
    assert_eq!(world.see(&TICK), [Change::Fired], "two minutes by the clock that is right");
    world.wait(REMIND);
    assert_eq!(world.see(&TICK), [Change::Reminded]);
}

#[test]
fn a_clock_that_is_set_back_prolongs_neither_cooldown_nor_reminder() {
    let life = Life::of(AlertKind::RconDown);
    let mut world = World::of(AlertKind::RconDown, |_| {});
    world.now = SET_BACK;
    world.provoke(&life);
    world.now = 1;
    assert_eq!(world.see(&TICK), []);
    world.wait(REMIND);
    assert_eq!(world.see(&TICK), [Change::Reminded], "not in a day");
    assert_eq!(world.see(&players(&[])), [Change::Recovered]);
    world.wait(COOLDOWN);
    assert_eq!(world.provoke(&life), [Change::Fired]);
}

#[test]
fn what_happened_before_the_clock_was_set_back_is_over_in_time() {
    for kind in [AlertKind::Desync, AlertKind::ScriptError, AlertKind::CrashLoop, AlertKind::JoinRefused] {
        let mut world = World::of(kind, |_| {});
        world.now = SET_BACK;
        assert_eq!(world.provoke(&Life::of(kind)), [Change::Fired], "{kind}");
        world.now = 1;
        assert_eq!(world.see(&TICK), [], "{kind}");
        world.wait(901);
        assert_eq!(world.see(&TICK), [Change::Recovered], "{kind}: not in a day");
    }
}

#[test]
fn an_autosave_is_missed_though_the_clock_was_set_back() {
    let mut world = World::of(AlertKind::Autosave, |_| {});
    world.now = SET_BACK;
    world.see(&happened(EventKind::SaveFinished));
    world.see(&players(&["Bob"]));
    world.now = 1;
    assert_eq!(world.see(&TICK), []);
    world.wait(1800);
    assert_eq!(world.see(&TICK), [Change::Fired]);
}

#[test]
fn a_line_that_is_read_after_the_clock_was_set_back_ends_a_silence_of_the_log() {
    let mut world = World::of(AlertKind::LogSilent, |_| {});
    world.now = SET_BACK;
    world.see(&players(&[]));
    world.see(&players(&["Bob"]));
    world.now = 1;
    assert_eq!(world.see(&TICK), [], "a line was read just now");
    world.wait(100);
    assert_eq!(world.see(&Seen::Tick(100, None)), []);
}
