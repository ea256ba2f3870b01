//! What Discord is told of the commands.

use factorio_isr::sim::discord::{GatewayFaults, SimDiscordConfig, SimMessage, SimState, Upgrade};
use serde_json::json;

use super::world::{CHANNEL, DEADLINE, GUILD, World};
use crate::harness::{Site, TOKEN};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_registered_once_and_only_when_changed() {
    let world = World::new().await;
    let registered = world.discord.read(|state| state.commands().clone());
    let names: Vec<_> = registered.as_array().unwrap().iter().map(|command| command["name"].clone()).collect();
    assert_eq!(names, ["factorio", "online", "player", "top", "history", "alerts"]);
    let put = "PUT /applications/{id}/guilds/{id}/commands";
    world.registers(&[GUILD]).await;
    assert_eq!(world.discord.stats().requested(put), 1);
    let restarted = world.restarted(&[200, GUILD]);
    world.registers(&[GUILD, 200]).await;
    assert_eq!(world.discord.stats().requested(put), 2, "the new guild alone");
    drop(restarted);
    let _restarted = world.restarted(&[200]);
    world.registers(&[200]).await;
    assert_eq!(world.discord.stats().requested(put), 3);
    assert_eq!(world.discord.read(|state| state.commands().clone()), json!([]), "the stale ones are removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_registered_is_answered_also_at_once() {
    let config = SimDiscordConfig { token: TOKEN.to_owned(), ..SimDiscordConfig::default() };
    let discord = crate::discord_sim::start(config).await.unwrap();
    let refusing = GatewayFaults { upgrade: Upgrade::Refuse(503), ..GatewayFaults::default() };
    discord.set_gateway_faults(refusing);
    let site = Site::new(&discord.base_url()).discord_key(&format!("guild_id = {GUILD}")).server("prod", CHANNEL);
    let _relay = site.start();
    let refused = |state: &SimState| state.stats().upgrades_refused >= 2;
    assert!(discord.wait_for(DEADLINE, refused).await, "the gateway is sought");
    assert_eq!(discord.read(|state| state.commands().clone()), json!([]), "nobody would hear a call");

    discord.set_gateway_faults(GatewayFaults::default());
    assert!(discord.wait_for(DEADLINE, |state| state.commands() != &json!([])).await, "registered");
    let call = discord.interact(CHANNEL, "Ann", "online", &json!([])).unwrap();
    let is_answer = |said: &SimMessage| said.interaction.as_ref().is_some_and(|invocation| invocation.id == call);
    let answered = |state: &SimState| state.messages(CHANNEL).any(|said| is_answer(said));
    assert!(discord.wait_for(DEADLINE, answered).await, "answered");
}
