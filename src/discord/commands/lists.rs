//! The whitelist, and the console itself.

use async_trait::async_trait;

use crate::config::settings::{CommandSettings, Level};
use crate::rcon::{Command, CommandLine, lua_command};

use super::SlashCommand;
use super::call::Options;
use super::desk::{Failure, Order};
use super::options::{Kind, Names, OptionSpec};
use super::texts;
use super::view::Shown;

/// `/whitelist`
pub(super) struct Whitelist;

const ACTIONS: &[&str] = &["list", "add", "remove", "enable", "disable"];
const ACTION: OptionSpec = OptionSpec::required("action", Kind::Choice(ACTIONS), "What to do");
const PLAYER: OptionSpec = OptionSpec::optional("player", Kind::Name(60, Names::Whitelist), "Whom to add or remove");

impl Whitelist {
    fn command(order: &Order<'_>) -> Result<Command, Failure> {
        Ok(match order.text("action")? {
            "list" => Command::WhitelistGet,
            "add" => Command::WhitelistAdd { player: order.player()? },
            "remove" => Command::WhitelistRemove { player: order.player()? },
            "enable" => Command::WhitelistEnable,
            "disable" => Command::WhitelistDisable,
            _ => return Err(Failure::Input(texts::one_of("action", ACTIONS))),
        })
    }
}

#[async_trait]
impl SlashCommand for Whitelist {
    fn name(&self) -> &'static str {
        "whitelist"
    }

    fn description(&self) -> &'static str {
        "Who may join: list, add, remove, switch on or off"
    }

    fn level(&self) -> Level {
        Level::Admin
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[ACTION, PLAYER]
    }

    fn is_dangerous(&self, options: &Options) -> bool {
        options.text("action") == Some("disable")
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        Self::command(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        Ok(Shown::answer("Whitelist", &order.ask(Self::command(order)?).await?))
    }
}

/// Any command of the console that the operator allows.
pub(super) struct Rcon;

const COMMAND: OptionSpec =
    OptionSpec::required("command", Kind::Text(1000), "As typed at the game's console, with its slash");

impl Rcon {
    fn line(order: &Order<'_>) -> Result<CommandLine, Failure> {
        let settings = &order.desk.settings;
        if Self.is_switched_off(settings) {
            return Err(Failure::Forbidden(texts::rcon_is_off()));
        }
        let line = CommandLine::parse(order.text("command")?)?;
        let allows = |allowed: &String| allowed == "*" || allowed.eq_ignore_ascii_case(line.verb());
        if !settings.rcon_allow.iter().any(allows) {
            let allowed: Vec<String> = settings.rcon_allow.iter().map(|word| format!("`{word}`")).collect();
            return Err(Failure::Forbidden(texts::rcon_not_allowed(line.verb(), &allowed.join(", "))));
        }
        if lua_command(line.as_str()).is_some() && !order.server()?.allow_lua {
            return Err(Failure::NeedsLua);
        }
        Ok(line)
    }
}

#[async_trait]
impl SlashCommand for Rcon {
    fn name(&self) -> &'static str {
        "rcon"
    }

    fn description(&self) -> &'static str {
        "Send a command to the game's console, where the operator allows it"
    }

    fn level(&self) -> Level {
        Level::Admin
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[COMMAND]
    }

    fn is_switched_off(&self, settings: &CommandSettings) -> bool {
        !settings.rcon
    }

    fn is_dangerous(&self, _: &Options) -> bool {
        true
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        Self::line(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        Ok(Shown::answer("Console", &order.ask(Self::line(order)?).await?))
    }
}
