//! What the operator says of events: wording, channel, lane, and patterns of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::{BTreeMap, HashSet};

use factorio_isr::config::settings::{Destination, EventOverride, EventSettings, PatternSettings};
use factorio_isr::domain::{ChannelId, EventKind, Lane, LogSource, Route, ServerTag};
use factorio_isr::events::Interpreter;
use regex::Regex;

use crate::events::{contents, interpreter, read, server};

#[test]
fn the_operator_changes_wording_channel_and_lane() {
    let mut settings = EventSettings::default();
    let elsewhere = ChannelId::new(7).unwrap();
    settings.overrides.insert(
        EventKind::Join,
        EventOverride {
            template: Some("**{server}** {time}: __{player}__ {{here}}".to_owned()),
            channel: Some(Destination::Channel(elsewhere)),
            lane: Some(Lane::Alert),
            enabled: None,
        },
    );
    let mut interpreter = interpreter(server(), LogSource::Console, &settings);
    let said = read(&mut interpreter, &["2026-11-23 12:00:00 [JOIN] foo_bar joined the game"]);
    insta::assert_snapshot!(contents(&said), @r#"game!: **Our\_Factory** <t:1795435200:T>: __foo\_bar__ {here}"#);
    assert_eq!(said.notices[0].plain, "[2026-11-23 12:00:00] foo_bar joined the game");
}

fn pattern(id: &str, regex: &str, template: Option<&str>) -> PatternSettings {
    PatternSettings {
        id: id.to_owned(),
        regex: Regex::new(regex).unwrap(),
        event: id.into(),
        template: template.map(str::to_owned),
        silence: false,
        channel: Destination::Route(Route::Game),
        lane: Lane::Chat,
        servers: HashSet::new(),
        examples: Vec::new(),
    }
}

fn with_patterns(patterns: Vec<PatternSettings>) -> Interpreter {
    let settings = EventSettings { overrides: BTreeMap::new(), patterns };
    interpreter(server(), LogSource::Console, &settings)
}

#[test]
fn patterns_know_the_lines_of_companion_mods() {
    let mut interpreter = with_patterns(vec![
        pattern("jammy_death", r"^JLOGGER: DIED: (?<player>\S+) (?<cause>.+)", Some("💀 **{player}** ({cause})")),
        pattern("death", r"\[PLAYER_DIED:(?<player>[^:\]]+)(?::(?<cause>[^:\]]*))?", Some("💀 **{player}** {cause}")),
        pattern("died", r"Script .*\[DIED\] (?<what>.*)", Some("💀 {what}")),
    ]);
    let said = read(
        &mut interpreter,
        &[
            "JLOGGER: DIED: Bob_1 small-biter",
            "[FactoriGOChatBot]: \"2852569 [PLAYER_DIED:Mattie:locomotive:10:50]\"",
            "[FactoriGOChatBot]: \"2852569 [PLAYER_DIED:Mattie]\"",
            "   1.277 Script @__events-logger__/control.lua:7: [DIED] Bob *behemoth*",
            "[FactoriGOChatBot]: \"2852569 [foobar]\"",
        ],
    );
    insta::assert_snapshot!(contents(&said), @r#"
        game: 💀 **Bob\_1** (small-biter)
        game: 💀 **Mattie** locomotive
        game: 💀 **Mattie**
        game: 💀 Bob \*behemoth\*
        "#);
    assert_eq!(said.events.iter().find(|(event, _)| &**event == "death").map(|(_, n)| *n), Some(2));
}

#[test]
fn the_first_pattern_that_matches_overrides_the_built_in_event() {
    let only_elsewhere = HashSet::from([ServerTag::new("other").unwrap()]);
    let mut interpreter = with_patterns(vec![
        PatternSettings { servers: only_elsewhere, silence: true, ..pattern("elsewhere", "hello", None) },
        PatternSettings { silence: true, ..pattern("spam", r"^\[CHAT\] \S+: !", Some("{nonsense}")) },
        pattern("hello", r"^\[CHAT\] (?<who>\S+): hello", Some("👋 {who}")),
        pattern("late", "hello", Some("never")),
    ]);
    let said = read(
        &mut interpreter,
        &[
            "2026-11-23 12:00:00 [CHAT] Bob: hello",
            "2026-11-23 12:00:00 [CHAT] Bob: !spam",
            "2026-11-23 12:00:00 [CHAT] Bob: other",
            "2026-11-23 12:00:00 [CHAT] <server>: [Discord] hello",
        ],
    );
    assert_eq!(contents(&said), "game: 👋 Bob\nchat: **Bob**: other");
    let counts: Vec<(&str, u64)> = said.events.iter().map(|(event, count)| (&**event, *count)).collect();
    assert_eq!(counts, [("chat", 1), ("hello", 1), ("relay_echo", 1), ("spam", 1)]);
}
