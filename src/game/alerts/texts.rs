//! Every sentence the alerts say, in one place. What players wrote is escaped; times are those of the game, and show in
//! the reader's own time zone.

use std::time::Duration;

use jiff::Timestamp;

use super::engine::{AlertKey, AlertState, Change, Changed};
use super::memory::MOST_BEFORE;
use super::rules::Facts;
use crate::config::settings::{AlertRule, AlertSettings};
use crate::domain::AlertKind;
use crate::events::markup;

/// How a sentence is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Discord markdown.
    Discord,
    /// For a file.
    Plain,
}

impl Voice {
    /// What somebody else wrote.
    fn quote(self, text: &str) -> String {
        let line = |line: &str| match self {
            Self::Discord => markup::to_discord(line),
            Self::Plain => markup::to_plain(line),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    fn bold(self, text: &str) -> String {
        if self == Self::Discord { format!("**{text}**") } else { text.to_owned() }
    }

    fn time(self, at: Timestamp) -> String {
        if self == Self::Discord { format!("<t:{}:f>", at.as_second()) } else { at.strftime("%F %TZ").to_string() }
    }
}

/// What is said of a change. `None` where there is nothing to say: that an announcement is over.
#[must_use]
pub fn of_change(voice: Voice, server: &str, changed: &Changed) -> Option<String> {
    let (kind, subject) = &changed.key;
    if changed.change == Change::Recovered && is_announcement(*kind) {
        return None;
    }
    let head = format!("{} on {}", voice.bold(headline(*kind, &changed.facts)), voice.quote(server));
    let facts = of_facts(voice, (*kind, subject.clone()), &changed.facts);
    let since = voice.time(changed.since);
    let caveat = caveat(&changed.facts).map(|caveat| format!("\n{caveat}")).unwrap_or_default();
    Some(match changed.change {
        Change::Fired if is_announcement(*kind) => format!("{} {head}, {since}: {facts}", icon(*kind)),
        Change::Fired | Change::Grown => format!("{} {head}, since {since}: {facts}{caveat}", icon(*kind)),
        Change::Reminded => format!("⏰ {head}, still, since {since}: {facts}{caveat}"),
        Change::Recovered => {
            let lasted = lasted(changed.since, changed.at);
            format!("✅ {head}, over after {lasted}, from {since} to {}: {facts}", voice.time(changed.at))
        }
        Change::Passed => {
            let (lasted, at) = (lasted(changed.since, changed.at), voice.time(changed.at));
            let mut lines = facts.lines();
            let (first, more) = (lines.next().unwrap_or_default(), if lines.next().is_some() { " …" } else { "" });
            format!("🕓 {head}, from {since} to {at} ({lasted}), while the relay was not running: {first}{more}")
        }
    })
}

/// What is said of an alert that fires and is not judged any more. `None` of an announcement, which has no end.
#[must_use]
pub fn of_unwatched(voice: Voice, server: &str, key: &AlertKey, state: &AlertState, at: Timestamp) -> Option<String> {
    let (head, facts) = (voice.bold(headline(key.0, &state.facts)), of_facts(voice, key.clone(), &state.facts));
    let (server, since, at) = (voice.quote(server), voice.time(state.since), voice.time(at));
    let said = format!("⏹️ {head} on {server}, since {since}, not watched any more since {at}: {facts}");
    (!is_announcement(key.0)).then_some(said)
}

/// Whether it is news, which has no end that anybody waits for.
#[must_use]
pub fn is_announcement(kind: AlertKind) -> bool {
    kind == AlertKind::Evolution
}

/// What people call an alert.
#[must_use]
pub fn title(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::LowUps => "Low UPS",
        AlertKind::RconDown => "RCON down",
        AlertKind::LogSilent => "Log silent",
        AlertKind::Autosave => "Saves",
        AlertKind::StartFailed => "Server cannot start",
        AlertKind::CrashLoop => "Crash loop",
        AlertKind::Crash => "Server crashed",
        AlertKind::Desync => "Desync",
        AlertKind::ScriptError => "Script error",
        AlertKind::Evolution => "Evolution",
        AlertKind::Watchlist => "Watch-list",
        AlertKind::JoinRefused => "Join refused",
        AlertKind::Backlog => "Backlog",
    }
}

/// The title of one alert, by what it is about.
fn headline(kind: AlertKind, facts: &Facts) -> &'static str {
    match (kind, facts) {
        (AlertKind::Autosave, Facts::Trouble { detail: Some(detail), before, .. })
            if before.iter().chain([detail]).all(|error| is_player_data(error)) =>
        {
            "File not written"
        }
        (AlertKind::Autosave, Facts::Trouble { .. }) => "Save failed",
        (AlertKind::Autosave, Facts::Overdue { .. }) => "Autosave overdue",
        (kind, _) => title(kind),
    }
}

/// Whether the error is about the file with the server's own settings, not about a save.
fn is_player_data(detail: &str) -> bool {
    detail.contains("player-data.json")
}

fn icon(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Crash | AlertKind::CrashLoop => "💥",
        AlertKind::LowUps => "🐌",
        AlertKind::Evolution => "🐛",
        AlertKind::Watchlist => "👀",
        AlertKind::JoinRefused => "🚫",
        AlertKind::Backlog => "📬",
        _ => "🚨",
    }
}

/// What was measured.
#[must_use]
pub fn of_facts(voice: Voice, (kind, subject): AlertKey, facts: &Facts) -> String {
    match facts {
        Facts::Ups { ups, target, error, .. } => format!("{ups:.1} ± {error:.1} updates per second of {target:.0}"),
        Facts::Unreachable { connected: true } => "it is connected and does not answer".to_owned(),
        Facts::Unreachable { connected: false } => "there is no connection".to_owned(),
        Facts::Silent { players, last_read } => {
            let last = last_read
                .map_or_else(|| "none was ever read".to_owned(), |at| format!("the last at {}", voice.time(at)));
            format!("{players} in the game, and no line is read: {last}")
        }
        Facts::Overdue { saved_at } => format!("none while somebody plays, the last at {}", voice.time(*saved_at)),
        Facts::Trouble { count: count @ 2.., last, detail: Some(peer), before } if kind == AlertKind::Desync => {
            desyncs(voice, *count, *last, before, peer)
        }
        Facts::Trouble { count, detail, last, before } if kind == AlertKind::StartFailed => {
            let error = detail.as_deref().map_or_else(|| "the game says no more".to_owned(), |text| voice.quote(text));
            let times = match count {
                0 | 1 => String::new(),
                count => format!("{count} failed starts, the last at {}\n", voice.time(*last)),
            };
            format!("{times}{error}{}", others(voice, before))
        }
        Facts::Trouble { count, detail, last, before } => {
            let said = trouble(voice, kind, *count, *last, detail.as_deref());
            format!("{said}{}", others(voice, before))
        }
        Facts::Crashes { count, last } => {
            format!("{count} runs of the server ended badly, the last at {}", voice.time(*last))
        }
        Facts::Evolution { factor } => format!("{} reached {factor:.2}", surface(voice, &subject)),
        Facts::Refusals { count, reason } => {
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({})", voice.quote(reason)));
            format!("{} was refused {count} times{reason}", voice.bold(&voice.quote(&subject)))
        }
        Facts::Waiting { oldest } => format!("the oldest waits since {}", voice.time(*oldest)),
        Facts::None if kind == AlertKind::Watchlist => format!("{} is in the game", voice.bold(&voice.quote(&subject))),
        Facts::None => "it is so".to_owned(),
    }
}

/// What nobody can know without Lua, and what to do about it.
pub const SPEED_IS_ASSUMED: &str = "That it aims at 60 is assumed: a `game.speed` below 1, set on purpose, cannot be seen \
    without Lua. Where it is so, set `below` and `recovered` of this server in `[servers.TAG.alerts.low_ups]`.";

/// What the reader should mind of what was measured.
fn caveat(facts: &Facts) -> Option<&'static str> {
    matches!(facts, Facts::Ups { assumed: true, .. }).then_some(SPEED_IS_ASSUMED)
}

fn surface(voice: Voice, name: &str) -> String {
    if name.is_empty() { "the enemies".to_owned() } else { voice.quote(name) }
}

/// Several, with the players or peers as far as they are kept.
fn desyncs(voice: Voice, count: u64, last: Timestamp, before: &[String], who: &str) -> String {
    let all = || before.iter().map(String::as_str).chain([who]);
    let numbers: Option<Vec<&str>> = all().map(peer_number).collect();
    let noun = match &numbers {
        Some(_) if before.is_empty() => "peer ",
        Some(_) => "peers ",
        None => "",
    };
    let names = numbers.map_or_else(|| all().map(|one| voice.quote(&named(one))).collect(), owned);
    let more = (before.len() >= MOST_BEFORE).then(|| "…".to_owned());
    let names: Vec<String> = more.into_iter().chain(names).collect();
    format!("{count} desyncs, the last at {}: {noun}{}", voice.time(last), names.join(", "))
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(ToOwned::to_owned).collect()
}

/// The number of a peer whose name is not known; earlier versions stored only that.
fn peer_number(who: &str) -> Option<&str> {
    let number = who.strip_prefix("peer ").unwrap_or(who);
    number.bytes().all(|b| b.is_ascii_digit()).then_some(number)
}

/// `Bob`, or `peer 2` of one whose name is not known.
fn named(who: &str) -> String {
    peer_number(who).map_or_else(|| who.to_owned(), |number| format!("peer {number}"))
}

/// What else was said before, the last first.
fn others(voice: Voice, before: &[String]) -> String {
    let said: Vec<String> = before.iter().rev().map(|one| voice.quote(one)).collect();
    if said.is_empty() { String::new() } else { format!("\nBefore: {}", said.join("; ")) }
}

fn trouble(voice: Voice, kind: AlertKind, count: u64, last: Timestamp, detail: Option<&str>) -> String {
    let what = match (kind, detail) {
        (AlertKind::Desync, Some(who)) => format!("the game of {} is out of step", voice.quote(&named(who))),
        (AlertKind::Desync, None) => "a player's game is out of step".to_owned(),
        (AlertKind::Autosave, Some(detail)) if is_player_data(detail) => voice.quote(detail),
        (AlertKind::Autosave, Some(detail)) => format!("saving failed: {}", voice.quote(detail)),
        (AlertKind::Autosave, None) => "saving failed".to_owned(),
        (AlertKind::Crash, Some(detail)) if detail.starts_with("it ") => {
            format!("the last run did not end in order: {}", voice.quote(detail))
        }
        (_, Some(detail)) => voice.quote(detail),
        (AlertKind::Crash, None) => "the last run did not end in order: it crashed or was killed".to_owned(),
        (_, None) => "the game says no more".to_owned(),
    };
    if count > 1 { format!("{what} ({count} times, the last at {})", voice.time(last)) } else { what }
}

/// As `5 min`, of two times.
fn lasted(since: Timestamp, until: Timestamp) -> String {
    span(Duration::try_from(until.duration_since(since)).unwrap_or_default())
}

/// As `45 s`, `5 min`, `2 h 30 min`, `3 d`.
#[must_use]
pub fn span(time: Duration) -> String {
    let (seconds, minutes) = (time.as_secs(), time.as_secs() / 60);
    match (minutes / 60 / 24, minutes / 60, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) if minutes % 60 > 0 => format!("{hours} h {} min", minutes % 60),
        (0, hours, _) => format!("{hours} h"),
        (days, hours, _) if hours % 24 > 0 => format!("{days} d {} h", hours % 24),
        (days, ..) => format!("{days} d"),
    }
}

/// When it fires, with the thresholds of the server.
#[must_use]
pub fn rule(kind: AlertKind, settings: &AlertSettings, rule: &AlertRule) -> String {
    let limits = &settings.limits;
    match kind {
        AlertKind::LowUps => {
            let (below, samples) = (limits.ups_below, rule.samples);
            format!("Fires when {samples} samples in a row have surely less than {below} of 60 updates per second.")
        }
        AlertKind::RconDown => format!("Fires when the game has not answered for {}.", span(rule.after)),
        AlertKind::LogSilent => format!(
            "Fires when somebody came or went and no line was read for {}, or somebody plays and none was for {}.",
            span(rule.after),
            span(limits.log_quiet)
        ),
        AlertKind::Autosave => {
            let overdue = span(limits.save_overdue);
            format!("Fires when a save fails, or when somebody plays and there was none for {overdue}.")
        }
        AlertKind::StartFailed => {
            let after = span(limits.start_after.unwrap_or_default());
            format!("Fires when a run ends, or still loads after {after}, after an error and before players can join.")
        }
        AlertKind::CrashLoop => {
            let (runs, within) = (limits.crashes, span(limits.crashes_within));
            format!("Fires when {runs} runs within {within} crashed, were killed or never got ready.")
        }
        AlertKind::Crash => "Fires when the server crashes or is killed.".to_owned(),
        AlertKind::Desync => "Fires when a player's game goes out of step.".to_owned(),
        AlertKind::ScriptError => "Fires when a mod or a script raises an error.".to_owned(),
        AlertKind::Evolution => format!("Fires at every step of {} of a surface's evolution.", limits.evolution_step),
        AlertKind::Watchlist => format!("Fires when one of {} watched players joins.", limits.watchlist.len()),
        AlertKind::JoinRefused => {
            format!("Fires when one name is refused {} times within {}.", limits.refusals, span(limits.refusals_within))
        }
        AlertKind::Backlog => {
            format!("Fires when something has waited for Discord for {}.", span(limits.backlog_age))
        }
    }
}

/// What ends it.
#[must_use]
pub fn recovery(kind: AlertKind, settings: &AlertSettings) -> String {
    let limits = &settings.limits;
    match kind {
        AlertKind::LowUps => format!("Over at the first sample that may be {} of 60 or more.", limits.ups_recovered),
        AlertKind::RconDown => "Over when the game answers.".to_owned(),
        AlertKind::LogSilent => "Over when a line is read.".to_owned(),
        AlertKind::Autosave => "Over when a save is done.".to_owned(),
        AlertKind::StartFailed => "Over when a run is ready.".to_owned(),
        AlertKind::CrashLoop => format!("Over when there was no crash for {}.", span(limits.crashes_within)),
        AlertKind::Crash => "Over when the server runs again.".to_owned(),
        AlertKind::Desync => format!("Over when there was no other for {}.", span(limits.desync_calm)),
        AlertKind::ScriptError => format!("Over when there was no other for {}.", span(limits.script_calm)),
        AlertKind::Evolution => "News: it ends by itself.".to_owned(),
        AlertKind::Watchlist => "Over when the player leaves.".to_owned(),
        AlertKind::JoinRefused => format!("Over when there was no other for {}.", span(limits.refusals_within)),
        AlertKind::Backlog => format!("Over when nothing waits for {}.", span(limits.backlog_age / 2)),
    }
}

/// What to do about it.
#[must_use]
pub fn advice(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::LowUps => "Look at the load of the machine and at what was built last; fewer players or mods help.",
        AlertKind::RconDown => "Look whether the game runs, and whether its RCON port is the configured one.",
        AlertKind::LogSilent => {
            "Look at the path of `console_log`, the game's `--console-log`, and the disk's free space."
        }
        AlertKind::Autosave => "Look at the disk's free space and at the rights of the folder of saves.",
        AlertKind::StartFailed => "The error says which mod, file, setting or version keeps the game from starting.",
        AlertKind::CrashLoop | AlertKind::Crash => {
            "Look at the end of factorio-previous.log, and at the mods that changed last."
        }
        AlertKind::Desync => "The player has to join again; desync reports lie in the game's folder.",
        AlertKind::ScriptError => "Look which mod the error names; update it or switch it off.",
        AlertKind::Evolution => "Nothing, but to mind the defences.",
        AlertKind::Watchlist => "Look at what the player does; `/factorio kick` and `/factorio ban` help.",
        AlertKind::JoinRefused => {
            "The reason says whether a password, a version, a ban or the whitelist is in the way."
        }
        AlertKind::Backlog => "Look at `/factorio health`, and at Discord's own status page.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_people_say_them() {
        let said = [45, 60, 300, 3600, 9000, 86_400, 183_600].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(said, ["45 s", "1 min", "5 min", "1 h", "2 h 30 min", "1 d", "2 d 3 h"]);
    }

    #[test]
    fn a_speed_that_may_be_meant_is_said_to_be_assumed_while_it_fires() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let said = |change, assumed| {
            let facts = Facts::Ups { ups: 29.8, target: 60.0, error: 1.0, assumed };
            let changed = Changed { key: (AlertKind::LowUps, String::new()), change, since: at, at, facts };
            of_change(Voice::Plain, "prod", &changed).unwrap()
        };
        assert_eq!(
            said(Change::Fired, true),
            format!(
                "🐌 Low UPS on prod, since 2027-01-15 08:00:00Z: 29.8 ± 1.0 updates per second of 60\n{SPEED_IS_ASSUMED}"
            )
        );
        assert!(said(Change::Reminded, true).ends_with(SPEED_IS_ASSUMED));
        assert!(!said(Change::Recovered, true).contains("assumed"));
        assert!(!said(Change::Fired, false).contains("assumed"));
    }

    #[test]
    fn what_players_wrote_cannot_format_or_ping() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let facts = Facts::Refusals { count: 5, reason: Some("*bad* <@&1>".to_owned()) };
        let key = (AlertKind::JoinRefused, "@everyone_1".to_owned());
        let changed = Changed { key, change: Change::Fired, since: at, at, facts };
        let said = of_change(Voice::Discord, "My_Server", &changed).unwrap();
        insta::assert_snapshot!(said.replace('\u{200b}', "(200b)"), @r"🚫 **Join refused** on My\_Server, since <t:1800000000:f>: **@(200b)everyone\_1** was refused 5 times (\*bad\* \<@&1>)");
    }
}
