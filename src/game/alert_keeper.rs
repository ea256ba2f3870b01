//! Brings the alerts of one server together with the world: what is to be judged comes in, and what is to be said goes
//! to the outbox in the transaction that stores how far they are.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::alerts::texts::{Voice, is_announcement, of_change};
use super::alerts::{AlertKey, AlertState, Change, Changed, Engine, Input, Memory, Phase, Silences, Surroundings};
use super::board::FiringAlert;
use super::keeper::FileNews;
use super::sample::Sample;
use super::unwatched::ending;
use crate::config::settings::{AlertSettings, ServerSettings};
use crate::domain::{AlertKind, ChannelId, Lane, Mentions, Notice, ServerTag};
use crate::store::{AlertCommit, AlertNotice, AlertRow, NoticeRole, PostedNotice, Store, StoreError, StoredAlerts};
use crate::telemetry::metrics::{ALERTS, ALERTS_FIRING};

/// Happenings judged in one step.
const PAGE: u32 = 500;
/// How often the logs and the outbox are looked at, at most.
const LOOK: Duration = Duration::from_secs(15);

/// The alerts of one server.
#[derive(Debug)]
pub struct AlertKeeper {
    server: ServerTag,
    name: String,
    channel: ChannelId,
    settings: AlertSettings,
    store: Store,
    engine: Engine,
    silences: Silences,
    /// What told of the alerts that fire.
    posted: BTreeMap<AlertKey, PostedNotice>,
    /// The last happening that was judged.
    cursor: i64,
    /// What is stored: to know what has changed, and to go back to when it cannot be stored.
    stored: (Engine, BTreeMap<AlertKey, PostedNotice>, i64),
    around: Surroundings,
    looked: Option<Instant>,
}

impl AlertKeeper {
    /// Goes on from what is stored; where nothing is, from now: [`Store::begin_alerts`] was called before anything could
    /// happen.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn load(server: &ServerSettings, store: Store) -> Result<Self, StoreError> {
        let settings = server.alerts.clone();
        store.begin_alerts(&server.tag).await?;
        let found = store.alerts(&server.tag).await?;
        let cursor = found.as_ref().map_or(0, |found| found.cursor);
        let (mut engine, posted) = engine_of(settings.clone(), found.as_ref());
        engine.start(Timestamp::now(), server.rcon.is_some());
        engine.away_since(store.last_read_before());
        let mut keeper = Self {
            server: server.tag.clone(),
            name: server.name.clone(),
            channel: server.alert_channel(),
            settings,
            store,
            silences: Silences::default(),
            stored: (engine.clone(), posted.clone(), cursor),
            engine,
            posted,
            cursor,
            around: Surroundings::default(),
            looked: None,
        };
        keeper.read_silences().await?;
        keeper.end_unwatched(found.map(|found| found.rows).unwrap_or_default()).await?;
        keeper.show();
        Ok(keeper)
    }

    /// Ends those of `rows` that fire and are judged no more.
    async fn end_unwatched(&self, rows: Vec<AlertRow>) -> Result<(), StoreError> {
        let watched = |row: &AlertRow| {
            let kind = AlertKind::from_key(&row.alert);
            kind.is_some_and(|kind| self.engine.states().contains_key(&(kind, row.subject.clone())))
        };
        let at = Timestamp::now();
        let ended = rows.iter().filter(|row| !watched(row));
        let notices: Vec<_> = ended.filter_map(|row| ending(&self.server, &self.name, row, at)).collect();
        if notices.is_empty() {
            return Ok(());
        }
        let commit = AlertCommit { server: self.server.clone(), alerts: self.to_store(), notices, at };
        self.store.commit_alerts(&commit).await.map(drop)
    }

    /// A look at the game.
    pub async fn on_sample(&mut self, sample: &Sample) {
        let now = Timestamp::now();
        self.step(&Input::Sample(sample), now).await;
    }

    /// What a mod's file tells of the game, which cannot be asked.
    pub async fn on_files(&mut self, news: &FileNews) {
        self.step(&Input::File(news), Timestamp::now()).await;
    }

    /// Judges what happened since the last time. What cannot be read or stored now is judged the next time.
    pub async fn on_happenings(&mut self) {
        if let Err(error) = self.catch_up().await {
            warn!(server = %self.server, %error, "The alerts cannot judge what happened");
        }
    }

    /// Time has passed.
    pub async fn tick(&mut self) {
        if let Err(error) = self.look().await {
            warn!(server = %self.server, %error, "The alerts cannot look at the logs and the outbox");
            return;
        }
        self.step(&Input::Tick(self.around), Timestamp::now()).await;
    }

    /// Somebody began or ended a silence.
    pub async fn on_silences(&mut self) {
        if let Err(error) = self.read_silences().await {
            warn!(server = %self.server, %error, "The silences of alerts cannot be read");
        }
    }

    /// The alerts that fire, by kind. Announcements are left out: nothing is wrong because of them.
    #[must_use]
    pub fn firing(&self) -> Vec<FiringAlert> {
        let mut firing: Vec<FiringAlert> = Vec::new();
        let states = self.engine.states().iter();
        for ((kind, _), state) in states.filter(|((kind, _), state)| is_firing(*kind, state)) {
            match firing.last_mut().filter(|last| last.kind == *kind) {
                Some(last) => {
                    last.since = last.since.min(state.since);
                    last.subjects += 1;
                }
                None => firing.push(FiringAlert { kind: *kind, since: state.since, subjects: 1 }),
            }
        }
        firing
    }

    async fn read_silences(&mut self) -> Result<(), StoreError> {
        self.silences = Silences::from_keys(&self.store.silences(&self.server, Timestamp::now()).await?);
        Ok(())
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            let page = self.store.happenings_after(&self.server, self.cursor, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            let now = Timestamp::now();
            let mut changes = Vec::new();
            for (_, happening) in &page {
                changes.extend(self.engine.take(&Input::Happening(happening), &self.silences, now));
            }
            self.cursor = *last;
            self.commit(changes, now).await?;
        }
    }

    async fn step(&mut self, input: &Input<'_>, now: Timestamp) {
        let changes = self.engine.take(input, &self.silences, now);
        if let Err(error) = self.commit(changes, now).await {
            warn!(server = %self.server, %error, "The alerts cannot be stored");
        }
    }

    /// The pace is that of the shortest time that is watched.
    async fn look(&mut self) -> Result<(), StoreError> {
        let limits = &self.settings.limits;
        let silent = self.settings.rules.get(&AlertKind::LogSilent).map_or(LOOK, |rule| rule.after);
        let pace = (limits.backlog_age.min(silent) / 4).min(LOOK);
        if self.looked.is_some_and(|looked| looked.elapsed() < pace) {
            return Ok(());
        }
        let backlog = event(AlertKind::Backlog);
        self.around = Surroundings {
            last_read: self.store.last_read(&self.server).await?,
            oldest_waiting: self.store.oldest_waiting(&self.server, &backlog, pace / 2).await?,
        };
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Stores what came of a step, with what is to be said of it. Where that fails, the step has not been.
    async fn commit(&mut self, changes: Vec<Changed>, now: Timestamp) -> Result<(), StoreError> {
        if changes.is_empty() && self.is_stored() {
            return Ok(());
        }
        let changes = self.worth_telling(changes).await.inspect_err(|_| self.go_back())?;
        let notices: Vec<_> = changes.iter().filter_map(|changed| self.notice(changed)).collect();
        self.posted.retain(|key, _| self.engine.states().contains_key(key));
        let commit = AlertCommit { server: self.server.clone(), alerts: self.to_store(), notices, at: now };
        let told = self.store.commit_alerts(&commit).await.inspect_err(|_| self.go_back())?;
        let key = |((alert, subject), posted): ((String, String), PostedNotice)| {
            Some(((AlertKind::from_key(&alert)?, subject), posted))
        };
        self.posted.extend(told.into_iter().filter_map(key));
        self.stored = (self.engine.clone(), self.posted.clone(), self.cursor);
        for changed in &changes {
            self.count(changed);
        }
        self.show();
        Ok(())
    }

    /// All but reminders of what is not told yet: while Discord is away they would come in a row, each with its ping.
    async fn worth_telling(&self, changes: Vec<Changed>) -> Result<Vec<Changed>, StoreError> {
        if !changes.iter().any(|changed| changed.change == Change::Reminded) {
            return Ok(changes);
        }
        let waiting = self.store.alerts_waiting(&self.server).await?;
        let untold = |changed: &Changed| changed.change == Change::Reminded && waiting.contains(&event(changed.key.0));
        Ok(changes.into_iter().filter(|changed| !untold(changed)).collect())
    }

    /// Whether there is nothing new but happenings that changed nothing, and will change nothing when judged again.
    fn is_stored(&self) -> bool {
        let (engine, _, cursor) = &self.stored;
        let same = engine.memory() == self.engine.memory() && engine.states() == self.engine.states();
        same && self.cursor - cursor < i64::from(PAGE)
    }

    fn go_back(&mut self) {
        (self.engine, self.posted, self.cursor) = self.stored.clone();
    }

    fn to_store(&self) -> StoredAlerts {
        let json = |value: Result<String, serde_json::Error>| value.expect("plain data with text keys becomes JSON");
        let row = |(key, state): (&AlertKey, &AlertState)| AlertRow {
            alert: key.0.to_string(),
            subject: key.1.clone(),
            state: json(serde_json::to_string(state)),
            posted: self.posted.get(key).copied(),
        };
        let rows = self.engine.states().iter().map(row).collect();
        StoredAlerts { cursor: self.cursor, memory: json(serde_json::to_string(self.engine.memory())), rows }
    }

    /// What is said of a change: as a message of its own, or by editing that of the alert.
    fn notice(&mut self, changed: &Changed) -> Option<AlertNotice> {
        let content = of_change(Voice::Discord, &self.name, changed)?;
        let plain = of_change(Voice::Plain, &self.name, changed)?;
        let edits = matches!(changed.change, Change::Grown | Change::Recovered);
        let passed = changed.change == Change::Passed;
        let mentions = if edits || passed { Mentions::default() } else { self.mentions(changed.key.0) };
        let pings = mentions.roles.iter().fold(String::new(), |pings, role| format!("{pings}<@&{role}> "));
        let notice = Notice {
            server: self.server.clone(),
            channel: self.channel,
            lane: if passed { Lane::Chat } else { Lane::Alert },
            event: event(changed.key.0).into(),
            content: format!("{pings}{content}"),
            plain,
            mentions,
            occurred_at: if edits { changed.at } else { changed.since },
        };
        let role = match changed.change {
            Change::Fired => NoticeRole::Tells,
            Change::Grown => NoticeRole::Grows(*self.posted.get(&changed.key)?),
            Change::Reminded => NoticeRole::Reminds,
            Change::Recovered => NoticeRole::Ends(self.posted.remove(&changed.key)),
            Change::Passed => NoticeRole::Passed,
        };
        Some(AlertNotice { notice, alert: changed.key.0.to_string(), subject: changed.key.1.clone(), role })
    }

    fn mentions(&self, kind: AlertKind) -> Mentions {
        let pings = self.settings.rules.get(&kind).is_some_and(|rule| rule.ping);
        Mentions { roles: if pings { self.settings.ping.clone() } else { [].into() }, ..Mentions::default() }
    }

    fn count(&self, changed: &Changed) {
        let labels = [
            ("server", self.server.to_string()),
            ("alert", changed.key.0.to_string()),
            ("change", changed.change.as_str().to_owned()),
        ];
        ::metrics::counter!(ALERTS, &labels).increment(1);
    }

    fn show(&self) {
        for kind in self.settings.rules.keys() {
            let labels = [("server", self.server.to_string()), ("alert", kind.to_string())];
            ::metrics::gauge!(ALERTS_FIRING, &labels).set(self.engine.firing(*kind) as f64);
        }
    }
}

fn is_firing(kind: AlertKind, state: &AlertState) -> bool {
    state.phase == Phase::Firing && !is_announcement(kind)
}

/// The event of an alert's notices.
fn event(kind: AlertKind) -> String {
    format!("alert_{kind}")
}

/// The alerts of a server as they are stored, for who only looks.
#[must_use]
pub fn stored_alerts(settings: AlertSettings, found: Option<&StoredAlerts>) -> Engine {
    engine_of(settings, found).0
}

/// What is stored, read. A state of another version or a broken one counts as none.
fn engine_of(settings: AlertSettings, found: Option<&StoredAlerts>) -> (Engine, BTreeMap<AlertKey, PostedNotice>) {
    let (mut states, mut posted) = (BTreeMap::new(), BTreeMap::new());
    for row in found.iter().flat_map(|found| &found.rows) {
        let (Some(kind), Ok(state)) = (AlertKind::from_key(&row.alert), serde_json::from_str(&row.state)) else {
            continue;
        };
        let key = (kind, row.subject.clone());
        posted.extend(row.posted.map(|notice| (key.clone(), notice)));
        states.insert(key, state);
    }
    let memory = found.and_then(|found| serde_json::from_str::<Memory>(&found.memory).ok()).unwrap_or_default();
    (Engine::new(settings, memory, states), posted)
}
