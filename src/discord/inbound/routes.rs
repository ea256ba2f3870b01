//! Who is heard where: channels and games, bots, floods, and no loops. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::echoes::Echoes;
use super::heard::{Author, Heard, written_at};
use crate::config::settings::ChatSettings;
use crate::domain::{ChannelId, ServerTag};

/// People whose last messages are remembered; beyond, those are forgotten who have been silent.
const PEOPLE: usize = 1024;

/// Reactions within `flood_window` and channel: more would be a flood of their own.
const REACTIONS: usize = 5;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is said in these games.
    Say(Vec<ServerTag>),
    /// No game shows it.
    Ignored(Reason),
    /// Its author writes too much at once.
    Flood,
}

/// Why no game shows a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its channel feeds no game.
    Channel,
    /// The bot wrote it.
    Own,
    /// A bot wrote it that is not in `chat.allowed_bots`.
    Bot,
    /// It repeats what was said in a game.
    Echo,
    /// Nothing in it can be shown in a game.
    NothingToShow,
    /// `chat.ignore` matches.
    IgnoreRule,
    /// Its author has none of `chat.require_roles`, or one of `chat.block_roles`, or unknown roles.
    Roles,
}

impl Reason {
    /// For the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "the channel feeds no game",
            Self::Own => "written by this bot",
            Self::Bot => "written by a bot that is not in chat.allowed_bots",
            Self::Echo => "repeats a line of a game",
            Self::NothingToShow => "has nothing that a game can show",
            Self::IgnoreRule => "matches chat.ignore",
            Self::Roles => "roles of its author",
        }
    }

    /// Whether the author expects that players see the message, and is shown that they do not.
    #[must_use]
    pub fn gets_reaction(self) -> bool {
        matches!(self, Self::NothingToShow | Self::Roles)
    }
}

/// Judges messages, in their order.
#[derive(Debug, Default)]
pub struct Ears {
    people: HashMap<u64, VecDeque<Admitted>>,
    /// Edits that were said, by author: of which message, of when.
    edits: HashMap<u64, VecDeque<(u64, Timestamp)>>,
    /// The messages of each channel that lately got a reaction.
    reactions: HashMap<ChannelId, VecDeque<u64>>,
    echoes: Echoes,
}

/// A person's message and whether it was said.
#[derive(Debug, Clone, Copy)]
struct Admitted {
    message: u64,
    said: bool,
}

impl Ears {
    /// What becomes of `heard`, where the bot itself is `own` and `games` hear the channel. The same message again gets
    /// the same answer. Lines of a bot that only repeat what went into a game are taken out of it.
    pub fn judge(
        &mut self,
        heard: &mut Heard,
        games: Option<&Vec<ServerTag>>,
        settings: &ChatSettings,
        own: u64,
    ) -> Verdict {
        let Some(games) = games else { return Verdict::Ignored(Reason::Channel) };
        if let Some(reason) = refusal(heard, settings, own) {
            return Verdict::Ignored(reason);
        }
        let bot = !heard.author.is_person();
        let shows_something = !heard.contents.is_empty();
        if bot {
            self.echoes.remove_echoes(heard);
        }
        if heard.contents.is_empty() {
            return Verdict::Ignored(if shows_something { Reason::Echo } else { Reason::NothingToShow });
        }
        if !self.is_within_limit(heard, settings.flood_messages, settings.flood_window) {
            return Verdict::Flood;
        }
        if bot {
            self.echoes.note_bot(heard);
        }
        Verdict::Say(games.clone())
    }

    /// Whether a message may get a reaction that says why it is not relayed.
    pub fn admits_reaction(&mut self, heard: &Heard, window: Duration) -> bool {
        let now = written_at(heard.id);
        let reactions = self.reactions.entry(heard.channel).or_default();
        reactions.retain(|message| is_within(window, written_at(*message), now));
        let known = reactions.contains(&heard.id);
        if !known && reactions.len() < REACTIONS {
            reactions.push_back(heard.id);
            return true;
        }
        known
    }

    /// These lines go into games because of `heard`.
    pub fn note_said(&mut self, heard: &Heard, lines: &[String]) {
        self.echoes.note_said(heard, lines);
    }

    /// Whether an edit of then is said behind its message: within the window as many as messages, counted apart. The
    /// same edit again gets the same answer.
    pub fn admits_edit(&mut self, heard: &Heard, at: Timestamp, settings: &ChatSettings) -> bool {
        let recent = |then: Timestamp| is_within(settings.flood_window, then, at);
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

    fn is_within_limit(&mut self, heard: &Heard, most: usize, window: Duration) -> bool {
        let now = written_at(heard.id);
        let recent = |id: u64| is_within(window, written_at(id), now);
        if self.people.len() >= PEOPLE {
            self.people.retain(|_, messages| messages.back().is_some_and(|last| recent(last.message)));
        }
        let messages = self.people.entry(heard.author.id()).or_default();
        if let Some(known) = messages.iter().find(|known| known.message == heard.id) {
            return known.said;
        }
        messages.retain(|known| recent(known.message));
        let said = messages.iter().filter(|known| known.said).count() < most;
        messages.push_back(Admitted { message: heard.id, said });
        said
    }
}

fn is_within(window: Duration, then: Timestamp, now: Timestamp) -> bool {
    SignedDuration::try_from(window).is_ok_and(|window| now.duration_since(then).abs() < window)
}

/// Why the message is not for games, whatever it says.
fn refusal(heard: &Heard, settings: &ChatSettings, own: u64) -> Option<Reason> {
    let allowed = |id: u64| settings.allowed_bots.contains(&id);
    match heard.author {
        Author::Person(_) if !settings.roles.permit(heard.roles.as_ref()) => return Some(Reason::Roles),
        Author::Person(_) => {}
        author if author.id() == own || heard.application == Some(own) => return Some(Reason::Own),
        author if !allowed(author.id()) && !heard.application.is_some_and(allowed) => return Some(Reason::Bot),
        _ => {}
    }
    settings.ignore.iter().any(|rule| rule.matches(&heard.contents.text)).then_some(Reason::IgnoreRule)
}

#[cfg(test)]
#[path = "routes_tests.rs"]
pub(super) mod tests;
