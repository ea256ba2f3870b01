//! The slash commands as a member sees them: Discord and the game are simulated, everything between is real.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

mod audit;
mod confirm;
mod console;
mod late;
mod lua;
mod names;
mod permissions;
mod registration;
mod world;

use insta::assert_snapshot;
use serde_json::{Value, json};

use world::{ROLES, World, player};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_ask_and_sees_the_games_own_answers() {
    let world = World::new().await;
    assert_snapshot!(world.call("Ann", "servers", &[]).await, @"public [Servers: 1] ```prod - Production: up```");
    assert_snapshot!(world.call("Ann", "players", &[]).await, @"public [Players online: 1] ```Alice``` (Production)");
    assert_snapshot!(world.call("Ann", "online", &[]).await, @"public [Online] ```Production: Alice (1)```");
    assert_snapshot!(world.call("Ann", "version", &[]).await, @"public [Version] <Factorio: `2.0.77`> (Production)");
    assert_snapshot!(world.call("Ann", "seed", &[]).await, @"public [Seed] ```1234567890``` (Production)");
    assert_snapshot!(world.call("Ann", "admins", &[]).await, @"public [Admins: 1] ```Alice (online)``` (Production)");
    assert_snapshot!(world.call("Ann", "evolution", &[("surface", json!("nauvis"))]).await, @"public [Evolution] <Factor of Nauvis: `94.85 % (time 7 %, pollution 82 %, spawner kills 12 %)`> (Production)");
    assert_snapshot!(world.call("Ann", "evolution", &[("surface", json!("mars"))]).await, @r#"private [Evolution] ```Surface "mars" does not exist.``` (Production)"#);
    assert_snapshot!(world.call("Ann", "status", &[]).await, @"public [Status] <Players online: `1`> <Age of the map: `1 day, 11 hours, 1 minute and 26 seconds`> <Version: `2.0.77`> <Evolution of Nauvis: `94.85 %`> (Production)");
    assert_snapshot!(world.call("Ann", "health", &[]).await, @r"
    public [Health] ```discord: healthy
    rcon: healthy```
    ");
    assert_snapshot!(world.call("Ann", "connect", &[("server", json!("prod"))]).await, @"public [Connected] From now on your commands mean `Production`. (Production)");
    assert_snapshot!(world.call("Ann", "help", &[("command", json!("kick"))]).await, @"public [/factorio kick] Throw a player out of the game <Level: `moderator`> <player: `The player's name`> <[reason]: `Why; the player sees it`> <[server]: `Which server; without it, the one you named last`>");
    assert!(world.call("Ann", "help", &[]).await.contains("/factorio kick - Throw a player out"));
    assert!(world.audited().await.is_empty(), "questions are not audited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moderators_act_and_each_act_is_audited() {
    let world = World::new().await;
    let reason = ("reason", json!("spamming\n/c game.x()"));
    assert_snapshot!(world.call("Mod", "mute", &[player("Alice")]).await, @"public [Mute] ```Alice has been muted by <server>.``` (Production)");
    assert_snapshot!(world.call("Mod", "unmute", &[player("Alice")]).await, @"public [Unmute] ```Alice has been unmuted by <server>.``` (Production)");
    assert_snapshot!(world.call("Mod", "whisper", &[player("Alice"), ("message", json!("psst"))]).await, @"public [Whisper] The game took it and said nothing, as it does when all is well. (Production)");
    assert_snapshot!(world.call("Mod", "broadcast", &[("message", json!("/c game.x()"))]).await, @"public [Broadcast] The game took it and said nothing, as it does when all is well. (Production)");
    assert_snapshot!(world.call("Mod", "save", &[("name", json!("before-rocket"))]).await, @"public [Save] The game took it and said nothing, as it does when all is well. (Production)");
    assert_snapshot!(world.call("Mod", "kick", &[player("Alice"), reason]).await, @"public [Kick] ```Alice was kicked by <server>. Reason: spamming /c game.x().``` (Production)");
    assert_snapshot!(world.confirmed("Mod", "ban", &[player("Bob")]).await, @"private [Ban] ```Bob (not on map) was banned by <server>. Reason: unspecified.``` (Production)");
    assert_snapshot!(world.call("Mod", "unban", &[player("Griefer")]).await, @"public [Unban] ```Griefer was unbanned by <server>.``` (Production)");
    assert_snapshot!(world.sent().join("\n"), @r"
    /mute Alice
    /unmute Alice
    /whisper Alice psst
    c game.x()
    /server-save before-rocket
    /kick Alice spamming /c game.x()
    /ban Bob
    /unban Griefer
    ");
    assert_snapshot!(world.audited().await.join("\n"), @r"
    Mod | /factorio mute player:Alice | prod | done | Alice has been muted by <server>.
    Mod | /factorio unmute player:Alice | prod | done | Alice has been unmuted by <server>.
    Mod | /factorio whisper message:psst player:Alice | prod | done | The game took it and said nothing, as it does when all is well.
    Mod | /factorio broadcast message:/c game.x() | prod | done | The game took it and said nothing, as it does when all is well.
    Mod | /factorio save name:before-rocket | prod | done | The game took it and said nothing, as it does when all is well.
    Mod | /factorio kick player:Alice reason:spamming /c game.x() | prod | done | Alice was kicked by <server>. Reason: spamming /c game.x().
    Mod | /factorio ban player:Bob | prod | done | Bob (not on map) was banned by <server>. Reason: unspecified.
    Mod | /factorio unban player:Griefer | prod | done | Griefer was unbanned by <server>.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_change_the_games_lists() {
    let world = World::new().await;
    let action = |action: &str| ("action", json!(action));
    assert_snapshot!(world.confirmed("Admin", "promote", &[player("Bob")]).await, @"private [Promote] ```Bob was promoted to admin by <server>.``` (Production)");
    assert_snapshot!(world.confirmed("Admin", "demote", &[player("Alice")]).await, @"private [Demote] ```Alice was demoted from admin by <server>.``` (Production)");
    assert_snapshot!(world.call("Admin", "whitelist", &[action("add"), player("Bob")]).await, @"public [Whitelist] ```Added Bob to the whitelist.``` (Production)");
    assert_snapshot!(world.call("Admin", "whitelist", &[action("list")]).await, @"public [Whitelist] ```Whitelisted players: Alice and Bob``` (Production)");
    assert_snapshot!(world.call("Admin", "whitelist", &[action("remove"), player("Bob")]).await, @"public [Whitelist] ```Removed Bob from the whitelist.``` (Production)");
    assert_snapshot!(world.call("Admin", "whitelist", &[action("enable")]).await, @"public [Whitelist] ```The whitelist has been enabled.``` (Production)");
    assert_snapshot!(world.confirmed("Admin", "whitelist", &[action("disable")]).await, @"private [Whitelist] ```The whitelist has been disabled.``` (Production)");
    assert_snapshot!(world.call("Admin", "clock", &[]).await, @"public [Age of the map] ```1 day, 11 hours, 1 minute and 26 seconds``` (Production)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_and_nothing_reaches_the_game() {
    let world = World::new().await;
    let message = ("message", json!("hi"));
    let above_everyone: [(&str, Vec<(&str, Value)>); 15] = [
        ("kick", vec![player("Alice")]),
        ("ban", vec![player("Alice")]),
        ("unban", vec![player("Griefer")]),
        ("mute", vec![player("Alice")]),
        ("unmute", vec![player("Alice")]),
        ("promote", vec![player("Alice")]),
        ("demote", vec![player("Alice")]),
        ("whitelist", vec![("action", json!("list"))]),
        ("save", vec![]),
        ("broadcast", vec![message.clone()]),
        ("whisper", vec![player("Alice"), message]),
        ("clock", vec![]),
        ("speed", vec![]),
        ("research", vec![("action", json!("status"))]),
        ("rcon", vec![("command", json!("/players"))]),
    ];
    for (command, options) in &above_everyone {
        let answer = world.call("Ann", command, options).await;
        assert!(answer.starts_with(&format!("private `/factorio {command}` is for the level")), "{answer}");
    }
    let admin_only = world.call("Mod", "promote", &[player("Bob")]).await;
    assert_snapshot!(admin_only, @"private `/factorio promote` is for the level **admin** and above, which you do not have here.");
    assert!(world.sent().is_empty(), "{:?}", world.sent());
    let audited = world.audited().await;
    assert_eq!(audited.len(), above_everyone.len() + 1);
    assert!(audited.iter().all(|entry| entry.contains("| denied |")), "{audited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_before_the_game_hears_of_it() {
    let world = World::new().await;
    assert_snapshot!(world.call("Mod", "kick", &[player("Bob\n/c x")]).await, @"private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.");
    for command in ["ban", "unban", "mute", "unmute", "promote", "demote"] {
        let answer = world.call("Admin", command, &[player("Bob\n/c x")]).await;
        assert!(answer.starts_with("private That is no player name"), "{command}: {answer}");
    }
    assert_snapshot!(world.call("Mod", "save", &[("name", json!("../../etc/passwd"))]).await, @"private That is no name for a save: use at most 100 letters, digits, `.`, `_` or `-`, and no dot in front.");
    assert_snapshot!(world.call("Mod", "broadcast", &[("message", json!(" // \n"))]).await, @"private There is no text in it.");
    assert_snapshot!(world.call("Ann", "evolution", &[("surface", json!("a\"b"))]).await, @"private That is no surface: use at most 100 letters, digits, blanks, `.`, `_` or `-`.");
    assert_snapshot!(world.call("Ann", "players", &[("server", json!("`@everyone`"))]).await, @"private There is no server `ˋ@everyoneˋ`. There are: `prod`.");
    assert_snapshot!(world.call("Admin", "whitelist", &[("action", json!("add"))]).await, @"private The option `player` is missing.");
    assert!(world.sent().is_empty(), "{:?}", world.sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_games_refusals_look_like_refusals() {
    let world = World::new().await;
    assert_snapshot!(world.call("Mod", "kick", &[player("Bob")]).await, @"private [Kick] ```Bob isn't online.``` (Production)");
    assert_snapshot!(world.call("Mod", "mute", &[player("Nobody")]).await, @"private [Mute] ```Player Nobody doesn't exist.``` (Production)");
    assert_snapshot!(world.call("Mod", "unban", &[player("Bob")]).await, @"private [Unban] ```Cannot unban Bob as the player is not banned.``` (Production)");
    assert_snapshot!(world.confirmed("Admin", "promote", &[player("Alice")]).await, @"private [Promote] ```Alice is already an admin.``` (Production)");
    assert_snapshot!(world.confirmed("Admin", "demote", &[player("Bob")]).await, @"private [Demote] ```Bob is not an admin.``` (Production)");
    assert_snapshot!(world.call("Mod", "whisper", &[player("Bob"), ("message", json!("x"))]).await, @"private [Whisper] ```Bob isn't online.``` (Production)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_says_why_when_the_game_is_down_and_is_given_back() {
    let world = World::with("query_limit = 1\naction_limit = 1", ROLES).await;
    world.game_stops().await;
    let questions = ["players", "status", "version", "seed", "evolution", "admins"];
    for command in questions {
        let answer = world.call("Ann", command, &[]).await;
        assert!(answer.starts_with("private ") && !answer.contains("too often"), "{command}: {answer}");
        assert!(!answer.contains("127.0.0.1"), "{answer}");
    }
    let message = ("message", json!("hi"));
    let acts: [(&str, Vec<(&str, Value)>); 9] = [
        ("kick", vec![player("Alice")]),
        ("unban", vec![player("Griefer")]),
        ("mute", vec![player("Alice")]),
        ("unmute", vec![player("Alice")]),
        ("save", vec![]),
        ("whitelist", vec![("action", json!("list"))]),
        ("clock", vec![]),
        ("broadcast", vec![message.clone()]),
        ("whisper", vec![player("Alice"), message]),
    ];
    let down = "private The game is not running, or is still loading its map.";
    for (command, options) in acts {
        assert_eq!(world.call("Admin", command, &options).await, down, "{command}");
    }
    for command in ["ban", "promote", "demote"] {
        assert_eq!(world.confirmed("Admin", command, &[player("Alice")]).await, down, "{command}");
    }
    assert_snapshot!(world.call("Ann", "players", &[]).await, @"private The game is not running, or is still loading its map.");
}
