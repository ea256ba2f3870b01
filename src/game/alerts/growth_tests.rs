//! More of what an alert tells already, while it fires: its message is edited.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine_tests::{REMIND, Seen, TICK, World, evolution_of, happened, happening, settings, time};
use super::texts::{Voice, of_change};
use super::*;
use crate::domain::{AlertKind, EventKind, Happening};

/// What an engine says of things that happen in these seconds, with these details, and of the time in between.
fn told(happenings: &[(EventKind, u64, &str)], until: u64) -> Vec<(u64, Changed)> {
    let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
    let mut said = Vec::new();
    for second in 0..=until {
        for (kind, _, detail) in happenings.iter().filter(|(_, at, _)| *at == second) {
            let happening = Happening { detail: Some((*detail).to_owned()), ..happening(*kind, second) };
            let changes = engine.take(&Input::Happening(&happening), &Silences::default(), time(second));
            said.extend(changes.into_iter().map(|changed| (second, changed)));
        }
        said.extend(TICK.show(&mut engine, &Silences::default(), time(second)).into_iter().map(|one| (second, one)));
    }
    said
}

fn changes(said: &[(u64, Changed)]) -> Vec<(u64, Change)> {
    said.iter().map(|(second, changed)| (*second, changed.change)).collect()
}

/// Without the times.
fn text(changed: &Changed) -> String {
    let said = of_change(Voice::Plain, "prod", changed).unwrap();
    regex::Regex::new(r"\d{4}-\S+ [\d:]+\w*").unwrap().replace_all(&said, "T").into_owned()
}

#[test]
fn desyncs_one_after_another_are_edits_of_one_message_that_names_the_peers() {
    let desync = |second, peer| (EventKind::Desync, second, peer);
    let said = told(&[desync(0, "2"), desync(4, "5"), desync(9, "7"), desync(100, "2")], 120);
    assert_eq!(changes(&said), [(0, Change::Fired), (15, Change::Grown), (100, Change::Grown)]);
    assert_eq!(text(&said[1].1), "🚨 Desync on prod, since T: 3 desyncs, the last at T: peers 2, 5, 7");
    assert_eq!(text(&said[2].1), "🚨 Desync on prod, since T: 4 desyncs, the last at T: peers 5, 7, 2");
}

#[test]
fn a_peer_that_loses_step_again_and_again_is_named_once() {
    let said = told(&[0, 5, 10].map(|second| (EventKind::Desync, second, "2")), 20);
    assert_eq!(text(&said[1].1), "🚨 Desync on prod, since T: 3 desyncs, the last at T: peer 2");
}

#[test]
fn of_many_peers_the_last_are_named() {
    let peers: Vec<String> = (1..=20).map(|peer| peer.to_string()).collect();
    let said = told(&(0..).zip(&peers).map(|(at, peer)| (EventKind::Desync, at, &**peer)).collect::<Vec<_>>(), 40);
    let expected = "🚨 Desync on prod, since T: 20 desyncs, the last at T: peers …, 12, 13, 14, 15, 16, 17, 18, 19, 20";
    assert_eq!(text(&said.last().unwrap().1), expected);
}

#[test]
fn another_script_error_is_told_beside_those_before_and_the_same_one_is_counted() {
    let error = |second, text| (EventKind::ScriptCrash, second, text);
    let said = told(
        &[
            error(0, "Exception at tick 12: A failed"),
            error(1, "Exception at tick 13: A failed"),
            error(30, "B failed"),
        ],
        50,
    );
    assert_eq!(changes(&said)[..2], [(0, Change::Fired), (15, Change::Grown)]);
    assert_eq!(
        text(&said[1].1),
        "🚨 Script error on prod, since T: Exception at tick 13: A failed (2 times, the last at T)"
    );
    let mut of_script = said.iter().filter(|(_, changed)| changed.key.0 == AlertKind::ScriptError);
    assert_eq!(
        text(&of_script.next_back().unwrap().1),
        "🚨 Script error on prod, since T: B failed (3 times, the last at T)\nBefore: Exception at tick 13: A failed"
    );
}

#[test]
fn a_failed_save_at_the_stop_is_no_autosave_and_stays_named_when_another_file_fails_too() {
    const FILE: &str = "filesystem error: Permission denied [/factorio/player-data.json]";
    let failed = |second, text| (EventKind::SaveFailed, second, text);
    let said = told(&[failed(0, FILE)], 5);
    assert_eq!(text(&said[0].1), format!("🚨 File not written on prod, since T: {FILE}"));
    let said = told(&[failed(0, "disk full"), failed(1, FILE)], 20);
    assert_eq!(text(&said[0].1), "🚨 Save failed on prod, since T: saving failed: disk full");
    assert_eq!(
        text(&said[1].1),
        format!("🚨 Save failed on prod, since T: {FILE} (2 times, the last at T)\nBefore: disk full")
    );
}

#[test]
fn refusals_go_on_being_counted_while_the_alert_fires() {
    let mut world = World::of(AlertKind::JoinRefused, |_| {});
    let refused = Seen::Happening(EventKind::JoinRefused, Some("Eve"));
    let mut told = Vec::new();
    for _ in 0..10 {
        told.extend(world.see(&refused));
        world.wait(5);
    }
    assert_eq!(told, [Change::Fired, Change::Grown, Change::Grown]);
    let state = world.engine.states().values().next().unwrap();
    assert_eq!(state.facts, Facts::Refusals { count: 10, reason: Some("why".to_owned()) });
}

#[test]
fn what_grew_is_not_edited_again_after_a_restart_and_what_grows_then_is() {
    let mut world = World::of(AlertKind::Desync, |_| {});
    assert_eq!(world.see(&happened(EventKind::Desync)), [Change::Fired]);
    world.wait(20);
    assert_eq!(world.see(&happened(EventKind::Desync)), [Change::Grown]);
    let states = serde_json::to_string(&world.engine.states().values().collect::<Vec<_>>()).unwrap();
    let states: Vec<AlertState> = serde_json::from_str(&states).unwrap();
    let states = world.engine.states().keys().cloned().zip(states).collect();
    world.engine = Engine::new(settings(), world.engine.memory().clone(), states);
    world.wait(20);
    assert_eq!(world.see(&TICK), []);
    assert_eq!(world.see(&happened(EventKind::Desync)), [Change::Grown]);
}

#[test]
fn nothing_is_edited_while_it_is_silenced_and_once_it_is_not_the_rest_is() {
    let mut world = World::of(AlertKind::Desync, |settings| settings.limits.desync_calm = Duration::from_hours(9));
    assert_eq!(world.see(&happened(EventKind::Desync)), [Change::Fired]);
    world.silences.all = Some(time(REMIND - 100));
    world.wait(20);
    assert_eq!(world.see(&happened(EventKind::Desync)), []);
    world.now = REMIND - 100;
    assert_eq!(world.see(&TICK), [Change::Grown]);
    world.now = REMIND;
    assert_eq!(world.see(&TICK), [Change::Reminded], "an edit is no reminder");
}

#[test]
fn a_step_of_evolution_is_over_though_its_surface_is_followed_no_more() {
    let mut world = World::of(AlertKind::Evolution, |_| {});
    let with = |factor| evolution_of(&[("gleba".to_owned(), factor)]);
    world.see(&with(0.15));
    world.wait(30);
    assert_eq!(world.see(&with(0.25)), [Change::Fired]);
    world.wait(30);
    let others: Vec<_> = (0..100).map(|number| (format!("surface-{number}"), 0.1)).collect();
    assert_eq!(world.see(&evolution_of(&others)), [Change::Recovered], "not in the sample: it went first");
    assert_eq!(world.engine.firing(AlertKind::Evolution), 0);
}
