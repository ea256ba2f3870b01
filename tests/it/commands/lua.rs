//! Commands that need Lua.

use insta::assert_snapshot;
use serde_json::json;

use super::world::{GENEROUS, ROLES, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lua_is_refused_by_default_and_says_how_to_allow_it() {
    let world = World::new().await;
    let noon = ("value", json!("noon"));
    let queue = [("action", json!("queue")), ("technology", json!("logistics"))];
    assert_snapshot!(world.call("Admin", "clock", &[noon]).await, @"private Only Lua can do this, and Lua disables achievements on the save for ever. It is not allowed for this server. Its operator allows it with `allow_lua = true` in the server's table `rcon`.");
    let same = world.call("Admin", "speed", &[("value", json!(2.0))]).await;
    assert_eq!(same, world.call("Admin", "research", &queue).await);
    assert!(same.contains("allow_lua = true"), "{same}");
    assert!(world.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_lua_is_allowed_it_runs_and_nothing_typed_leaves_its_quotes() {
    let world = World::with(GENEROUS, &format!("allow_lua = true\n{ROLES}")).await;
    let evil = [("action", json!("queue")), ("technology", json!("x\"]) game.y("))];
    assert_snapshot!(world.call("Admin", "research", &evil).await, @"private That is no technology: use at most 100 letters, digits, `_` or `-`.");
    let good = [("action", json!("queue")), ("technology", json!("logistics"))];
    assert!(world.confirmed("Admin", "research", &good).await.starts_with("private [Research]"));
    assert!(world.call("Admin", "speed", &[]).await.contains("```1```"));
    assert_snapshot!(world.sent().join("\n"), @r#"
    /sc local f=game.forces["player"] if not f then rcon.print("Cannot find the force.") return end local t=f.technologies["logistics"] if not t then rcon.print("Cannot find the technology.") return end rcon.print(f.add_research(t) and "Queued." or "Cannot queue it.")
    /sc local f=game.forces["player"] if not f then rcon.print("Cannot find the force.") return end local t=f.technologies["logistics"] if not t then rcon.print("Cannot find the technology.") return end rcon.print(f.add_research(t) and "Queued." or "Cannot queue it.")
    /sc rcon.print(game.speed)
    "#);
}
