//! Who may do what, and how often.

use insta::assert_snapshot;
use serde_json::json;

use super::world::{GENEROUS, ROLES, World, player};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mapping_those_who_manage_the_server_may() {
    let world = World::with(GENEROUS, "").await;
    world.discord.set_standing("Owner", &[], 1 << 5);
    assert!(world.call("Admin", "save", &[]).await.contains("is for the level"));
    assert_snapshot!(world.call("Owner", "save", &[]).await, @"public [Save] The game took it and said nothing, as it does when all is well. (Production · by Owner)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_may_ask_for_another_level() {
    let levels = format!("{GENEROUS}\nlevels = {{ kick = \"admin\", save = \"everyone\" }}");
    let world = World::with(&levels, ROLES).await;
    assert!(world.call("Mod", "kick", &[player("Alice")]).await.contains("is for the level **admin**"));
    assert!(world.call("Ann", "save", &[]).await.starts_with("public [Save]"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_and_acts_are_limited_apart() {
    let world = World::with("query_limit = 2\naction_limit = 1", ROLES).await;
    assert!(world.call("Mod", "seed", &[]).await.starts_with("public"));
    assert!(world.call("Mod", "seed", &[]).await.starts_with("public"));
    assert!(world.call("Mod", "seed", &[]).await.starts_with("private That was too often. Try again in "));
    assert!(world.call("Mod", "kick", &[player("../x")]).await.contains("no player name"), "costs nothing");
    assert!(world.call("Mod", "save", &[]).await.starts_with("public"));
    assert!(world.call("Mod", "save", &[]).await.starts_with("private That was too often. Try again in "));
    assert!(world.call("Ann", "seed", &[]).await.starts_with("public"), "another member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_game_never_heard_of_is_given_back() {
    let world = World::with("query_limit = 1\naction_limit = 1", ROLES).await;
    world.game_stops().await;
    let down = "private The game is not running, or is still loading its map.";
    for _ in 0..2 {
        assert_eq!(world.call("Ann", "players", &[]).await, down);
        assert_eq!(world.call("Mod", "save", &[]).await, down);
        assert_eq!(world.confirmed("Mod", "ban", &[player("Bob")]).await, down);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_have_moderators_of_its_own_and_an_audit_channel() {
    let own = "[servers.prod.permissions]\nmoderator = 601\n[permissions]\nadmin = 502\n\
               [servers.test]\nconsole_log = \"t.log\"\nchannels = { default = 111, audit = 112 }";
    let commands = format!("{GENEROUS}\ndefault_server = \"prod\"");
    let world = World::with(&commands, own).await;
    world.discord.set_standing("Local", &[601], 0);
    assert!(world.call("Local", "save", &[]).await.starts_with("public"));
    let denied = world.call("Local", "save", &[("server", json!("test"))]).await;
    assert!(denied.contains("is for the level"), "{denied}");
    let pending = world.store.outbox_stats().await.unwrap();
    assert_eq!(pending.chat_depth, 1, "the denial is posted to the audit channel of `test`, and nothing else");
}
