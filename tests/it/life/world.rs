//! The processes of a life, and what can be seen of them from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use factorio_isr::domain::{LogSource, SystemClock};
use factorio_isr::sim::discord::{Chaos, ChaosRates, SimChannel, SimDiscord, SimDiscordConfig, SimMessage, SimState};
use factorio_isr::sim::factorio::{FeedLine, LogFeed, SimGame, SimServer, SimServerConfig};
use factorio_isr::sim::rcon::{Fault, Game};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::sync::broadcast;
use tokio::time::{Instant, interval};

use super::truth::{Kill, Watching};
use crate::harness::{DEADLINE, Relay, Site, TOKEN, lines_of};

const CHAT: u64 = 1001;
const ALERTS: u64 = 1002;
const PASSWORD: &str = "rcon-secret-63";

/// How often the game is asked, at least while it answers.
const INTERVAL: &str = "1s";

/// A connection that is silent for longer may be broken by the relay's timeout.
const LOOKED: i64 = 10_000;

/// A line of the chat, of joins or of moderation, in a message or in a file, without marks.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?:^|\s)([\w.-]+)(?: (joined|left) the game| was (kicked|banned) by|: line (\d+) of life)";
    Regex::new(pattern).expect("the pattern is constant")
});

pub fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A session as it is stored: from when to when, and what ended it.
pub type Stored = (i64, i64, String);

pub struct World {
    pub game: SimGame,
    pub discord: SimDiscord,
    pub site: Site,
    relay: Option<Relay>,
    relay_began: i64,
    relay_died: i64,
    run_began: i64,
    lines: broadcast::Receiver<FeedLine>,
}

impl World {
    /// Discord and the relay run; the game is still to be started.
    pub async fn begin(seed: u64) -> Self {
        let config = SimDiscordConfig {
            token: TOKEN.to_owned(),
            channels: vec![SimChannel::new(CHAT, "chat"), SimChannel::new(ALERTS, "alerts")],
            ..SimDiscordConfig::default()
        };
        let discord = crate::discord_sim::start(config).await.unwrap();
        let rates = ChaosRates {
            server_error: 0.05,
            rate_limited: 0.03,
            cut: 0.05,
            cut_processed: 0.1,
            slow: 0.1,
            longest: Duration::from_millis(800),
            ..ChaosRates::default()
        };
        discord.set_chaos(Some(Chaos::new(seed, rates)));
        let site = Site::new(&discord.base_url()).discord_key("guild_id = 100");
        let feed = LogFeed::new();
        let (_, lines) = feed.subscribe();
        let game = game_of(&site, &feed).await;
        let site = configured(site, game.rcon().address().port());
        let mut world = Self { game, discord, site, relay: None, relay_began: 0, relay_died: 0, run_began: 0, lines };
        world.start_relay();
        world.relay.as_ref().unwrap().address().await;
        world
    }

    /// When the last line was written into the console log, by itself. There must be one since the last time.
    pub fn line(&mut self) -> i64 {
        let mut last = None;
        while let Ok(line) = self.lines.try_recv() {
            last = if line.source == LogSource::Console { Some(line) } else { last };
        }
        let line = last.expect("the game wrote a line");
        let date = line.text.strip_prefix("=== Log opened ").or_else(|| line.text.strip_prefix("=== Log closed "));
        let date: DateTime = date.unwrap_or(&line.text)[..19].parse().unwrap();
        TimeZone::UTC.to_timestamp(date).unwrap().as_millisecond()
    }

    pub fn is_relaying(&self) -> bool {
        self.relay.is_some()
    }

    pub fn start_relay(&mut self) {
        self.relay_began = now();
        self.relay = Some(self.site.start());
    }

    /// By `kill -9`. It must have lived until now.
    pub fn kill_relay(&mut self) {
        let Some(mut relay) = self.relay.take() else { return };
        assert!(relay.is_running(), "the relay ended by itself:\n{}", relay.output().text());
        relay.kill();
        self.relay_died = now();
        let said = relay.output().text();
        assert!(!said.contains("panicked at"), "{said}");
    }

    /// The last lines the relay printed.
    pub fn last_words(&self) -> String {
        let said = self.relay.as_ref().map(|relay| relay.output().text()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(100)..].join("\n")
    }

    pub async fn start_game(&mut self) {
        self.run_began = now();
        self.game.start().await.unwrap();
    }

    /// Kills the game, and tells what the relay may know of it.
    pub async fn kill_game(&mut self) -> Kill {
        let samples = self.samples().await;
        let before = now();
        self.game.crash();
        self.game.rcon().until(|seen| seen.open == 0).await;
        let at = before..=now();
        self.is_not_busy();
        let may_have_broken = |sampled: &i64| (self.run_began..self.relay_died - LOOKED).contains(sampled);
        let broke_by = samples[0].filter(may_have_broken).map(|_| self.relay_died);
        Kill { watching: self.watching(&at, samples[0]), at, samples, broke_by }
    }

    /// A game that comes back neither saves nor hangs.
    pub fn is_not_busy(&self) {
        self.game.end_save();
        self.game.rcon().set_fault(Fault::None);
    }

    fn watching(&self, at: &RangeInclusive<i64>, sampled: Option<i64>) -> Watching {
        let since = self.run_began.max(self.relay_began).max(at.start() - LOOKED);
        match sampled {
            _ if self.relay.is_none() => Watching::No,
            Some(sampled) if sampled >= since => Watching::Yes,
            _ => Watching::Perhaps,
        }
    }

    /// The last two samples with an answer to who is there, the last one first, as the relay has stored them.
    async fn samples(&self) -> [Option<i64>; 2] {
        let query = "SELECT at FROM history WHERE step = 0 AND players IS NOT NULL ORDER BY at DESC LIMIT 2";
        let rows = self.rows(query).await;
        [0, 1].map(|place| rows.get(place).map(|row| row.get("at")))
    }

    /// What a query of the database gives, as soon as it can be asked.
    async fn rows(&self, sql: &'static str) -> Vec<SqliteRow> {
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(20)));
        loop {
            tick.tick().await;
            let options = SqliteConnectOptions::new().filename(self.site.dir.path().join("isr.db")).read_only(true);
            let work = async { sqlx::query(sql).fetch_all(&mut options.connect().await?).await };
            match work.await {
                Ok(rows) => return rows,
                Err(error) => assert!(Instant::now() < deadline, "{sql}: {error}"),
            }
        }
    }

    /// What must hold at any time: one session of a player lasts at most, and none ends before it begins.
    pub async fn assert_sound(&self) {
        let doubled = "SELECT player FROM sessions WHERE ended_at IS NULL GROUP BY player HAVING count(*) > 1";
        let negative = "SELECT player FROM sessions WHERE coalesce(ended_at, seen_at) < started_at";
        for query in [doubled, negative] {
            let found: Vec<String> = self.rows(query).await.iter().map(|row| row.get("player")).collect();
            assert!(found.is_empty(), "{query}: {found:?}");
        }
    }

    /// Waits until those are in the game, by their sessions, who are.
    pub async fn wait_for_online(&self, wanted: &BTreeSet<&'static str>) {
        let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
        let (deadline, mut tick) = (Instant::now() + 2 * DEADLINE, interval(Duration::from_millis(50)));
        loop {
            tick.tick().await;
            let rows = self.rows("SELECT player FROM sessions WHERE ended_at IS NULL").await;
            let online: BTreeSet<String> = rows.iter().map(|row| row.get("player")).collect();
            if online == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{online:?} are known to be in the game, {wanted:?} are");
        }
    }

    /// Waits until no line that is still to be read can change a session.
    pub async fn wait_until_settled(&self) {
        let open = "SELECT player FROM sessions WHERE settled = 0";
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(50)));
        while !self.rows(open).await.is_empty() {
            tick.tick().await;
            assert!(Instant::now() < deadline, "sessions last on behind the end of the server");
        }
    }

    /// Every player's sessions, in order; those that go on with the one before made one.
    pub async fn sessions(&self) -> BTreeMap<String, Vec<Stored>> {
        let query = "SELECT player, started_at, joined_to, ended_at, ended_by FROM sessions
                     ORDER BY started_at, ended_at, id";
        let mut sessions = BTreeMap::<String, Vec<Stored>>::new();
        for row in self.rows(query).await {
            let end: Option<i64> = row.get("ended_at");
            let (end, ended_by) = (end.expect("a session that lasts is a ghost"), row.get("ended_by"));
            let of_player = sessions.entry(row.get("player")).or_default();
            match (row.get::<Option<i64>, _>("joined_to"), of_player.last_mut()) {
                (Some(_), Some(last)) => (last.1, last.2) = (end, ended_by),
                _ => of_player.push((row.get("started_at"), end, ended_by)),
            }
        }
        sessions
    }

    /// What Discord was told of the chat, of joins and of moderation, once it is so much.
    pub async fn told(&self, count: usize) -> Vec<String> {
        self.discord.wait_for(3 * DEADLINE, |state| told_in(state).len() >= count).await;
        self.discord.read(told_in)
    }

    /// What a slash command is answered with.
    pub async fn ask(&self, command: &str, options: &[(&str, &str)]) -> Arc<SimMessage> {
        self.relay.as_ref().unwrap().wait_until_ready().await;
        // What is said to a bot that is not there is answered by nobody.
        let listens = |state: &SimState| state.stats().connected_sessions > 0 && state.commands() != &json!([]);
        assert!(self.discord.wait_for(DEADLINE, listens).await, "no commands, or no bot");
        let given: Vec<Value> =
            options.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value })).collect();
        let call = self.discord.interact(CHAT, "Reader", command, &json!(given)).unwrap();
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(10)));
        loop {
            tick.tick().await;
            let reply = self.discord.interaction_reply(call);
            if let Some(reply) = reply.clone().filter(|reply| !reply.embeds[0].is_null()) {
                return reply;
            }
            assert!(Instant::now() < deadline, "/{command} {options:?} was not answered: {reply:?}");
        }
    }

    /// The relay stops in order.
    pub async fn end(&mut self) {
        let mut relay = self.relay.take().unwrap();
        assert_eq!(relay.terminate().await.code(), Some(0), "{}", relay.output().text());
    }
}

async fn game_of(site: &Site, feed: &LogFeed) -> SimGame {
    let config = SimServerConfig {
        name: "Nauvis".to_owned(),
        console_log: site.console_log("prod"),
        engine_log: Some(site.dir.path().join("factorio-current.log")),
        timezone: TimeZone::UTC,
        space_age: false,
    };
    let mut server = SimServer::new(config, Arc::new(SystemClock)).shown_by(feed);
    // What is rotated away while nobody looks must still lie there.
    server.console().keep_rotated(u32::MAX);
    SimGame::new(server, PASSWORD, Game::default()).await.unwrap()
}

fn configured(site: Site, port: u16) -> Site {
    let engine_log = site.dir.path().join("factorio-current.log");
    let keys =
        format!("engine_log = \"{}\"\nrcon = {{ port = {port}, password = \"{PASSWORD}\" }}", engine_log.display());
    site.server_with("prod", &format!("default = {CHAT}, alerts = {ALERTS}"), &keys).extra(&format!(
        "[game]\ninterval = \"{INTERVAL}\"\nidle_interval = \"{INTERVAL}\"\n[commands]\nquery_limit = 100"
    ))
}

/// As in `Ann joined`, `Ann said 17`.
fn told_in(state: &SimState) -> Vec<String> {
    let messages = state.messages(CHAT).filter(|message| message.interaction.is_none());
    let lines = messages.flat_map(|message| lines_of(message)).map(|line| line.replace(['*', '\\'], ""));
    lines.flat_map(|line| told(&line)).collect()
}

/// Equal lines that follow each other are said once, with their number.
fn told(line: &str) -> Vec<String> {
    let Some(found) = LINE.captures(line) else { return Vec::new() };
    let what = match found.get(4) {
        Some(number) => format!("said {}", number.as_str().trim_start_matches('0')),
        None => found.get(2).or(found.get(3)).map_or_else(String::new, |word| word.as_str().to_owned()),
    };
    let times = line.rsplit_once(" ×").and_then(|(_, times)| times.parse().ok()).unwrap_or(1);
    vec![format!("{} {what}", &found[1]); times]
}
