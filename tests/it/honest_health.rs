//! What the running program says of games that cannot be asked as usual: without RCON, in another language, hanging; and
//! of alerts that fire.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use factorio_isr::domain::SystemClock;
use factorio_isr::sim::discord::SimDiscord;
use factorio_isr::sim::factorio::{SimGame, SimServer, SimServerConfig};
use factorio_isr::sim::rcon::{Fault, Game};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::harness::{DEADLINE, Relay, Site, discord_with};

const CHAT: u64 = 1001;
/// Room for calls until an answer suits.
const GENEROUS: &str = "[commands]\nquery_limit = 1000";
const PASSWORD: &str = "rcon-secret-71";

/// A relay of one server, `prod`, perhaps with a game that answers over RCON.
struct World {
    discord: SimDiscord,
    relay: Relay,
    game: Option<SimGame>,
    site: Site,
}

impl World {
    async fn without_rcon() -> Self {
        let discord = discord_with(&[(CHAT, "chat")]).await;
        let site = Site::new(&discord.base_url()).discord_key("guild_id = 100").server("prod", CHAT).extra(GENEROUS);
        let relay = site.start();
        relay.wait_until_ready().await;
        Self { discord, relay, game: None, site }
    }

    async fn with_game(game: Game, fault: Fault) -> Self {
        let discord = discord_with(&[(CHAT, "chat")]).await;
        let site = Site::new(&discord.base_url()).discord_key("guild_id = 100");
        let config = SimServerConfig {
            name: "prod".to_owned(),
            console_log: site.console_log("prod"),
            engine_log: None,
            timezone: TimeZone::UTC,
            space_age: false,
        };
        let game = SimGame::new(SimServer::new(config, Arc::new(SystemClock)), PASSWORD, game).await.unwrap();
        let port = game.rcon().address().port();
        let rcon = format!("rcon = {{ port = {port}, password = \"{PASSWORD}\" }}");
        let site = site.server_with("prod", &format!("default = {CHAT}"), &rcon);
        let site = site.extra(GENEROUS).extra("[game]\ninterval = \"1s\"\nups_window = \"12s\"");
        game.start().await.unwrap();
        game.rcon().set_fault(fault);
        let relay = site.start();
        relay.wait_until_ready().await;
        Self { discord, relay, game: Some(game), site }
    }

    fn game(&self) -> &SimGame {
        self.game.as_ref().unwrap()
    }

    /// A line of the console log, of now.
    fn log(&self, line: &str) {
        self.site.append("prod", &format!("{} {line}\n", Timestamp::now().strftime("%Y-%m-%d %H:%M:%S")));
    }

    /// What a slash command answers, once it suits; `factorio NAME` is below the group.
    async fn answer(&self, command: &str, suits: impl Fn(&str) -> bool) -> String {
        assert!(self.discord.wait_for(DEADLINE, |state| state.commands() != &json!([])).await);
        let (name, options) = match command.split_once(' ') {
            Some((group, name)) => (group, json!([{ "name": name, "type": 1, "options": [] }])),
            None => (command, json!([])),
        };
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(5)));
        // A member may ask only so often.
        let mut again = interval(Duration::from_secs(1));
        loop {
            again.tick().await;
            let call = self.discord.interact(CHAT, "Ann", name, &options).unwrap();
            let answer = loop {
                tick.tick().await;
                assert!(Instant::now() < deadline, "/{command} has no answer");
                if let Some(reply) = self.discord.interaction_reply(call) {
                    break reply.embeds.to_string() + &reply.content;
                }
            };
            if suits(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "/{command}: {answer}");
        }
    }

    /// The state and the reason of the part `prod/rcon`.
    fn rcon(body: &str) -> (String, String) {
        let answer: Value = serde_json::from_str(body).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&answer["components"]["rcon"]), text(&answer["servers"]["prod"]["rcon"]["reason"]))
    }

    async fn page(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(self.relay.address().await).header("accept", "text/html");
        request.send().await.unwrap().text().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rcon_the_log_says_who_plays() {
    let world = World::without_rcon().await;
    world.answer("online", |answer| answer.contains("prod: not known yet")).await;
    world.log("[JOIN] Alice joined the game");
    world.log("[JOIN] Bob joined the game");
    world.answer("online", |answer| answer.contains("prod: Alice, Bob (2)")).await;
    let players = world.answer("factorio players", |answer| answer.contains("Alice, Bob (2)")).await;
    assert!(players.contains("This server has no RCON. This is what its log shows."), "{players}");
    world.log("[LEAVE] Bob left the game");
    let status = world.answer("factorio status", |answer| answer.contains("Alice (1)")).await;
    assert!(status.contains("Players online") && !status.contains("Bob"), "{status}");
    // What only the game knows is still refused.
    world.answer("factorio seed", |answer| answer.contains("has no RCON in my configuration")).await;
}

/// A game whose console speaks German.
fn german() -> Game {
    let mut game = Game::default();
    let answers = [
        ("/time", "1 Tag, 11 Stunden, 1 Minute und 26 Sekunden\n"),
        ("/players online", "Spieler online (1):\n  Ann (online)\n"),
        ("/players count", "Spieler (1)\n"),
        ("/evolution", "Nauvis - Evolutionsfaktor: 0.9485. (Zeit 7%)\n"),
    ];
    game.answers.extend(answers.map(|(command, answer)| (command.to_owned(), answer.to_owned())));
    game
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_in_another_language_is_known_by_its_log_and_reported_once() {
    let world = World::with_game(german(), Fault::None).await;
    world.game().join("Ann").unwrap();
    let body = world.relay.wait_for("/ready", |_, body| World::rcon(body).0 == "degraded").await;
    let (_, reason) = World::rcon(&body);
    assert!(reason.contains("probably because it does not run in English"), "{reason}");
    assert!(reason.contains("Set `locale=en` below `[general]`"), "{reason}");
    world.answer("online", |answer| answer.contains("prod: Ann (1)")).await;
    world
        .relay
        .wait_for("/metrics", |_, body| body.contains("factorio_connected_player_count{server=\"prod\"} 1\n"))
        .await;
    let asked = |count: usize| {
        let seen = world.game().rcon().seen();
        seen.commands.iter().filter(|command| *command == "/players online").count() >= count
    };
    let begun = Instant::now();
    while !asked(4) {
        assert!(begun.elapsed() < DEADLINE, "the game is asked again and again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let said = world.relay.output().text();
    assert_eq!(said.matches("Failed to parse the game's RCON replies").count(), 1, "{said}");
    world.game().rcon().game().answers.clear();
    world.relay.wait_for("/ready", |_, body| World::rcon(body).0 == "healthy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_takes_the_login_and_answers_nothing_is_not_healthy() {
    let world = World::with_game(Game::default(), Fault::Hang).await;
    world.game().rcon().until(|seen| seen.logins > 0).await;
    let (_, body) = world.relay.get("/ready").await;
    assert_eq!(World::rcon(&body).0, "starting", "{body}");
    assert!(body.contains("rcon_unhealthy"), "{body}");
    world.game().rcon().set_fault(Fault::None);
    world.relay.wait_for("/ready", |_, body| World::rcon(body).0 == "healthy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headline_and_the_servers_card_show_an_alert_that_fires() {
    let discord = discord_with(&[(CHAT, "chat")]).await;
    let site = Site::new(&discord.base_url());
    let engine_log = site.dir.path().join("factorio-current.log");
    fs::write(&engine_log, "").unwrap();
    let keys = format!("name = \"Nauvis\"\nengine_log = \"{}\"", engine_log.display());
    let site = site.server_with("prod", &format!("default = {CHAT}"), &keys).server("test", CHAT);
    let relay = site.start();
    relay.wait_until_ready().await;
    let world = World { discord, relay, game: None, site };
    let page = world.page().await;
    assert!(page.contains("<h1>All is well</h1>") && page.contains("all 2 are well"), "{page}");
    let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    let mut log = fs::OpenOptions::new().append(true).open(&engine_log).unwrap();
    let lines = format!(
        "   0.000 {now}; Factorio 2.0.77 (build 84593, linux64, headless)\n   9.000 Info ServerMultiplayerManager.cpp:808: \
         updateTick(1) changing state from(CreatingGame) to(InGame)\n  10.000 Info ServerMultiplayerManager.cpp:1: \
         updateTick(7) received stateChanged peerID(1) oldState(InGame) newState(DesyncedWaitingForMap)\n"
    );
    log.write_all(lines.as_bytes()).unwrap();
    let firing = |_: u16, body: &str| body.contains("factorio_isr_alerts_firing{server=\"prod\",alert=\"desync\"} 1");
    world.relay.wait_for("/metrics", firing).await;
    let begun = Instant::now();
    let page = loop {
        let page = world.page().await;
        if page.contains("<h1>1 alert is firing</h1>") {
            break page;
        }
        assert!(begun.elapsed() < DEADLINE, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(page.contains("<li>Nauvis: Desync</li>") && page.contains("1 of 2 to look at"), "{page}");
    assert!(page.contains("id=\"s-prod\" class=\"card degraded\" data-list=\"trouble\""), "{page}");
    assert!(page.contains("<span>Desync</span> <span class=\"state\">alert</span>"), "{page}");
    assert!(page.contains("id=\"s-test\" class=\"card healthy\" data-list=\"well\""), "{page}");
}
