//! What a bot brings back from a game: another relay in the same channel, whose words would go round for ever. Pure.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::heard::{Extra, Heard, written_at};
use crate::domain::{RELAY_PREFIXES, Words};

/// How long words are known again. What is said in a game is back within seconds; after longer, somebody else may say
/// the same.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// The most lines that are known again.
const LINES: usize = 512;
/// A bot whose line holds so many of its own lines of late is going round, whatever it does to our mark and the names.
const ROUNDS: usize = 3;

/// Knows words again.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    /// Lines as they went into games, behind our mark.
    said: VecDeque<(Words, Timestamp)>,
    /// Lines of bots that went into games.
    bots: VecDeque<BotLine>,
}

#[derive(Debug)]
struct BotLine {
    bot: u64,
    message: u64,
    words: Words,
    at: Timestamp,
}

impl BotLine {
    /// Whether the bot said this, in another message.
    fn is_by(&self, bot: u64, message: u64) -> bool {
        self.bot == bot && self.message != message
    }

    /// Whether a line has this one in it. Of one word, or of none, as `?!`, the line must be no more than that.
    fn is_in(&self, words: &Words) -> bool {
        match self.words.len() {
            0 => words.is_empty(),
            1 => words.len() == 1 && words.hold(&self.words),
            _ => words.hold(&self.words),
        }
    }
}

impl Echoes {
    /// Removes the lines of a bot's message that are echoes, embeds included. What came from a game bears our mark there,
    /// so a line with the mark is one, always. A relay may leave the mark out: then the words are known for a while, with
    /// who said them; without the name, at the latest when they come round again.
    pub(super) fn remove_echoes(&self, heard: &mut Heard) {
        let (bot, message) = (heard.author.id(), heard.id);
        let contents = &mut heard.contents;
        contents.text = self.fresh_lines(bot, message, &contents.text);
        contents.extras.retain_mut(|extra| match extra {
            Extra::Card(text) => {
                *text = self.fresh_lines(bot, message, text);
                !text.trim().is_empty()
            }
            Extra::Forward(forwarded) => !self.has_echo(bot, message, &forwarded.texts()),
            Extra::Poll { question, .. } | Extra::PollResult { question, .. } => {
                !self.has_echo(bot, message, &[question])
            }
        });
    }

    fn has_echo(&self, bot: u64, message: u64, texts: &[&str]) -> bool {
        texts.iter().flat_map(|text| text.lines()).any(|line| self.is_echo(bot, message, line))
    }

    fn fresh_lines(&self, bot: u64, message: u64, text: &str) -> String {
        let fresh = text.lines().filter(|line| !self.is_echo(bot, message, line));
        fresh.collect::<Vec<_>>().join("\n")
    }

    fn is_echo(&self, bot: u64, message: u64, line: &str) -> bool {
        let (now, words) = (written_at(message), Words::of(line));
        if is_marked(line) || self.said.iter().any(|(said, at)| is_recent(*at, now) && words.hold(said)) {
            return true;
        }
        let own: Vec<_> = self.bots.iter().filter(|said| said.is_by(bot, message) && is_recent(said.at, now)).collect();
        let rounds = own.iter().filter(|said| said.is_in(&words)).count();
        rounds >= ROUNDS || own.iter().any(|said| words.grew_from(&said.words))
    }

    /// A bot's message goes into games.
    pub(super) fn note_bot(&mut self, heard: &Heard) {
        let at = written_at(heard.id);
        if self.bots.iter().any(|known| known.message == heard.id) {
            return;
        }
        self.bots.retain(|known| is_recent(known.at, at));
        for line in heard.contents.texts().into_iter().flat_map(str::lines) {
            let line = BotLine { bot: heard.author.id(), message: heard.id, words: Words::of(line), at };
            self.bots.push_back(line);
        }
        self.bots.drain(..self.bots.len().saturating_sub(LINES));
    }

    /// These lines go into games because of `heard`.
    pub(super) fn note_said(&mut self, heard: &Heard, lines: &[String]) {
        let at = written_at(heard.id);
        self.said.retain(|(_, then)| is_recent(*then, at));
        self.said.extend(lines.iter().filter_map(|line| Some((Words::key(behind_mark(line))?, at))));
        self.said.drain(..self.said.len().saturating_sub(LINES));
    }
}

fn is_recent(then: Timestamp, now: Timestamp) -> bool {
    now.duration_since(then).abs() < WINDOW
}

/// What `[Discord]` stands in front of.
fn behind_mark(line: &str) -> &str {
    let mut rest = RELAY_PREFIXES.iter().find_map(|mark| line.split_once(mark)).map_or(line, |(_, rest)| rest);
    while let Some(behind) = ["[/color]", "[/font]"].iter().find_map(|tag| rest.strip_prefix(tag)) {
        rest = behind;
    }
    rest
}

/// Whether our mark stands in `line`, in any markdown.
fn is_marked(line: &str) -> bool {
    let seen = line
        .chars()
        .filter(|c| !matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '\u{200b}'..='\u{200f}' | '\u{2060}'));
    let brackets = seen.map(|c| match c {
        '［' => '[',
        '］' => ']',
        c => c,
    });
    let line: String = brackets.flat_map(char::to_lowercase).collect();
    RELAY_PREFIXES.iter().any(|mark| line.contains(&mark.to_lowercase()))
}

#[cfg(test)]
#[path = "echoes_tests.rs"]
mod tests;
