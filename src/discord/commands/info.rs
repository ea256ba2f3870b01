//! Questions to the game. All are the game's own commands and keep achievements.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::rcon::{
    Command, Evolution as Enemies, SurfaceName, parse_admins, parse_evolution, parse_players, parse_version,
};

use super::SlashCommand;
use super::desk::{Failure, Order, Server};
use super::options::{Kind, Names, OptionSpec};
use super::texts;
use super::view::Shown;

/// Who is in the game, in the game's order; `None` where its answer is not understood.
pub(super) async fn online(order: &Order<'_>, server: &Server) -> Result<(String, Option<Vec<String>>), Failure> {
    let answer = server.ask(Command::PlayersOnline).await?;
    let players = parse_players(&answer);
    let names: Option<Vec<String>> =
        players.map(|players| players.listed.into_iter().map(|player| player.name).collect());
    if let Some(names) = &names
        && let Err(error) = order.desk.store.know_players(&server.tag, names, Timestamp::now()).await
    {
        tracing::warn!(%error, "The names of players cannot be remembered");
    }
    Ok((answer, names))
}

/// `/players online`, `/time`, `/version` and `/evolution` at once.
pub(super) struct Status;

#[async_trait]
impl SlashCommand for Status {
    fn name(&self) -> &'static str {
        "status"
    }

    fn description(&self) -> &'static str {
        "How the game is: players, age of the map, version, evolution"
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let (answer, names) = online(order, order.server()?).await?;
        let players = names.map_or(answer, |names| names.len().to_string());
        let (age, version) = (order.ask(Command::Time).await?, order.ask(Command::Version).await?);
        let evolution = order.ask(Command::Evolution { surface: None }).await?;
        let status = Shown::note("Status", "").field("Players online", &players);
        let status = status.field("Age of the map", &age).field("Version", &version);
        let status = status.refused_by(&[&players, &age, &version, &evolution]);
        Ok(match parse_evolution(&evolution) {
            Some(surfaces) => surfaces.iter().fold(status, |status, surface| {
                status.field(format!("Evolution{}", of_surface(surface)), &percent(surface.factor))
            }),
            None => status.field("Evolution", &evolution),
        })
    }
}

/// The surface's name is the game's: it is cut down to what a heading may hold.
fn of_surface(enemies: &Enemies) -> String {
    let Some(surface) = &enemies.surface else { return String::new() };
    let plain: String = surface.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-')).take(100).collect();
    format!(" of {plain}")
}

fn percent(factor: f64) -> String {
    format!("{:.2} %", factor * 100.0)
}

/// `/players online`
pub(super) struct Players;

#[async_trait]
impl SlashCommand for Players {
    fn name(&self) -> &'static str {
        "players"
    }

    fn description(&self) -> &'static str {
        "Who is in the game"
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let (answer, names) = online(order, order.server()?).await?;
        Ok(match names {
            Some(names) if names.is_empty() => Shown::note("Players online", texts::nobody_online()),
            Some(names) => Shown::list(format!("Players online: {}", names.len()), &names),
            None => Shown::answer("Players online", &answer),
        })
    }
}

/// `/version`
pub(super) struct Version;

#[async_trait]
impl SlashCommand for Version {
    fn name(&self) -> &'static str {
        "version"
    }

    fn description(&self) -> &'static str {
        "The game's version"
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let answer = order.ask(Command::Version).await?;
        Ok(match parse_version(&answer) {
            Some(version) => Shown::note("Version", "").field("Factorio", version),
            None => Shown::answer("Version", &answer),
        })
    }
}

/// `/seed`
pub(super) struct Seed;

#[async_trait]
impl SlashCommand for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn description(&self) -> &'static str {
        "The map's seed"
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        Ok(Shown::answer("Seed", &order.ask(Command::Seed).await?))
    }
}

/// `/evolution`
pub(super) struct Evolution;

const SURFACE: OptionSpec =
    OptionSpec::optional("surface", Kind::Name(100, Names::Surfaces), "One surface; without it, all of them");

#[async_trait]
impl SlashCommand for Evolution {
    fn name(&self) -> &'static str {
        "evolution"
    }

    fn description(&self) -> &'static str {
        "How far the enemies have evolved, and by what"
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[SURFACE]
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        surface(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let answer = order.ask(Command::Evolution { surface: surface(order)? }).await?;
        let Some(surfaces) = parse_evolution(&answer) else { return Ok(Shown::answer("Evolution", &answer)) };
        Ok(surfaces.iter().fold(Shown::note("Evolution", ""), |shown, enemies| {
            let Enemies { factor, time, pollution, spawner_kills, .. } = enemies;
            let by = format!("time {time} %, pollution {pollution} %, spawner kills {spawner_kills} %");
            shown.field(format!("Factor{}", of_surface(enemies)), &format!("{} ({by})", percent(*factor)))
        }))
    }
}

fn surface(order: &Order<'_>) -> Result<Option<SurfaceName>, Failure> {
    let surface = order.options.text("surface").map(SurfaceName::new).transpose();
    surface.map_err(|error| Failure::Input(texts::not_understood(error)))
}

/// `/admins`
pub(super) struct Admins;

#[async_trait]
impl SlashCommand for Admins {
    fn name(&self) -> &'static str {
        "admins"
    }

    fn description(&self) -> &'static str {
        "The game's admins, and who of them is there"
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let answer = order.ask(Command::Admins).await?;
        let count = parse_admins(&answer).map(|admins| format!("Admins: {}", admins.len()));
        Ok(Shown::answer(count.unwrap_or_else(|| "Admins".to_owned()), &answer))
    }
}
