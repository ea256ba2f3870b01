//! `@name` in the game's chat to a ping in Discord: only names of `[mentions]`, only so many per player. Pure.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::markup;
use crate::config::settings::{MentionSettings, MentionTarget};
use crate::domain::Mentions;

/// The window of `mentions.per_minute`.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// Players remembered; beyond, those are forgotten who pinged nobody of late.
const PLAYERS: usize = 256;

/// Chat as Discord markdown, with whom it may ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) markdown: String,
    pub(super) mentions: Mentions,
}

/// Who pinged when, by the time of the log. A restart forgets it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pings(BTreeMap<String, VecDeque<Timestamp>>);

impl Pings {
    /// Whether `player` may ping once more at `at`; if so, it is counted.
    fn admit(&mut self, player: &str, at: Timestamp, per_minute: usize) -> bool {
        let recent = |then: &Timestamp| at.duration_since(*then).abs() < WINDOW;
        if self.0.len() >= PLAYERS {
            self.0.retain(|_, pings| pings.back().is_some_and(recent));
        }
        let pings = self.0.entry(player.to_owned()).or_default();
        pings.retain(recent);
        let admitted = pings.len() < per_minute;
        if admitted {
            pings.push_back(at);
        }
        admitted
    }
}

/// What `player` said at `at`, with the names that mean somebody as mentions. A name that is one too many for this
/// minute stays as it was typed.
pub(super) fn mark(settings: &MentionSettings, pings: &mut Pings, player: &str, text: &str, at: Timestamp) -> Marked {
    let mut marked = Marked { markdown: String::new(), mentions: Mentions::default() };
    let readable = markup::to_plain(text);
    let mut rest = readable.as_str();
    let mut plain_from = 0;
    while let Some((start, name, target)) = next_name(settings, &readable, readable.len() - rest.len()) {
        let end = start + 1 + name.len();
        rest = &readable[end..];
        if !pings.admit(player, at, settings.per_minute) {
            continue;
        }
        marked.markdown.push_str(&markup::to_discord(&readable[plain_from..start]));
        marked.push(target);
        plain_from = end;
    }
    marked.markdown.push_str(&markup::to_discord(&readable[plain_from..]));
    marked
}

impl Marked {
    fn push(&mut self, target: MentionTarget) {
        match target {
            MentionTarget::User(id) => {
                self.mentions.users.insert(id);
                self.markdown.extend(["<@", &id.to_string(), ">"]);
            }
            MentionTarget::Role(id) => {
                self.mentions.roles.insert(id);
                self.markdown.extend(["<@&", &id.to_string(), ">"]);
            }
        }
    }
}

/// The next `@name` at or behind `from` that means somebody: at the start of a word, and whole.
fn next_name<'a>(settings: &MentionSettings, text: &'a str, from: usize) -> Option<(usize, &'a str, MentionTarget)> {
    text[from..].match_indices('@').find_map(|(at, _)| {
        let at = from + at;
        let begins = text[..at].chars().next_back().is_none_or(char::is_whitespace);
        let behind = &text[at + 1..];
        let length = behind.find(|c: char| !is_name(c)).unwrap_or(behind.len());
        // The end of a sentence may follow.
        let name = behind[..length].trim_end_matches(['.', '-']);
        let target = settings.names.get(&name.to_lowercase()).copied().filter(|_| begins)?;
        Some((at, name, target))
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn settings(per_minute: usize) -> MentionSettings {
        let names = [
            ("alice", MentionTarget::User(11)),
            ("mods", MentionTarget::Role(22)),
            ("helpers", MentionTarget::Role(22)),
            ("x.y", MentionTarget::User(33)),
        ];
        MentionSettings { per_minute, names: names.map(|(name, target)| (name.to_owned(), target)).into() }
    }

    fn marked(text: &str) -> String {
        mark(&settings(20), &mut Pings::default(), "Bob", text, Timestamp::UNIX_EPOCH).markdown
    }

    #[test]
    fn only_whole_names_of_the_list_ping() {
        let said = [
            "@alice look",
            "hey @MODS!",
            "@helpers. @x.y... @x.",
            "@modsquad bob@mods http://a/@mods (@mods) @everyone @here @bob",
            "[color=red]@mods[/color] **@alice**",
            "@alice@mods @alice @alice",
            "@\u{200b}alice",
            "<@11> <@&22>",
        ];
        insta::assert_snapshot!(said.map(marked).join("\n").replace('\u{200b}', "(200b)"), @r"
        <@11> look
        hey <@&22>!
        <@&22>. <@33>... @x.
        @modsquad bob@mods <http://a/@mods> (@mods) @(200b)everyone @(200b)here @bob
        <@&22> \*\*@alice\*\*
        <@11>@mods <@11> <@11>
        <@11>
        \<@11> \<@&22>
        ");
    }

    #[test]
    fn a_player_who_pings_too_often_is_read_and_not_heard() {
        let (settings, mut pings) = (settings(2), Pings::default());
        let mut say = |player: &str, second: i64| {
            let at = Timestamp::from_second(second).unwrap();
            mark(&settings, &mut pings, player, "@mods help @alice", at).markdown
        };
        assert_eq!(say("Bob", 0), "<@&22> help <@11>");
        assert_eq!(say("Bob", 59), "@mods help @alice");
        assert_eq!(say("Ann", 59), "<@&22> help <@11>");
        assert_eq!(say("Bob", 60), "<@&22> help <@11>");
    }

    fn chat() -> impl Strategy<Value = String> {
        let pieces = [
            "@",
            "alice",
            "mods",
            "x.y",
            " ",
            "<@11>",
            "<@&22>",
            "<@&99>",
            "@everyone",
            "*",
            "[",
            "]",
            "(",
            "\\",
            "\u{200b}",
            "é",
        ];
        let dense = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..16).prop_map(|v| v.concat());
        prop_oneof![dense, any::<String>()]
    }

    /// The mentions that Discord would see: an escaped bracket opens none.
    fn live(markdown: &str) -> Mentions {
        let mut found = Mentions::default();
        for mention in Regex::new(r"(\\*)<@(&?)!?(\d+)>").unwrap().captures_iter(markdown) {
            if mention[1].len() % 2 == 0 {
                let ids = if &mention[2] == "&" { &mut found.roles } else { &mut found.users };
                ids.insert(mention[3].parse().unwrap());
            }
        }
        found
    }

    proptest! {
        #[test]
        fn what_can_ping_is_exactly_what_is_allowed(text in chat()) {
            let marked = mark(&settings(20), &mut Pings::default(), "Bob", &text, Timestamp::UNIX_EPOCH);
            prop_assert_eq!(live(&marked.markdown), marked.mentions, "{}", marked.markdown);
            prop_assert!(!marked.markdown.to_lowercase().contains("@everyone"));
        }

        #[test]
        fn without_a_list_nobody_is_pinged(text in chat()) {
            let nobody = MentionSettings { per_minute: 3, ..MentionSettings::default() };
            let marked = mark(&nobody, &mut Pings::default(), "Bob", &text, Timestamp::UNIX_EPOCH);
            prop_assert_eq!(live(&marked.markdown), Mentions::default());
            prop_assert!(marked.mentions.is_empty());
        }
    }
}
