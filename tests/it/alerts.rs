//! Alerts as a channel's readers see them: the real program, a Discord that is away, and kills in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use factorio_isr::sim::discord::{Change, Ping, SimDiscord, SimMessage};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Relay, Site, discord_with, within};

pub const CHAT: u64 = 1001;
pub const ALERTS: u64 = 1003;
pub const ROLE: u64 = 77;
const MODERATORS: u64 = 501;

pub async fn discord() -> SimDiscord {
    let sim = discord_with(&[(CHAT, "chat"), (ALERTS, "alerts")]).await;
    sim.set_standing("Mod", &[MODERATORS], 0);
    sim
}

/// A server with both logs, and alerts that ping a role.
pub struct Game {
    pub site: Site,
    engine_log: PathBuf,
}

impl Game {
    pub fn new(sim: &SimDiscord, alerts: &str) -> Self {
        let site = Site::new(&sim.base_url()).discord_key("guild_id = 100");
        let engine_log = site.dir.path().join("factorio-current.log");
        fs::write(&engine_log, "").unwrap();
        let keys = format!("engine_log = \"{}\"", engine_log.display());
        let channels = format!("default = {CHAT}, alerts = {ALERTS}");
        let site = site.server_with("prod", &channels, &keys);
        let permissions = format!("[permissions]\nmoderator = [{MODERATORS}]");
        let site = site.extra(&permissions).extra(&format!("[alerts]\nping = [{ROLE}]\n{alerts}"));
        Self { site, engine_log }
    }

    pub fn engine(&self, lines: &str) {
        let mut log = fs::OpenOptions::new().append(true).open(&self.engine_log).unwrap();
        log.write_all(format!("{lines}\n").as_bytes()).unwrap();
    }

    /// The engine begins to run at `at`.
    pub fn begins(&self, at: Timestamp) {
        let at = at.strftime("%Y-%m-%d %H:%M:%S");
        self.engine(&format!("   0.000 {at}; Factorio 2.0.77 (build 84593, linux64, headless)"));
    }

    fn crashes(&self) {
        self.engine("   5.000 Error CrashHandler.cpp:632: Received SIGSEGV\n#0  0x1 in main\n#1  0x2 in start");
    }

    pub fn runs(&self) {
        self.engine(
            "   9.000 Info ServerMultiplayerManager.cpp:808: updateTick(1) changing state from(CreatingGame) to(InGame)",
        );
    }

    /// The console log is opened, though it was not closed before.
    pub fn console_opens(&self, at: Timestamp) {
        self.site.append("prod", &format!("=== Log opened {} ===\n", at.strftime("%Y-%m-%d %H:%M:%S")));
    }

    pub async fn started(&self) -> Relay {
        let relay = self.site.start();
        relay.wait_until_ready().await;
        relay
    }
}

pub async fn messages(sim: &SimDiscord, suits: impl Fn(&[Arc<SimMessage>]) -> bool) -> Vec<Arc<SimMessage>> {
    let arrived = sim.wait_for(DEADLINE, |state| suits(&state.messages(ALERTS).cloned().collect::<Vec<_>>())).await;
    let messages = sim.messages(ALERTS);
    let contents: Vec<_> = messages.iter().map(|message| &message.content).collect();
    assert!(arrived, "never came; the channel holds {contents:#?}");
    messages
}

/// Without the numbers of times, which differ from run to run.
pub fn shown(message: &SimMessage) -> String {
    let times = regex::Regex::new(r"<t:\d+:").unwrap();
    let lasted = regex::Regex::new(r"after \d+ (s|min)").unwrap();
    lasted.replace(&times.replace_all(&message.content, "<t:T:"), "after D").into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_crash_is_one_message_that_pings_and_is_edited_when_the_server_runs_again() {
    let sim = discord().await;
    let mut changes = sim.subscribe();
    let game = Game::new(&sim, "");
    let relay = game.started().await;
    let began = Timestamp::now() - Duration::from_secs(10);
    game.console_opens(began);
    game.begins(began);
    game.crashes();
    let posted = messages(&sim, |all| !all.is_empty()).await;
    assert_eq!(posted[0].pinged, [Ping::Role(ROLE)]);
    insta::assert_snapshot!(shown(&posted[0]), @r"
    <@&77> 💥 **Server crashed** on prod, since <t:T:f>: Received SIGSEGV
    #0  0x1 in main
    #1  0x2 in start
    ");

    game.console_opens(Timestamp::now());
    game.begins(Timestamp::now());
    game.runs();
    let edited = messages(&sim, |all| all.iter().any(|message| message.edited.is_some())).await;
    assert_eq!((edited.len(), edited[0].id), (1, posted[0].id));
    insta::assert_snapshot!(shown(&edited[0]), @r"
    ✅ **Server crashed** on prod, over after D, from <t:T:f> to <t:T:f>: Received SIGSEGV
    #0  0x1 in main
    #1  0x2 in start
    ");
    let edit = within(async {
        loop {
            if let Change::Edit(message) = changes.recv().await.unwrap() {
                return message;
            }
        }
    });
    assert_eq!(edit.await.pinged, []);

    // The program has read all there is, and said nothing of the crash but this.
    game.site.append("prod", &format!("{} [CHAT] Bob: end\n", Timestamp::now().strftime("%Y-%m-%d %H:%M:%S")));
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).any(|said| said.content.contains("end"))).await);
    let everything: Vec<String> =
        [CHAT, ALERTS].into_iter().flat_map(|id| sim.messages(id)).map(|said| said.content.clone()).collect();
    let of_crash = |said: &&String| ["crash", "SIGSEGV", "in order"].iter().any(|word| said.contains(word));
    assert_eq!(everything.iter().filter(of_crash).count(), 1, "{everything:#?}");
    let fired = "factorio_isr_alerts_total{server=\"prod\",alert=\"crash\",change=\"fired\"} 1\n";
    let over = "factorio_isr_alerts_firing{server=\"prod\",alert=\"crash\"} 0\n";
    relay.wait_for("/metrics", |_, body| body.contains(fired) && body.contains(over)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_an_outage_arrives_once_with_its_true_time_and_recovers_across_kills() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let mut relay = game.started().await;
    sim.stop().await;
    let began = Timestamp::now() - Duration::from_hours(2);
    game.begins(began);
    game.crashes();
    relay.wait_for("/metrics", |_, body| body.contains("factorio_isr_outbox_depth{lane=\"alert\"} 1\n")).await;
    relay.kill();
    let mut relay = game.site.start();
    relay.address().await;
    sim.restart().await.unwrap();
    let posted = messages(&sim, |all| !all.is_empty()).await;
    let true_time = format!("since <t:{}:f>", began.as_second() + 5);
    assert!(posted[0].content.contains(&true_time), "{} in {}", true_time, posted[0].content);
    relay.wait_for("/metrics", |_, body| body.contains("factorio_isr_outbox_depth{lane=\"alert\"} 0\n")).await;

    relay.kill();
    game.runs();
    sim.stop().await;
    let mut relay = game.site.start();
    relay.wait_for("/metrics", |_, body| body.contains("factorio_isr_outbox_depth{lane=\"alert\"} 1\n")).await;
    relay.kill();
    sim.restart().await.unwrap();
    let _relay = game.site.start();
    let edited = messages(&sim, |all| all.iter().any(|message| message.edited.is_some())).await;
    assert_eq!((edited.len(), edited[0].id), (1, posted[0].id));
    assert!(edited[0].content.starts_with("✅ "), "{}", edited[0].content);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_heaps_up_no_reminders() {
    let sim = discord().await;
    let game = Game::new(&sim, "remind_after = \"1s\"\n");
    let relay = game.started().await;
    sim.stop().await;
    game.begins(Timestamp::now());
    game.crashes();
    let age = regex::Regex::new(r"(?m)^factorio_isr_outbox_oldest_age_seconds ([\d.]+)$").unwrap();
    let seconds = |body: &str| age.captures(body).is_some_and(|found| found[1].parse::<f64>().unwrap() >= 5.0);
    relay.wait_for("/metrics", |_, body| seconds(body)).await;
    relay.wait_for("/metrics", |_, body| body.contains("factorio_isr_outbox_depth{lane=\"alert\"} 1\n")).await;
    sim.restart().await.unwrap();
    let posted = messages(&sim, |all| all.len() > 1).await;
    assert!(posted[0].content.contains("**Server crashed** on prod, since"), "{posted:#?}");
    assert!(posted[1].content.contains("still"), "once it is told, it is repeated: {posted:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_any_moment_neither_lose_nor_double_an_alert() {
    const CRASHES: usize = 8;
    let sim = discord().await;
    let game = Game::new(&sim, "[alerts.crash_loop]\nenabled = false\n");
    game.started().await.kill();
    game.begins(Timestamp::now());
    for crash in 0..CRASHES {
        let mut relay = game.site.start();
        relay.address().await;
        game.crashes();
        // Somewhere between the reading of the line and the edit.
        tokio::time::sleep(Duration::from_millis(40 * crash as u64)).await;
        game.runs();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..200))).await;
        relay.kill();
    }
    let _relay = game.site.start();
    let edited = |all: &[Arc<SimMessage>]| all.iter().filter(|message| message.content.starts_with("✅ ")).count();
    // A crash whose lines are read together after a kill is a line of its own, or one that counts equal lines.
    let passed = |all: &[Arc<SimMessage>]| -> usize {
        let lines = all.iter().flat_map(|message| message.content.lines()).filter(|line| line.starts_with("🕓 "));
        lines.map(|line| line.rsplit_once('×').map_or(1, |(_, times)| times.parse().unwrap())).sum()
    };
    let all = messages(&sim, |all| edited(all) + passed(all) >= CRASHES).await;
    assert_eq!(edited(&all) + passed(&all), CRASHES, "{all:#?}");
    assert!(all.iter().all(|message| ["✅ ", "🕓 "].iter().any(|mark| message.content.starts_with(mark))), "{all:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_whose_message_was_deleted_ends_in_a_new_one() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let _relay = game.started().await;
    game.begins(Timestamp::now());
    game.crashes();
    let posted = messages(&sim, |all| !all.is_empty()).await;
    sim.delete_message(ALERTS, posted[0].id).unwrap();
    game.runs();
    let all = messages(&sim, |all| all.iter().any(|message| message.content.starts_with("✅ "))).await;
    assert_eq!((all.len(), all[0].edited, all[0].pinged.as_slice()), (1, None, [].as_slice()));
}

impl Game {
    /// The game of this peer goes out of step.
    fn desyncs(&self, peer: u8) {
        self.engine(&format!(
            "   7.000 Info ServerMultiplayerManager.cpp:943: updateTick(1) received stateChanged peerID({peer}) \
             oldState(InGame) newState(DesyncedWaitingForMap)"
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_again_while_its_alert_fires_is_an_edit_of_its_message_across_restarts() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let mut relay = game.started().await;
    game.begins(Timestamp::now());
    game.desyncs(1);
    let posted = messages(&sim, |all| !all.is_empty()).await;
    assert_eq!(shown(&posted[0]), "<@&77> 🚨 **Desync** on prod, since <t:T:f>: the game of peer 1 is out of step");
    game.desyncs(4);
    relay.kill();
    let _relay = game.started().await;
    game.desyncs(6);
    let grown = messages(&sim, |all| all.iter().any(|message| message.content.contains("1, 4, 6"))).await;
    assert_eq!((grown.len(), grown[0].id), (1, posted[0].id));
    assert_eq!(shown(&grown[0]), "🚨 **Desync** on prod, since <t:T:f>: 3 desyncs, the last at <t:T:f>: peers 1, 4, 6");
    assert_eq!(grown[0].pinged, []);

    sim.delete_message(ALERTS, posted[0].id).unwrap();
    game.desyncs(7);
    let anew = messages(&sim, |all| !all.is_empty()).await;
    assert!(anew[0].content.contains("1, 4, 6, 7") && anew[0].edited.is_none(), "posted again: {anew:#?}");
    game.desyncs(9);
    let grown = messages(&sim, |all| all.iter().any(|message| message.content.contains("7, 9"))).await;
    assert_eq!((grown.len(), grown[0].id), (1, anew[0].id), "the new message is edited from then on");
}

/// The message of an alert that nobody judges any more.
async fn unwatched(sim: &SimDiscord, fired: &SimMessage) -> String {
    let all = messages(sim, |all| all.iter().any(|message| message.edited.is_some())).await;
    assert_eq!((all.len(), all[0].id, all[0].pinged.as_slice()), (1, fired.id, [].as_slice()));
    shown(&all[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_switched_off_while_it_fires_says_so_in_its_message() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let mut relay = game.started().await;
    game.begins(Timestamp::now());
    game.crashes();
    let fired = messages(&sim, |all| !all.is_empty()).await;
    relay.terminate().await;
    let game = Game { site: game.site.extra("[alerts.crash]\nenabled = false"), ..game };
    let _relay = game.started().await;
    insta::assert_snapshot!(unwatched(&sim, &fired[0]).await, @r"
    ⏹️ **Server crashed** on prod, since <t:T:f>, not watched any more since <t:T:f>: Received SIGSEGV
    #0  0x1 in main
    #1  0x2 in start
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_removed_while_an_alert_fires_leaves_no_alert_behind() {
    let sim = discord().await;
    let mut game = Game::new(&sim, "");
    let mut relay = game.started().await;
    game.begins(Timestamp::now());
    game.crashes();
    let fired = messages(&sim, |all| !all.is_empty()).await;
    relay.terminate().await;
    let mut others = Site::new(&sim.base_url());
    std::mem::swap(&mut others.dir, &mut game.site.dir);
    let others = others.server("other", CHAT);
    let mut relay = others.start();
    relay.wait_until_ready().await;
    assert!(unwatched(&sim, &fired[0]).await.starts_with("⏹️ **Server crashed** on prod, since <t:T:f>, not watched"));
    relay.terminate().await;

    // It comes back, still crashed: that is told anew.
    std::mem::swap(&mut { others }.dir, &mut game.site.dir);
    let _relay = game.started().await;
    let again = messages(&sim, |all| all.len() == 2).await;
    assert!(again[1].content.contains("💥 **Server crashed** on prod"), "{}", again[1].content);
}

/// Calls `/alerts` and gives what is answered.
async fn alerts(sim: &SimDiscord, caller: &str, options: &[(&str, &str)]) -> String {
    assert!(sim.wait_for(DEADLINE, |state| state.commands() != &json!([])).await, "the commands are registered");
    let given: Vec<Value> =
        options.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value })).collect();
    let call = sim.interact(CHAT, caller, "alerts", &json!(given)).unwrap();
    let reply = within(async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            if let Some(reply) = sim.interaction_reply(call) {
                return reply;
            }
        }
    });
    let reply = reply.await;
    let embed = reply.embeds[0]["description"].as_str().unwrap_or_default().to_owned();
    format!("{}{embed}", reply.content)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_survives_a_restart_and_what_lasts_is_told_when_it_ends() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let mut relay = game.started().await;
    let silence = [("action", "silence"), ("name", "crash"), ("value", "2h")];
    assert!(alerts(&sim, "Alice", &silence).await.contains("moderator"), "not for everybody");
    assert!(alerts(&sim, "Mod", &silence).await.starts_with("🔕 `crash`: silent until <t:"));
    relay.kill();

    game.begins(Timestamp::now());
    game.crashes();
    let _relay = game.started().await;
    let why = [("action", "why"), ("name", "crash")];
    let answer = within(async {
        loop {
            let answer = alerts(&sim, "Alice", &why).await;
            if answer.contains("SIGSEGV") {
                return answer;
            }
        }
    })
    .await;
    for said in ["(silenced)", "Fires when the server crashes", "Over when the server runs again", "Look at"] {
        assert!(answer.contains(said), "{said} is not in {answer}");
    }
    assert_eq!(sim.messages(ALERTS).len(), 0, "nobody was told");

    assert!(alerts(&sim, "Mod", &[("action", "unsilence"), ("name", "crash")]).await.contains("no longer silent"));
    let told = messages(&sim, |all| !all.is_empty()).await;
    assert!(told[0].content.contains("Received SIGSEGV"), "{}", told[0].content);
    let list = alerts(&sim, "Alice", &[("action", "list")]).await;
    assert!(list.starts_with("**Server crashed** `crash`, since <t:"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_cannot_be_asked_is_told_and_shown() {
    let sim = discord().await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rcon = format!("[servers.prod.rcon]\nport = {unused}\npassword = \"secret\"\n");
    let game = Game::new(&sim, &format!("[alerts.rcon_down]\nafter = \"1s\"\nping = false\n{rcon}"));
    let relay = game.site.start();
    let told = messages(&sim, |all| !all.is_empty()).await;
    assert_eq!(shown(&told[0]), "🚨 **RCON down** on prod, since <t:T:f>: there is no connection");
    assert_eq!(told[0].pinged, []);
    let firing = "factorio_isr_alerts_firing{server=\"prod\",alert=\"rcon_down\"} 1\n";
    relay.wait_for("/metrics", |_, body| body.contains(firing)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_has_the_last_word_on_its_lines_also_on_alerts() {
    let sim = discord().await;
    let pattern = "[[patterns]]\nid = \"quiet\"\nregex = 'SIGSEGV'\nsilence = true\n";
    let game = Game::new(&sim, pattern);
    let _relay = game.started().await;
    game.begins(Timestamp::now());
    game.crashes();
    game.engine("Factorio crashed. Generating symbolized stacktrace, please wait ...");
    let told = messages(&sim, |all| !all.is_empty()).await;
    assert!(told[0].content.contains("Factorio crashed. Generating"), "{}", told[0].content);
    assert!(!told[0].content.contains("SIGSEGV"), "{}", told[0].content);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_switched_off_leaves_its_events_their_notices() {
    let sim = discord().await;
    let game = Game::new(&sim, "enabled = false\n");
    let _relay = game.started().await;
    game.begins(Timestamp::now());
    game.crashes();
    let told = messages(&sim, |all| !all.is_empty()).await;
    assert_eq!(told[0].content, "💥 **The server crashed**: Received SIGSEGV\n#0  0x1 in main\n#1  0x2 in start");
}
