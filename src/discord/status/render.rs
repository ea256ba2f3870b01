//! The status message of a game. Pure: a view in, an embed out.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::embed::{Embed, Field, Footer, MOST_IN_FIELD, fitting, length};
use super::words::{State, age, percent, players, ups};
use crate::domain::ServerTag;
use crate::events::markup::to_discord;
use crate::game::{Achievements, GameLink, GameView, OnlinePlayer, Research, SampleSource};
use crate::rcon::Evolution;

/// Characters of a name, and of whatever else the game words. Names are short unless somebody is up to something.
const MOST_IN_NAME: usize = 60;

/// The status message of the server `tag`, which people know as `name`, at the time `now`. It changes only with the
/// view: what ages does so in the reader's Discord.
#[must_use]
pub fn render(tag: &ServerTag, name: &str, view: &GameView, now: Timestamp) -> Embed {
    let state = State::of(view);
    let since = view.since.map(|since| format!(" since {}", relative(since))).unwrap_or_default();
    Embed {
        title: shown(name),
        description: format!("{} **{}**{since}", state.sign(), state.word()),
        color: state.colour(),
        fields: fields(state, view),
        footer: Footer { text: footer(tag, state, view) },
        timestamp: now,
    }
}

/// What stands there while the relay is stopped, since `now`: nothing that may be wrong by the time it is read.
#[must_use]
pub(super) fn farewell(tag: &ServerTag, name: &str, now: Timestamp) -> Embed {
    Embed {
        title: shown(name),
        description: format!("⚫ **Not watched** since {}", relative(now)),
        color: State::Unknown.colour(),
        fields: vec![field("Why", "factorio-isr was stopped".to_owned(), false)],
        footer: Footer { text: format!("{} the relay is stopped", mark(tag)) },
        timestamp: now,
    }
}

/// How the footer of a server's status message begins: that is how a message is known again whose id was lost.
pub(super) fn mark(tag: &ServerTag) -> String {
    format!("Status of {tag} ·")
}

fn footer(tag: &ServerTag, state: State, view: &GameView) -> String {
    let source = match view.source {
        _ if state == State::LogOnly => "from the log alone",
        Some(SampleSource::Native) => "from the game's own commands",
        Some(SampleSource::Lua) => "from Lua",
        Some(SampleSource::Files) => "from files that a mod writes",
        None => "the game has told nothing yet",
    };
    let beside = match &view.told_by_mods[..] {
        [] => String::new(),
        told => format!("; {} from mods", told.join(", ")),
    };
    format!("{} {source}{beside}", mark(tag))
}

/// Why the game's own word is missing, where a file stands in.
fn rcon(view: &GameView) -> Option<&'static str> {
    match view.link {
        _ if !view.files_tell => None,
        GameLink::Silent(_) => Some("does not answer"),
        GameLink::Down(_) => Some("cannot be reached"),
        _ => None,
    }
}

fn fields(state: State, view: &GameView) -> Vec<Field> {
    let fresh = state.is_fresh();
    let last_answer = view.sampled_at.filter(|_| !fresh).map(relative);
    // It stands, or is gone: a file does not tell which.
    let stands = (view.files_tell && view.paused.is_none()) || state == State::LogOnly;
    let written = view.sampled_at.filter(|_| stands).map(relative);
    let measured = view.ups.as_ref().filter(|_| state == State::Online).map(ups);
    let inline = [
        ("RCON", rcon(view).map(ToOwned::to_owned)),
        ("Last answer", last_answer),
        ("File last written", written),
        ("UPS", measured),
        ("Map age", view.age.map(age)),
        ("Evolution", evolution(&view.evolution)),
        ("Research", view.research.as_ref().filter(|_| fresh).map(research)),
        ("Rockets", view.rockets.filter(|_| fresh).map(|rockets| rockets.to_string())),
        ("Version", view.version.as_deref().map(shown)),
        ("Achievements", view.sampled_at.map(|_| achievements(view.achievements))),
    ];
    let inline = inline.into_iter().filter_map(|(name, value)| Some(field(name, value?, true)));
    inline.chain(who(state, view)).collect()
}

fn field(name: impl Into<String>, value: String, inline: bool) -> Field {
    Field { name: name.into(), value, inline }
}

/// Who is in the game; of a game that is away nobody knows.
fn who(state: State, view: &GameView) -> Option<Field> {
    let count = match (players(view), state) {
        (Some(count), _) => count,
        (None, State::Online | State::Paused | State::LogOnly) => {
            return Some(field("Players", "unknown".to_owned(), false));
        }
        (None, _) => return None,
    };
    let mut online: Vec<&OnlinePlayer> = view.players.iter().flatten().collect();
    online.sort_by(|a, b| longest_first(a, b));
    let value = match (count, view.unnamed) {
        (0, _) => "nobody".to_owned(),
        (_, 0) => names(&online),
        (_, unnamed) if online.is_empty() => format!("{unnamed} whose names are not known"),
        (_, unnamed) => format!("{}\nand {unnamed} whose names are not known", names(&online)),
    };
    Some(field(format!("Players ({count})"), value, false))
}

fn longest_first(a: &OnlinePlayer, b: &OnlinePlayer) -> Ordering {
    let unknown_last = |player: &OnlinePlayer| (player.since.is_none(), player.since);
    unknown_last(a).cmp(&unknown_last(b)).then_with(|| a.name.cmp(&b.name))
}

/// With the time of their sessions, or without where only so all fit.
fn names(online: &[&OnlinePlayer]) -> String {
    let timed = online.iter().map(|player| match player.since {
        Some(since) => format!("{} · {}", shown(&player.name), relative(since)),
        None => shown(&player.name),
    });
    let timed: Vec<String> = timed.collect();
    if length(&timed.join("\n")) <= MOST_IN_FIELD {
        return timed.join("\n");
    }
    let bare: Vec<String> = online.iter().map(|player| shown(&player.name)).collect();
    fitting(&bare, ", ")
}

fn evolution(surfaces: &[Evolution]) -> Option<String> {
    let line = |surface: &Evolution| match &surface.surface {
        Some(name) => format!("{} {}", shown(name), percent(surface.factor)),
        None => percent(surface.factor),
    };
    let lines: Vec<String> = surfaces.iter().map(line).collect();
    (!lines.is_empty()).then(|| fitting(&lines, "\n"))
}

fn research(research: &Research) -> String {
    let progress = research.progress.map(|progress| format!(", {:.0} %", (progress * 100.0).floor()));
    shown(&research.technology) + &progress.unwrap_or_default()
}

fn achievements(achievements: Achievements) -> String {
    match achievements {
        Achievements::Possible => "nothing known against them".to_owned(),
        Achievements::Lost { lua_at } => format!("no longer possible: Lua ran {}", relative(lua_at)),
    }
}

/// Words of a game or of an operator, of bearable length, in which nothing is live.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MOST_IN_NAME).collect();
    let cut = if cut.len() < text.len() { cut + "…" } else { cut };
    let escaped = to_discord(&cut);
    if escaped.trim().is_empty() { "?".to_owned() } else { escaped }
}

/// A time as the reader's Discord tells it: `2 hours ago`.
fn relative(at: Timestamp) -> String {
    format!("<t:{}:R>", at.as_second())
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
