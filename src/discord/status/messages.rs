//! Keeps a status message for each server: posts it once, edits it as its game changes, posts it again when it was
//! deleted, and deletes those that stand where they no longer belong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use metrics::counter;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::any_change;
use super::api::{self, Said, backoff};
use super::embed::Embed;
use super::render::{mark, render};
use crate::config::Settings;
use crate::config::settings::StatusSettings;
use crate::discord::rest::Rest;
use crate::discord::sink::snowflake;
use crate::domain::{ChannelId, ServerTag};
use crate::game::{GameBoard, GameLink, GameView};
use crate::health::{Component, HealthRegistry};
use crate::store::{StatusMessage, Store, StoreError};
use crate::telemetry::metrics::{ErrorType, STATUS_UPDATES, count_error};

/// The waits that are no settings. The defaults suit the real Discord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusTimes {
    /// Between two requests about one channel: Discord lets three edits of older messages through in 6 s.
    pub pace: Duration,
    /// How long a game that was not asked yet is waited for, before that is shown.
    pub patience: Duration,
    /// A message that says the same is edited after this time, so that its timestamp can be believed and its deletion
    /// is noticed.
    pub refresh: Duration,
}

impl Default for StatusTimes {
    fn default() -> Self {
        let (pace, patience) = (Duration::from_millis(2100), Duration::from_secs(20));
        Self { pace, patience, refresh: Duration::from_mins(10) }
    }
}

/// How much Discord's clock may be behind ours, when a message is looked for by the time it was sent.
const CLOCK_MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// The task of all status messages. A clone is a fresh start for the supervisor; run one at a time.
#[derive(Debug, Clone)]
pub struct StatusMessages {
    rest: Arc<Rest>,
    store: Store,
    health: HealthRegistry,
    settings: StatusSettings,
    names: BTreeMap<ServerTag, String>,
    /// Keeps the games' senders alive.
    board: GameBoard,
    times: StatusTimes,
}

/// One server's message.
struct Place {
    tag: ServerTag,
    name: String,
    channel: ChannelId,
    view: watch::Receiver<GameView>,
    stored: Option<StatusMessage>,
    /// What Discord last took in this life of the task.
    shown: Option<Embed>,
    shown_at: Instant,
    not_before: Instant,
    failures: u32,
    parked: bool,
}

impl StatusMessages {
    /// Messages about the games of `board`.
    ///
    /// # Errors
    /// When the token or `discord.api_base` cannot be used at all.
    pub fn new(settings: &Settings, store: Store, board: GameBoard, health: HealthRegistry) -> anyhow::Result<Self> {
        Ok(Self {
            rest: Arc::new(Rest::new(&settings.discord)?),
            store,
            health,
            settings: settings.status.clone(),
            names: settings.servers.iter().map(|server| (server.tag.clone(), server.name.clone())).collect(),
            board,
            times: StatusTimes::default(),
        })
    }

    /// The same with other waits.
    #[must_use]
    pub fn with_times(self, times: StatusTimes) -> Self {
        Self { times, ..self }
    }

    /// Runs until `cancel`.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        cancel.run_until_cancelled(self.keep()).await.unwrap_or(Ok(()))
    }

    async fn keep(&self) -> anyhow::Result<()> {
        let (mut places, mut strays) = self.places(self.store.status_messages().await?);
        let mut pace = Pace { gap: self.times.pace, channels: BTreeMap::new(), all: Instant::now() };
        loop {
            self.sweep(&mut strays, &mut pace).await?;
            let due = |place: &Place| pace.at(place.channel, self.due(place));
            let now = Instant::now();
            let next = places.iter_mut().filter(|place| due(place) <= now).min_by_key(|place| due(place));
            if let Some(place) = next {
                let said = self.update(place).await?;
                pace.rest(place.channel, &said);
                self.settle(place, &said);
                continue;
            }
            let stray = strays.iter().map(|stray| pace.at(stray.channel, now)).min();
            let earliest = places.iter().map(due).chain(stray).min().unwrap_or(now + self.times.refresh);
            tokio::select! {
                () = sleep_until(earliest) => {}
                () = any_change(places.iter_mut().map(|place| &mut place.view)) => {}
            }
        }
    }

    /// The servers' places, and the messages that stand elsewhere.
    fn places(&self, stored: Vec<StatusMessage>) -> (Vec<Place>, Vec<StatusMessage>) {
        let now = Instant::now();
        let (known, strays): (Vec<_>, Vec<_>) = stored
            .into_iter()
            .partition(|message| self.settings.messages.get(&message.server) == Some(&message.channel));
        let place = |(tag, channel): (&ServerTag, &ChannelId)| {
            Some(Place {
                tag: tag.clone(),
                name: self.names.get(tag)?.clone(),
                channel: *channel,
                view: self.board.watch(tag)?,
                stored: known.iter().find(|message| message.server == *tag).cloned(),
                shown: None,
                shown_at: now,
                // Who was asked already is shown at once.
                not_before: now,
                failures: 0,
                parked: false,
            })
        };
        (self.settings.messages.iter().filter_map(place).collect(), strays)
    }

    /// When the message is to be touched next.
    fn due(&self, place: &Place) -> Instant {
        let view = place.view.borrow();
        let Some(shown) = &place.shown else {
            let patience = if view.link == GameLink::Unknown { self.times.patience } else { Duration::ZERO };
            return place.not_before.max(place.shown_at + patience);
        };
        if render(&place.tag, &place.name, &view, Timestamp::now()).says_the_same(shown) {
            return place.not_before.max(place.shown_at + self.times.refresh);
        }
        place.not_before
    }

    async fn update(&self, place: &mut Place) -> Result<Said, StoreError> {
        let view = place.view.borrow_and_update().clone();
        let embed = render(&place.tag, &place.name, &view, Timestamp::now());
        let said = match self.known(place).await? {
            Err(said) => return Ok(said),
            Ok(message) => self.show(&message, &embed).await,
        };
        match &said {
            Said::Done(id) => {
                if let Some(stored) = place.stored.as_mut().filter(|stored| stored.message.is_none()) {
                    if *id == 0 {
                        // It is there, but the answer broke off: it is looked for.
                        let reason = "Discord's answer does not name the message".to_owned();
                        return Ok(Said::Later { after: None, everywhere: false, reason });
                    }
                    self.store.status_posted(stored, *id).await?;
                    stored.message = Some(*id);
                }
                (place.shown, place.shown_at) = (Some(embed), Instant::now());
            }
            // Deleted, here or (by a nonce that is known) before: the next attempt posts anew.
            Said::Gone => {
                info!(server = %place.tag, channel = %place.channel, "The status message was deleted; it is posted again");
                place.stored =
                    Some(self.store.prepare_status_message(&place.tag, place.channel, Timestamp::now()).await?);
            }
            Said::Later { .. } | Said::Refused(_) => {}
        }
        Ok(said)
    }

    /// The message as far as it is known: stored, or found in the channel where a post may have arrived unheard.
    async fn known(&self, place: &mut Place) -> Result<Result<StatusMessage, Said>, StoreError> {
        let after = match &place.stored {
            Some(stored) if stored.message.is_some() => return Ok(Ok(stored.clone())),
            Some(uncertain) => Some(just_before(uncertain.attempted_at)),
            None => None,
        };
        let found = match api::find(&self.rest, place.channel, after, &mark(&place.tag)).await {
            Ok(found) => found,
            Err(said) => return Ok(Err(said)),
        };
        let mut message = match place.stored.take() {
            Some(stored) => stored,
            None => self.store.prepare_status_message(&place.tag, place.channel, Timestamp::now()).await?,
        };
        if let Some(id) = found {
            self.store.status_posted(&message, id).await?;
            message.message = Some(id);
        }
        place.stored = Some(message.clone());
        Ok(Ok(message))
    }

    async fn show(&self, message: &StatusMessage, embed: &Embed) -> Said {
        match message.message {
            Some(id) => api::edit(&self.rest, message.channel, id, embed).await,
            None => api::post(&self.rest, message, embed).await,
        }
    }

    /// Counts, says what an operator should know, and sets the next time.
    fn settle(&self, place: &mut Place, said: &Said) {
        let now = Instant::now();
        let outcome = match said {
            Said::Done(_) => {
                place.not_before = now + self.settings.floor;
                place.failures = 0;
                self.unpark(place);
                "done"
            }
            Said::Gone => {
                place.not_before = now;
                "gone"
            }
            Said::Later { after, reason, .. } => {
                debug!(server = %place.tag, reason, "The status message waits");
                place.not_before = now + backoff(place.failures, *after);
                place.failures += 1;
                "retry"
            }
            Said::Refused(reason) => {
                place.not_before = now + self.settings.park_retry;
                self.park(place, reason);
                "refused"
            }
        };
        counter!(STATUS_UPDATES, "what" => "message", "outcome" => outcome).increment(1);
    }

    fn park(&self, place: &mut Place, reason: &str) {
        let more = if reason.contains("(50013)") { ", and Embed Links" } else { "" };
        let reason = format!("no status message of {}: {reason}{more}", place.tag);
        self.health.part(Component::Discord, &part(&place.tag)).degraded(&reason);
        if !place.parked {
            count_error(Component::Discord.as_str(), ErrorType::Channel);
            warn!(server = %place.tag, channel = %place.channel, reason, "A status message is refused");
        }
        place.parked = true;
    }

    fn unpark(&self, place: &mut Place) {
        if std::mem::take(&mut place.parked) {
            self.health.part(Component::Discord, &part(&place.tag)).remove();
        }
    }

    /// Deletes one message that stands where it no longer belongs.
    async fn sweep(&self, strays: &mut Vec<StatusMessage>, pace: &mut Pace) -> Result<(), StoreError> {
        let now = Instant::now();
        let Some(at) = strays.iter().position(|stray| pace.at(stray.channel, now) <= now) else { return Ok(()) };
        let stray = strays[at].clone();
        let id = if stray.message.is_some() {
            Ok(stray.message)
        } else {
            api::find(&self.rest, stray.channel, Some(just_before(stray.attempted_at)), &mark(&stray.server)).await
        };
        let said = match id {
            Ok(Some(id)) => api::delete(&self.rest, stray.channel, id).await,
            Ok(None) => Said::Gone,
            Err(said) => said,
        };
        pace.rest(stray.channel, &said);
        if let Said::Later { reason, .. } = said {
            debug!(server = %stray.server, reason, "The deletion of an old status message waits");
            return Ok(());
        }
        if let Said::Refused(reason) = said {
            warn!(server = %stray.server, channel = %stray.channel, reason, "An old status message is left as it is");
        }
        self.store.forget_status_message(&stray).await?;
        strays.remove(at);
        Ok(())
    }
}

fn part(tag: &ServerTag) -> String {
    format!("{tag}/status")
}

/// A message sent at `at` has a greater id.
fn just_before(at: Timestamp) -> u64 {
    snowflake(at.saturating_sub(CLOCK_MARGIN).unwrap_or(at).as_millisecond())
}

/// When Discord may be asked again, about a channel and at all.
struct Pace {
    gap: Duration,
    channels: BTreeMap<ChannelId, Instant>,
    all: Instant,
}

impl Pace {
    /// `wanted`, or later.
    fn at(&self, channel: ChannelId, wanted: Instant) -> Instant {
        let rested = self.channels.get(&channel).copied().unwrap_or(wanted);
        wanted.max(rested).max(self.all)
    }

    /// After an answer about `channel`.
    fn rest(&mut self, channel: ChannelId, said: &Said) {
        let now = Instant::now();
        let wait = match said {
            Said::Later { after, everywhere, .. } => {
                let wait = backoff(0, *after).max(self.gap);
                if *everywhere {
                    self.all = now + wait;
                }
                wait
            }
            _ => self.gap,
        };
        self.channels.insert(channel, now + wait);
    }
}
