//! What only Lua can do. It disables achievements on the save, so it works only where the operator allows it.

use async_trait::async_trait;

use crate::config::settings::Level;
use crate::rcon::{Command, CommandLine, SurfaceName, string_literal};

use super::SlashCommand;
use super::call::Options;
use super::desk::{Failure, Order};
use super::options::{Kind, Names, OptionSpec};
use super::texts;
use super::view::Shown;

/// Sends Lua. All foreign text in it must have gone through [`string_literal`].
async fn lua(order: &Order<'_>, title: &str, script: String) -> Result<Shown, Failure> {
    let line = CommandLine::parse(&format!("/sc {script}"))?;
    Ok(Shown::answer(title, &order.ask(line).await?))
}

/// The age of the map by `/time`; the time of day only by Lua.
pub(super) struct Clock;

const TIMES: &[&str] = &["noon", "evening", "midnight", "morning"];
const TIME: OptionSpec =
    OptionSpec::optional("value", Kind::Choice(TIMES), "Set the time of day (Lua); without it, the age of the map");

/// The time that is asked for as `LuaSurface.daytime` counts: 0 is noon, 0.5 midnight.
fn daytime(order: &Order<'_>) -> Result<Option<&'static str>, Failure> {
    Ok(Some(match order.options.text("value") {
        None => return Ok(None),
        Some("noon") => "0",
        Some("evening") => "0.25",
        Some("midnight") => "0.5",
        Some("morning") => "0.75",
        Some(_) => return Err(Failure::Input(texts::one_of("value", TIMES))),
    }))
}

#[async_trait]
impl SlashCommand for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn description(&self) -> &'static str {
        "The age of the map; setting the time of day needs Lua"
    }

    fn level(&self) -> Level {
        Level::Admin
    }

    fn options(&self) -> &'static [OptionSpec] {
        const OPTIONS: &[OptionSpec] = &[TIME, SURFACE];
        OPTIONS
    }

    fn needs_lua(&self, options: &Options) -> bool {
        options.text("value").is_some()
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        daytime(order)?;
        surface(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let Some(time) = daytime(order)? else {
            return Ok(Shown::answer("Age of the map", &order.ask(Command::Time).await?));
        };
        let surface = string_literal(&surface(order)?);
        let script = format!(
            "local s=game.surfaces[{surface}] if not s then rcon.print(\"Cannot find the surface.\") return end \
             s.daytime={time} rcon.print(s.name..\": \"..s.daytime)"
        );
        lua(order, "Time of day", script).await
    }
}

const SURFACE: OptionSpec =
    OptionSpec::optional("surface", Kind::Name(100, Names::Surfaces), "Which surface; nauvis by default");

fn surface(order: &Order<'_>) -> Result<String, Failure> {
    let surface = SurfaceName::new(order.options.text("surface").unwrap_or("nauvis"));
    Ok(surface.map_err(|error| Failure::Input(texts::not_understood(error)))?.as_str().to_lowercase())
}

/// `game.speed`
pub(super) struct Speed;

const SLOWEST: f64 = 0.1;
const FASTEST: f64 = 10.0;
const SPEED: OptionSpec = OptionSpec::optional(
    "value",
    Kind::Number(SLOWEST, FASTEST),
    "The new speed, 1 is normal; without it, the present one",
);

#[async_trait]
impl SlashCommand for Speed {
    fn name(&self) -> &'static str {
        "speed"
    }

    fn description(&self) -> &'static str {
        "The speed of the game (needs Lua)"
    }

    fn level(&self) -> Level {
        Level::Admin
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[SPEED]
    }

    fn is_dangerous(&self, options: &Options) -> bool {
        options.is_given("value")
    }

    fn needs_lua(&self, _: &Options) -> bool {
        true
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        match order.options.number("value") {
            Some(value) if (SLOWEST..=FASTEST).contains(&value) => Ok(()),
            None if !order.options.is_given("value") => Ok(()),
            _ => Err(Failure::Input(texts::out_of_range("value", SLOWEST, FASTEST))),
        }
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let script = match order.options.number("value") {
            Some(value) => format!("game.speed={value:.3} rcon.print(game.speed)"),
            None => "rcon.print(game.speed)".to_owned(),
        };
        lua(order, "Game speed", script).await
    }
}

/// The research of a force.
pub(super) struct Research;

const ACTIONS: &[&str] = &["status", "queue", "cancel", "complete"];
const ACTION: OptionSpec = OptionSpec::required("action", Kind::Choice(ACTIONS), "What to do (all of it needs Lua)");
const TECHNOLOGY: OptionSpec =
    OptionSpec::optional("technology", Kind::Name(100, Names::Technologies), "What to queue or to complete");
const FORCE: OptionSpec = OptionSpec::optional("force", Kind::Text(100), "Whose research; player by default");

impl Research {
    fn script(order: &Order<'_>) -> Result<String, Failure> {
        let force = SurfaceName::new(order.options.text("force").unwrap_or("player"));
        let force = force.map_err(|_| Failure::Input(texts::not_a_force()))?;
        let force = format!(
            "local f=game.forces[{}] if not f then rcon.print(\"Cannot find the force.\") return end ",
            string_literal(force.as_str())
        );
        let rest = match order.text("action")? {
            "status" => "local t=f.current_research \
                 rcon.print(t and t.name..\" \"..math.floor(f.research_progress*100)..\" %\" or \"Nothing.\")"
                .to_owned(),
            "queue" => with_technology(order, "rcon.print(f.add_research(t) and \"Queued.\" or \"Cannot queue it.\")")?,
            "cancel" => "f.cancel_current_research() rcon.print(\"Cancelled.\")".to_owned(),
            "complete" => with_technology(order, "t.researched=true rcon.print(\"Completed.\")")?,
            _ => return Err(Failure::Input(texts::one_of("action", ACTIONS))),
        };
        Ok(force + &rest)
    }
}

fn with_technology(order: &Order<'_>, then: &str) -> Result<String, Failure> {
    let name = order.text("technology")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.len() > 100 || !name.chars().all(allowed) {
        return Err(Failure::Input(texts::not_a_technology()));
    }
    let name = string_literal(name);
    Ok(format!(
        "local t=f.technologies[{name}] if not t then rcon.print(\"Cannot find the technology.\") return end {then}"
    ))
}

#[async_trait]
impl SlashCommand for Research {
    fn name(&self) -> &'static str {
        "research"
    }

    fn description(&self) -> &'static str {
        "The research of a force: status, queue, cancel, complete (needs Lua)"
    }

    fn level(&self) -> Level {
        Level::Admin
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[ACTION, TECHNOLOGY, FORCE]
    }

    fn is_dangerous(&self, options: &Options) -> bool {
        options.text("action") != Some("status")
    }

    fn needs_lua(&self, _: &Options) -> bool {
        true
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        Self::script(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        lua(order, "Research", Self::script(order)?).await
    }
}
