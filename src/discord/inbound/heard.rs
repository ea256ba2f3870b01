//! A Discord message as the games see it: Discord's JSON does not go beyond this file.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::wire::{WireComponent, WireEmbed, WireMessage};
use crate::domain::ChannelId;

/// The first millisecond of Discord's ids: 2015-01-01T00:00:00Z.
const DISCORD_EPOCH_MS: i64 = 1_420_070_400_000;

/// Who wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// A person, by user id.
    Person(u64),
    /// A bot's account.
    Bot(u64),
    /// A webhook, by its own id.
    Webhook(u64),
}

impl Author {
    /// The id that `chat.allowed_bots` names.
    #[must_use]
    pub fn id(self) -> u64 {
        match self {
            Self::Person(id) | Self::Bot(id) | Self::Webhook(id) => id,
        }
    }

    /// Whether it is a person.
    #[must_use]
    pub fn is_person(self) -> bool {
        matches!(self, Self::Person(_))
    }
}

/// What a message has to show, in markdown, with mentions and custom emoji by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// As typed.
    pub text: String,
    /// Names of its files.
    pub files: Vec<String>,
    /// Names of its stickers.
    pub stickers: Vec<String>,
    /// What is shown below the text.
    pub extras: Vec<Extra>,
}

/// A part of a message that is no typed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extra {
    /// A message of another place, forwarded.
    Forward(Box<Contents>),
    /// A poll.
    Poll {
        /// What is asked.
        question: String,
        /// What can be chosen.
        answers: Vec<String>,
    },
    /// The end of a poll.
    PollResult {
        /// What was asked.
        question: String,
        /// What most chose; `None` where no answer has most votes.
        winner: Option<String>,
    },
    /// The text of an embed, or of a layout of components.
    Card(String),
}

impl Contents {
    /// Whether there is nothing in it that could be shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.files.is_empty() && self.stickers.is_empty() && self.extras.is_empty()
    }

    /// All its texts, to find the ids in them.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = vec![self.text.as_str()];
        for extra in &self.extras {
            match extra {
                Extra::Forward(contents) => texts.extend(contents.texts()),
                Extra::Poll { question, answers } => {
                    texts.push(question);
                    texts.extend(answers.iter().map(String::as_str));
                }
                Extra::PollResult { question, winner } => {
                    texts.push(question);
                    texts.extend(winner.as_deref());
                }
                Extra::Card(text) => texts.push(text),
            }
        }
        texts
    }

    /// `with_cards`: also what only applications write: embeds and layouts.
    fn of(message: &WireMessage, with_cards: bool) -> Self {
        let mut extras = Vec::new();
        for snapshot in &message.message_snapshots {
            // A snapshot does not name its author, so its embeds are shown for any author.
            let contents = Self::of(snapshot.message(), true);
            extras.push(Extra::Forward(Box::new(contents)));
        }
        if let Some(poll) = &message.poll {
            let answers = poll.answers.iter().map(|answer| answer.poll_media.text.clone());
            extras.push(Extra::Poll { question: poll.question.text.clone(), answers: answers.collect() });
        }
        extras.extend(message.embeds.iter().filter(|embed| embed.is_poll_result()).map(poll_result));
        if with_cards {
            let embeds = message.embeds.iter().filter(|embed| embed.is_composed());
            let cards = embeds.filter_map(embed_text);
            let layout: Vec<_> = message.components.iter().flat_map(WireComponent::texts).collect();
            let layout = Some(layout.join("\n")).filter(|layout| !layout.trim().is_empty());
            extras.extend(cards.chain(layout).map(Extra::Card));
        }
        Self {
            text: message.content.clone().unwrap_or_default(),
            files: message.attachments.iter().map(|file| file.filename.clone()).collect(),
            stickers: message.sticker_items.iter().map(|sticker| sticker.name.clone()).collect(),
            extras,
        }
    }
}

fn poll_result(embed: &WireEmbed) -> Extra {
    let field = |name: &str| embed.fields.iter().find(|field| field.name == name).map(|field| field.value.clone());
    Extra::PollResult {
        question: field("poll_question_text").unwrap_or_default(),
        winner: field("victor_answer_text").filter(|winner| !winner.is_empty()),
    }
}

/// The embed's title and description; where it has neither, the next best that it shows.
fn embed_text(embed: &WireEmbed) -> Option<String> {
    let filled = |text: Option<&String>| text.filter(|text| !text.trim().is_empty()).cloned();
    let text = match (filled(embed.title.as_ref()), filled(embed.description.as_ref())) {
        (Some(title), Some(description)) => Some(format!("{title}: {description}")),
        (title, description) => title.or(description),
    };
    let fields = || {
        let fields = embed.fields.iter().map(|field| format!("{}: {}", field.name, field.value));
        filled(Some(&fields.collect::<Vec<_>>().join(", ")))
    };
    let author = || filled(embed.author.as_ref().map(|author| &author.name));
    text.or_else(fields).or_else(author).or_else(|| embed.image.is_some().then(|| "(image)".to_owned()))
}

/// What a reply answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Whose user id.
    pub author: u64,
    /// Whose words.
    pub name: String,
    /// The words.
    pub contents: Contents,
}

/// A message of a person, a bot or a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its id.
    pub id: u64,
    /// Where.
    pub channel: ChannelId,
    /// The Discord server, where the event names it.
    pub guild: Option<u64>,
    /// Who.
    pub author: Author,
    /// The application behind a webhook, where there is one.
    pub application: Option<u64>,
    /// As members of the Discord server see the author.
    pub name: String,
    /// The author's roles; `None` where the event does not list them.
    pub roles: Option<BTreeSet<u64>>,
    /// What it shows.
    pub contents: Contents,
    /// The display names of the users it mentions, and of those its quote mentions.
    pub users: BTreeMap<u64, String>,
    /// What it answers.
    pub quote: Option<Quote>,
    /// When it was last edited.
    pub edited: Option<Timestamp>,
    /// Whether an application announced an answer here that is not written yet.
    pub loading: bool,
}

/// When the message of this id was written.
#[must_use]
pub fn written_at(id: u64) -> Timestamp {
    let millis = i64::try_from(id >> 22).unwrap_or_default() + DISCORD_EPOCH_MS;
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

/// The id that a message of this time has at least.
#[must_use]
pub fn first_id_at(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond() - DISCORD_EPOCH_MS).unwrap_or_default() << 22
}

/// Kinds of messages that a member or a bot wrote. The others are Discord's announcements: joins, pins, boosts.
mod kind {
    pub(super) const REPLY: u8 = 19;
    const PLAIN: u8 = 0;
    const SLASH_COMMAND: u8 = 20;
    const MENU_COMMAND: u8 = 23;
    const POLL_RESULT: u8 = 46;

    pub(super) fn is_written(kind: u8) -> bool {
        matches!(kind, PLAIN | REPLY | SLASH_COMMAND | MENU_COMMAND | POLL_RESULT)
    }
}

impl Heard {
    /// Reads `MESSAGE_CREATE`, or a message that was fetched. `None` for announcements of Discord and for what is no
    /// message.
    #[must_use]
    pub fn read(json: &Value) -> Option<Self> {
        Self::of(&WireMessage::read(json)?)
    }

    /// Reads `MESSAGE_UPDATE`. `None` for a change that shows nothing, as a pin.
    #[must_use]
    pub fn read_update(json: &Value) -> Option<Self> {
        let update = WireMessage::read(json)?;
        update.content.as_ref()?;
        Self::of(&update)
    }

    fn of(message: &WireMessage) -> Option<Self> {
        let kind = message.kind.unwrap_or_default();
        if !kind::is_written(kind) {
            return None;
        }
        let user = message.author.as_ref()?;
        let author = match message.webhook_id {
            Some(webhook) => Author::Webhook(webhook.0),
            None if user.bot || user.system => Author::Bot(user.id.0),
            None => Author::Person(user.id.0),
        };
        let quoted = message.referenced_message.as_deref().filter(|_| kind == kind::REPLY);
        let nick = message.member.as_ref().and_then(|member| member.nick.clone());
        let roles = message.member.as_ref().and_then(|member| member.roles.as_ref());
        Some(Self {
            id: message.id.0,
            channel: ChannelId::new(message.channel_id.0)?,
            guild: message.guild_id.map(|guild| guild.0),
            author,
            application: message.application_id.map(|application| application.0),
            name: nick.unwrap_or_else(|| user.display_name()),
            roles: roles.map(|roles| roles.iter().map(|role| role.0).collect()),
            contents: Contents::of(message, !author.is_person()),
            users: names(message, quoted),
            quote: quoted.and_then(quote),
            edited: message.edited_timestamp.as_ref().and_then(|time| time.parse().ok()),
            loading: message.is_loading(),
        })
    }

    /// The members of the Discord server it tells of: who wrote, who is mentioned, who is quoted.
    pub fn people(&self) -> impl Iterator<Item = u64> {
        let author = match self.author {
            Author::Person(id) | Author::Bot(id) => Some(id),
            Author::Webhook(_) => None,
        };
        author.into_iter().chain(self.others())
    }

    /// The members it mentions or quotes.
    pub fn others(&self) -> impl Iterator<Item = u64> {
        self.users.keys().copied().chain(self.quote.iter().map(|quote| quote.author))
    }

    /// Calls people what members of the Discord server call them.
    pub fn rename(&mut self, members: &BTreeMap<u64, String>) {
        let rename = |id: u64, name: &mut String| {
            if let Some(known) = members.get(&id) {
                name.clone_from(known);
            }
        };
        if !matches!(self.author, Author::Webhook(_)) {
            rename(self.author.id(), &mut self.name);
        }
        self.users.iter_mut().for_each(|(id, name)| rename(*id, name));
        if let Some(quote) = &mut self.quote {
            rename(quote.author, &mut quote.name);
        }
    }

    /// All texts whose ids are shown as names.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = self.contents.texts();
        texts.extend(self.quote.iter().flat_map(|quote| quote.contents.texts()));
        texts
    }
}

/// Discord names those whom the message mentions, those whom a forwarded message mentions and, beside the quote, those
/// whom the quote mentions. Only the first come with their nicknames.
fn names(message: &WireMessage, quoted: Option<&WireMessage>) -> BTreeMap<u64, String> {
    let mut names = quoted.map(WireMessage::mentioned_names).unwrap_or_default();
    for snapshot in &message.message_snapshots {
        names.extend(snapshot.message().mentioned_names());
    }
    names.extend(message.mentioned_names());
    names
}

fn quote(answered: &WireMessage) -> Option<Quote> {
    let author = answered.author.as_ref()?;
    Some(Quote { author: author.id.0, name: author.display_name(), contents: Contents::of(answered, true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_are_not_listed_are_unknown() {
        let read = |member: &str| {
            let author = r#""author":{"id":"3","username":"ann"}"#;
            let json = format!(r#"{{"id":"1","channel_id":"2","content":"hi",{author},"member":{member}}}"#);
            Heard::read(&serde_json::from_str(&json).unwrap()).unwrap().roles
        };
        assert_eq!(read(r#"{"roles":["5"]}"#), Some([5].into()));
        assert_eq!(read(r#"{"roles":[]}"#), Some([].into()));
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"roles":["5",{}]}"#), None, "a role that is held must not be overlooked");
    }

    #[test]
    fn an_id_tells_when_its_message_was_written() {
        assert_eq!(written_at(175_928_847_299_117_063), "2016-04-30T11:18:25.796Z".parse().unwrap());
        let now = "2026-11-23T12:00:00.123Z".parse().unwrap();
        assert_eq!(written_at(first_id_at(now)), now);
    }
}
