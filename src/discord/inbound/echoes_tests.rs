//! Two relays in one channel and one game: whatever the other one makes of our words, they come to rest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::settings::EmojiStyle;
use crate::discord::inbound::clean::Names;
use crate::discord::inbound::format;
use crate::discord::inbound::heard::{Author, Contents, first_id_at};
use crate::discord::inbound::routes::tests::settings;
use crate::discord::inbound::routes::{Ears, Reason, Verdict};
use crate::domain::{ChannelId, ChatTemplate, ServerTag};

const OWN: u64 = 99;
const OTHER: u64 = 50;

/// A relay that takes bots for people, and our words in the game for the server's.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "habits that go with each other in any way")]
struct Other {
    /// It drops what is in square brackets, as rich text.
    drops_mark: bool,
    /// It drops a name in front.
    drops_name: bool,
    escapes: bool,
    lower_case: bool,
    before: String,
    behind: String,
    longest: usize,
    folds: bool,
}

impl Other {
    /// What it writes into the channel for lines of the game.
    fn posts(&self, lines: &[String]) -> Vec<String> {
        let posts: Vec<String> = lines.iter().map(|line| self.post(line)).collect();
        if self.folds { vec![posts.join("\n")] } else { posts }
    }

    fn post(&self, line: &str) -> String {
        let mut said = line.to_owned();
        if self.drops_mark {
            said = said.replacen("[Discord]", "", 1).trim().to_owned();
        }
        if self.drops_name {
            said = said.split_once(": ").map_or_else(|| said.clone(), |(_, words)| words.to_owned());
        }
        if self.escapes {
            let escape = |c: char| ['\\'].into_iter().filter(move |_| "*_~`[]|>#".contains(c)).chain([c]);
            said = said.chars().flat_map(escape).collect();
        }
        if self.lower_case {
            said = said.to_lowercase();
        }
        format!("{}{said}{}", self.before, self.behind).chars().take(self.longest).collect()
    }
}

fn heard(author: Author, second: i64, n: u64, text: &str) -> Heard {
    Heard {
        id: first_id_at(Timestamp::from_second(1_800_000_000 + second).unwrap()) + n,
        channel: ChannelId::new(2).unwrap(),
        author,
        application: None,
        guild: None,
        name: if matches!(author, Author::Person(_)) { "Ann".to_owned() } else { "Relay B".to_owned() },
        roles: None,
        contents: Contents { text: text.to_owned(), ..Contents::default() },
        users: BTreeMap::new(),
        quote: None,
        edited: None,
        loading: false,
    }
}

fn games_of(chat: &crate::config::settings::ChatSettings) -> Option<&Vec<ServerTag>> {
    chat.feeds.get(&ChannelId::new(2).unwrap())
}

/// How many messages of the other relay go into the game after Ann's, until there is silence; or a thousand.
fn rounds(other: &Other, template: &str, text: &str, seconds: i64) -> usize {
    let chat = crate::config::settings::ChatSettings {
        template: ChatTemplate::from_discord(template).unwrap(),
        emoji: EmojiStyle::Keep,
        flood_messages: 1000,
        ..settings()
    };
    let mut ears = Ears::default();
    let mut waiting = VecDeque::from([heard(Author::Person(1), 0, 0, text)]);
    let (mut n, mut echoes) = (0, 0);
    while let Some(mut message) = waiting.pop_front().filter(|_| echoes < 1000) {
        if !matches!(ears.judge(&mut message, games_of(&chat), &chat, OWN), Verdict::Say(_)) {
            continue;
        }
        let lines = format::lines(&message, &Names::default(), &chat, false, OWN);
        ears.note_said(&message, &lines);
        echoes += usize::from(matches!(message.author, Author::Bot(_)) && !lines.is_empty());
        for post in other.posts(&lines) {
            n += 1;
            waiting.push_back(heard(Author::Bot(OTHER), i64::try_from(n).unwrap() * seconds, n, &post));
        }
    }
    echoes
}

fn plain() -> Other {
    Other {
        drops_mark: false,
        drops_name: false,
        escapes: false,
        lower_case: false,
        before: "**Server**: ".to_owned(),
        behind: String::new(),
        longest: 2000,
        folds: false,
    }
}

#[test]
fn a_relay_that_repeats_us_is_not_heard_at_all() {
    let template = "[Discord] {name}: {text}";
    for text in ["hi", "👍", "?", "one\ntwo\n1\n2\n3\n4\n5", "<@5> look <:kek:9>", &"long ".repeat(100)] {
        assert_eq!(rounds(&plain(), template, text, 1), 0, "{text}");
        assert_eq!(rounds(&Other { escapes: true, lower_case: true, ..plain() }, template, text, 1), 0, "{text}");
    }
    let unmarked = Other { drops_mark: true, ..plain() };
    for text in ["hi", "👍", "one\ntwo", &"long ".repeat(100)] {
        assert_eq!(rounds(&unmarked, template, text, 1), 0, "{text}");
        assert_eq!(rounds(&unmarked, "[color=red][Discord][/color] {name}: {text}", text, 1), 0, "{text}");
    }
}

#[test]
fn another_person_with_the_same_words_is_heard() {
    let mut ears = Ears::default();
    let mut say = |author, second, text: &str| {
        let mut message = heard(author, second, 7, text);
        let verdict = ears.judge(&mut message, games_of(&settings()), &settings(), OWN);
        if matches!(verdict, Verdict::Say(_)) {
            let lines = format::lines(&message, &Names::default(), &settings(), false, OWN);
            ears.note_said(&message, &lines);
        }
        message.contents.text
    };
    say(Author::Person(1), 0, "gg");
    let bot = Author::Bot(OTHER);
    assert_eq!(say(bot, 1, "**Bob**: gg"), "**Bob**: gg");
    assert_eq!(say(bot, 2, "**Bob**: gg wp"), "**Bob**: gg wp");
    assert_eq!(say(bot, 3, "**Bob**: gg"), "**Bob**: gg", "twice");
    assert_eq!(say(bot, 4, "Server: Ann: gg\n**Bob**: no"), "**Bob**: no", "the echo alone is left out");
    assert_eq!(say(bot, 5, "**Bob**: wait\n**Carl**: Ann gg"), "**Bob**: wait\n**Carl**: Ann gg");
    assert_eq!(say(bot, 70, "**Ann**: gg"), "**Ann**: gg", "long after");
    assert_eq!(say(bot, 500, "Server: \\[Discord\\] Ann: gg"), "", "the mark is ours for ever");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_loop_lasts(
        (drops_mark, drops_name, escapes, lower_case, folds) in any::<(bool, bool, bool, bool, bool)>(),
        before in "(\\*\\*Server\\*\\*: |<Server> |\\[chat\\] |B \\| |)", behind in "( \\(via B\\)|!|)",
        longest in prop::sample::select(vec![40_usize, 200, 2000]),
        template in prop::sample::select(vec![
            "[Discord] {name}: {text}", "[Discord] {text}", "[color=red][Discord][/color] <{name}> {text}",
        ]),
        text in prop_oneof!["[a-z ?!👍*_\\[\\]]{1,20}", ".{1,400}", "(.{1,20}\n){1,8}"],
        seconds in 0..3_i64,
    ) {
        let other = Other { drops_mark, drops_name, escapes, lower_case, before, behind, longest, folds };
        let heard = rounds(&other, template, &text, seconds);
        prop_assert!(heard <= 12 * 5, "{} times: {:?}", heard, other);
        if !other.drops_mark && !other.drops_name && other.longest > 100 {
            prop_assert_eq!(heard, 0, "{:?}", other);
        }
    }
}

#[test]
fn a_relay_that_repeats_us_in_embeds_is_not_heard_at_all() {
    let (mut ears, settings) = (Ears::default(), settings());
    let ann = heard(Author::Person(1), 0, 0, "hello everybody out there");
    ears.note_said(&ann, &format::lines(&ann, &Names::default(), &settings, false, OWN));
    for card in ["**Server**: Ann: hello everybody out there", "[Discord] Bob: hi"] {
        let contents = Contents { extras: vec![Extra::Card(card.to_owned())], ..Contents::default() };
        let mut embed = Heard { contents, ..heard(Author::Bot(OTHER), 1, 1, "") };
        let verdict = ears.judge(&mut embed, games_of(&settings), &settings, OWN);
        assert_eq!(verdict, Verdict::Ignored(Reason::Echo), "{card}");
    }
}
