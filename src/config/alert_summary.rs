//! The alerts of a server as `check` lists them: what there is, when it fires, where it goes and whom it pings.

use std::fmt;

use super::duration::shown;
use super::settings::{AlertLimits, AlertRule, ServerSettings};
use crate::domain::AlertKind;

/// One line for all of them, and one for each.
pub(super) fn write(f: &mut fmt::Formatter<'_>, server: &ServerSettings) -> fmt::Result {
    let alerts = &server.alerts;
    if alerts.rules.is_empty() {
        return writeln!(f, "  alerts       none");
    }
    let again = alerts.remind_after.map_or_else(|| "never".to_owned(), |after| format!("after {}", shown(after)));
    writeln!(f, "  alerts       to channel {}, repeated {again}", server.alert_channel())?;
    for (kind, rule) in &alerts.rules {
        let (key, fires) = (kind.as_str(), threshold(*kind, &alerts.limits, rule));
        let (cooldown, roles) = (shown(rule.cooldown), roles(alerts.ping.iter().filter(|_| rule.ping)));
        writeln!(f, "    {key:<12} {fires}; cooldown {cooldown}; pings {roles}")?;
    }
    Ok(())
}

fn roles<'a>(ids: impl Iterator<Item = &'a u64>) -> String {
    let ids: Vec<String> = ids.map(ToString::to_string).collect();
    if ids.is_empty() { "nobody".to_owned() } else { ids.join(", ") }
}

/// When it fires, with what was set.
fn threshold(kind: AlertKind, limits: &AlertLimits, rule: &AlertRule) -> String {
    let after = shown(rule.after);
    match kind {
        AlertKind::LowUps => {
            let (below, samples, recovered) = (limits.ups_below, rule.samples, limits.ups_recovered);
            format!("below {below} of 60 in {samples} samples, over at {recovered}")
        }
        AlertKind::RconDown => format!("no answer for {after}"),
        AlertKind::LogSilent => {
            format!("no line for {after} of who came or went, or for {} of who plays", shown(limits.log_quiet))
        }
        AlertKind::Autosave => format!("a save failed, or none for {} of play", shown(limits.save_overdue)),
        AlertKind::StartFailed => {
            let after = shown(limits.start_after.unwrap_or_default());
            format!("an error before the server is ready, when the run ends or after {after}")
        }
        AlertKind::CrashLoop => format!("{} crashes within {}", limits.crashes, shown(limits.crashes_within)),
        AlertKind::Crash => "a crash, over when it runs".to_owned(),
        AlertKind::Desync => format!("a desync, over after {} without", shown(limits.desync_calm)),
        AlertKind::ScriptError => format!("an error, over after {} without", shown(limits.script_calm)),
        AlertKind::Evolution => format!("a step of {}", limits.evolution_step),
        AlertKind::Watchlist => format!("one of {} names joined", limits.watchlist.len()),
        AlertKind::JoinRefused => format!("{} refusals within {}", limits.refusals, shown(limits.refusals_within)),
        AlertKind::Backlog => format!("something waits for {}", shown(limits.backlog_age)),
    }
}
