//! `/factorio rcon`.

use insta::assert_snapshot;
use serde_json::json;

use super::world::{GENEROUS, ROLES, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_is_off_until_it_is_allowed_command_by_command() {
    let off = World::new().await;
    let command = |text: &str| [("command", json!(text))];
    assert_snapshot!(off.call("Admin", "rcon", &command("/players")).await, @"private `/factorio rcon` is switched off. The operator switches it on with `commands.rcon = true` and lists the allowed commands in `commands.rcon_allow`.");
    let on = World::with(&format!("{GENEROUS}\nrcon = true\nrcon_allow = [\"/players\", \"/c\"]"), ROLES).await;
    assert_snapshot!(on.call("Admin", "rcon", &command("/config get name")).await, @"private `/config` is not among the allowed commands: `/players`, `/c`.");
    assert_snapshot!(on.call("Admin", "rcon", &command("hello")).await, @"private `chat` is not among the allowed commands: `/players`, `/c`.");
    assert!(on.call("Admin", "rcon", &command("/c game.x()")).await.contains("allow_lua"));
    assert!(on.call("Admin", "rcon", &command("/ＳＣ x")).await.contains("not among the allowed"));
    assert_snapshot!(on.confirmed("Admin", "rcon", &command("/players count")).await, @"private [Console] ```Players (3)``` (Production)");
    assert_eq!(on.sent(), ["/players count"]);
}
