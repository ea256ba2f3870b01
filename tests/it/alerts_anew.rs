//! Alerts after a stop: what was so before it says nothing of now. A database of a relay that stopped long ago, and the
//! real program on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use factorio_isr::domain::{ChannelId, Lane, Mentions, Notice, ServerTag};
use factorio_isr::sim::discord::{SimDiscord, SimMessage};
use factorio_isr::sim::rcon::{Game, SimRcon};
use factorio_isr::store::{AlertCommit, AlertNotice, AlertRow, NoticeRole, Store, StoredAlerts};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Site, discord_with};

const CHAT: u64 = 1001;
const ALERTS: u64 = 1003;
const PASSWORD: &str = "rcon-secret-43";
const HOUR: Duration = Duration::from_hours(1);

async fn discord() -> SimDiscord {
    discord_with(&[(CHAT, "chat"), (ALERTS, "alerts")]).await
}

fn ago(hours: u32) -> Timestamp {
    Timestamp::now() - HOUR * hours
}

/// A game in which Bob plays.
async fn game() -> SimRcon {
    let mut game = Game::default();
    game.join("Bob");
    SimRcon::start(PASSWORD, game, |_| {}).await.unwrap()
}

fn with_server(site: Site, tag: &str, game: Option<&SimRcon>) -> Site {
    let port = game.map(|game| game.address().port());
    let rcon = port.map(|port| format!("rcon = {{ port = {port}, password = \"{PASSWORD}\" }}\n")).unwrap_or_default();
    let engine_log = site.dir.path().join(format!("{tag}-current.log"));
    let keys = format!("engine_log = \"{}\"\n{rcon}", engine_log.display());
    // It was saved a minute ago.
    let begun = (Timestamp::now() - HOUR).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let saved = format!(
        "   0.000 {begun}; Factorio 2.0.77 (build 84593, linux64, headless)\n\
            0.900 Info ServerMultiplayerManager.cpp:808: updateTick(1) changing state from(CreatingGame) to(InGame)\n3540.000 Info AppManager.cpp:1: Saving finished\n"
    );
    if !engine_log.exists() {
        fs::write(engine_log, saved).unwrap();
    }
    site.server_with(tag, &format!("default = {CHAT}, alerts = {ALERTS}"), &keys)
}

/// The database as a relay left it whose rules had seen this.
async fn remember(site: &Site, tag: &str, memory: &Value) {
    let store = Store::open(&site.dir.path().join("isr.db")).await.unwrap();
    let server = ServerTag::new(tag).unwrap();
    let alerts = StoredAlerts { cursor: 0, memory: memory.to_string(), rows: Vec::new() };
    store.commit_alerts(&AlertCommit { server, alerts, notices: Vec::new(), at: ago(8) }).await.unwrap();
    store.close().await;
}

async fn messages(sim: &SimDiscord, suits: impl Fn(&[Arc<SimMessage>]) -> bool) -> Vec<String> {
    let arrived = sim.wait_for(DEADLINE, |state| suits(&state.messages(ALERTS).cloned().collect::<Vec<_>>())).await;
    let contents = sim.messages(ALERTS).iter().map(|message| message.content.clone()).collect();
    assert!(arrived, "never came; the channel holds {contents:#?}");
    contents
}

/// A line by which a watched player comes, and the alert that tells of it: whatever was to be told before has been.
fn griefer_comes(site: &Site, tag: &str) {
    site.append(tag, &format!("{} [JOIN] Griefer joined the game\n", Timestamp::now().strftime("%F %T")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_so_before_a_long_stop_raises_no_alarm() {
    let sim = discord().await;
    let (played, gone) = (game().await, game().await);
    let site = Site::new(&sim.base_url()).extra("[alerts.watchlist]\nplayers = [\"Griefer\"]");
    let site = with_server(with_server(site, "played", Some(&played)), "gone", Some(&gone));
    let in_it = json!({ "online": ["Bob"], "online_since": ago(9), "sampled_at": ago(8), "saved_at": ago(8) });
    remember(&site, "played", &in_it).await;
    remember(&site, "gone", &json!({ "unreachable": [ago(8), false] })).await;
    let relay = site.start();
    for tag in ["played", "gone"] {
        let seen = format!("factorio_connected_player_count{{server=\"{tag}\"}} 1\n");
        relay.wait_for("/metrics", |_, body| body.contains(&seen)).await;
        griefer_comes(&site, tag);
    }
    let told = messages(&sim, |all| all.iter().filter(|one| one.content.contains("Watch-list")).count() == 2).await;
    assert_eq!(told.len(), 2, "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loses_its_rcon_is_not_told_to_be_down_for_ever() {
    let sim = discord().await;
    let rcon = game().await;
    rcon.stop();
    let rules = "[alerts]\nremind_after = \"1s\"\n[alerts.rcon_down]\nafter = \"1s\"";
    let site = with_server(Site::new(&sim.base_url()).extra(rules), "prod", Some(&rcon));
    let mut relay = site.start();
    let fired = messages(&sim, |all| !all.is_empty()).await;
    assert!(fired[0].contains("**RCON down** on prod, since"), "{fired:?}");
    relay.terminate().await;

    let without = site.reconfigured(&sim.base_url()).extra(rules).extra("[alerts.watchlist]\nplayers = [\"Griefer\"]");
    let without = with_server(without, "prod", None);
    let relay = without.start();
    relay.wait_until_ready().await;
    griefer_comes(&without, "prod");
    let all = messages(&sim, |all| all.iter().any(|one| one.content.contains("Watch-list"))).await;
    assert!(all[0].starts_with("⏹️ **RCON down** on prod") && all[0].contains("not watched any more"), "{all:#?}");
    let ended = sim.messages(ALERTS)[0].edited.expect("it is over");
    let reminded = |one: &Arc<SimMessage>| one.content.contains('⏰') && one.timestamp > ended;
    assert!(!sim.messages(ALERTS).iter().any(reminded), "it is reminded of no more: {all:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_that_no_log_tells_of_any_more_are_not_waited_for() {
    let sim = discord().await;
    let site = with_server(Site::new(&sim.base_url()), "prod", None);
    let mut relay = site.start();
    relay.wait_until_ready().await;
    let engine_log = site.dir.path().join("prod-current.log");
    let failed = "3541.000 Error ParallelScenarioSaver.cpp:1: Saving scenario failed: disk full\n";
    let before = fs::read_to_string(&engine_log).unwrap();
    fs::write(engine_log, before + failed).unwrap();
    let fired = messages(&sim, |all| !all.is_empty()).await;
    assert!(fired[0].contains("**Save failed** on prod, since"), "{fired:?}");
    relay.terminate().await;

    let without =
        site.reconfigured(&sim.base_url()).server_with("prod", &format!("default = {CHAT}, alerts = {ALERTS}"), "");
    let _relay = without.start();
    let ended = messages(&sim, |all| all[0].edited.is_some()).await;
    assert!(
        ended[0].starts_with("⏹️ **Save failed** on prod") && ended[0].contains("not watched any more"),
        "{ended:?}"
    );
}

/// The database as a relay left it that told of a slow map.
async fn fire_low_ups(site: &Site, tag: &str) {
    let (server, alert) = (ServerTag::new(tag).unwrap(), "low_ups".to_owned());
    let said = "🐌 **Low UPS** on prod".to_owned();
    let notice = Notice {
        server: server.clone(),
        channel: ChannelId::new(ALERTS).unwrap(),
        lane: Lane::Alert,
        event: "alert_low_ups".into(),
        content: said.clone(),
        plain: said,
        mentions: Mentions::default(),
        occurred_at: Timestamp::now(),
    };
    let facts = json!({ "ups": { "ups": 40.0, "target": 60.0, "error": 1.0, "assumed": true } });
    let at = Timestamp::now();
    let state = json!({ "phase": "firing", "since": at, "bad": 3, "fired_at": at, "told_at": at, "facts": facts });
    let row = AlertRow { alert: alert.clone(), subject: String::new(), state: state.to_string(), posted: None };
    let alerts = StoredAlerts { cursor: 0, memory: "{}".to_owned(), rows: vec![row] };
    let told = AlertNotice { notice, alert, subject: String::new(), role: NoticeRole::Tells };
    let store = Store::open(&site.dir.path().join("isr.db")).await.unwrap();
    store.commit_alerts(&AlertCommit { server, alerts, notices: vec![told], at }).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_map_of_which_nobody_can_tell_any_more_is_not_told_to_be_slow_for_ever() {
    let sim = discord().await;
    let site = with_server(Site::new(&sim.base_url()), "prod", None);
    fire_low_ups(&site, "prod").await;
    let _relay = site.start();
    let ended = messages(&sim, |all| all.iter().any(|one| one.edited.is_some())).await;
    assert!(ended[0].starts_with("⏹️ **Low UPS** on prod") && ended[0].contains("not watched any more"), "{ended:?}");
}
