//! A Discord message as the games hear it: no API types beyond this file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serenity::model::channel::{Message, MessageType};
use serenity::model::event::MessageUpdateEvent;
use serenity::model::id::{ApplicationId, WebhookId};
use serenity::model::user::User;

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
}

/// What a reply answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Whose user id.
    pub author: u64,
    /// Whose words.
    pub name: String,
    /// The words.
    pub text: String,
}

/// A message of a person, a bot or a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its id.
    pub id: u64,
    /// Where.
    pub channel: ChannelId,
    /// Who.
    pub author: Author,
    /// The application behind a webhook, where there is one.
    pub application: Option<u64>,
    /// As members of the Discord server see the author.
    pub name: String,
    /// As typed, with mentions and custom emoji by id.
    pub text: String,
    /// The display names of the users it mentions.
    pub users: BTreeMap<u64, String>,
    /// Names of its files.
    pub files: Vec<String>,
    /// Names of its stickers.
    pub stickers: Vec<String>,
    /// What it answers.
    pub quote: Option<Quote>,
    /// When it was last edited.
    pub edited: Option<Timestamp>,
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

impl Heard {
    /// `None` for what nobody wrote: joins, pins, boosts.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        if !is_written(message.kind) {
            return None;
        }
        let nick = message.member.as_ref().and_then(|member| member.nick.clone());
        Some(Self {
            id: message.id.get(),
            channel: ChannelId::new(message.channel_id.get())?,
            author: author(&message.author, message.webhook_id.map(WebhookId::get)),
            application: message.application_id.map(ApplicationId::get),
            name: nick.unwrap_or_else(|| display_name(&message.author)),
            text: message.content.clone(),
            users: names(&message.mentions),
            files: message.attachments.iter().map(|file| file.filename.clone()).collect(),
            stickers: message.sticker_items.iter().map(|sticker| sticker.name.clone()).collect(),
            quote: message.referenced_message.as_deref().filter(|_| is_reply(message.kind)).map(quote),
            edited: message.edited_timestamp.and_then(time),
        })
    }

    /// `None` for a change that is no edit by its author, as a link that unfolds.
    #[must_use]
    pub fn of_update(update: &MessageUpdateEvent) -> Option<Self> {
        let kind = update.kind.unwrap_or(MessageType::Regular);
        let user = update.author.as_ref()?;
        if !is_written(kind) {
            return None;
        }
        let nick = update.member.as_ref().and_then(|member| member.as_ref()?.nick.clone());
        let answered = update.referenced_message.as_ref().and_then(|message| message.as_deref());
        Some(Self {
            id: update.id.get(),
            channel: ChannelId::new(update.channel_id.get())?,
            author: author(user, update.webhook_id.flatten().map(WebhookId::get)),
            application: update.application_id.flatten().map(ApplicationId::get),
            name: nick.unwrap_or_else(|| display_name(user)),
            text: update.content.clone()?,
            users: names(update.mentions.as_deref().unwrap_or_default()),
            files: update.attachments.iter().flatten().map(|file| file.filename.clone()).collect(),
            stickers: update.sticker_items.iter().flatten().map(|sticker| sticker.name.clone()).collect(),
            quote: answered.filter(|_| is_reply(kind)).map(quote),
            edited: Some(update.edited_timestamp.and_then(time)?),
        })
    }

    /// The members of the Discord server it tells of: who wrote, who is mentioned, who is quoted.
    pub fn people(&self) -> impl Iterator<Item = u64> {
        let author = match self.author {
            Author::Person(id) | Author::Bot(id) => Some(id),
            Author::Webhook(_) => None,
        };
        author.into_iter().chain(self.users.keys().copied()).chain(self.quote.iter().map(|quote| quote.author))
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

    /// Whether there is nothing in it that could be said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.files.is_empty() && self.stickers.is_empty()
    }
}

fn is_written(kind: MessageType) -> bool {
    matches!(kind, MessageType::Regular | MessageType::InlineReply)
}

fn is_reply(kind: MessageType) -> bool {
    kind == MessageType::InlineReply
}

fn author(user: &User, webhook: Option<u64>) -> Author {
    match webhook {
        Some(id) => Author::Webhook(id),
        None if user.bot || user.system => Author::Bot(user.id.get()),
        None => Author::Person(user.id.get()),
    }
}

fn display_name(user: &User) -> String {
    user.global_name.clone().unwrap_or_else(|| user.name.clone())
}

/// A mentioned user's nickname comes with the gateway's events.
fn names(users: &[User]) -> BTreeMap<u64, String> {
    let nick = |user: &User| user.member.as_ref().and_then(|member| member.nick.clone());
    users.iter().map(|user| (user.id.get(), nick(user).unwrap_or_else(|| display_name(user)))).collect()
}

fn quote(answered: &Message) -> Quote {
    let (author, name) = (answered.author.id.get(), display_name(&answered.author));
    Quote { author, name, text: answered.content.clone() }
}

fn time(time: serenity::model::Timestamp) -> Option<Timestamp> {
    time.to_rfc3339()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_when_its_message_was_written() {
        assert_eq!(written_at(175_928_847_299_117_063), "2016-04-30T11:18:25.796Z".parse().unwrap());
        let now = "2026-11-23T12:00:00.123Z".parse().unwrap();
        assert_eq!(written_at(first_id_at(now)), now);
    }
}
