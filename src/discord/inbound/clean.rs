//! Discord's text as plain lines for a game: mentions and emoji as words, no rich text, nothing hidden. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use regex::Captures;

use super::markdown::{self, TAG};
use crate::config::settings::EmojiStyle;
use crate::domain::blueprint;

/// Characters of a name.
const MAX_NAME: usize = 32;
/// The most characters of one emoji: families and flags are sequences.
const EMOJI_CHARS: usize = 10;

/// What the ids in a text are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Users.
    pub users: BTreeMap<u64, String>,
    /// Roles.
    pub roles: BTreeMap<u64, String>,
    /// Channels.
    pub channels: BTreeMap<u64, String>,
}

/// The ids in a text whose names Discord does not send along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentioned {
    /// Users.
    pub users: BTreeSet<u64>,
    /// Roles.
    pub roles: BTreeSet<u64>,
    /// Channels.
    pub channels: BTreeSet<u64>,
}

impl Mentioned {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty() && self.channels.is_empty()
    }
}

/// The ids that `text` mentions.
#[must_use]
pub fn mentioned(text: &str) -> Mentioned {
    let mut ids = Mentioned::default();
    for found in text.match_indices('<').filter_map(|(at, _)| TAG.captures(&text[at..])) {
        ids.users.extend(number(&found, "user"));
        ids.roles.extend(number(&found, "role"));
        ids.channels.extend(number(&found, "channel"));
    }
    ids
}

fn number(found: &Captures<'_>, group: &str) -> Option<u64> {
    found.name(group)?.as_str().parse().ok()
}

/// The visible lines of a text that was written in Discord, without its markdown.
#[must_use]
pub fn lines(text: &str, names: &Names, emoji: EmojiStyle) -> Vec<String> {
    let summary = blueprint::summarize(text);
    let text = markdown::plain(summary.as_deref().unwrap_or(text), &|found| in_words(found, names));
    visible_lines(&text, emoji)
}

/// The visible lines of a text that a player typed in a game, where no markdown has a meaning.
#[must_use]
pub fn player_lines(text: &str, emoji: EmojiStyle) -> Vec<String> {
    visible_lines(blueprint::summarize(text).as_deref().unwrap_or(text), emoji)
}

fn visible_lines(text: &str, emoji: EmojiStyle) -> Vec<String> {
    let breaks = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
    let cleaned = text.split(breaks).map(|line| match emoji {
        EmojiStyle::Keep => plain(line),
        EmojiStyle::Name => plain(&named_emoji(line)),
    });
    cleaned.filter(|line| line.chars().any(is_seen)).collect()
}

/// A name on one line; somebody without a name that can be shown has one here.
#[must_use]
pub fn name(name: &str) -> String {
    let name = plain(&name.replace(['\n', '\r', '\u{2028}', '\u{2029}'], " "));
    if name.chars().any(is_seen) { cut(&name, MAX_NAME) } else { "somebody".to_owned() }
}

/// `text` with at most `most` characters, an ellipsis for what is left out.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    // Half an emoji would be another one.
    kept.trim_end_matches(|c: char| is_joiner(c) || c.is_whitespace()).to_owned() + "…"
}

fn in_words(found: &Captures<'_>, names: &Names) -> String {
    let called = |names: &BTreeMap<u64, String>, group: &str, unknown: &str| {
        number(found, group).and_then(|id| names.get(&id)).map_or_else(|| unknown.to_owned(), |known| name(known))
    };
    let text = |group| found.name(group).map(|found| found.as_str());
    if text("user").is_some() {
        format!("@{}", called(&names.users, "user", "unknown-user"))
    } else if text("role").is_some() {
        format!("@{}", called(&names.roles, "role", "unknown-role"))
    } else if text("channel").is_some() {
        format!("#{}", called(&names.channels, "channel", "unknown"))
    } else if let Some(emoji) = text("emoji") {
        format!(":{emoji}:")
    } else if let Some(seconds) = text("time") {
        let time = seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map_or_else(|| found[0].to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
    } else if let Some(page) = text("page") {
        server_page(page).to_owned()
    } else if text("sound").is_some() {
        "(sound)".to_owned()
    } else {
        text("command").or_else(|| text("link")).unwrap_or_default().to_owned()
    }
}

/// What a client shows for `<id:customize>` and its like.
fn server_page(page: &str) -> &'static str {
    match page {
        "customize" => "Channels & Roles",
        "browse" => "Browse Channels",
        "guide" | "home" => "Server Guide",
        "linked-roles" => "Linked Roles",
        _ => "(server page)",
    }
}

/// One line of what can be seen: rich text's brackets become their wide twins, which open nothing.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '[' => out.push('［'),
            ']' => out.push('］'),
            c if is_joiner(c) => {
                let before = out.chars().next_back();
                let in_keycap = before.is_some_and(is_key) && chars.peek() == Some(&KEYCAP);
                if in_keycap || before.is_some_and(|before| !before.is_ascii()) {
                    out.push(c);
                }
            }
            c if c.is_whitespace() => out.push(' '),
            c if is_hidden(c) => {}
            c => out.push(c),
        }
    }
    // A variation selector at the end belongs to the emoji before it.
    let begun = out.trim_start_matches(|c: char| c.is_whitespace() || is_joiner(c));
    begun.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{200d}').to_owned()
}

/// The frame of `1️⃣`.
const KEYCAP: char = '\u{20e3}';

/// The text inside such a frame.
fn is_key(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '#' | '*')
}

/// What emoji are joined by.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe0f}')
}

/// Controls and characters that nobody sees, or that reorder and hide others.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn is_seen(c: char) -> bool {
    !c.is_whitespace() && !is_hidden(c)
}

/// Emoji as `:name:`, the longest sequence first.
fn named_emoji(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let (taken, named) = emoji_at(rest).unwrap_or((c.len_utf8(), None));
        match named {
            Some(name) => out.extend([":", &name, ":"]),
            None => out.push(c),
        }
        rest = &rest[taken..];
    }
    out
}

/// How many bytes the emoji at the start of `text` has, and its name.
fn emoji_at(text: &str) -> Option<(usize, Option<String>)> {
    let mut chars = text.chars();
    let keycap = |next: Option<char>| next.is_some_and(|c| matches!(c, '\u{fe0f}' | '\u{20e3}'));
    if chars.next()?.is_ascii() && !keycap(chars.next()) {
        return None;
    }
    let ends: Vec<usize> = text.char_indices().take(EMOJI_CHARS).map(|(at, c)| at + c.len_utf8()).collect();
    ends.into_iter().rev().find_map(|end| {
        let emoji = emojis::get(&text[..end])?;
        let emoji = emoji.with_skin_tone(emojis::SkinTone::Default).unwrap_or(emoji);
        let spelled = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let name = emoji.shortcode().map_or_else(|| emoji.name().chars().map(spelled).collect(), ToOwned::to_owned);
        Some((end, Some(name)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let named = |id: u64, name: &str| BTreeMap::from([(id, name.to_owned())]);
        Names { users: named(1, "Ann [x]"), roles: named(2, "mods"), channels: named(3, "general") }
    }

    fn said(text: &str) -> String {
        lines(text, &names(), EmojiStyle::Keep).join(" / ")
    }

    #[test]
    fn ids_become_words() {
        insta::assert_snapshot!([
            "<@1> <@!1> <@9> <@&2> <@&9> <#3> <#9>",
            "<:kek:99> <a:party:99> <t:0:R> <t:0> </ban user:5> <https://a.b/c_d>",
            "<not markup> <@x> < @1>",
            "<id:customize> <id:browse> <id:guide> <id:linked-roles:5> <id:new-page> <sound:1:2>",
        ].map(said).join("\n"), @"
        @Ann ［x］ @Ann ［x］ @unknown-user @mods @unknown-role #general #unknown
        :kek: :party: 1970-01-01 00:00 UTC 1970-01-01 00:00 UTC /ban user https://a.b/c_d
        <not markup> <@x> < @1>
        Channels & Roles Browse Channels Server Guide Linked Roles (server page) (sound)
        ");
    }

    #[test]
    fn nothing_hidden_or_rich_is_left() {
        insta::assert_snapshot!([
            "[color=red]x[/color] [gps=1,2] a[0]",
            "a\tb\u{0}\u{7}c\u{202e}d\u{200b}e\u{feff}",
            "one\r\ntwo\n\n \n\u{200b}\nthree\u{2028}four",
            "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f} a\u{200d}b",
        ].map(said).join("\n").replace('\u{200d}', "(200d)").replace('\u{fe0f}', "(fe0f)"), @"
        ［color=red］x［/color］ ［gps=1,2］ a［0］
        a bcde
        one / two / three / four
        👨(200d)👩(200d)👧 ❤(fe0f) ab
        ");
    }

    #[test]
    fn keycaps_and_hearts_survive() {
        assert_eq!(
            said("1\u{fe0f}\u{20e3} #\u{fe0f}\u{20e3} ❤\u{fe0f}"),
            "1\u{fe0f}\u{20e3} #\u{fe0f}\u{20e3} ❤\u{fe0f}"
        );
        assert_eq!(said("1\u{fe0f} a\u{fe0f}\u{20e3}"), "1 a\u{20e3}");
    }

    #[test]
    fn a_blueprint_string_becomes_its_size() {
        let string = "0eNq".to_owned() + &"x9+/".repeat(500);
        assert_eq!(said(&format!("**try** {string}")), "try blueprint (2 KB)");
        assert_eq!(player_lines(&format!("*try* {string}"), EmojiStyle::Keep), ["*try* blueprint (2 KB)"]);
    }

    #[test]
    fn emoji_are_named_where_the_operator_wants_it() {
        let named =
            lines("🚀 go 👍🏽! 👨\u{200d}👩\u{200d}👧 1\u{fe0f}\u{20e3} é 漢 12", &Names::default(), EmojiStyle::Name);
        insta::assert_snapshot!(named.join("|"), @":rocket: go :+1:! :family_man_woman_girl: :one: é 漢 12");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("12345", 5), "12345");
        assert_eq!(cut("123456", 5), "1234…");
        assert_eq!(cut("123 56", 5), "123…");
        assert_eq!(cut("ééééé", 4), "ééé…");
        assert_eq!(cut("👨\u{200d}👩\u{200d}👧", 3), "👨…");
    }

    #[test]
    fn everybody_has_a_name() {
        assert_eq!(name("Ann\n[admin]"), "Ann ［admin］");
        assert_eq!(name("\u{200b}\u{202e} "), "somebody");
        assert_eq!(name(&"x".repeat(40)).chars().count(), 32);
    }
}
