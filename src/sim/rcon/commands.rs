//! The console's own commands and their texts. Those of mute, whitelist switches and clear are not known from a real
//! server's RCON; they follow the game's texts for players.

use std::collections::BTreeSet;
use std::time::Duration;

use super::game::{Game, RconEvent, Surface};
use super::lua;

/// Runs a command, without its slash.
pub(super) fn run(game: &mut Game, command: &str, events: &mut Vec<RconEvent>) -> String {
    let (name, rest) = split(command);
    let (first, tail) = split(rest);
    match name.to_ascii_lowercase().as_str() {
        "players" | "p" => players(game, rest),
        "admins" => admins(game),
        "time" => format!("{}\n", spell_age(game.age)),
        "seed" => format!("{}\n", game.seed),
        "version" => format!("{}\n", game.version),
        "evolution" => evolution(game, rest),
        "server-save" => {
            events.push(RconEvent::ServerSave { name: some(rest) });
            String::new()
        }
        "kick" => kick(game, first, tail, events),
        "ban" => ban(game, first, tail, events),
        "unban" => unban(game, first, events),
        "mute" => mute(game, first, true),
        "unmute" => mute(game, first, false),
        "promote" => promote(game, first, events),
        "demote" => demote(game, first, events),
        "whitelist" => whitelist(game, first, tail),
        "bans" => ban_list(game),
        "banlist" => banlist(game, first, tail, events),
        "whisper" | "w" => whisper(game, first, tail, events),
        "shout" | "s" => {
            events.push(RconEvent::Shout { text: rest.to_owned() });
            String::new()
        }
        "c" | "command" => lua::run(game, rest, true, events),
        "sc" | "silent-command" | "mc" | "measured-command" | "editor" | "cheat" => lua::run(game, rest, false, events),
        "quit" => {
            events.push(RconEvent::Quit);
            String::new()
        }
        _ => format!("Unknown command \"{name}\". Type /h or /help for more help about commands.\n"),
    }
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn players(game: &Game, argument: &str) -> String {
    let words: Vec<&str> = argument.split_whitespace().collect();
    let has = |long: &str, short: &str| words.iter().any(|word| *word == long || *word == short);
    let (online, count) = (has("online", "o"), has("count", "c"));
    let shown: Vec<_> = game.players.iter().filter(|(_, player)| player.online || !online).collect();
    let header = format!("{} ({})", if online { "Online players" } else { "Players" }, shown.len());
    if count {
        return format!("{header}\n");
    }
    let line = |name: &str, online: bool| format!("  {name}{}\n", if online { " (online)" } else { "" });
    let lines: String = shown.into_iter().map(|(name, player)| line(name, player.online)).collect();
    format!("{header}:\n{lines}")
}

fn admins(game: &Game) -> String {
    let online = |name: &String| game.players.get(name).is_some_and(|player| player.online);
    let lines = game.admins.iter().map(|name| format!("{name}{}\n", if online(name) { " (online)" } else { "" }));
    lines.collect()
}

/// As `1 day, 11 hours, 1 minute and 26 seconds`.
fn spell_age(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let present = units.into_iter().filter(|(count, unit)| *count > 0 || (*unit == "second" && seconds == 0));
    let words: Vec<String> =
        present.map(|(count, unit)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" })).collect();
    join(&words)
}

/// As `A, B and C`.
fn join(words: &[String]) -> String {
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

fn evolution(game: &Game, surface: &str) -> String {
    let numbers = |surface: &Surface| {
        let Surface { factor, time, pollution, spawner_kills, .. } = surface;
        format!(
            "Evolution factor: {factor:.4}. (Time {time}%) (Pollution {pollution}%) (Spawner kills {spawner_kills}%)\n"
        )
    };
    let named = |surface: &Surface| format!("{} - {}", surface.name, numbers(surface));
    if game.is_before_2() {
        return game.surfaces.first().map(numbers).unwrap_or_default();
    }
    if surface.is_empty() {
        return game.surfaces.iter().map(named).collect();
    }
    let found = game.surfaces.iter().find(|known| known.name.eq_ignore_ascii_case(surface));
    found.map_or_else(|| format!("Surface \"{surface}\" does not exist.\n"), named)
}

/// The name as the game has it, whatever the case it was asked in; else what the game says.
fn known(game: &Game, name: &str) -> Result<String, String> {
    let found = game.players.keys().find(|known| known.eq_ignore_ascii_case(name));
    found.cloned().ok_or_else(|| format!("Player {name} doesn't exist.\n"))
}

fn online(game: &Game, name: &str) -> Result<String, String> {
    let name = known(game, name)?;
    if game.players.get(&name).is_some_and(|player| player.online) {
        Ok(name)
    } else {
        Err(format!("{name} isn't online.\n"))
    }
}

fn kick(game: &mut Game, name: &str, reason: &str, events: &mut Vec<RconEvent>) -> String {
    let player = match online(game, name) {
        Ok(player) => player,
        Err(refusal) => return refusal,
    };
    game.leave(&player);
    events.push(RconEvent::Kicked { player: player.clone(), reason: some(reason) });
    format!("{player} was kicked by <server>. Reason: {}.\n", some(reason).as_deref().unwrap_or("unspecified"))
}

fn ban(game: &mut Game, name: &str, reason: &str, events: &mut Vec<RconEvent>) -> String {
    let player = known(game, name).unwrap_or_else(|_| name.to_owned());
    if !game.bans.insert(player.clone()) {
        return format!("{player} is already banned.\n");
    }
    let absent = if online(game, &player).is_ok() { "" } else { " (not on map)" };
    game.leave(&player);
    events.push(RconEvent::Banned { player: player.clone(), reason: some(reason) });
    format!("{player}{absent} was banned by <server>. Reason: {}.\n", some(reason).as_deref().unwrap_or("unspecified"))
}

fn unban(game: &mut Game, name: &str, events: &mut Vec<RconEvent>) -> String {
    let Some(player) = game.bans.iter().find(|banned| banned.eq_ignore_ascii_case(name)).cloned() else {
        return format!("Cannot unban {name} as the player is not banned.\n");
    };
    game.bans.remove(&player);
    events.push(RconEvent::Unbanned { player: player.clone() });
    format!("{player} was unbanned by <server>.\n")
}

fn mute(game: &mut Game, name: &str, muted: bool) -> String {
    let player = match known(game, name) {
        Ok(player) => player,
        Err(refusal) => return refusal,
    };
    let word = if muted { "muted" } else { "unmuted" };
    match game.players.get_mut(&player) {
        Some(state) if state.muted != muted => {
            state.muted = muted;
            format!("{player} has been {word} by <server>.\n")
        }
        _ => format!("{player} is {} muted.\n", if muted { "already" } else { "not" }),
    }
}

fn promote(game: &mut Game, name: &str, events: &mut Vec<RconEvent>) -> String {
    let player = known(game, name);
    let listed = player.clone().unwrap_or_else(|_| name.to_owned());
    if !game.admins.insert(listed.clone()) {
        return format!("{listed} is already an admin.\n");
    }
    events.push(RconEvent::Promoted { player: listed.clone() });
    match player {
        Ok(_) => format!("{listed} was promoted to admin by <server>.\n"),
        Err(_) => {
            format!("{listed} was added to the admin list by <server> and will be promoted upon joining the game.\n")
        }
    }
}

fn demote(game: &mut Game, name: &str, events: &mut Vec<RconEvent>) -> String {
    let Some(admin) = game.admins.iter().find(|admin| admin.eq_ignore_ascii_case(name)).cloned() else {
        return format!("{name} is not an admin.\n");
    };
    game.admins.remove(&admin);
    events.push(RconEvent::Demoted { player: admin.clone() });
    format!("{admin} was demoted from admin by <server>.\n")
}

fn list(title: &str, names: &BTreeSet<String>, empty: &str) -> String {
    let names: Vec<String> = names.iter().cloned().collect();
    if names.is_empty() { format!("{empty}\n") } else { format!("{title}: {}\n", join(&names)) }
}

fn whitelist(game: &mut Game, action: &str, name: &str) -> String {
    match action {
        "add" if game.whitelist.insert(name.to_owned()) => format!("Added {name} to the whitelist.\n"),
        "add" => format!("{name} is already whitelisted.\n"),
        "remove" if game.whitelist.remove(name) => format!("Removed {name} from the whitelist.\n"),
        "remove" => format!("{name} is not whitelisted.\n"),
        "get" => list("Whitelisted players", &game.whitelist, "The whitelist is empty."),
        "clear" => {
            game.whitelist.clear();
            "The whitelist has been cleared.\n".to_owned()
        }
        "enable" | "disable" => {
            game.whitelist_enabled = action == "enable";
            format!("The whitelist has been {action}d.\n")
        }
        _ => format!("Unknown whitelist action \"{action}\".\n"),
    }
}

fn ban_list(game: &Game) -> String {
    list("Banned players", &game.bans, "No players are banned.")
}

fn banlist(game: &mut Game, action: &str, name: &str, events: &mut Vec<RconEvent>) -> String {
    match action {
        "get" => ban_list(game),
        "add" => ban(game, name, "", events),
        "remove" => unban(game, name, events),
        "clear" => {
            game.bans.clear();
            "The banlist has been cleared.\n".to_owned()
        }
        _ => format!("Unknown banlist action \"{action}\".\n"),
    }
}

fn whisper(game: &Game, name: &str, text: &str, events: &mut Vec<RconEvent>) -> String {
    match online(game, name) {
        Err(refusal) => refusal,
        Ok(player) => {
            events.push(RconEvent::Whisper { player, text: text.to_owned() });
            String::new()
        }
    }
}
