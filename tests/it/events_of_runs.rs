//! From the start of a run to its end, in order or not, as its one log or its two tell it.

use std::sync::Arc;

use factorio_isr::config::settings::{EventSettings, ServerSettings};
use factorio_isr::domain::{Lane, LogSource};

use crate::events::{console, contents, engine, interpreter, read, relayed, server};

#[test]
fn a_run_of_the_server_is_told_from_open_to_close() {
    let run = [
        "=== Log opened 2026-03-23 16:31:57 ===",
        "2026-03-23 16:32:14 [JOIN] foo-bar joined the game",
        "2026-03-23 16:32:20 [CHAT] foo-bar: come to [gps=12,-5] for [item=iron-plate,quality=rare]",
        "2026-03-23 16:33:15 [LEAVE] foo-bar left the game",
        "=== Log closed 2026-03-23 16:40:00 ===",
    ];
    insta::assert_snapshot!(relayed(&run), @"
        server: ✅ The server is online
        joins: 🟢 **foo-bar** joined the game
        chat: **foo-bar**: come to 📍 12, -5 for iron-plate (rare)
        joins: 🔴 **foo-bar** left the game
        server: 🛑 The server is offline
        ");
}

#[test]
fn a_log_opened_twice_means_the_first_run_died() {
    let opened = "=== Log opened 2026-03-23 16:31:57 ===";
    let mut first = console();
    assert_eq!(contents(&read(&mut first, &[opened])), "server: ✅ The server is online");
    let mut second = console();
    second.restore(&first.state());
    insta::assert_snapshot!(contents(&read(&mut second, &[opened])), @"
        alerts!: 💥 The last run did not end in order: a crash or a kill
        server: ✅ The server is online
        ");
    read(&mut second, &["=== Log closed 2026-03-23 17:00:00 ==="]);
    assert_eq!(contents(&read(&mut second, &[opened])), "server: ✅ The server is online");
}

#[test]
fn players_of_a_loaded_map_do_not_leave_before_they_came() {
    let start = ["=== Log opened 2026-03-23 16:31:57 ===", "2026-03-23 16:31:58 [LEAVE] Ghost left the game"];
    assert_eq!(relayed(&start), "server: ✅ The server is online");
    let unknown = ["2026-03-23 16:31:58 [LEAVE] Bob left the game"];
    assert_eq!(relayed(&unknown), "joins: 🔴 **Bob** left the game", "the run's beginning was not seen");
    let twice = ["2026-03-23 16:32:00 [JOIN] Bob joined the game", "2026-03-23 16:33:00 [LEAVE] Bob left the game"];
    let mut interpreter = console();
    read(&mut interpreter, &start);
    assert_eq!(read(&mut interpreter, &twice).notices.len(), 2);
    assert_eq!(read(&mut interpreter, &twice[1..]).notices.len(), 1, "in doubt it is relayed");
    assert_eq!(read(&mut interpreter, &start[1..]).notices.len(), 1, "the map has long been loaded");
}

#[test]
fn a_stack_trace_stays_with_its_error_and_is_shown_in_part() {
    let mut texts = vec!["   5.000 Error MainLoop.cpp:1285: Exception at tick 123: The mod X failed.".to_owned()];
    texts.push("Error while running event X::on_tick (ID 0)".to_owned());
    texts.extend((1..=30).map(|n| format!("\t__X__/control.lua:{n}: in function <*>")));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let said = read(&mut engine(), &texts);
    assert_eq!(said.notices.len(), 1);
    assert!(said.notices[0].content.ends_with("in function \\<\\*>\n(+11 lines)"), "{}", said.notices[0].content);
    assert_eq!(said.notices[0].content.lines().count(), 22);
    assert_eq!(said.notices[0].plain.lines().count(), texts.len());
    assert_eq!(said.notices[0].lane, Lane::Alert);
}

#[test]
fn a_crash_is_one_alert() {
    let said = read(
        &mut engine(),
        &[
            " 100.000 Error CrashHandler.cpp:632: Received SIGSEGV",
            "Factorio crashed. Generating symbolized stacktrace, please wait ...",
            "#0  0x000000000 in main",
            " 101.000 Error CrashHandler.cpp:190: Received SIGSEGV",
            "Unexpected error occurred. If you're running the latest version of the game you can help us",
        ],
    );
    insta::assert_snapshot!(contents(&said), @"
        alerts!: 💥 **The server crashed**: Received SIGSEGV
        Factorio crashed. Generating symbolized stacktrace, please wait ...
        #0  0x000000000 in main
        Received SIGSEGV
        Unexpected error occurred. If you're running the latest version of the game you can help us
        ");
}

#[test]
fn engine_noise_and_its_bodies_are_counted_but_not_told() {
    let said = read(
        &mut engine(),
        &["   1.426 Error HttpSharedState.cpp:751: Status code: 502", "<html>", "  <b>Bad Gateway</b>"],
    );
    assert_eq!(said.notices, []);
    assert_eq!(said.events, [(Arc::from("engine_other"), 3)]);
}

#[test]
fn with_two_logs_each_tells_its_own_part_once() {
    let stdout = [
        "   0.000 2026-03-23 16:31:00; Factorio 2.0.77 (build 84539, linux64, headless)",
        "   0.567 Info ServerMultiplayerManager.cpp:808: updateTick(0) changing state from(CreatingGame) to(InGame)",
        "2026-03-23 16:32:14 [JOIN] Bob joined the game",
        "  99.000 Error ParallelScenarioSaver.cpp:1: Saving scenario failed: disk",
        "a trace",
        "=== Log opened 2026-03-23 16:31:57 ===",
        " 100.000 Goodbye",
    ];
    let both = |source| {
        let server = ServerSettings { engine_log: Some("console.log".into()), ..server() };
        contents(&read(&mut interpreter(server, source, &EventSettings::default()), &stdout))
    };
    insta::assert_snapshot!(both(LogSource::Console), @"joins: 🟢 **Bob** joined the game");
    insta::assert_snapshot!(both(LogSource::Engine), @"
        server: ⏳ Factorio 2.0.77 is starting
        server: ✅ The server is ready
        alerts!: 🚨 **Saving failed**: disk
        a trace
        server: 🛑 The server has stopped
        ");
}
