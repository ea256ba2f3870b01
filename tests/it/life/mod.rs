//! A life in real time: the real program beside a game and a Discord, each of which is killed, hangs or is away again and
//! again. In the end the relay knows every player's sessions as the game does, and Discord was told every line.
//!
//! `RELAY_TEST_LIFE_SECONDS` makes it longer, as 3600; `RELAY_TEST_LIFE_SEED` repeats the adversities of another life,
//! as far as the machine is as fast.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

mod script;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use factorio_isr::sim::discord::GatewayEnd;
use factorio_isr::sim::factorio::NumberedLine;
use factorio_isr::sim::rcon::Fault;
use fastrand::Rng;
use serde_json::Value;
use tokio::time::{Instant, interval};

use script::{Act, Script};
use truth::{Known, SECOND, Truth, Watching};
use world::{Stored, World, now};

/// Seconds of a life, where nothing else is asked for.
const SHORT: u64 = 48;

/// Players, and how long they stay compared with the first.
const PLAYERS: [(&str, f64); 6] =
    [("Ann", 1.0), ("bob", 1.0), ("Cid_1", 1.5), ("d-e.f", 2.0), ("Eve", 4.0), ("Fox", 12.0)];

const TICK: Duration = Duration::from_millis(100);

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// What was done when; told when the test fails.
struct Diary {
    seed: u64,
    lines: Vec<String>,
}

impl Diary {
    fn note(&mut self, what: impl std::fmt::Display) {
        self.lines.push(format!("{} {what}", now()));
    }
}

struct Life {
    diary: Diary,
    rng: Rng,
    script: Script,
    length: Duration,
    world: World,
    truth: Truth,
    acts: BTreeMap<Act, u32>,
    /// Lines of the chat so far.
    said: u64,
}

impl Drop for Life {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Diary { seed, lines } = &self.diary;
            eprintln!("{}\n\nthe relay's last words:\n{}", lines.join("\n"), self.world.last_words());
            eprintln!("RELAY_TEST_LIFE_SEED={seed} RELAY_TEST_LIFE_SECONDS={}", self.length.as_secs());
        }
    }
}

impl Life {
    async fn begin(seed: u64, length: Duration) -> Self {
        let mut rng = Rng::with_seed(seed);
        let script = Script::new(&mut rng, length);
        let world = World::begin(seed).await;
        let diary = Diary { seed, lines: Vec::new() };
        let (truth, acts) = (Truth::default(), BTreeMap::new());
        let mut life = Self { diary, rng, script, length, world, truth, acts, said: 0 };
        life.start_game().await;
        life
    }

    async fn live(&mut self) {
        let (begun, mut ticks) = (Instant::now(), interval(TICK));
        for number in 0_u64.. {
            ticks.tick().await;
            let elapsed = begun.elapsed();
            while let Some(act) = self.script.due(elapsed) {
                self.act(act).await;
            }
            if elapsed >= self.length {
                return;
            }
            self.play(self.script.pace(elapsed));
            if number.is_multiple_of(10) {
                self.world.assert_sound().await;
            }
        }
    }

    async fn act(&mut self, act: Act) {
        let running = self.world.game.is_running();
        match act {
            Act::KillGame | Act::StopGame | Act::RconHangs | Act::SaveBegins if !running => return,
            Act::StartGame if running => return,
            Act::KillRelay if !self.world.is_relaying() => return,
            Act::StartRelay if self.world.is_relaying() => return,
            _ => {}
        }
        self.diary.note(format_args!("{act:?}"));
        *self.acts.entry(act).or_default() += 1;
        match act {
            Act::KillGame => self.kill_game().await,
            Act::StopGame => self.stop_game(),
            Act::StartGame => self.start_game().await,
            Act::KillRelay => self.world.kill_relay(),
            Act::StartRelay => self.world.start_relay(),
            Act::DiscordGoes => self.world.discord.stop().await,
            Act::DiscordIsBack => self.world.discord.restart().await.unwrap(),
            Act::RconHangs => self.world.game.rcon().set_fault(Fault::Hang),
            Act::RconAnswers => self.world.game.rcon().set_fault(Fault::None),
            Act::SaveBegins => self.save(),
            Act::SaveEnds => self.world.game.end_save(),
            Act::RotateByRename | Act::RotateByCopy => self.rotate(act),
            Act::EndGateway => self.end_gateway(),
        }
    }

    fn end_gateway(&mut self) {
        let end = GatewayEnd::draw(&mut self.rng);
        self.diary.note(format_args!("the gateway ends by {end:?}"));
        self.world.discord.end_gateway(end);
    }

    async fn kill_game(&mut self) {
        let kill = self.world.kill_game().await;
        self.diary.note(format_args!("killed: {kill:?}"));
        self.truth.killed(&kill);
    }

    fn stop_game(&mut self) {
        self.world.game.stop().unwrap();
        self.world.is_not_busy();
        let line = self.world.line();
        self.truth.stopped(line);
    }

    /// What it loads was saved with players in it, and it says that they leave.
    async fn start_game(&mut self) {
        self.world.start_game().await;
        let line = self.world.line();
        self.truth.began(line);
        for (player, _) in PLAYERS {
            if self.rng.u8(..) < 60 {
                self.world.game.server().leave(player).unwrap();
                self.diary.note(format_args!("{player} leaves the map that is loaded"));
            }
        }
    }

    fn save(&mut self) {
        self.world.game.begin_save();
        self.world.game.server().autosave().unwrap();
        self.truth.saved(now());
    }

    fn rotate(&self, act: Act) {
        let mut server = self.world.game.server();
        let log = server.console();
        if act == Act::RotateByCopy {
            return log.rotate_copytruncate().unwrap();
        }
        log.rotate_rename().unwrap();
        log.reopen().unwrap();
    }

    /// Whether that happens in this tick which happens once in so many seconds, or in so many more where life is slow.
    fn chance(&mut self, seconds: f64, pace: f64) -> bool {
        self.rng.f64() * seconds * pace < TICK.as_secs_f64()
    }

    fn play(&mut self, pace: f64) {
        if !self.world.game.is_running() {
            return;
        }
        for (player, patience) in PLAYERS {
            let there = self.truth.is_online(player);
            if !there && self.chance(2.5, pace) {
                self.join(player);
                if self.rng.u8(..) < 30 {
                    self.depart(player);
                }
            } else if there && self.chance(4.0 * patience, pace) {
                self.depart(player);
                if self.rng.u8(..) < 60 {
                    self.join(player);
                }
            } else if there && self.chance(3.0, pace) {
                self.say(player);
            }
        }
    }

    fn join(&mut self, player: &'static str) {
        let since = now();
        self.world.game.join(player).unwrap();
        let line = self.world.line();
        self.truth.joined(player, line, since);
        self.diary.note(format_args!("{player} joined"));
    }

    fn depart(&mut self, player: &'static str) {
        let game = self.world.game.clone();
        let how = match self.rng.u32(0..8) {
            0 | 1 => {
                game.kick(player, "Ann", None).unwrap();
                "kicked"
            }
            2 => {
                game.ban(player, "Ann", Some("lag")).unwrap();
                "banned"
            }
            _ => {
                game.leave(player).unwrap();
                "left"
            }
        };
        let line = self.world.line();
        self.truth.left(player, line, how);
        self.diary.note(format_args!("{player} {how}"));
        // Whether a LEAVE follows a kick, nobody knows.
        if how != "left" && self.rng.bool() {
            game.server().leave(player).unwrap();
            let line = self.world.line();
            self.truth.left(player, line, "left");
        }
        if how == "banned" {
            game.unban(player, "Ann").unwrap();
            let line = self.world.line();
            self.truth.moderated(line);
        }
    }

    fn say(&mut self, player: &str) {
        self.said += 1;
        let line = NumberedLine { number: self.said, tag: "life".to_owned() };
        self.world.game.server().chat(player, &line.to_string()).unwrap();
        self.world.line();
        self.truth.said(player, self.said);
    }

    /// Everything is up; who is there is known to be; then the server stops in order.
    async fn end(&mut self) {
        self.world.discord.clear_faults();
        self.world.discord.restart().await.unwrap();
        self.world.is_not_busy();
        for act in [Act::StartRelay, Act::StartGame] {
            self.act(act).await;
        }
        for (player, _) in PLAYERS {
            if !self.truth.is_online(player) {
                self.join(player);
            }
        }
        self.world.wait_for_online(&self.truth.online()).await;
        self.diary.note("the end");
        self.stop_game();
        self.world.wait_until_settled().await;
        self.world.assert_sound().await;
    }

    async fn check(&self) {
        assert_told(&self.world.told(self.truth.told.len()).await, &self.truth.told);
        let stored = self.world.sessions().await;
        assert_eq!(stored.len(), self.truth.sessions.len(), "somebody was there who never was: {stored:?}");
        for (player, known) in &self.truth.sessions {
            check(player, known, stored.get(*player).map_or(&[], Vec::as_slice));
        }
        self.check_play_times().await;
    }

    /// What users see.
    async fn check_play_times(&self) {
        let top = self.world.ask("top", &[("value", "all")]).await;
        let top = top.embeds.to_string().replace('\\', "");
        for (player, known) in &self.truth.sessions {
            let reply = self.world.ask("player", &[("player", player)]).await;
            let field = |name: &str| field(&reply.embeds, name);
            let played = self.truth.play_time(player);
            let times = spoken_within(&played);
            assert!(times.contains(&field("Play time")), "{player}: {times:?} but {}", reply.embeds);
            assert_eq!(field("Sessions"), known.len().to_string(), "{player}: {}", reply.embeds);
            let listed = |time: &String| top.contains(&format!(". {player} - {time}"));
            assert!(*played.start() == 0 || times.iter().any(listed), "{player}: {times:?} but {top}");
        }
    }

    fn tell(&self) {
        let sessions: usize = self.truth.sessions.values().map(Vec::len).sum();
        let (seed, seconds) = (self.diary.seed, self.length.as_secs());
        println!(
            "seed {seed}, {seconds} s: {sessions} sessions, {:?} cut off by a kill of the game (did the relay look?), {} \
             lines told, {:?}",
            self.truth.cut_off,
            self.truth.told.len(),
            self.acts
        );
    }
}

/// Every line once, and in the order of the log.
fn assert_told(told: &[String], written: &[String]) {
    let place = (0..told.len().max(written.len())).find(|place| told.get(*place) != written.get(*place));
    if let Some(place) = place {
        let around = |lines: &[String]| {
            let from = place.saturating_sub(3).min(lines.len());
            lines[from..(place + 6).min(lines.len())].join(", ")
        };
        let (got, wanted) = (around(told), around(written));
        panic!("line {place} of {} was not told as written: {got}\nbut it wrote {wanted}", written.len());
    }
}

/// Every session, from the second of its JOIN to the second of its end, where a line told of it or the relay looked;
/// else up to the last evidence there was, which is never behind the truth.
fn check(player: &str, truth: &[Known], stored: &[Stored]) {
    let context = || format!("{player}\n{}", side_by_side(truth, stored));
    assert_eq!(truth.len(), stored.len(), "sessions are lost or doubled: {}", context());
    let mut before = 0;
    for (known, (start, end, _)) in truth.iter().zip(stored) {
        assert_eq!(known.start, *start, "{}", context());
        assert!(known.ends.contains(end), "{known:?} ended at {end}: {}", context());
        assert!(*end <= known.truly + SECOND, "{known:?} ended at {end}, behind the truth: {}", context());
        assert!(before <= *start && start <= end, "sessions overlap: {}", context());
        before = *end;
    }
}

fn side_by_side(truth: &[Known], stored: &[Stored]) -> String {
    let line = |place: usize| format!("{:?} | {:?}\n", truth.get(place), stored.get(place));
    (0..truth.len().max(stored.len())).map(line).collect()
}

fn field(embeds: &Value, name: &str) -> String {
    let fields = embeds[0]["fields"].as_array().map_or(&[][..], Vec::as_slice);
    let found = fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no {name} in {embeds}"));
    found["value"].as_str().unwrap_or_default().replace(['`', '\\'], "")
}

/// How each of these times is said.
fn spoken_within(times: &RangeInclusive<i64>) -> Vec<String> {
    let mut spoken: Vec<String> = (times.start() / SECOND..=times.end() / SECOND).map(spoken).collect();
    spoken.dedup();
    spoken
}

fn spoken(seconds: i64) -> String {
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_with_crashes_is_known_to_the_second_and_told_line_by_line() {
    let length = Duration::from_secs(from_environment("RELAY_TEST_LIFE_SECONDS").unwrap_or(SHORT));
    let seed = from_environment("RELAY_TEST_LIFE_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut life = Life::begin(seed, length).await;
    life.live().await;
    life.end().await;
    life.check().await;
    life.world.end().await;
    life.tell();
    let count = |act| life.acts.get(&act).copied().unwrap_or_default();
    if length.as_secs() >= SHORT {
        assert!(count(Act::KillGame) >= 3 && count(Act::KillRelay) >= 3 && count(Act::DiscordGoes) >= 2, "a dull life");
        assert!(life.truth.cut_off.get(&Watching::No).is_some_and(|count| *count > 0), "no kill was unwatched");
    }
}
