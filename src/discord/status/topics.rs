//! Keeps the topic of a server's channel, and its name where that is wanted: rarely, as Discord allows two changes in
//! ten minutes, and with the last one remembered across restarts.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::any_change;
use super::api::{self, Said};
use super::turn::{Kind, Turn, Waits};
use super::words::part;
use crate::config::Settings;
use crate::config::settings::StatusSettings;
use crate::discord::rest::Rest;
use crate::domain::{ChannelId, ServerTag, StatusTemplate};
use crate::game::{GameBoard, GameLink, GameView};
use crate::health::HealthRegistry;
use crate::store::{ChannelEdit, Store, StoreError};

/// Characters of a channel's topic.
const LONGEST_TOPIC: usize = 1024;
/// Characters of a channel's name.
const LONGEST_NAME: usize = 100;
/// Discord lets two changes of a channel through in this time, and counts those that fail.
const WINDOW: Duration = Duration::from_mins(10);
/// A change is so rare that it waits for what else changes with it: players who come to a fresh game come one by one.
const GATHERING: Duration = Duration::from_secs(30);
/// The least wait after a failure: what is rare need not be hurried.
const RETRY: Duration = Duration::from_secs(30);

/// The task of all topics. A clone is a fresh start for the supervisor; run one at a time.
#[derive(Debug, Clone)]
pub struct ChannelTopics {
    rest: Arc<Rest>,
    store: Store,
    health: HealthRegistry,
    settings: StatusSettings,
    names: Vec<(ServerTag, String)>,
    /// Keeps the games' senders alive.
    board: GameBoard,
    gathering: Duration,
}

/// One server's channel.
struct Place {
    name: String,
    channel: ChannelId,
    view: watch::Receiver<GameView>,
    last: Option<ChannelEdit>,
    /// Since when it should be called otherwise.
    wanted_since: Option<Instant>,
    turn: Turn,
}

/// What a channel should be called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    topic: String,
    name: Option<String>,
}

impl ChannelTopics {
    /// Topics about the games of `board`.
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
            gathering: GATHERING,
        })
    }

    /// The same, with another wait between the first change of a game and that of its topic than 30 s.
    #[must_use]
    pub fn with_gathering(self, gathering: Duration) -> Self {
        Self { gathering, ..self }
    }

    /// Runs until `cancel`.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        cancel.run_until_cancelled(self.keep()).await.unwrap_or(Ok(()))
    }

    async fn keep(&self) -> anyhow::Result<()> {
        let mut places = self.places().await?;
        loop {
            let now = Instant::now();
            let dues = places.iter_mut().filter_map(|place| Some((self.due(place, now)?, place)));
            let next = dues.min_by_key(|(due, _)| *due);
            let earliest = match next {
                Some((due, place)) if due <= now => {
                    self.change(place).await?;
                    continue;
                }
                next => next.map_or(now + self.settings.channel_floor, |(due, _)| due),
            };
            tokio::select! {
                () = sleep_until(earliest) => {}
                () = any_change(places.iter_mut().map(|place| &mut place.view)) => {}
            }
        }
    }

    async fn places(&self) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        for (tag, name) in &self.names {
            let (Some(channel), Some(view)) = (self.settings.topics.get(tag), self.board.watch(tag)) else { continue };
            let last = self.store.channel_edit(*channel).await?;
            let now = Timestamp::now();
            let rest =
                |last: &ChannelEdit| rest_of(last.at, self.settings.channel_floor, now).max(window_left(last, now));
            let rest = last.as_ref().map(rest);
            let turn = Turn::new(Kind::Topic, tag.clone(), *channel, self.health.clone());
            places.push(Place {
                name: name.clone(),
                channel: *channel,
                view,
                last,
                wanted_since: None,
                turn: turn.not_before(Instant::now() + rest.unwrap_or_default()),
            });
        }
        Ok(places)
    }

    /// When the channel is to be called otherwise; `None` where it is called as it should be.
    fn due(&self, place: &mut Place, now: Instant) -> Option<Instant> {
        if !self.wants(place) {
            place.wanted_since = None;
            return None;
        }
        let since = *place.wanted_since.get_or_insert(now);
        Some(place.turn.not_before.max(since + self.gathering))
    }

    /// Whether the channel should be called otherwise. A game that was not asked yet changes nothing.
    fn wants(&self, place: &Place) -> bool {
        let view = place.view.borrow();
        let wanted = self.wanted(&place.name, &view);
        let has = |last: &ChannelEdit| last.topic.as_ref() == Some(&wanted.topic) && last.name == wanted.name;
        view.link != GameLink::Unknown && !place.last.as_ref().is_some_and(has)
    }

    fn wanted(&self, server: &str, view: &GameView) -> Wanted {
        let fill = |template: &StatusTemplate, longest: usize| {
            let text = template.render(|which| part(which, server, view));
            text.chars().take(longest).collect()
        };
        let name = self.settings.channel_name.as_ref();
        Wanted { topic: fill(&self.settings.topic, LONGEST_TOPIC), name: name.map(|name| fill(name, LONGEST_NAME)) }
    }

    fn waits(&self) -> Waits {
        let StatusSettings { channel_floor, park_retry, .. } = self.settings;
        Waits { done: channel_floor, gone: park_retry, later: RETRY, refused: park_retry.max(channel_floor) }
    }

    /// The attempt is remembered before it is made: a program that is killed in between does not try too early.
    async fn change(&self, place: &mut Place) -> Result<(), StoreError> {
        let wanted = self.wanted(&place.name, &place.view.borrow_and_update().clone());
        let last = place.last.take();
        let before = last.as_ref().map(|last| last.at);
        let (topic, name) = last.map(|last| (last.topic, last.name)).unwrap_or_default();
        let mut edit = ChannelEdit { at: Timestamp::now(), before, topic, name };
        self.store.channel_edited(place.channel, &edit).await?;
        let said = api::retitle(&self.rest, place.channel, &wanted.topic, wanted.name.as_deref()).await;
        if matches!(said, Said::Done(_)) {
            (edit.topic, edit.name) = (Some(wanted.topic), wanted.name);
            self.store.channel_edited(place.channel, &edit).await?;
        }
        let window = Instant::now() + window_left(&edit, Timestamp::now());
        (place.last, place.wanted_since) = (Some(edit), None);
        place.turn.settle(&said, &self.waits());
        place.turn.not_before = place.turn.not_before.max(window);
        Ok(())
    }
}

/// How long the next attempt would be the third within the window.
fn window_left(last: &ChannelEdit, now: Timestamp) -> Duration {
    last.before.map_or(Duration::ZERO, |before| rest_of(before, WINDOW, now))
}

/// What is left of `floor` since `at`. A clock that was set back does not make it longer.
fn rest_of(at: Timestamp, floor: Duration, now: Timestamp) -> Duration {
    let passed = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    floor.saturating_sub(passed)
}

#[cfg(test)]
mod tests {
    use super::super::api::backoff;
    use super::*;

    #[test]
    fn two_attempts_in_ten_minutes_are_all_also_where_discord_fails() {
        let mut attempts = vec![Timestamp::from_second(1000).unwrap()];
        for failures in 0..20 {
            let [.., at] = attempts[..] else { unreachable!() };
            let before = attempts.len().checked_sub(2).map(|before| attempts[before]);
            let last = ChannelEdit { at, before, topic: None, name: None };
            attempts.push(at + backoff(failures, None).max(RETRY).max(window_left(&last, at)));
        }
        let third = attempts.windows(3).map(|three| three[2].duration_since(three[0]).as_secs());
        assert!(third.clone().all(|seconds| seconds >= 600), "{:?}", third.collect::<Vec<_>>());
        assert_eq!(attempts[1].duration_since(attempts[0]).as_secs(), 30, "the first retry need not wait");
    }

    #[test]
    fn the_floor_goes_on_from_before_the_restart() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let rest = |then, now| rest_of(at(then), Duration::from_mins(10), at(now)).as_secs();
        assert_eq!([rest(1000, 1000), rest(1000, 1240), rest(1000, 1600), rest(1000, 9000)], [600, 360, 0, 0]);
        assert_eq!(rest(1000, 400), 600);
    }
}
