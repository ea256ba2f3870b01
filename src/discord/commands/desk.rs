//! What commands work with: the servers, the store, the health of the program.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::Settings;
use crate::config::settings::{AlertSettings, CommandSettings, EmojiStyle, Level, PermissionSettings, ServerSettings};
use crate::domain::{ChannelId, Route, ServerTag};
use crate::game::{GameBoard, GameView};
use crate::health::HealthRegistry;
use crate::rcon::{CommandLine, LinkState, PlayerName, Priority, RconClient, RconError};
use crate::store::Store;

use super::super::inbound::clean::{self, Names};
use super::super::permissions::{Caller, level_of};
use super::call::{Options, Origin};
use super::info::online_by_log;
use super::suggest::Cache;
use super::{Scope, SlashCommand, texts};

/// How long a save may hold up its answer, and a command that waits behind one.
const PATIENCE: Duration = Duration::from_secs(30);

/// A configured server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) tag: ServerTag,
    pub(super) name: String,
    pub(super) timezone: TimeZone,
    pub(super) rcon: Option<RconClient>,
    pub(super) allow_lua: bool,
    pub(super) audit: Option<ChannelId>,
    pub(super) alerts: AlertSettings,
    /// Every channel that something of it goes to, or that shows how it is.
    speaks_in: BTreeSet<u64>,
    permissions: PermissionSettings,
}

impl Server {
    /// The game's words.
    pub(super) async fn ask(&self, command: impl Into<CommandLine>) -> Result<String, Failure> {
        let rcon = self.rcon.as_ref().ok_or_else(|| Failure::NoRcon(self.name.clone()))?;
        let reply = rcon.command(Priority::Person, command, Some(PATIENCE)).await.map_err(Failure::Rcon)?;
        Ok(reply.text)
    }

    /// Whether it is not known if the game can answer: then the answer may take long.
    pub(super) fn is_connecting(&self) -> bool {
        self.rcon.as_ref().is_some_and(|rcon| *rcon.link().borrow() == LinkState::Connecting)
    }
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// What was typed cannot be used, for this reason.
    Input(String),
    /// The operator has switched it off, or not allowed it.
    Forbidden(String),
    /// The server of this name has no RCON.
    NoRcon(String),
    /// Only Lua could.
    NeedsLua,
    /// RCON failed.
    Rcon(RconError),
    /// The database failed to write.
    Store,
    /// The member called too often, and may again after this long.
    TooOften(Duration),
    /// The member was asked, and thought better of it.
    Cancelled,
    /// The member was asked, and did not answer in time.
    Expired,
    /// The database failed to read the players' records.
    Records,
    /// Something of our own failed, in these words.
    Internal(String),
}

impl From<RconError> for Failure {
    fn from(error: RconError) -> Self {
        match error {
            RconError::LuaNotAllowed { .. } => Self::NeedsLua,
            RconError::EmptyCommand | RconError::TooLong { .. } | RconError::NotOneLine => {
                Self::Input(error.public_message())
            }
            other => Self::Rcon(other),
        }
    }
}

impl Failure {
    /// What the caller is told.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Input(text) | Self::Forbidden(text) | Self::Internal(text) => text.clone(),
            Self::NoRcon(server) => texts::no_rcon(server),
            Self::NeedsLua | Self::Rcon(RconError::LuaNotAllowed { .. }) => texts::needs_lua(),
            Self::Rcon(error) => error.public_message(),
            Self::Store => texts::not_remembered(),
            Self::TooOften(wait) => texts::too_often(*wait),
            Self::Cancelled => texts::cancelled(),
            Self::Expired => texts::expired(),
            Self::Records => texts::no_records(),
        }
    }

    /// For the audit and for metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Input(_) => "bad_input",
            Self::Forbidden(_) | Self::NeedsLua => "denied",
            Self::Rcon(error) if error.may_have_run() => "unknown",
            Self::NoRcon(_) | Self::Rcon(_) | Self::Store | Self::Records | Self::Internal(_) => "failed",
            Self::TooOften(_) => "rate_limited",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether it may have had its effect all the same.
    pub(super) fn may_have_run(&self) -> bool {
        matches!(self, Self::Rcon(error) if error.may_have_run())
    }
}

/// Everything commands need.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) servers: Vec<Server>,
    pub(super) settings: CommandSettings,
    pub(super) board: GameBoard,
    pub(super) store: Store,
    pub(super) health: HealthRegistry,
    pub(super) suggestions: Cache,
    /// `chat.emoji`
    pub(super) emoji: EmojiStyle,
    permissions: PermissionSettings,
}

impl Desk {
    pub(super) fn new(
        settings: &Settings,
        rcon: &[RconClient],
        board: GameBoard,
        store: Store,
        health: HealthRegistry,
    ) -> Self {
        let servers = settings.servers.iter().map(|server| Server {
            tag: server.tag.clone(),
            name: server.name.clone(),
            timezone: server.timezone.clone(),
            rcon: rcon.iter().find(|client| *client.server() == server.tag).cloned(),
            allow_lua: server.rcon.as_ref().is_some_and(|rcon| rcon.allow_lua),
            audit: server.channels.routes.get(&Route::Audit).copied(),
            alerts: server.alerts.clone(),
            speaks_in: channels_of(settings, server),
            permissions: server.permissions.clone(),
        });
        Self {
            servers: servers.collect(),
            settings: settings.commands.clone(),
            permissions: settings.permissions.clone(),
            board,
            store,
            health,
            suggestions: Cache::default(),
            emoji: settings.chat.emoji,
        }
    }

    /// How a game is as far as is known.
    pub(super) fn view(&self, server: &Server) -> GameView {
        self.board.view(&server.tag).unwrap_or_default()
    }

    /// Whether `command` has an answer for a server that has no RCON, from its log or a mod's file.
    pub(super) fn works_without_rcon(&self, command: &dyn SlashCommand, server: &Server) -> bool {
        command.may_be_told_by_log() || (command.may_be_told_by_file() && self.view(server).files_tell)
    }

    /// What the log and a mod's file show of a game that did not answer for this reason. A game that has RCON is asked
    /// instead: where it fails and no file is newer, the answer is the reason.
    pub(super) fn told_by_log(&self, server: &Server, failure: Failure) -> Result<GameView, Failure> {
        if matches!(failure, Failure::NoRcon(_)) { Ok(self.view(server)) } else { self.told_by_file(server, failure) }
    }

    /// What a mod's file tells of a game that did not answer for this reason; the reason where it tells nothing.
    pub(super) fn told_by_file(&self, server: &Server, failure: Failure) -> Result<GameView, Failure> {
        let unanswered = matches!(failure, Failure::NoRcon(_) | Failure::Rcon(_));
        Some(self.view(server)).filter(|view| unanswered && view.files_tell).ok_or(failure)
    }

    /// Who is in a game that answers in words that cannot be read, by its log; `None` where that does not tell.
    pub(super) fn players_of_log(&self, server: &Server) -> Option<String> {
        let view = self.view(server);
        view.players.is_some().then(|| online_by_log(&view))
    }

    pub(super) fn server(&self, tag: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.tag.as_str() == tag)
    }

    /// The tags, as a sentence lists them.
    pub(super) fn tags(&self) -> String {
        self.servers.iter().map(|server| format!("`{}`", server.tag)).collect::<Vec<_>>().join(", ")
    }

    /// The level a command asks for.
    pub(super) fn level(&self, command: &dyn SlashCommand) -> Level {
        self.settings.levels.get(command.name()).copied().unwrap_or_else(|| command.level())
    }

    /// The level a command asks for with these options.
    pub(super) fn level_with(&self, command: &dyn SlashCommand, options: &Options) -> Level {
        if command.level_of(options) > command.level() {
            return self.level(command).max(command.level_of(options));
        }
        self.level(command)
    }

    /// Whether `caller` has `level`, on `server` where the command is about one.
    pub(super) fn permits(&self, caller: &Caller, level: Level, server: Option<&Server>) -> bool {
        self.level_of(caller, server) >= level
    }

    /// The level of `caller`, on `server` where there is one.
    pub(super) fn level_of(&self, caller: &Caller, server: Option<&Server>) -> Level {
        let here = server.map(|server| &server.permissions);
        let lists: Vec<_> = [Some(&self.permissions), here].into_iter().flatten().collect();
        level_of(caller, &lists)
    }

    /// What keeps `command` from working for `caller` on `server`, if anything does.
    pub(super) fn obstacle(&self, caller: &Caller, command: &dyn SlashCommand, server: &Server) -> Option<String> {
        if !self.permits(caller, self.level(command), Some(server)) {
            return Some(texts::for_level(self.level(command)));
        }
        if command.is_switched_off(&self.settings) {
            return Some(texts::switched_off());
        }
        match command.scope() {
            Scope::Program | Scope::Server => None,
            Scope::Game if server.rcon.is_none() && self.works_without_rcon(command, server) => None,
            Scope::Game if server.rcon.is_none() => Some(texts::without_rcon()),
            Scope::Game if server.allow_lua || !command.may_need_lua() => None,
            Scope::Game if command.needs_lua(&Options::default()) => Some(texts::without_lua()),
            Scope::Game => Some(texts::partly_without_lua()),
        }
    }

    /// The server that is named.
    pub(super) fn named(&self, tag: &str) -> Result<&Server, Failure> {
        self.server(tag).ok_or_else(|| Failure::Input(texts::unknown_server(tag, &self.tags())))
    }

    /// The server of which all is that goes to `channel`, where it is one's alone.
    fn server_of_channel(&self, channel: u64) -> Option<&Server> {
        let mut here = self.servers.iter().filter(|server| server.speaks_in.contains(&channel));
        here.next().filter(|_| here.next().is_none())
    }

    /// The server meant: the one named, else the caller's last choice, else the one whose channel it is, else the
    /// default or only one.
    pub(super) async fn resolve(&self, origin: &Origin, named: Option<&str>) -> Result<&Server, Failure> {
        if let Some(tag) = named {
            return self.named(tag);
        }
        let chosen = self.store.preferred_server(origin.guild, origin.caller.id).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "The server a member chose cannot be read");
            None
        });
        let only = || if let [only] = &self.servers[..] { Some(only) } else { None };
        let chosen = chosen.and_then(|tag| self.server(tag.as_str()));
        let here = || self.server_of_channel(origin.channel);
        let default = || self.settings.default_server.as_ref().and_then(|tag| self.server(tag.as_str()));
        chosen
            .or_else(here)
            .or_else(default)
            .or_else(only)
            .ok_or_else(|| Failure::Input(texts::which_server(&self.tags())))
    }
}

fn channels_of(settings: &Settings, server: &ServerSettings) -> BTreeSet<u64> {
    let routes = server.channels.routes.values().chain([&server.channels.default]).copied();
    let shown = [&settings.status.messages, &settings.status.topics].into_iter().filter_map(|all| all.get(&server.tag));
    routes.chain(shown.copied()).chain([server.alert_channel()]).map(ChannelId::get).collect()
}

/// One command to be done.
pub(super) struct Order<'a> {
    pub(super) desk: &'a Desk,
    /// Absent where the command is about none.
    pub(super) server: Option<&'a Server>,
    pub(super) options: &'a Options,
    pub(super) guild: u64,
    pub(super) caller: &'a Caller,
    /// What the ids in texts for players are called; empty until the command is carried out.
    pub(super) names: &'a Names,
}

impl Order<'_> {
    pub(super) fn server(&self) -> Result<&Server, Failure> {
        self.server.ok_or_else(|| Failure::Input(texts::which_server(&self.desk.tags())))
    }

    pub(super) async fn ask(&self, command: impl Into<CommandLine>) -> Result<String, Failure> {
        self.server()?.ask(command).await
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.options.text(name).ok_or_else(|| Failure::Input(texts::missing_option(name)))
    }

    /// A text that players will read, cleaned as chat from Discord is; `None` where nothing is left of it.
    pub(super) fn for_players(&self, name: &str) -> Option<String> {
        let lines = clean::lines(self.options.text(name)?, self.names, self.desk.emoji);
        Some(lines.join(" ")).filter(|text| !text.is_empty())
    }

    pub(super) fn player(&self) -> Result<PlayerName, Failure> {
        PlayerName::new(self.text("player")?).map_err(|error| Failure::Input(texts::not_understood(error)))
    }
}
