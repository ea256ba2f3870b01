//! What the sessions tell: a player's record, and who plays most. Without `server`, of all servers together: a name is
//! the same person's on each of them.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ServerTag;
use crate::store::{PlayTime, PlayerRecord, StoreError};

use super::desk::{Failure, Order};
use super::options::{Kind, Names, OptionSpec};
use super::view::Shown;
use super::{Scope, SlashCommand, texts};

const SERVER: OptionSpec =
    OptionSpec::optional("server", Kind::Name(32, Names::Servers), "One server; without it, all of them together");

const PLAYER: OptionSpec = OptionSpec::player(Names::RecordedPlayers);

/// Names in the answer of `/top`.
const PLACES: u32 = 20;

/// The server named, or all.
fn servers(order: &Order<'_>) -> Result<Vec<ServerTag>, Failure> {
    let Some(tag) = order.options.text("server") else {
        return Ok(order.desk.servers.iter().map(|server| server.tag.clone()).collect());
    };
    let server = order.desk.server(tag);
    let server = server.ok_or_else(|| Failure::Input(texts::unknown_server(tag, &order.desk.tags())))?;
    Ok(vec![server.tag.clone()])
}

/// What is below the answer: which servers it is about.
fn place(order: &Order<'_>, servers: &[ServerTag]) -> String {
    match servers {
        [only] => order.desk.server(only.as_str()).map_or_else(|| only.to_string(), |server| server.name.clone()),
        all => format!("{} servers together", all.len()),
    }
}

fn unreadable(error: &StoreError) -> Failure {
    tracing::warn!(%error, "The players' records cannot be read");
    Failure::Records
}

/// What is known of a player.
pub(super) struct Player;

#[async_trait]
impl SlashCommand for Player {
    fn name(&self) -> &'static str {
        "player"
    }

    fn description(&self) -> &'static str {
        "A player's record: first and last seen, play time, sessions, deaths, companions"
    }

    fn scope(&self) -> Scope {
        Scope::Program
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[PLAYER, SERVER]
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        order.text("player")?;
        servers(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let (servers, name) = (servers(order)?, order.text("player")?);
        let place = place(order, &servers);
        let record = order.desk.store.player_record(&servers, name, Timestamp::now()).await;
        Ok(match record.map_err(|error| unreadable(&error))? {
            Some(record) => {
                let counted = counted(order, &servers, &record.name);
                let shown = show(&record);
                let shown = if counted.is_empty() { shown } else { shown.field("In the game's own count", &counted) };
                shown.at(place)
            }
            None => Shown::note("Player", texts::never_seen(name)).at(place),
        })
    }
}

/// The time the games themselves have counted of one who is there, where Lua tells it: `12 h 3 min on prod`.
fn counted(order: &Order<'_>, servers: &[ServerTag], name: &str) -> String {
    let time = |tag: &ServerTag| {
        let time = order.desk.board.view(tag)?.online_time(name)?;
        Some(format!("{} on {tag}", spoken(time)))
    };
    servers.iter().filter_map(time).collect::<Vec<_>>().join(", ")
}

fn show(record: &PlayerRecord) -> Shown {
    let seen = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let online: Vec<&str> = record.online.iter().map(ServerTag::as_str).collect();
    let last = if online.is_empty() { seen(record.last_seen) } else { format!("now, on {}", online.join(", ")) };
    let deaths = record.deaths.map_or_else(|| "not known".to_owned(), |deaths| deaths.to_string());
    let companion = |with: &PlayTime| format!("{} ({})", with.player, spoken(with.time));
    let companions: Vec<String> = record.companions.iter().map(companion).collect();
    let shown = Shown::note("Player", "").field("Name", &record.name);
    let shown = shown.field("First seen", &seen(record.first_seen)).field("Last seen", &last);
    let shown = shown.field("Play time", &spoken(record.play_time));
    let shown = shown.field("Sessions", &record.sessions.to_string()).field("Deaths", &deaths);
    if companions.is_empty() { shown } else { shown.field("Seen together with, in 90 days", &companions.join(", ")) }
}

/// Who plays most.
pub(super) struct Top;

const SPANS: &[&str] = &["week", "month", "all"];
const SPAN: OptionSpec = OptionSpec::optional("value", Kind::Choice(SPANS), "Over what time; without it, a week");

#[async_trait]
impl SlashCommand for Top {
    fn name(&self) -> &'static str {
        "top"
    }

    fn description(&self) -> &'static str {
        "Who played most in the last 7 or 30 days, or ever"
    }

    fn scope(&self) -> Scope {
        Scope::Program
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[SPAN, SERVER]
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        span(order)?;
        servers(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let (servers, (span, days)) = (servers(order)?, span(order)?);
        let now = Timestamp::now();
        let from = days.and_then(|days| now.saturating_sub(Duration::from_hours(24 * days)).ok());
        let from = from.unwrap_or(Timestamp::UNIX_EPOCH);
        let most = order.desk.store.most_played(&servers, from, now, PLACES).await;
        let most = most.map_err(|error| unreadable(&error))?;
        let line = |(place, one): (usize, &PlayTime)| format!("{}. {} - {}", place + 1, one.player, spoken(one.time));
        let lines: Vec<String> = most.iter().enumerate().map(line).collect();
        let title = format!("Most played, {span}");
        let shown =
            if lines.is_empty() { Shown::note(title, texts::nobody_played()) } else { Shown::list(title, &lines) };
        Ok(shown.at(place(order, &servers)))
    }
}

/// The time asked for in words, and in days; `None` = all.
fn span(order: &Order<'_>) -> Result<(&'static str, Option<u64>), Failure> {
    match order.options.text("value") {
        None | Some("week") => Ok(("7 days", Some(7))),
        Some("month") => Ok(("30 days", Some(30))),
        Some("all") => Ok(("all time", None)),
        Some(_) => Err(Failure::Input(texts::one_of("value", SPANS))),
    }
}

/// `2 d 3 h`, `3 h 4 min`, `4 min`, `50 s`
pub(super) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_its_two_largest_units() {
        for (seconds, expected) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (86_400 * 2 + 3600 * 3 + 59, "2 d 3 h")]
        {
            assert_eq!(spoken(Duration::from_secs(seconds)), expected);
        }
    }
}
