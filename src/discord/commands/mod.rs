//! The slash commands: one list from which registration, help, permissions, suggestions, metrics and documentation
//! derive. To add a command, write a unit struct in its family and add a line to [`COMMANDS`].

mod actions;
mod alerts;
mod call;
mod confirm;
mod desk;
mod docs;
mod history;
mod info;
mod lists;
mod lua;
mod options;
mod program;
mod rate;
mod records;
mod registration;
mod service;
mod suggest;
mod technologies;
mod texts;
mod view;

use async_trait::async_trait;

use crate::config::settings::{CommandSettings, Level};

use call::Options;
use desk::{Failure, Order};
use options::{ONLY_SERVER, OptionSpec, SERVER};
use view::Shown;

pub use docs::table;
pub use service::Commands;

/// The command all others are below.
const GROUP: &str = "factorio";

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// One game: the server is resolved first, and must have RCON.
    Game,
    /// One configured server, with RCON or without.
    Server,
    /// The program as a whole, or its part in the one server that is named.
    Program,
}

/// A slash command.
#[async_trait]
trait SlashCommand: Send + Sync {
    /// Its name, unique; also its metrics label and its key in `[commands.levels]`.
    fn name(&self) -> &'static str;

    /// One line, at most 100 characters.
    fn description(&self) -> &'static str;

    /// Who may use it, unless the configuration says otherwise.
    fn level(&self) -> Level {
        Level::Everyone
    }

    /// Who may use it with these options, where some of them are for fewer.
    fn level_of(&self, _: &Options) -> Level {
        self.level()
    }

    /// What it is about.
    fn scope(&self) -> Scope {
        Scope::Game
    }

    /// Its options; the required ones first. `server` is added to those that have none of their own.
    fn options(&self) -> &'static [OptionSpec] {
        &[]
    }

    /// Whether the operator has not switched it on.
    fn is_switched_off(&self, _: &CommandSettings) -> bool {
        false
    }

    /// Whether it asks back before it acts.
    fn is_dangerous(&self, _: &Options) -> bool {
        false
    }

    /// Whether its answer, as what was typed, is for the caller alone, whatever becomes of it.
    fn is_private(&self) -> bool {
        false
    }

    /// Whether a mod's file tells it, too, where the game cannot be asked.
    fn may_be_told_by_file(&self) -> bool {
        false
    }

    /// Whether the log answers it, too, where the server has no RCON.
    fn may_be_told_by_log(&self) -> bool {
        false
    }

    /// Whether only Lua can do it, which disables achievements.
    fn needs_lua(&self, _: &Options) -> bool {
        false
    }

    /// Whether it asks back at least sometimes.
    fn may_ask_back(&self) -> bool {
        self.is_dangerous(&Options::default()) || self.is_dangerous(&Options::fullest())
    }

    /// Whether it needs Lua at least sometimes.
    fn may_need_lua(&self) -> bool {
        self.needs_lua(&Options::default()) || self.needs_lua(&Options::fullest())
    }

    /// Checks what was typed, before anything is spent, asked or sent.
    fn check(&self, _: &Order<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// Does it.
    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure>;
}

/// Every slash command. Those of [`ALONE`] are beside the group, which has room for 25.
static COMMANDS: [&dyn SlashCommand; 30] = [
    &program::Servers,
    &program::Connect,
    &info::Status,
    &info::Players,
    &info::Version,
    &info::Seed,
    &info::Evolution,
    &info::Admins,
    &program::Health,
    &actions::Kick,
    &actions::Ban,
    &actions::Unban,
    &actions::Mute,
    &actions::Unmute,
    &actions::Promote,
    &actions::Demote,
    &lists::Whitelist,
    &actions::Save,
    &actions::Broadcast,
    &actions::Whisper,
    &lua::Clock,
    &lua::Speed,
    &lua::Research,
    &lists::Rcon,
    &program::Help,
    &program::Online,
    &records::Player,
    &records::Top,
    &history::History,
    &alerts::Alerts,
];

/// The commands that are not below the group.
const ALONE: [&str; 5] = ["online", "player", "top", "history", "alerts"];

fn find(name: &str) -> Option<&'static dyn SlashCommand> {
    COMMANDS.into_iter().find(|command| command.name() == name)
}

/// All its options, `server` among them.
fn options_of(command: &dyn SlashCommand) -> impl Iterator<Item = &'static OptionSpec> {
    const BY_SCOPE: [&OptionSpec; 2] = [&SERVER, &ONLY_SERVER];
    let own = command.options();
    let named = own.iter().any(|option| option.name == SERVER.name);
    let added = BY_SCOPE[usize::from(command.scope() == Scope::Program)];
    own.iter().chain((!named).then_some(added))
}

/// As people type it: `/factorio kick`, `/online`.
fn typed(command: &dyn SlashCommand) -> String {
    let name = command.name();
    if ALONE.contains(&name) { format!("/{name}") } else { format!("/{GROUP} {name}") }
}

#[cfg(test)]
mod catalogue;
