//! Lines of real servers, and some no server ever wrote, through the interpreter: what Discord would show.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use factorio_isr::config::settings::{
    EventOverride, EventSettings, PermissionSettings, ServerChannels, ServerSettings, StartAt,
};
use factorio_isr::domain::{
    ChannelId, EventKind, Gap, Lane, LineBatch, LogItem, LogLine, LogSource, Notice, Position, Route, ServerTag,
};
use factorio_isr::events::{EventRules, Interpretation, Interpreter};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use regex::Regex;

const NOW: &str = "2026-11-23T12:00:00Z";

pub fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A server whose every route has a channel of its own.
pub fn server() -> ServerSettings {
    let channel = |index: usize| ChannelId::new(index as u64 + 1).unwrap();
    let routes = Route::ALL.iter().enumerate().map(|(index, route)| (*route, channel(index))).collect();
    ServerSettings {
        tag: ServerTag::new("prod").unwrap(),
        name: "Our_Factory".to_owned(),
        console_log: "console.log".into(),
        engine_log: None,
        start_at: StartAt::End,
        timezone: TimeZone::UTC,
        timezone_configured: true,
        channels: ServerChannels { default: channel(0), routes },
        permissions: PermissionSettings::default(),
        rcon: None,
        mod_logs: BTreeMap::new(),
        prometheus_file: None,
        alerts: factorio_isr::config::settings::AlertSettings::none(),
    }
}

pub fn with_engine_log() -> ServerSettings {
    ServerSettings { engine_log: Some("factorio-current.log".into()), ..server() }
}

pub fn interpreter(server: ServerSettings, source: LogSource, settings: &EventSettings) -> Interpreter {
    Interpreter::new(server, source, Arc::new(EventRules::new(settings).unwrap()))
}

pub fn console() -> Interpreter {
    interpreter(server(), LogSource::Console, &EventSettings::default())
}

pub fn engine() -> Interpreter {
    interpreter(with_engine_log(), LogSource::Engine, &EventSettings::default())
}

fn line(text: &str) -> LogItem {
    LogItem::Line(LogLine { text: text.to_owned(), end: 0, skipped_bytes: 0 })
}

pub fn batch(items: Vec<LogItem>) -> LineBatch {
    let (start, end) = (Position::default(), Position::default());
    let server = ServerTag::new("prod").unwrap();
    LineBatch { server, source: LogSource::Console, start, end, items, live: false, trace: None }
}

fn lines(texts: &[&str]) -> LineBatch {
    batch(texts.iter().map(|text| line(text)).collect())
}

pub fn read(interpreter: &mut Interpreter, texts: &[&str]) -> Interpretation {
    interpreter.interpret(&lines(texts), now())
}

fn shown(notice: &Notice) -> String {
    let route = Route::ALL[usize::try_from(notice.channel.get()).unwrap() - 1].as_str();
    let alert = if notice.lane == Lane::Alert { "!" } else { "" };
    format!("{route}{alert}: {}", notice.content)
}

pub fn contents(interpretation: &Interpretation) -> String {
    interpretation.notices.iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// What the console says, one batch.
pub fn relayed(texts: &[&str]) -> String {
    contents(&read(&mut console(), texts))
}

// ------------------------------------------------------------------------------------------------ the real samples

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Each line and, indented, what is relayed of it. Lines of the engine of which nothing is are only counted.
fn line_by_line(interpreter: &mut Interpreter, text: &str) -> String {
    let of_the_engine = Regex::new(r"^ *-?\d+\.\d{3} ").unwrap();
    let mut out = Vec::new();
    let mut quiet = 0;
    for text in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let said = read(interpreter, &[text]);
        if said.notices.is_empty() && of_the_engine.is_match(text) {
            quiet += 1;
            continue;
        }
        if quiet > 0 {
            out.push(format!("({quiet} lines of the engine are not relayed)"));
            quiet = 0;
        }
        out.push(text.to_owned());
        for notice in &said.notices {
            out.push(format!("        {}", shown(notice)));
            out.push(format!("        {}", notice.plain));
        }
    }
    out.join("\n")
}

/// What a `--console-log` of the same run would hold.
fn console_log_of(stdout: &str) -> String {
    let dated = |line: &&str| line.starts_with("20");
    let dated: Vec<&str> = stdout.lines().filter(dated).collect();
    let time = |line: &str| line[..19].to_owned();
    let (first, last) = (time(dated[0]), time(dated[dated.len() - 1]));
    format!("=== Log opened {first} ===\n{}\n=== Log closed {last} ===\n", dated.join("\n"))
}

#[test]
fn captures_of_standard_output_read_well() {
    for name in ["stdout-2.0.77.log", "stdout-0.16.51-a.log", "stdout-0.16.51-b.log"] {
        insta::assert_snapshot!(name, line_by_line(&mut console(), &sample(name)));
    }
}

#[test]
fn logs_of_the_engine_read_well() {
    for name in ["engine-1.1.107.log", "engine-2.0.55.log"] {
        insta::assert_snapshot!(name, line_by_line(&mut engine(), &sample(name)));
    }
}

#[test]
fn single_lines_of_many_servers_read_well() {
    for name in ["lines-clusterio.txt", "lines-factorigo.txt", "lines-misc.txt"] {
        insta::assert_snapshot!(name, line_by_line(&mut console(), &sample(name)));
    }
}

#[test]
fn console_logs_read_well() {
    for name in ["stdout-0.16.51-a.log", "stdout-0.16.51-b.log"] {
        let text = console_log_of(&sample(name));
        insta::assert_snapshot!(format!("console-{name}"), line_by_line(&mut console(), &text));
    }
}

#[test]
fn no_sample_line_of_the_console_is_lost() {
    let dated = Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ").unwrap();
    for name in ["stdout-2.0.77.log", "stdout-0.16.51-a.log", "stdout-0.16.51-b.log", "lines-clusterio.txt"] {
        let text = sample(name);
        let all: Vec<&str> = text.lines().filter(|line| dated.is_match(line)).collect();
        assert_eq!(read(&mut console(), &all).notices.len(), all.len(), "{name}");
    }
}

// ------------------------------------------------------------------------------------------------------ situations

#[test]
fn our_own_words_do_not_come_back() {
    let said = read(&mut console(), &["2026-03-23 16:32:14 [CHAT] <server>: [color=1,1,1][Discord] Ann:[/color] hi"]);
    assert_eq!(said.notices, []);
    assert_eq!(said.events, [(Arc::from("relay_echo"), 1)]);
    let server = "2026-03-23 16:32:14 [CHAT] <server>: restart at *noon*";
    assert_eq!(relayed(&[server]), "chat: 🖥️ **Server**: restart at \\*noon\\*");
}

#[test]
fn the_lines_of_a_long_command_stay_together() {
    let command = [
        "2026-03-23 16:32:14 [COMMAND] Bob (command): for i = 1, 3 do",
        "  game.print(i)",
        "",
        "# end",
        "2026-03-23 16:32:15 [CHAT] Bob: done",
    ];
    insta::assert_snapshot!(relayed(&command), @r#"
        admin: ⌨️ **Bob** ran a Lua command: for i = 1, 3 do
          game.print(i)
        \# end
        chat: **Bob**: done
        "#);
    let mut interpreter = console();
    let first = read(&mut interpreter, &command[..1]);
    let mut restarted = console();
    restarted.restore(&interpreter.state());
    let rest = read(&mut restarted, &command[1..]);
    insta::assert_snapshot!(contents(&rest), @r#"
        admin: ↳   game.print(i)
        \# end
        chat: **Bob**: done
        "#);
    assert_eq!((rest.notices[0].channel, rest.notices[0].lane), (first.notices[0].channel, first.notices[0].lane));
    assert_eq!(rest.notices[0].event, first.notices[0].event);
}

#[test]
fn the_continuation_of_a_silenced_line_is_silent() {
    let mut settings = EventSettings::default();
    let off = EventOverride { enabled: Some(false), ..EventOverride::default() };
    settings.overrides.insert(EventKind::Command, off);
    let mut interpreter = interpreter(server(), LogSource::Console, &settings);
    let said = read(&mut interpreter, &["2026-03-23 16:32:14 [COMMAND] Bob (command): for", "  x = 1"]);
    assert_eq!(said.notices, []);
    assert_eq!(said.events, [(Arc::from("command"), 1)]);
}

#[test]
fn a_first_line_without_a_shape_is_shown_as_it_is() {
    assert_eq!(relayed(&["Players (0):", "  Bob *online*"]), "admin: 📝 Players (0):\n  Bob \\*online\\*");
}

#[test]
fn a_bare_line_joins_nothing_that_has_only_one_line() {
    let lines = [
        "2026-03-23 16:32:14 [JOIN] Bob joined the game",
        "after a join",
        "JLOGGER: RESEARCH FINISHED: automation 1",
        "after research",
        "2026-03-23 16:32:15 [KICK] Bob was kicked by <server>. Reason: x.",
        "after a kick",
    ];
    let mut interpreter = console();
    let said = read(&mut interpreter, &lines);
    insta::assert_snapshot!(contents(&said), @"
    joins: 🟢 **Bob** joined the game
    admin: 📝 after a join
    game: 🔬 Research done: **automation**
    admin: 📝 after research
    admin: 👢 **Bob** was kicked by the server: x
    admin: 📝 after a kick
    ");
    let unmatched = said.events.iter().find(|(event, _)| &**event == "unmatched");
    assert_eq!(unmatched.map(|(_, count)| *count), Some(3));
}

#[test]
fn unknown_wordings_are_shown_under_the_kind_of_their_tag() {
    let russian = "2026-03-23 16:32:14 [KICK] Bob был выгнан. *Причина*: x";
    assert_eq!(relayed(&[russian]), "admin: 👢 Bob был выгнан. \\*Причина\\*: x");
    let unheard = "2026-03-23 16:32:14 [MUTE] Bob has been muted by <server>.";
    assert_eq!(relayed(&[unheard]), "admin: 📝 \\[MUTE\\] Bob has been muted by \\<server>.");
}

#[test]
fn every_time_is_the_servers_own() {
    let server = ServerSettings { timezone: TimeZone::get("Europe/Berlin").unwrap(), ..with_engine_log() };
    let rules = EventSettings::default();
    let mut console = interpreter(server.clone(), LogSource::Console, &rules);
    let said = read(&mut console, &["2026-11-23 20:54:41 [CHAT] Bob: hello", "no time"]);
    assert_eq!(said.notices[0].occurred_at.to_string(), "2026-11-23T19:54:41Z");
    assert_eq!(said.notices[0].plain, "[2026-11-23 20:54:41] Bob: hello\n    no time");
    for (local, utc) in
        [("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"), ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z")]
    {
        let said = read(&mut console, &[&format!("{local} [CHAT] Bob: clocks change")]);
        assert_eq!(said.notices[0].occurred_at.to_string(), utc, "{local}");
    }

    let mut engine = interpreter(server, LogSource::Engine, &rules);
    assert_eq!(read(&mut engine, &["  60.500 Goodbye"]).notices[0].occurred_at, now(), "no header was seen");
    read(&mut engine, &["   0.000 2026-11-23 20:54:41; Factorio 2.0.77 (build 84539, linux64, headless)"]);
    let mut restarted = engine;
    for (line, utc) in [("  60.500 Goodbye", "2026-11-23T19:55:41.5Z"), ("-60.500 Goodbye", "2026-11-23T19:53:40.5Z")] {
        let state = restarted.state();
        restarted.restore(&state);
        assert_eq!(read(&mut restarted, &[line]).notices[0].occurred_at.to_string(), utc);
    }
    let said = read(&mut restarted, &["99999999999999.000 Goodbye", "9223372036854775807.000 Goodbye"]);
    assert_eq!(said.notices[0].occurred_at, now(), "no such time");
}

#[test]
fn a_gap_is_told_and_makes_the_run_unknown() {
    let mut interpreter = console();
    read(&mut interpreter, &["=== Log opened 2026-03-23 16:31:57 ==="]);
    let reason = "the file was truncated before it was read to its end".to_owned();
    let said = interpreter.interpret(&batch(vec![LogItem::Gap(Gap { bytes: Some(4096), reason })]), now());
    let lost = "the file was truncated before it was read to its end (4096 bytes)";
    assert_eq!(contents(&said), format!("alerts!: ⚠️ Part of the console log was lost: {lost}"));
    let reason = "the file that was read last is gone".to_owned();
    let unsure = console().interpret(&batch(vec![LogItem::Gap(Gap { bytes: None, reason })]), now());
    let maybe = "alerts!: ⚠️ Part of the console log may have been lost: the file that was read last is gone";
    assert_eq!(contents(&unsure), maybe);
    let said = read(&mut interpreter, &["2026-03-23 16:33:00 [LEAVE] Bob left the game"]);
    assert_eq!(said.notices.len(), 1, "Bob may have joined in the gap");
    assert!(!contents(&read(&mut interpreter, &["=== Log opened 2026-03-23 18:00:00 ==="])).contains("kill"));
}

#[test]
fn a_line_that_was_cut_says_so() {
    let text = "2026-03-23 16:32:14 [CHAT] Bob: hello".to_owned();
    let cut = LogItem::Line(LogLine { text, end: 0, skipped_bytes: 1234 });
    let said = console().interpret(&batch(vec![cut]), now());
    assert_eq!(contents(&said), "chat: **Bob**: hello … (1234 bytes cut)");
    assert!(said.notices[0].plain.ends_with("(1234 bytes cut)"));
}

#[test]
fn passwords_never_pass() {
    let said = read(&mut console(), &[r#"Program arguments: "--rcon-password" "hunter2""#]);
    assert!(!format!("{said:?}").contains("hunter2"));
    assert!(said.notices[0].content.contains("\\<private>"));
}

#[test]
fn a_chat_line_of_invisible_characters_posts_nothing_and_another_line_is_still_a_message() {
    assert_eq!(relayed(&["\u{200b}\u{202e}"]), "admin: 📝");
    let mut settings = EventSettings::default();
    let template = EventOverride { template: Some("{message}".to_owned()), ..EventOverride::default() };
    settings.overrides.insert(EventKind::Chat, template);
    let mut interpreter = interpreter(server(), LogSource::Console, &settings);
    assert_eq!(contents(&read(&mut interpreter, &["2026-03-23 16:32:14 [CHAT] Bob: \u{200b}"])), "");
}

// --------------------------------------------------------------------------------------------------- for all inputs

/// Lines of every shape, and of none.
fn any_line() -> impl Strategy<Value = String> {
    let shapes = prop::sample::select(vec![
        "=== Log opened 2026-03-23 16:31:57 ===",
        "=== Log closed 2026-03-23 16:31:57 ===",
        "2026-03-23 16:32:14 [JOIN] Bob joined the game",
        "2026-03-23 16:32:14 [LEAVE] Bob left the game",
        "2026-03-23 16:32:14 [LEAVE] Ann left the game",
        "2026-03-23 16:32:15 [CHAT] Bob: hi",
        "2026-03-23 16:32:15 [CHAT] <server>: [Discord] hi",
        "2026-03-23 16:32:14 [COMMAND] Bob (command): for",
        "9999-99-99 99:99:99 [WAT] x",
        "   0.000 2026-03-23 16:31:00; Factorio 2.0.77 (build 84539, linux64, headless)",
        "   5.000 Error MainLoop.cpp:1285: Exception at tick 123: The mod X failed.",
        " 100.000 Error CrashHandler.cpp:632: Received SIGSEGV",
        "Error while running event X::on_tick (ID 0)",
        "  16.011 Info UDPSocket.cpp:238: Closing socket",
        " 100.000 Goodbye",
        "  a bare line",
        "",
    ]);
    prop_oneof![4 => shapes.prop_map(str::to_owned), 1 => "\\PC{0,40}", 1 => any::<String>()]
}

/// One line per line that is shown, wherever a batch ended.
fn flat(notices: &[Notice]) -> Vec<(u64, String, String, String)> {
    let of = |notice: &Notice| {
        let (channel, event) = (notice.channel.get(), notice.event.to_string());
        let plain = notice.plain.replace("    ", "");
        let plain = plain.split_at(22).1.replace('↳', "").replace("\n ", "\n");
        let content = notice.content.replace("↳ ", "");
        let pairs: Vec<_> = content.lines().map(str::to_owned).zip(plain.lines().map(str::to_owned)).collect();
        pairs.into_iter().map(move |(content, plain)| (channel, event.clone(), content, plain.trim().to_owned()))
    };
    notices.iter().flat_map(of).collect()
}

proptest! {
    #[test]
    fn a_batch_may_end_anywhere(
        texts in prop::collection::vec(any_line(), 0..20),
        ends in prop::collection::vec(any::<bool>(), 20),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for fresh in [console, engine] {
            let mut whole = fresh();
            let expected = read(&mut whole, &texts);
            let mut parts = fresh();
            let mut notices = Vec::new();
            let mut counts: BTreeMap<Arc<str>, u64> = BTreeMap::new();
            let mut ends = ends.iter();
            for part in texts.chunk_by(|_, _| ends.next() == Some(&false)) {
                let said = read(&mut parts, part);
                notices.extend(said.notices);
                for (event, count) in said.events {
                    *counts.entry(event).or_default() += count;
                }
                let state = parts.state();
                parts = fresh();
                parts.restore(&state);
            }
            prop_assert_eq!(flat(&notices), flat(&expected.notices));
            prop_assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected.events);
            prop_assert_eq!(parts.state(), whole.state());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), state in ".{0,40}") {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for mut interpreter in [console(), engine()] {
            interpreter.restore(&state);
            let said = read(&mut interpreter, &text.lines().collect::<Vec<_>>());
            for notice in said.notices {
                prop_assert!(!notice.content.trim().is_empty());
            }
        }
    }
}
