//! What an operator sees of `[chat]`, `[mentions]` and `chat_from`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use factorio_isr::config::settings::{ChatSettings, MentionTarget, Settings, ThreadChat};

use crate::config::{GOOD, Place};

/// Two servers with RCON and one without.
const GAMES: &str = r#"
[discord]
token = "token-of-the-file"

[servers.a]
console_log = "a.log"
channels = { default = 101, chat = 111 }
rcon = { password = "hush" }
CHAT_FROM

[servers.b]
console_log = "b.log"
channels = { default = 102 }
rcon = { password = "hush" }

[servers.deaf]
console_log = "c.log"
channels = { default = 103 }
"#;

fn settings(config: &str) -> Settings {
    Place::with(config).load().unwrap().settings
}

fn feeds(chat: &ChatSettings) -> String {
    let feed = |(channel, games): (&_, &Vec<_>)| {
        let games: Vec<String> = games.iter().map(ToString::to_string).collect();
        format!("{channel} {}", games.join(" "))
    };
    chat.feeds.iter().map(feed).collect::<Vec<_>>().join(", ")
}

fn errors(extra: &str) -> String {
    Place::with(&format!("{GOOD}{extra}")).errors()
}

#[test]
fn a_game_hears_the_channel_its_own_chat_goes_to_unless_told_otherwise() {
    let with = |chat_from: &str, extra: &str| feeds(&settings(&(GAMES.replace("CHAT_FROM", chat_from) + extra)).chat);
    assert_eq!(with("", ""), "102 b, 111 a");
    assert_eq!(with("chat_from = []", ""), "102 b");
    assert_eq!(with("chat_from = [102]", ""), "102 a b");
    assert_eq!(with(r#"chat_from = ["102", 105, 105]"#, ""), "102 a b, 105 a");
    assert_eq!(with("", "[chat]\nenabled = false\n"), "");
}

#[test]
fn a_game_that_cannot_hear_is_warned_about() {
    let config = GAMES.replace("CHAT_FROM", "").replace("{ default = 103 }", "{ default = 103 }\nchat_from = [103]");
    let place = Place::with(&config);
    for log in ["a.log", "b.log", "c.log"] {
        place.file(log, "");
    }
    let said = place.run(&["check"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let warned = "servers.deaf.chat_from has no effect: chat reaches a game over RCON; add `[servers.deaf.rcon]`";
    assert!(said.out.contains(warned), "{}", said.out);
}

#[test]
fn what_is_no_channel_is_no_source_of_chat() {
    insta::assert_snapshot!(errors("chat_from = [\"general\", 0]\n"), @r#"
    DIR/config.toml:8: servers.prod.chat_from[0]: expected a channel id, the number Discord gives by "Copy Channel ID", found the text "general"
    DIR/config.toml:8: servers.prod.chat_from[1]: expected a channel id, the number Discord gives by "Copy Channel ID", found the number 0
    "#);
}

#[test]
fn names_and_aliases_mean_users_and_roles_in_any_case() {
    let mentions = settings(&format!(
        r#"{GOOD}
        [mentions]
        per_minute = 5
        users = {{ Alice = "11" }}
        roles = {{ mods = 22 }}
        aliases = {{ Helpers = "MODS", boss = "alice" }}
        "#
    ))
    .mentions;
    let expected = [
        ("alice", MentionTarget::User(11)),
        ("boss", MentionTarget::User(11)),
        ("helpers", MentionTarget::Role(22)),
        ("mods", MentionTarget::Role(22)),
    ];
    assert_eq!(mentions.names, expected.map(|(name, target)| (name.to_owned(), target)).into());
    assert_eq!(mentions.per_minute, 5);
    assert_eq!(settings(GOOD).mentions.names, BTreeMap::new(), "nobody by default");
}

#[test]
fn everyone_and_here_and_what_nobody_can_write_are_refused() {
    insta::assert_snapshot!(errors(
        r#"
        [mentions]
        per_minute = 0
        users = { everyone = 1, "two words" = 2, Here = 3 }
        roles = { "dot." = 4, EVERYONE = 5, ok = "mods" }
        aliases = { here = "mods", all = "@mods" }
        "#
    ), @r#"
    DIR/config.toml:10: mentions.per_minute: out of range: 1 to 20
    DIR/config.toml:11: mentions.users.Here: `@Here` never pings from a game; a role of your own reaches as many
    DIR/config.toml:11: mentions.users.everyone: `@everyone` never pings from a game; a role of your own reaches as many
    DIR/config.toml:11: mentions.users.two words: `two words` cannot be written behind an `@`; use at most 32 letters, digits, `_`, `-` or `.`, the last of them a letter, a digit or `_`
    DIR/config.toml:12: mentions.roles.EVERYONE: `@EVERYONE` never pings from a game; a role of your own reaches as many
    DIR/config.toml:12: mentions.roles.dot.: `dot.` cannot be written behind an `@`; use at most 32 letters, digits, `_`, `-` or `.`, the last of them a letter, a digit or `_`
    DIR/config.toml:12: mentions.roles.ok: expected the id of a user or a role, the number Discord gives by "Copy ID", found the text "mods"
    DIR/config.toml:13: mentions.aliases.all: expected a name from `mentions.users` or `mentions.roles`, found the text "@mods"
    DIR/config.toml:13: mentions.aliases.here: `@here` never pings from a game; a role of your own reaches as many
    "#);
}

#[test]
fn a_name_means_one_and_an_alias_means_somebody() {
    insta::assert_snapshot!(errors(
        r#"
        [mentions]
        users = { alice = 1 }
        roles = { Alice = 2, mods = 3 }
        aliases = { mods = "alice", helpers = "nobody" }
        "#
    ), @r#"
    DIR/config.toml:11: mentions.roles.alice: a user in `mentions.users` has this name
    DIR/config.toml:12: mentions.aliases.helpers: `nobody` is neither in `mentions.users` nor in `mentions.roles`
    DIR/config.toml:12: mentions.aliases.mods: a user, a role or another alias has this name
    "#);
}

#[test]
fn a_template_lets_the_relay_know_its_own_words_and_is_no_command() {
    let template = |key: &str, text: &str| errors(&format!("\n[chat]\n{key} = '{text}'\n"));
    insta::assert_snapshot!([
        template("template", "/c game.print({text})"),
        template("template", " /[Discord] {text}"),
        template("template", "[color=red]/sc [Discord] {text}"),
        template("template", "{name}: {text}"),
        template("template", "[Discord] {name}"),
        template("template", "[Discord] {server} {text}"),
        template("server_template", "/[Relay] {text}"),
        template("server_template", "[Discord] {text}"),
    ].join("\n"), @r#"
    DIR/config.toml:10: chat.template: it must begin with `[Discord]`: by that the relay knows its own words in the game's log, and does not repeat them
    DIR/config.toml:10: chat.template: it must begin with `[Discord]`: by that the relay knows its own words in the game's log, and does not repeat them
    DIR/config.toml:10: chat.template: it must begin with `[Discord]`: by that the relay knows its own words in the game's log, and does not repeat them
    DIR/config.toml:10: chat.template: it must begin with `[Discord]`: by that the relay knows its own words in the game's log, and does not repeat them
    DIR/config.toml:10: chat.template: `{text}` must stand in it once
    DIR/config.toml:10: chat.template: it knows `{name}` and `{text}` only
    DIR/config.toml:10: chat.server_template: it must begin with `[Relay]`: by that the relay knows its own words in the game's log, and does not repeat them
    DIR/config.toml:10: chat.server_template: it must begin with `[Relay]`: by that the relay knows its own words in the game's log, and does not repeat them
    "#);
    for good in ["[Discord] {name}: {text}", "[color=#7289DA][Discord][/color] {text}"] {
        settings(&format!("{GOOD}\n[chat]\ntemplate = '{good}'\n"));
    }
}

#[test]
fn limits_of_chat_are_told_with_their_ranges() {
    insta::assert_snapshot!(errors(
        r#"
        [chat]
        emoji = "drop"
        max_lines = 0
        max_length = 401
        allowed_bots = "robot"
        flood_messages = 0
        flood_window = "1h"
        "#
    ), @r#"
    DIR/config.toml:10: chat.emoji: expected `keep` or `name`, found the text "drop"
    DIR/config.toml:11: chat.max_lines: out of range: 1 to 20
    DIR/config.toml:12: chat.max_length: out of range: 20 to 400
    DIR/config.toml:13: chat.allowed_bots: expected the id of a bot or a webhook, or a list of them, found the text "robot"
    DIR/config.toml:14: chat.flood_messages: out of range: 1 to 100
    DIR/config.toml:15: chat.flood_window: out of range: 1s to 10m
    "#);
}

#[test]
fn rules_of_the_chat_are_read() {
    let chat = settings(&format!(
        "{GOOD}[chat]\nignore = [\"!\", \"/^brb$/\"]\nrequire_roles = [11, \"12\"]\nblock_roles = 13\ndelay = \"2s\"\nthreads = \"relay\"\n"
    ))
    .chat;
    assert!(chat.ignore.iter().any(|rule| rule.matches("!play")) && chat.ignore.iter().any(|rule| rule.matches("brb")));
    assert!(!chat.ignore.iter().any(|rule| rule.matches("hello! brb soon")));
    assert_eq!((chat.roles.require, chat.roles.block), ([11, 12].into(), [13].into()));
    assert_eq!((chat.delay, chat.threads), (Duration::from_secs(2), ThreadChat::Relay));
    let chat = settings(GOOD).chat;
    assert!(chat.ignore.is_empty() && chat.roles.is_empty() && chat.delay.is_zero());
    assert_eq!(chat.threads, ThreadChat::Ignore);
}

#[test]
fn rules_of_the_chat_that_cannot_be_used_are_refused() {
    insta::assert_snapshot!(errors(
        r#"
        [chat]
        ignore = ["!", "/(?<=x)y/", "/(/", "/a{1000}{1000}{1000}/"]
        require_roles = "mods"
        delay = "31s"
        threads = "all"
        "#
    ), @r#"
    DIR/config.toml:10: chat.ignore[1]: not a valid regex: look-around, including look-ahead and look-behind, is not supported
    DIR/config.toml:10: chat.ignore[2]: not a valid regex: unclosed group
    DIR/config.toml:10: chat.ignore[3]: not a valid regex: Compiled regex exceeds size limit of 1048576 bytes.
    DIR/config.toml:11: chat.require_roles: expected the id of a role, or a list of them, found the text "mods"
    DIR/config.toml:12: chat.delay: out of range: 0s to 30s
    DIR/config.toml:13: chat.threads: expected `ignore` or `relay`, found the text "all"
    "#);
    insta::assert_snapshot!(errors("[chat]\ndelay = \"5s\"\n[relay]\ninbound_ttl = \"5s\"\n"), @"DIR/config.toml:9: chat.delay: must be shorter than relay.inbound_ttl: a message would expire before it is relayed");
}
