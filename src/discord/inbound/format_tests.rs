use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::settings::{EmojiStyle, RoleRules, ThreadChat};
use crate::discord::inbound::heard::{Author, Contents, Extra};
use crate::domain::{ChannelId, ChatTemplate, RELAY_PREFIXES, ServerTag};
use crate::events::rich_text::readable;
use crate::rcon::{Command, CommandLine, lua_command};

fn settings() -> ChatSettings {
    ChatSettings {
        feeds: BTreeMap::new(),
        template: ChatTemplate::from_discord("[Discord] {name}: {text}").unwrap(),
        emoji: EmojiStyle::Keep,
        max_lines: 5,
        max_length: 60,
        allowed_bots: [].into(),
        flood_messages: 5,
        flood_window: Duration::from_secs(10),
        ignore: Vec::new(),
        roles: RoleRules::default(),
        delay: Duration::ZERO,
        threads: ThreadChat::Ignore,
        games: ["a", "b", "c"].map(|tag| (ServerTag::new(tag).unwrap(), format!("Game [{tag}]"))).into(),
        server_template: ChatTemplate::from_game("[Relay] {name} ({server}): {text}").unwrap(),
        ttl: Duration::from_mins(5),
    }
}

fn heard(text: &str) -> Heard {
    Heard {
        id: 1 << 22,
        channel: ChannelId::new(7).unwrap(),
        author: Author::Person(5),
        application: None,
        guild: None,
        name: "Ann".to_owned(),
        roles: None,
        contents: Contents { text: text.to_owned(), ..Contents::default() },
        users: BTreeMap::new(),
        quote: None,
        edited: None,
        loading: false,
    }
}

fn typed(text: &str) -> Contents {
    Contents { text: text.to_owned(), ..Contents::default() }
}

fn showing(extra: Extra) -> Heard {
    Heard { contents: Contents { extras: vec![extra], ..Contents::default() }, ..heard("") }
}

fn said(heard: &Heard) -> String {
    lines(heard, &Names::default(), &settings(), false, 99).join("\n")
}

fn files(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{n}.png")).collect()
}

fn quote(author: u64, text: &str) -> Quote {
    Quote { author, name: "Bob".to_owned(), contents: typed(text) }
}

#[test]
fn a_message_is_said_line_by_line() {
    insta::assert_snapshot!(said(&heard("/c game.print(1)\n[color=red]two[/color]")), @"
    [Discord] Ann: /c game.print(1)
    [Discord] Ann: ［color=red］two［/color］
    ");
    insta::assert_snapshot!(said(&heard("1\n2\n3\n4\n5\n6\n7\n8")), @"
    [Discord] Ann: 1
    [Discord] Ann: 2
    [Discord] Ann: 3
    [Discord] Ann: 4
    [Discord] Ann: 5 (+3 lines)
    ");
    insta::assert_snapshot!(said(&heard(&"long ".repeat(30))), @"[Discord] Ann: long long long long long long long long long long long long…");
}

#[test]
fn files_and_stickers_are_named() {
    let with = |text: &str, count| Heard { contents: Contents { files: files(count), ..typed(text) }, ..heard(text) };
    insta::assert_snapshot!([
        said(&with("look", 1)),
        said(&with("", 2)),
        said(&with("", 5)),
        said(&Heard { contents: Contents { stickers: vec!["Wave\n[x]".to_owned()], ..typed("") }, ..heard("") }),
    ].join("\n"), @"
    [Discord] Ann: look
    [Discord] Ann: (file: 1.png)
    [Discord] Ann: (files: 1.png, 2.png)
    [Discord] Ann: (files: 1.png, 2.png, 3.png +2)
    [Discord] Ann: (sticker: Wave ［x］)
    ");
    assert_eq!(said(&heard(" \n\u{200b}")), "");
}

#[test]
fn forwards_polls_and_embeds_are_one_line_each() {
    let poll = |answers: &[&str]| Extra::Poll {
        question: "Which **planet** next?".to_owned(),
        answers: answers.iter().map(ToString::to_string).collect(),
    };
    let result = |winner: Option<&str>| Extra::PollResult {
        question: "Which planet next?".to_owned(),
        winner: winner.map(ToOwned::to_owned),
    };
    let forwarded = Contents { files: files(1), ..typed("copy me\nthat [item=iron-ore]") };
    insta::assert_snapshot!([
        showing(Extra::Forward(Box::new(forwarded))),
        showing(Extra::Forward(Box::default())),
        showing(poll(&["Gleba", "Fulgora"])),
        showing(poll(&[])),
        showing(result(Some("Gleba"))),
        showing(result(None)),
        showing(Extra::Card("Release 2.1.12: Fixed a *crash*\n- and more".to_owned())),
        Heard { contents: Contents { extras: vec![Extra::Card("x".to_owned()); 5], ..typed("look") }, ..heard("") },
    ].map(|heard| said(&heard)).join("\n"), @"
    [Discord] Ann: ↷ forwarded: copy me that ［item=iron-ore］ (file: 1.png)
    [Discord] Ann: ↷ forwarded: (a message that cannot be shown here)
    [Discord] Ann: (poll: Which planet next? Gleba / Fulgora)
    [Discord] Ann: (poll: Which planet next?)
    [Discord] Ann: (poll closed: Which planet next? Gleba)
    [Discord] Ann: (poll closed: Which planet next? a draw)
    [Discord] Ann: Release 2.1.12: Fixed a crash - and more
    [Discord] Ann: look
    [Discord] Ann: x
    [Discord] Ann: x
    [Discord] Ann: x (+2 more)
    ");
}

#[test]
fn a_reply_to_a_message_without_text_says_what_it_quotes() {
    let reply = |contents| {
        let quote = Quote { author: 5, name: "Bob".to_owned(), contents };
        said(&Heard { quote: Some(quote), ..heard("yes") }).lines().next().unwrap_or_default().to_owned()
    };
    insta::assert_snapshot!([
        reply(Contents { extras: vec![Extra::Card("Release 2.1.12: Fixed a crash that was old".to_owned())], ..typed("") }),
        reply(Contents { files: files(1), ..typed("") }),
        reply(Contents { stickers: vec!["Wave".to_owned()], ..typed("") }),
    ].join("\n"), @"
    [Discord] Ann: ↪ Bob: Release 2.1.12: Fixed a crash that was…
    [Discord] Ann: ↪ Bob: (file: 1.png)
    [Discord] Ann: ↪ Bob: (sticker: Wave)
    ");
}

#[test]
fn a_reply_quotes_the_first_words() {
    let reply = |author, text: &str| said(&Heard { quote: Some(quote(author, text)), ..heard("yes") });
    insta::assert_snapshot!([
        reply(5, "first words\nand more"),
        reply(5, "the quick brown fox jumps over the lazy dog"),
        reply(5, ""),
        reply(99, "**Carl**: my\\_base \\[x\\]\n**Dan**: hi"),
    ].join("\n"), @r#"
    [Discord] Ann: ↪ Bob: "first words"
    [Discord] Ann: yes
    [Discord] Ann: ↪ Bob: "the quick brown fox jumps over the lazy…"
    [Discord] Ann: yes
    [Discord] Ann: ↪ Bob
    [Discord] Ann: yes
    [Discord] Ann: ↪ "Carl: my_base ［x］"
    [Discord] Ann: yes
    "#);
}

#[test]
fn an_edit_is_marked_and_quotes_nothing() {
    let edited = Heard { quote: Some(quote(5, "first")), ..heard("new\ntext") };
    let said = lines(&edited, &Names::default(), &settings(), true, 99);
    assert_eq!(said, ["[Discord] Ann: * new", "[Discord] Ann: text"]);
}

#[test]
fn what_a_player_says_reaches_the_other_games() {
    let chat = |server: &str, message: &str| PlayerChat {
        server: ServerTag::new(server).unwrap(),
        player: "Bob".to_owned(),
        message: message.to_owned(),
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let told = for_other_games(&chat("b", "see [gps=1,2]"), &settings());
    let told: Vec<_> = told.iter().map(|chat| format!("{} {}", chat.server, chat.lines.join("|"))).collect();
    assert_eq!(told, ["a", "c"].map(|tag| format!("{tag} [Relay] Bob (Game ［b］): see ［gps=1,2］")));
    assert_eq!(for_other_games(&chat("deaf", "hi"), &settings()), []);
    assert_eq!(for_other_games(&chat("b", " \u{200b}"), &settings()), []);
}

/// Texts that are dense in what a game or its log reacts to.
fn tricky() -> impl Strategy<Value = String> {
    let pieces = [
        "/",
        "／",
        "\u{2044}",
        "c ",
        "sc ",
        "silent-command ",
        "\n",
        "\r",
        "\u{2028}",
        "\u{85}",
        "\0",
        "\u{200b}",
        "\u{feff}",
        "\u{202e}",
        " ",
        "[",
        "]",
        "color=red",
        "[Discord]",
        "[Relay]",
        "<server>: ",
        "<@1>",
        "<#2>",
        "<@&3>",
        "<:kek:9>",
        "👍",
        "\u{200d}",
        "\u{fe0f}",
        "é",
        "x",
        "{text}",
        "{name}",
        ":",
    ];
    let dense = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40).prop_map(|v| v.concat());
    prop_oneof![dense, any::<String>()]
}

fn check(line: &str) -> Result<(), TestCaseError> {
    let sent = CommandLine::from(Command::Say { text: ChatText::new(line).unwrap() });
    prop_assert_eq!(sent.as_str(), line, "nothing is left to clean");
    prop_assert!(!line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "one line: {:?}", line);
    prop_assert!(!line.trim_start().starts_with('/') && lua_command(line).is_none(), "no command: {:?}", line);
    let shown = readable(line);
    prop_assert!(RELAY_PREFIXES.iter().any(|prefix| shown.starts_with(prefix)), "an echo: {:?}", line);
    prop_assert_eq!(line.matches(['[', ']']).count(), 2, "no rich text but the template's: {:?}", line);
    prop_assert!(line.chars().count() <= 500);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_is_written_in_discord_is_plain_chat(
        text in tricky(), name in tricky(), quoted in tricky(), file in tricky(), user in tricky(),
        edited: bool, named: bool,
    ) {
        let emoji = if named { EmojiStyle::Name } else { EmojiStyle::Keep };
        let extras = vec![
            Extra::Card(quoted.clone()),
            Extra::Forward(Box::new(typed(&file))),
            Extra::Poll { question: name.clone(), answers: vec![quoted.clone()] },
        ];
        let quote = Some(Quote { author: 5, name: name.clone(), contents: typed(&quoted) });
        let contents = Contents { files: vec![file], extras, ..typed(&text) };
        let message = Heard { name, contents, quote, ..heard(&text) };
        let called = |id: u64| [(id, user.clone())].into();
        let names = Names { users: called(1), channels: called(2), roles: called(3) };
        let said = lines(&message, &names, &ChatSettings { emoji, ..settings() }, edited, 99);
        prop_assert!(said.len() <= 5 + 2 + 3, "{:?}", said);
        for line in &said {
            check(line)?;
        }
    }

    #[test]
    fn whatever_is_said_in_a_game_is_plain_chat_in_the_others(player in tricky(), message in tricky()) {
        let chat = PlayerChat { server: ServerTag::new("a").unwrap(), player, message, at: jiff::Timestamp::UNIX_EPOCH };
        for line in for_other_games(&chat, &settings()).iter().flat_map(|chat| &chat.lines) {
            check(line)?;
        }
    }
}
