use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::*;
use crate::config::settings::{EmojiStyle, IgnoreRule, RoleRules, ThreadChat};
use crate::discord::inbound::heard::{Contents, first_id_at};
use crate::domain::{ChannelId, ChatTemplate};

const OWN: u64 = 99;

fn tag(name: &str) -> ServerTag {
    ServerTag::new(name).unwrap()
}

pub(in crate::discord::inbound) fn settings() -> ChatSettings {
    let channel = |id| ChannelId::new(id).unwrap();
    ChatSettings {
        feeds: [(channel(1), vec![tag("a"), tag("b")]), (channel(2), vec![tag("b")])].into(),
        template: ChatTemplate::from_discord("[Discord] {name}: {text}").unwrap(),
        emoji: EmojiStyle::Keep,
        max_lines: 5,
        max_length: 300,
        allowed_bots: BTreeSet::from([50, 60, OWN]),
        flood_messages: 2,
        flood_window: Duration::from_secs(10),
        ignore: Vec::new(),
        roles: RoleRules::default(),
        delay: Duration::ZERO,
        threads: ThreadChat::Ignore,
        games: BTreeMap::new(),
        server_template: ChatTemplate::from_game("[Relay] {text}").unwrap(),
        ttl: Duration::from_mins(5),
    }
}

fn message(channel: u64, author: Author, second: i64, text: &str) -> Heard {
    Heard {
        id: first_id_at(Timestamp::from_second(1_800_000_000 + second).unwrap()) + author.id(),
        channel: ChannelId::new(channel).unwrap(),
        author,
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

fn verdict(ears: &mut Ears, heard: &Heard) -> Verdict {
    let settings = settings();
    ears.judge(&mut heard.clone(), settings.feeds.get(&heard.channel), &settings, OWN)
}

fn says(author: Author) -> Verdict {
    verdict(&mut Ears::default(), &message(2, author, 0, "hello"))
}

#[test]
fn channels_feed_games_many_to_many() {
    let said_in = |channel| verdict(&mut Ears::default(), &message(channel, Author::Person(1), 0, "hi"));
    assert_eq!(said_in(1), Verdict::Say(vec![tag("a"), tag("b")]));
    assert_eq!(said_in(2), Verdict::Say(vec![tag("b")]));
    assert_eq!(said_in(3), Verdict::Ignored(Reason::Channel));
}

#[test]
fn bots_and_webhooks_are_heard_only_where_they_are_allowed() {
    assert_eq!(says(Author::Person(1)), Verdict::Say(vec![tag("b")]));
    assert_eq!(says(Author::Bot(1)), Verdict::Ignored(Reason::Bot));
    assert_eq!(says(Author::Webhook(1)), Verdict::Ignored(Reason::Bot));
    assert_eq!(says(Author::Bot(50)), Verdict::Say(vec![tag("b")]));
    assert_eq!(says(Author::Webhook(60)), Verdict::Say(vec![tag("b")]));
}

#[test]
fn the_bot_never_hears_itself() {
    assert_eq!(says(Author::Bot(OWN)), Verdict::Ignored(Reason::Own), "whatever the list says");
    let webhook = Heard { application: Some(OWN), ..message(2, Author::Webhook(60), 0, "hello") };
    assert_eq!(verdict(&mut Ears::default(), &webhook), Verdict::Ignored(Reason::Own));
}

#[test]
fn who_writes_too_much_is_cut_and_heard_again_later() {
    let mut ears = Ears::default();
    let mut at = |author, second| verdict(&mut ears, &message(2, Author::Person(author), second, "spam"));
    let heard = Verdict::Say(vec![tag("b")]);
    assert_eq!([at(1, 0), at(1, 1)], [heard.clone(), heard.clone()]);
    assert_eq!([at(1, 2), at(1, 3)], [Verdict::Flood, Verdict::Flood]);
    assert_eq!(at(2, 3), heard, "others are heard");
    assert_eq!(at(1, 10), heard, "the first was 10 s ago");
    assert_eq!(at(1, 10), heard, "the same message again is judged the same");
}

#[test]
fn who_edits_too_much_is_not_heard_for_a_while() {
    let (mut ears, settings) = (Ears::default(), settings());
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
    let mut admits =
        |author, second| ears.admits_edit(&message(2, Author::Person(author), 0, "spam"), at(second), &settings);
    assert!(admits(1, 1) && admits(1, 2));
    assert!(!admits(1, 3) && !admits(1, 4));
    assert!(admits(1, 2), "the same edit again");
    assert!(admits(2, 3), "others are heard");
    assert!(admits(1, 11), "the first was 10 s ago");
}

#[test]
fn five_messages_of_a_channel_get_a_reaction_within_the_window() {
    let mut ears = Ears::default();
    let mut at = |channel, second| {
        ears.admits_reaction(&message(channel, Author::Person(1), second, "x"), settings().flood_window)
    };
    assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|second| at(1, second)), [true, true, true, true, true, false, false]);
    assert!(at(1, 4), "the same message again");
    assert!(at(2, 6), "another channel");
    assert!(at(1, 11), "the first was more than 10 s ago");
}

#[test]
fn ignored_text_and_roles_are_refused() {
    let ignore = ["!", "/(?i)^\\s*brb\\b/"].map(|rule| IgnoreRule::parse(rule).unwrap());
    let role_rules = RoleRules { require: [1, 2].into(), block: [3].into() };
    let settings = ChatSettings { ignore: ignore.into(), roles: role_rules, ..settings() };
    let judge = |author: Author, roles: Option<&[u64]>, text: &str| {
        let roles = roles.map(|roles| roles.iter().copied().collect());
        let mut heard = Heard { roles, ..message(2, author, 0, text) };
        let games = settings.feeds.get(&heard.channel);
        Ears::default().judge(&mut heard, games, &settings, OWN)
    };
    let (ann, said) = (Author::Person(1), Verdict::Say(vec![tag("b")]));
    assert_eq!(judge(ann, Some(&[2, 9]), "hello!"), said);
    assert_eq!(judge(ann, Some(&[2]), "!play"), Verdict::Ignored(Reason::IgnoreRule));
    assert_eq!(judge(ann, Some(&[2]), " BRB soon"), Verdict::Ignored(Reason::IgnoreRule));
    for roles in [Some(&[9][..]), Some(&[1, 3]), Some(&[]), None] {
        assert_eq!(judge(ann, roles, "hello"), Verdict::Ignored(Reason::Roles), "{roles:?}");
    }
    assert_eq!(judge(Author::Bot(50), None, "hello"), said, "bots are allowed by their id");
    assert!(IgnoreRule::parse("/(/").is_err());
    assert!(IgnoreRule::parse("//").unwrap().matches("// x"));
}

#[test]
fn a_webhook_is_allowed_by_its_application() {
    let webhook = Heard { application: Some(50), ..message(2, Author::Webhook(7), 0, "hello") };
    assert_eq!(verdict(&mut Ears::default(), &webhook), Verdict::Say(vec![tag("b")]));
}
