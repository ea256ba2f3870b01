//! What was so before the program was started is judged when it is known whether it still is.

use super::engine_tests::{REMIND, Seen, TICK, World, down, happened, players, time};
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
