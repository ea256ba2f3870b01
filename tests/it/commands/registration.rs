//! What Discord is told of the commands.

use serde_json::json;

use super::world::{GUILD, World};

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
