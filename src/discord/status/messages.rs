//! Keeps a status message for each server: posts it once, edits it as its game changes, posts it again when it was
//! deleted, and deletes those that stand where they no longer belong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::any_change;
use super::api::{self, Said, backoff};
use super::embed::Embed;
use super::recovery::Recoveries;
use super::render::{farewell, mark, render};
use super::turn::{Kind, Turn, Waits};
use crate::config::Settings;
use crate::config::settings::StatusSettings;
use crate::discord::rest::Rest;
use crate::discord::sink::snowflake;
use crate::domain::{ChannelId, ServerTag};
use crate::game::{GameBoard, GameLink, GameView};
use crate::health::HealthRegistry;
use crate::store::{StatusMessage, Store, StoreError};

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

/// How long a request that is under way may still take when the program stops, and then the last edits together: less
/// than the stage they are made in.
const FINISHING: Duration = Duration::from_millis(700);
const LEAVING: Duration = Duration::from_millis(900);

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
    /// When the message was posted, or this task began.
    stands_since: Instant,
    turn: Turn,
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

    /// Runs until `cancel`, then says in the messages that nobody watches any longer.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let (mut places, strays) = self.places(self.store.status_messages().await?);
        let mut pace = Pace::new(self.times.pace);
        let overdue = async {
            cancel.cancelled().await;
            sleep(FINISHING).await;
        };
        tokio::select! {
            kept = self.keep(&mut places, strays, &mut pace, &cancel) => kept?,
            () = overdue => return Ok(()),
        }
        if pace.all <= Instant::now() {
            self.take_leave(&places).await;
        }
        Ok(())
    }

    async fn keep(
        &self,
        places: &mut [Place],
        mut strays: Vec<StatusMessage>,
        pace: &mut Pace,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        let waits = Waits {
            done: self.settings.floor,
            gone: Duration::ZERO,
            later: Duration::ZERO,
            refused: self.settings.park_retry,
        };
        let mut recoveries = Recoveries::new(&self.health);
        while !cancel.is_cancelled() {
            self.sweep(&mut strays, pace).await?;
            let due = |place: &Place| pace.at(place.channel, self.due(place));
            let now = Instant::now();
            let next = places.iter_mut().filter(|place| due(place) <= now).min_by_key(|place| due(place));
            if let Some(place) = next {
                let said = self.update(place).await?;
                pace.rest(place.channel, &said);
                place.turn.settle(&said, &waits);
                continue;
            }
            let stray = strays.iter().map(|stray| pace.at(stray.channel, now)).min();
            let earliest = places.iter().map(due).chain(stray).min().unwrap_or(now + self.times.refresh);
            tokio::select! {
                () = sleep_until(earliest) => {}
                () = any_change(places.iter_mut().map(|place| &mut place.view)) => {}
                () = recoveries.next() => {
                    for place in places.iter_mut() {
                        place.turn.retry_now();
                    }
                    pace.retry_now();
                }
                () = cancel.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Says in each message that nobody watches any longer, as far as Discord takes it at once: nothing is tried twice,
    /// or where the last attempt failed.
    async fn take_leave(&self, places: &[Place]) {
        let now = Timestamp::now();
        let mut channels: BTreeMap<ChannelId, Vec<(u64, Embed)>> = BTreeMap::new();
        for place in places.iter().filter(|place| place.turn.goes_well()) {
            let Some(message) = place.stored.as_ref().and_then(|stored| stored.message) else { continue };
            channels.entry(place.channel).or_default().push((message, farewell(&place.tag, &place.name, now)));
        }
        let all = channels.iter().map(|(channel, messages)| async move {
            for (message, embed) in messages {
                if !matches!(api::edit(&self.rest, *channel, *message, embed).await, Said::Done(_)) {
                    debug!(%channel, "Not every status message could be told that it is not kept any more");
                    return;
                }
            }
        });
        if timeout(LEAVING, join_all(all)).await.is_err() {
            debug!("Discord does not hear in time that the status messages are not kept any more");
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
                stands_since: now,
                // Who was asked already is shown at once.
                turn: Turn::new(Kind::Message, tag.clone(), *channel, self.health.clone()),
            })
        };
        (self.settings.messages.iter().filter_map(place).collect(), strays)
    }

    /// When the message is to be touched next.
    fn due(&self, place: &Place) -> Instant {
        let view = place.view.borrow();
        let Some(shown) = &place.shown else {
            let patience = if view.link == GameLink::Unknown { self.times.patience } else { Duration::ZERO };
            return place.turn.not_before.max(place.shown_at + patience);
        };
        if render(&place.tag, &place.name, &view, Timestamp::now()).says_the_same(shown) {
            return place.turn.not_before.max(place.shown_at + self.times.refresh);
        }
        place.turn.not_before
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
                    place.stands_since = Instant::now();
                }
                (place.shown, place.shown_at) = (Some(embed), Instant::now());
            }
            // Deleted, here or (by a nonce that is known) before: the next attempt posts anew.
            Said::Gone => {
                info!(server = %place.tag, channel = %place.channel, "The status message was deleted; it is posted again");
                place.turn.deleted(place.stands_since.elapsed());
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

/// A message sent at `at` has a greater id.
fn just_before(at: Timestamp) -> u64 {
    snowflake(at.saturating_sub(CLOCK_MARGIN).unwrap_or(at).as_millisecond())
}

/// When Discord may be asked again, about a channel and at all.
struct Pace {
    gap: Duration,
    channels: BTreeMap<ChannelId, Instant>,
    all: Instant,
    /// Channels after a failure of which Discord did not say how long it lasts.
    failed: BTreeSet<ChannelId>,
}

impl Pace {
    fn new(gap: Duration) -> Self {
        Self { gap, channels: BTreeMap::new(), all: Instant::now(), failed: BTreeSet::new() }
    }

    /// Discord can be reached again: waits that it did not ask for are over.
    fn retry_now(&mut self) {
        let next = Instant::now() + self.gap;
        for channel in std::mem::take(&mut self.failed) {
            self.channels.entry(channel).and_modify(|until| *until = next.min(*until));
            self.all = self.all.min(next);
        }
    }

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
        if matches!(said, Said::Later { after: None, .. }) {
            self.failed.insert(channel);
        } else {
            self.failed.remove(&channel);
        }
        self.channels.insert(channel, now + wait);
    }
}
