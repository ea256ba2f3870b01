use proptest::prelude::*;

use super::*;
use crate::config::settings::{EventSettings, PermissionSettings, ServerChannels, StartAt};
use crate::domain::{ChannelId, Position, ServerTag};
use crate::events::markup::tests::{live_markup, tricky};

fn server() -> ServerSettings {
    ServerSettings {
        tag: ServerTag::new("prod").unwrap(),
        name: "Our_Factory".to_owned(),
        console_log: "console.log".into(),
        engine_log: None,
        mod_logs: [].into(),
        prometheus_file: None,
        alerts: crate::config::settings::AlertSettings::none(),
        start_at: StartAt::End,
        timezone: jiff::tz::TimeZone::UTC,
        timezone_configured: true,
        channels: ServerChannels { default: ChannelId::new(1).unwrap(), routes: [].into() },
        permissions: PermissionSettings::default(),
        rcon: None,
    }
}

fn notices(lines: &str) -> Vec<Notice> {
    let rules = Arc::new(EventRules::new(&EventSettings::default()).unwrap());
    let mut interpreter = Interpreter::new(server(), LogSource::Console, rules);
    let line = |text: &str| LogItem::Line(LogLine { text: text.to_owned(), end: 0, skipped_bytes: 0 });
    let batch = LineBatch {
        server: server().tag,
        source: LogSource::Console,
        start: Position::default(),
        end: Position::default(),
        items: lines.split('\n').map(line).collect(),
        live: false,
        trace: None,
    };
    interpreter.interpret(&batch, Timestamp::UNIX_EPOCH).notices
}

/// Everything a game writes with words of players in it.
const SHAPES: [&str; 16] = [
    "[CHAT] {a}: {b}",
    "[CHAT] {a} [{b}]: {a}",
    "[CHAT] <server>: {a}: {b}",
    "[SHOUT] {a}: {b}",
    "[JOIN] {a} joined the game",
    "[LEAVE] {a} left the game ({b})",
    "[KICK] {a} was kicked by {b}. Reason: {a}.",
    "[BAN] {a} (not on map) was banned by {b}. Reason: {a}.",
    "[UNBANNED] {a} was unbanned by {b}.",
    "[PROMOTE] {a} was promoted to admin by {b}.",
    "[DEMOTE] {a} was removed from the admin list by {b} and will no longer be promoted upon joining the game.",
    "[COMMAND] {a} (command): {b}",
    "[WARNING] Player {a} tried using the command \"{b}\".",
    "[{a}] {b}",
    "[CHAT] {b}",
    "{a}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_a_game_writes_pings_nobody_and_renders_no_markdown(
        shape in prop::sample::select(SHAPES.to_vec()), a in tricky(), b in tricky(), dated: bool,
    ) {
        let filled = shape.replace("{a}", &a).replace("{b}", &b);
        let line = if dated { format!("2026-11-23 21:00:00 {filled}") } else { format!("  12.345 {filled}") };
        for notice in notices(&line) {
            prop_assert!(notice.mentions.is_empty());
            for line in notice.content.lines() {
                // The bold type is the built-in templates' own.
                prop_assert_eq!(live_markup(&line.replace("**", "")), None, "{}", notice.content);
            }
        }
    }
}
