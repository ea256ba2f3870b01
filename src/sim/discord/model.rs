//! What the stand-in holds: a guild, its channels, who writes, what was written.

use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

/// The guild (a "server" in the client's words) the bot is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimGuild {
    /// Its id; also the id of its role `@everyone`.
    pub id: u64,
    /// As shown.
    pub name: String,
}

/// The bot's account. Its application has the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimBot {
    /// User and application id.
    pub id: u64,
    /// As shown.
    pub name: String,
    /// Permission bits of the bot's own role.
    pub permissions: u64,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimChannel {
    /// Its id.
    pub id: u64,
    /// Without the `#`.
    pub name: String,
    /// The line beside the name.
    pub topic: Option<String>,
    /// The heading of its group on the page; the API does not show it.
    pub category: Option<String>,
    /// Its type in the API: 0 text, 2 voice, 4 category, 5 announcement, 15 forum.
    pub kind: u8,
    /// What it allows and denies to roles and members.
    pub overwrites: Vec<SimOverwrite>,
}

/// What a channel allows and denies to a role or a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOverwrite {
    /// The role or user; the guild's id is everyone.
    pub target: u64,
    /// Permission bits.
    pub allow: u64,
    /// Permission bits.
    pub deny: u64,
}

impl SimChannel {
    /// A text channel without topic, category and overwrites.
    pub fn new(id: u64, name: impl Into<String>) -> Self {
        Self { id, name: name.into(), topic: None, category: None, kind: 0, overwrites: Vec::new() }
    }
}

/// Who wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimUser {
    /// User id.
    pub id: u64,
    /// As shown.
    pub name: String,
    /// Whether it is a bot.
    pub bot: bool,
}

/// A role of the guild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimRole {
    /// Its id.
    pub id: u64,
    /// As shown.
    pub name: String,
    /// Permission bits beside those of everyone.
    pub permissions: u64,
}

/// The interaction a message answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimInvocation {
    /// Its id.
    pub id: u64,
    /// Who called.
    pub user: SimUser,
    /// As `/factorio players`; empty where a button was pressed.
    pub command: String,
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimAttachment {
    /// Its id.
    pub id: u64,
    /// As uploaded.
    pub filename: String,
    /// What stands for it where it cannot be seen.
    pub description: Option<String>,
    /// The content.
    pub bytes: Bytes,
}

impl SimAttachment {
    /// Its kind, by its name, as in `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        let kind = Path::new(&self.filename).extension();
        if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("png")) {
            "image/png"
        } else {
            "text/plain; charset=utf-8"
        }
    }

    /// The content as text; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Somebody a message notifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ping {
    /// `@everyone`.
    Everyone,
    /// `@here`.
    Here,
    /// `<@id>`.
    User(u64),
    /// `<@&id>`.
    Role(u64),
}

/// A message as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct SimMessage {
    /// Its id; later messages have greater ones.
    pub id: u64,
    /// Where.
    pub channel: u64,
    /// Who.
    pub author: SimUser,
    /// As sent, not rendered.
    pub content: String,
    /// As sent: a string or an integer.
    pub nonce: Option<Value>,
    /// Its files.
    pub attachments: Vec<SimAttachment>,
    /// When it arrived.
    pub timestamp: Timestamp,
    /// When it was last edited.
    pub edited: Option<Timestamp>,
    /// How often it was edited.
    pub edits: u32,
    /// The field as sent; `None` if it was absent, which lets everything ping.
    pub allowed_mentions: Option<Value>,
    /// Whom it notifies, after `allowed_mentions`.
    pub pinged: Vec<Ping>,
    /// Message flags, as 4096 for a silent one.
    pub flags: u64,
    /// As sent: an array.
    pub embeds: Value,
    /// As sent: an array.
    pub components: Value,
    /// The message it answers.
    pub reply_to: Option<u64>,
    /// The interaction it answers.
    pub interaction: Option<SimInvocation>,
    /// The names of its stickers.
    pub stickers: Vec<String>,
    /// The bot's reactions, as `⏳`.
    pub reactions: Vec<String>,
    /// More fields of the message object, as `poll` and `message_snapshots`; they replace those of the same name.
    pub fields: Value,
}

/// What happened, for those who watch.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new message.
    Message(std::sync::Arc<SimMessage>),
    /// A message has a new content.
    Edit(std::sync::Arc<SimMessage>),
    /// A message is gone.
    Delete {
        /// Where it was.
        channel: u64,
        /// Which.
        id: u64,
    },
    /// A message that only the caller sees is there, or has changed.
    Private(std::sync::Arc<SimMessage>),
    /// The bot acknowledged an interaction; while it is `thinking`, its message is still to come.
    Acknowledged {
        /// Which.
        interaction: u64,
        /// Whether it said that it thinks.
        thinking: bool,
    },
    /// A session of the gateway came or went, or a channel changed its name or topic.
    Status,
}
