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
    parked: bool,
}

impl Turn {
    /// The first one.
    pub(super) fn new(kind: Kind, server: ServerTag, channel: ChannelId, health: HealthRegistry) -> Self {
        Self { kind, server, channel, health, not_before: Instant::now(), failures: 0, parked: false }
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
            Said::Gone => (waits.gone, "gone"),
            Said::Later { after, reason, .. } => {
                debug!(server = %self.server, what = self.kind.as_str(), reason, "What is shown of a game waits");
                let wait = backoff(self.failures, *after).max(waits.later);
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
