//! Sessions and history with the real program: killed again and again, asked on its command line, while Discord is away.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use factorio_isr::domain::ServerTag;
use factorio_isr::sim::rcon::{Game, SimRcon};
use factorio_isr::store::Store;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use crate::harness::{DEADLINE, Site, TOKEN};

/// Nobody listens there: Discord is away.
const NO_DISCORD: &str = "http://127.0.0.1:9";

fn line(at: Timestamp, text: &str) -> String {
    format!("{} {text}\n", at.strftime("%Y-%m-%d %H:%M:%S"))
}

/// What a query of the database gives, as text; nothing while there is no such table.
async fn query(site: &Site, query: &'static str) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(site.dir.path().join("isr.db")).read_only(true);
    let Ok(mut database) = options.connect().await else { return Vec::new() };
    let rows = sqlx::query(query).fetch_all(&mut database).await.unwrap_or_default();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until a query gives what suits.
pub async fn until(site: &Site, sql: &'static str, suits: impl Fn(&[String]) -> bool) -> Vec<String> {
    let (deadline, mut tick) = (Instant::now() + DEADLINE, tokio::time::interval(Duration::from_millis(20)));
    loop {
        tick.tick().await;
        let rows = query(site, sql).await;
        if suits(&rows) {
            return rows;
        }
        assert!(Instant::now() < deadline, "{sql} never suited: {rows:?}");
    }
}

pub const SESSIONS: &str =
    "SELECT player || ' ' || (started_at / 1000) || ' ' || coalesce(ended_at / 1000, '') || ' ' ||
                        coalesce(ended_by, 'open') FROM sessions ORDER BY started_at, id";
const HAPPENED: &str = "SELECT CAST(count(*) AS TEXT) FROM happenings";

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_relay_neither_lose_nor_double_a_session() {
    let site = Site::new(NO_DISCORD).server("prod", 1);
    let begin = Timestamp::from_second(Timestamp::now().as_second() - 86_400).unwrap();
    let mut expected = Vec::new();
    for round in 0..5_i64 {
        let mut text = String::new();
        for number in 0..2000 {
            let joined = begin + SignedDuration::from_secs(round * 10_000 + number * 2);
            let left = joined + SignedDuration::from_secs(1);
            text += &line(joined, &format!("[JOIN] P{number} joined the game"));
            text += &line(left, &format!("[LEAVE] P{number} left the game"));
            expected.push(format!("P{number} {} {} leave", joined.as_second(), left.as_second()));
        }
        site.append("prod", &text);
        let before = query(&site, HAPPENED).await;
        let mut relay = site.start();
        // It dies with some of the 4000 lines committed; how many, chance decides.
        until(&site, HAPPENED, |rows| !rows.is_empty() && rows[0] != "0" && rows != before).await;
        relay.kill();
        // The rest of this round is read behind the next kill, together with the next round.
    }
    let _relay = site.start();
    until(&site, HAPPENED, |rows| rows.first().is_some_and(|count| count == "20000")).await;
    assert_eq!(query(&site, SESSIONS).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_the_game_that_is_killed_and_stays_so_behind_a_killed_relay() {
    let mut game = Game::default();
    game.join("Ann");
    let game = SimRcon::start("rcon-secret-41", game, |_| {}).await.unwrap();
    let rcon = format!("[servers.prod.rcon]\nport = {}\npassword = \"rcon-secret-41\"", game.address().port());
    let site = Site::new(NO_DISCORD).server("prod", 1).extra(&rcon);
    let joined = Timestamp::from_second(Timestamp::now().as_second() - 600).unwrap();
    site.append("prod", &format!("=== Log opened {} ===\n", joined.strftime("%Y-%m-%d %H:%M:%S")));
    site.append("prod", &line(joined, "[JOIN] Ann joined the game"));
    let mut relay = site.start();
    let sampled = "SELECT CAST(players AS TEXT) FROM history WHERE players = 1";
    until(&site, sampled, |rows| !rows.is_empty()).await;
    until(&site, SESSIONS, |rows| rows.iter().any(|row| row.ends_with("open"))).await;

    let before = Timestamp::now().as_second();
    game.stop();
    let rows = until(&site, SESSIONS, |rows| rows.iter().any(|row| row.ends_with("link_lost"))).await;
    let after = Timestamp::now().as_second();
    let ended: i64 = rows.last().unwrap().split(' ').nth(2).unwrap().parse().unwrap();
    assert!((before..=after).contains(&ended), "{rows:?}, killed between {before} and {after}");

    relay.kill();
    let again = Timestamp::now() + SignedDuration::from_secs(10);
    site.append("prod", &format!("=== Log opened {} ===\n", again.strftime("%Y-%m-%d %H:%M:%S")));
    let _relay = site.start();
    until(&site, "SELECT kind FROM happenings", |rows| rows.iter().any(|kind| kind == "server_crashed")).await;
    let settled = "SELECT player || ' ' || (started_at / 1000) || ' ' || (ended_at / 1000) FROM sessions
                   WHERE settled = 1 ORDER BY started_at DESC LIMIT 1";
    let rows = until(&site, settled, |rows| !rows.is_empty()).await;
    let all = query(&site, SESSIONS).await;
    assert!(rows[0].ends_with(&ended.to_string()), "{rows:?} {all:?}");
    assert!(all[0].starts_with(&format!("Ann {} ", joined.as_second())), "{all:?}");
    assert!(all.iter().all(|row| !row.ends_with("open")), "a ghost: {all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_plays_counts_up_to_now_where_the_game_cannot_be_asked_any_more() {
    let game = SimRcon::start("secret", Game::default(), |_| {}).await.unwrap();
    let rcon = format!("rcon = {{ port = {}, password = \"secret\" }}", game.address().port());
    let site = Site::new(NO_DISCORD).server_with("prod", "default = 1", &rcon);
    let mut relay = site.start();
    let asked = "SELECT CAST(answered_at AS TEXT) FROM run_evidence WHERE answered_at IS NOT NULL";
    until(&site, asked, |rows| !rows.is_empty()).await;
    relay.terminate().await;

    let without = site.reconfigured(NO_DISCORD).server("prod", 1);
    // In whole seconds that is before the end of the relay, too.
    let joined = Timestamp::now() + Duration::from_secs(1);
    without.append("prod", &line(joined, "[JOIN] Bob joined the game"));
    let mut relay = without.start();
    until(&without, SESSIONS, |sessions| !sessions.is_empty()).await;
    relay.terminate().await;
    let store = Store::open(&without.dir.path().join("isr.db")).await.unwrap();
    let prod = [ServerTag::new("prod").unwrap()];
    let record = store.player_record(&prod, "Bob", joined + Duration::from_hours(1)).await.unwrap().unwrap();
    assert!(record.play_time >= Duration::from_mins(59), "{record:?}");
}

fn forget(site: &Site, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_factorio-isr"))
        .arg("forget-player")
        .args(arguments)
        .arg("--config")
        .arg(site.dir.path().join("config.toml"))
        .env("DISCORD_BOT_TOKEN", TOKEN)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_is_forgotten_when_the_relay_is_stopped() {
    let site = Site::new(NO_DISCORD).server("prod", 1).server("other", 1);
    let at = Timestamp::from_second(Timestamp::now().as_second() - 60).unwrap();
    for tag in ["prod", "other"] {
        for text in ["[JOIN] Zoe_1 joined the game", "[JOIN] Bob joined the game", "[LEAVE] zoe_1 left the game"] {
            site.append(tag, &line(at, text));
        }
        site.append(tag, &line(at, "[KICK] Bob was kicked by <server>. Reason: he hit Zoe_1."));
    }
    let mut relay = site.start();
    until(&site, HAPPENED, |rows| rows.first().is_some_and(|count| count == "8")).await;
    let (code, text) = said(&forget(&site, &["Zoe_1"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("stop it"), "{text}");
    relay.terminate().await;

    let (code, text) = said(&forget(&site, &["ZOE_1", "--server", "prod"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 sessions") && text.contains("3 happenings"), "{text}");
    assert!(text.contains("3 lines wait for Discord"), "{text}");
    let who = "SELECT server || ' ' || player FROM sessions ORDER BY 1";
    assert_eq!(query(&site, who).await, ["other Bob", "other Zoe_1", "prod Bob"]);
    forget(&site, &["Zoe_1"]);
    assert_eq!(query(&site, who).await, ["other Bob", "prod Bob"]);
    assert_eq!(query(&site, "SELECT player FROM happenings").await, ["Bob", "Bob"]);

    // Delivered lines go, too; afterwards the name is nowhere in the file.
    deliver_all(&site).await;
    let (_, text) = said(&forget(&site, &["Zoe_1"]));
    assert!(text.contains("delivered lines and messages") && !text.contains("wait for Discord"), "{text}");
    assert_eq!(query(&site, "SELECT plain FROM outbox WHERE plain LIKE '%zoe%'").await, Vec::<String>::new());
    assert_unnamed(&site);
    let (code, text) = said(&forget(&site, &["Zoe_1"]));
    assert_eq!((code, text.starts_with("Nothing is stored about Zoe_1")), (Some(0), true), "{text}");
    let (code, text) = said(&forget(&site, &["Zoe_1", "--server", "nope"]));
    assert_eq!((code, text.contains("no") && text.contains("other, prod")), (Some(1), true), "a mistyped tag: {text}");
}

/// As if Discord had taken everything.
async fn deliver_all(site: &Site) {
    let mut database = SqliteConnectOptions::new().filename(site.dir.path().join("isr.db")).connect().await.unwrap();
    sqlx::query("UPDATE outbox SET state = 'delivered', finished_at = 0").execute(&mut database).await.unwrap();
    sqlx::query("UPDATE messages SET state = 'delivered', finished_at = 0").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

/// The name is nowhere in the database's files.
fn assert_unnamed(site: &Site) {
    for entry in std::fs::read_dir(site.dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.file_name().unwrap().to_str().unwrap().starts_with("isr.db") {
            let bytes = String::from_utf8_lossy(&std::fs::read(&entry).unwrap()).replace('\\', "").to_lowercase();
            assert!(!bytes.contains("zoe_1"), "{} still has the name", entry.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_forget_a_player_too_and_go_on_about_all_else() {
    let dir = tempfile::tempdir().unwrap();
    let engine_log = dir.path().join("factorio-current.log");
    let at = Timestamp::from_second(Timestamp::now().as_second() - 60).unwrap();
    let refused = "Refusing connection for address (IP ADDR:({192.0.2.203:54445})), username (Zoe_1). PasswordMismatch";
    let engine = format!(
        "   0.000 {}; Factorio 2.0.77 (build 84593, linux64, headless)\n\
            0.900 Info ServerMultiplayerManager.cpp:808: updateTick(1) changing state from(CreatingGame) to(InGame)\n   1.000 {refused}\n   2.000 {refused}\n   \
         3.000 Error MainLoop.cpp:1285: Exception at tick 123: Zoe_1 did what the mod X does not know.\n",
        at.strftime("%Y-%m-%d %H:%M:%S")
    );
    std::fs::write(&engine_log, engine).unwrap();
    let site = Site::new(NO_DISCORD)
        .server_with("prod", "default = 1", &format!("engine_log = \"{}\"", engine_log.display()))
        .extra("[alerts.watchlist]\nplayers = [\"Zoe_1\"]\n[alerts.join_refused]\nattempts = 2");
    let at = at + SignedDuration::from_secs(5);
    site.append("prod", &line(at, "[JOIN] Zoe_1 joined the game"));
    // Kept with the checkpoint, to know it when another relay says it again.
    site.append("prod", &line(at, "[CHAT] Zoe_1: hello"));
    let mut relay = site.start();
    let alerts = "SELECT alert FROM alert_states ORDER BY alert";
    let all = until(&site, alerts, |rows| rows.len() == 3).await;
    assert_eq!(all, ["join_refused", "script_error", "watchlist"]);
    until(&site, "SELECT state FROM checkpoints WHERE state LIKE '%zoe%'", |rows| rows.len() == 2).await;
    relay.terminate().await;
    deliver_all(&site).await;

    let (code, text) = said(&forget(&site, &["zoe_1"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("  4 alerts and what they remember\n"), "{text}");
    assert!(text.contains("Not reached") && text.contains("messages that are in Discord"), "{text}");
    assert_unnamed(&site);
    assert_eq!(query(&site, alerts).await, ["script_error"]);
    let mut relay = site.start();
    let fires = "factorio_isr_alerts_firing{server=\"prod\",alert=\"script_error\"} 1\n";
    relay.wait_for("/metrics", |_, body| body.contains(fires)).await;
    relay.terminate().await;
}

#[test]
fn what_cannot_be_forgotten_is_said() {
    let site = Site::new(NO_DISCORD).server("prod", 1);
    let (code, text) = said(&forget(&site, &["Zoe"]));
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(said(&forget(&site, &[])).0, Some(2));
    let (code, text) = said(&forget(&site, &["Zoe", "--server", "no such"]));
    assert_eq!(code, Some(2));
    assert!(text.contains("is no server tag"), "{text}");
}
