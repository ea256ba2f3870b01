//! How the games are, as a scrape of the running relay tells it. The games are simulated at the protocol, in real time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]
#![expect(clippy::float_cmp, reason = "a state is exactly 0 or 1")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use factorio_isr::domain::SystemClock;
use factorio_isr::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig};
use factorio_isr::sim::factorio::{SimGame, SimServer, SimServerConfig};
use factorio_isr::sim::rcon::{Fault, Game};
use jiff::tz::TimeZone;

use crate::harness::{Relay, Site, TOKEN};

const PASSWORD: &str = "rcon-secret-52";

/// A relay beside one running game, `prod`.
struct World {
    game: SimGame,
    relay: Relay,
    _site: Site,
    _discord: SimDiscord,
}

async fn game_in(folder: &Path, game: Game) -> SimGame {
    let config = SimServerConfig {
        name: "Nauvis".to_owned(),
        console_log: folder.join("game-console.log"),
        engine_log: None,
        timezone: TimeZone::UTC,
        space_age: false,
    };
    let game = SimGame::new(SimServer::new(config, Arc::new(SystemClock)), PASSWORD, game).await.unwrap();
    game.start().await.unwrap();
    game
}

impl World {
    /// `rcon` are keys of `[servers.prod.rcon]`, `of_game` those of `[game]`.
    async fn start(game: Game, rcon: &str, of_game: &str) -> Self {
        let config = SimDiscordConfig {
            token: TOKEN.to_owned(),
            channels: vec![SimChannel::new(1001, "chat")],
            ..SimDiscordConfig::default()
        };
        let discord = crate::discord_sim::start(config).await.unwrap();
        let site = Site::new(&discord.base_url());
        let game = game_in(site.dir.path(), game).await;
        game.join("Ann").unwrap();
        let port = game.rcon().address().port();
        let rcon = format!("rcon = {{ port = {port}, password = \"{PASSWORD}\"{rcon} }}");
        let site = site.server_with("prod", "default = 1001", &rcon).extra(&format!("[game]\n{of_game}"));
        let relay = site.start();
        Self { game, relay, _site: site, _discord: discord }
    }

    /// The value of a series, once it suits.
    async fn value(&self, series: &str, suits: impl Fn(f64) -> bool) -> f64 {
        let body = self.relay.wait_for("/metrics", |_, body| value(body, series).is_some_and(&suits)).await;
        value(&body, series).unwrap()
    }

    /// A scrape that tells the speed, and that as wanted.
    async fn scrape_with_speed(&self, suits: impl Fn(Speed) -> bool) -> String {
        self.relay.wait_for("/metrics", |_, body| speed(body).is_some_and(&suits)).await
    }

    async fn scrape(&self) -> String {
        self.relay.get("/metrics").await.1
    }
}

fn value(body: &str, series: &str) -> Option<f64> {
    body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The updates a second, and how far they may be off.
#[derive(Debug, Clone, Copy)]
struct Speed {
    ups: f64,
    error: f64,
}

impl Speed {
    /// The error bound is part of what is shown: seconds that the game tells may make it as large as that of six of them.
    fn is(self, truth: f64) -> bool {
        (self.ups - truth).abs() <= self.error && self.error < 12.0
    }
}

/// Both of one scrape: from one to the next they change.
fn speed(body: &str) -> Option<Speed> {
    let ups = value(body, "factorio_isr_game_ups{server=\"prod\"}")?;
    let error = value(body, "factorio_isr_game_ups_error{server=\"prod\"}").expect("a speed has an error bound");
    Some(Speed { ups, error })
}

/// The series of the game in a scrape, without their values.
fn of_the_game(body: &str) -> Vec<&str> {
    let ours =
        |line: &&str| !line.starts_with('#') && line.starts_with("factorio_") && line.contains("server=\"prod\"");
    let of_game = |line: &&str| !line.starts_with("factorio_isr_") || line.starts_with("factorio_isr_game_");
    let counted = |line: &&str| !line.starts_with("factorio_isr_game_series_cut_total");
    let lines = body.lines().filter(ours).filter(of_game).filter(counted);
    lines.map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_games_speed_is_known_without_any_lua() {
    let world = World::start(Game::default(), "", "interval = \"1s\"\nups_window = \"12s\"").await;
    world.game.server().change_map(|map| map.ups = 48.0);
    let body = world.scrape_with_speed(|_| true).await;
    let speed = speed(&body).unwrap();
    assert!(speed.is(48.0), "{speed:?}");
    assert_eq!(value(&body, "factorio_isr_game_ups_target{server=\"prod\"}"), Some(60.0));
    assert_eq!(value(&body, "factorio_isr_game_source{server=\"prod\",source=\"native\"}"), Some(1.0));
    assert_eq!(value(&body, "factorio_isr_game_paused{server=\"prod\"}"), Some(0.0));
    assert_eq!(value(&body, "factorio_connected_player_count{server=\"prod\"}"), Some(1.0));
    assert_eq!(value(&body, "factorio_total_player_count{server=\"prod\"}"), Some(1.0));
    let evolution = "factorio_evolution{server=\"prod\",force=\"enemy\",type=\"total\",surface=\"nauvis\"}";
    assert_eq!(value(&body, evolution), Some(0.9485));
    let seen = world.game.rcon().seen();
    assert!(seen.lua_commands().is_empty(), "{:?}", seen.lua_commands());
    assert!(!world.game.rcon().game().achievements_disabled());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_lua_is_allowed_it_tells_more_and_more_exactly() {
    for version in ["1.1.110", "2.0.77"] {
        let mut game = Game::default();
        (game.version, game.rockets) = (version.to_owned(), 3);
        let world = World::start(game, ", allow_lua = true", "interval = \"1s\"\nups_window = \"10s\"").await;
        world.game.server().change_map(|map| (map.ups, map.speed) = (107.0, 2.0));
        let body = world.scrape_with_speed(|speed| (speed.ups - 107.0).abs() < 2.0).await;
        assert!(speed(&body).unwrap().error < 2.0, "{body}");
        assert_eq!(value(&body, "factorio_isr_game_ups_target{server=\"prod\"}"), Some(120.0));
        assert_eq!(value(&body, "factorio_isr_game_source{server=\"prod\",source=\"lua\"}"), Some(1.0));
        assert_eq!(value(&body, "factorio_isr_game_rockets_launched{server=\"prod\",force=\"player\"}"), Some(3.0));
        let surface = if version.starts_with('2') { ",surface=\"nauvis\"" } else { "" };
        let iron =
            format!("factorio_item_production_input{{server=\"prod\",force=\"player\",name=\"iron-plate\"{surface}}}");
        let before = value(&body, &iron).unwrap_or_else(|| panic!("{body}"));
        world.value(&iron, |after| after > before).await;
        assert!(value(&body, "factorio_isr_game_sample_bytes{server=\"prod\"}").unwrap() > 500.0);
        assert!(world.game.rcon().game().achievements_disabled(), "the first command was repeated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_that_lua_looks_at_for_long_has_a_known_speed() {
    let world = World::start(Game::default(), ", allow_lua = true", "interval = \"1s\"\nups_window = \"10s\"").await;
    world.game.rcon().set_fault(Fault::SlowLua(Duration::from_millis(700)));
    world.game.server().change_map(|map| map.ups = 31.0);
    let body = world.scrape_with_speed(|speed| (speed.ups - 31.0).abs() < 1.0).await;
    assert!(value(&body, "factorio_isr_game_sample_duration_seconds{server=\"prod\"}").unwrap() > 0.7, "{body}");
    assert!(speed(&body).unwrap().error < 1.0, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_is_down_has_no_series_and_is_back_with_them() {
    let world = World::start(Game::default(), "", "interval = \"1s\"").await;
    world.value("factorio_tick{server=\"prod\"}", |_| true).await;
    world.game.stop().unwrap();
    world.value("factorio_isr_game_up{server=\"prod\"}", |up| up == 0.0).await;
    assert_eq!(of_the_game(&world.scrape().await), ["factorio_isr_game_up{server=\"prod\"}"]);
    world.game.start().await.unwrap();
    world.value("factorio_isr_game_up{server=\"prod\"}", |up| up == 1.0).await;
    world.value("factorio_tick{server=\"prod\"}", |_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_lua_fails_the_games_own_commands_tell() {
    let game = Game::default();
    let world = World::start(game, ", allow_lua = true", "interval = \"1s\"").await;
    world.value("factorio_isr_game_source{server=\"prod\",source=\"lua\"}", |_| true).await;
    let sample = world.game.rcon().seen().commands.iter().find(|text| text.starts_with("/sc local")).unwrap().clone();
    let refusal = "Cannot execute command. Error: no".to_owned();
    world.game.rcon().game().answers.insert(sample, refusal);
    world.value("factorio_isr_game_source{server=\"prod\",source=\"native\"}", |_| true).await;
    world.relay.output().find(|line| line.contains("Error: no").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_asked_for_once_a_connection() {
    let world = World::start(Game::default(), "", "interval = \"1s\"").await;
    let asked = |text: &str| world.game.rcon().seen().commands.iter().filter(|sent| *sent == text).count();
    world.game.rcon().until(|seen| seen.commands.iter().filter(|sent| *sent == "/players online").count() >= 3).await;
    assert_eq!((asked("/version"), asked("/evolution"), asked("/players count")), (1, 1, 1));
    world.game.rcon().cut_connections().await.unwrap();
    world.game.rcon().until(|seen| seen.commands.iter().filter(|sent| *sent == "/version").count() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_stands_with_nobody_in_it_is_left_alone() {
    let world =
        World::start(Game::default(), "", "interval = \"1s\"\nidle_interval = \"4s\"\nups_window = \"10s\"").await;
    world.game.server().change_map(|map| map.auto_pause = true);
    world.value("factorio_isr_game_paused{server=\"prod\"}", |paused| paused == 0.0).await;
    world.game.leave("Ann").unwrap();
    world.value("factorio_isr_game_paused{server=\"prod\"}", |paused| paused == 1.0).await;
    assert!(!world.scrape().await.contains("factorio_isr_game_ups{"), "a map that stands has no speed");
    let asked = |count: usize| move |seen: &factorio_isr::sim::rcon::Seen| seen.commands.len() >= count;
    let begun = world.game.rcon().seen().commands.len();
    // Two questions a sample: eight more take at least three times four seconds.
    let clock = tokio::time::Instant::now();
    crate::harness::within(world.game.rcon().until(asked(begun + 8))).await;
    assert!(clock.elapsed() > Duration::from_secs(7), "{:?}", clock.elapsed());
}

/// Every speed that is scraped while the map goes on for twelve seconds: a whole window.
async fn speeds(world: &World) -> Vec<Speed> {
    let tick = "factorio_tick{server=\"prod\"}";
    let begun = world.value(tick, |_| true).await;
    let (mut speeds, mut poll) = (Vec::new(), tokio::time::interval(Duration::from_millis(200)));
    loop {
        poll.tick().await;
        let body = world.scrape().await;
        speeds.extend(speed(&body));
        if value(&body, tick).is_some_and(|now| now > begun + 720.0) {
            return speeds;
        }
    }
}

/// What a save that stops the map for four seconds, and then a save that is an hour older, do to the speed that is shown.
async fn speed_is_honest(rcon: &str) {
    let keys = "interval = \"1s\"\nidle_interval = \"1s\"\nups_window = \"10s\"";
    let world = World::start(Game::default(), rcon, keys).await;
    let full = |speed: Speed| speed.is(60.0);
    world.scrape_with_speed(full).await;
    world.game.begin_save();
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.game.end_save();
    let after_save = speeds(&world).await;
    assert!(
        after_save.len() > 5 && after_save.iter().all(|speed| full(*speed)),
        "a stall is no slowness: {after_save:?}"
    );
    let before = world.value("factorio_tick{server=\"prod\"}", |_| true).await;
    world.game.restart_with_older_save(Duration::from_hours(1)).await.unwrap();
    world.game.join("Ann").unwrap();
    world.value("factorio_tick{server=\"prod\"}", |tick| tick < before - 200_000.0).await;
    let after_reload = speeds(&world).await;
    assert!(after_reload.iter().all(|speed| full(*speed)), "a jump is no speed: {after_reload:?}");
    world.scrape_with_speed(full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_and_an_older_save_are_no_slowness_by_the_games_own_commands() {
    speed_is_honest("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_and_an_older_save_are_no_slowness_by_lua() {
    speed_is_honest(", allow_lua = true").await;
}
