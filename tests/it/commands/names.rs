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
    assert_eq!(world.choices("Ann", "help", "command", "unm").await, ["unmute"]);
    assert_eq!(world.choices("Ann", "health", "server", "").await, ["prod"]);
    assert!(world.choices("Ann", "kick", "player", "").await.is_empty());
    world.game_stops().await;
    assert_eq!(world.choices("Mod", "unmute", "player", "bo").await, ["Bob"], "remembered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whitelist_is_suggested_where_a_name_leaves_it_and_players_where_one_joins_it() {
    let world = World::new().await;
    world.rcon.game().whitelist.insert("Offline.Friend".to_owned());
    let (remove, add) = ([("action", "remove")], [("action", "add")]);
    let player = ("player", "");
    assert_eq!(world.choices_with("Admin", "whitelist", &remove, player).await, ["Alice", "Offline.Friend"]);
    assert_eq!(world.choices_with("Admin", "whitelist", &add, player).await, ["Alice", "Bob", "Carol"]);
    assert!(world.choices_with("Mod", "whitelist", &remove, player).await.is_empty(), "not theirs to change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_all_servers_can_be_asked_of_one() {
    let second = format!("{ROLES}\n[servers.test]\nconsole_log = \"t.log\"\nchannels = {{ default = {CHANNEL} }}");
    let world = World::with(GENEROUS, &second).await;
    let (prod, test) = ([("server", json!("prod"))], [("server", json!("test"))]);
    assert_snapshot!(world.call("Ann", "servers", &[]).await, @r"
    public [Servers: 2] ```prod - Production: up
    test - test: no RCON```
    ");
    assert_snapshot!(world.call("Ann", "servers", &test).await, @"public [Servers: 1] ```test - test: no RCON``` (test)");
    assert_snapshot!(world.call("Ann", "health", &prod).await, @"public [Health] ```rcon: starting``` (Production)");
    assert_snapshot!(world.call("Ann", "health", &test).await, @"public [Health] There is nothing of this server that I watch. (test)");
    assert_snapshot!(world.call("Ann", "online", &prod).await, @"public [Online] ```Production: Alice (1)``` (Production)");
    let kick = [("command", json!("kick")), ("server", json!("test"))];
    assert_snapshot!(world.call("Mod", "help", &kick).await, @"public [/factorio kick] Throw a player out of the game <Level: `moderator`> <player: `The player's name`> <[reason]: `Why; the player sees it`> <[server]: `Which server; without it, the one you named last, or this channel's`> <Works for you here: `no RCON`> <Your level: `moderator`> <RCON: `no`> <Lua: `not allowed`> (test)");
    assert_snapshot!(world.call("Admin", "help", &prod).await, @r"
    public [Commands] ```/factorio servers - The servers I know, and whether the game answers
    /factorio connect - Choose the server your commands mean from now on
    /factorio status - How the game is: players, age of the map, version, evolution
    /factorio players - Who is in the game
    /factorio version - The game's version
    /factorio seed - The map's seed
    /factorio evolution - How far the enemies have evolved, and by what
    /factorio admins - The game's admins, and who of them is there
    /factorio health - Whether I work: Discord, the logs, RCON
    /factorio kick - Throw a player out of the game
    /factorio ban - Throw a player out for good
    /factorio unban - Let a banned player in again
    /factorio mute - Stop a player from chatting
    /factorio unmute - Let a muted player chat again
    /factorio promote - Make a player an admin of the game
    /factorio demote - Take a player's admin rights in the game
    /factorio whitelist - Who may join: list, add, remove, switch on or off
    /factorio save - Save the map
    /factorio broadcast - Say something to all players
    /factorio whisper - Say something to one player
    /factorio clock - The age of the map; setting the time of day needs Lua (in part, as Lua is not allowed)
    /factorio speed - The speed of the game (needs Lua) (Lua is not allowed)
    /factorio research - The research of a force: status, queue, cancel, complete (needs Lua) (Lua is not allowed)
    /factorio rcon - Send a command to the game's console, where the operator allows it (switched off)
    /factorio help - What I can do
    /online - Who plays, on all servers
    /player - A player's record: first and last seen, play time, sessions, deaths, companions
    /top - Who played most in the last 7 or 30 days, or ever
    /history - Players and UPS over the last day or week, as a picture
    /alerts - Which alerts fire, and why; silence them for a while (moderators)``` <Your level: `admin`> <RCON: `yes`> <Lua: `not allowed`> (Production)
    ");
    assert!(world.call("Ann", "seed", &[]).await.contains("Which server?"), "to look at one chooses none");
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
    test: not known yet: the log has shown no join or leave so far```
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_channel_of_one_server_alone_that_server_is_meant() {
    const OWN: u64 = CHANNEL + 1;
    let second = format!(
        "{ROLES}\n[servers.test]\nconsole_log = \"t.log\"\nchannels = {{ default = {CHANNEL}, status = {OWN} }}"
    );
    let world = World::with_channels(&[CHANNEL, OWN], GENEROUS, &second).await;
    let tests = "`test` has no RCON";
    assert!(world.call("Ann", "seed", &[]).await.contains("Which server?"), "both speak here");
    assert!(world.call_in(OWN, "Ann", "seed", &[]).await.contains(tests));
    assert!(world.call_in(OWN, "Ann", "seed", &[("server", json!("prod"))]).await.contains("(Production)"));
    assert!(world.call_in(OWN, "Ann", "seed", &[]).await.contains("(Production)"), "whoever chose, has chosen");
    assert!(world.call_in(OWN, "Ben", "seed", &[]).await.contains(tests), "and for themselves");
}
