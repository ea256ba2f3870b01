//! What the simulated server writes, against what real servers write.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::domain::ManualClock;
use crate::sim::factorio::{check_exactly_once, numbered_lines};

fn server(dir: &Path) -> (SimServer, ManualClock) {
    let clock = ManualClock::new("2026-11-23T21:00:00Z".parse().unwrap());
    let config = SimServerConfig {
        name: "Nauvis Main".to_owned(),
        console_log: dir.join("console.log"),
        engine_log: Some(dir.join("factorio-current.log")),
        timezone: TimeZone::get("Europe/Prague").unwrap(),
        space_age: false,
    };
    (SimServer::new(config, Arc::new(clock.clone())), clock)
}

fn text(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap()
}

#[test]
fn console_log_reads_as_the_game_writes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, clock) = server(dir.path());
    server.start().unwrap();
    clock.advance(Duration::from_secs(17));
    server.join("foo-bar").unwrap();
    server.chat("foo-bar", "look: [gps=98,69]").unwrap();
    server.server_chat("hello from probe").unwrap();
    server.shout("foo-bar", "hi all").unwrap();
    server.command_warning("foo-bar", "blah").unwrap();
    server.command("foo-bar", "blah").unwrap();
    server.promote("foo-bar", SERVER_ACTOR).unwrap();
    server.demote("foo-bar", SERVER_ACTOR).unwrap();
    server.kick("foo-bar", SERVER_ACTOR, None).unwrap();
    server.ban("foo-bar", SERVER_ACTOR, Some("He is a meany")).unwrap();
    server.unban("foo-bar", SERVER_ACTOR).unwrap();
    server.join("User").unwrap();
    server.ban("User", "foo-bar", None).unwrap();
    server.leave("User").unwrap();
    clock.advance(Duration::from_hours(1));
    server.stop().unwrap();
    insta::assert_snapshot!(text(dir.path(), "console.log"), @r#"
    === Log opened 2026-11-23 22:00:00 ===
    2026-11-23 22:00:17 [JOIN] foo-bar joined the game
    2026-11-23 22:00:17 [CHAT] foo-bar: look: [gps=98,69]
    2026-11-23 22:00:17 [CHAT] <server>: hello from probe
    2026-11-23 22:00:17 [SHOUT] foo-bar: hi all
    2026-11-23 22:00:17 [WARNING] Player foo-bar tried using the command "blah".
    2026-11-23 22:00:17 [WARNING] Using Lua console commands will disable achievements. Please repeat the command to proceed.
    2026-11-23 22:00:17 [COMMAND] foo-bar (command): blah
    2026-11-23 22:00:17 [PROMOTE] foo-bar was promoted to admin by <server>.
    2026-11-23 22:00:17 [DEMOTE] foo-bar was demoted from admin by <server>.
    2026-11-23 22:00:17 [KICK] foo-bar was kicked by <server>. Reason: unspecified.
    2026-11-23 22:00:17 [BAN] foo-bar (not on map) was banned by <server>. Reason: He is a meany.
    2026-11-23 22:00:17 [UNBANNED] foo-bar was unbanned by <server>.
    2026-11-23 22:00:17 [JOIN] User joined the game
    2026-11-23 22:00:17 [BAN] User was banned by foo-bar. Reason: unspecified.
    2026-11-23 22:00:17 [LEAVE] User left the game
    === Log closed 2026-11-23 23:00:17 ===
    "#);
}

#[test]
fn engine_log_reads_as_the_game_writes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, clock) = server(dir.path());
    server.start().unwrap();
    clock.advance(Duration::from_millis(608_532));
    server.join("Mattie").unwrap();
    server.autosave().unwrap();
    server.companion_died("Mattie", "behemoth-spitter").unwrap();
    server.companion_research_finished("automation", 3).unwrap();
    server.companion_rocket_launched().unwrap();
    server.desync("Mattie").unwrap();
    server.leave("Mattie").unwrap();
    server.stop().unwrap();
    insta::assert_snapshot!(text(dir.path(), "factorio-current.log"), @r#"
      0.000 2026-11-23 22:00:00; Factorio 2.0.77 (build 84539, linux64, headless)
      0.000 Operating system: Linux (Debian 12)
      0.000 Program arguments: "/opt/factorio/bin/x64/factorio" "--start-server" "/opt/factorio/saves/nauvis-main.zip" "--console-log" "/opt/factorio/console.log" 
      0.000 Write data path: /opt/factorio [25758/29587MB]
      0.000 Running in headless mode
      0.000 Loading mod core 0.0.0 (data.lua)
      0.000 Loading mod base 2.0.77 (data.lua)
      0.000 Factorio initialised
      0.000 Info ServerMultiplayerManager.cpp:808: updateTick(18446744073709551615) changing state from(Ready) to(PreparedToHostGame)
      0.000 Info ServerMultiplayerManager.cpp:808: updateTick(18446744073709551615) changing state from(PreparedToHostGame) to(CreatingGame)
      0.000 Loading map /opt/factorio/saves/nauvis-main.zip: 9255734 bytes.
      0.000 Loading level.dat: 28721262 bytes.
      0.000 Info Scenario.cpp:154: Map version 2.0.77-0
      0.000 Hosting game at IP ADDR:({0.0.0.0:34197})
      0.000 Info ServerMultiplayerManager.cpp:808: updateTick(4968001) changing state from(CreatingGame) to(InGame)
    608.532 Info ServerSynchronizer.cpp:594: nextHeartbeatSequenceNumber(5004512) adding peer(1)
    608.532 Info ServerMultiplayerManager.cpp:978: updateTick(5004512) received stateChanged peerID(1) oldState(Ready) newState(ConnectedWaitingForMap)
    608.532 Info ServerMultiplayerManager.cpp:978: updateTick(5004512) received stateChanged peerID(1) oldState(ConnectedWaitingForMap) newState(ConnectedDownloadingMap)
    608.532 Info ServerMultiplayerManager.cpp:978: updateTick(5004512) received stateChanged peerID(1) oldState(ConnectedDownloadingMap) newState(ConnectedLoadingMap)
    608.532 Info ServerMultiplayerManager.cpp:978: updateTick(5004512) received stateChanged peerID(1) oldState(ConnectedLoadingMap) newState(TryingToCatchUp)
    608.532 Info ServerMultiplayerManager.cpp:978: updateTick(5004512) received stateChanged peerID(1) oldState(TryingToCatchUp) newState(WaitingForCommandToStartSendingTickClosures)
    608.532 Info GameActionHandler.cpp:4477: UpdateTick (5004512) processed PlayerJoinGame peerID(1) playerIndex(0) mode(create) 
    608.532 Info ServerMultiplayerManager.cpp:978: updateTick(5004512) received stateChanged peerID(1) oldState(WaitingForCommandToStartSendingTickClosures) newState(InGame)
    608.532 Info AppManager.cpp:323: Saving to _autosave1 (blocking).
    608.532 Info AppManagerStates.cpp:2110: Saving finished
    608.532 Script @__events-logger__/el_helpers.lua:38: [DIED] PVE:Mattie behemoth-spitter
    608.532 Script @__events-logger__/el_helpers.lua:38: [DIED] Mattie PVE
    608.532 Script @__events-logger__/events/research.lua:23: [RESEARCH FINISHED] automation 3
    608.532 Script @__events-logger__/el_helpers.lua:38: [ROCKET_LAUNCHED]  from rocket-silo at -12.5, 40.5
    608.532 Info ServerMultiplayerManager.cpp:978: updateTick(5004512) received stateChanged peerID(1) oldState(InGame) newState(DesyncedWaitingForMap)
    608.532 Info ServerMultiplayerManager.cpp:1086: Disconnect notification for peer (1)
    608.532 Info ServerMultiplayerManager.cpp:978: updateTick(5004512) received stateChanged peerID(1) oldState(InGame) newState(DisconnectScheduled)
    608.532 Info ServerSynchronizer.cpp:613: nextHeartbeatSequenceNumber(5004512) removing peer(1).
    608.532 Received SIGTERM, shutting down
    608.532 Quitting: signal.
    608.532 Info MainLoop.cpp:437: Saving map as /opt/factorio/saves/nauvis-main.zip
    608.532 Info MainLoop.cpp:448: Saving progress: 100.000000%
    608.532 Info ServerMultiplayerManager.cpp:119: Disconnecting multiplayer connection.
    608.532 Info ServerMultiplayerManager.cpp:808: updateTick(5004512) changing state from(InGame) to(DisconnectingScheduled)
    608.532 Info ServerMultiplayerManager.cpp:808: updateTick(5004512) changing state from(DisconnectingScheduled) to(Disconnecting)
    608.532 Info ServerMultiplayerManager.cpp:808: updateTick(5004512) changing state from(Disconnecting) to(Disconnected)
    608.532 Info ServerMultiplayerManager.cpp:146: Quitting multiplayer connection.
    608.532 Info ServerMultiplayerManager.cpp:808: updateTick(5004512) changing state from(Disconnected) to(Closed)
    608.532 Info ServerMultiplayerManager.cpp:166: Deleting active scenario (global = true).
    608.532 Goodbye
    "#);
}

#[test]
fn crash_leaves_no_closing_marker_and_the_next_run_appends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, clock) = server(dir.path());
    server.start().unwrap();
    server.crash();
    clock.advance(Duration::from_secs(5));
    server.start().unwrap();
    assert_eq!(
        text(dir.path(), "console.log"),
        "=== Log opened 2026-11-23 22:00:00 ===\n=== Log opened 2026-11-23 22:00:05 ===\n"
    );
    assert!(!text(dir.path(), "factorio-previous.log").contains("Goodbye"));
    assert!(text(dir.path(), "factorio-current.log").contains("updateTick(4968001) changing state from(CreatingGame)"));
}

#[test]
fn half_line_is_completed_by_the_next_raw_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, _clock) = server(dir.path());
    server.half_line("2026-11-23 22:00:00 [CHAT] A").unwrap();
    server.raw_line("nn: hello").unwrap();
    assert_eq!(text(dir.path(), "console.log"), "2026-11-23 22:00:00 [CHAT] Ann: hello\n");
}

#[test]
fn renamed_log_is_left_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, _clock) = server(dir.path());
    server.start().unwrap();
    server.console().rotate_rename().unwrap();
    server.join("Ann").unwrap();
    assert!(text(dir.path(), "console.log.1").ends_with("[JOIN] Ann joined the game\n"));
    server.stop().unwrap();
    server.start().unwrap();
    assert!(text(dir.path(), "console.log.1").ends_with("=== Log closed 2026-11-23 22:00:00 ===\n"));
    assert_eq!(text(dir.path(), "console.log"), "=== Log opened 2026-11-23 22:00:00 ===\n");
}

#[test]
fn numbered_lines_can_be_counted_out_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, _clock) = server(dir.path());
    numbered_lines(&mut server, "prod", 120..140).unwrap();
    let log = text(dir.path(), "console.log");
    assert!(log.contains("2026-11-23 22:00:00 [CHAT] P04: line 000123 of prod\n"), "{log}");
    assert_eq!(check_exactly_once(log.lines(), "prod", 120..140), Ok(()));
}

/// Everything but time, digits and names of a line, to compare shapes.
fn shape(line: &str, names: &[&str]) -> String {
    let anonymous = names.iter().fold(line.to_owned(), |line, name| line.replace(name, "NAME"));
    anonymous.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[test]
fn shapes_equal_those_of_harvested_logs() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, _clock) = server(dir.path());
    server.join("Ann").unwrap();
    server.leave("Ann").unwrap();
    server.chat("Ann", "hello everyone").unwrap();
    server.kick("Ann", SERVER_ACTOR, Some("He is a meany")).unwrap();
    server.command("Ann", "blah").unwrap();
    server.unban("Ann", SERVER_ACTOR).unwrap();
    let written = text(dir.path(), "console.log");
    let written: Vec<String> = written.lines().map(|line| shape(line, &["Ann"])).collect();
    let real = [
        "2025-10-08 08:58:34 [JOIN] bsalis joined the game",
        "2025-10-08 08:58:55 [LEAVE] bsalis left the game",
        "2025-10-08 08:58:52 [CHAT] bsalis: hello everyone",
        "2025-10-08 09:02:35 [KICK] bsalis was kicked by <server>. Reason: He is a meany.",
        "2019-01-20 10:30:14 [COMMAND] User (command): blah",
        "2019-01-20 15:48:28 [UNBANNED] User was unbanned by <server>.",
    ];
    assert_eq!(written, real.map(|line| shape(line, &["bsalis", "User"])));
}
