//! What may be chosen while somebody types: names from the game, kept for a while, and from the store while it is away.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use crate::domain::{AlertKind, ServerTag};
use crate::rcon::{Command, parse_admins, parse_evolution, parse_name_list, parse_players};

use super::call::Options;
use super::desk::{Desk, Server};
use super::options::{Kind, Names};
use super::technologies::TECHNOLOGIES;
use super::{COMMANDS, SlashCommand, options_of};

/// Choices Discord takes.
const MOST: usize = 25;
/// Characters of a choice.
const LONGEST: usize = 100;
/// How long the game's names are good enough to be suggested.
const FRESH: Duration = Duration::from_secs(15);
/// How long the game may take: Discord waits 3 s.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What the game named lately.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Key, (Instant, Vec<String>)>>);

/// A server, and what it was asked for.
type Key = (ServerTag, &'static str);

/// Reads names out of the game's answer; `None` where it is not understood.
type Reader = fn(&str) -> Option<Vec<String>>;

impl Cache {
    fn fresh(&self, key: &Key) -> Option<Vec<String>> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(key).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, names)| names.clone())
    }

    fn keep(&self, key: Key, names: &[String]) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(key, (Instant::now(), names.to_vec()));
    }
}

/// The names of which the option being typed may be one.
pub(super) fn source(command: &dyn SlashCommand, option: &str) -> Option<Names> {
    let option = options_of(command).find(|spec| spec.name == option)?;
    if let Kind::Name(_, names) = option.kind { Some(names) } else { None }
}

/// Up to 25 names that have `typed` in them, those first that begin with it.
pub(super) async fn suggest(
    desk: &Desk,
    server: Option<&Server>,
    names: Names,
    options: &Options,
    typed: &str,
) -> Vec<String> {
    let known = match (names, server) {
        (Names::Servers, _) => desk.servers.iter().map(|server| server.tag.to_string()).collect(),
        (Names::Commands, _) => COMMANDS.iter().map(|command| command.name().to_owned()).collect(),
        (Names::Alerts, _) => AlertKind::ALL.iter().map(ToString::to_string).collect(),
        (Names::Technologies, _) => TECHNOLOGIES.iter().map(ToString::to_string).collect(),
        (Names::RecordedPlayers, _) => recorded(desk, options).await,
        (_, None) => Vec::new(),
        (names, Some(server)) => of_game(desk, server, names, options).await,
    };
    matching(known, typed)
}

async fn recorded(desk: &Desk, options: &Options) -> Vec<String> {
    let named = |server: &&Server| options.text("server").is_none_or(|tag| server.tag.as_str() == tag);
    let servers: Vec<ServerTag> = desk.servers.iter().filter(named).map(|server| server.tag.clone()).collect();
    desk.store.recorded_players(&servers).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "The names of players cannot be read");
        Vec::new()
    })
}

fn matching(known: Vec<String>, typed: &str) -> Vec<String> {
    let typed = typed.trim().to_lowercase();
    let place = |name: &String| name.to_lowercase().find(&typed);
    let usable = |name: &String| !name.trim().is_empty() && name.chars().count() <= LONGEST;
    let mut found: Vec<(bool, String)> =
        known.into_iter().filter(usable).filter_map(|name| place(&name).map(|place| (place != 0, name))).collect();
    found.sort_by_key(|(inside, _)| *inside);
    found.into_iter().take(MOST).map(|(_, name)| name).collect()
}

async fn of_game(desk: &Desk, server: &Server, names: Names, options: &Options) -> Vec<String> {
    let (question, read): (Command, Reader) = match names {
        Names::OnlinePlayers => (Command::PlayersOnline, players),
        Names::Admins => (Command::Admins, |text| Some(parse_admins(text)?.into_iter().map(|one| one.name).collect())),
        Names::Banned => (Command::Banlist, parse_name_list),
        Names::Whitelist if options.text("action") == Some("remove") => (Command::WhitelistGet, parse_name_list),
        Names::Surfaces => (Command::Evolution { surface: None }, surfaces),
        _ => (Command::Players, players),
    };
    if let Some(names) = ask(desk, server, &question, read).await {
        return names;
    }
    match names {
        Names::OnlinePlayers | Names::KnownPlayers | Names::Whitelist | Names::Banned | Names::Admins => {
            desk.store.known_players(&server.tag).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "The names of players cannot be read");
                Vec::new()
            })
        }
        _ => Vec::new(),
    }
}

fn players(text: &str) -> Option<Vec<String>> {
    Some(parse_players(text)?.listed.into_iter().map(|player| player.name).collect())
}

fn surfaces(text: &str) -> Option<Vec<String>> {
    parse_evolution(text)?.into_iter().map(|surface| surface.surface).collect()
}

/// `None` where the game is away, too slow, or not understood.
async fn ask(desk: &Desk, server: &Server, question: &Command, read: Reader) -> Option<Vec<String>> {
    let kind = match question {
        Command::PlayersOnline => "online",
        Command::Players => "players",
        Command::Admins => "admins",
        Command::Banlist => "banned",
        Command::WhitelistGet => "whitelist",
        _ => "surfaces",
    };
    let key = (server.tag.clone(), kind);
    if let Some(names) = desk.suggestions.fresh(&key) {
        return Some(names);
    }
    let answer = timeout(PATIENCE, server.ask(question)).await.ok()?.ok()?;
    let names = read(&answer)?;
    if matches!(question, Command::PlayersOnline | Command::Players)
        && let Err(error) = desk.store.know_players(&server.tag, &names, Timestamp::now()).await
    {
        tracing::warn!(%error, "The names of players cannot be remembered");
    }
    desk.suggestions.keep(key, &names);
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_as_typed_comes_first_and_no_more_than_discord_takes() {
        let names = ["Bob", "alBo", "Carl", "", "bobby"].map(ToOwned::to_owned).to_vec();
        assert_eq!(matching(names, "bo"), ["Bob", "bobby", "alBo"]);
        assert_eq!(matching(vec!["x".to_owned(); 40], "").len(), MOST);
        assert!(matching(vec!["x".repeat(101)], "x").is_empty());
    }
}
