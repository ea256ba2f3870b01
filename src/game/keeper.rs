//! The task that keeps one game's view: samples come from its sampler, happenings from the database, and where nobody can
//! ask the game, a mod's file may tell.

mod by_files;
mod lua_map;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::alert_keeper::AlertKeeper;
use super::board::{BoardHandle, FiringAlert, GameLink, GameView, OnlinePlayer};
use super::lua::LuaReading;
use super::mod_lines::ModLines;
use super::sample::{Absence, Reading, Sample};
use super::spell::Spell;
use crate::config::settings::ServerSettings;
use crate::domain::sessions::{Observation, player_key};
use crate::domain::{ChannelId, Clock, EventKind, Happening, ServerTag, SystemClock};
use crate::rcon::LinkState;
use crate::store::{GameFacts, SampleRow, Store, StoreError};
use by_files::ByFiles;
pub use by_files::FileNews;

/// Happenings read at a time.
const PAGE: u32 = 500;

/// How often time is told to pass.
const TICK: Duration = Duration::from_secs(1);

/// Keeps the view of one game. A clone is a fresh start for the supervisor; run one at a time.
#[derive(Clone)]
pub struct Keeper {
    pub(super) server: ServerTag,
    pub(super) store: Store,
    board: BoardHandle,
    samples: Arc<Mutex<mpsc::Receiver<Sample>>>,
    clock: Arc<dyn Clock>,
    /// The connection to the game; `None` where it cannot be asked.
    link: Option<watch::Receiver<LinkState>>,
    /// Whether it was watched before: the first answer says nothing of the time before it.
    watched: bool,
    /// Whether the game was seen to be there, and not to go since.
    was_up: bool,
    /// Since when it answers; `None` while it does not.
    answers_since: Option<Timestamp>,
    /// Whether its absence has been noted since.
    absence_noted: bool,
    /// How long the game is as it is.
    spell: Spell,
    /// What single lines told of it; `None` until it is read.
    facts: Option<GameFacts>,
    /// How old the map was last.
    aged: Option<lua_map::Aged>,
    /// When Lua ran, and how old the map was then at least, as long as that is not stored.
    lua_aged: Option<lua_map::Aged>,
    /// What mods' lines told last.
    lines: ModLines,
    /// The last happening that was read.
    seen: i64,
    /// What a mod's file tells; `None` where there is none.
    by_files: Option<ByFiles>,
    /// Where the players of a game with RCON are known from.
    player_source: PlayerSource,
    /// Where it is said that a player left of whom the log does not say it; `None` where it is not.
    pub(super) joins: Option<ChannelId>,
    /// The server's name, where lines in that channel begin with it.
    pub(super) joins_prefix: Option<String>,
}

/// Where the players of a game with RCON are known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlayerSource {
    /// The game's answers.
    Samples,
    /// The log: the game answers, but not in a form that says who is in it.
    Log,
}

impl Keeper {
    /// A keeper of `server`.
    #[must_use]
    pub fn new(server: ServerTag, store: Store, board: BoardHandle, samples: mpsc::Receiver<Sample>) -> Self {
        Self {
            server,
            store,
            board,
            samples: Arc::new(Mutex::new(samples)),
            clock: Arc::new(SystemClock),
            link: None,
            watched: false,
            was_up: false,
            answers_since: None,
            absence_noted: false,
            spell: Spell::default(),
            facts: None,
            aged: None,
            lua_aged: None,
            lines: ModLines::default(),
            seen: 0,
            by_files: None,
            player_source: PlayerSource::Samples,
            joins: None,
            joins_prefix: None,
        }
    }

    /// The same, told at once when the connection to the game breaks: sessions of a game that is killed end then.
    #[must_use]
    pub fn with_link(self, link: watch::Receiver<LinkState>) -> Self {
        Self { link: Some(link), ..self }
    }

    /// Another clock than the machine's, as for tests.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Runs until `cancel`, judging the alerts of `settings`.
    ///
    /// # Errors
    /// When the database cannot be read at the start; later it is looked at again.
    pub async fn run(mut self, settings: Arc<ServerSettings>, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut happened = self.store.happened(&self.server);
        let samples = Arc::clone(&self.samples);
        let mut samples = samples.lock().await;
        let mut link = self.link.clone();
        self.seen = self.store.last_happening(&self.server).await.context("Cannot read what happened")?;
        if link.is_none() {
            self.board.update(|view| view.link = GameLink::None);
            self.store.not_asked_any_more(&self.server).await.context("What is known of the game cannot be stored")?;
        }
        self.read_mod_lines().await;
        self.show_what_is_known().await;
        let mut files = self.by_files.as_ref().map(ByFiles::updates);
        let mut alerts = AlertKeeper::load(&settings, self.store.clone()).await.context("Cannot read the alerts")?;
        let mut silenced = self.store.silenced();
        let mut firing = Vec::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        alerts.on_happenings().await;
        loop {
            self.show_alerts(&mut firing, alerts.firing());
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                Some(sample) = samples.recv() => {
                    alerts.on_sample(&sample).await;
                    self.take(sample).await;
                }
                Some(state) = next_state(&mut link) => self.link_changed(&state).await,
                Ok(()) = silenced.changed() => alerts.on_silences().await,
                Some(told) = by_files::next(&mut files) => {
                    if let Some(news) = self.take_file(&told).await {
                        alerts.on_files(&news).await;
                    }
                }
                _ = ticks.tick() => {
                    alerts.tick().await;
                    if let Some(news) = self.look_at_file().await {
                        alerts.on_files(&news).await;
                    }
                }
                Ok(()) = happened.changed() => {
                    alerts.on_happenings().await;
                    self.catch_up().await;
                }
                else => cancel.cancelled().await,
            }
        }
    }

    /// Takes one sample in: into the sessions, the history and the view.
    pub async fn take(&mut self, sample: Sample) {
        let at = sample.at;
        match &sample.outcome {
            Ok(reading) if reading.players.is_none() => self.player_source = PlayerSource::Log,
            Ok(_) | Err(Absence::Down(_)) => self.player_source = PlayerSource::Samples,
            Err(Absence::Silent(_)) => {}
        }
        match &sample.outcome {
            Ok(reading) => {
                if !std::mem::replace(&mut self.watched, true) {
                    self.observe(&Observation::Unreachable, None).await;
                }
                (self.was_up, self.absence_noted) = (true, false);
                let asked = asked_at(at, reading);
                // The earlier one, for the clock may have been set back.
                let since = self.answers_since.map_or(asked, |since| since.min(asked));
                self.answers_since = Some(since);
                let answered = Observation::Answered { at: asked, since, online: reading.players.clone() };
                self.observe(&answered, Some(&row(at, Some(reading)))).await;
                self.report_missed(at).await;
            }
            // A row of its own tells what the file says.
            Err(absence) if self.is_told_by_file() && absence.is_connected() => {}
            Err(_) if self.is_told_by_file() => self.gone(at, None).await,
            Err(Absence::Down(_)) => self.gone(at, Some(&row(at, None))).await,
            // It saves, or it hangs: who is in the game stays there.
            Err(Absence::Silent(_)) => self.keep(&row(at, None)).await,
        }
        self.asked(&sample);
        if !self.is_told_by_file() {
            self.spell.take(&sample);
        }
        if let Some(age) = sample.outcome.as_ref().ok().and_then(|reading| reading.age) {
            self.judge_map(at, age).await;
        }
        self.notice_lua(&sample).await;
        self.read_facts().await;
        // One update: who looks in between would see the players without their sessions.
        let open = self.open_sessions().await;
        let unnamed = self.unnamed().await;
        self.board.update(|view| {
            show(view, sample);
            self.put(view, open.as_deref(), unnamed);
        });
    }

    /// Takes in that the connection to the game came up, or broke.
    pub async fn link_changed(&mut self, state: &LinkState) {
        match state {
            LinkState::Up if self.watched => (self.was_up, self.absence_noted) = (true, false),
            LinkState::Connecting | LinkState::Down(_) if self.was_up => self.gone(self.clock.now(), None).await,
            _ => {}
        }
    }

    /// The game is gone since now where it was there before, else since nobody knows when.
    async fn gone(&mut self, at: Timestamp, row: Option<&SampleRow>) {
        self.answers_since = None;
        if !self.absence_noted && self.was_up && self.waits_for_file(at) {
            (self.was_up, self.absence_noted) = (false, true);
        } else if !self.absence_noted {
            let lost = Observation::LinkLost { at };
            let observation = if self.was_up { lost } else { Observation::Unreachable };
            (self.was_up, self.absence_noted) = (false, true);
            return self.observe(&observation, row).await;
        }
        if let Some(row) = row {
            self.keep(row).await;
        }
    }

    async fn observe(&self, observation: &Observation, row: Option<&SampleRow>) {
        if let Err(error) = self.store.observe(&self.server, observation, row).await {
            warn!(server = %self.server, %error, "Who is in the game cannot be stored");
        }
    }

    async fn keep(&self, row: &SampleRow) {
        if let Err(error) = self.store.keep_sample(&self.server, row).await {
            warn!(server = %self.server, %error, "How the game is cannot be stored");
        }
    }

    /// Shows the alerts that fire now where they are not the same as `before`.
    fn show_alerts(&self, before: &mut Vec<FiringAlert>, now: Vec<FiringAlert>) {
        if *before != now {
            before.clone_from(&now);
            self.board.update(|view| view.alerts = now);
        }
    }

    /// Shows what lines that were read now may have told of.
    async fn show_what_is_known(&mut self) {
        self.read_facts().await;
        let open = self.open_sessions().await;
        let unnamed = self.unnamed().await;
        self.board.update(|view| self.put(view, open.as_deref(), unnamed));
    }

    async fn read_facts(&mut self) {
        if self.facts.is_none() {
            let facts = self.store.game_facts(&self.server).await;
            let warn = |error: &StoreError| warn!(server = %self.server, %error, "What is known cannot be read");
            self.facts = facts.inspect_err(warn).ok();
        }
    }

    /// Puts onto the view what no sample tells.
    fn put(&self, view: &mut GameView, open: Option<&[(String, Timestamp)]>, unnamed: Option<usize>) {
        self.put_players(view, open, unnamed);
        self.put_what_mods_tell(view);
        let Some(facts) = &self.facts else { return };
        view.since = self.spell.since(facts.started_at);
        view.achievements = lua_map::achievements(facts);
    }

    /// Who is in the game by its sessions, and since when; `None` where that cannot be read.
    async fn open_sessions(&self) -> Option<Vec<(String, Timestamp)>> {
        let open = self.store.open_sessions(&self.server).await;
        open.inspect_err(|error| warn!(server = %self.server, %error, "Who is in the game cannot be read")).ok()
    }

    /// Who is in the game, and since when: by the last sample, or by the log where the game cannot be asked or its answer
    /// cannot be read; `unnamed` are those that a file counts beside.
    fn put_players(&self, view: &mut GameView, open: Option<&[(String, Timestamp)]>, unnamed: Option<usize>) {
        let Some(open) = open else { return };
        view.unnamed = unnamed.unwrap_or_default();
        if self.link.is_none() || self.player_source == PlayerSource::Log || self.is_told_by_file() {
            let online = |(name, since): &(String, Timestamp)| OnlinePlayer { name: name.clone(), since: Some(*since) };
            // A log that was not read from the start of a run does not tell that nobody is there.
            let told = self.facts.as_ref().is_some_and(|facts| facts.had_players || facts.started_at.is_some());
            view.players = (told || unnamed.is_some()).then(|| open.iter().map(online).collect());
        }
        for player in view.players.iter_mut().flatten() {
            let key = player_key(&player.name);
            player.since = open.iter().find(|(name, _)| player_key(name) == key).map(|(_, since)| *since);
        }
    }

    /// Takes in what happened here since it was last looked.
    async fn catch_up(&mut self) {
        match self.read_on().await {
            Ok(false) => {}
            Ok(true) => {
                self.place_lua().await;
                self.facts = None;
                self.show_what_is_known().await;
            }
            Err(error) => warn!(server = %self.server, %error, "What happened in the game cannot be read"),
        }
    }

    /// Reads on in what happened. Answers whether anything did.
    async fn read_on(&mut self) -> Result<bool, StoreError> {
        let before = self.seen;
        loop {
            let page = self.store.happenings_after(&self.server, self.seen, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(self.seen > before) };
            self.seen = *last;
            for (_, happening) in &page {
                tracing::trace!(server = %self.server, kind = %happening.kind, "Happened");
                self.happened(happening);
                self.note_mod_line(happening);
                self.note_map(happening);
            }
        }
    }

    fn happened(&mut self, happening: &Happening) {
        let Some(name) = happening.player.as_ref().filter(|_| happening.kind == EventKind::Join) else { return };
        // Shown at once, so that a sampler which leaves an empty game alone wakes up.
        self.board.update(|view| {
            let Some(players) = &mut view.players else { return };
            if !players.iter().any(|player| player_key(&player.name) == player_key(name)) {
                players.push(OnlinePlayer { name: name.clone(), since: Some(happening.at) });
            }
        });
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("server", &self.server).finish_non_exhaustive()
    }
}

/// The next state of the connection; never where there is none.
async fn next_state(link: &mut Option<watch::Receiver<LinkState>>) -> Option<LinkState> {
    let link = link.as_mut()?;
    link.changed().await.ok()?;
    Some(link.borrow_and_update().clone())
}

/// A sample is as old as its first question.
fn asked_at(at: Timestamp, reading: &Reading) -> Timestamp {
    let took = SignedDuration::try_from(reading.took).unwrap_or_default();
    at.saturating_sub(took).unwrap_or(at)
}

fn row(at: Timestamp, reading: Option<&Reading>) -> SampleRow {
    let players = reading.and_then(|reading| reading.players.as_ref());
    let factors = reading.into_iter().flat_map(|reading| &reading.evolution).map(|surface| surface.factor);
    SampleRow {
        at,
        players: players.map(|players| u32::try_from(players.len()).unwrap_or(u32::MAX)),
        ups: reading.and_then(|reading| reading.ups).map(|ups| ups.shown()),
        evolution: factors.reduce(f64::max),
    }
}

/// Puts a sample onto the view.
fn show(view: &mut GameView, sample: Sample) {
    let link = match &sample.outcome {
        Ok(_) => GameLink::Up,
        Err(Absence::Silent(reason)) => GameLink::Silent(reason.clone()),
        Err(Absence::Down(reason)) => GameLink::Down(reason.clone()),
    };
    view.link = link;
    if matches!(view.link, GameLink::Down(_)) {
        view.players = None;
    }
    let Ok(reading) = sample.outcome else { return };
    let Reading { source, players, age, ups, paused, evolution, version, known_players, lua, fallback, took, bytes } =
        reading;
    view.sampled_at = Some(sample.at);
    view.source = Some(source);
    view.players = players.map(|names| names.into_iter().map(|name| OnlinePlayer { name, since: None }).collect());
    (view.age, view.ups, view.paused) = (age, ups, paused);
    view.evolution = evolution;
    view.version = version.or(view.version.take());
    view.files_tell = false;
    view.told_by_mods.clear();
    view.rockets = lua.as_ref().filter(|lua| !lua.rockets.is_empty()).map(LuaReading::rockets_launched);
    view.research = lua.as_ref().and_then(|lua| lua.research.clone());
    view.known_players = known_players.or(view.known_players);
    view.lua = lua.map(Arc::new);
    view.fallback = fallback;
    view.cost = Some((took, bytes));
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
