//! From the start of a run to its end, in order or not, as its one log or its two tell it.

use std::sync::Arc;

use std::time::Duration;

use factorio_isr::config::settings::{AlertRule, AlertSettings, EventSettings, ServerSettings};
use factorio_isr::domain::{AlertKind, EventKind, Lane, LogItem, LogSource};
use factorio_isr::events::{Interpretation, Interpreter};

use crate::events::{batch, console, contents, engine, interpreter, now, read, relayed, server, with_engine_log};

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
        alerts!: 💥 The last run did not end in order: it crashed or was killed
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

const HEADER: &str = "   0.000 2026-11-23 16:31:00; Factorio 2.0.77 (build 84539, linux64, headless)";
const READY: &str =
    "   0.567 Info ServerMultiplayerManager.cpp:808: updateTick(0) changing state from(CreatingGame) to(InGame)";
const GOODBYE: &str = "   0.900 Goodbye";

/// The engine log of a server on which all alerts are on.
fn alerted() -> Interpreter {
    let rule = AlertRule { ping: true, cooldown: Duration::ZERO, after: Duration::ZERO, samples: 1 };
    let rules = AlertKind::ALL.iter().map(|kind| (*kind, rule)).collect();
    let server = ServerSettings { alerts: AlertSettings { rules, ..AlertSettings::none() }, ..with_engine_log() };
    interpreter(server, LogSource::Engine, &EventSettings::default())
}

/// What happened, with what is told of it.
fn happened(said: &Interpretation) -> Vec<String> {
    let one = |happening: &factorio_isr::domain::Happening| {
        let detail = happening.detail.as_deref().unwrap_or_default();
        format!("{} {}", happening.kind, detail.replace('\n', " | ")).trim_end().to_owned()
    };
    said.happenings.iter().map(one).collect()
}

#[test]
fn errors_before_a_server_is_ready_are_a_failed_start() {
    for error in [
        "   0.009 Error Util.cpp:83: filesystem error: status: Permission denied [/factorio/saves]",
        "   0.004 Error Util.cpp:81: Couldn't create lock file /factorio/.lock. Is another instance already running?",
        "   0.009 Error Util.cpp:81: Cannot load base mod version 2.0.47 with game version 2.0.55.",
        "   0.009 Error Util.cpp:57: Operation not permitted",
        "   1.912 Error ModManager.cpp:1742: Error while loading technology prototype \"x\" (technology): No such node.",
        "   0.554 Error Main.cpp:839: require_user_verification must be enabled for public games.",
        "   5.000 Couldn't acquire exclusive lock on /factorio/.lock",
        "   5.000 Error ServerMultiplayerManager.cpp:91: MultiplayerManager failed: \"Host address is already in use.\"",
        "   5.000 Error MainLoop.cpp:1285: Exception at tick 0: The mod X failed in on_load.",
    ] {
        let said = happened(&read(&mut alerted(), &[HEADER, error, "• a bullet", GOODBYE]));
        assert!(said[1].starts_with("start_error ") && said[1].ends_with(" | • a bullet"), "{said:?}");
        assert_eq!([&said[0], &said[2], &said[3]], ["starting 2.0.77", "stopped", "run_failed"]);
        let later = happened(&read(&mut alerted(), &[HEADER, READY, error, GOODBYE]));
        assert!(!later.iter().any(|said| said.starts_with("start_error") || said == "run_failed"), "{later:?}");
    }
}

#[test]
fn errors_of_other_services_are_no_failed_start() {
    for error in [
        "   0.100 Error InterruptibleStdioStream.cpp:55: Got EOF on stdin; closing",
        "   1.426 Error ServerMultiplayerManager.cpp:751: Matching server connection failed: Error when creating server game: Missing token.",
        "   1.426 Error HttpSharedState.cpp:751: Status code: 502",
    ] {
        assert_eq!(happened(&read(&mut alerted(), &[HEADER, error])), ["starting 2.0.77"], "{error}");
    }
}

#[test]
fn a_start_that_fails_again_and_again_is_said_to_begin_once() {
    let mut log = alerted();
    let error = "   0.009 Error Util.cpp:57: Operation not permitted";
    let said = read(&mut log, &[HEADER, error, GOODBYE, HEADER, error, HEADER, error, GOODBYE]);
    assert_eq!(contents(&said), "server: ⏳ Factorio 2.0.77 is starting");
    assert_eq!(happened(&said).iter().filter(|said| *said == "run_failed").count(), 3);
    let said = read(&mut log, &[HEADER, READY, GOODBYE, HEADER]);
    insta::assert_snapshot!(contents(&said), @"
    server: ✅ The server is ready
    server: 🛑 The server has stopped
    server: ⏳ Factorio 2.0.77 is starting
    ");
}

#[test]
fn without_its_alert_a_failed_start_is_a_notice() {
    let said = read(&mut engine(), &[HEADER, "   0.015 Error Util.cpp:81: Failed to load mod \"x\": ", "• x", GOODBYE]);
    insta::assert_snapshot!(contents(&said), @r#"
    server: ⏳ Factorio 2.0.77 is starting
    alerts!: 🚨 **The server cannot start**: Failed to load mod "x":
    • x
    server: 🛑 The server has stopped
    "#);
}

#[test]
fn a_run_that_creates_a_map_is_not_shown_as_a_server() {
    let arguments = "   0.001 Program arguments: \"/opt/factorio\" \"--create\" \"/saves/a.zip\" ";
    let said =
        read(&mut alerted(), &[HEADER, arguments, "   1.0 x", "   1.100 Creating new map /saves/a.zip", GOODBYE]);
    assert_eq!((contents(&said), happened(&said)), (String::new(), Vec::new()));
    let said =
        read(&mut alerted(), &[HEADER, arguments, "   0.009 Error Util.cpp:57: Operation not permitted", GOODBYE]);
    assert_eq!(happened(&said), ["start_error Operation not permitted", "run_failed no server"]);
}

#[test]
fn a_run_without_goodbye_ended_badly() {
    let saving = " 41.511 Info AppManagerStates.cpp:2052: Saving progress: 0.012089%";
    let said = happened(&read(&mut alerted(), &[HEADER, READY, saving, HEADER, READY, HEADER, READY, GOODBYE, HEADER]));
    assert_eq!(
        said.iter().filter(|said| said.starts_with("run_")).collect::<Vec<_>>(),
        ["run_killed it was killed while saving the map", "run_killed it crashed or was killed"]
    );
    let mut capture = console();
    insta::assert_snapshot!(contents(&read(&mut capture, &[HEADER, READY, saving, HEADER])), @"
    server: ⏳ Factorio 2.0.77 is starting
    server: ✅ The server is ready
    alerts!: 💥 The last run did not end in order: it was killed while saving the map
    server: ⏳ Factorio 2.0.77 is starting
    ");
}

#[test]
fn a_script_error_that_the_engine_writes_twice_is_one() {
    let error = [
        "   5.000 Error MainLoop.cpp:1285: Exception at tick 123: The mod X (1.0) failed.",
        "__x__/control.lua:7: nil",
        "   5.100 Error ServerMultiplayerManager.cpp:91: MultiplayerManager failed: \"The mod X (1.0) failed.",
        "__x__/control.lua:7: nil\"",
        "   5.200 Goodbye",
    ];
    let expected = "script_crash Exception at tick 123: The mod X (1.0) failed. | __x__/control.lua:7: nil";
    let mut whole = alerted();
    read(&mut whole, &[HEADER, READY]);
    assert_eq!(happened(&read(&mut whole, &error)), [expected, "stopped"]);

    let mut pieces = alerted();
    read(&mut pieces, &[HEADER, READY]);
    let said: Vec<String> = error.iter().flat_map(|line| happened(&read(&mut pieces, &[line]))).collect();
    let first = "script_crash Exception at tick 123: The mod X (1.0) failed.";
    assert_eq!(said, [first, "error_continued __x__/control.lua:7: nil", "stopped"]);

    let mut notices = engine();
    read(&mut notices, &[HEADER, READY]);
    insta::assert_snapshot!(contents(&read(&mut notices, &error)), @r"
    alerts!: 🚨 **Script error**: Exception at tick 123: The mod X (1.0) failed.
    \_\_x\_\_/control.lua:7: nil
    server: 🛑 The server has stopped
    ");
}

#[test]
fn a_failure_of_the_host_with_a_text_of_its_own_loses_only_its_quotes() {
    let mut log = engine();
    read(&mut log, &[HEADER, READY]);
    let failure = " 9.000 Error ServerMultiplayerManager.cpp:91: MultiplayerManager failed: \"Something broke.";
    assert_eq!(
        contents(&read(&mut log, &[&format!(" {failure}"), "in two lines.\""])),
        "alerts!: 🚨 **The server cannot run the game**: Something broke.\nin two lines."
    );
}

#[test]
fn the_colour_of_a_name_is_known_and_quiet() {
    let said = read(&mut console(), &["2026-03-23 16:32:14 [COLOR] Bob's color is now green."]);
    assert_eq!((contents(&said), said.events), (String::new(), vec![(Arc::from("color"), 1)]));
    assert!(!EventKind::Color.is_remembered());
}

#[test]
fn commands_of_a_program_are_folded_and_limited() {
    let command = |second: u32, lua: &str| {
        format!("2026-03-23 16:{:02}:{:02} [COMMAND] <server> (command): {lua}", second / 60, second % 60)
    };
    let mut log = console();
    let mut shown = Vec::new();
    for second in 0..30 {
        let said = read(&mut log, &[&command(second, &format!("remote.call(\"a\", \"tick\", {second})"))]);
        shown.extend(said.notices.into_iter().map(|notice| notice.content));
    }
    assert_eq!(shown, ["⌨️ **the server** ran a Lua command: remote.call(\"a\", \"tick\", 0)"]);
    let said = contents(&read(&mut log, &[&command(700, "remote.call(\"a\", \"tick\", 700)")]));
    assert!(said.ends_with(" (29 more like this since the last one)"), "{said}");

    let different: Vec<String> = ('a'..='z').map(|name| command(800, &format!("do_{name}()"))).collect();
    let different: Vec<&str> = different.iter().map(String::as_str).collect();
    assert_eq!(read(&mut log, &different).notices.len(), 5);
    let said = contents(&read(&mut log, &[&command(900, "after()")]));
    assert!(said.ends_with(" (21 other commands not shown)"), "{said}");
    let by_bob = "2026-03-23 16:50:00 [COMMAND] Bob (command): game.speed = 2";
    assert_eq!(read(&mut log, &[by_bob, by_bob]).notices.len(), 2, "what people do is shown each time");
}

#[test]
fn the_relays_own_sampling_is_never_shown() {
    let lua = "local G,V,N,B,E,P,T=game,helpers,20,131072,{},{},0 local J=V";
    let lines = [
        format!("2026-03-23 16:32:14 [WARNING] Player <server> tried using the command \"{lua}\"."),
        "2026-03-23 16:32:14 [WARNING] Using Lua console commands will disable achievements. Please repeat the command to proceed.".to_owned(),
        format!("2026-03-23 16:32:15 [COMMAND] <server> (command): {lua}"),
        "2026-03-23 16:32:15 [COMMAND] <server> (command): rcon.print(game.tick..' '..game.speed..' '..tostring(game.tick_paused))".to_owned(),
    ];
    for line in &lines[..1] {
        assert_eq!(relayed(&[line]), "");
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(relayed(&lines), "");
    assert_eq!(relayed(&lines[1..2]).lines().count(), 1, "alone it is about somebody else's command");
}

#[test]
fn a_desync_names_the_player_where_the_log_tells_the_name() {
    let address = "IP ADDR:({192.0.2.203:54445})";
    let refused =
        format!("  13.326 Refusing connection for address ({address}), username (engineer_7). UserVerificationMissing");
    let answered =
        "  14.226 Info ServerRouter.cpp:465: Replying to connectionRequest for address(IP ADDR:({192.0.2.203:60406})).";
    let added = "  14.226 Info ServerSynchronizer.cpp:604: nextHeartbeatSequenceNumber(775) adding peer(1)";
    let joined = "  15.343 Info GameActionHandler.cpp:5084: UpdateTick (7) processed PlayerJoinGame peerID(1) playerIndex(0) mode(create) ";
    let desync = "  99.000 Info ServerMultiplayerManager.cpp:943: updateTick(1) received stateChanged peerID(1) oldState(InGame) newState(DesyncedWaitingForMap)";
    let log = [HEADER, READY, &refused, answered, added, joined, desync];
    assert_eq!(happened(&read(&mut alerted(), &log)).last().unwrap(), "desync engineer_7");
    let said = read(&mut engine(), &log);
    assert_eq!(said.notices.last().unwrap().content, "🚨 **Desync**: the game of engineer\\_7 is out of step");
    let unknown = read(&mut engine(), &[HEADER, READY, added, joined, desync]);
    assert_eq!(unknown.notices.last().unwrap().content, "🚨 **Desync**: the game of peer 1 is out of step");
    let capture = [HEADER, READY, added, joined, "2026-03-23 16:32:14 [JOIN] Bob joined the game", desync];
    let said = read(&mut console(), &capture);
    assert_eq!(said.notices.last().unwrap().content, "🚨 **Desync**: the game of Bob is out of step");
}

#[test]
fn the_lines_before_a_start_at_the_end_tell_the_time_and_the_run() {
    let before =
        |lines: &[&str]| -> Vec<LogItem> { lines.iter().map(|line| LogItem::Before((*line).to_owned())).collect() };
    let mut log = alerted();
    let said = log.interpret(&batch(before(&[HEADER, READY, " 60.000 Info X.cpp:1: x"])), now());
    assert_eq!((said.notices, said.happenings), (Vec::new(), Vec::new()));
    let save = read(&mut log, &["  90.000 Info AppManagerStates.cpp:1802: Saving finished"]);
    assert_eq!(save.happenings[0].at.to_string(), "2026-11-23T16:32:30Z");
    assert_eq!(happened(&read(&mut log, &[HEADER])), ["run_killed it crashed or was killed", "starting 2.0.77"]);

    let mut log = console();
    log.interpret(
        &batch(before(&["=== Log opened 2026-03-23 16:31:57 ===", "2026-03-23 16:32:14 [CHAT] Bob: hi"])),
        now(),
    );
    let said = read(&mut log, &["a line without a time"]);
    assert_eq!(said.notices[0].occurred_at.to_string(), "2026-03-23T16:32:14Z");
    assert!(contents(&read(&mut log, &["=== Log opened 2026-03-23 17:00:00 ==="])).contains("did not end in order"));
}
