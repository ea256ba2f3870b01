//! Who is heard where: channels and games, bots, floods, and no loops. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::echoes::Echoes;
use super::heard::{Author, Heard, written_at};
use crate::config::settings::ChatSettings;
use crate::domain::ServerTag;

/// People whose last messages are remembered; beyond, those are forgotten who have been silent.
const PEOPLE: usize = 1024;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is said in these games.
    Say(Vec<ServerTag>),
    /// Nobody hears it: no game is fed by its channel, a bot that is not allowed, our own words, an echo,
    /// nothing that could be said.
    Ignored,
    /// Its author writes too much at once; `first` of those that are dropped.
    Flood {
        /// Whether the one before was said.
        first: bool,
    },
}

/// Judges messages, in their order.
#[derive(Debug, Default)]
pub struct Ears {
    people: HashMap<u64, VecDeque<Admitted>>,
    /// Edits that were said, by author: of which message, of when.
    edits: HashMap<u64, VecDeque<(u64, Timestamp)>>,
    echoes: Echoes,
}

/// A person's message and whether it was said.
#[derive(Debug, Clone, Copy)]
struct Admitted {
    message: u64,
    said: bool,
}

impl Ears {
    /// What becomes of `heard`, where the bot itself is `own`. The same message again gets the same answer. Lines of a
    /// bot that only repeat what went into a game are taken out of it.
    pub fn judge(&mut self, heard: &mut Heard, settings: &ChatSettings, own: u64) -> Verdict {
        let Some(games) = settings.feeds.get(&heard.channel) else { return Verdict::Ignored };
        if is_deaf_to(heard, settings, own) {
            return Verdict::Ignored;
        }
        let bot = !matches!(heard.author, Author::Person(_));
        if bot {
            heard.text = self.echoes.fresh_lines(heard);
        }
        if heard.is_empty() {
            return Verdict::Ignored;
        }
        let flood = self.flood(heard, settings.flood_messages, settings.flood_window);
        if let Some(first) = flood {
            return Verdict::Flood { first };
        }
        if bot {
            self.echoes.note_bot(heard);
        }
        Verdict::Say(games.clone())
    }

    /// These lines go into games because of `heard`.
    pub fn note_said(&mut self, heard: &Heard, lines: &[String]) {
        self.echoes.note_said(heard, lines);
    }

    /// Whether an edit of then is said behind its message: within the window as many as messages, counted apart. The
    /// same edit again gets the same answer.
    pub fn admits_edit(&mut self, heard: &Heard, at: Timestamp, settings: &ChatSettings) -> bool {
        let window = SignedDuration::try_from(settings.flood_window).unwrap_or(SignedDuration::MAX);
        let recent = |then: Timestamp| at.duration_since(then).abs() < window;
        if self.edits.len() >= PEOPLE {
            self.edits.retain(|_, edits| edits.back().is_some_and(|(_, last)| recent(*last)));
        }
        let edits = self.edits.entry(heard.author.id()).or_default();
        edits.retain(|(_, then)| recent(*then));
        let known = edits.contains(&(heard.id, at));
        if !known && edits.len() < settings.flood_messages {
            edits.push_back((heard.id, at));
            return true;
        }
        known
    }

    /// `None` where the message is within the limit.
    fn flood(&mut self, heard: &Heard, most: usize, window: Duration) -> Option<bool> {
        let now = written_at(heard.id);
        let recent =
            |id: u64| SignedDuration::try_from(window).is_ok_and(|w| now.duration_since(written_at(id)).abs() < w);
        if self.people.len() >= PEOPLE {
            self.people.retain(|_, messages| messages.back().is_some_and(|last| recent(last.message)));
        }
        let messages = self.people.entry(heard.author.id()).or_default();
        if let Some(known) = messages.iter().find(|known| known.message == heard.id) {
            return (!known.said).then_some(false);
        }
        messages.retain(|known| recent(known.message));
        let said = messages.iter().filter(|known| known.said).count() < most;
        let first = messages.back().is_none_or(|last| last.said);
        messages.push_back(Admitted { message: heard.id, said });
        (!said).then_some(first)
    }
}

/// Our own words, and bots that are not allowed.
fn is_deaf_to(heard: &Heard, settings: &ChatSettings, own: u64) -> bool {
    match heard.author {
        Author::Person(_) => false,
        author if author.id() == own || heard.application == Some(own) => true,
        author => !settings.allowed_bots.contains(&author.id()),
    }
}

#[cfg(test)]
#[path = "routes_tests.rs"]
pub(super) mod tests;
