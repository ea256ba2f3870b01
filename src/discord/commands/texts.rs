//! Every sentence the slash commands say of their own, in one place. None names addresses, files or secrets.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::settings::Level;
use crate::game::GameView;

use super::view::code;

pub(super) fn unknown_command() -> String {
    "I do not know this command any more. Discord shows the new ones in a moment.".to_owned()
}

pub(super) fn not_a_command(name: &str) -> String {
    format!("There is no command {}. `/factorio help` lists all.", code(name))
}

pub(super) fn not_here() -> String {
    "I answer only in the Discord servers I am set up for.".to_owned()
}

pub(super) fn unknown_server(tag: &str, known: &str) -> String {
    format!("There is no server {}. There are: {known}.", code(tag))
}

pub(super) fn which_server(known: &str) -> String {
    format!("Which server? Add `server:`, or choose one with `/factorio connect`. There are: {known}.")
}

pub(super) fn denied(command: &str, level: Level) -> String {
    format!("`{command}` is for the level **{}** and above, which you do not have here.", level.as_str())
}

pub(super) fn for_level(level: Level) -> String {
    format!("for the level {} and above", level.as_str())
}

pub(super) fn switched_off() -> String {
    "switched off".to_owned()
}

pub(super) fn without_rcon() -> String {
    "no RCON".to_owned()
}

pub(super) fn without_lua() -> String {
    "Lua is not allowed".to_owned()
}

pub(super) fn partly_without_lua() -> String {
    "in part, as Lua is not allowed".to_owned()
}

pub(super) fn works() -> String {
    "yes".to_owned()
}

pub(super) fn nothing_watched() -> String {
    "There is nothing of this server that I watch.".to_owned()
}

pub(super) fn too_often(wait: Duration) -> String {
    format!("That was too often. Try again in {} s.", wait.as_secs().max(1))
}

pub(super) fn no_rcon(server: &str) -> String {
    format!("{} has no RCON in my configuration, so I cannot ask the game.", code(server))
}

pub(super) fn players_unknown() -> String {
    "not known yet: the log has shown no join or leave so far".to_owned()
}

/// Where the answer of a game that cannot be asked is from.
pub(super) fn source_of(view: &GameView) -> String {
    if view.files_tell { by_file() } else { "This server has no RCON. This is what its log shows.".to_owned() }
}

pub(super) fn by_file() -> String {
    "The game cannot be asked now. This is what a mod's file and the log tell.".to_owned()
}

pub(super) fn not_in_file() -> String {
    "The game cannot be asked now, and the mod's file does not tell this.".to_owned()
}

pub(super) fn needs_lua() -> String {
    "Only Lua can do this, and Lua disables achievements on the save for ever. It is not allowed for this server. \
     Its operator allows it with `allow_lua = true` in the server's table `rcon`."
        .to_owned()
}

pub(super) fn rcon_is_off() -> String {
    "`/factorio rcon` is switched off. The operator switches it on with `commands.rcon = true` and lists the allowed \
     commands in `commands.rcon_allow`."
        .to_owned()
}

pub(super) fn rcon_not_allowed(verb: &str, allowed: &str) -> String {
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.to_owned() };
    format!("{} is not among the allowed commands: {allowed}.", code(verb))
}

pub(super) fn missing_option(name: &str) -> String {
    format!("The option `{name}` is missing.")
}

pub(super) fn one_of(name: &str, values: &[&str]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    format!("`{name}` is one of {}.", values.join(", "))
}

pub(super) fn not_understood(what: impl std::fmt::Display) -> String {
    let what = what.to_string();
    let mut letters = what.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

pub(super) fn by_moderator(name: &str) -> String {
    format!("by {name} (Discord)")
}

pub(super) fn not_a_technology() -> String {
    "That is no technology: use at most 100 letters, digits, `_` or `-`.".to_owned()
}

pub(super) fn not_a_force() -> String {
    "That is no force: use at most 100 letters, digits, blanks, `.`, `_` or `-`.".to_owned()
}

pub(super) fn out_of_range(name: &str, least: f64, most: f64) -> String {
    format!("`{name}` goes from {least} to {most}.")
}

pub(super) fn silent() -> String {
    "The game took it and said nothing, as it does when all is well.".to_owned()
}

pub(super) fn attached() -> String {
    "The answer is long: it is attached.".to_owned()
}

pub(super) fn nobody_online() -> String {
    "Nobody is in the game.".to_owned()
}

pub(super) fn never_seen(player: &str) -> String {
    format!("I have never seen {} in the game.", code(player))
}

pub(super) fn nobody_played() -> String {
    "Nobody played in that time, as far as I have seen.".to_owned()
}

pub(super) fn no_records() -> String {
    "I cannot read my records just now. My operator finds the reason in my log.".to_owned()
}

pub(super) fn connected(server: &str) -> String {
    format!("From now on your commands mean {}.", code(server))
}

pub(super) fn not_remembered() -> String {
    "I could not remember that. Use `server:` for now.".to_owned()
}

pub(super) fn no_history() -> String {
    "I could not look back; my log has the reason.".to_owned()
}

pub(super) fn unknown_alert(name: &str) -> String {
    format!("There is no alert {}.", code(name))
}

pub(super) fn not_a_silence() -> String {
    "Say how long as `30m`, `2h` or `1d`, at most `30d`.".to_owned()
}

pub(super) fn no_alerts() -> String {
    "No alert fires.".to_owned()
}

pub(super) fn more_alerts(more: usize) -> String {
    format!("… and {more} more")
}

pub(super) fn alert_is_off(alert: &str) -> String {
    format!(
        "It is not watched on this server: `[alerts.{alert}]` has `enabled = false`, or the server has nothing that would tell \
         of it (`rcon`, `prometheus_file`, `engine_log`)."
    )
}

pub(super) fn does_not_fire() -> String {
    "It does not fire.".to_owned()
}

pub(super) fn silenced_until(until: Timestamp) -> String {
    format!("🔕 It is silenced until <t:{}:f>.", until.as_second())
}

pub(super) fn silence_is(what: &str, until: Option<Timestamp>) -> String {
    match until {
        Some(until) => format!("🔕 {what}: silent until <t:{}:f>. What fires then is told then.", until.as_second()),
        None => format!("🔔 {what}: no longer silent."),
    }
}

pub(super) fn confirm(command: &str, server: &str, within: Duration) -> String {
    format!("{} on {}: are you sure? The buttons work for {} s.", code(command), code(server), within.as_secs())
}

pub(super) fn confirming() -> String {
    "Asking the game …".to_owned()
}

pub(super) fn cancelled() -> String {
    "Cancelled: nothing was done.".to_owned()
}

pub(super) fn expired() -> String {
    "Not confirmed in time: nothing was done.".to_owned()
}

pub(super) fn not_your_button(caller: &str) -> String {
    format!("Only {} can press this.", code(caller))
}

pub(super) fn audit(who: &str, command: &str, server: &str, outcome: &str) -> String {
    let place = if server.is_empty() { String::new() } else { format!(" on {}", code(server)) };
    format!("{} used {}{place}: {outcome}", code(who), code(command))
}
