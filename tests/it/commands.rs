//! The slash commands as a member sees them: Discord and the game are simulated, everything between is real.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

use std::sync::Arc;
use std::time::Duration;

use factorio_isr::config::{Environment, Settings, load};
use factorio_isr::discord::{Commands, Dispatches, GatewayTimes, run_gateway_with};
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::rcon::{LinkState, RconTarget, RconTimes, connect};
use factorio_isr::sim::discord::{RateLimits, SimDiscord, SimDiscordConfig, SimMessage};
use factorio_isr::sim::rcon::{Fault, Game, SimRcon};
use factorio_isr::store::Store;
use factorio_isr::supervisor::Backoff;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

const CHANNEL: u64 = 111;
const GUILD: u64 = 100;
const MODERATORS: u64 = 501;
const ADMINS: u64 = 502;
const DEADLINE: Duration = Duration::from_secs(30);
/// Room for tests that call often.
const GENEROUS: &str = "query_limit = 1000\naction_limit = 1000";
const ROLES: &str = "[permissions]\nmoderator = [501]\nadmin = [\"502\"]";

/// Everything, running.
struct World {
    discord: SimDiscord,
    rcon: SimRcon,
    store: Store,
    settings: Settings,
    health: HealthRegistry,
    _running: DropGuard,
    _dir: tempfile::TempDir,
}

/// Whatever a test did: without leave, not one Lua command reached the game.
impl Drop for World {
    fn drop(&mut self) {
        let lua = self.settings.servers.iter().filter_map(|server| server.rcon.as_ref()).any(|rcon| rcon.allow_lua);
        if !lua && !std::thread::panicking() {
            assert_eq!(self.rcon.seen().lua_commands(), Vec::<&str>::new());
        }
    }
}

fn game() -> Game {
    let mut game = Game::default();
    game.join("Alice");
    game.join("Bob");
    game.leave("Bob");
    game.admins.insert("Alice".to_owned());
    game.bans.insert("Griefer".to_owned());
    game.whitelist.insert("Alice".to_owned());
    game
}

fn config(discord: &SimDiscord, rcon: &SimRcon, commands: &str, more: &str) -> String {
    let (base, port) = (discord.base_url(), rcon.address().port());
    format!(
        "[discord]\ntoken = \"{}\"\napi_base = \"{base}\"\nguild_id = {GUILD}\n\
         [servers.prod]\nname = \"Production\"\nconsole_log = \"prod.log\"\nchannels = {{ default = {CHANNEL} }}\n\
         [servers.prod.rcon]\nport = {port}\npassword = \"secret\"\n{more}\n[commands]\n{commands}\n",
        SimDiscordConfig::default().token
    )
}

impl World {
    async fn new() -> Self {
        Self::with(GENEROUS, ROLES).await
    }

    async fn with(commands: &str, more: &str) -> Self {
        let limits = RateLimits::none();
        let discord = SimDiscord::start(SimDiscordConfig { limits, ..SimDiscordConfig::default() }).await.unwrap();
        discord.set_standing("Mod", &[MODERATORS], 0);
        discord.set_standing("Admin", &[ADMINS], 0);
        let rcon = SimRcon::start("secret", game(), |_| {}).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (path, text) = (dir.path().join("config.toml"), config(&discord, &rcon, commands, more));
        std::fs::write(&path, text).unwrap();
        let env = Environment { vars: [].into(), secrets_dir: dir.path().join("secrets") };
        let settings = load(&path, &env).unwrap_or_else(|errors| panic!("{errors}")).settings;
        let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
        let (health, cancel) = (HealthRegistry::new(), CancellationToken::new());
        let (first, max) = (Duration::from_millis(5), Duration::from_millis(40));
        let times = RconTimes { backoff: Backoff { first, max, ..Backoff::default() }, ..RconTimes::default() };
        let mut clients = Vec::new();
        for server in &settings.servers {
            let Some(given) = &server.rcon else { continue };
            let (client, actor) = connect(RconTarget::of(&server.tag, given), times, &health);
            tokio::spawn(actor.run(cancel.clone()));
            timeout(DEADLINE, client.link().wait_for(|link| *link == LinkState::Up)).await.unwrap().unwrap();
            clients.push(client);
        }
        let mut dispatches = Dispatches::default();
        let events = dispatches.interactions();
        let commands = Commands::new(&settings, &clients, store.clone(), health.clone()).unwrap();
        tokio::spawn(commands.run(events, cancel.clone()));
        let times = GatewayTimes { poll: Duration::from_millis(50), ..GatewayTimes::default() };
        let part = health.component(Component::Discord);
        tokio::spawn(run_gateway_with(settings.discord.clone(), dispatches, part, cancel.clone(), times));
        let mut states = health.subscribe();
        let connected = || health.state(Component::Discord) == Some(ComponentState::Healthy);
        timeout(DEADLINE, states.wait_for(|_| connected())).await.unwrap().unwrap();
        let registered = discord.wait_for(DEADLINE, |state| state.commands() != &json!([])).await;
        assert!(registered, "the commands are registered");
        Self { discord, rcon, store, settings, health, _running: cancel.drop_guard(), _dir: dir }
    }

    fn start(&self, caller: &str, command: &str, options: &[(&str, Value)]) -> u64 {
        let given: Vec<Value> = options
            .iter()
            .map(
                |(name, value)| json!({ "name": name, "type": if value.is_number() { 10 } else { 3 }, "value": value }),
            )
            .collect();
        if command == "online" {
            return self.discord.interact(CHANNEL, caller, "online", &json!(given)).unwrap();
        }
        let subcommand = json!([{ "name": command, "type": 1, "options": given }]);
        self.discord.interact(CHANNEL, caller, "factorio", &subcommand).unwrap()
    }

    /// What an interaction is answered with, as soon as it suits.
    async fn answer(&self, id: u64, suits: impl Fn(&SimMessage) -> bool) -> Arc<SimMessage> {
        self.eventually(|| self.discord.interaction_reply(id).filter(|reply| suits(reply))).await
    }

    async fn eventually<T>(&self, look: impl Fn() -> Option<T>) -> T {
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(5)));
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "no answer");
            tick.tick().await;
        }
    }

    async fn call(&self, caller: &str, command: &str, options: &[(&str, Value)]) -> String {
        let id = self.start(caller, command, options);
        let answer = self.answer(id, |_| true).await;
        shown(&answer)
    }

    /// Presses a button of the answer to `id`; what the message says in the end.
    async fn press(&self, caller: &str, id: u64, button: &str) -> String {
        let question = self.answer(id, |reply| !buttons(reply).is_empty()).await;
        let custom_id = buttons(&question).into_iter().find(|custom| custom.starts_with(button)).unwrap();
        let press = self.discord.press(caller, id, &custom_id).unwrap();
        let ends = |reply: &SimMessage| buttons(reply).is_empty() && reply.content != "Asking the game …";
        let answer = self.answer(press, ends).await;
        shown(&answer)
    }

    /// A press that Discord's own client would not offer; waits until the bot has judged it.
    async fn forged_press(&self, user: u64, custom_id: &str) {
        let judged = || self.discord.stats().requested("POST /interactions/{id}/{token}/callback");
        let (before, user) = (judged(), json!({ "id": user.to_string(), "username": "Eve", "discriminator": "0000" }));
        let message = json!({
            "id": "7", "channel_id": CHANNEL.to_string(), "author": user, "content": "", "type": 0, "pinned": false,
            "timestamp": "2026-01-01T00:00:00.000000+00:00", "edited_timestamp": null, "tts": false, "embeds": [],
            "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [],
        });
        let member = json!({
            "user": user, "roles": [ADMINS.to_string()], "joined_at": null, "deaf": false, "mute": false, "flags": 0,
            "permissions": "8",
        });
        let press = json!({
            "id": "8", "application_id": "900", "type": 3, "data": { "custom_id": custom_id, "component_type": 2 },
            "guild_id": GUILD.to_string(), "channel_id": CHANNEL.to_string(), "member": member, "token": "forged",
            "version": 1, "message": message, "locale": "en-US", "entitlements": [],
            "authorizing_integration_owners": {}, "context": 0, "attachment_size_limit": 1,
        });
        serde_json::from_value::<serenity::all::Interaction>(press.clone()).expect("serenity reads it");
        self.discord.dispatch("INTERACTION_CREATE", &press);
        self.eventually(|| (judged() > before).then_some(())).await;
    }

    /// Calls a dangerous command and confirms it.
    async fn confirmed(&self, caller: &str, command: &str, options: &[(&str, Value)]) -> String {
        let id = self.start(caller, command, options);
        self.press(caller, id, "confirm").await
    }

    async fn choices(&self, caller: &str, command: &str, option: &str, typed: &str) -> Vec<String> {
        let given = json!([{ "name": option, "type": 3, "value": typed, "focused": true }]);
        let subcommand = json!([{ "name": command, "type": 1, "options": given }]);
        let id = self.discord.interact(CHANNEL, caller, "factorio", &subcommand).unwrap();
        let choices = self.eventually(|| self.discord.choices(id)).await;
        choices.as_array().unwrap().iter().map(|choice| choice["value"].as_str().unwrap().to_owned()).collect()
    }

    /// As after a restart, with these guilds in the configuration; it ends with what is returned.
    fn restarted(&self, guilds: &[u64]) -> DropGuard {
        let mut settings = self.settings.clone();
        settings.discord.guild_ids = guilds.to_vec();
        let commands = Commands::new(&settings, &[], self.store.clone(), self.health.clone()).unwrap();
        let (cancel, (_, none)) = (CancellationToken::new(), tokio::sync::mpsc::channel(1));
        tokio::spawn(commands.run(none, cancel.clone()));
        cancel.drop_guard()
    }

    /// Waits until the commands are registered in exactly these guilds.
    async fn registers(&self, guilds: &[u64]) {
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(5)));
        loop {
            let present = self.store.registrations(900).await.unwrap();
            if present.iter().map(|(guild, _)| *guild).eq(guilds.iter().copied()) {
                return;
            }
            assert!(Instant::now() < deadline, "{present:?}");
            tick.tick().await;
        }
    }

    /// What reached the game but for the questions of suggestions.
    fn sent(&self) -> Vec<String> {
        self.rcon.seen().commands
    }

    async fn audited(&self) -> Vec<String> {
        let entries = self.store.audit_entries(100).await.unwrap();
        let line = |entry: &factorio_isr::store::AuditEntry| {
            format!(
                "{} | {} | {} | {} | {}",
                entry.member_name, entry.command, entry.server, entry.outcome, entry.answer
            )
        };
        entries.iter().rev().map(line).collect()
    }
}

fn buttons(message: &SimMessage) -> Vec<String> {
    let rows = message.components.as_array().into_iter().flatten();
    let all = rows.flat_map(|row| row["components"].as_array().cloned().unwrap_or_default());
    all.map(|button| button["custom_id"].as_str().unwrap().to_owned()).collect()
}

/// A message as text: who sees it, what it says.
fn shown(message: &SimMessage) -> String {
    assert!(message.pinged.is_empty(), "{message:?}");
    let mut parts = vec![if message.flags & 64 == 0 { "public" } else { "private" }.to_owned()];
    for embed in message.embeds.as_array().into_iter().flatten() {
        parts.push(format!("[{}]", embed["title"].as_str().unwrap()));
        parts.push(embed["description"].as_str().unwrap_or_default().to_owned());
        for field in embed["fields"].as_array().into_iter().flatten() {
            parts.push(format!("<{}: {}>", field["name"].as_str().unwrap(), field["value"].as_str().unwrap()));
        }
        parts.extend(embed["footer"]["text"].as_str().map(|text| format!("({text})")));
    }
    parts.push(message.content.clone());
    parts.retain(|part| !part.is_empty());
    parts.join(" ").replace("```\n", "```").replace("\n```", "```")
}

fn player(name: &str) -> (&'static str, Value) {
    ("player", json!(name))
}

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
    assert_snapshot!(world.call("Ann", "help", &[("command", json!("kick"))]).await, @"public [/factorio kick] Throw a player out of the game <Level: `moderator`> <player: `The player's name`> <[reason]: `Why; the player sees it`>");
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
async fn without_a_mapping_those_who_manage_the_server_may() {
    let world = World::with(GENEROUS, "").await;
    world.discord.set_standing("Owner", &[], 1 << 5);
    assert!(world.call("Admin", "save", &[]).await.contains("is for the level"));
    assert_snapshot!(world.call("Owner", "save", &[]).await, @"public [Save] The game took it and said nothing, as it does when all is well. (Production)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_may_ask_for_another_level() {
    let levels = format!("{GENEROUS}\nlevels = {{ kick = \"admin\", save = \"everyone\" }}");
    let world = World::with(&levels, ROLES).await;
    assert!(world.call("Mod", "kick", &[player("Alice")]).await.contains("is for the level **admin**"));
    assert!(world.call("Ann", "save", &[]).await.starts_with("public [Save]"));
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
    world.rcon.stop();
    world.rcon.until(|seen| seen.open == 0).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_game_is_answered_later_to_the_caller_alone() {
    let world = World::new().await;
    world.rcon.set_fault(Fault::Slow(Duration::from_secs(4)));
    let id = world.start("Ann", "seed", &[]);
    let answer = world.answer(id, |_| true).await;
    assert!(shown(&answer).contains("1234567890"), "{answer:?}");
    let stats = world.discord.stats();
    assert_eq!(stats.requested("POST /interactions/{id}/{token}/callback"), 1, "deferred once");
    assert_eq!(stats.requested("PATCH /webhooks/{id}/{token}/messages/@original"), 1);
    assert!(world.discord.messages(CHANNEL).is_empty(), "nobody else sees it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_caller_can_press_and_only_once() {
    let world = World::new().await;
    let id = world.start("Admin", "ban", &[player("Alice")]);
    let question = world.answer(id, |_| true).await;
    assert_snapshot!(shown(&question), @"private `/factorio ban player:Alice` on `Production`: are you sure? The buttons work for 60 s.");
    let custom = buttons(&question);
    assert!(world.discord.press("Mod", id, &custom[0]).is_err(), "Discord shows it to the caller alone");
    world.forged_press(4242, &custom[0]).await;
    assert!(world.sent().is_empty(), "somebody else confirmed: {:?}", world.sent());
    assert_snapshot!(world.press("Admin", id, "confirm").await, @"private [Ban] ```Alice was banned by <server>. Reason: unspecified.``` (Production)");
    world.forged_press(question.interaction.as_ref().unwrap().user.id, &custom[0]).await;
    assert_eq!(world.sent(), ["/ban Alice"], "confirmed twice");
    let id = world.start("Admin", "demote", &[player("Alice")]);
    assert_snapshot!(world.press("Admin", id, "cancel").await, @"private Cancelled: nothing was done.");
    assert_eq!(world.sent(), ["/ban Alice"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_nobody_confirms_expires() {
    let world = World::with("confirm_within = \"5s\"\naction_limit = 1", ROLES).await;
    let id = world.start("Admin", "ban", &[player("Alice")]);
    let end = world.answer(id, |reply| buttons(reply).is_empty()).await;
    assert_snapshot!(shown(&end), @"private Not confirmed in time: nothing was done.");
    assert!(world.sent().is_empty());
    assert!(world.call("Admin", "save", &[]).await.starts_with("public"), "the call was given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_the_role_cannot_confirm_any_more() {
    let world = World::new().await;
    let id = world.start("Admin", "promote", &[player("Bob")]);
    world.answer(id, |_| true).await;
    world.discord.set_standing("Admin", &[], 0);
    assert_snapshot!(world.press("Admin", id, "confirm").await, @"private `/factorio promote` is for the level **admin** and above, which you do not have here.");
    assert!(world.sent().is_empty());
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
    assert_snapshot!(on.confirmed("Admin", "rcon", &command("/players count")).await, @"private [Console] ```Players (2)``` (Production)");
    assert_eq!(on.sent(), ["/players count"]);
}

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
    world.rcon.stop();
    world.rcon.until(|seen| seen.open == 0).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_registered_once_and_only_when_changed() {
    let world = World::new().await;
    let registered = world.discord.read(|state| state.commands().clone());
    let names: Vec<_> = registered.as_array().unwrap().iter().map(|command| command["name"].clone()).collect();
    assert_eq!(names, ["factorio", "online"]);
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
