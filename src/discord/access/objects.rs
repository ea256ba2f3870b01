//! The parts of Discord's objects that permissions depend on, read from raw JSON: a library would drop bits that it does
//! not know.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::permissions::Permissions;

/// An id: a decimal string in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Snowflake(pub(super) u64);

impl TryFrom<String> for Snowflake {
    type Error = std::num::ParseIntError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        id.parse().map(Self)
    }
}

/// `GET /users/@me`
#[derive(Debug, Deserialize)]
pub(super) struct CurrentUser {
    pub(super) id: Snowflake,
}

/// `GET /guilds/{id}`
#[derive(Debug, Deserialize)]
pub(super) struct Guild {
    pub(super) owner_id: Snowflake,
    pub(super) roles: Vec<Role>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Role {
    pub(super) id: Snowflake,
    pub(super) permissions: Permissions,
}

/// `GET /guilds/{id}/members/{user}`
#[derive(Debug, Deserialize)]
pub(super) struct Member {
    pub(super) roles: Vec<Snowflake>,
    /// Until then the member may only read.
    #[serde(default)]
    pub(super) communication_disabled_until: Option<Timestamp>,
}

impl Member {
    pub(super) fn has_role(&self, role: Snowflake) -> bool {
        self.roles.contains(&role)
    }
}

/// One of `GET /guilds/{id}/channels`, or `GET /channels/{id}`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Channel {
    pub(super) id: Snowflake,
    #[serde(rename = "type")]
    pub(super) kind: ChannelKind,
    /// Absent for private chats.
    #[serde(default)]
    pub(super) guild_id: Option<Snowflake>,
    /// Of a thread: the channel it belongs to.
    #[serde(default)]
    pub(super) parent_id: Option<Snowflake>,
    #[serde(default)]
    pub(super) permission_overwrites: Vec<PermissionOverwrite>,
    #[serde(default)]
    pub(super) thread_metadata: Option<ThreadMetadata>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ThreadMetadata {
    #[serde(default)]
    pub(super) locked: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PermissionOverwrite {
    pub(super) id: Snowflake,
    #[serde(rename = "type")]
    pub(super) kind: OverwriteKind,
    pub(super) allow: Permissions,
    pub(super) deny: Permissions,
}

/// Whom an overwrite is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub(super) enum OverwriteKind {
    Role,
    Member,
    /// Of a kind that does not exist yet.
    Unknown,
}

impl From<Value> for OverwriteKind {
    fn from(kind: Value) -> Self {
        match kind.as_u64() {
            Some(0) => Self::Role,
            Some(1) => Self::Member,
            _ => Self::Unknown,
        }
    }
}

/// What a channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "u16")]
pub(super) enum ChannelKind {
    /// Takes messages: text, announcement, or a kind of the future.
    Messages,
    /// A voice or stage channel, which has a chat for those who may connect.
    Voice,
    Thread,
    Category,
    /// Takes posts, which are threads.
    Forum,
    /// A private chat.
    Private,
    Directory,
}

impl From<u16> for ChannelKind {
    fn from(kind: u16) -> Self {
        match kind {
            1 | 3 => Self::Private,
            2 | 13 => Self::Voice,
            4 => Self::Category,
            10..=12 => Self::Thread,
            14 => Self::Directory,
            15 | 16 => Self::Forum,
            _ => Self::Messages,
        }
    }
}

/// The objects of a list that can be read: one of a kind that does not exist yet does not hide the others.
pub(super) fn readable<T: serde::de::DeserializeOwned>(list: Vec<Value>) -> Vec<T> {
    list.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect()
}
