//! What counts as slow, and what does not.

use std::time::Duration;

use super::engine_tests::{Seen, World, down, sampled, ups};
use super::*;
use crate::domain::AlertKind;
use crate::game::{Absence, Ups};

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
    let ups = Ups { ups, target: 60.0, window: Duration::from_mins(1), error };
    sampled(|reading| reading.ups = Some(ups))
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
    let slow = Ups { ups: 0.0, target: 60.0, window: Duration::ZERO, error: 1.0 };
    let stands = sampled(|reading| (reading.paused, reading.ups) = (Some(true), Some(slow)));
    for _ in 0..5 {
        assert_eq!(world.see(&stands), []);
    }
}

#[test]
fn a_pause_with_players_in_the_game_does_not_end_a_low_ups() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    (0..3).for_each(|_| drop(world.see(&ups(2.0, 60.0))));
    world.wait(30);
    let paused = |players: &[&str]| {
        let players = players.iter().map(ToString::to_string).collect();
        sampled(|reading| (reading.paused, reading.players) = (Some(true), Some(players)))
    };
    assert_eq!(world.see(&paused(&["Ann"])), [], "it may be as slow as that");
    assert_eq!(world.see(&paused(&[])), [Change::Recovered]);
}
