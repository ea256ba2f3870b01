//! Chat from Discord into the games, as members, players and the operator see it: the real gateway client, store and
//! RCON actors against the simulator.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use factorio_isr::config::settings::{ChatSettings, DiscordSettings, EmojiStyle, RoleRules, ThreadChat};
use factorio_isr::discord::{Dispatches, GatewayTimings, Inbound, run_gateway_with};
use factorio_isr::domain::{ChannelId, ChatTemplate, Clock as _, LogSource, ManualClock, NewChat, Position, ServerTag};
use factorio_isr::health::{Component, HealthRegistry};
use factorio_isr::rcon::{LinkState, RconClient, RconTarget, RconTimes, connect};
use factorio_isr::sim::discord::{GatewayFaults, SimChannel, SimDiscord, SimDiscordConfig, SimPost};
use factorio_isr::sim::rcon::{Fault, Game, SimRcon};
use factorio_isr::store::{IngestedBatch, Store};
use factorio_isr::supervisor::Backoff;
use jiff::Timestamp;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{DEADLINE, within};

mod kinds;
mod rules;

const CHANNELS: [u64; 2] = [501, 502];
const PASSWORD: &str = "hunter2";

fn tag(name: &str) -> ServerTag {
    ServerTag::new(name).unwrap()
}

fn channel(id: u64) -> ChannelId {
    ChannelId::new(id).unwrap()
}

fn settings(feeds: &[(u64, &[&str])]) -> ChatSettings {
    let tags = |tags: &[&str]| tags.iter().map(|name| tag(name)).collect();
    ChatSettings {
        feeds: feeds.iter().map(|(id, games)| (channel(*id), tags(games))).collect(),
        template: ChatTemplate::from_discord("[Discord] {name}: {text}").unwrap(),
        emoji: EmojiStyle::Keep,
        max_lines: 5,
        max_length: 300,
        allowed_bots: [].into(),
        flood_messages: 50,
        flood_window: Duration::from_secs(10),
        ignore: Vec::new(),
        roles: RoleRules::default(),
        delay: Duration::ZERO,
        threads: ThreadChat::Ignore,
        games: BTreeMap::new(),
        server_template: ChatTemplate::from_game("[Relay] {name} ({server}): {text}").unwrap(),
        ttl: Duration::from_mins(5),
    }
}

fn config() -> SimDiscordConfig {
    let channels = vec![SimChannel::new(501, "general"), SimChannel::new(502, "other")];
    SimDiscordConfig { channels, ..SimDiscordConfig::default() }
}

/// Games and a Discord, which outlive the relay.
struct World {
    dir: TempDir,
    discord: SimDiscord,
    games: BTreeMap<&'static str, SimRcon>,
    clock: ManualClock,
}

/// Whatever a test did: not one Lua command reached a game.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.games.values().all(|game| game.seen().lua_commands().is_empty()));
        }
    }
}

/// The relay's part of it.
struct Relay {
    store: Store,
    health: HealthRegistry,
    clients: Vec<RconClient>,
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl World {
    async fn new(games: &[&'static str]) -> Self {
        Self::with(games, config()).await
    }

    async fn with(games: &[&'static str], config: SimDiscordConfig) -> Self {
        let discord = crate::discord_sim::start(config).await.unwrap();
        let mut sims = BTreeMap::new();
        for game in games {
            sims.insert(*game, SimRcon::start(PASSWORD, Game::default(), |_| {}).await.unwrap());
        }
        let clock = ManualClock::new(Timestamp::now());
        Self { dir: tempfile::tempdir().unwrap(), discord, games: sims, clock }
    }

    async fn relay(&self, chat: ChatSettings) -> Relay {
        let discord = DiscordSettings {
            token: config().token.into(),
            api_base: Some(self.discord.base_url()),
            guild_ids: Vec::new(),
        };
        let (health, cancel) = (HealthRegistry::new(), CancellationToken::new());
        let store = Store::open(&self.dir.path().join("isr.db")).await.unwrap();
        let (mut clients, mut tasks) = (Vec::new(), Vec::new());
        for (name, sim) in &self.games {
            let (first, max) = (Duration::from_millis(5), Duration::from_millis(40));
            let times = RconTimes { backoff: Backoff { first, max, ..Backoff::default() }, ..RconTimes::default() };
            let target = RconTarget {
                server: tag(name),
                host: sim.address().ip().to_string(),
                port: sim.address().port(),
                password: SecretString::from(PASSWORD),
                allow_lua: false,
            };
            let (client, actor) = connect(target, times, &health);
            tasks.push(tokio::spawn(actor.run(cancel.clone())));
            clients.push(client);
        }
        let mut dispatches = Dispatches::default();
        let events = dispatches.messages(Inbound::INTENTS);
        let clock = Arc::new(self.clock.clone());
        let inbound =
            Inbound::new((chat, &discord), store.clone(), clients.clone(), events, (clock, health.clone())).unwrap();
        tasks.push(tokio::spawn(inbound.run(cancel.clone())));
        let part = health.component(Component::Discord);
        let times = GatewayTimings {
            retry_first: Duration::from_millis(50),
            retry_longest: Duration::from_millis(200),
            attempt_gap: Duration::from_millis(20),
            identify_first: Duration::from_millis(50),
            invalid_session: Duration::ZERO..=Duration::from_millis(50),
            ..GatewayTimings::default()
        };
        tasks.push(tokio::spawn(run_gateway_with(discord, dispatches, part, cancel.clone(), times)));
        let relay = Relay { store, health, clients, cancel, tasks };
        relay.is_listening(&self.discord).await;
        relay
    }

    /// What a game was told, waiting until it is so much.
    async fn told(&self, game: &str, count: usize) -> Vec<String> {
        let sim = &self.games[game];
        within(sim.until(|seen| seen.answered >= count as u64)).await;
        sim.seen().commands
    }

    async fn reactions(&self, channel: u64, message: u64, wanted: &[&str]) {
        let reached = self.discord.wait_for(DEADLINE, |state| {
            let found = state.messages(channel).find(|known| known.id == message);
            found.is_some_and(|message| message.reactions == wanted)
        });
        assert!(reached.await, "{wanted:?}");
    }
}

impl Relay {
    /// Waits until every message for a game was answered by it.
    async fn nothing_waits(&self, game: &str) {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while self.store.chats_waiting(&tag(game)).await.unwrap() > 0 {
            tick.tick().await;
        }
    }

    /// Connected to Discord and to the games.
    async fn is_listening(&self, discord: &SimDiscord) {
        let content = |states: &factorio_isr::health::States| {
            let works =
                |name: &str| states.get(&(Component::Discord, name.to_owned())).is_some_and(|part| part.state.works());
            works("message_content") && works("")
        };
        within(self.health.subscribe().wait_for(content)).await.unwrap();
        for client in &self.clients {
            within(client.link().wait_for(|state| *state != LinkState::Connecting)).await.unwrap();
        }
        assert!(discord.stats().identifies > 0);
    }

    async fn stop(self) {
        self.cancel.cancel();
        for task in self.tasks {
            within(task).await.unwrap().unwrap();
        }
        self.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_a_channel_is_said_in_its_games_in_order() {
    let world = World::new(&["a", "b"]).await;
    let [general, other] = CHANNELS;
    let relay = world.relay(settings(&[(general, &["a", "b"]), (other, &["b"])])).await;
    world.discord.say(general, "Ann", "hello\n/c game.print(1)").unwrap();
    world.discord.say(other, "Bob", "only b [gps=1,2]").unwrap();
    let post = SimPost { text: "I am a bot", bot: true, ..SimPost::default() };
    world.discord.post_as(general, "Robot", post).unwrap();
    world.discord.say(general, "Ann", "last").unwrap();
    insta::assert_snapshot!(world.told("a", 3).await.join("\n"), @"
    [Discord] Ann: hello
    [Discord] Ann: /c game.print(1)
    [Discord] Ann: last
    ");
    insta::assert_snapshot!(world.told("b", 4).await.join("\n"), @"
    [Discord] Ann: hello
    [Discord] Ann: /c game.print(1)
    [Discord] Bob: only b ［gps=1,2］
    [Discord] Ann: last
    ");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_files_stickers_and_names_are_readable() {
    let world = World::new(&["a"]).await;
    let [general, other] = CHANNELS;
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    let first = world.discord.say(general, "Bob", "first words").unwrap();
    world.told("a", 1).await;
    let text = format!("look at <#{other}>");
    let post = SimPost {
        text: &text,
        reply_to: Some(first),
        files: &[("map.png", "x")],
        stickers: &["Wave"],
        ..SimPost::default()
    };
    world.discord.post_as(general, "Ann", post).unwrap();
    let said = world.told("a", 5).await;
    assert_eq!(
        said[1..],
        [
            "[Discord] Ann: ↪ Bob: \"first words\"".to_owned(),
            "[Discord] Ann: look at #other".to_owned(),
            "[Discord] Ann: (file: map.png)".to_owned(),
            "[Discord] Ann: (sticker: Wave)".to_owned(),
        ]
    );
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_follows_what_was_said_and_replaces_what_waits() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    let said = world.discord.say(general, "Ann", "helo").unwrap();
    world.told("a", 1).await;
    // An edit that comes before the game's answer replaces what waits.
    within(relay.nothing_waits("a")).await;
    world.discord.edit_message(general, said, "hello").unwrap();
    assert_eq!(world.told("a", 2).await[1], "[Discord] Ann: * hello");

    world.games["a"].stop();
    let waiting = world.discord.say(general, "Ann", "wrold").unwrap();
    let gone = world.discord.say(general, "Ann", "never mind").unwrap();
    world.reactions(general, waiting, &["⏳"]).await;
    world.reactions(general, gone, &["⏳"]).await;
    world.discord.edit_message(general, waiting, "world").unwrap();
    world.discord.delete_message(general, gone).unwrap();
    let last = world.discord.say(general, "Ann", "last").unwrap();
    world.reactions(general, last, &["⏳"]).await;
    world.games["a"].start_again().await.unwrap();
    assert_eq!(world.told("a", 4).await[2..], ["[Discord] Ann: world", "[Discord] Ann: last"]);
    world.reactions(general, waiting, &[]).await;
    world.reactions(general, last, &[]).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_for_a_game_that_stays_down_gets_a_cross() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    world.games["a"].stop();
    let late = world.discord.say(general, "Ann", "too late").unwrap();
    world.reactions(general, late, &["⏳"]).await;
    // Far beyond the limit of 5 minutes: messages have real times, and a slow machine takes a while to get here.
    world.clock.advance(Duration::from_hours(1));
    world.reactions(general, late, &["❌"]).await;
    world.games["a"].start_again().await.unwrap();
    let chat = NewChat {
        server: tag("a"),
        source: None,
        lines: vec!["[Relay] Bob (b): in time".to_owned()],
        written_at: world.clock.now(),
        due_at: None,
        trace: None,
    };
    relay.store.take_in(&[chat], None).await.unwrap();
    assert_eq!(world.told("a", 1).await, ["[Relay] Bob (b): in time"]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_the_relay_was_away_is_said_once() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let chat = || settings(&[(general, &["a"])]);
    world.discord.say(general, "Ann", "before its first start").unwrap();
    let relay = world.relay(chat()).await;
    world.discord.say(general, "Ann", "one").unwrap();
    world.told("a", 1).await;
    relay.stop().await;
    for n in 0..120 {
        world.discord.say(general, "Ann", &format!("away {n}")).unwrap();
    }
    let relay = world.relay(ChatSettings { flood_messages: 500, ..chat() }).await;
    world.discord.say(general, "Ann", "back").unwrap();
    let said = world.told("a", 122).await;
    let expected: Vec<_> = (0..120).map(|n| format!("[Discord] Ann: away {n}")).collect();
    assert_eq!(said[1..121], expected);
    assert_eq!(said[121..], ["[Discord] Ann: back"]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_called_by_their_nicknames_also_after_an_absence() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let chat = || settings(&[(general, &["a"])]);
    world.discord.set_nick("Ann", "Annie");
    world.discord.set_nick("Bob", "Bobby");
    let relay = world.relay(chat()).await;
    let first = world.discord.say(general, "Ann", "first").unwrap();
    world.told("a", 1).await;
    let reply = |text| SimPost { text, reply_to: Some(first), ..SimPost::default() };
    world.discord.post_as(general, "Bob", reply("here")).unwrap();
    world.told("a", 3).await;
    relay.stop().await;
    let bob = world.discord.messages(general)[1].author.id;
    world.discord.post_as(general, "Carl", reply("away")).unwrap();
    world.discord.say(general, "Carl", &format!("<@{bob}>?")).unwrap();
    world.discord.say(general, "Bob", "yes").unwrap();
    let relay = world.relay(chat()).await;
    insta::assert_snapshot!(world.told("a", 7).await.join("\n"), @r#"
    [Discord] Annie: first
    [Discord] Bobby: ↪ Annie: "first"
    [Discord] Bobby: here
    [Discord] Carl: ↪ Annie: "first"
    [Discord] Carl: away
    [Discord] Carl: @Bobby?
    [Discord] Bobby: yes
    "#);
    let asked = world.discord.stats().requested("GET /guilds/{id}/members/{id}");
    assert_eq!(asked, 3, "each member once");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_too_long_ago_gets_a_cross() {
    let world = World::new(&["a"]).await;
    let [general, other] = CHANNELS;
    let chat = || settings(&[(general, &["a"]), (other, &["a"])]);
    let early = world.discord.say(general, "Ann", "before its first start").unwrap();
    let relay = world.relay(chat()).await;
    let heard = world.discord.say(general, "Ann", "heard").unwrap();
    world.told("a", 1).await;
    relay.stop().await;

    let old = world.discord.say(general, "Ann", "too old").unwrap();
    let bot = SimPost { text: "of a bot", bot: true, ..SimPost::default() };
    let robot = world.discord.post_as(general, "Robot", bot).unwrap();
    // Far beyond the limit of 5 minutes: messages have real times, and a slow machine takes a while to get here.
    world.clock.advance(Duration::from_hours(1));
    let relay = world.relay(chat()).await;
    world.reactions(general, old, &["❌"]).await;
    for unmarked in [early, heard, robot] {
        world.reactions(general, unmarked, &[]).await;
    }
    assert_eq!(world.games["a"].seen().commands, ["[Discord] Ann: heard"]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_one_breath_is_said_in_its_order() {
    let world = World::new(&["a"]).await;
    let [general, other] = CHANNELS;
    let relay =
        world.relay(ChatSettings { flood_messages: 500, ..settings(&[(general, &["a"]), (other, &["a"])]) }).await;
    let mut expected = Vec::new();
    for n in 0..200 {
        let (channel, author) = (CHANNELS[n % 2], ["Ann", "Bob", "Carl"][n % 3]);
        world.discord.say(channel, author, &format!("line {n}")).unwrap();
        expected.push(format!("[Discord] {author}: line {n}"));
    }
    assert_eq!(world.told("a", 200).await, expected);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gateway_connection_costs_no_message_and_no_order() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let relay = world.relay(ChatSettings { flood_messages: 500, ..settings(&[(general, &["a"])]) }).await;
    let say = |n: u32| assert!(world.discord.say(general, "Ann", &format!("{n}")).is_ok());
    (0..3).for_each(say);
    world.discord.cut_gateway();
    (3..6).for_each(say);
    assert!(world.discord.wait_for(DEADLINE, |state| state.stats().resumes == 1).await);
    (6..9).for_each(say);
    world.discord.send_invalid_session(false);
    (9..12).for_each(say);
    assert!(world.discord.wait_for(DEADLINE, |state| state.stats().identifies == 2).await);
    (12..15).for_each(say);
    let expected: Vec<String> = (0..15).map(|n| format!("[Discord] Ann: {n}")).collect();
    assert_eq!(world.told("a", 15).await, expected);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_cut_and_five_of_its_messages_are_marked() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let relay = world.relay(ChatSettings { flood_messages: 2, ..settings(&[(general, &["a"])]) }).await;
    let ids: Vec<u64> = (0..9).map(|n| world.discord.say(general, "Ann", &format!("spam {n}")).unwrap()).collect();
    world.discord.say(general, "Bob", "calm").unwrap();
    for id in &ids[2..7] {
        world.reactions(general, *id, &["🐌"]).await;
    }
    assert_eq!(world.told("a", 3).await, ["[Discord] Ann: spam 0", "[Discord] Ann: spam 1", "[Discord] Bob: calm"]);
    let marked: Vec<u64> =
        world.discord.messages(general).iter().filter(|m| !m.reactions.is_empty()).map(|m| m.id).collect();
    assert_eq!(marked, ids[2..7]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_message_content_intent_the_operator_is_told() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    world.discord.set_gateway_faults(GatewayFaults { content_off: true, ..GatewayFaults::default() });
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    let state = relay.health.state(Component::Discord).unwrap();
    assert!(state.works(), "{state:?}");
    assert!(state.reason().unwrap().contains("switch it on in the developer portal"), "{state:?}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_saves_says_the_line_once_and_the_next_behind_it() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    world.games["a"].set_saving(true);
    let first = world.discord.say(general, "Ann", "one").unwrap();
    world.discord.say(general, "Ann", "two").unwrap();
    world.reactions(general, first, &["⏳"]).await;
    world.games["a"].set_saving(false);
    assert_eq!(world.told("a", 2).await, ["[Discord] Ann: one", "[Discord] Ann: two"]);
    world.reactions(general, first, &[]).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_answer_is_always_cut_off_is_sent_twice_and_marked() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    let game = &world.games["a"];
    game.set_fault(Fault::CutMidReply);
    let two_lines = world.discord.say(general, "Ann", "one\ntwo").unwrap();
    let next = world.discord.say(general, "Ann", "three").unwrap();
    world.reactions(general, two_lines, &["❔"]).await;
    world.reactions(general, next, &["❔"]).await;
    game.set_fault(Fault::None);
    let well = world.discord.say(general, "Ann", "four").unwrap();
    within(game.until(|seen| seen.answered == 1)).await;
    let sent = ["one", "one", "two", "two", "three", "three", "four"].map(|text| format!("[Discord] Ann: {text}"));
    assert_eq!(game.seen().commands, sent);
    world.reactions(general, well, &[]).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_cut_off_once_is_said_and_not_marked() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    let game = &world.games["a"];
    game.set_saving(true);
    let said = world.discord.say(general, "Ann", "hello").unwrap();
    within(game.until(|seen| seen.commands.len() == 1)).await;
    within(game.cut_connections()).await.unwrap();
    game.set_saving(false);
    within(game.until(|seen| seen.answered == 1)).await;
    world.reactions(general, said, &[]).await;
    assert_eq!(game.seen().commands, ["[Discord] Ann: hello"; 2]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_answer_cannot_be_read_is_sent_once_and_marked() {
    let world = World::new(&["a"]).await;
    let [general, _] = CHANNELS;
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    world.games["a"].set_fault(Fault::WrongId);
    let sent = world.discord.say(general, "Ann", "hello").unwrap();
    world.reactions(general, sent, &["❔"]).await;
    assert_eq!(world.games["a"].seen().commands, ["[Discord] Ann: hello"]);
    relay.stop().await;
}

#[tokio::test]
async fn what_a_player_says_waits_for_the_other_games_as_soon_as_its_line_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    let chat = NewChat {
        server: tag("b"),
        source: None,
        lines: vec!["[Relay] Bob (a): hi".to_owned()],
        written_at: Timestamp::now(),
        due_at: None,
        trace: None,
    };
    let batch = IngestedBatch {
        happenings: Vec::new(),
        server: tag("a"),
        source: LogSource::Console,
        start: Position::default(),
        end: Position { generation: 1, offset: 9, ..Position::default() },
        state: String::new(),
        notices: Vec::new(),
        chats: vec![chat.clone()],
        read_at: Timestamp::now(),
        utc_offset: None,
        trace: None,
    };
    for _ in 0..2 {
        store.commit(std::slice::from_ref(&batch)).await.unwrap();
    }
    assert_eq!(store.chats_waiting(&tag("b")).await.unwrap(), 1, "a batch read twice is said once");
    assert_eq!(store.next_chat(&tag("b"), Timestamp::now()).await.unwrap().unwrap().lines, chat.lines);
}
