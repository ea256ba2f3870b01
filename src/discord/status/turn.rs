//! When the next attempt at one place is due, by what Discord said to the last one, and what an operator hears of it.

use std::time::Duration;

use metrics::counter;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::api::{Said, backoff};
use crate::domain::{ChannelId, ServerTag};
use crate::health::{Component, HealthRegistry};
use crate::telemetry::metrics::{ErrorType, STATUS_UPDATES, count_error};

/// What is shown at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Topic,
}

impl Kind {
    /// In the metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Topic => "channel",
        }
    }

    /// In the health of Discord.
    fn part(self, server: &ServerTag) -> String {
        match self {
            Self::Message => format!("{server}/status"),
            Self::Topic => format!("{server}/topic"),
        }
    }

    /// What an operator can do, as far as it is known.
    fn refusal(self, server: &ServerTag, channel: ChannelId, reason: &str) -> String {
        let embeds = if reason.contains("(50013)") { ", and Embed Links" } else { "" };
        match self {
            Self::Message => format!("no status message of {server}: {reason}{embeds}"),
            Self::Topic => {
                format!("no topic of {server}: the bot needs Manage Channels in channel {channel}; {reason}")
            }
        }
    }
}

/// A message that stood as long was not deleted by something that deletes them all.
const LONG_STANDING: Duration = Duration::from_hours(1);
/// The waits before a message is posted again that was deleted the first, the second ... time in a row.
const AFTER_DELETIONS: [Duration; 4] =
    [Duration::ZERO, Duration::from_mins(1), Duration::from_mins(5), Duration::from_hours(1)];

/// The least waits after each thing Discord may say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    pub(super) done: Duration,
    pub(super) gone: Duration,
    pub(super) later: Duration,
    pub(super) refused: Duration,
}

/// One place's turn.
#[derive(Debug)]
pub(super) struct Turn {
    kind: Kind,
    server: ServerTag,
    channel: ChannelId,
    health: HealthRegistry,
    /// Not before this time.
    pub(super) not_before: Instant,
    failures: u32,
    /// Whether Discord said how long to wait.
    told_to_wait: bool,
    /// In a row.
    deletions: usize,
    parked: bool,
}

impl Turn {
    /// The first one.
    pub(super) fn new(kind: Kind, server: ServerTag, channel: ChannelId, health: HealthRegistry) -> Self {
        let not_before = Instant::now();
        Self {
            kind,
            server,
            channel,
            health,
            not_before,
            failures: 0,
            told_to_wait: false,
            deletions: 0,
            parked: false,
        }
    }

    /// The same, but later.
    pub(super) fn not_before(self, not_before: Instant) -> Self {
        Self { not_before, ..self }
    }

    /// Whether Discord did what it was last asked, if it was.
    pub(super) fn goes_well(&self) -> bool {
        self.failures == 0 && !self.parked
    }

    /// Counts, says what an operator should know, and sets the next time.
    pub(super) fn settle(&mut self, said: &Said, waits: &Waits) {
        let (wait, outcome) = match said {
            Said::Done(_) => {
                self.failures = 0;
                self.unpark();
                (waits.done, "done")
            }
            Said::Gone => (waits.gone.max(self.after_deletion()), "gone"),
            Said::Later { after, reason, .. } => {
                debug!(server = %self.server, what = self.kind.as_str(), reason, "What is shown of a game waits");
                let wait = backoff(self.failures, *after).max(waits.later);
                self.told_to_wait = after.is_some();
                self.failures += 1;
                (wait, "retry")
            }
            Said::Refused(reason) => {
                self.park(reason);
                (waits.refused, "refused")
            }
        };
        self.not_before = Instant::now() + wait;
        counter!(STATUS_UPDATES, "what" => self.kind.as_str(), "outcome" => outcome).increment(1);
    }

    /// Discord can be reached again: a wait that it did not ask for is over.
    pub(super) fn retry_now(&mut self) {
        if self.failures > 0 && !self.told_to_wait && !self.parked {
            self.not_before = Instant::now();
            self.failures = 0;
        }
    }

    /// Somebody deleted what stood there for `stood`. Where that happens again and again, an operator should know.
    pub(super) fn deleted(&mut self, stood: Duration) {
        self.deletions = if stood < LONG_STANDING { self.deletions + 1 } else { 1 };
        if self.deletions >= AFTER_DELETIONS.len() {
            self.park(&format!("it was deleted {} times in a row; does a bot delete messages there?", self.deletions));
        }
    }

    fn after_deletion(&self) -> Duration {
        let last = AFTER_DELETIONS.len() - 1;
        self.deletions.checked_sub(1).map_or(Duration::ZERO, |before| AFTER_DELETIONS[before.min(last)])
    }

    fn park(&mut self, reason: &str) {
        let reason = self.kind.refusal(&self.server, self.channel, reason);
        self.health.part(Component::Discord, &self.kind.part(&self.server)).degraded(&reason);
        if !self.parked {
            count_error(Component::Discord.as_str(), ErrorType::Channel);
            let (server, channel) = (&self.server, self.channel);
            match self.kind {
                Kind::Message => warn!(%server, %channel, reason, "A status message is refused"),
                Kind::Topic => warn!(%server, %channel, reason, "A channel's topic is refused"),
            }
        }
        self.parked = true;
    }

    fn unpark(&mut self) {
        if std::mem::take(&mut self.parked) {
            self.health.part(Component::Discord, &self.kind.part(&self.server)).remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(health: &HealthRegistry) -> Turn {
        let (server, channel) = (ServerTag::new("prod").unwrap(), ChannelId::new(1).unwrap());
        Turn::new(Kind::Message, server, channel, health.clone())
    }

    #[tokio::test]
    async fn what_is_deleted_again_and_again_is_posted_more_and_more_rarely() {
        let health = HealthRegistry::new();
        let mut turn = turn(&health);
        let waits =
            Waits { done: Duration::ZERO, gone: Duration::ZERO, later: Duration::ZERO, refused: Duration::ZERO };
        let mut after = |stood| {
            turn.deleted(stood);
            turn.settle(&Said::Gone, &waits);
            let wait = turn.not_before.duration_since(Instant::now()).as_millis().div_ceil(1000);
            turn.settle(&Said::Done(1), &waits);
            wait
        };
        let short = Duration::from_secs(10);
        assert_eq!([(); 6].map(|()| after(short)), [0, 60, 300, 3600, 3600, 3600]);
        assert_eq!([after(LONG_STANDING), after(short)], [0, 60], "one that stood was deleted by somebody");
    }

    #[tokio::test]
    async fn health_tells_of_a_channel_where_messages_do_not_stay() {
        let health = HealthRegistry::new();
        let mut turn = turn(&health);
        let told = || health.subscribe().borrow().values().any(|part| part.state.reason().is_some());
        for _ in 1..AFTER_DELETIONS.len() {
            turn.deleted(Duration::ZERO);
            assert!(!told());
        }
        turn.deleted(Duration::ZERO);
        assert!(told());
    }
}
