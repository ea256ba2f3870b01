//! What was so before the program was started is judged when it is known whether it still is.

use std::collections::BTreeMap;

use super::engine_tests::{REMIND, Seen, TICK, World, down, happened, happening, players, settings, time};
use super::*;
use crate::domain::{AlertKind, EventKind};

const HOURS: u64 = 8 * 3600;

/// The program is stopped, and started again after hours.
fn hours_later(world: &mut World, can_be_asked: bool) {
    world.wait(HOURS);
    world.engine.start(time(world.now), can_be_asked);
}

#[test]
fn a_game_is_down_after_a_start_when_it_was_asked_in_vain() {
    let mut world = World::of(AlertKind::RconDown, |_| {});
    assert_eq!(world.see(&down()), []);
    hours_later(&mut world, true);
    assert_eq!(world.see(&TICK), []);
    assert_eq!(world.see(&happened(EventKind::Ready)), []);
    assert_eq!(world.see(&down()), [Change::Fired]);
    hours_later(&mut world, true);
    assert_eq!(world.see(&TICK), [], "nor is it told to be down still");
    assert_eq!(world.see(&players(&[])), [Change::Recovered]);
}

#[test]
fn a_game_that_cannot_be_asked_any_more_is_not_down() {
    let mut world = World::of(AlertKind::RconDown, |_| {});
    assert_eq!(world.see(&down()), []);
    hours_later(&mut world, false);
    world.wait(HOURS);
    assert_eq!(world.see(&TICK), []);
}

#[test]
fn logs_are_read_after_a_start_before_they_are_told_to_be_silent_or_without_saves() {
    for (kind, before) in [(AlertKind::LogSilent, None), (AlertKind::Autosave, Some(happened(EventKind::SaveFinished)))]
    {
        let mut world = World::of(kind, |_| {});
        if let Some(seen) = &before {
            assert_eq!(world.see(seen), []);
        }
        assert_eq!(world.see(&players(&["Bob"])), []);
        hours_later(&mut world, true);
        let tick = |world: &World| Seen::Tick(world.now, None);
        assert_eq!(world.see(&tick(&world)), [], "{kind}");
        assert_eq!(world.see(&players(&["Bob"])), []);
        world.wait(59);
        assert_eq!(world.see(&tick(&world)), [], "{kind}: the logs may not be read yet");
        world.wait(1);
        assert_eq!(world.see(&tick(&world)), [Change::Fired], "{kind}");
    }
}

#[test]
fn a_save_that_fails_after_a_start_is_told_at_once() {
    let mut world = World::of(AlertKind::Autosave, |_| {});
    hours_later(&mut world, true);
    assert_eq!(world.see(&happened(EventKind::SaveFailed)), [Change::Fired]);
}

#[test]
fn what_was_left_waiting_by_a_stop_has_a_moment_to_go() {
    let mut world = World::of(AlertKind::Backlog, |_| {});
    hours_later(&mut world, false);
    assert_eq!(world.see(&Seen::Tick(0, Some(HOURS))), []);
    world.wait(60);
    assert_eq!(world.see(&Seen::Tick(0, Some(HOURS))), [Change::Fired]);
}

#[test]
fn nothing_is_told_to_last_before_it_is_known_that_it_does() {
    let mut world = World::of(AlertKind::Crash, |_| {});
    assert_eq!(world.see(&happened(EventKind::Crash)), [Change::Fired]);
    world.wait(REMIND);
    world.engine.start(time(world.now), true);
    assert_eq!(world.see(&TICK), []);
    world.wait(60);
    assert_eq!(world.see(&TICK), [], "it was not asked yet");
    assert_eq!(world.see(&down()), [Change::Reminded]);
}

#[test]
fn a_clock_that_is_set_back_does_not_make_the_start_longer() {
    let mut world = World::of(AlertKind::Backlog, |_| {});
    hours_later(&mut world, false);
    world.now -= HOURS / 2;
    assert_eq!(world.see(&Seen::Tick(0, Some(HOURS))), []);
    world.wait(60);
    assert_eq!(world.see(&Seen::Tick(0, Some(HOURS))), [Change::Fired]);
}

/// The relay was stopped for hours; these happen meanwhile, each so many seconds after the stop, and are read at the
/// start. Answers what is reported, with the times since when and until when.
fn happened_while_away(happenings: &[(EventKind, u64)]) -> Vec<(AlertKind, Change, u64, u64)> {
    let mut settings = settings();
    settings.limits.engine_log = true;
    let mut engine = Engine::new(settings, Memory::default(), BTreeMap::new());
    let start = time(HOURS);
    engine.start(start, false);
    engine.away_since(Some(time(0)));
    let mut changes = Vec::new();
    for (kind, second) in happenings {
        let happening = happening(*kind, *second);
        changes.extend(engine.take(&Input::Happening(&happening), &Silences::default(), start));
    }
    for second in 0..10 {
        let tick = Input::Tick(Surroundings::default());
        changes.extend(engine.take(&tick, &Silences::default(), time(HOURS + second)));
    }
    let seconds = |at: jiff::Timestamp| u64::try_from(at.as_second() - time(0).as_second()).unwrap();
    changes.into_iter().map(|one| (one.key.0, one.change, seconds(one.since), seconds(one.at))).collect()
}

#[test]
fn an_alert_that_began_and_ended_while_the_relay_was_away_is_reported_once_with_its_times() {
    use EventKind::{Ready, RunKilled, ScriptCrash, Starting, Stopped};
    let error = [(Ready, 50), (ScriptCrash, 100), (Stopped, 101), (Starting, 160), (Ready, 165)];
    assert_eq!(happened_while_away(&error), [(AlertKind::ScriptError, Change::Passed, 100, 1000)]);
    let killed = [(Ready, 50), (RunKilled, 200), (Ready, 260)];
    assert_eq!(happened_while_away(&killed), [(AlertKind::Crash, Change::Passed, 200, 260)]);
}

#[test]
fn an_alert_that_began_while_the_relay_was_away_and_lasts_fires_when_the_logs_are_read() {
    let fired = happened_while_away(&[(EventKind::Crash, 100)]);
    assert_eq!(fired, [(AlertKind::Crash, Change::Fired, 100, HOURS + 5)]);
}
