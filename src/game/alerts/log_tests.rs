//! What the logs tell: crashes, which both of them may tell of, and saves.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine_tests::{Seen, TICK, World, happened, happening, players, settings, time};
use super::*;
use crate::domain::{AlertKind, EventKind, Happening};

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

/// What comes of these happenings, each in its second, on a server with an engine log.
fn with_engine_log(happenings: &[(EventKind, u64, Option<&str>)]) -> (Engine, Vec<String>) {
    let mut settings = settings();
    settings.limits.engine_log = true;
    let mut engine = Engine::new(settings, Memory::default(), BTreeMap::new());
    let mut changes = Vec::new();
    for (kind, second, detail) in happenings {
        let happening = Happening { detail: detail.map(ToOwned::to_owned), ..happening(*kind, *second) };
        changes.extend(engine.take(&Input::Happening(&happening), &Silences::default(), time(*second)));
    }
    let said = changes.iter().map(|changed| format!("{} {}", changed.key.0, changed.change.as_str())).collect();
    (engine, said)
}

#[test]
fn a_crash_is_over_when_the_engine_log_shows_the_server_ready() {
    use EventKind::{Ready, RunKilled, ServerCrashed, ServerOnline, Starting};
    let console = [(ServerCrashed, 100, None), (ServerOnline, 100, None)];
    assert_eq!(with_engine_log(&console).1, ["crash fired"]);
    let both = [&console[..], &[(RunKilled, 99, None), (Starting, 99, None), (Ready, 160, None)]].concat();
    assert_eq!(with_engine_log(&both).1, ["crash fired", "crash recovered"]);
    let engine_alone = [(RunKilled, 99, None), (Starting, 99, None), (Ready, 160, None)];
    assert_eq!(with_engine_log(&engine_alone).1, ["crash fired", "crash recovered"]);
    let engine_first = [&[(RunKilled, 99, None)], &console[..], &[(Ready, 160, None)]].concat();
    assert_eq!(with_engine_log(&engine_first).1, ["crash fired", "crash recovered"]);
}

#[test]
fn a_kill_in_the_middle_of_a_save_is_named_whichever_log_is_read_first() {
    use EventKind::{RunKilled, ServerCrashed};
    let killed = (RunKilled, 99, Some("it was killed while saving the map"));
    let console = (ServerCrashed, 100, Some("it crashed or was killed"));
    for order in [[killed, console], [console, killed]] {
        let (engine, said) = with_engine_log(&order);
        assert_eq!(said, ["crash fired"]);
        let facts = &engine.states()[&(AlertKind::Crash, String::new())].facts;
        assert!(
            matches!(facts, Facts::Trouble { detail: Some(text), .. } if text.contains("while saving")),
            "{facts:?}"
        );
    }
}

#[test]
fn starts_that_fail_are_one_alert_that_counts_them_and_no_crash_loop() {
    use EventKind::{Ready, RunFailed, StartError, Stopped};
    let error = Some("Failed to load mod");
    let start = |n: u64| [(StartError, n * 60, error), (Stopped, n * 60 + 1, None), (RunFailed, n * 60 + 1, None)];
    let failed: Vec<_> = (0..10).flat_map(start).collect();
    let (engine, said) = with_engine_log(&failed);
    assert_eq!(said[0], "start_failed fired");
    assert!(said[1..].iter().all(|said| said == "start_failed grown"), "{said:?}");
    let facts = &engine.states()[&(AlertKind::StartFailed, String::new())].facts;
    assert!(matches!(facts, Facts::Trouble { count: 10, .. }), "{facts:?}");
    let ready = [&failed[..], &[(Ready, 700, None)]].concat();
    assert_eq!(with_engine_log(&ready).1.last().unwrap(), "start_failed recovered");
}

#[test]
fn runs_that_end_without_a_word_before_they_are_ready_are_a_crash_loop() {
    use EventKind::RunFailed;
    let failed = [(RunFailed, 10, None), (RunFailed, 20, None), (RunFailed, 30, None)];
    assert_eq!(with_engine_log(&failed).1, ["crash_loop fired"]);
    let tools = failed.map(|(kind, second, _)| (kind, second, Some(crate::domain::NO_SERVER)));
    assert_eq!(with_engine_log(&tools).1, [""; 0], "they only create maps");
}

#[test]
fn script_errors_that_end_with_goodbye_are_no_crash_loop() {
    use EventKind::{Ready, ScriptCrash, Stopped};
    let one = |n: u64| [(Ready, n * 60, None), (ScriptCrash, n * 60 + 9, None), (Stopped, n * 60 + 10, None)];
    let said = with_engine_log(&(0..5).flat_map(one).collect::<Vec<_>>()).1;
    assert!(said.iter().all(|said| said.starts_with("script_error")), "{said:?}");
}

#[test]
fn lines_of_an_error_that_come_late_are_edited_into_its_message() {
    use EventKind::{ErrorContinued, ScriptCrash};
    let lines = Some("Error while running event\n__x__/control.lua:3560: nil");
    let (engine, said) = with_engine_log(&[(ScriptCrash, 10, Some("The mod X failed.")), (ErrorContinued, 16, lines)]);
    assert_eq!(said, ["script_error fired", "script_error grown"]);
    let facts = &engine.states()[&(AlertKind::ScriptError, String::new())].facts;
    let whole = "The mod X failed.\nError while running event\n__x__/control.lua:3560: nil";
    assert!(matches!(facts, Facts::Trouble { count: 1, detail: Some(text), .. } if text == whole), "{facts:?}");
}
