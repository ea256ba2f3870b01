//! The lines of `factorio-current.log`, without their elapsed seconds. Source line numbers are those of 2.0.77.

use std::net::SocketAddr;

/// The version the simulator claims to be.
const VERSION: &str = "2.0.77";
const MANAGER: &str = "Info ServerMultiplayerManager.cpp";
/// What a server says instead of a tick before its first one.
const NO_TICK: u64 = u64::MAX;

/// An engine line: seconds since the start, right-aligned to 8 characters, and the message.
pub(super) fn stamp(elapsed_seconds: f64, message: &str) -> String {
    format!("{elapsed_seconds:8.3} {message}")
}

/// From the header to the ready line of a server that hosts `save`. `date` is local, `%Y-%m-%d %H:%M:%S`.
pub(super) fn starting(date: &str, save: &str, space_age: bool, tick: u64) -> Vec<String> {
    let dlc = if space_age { ", space-age" } else { "" };
    let mut lines = vec![
        format!("{date}; Factorio {VERSION} (build 84539, linux64, headless{dlc})"),
        "Operating system: Linux (Debian 12)".to_owned(),
        format!(
            "Program arguments: \"/opt/factorio/bin/x64/factorio\" \"--start-server\" \"{save}\" \"--console-log\" \
             \"/opt/factorio/console.log\" "
        ),
        "Write data path: /opt/factorio [25758/29587MB]".to_owned(),
        "Running in headless mode".to_owned(),
        "Loading mod core 0.0.0 (data.lua)".to_owned(),
    ];
    lines.extend(mods(space_age).iter().map(|name| format!("Loading mod {name} {VERSION} (data.lua)")));
    lines.push("Factorio initialised".to_owned());
    lines.push(changing_state(NO_TICK, "Ready", "PreparedToHostGame"));
    lines.push(changing_state(NO_TICK, "PreparedToHostGame", "CreatingGame"));
    lines.push(format!("Loading map {save}: 9255734 bytes."));
    lines.push("Loading level.dat: 28721262 bytes.".to_owned());
    lines.push(format!("Info Scenario.cpp:154: Map version {VERSION}-0"));
    lines.push("Hosting game at IP ADDR:({0.0.0.0:34197})".to_owned());
    lines.push(changing_state(tick, "CreatingGame", "InGame"));
    lines
}

fn mods(space_age: bool) -> &'static [&'static str] {
    if space_age { &["base", "elevated-rails", "quality", "space-age"] } else { &["base"] }
}

/// What a stop by a signal leaves, to the last word.
pub(super) fn stopping(save: &str, tick: u64) -> Vec<String> {
    let mut lines = vec!["Received SIGTERM, shutting down".to_owned()];
    lines.extend(quitting("signal", save, tick));
    lines
}

/// What `/quit` over RCON leaves.
pub(super) fn remote_quit(save: &str, tick: u64) -> Vec<String> {
    quitting("remote-quit", save, tick)
}

fn quitting(cause: &str, save: &str, tick: u64) -> Vec<String> {
    vec![
        format!("Quitting: {cause}."),
        format!("Info MainLoop.cpp:437: Saving map as {save}"),
        "Info MainLoop.cpp:448: Saving progress: 100.000000%".to_owned(),
        format!("{MANAGER}:119: Disconnecting multiplayer connection."),
        changing_state(tick, "InGame", "DisconnectingScheduled"),
        changing_state(tick, "DisconnectingScheduled", "Disconnecting"),
        changing_state(tick, "Disconnecting", "Disconnected"),
        format!("{MANAGER}:146: Quitting multiplayer connection."),
        changing_state(tick, "Disconnected", "Closed"),
        format!("{MANAGER}:166: Deleting active scenario (global = true)."),
        "Goodbye".to_owned(),
    ]
}

fn changing_state(tick: u64, from: &str, to: &str) -> String {
    format!("{MANAGER}:808: updateTick({tick}) changing state from({from}) to({to})")
}

/// A peer's way into the game; `new` where the map has never seen the player.
pub(super) fn joining(tick: u64, peer: u32, player_index: u32, new: bool) -> Vec<String> {
    let mode = if new { "create" } else { "connect" };
    let state = |from, to| peer_state(tick, peer, from, to);
    vec![
        format!("Info ServerSynchronizer.cpp:594: nextHeartbeatSequenceNumber({tick}) adding peer({peer})"),
        state("Ready", "ConnectedWaitingForMap"),
        state("ConnectedWaitingForMap", "ConnectedDownloadingMap"),
        state("ConnectedDownloadingMap", "ConnectedLoadingMap"),
        state("ConnectedLoadingMap", "TryingToCatchUp"),
        state("TryingToCatchUp", "WaitingForCommandToStartSendingTickClosures"),
        format!(
            "Info GameActionHandler.cpp:4477: UpdateTick ({tick}) processed PlayerJoinGame peerID({peer}) \
             playerIndex({player_index}) mode({mode}) "
        ),
        state("WaitingForCommandToStartSendingTickClosures", "InGame"),
    ]
}

/// A peer's way out.
pub(super) fn leaving(tick: u64, peer: u32) -> Vec<String> {
    vec![
        format!("{MANAGER}:1086: Disconnect notification for peer ({peer})"),
        peer_state(tick, peer, "InGame", "DisconnectScheduled"),
        format!("Info ServerSynchronizer.cpp:613: nextHeartbeatSequenceNumber({tick}) removing peer({peer})."),
    ]
}

/// A peer whose game went out of step.
pub(super) fn desync(tick: u64, peer: u32) -> String {
    peer_state(tick, peer, "InGame", "DesyncedWaitingForMap")
}

fn peer_state(tick: u64, peer: u32, from: &str, to: &str) -> String {
    format!("{MANAGER}:978: updateTick({tick}) received stateChanged peerID({peer}) oldState({from}) newState({to})")
}

/// An autosave, from its begin to its end.
pub(super) fn autosave(slot: u32) -> [String; 2] {
    [
        format!("Info AppManager.cpp:323: Saving to _autosave{slot} (blocking)."),
        "Info AppManagerStates.cpp:2110: Saving finished".to_owned(),
    ]
}

/// `/server-save`, from its begin to its end.
pub(super) fn save(path: &str) -> [String; 2] {
    [
        format!("Info AppManager.cpp:339: Saving game as {path}"),
        "Info AppManagerStates.cpp:2110: Saving finished".to_owned(),
    ]
}

/// RCON listens.
pub(super) fn rcon_up(address: SocketAddr) -> String {
    format!("Info RemoteCommandProcessor.cpp:133: Starting RCON interface at IP ADDR:({{{address}}})")
}

/// Somebody connects to RCON.
pub(super) fn rcon_connected(from: SocketAddr) -> String {
    format!("Info RemoteCommandProcessor.cpp:244: New RCON connection from IP ADDR:({{{from}}})")
}

/// What a mod's `log()` leaves. `source` is as `__events-logger__/el_helpers.lua:38`.
pub(super) fn script(source: &str, text: &str) -> String {
    format!("Script @{source}: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_seconds_are_right_aligned_and_grow() {
        assert_eq!(stamp(0.0, "x"), "   0.000 x");
        assert_eq!(stamp(768_341.435, "x"), "768341.435 x");
        assert_eq!(stamp(-140_462_620.552, "x"), "-140462620.552 x");
    }

    #[test]
    fn lines_equal_those_of_a_real_server() {
        let start = starting("2026-08-02 02:16:26", "/opt/factorio/saves/default2.zip", true, 0);
        assert_eq!(start[0], "2026-08-02 02:16:26; Factorio 2.0.77 (build 84539, linux64, headless, space-age)");
        assert!(start.contains(
            &"Info ServerMultiplayerManager.cpp:808: updateTick(18446744073709551615) changing state from(Ready) to(PreparedToHostGame)"
                .to_owned()
        ));
        assert!(start.contains(&"Loading map /opt/factorio/saves/default2.zip: 9255734 bytes.".to_owned()));
        assert_eq!(
            start.last().unwrap(),
            "Info ServerMultiplayerManager.cpp:808: updateTick(0) changing state from(CreatingGame) to(InGame)"
        );
        assert_eq!(
            leaving(16_156_688, 23)[1],
            "Info ServerMultiplayerManager.cpp:978: updateTick(16156688) received stateChanged peerID(23) oldState(InGame) newState(DisconnectScheduled)"
        );
        assert_eq!(
            joining(15_893_163, 25, 0, false)[6],
            "Info GameActionHandler.cpp:4477: UpdateTick (15893163) processed PlayerJoinGame peerID(25) playerIndex(0) mode(connect) "
        );
        assert_eq!(
            autosave(2),
            [
                "Info AppManager.cpp:323: Saving to _autosave2 (blocking).",
                "Info AppManagerStates.cpp:2110: Saving finished"
            ]
        );
    }

    #[test]
    fn only_a_server_with_the_expansion_says_so() {
        let vanilla = starting("2026-08-02 02:16:26", "/s.zip", false, 0);
        assert!(vanilla[0].ends_with("(build 84539, linux64, headless)"));
        assert!(!vanilla.iter().any(|line| line.contains("space-age")));
    }
}
