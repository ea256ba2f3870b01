use std::sync::Arc;

use super::super::interpreter::Interpretation;
use super::*;
use crate::config::EventSettings;
use crate::config::settings::{
    AlertSettings, PatternSettings, PermissionSettings, ServerChannels, ServerSettings, StartAt,
};
use crate::domain::{ChannelId, Position, ServerTag};
use crate::events::EventRules;

const CHAT: &str = "2026-11-30 10:00:00 [CHAT] Bob: hello";
const ENGINE: &str = "   0.567 Info AppManager.cpp:287: Saving to _autosave4 (blocking).";

fn server() -> ServerSettings {
    ServerSettings {
        tag: ServerTag::new("prod").unwrap(),
        name: "prod".to_owned(),
        console_log: "console.log".into(),
        engine_log: None,
        start_at: StartAt::Beginning,
        timezone: jiff::tz::TimeZone::UTC,
        timezone_configured: true,
        channels: ServerChannels { default: ChannelId::new(1).unwrap(), routes: std::collections::BTreeMap::new() },
        permissions: PermissionSettings::default(),
        rcon: None,
        mod_logs: std::collections::BTreeMap::new(),
        prometheus_file: None,
        alerts: AlertSettings::none(),
    }
}

/// A log that was never read, and the part of the pipeline that holds its lines.
struct Log {
    interpreter: Interpreter,
    holding: Holding,
    end: Position,
    committed: Position,
    shown: Vec<String>,
    unmatched: u64,
}

impl Log {
    fn new() -> Self {
        Self::with(&EventSettings::default())
    }

    fn with(events: &EventSettings) -> Self {
        let rules = Arc::new(EventRules::new(events).unwrap());
        let mut interpreter = Interpreter::new(server(), LogSource::Console, rules);
        interpreter.begin_unrecognised();
        let at = Position { generation: 1, ..Position::default() };
        Self { interpreter, holding: Holding::default(), end: at, committed: at, shown: Vec::new(), unmatched: 0 }
    }

    fn read(&mut self, texts: &[&str]) -> &mut Self {
        let start = self.end;
        let mut items = Vec::new();
        for text in texts {
            self.end.offset += text.len() as u64 + 1;
            items.push(LogItem::Line(LogLine { text: (*text).to_owned(), end: self.end.offset, skipped_bytes: 0 }));
        }
        self.admit(start, items)
    }

    /// The log is rotated.
    fn next_file(&mut self) -> &mut Self {
        let start = self.end;
        self.end = Position { generation: start.generation + 1, ..Position::default() };
        self.admit(start, Vec::new())
    }

    fn admit(&mut self, start: Position, items: Vec<LogItem>) -> &mut Self {
        let server = ServerTag::new("prod").unwrap();
        let batch =
            LineBatch { server, source: LogSource::Console, start, end: self.end, items, live: false, trace: None };
        for batch in self.holding.admit(&mut self.interpreter, batch) {
            assert_eq!(batch.start, self.committed, "batches follow each other");
            self.committed = batch.end;
            let Interpretation { notices, events, .. } =
                self.interpreter.interpret(&batch, jiff::Timestamp::UNIX_EPOCH);
            self.shown.extend(notices.into_iter().map(|notice| notice.content));
            self.unmatched += events.iter().filter(|(event, _)| &**event == "unmatched").map(|(_, n)| n).sum::<u64>();
        }
        self
    }

    /// A kill and a start: what is not committed is read again.
    fn restart(&mut self) -> &mut Self {
        let state = self.interpreter.state();
        self.interpreter.restore(&state);
        self.holding = Holding::default();
        self.end = self.committed;
        self
    }

    fn shown(&mut self) -> String {
        std::mem::take(&mut self.shown).join("\n")
    }

    fn problem(&mut self) -> Option<String> {
        self.holding.problem(self.interpreter.recognition(), LogRole::Console)
    }
}

fn json(line: &str) -> String {
    let log = serde_json::to_string(&format!("{line}\n")).unwrap();
    format!(r#"{{"log":{log},"stream":"stdout","time":"2026-11-30T10:00:00.1Z"}}"#)
}

#[test]
fn lines_before_the_first_known_one_wait_for_it_and_come_in_order() {
    let mut log = Log::new();
    log.read(&["what is this", "and this"]);
    assert_eq!((log.shown().as_str(), log.committed.offset), ("", 0));
    log.read(&[CHAT]);
    assert_eq!(log.shown(), "📝 what is this\nand this\n**Bob**: hello");
    assert_eq!(log.committed, log.end);
    log.read(&["from now on", "nothing waits"]);
    assert_eq!(log.committed, log.end);
}

#[test]
fn a_kill_while_lines_are_held_loses_and_doubles_none() {
    let mut log = Log::new();
    log.read(&["one"]).read(&["two"]).restart();
    assert_eq!(log.end.offset, 0, "both are read again");
    log.read(&["one", "two"]).read(&[CHAT]);
    assert_eq!(log.shown(), "📝 one\ntwo\n**Bob**: hello");
    log.restart().read(&["three"]);
    assert_eq!(log.shown(), "↳ three", "a log stays recognised over a restart");
}

#[test]
fn a_log_of_an_earlier_version_is_recognised() {
    let mut log = Log::new();
    log.interpreter.restore(r#"{"log_open":true}"#);
    log.read(&["a bare line"]);
    assert_eq!(log.shown(), "📝 a bare line");
}

#[test]
fn after_twenty_unknown_lines_people_are_told_what_the_first_looks_like() {
    let mut log = Log::new();
    log.read(&["127.0.0.1 - - GET /index.html for 203.0.113.9"]).read(&["x"; 18]);
    assert_eq!(log.problem(), None);
    log.read(&["x"]);
    insta::assert_snapshot!(log.problem().unwrap(), @"nothing of it is relayed: none of its first 20 lines is a line of Factorio; the first is `127.0.0.1 - - GET /index.html for <address>`. Start the game with `--console-log FILE` and set `console_log` to that file, or to a capture of the game's standard output");
    assert_eq!(log.shown(), "");
    log.read(&[CHAT]);
    assert_eq!(log.problem(), None);
}

#[test]
fn compressed_files_and_utf_16_are_named_at_the_first_line() {
    for (line, word) in [
        ("\u{1f}\u{fffd}\u{8}\u{0}x", "compressed"),
        ("\u{fffd}\u{fffd}2\u{fffd}0\u{fffd}2\u{fffd}6\u{fffd}", "UTF-16"),
    ] {
        let mut log = Log::new();
        log.read(&[line]);
        assert!(log.problem().unwrap().contains(word), "{:?}", log.problem());
    }
}

#[test]
fn too_many_held_lines_are_dropped_from_the_oldest_and_reported_as_one_gap() {
    let mut log = Log::new();
    let lines: Vec<String> = (0..2_500).map(|n| format!("unknown {n:04}")).collect();
    for part in lines.chunks(700) {
        let texts: Vec<&str> = part.iter().map(String::as_str).collect();
        log.read(&texts);
    }
    assert!(log.committed.offset > 0, "dropped lines are not read again");
    let committed = log.committed.offset / 13;
    log.restart();
    let again: Vec<&str> = lines[usize::try_from(committed).unwrap()..].iter().map(String::as_str).collect();
    log.read(&again).read(&[CHAT]);
    let shown = log.shown();
    let all: Vec<&str> = shown.lines().collect();
    assert_eq!(
        all[0],
        "⚠️ Part of the console log was lost: 1500 lines that came before the first recognised line of the log could not be kept (18000 bytes)"
    );
    assert_eq!((all[1], all[all.len() - 1]), ("📝 unknown 1500", "**Bob**: hello"));
    assert_eq!(all.len(), 1 + 1000 + 1);
}

#[test]
fn held_lines_take_a_mebibyte_at_most() {
    let mut log = Log::new();
    let text = "x".repeat(60_000);
    for _ in 0..40 {
        log.read(&[&text]);
    }
    assert!(log.holding.bytes <= MOST_BYTES, "{}", log.holding.bytes);
    assert_eq!(log.holding.lines, 17);
}

#[test]
fn a_wrapped_log_is_relayed_from_its_first_line_when_three_lines_agree() {
    let mut log = Log::new();
    log.read(&[&json(CHAT)]).read(&[&json("+ mkdir -p /factorio")]);
    assert_eq!((log.shown().as_str(), log.committed.offset), ("", 0));
    log.read(&[&json(
        " 103.965 Refusing connection for address (IP ADDR:({203.0.113.9:61310})), username (alice). ModsMismatch",
    )]);
    assert_eq!(log.shown(), "**Bob**: hello\n🚫 **alice** could not join: other mods than the server");
    log.restart().read(&[&json(CHAT)]);
    assert_eq!(log.shown(), "**Bob**: hello", "one line is enough after a restart");
    log.read(&["what Docker does not write", &json(CHAT)]);
    assert_eq!(log.shown(), "**Bob**: hello");
    log.next_file().read(&[&json(CHAT)]);
    assert_eq!(log.shown(), "**Bob**: hello", "one line is enough after a rotation");
}

#[test]
fn a_single_wrapped_line_is_no_wrapper() {
    let mut log = Log::new();
    log.read(&[CHAT]).read(&[&json(CHAT)]).read(&[&json(CHAT)]).read(&[&json(CHAT)]);
    assert_eq!(log.shown().matches("{\"log\"").count(), 3, "the file has plain lines");
}

#[test]
fn the_lines_of_a_former_file_do_not_pass_with_the_proof_of_the_next() {
    let mut log = Log::new();
    log.read(&["not of", "Factorio"]).next_file().read(&[CHAT]);
    assert_eq!(
        log.shown(),
        "⚠️ Part of the console log was lost: 2 lines that came before the first recognised line of the log could not be kept (14 bytes)\n**Bob**: hello"
    );
}

#[test]
fn a_recognised_log_that_becomes_a_wrapped_one_does_not_show_the_wrapper() {
    let mut log = Log::new();
    log.read(&[CHAT]).next_file();
    log.shown();
    log.read(&[&json(CHAT)]).read(&[&json(CHAT)]);
    assert_eq!(log.shown(), "");
    log.read(&[&json(CHAT)]);
    assert_eq!(log.shown(), "**Bob**: hello\n**Bob**: hello\n**Bob**: hello");
}

#[test]
fn a_pattern_of_the_operator_proves_a_log() {
    let mut events = EventSettings::default();
    events.patterns.push(PatternSettings {
        id: "boss".to_owned(),
        regex: regex::Regex::new("^BOSS ").unwrap(),
        event: "boss".into(),
        template: None,
        silence: false,
        channel: crate::config::settings::Destination::Route(crate::domain::Route::Admin),
        lane: crate::domain::Lane::Chat,
        servers: std::collections::HashSet::new(),
        examples: Vec::new(),
    });
    let mut log = Log::with(&events);
    log.read(&["BOSS killed"]);
    assert_eq!(log.shown(), "BOSS killed");
}

#[test]
fn the_entrypoint_and_what_is_typed_are_not_relayed_from_a_capture() {
    let mut log = Log::new();
    log.read(&["+ mkdir -p /factorio/saves", "+ exec /opt/factorio/bin/x64/factorio --rcon-password hunter2"]);
    log.read(&[
        ENGINE,
        "/players",
        "Players (0):",
        "2026-11-30 10:00:00 [JOIN] Bob joined the game",
        "hello",
        CHAT,
        "/help",
    ]);
    let shown = log.shown();
    assert_eq!(shown, "🟢 **Bob** joined the game\n**Bob**: hello");
    assert_eq!(log.unmatched, 4);
}

#[test]
fn each_line_of_an_unknown_text_counts() {
    let mut log = Log::new();
    log.read(&[CHAT, "2026-11-30 10:00:01 [JOIN] Bob joined the game"]).read(&["bare"; 300]);
    assert_eq!(log.unmatched, 300);
    assert!(
        log.shown().starts_with("**Bob**: hello\n🟢 **Bob** joined the game\n📝 bare\nbare"),
        "no part of the join"
    );
}

#[test]
fn lines_of_another_container_at_the_head_of_the_next_file_are_not_relayed() {
    let compose = format!("factorio-1  | {CHAT}");
    let mut log = Log::new();
    log.read(&[&compose, &compose, &compose]).shown();
    let unmatched = log.unmatched;
    assert_eq!(log.next_file().read(&["db-1  | a statement"]).shown(), "", "it may be in another wrapper");
    let shown = log.read(&[&compose]).shown();
    assert!(shown.contains("hello") && !shown.contains("statement"), "{shown}");
    assert_eq!(log.unmatched, unmatched + 1);
    let many = vec!["db-1  | a statement"; 1_200];
    assert_eq!(log.next_file().read(&many).shown(), "", "not even if there is nothing else");
    assert!(log.read(&[&compose]).shown().contains("hello"));
    assert!(log.next_file().read(&[CHAT]).shown().contains("hello"), "a file without the wrapper");
}
