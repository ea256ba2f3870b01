//! Discord and the game, simulated, and everything between, real.

use std::sync::Arc;
use std::time::Duration;

use factorio_isr::config::{Environment, Settings, load};
use factorio_isr::discord::{Commands, Dispatches, GatewayTimings, run_gateway_with};
use factorio_isr::game::GameBoard;
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::rcon::{LinkState, RconClient, RconTarget, RconTimes, connect};
use factorio_isr::sim::discord::{RateLimits, SimChannel, SimDiscord, SimDiscordConfig, SimMessage};
use factorio_isr::sim::rcon::{Game, Player, SimRcon};
use factorio_isr::store::{AuditEntry, Store};
use factorio_isr::supervisor::Backoff;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const CHANNEL: u64 = 111;
pub const GUILD: u64 = 100;
pub const MODERATORS: u64 = 501;
pub const ADMINS: u64 = 502;
pub const DEADLINE: Duration = Duration::from_secs(30);
const ALONE: [&str; 5] = ["online", "player", "top", "history", "alerts"];
/// Room for tests that call often.
pub const GENEROUS: &str = "query_limit = 1000\naction_limit = 1000";
pub const ROLES: &str = "[permissions]\nmoderator = [501]\nadmin = [\"502\"]";

/// Everything, running.
pub struct World {
    pub discord: SimDiscord,
    pub rcon: SimRcon,
    pub board: GameBoard,
    pub store: Store,
    pub settings: Settings,
    pub health: HealthRegistry,
    links: Vec<RconClient>,
    /// Ends the program.
    pub stop: CancellationToken,
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

/// A game with players: Alice is in it and an admin, Bob is away, Carol may not chat, Griefer is banned.
pub fn game() -> Game {
    let mut game = Game::default();
    game.join("Alice");
    game.join("Bob");
    game.leave("Bob");
    game.players.insert("Carol".to_owned(), Player { muted: true, ..Player::default() });
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
    pub async fn new() -> Self {
        Self::with(GENEROUS, ROLES).await
    }

    pub async fn with(commands: &str, more: &str) -> Self {
        Self::with_channels(&[CHANNEL], commands, more).await
    }

    pub async fn with_channels(channels: &[u64], commands: &str, more: &str) -> Self {
        let channels = channels.iter().map(|id| SimChannel::new(*id, "factory")).collect();
        let limits = RateLimits::none();
        let simulated = SimDiscordConfig { channels, limits, ..SimDiscordConfig::default() };
        let discord = crate::discord_sim::start(simulated).await.unwrap();
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
        let mut links = Vec::new();
        for server in &settings.servers {
            let Some(given) = &server.rcon else { continue };
            let (client, actor) = connect(RconTarget::of(&server.tag, given), times, &health);
            tokio::spawn(actor.run(cancel.clone()));
            timeout(DEADLINE, client.link().wait_for(|link| *link == LinkState::Up)).await.unwrap().unwrap();
            links.push(client);
        }
        let mut dispatches = Dispatches::default();
        let events = dispatches.interactions();
        let board = GameBoard::new(settings.servers.iter().map(|server| server.tag.clone()));
        let commands = Commands::new(&settings, &links, board.clone(), store.clone(), health.clone()).unwrap();
        tokio::spawn(commands.run(events, cancel.clone()));
        let times = GatewayTimings::default();
        let part = health.component(Component::Discord);
        tokio::spawn(run_gateway_with(settings.discord.clone(), dispatches, part, cancel.clone(), times));
        let mut states = health.subscribe();
        let connected = || health.state(Component::Discord) == Some(ComponentState::Healthy);
        timeout(DEADLINE, states.wait_for(|_| connected())).await.unwrap().unwrap();
        let registered = discord.wait_for(DEADLINE, |state| state.commands() != &json!([])).await;
        assert!(registered, "the commands are registered");
        Self {
            discord,
            rcon,
            board,
            store,
            settings,
            health,
            links,
            stop: cancel.clone(),
            _running: cancel.drop_guard(),
            _dir: dir,
        }
    }

    /// The game stops, and the bot has noticed.
    pub async fn game_stops(&self) {
        self.rcon.stop();
        for client in &self.links {
            let mut link = client.link();
            let down = link.wait_for(|link| matches!(link, LinkState::Down(_)));
            timeout(DEADLINE, down).await.unwrap().unwrap();
        }
    }

    /// Calls a command; the interaction's id.
    pub fn start(&self, caller: &str, command: &str, options: &[(&str, Value)]) -> u64 {
        self.start_in(CHANNEL, caller, command, options)
    }

    fn start_in(&self, channel: u64, caller: &str, command: &str, options: &[(&str, Value)]) -> u64 {
        let given: Vec<Value> = options
            .iter()
            .map(
                |(name, value)| json!({ "name": name, "type": if value.is_number() { 10 } else { 3 }, "value": value }),
            )
            .collect();
        self.interact(channel, caller, command, &json!(given))
    }

    /// Calls a command that stands alone, or one below the group; the interaction's id.
    fn interact(&self, channel: u64, caller: &str, command: &str, given: &Value) -> u64 {
        if ALONE.contains(&command) {
            return self.discord.interact(channel, caller, command, given).unwrap();
        }
        let subcommand = json!([{ "name": command, "type": 1, "options": given }]);
        self.discord.interact(channel, caller, "factorio", &subcommand).unwrap()
    }

    /// What an interaction is answered with, as soon as it suits.
    pub async fn answer(&self, id: u64, suits: impl Fn(&SimMessage) -> bool) -> Arc<SimMessage> {
        self.eventually(|| self.discord.interaction_reply(id).filter(|reply| suits(reply))).await
    }

    /// What `look` finds, as soon as it finds something.
    pub async fn eventually<T>(&self, look: impl Fn() -> Option<T>) -> T {
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(5)));
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "no answer");
            tick.tick().await;
        }
    }

    /// Calls a command; the answer as text.
    pub async fn call(&self, caller: &str, command: &str, options: &[(&str, Value)]) -> String {
        self.call_in(CHANNEL, caller, command, options).await
    }

    /// The same in another channel.
    pub async fn call_in(&self, channel: u64, caller: &str, command: &str, options: &[(&str, Value)]) -> String {
        let id = self.start_in(channel, caller, command, options);
        let answer = self.answer(id, |_| true).await;
        shown(&answer)
    }

    /// Presses a button of the answer to `id`; the press.
    pub async fn press_only(&self, caller: &str, id: u64, button: &str) -> u64 {
        let question = self.answer(id, |reply| !buttons(reply).is_empty()).await;
        let custom_id = buttons(&question).into_iter().find(|custom| custom.starts_with(button)).unwrap();
        self.discord.press(caller, id, &custom_id).unwrap()
    }

    /// Presses a button of the answer to `id`; what the message says in the end.
    pub async fn press(&self, caller: &str, id: u64, button: &str) -> String {
        let press = self.press_only(caller, id, button).await;
        let ends = |reply: &SimMessage| buttons(reply).is_empty() && reply.content != "Asking the game …";
        let answer = self.answer(press, ends).await;
        shown(&answer)
    }

    /// A press that Discord's own client would not offer; waits until the bot has judged it.
    pub async fn forged_press(&self, user: u64, custom_id: &str) {
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
    pub async fn confirmed(&self, caller: &str, command: &str, options: &[(&str, Value)]) -> String {
        let id = self.start(caller, command, options);
        self.press(caller, id, "confirm").await
    }

    /// What is suggested for an option while it is typed.
    pub async fn choices(&self, caller: &str, command: &str, option: &str, typed: &str) -> Vec<String> {
        self.choices_with(caller, command, &[], (option, typed)).await
    }

    /// What is suggested for an option while it is typed behind `given`.
    pub async fn choices_with(
        &self,
        caller: &str,
        command: &str,
        given: &[(&str, &str)],
        (option, typed): (&str, &str),
    ) -> Vec<String> {
        let given = given.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value }));
        let focused = json!({ "name": option, "type": 3, "value": typed, "focused": true });
        let options: Vec<Value> = given.chain([focused]).collect();
        let id = self.interact(CHANNEL, caller, command, &json!(options));
        let choices = self.eventually(|| self.discord.choices(id)).await;
        choices.as_array().unwrap().iter().map(|choice| choice["value"].as_str().unwrap().to_owned()).collect()
    }

    /// As after a restart, with these guilds in the configuration; it ends with what is returned.
    pub fn restarted(&self, guilds: &[u64]) -> DropGuard {
        let mut settings = self.settings.clone();
        settings.discord.guild_ids = guilds.to_vec();
        let commands = Commands::new(&settings, &[], self.board.clone(), self.store.clone(), self.health.clone());
        let commands = commands.unwrap();
        let (cancel, (_, none)) = (CancellationToken::new(), tokio::sync::mpsc::channel(1));
        tokio::spawn(commands.run(none, cancel.clone()));
        cancel.drop_guard()
    }

    /// Waits until the commands are registered in exactly these guilds.
    pub async fn registers(&self, guilds: &[u64]) {
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
    pub fn sent(&self) -> Vec<String> {
        self.rcon.seen().commands
    }

    /// Waits until the audit, the oldest entry first, suits.
    pub async fn audit_becomes(&self, suits: impl Fn(&[AuditEntry]) -> bool) {
        let (deadline, mut tick) = (Instant::now() + DEADLINE, interval(Duration::from_millis(5)));
        loop {
            let mut entries = self.store.audit_entries(100).await.unwrap();
            entries.reverse();
            if suits(&entries) {
                return;
            }
            assert!(Instant::now() < deadline, "{entries:?}");
            tick.tick().await;
        }
    }

    /// The audit, the oldest entry first.
    pub async fn audited(&self) -> Vec<String> {
        let entries = self.store.audit_entries(100).await.unwrap();
        let line = |entry: &AuditEntry| {
            format!(
                "{} | {} | {} | {} | {}",
                entry.member_name, entry.command, entry.server, entry.outcome, entry.answer
            )
        };
        entries.iter().rev().map(line).collect()
    }
}

pub fn buttons(message: &SimMessage) -> Vec<String> {
    let rows = message.components.as_array().into_iter().flatten();
    let all = rows.flat_map(|row| row["components"].as_array().cloned().unwrap_or_default());
    all.map(|button| button["custom_id"].as_str().unwrap().to_owned()).collect()
}

/// A message as text: who sees it, what it says.
pub fn shown(message: &SimMessage) -> String {
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

pub fn player(name: &str) -> (&'static str, Value) {
    ("player", json!(name))
}
