//! What delivery needs of the far side.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::domain::{ChannelId, Mentions};
use crate::telemetry::metrics::ErrorType;

/// One message as it goes out. Retries send the same again, byte for byte, with the same nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// Where to.
    pub channel: ChannelId,
    /// At most 25 characters; Discord answers a repeated one with the message it already has.
    pub nonce: String,
    /// At most 2000 characters (Unicode code points), never empty.
    pub content: String,
    /// Whom it may ping; nobody else is, whatever the content says.
    pub mentions: Mentions,
    /// A text file.
    pub attachment: Option<Attachment>,
    /// When it was first tried, if it was: it may have arrived although nobody heard the answer.
    pub first_attempt: Option<Timestamp>,
    /// Ids of the messages that are known to be in the channel since shortly before `first_attempt`. An equal one
    /// among them is another one: a player may say the same twice.
    pub others: Vec<u64>,
    /// Discord's id of a message whose text this one replaces: nothing new is posted, and nobody is pinged. The same
    /// may be sent again and again.
    pub edits: Option<u64>,
}

/// A file that goes with a message; at most 10 MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// As `prod-2026-11-23.txt`; `.png` for a picture, else it is a text.
    pub filename: String,
    /// UTF-8 text, or the picture.
    pub bytes: Bytes,
}

/// What a retry must wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryScope {
    /// Only this channel rests.
    Channel,
    /// Every channel rests (global rate limit, refused token, no network).
    Global,
}

/// What was refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The channel: unknown, no access, archived. Everything for it is parked.
    Channel,
    /// This content only: the next message may pass.
    Payload,
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Delivered {
        /// Its id.
        message_id: u64,
        /// How long the channel's bucket wants rest before the next send (from `X-RateLimit-Remaining` 0).
        rest: Option<Duration>,
    },
    /// Not now.
    Retry {
        /// A floor for the wait, from `Retry-After`.
        after: Option<Duration>,
        /// Who waits.
        scope: RetryScope,
        /// For metrics.
        error: ErrorType,
        /// For people, no secrets: "Discord answers 503 Service Unavailable".
        reason: String,
        /// Whether the message may have arrived all the same (timeout, lost answer).
        uncertain: bool,
    },
    /// The message to be edited is not there any more, or is not ours.
    Gone {
        /// For people.
        reason: String,
    },
    /// Never, until somebody changes something.
    Rejected {
        /// What is refused.
        refusal: Refusal,
        /// For metrics.
        error: ErrorType,
        /// For people: "Missing Access (50001): the bot may not see channel 123".
        reason: String,
    },
}

/// Where messages go: Discord, a recorder in tests, a printer.
#[async_trait]
pub trait NoticeSink: Send + Sync + 'static {
    /// Tries once to deliver. Returns within a bounded time; dropping the future is an unknown outcome.
    ///
    /// When `message.first_attempt` is set and long enough ago that the nonce may be forgotten, the sink first looks
    /// whether the message is already there.
    async fn deliver(&self, message: &OutgoingMessage) -> Outcome;
}
