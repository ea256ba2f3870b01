//! One channel: its messages one after another, alerts first, each until it is there or refused for good.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use jiff::Timestamp;

use super::file::{FileDraft, FileKind, append_line};
use super::gate::Pass;
use super::plan::{Draft, Plan, Rules, plan};
use super::shared::Shared;
use super::sink::{Attachment, Outcome, OutgoingMessage, Refusal, RetryScope};
use super::traced;
use super::waits::{Cause, Waits};
use crate::domain::{ChannelId, Lane};
use crate::health::Component;
use crate::store::{NewMessage, OutboxRow, StoredMessage};
use crate::telemetry::metrics::{DELIVERIES, ErrorType, RELAY_LATENCY, RETRIES, ROWS_PER_MESSAGE};
use crate::telemetry::traces::{self, Recording};

/// Rows read at a time, at least.
const ROWS_PER_PAGE: u32 = 1000;

/// Failures of one channel in a row before an operator is told.
const FAILURES_TO_TELL: u32 = 3;

/// A channel that has something to say.
pub(crate) struct Channel<'a> {
    shared: &'a Shared,
    id: ChannelId,
    failures: u32,
    /// What held it up, and what holds it up next.
    waits: Waits,
    cause: Cause,
    /// Messages that certainly did not arrive yet, whatever the database must assume after a crash.
    unsent: BTreeSet<i64>,
}

impl<'a> Channel<'a> {
    pub(crate) fn new(shared: &'a Shared, id: ChannelId) -> Self {
        Self { shared, id, failures: 0, waits: Waits::default(), cause: Cause::RateLimit, unsent: BTreeSet::new() }
    }

    /// Sends until nothing is left or the worker is to stop.
    pub(crate) async fn drain(mut self) -> anyhow::Result<ChannelId> {
        while let Some(rest) = self.step().await? {
            let from = self.shared.clock.now();
            if !self.shared.rest(rest).await {
                break;
            }
            self.waits.note(self.cause, from, self.shared.clock.now());
        }
        Ok(self.id)
    }

    /// One attempt at the next message. Answers how long the channel rests; `None` when there is nothing to send.
    async fn step(&mut self) -> anyhow::Result<Option<Duration>> {
        // The message is chosen behind the gate, so that what waited there goes as it is best said now.
        let from = self.shared.clock.now();
        let Some(pass) = self.shared.pass().await else { return Ok(None) };
        self.waits.note(self.shared.closed_for(), from, self.shared.clock.now());
        let Some((lane, message)) = self.next_message().await? else { return Ok(None) };
        let span = self.begin_span(&message, lane).await?;
        let attempt = Box::pin(self.attempt(&pass, &message, span.as_ref()));
        traces::within(span.as_ref(), attempt).await.map(Some)
    }

    /// The span of an attempt; `None` while nobody traces, which then asks the database nothing.
    async fn begin_span(&self, message: &StoredMessage, lane: Lane) -> anyhow::Result<Option<Recording>> {
        if !traces::on() {
            return Ok(None);
        }
        let Shared { store, clock, .. } = self.shared;
        let origins = self.shared.stored(|| store.origins(message.id, traces::MAX_LINKS)).await?;
        let span = traced::sending(message, lane, &origins);
        if let Some(span) = &span {
            traced::waited(span, origins.waiting_since, clock.now(), self.shared.started, &self.waits);
        }
        Ok(span)
    }

    /// Answers how long the channel rests then.
    async fn attempt(
        &mut self,
        pass: &Pass<'_>,
        message: &StoredMessage,
        span: Option<&Recording>,
    ) -> anyhow::Result<Duration> {
        let first_attempt = (!self.unsent.contains(&message.id)).then_some(message.first_attempt_at);
        let outcome = self.send(pass, message, first_attempt).await?;
        if let Some(span) = span {
            traced::attempted(span, outcome.as_ref());
        }
        let Some(outcome) = outcome else { return Ok(Duration::ZERO) };
        self.unsent.remove(&message.id);
        self.cause = cause_of(&outcome);
        Ok(match outcome {
            Outcome::Delivered { message_id, rest } => {
                self.shared.reachable(pass);
                self.delivered(message, message_id).await?;
                rest.unwrap_or_default()
            }
            Outcome::Retry { after, scope, error, reason, uncertain } => {
                let rest = self.retry(pass, scope, after, error, &reason);
                let maybe_there = first_attempt.or(uncertain.then_some(message.first_attempt_at));
                self.postpone(message, maybe_there, &reason).await?;
                rest
            }
            Outcome::Gone { reason } => {
                self.shared.reachable(pass);
                self.post_anew(message, &reason).await?
            }
            Outcome::Rejected { refusal, error, reason } => {
                self.shared.reachable(pass);
                self.shared.count_failure(error);
                match refusal {
                    Refusal::Channel => self.park(message, first_attempt, &reason).await?,
                    Refusal::Payload => self.refused(message, &reason).await?,
                }
            }
        })
    }

    /// What is under way, else what waits; alerts first.
    async fn next_message(&mut self) -> anyhow::Result<Option<(Lane, StoredMessage)>> {
        let Shared { store, clock, .. } = self.shared;
        for lane in Lane::ALL {
            let open = self.shared.stored(|| store.open_message(self.id, lane)).await?;
            if let Some(open) = open {
                return Ok(Some((lane, open)));
            }
            let Some(Draft { content, filename, mentions, rows, last_row, edits }) = self.draft(lane).await? else {
                continue;
            };
            let message = NewMessage { channel: self.id, lane, content, filename, mentions, rows, last_row, edits };
            let message = self.shared.stored(|| store.assign(&message, clock.now())).await?;
            self.unsent.insert(message.id);
            return Ok(Some((lane, message)));
        }
        Ok(None)
    }

    async fn draft(&self, lane: Lane) -> anyhow::Result<Option<Draft>> {
        let relay = &self.shared.relay;
        let rules = Rules {
            lane,
            now: self.shared.clock.now(),
            max_replay_age: relay.max_replay_age,
            max_backlog_messages: relay.max_backlog_messages,
        };
        let rows = self.page(lane, 0).await?;
        match plan(&rows, &rules) {
            None => Ok(None),
            Some(Plan::Message(draft)) => Ok(Some(draft)),
            Some(Plan::Digest) => self.file(FileDraft::new(FileKind::Digest, rules), rows).await,
            Some(Plan::Backlog) => self.file(FileDraft::new(FileKind::Backlog, rules), rows).await,
        }
    }

    async fn file(&self, mut file: FileDraft, mut page: Vec<OutboxRow>) -> anyhow::Result<Option<Draft>> {
        while let Some(last) = page.last().map(|row| row.id) {
            if !page.iter().all(|row| file.take(row)) {
                break;
            }
            page = self.page(file.lane(), last).await?;
        }
        Ok(file.finish())
    }

    async fn page(&self, lane: Lane, after: i64) -> anyhow::Result<Vec<OutboxRow>> {
        // Lines of 10 characters and more fill the messages that decide between messages and a file.
        let deciding = u32::try_from(self.shared.relay.max_backlog_messages).unwrap_or(u32::MAX).saturating_mul(200);
        let limit = deciding.clamp(ROWS_PER_PAGE, 20 * ROWS_PER_PAGE);
        self.shared.stored(|| self.shared.store.pending_rows(self.id, lane, after, limit)).await
    }

    /// `None` when the gate closed meanwhile and nothing was sent, or when the worker stops and the answer is not
    /// waited for: the message stays open then, as one that may have arrived.
    async fn send(
        &self,
        pass: &Pass<'_>,
        message: &StoredMessage,
        first_attempt: Option<Timestamp>,
    ) -> anyhow::Result<Option<Outcome>> {
        let _permit = match message.filename {
            Some(_) => Some(self.shared.files.acquire().await.context("nobody closes the semaphore")?),
            None => None,
        };
        let attachment = match &message.filename {
            Some(filename) => Some(Attachment { filename: filename.clone(), bytes: self.file_of(message).await? }),
            None => None,
        };
        let others = match first_attempt {
            Some(since) => self.shared.stored(|| self.shared.store.ids_delivered_around(self.id, since)).await?,
            None => Vec::new(),
        };
        let outgoing = OutgoingMessage {
            channel: self.id,
            nonce: message.nonce.clone(),
            content: message.content.clone(),
            mentions: message.mentions.clone(),
            attachment,
            first_attempt,
            others,
            edits: message.edits,
        };
        if !self.shared.admits(pass) {
            return Ok(None);
        }
        Ok(self.shared.unless_stopped(self.shared.sink.deliver(&outgoing)).await)
    }

    /// The plain text of the message's rows: the same bytes at every attempt.
    async fn file_of(&self, message: &StoredMessage) -> anyhow::Result<Bytes> {
        let mut file = Vec::new();
        let mut after = 0;
        loop {
            let store = &self.shared.store;
            let page = self.shared.stored(|| store.plain_texts(message.id, after, ROWS_PER_PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(file.into()) };
            after = *last;
            for (_, line) in &page {
                append_line(&mut file, line);
            }
        }
    }

    async fn delivered(&mut self, message: &StoredMessage, discord_id: u64) -> anyhow::Result<()> {
        let now = self.shared.clock.now();
        let read_at = self.shared.stored(|| self.shared.store.delivered(message, discord_id, now)).await?;
        self.works();
        self.waits.settle();
        ::metrics::counter!(DELIVERIES, "outcome" => "delivered").increment(1);
        ::metrics::histogram!(ROWS_PER_MESSAGE).record(message.rows as f64);
        for (read_at, rows) in read_at {
            let seconds = now.duration_since(read_at).as_secs_f64().max(0.0);
            ::metrics::histogram!(RELAY_LATENCY).record_many(seconds, rows);
        }
        Ok(())
    }

    /// Answers how long the channel rests; for a failure that concerns all, the gate does.
    fn retry(
        &mut self,
        pass: &Pass<'_>,
        scope: RetryScope,
        after: Option<Duration>,
        error: ErrorType,
        reason: &str,
    ) -> Duration {
        self.shared.count_failure(error);
        ::metrics::counter!(DELIVERIES, "outcome" => "retry").increment(1);
        ::metrics::counter!(RETRIES).increment(1);
        if scope == RetryScope::Global {
            self.shared.unreachable(pass, after, error, reason);
            return Duration::ZERO;
        }
        self.shared.reachable(pass);
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_TO_TELL && error != ErrorType::RateLimited {
            self.tell(&format!("{} attempts failed: {reason}", self.failures));
        }
        tracing::debug!(channel = %self.id, failures = self.failures, reason, "A message will be tried again");
        self.shared.schedule.wait(self.failures, after, fastrand::f64())
    }

    /// Stores a failed attempt. `maybe_there` is when it was first sent, if it may have arrived.
    async fn postpone(
        &mut self,
        message: &StoredMessage,
        maybe_there: Option<Timestamp>,
        reason: &str,
    ) -> anyhow::Result<()> {
        if maybe_there.is_none() {
            self.unsent.insert(message.id);
        }
        let from = maybe_there.unwrap_or_else(|| self.shared.clock.now());
        self.shared.stored(|| self.shared.store.postpone(message, from, reason)).await
    }

    /// What was to be edited is gone: the next attempt posts the text.
    async fn post_anew(&mut self, message: &StoredMessage, reason: &str) -> anyhow::Result<Duration> {
        let Shared { store, clock, .. } = self.shared;
        let now = clock.now();
        self.shared.stored(|| store.post_anew(message, reason, now)).await?;
        self.unsent.insert(message.id);
        tracing::info!(channel = %self.id, reason, "A message cannot be edited; its text is posted anew");
        Ok(Duration::ZERO)
    }

    async fn park(
        &mut self,
        message: &StoredMessage,
        first_attempt: Option<Timestamp>,
        reason: &str,
    ) -> anyhow::Result<Duration> {
        self.postpone(message, first_attempt, reason).await?;
        ::metrics::counter!(DELIVERIES, "outcome" => "parked").increment(1);
        let rest = self.shared.relay.park_retry;
        if self.shared.park(self.id, true) {
            tracing::error!(
                channel = %self.id, reason, retry_seconds = rest.as_secs(),
                "Discord refuses a channel; its messages are kept until the cause is gone"
            );
        }
        self.tell(&format!("parked, its messages are kept: {reason}"));
        Ok(rest)
    }

    /// Finds the row that is refused by halving what goes together; alone it is a dead letter.
    async fn refused(&mut self, message: &StoredMessage, reason: &str) -> anyhow::Result<Duration> {
        let Shared { store, clock, .. } = self.shared;
        self.works();
        let now = clock.now();
        if message.rows > 1 {
            let limit = u32::try_from(message.rows.div_ceil(2)).unwrap_or(u32::MAX);
            self.shared.stored(|| store.dissolve(message, limit, reason, now)).await?;
            ::metrics::counter!(DELIVERIES, "outcome" => "retry").increment(1);
            ::metrics::counter!(RETRIES).increment(1);
            tracing::info!(channel = %self.id, rows = message.rows, reason, "A refused message is sent in parts");
        } else {
            self.shared.stored(|| store.bury(message, reason, now)).await?;
            ::metrics::counter!(DELIVERIES, "outcome" => "rejected").increment(1);
            tracing::warn!(channel = %self.id, notice = message.id, reason, "Discord refuses a notice for good");
        }
        Ok(Duration::ZERO)
    }

    /// The channel takes messages.
    fn works(&mut self) {
        let was_parked = self.shared.park(self.id, false);
        if was_parked {
            tracing::info!(channel = %self.id, "A parked channel takes messages again");
        }
        if was_parked || self.failures >= FAILURES_TO_TELL {
            self.shared.health.part(Component::Delivery, &self.id.to_string()).remove();
        }
        self.failures = 0;
    }

    fn tell(&self, trouble: &str) {
        let part = self.shared.health.part(Component::Delivery, &self.id.to_string());
        part.degraded(format!("channel {}: {trouble}", self.id));
    }
}

/// Why the channel rests behind it.
fn cause_of(outcome: &Outcome) -> Cause {
    match outcome {
        Outcome::Delivered { .. } | Outcome::Gone { .. } => Cause::RateLimit,
        Outcome::Retry { error, .. } | Outcome::Rejected { error, .. } => Cause::of(*error),
    }
}
