//! Commands about the program and its servers as a whole.

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::game::{GameLink, GameView};
use crate::health::Component;
use crate::rcon::LinkState;

use super::desk::{Failure, Order, Server};
use super::options::{Kind, Names, OptionSpec, server};
use super::records::spoken;
use super::view::Shown;
use super::{COMMANDS, Scope, SlashCommand, find, info, options_of, texts, typed};

/// The configured servers, and whether the game answers.
pub(super) struct Servers;

#[async_trait]
impl SlashCommand for Servers {
    fn name(&self) -> &'static str {
        "servers"
    }

    fn description(&self) -> &'static str {
        "The servers I know, and whether the game answers"
    }

    fn scope(&self) -> Scope {
        Scope::Program
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let line = |server: &Server| {
            format!("{} - {}: {}{}", server.tag, server.name, link(order, server), by_file(order, server))
        };
        let lines: Vec<String> = servers(order).map(line).collect();
        Ok(Shown::list(format!("Servers: {}", lines.len()), &lines))
    }
}

/// The server that is named, else all of them.
fn servers<'a>(order: &'a Order<'_>) -> impl Iterator<Item = &'a Server> {
    let named = |server: &&Server| order.server.is_none_or(|named| named.tag == server.tag);
    order.desk.servers.iter().filter(named)
}

fn link(order: &Order<'_>, server: &Server) -> &'static str {
    match server.rcon.as_ref().map(|rcon| rcon.link().borrow().clone()) {
        None => "no RCON",
        // A game that hangs takes logins.
        Some(LinkState::Up) if matches!(order.desk.view(server).link, GameLink::Silent(_)) => "not answering",
        Some(LinkState::Up) => "up",
        Some(LinkState::Connecting) => "connecting",
        Some(LinkState::Down(_)) => "down",
        Some(LinkState::Stopping) => "stopping",
    }
}

/// `, a mod's file tells: 3 players, 59 of 60 UPS`
fn by_file(order: &Order<'_>, server: &Server) -> String {
    let view = order.desk.view(server);
    if !view.files_tell {
        return String::new();
    }
    let players = view.headcount().map(|count| format!("{count} {}", if count == 1 { "player" } else { "players" }));
    let ups = view.ups.map(|ups| format!("{:.0} of {:.0} UPS", ups.shown(), ups.target));
    let told: Vec<String> = players.into_iter().chain(ups).collect();
    format!(", a mod's file tells: {}", if told.is_empty() { "it runs".to_owned() } else { told.join(", ") })
}

/// Chooses the server that commands without `server:` mean.
pub(super) struct Connect;

const SERVER: OptionSpec =
    OptionSpec::required("server", Kind::Name(32, Names::Servers), "The server your commands mean from now on");

#[async_trait]
impl SlashCommand for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    fn description(&self) -> &'static str {
        "Choose the server your commands mean from now on"
    }

    fn scope(&self) -> Scope {
        Scope::Server
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[SERVER]
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let server = order.server()?;
        order.desk.store.prefer_server(order.guild, order.caller.id, &server.tag).await.map_err(|error| {
            tracing::warn!(%error, "The server a member chose cannot be stored");
            Failure::Store
        })?;
        Ok(Shown::note("Connected", texts::connected(&server.name)))
    }
}

/// How the program's parts are. Reasons are the operator's, not the members'.
pub(super) struct Health;

#[async_trait]
impl SlashCommand for Health {
    fn name(&self) -> &'static str {
        "health"
    }

    fn description(&self) -> &'static str {
        "Whether I work: Discord, the logs, RCON"
    }

    fn scope(&self) -> Scope {
        Scope::Program
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let lines = match order.server {
            Some(server) => parts(order, server),
            None => components(order),
        };
        Ok(if lines.is_empty() {
            Shown::note("Health", texts::nothing_watched())
        } else {
            Shown::list("Health", &lines)
        })
    }
}

fn components(order: &Order<'_>) -> Vec<String> {
    let state = |component: Component| Some((component.as_str(), order.desk.health.state(component)?));
    let states = Component::ALL.into_iter().filter_map(state);
    states.map(|(name, state)| format!("{name}: {}", state.as_str())).collect()
}

/// What is watched of one server: its logs, its console.
fn parts(order: &Order<'_>, server: &Server) -> Vec<String> {
    let states = order.desk.health.snapshot();
    let of_server = |part: &str| Some(part.strip_prefix(server.tag.as_str())?.strip_prefix('/')?.to_owned());
    let parts = states.iter().filter_map(|((_, part), status)| Some((of_server(part)?, &status.state)));
    let source = order.desk.view(server).source.map(|source| format!("numbers of the game: {}", source.as_str()));
    parts.map(|(part, state)| format!("{part}: {}", state.as_str())).chain(source).collect()
}

/// What there is, and what of it works on a server.
pub(super) struct Help;

const COMMAND: OptionSpec =
    OptionSpec::optional("command", Kind::Name(32, Names::Commands), "One command; without it, all of them");

const HERE: OptionSpec = server("Also what works for you on this server");

#[async_trait]
impl SlashCommand for Help {
    fn name(&self) -> &'static str {
        "help"
    }

    fn description(&self) -> &'static str {
        "What I can do"
    }

    fn scope(&self) -> Scope {
        Scope::Program
    }

    fn options(&self) -> &'static [OptionSpec] {
        const OPTIONS: &[OptionSpec] = &[COMMAND, HERE];
        OPTIONS
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        asked_about(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let shown = match asked_about(order)? {
            Some(command) => about(command, order),
            None => Shown::list("Commands", &COMMANDS.map(|command| summary(command, order))),
        };
        let Some(server) = order.server else { return Ok(shown) };
        let (rcon, lua) = (server.rcon.is_some(), server.allow_lua);
        let shown = shown.field("Your level", order.desk.level_of(order.caller, Some(server)).as_str());
        Ok(shown
            .field("RCON", if rcon { "yes" } else { "no" })
            .field("Lua", if lua { "allowed" } else { "not allowed" }))
    }
}

fn asked_about(order: &Order<'_>) -> Result<Option<&'static dyn SlashCommand>, Failure> {
    let Some(name) = order.options.text("command") else { return Ok(None) };
    find(name).map(Some).ok_or_else(|| Failure::Input(texts::not_a_command(name)))
}

/// One line; with what keeps the command from working on the server that is named.
fn summary(command: &dyn SlashCommand, order: &Order<'_>) -> String {
    let line = format!("{} - {}", typed(command), command.description());
    let obstacle = order.server.and_then(|server| order.desk.obstacle(order.caller, command, server));
    obstacle.map_or(line.clone(), |obstacle| format!("{line} ({obstacle})"))
}

fn about(command: &dyn SlashCommand, order: &Order<'_>) -> Shown {
    let shown = Shown::note(typed(command), command.description());
    let shown = shown.field("Level", order.desk.level(command).as_str());
    let shown = options_of(command).fold(shown, |shown, option| shown.field(option.shown(), option.description));
    let Some(server) = order.server else { return shown };
    let obstacle = order.desk.obstacle(order.caller, command, server);
    shown.field("Works for you here", &obstacle.unwrap_or_else(texts::works))
}

/// Who plays, on all servers.
pub(super) struct Online;

#[async_trait]
impl SlashCommand for Online {
    fn name(&self) -> &'static str {
        "online"
    }

    fn description(&self) -> &'static str {
        "Who plays, on all servers"
    }

    fn scope(&self) -> Scope {
        Scope::Program
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let reports = join_all(servers(order).map(|server| report(order, server))).await;
        Ok(Shown::list("Online", &reports))
    }
}

/// A name, with the time the game itself has counted, where Lua tells it: `Ann (12 h 3 min on this save)`.
fn with_time(view: &GameView, name: &str) -> String {
    let time = view.online_time(name).map(|time| format!(" ({} on this save)", spoken(time)));
    format!("{name}{}", time.unwrap_or_default())
}

async fn report(order: &Order<'_>, server: &Server) -> String {
    let said = match info::online(order, server).await {
        Ok((_, Some(names))) if names.is_empty() => "nobody".to_owned(),
        Ok((_, Some(names))) => {
            let view = order.desk.view(server);
            let shown: Vec<String> = names.iter().map(|name| with_time(&view, name)).collect();
            format!("{} ({})", shown.join(", "), names.len())
        }
        Ok((answer, None)) => order.desk.players_of_log(server).unwrap_or(answer),
        Err(failure) => match order.desk.told_by_log(server, failure) {
            Ok(view) => info::online_by_log(&view),
            Err(failure) => failure.text(),
        },
    };
    format!("{}: {said}", server.name)
}
