//! Sends messages to Discord's channels, one attempt at a time.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use opentelemetry::KeyValue;
use reqwest::StatusCode;
use serde::Deserialize;
use serenity::builder::{CreateAllowedMentions, CreateAttachment, CreateMessage, EditMessage};
use serenity::model::channel::{MessageFlags, Nonce};
use tokio::sync::OnceCell;
use tracing::{info, warn};

use crate::config::settings::DiscordSettings;
use crate::delivery::{NoticeSink, Outcome, OutgoingMessage, RetryScope};
use crate::domain::{ChannelId, Mentions};
use crate::telemetry::metrics::ErrorType;
use crate::telemetry::traces;

use super::error_class::{classify, is_gone};
use super::rest::{Answer, Rest, Unanswered};

/// Discord remembers nonces for "a few minutes"; after this, a message that may have arrived is looked for.
const NONCE_TRUSTED: SignedDuration = SignedDuration::from_mins(1);
/// How much Discord's clock may differ from what its last answer showed.
const CLOCK_MARGIN_MS: i64 = 5_000;
/// The same while it has answered nothing yet.
const CLOCK_MARGIN_UNSEEN_MS: i64 = 60_000;
/// The first millisecond of Discord's ids: 2015-01-01T00:00:00Z.
const DISCORD_EPOCH_MS: i64 = 1_420_070_400_000;
/// Messages per request when looking; the API's maximum.
const PAGE: usize = 100;
/// Pages looked through: more than a thousand messages after the first attempt are not searched.
const PAGES: usize = 10;

/// Discord's channels as a [`NoticeSink`].
///
/// Nobody is pinged but those the message names (`allowed_mentions` has exactly these), and links unfold nothing. Every message carries its nonce with
/// `enforce_nonce`, so that Discord answers a repeated one with the message it has.
#[derive(Debug)]
pub struct DiscordSink {
    rest: Rest,
    own_id: OnceCell<u64>,
    unreadable: Mutex<HashSet<ChannelId>>,
}

/// A message as the API lists it.
#[derive(Debug, Deserialize)]
struct Listed {
    id: Id,
    author: Author,
    content: String,
    #[serde(default)]
    attachments: Vec<ListedFile>,
}

#[derive(Debug, Deserialize)]
struct Author {
    id: Id,
}

#[derive(Debug, Deserialize)]
struct ListedFile {
    filename: String,
}

/// Ids are decimal strings in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Id(u64);

impl TryFrom<String> for Id {
    type Error = std::num::ParseIntError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        id.parse().map(Self)
    }
}

impl DiscordSink {
    /// A sink for the API at `api_base`, or the real one. Connects to nothing yet.
    ///
    /// # Errors
    /// When the token or `api_base` cannot be used in a request at all.
    pub fn new(settings: &DiscordSettings) -> anyhow::Result<Self> {
        Ok(Self { rest: Rest::new(settings)?, own_id: OnceCell::new(), unreadable: Mutex::default() })
    }

    /// The same with this patience for each request, instead of 15 s, and of more for one with a file by
    /// its size.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { rest: self.rest.with_patience(patience), ..self }
    }

    /// Where the requests go, without `/api/v10`.
    #[must_use]
    pub fn api_base(&self) -> &str {
        self.rest.base()
    }

    async fn send(&self, message: &OutgoingMessage) -> Outcome {
        self.note_request("POST", "/channels/{channel}/messages");
        let path = format!("/channels/{}/messages", message.channel);
        match self.rest.post(&path, &payload(message), message.attachment.as_ref()).await {
            Ok(answer) => {
                note_status(&answer);
                classify(message.channel, answer.status, &answer.headers, &answer.body)
            }
            Err(error) => unanswered(&error),
        }
    }

    /// Replaces the text of a message; pings nobody, and may be repeated.
    async fn edit(&self, message: &OutgoingMessage, id: u64) -> Outcome {
        self.note_request("PATCH", "/channels/{channel}/messages/{message}");
        let path = format!("/channels/{}/messages/{id}", message.channel);
        let text = EditMessage::new().content(message.content.as_str()).allowed_mentions(CreateAllowedMentions::new());
        match self.rest.patch(&path, &text, None).await {
            Ok(answer) if is_gone(answer.status, &answer.body) => {
                note_status(&answer);
                Outcome::Gone { reason: "the message was deleted".to_owned() }
            }
            Ok(answer) => {
                note_status(&answer);
                classify(message.channel, answer.status, &answer.headers, &answer.body)
            }
            Err(error) => unanswered(&error),
        }
    }

    /// The request that is about to be made, for the span of the attempt.
    fn note_request(&self, method: &'static str, path: &'static str) {
        traces::annotate(|| {
            let (host, port) = self.rest.peer();
            [
                KeyValue::new("http.request.method", method),
                KeyValue::new("url.template", path),
                KeyValue::new("server.address", host),
                KeyValue::new("server.port", i64::from(port)),
            ]
        });
    }

    /// The id of `message` in its channel, `None` when it is not there.
    async fn find(&self, message: &OutgoingMessage, first_attempt: Timestamp) -> Result<Option<u64>, Outcome> {
        let own_id = self.own_id(message.channel).await?;
        let mut after = self.just_before(first_attempt);
        for _ in 0..PAGES {
            let Some(page) = self.page(message.channel, after).await? else { return Ok(None) };
            let is_it = |listed: &&Listed| listed.is(message, own_id) && !message.others.contains(&listed.id.0);
            if let Some(found) = page.iter().find(is_it) {
                return Ok(Some(found.id.0));
            }
            let newest = page.iter().map(|listed| listed.id.0).max();
            match newest {
                Some(newest) if page.len() >= PAGE => after = newest,
                _ => return Ok(None),
            }
        }
        warn!(channel = %message.channel, "Too many messages to find one that may have arrived: it may appear twice");
        Ok(None)
    }

    async fn own_id(&self, channel: ChannelId) -> Result<u64, Outcome> {
        let ask = async || {
            let answer = self.rest.get("/users/@me").await.map_err(|error| still_uncertain(unanswered(&error)))?;
            let me: Author = read(channel, &answer)?;
            Ok(me.id.0)
        };
        self.own_id.get_or_try_init(ask).await.copied()
    }

    /// The messages after `after`, at most [`PAGE`]; `None` when the bot may not read there.
    async fn page(&self, channel: ChannelId, after: u64) -> Result<Option<Vec<Listed>>, Outcome> {
        let path = format!("/channels/{channel}/messages?after={after}&limit={PAGE}");
        let answer = self.rest.get(&path).await.map_err(|error| still_uncertain(unanswered(&error)))?;
        if matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            // That there is no such channel, the delivery itself says.
            if answer.status == StatusCode::FORBIDDEN {
                self.cannot_read(channel);
            }
            return Ok(None);
        }
        read(channel, &answer).map(Some)
    }

    fn cannot_read(&self, channel: ChannelId) {
        if self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(channel) {
            warn!(%channel, "Cannot read the channel's messages: after an outage a message may appear twice; grant Read Message History");
        }
    }

    fn just_before(&self, attempt: Timestamp) -> u64 {
        let (offset, margin) =
            self.rest.clock_offset().map_or((0, CLOCK_MARGIN_UNSEEN_MS), |offset| (offset, CLOCK_MARGIN_MS));
        snowflake(attempt.as_millisecond().saturating_add(offset).saturating_sub(margin))
    }
}

#[async_trait]
impl NoticeSink for DiscordSink {
    async fn deliver(&self, message: &OutgoingMessage) -> Outcome {
        if let Some(id) = message.edits {
            return self.edit(message, id).await;
        }
        if let Some(first_attempt) = message.first_attempt.filter(|at| nonce_is_stale(*at)) {
            match self.find(message, first_attempt).await {
                Ok(Some(message_id)) => {
                    info!(channel = %message.channel, message_id, "Found a message that was sent without an answer");
                    return Outcome::Delivered { message_id, rest: None };
                }
                Ok(None) => {}
                Err(outcome) => return outcome,
            }
        }
        self.send(message).await
    }
}

impl Listed {
    fn is(&self, message: &OutgoingMessage, own_id: u64) -> bool {
        let file = message.attachment.as_ref().map(|file| file.filename.as_str());
        self.author.id.0 == own_id
            // Discord trims what it stores.
            && self.content.trim() == message.content.trim()
            && self.attachments.iter().map(|file| file.filename.as_str()).eq(file)
    }
}

fn note_status(answer: &Answer) {
    traces::annotate(|| [KeyValue::new("http.response.status_code", i64::from(answer.status.as_u16()))]);
}

fn payload(message: &OutgoingMessage) -> CreateMessage {
    let payload = CreateMessage::new()
        .content(message.content.as_str())
        .nonce(Nonce::String(message.nonce.clone()))
        .enforce_nonce(true)
        .allowed_mentions(allowed_mentions(&message.mentions))
        .flags(MessageFlags::SUPPRESS_EMBEDS);
    match &message.attachment {
        // Only its name goes into the JSON; the bytes are a part of their own.
        Some(file) => payload.add_file(CreateAttachment::bytes([], file.filename.clone())),
        None => payload,
    }
}

/// Exactly these ids, and nothing by what the content says.
fn allowed_mentions(mentions: &Mentions) -> CreateAllowedMentions {
    CreateAllowedMentions::new().users(mentions.users.iter().copied()).roles(mentions.roles.iter().copied())
}

fn nonce_is_stale(first_attempt: Timestamp) -> bool {
    Timestamp::now().duration_since(first_attempt) > NONCE_TRUSTED
}

/// The id that a message of this Unix time in milliseconds would have at least.
pub(super) fn snowflake(unix_ms: i64) -> u64 {
    u64::try_from(unix_ms - DISCORD_EPOCH_MS).unwrap_or(0) << 22
}

/// The JSON of an answer to a look. Whatever refuses a look says nothing about the message itself.
fn read<T: serde::de::DeserializeOwned>(channel: ChannelId, answer: &Answer) -> Result<T, Outcome> {
    if answer.status.is_success() {
        return answer.json().ok_or_else(unreadable_answer);
    }
    Err(match classify(channel, answer.status, &answer.headers, &answer.body) {
        Outcome::Rejected { error, reason, .. } => {
            Outcome::Retry { after: None, scope: RetryScope::Channel, error, reason, uncertain: true }
        }
        Outcome::Delivered { .. } | Outcome::Gone { .. } => unreadable_answer(),
        retry @ Outcome::Retry { .. } => still_uncertain(retry),
    })
}

fn unreadable_answer() -> Outcome {
    let reason = "Discord's answer cannot be read, while looking whether a message is there already".to_owned();
    Outcome::Retry { after: None, scope: RetryScope::Channel, error: ErrorType::Other, reason, uncertain: true }
}

fn unanswered(error: &Unanswered) -> Outcome {
    Outcome::Retry {
        after: None,
        scope: RetryScope::Global,
        error: ErrorType::Network,
        reason: error.to_string(),
        uncertain: error.uncertain(),
    }
}

/// A look that failed leaves the message as uncertain as it was.
fn still_uncertain(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Retry { after, scope, error, reason, .. } => {
            Outcome::Retry { after, scope, error, reason, uncertain: true }
        }
        settled => settled,
    }
}
