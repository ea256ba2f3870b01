//! A Discord message as the lines that are said in a game. Pure.

use super::clean::{self, Names, cut};
use super::heard::{Contents, Extra, Heard, Quote};
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
    let contents = &heard.contents;
    let mut words = clean::lines(&contents.text, names, settings.emoji);
    let more = words.len().saturating_sub(settings.max_lines);
    words.truncate(settings.max_lines);
    let mut said: Vec<String> = words.iter().map(|line| cut(line, settings.max_length)).collect();
    if let Some(last) = said.last_mut().filter(|_| more > 0) {
        last.extend([" (+", &more.to_string(), if more == 1 { " line)" } else { " lines)" }]);
    }
    said.extend(extras(contents, names, settings));
    said.extend(listed("file", &contents.files));
    said.extend(listed("sticker", &contents.stickers));
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
    let words = clean::player_lines(&chat.message, settings.emoji).join(" ");
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
        due_at: None,
        trace: None,
    };
    others.map(to).collect()
}

/// The last door before the game, whatever the template holds.
fn one_line(text: &str) -> Option<String> {
    ChatText::new(text).ok().map(|text| text.as_str().to_owned())
}

/// A line for each part that is no typed text; beyond [`NAMED`], they are counted.
fn extras(contents: &Contents, names: &Names, settings: &ChatSettings) -> Vec<String> {
    let line = |extra| cut(&extra_line(extra, names, settings), settings.max_length);
    let mut lines: Vec<String> = contents.extras.iter().take(NAMED).map(line).filter(|line| !line.is_empty()).collect();
    let more = contents.extras.len().saturating_sub(NAMED);
    if let Some(last) = lines.last_mut().filter(|_| more > 0) {
        last.extend([" (+", &more.to_string(), " more)"]);
    }
    lines
}

fn extra_line(extra: &Extra, names: &Names, settings: &ChatSettings) -> String {
    let words = |text: &str| clean::lines(text, names, settings.emoji).join(" ");
    match extra {
        Extra::Forward(contents) => format!("↷ forwarded: {}", summary(contents, names, settings)),
        Extra::Poll { question, answers } => {
            let answers: Vec<String> = answers.iter().map(|answer| words(answer)).collect();
            let answers = if answers.is_empty() { String::new() } else { format!(" {}", answers.join(" / ")) };
            format!("(poll: {}{answers})", words(question))
        }
        Extra::PollResult { question, winner } => {
            let winner = winner.as_ref().map_or_else(|| "a draw".to_owned(), |winner| words(winner));
            format!("(poll closed: {} {winner})", words(question))
        }
        Extra::Card(text) => words(text),
    }
}

/// Everything that `contents` shows, as one line.
fn summary(contents: &Contents, names: &Names, settings: &ChatSettings) -> String {
    let mut parts = clean::lines(&contents.text, names, settings.emoji);
    parts.extend(extras(contents, names, settings));
    parts.extend(listed("file", &contents.files));
    parts.extend(listed("sticker", &contents.stickers));
    if parts.is_empty() {
        return "(a message that cannot be shown here)".to_owned();
    }
    parts.join(" ")
}

/// `↪ Bob: "first words"`; words of the bot are those of a game, and name their speaker themselves.
fn quote(answered: &Quote, names: &Names, settings: &ChatSettings, own: u64) -> Option<String> {
    let ours = answered.author == own;
    let first_line = clean::lines(&answered.contents.text, names, settings.emoji).into_iter().next();
    let words = first_line.map(|words| format!("\"{}\"", cut(&words, QUOTED))).or_else(|| {
        let shows_something = !answered.contents.is_empty();
        shows_something.then(|| cut(&summary(&answered.contents, names, settings), QUOTED))
    });
    match (ours, words) {
        (true, words) => words.map(|words| format!("↪ {words}")),
        (false, None) => Some(format!("↪ {}", clean::name(&answered.name))),
        (false, Some(words)) => Some(format!("↪ {}: {words}", clean::name(&answered.name))),
    }
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
