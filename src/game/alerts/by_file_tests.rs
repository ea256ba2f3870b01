//! What files tell is judged like samples, as far as a file can tell it.

use std::time::Duration;

use super::engine_tests::{Seen, TICK, World, down, evolution, happened, time, ups};
use super::*;
use crate::domain::{AlertKind, EventKind};
use crate::game::{FileNews, FileNumbers, FileReading, Ups};
use crate::rcon::Evolution;

fn tells(ups: Option<f64>, factor: f64, headcount: usize) -> Seen {
    let of_surface =
        |factor| Evolution { surface: Some("nauvis".to_owned()), factor, time: 0, pollution: 0, spawner_kills: 0 };
    let numbers = FileNumbers { evolution: vec![of_surface(factor)], ..FileNumbers::default() };
    let measured = |ups| Ups { ups, target: 60.0, window: Duration::from_mins(1), error: 0.3 };
    let reading = FileReading { at: time(0), numbers, ups: ups.map(measured), moves: ups.is_some() };
    Seen::File(FileNews::Tells(Box::new(reading), Some(headcount)))
}

fn slow() -> Seen {
    tells(Some(40.0), 0.5, 1)
}

fn ended(empty: bool) -> Seen {
    Seen::File(FileNews::Ended { empty })
}

#[test]
fn a_slow_map_is_told_by_its_file() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    let changes: Vec<_> = (0..3).flat_map(|_| world.see(&slow())).collect();
    assert_eq!(changes, [Change::Fired]);
    world.wait(30);
    assert_eq!(world.see(&tells(None, 0.5, 1)), [], "a file that is not rewritten tells no speed");
    assert_eq!(world.see(&ended(false)), [], "it stands, hangs or is gone: nobody knows");
    assert_eq!(world.see(&tells(Some(58.0), 0.5, 1)), [Change::Recovered]);
}

#[test]
fn a_game_that_stands_empty_or_is_stopped_is_not_slow() {
    for end in [ended(true), happened(EventKind::ServerOffline), happened(EventKind::Crash)] {
        let mut world = World::of(AlertKind::LowUps, |_| {});
        (0..3).for_each(|_| drop(world.see(&slow())));
        world.wait(30);
        assert_eq!(world.see(&end), [Change::Recovered], "{end:?}");
    }
}

#[test]
fn a_game_that_was_stopped_before_its_file_told_anew_is_not_slow() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    (0..3).for_each(|_| drop(world.see(&slow())));
    world.wait(30);
    world.engine.start(time(world.now), false);
    assert_eq!(world.see(&happened(EventKind::ServerOffline)), [Change::Recovered]);
}

#[test]
fn where_the_file_tells_a_broken_connection_does_not_end_a_low_ups() {
    let mut world = World::of(AlertKind::LowUps, |_| {});
    (0..3).for_each(|_| drop(world.see(&slow())));
    world.wait(30);
    assert_eq!(world.see(&down()), []);
    assert_eq!(world.see(&happened(EventKind::ServerOffline)), [], "where RCON is, it tells that the game is gone");
    assert_eq!(world.see(&ended(false)), []);
    assert_eq!(world.see(&down()), [Change::Recovered], "neither tells");
}

#[test]
fn no_file_makes_rcon_well_or_ill() {
    let mut world = World::of(AlertKind::RconDown, |_| {});
    assert_eq!(world.see(&tells(Some(60.0), 0.5, 1)), []);
    world.wait(500);
    assert_eq!(world.see(&ended(false)), []);
    assert_eq!(world.see(&down()), []);
    world.wait(60);
    assert_eq!(world.see(&tells(Some(60.0), 0.5, 1)), []);
    world.wait(60);
    assert_eq!(world.see(&down()), [Change::Fired]);
    world.wait(30);
    assert_eq!(world.see(&tells(Some(60.0), 0.5, 1)), [], "it cannot be asked all the same");
    assert_eq!(world.see(&ups(60.0, 60.0)), [Change::Recovered]);
}

#[test]
fn a_step_of_evolution_is_news_from_a_file_too_and_never_by_a_change_of_source() {
    let mut world = World::of(AlertKind::Evolution, |_| {});
    assert_eq!(world.see(&tells(None, 0.35, 1)), []);
    world.wait(30);
    assert_eq!(world.see(&tells(None, 0.41, 1)), [Change::Fired]);
    world.wait(5000);
    // Of the enemies, where the file told of the players' force.
    assert_eq!(world.see(&evolution(0.62)), [Change::Recovered]);
    world.wait(30);
    assert_eq!(world.see(&evolution(0.71)), [Change::Fired]);
}

#[test]
fn a_log_that_is_silent_while_the_file_counts_players_is_told() {
    let mut world = World::of(AlertKind::LogSilent, |_| {});
    assert_eq!(world.see(&tells(None, 0.5, 2)), []);
    world.wait(7000);
    assert_eq!(world.see(&Seen::Tick(7000, None)), []);
    world.wait(300);
    assert_eq!(world.see(&Seen::Tick(7300, None)), [Change::Fired]);
    world.wait(30);
    assert_eq!(world.see(&tells(None, 0.5, 0)), []);
    assert_eq!(world.see(&Seen::Tick(7330, None)), [Change::Recovered], "nobody is there who could be heard");
}

#[test]
fn a_save_is_overdue_where_the_file_counts_players_and_not_once_it_is_old() {
    let mut world = World::of(AlertKind::Autosave, |_| {});
    world.see(&happened(EventKind::SaveFinished));
    world.see(&tells(None, 0.5, 2));
    world.wait(1801);
    assert_eq!(world.see(&TICK), [Change::Fired]);
    world.wait(30);
    assert_eq!(world.see(&ended(false)), [Change::Recovered], "whether somebody is there, nobody knows");
}

#[test]
fn a_game_whose_file_is_written_on_has_left_its_crash_behind() {
    let mut world = World::of(AlertKind::Crash, |_| {});
    assert_eq!(world.see(&happened(EventKind::Crash)), [Change::Fired]);
    world.wait(30);
    assert_eq!(world.see(&tells(None, 0.5, 0)), [], "a file that stands tells nothing of it");
    assert_eq!(world.see(&tells(Some(60.0), 0.5, 0)), [Change::Recovered]);
}

#[test]
fn after_a_restart_nobody_is_taken_to_be_there_until_the_file_tells_again() {
    let mut world = World::of(AlertKind::LogSilent, |_| {});
    world.see(&tells(None, 0.5, 2));
    world.engine.start(time(world.now), false);
    world.wait(7300);
    assert_eq!(world.see(&Seen::Tick(7300, None)), []);
    world.see(&tells(None, 0.5, 2));
    world.wait(7300);
    assert_eq!(world.see(&Seen::Tick(14_600, None)), [Change::Fired]);
}
