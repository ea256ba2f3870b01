//! What mods tell, through the interpreter: what Discord would show, and what is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use factorio_isr::config::settings::{EventOverride, EventSettings, ServerSettings};
use factorio_isr::domain::{EventKind, LogSource, ModLogName};
use factorio_isr::events::{Interpretation, Interpreter};

use crate::events::{contents, engine, interpreter, read, relayed, with_engine_log};

/// Lines of the engine's log that the mod logged, a second apart.
fn logged(said: &[&str]) -> Vec<String> {
    let line = |(at, text): (usize, &&str)| format!("{at:4}.000 Script @__events-logger__/el_helpers.lua:38: {text}");
    said.iter().enumerate().map(line).collect()
}

fn read_logged(interpreter: &mut Interpreter, said: &[&str]) -> Interpretation {
    let lines = logged(said);
    read(interpreter, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn what_mods_tell_is_kept_with_the_player_and_the_one_other_thing() {
    let said = read_logged(
        &mut engine(),
        &[
            "[DIED] PVE:Bob small-biter",
            "[DIED] Bob PVE",
            "[RESEARCH FINISHED] automation 3",
            "[ROCKET] x",
            "[JOIN] Bob",
        ],
    );
    let kept = said.happenings.iter().map(|h| format!("{} {:?} {:?}", h.kind, h.player, h.detail));
    insta::assert_snapshot!(kept.collect::<Vec<_>>().join("\n"), @r#"
    death Some("Bob") Some("small-biter")
    research_finished None Some("automation")
    rocket_launched None None
    "#);
    assert_eq!(said.events.iter().find(|(event, _)| &**event == "mod_other").map(|(_, count)| *count), Some(2));
}

#[test]
fn a_death_by_a_player_is_logged_twice_and_told_once() {
    let mut interpreter = engine();
    let line = "  10.000 Script @__events-logger__/el_helpers.lua:38: [DIED] Bob PVP";
    let first = read(
        &mut interpreter,
        &["   0.000 2026-11-23 20:54:41; Factorio 2.0.77 (build 84539, linux64, headless)", line],
    );
    let mut restarted = engine();
    restarted.restore(&interpreter.state());
    let second = read(&mut restarted, &[line]);
    let third = read(&mut restarted, &["  99.000 Script @__events-logger__/el_helpers.lua:38: [DIED] Bob PVP"]);
    let deaths = |said: &Interpretation| said.happenings.iter().filter(|h| h.kind == EventKind::Death).count();
    assert_eq!([deaths(&first), deaths(&second), deaths(&third)], [1, 0, 1]);
    assert_eq!(contents(&third), "game: 💀 **Bob** was killed by another player");
}

#[test]
fn rockets_in_a_row_are_told_together_and_kept_each() {
    let mut interpreter = engine();
    read(&mut interpreter, &["   0.000 2026-11-23 20:54:41; Factorio 2.0.77 (build 84539, linux64, headless)"]);
    let rocket =
        |at: u32| format!("{at:4}.000 Script @__events-logger__/el_helpers.lua:38: [ROCKET_LAUNCHED]  from x at 1, 2");
    let mut launch = |at: u32| {
        let state = interpreter.state();
        interpreter.restore(&state);
        let said = read(&mut interpreter, &[&rocket(at)]);
        assert_eq!(said.happenings.len(), 1, "at {at}");
        contents(&said)
    };
    let told = [10, 11, 609, 610, 2000, 2001].map(&mut launch);
    let launched = "game: 🚀 A rocket was launched";
    let expected = [launched, "", "", &format!("{launched} (2 more since the last)"), launched, ""];
    assert_eq!(told, expected);
}

#[test]
fn evolution_counts_once_for_each_percent_of_a_surface() {
    let mut settings = EventSettings::default();
    let on = EventOverride { enabled: Some(true), ..EventOverride::default() };
    settings.overrides.insert(EventKind::Evolution, on);
    let mut interpreter = interpreter(with_engine_log(), LogSource::Engine, &settings);
    let lines = [
        "platform-1 Factor: 0.0000",
        "nauvis Factor: 0.1234",
        "nauvis Factor: 0.1244",
        "gleba Factor: 0.1244",
        "nauvis Factor: 0.1261",
    ];
    let lines = lines.map(|line| format!("[EVOLUTION] Surface: {line}"));
    let said = read_logged(&mut interpreter, &lines.each_ref().map(String::as_str));
    insta::assert_snapshot!(contents(&said), @"
    game: 🐛 Evolution on nauvis: 0.12
    game: 🐛 Evolution on gleba: 0.12
    game: 🐛 Evolution on nauvis: 0.13
    ");
    assert_eq!(said.happenings.len(), 3);
    assert_eq!(said.events, [(Arc::from("evolution"), 5)]);
}

#[test]
fn where_mods_have_a_log_of_their_own_they_are_heard_there_alone() {
    let mod_logs = BTreeMap::from([(ModLogName::new("m").unwrap(), "mod.log".into())]);
    let with = ServerSettings { mod_logs, ..with_engine_log() };
    let rules = EventSettings::default();
    let line = "JLOGGER: DIED: Bob small-biter";
    let script = format!("   1.000 Script @__level__/awflogging.lua:7: {line}");
    let mut engine = interpreter(with.clone(), LogSource::Engine, &rules);
    assert_eq!(read(&mut engine, &[&script]).happenings, []);
    let mut own = interpreter(with, LogSource::Mod(ModLogName::new("m").unwrap()), &rules);
    let said = read(&mut own, &[line, "2026-03-23 16:32:14 [CHAT] Bob: hi", "", "?"]);
    assert_eq!(contents(&said), "game: 💀 **Bob** was killed by small-biter");
    assert_eq!(said.events, [(Arc::from("death"), 1), (Arc::from("unmatched"), 2)]);
}

#[test]
fn what_a_mod_prints_behind_a_chat_line_is_not_put_in_the_players_mouth() {
    let stdout = [
        "   0.567 Hosting game at IP ADDR:({0.0.0.0:34199})",
        "2026-03-23 16:32:15 [CHAT] Bob: hi",
        "JLOGGER: DIED: Bob small-biter",
    ];
    assert_eq!(relayed(&stdout), "chat: **Bob**: hi\ngame: 💀 **Bob** was killed by small-biter");
    let stdout = [stdout[0], stdout[1], "what another mod prints"];
    // What is typed into the console and what a container's entrypoint writes look the same.
    assert_eq!(relayed(&stdout), "chat: **Bob**: hi");
}
