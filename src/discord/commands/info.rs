//! Questions to the game. All are the game's own commands and keep achievements.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::game::GameView;
use crate::rcon::{
    Command, Evolution as Enemies, SurfaceName, parse_admins, parse_evolution, parse_players, parse_version,
};

use super::SlashCommand;
use super::desk::{Failure, Order, Server};
use super::options::{Kind, Names, OptionSpec};
use super::records::spoken;
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

/// Who is in a game by its log and a mod's file.
pub(super) fn online_by_log(view: &GameView) -> String {
    let names: Vec<&str> = view.players.iter().flatten().map(|player| player.name.as_str()).collect();
    match (view.headcount(), view.unnamed) {
        (None, _) => texts::players_unknown(),
        (Some(0), _) => "nobody".to_owned(),
        (Some(count), 0) => format!("{} ({count})", names.join(", ")),
        (Some(count), _) if names.is_empty() => format!("{count}, whose names are not known"),
        (Some(count), more) => format!("{} and {more} whose names are not known ({count})", names.join(", ")),
    }
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

    fn may_be_told_by_file(&self) -> bool {
        true
    }

    fn may_be_told_by_log(&self) -> bool {
        true
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let server = order.server()?;
        let (answer, names) = match online(order, server).await {
            Ok(told) => told,
            Err(failure) => return order.desk.told_by_log(server, failure).map(|view| status_by_log(&view)),
        };
        let players = match names {
            Some(names) => names.len().to_string(),
            None => order.desk.players_of_log(server).unwrap_or(answer),
        };
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

/// The same of a game that cannot be asked.
fn status_by_log(view: &GameView) -> Shown {
    let status = Shown::note("Status", texts::source_of(view)).field("Players online", &online_by_log(view));
    let age = view.age.map(spoken);
    let ups = view.ups.map(|ups| format!("{:.1} ± {:.1} of {:.0}", ups.shown(), ups.error, ups.target));
    let research = view.research.as_ref().map(|research| research.technology.clone());
    let fields = [("Age of the map", age), ("UPS", ups), ("Research", research)];
    let told = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let status = told.fold(status, |status, (name, value)| status.field(name, &value));
    view.evolution.iter().fold(status, |status, surface| {
        status.field(format!("Evolution{}", of_surface(surface)), &percent(surface.factor))
    })
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

    fn may_be_told_by_file(&self) -> bool {
        true
    }

    fn may_be_told_by_log(&self) -> bool {
        true
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let server = order.server()?;
        let (answer, names) = match online(order, server).await {
            Ok(told) => told,
            Err(failure) => {
                let view = order.desk.told_by_log(server, failure)?;
                return Ok(Shown::note("Players online", texts::source_of(&view)).field("Who", &online_by_log(&view)));
            }
        };
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

    fn may_be_told_by_file(&self) -> bool {
        true
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[SURFACE]
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        surface(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let wanted = surface(order)?;
        let answer = match order.ask(Command::Evolution { surface: wanted.clone() }).await {
            Ok(answer) => answer,
            Err(failure) => {
                let view = order.desk.told_by_file(order.server()?, failure)?;
                return Ok(evolution_by_file(&view, wanted.as_ref()));
            }
        };
        let Some(surfaces) = parse_evolution(&answer) else { return Ok(Shown::answer("Evolution", &answer)) };
        Ok(factors(Shown::note("Evolution", ""), surfaces.iter()))
    }
}

fn factors<'a>(shown: Shown, surfaces: impl Iterator<Item = &'a Enemies>) -> Shown {
    surfaces.fold(shown, |shown, enemies| {
        let Enemies { factor, time, pollution, spawner_kills, .. } = enemies;
        let by = format!(" (time {time} %, pollution {pollution} %, spawner kills {spawner_kills} %)");
        // Who tells no parts tells zeros.
        let by = if time + pollution + spawner_kills > 0 { by } else { String::new() };
        shown.field(format!("Factor{}", of_surface(enemies)), &format!("{}{by}", percent(*factor)))
    })
}

fn evolution_by_file(view: &GameView, wanted: Option<&SurfaceName>) -> Shown {
    let is_wanted = |one: &&Enemies| {
        let name = one.surface.as_deref().unwrap_or_default();
        wanted.is_none_or(|wanted| name.eq_ignore_ascii_case(wanted.as_str()))
    };
    let told: Vec<&Enemies> = view.evolution.iter().filter(is_wanted).collect();
    if told.is_empty() {
        return Shown::note("Evolution", texts::not_in_file());
    }
    factors(Shown::note("Evolution", texts::by_file()), told.into_iter())
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
