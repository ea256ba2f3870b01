//! What Discord shows of the games beside the status messages: the bot's own status, topics and names of channels.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

use std::path::PathBuf;
use std::time::Duration;

use factorio_isr::config::{Environment, load};
use factorio_isr::discord::status::{ChannelTopics, Presence};
use factorio_isr::discord::{Dispatches, GatewayTimings, run_gateway_with};
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::sim::discord::{ApiError, Fault, FaultKind, GatewayLimits, SimDiscord, SimDiscordConfig};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::{DEADLINE, TOKEN, within};
use crate::status::{CHAT, STATUS, World, brisk, config};

pub const RETITLE: &str = "PATCH /channels/{id}";

/// The gateway with a presence the test sets.
fn gateway(
    discord: &SimDiscord,
    floor: Duration,
) -> (tokio::sync::watch::Sender<Option<Presence>>, HealthRegistry, DropGuard) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let text = format!(
        "[discord]\ntoken = \"{TOKEN}\"\napi_base = \"{}\"\n[servers.prod]\nconsole_log = \"a.log\"\n\
         channels = {{ default = {CHAT} }}\n",
        discord.base_url()
    );
    std::fs::write(&path, text).unwrap();
    let env = Environment { vars: [].into(), secrets_dir: PathBuf::from("none") };
    let settings = load(&path, &env).unwrap().settings.discord;
    let (cancel, health, mut dispatches) = (CancellationToken::new(), HealthRegistry::new(), Dispatches::default());
    let wanted = dispatches.presence();
    let retry = Duration::from_millis(20);
    let times = GatewayTimings {
        presence_gap: floor,
        attempt_gap: retry,
        retry_first: retry,
        identify_first: retry,
        invalid_session: retry..=retry,
        ..GatewayTimings::default()
    };
    let part = health.component(Component::Discord);
    tokio::spawn(run_gateway_with(settings, dispatches, part, cancel.clone(), times));
    (wanted, health, cancel.drop_guard())
}

fn says(text: &str) -> Presence {
    Presence { text: text.to_owned(), idle: false }
}

pub fn shown(presence: &Value) -> &str {
    presence["activities"][0]["state"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bots_own_status_keeps_its_floor_and_survives_a_new_session() {
    let without_limits = SimDiscordConfig { gateway_limits: GatewayLimits::none(), ..config() };
    let discord = crate::discord_sim::start(without_limits).await.unwrap();
    let (wanted, health, _running) = gateway(&discord, Duration::from_secs(1));
    let connected = || health.state(Component::Discord) == Some(ComponentState::Healthy);
    within(health.subscribe().wait_for(|_| connected())).await.unwrap();
    let begun = Instant::now();
    wanted.send_replace(Some(says("1 player on 1/1 servers")));
    assert!(discord.wait_for(DEADLINE, |state| shown(state.presence()) == "1 player on 1/1 servers").await);
    for count in 2..=30 {
        wanted.send_replace(Some(says(&format!("{count} players on 1/1 servers"))));
    }
    assert!(discord.wait_for(DEADLINE, |state| shown(state.presence()) == "30 players on 1/1 servers").await);
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    assert!(discord.stats().presences <= 1 + elapsed.as_secs(), "{:?} within {elapsed:?}", discord.stats());
    let sessions = discord.stats().identifies;
    discord.send_invalid_session(false);
    assert!(discord.wait_for(DEADLINE, |state| state.stats().identifies > sessions).await, "{:?}", discord.stats());
    let identified = discord.gateway_log().sent(2).last().cloned().unwrap();
    assert_eq!(shown(&identified["presence"]), "30 players on 1/1 servers");
}

fn topics(world: &World) -> ChannelTopics {
    let text = format!(
        "[discord]\ntoken = \"{TOKEN}\"\napi_base = \"{}\"\n[servers.prod]\nname = \"Nauvis\"\nconsole_log = \"a.log\"\n\
         channels = {{ default = {CHAT}, topic = {CHAT} }}\n\
         [status]\ntopic = \"{{server}}: {{state}}, {{players}} online, {{ups}} UPS\"\nchannel_name = \"nauvis-{{players}}\"\n",
        world.discord.base_url()
    );
    let settings = world.load(&text);
    let (store, board, health) = (world.store.clone(), world.board.clone(), world.health.clone());
    ChannelTopics::new(&settings, store, board, health).unwrap().with_gathering(Duration::ZERO)
}

fn channel(discord: &SimDiscord) -> (String, String) {
    discord.read(|state| {
        let chat = state.channels().find(|channel| channel.id == CHAT).unwrap();
        (chat.name.clone(), chat.topic.clone().unwrap_or_default())
    })
}

#[tokio::test]
async fn a_topic_changes_once_in_its_floor_also_across_restarts() {
    let mut world = World::new(config()).await;
    world.players(&["Bob"]);
    let task = topics(&world);
    let first = CancellationToken::new();
    let running = tokio::spawn(task.clone().run(first.clone()));
    let named = |state: &factorio_isr::sim::discord::SimState| {
        state.channels().any(|channel| channel.topic.as_deref() == Some("Nauvis: Online, 1 online, ? UPS"))
    };
    assert!(world.discord.wait_for(DEADLINE, named).await);
    assert_eq!(channel(&world.discord).0, "nauvis-1");
    // The database has it before the task waits again.
    let id = factorio_isr::domain::ChannelId::new(CHAT).unwrap();
    while world.store.channel_edit(id).await.unwrap().is_none_or(|edit| edit.topic.is_none()) {
        tokio::task::yield_now().await;
    }
    first.cancel();
    running.await.unwrap().unwrap();
    let stop = CancellationToken::new();
    let again = tokio::spawn(task.run(stop.clone()));
    // Beside it runs what does show every change: when that has, the topic would have been changed, too.
    let beside = world.settings(&[("prod", STATUS)], "[status]\nfloor = \"1s\"");
    world.start(&beside, brisk());
    for names in [&["Bob", "Alice"][..], &["Bob"], &[]] {
        world.players(names);
        world.shows(&format!("Players ({})", names.len())).await;
    }
    stop.cancel();
    again.await.unwrap().unwrap();
    assert_eq!(world.discord.stats().requested(RETITLE), 1);
    assert_eq!(channel(&world.discord).1, "Nauvis: Online, 1 online, ? UPS");
}

#[tokio::test]
async fn players_who_come_one_by_one_are_in_the_first_topic() {
    let mut world = World::new(config()).await;
    world.players(&[]);
    let task = topics(&world).with_gathering(Duration::from_secs(10));
    let cancel = CancellationToken::new();
    tokio::spawn(task.run(cancel.clone()));
    let _running = cancel.drop_guard();
    // Beside it runs what shows every change at once.
    world.start_one();
    for names in [&["Bob"][..], &["Bob", "Ann"]] {
        world.players(names);
        world.shows(&format!("Players ({})", names.len())).await;
    }
    let named = |state: &factorio_isr::sim::discord::SimState| {
        state.channels().any(|channel| channel.topic.as_deref().is_some_and(|topic| topic.starts_with("Nauvis")))
    };
    assert!(world.discord.wait_for(DEADLINE, named).await);
    assert_eq!(channel(&world.discord).1, "Nauvis: Online, 2 online, ? UPS");
}

#[tokio::test]
async fn without_manage_channels_health_names_the_permission() {
    let world = World::new(config()).await;
    world.players(&[]);
    world.discord.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_permissions())).everywhere());
    let task = topics(&world);
    let cancel = CancellationToken::new();
    tokio::spawn(task.run(cancel.clone()));
    let _running = cancel.drop_guard();
    let mut states = world.health.subscribe();
    let key = (Component::Discord, "prod/topic".to_owned());
    let parked = timeout(DEADLINE, states.wait_for(|states| states.contains_key(&key))).await.unwrap().unwrap();
    assert!(parked[&key].state.reason().unwrap().contains("Manage Channels"), "{parked:?}");
}
