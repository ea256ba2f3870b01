//! Files that mods write as a source: the real program beside a simulated game with graftorio2, without RCON or with one that
//! dies.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use factorio_isr::domain::SystemClock;
use factorio_isr::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig, SimState};
use factorio_isr::sim::factorio::{SimGame, SimServer, SimServerConfig};
use factorio_isr::sim::rcon::{Game, Surface};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::harness::{DEADLINE, Relay, Site, TOKEN};

const CHAT: u64 = 1001;
const STATUS: u64 = 1002;
const PASSWORD: &str = "rcon-secret-61";

/// A relay beside a running game with Ann in it, whose mod writes once a second.
struct World {
    game: SimGame,
    relay: Relay,
    discord: SimDiscord,
    _site: Site,
}

fn map() -> Game {
    let surface = |name: &str, factor| Surface {
        name: name.to_owned(),
        factor,
        time: 7,
        pollution: 82,
        spawner_kills: 11,
        daytime: 0.0,
    };
    let mut game = Game::default();
    game.surfaces = vec![surface("Nauvis", 0.9485), surface("Gleba", 0.6161)];
    (game.research.queue, game.research.progress) = (vec!["rocket-silo".to_owned()], 0.429);
    game.rockets = 12;
    game
}

async fn game_in(folder: &Path, console_log: &Path) -> SimGame {
    let config = SimServerConfig {
        name: "prod".to_owned(),
        console_log: console_log.to_owned(),
        engine_log: None,
        timezone: TimeZone::UTC,
        space_age: true,
    };
    let server = SimServer::new(config, Arc::new(SystemClock));
    let server = server.with_metrics_file(folder.join("game.prom")).with_metrics_every(60);
    let game = SimGame::new(server, PASSWORD, map()).await.unwrap();
    game.start().await.unwrap();
    game
}

impl World {
    async fn start(with_rcon: bool, more: &str) -> Self {
        let channels = vec![SimChannel::new(CHAT, "chat"), SimChannel::new(STATUS, "status")];
        let config = SimDiscordConfig { token: TOKEN.to_owned(), channels, ..SimDiscordConfig::default() };
        let discord = crate::discord_sim::start(config).await.unwrap();
        let site = Site::new(&discord.base_url()).discord_key("guild_id = 100");
        let folder = site.dir.path().to_owned();
        let file =
            format!("prometheus_file = {{ path = \"{}\", max_age = \"10s\" }}", folder.join("game.prom").display());
        let game = game_in(&folder, &site.console_log("prod")).await;
        let port = game.rcon().address().port();
        let rcon = format!("\nrcon = {{ port = {port}, password = \"{PASSWORD}\" }}");
        let keys = if with_rcon { file + &rcon } else { file };
        let looks = "[game]\ninterval = \"1s\"\nups_window = \"12s\"\n[status]\nfloor = \"1s\"\n";
        let channels = format!("default = {CHAT}, status = {STATUS}");
        let site = site.server_with("prod", &channels, &keys).extra(&format!("{looks}{more}"));
        let relay = site.start();
        relay.wait_until_ready().await;
        game.join("Ann").unwrap();
        Self { game, relay, discord, _site: site }
    }

    /// The embed of the status message, once it suits.
    async fn status(&self, suits: impl Fn(&Status) -> bool) -> Status {
        let came =
            self.discord.wait_for(DEADLINE, |state| Status::of(state).is_some_and(|status| suits(&status))).await;
        let status = self.discord.read(Status::of);
        assert!(came, "never came: {status:#?}");
        status.unwrap()
    }

    async fn scrape(&self, text: &str) -> String {
        self.relay.wait_for("/metrics", |_, body| body.contains(text)).await
    }

    /// Calls a slash command, whose answer must suit.
    async fn answer(&self, name: &str, options: &[(&str, &str)], suits: impl Fn(&str) -> bool) {
        let given: Vec<Value> =
            options.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value })).collect();
        let options = json!([{ "name": name, "type": 1, "options": given }]);
        assert!(self.discord.wait_for(DEADLINE, |state| state.commands() != &json!([])).await);
        let call = self.discord.interact(CHAT, "Bob", "factorio", &options).unwrap();
        let answered = || self.discord.interaction_reply(call).map(|reply| reply.embeds.to_string() + &reply.content);
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(5)));
        while !answered().is_some_and(|answer| suits(&answer)) {
            assert!(Instant::now() < deadline, "/factorio {name}: {:?}", answered());
            tick.tick().await;
        }
    }
}

/// What the status message shows.
#[derive(Debug, Clone)]
struct Status(Value);

impl Status {
    fn of(state: &SimState) -> Option<Self> {
        let message = state.messages(STATUS).next()?;
        Some(Self(message.embeds[0].clone()))
    }

    fn is(&self, word: &str) -> bool {
        self.0["description"].as_str().unwrap_or_default().contains(&format!("**{word}**"))
    }

    /// Within what a busy machine may be off in a window so short.
    fn is_as_fast_as_it_should(&self) -> bool {
        let ups = self.field("UPS").and_then(|ups| ups.strip_suffix(" of 60")?.parse::<u32>().ok());
        ups.is_some_and(|ups| (57..=63).contains(&ups))
    }

    fn footer(&self) -> &str {
        self.0["footer"]["text"].as_str().unwrap_or_default()
    }

    fn field(&self, name: &str) -> Option<&str> {
        let fields = self.0["fields"].as_array()?;
        fields.iter().find(|field| field["name"] == name)?["value"].as_str()
    }
}

const BY_FILE: &str = "Status of prod · from files that a mod writes";

#[tokio::test(flavor = "multi_thread")]
async fn a_game_without_rcon_is_shown_by_its_file_until_that_is_old() {
    let world = World::start(false, "").await;
    let whole = |status: &Status| status.field("UPS").is_some() && status.field("Players (1)").is_some();
    let status = world.status(whole).await;
    assert!(status.is("Online") && status.footer() == BY_FILE, "{status:?}");
    assert!(status.is_as_fast_as_it_should(), "{status:?}");
    assert_eq!(status.field("Evolution"), Some("gleba 61.6 %\nnauvis 94.8 %"));
    assert_eq!((status.field("Research"), status.field("Rockets")), (Some("rocket-silo, 42 %"), Some("12")));
    assert!(status.field("Players (1)").unwrap().starts_with("Ann · <t:"), "the log knows the name: {status:?}");
    let body = world.scrape("factorio_isr_game_source{server=\"prod\",source=\"files\"} 1").await;
    assert!(!body.contains("factorio_isr_game_up{server=\"prod\"}"), "it has no RCON: {body}");
    for line in ["factorio_isr_game_ups{server=\"prod\"} ", "factorio_connected_player_count{server=\"prod\"} 1\n"] {
        assert!(body.contains(line), "{line}: {body}");
    }
    let presence = |state: &SimState| state.presence()["activities"][0]["state"] == "1 player on 1/1 servers";
    assert!(world.discord.wait_for(DEADLINE, presence).await);
    world.answer("servers", &[], |said| said.contains("no RCON, a mod's file tells: 1 player, ")).await;
    world.answer("evolution", &[("server", "prod")], |said| said.contains("94.85 %") && said.contains("gleba")).await;
    world.answer("players", &[("server", "prod")], |said| said.contains("Ann (1)")).await;
    world.answer("health", &[("server", "prod")], |said| said.contains("numbers of the game: files")).await;

    world.game.stop().unwrap();
    let old = world.status(|status| status.is("Without RCON")).await;
    assert_eq!((old.field("UPS"), old.field("Players (0)")), (None, Some("nobody")));
    assert!(old.footer().ends_with("from the log alone") && old.field("File last written").is_some(), "{old:?}");
    let gone = |body: &str| !body.contains("factorio_isr_game_source{") && !body.contains("factorio_tick{");
    world.relay.wait_for("/metrics", |_, body| gone(body)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_stands_is_never_slow_and_goes_on_with_its_speed() {
    let world = World::start(false, "").await;
    world.status(|status| status.field("UPS").is_some()).await;
    world.game.server().change_map(|map| map.halted = true);
    let standing = world.status(|status| status.field("UPS").is_none()).await;
    assert!(standing.is("Online") && standing.field("File last written").is_some(), "{standing:?}");
    world.game.server().change_map(|map| map.halted = false);
    let again = world.status(|status| status.field("UPS").is_some()).await;
    assert!(again.is_as_fast_as_it_should(), "whatever lies between: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_stands_in_while_rcon_is_dead_and_the_game_itself_is_heard_again() {
    let world = World::start(true, "").await;
    let native = world.status(|status| status.field("UPS").is_some() && status.field("Research").is_some()).await;
    let footer = "Status of prod · from the game's own commands; research, rockets from mods";
    assert_eq!((native.footer(), native.field("RCON")), (footer, None));
    let since = native.field("Players (1)").unwrap().to_owned();

    world.game.rcon().stop();
    let by_file = world.status(|status| status.footer() == BY_FILE && status.field("UPS").is_some()).await;
    assert!(by_file.is("Online"), "{by_file:?}");
    assert_eq!(by_file.field("RCON"), Some("cannot be reached"));
    assert_eq!(by_file.field("Players (1)"), Some(since.as_str()), "her session goes on");
    let body = world.scrape("factorio_isr_game_source{server=\"prod\",source=\"files\"} 1").await;
    assert!(body.contains("factorio_isr_game_up{server=\"prod\"} 0\n"), "RCON is down: {body}");
    world.answer("servers", &[], |said| said.contains("down, a mod's file tells: 1 player")).await;
    world.answer("status", &[("server", "prod")], |said| said.contains("rocket-silo")).await;

    world.game.rcon().start_again().await.unwrap();
    let again = world.status(|status| status.footer() == footer).await;
    assert_eq!(again.field("Players (1)"), Some(since.as_str()));
    assert_eq!(again.field("RCON"), None);
    world.scrape("factorio_isr_game_source{server=\"prod\",source=\"native\"} 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_dies_is_offline_though_its_last_file_is_young() {
    let world = World::start(true, "").await;
    world.status(|status| status.field("UPS").is_some()).await;
    world.game.crash();
    let offline = world.status(|status| status.is("Offline") || status.footer() == BY_FILE).await;
    assert!(offline.is("Offline"), "{offline:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_map_without_rcon_is_told_with_what_nobody_can_know() {
    let world = World::start(false, "[alerts.low_ups]\ncooldown = \"0s\"\n").await;
    world.status(|status| status.field("UPS").is_some()).await;
    world.game.server().change_map(|map| map.ups = 30.0);
    let told = |state: &SimState, word: &str| state.messages(CHAT).any(|message| message.content.contains(word));
    let fired = world.discord.wait_for(DEADLINE, |state| told(state, "🐌 **Low UPS** on")).await;
    assert!(fired, "{:#?}", world.discord.messages(CHAT));
    assert!(
        world.discord.read(|state| told(state, "cannot be seen without Lua")),
        "{:#?}",
        world.discord.messages(CHAT)
    );
    world.game.server().change_map(|map| map.ups = 60.0);
    let over = world.discord.wait_for(DEADLINE, |state| told(state, "✅ **Low UPS** on")).await;
    assert!(over, "{:#?}", world.discord.messages(CHAT));
}
