//! Lines of the engine's own log. Source files and line numbers change with every build, so only the messages count.

use std::borrow::Cow;

use super::Event;
use crate::domain::EventKind;
use crate::events::line_format::Level;

/// Reads the header line of a run: `Factorio 2.0.77 (build 84539, linux64, headless)`.
pub(in crate::events) fn header(text: &str) -> Event<'_> {
    let version = text.strip_prefix("Factorio ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    Event::new(EventKind::Starting, text, [("version", version)])
}

/// Reads the message of an engine line. A script's line is the script's own text and never an engine event.
pub(in crate::events) fn message(level: Option<Level>, text: &str) -> Event<'_> {
    let known = match level {
        Some(Level::Script) => None,
        Some(Level::Error) => failure(text).or_else(|| crash(text)),
        Some(_) => state(text).or_else(|| save(text)),
        None => life(text).or_else(|| refusal(text)).or_else(|| crash(text)),
    };
    known.unwrap_or_else(|| Event::raw(EventKind::EngineOther, text))
}

/// A line without an envelope that begins something of its own, whatever stands before it.
pub(in crate::events) fn bare(text: &str) -> Option<Event<'_>> {
    text.starts_with("Error while running event ")
        .then(|| Event::new(EventKind::ScriptCrash, text, [("message", text)]))
        .or_else(|| crash(text))
}

/// Stops, and what keeps a server from starting.
fn life(text: &str) -> Option<Event<'_>> {
    if text == "Goodbye" {
        return Some(Event::new(EventKind::Stopped, text, []));
    }
    if let Some(reason) = text.strip_prefix("Quitting: ") {
        return Some(Event::new(EventKind::Stopping, text, [("reason", reason.trim_end_matches('.'))]));
    }
    text.contains("Couldn't acquire exclusive lock").then(|| host_failed(text, text))
}

fn host_failed<'a>(text: &'a str, message: &'a str) -> Event<'a> {
    Event::new(EventKind::HostFailed, text, [("message", message)])
}

/// `Refusing connection for address (…), username (NAME). REASON`. The first two reasons are steps of every
/// ordinary join.
fn refusal(text: &str) -> Option<Event<'_>> {
    let (_, rest) = text.strip_prefix("Refusing connection for address ")?.split_once("username (")?;
    let (player, reason) = rest.rsplit_once("). ")?;
    let reason = reason.trim_end_matches('.');
    if matches!(reason, "UserVerificationMissing" | "PasswordMissing") {
        return None;
    }
    let mut event = Event::new(EventKind::JoinRefused, text, [("player", player)]);
    event.fields.get_or_insert_default().push(("reason", spell_out(reason)));
    Some(event)
}

/// `ModsMismatch` to `mods mismatch`, and the common ones in plain words.
fn spell_out(reason: &str) -> Cow<'_, str> {
    match reason {
        "PasswordMismatch" => "wrong password".into(),
        "UserVerificationMismatch" => "the account could not be verified".into(),
        "ModsMismatch" => "other mods than the server".into(),
        "UserBanned" => "banned".into(),
        "NotWhitelisted" => "not on the whitelist".into(),
        "PlayerLimitReached" => "the server is full".into(),
        other if other.contains(' ') => other.into(),
        other => other
            .chars()
            .fold(String::new(), |mut words, c| {
                if c.is_uppercase() && !words.is_empty() {
                    words.push(' ');
                }
                words.extend(c.to_lowercase());
                words
            })
            .into(),
    }
}

/// What a line of the level `Error` can mean. Trouble with the matching server and the closed standard input of
/// every container are no failures of the game.
fn failure(text: &str) -> Option<Event<'_>> {
    if text.starts_with("Exception at tick ") {
        return Some(Event::new(EventKind::ScriptCrash, text, [("message", text)]));
    }
    if let Some(message) = text.strip_prefix("MultiplayerManager failed: ") {
        return Some(host_failed(text, message.trim_matches('"')));
    }
    let failed = text.starts_with("Saving scenario failed")
        || text.starts_with("Opening package ") && text.contains("for writing failed")
        || text.contains("No space left on device")
        || text.starts_with("Can't save to default location")
        || text.contains("player-data.json");
    let message = text.strip_prefix("Saving scenario failed: ").unwrap_or(text);
    failed.then(|| Event::new(EventKind::SaveFailed, text, [("message", message)]))
}

/// What the engine says when it dies.
fn crash(text: &str) -> Option<Event<'_>> {
    let signal = text.strip_prefix("Received SIG").map(|signal| signal.trim_end_matches('.'));
    let fatal = matches!(signal, Some("SEGV" | "ABRT" | "BUS" | "FPE" | "ILL"));
    let crashed = fatal || text.starts_with("Factorio crashed") || text.starts_with("Unexpected error occurred");
    crashed.then(|| Event::new(EventKind::Crash, text, [("message", text)]))
}

/// The game can be joined; a player's game went out of step.
fn state(text: &str) -> Option<Event<'_>> {
    if text.ends_with("changing state from(CreatingGame) to(InGame)") {
        return Some(Event::new(EventKind::Ready, text, []));
    }
    let (_, change) = text.split_once(" received stateChanged peerID(")?;
    let (peer, change) = change.split_once(") oldState(")?;
    let (old, new) = change.split_once(") newState(")?;
    let begins = new.starts_with("Desynced") && !old.starts_with("Desynced");
    begins.then(|| Event::new(EventKind::Desync, text, [("peer", peer)]))
}

/// `Saving to _autosave3 (blocking).`, `Saving game as PATH`, `Saving map as PATH`, `Saving finished`.
fn save(text: &str) -> Option<Event<'_>> {
    if text == "Saving finished" {
        return Some(Event::new(EventKind::SaveFinished, text, []));
    }
    let path = text.strip_prefix("Saving game as ").or_else(|| text.strip_prefix("Saving map as "));
    let name = match path {
        Some(path) => path.rsplit(['/', '\\']).next().unwrap_or(path),
        None => text.strip_prefix("Saving to ")?.rsplit_once(" (")?.0,
    };
    Some(Event::new(EventKind::SaveStarted, text, [("save", name)]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::events::line_format::Envelope;

    fn told(line: &str) -> String {
        let event = match Envelope::parse(line) {
            Envelope::Engine { level, message: text, .. } => message(level, text),
            Envelope::Header { text, .. } => header(text),
            Envelope::Bare(text) => bare(text).unwrap_or_else(|| Event::raw(EventKind::Unmatched, text)),
            other => panic!("{other:?} is no line of the engine"),
        };
        let fields: Vec<String> = event.fields.iter().flatten().map(|(n, v)| format!("{n}={v:?}")).collect();
        format!("{} {}", event.kind, fields.join(" ")).trim_end().to_owned()
    }

    #[test]
    fn what_the_engine_tells() {
        let lines = [
            "   0.000 2026-08-02 02:16:26; Factorio 2.0.77 (build 84539, linux64, headless, space-age)",
            "   0.567 Info ServerMultiplayerManager.cpp:808: updateTick(18446744073709551615) changing state from(CreatingGame) to(InGame)",
            "   0.567 Info ServerMultiplayerManager.cpp:808: mapTick(-1) changing state from(CreatingGame) to(InGame)",
            "4802.763 Info AppManager.cpp:287: Saving to _autosave4 (blocking).",
            "4802.763 Info AppManager.cpp:287: Saving to my (old) save (non-blocking).",
            "  10.806 Info AppManager.cpp:394: Saving game as C:\\factorio\\saves\\world.zip",
            "  16.011 Info MainLoop.cpp:437: Saving map as /opt/factorio/saves/probe.zip",
            "4202.780 Info AppManagerStates.cpp:1802: Saving finished",
            "  13.326 Refusing connection for address (IP ADDR:({192.0.2.203:54445})), username (engineer_7). PasswordMismatch",
            "  13.326 Refusing connection for address (IP ADDR:({192.0.2.203:54445})), username (engineer_7). SomethingElse",
            "  99.000 Info ServerMultiplayerManager.cpp:943: updateTick(1) received stateChanged peerID(2) oldState(InGame) newState(DesyncedWaitingForMap)",
            " 640.910 Quitting: remote-quit.",
            "1641.421 Goodbye",
            "   5.000 Error MainLoop.cpp:1285: Exception at tick 123: The mod X caused a non-recoverable error.",
            "   5.000 Error ServerMultiplayerManager.cpp:91: MultiplayerManager failed: \"Host address is already in use.\"",
            "   5.000 Error ParallelScenarioSaver.cpp:1: Saving scenario failed: disk",
            "   5.000 Error Util.cpp:86: Opening package a.zip for writing failed: x",
            "   5.000 Error CrashHandler.cpp:632: Received SIGSEGV",
            "   5.000 Couldn't acquire exclusive lock on /factorio/.lock",
            "Factorio crashed. Generating symbolized stacktrace, please wait ...",
            "Error while running event level::on_nth_tick(1)",
        ];
        insta::assert_snapshot!(lines.map(told).join("\n"), @r#"
        starting version="2.0.77"
        ready
        ready
        save_started save="_autosave4"
        save_started save="my (old) save"
        save_started save="world.zip"
        save_started save="probe.zip"
        save_finished
        join_refused player="engineer_7" reason="wrong password"
        join_refused player="engineer_7" reason="something else"
        desync peer="2"
        stopping reason="remote-quit"
        stopped
        script_crash message="Exception at tick 123: The mod X caused a non-recoverable error."
        host_failed message="Host address is already in use."
        save_failed message="disk"
        save_failed message="Opening package a.zip for writing failed: x"
        crash message="Received SIGSEGV"
        host_failed message="Couldn't acquire exclusive lock on /factorio/.lock"
        crash message="Factorio crashed. Generating symbolized stacktrace, please wait ..."
        script_crash message="Error while running event level::on_nth_tick(1)"
        "#);
    }

    #[test]
    fn everyday_lines_of_the_engine_are_no_events() {
        for line in [
            "  13.326 Refusing connection for address (IP ADDR:({192.0.2.203:54445})), username (a). UserVerificationMissing",
            "  13.326 Refusing connection for address (IP ADDR:({192.0.2.203:54445})), username (a). PasswordMissing",
            "   1.426 Error ServerMultiplayerManager.cpp:751: Matching server connection failed: Error when creating server game: Missing token.",
            "   0.100 Error InterruptibleStdioStream.cpp:55: Got EOF on stdin; closing",
            "  14.327 Info ServerMultiplayerManager.cpp:814: updateTick(0) changing state from(InGameSavingMap) to(InGame)",
            "  99.000 Info X.cpp:943: updateTick(1) received stateChanged peerID(2) oldState(DesyncedWaitingForMap) newState(DesyncedDownloadingMap)",
            "  16.011 Received SIGINT, shutting down",
            "  91.093 Info ServerMultiplayerManager.cpp:1224: Auto saving map as /opt/factorio/saves/init.zip",
            "   1.277 Script @__mod__/control.lua:7: Goodbye",
            " 344.683 Script =(command):1: Saving finished",
        ] {
            assert_eq!(told(line), "engine_other", "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_script_cannot_play_the_engine(text in "(Goodbye|Quitting: |Saving to |Exception at tick |Received SIGSEGV|\\PC){0,4}") {
            prop_assert_eq!(message(Some(Level::Script), &text).kind, EventKind::EngineOther);
        }
    }
}
