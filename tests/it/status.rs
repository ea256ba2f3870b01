//! The status messages: what Discord shows of the games without being asked.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use factorio_isr::config::{Environment, Settings, load};
use factorio_isr::discord::status::{StatusMessages, StatusTimes};
use factorio_isr::domain::ServerTag;
use factorio_isr::game::{GameBoard, GameLink, GameView, OnlinePlayer};
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::sim::discord::{
    ApiError, Fault, FaultKind, Ping, RateLimits, SimChannel, SimDiscord, SimDiscordConfig, SimMessage, Window,
};
use factorio_isr::sim::rcon::{Game, SimRcon};
use factorio_isr::store::Store;
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::{DEADLINE, Site, TOKEN};
use crate::presence::{RETITLE, shown};

pub const CHAT: u64 = 1001;
pub const STATUS: u64 = 1002;
const ELSEWHERE: u64 = 1003;
const POST: &str = "POST /channels/{id}/messages";
pub const EDIT: &str = "PATCH /channels/{id}/messages/{id}";
const FLOOR: Duration = Duration::from_secs(1);

pub fn config() -> SimDiscordConfig {
    let channels = [(CHAT, "chat"), (STATUS, "status"), (ELSEWHERE, "elsewhere")];
    SimDiscordConfig {
        token: TOKEN.to_owned(),
        channels: channels.map(|(id, name)| SimChannel::new(id, name)).to_vec(),
        ..SimDiscordConfig::default()
    }
}

/// What ends the messages, and their task.
type Running = (CancellationToken, JoinHandle<()>);

async fn end(running: Option<Running>) {
    if let Some((cancel, task)) = running {
        cancel.cancel();
        task.await.unwrap();
    }
}

/// The tasks on a board that the test writes.
pub struct World {
    pub discord: SimDiscord,
    pub board: GameBoard,
    pub health: HealthRegistry,
    pub store: Store,
    dir: tempfile::TempDir,
    running: Option<Running>,
}

impl World {
    pub async fn new(sim: SimDiscordConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tags = ["a", "b", "c", "d", "e", "f", "prod"].map(|tag| ServerTag::new(tag).unwrap());
        Self {
            discord: crate::discord_sim::start(sim).await.unwrap(),
            board: GameBoard::new(tags),
            health: HealthRegistry::new(),
            store: Store::open(&dir.path().join("isr.db")).await.unwrap(),
            dir,
            running: None,
        }
    }

    pub fn settings(&self, servers: &[(&str, u64)], more: &str) -> Settings {
        let mut text = format!("[discord]\ntoken = \"{TOKEN}\"\napi_base = \"{}\"\n{more}\n", self.discord.base_url());
        for (tag, channel) in servers {
            let shown = format!("channels = {{ default = {CHAT}, status = {channel} }}");
            let table = format!("[servers.{tag}]\nname = \"Server {tag}\"\nconsole_log = \"{tag}.log\"\n{shown}\n");
            text.push_str(&table);
        }
        self.load(&text)
    }

    pub fn load(&self, text: &str) -> Settings {
        let path = self.dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let env = Environment { vars: [].into(), secrets_dir: PathBuf::from("none") };
        load(&path, &env).unwrap_or_else(|errors| panic!("{errors}")).settings
    }

    /// Starts the messages anew, as a restart of the program does.
    pub fn start(&mut self, settings: &Settings, times: StatusTimes) {
        let cancel = CancellationToken::new();
        let (store, board, health) = (self.store.clone(), self.board.clone(), self.health.clone());
        let messages = StatusMessages::new(settings, store, board, health).unwrap().with_times(times);
        let (before, stop) = (self.running.take(), cancel.clone());
        let task = tokio::spawn(async move {
            end(before).await;
            messages.run(stop).await.unwrap();
        });
        self.running = Some((cancel, task));
    }

    /// Ends the messages in order, as a stop of the program does.
    async fn stop(&mut self) {
        end(self.running.take()).await;
    }

    pub fn start_one(&mut self) {
        let settings = self.settings(&[("prod", STATUS)], "[status]\nfloor = \"1s\"");
        self.start(&settings, brisk());
    }

    pub fn change(&self, tag: &str, change: impl FnOnce(&mut GameView)) {
        self.board.handle(&ServerTag::new(tag).unwrap()).unwrap().update(change);
    }

    pub fn players(&self, names: &[&str]) {
        self.change("prod", |view| up_with(view, names));
    }

    /// The messages of a channel, once they suit.
    async fn messages(&self, channel: u64, suits: impl Fn(&[Arc<SimMessage>]) -> bool) -> Vec<Arc<SimMessage>> {
        let all = |state: &factorio_isr::sim::discord::SimState| state.messages(channel).cloned().collect::<Vec<_>>();
        let came = self.discord.wait_for(DEADLINE, |state| suits(&all(state))).await;
        let messages = self.discord.messages(channel);
        assert!(came, "never came; the channel holds {messages:#?}");
        messages
    }

    /// The one message in the status channel, once its embed has `text` in it.
    pub async fn shows(&self, text: &str) -> Arc<SimMessage> {
        let suits = |messages: &[Arc<SimMessage>]| messages.len() == 1 && told(&messages[0]).contains(text);
        self.messages(STATUS, suits).await.remove(0)
    }
}

pub fn told(message: &SimMessage) -> String {
    message.embeds.to_string()
}

fn up_with(view: &mut GameView, names: &[&str]) {
    let player = |name: &&str| OnlinePlayer { name: (*name).to_owned(), since: Some(Timestamp::UNIX_EPOCH) };
    view.link = GameLink::Up;
    view.players = Some(names.iter().map(player).collect());
}

pub fn brisk() -> StatusTimes {
    StatusTimes { pace: Duration::from_millis(10), ..StatusTimes::default() }
}

#[tokio::test]
async fn a_message_is_posted_once_and_edited_in_place() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.start_one();
    let first = world.shows("Players (1)").await;
    assert!(told(&first).contains("Server prod") && told(&first).contains("Bob"), "{}", told(&first));
    world.players(&["Bob", "Alice"]);
    let second = world.shows("Players (2)").await;
    assert_eq!((first.id, first.edits, second.id, second.edits), (second.id, 0, second.id, 1));
    assert_eq!(world.discord.stats().requested(POST), 1);
}

#[tokio::test]
async fn nobody_is_pinged_by_a_name_at_the_post_or_at_an_edit() {
    let mut world = World::new(config()).await;
    world.players(&["@everyone", "<@900>"]);
    world.start_one();
    let posted = world.shows("Players (2)").await;
    world.players(&["@everyone", "<@900>", "<@&901>"]);
    let edited = world.shows("Players (3)").await;
    for message in [posted, edited] {
        assert_eq!(message.pinged, Vec::<Ping>::new());
        assert_eq!(message.allowed_mentions, Some(json!({ "parse": [] })));
        assert!(!told(&message).contains("@everyone"), "{}", told(&message));
    }
}

#[tokio::test]
async fn changes_within_the_floor_become_one_edit() {
    let mut world = World::new(config()).await;
    world.players(&[]);
    world.start_one();
    world.shows("Players (0)").await;
    let begun = Instant::now();
    let mut edits = world.discord.subscribe();
    for count in 1..=40 {
        let names: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        world.players(&names.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::yield_now().await;
    }
    let last = world.shows("Players (40)").await;
    assert_eq!(last.edits, 1, "forty changes in no time are one");
    assert!(begun.elapsed() >= FLOOR.mul_f64(0.8), "not before the floor: {:?}", begun.elapsed());
    assert!(edits.recv().await.is_ok());
}

#[tokio::test]
async fn a_deleted_message_is_posted_again() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.start_one();
    let first = world.shows("Players (1)").await;
    world.discord.delete_message(STATUS, first.id).unwrap();
    world.players(&[]);
    let second = world.shows("Players (0)").await;
    assert!(second.id > first.id);
    world.players(&["Alice"]);
    assert_eq!(world.shows("Alice").await.id, second.id);
}

#[tokio::test]
async fn where_messages_do_not_stay_they_are_not_posted_for_ever() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.change("a", |view| up_with(view, &[]));
    let settings = world.settings(&[("prod", STATUS), ("a", ELSEWHERE)], "[status]\nfloor = \"1s\"");
    world.start(&settings, brisk());
    // As a bot that deletes whatever is posted there.
    for names in [&["Alice"][..], &["Bob"]] {
        let posted = world.messages(STATUS, |messages| messages.len() == 1).await.remove(0);
        world.discord.delete_message(STATUS, posted.id).unwrap();
        world.players(names);
    }
    // Beside it is a message that stays: it shows every change, for longer than a post would take.
    for count in 1..=4 {
        let names: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        world.change("a", |view| up_with(view, &names.iter().map(String::as_str).collect::<Vec<_>>()));
        let shows = format!("Players ({count})");
        world.messages(ELSEWHERE, |messages| messages.iter().any(|one| told(one).contains(&shows))).await;
    }
    assert_eq!(world.discord.read(|state| state.posted(STATUS)), 2);
}

#[tokio::test]
async fn a_deletion_is_noticed_also_where_nothing_changes() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    let settings = world.settings(&[("prod", STATUS)], "[status]\nfloor = \"1s\"");
    world.start(&settings, StatusTimes { refresh: Duration::from_millis(1200), ..brisk() });
    let first = world.shows("Bob").await;
    world.discord.delete_message(STATUS, first.id).unwrap();
    world.messages(STATUS, |messages| messages.len() == 1 && messages[0].id > first.id).await;
}

#[tokio::test]
async fn after_a_restart_the_same_message_is_edited() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.start_one();
    let first = world.shows("Bob").await;
    world.stop().await;
    world.players(&["Alice"]);
    world.start_one();
    let second = world.shows("Alice").await;
    assert_eq!((first.id, world.discord.stats().requested(POST)), (second.id, 1));
}

#[tokio::test]
async fn a_message_whose_id_was_lost_is_found_again() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.start_one();
    let first = world.shows("Bob").await;
    world.stop().await;
    // As if the database had been lost, and the nonce with it.
    world.store = Store::open(&world.dir.path().join("new.db")).await.unwrap();
    world.discord.forget_nonces();
    world.discord.say(STATUS, "alice", "hello").unwrap();
    world.players(&["Alice"]);
    world.start_one();
    let suits = |messages: &[Arc<SimMessage>]| told(&messages[0]).contains("Alice");
    let messages = world.messages(STATUS, suits).await;
    assert_eq!((messages.len(), messages[0].id), (2, first.id), "alice's words, and the one status message");
}

#[tokio::test]
async fn a_post_without_an_answer_does_not_leave_two() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.discord.set_fault(Fault::new(FaultKind::Cut { processed: true }).channel(STATUS).times(1));
    world.start_one();
    world.shows("Bob").await;
    world.discord.forget_nonces();
    world.players(&["Alice"]);
    world.shows("Alice").await;
    assert_eq!(world.discord.read(|state| state.posted(STATUS)), 1);
}

#[tokio::test]
async fn an_outage_of_discord_ends_with_the_newest_state() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.start_one();
    let first = world.shows("Bob").await;
    world.discord.set_fault(Fault::new(FaultKind::server_error(503)).everywhere());
    world.players(&["Alice"]);
    let tried = |state: &factorio_isr::sim::discord::SimState| state.stats().answered(503) > 0;
    assert!(world.discord.wait_for(DEADLINE, tried).await);
    world.players(&["Zoe"]);
    world.discord.clear_faults();
    let last = world.shows("Zoe").await;
    assert_eq!((last.id, last.edits), (first.id, 1));
}

#[tokio::test]
async fn the_message_recovers_with_delivery() {
    let mut world = World::new(config()).await;
    let delivery = world.health.component(Component::Delivery);
    delivery.healthy();
    world.players(&["Bob"]);
    world.start_one();
    world.shows("Bob").await;
    world.discord.set_fault(Fault::new(FaultKind::server_error(503)).everywhere());
    world.players(&["Zoe"]);
    delivery.unhealthy("Nothing gets through");
    let twice = |state: &factorio_isr::sim::discord::SimState| state.stats().answered(503) == 2;
    assert!(world.discord.wait_for(DEADLINE, twice).await);
    world.discord.clear_faults();
    delivery.healthy();
    let recovered = Instant::now();
    world.shows("Zoe").await;
    // By its own back-off, the next attempt comes 10 s after the second failure.
    assert!(recovered.elapsed() < Duration::from_secs(8), "{:?}", recovered.elapsed());
}

#[tokio::test]
async fn edits_of_old_messages_keep_discords_limit() {
    let tags = ["a", "b", "c", "d", "e", "f"];
    let sim = SimDiscordConfig { old_after: Duration::ZERO, ..config() };
    let mut world = World::new(sim).await;
    let settings = world.settings(&tags.map(|tag| (tag, STATUS)), "[status]\nfloor = \"1s\"");
    for tag in tags {
        world.change(tag, |view| up_with(view, &[]));
    }
    world.start(&settings, StatusTimes::default());
    world.messages(STATUS, |messages| messages.len() == tags.len()).await;
    for tag in tags {
        world.change(tag, |view| up_with(view, &["Bob"]));
    }
    let all = |messages: &[Arc<SimMessage>]| messages.iter().all(|message| told(message).contains("Bob"));
    world.messages(STATUS, all).await;
    assert_eq!(world.discord.stats().answered(429), 0);
}

#[tokio::test]
async fn a_429_is_waited_out() {
    let mut world = World::new(SimDiscordConfig { old_after: Duration::ZERO, ..config() }).await;
    let limits = RateLimits { old_edits: Some(Window::new(1, Duration::from_secs(3))), ..RateLimits::discord() };
    world.discord.set_limits(limits);
    world.players(&[]);
    world.start_one();
    world.shows("Players (0)").await;
    world.players(&["Bob"]);
    world.shows("Bob").await;
    let begun = Instant::now();
    world.players(&["Alice"]);
    world.shows("Alice").await;
    let stats = world.discord.stats();
    assert_eq!(stats.requests.get(&(EDIT.to_owned(), 429)), Some(&1), "asked again only when it was time");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn missing_access_parks_the_message_and_health_says_so() {
    let mut world = World::new(config()).await;
    world.discord.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_permissions())).channel(STATUS));
    world.players(&["Bob"]);
    let relay = "[relay]\npark_retry = \"1s\"\n[status]\nfloor = \"1s\"";
    let settings = world.settings(&[("prod", STATUS)], relay);
    world.start(&settings, brisk());
    let key = (Component::Discord, "prod/status".to_owned());
    let mut states = world.health.subscribe();
    let parked = timeout(DEADLINE, states.wait_for(|states| states.contains_key(&key))).await.unwrap().unwrap();
    let ComponentState::Degraded(reason) = parked[&key].state.clone() else { panic!("{parked:?}") };
    drop(parked);
    assert!(reason.contains("50013") && reason.contains("Embed Links"), "{reason}");
    world.discord.clear_faults();
    world.shows("Bob").await;
    timeout(DEADLINE, states.wait_for(|states| !states.contains_key(&key))).await.unwrap().unwrap();
}

#[tokio::test]
async fn when_the_channel_changes_the_old_message_is_deleted() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.start_one();
    world.shows("Bob").await;
    let moved = world.settings(&[("prod", ELSEWHERE)], "");
    world.start(&moved, brisk());
    world.messages(ELSEWHERE, |messages| messages.len() == 1).await;
    world.messages(STATUS, <[_]>::is_empty).await;
    let off = world.settings(&[("prod", ELSEWHERE)], "[status]\nenabled = false");
    world.start(&off, brisk());
    world.messages(ELSEWHERE, <[_]>::is_empty).await;
}

#[tokio::test]
async fn a_game_that_was_not_asked_yet_does_not_change_what_is_shown() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    world.start_one();
    let first = world.shows("Bob").await;
    world.stop().await;
    // A restart: the board knows nothing until the first answer.
    world.change("prod", |view| *view = GameView::default());
    world.start_one();
    world.players(&["Bob", "Alice"]);
    let second = world.shows("Alice").await;
    assert_eq!((second.id, second.edits), (first.id, 2), "the farewell, and the first answer");
    assert!(told(&second).contains("Online"));
}

#[tokio::test]
async fn hundreds_of_players_fit_into_what_discord_takes() {
    let mut world = World::new(config()).await;
    let names: Vec<String> = (0..500).map(|n| format!("an_engineer_of_note_{n}")).collect();
    world.players(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.start_one();
    let message = world.shows("Players (500)").await;
    assert!(told(&message).contains(" more\""), "{}", told(&message));
}

/// The whole program, on a game with RCON.
pub async fn site(discord: &SimDiscord, players: &[&str]) -> (Site, SimRcon) {
    let mut game = Game::default();
    for player in players {
        game.join(player);
    }
    let rcon = SimRcon::start("secret", game, |_| {}).await.unwrap();
    let table = format!("[servers.prod.rcon]\nport = {}\npassword = \"secret\"\n", rcon.address().port());
    let channels = format!("default = {CHAT}, status = {STATUS}, topic = {STATUS}");
    let site = Site::new(&discord.base_url()).server_with("prod", &channels, "name = \"Production\"");
    (site.extra(&table), rcon)
}

pub async fn until(discord: &SimDiscord, suits: impl Fn(&factorio_isr::sim::discord::SimState) -> bool) {
    let came = discord.wait_for(DEADLINE, suits).await;
    assert!(came, "never came; {:#?}", discord.messages(STATUS));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_shows_its_games_and_after_a_restart_goes_on_where_it_was() {
    let discord = crate::discord_sim::start(config()).await.unwrap();
    let (site, rcon) = site(&discord, &["Bob", "Alice"]).await;
    let mut relay = site.start();
    let shows = |text: &'static str| {
        move |state: &factorio_isr::sim::discord::SimState| state.messages(STATUS).any(|m| told(m).contains(text))
    };
    until(&discord, shows("Players (2)")).await;
    until(&discord, |state| shown(state.presence()) == "2 players on 1/1 servers").await;
    let topic = "Online, 2 players online, Factorio 2.0.77";
    until(&discord, |state| state.channels().any(|channel| channel.topic.as_deref() == Some(topic))).await;
    let first = discord.messages(STATUS)[0].id;

    assert!(relay.terminate().await.success());
    rcon.game().join("Zoe");
    let relay = site.start();
    until(&discord, shows("Players (3)")).await;
    until(&discord, |state| shown(state.presence()) == "3 players on 1/1 servers").await;
    assert_eq!(discord.messages(STATUS).iter().map(|message| message.id).collect::<Vec<_>>(), [first]);
    assert_eq!(discord.stats().requested(RETITLE), 1, "the topic has to wait for ten minutes");
    let counted = r#"factorio_isr_status_updates_total{what="message",outcome="done"} "#;
    let counts = |body: &str| body.lines().any(|line| line.starts_with(counted) && !line.ends_with(" 0"));
    relay.wait_for("/metrics", |_, body| counts(body)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_post_and_its_answer_does_not_leave_two() {
    let discord = crate::discord_sim::start(config()).await.unwrap();
    let (site, _rcon) = site(&discord, &["Bob"]).await;
    discord.set_fault(Fault::new(FaultKind::Hang { processed: true }).channel(STATUS).times(1));
    let mut relay = site.start();
    until(&discord, |state| state.messages(STATUS).count() == 1).await;
    relay.kill();
    discord.forget_nonces();
    let _relay = site.start();
    until(&discord, |state| state.messages(STATUS).any(|message| message.edits > 0)).await;
    assert_eq!(discord.read(|state| state.posted(STATUS)), 1);
}
