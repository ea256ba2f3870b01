//! A life of an hour on simulated time, with crashes of the game and of the relay: what the relay knows of the players'
//! sessions against what the simulator knows.
//!
//! Discord is away all the time: nothing here delivers, and no session may depend on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use factorio_isr::config::settings::{EventSettings, PermissionSettings, ServerChannels, ServerSettings, StartAt};
use factorio_isr::domain::{
    ChannelId, Clock as _, LineBatch, LogItem, LogLine, LogSource, ManualClock, Position, ServerTag,
};
use factorio_isr::events::{EventRules, Interpreter};
use factorio_isr::game::{Absence, GameBoard, Keeper, Reading, Sample, SampleSource};
use factorio_isr::rcon::LinkState;
use factorio_isr::sim::factorio::{SimServer, SimServerConfig};
use factorio_isr::store::{IngestedBatch, Store};
use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};
use tokio::sync::mpsc;

const PLAYERS: [&str; 5] = ["Ann", "bob", "Cid_1", "d-e.f", "Eve"];
const BEGIN: i64 = 1_790_000_000;
const HOUR: i64 = 3600;
/// How often the game is asked.
const INTERVAL: i64 = 30;

fn prod() -> ServerTag {
    ServerTag::new("prod").unwrap()
}

fn settings(console_log: PathBuf) -> ServerSettings {
    ServerSettings {
        tag: prod(),
        name: "Production".to_owned(),
        console_log,
        engine_log: None,
        mod_logs: [].into(),
        prometheus_file: None,
        alerts: factorio_isr::config::settings::AlertSettings::none(),
        start_at: StartAt::Beginning,
        timezone: TimeZone::UTC,
        timezone_configured: true,
        channels: ServerChannels { default: ChannelId::new(1).unwrap(), routes: BTreeMap::new() },
        permissions: PermissionSettings::default(),
        rcon: None,
    }
}

/// The relay's part that is looked at: log, database, keeper.
struct Relay {
    store: Store,
    interpreter: Interpreter,
    keeper: Keeper,
    /// Asked since it started, and answered.
    answered: bool,
    next_sample: i64,
    next_read: i64,
}

/// A session as the simulator knows it, in seconds.
#[derive(Debug, Clone, Copy)]
struct Truth {
    start: i64,
    end: i64,
    /// The last that anybody could know of it: the end itself, but for a kill of the game that nobody saw.
    evidence: i64,
    /// When the relay was killed, where it was dead at the end.
    relay_died: Option<i64>,
}

struct Life {
    rng: Rng,
    dir: tempfile::TempDir,
    clock: ManualClock,
    game: SimServer,
    relay: Option<Relay>,
    relay_back: i64,
    relay_died: i64,
    game_back: i64,
    online: BTreeMap<&'static str, i64>,
    acted: Vec<&'static str>,
    truth: BTreeMap<&'static str, Vec<Truth>>,
    /// The last line of the run that is remembered, and the last sample that named each player.
    last_line: i64,
    last_named: BTreeMap<&'static str, i64>,
    kills: [u32; 4],
}

impl Life {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_second(BEGIN).unwrap());
        let config = SimServerConfig {
            name: "Production".to_owned(),
            console_log: dir.path().join("console.log"),
            engine_log: None,
            timezone: TimeZone::UTC,
            space_age: true,
        };
        let mut game = SimServer::new(config, Arc::new(clock.clone()));
        game.start().unwrap();
        Self {
            rng: Rng::with_seed(seed),
            dir,
            clock,
            game,
            relay: None,
            relay_back: BEGIN,
            relay_died: BEGIN,
            game_back: 0,
            online: BTreeMap::new(),
            acted: Vec::new(),
            truth: BTreeMap::new(),
            last_line: BEGIN,
            last_named: BTreeMap::new(),
            kills: [0; 4],
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// Once in about so many seconds.
    fn chance(&mut self, seconds: u32) -> bool {
        self.rng.u32(0..seconds) == 0
    }

    async fn live(&mut self) {
        while self.now() < BEGIN + HOUR {
            self.second().await;
        }
        // In the end everything is up, and what is written is read.
        if !self.game.is_running() {
            self.start_game().await;
        }
        if self.relay.is_none() {
            self.start_relay().await;
        }
        for _ in 0..2 * INTERVAL {
            self.clock.advance(Duration::from_secs(1));
            self.work().await;
        }
        self.stop_game();
        self.read().await;
    }

    async fn second(&mut self) {
        self.acted.clear();
        // What happens in a second happens in any order.
        if self.rng.bool() {
            self.work().await;
        }
        self.play().await;
        self.work().await;
        self.relays().await;
        self.clock.advance(Duration::from_secs(1));
    }

    async fn play(&mut self) {
        if !self.game.is_running() {
            if self.now() >= self.game_back {
                self.start_game().await;
            }
            return;
        }
        for player in PLAYERS {
            self.player(player);
        }
        if self.chance(400) {
            self.kill_game().await;
        } else if self.chance(900) {
            self.stop_game();
            self.link(&LinkState::Connecting).await;
        }
    }

    fn player(&mut self, player: &'static str) {
        let there = self.online.contains_key(player);
        if !there && self.chance(90) {
            self.game.join(player).unwrap();
            self.online.insert(player, self.now());
        } else if there && self.chance(150) {
            match self.rng.u32(0..4) {
                0 => self.game.kick(player, "Ann", None).unwrap(),
                1 => self.game.ban(player, "Ann", None).unwrap(),
                _ => self.game.leave(player).unwrap(),
            }
            if self.rng.bool() {
                // Whether one follows a kick, nobody knows. A second LEAVE is nonsense, and must not matter.
                self.game.leave(player).unwrap();
            }
            self.left(player, None);
        } else {
            return;
        }
        self.acted.push(player);
        self.last_line = self.now();
    }

    /// `evidence`: the last that anybody could know, where nobody saw it.
    fn left(&mut self, player: &'static str, evidence: Option<i64>) {
        let (start, end) = (self.online.remove(player).unwrap(), self.now());
        let relay_died = evidence.filter(|_| self.relay.is_none()).map(|_| self.relay_died);
        let evidence = evidence.map_or(end, |evidence| evidence.max(start));
        self.truth.entry(player).or_default().push(Truth { start, end, evidence, relay_died });
    }

    async fn start_game(&mut self) {
        self.game.start().unwrap();
        self.last_line = self.now();
        self.link(&LinkState::Up).await;
    }

    fn stop_game(&mut self) {
        self.game.stop().unwrap();
        self.kills[1] += 1;
        let online: Vec<_> = self.online.keys().copied().collect();
        for player in online {
            self.left(player, None);
        }
        self.game_back = self.now() + self.rng.i64(1..120);
    }

    /// As by `kill -9`: no line tells.
    async fn kill_game(&mut self) {
        self.game.crash();
        let watched = self.relay.as_ref().is_some_and(|relay| relay.answered);
        self.kills[if watched { 0 } else { 2 }] += 1;
        let online: Vec<_> = self.online.keys().copied().collect();
        for player in online {
            let named = self.last_named.get(player).copied().unwrap_or(i64::MIN);
            self.left(player, (!watched).then_some(self.last_line.max(named)));
        }
        self.link(&LinkState::Connecting).await;
        self.game_back = self.now() + self.rng.i64(1..120);
    }

    async fn link(&mut self, state: &LinkState) {
        if let Some(relay) = &mut self.relay {
            relay.keeper.link_changed(state).await;
        }
    }

    async fn relays(&mut self) {
        if self.relay.is_some() && self.chance(300) {
            // As by `kill -9`: what is not committed is gone.
            self.relay = None;
            self.kills[3] += 1;
            self.relay_died = self.now();
            let longest = if self.rng.bool() { 20 } else { 900 };
            self.relay_back = self.now() + self.rng.i64(0..longest);
        } else if self.relay.is_none() && self.now() >= self.relay_back {
            self.start_relay().await;
        }
    }

    async fn start_relay(&mut self) {
        let store = Store::open(&self.dir.path().join("isr.db")).await.unwrap();
        let rules = Arc::new(EventRules::new(&EventSettings::default()).unwrap());
        let mut interpreter =
            Interpreter::new(settings(self.dir.path().join("console.log")), LogSource::Console, rules);
        if let Some(stored) = store.checkpoint(&prod(), LogSource::Console).await.unwrap() {
            interpreter.restore(&stored.state);
        }
        let board = GameBoard::new([prod()]);
        let keeper = Keeper::new(prod(), store.clone(), board.handle(&prod()).unwrap(), mpsc::channel(1).1);
        let keeper = keeper.with_clock(Arc::new(self.clock.clone()));
        let now = self.now();
        // The first sample may be before or behind the first look at the log.
        let next_read = now + self.rng.i64(0..4);
        self.relay = Some(Relay { store, interpreter, keeper, answered: false, next_sample: now, next_read });
    }

    async fn work(&mut self) {
        let now = self.now();
        let Some(relay) = &mut self.relay else { return };
        if now >= relay.next_sample {
            relay.next_sample = now + INTERVAL;
            self.sample().await;
        }
        let Some(relay) = &mut self.relay else { return };
        if now >= relay.next_read {
            relay.next_read = now + self.rng.i64(0..3);
            self.read().await;
        }
    }

    async fn sample(&mut self) {
        let at = self.clock.now();
        let online: Vec<&'static str> = self.online.keys().copied().collect();
        let outcome = if self.game.is_running() {
            Ok(reading(online.iter().map(ToString::to_string).collect()))
        } else {
            Err(Absence::Down("refused".to_owned()))
        };
        let Some(relay) = &mut self.relay else { return };
        if outcome.is_ok() {
            relay.answered = true;
            self.last_named.extend(online.into_iter().map(|player| (player, at.as_second())));
        }
        relay.keeper.take(Sample { at, outcome }).await;
    }

    /// Commits all that stands in the log.
    async fn read(&mut self) {
        let Some(relay) = &mut self.relay else { return };
        let stored = relay.store.checkpoint(&prod(), LogSource::Console).await.unwrap();
        let start = stored.map(|stored| stored.position).unwrap_or_default();
        let text = fs::read_to_string(self.dir.path().join("console.log")).unwrap();
        let (mut end, mut items) = (start, Vec::new());
        for line in text[usize::try_from(start.offset).unwrap()..].split_inclusive('\n') {
            end.offset += line.len() as u64;
            items.push(LogItem::Line(LogLine { text: line.trim_end().to_owned(), end: end.offset, skipped_bytes: 0 }));
        }
        if items.is_empty() {
            return;
        }
        end.generation = 1;
        commit(relay, (start, end), items, self.clock.now()).await;
    }

    /// `(start, end, how it ended)` of each player, as stored.
    async fn stored(&self) -> BTreeMap<String, Vec<Stored>> {
        let options = SqliteConnectOptions::new().filename(self.dir.path().join("isr.db")).read_only(true);
        let mut database = options.connect().await.unwrap();
        let query = "SELECT player, started_at, ended_at, ended_by FROM sessions ORDER BY started_at, id";
        let mut stored = BTreeMap::<String, Vec<Stored>>::new();
        for row in sqlx::query(query).fetch_all(&mut database).await.unwrap() {
            let (start, end): (i64, Option<i64>) = (row.get("started_at"), row.get("ended_at"));
            assert_eq!((start % 1000, end.map(|end| end % 1000)), (0, Some(0)), "an open session is left");
            let session = (start / 1000, end.unwrap() / 1000, row.get("ended_by"));
            stored.entry(row.get("player")).or_default().push(session);
        }
        stored
    }
}

/// Start and end in seconds, and how it ended.
type Stored = (i64, i64, String);

fn reading(players: Vec<String>) -> Reading {
    Reading { players: Some(players), ..Reading::of(SampleSource::Native) }
}

async fn commit(relay: &mut Relay, (start, end): (Position, Position), items: Vec<LogItem>, read_at: Timestamp) {
    let batch = LineBatch { server: prod(), source: LogSource::Console, start, end, items, live: false, trace: None };
    let interpretation = relay.interpreter.interpret(&batch, read_at);
    let ingested = IngestedBatch {
        server: prod(),
        source: LogSource::Console,
        start,
        end,
        state: relay.interpreter.state(),
        notices: interpretation.notices,
        happenings: interpretation.happenings,
        chats: Vec::new(),
        read_at,
        utc_offset: None,
        trace: None,
    };
    relay.store.commit(&[ingested]).await.unwrap();
}

/// Sessions equal the truth to the second. The one end nobody can know is that of a game killed while nobody watched:
/// it lies between the last evidence and the kill, so it is off by no more than the time the relay was dead before the
/// kill and one interval of samples.
fn check(seed: u64, truth: &[Truth], stored: &[Stored]) -> u32 {
    let context = || format!("seed {seed}\ntruth  {truth:?}\nstored {stored:?}");
    assert_eq!(truth.len(), stored.len(), "sessions are lost or doubled: {}", context());
    let mut unknowable = 0;
    for (truth, (start, end, _)) in truth.iter().zip(stored) {
        assert_eq!(truth.start, *start, "{}", context());
        assert!((truth.evidence..=truth.end).contains(end), "{truth:?} ended at {end}: {}", context());
        if let Some(died) = truth.relay_died {
            assert!(truth.end - end <= truth.end - died + INTERVAL, "{truth:?} ended at {end}: {}", context());
            unknowable += 1;
        }
    }
    unknowable
}

#[tokio::test]
async fn an_hour_with_crashes_is_known_to_the_second() {
    let (mut kills, mut sessions, mut unknowable) = ([0; 4], 0, 0);
    for seed in 0..8 {
        let mut life = Life::new(seed);
        life.live().await;
        let stored = life.stored().await;
        for (player, truth) in &life.truth {
            sessions += truth.len();
            unknowable += check(seed, truth, stored.get(*player).map_or(&[], Vec::as_slice));
        }
        assert_eq!(stored.len(), life.truth.len(), "seed {seed}: somebody was there who never was");
        kills.iter_mut().zip(life.kills).for_each(|(all, here)| *all += here);
    }
    println!(
        "{sessions} sessions, {unknowable} of unknowable end; watched kills, stops, unwatched kills, relay kills: {kills:?}"
    );
    assert!(kills.iter().all(|count| *count > 10) && sessions > 400, "a life without adventures: {kills:?}");
}
