//! Names that are suggested, and the server that is meant.

use insta::assert_snapshot;
use serde_json::json;

use super::world::{CHANNEL, GENEROUS, ROLES, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_suggested_to_those_who_may_use_them() {
    let world = World::new().await;
    assert_eq!(world.choices("Ann", "players", "server", "P").await, ["prod"]);
    assert_eq!(world.choices("Mod", "kick", "player", "").await, ["Alice"]);
    assert_eq!(world.choices("Mod", "ban", "player", "b").await, ["Bob"]);
    assert_eq!(world.choices("Mod", "unban", "player", "").await, ["Griefer"]);
    assert_eq!(world.choices("Admin", "demote", "player", "al").await, ["Alice"]);
    assert_eq!(world.choices("Ann", "evolution", "surface", "n").await, ["Nauvis"]);
    assert_eq!(world.choices("Admin", "research", "technology", "rocket-s").await, ["rocket-silo"]);
    assert!(world.choices("Ann", "kick", "player", "").await.is_empty());
    world.game_stops().await;
    assert_eq!(world.choices("Mod", "unmute", "player", "bo").await, ["Bob"], "remembered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_named_last_is_meant_from_then_on() {
    let second = format!("{ROLES}\n[servers.test]\nconsole_log = \"t.log\"\nchannels = {{ default = {CHANNEL} }}");
    let world = World::with(GENEROUS, &second).await;
    assert_snapshot!(world.call("Ann", "seed", &[]).await, @"private Which server? Add `server:`, or choose one with `/factorio connect`. There are: `prod`, `test`.");
    assert_snapshot!(world.call("Ann", "seed", &[("server", json!("test"))]).await, @"private `test` has no RCON in my configuration, so I cannot ask the game.");
    assert!(world.call("Ann", "seed", &[("server", json!("prod"))]).await.contains("(Production)"));
    assert!(world.call("Ann", "seed", &[]).await.contains("(Production)"), "remembered");
    assert!(world.call("Ben", "seed", &[]).await.contains("Which server?"), "for each on their own");
    assert_snapshot!(world.call("Ann", "online", &[]).await, @r"
    public [Online] ```Production: Alice (1)
    test: no RCON```
    ");
}
