//! What the logs tell: crashes, which both of them may tell of, and saves.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine_tests::{Seen, TICK, World, happened, happening, players, settings, time};
use super::*;
use crate::domain::{AlertKind, EventKind};

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
        let changes = engine.take(&Input::Happening(&happening(kind, second)), &Silences::default(), time(900));
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
            let happening = happening(kind, second);
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
    let happening = happening(EventKind::Crash, 60);
    assert_eq!(engine.take(&Input::Happening(&happening), &Silences::default(), time(0)).len(), 1);
}

#[test]
fn an_alert_has_the_time_of_what_it_tells() {
    let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
    let happening = happening(EventKind::Crash, 0);
    let changes = engine.take(&Input::Happening(&happening), &Silences::default(), time(7200));
    assert_eq!(changes[0].since, happening.at);
    let reminded = engine.take(&Input::Tick(Surroundings::default()), &Silences::default(), time(7201));
    assert_eq!(reminded, [], "it was told just now");
}
