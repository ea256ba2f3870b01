//! Commands about the program and its servers as a whole.

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::health::Component;
use crate::rcon::LinkState;

use super::desk::{Failure, Order, Server};
use super::options::{Kind, Names, OptionSpec};
use super::view::Shown;
use super::{COMMANDS, Scope, SlashCommand, find, info, texts, typed};

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
        let line = |server: &Server| format!("{} - {}: {}", server.tag, server.name, link(server));
        let lines: Vec<String> = order.desk.servers.iter().map(line).collect();
        Ok(Shown::list(format!("Servers: {}", lines.len()), &lines))
    }
}

fn link(server: &Server) -> &'static str {
    match server.rcon.as_ref().map(|rcon| rcon.link().borrow().clone()) {
        None => "no RCON",
        Some(LinkState::Up) => "up",
        Some(LinkState::Connecting) => "connecting",
        Some(LinkState::Down(_)) => "down",
        Some(LinkState::Stopping) => "stopping",
    }
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
        let state = |component: Component| Some((component.as_str(), order.desk.health.state(component)?));
        let lines =
            Component::ALL.into_iter().filter_map(state).map(|(name, state)| format!("{name}: {}", state.as_str()));
        Ok(Shown::list("Health", &lines.collect::<Vec<_>>()))
    }
}

/// What there is.
pub(super) struct Help;

const COMMAND: OptionSpec =
    OptionSpec::optional("command", Kind::Name(32, Names::Commands), "One command; without it, all of them");

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
        &[COMMAND]
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        if let Some(name) = order.options.text("command") {
            let command = find(name).ok_or_else(|| Failure::Input(texts::unknown_command()))?;
            return Ok(about(command, order));
        }
        let line = |command: &dyn SlashCommand| format!("{} - {}", typed(command), command.description());
        let lines: Vec<String> = COMMANDS.into_iter().map(line).collect();
        Ok(Shown::list("Commands", &lines))
    }
}

fn about(command: &dyn SlashCommand, order: &Order<'_>) -> Shown {
    let shown = Shown::note(typed(command), command.description());
    let shown = shown.field("Level", order.desk.level(command).as_str());
    command.options().iter().fold(shown, |shown, option| shown.field(option.shown(), option.description))
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
        let reports = join_all(order.desk.servers.iter().map(|server| report(order, server))).await;
        Ok(Shown::list("Online", &reports))
    }
}

async fn report(order: &Order<'_>, server: &Server) -> String {
    let said = match info::online(order, server).await {
        Ok((_, Some(names))) if names.is_empty() => "nobody".to_owned(),
        Ok((_, Some(names))) => format!("{} ({})", names.join(", "), names.len()),
        Ok((answer, None)) => answer,
        Err(Failure::NoRcon(_)) => "no RCON".to_owned(),
        Err(failure) => failure.text(),
    };
    format!("{}: {said}", server.name)
}
