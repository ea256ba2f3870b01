//! A Discord message as the lines that are said in a game. Pure.

use super::clean::{self, Names, cut};
use super::heard::{Heard, Quote};
use crate::config::settings::ChatSettings;
use crate::domain::{ChatPart, NewChat, PlayerChat};
use crate::rcon::ChatText;

/// Characters of the words a reply quotes.
const QUOTED: usize = 40;
/// Files and stickers that are named; the others are counted.
const NAMED: usize = 3;
/// Characters of a file's or a sticker's name.
const MAX_FILE_NAME: usize = 40;

/// The lines of `heard`, each begun as the template says; empty when there is nothing to say. `edited`: they follow
/// the message as it was. `own` is the bot's user id: its words are the game's.
#[must_use]
pub fn lines(heard: &Heard, names: &Names, settings: &ChatSettings, edited: bool, own: u64) -> Vec<String> {
    let mut words = clean::lines(&heard.text, names, settings.emoji);
    let more = words.len().saturating_sub(settings.max_lines);
    words.truncate(settings.max_lines);
    let mut said: Vec<String> = words.iter().map(|line| cut(line, settings.max_length)).collect();
    if let Some(last) = said.last_mut().filter(|_| more > 0) {
        last.extend([" (+", &more.to_string(), if more == 1 { " line)" } else { " lines)" }]);
    }
    said.extend(listed("file", &heard.files));
    said.extend(listed("sticker", &heard.stickers));
    match said.first_mut() {
        Some(first) if edited => first.insert_str(0, "* "),
        Some(_) => said
            .splice(0..0, heard.quote.as_ref().and_then(|answered| quote(answered, names, settings, own)))
            .for_each(drop),
        None => {}
    }
    let name = clean::name(&heard.name);
    let line = |text: &String| settings.template.render(|part| if part == ChatPart::Text { text } else { &name });
    said.iter().filter_map(|text| one_line(&line(text))).collect()
}

/// What a player of one game said, for each of the others. Discord is not asked.
#[must_use]
pub fn for_other_games(chat: &PlayerChat, settings: &ChatSettings) -> Vec<NewChat> {
    let Some(game) = settings.games.get(&chat.server) else { return Vec::new() };
    let (name, game) = (clean::name(&chat.player), clean::name(game));
    let words = clean::lines(&chat.message, &Names::default(), settings.emoji).join(" ");
    let text = cut(&words, settings.max_length);
    let said = settings.server_template.render(|part| match part {
        ChatPart::Name => &name,
        ChatPart::Server => &game,
        ChatPart::Text => &text,
    });
    let Some(line) = one_line(&said).filter(|_| !text.is_empty()) else { return Vec::new() };
    let others = settings.games.keys().filter(|tag| **tag != chat.server);
    let to = |tag: &_| NewChat {
        server: Clone::clone(tag),
        source: None,
        lines: vec![line.clone()],
        written_at: chat.at,
        trace: None,
    };
    others.map(to).collect()
}

/// The last door before the game, whatever the template holds.
fn one_line(text: &str) -> Option<String> {
    ChatText::new(text).ok().map(|text| text.as_str().to_owned())
}

/// `↪ Bob: "first words"`; words of the bot are those of a game, and name their speaker themselves.
fn quote(answered: &Quote, names: &Names, settings: &ChatSettings, own: u64) -> Option<String> {
    let ours = answered.author == own;
    let text = if ours { without_markdown(&answered.text) } else { answered.text.clone() };
    let words = clean::lines(&text, names, settings.emoji).into_iter().next();
    let words = words.map(|words| cut(&words, QUOTED));
    match (ours, words) {
        (true, words) => words.map(|words| format!("↪ \"{words}\"")),
        (false, None) => Some(format!("↪ {}", clean::name(&answered.name))),
        (false, Some(words)) => Some(format!("↪ {}: \"{words}\"", clean::name(&answered.name))),
    }
}

/// The bot's own markdown as it is shown: bold marks and escapes go.
fn without_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('\\', Some(next)) if next.is_ascii_punctuation() => {
                out.push(next);
                chars.next();
            }
            ('*', Some('*')) => drop(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// `(file: a.png)`, `(files: a.png, b.txt, c.zip +2)`
fn listed(what: &str, names: &[String]) -> Option<String> {
    let shown: Vec<_> = names.iter().take(NAMED).map(|name| cut(&clean::name(name), MAX_FILE_NAME)).collect();
    let more = names.len() - shown.len();
    let (plural, more) =
        (if names.len() > 1 { "s" } else { "" }, if more > 0 { format!(" +{more}") } else { String::new() });
    (!shown.is_empty()).then(|| format!("({what}{plural}: {}{more})", shown.join(", ")))
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
