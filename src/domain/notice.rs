//! What is to be said in a Discord channel.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ServerTag;

/// The id ("snowflake") of a Discord channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelId(pub NonZeroU64);

impl ChannelId {
    /// `None` for 0, which is no id.
    #[must_use]
    pub fn new(id: u64) -> Option<Self> {
        NonZeroU64::new(id).map(Self)
    }

    /// The id as a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Notices of one lane of a channel arrive in order; a higher lane overtakes a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Overtakes everything.
    Alert,
    /// Everything else.
    Chat,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 2] = [Self::Alert, Self::Chat];

    /// The lane's name in the configuration, the database and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Chat => "chat",
        }
    }
}

/// Whom a message pings, by id: exactly these, by default nobody. `@everyone` and `@here` cannot be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mentions {
    /// Users.
    pub users: BTreeSet<u64>,
    /// Roles.
    pub roles: BTreeSet<u64>,
}

impl Mentions {
    /// Whether nobody is pinged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty()
    }

    /// These and those.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { users: &self.users | &other.users, roles: &self.roles | &other.roles }
    }
}

/// One thing to be said in one channel: what becomes an outbox row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The server it is about.
    pub server: ServerTag,
    /// Where it is said.
    pub channel: ChannelId,
    /// With which urgency.
    pub lane: Lane,
    /// The event's key, as in metrics: `chat`, `join`, or the `event` of a pattern.
    pub event: Arc<str>,
    /// Discord markdown, player text escaped. Never empty. May be longer than one message.
    pub content: String,
    /// The same for a text file: no markdown, no escapes, with its time of day.
    pub plain: String,
    /// Whom `content` mentions and may ping.
    pub mentions: Mentions,
    /// When it happened in the game.
    pub occurred_at: Timestamp,
}
