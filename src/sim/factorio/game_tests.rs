use std::path::Path;

use jiff::tz::TimeZone;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::domain::{Clock, ManualClock};
use crate::sim::factorio::SimServerConfig;

fn server(dir: &Path) -> (SimServer, ManualClock) {
    let clock = ManualClock::new("2026-11-23T21:00:00Z".parse().unwrap());
    let config = SimServerConfig {
        name: "Nauvis".to_owned(),
        console_log: dir.join("console.log"),
        engine_log: Some(dir.join("factorio-current.log")),
        timezone: TimeZone::UTC,
        space_age: false,
    };
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    (SimServer::new(config, shared), clock)
}

async fn started(dir: &Path) -> SimGame {
    let game = SimGame::new(server(dir).0, "secret", Game::default()).await.unwrap();
    game.start().await.unwrap();
    game
}

/// The console log without its first line and its dates.
fn console(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("console.log")).unwrap();
    text.lines().skip(1).map(|line| line.get(20..).unwrap_or(line).to_owned()).collect()
}

fn engine(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("factorio-current.log")).unwrap()
}

/// A client that has logged in.
struct Rcon(TcpStream);

impl Rcon {
    async fn log_in(game: &SimGame) -> Self {
        let mut rcon = Self(TcpStream::connect(game.rcon().address()).await.unwrap());
        rcon.exchange(3, "secret").await;
        rcon
    }

    /// The answer's text.
    async fn exchange(&mut self, kind: i32, body: &str) -> String {
        let length = i32::try_from(body.len() + 10).unwrap();
        let mut packet: Vec<u8> = [length, 1, kind].iter().flat_map(|number| number.to_le_bytes()).collect();
        packet.extend([body.as_bytes(), &[0, 0]].concat());
        self.0.write_all(&packet).await.unwrap();
        let answer = async {
            let length = usize::try_from(self.0.read_i32_le().await.unwrap()).unwrap();
            let mut answer = vec![0; length];
            self.0.read_exact(&mut answer).await.unwrap();
            String::from_utf8(answer[8..length - 2].to_vec()).unwrap()
        };
        timeout(Duration::from_secs(10), answer).await.unwrap()
    }

    async fn run(&mut self, text: &str) -> String {
        self.exchange(2, text).await
    }

    async fn closed(&mut self) -> bool {
        let read = timeout(Duration::from_secs(10), self.0.read(&mut [0])).await.expect("it ends in time");
        matches!(read, Ok(0) | Err(_))
    }
}

#[tokio::test]
async fn who_joins_in_the_log_is_online_over_rcon() {
    let dir = tempfile::tempdir().unwrap();
    let game = started(dir.path()).await;
    let mut rcon = Rcon::log_in(&game).await;
    game.join("Ann").unwrap();
    game.join("Bob").unwrap();
    game.leave("Bob").unwrap();
    game.promote("Ann", "<server>").unwrap();
    assert_eq!(rcon.run("/players").await, "Players (2):\n  Ann (online)\n  Bob\n");
    assert_eq!(rcon.run("/admins").await, "Ann (online)\n");
    game.ban("Ann", "Bob", None).unwrap();
    assert_eq!(rcon.run("/bans").await, "Banned players: Ann\n");
    game.unban("Ann", "Bob").unwrap();
    game.demote("Ann", "Bob").unwrap();
    assert_eq!(rcon.run("/players online").await, "Online players (0):\n");
    assert_eq!(
        (rcon.run("/bans").await.as_str(), rcon.run("/admins").await.as_str()),
        ("No players are banned.\n", "")
    );
}

#[tokio::test]
async fn what_is_ordered_over_rcon_stands_in_the_console_log() {
    let dir = tempfile::tempdir().unwrap();
    let game = started(dir.path()).await;
    let mut rcon = Rcon::log_in(&game).await;
    game.join("Ann").unwrap();
    game.join("Bob").unwrap();
    for text in ["hello", "/kick ann rude", "/ban Bob", "/ban Zed", "/unban Zed", "/promote Ann", "/promote New"] {
        rcon.run(text).await;
    }
    for text in ["/demote Ann", "/s all", "/w Ann secret", "/time", "/mute Ann", "/c x", "/c x", "/sc y"] {
        rcon.run(text).await;
    }
    insta::assert_snapshot!(console(dir.path()).join("\n"), @r#"
    [JOIN] Ann joined the game
    [JOIN] Bob joined the game
    [CHAT] <server>: hello
    [KICK] Ann was kicked by <server>. Reason: rude.
    [BAN] Bob was banned by <server>. Reason: unspecified.
    [BAN] Zed (not on map) was banned by <server>. Reason: unspecified.
    [UNBANNED] Zed was unbanned by <server>.
    [PROMOTE] Ann was promoted to admin by <server>.
    [PROMOTE] New was added to the admin list by <server> and will be promoted upon joining the game.
    [DEMOTE] Ann was demoted from admin by <server>.
    [SHOUT] <server>: all
    [WARNING] Player <server> tried using the command "x".
    [WARNING] Using Lua console commands will disable achievements. Please repeat the command to proceed.
    [COMMAND] <server> (command): x
    "#);
}

#[tokio::test]
async fn engine_log_tells_of_connections_and_saves() {
    let dir = tempfile::tempdir().unwrap();
    let game = started(dir.path()).await;
    let (mut first, _second) = (Rcon::log_in(&game).await, Rcon::log_in(&game).await);
    first.run("/server-save").await;
    first.run("/server-save before-update").await;
    let engine = engine(dir.path());
    let ready = engine.find("to(InGame)").unwrap();
    assert!(engine.find("Starting RCON interface at IP ADDR:({127.0.0.1:").unwrap() > ready);
    assert_eq!(engine.matches("New RCON connection from IP ADDR:({127.0.0.1:").count(), 2);
    assert!(engine.contains("Saving game as /opt/factorio/saves/nauvis.zip\n"));
    assert!(engine.contains("Saving game as /opt/factorio/saves/before-update.zip\n"));
    assert_eq!(engine.matches("Saving finished").count(), 2);
}

#[tokio::test]
async fn rcon_and_the_players_are_gone_with_the_server_and_the_port_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let game = SimGame::new(server(dir.path()).0, "secret", Game::default()).await.unwrap();
    let address = game.rcon().address();
    for crashes in [false, true] {
        game.start().await.unwrap();
        game.join("Ann").unwrap();
        let mut rcon = Rcon::log_in(&game).await;
        assert_eq!(rcon.run("/players online count").await, "Online players (1)\n");
        if crashes {
            game.crash();
        } else {
            game.stop().unwrap();
        }
        assert!(rcon.closed().await);
        assert!(!game.is_running() && !game.is_online("Ann"));
    }
    game.start().await.unwrap();
    assert_eq!(game.rcon().address(), address);
    assert_eq!(Rcon::log_in(&game).await.run("/players online").await, "Online players (0):\n");
}

#[tokio::test]
async fn quit_over_rcon_ends_the_server_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let game = started(dir.path()).await;
    let mut rcon = Rcon::log_in(&game).await;
    let packet = [&15_i32.to_le_bytes()[..], &9_i32.to_le_bytes(), &2_i32.to_le_bytes(), b"/quit\0\0"].concat();
    rcon.0.write_all(&packet).await.unwrap();
    while !rcon.closed().await {}
    let console = std::fs::read_to_string(dir.path().join("console.log")).unwrap();
    assert!(console.ends_with("\n=== Log closed 2026-11-23 21:00:00 ===\n"), "{console}");
    let engine = engine(dir.path());
    assert!(engine.contains("Quitting: remote-quit.") && engine.ends_with("Goodbye\n"));
    assert!(!game.is_running());
}

#[tokio::test]
async fn time_goes_on_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (server, clock) = server(dir.path());
    let game = SimGame::new(server, "secret", Game::default()).await.unwrap();
    game.start().await.unwrap();
    let began = game.server().map_age();
    clock.advance(Duration::from_secs(90));
    game.crash();
    clock.advance(Duration::from_secs(90));
    game.start().await.unwrap();
    assert_eq!(game.server().map_age(), began + Duration::from_secs(90), "a stopped map does not age");
    let mut rcon = Rcon::log_in(&game).await;
    let shown = async { while rcon.run("/time").await != "23 hours, 1 minute and 30 seconds\n" {} };
    timeout(Duration::from_secs(10), shown).await.unwrap();
}

/// The tick, as `/sc` tells it once the first Lua command was repeated.
async fn tick(rcon: &mut Rcon) -> i64 {
    rcon.run("/sc rcon.print(game.tick)").await.trim().parse().unwrap_or(-1)
}

#[tokio::test]
async fn a_map_ages_by_its_speed_its_machine_its_pauses_and_its_saves() {
    let dir = tempfile::tempdir().unwrap();
    let (server, clock) = server(dir.path());
    let game = SimGame::new(server, "secret", Game::default()).await.unwrap();
    game.start().await.unwrap();
    let mut rcon = Rcon::log_in(&game).await;
    tick(&mut rcon).await;
    let mut last = tick(&mut rcon).await;
    let mut aged = async |rcon: &mut Rcon| {
        let now = tick(rcon).await;
        let aged = now - last;
        last = now;
        aged
    };
    let ten = Duration::from_secs(10);
    clock.advance(ten);
    assert_eq!(aged(&mut rcon).await, 600);
    game.server().change_map(|map| map.speed = 2.0);
    clock.advance(ten);
    assert_eq!(aged(&mut rcon).await, 1200);
    game.server().change_map(|map| map.ups = 45.0);
    clock.advance(ten);
    assert_eq!(aged(&mut rcon).await, 450, "the machine manages no more");
    game.server().change_map(|map| map.halted = true);
    clock.advance(ten);
    assert_eq!(aged(&mut rcon).await, 0);
    game.server().change_map(|map| map.halted = false);
    game.begin_save();
    clock.advance(ten);
    game.end_save();
    assert_eq!(aged(&mut rcon).await, 0);
    game.server().change_map(|map| map.auto_pause = true);
    clock.advance(ten);
    assert_eq!(aged(&mut rcon).await, 2, "nobody is there; the command lets it go on a little");
    game.join("Ann").unwrap();
    clock.advance(ten);
    assert_eq!(aged(&mut rcon).await, 450);
    game.restart_with_older_save(Duration::from_mins(5)).await.unwrap();
    let mut rcon = Rcon::log_in(&game).await;
    assert_eq!(aged(&mut rcon).await, 2 - 5 * 3600);
}

#[tokio::test]
async fn production_grows_with_the_map() {
    let dir = tempfile::tempdir().unwrap();
    let (server, clock) = server(dir.path());
    let game = SimGame::new(server, "secret", Game::default()).await.unwrap();
    game.start().await.unwrap();
    let mut rcon = Rcon::log_in(&game).await;
    let ask = "/sc S('map',x)S('items',x)";
    rcon.run(ask).await;
    let mut plates = async || {
        let answer: serde_json::Value = serde_json::from_str(&rcon.run(ask).await).unwrap();
        answer["items"][0]["input"]["iron-plate"].as_f64().unwrap()
    };
    let before = plates().await;
    clock.advance(Duration::from_mins(2));
    assert!((plates().await - before - 3600.0).abs() < 2.0, "1800 a minute");
}
