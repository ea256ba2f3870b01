//! A card for each server: those that need a look first, the others below, folded where they are many.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::health::{ComponentState, PartStatus, States};

use super::html::{Times, escape, grouped, mark, put};
use super::sources::{GameAnswers, GameFacts, PageSources, ShownAlert, ShownServer};

/// So many servers need no fold.
const FEW: usize = 12;

/// Names of players that are shown, where they may be.
const NAMES: usize = 20;

/// The parts of the servers, by tag and name.
pub(super) type Parts<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a PartStatus)>>;

/// What the states say of the servers.
pub(super) fn parts(states: &States) -> Parts<'_> {
    let mut parts = Parts::new();
    for ((_, part), status) in states {
        if let Some((server, part)) = part.split_once('/') {
            parts.entry(server).or_default().push((part, status));
        }
    }
    parts
}

/// What a log or the console of a server is called.
pub(super) fn part_title(part: &str) -> &str {
    match part {
        "console" => "Console log",
        "engine" => "Engine log",
        "rcon" => "RCON",
        "timezone" => "Time zone",
        other => other,
    }
}

/// What a part of a component is called that is no server's.
pub(super) fn name_of(part: &str) -> String {
    match part {
        "dead_letters" => "Dead letters".to_owned(),
        channel if channel.bytes().all(|byte| byte.is_ascii_digit()) => format!("Channel {channel}"),
        part if part.starts_with("reactions ") => part.replacen("reactions", "Reactions in channel", 1),
        part if part.starts_with("guild ") => part.replacen("guild", "Discord server", 1),
        other => other.to_owned(),
    }
}

/// How a server is: as its worst part; `starting` where nobody reports.
fn state(parts: &[(&str, &PartStatus)]) -> &'static str {
    let named = |name: &'static str| parts.iter().any(|(_, status)| status.state.as_str() == name).then_some(name);
    let worst = ["unhealthy", "starting", "degraded"].into_iter().find_map(named);
    worst.unwrap_or(if parts.is_empty() { "starting" } else { "healthy" })
}

/// One server's element, and whether it is well.
pub(super) struct Card {
    pub(super) id: String,
    pub(super) well: bool,
    pub(super) html: String,
    name: String,
    /// The titles of the alerts that fire.
    alerts: Vec<&'static str>,
}

/// The alerts of all servers, for the headline.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Alerts {
    /// How many fire.
    pub(super) count: usize,
    /// Which, on the first servers; empty where none fires.
    pub(super) words: String,
}

/// Servers whose alerts the headline names; the others are counted.
const ALERTING_NAMED: usize = 3;

/// The alerts that fire on these servers.
pub(super) fn alerts(cards: &[Card]) -> Alerts {
    let firing: Vec<&Card> = cards.iter().filter(|card| !card.alerts.is_empty()).collect();
    let named = firing.iter().take(ALERTING_NAMED).map(|card| format!("{}: {}", card.name, card.alerts.join(", ")));
    let mut words = named.collect::<Vec<_>>().join("; ");
    match firing.len().saturating_sub(ALERTING_NAMED) {
        0 => {}
        1 => words += " and 1 more server",
        more => put(&mut words, format_args!(" and {more} more servers")),
    }
    Alerts { count: firing.iter().map(|card| card.alerts.len()).sum(), words }
}

/// Every configured server's card, in order.
pub(super) fn cards(sources: &PageSources, states: &States, times: Times) -> Vec<Card> {
    let parts = parts(states);
    let none = Vec::new();
    let card = |server: &ShownServer| {
        let parts = parts.get(server.tag.as_str()).unwrap_or(&none);
        card(server, parts, sources.games.facts(&server.tag).as_ref(), times)
    };
    sources.servers.iter().map(card).collect()
}

fn card(server: &ShownServer, parts: &[(&str, &PartStatus)], game: Option<&GameFacts>, times: Times) -> Card {
    let tag = server.tag.as_str();
    let alerts: &[ShownAlert] = game.map_or(&[], |game| &game.alerts);
    let state = match state(parts) {
        "healthy" if !alerts.is_empty() => "degraded",
        state => state,
    };
    let well = state == "healthy";
    let list = if well { "well" } else { "trouble" };
    let id = format!("s-{tag}");
    let mut html = format!(
        "<li id=\"{id}\" class=\"card {state}\" data-list=\"{list}\"><div class=\"top\">{}<b>{}</b>{}\
         <span class=\"state\">{state}</span></div>",
        mark(state),
        escape(&server.name),
        if server.name == tag { String::new() } else { format!("<code>{tag}</code>") },
    );
    if let Some(game) = game {
        put(&mut html, format_args!("{}", told(game, times)));
    }
    html += &if well { in_short(parts, times) } else { one_by_one(alerts, parts, times) };
    let alerts = alerts.iter().map(|alert| alert.title).collect();
    Card { id, well, html: html + "</li>", name: server.name.clone(), alerts }
}

/// The parts of a server that is well: since the last of them is.
fn in_short(parts: &[(&str, &PartStatus)], times: Times) -> String {
    let names: Vec<String> = parts.iter().map(|(part, _)| escape(part_title(part))).collect();
    let since = parts.iter().map(|(_, status)| status.since).max().unwrap_or(Timestamp::UNIX_EPOCH);
    format!("<p class=\"quiet\">{} · {}</p>", names.join(", "), times.lasting(since))
}

/// The alerts first: they are what an operator acts on.
fn one_by_one(alerts: &[ShownAlert], parts: &[(&str, &PartStatus)], times: Times) -> String {
    let mut html = "<ul class=\"parts\">".to_owned();
    for alert in alerts {
        let (mark, title, since) = (mark("degraded"), escape(alert.title), times.lasting(alert.since));
        let subjects = if alert.subjects > 1 { format!(" ({})", alert.subjects) } else { String::new() };
        put(
            &mut html,
            format_args!(
                "<li class=\"degraded\">{mark}<span>{title}{subjects}</span> <span class=\"state\">alert</span> {since}</li>"
            ),
        );
    }
    for (part, status) in parts {
        let state = status.state.as_str();
        let (mark, part, since) = (mark(state), escape(part_title(part)), times.lasting(status.since));
        put(&mut html, format_args!("<li class=\"{state}\">{mark}<span>{part}</span> {}{since}", word(&status.state)));
        if let Some(reason) = status.state.reason() {
            put(&mut html, format_args!("<p class=\"why\">{}</p>", escape(reason)));
        }
        html.push_str("</li>");
    }
    html + "</ul>"
}

fn word(state: &ComponentState) -> String {
    format!("<span class=\"state\">{}</span> ", state.as_str())
}

/// How the game is: `3 players · 59.8 of 60 UPS · 2.0.76`.
fn told(game: &GameFacts, times: Times) -> String {
    let mut said = Vec::new();
    match game.link {
        GameAnswers::Never if game.by_files => said.push("no RCON".to_owned()),
        GameAnswers::NotYet => said.push("the game was not asked yet".to_owned()),
        GameAnswers::Never => said.push("only its log tells: no RCON".to_owned()),
        GameAnswers::NotNow => said.push("<strong>the game does not answer now</strong>".to_owned()),
        GameAnswers::No => said.push("<strong>the game cannot be asked</strong>".to_owned()),
        GameAnswers::Yes => {}
    }
    let answers = game.link == GameAnswers::Yes || game.by_files;
    if let Some(players) = game.players.filter(|_| answers || game.link == GameAnswers::Never) {
        said.push(players_in_words(players));
    }
    if game.paused && answers {
        said.push("paused".to_owned());
    } else if let Some((ups, target)) = game.ups.filter(|_| answers) {
        said.push(format!("<span class=\"number\">{ups:.1}</span> of {target:.0} UPS"));
    }
    said.extend(game.version.as_deref().map(|version| format!("Factorio {}", escape(version))));
    if let (false, Some(at)) = (answers, game.sampled_at) {
        said.push(format!("last answer {}", times.past(at)));
    }
    said.extend(game.source.filter(|_| answers).map(|source| format!("by {}", source_in_words(source))));
    format!("<p class=\"game\">{}</p>{}", said.join(" · "), names(&game.names))
}

fn players_in_words(players: usize) -> String {
    match players {
        0 => "nobody in the game".to_owned(),
        1 => "<span class=\"number\">1</span> player".to_owned(),
        more => format!("<span class=\"number\">{}</span> players", grouped(more as u64)),
    }
}

fn source_in_words(source: &str) -> &str {
    match source {
        "native" => "its own commands",
        "lua" => "Lua",
        "files" => "files that a mod writes",
        other => other,
    }
}

fn names(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| escape(name)).collect();
    let more = names.len().saturating_sub(NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("<p class=\"names\">{}{more}</p>", shown.join(", "))
}

/// How many there are, and how many are well.
pub(super) fn summary(cards: &[Card]) -> String {
    let (all, well) = (cards.len(), cards.iter().filter(|card| card.well).count());
    let words = match (all, all - well) {
        (0, _) => "none is configured".to_owned(),
        (1, 0) => "it is well".to_owned(),
        (all, 0) => format!("all {} are well", grouped(all as u64)),
        (all, wrong) => format!("{} of {} to look at", grouped(wrong as u64), grouped(all as u64)),
    };
    format!("<span id=\"servers-summary\" class=\"quiet\">{words}</span>")
}

/// The fold's own line.
pub(super) fn fold(cards: &[Card]) -> String {
    let well = cards.iter().filter(|card| card.well).count();
    let words = match well {
        1 => "1 server is well".to_owned(),
        well => format!("{} servers are well", grouped(well as u64)),
    };
    format!("<summary id=\"well-summary\">{words}</summary>")
}

/// Whether they need no fold.
pub(super) fn are_few(cards: &[Card]) -> bool {
    cards.len() <= FEW
}
