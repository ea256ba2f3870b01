//! Every alert there is, from what makes it fire to the edit that says it is over: one real program, a game for each
//! situation, and the channel as its readers see it.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use factorio_isr::domain::AlertKind;
use factorio_isr::sim::discord::{
    ApiError, Change, Fault, FaultKind, Ping, RateLimits, SimChannel, SimDiscord, SimDiscordConfig, SimMessage,
};
use factorio_isr::sim::rcon::{Game, SimRcon};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::harness::{DEADLINE, Relay, Site, TOKEN};

const CHAT: u64 = 1001;
const STUCK: u64 = 1002;
const ALERTS: u64 = 1003;
const ROLE: u64 = 77;
const PASSWORD: &str = "rcon-secret-41";

const READY: &str = "Info ServerMultiplayerManager.cpp:808: updateTick(1) changing state from(CreatingGame) to(InGame)";

/// Times short enough to wait for.
const CONFIG: &str = r#"
[relay]
park_retry = "1s"

[game]
interval = "1s"
idle_interval = "1s"
ups_window = "10s"

[alerts]
ping = [77]

[alerts.rcon_down]
after = "1s"

[alerts.log_silent]
after = "10s"

[alerts.autosave]
overdue = "10s"

[alerts.crash_loop]
crashes = 2
within = "1m"

[alerts.desync]
calm = "1m"

[alerts.script_error]
calm = "1m"

[alerts.watchlist]
players = ["Griefer"]

[alerts.join_refused]
attempts = 2
within = "1m"

[alerts.backlog]
older_than = "2s"

[servers.gone.alerts]
remind_after = "2s"
"#;

/// One game: its logs, and its console where it has one.
struct Server {
    tag: &'static str,
    console_log: PathBuf,
    engine_log: PathBuf,
    /// When its engine began to run: half an hour ago.
    began: Timestamp,
    game: Option<SimRcon>,
}

impl Server {
    fn game(&self) -> &SimRcon {
        self.game.as_ref().unwrap()
    }

    /// Writes a line of the engine, as of then.
    fn engine(&self, at: Timestamp, text: &str) {
        self.engine_at_once(&[(at, text)]);
    }

    /// Writes lines of the engine that are read together.
    fn engine_at_once(&self, lines: &[(Timestamp, &str)]) {
        let elapsed = |at: &Timestamp| at.duration_since(self.began).as_secs_f64();
        let lines: Vec<String> = lines.iter().map(|(at, text)| format!("{:8.3} {text}", elapsed(at))).collect();
        append(&self.engine_log, &lines.join("\n"));
    }

    /// Writes a line of the console, as of then.
    fn console(&self, at: Timestamp, text: &str) {
        append(&self.console_log, &format!("{} {text}", at.strftime("%Y-%m-%d %H:%M:%S")));
    }

    /// A time after its engine began.
    fn at(&self, seconds: u64) -> Timestamp {
        self.began + Duration::from_secs(seconds)
    }

    fn named(&self, title: &str) -> String {
        format!("**{title}** on {}", self.tag)
    }
}

fn append(log: &PathBuf, line: &str) {
    let mut log = fs::OpenOptions::new().append(true).open(log).unwrap();
    log.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// All that was posted in the channel of alerts, and every edit, in order.
#[derive(Clone)]
struct Channel {
    seen: Arc<Mutex<Vec<Arc<SimMessage>>>>,
    count: watch::Receiver<usize>,
}

impl Channel {
    fn of(sim: &SimDiscord) -> Self {
        let (mut changes, seen) = (sim.subscribe(), Arc::<Mutex<Vec<Arc<SimMessage>>>>::default());
        let (counted, count) = watch::channel(0);
        let channel = Self { seen: Arc::clone(&seen), count };
        tokio::spawn(async move {
            while let Ok(change) = changes.recv().await {
                if let Change::Message(message) | Change::Edit(message) = change
                    && message.channel == ALERTS
                {
                    seen.lock().unwrap().push(message);
                    counted.send_modify(|count| *count += 1);
                }
            }
        });
        channel
    }

    /// The first that suits, now or later.
    async fn find(&self, what: &str, suits: impl Fn(&SimMessage) -> bool) -> Arc<SimMessage> {
        let mut count = self.count.clone();
        let search = async {
            loop {
                count.borrow_and_update();
                let found = self.seen.lock().unwrap().iter().find(|message| suits(message)).cloned();
                if let Some(found) = found {
                    return found;
                }
                count.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await;
        found.unwrap_or_else(|_| panic!("{what} never came; there are {:#?}", self.contents()))
    }

    fn contents(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|message| format!("{} {}", message.id, message.content)).collect()
    }

    /// What tells that it fires.
    async fn fired(&self, head: &str) -> Arc<SimMessage> {
        let tells = |message: &SimMessage| {
            let news = !["✅", "⏰"].iter().any(|mark| message.content.contains(mark));
            message.edits == 0 && news && message.content.contains(head)
        };
        self.find(head, tells).await
    }

    /// The edit of this very message that says that it is over; it pings nobody.
    async fn over(&self, fired: &SimMessage) -> Arc<SimMessage> {
        let what = format!("the end of {}", fired.content);
        let ends = |message: &SimMessage| message.id == fired.id && message.edits > 0;
        let edit = self.find(&what, ends).await;
        assert!(edit.content.starts_with("✅ **"), "{}", edit.content);
        assert_eq!(edit.pinged, [], "{}", edit.content);
        edit
    }
}

/// The times a message tells, in order.
fn times(message: &SimMessage) -> Vec<i64> {
    let time = regex::Regex::new(r"<t:(\d+):f>").unwrap();
    time.captures_iter(&message.content).map(|found| found[1].parse().unwrap()).collect()
}

/// The text with no times in it.
fn text(message: &SimMessage) -> String {
    let late = regex::Regex::new(r" \(<t:\d+:R>\)").unwrap();
    let changing = regex::Regex::new(r"<t:\d+:f>|after \d+ (s|min)|\d+\.\d ± \d+\.\d").unwrap();
    changing.replace_all(&late.replace_all(&message.content, ""), "_").into_owned()
}

fn assert_now(message: &SimMessage, from: Timestamp) {
    let told = times(message)[0];
    let (from, to) = (from.as_second(), Timestamp::now().as_second());
    assert!((from..=to).contains(&told), "{told} is not within {from} and {to}: {}", message.content);
}

struct World {
    sim: SimDiscord,
    channel: Channel,
    site: Site,
    began: Timestamp,
}

impl World {
    async fn new() -> Self {
        let channels = [(CHAT, "chat"), (STUCK, "stuck"), (ALERTS, "alerts")];
        let config = SimDiscordConfig {
            token: TOKEN.to_owned(),
            channels: channels.map(|(id, name)| SimChannel::new(id, name)).to_vec(),
            // What waits for Discord is the matter of one situation alone.
            limits: RateLimits::none(),
            ..SimDiscordConfig::default()
        };
        let sim = crate::discord_sim::start(config).await.unwrap();
        let (channel, site) = (Channel::of(&sim), Site::new(&sim.base_url()).extra(CONFIG));
        let began = Timestamp::from_second(Timestamp::now().as_second() - 1800).unwrap();
        Self { sim, channel, site, began }
    }

    /// Adds a server whose game runs for half an hour; with a console where `rcon` names its keys.
    async fn add(self, tag: &'static str, channel: u64, rcon: Option<&str>) -> (Self, Server) {
        let engine_log = self.site.dir.path().join(format!("{tag}-current.log"));
        let begun = self.began.strftime("%Y-%m-%d %H:%M:%S");
        let header = format!("   0.000 {begun}; Factorio 2.0.77 (build 84593, linux64, headless)\n   4.000 {READY}\n");
        fs::write(&engine_log, header).unwrap();
        let (mut game, mut console) = (None, String::new());
        if let Some(more) = rcon {
            let started = SimRcon::start(PASSWORD, Game::default(), |_| {}).await.unwrap();
            let port = started.address().port();
            console = format!("rcon = {{ port = {port}, password = \"{PASSWORD}\"{more} }}\n");
            game = Some(started);
        }
        let keys = format!("engine_log = \"{}\"\n{console}", engine_log.display());
        let channels = format!("default = {channel}, alerts = {ALERTS}");
        let world = Self { site: self.site.server_with(tag, &channels, &keys), ..self };
        let server = Server { tag, console_log: world.site.console_log(tag), engine_log, began: world.began, game };
        (world, server)
    }

    async fn started(&self) -> Relay {
        let relay = self.site.start();
        relay.wait_until_ready().await;
        // Who comes from now on, comes: each game has been seen with nobody in it.
        for tag in ["lua", "gone", "mute", "saves"] {
            let empty = format!("factorio_connected_player_count{{server=\"{tag}\"}} 0\n");
            relay.wait_for("/metrics", |_, body| body.contains(&empty)).await;
        }
        relay
    }
}

/// Makes the map of a game run at so many updates per second.
fn run_at(game: &SimRcon, updates: f64) -> Arc<AtomicU64> {
    let (rate, last) = (Arc::new(AtomicU64::new(updates.to_bits())), Mutex::new(Instant::now()));
    let of_map = Arc::clone(&rate);
    game.before_each_command(move |game| {
        let mut last = last.lock().unwrap();
        let passed = last.elapsed();
        *last += passed;
        game.age += passed.mul_f64(f64::from_bits(of_map.load(Ordering::Relaxed)) / 60.0);
    });
    rate
}

async fn a_slow_map_is_told_until_it_is_fast_again(server: &Server, channel: &Channel) {
    let asked = Timestamp::now();
    let rate = run_at(server.game(), 30.0);
    let fired = channel.fired(&server.named("Low UPS")).await;
    insta::assert_snapshot!(text(&fired), @"<@&77> 🐌 **Low UPS** on lua, since _: _ updates per second of 60");
    assert_eq!(fired.pinged, [Ping::Role(ROLE)]);
    assert_now(&fired, asked);
    rate.store(60.0_f64.to_bits(), Ordering::Relaxed);
    let over = channel.over(&fired).await;
    insta::assert_snapshot!(text(&over), @"✅ **Low UPS** on lua, over _, from _ to _: _ updates per second of 60");
}

async fn a_step_of_evolution_is_news(server: &Server, channel: &Channel) {
    let asked = Timestamp::now();
    server.game().game().surfaces[0].factor = 0.5;
    let fired = channel.fired(&server.named("Evolution")).await;
    insta::assert_snapshot!(text(&fired), @"🐛 **Evolution** on lua, _: nauvis reached 0.50");
    assert_eq!(fired.pinged, [], "it is no trouble");
    assert_now(&fired, asked);
}

async fn a_game_that_is_gone_is_told_reminded_of_and_over(server: &Server, channel: &Channel) {
    let stopped = Timestamp::now();
    server.game().stop();
    let fired = channel.fired(&server.named("RCON down")).await;
    insta::assert_snapshot!(text(&fired), @"<@&77> 🚨 **RCON down** on gone, since _: there is no connection");
    assert_now(&fired, stopped);
    let reminds = |message: &SimMessage| message.content.contains("⏰ **RCON down** on gone");
    let reminded = channel.find("the reminder", reminds).await;
    assert_eq!((times(&reminded), reminded.pinged.as_slice()), (times(&fired), [Ping::Role(ROLE)].as_slice()));
    server.game().start_again().await.unwrap();
    let over = channel.over(&fired).await;
    insta::assert_snapshot!(text(&over), @"✅ **RCON down** on gone, over _, from _ to _: there is no connection");
}

async fn a_player_of_whom_the_console_log_says_nothing_is_told(server: &Server, channel: &Channel) {
    let joined = Timestamp::now();
    server.game().game().join("Ann");
    // The engine's own log goes on; it never tells of chat and joins.
    server.engine(joined, "Info ServerSynchronizer.cpp:594: nextHeartbeatSequenceNumber(1) adding peer(2)");
    let fired = channel.fired(&server.named("Log silent")).await;
    insta::assert_snapshot!(
        text(&fired),
        @"<@&77> 🚨 **Log silent** on mute, since _: 1 in the game, and no line is read: none was ever read"
    );
    assert_now(&fired, joined);
    server.console(Timestamp::now(), "[CHAT] Ann: it works again");
    let over = channel.over(&fired).await;
    assert!(over.content.contains("**Log silent** on mute, over after"), "{}", over.content);
}

async fn saves_that_fail_and_that_do_not_come_are_told(server: &Server, channel: &Channel) {
    let failure = "Error ParallelScenarioSaver.cpp:1: Saving scenario failed: disk full";
    server.engine(server.at(600), failure);
    let failed = channel.fired(&server.named("Save failed")).await;
    insta::assert_snapshot!(text(&failed), @"<@&77> 🚨 **Save failed** on saves, since _: saving failed: disk full");
    server.engine(server.at(900), "Info AppManagerStates.cpp:2110: Saving finished");
    let over = channel.over(&failed).await;
    assert_eq!(times(&over), [server.at(600), server.at(900)].map(Timestamp::as_second));
    assert!(over.content.contains("over after 5 min"), "{}", over.content);

    let joined = Timestamp::now();
    server.game().game().join("Ann");
    server.console(joined, "[JOIN] Ann joined the game");
    let overdue = channel.find("overdue", |message| message.content.contains("none while somebody plays")).await;
    assert_ne!(overdue.id, failed.id);
    assert_now(&overdue, joined);
    assert_eq!(times(&overdue)[1], server.at(900).as_second(), "the last save");
    server.engine(Timestamp::now(), "Info AppManagerStates.cpp:2110: Saving finished");
    channel.over(&overdue).await;
}

async fn desyncs_and_script_errors_have_the_time_of_their_line(server: &Server, channel: &Channel) {
    server.engine(
        server.at(300),
        "Info ServerMultiplayerManager.cpp:943: updateTick(1) received stateChanged peerID(2) oldState(InGame) newState(DesyncedWaitingForMap)",
    );
    let desync = channel.fired(&server.named("Desync")).await;
    insta::assert_snapshot!(text(&desync), @"<@&77> 🚨 **Desync** on mods, since _: the game of peer 2 is out of step");
    assert_eq!(times(&desync), [server.at(300).as_second()]);
    channel.over(&desync).await;

    server.engine(server.at(400), "Error MainLoop.cpp:1285: Exception at tick 123: The mod X caused an error.");
    let script = channel.fired(&server.named("Script error")).await;
    insta::assert_snapshot!(
        text(&script),
        @"<@&77> 🚨 **Script error** on mods, since _: Exception at tick 123: The mod X caused an error."
    );
    assert_eq!(times(&script), [server.at(400).as_second()]);
    channel.over(&script).await;
}

async fn crashes_are_told_and_then_as_a_loop(server: &Server, channel: &Channel) {
    const CRASH: &str = "Error CrashHandler.cpp:632: Received SIGSEGV";
    // The second crash within a minute makes it a loop, which is over when there was none for a minute, as now.
    let lines = [(5, READY), (60, CRASH), (70, READY), (90, CRASH), (100, READY)];
    server.engine_at_once(&lines.map(|(second, text)| (server.at(second), text)));
    let crash = channel.fired(&server.named("Server crashed")).await;
    assert_eq!(times(&crash), [server.at(60).as_second()]);
    let over = channel.over(&crash).await;
    assert_eq!(times(&over), [server.at(60), server.at(70)].map(Timestamp::as_second));

    let crash_loop = channel.fired(&server.named("Crash loop")).await;
    let expected =
        format!("<@&77> 💥 **Crash loop** on {}, since _: 2 runs of the server ended badly, the last at _", server.tag);
    assert_eq!(text(&crash_loop), expected);
    assert_eq!(times(&crash_loop), [server.at(60), server.at(90)].map(Timestamp::as_second));
    channel.over(&crash_loop).await;
}

async fn a_start_that_fails_is_reported_until_the_server_is_ready(server: &Server, channel: &Channel) {
    let begun = server.at(60).strftime("%Y-%m-%d %H:%M:%S");
    append(&server.engine_log, "  50.000 Goodbye");
    append(&server.engine_log, &format!("   0.000 {begun}; Factorio 2.0.77 (build 84593, linux64, headless)"));
    let error = "   0.015 Error Util.cpp:81: Failed to load mod \"somelib\": ";
    append(&server.engine_log, &format!("{error}\n• somelib\n    • Incompatible Factorio version\n   0.016 Goodbye"));
    let fired = channel.fired(&server.named("Server cannot start")).await;
    insta::assert_snapshot!(text(&fired), @r#"
    <@&77> 🚨 **Server cannot start** on starts, since _: Failed to load mod "somelib":
    • somelib
        • Incompatible Factorio version
    "#);
    assert_eq!(times(&fired), [server.at(60).as_second()]);
    append(&server.engine_log, &format!("   0.000 {begun}; Factorio 2.0.77 (build 84593, linux64, headless)"));
    append(&server.engine_log, &format!("   9.000 {READY}"));
    let over = channel.over(&fired).await;
    assert_eq!(times(&over), [server.at(60), server.at(69)].map(Timestamp::as_second));
}

async fn watched_and_refused_players_are_told(server: &Server, channel: &Channel) {
    server.console(server.at(1000), "[JOIN] griefer joined the game");
    let watched = channel.fired(&server.named("Watch-list")).await;
    insta::assert_snapshot!(text(&watched), @"<@&77> 👀 **Watch-list** on door, since _: **Griefer** is in the game");
    server.console(server.at(1120), "[LEAVE] griefer left the game");
    let over = channel.over(&watched).await;
    assert_eq!(times(&over), [server.at(1000), server.at(1120)].map(Timestamp::as_second));

    let line = "Refusing connection for address (IP ADDR:({192.0.2.203:54445})), username (Eve_1). PasswordMismatch";
    server.engine_at_once(&[200, 230].map(|second| (server.at(second), line)));
    let refused = channel.fired(&server.named("Join refused")).await;
    insta::assert_snapshot!(
        text(&refused),
        @r"<@&77> 🚫 **Join refused** on door, since _: **Eve\_1** was refused 2 times (wrong password)"
    );
    assert_eq!(times(&refused), [server.at(200).as_second()]);
    channel.over(&refused).await;
}

async fn what_waits_too_long_is_told_until_it_has_gone(server: &Server, sim: &SimDiscord, channel: &Channel) {
    // What the server's log already held is no longer waiting.
    assert!(sim.wait_for(DEADLINE, |state| state.messages(STUCK).count() > 0).await, "the start is relayed");
    sim.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).channel(STUCK));
    let written = Timestamp::now();
    server.console(server.at(1500), "[CHAT] Bob: is anybody there?");
    let fired = channel.fired(&server.named("Backlog")).await;
    insta::assert_snapshot!(text(&fired), @"📬 **Backlog** on busy, since _: the oldest waits since _");
    assert_now(&fired, written);
    sim.clear_faults();
    channel.over(&fired).await;
    let come = sim.messages(STUCK).iter().filter(|message| message.content.contains("anybody there")).count();
    assert_eq!(come, 1, "what waited has come");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_is_told_with_its_true_time_and_edits_its_message_when_it_is_over() {
    let world = World::new().await;
    let (world, lua) = world.add("lua", CHAT, Some(", allow_lua = true")).await;
    let (world, gone) = world.add("gone", CHAT, Some("")).await;
    let (world, mute) = world.add("mute", CHAT, Some("")).await;
    let (world, saves) = world.add("saves", CHAT, Some("")).await;
    let (world, mods) = world.add("mods", CHAT, None).await;
    let (world, prod) = world.add("prod", CHAT, None).await;
    let (world, twin) = world.add("twin", CHAT, None).await;
    let (world, starts) = world.add("starts", CHAT, None).await;
    let (world, door) = world.add("door", CHAT, None).await;
    let (world, busy) = world.add("busy", STUCK, None).await;
    lua.game().game().surfaces[0].factor = 0.35;
    let (relay, channel) = (world.started().await, &world.channel);
    tokio::join!(
        async {
            a_slow_map_is_told_until_it_is_fast_again(&lua, channel).await;
            a_step_of_evolution_is_news(&lua, channel).await;
        },
        a_game_that_is_gone_is_told_reminded_of_and_over(&gone, channel),
        a_player_of_whom_the_console_log_says_nothing_is_told(&mute, channel),
        saves_that_fail_and_that_do_not_come_are_told(&saves, channel),
        desyncs_and_script_errors_have_the_time_of_their_line(&mods, channel),
        crashes_are_told_and_then_as_a_loop(&prod, channel),
        crashes_are_told_and_then_as_a_loop(&twin, channel),
        a_start_that_fails_is_reported_until_the_server_is_ready(&starts, channel),
        watched_and_refused_players_are_told(&door, channel),
        what_waits_too_long_is_told_until_it_has_gone(&busy, &world.sim, channel),
    );
    let body = relay.wait_for("/metrics", |_, body| !body.lines().any(fires)).await;
    for kind in AlertKind::ALL {
        // A save that failed and one that did not come; two servers that crash at the same time.
        let twice = [AlertKind::Autosave, AlertKind::Crash, AlertKind::CrashLoop].contains(kind);
        let told = if twice { 2 } else { 1 };
        assert_eq!(count(&body, *kind, "fired"), told, "{kind} fired, on all servers together");
        assert_eq!(count(&body, *kind, "recovered"), told, "{kind} is over");
    }
    assert!(gone.game().seen().lua_commands().is_empty() && mute.game().seen().lua_commands().is_empty());
}

/// Whether the line of `/metrics` shows an alert that fires.
fn fires(line: &str) -> bool {
    line.starts_with("factorio_isr_alerts_firing{") && !line.ends_with(" 0")
}

/// How often this became of alerts of a kind, by `/metrics`.
fn count(body: &str, kind: AlertKind, change: &str) -> u64 {
    let labels = format!("alert=\"{kind}\",change=\"{change}\"}} ");
    let of_kind = body.lines().filter(|line| line.starts_with("factorio_isr_alerts_total{"));
    of_kind.filter_map(|line| line.split_once(&labels)?.1.parse::<u64>().ok()).sum()
}
