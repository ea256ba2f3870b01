//! The headline, and a card for each component.

use crate::health::{Component, ComponentState, LifecycleFacts, PartStatus, Readiness, States, state_name, worst_part};

use super::html::{Times, escape, mark, put};
use super::servers::{Alerts, name_of, part_title};

/// Parts of servers that are named on a card; the others are counted.
const NAMED: usize = 3;

/// How it is, in a few words, and what is wrong.
pub(super) fn headline(facts: &LifecycleFacts, readiness: &Readiness, alerts: &Alerts) -> String {
    let (state, words) = verdict(facts, readiness, alerts);
    let mut html =
        format!("<div id=\"headline\" class=\"{state}\" role=\"status\">{}<div><h1>{words}</h1><ul>", mark(state));
    let said = readiness.reasons.iter().map(|reason| for_operators(reason, readiness).to_owned());
    let dead = facts.dead_because().filter(|_| facts.fallen.is_some() || facts.marked_live);
    let firing = Some(alerts.words.clone()).filter(|words| !words.is_empty());
    for reason in dead.into_iter().chain(said).chain(firing).chain(to_look_at(readiness)) {
        put(&mut html, format_args!("<li>{}</li>", escape(&reason)));
    }
    html + "</ul></div></div>"
}

fn verdict(facts: &LifecycleFacts, readiness: &Readiness, alerts: &Alerts) -> (&'static str, String) {
    let (state, words) = if facts.dead_because().is_some() && facts.fallen.is_some() {
        ("unhealthy", "Going down")
    } else if facts.stopping {
        ("starting", "Stopping")
    } else if !readiness.ready && readiness.components.values().all(|state| *state != "unhealthy") {
        ("starting", "Starting")
    } else if !readiness.ready {
        ("unhealthy", "Not ready")
    } else if alerts.count == 1 {
        ("degraded", "1 alert is firing")
    } else if alerts.count > 1 {
        return ("degraded", format!("{} alerts are firing", alerts.count));
    } else if readiness.details.is_empty() {
        ("healthy", "All is well")
    } else {
        ("degraded", "Working, with something to look at")
    };
    (state, words.to_owned())
}

/// The components that are not as they should be, and of which no reason tells.
fn to_look_at(readiness: &Readiness) -> Option<String> {
    // While it starts or stops, that says enough.
    if readiness.reasons.iter().any(|reason| matches!(*reason, "app_not_initialized" | "stopping")) {
        return None;
    }
    let told = |component: Component| readiness.reasons.contains(&format!("{}_unhealthy", component.as_str()).as_str());
    let wrong = |component: &Component| readiness.details.contains_key(component.as_str()) && !told(*component);
    let named = |component| format!("{} ({})", title(component), readiness.components[component.as_str()]);
    let all: Vec<String> = Component::ALL.into_iter().filter(wrong).map(named).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// A reason of the readiness answer in words.
fn for_operators<'a>(reason: &'a str, readiness: &Readiness) -> &'a str {
    let starting = |component: Component| readiness.components[component.as_str()] == "starting";
    match reason {
        "app_not_initialized" => "The program is still starting.",
        "discord_unhealthy" if starting(Component::Discord) => "Discord has not answered yet.",
        "discord_unhealthy" => "Discord cannot be reached or refuses the bot.",
        "log_tailer_unhealthy" if starting(Component::LogTailer) => "Not every log is open yet.",
        "log_tailer_unhealthy" => "A server's log cannot be read.",
        "rcon_unhealthy" => "A server's RCON console cannot be reached.",
        "stopping" => "The program is stopping.",
        other => other,
    }
}

/// What a component is called.
pub(super) fn title(component: Component) -> &'static str {
    match component {
        Component::Discord => "Discord",
        Component::LogTailer => "Logs",
        Component::Pipeline => "Pipeline",
        Component::Delivery => "Delivery",
        Component::Store => "Database",
        Component::Rcon => "RCON",
    }
}

/// What a component does, in a few words.
fn task(component: Component) -> &'static str {
    match component {
        Component::Discord => "the bot's connection and access",
        Component::LogTailer => "the servers' logs are read",
        Component::Pipeline => "lines become notices",
        Component::Delivery => "notices go to Discord",
        Component::Store => "what must not be lost",
        Component::Rcon => "the servers' consoles",
    }
}

/// A card for each component.
pub(super) fn cards(states: &States, times: Times) -> String {
    let cards = Component::ALL.into_iter().map(|component| card(states, component, times));
    format!("<ul id=\"components\" class=\"cards\">{}</ul>", cards.collect::<String>())
}

fn card(states: &States, component: Component, times: Times) -> String {
    let state = state_name(states, component);
    let since = worst_part(states, component).map(|worst| times.lasting(worst.since)).unwrap_or_default();
    let mut html = format!(
        "<li class=\"card {state}\"><div class=\"top\">{}<b>{}</b><span class=\"state\">{}</span></div>\
         <p class=\"quiet\">{}{}{since}</p>",
        mark(state),
        title(component),
        state.replace('_', " "),
        task(component),
        if since.is_empty() { "" } else { " · " },
    );
    for reason in reasons(states, component) {
        put(&mut html, format_args!("<p class=\"why\">{}</p>", escape(&reason)));
    }
    html + "</li>"
}

/// Why the component is not healthy. The parts of servers have their reasons at the servers and are only named here.
fn reasons(states: &States, component: Component) -> Vec<String> {
    let parts = states.iter().filter(|((of, _), status)| *of == component && status.state != ComponentState::Healthy);
    let (of_servers, others): (Vec<_>, Vec<_>) = parts.partition(|((_, part), _)| part.contains('/'));
    let reason = |((_, part), status): (&(Component, String), &PartStatus)| {
        let reason = status.state.reason()?;
        Some(if part.is_empty() { reason.to_owned() } else { with_name(&name_of(part), reason) })
    };
    others.into_iter().filter_map(reason).chain(named(&of_servers)).collect()
}

/// A reason that names its part is a sentence of its own; another one gets the name in front.
fn with_name(name: &str, reason: &str) -> String {
    if !reason.to_lowercase().contains(&name.to_lowercase()) {
        return format!("{name}: {reason}");
    }
    let mut letters = reason.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    first + letters.as_str()
}

/// `prod: Console log, test: RCON and 12 more`.
fn named(parts: &[(&(Component, String), &PartStatus)]) -> Option<String> {
    let name = |(key, _): &(&(Component, String), &PartStatus)| {
        let (server, part) = key.1.split_once('/')?;
        Some(format!("{server}: {}", part_title(part)))
    };
    let names: Vec<String> = parts.iter().filter_map(name).take(NAMED).collect();
    let more = match parts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| names.join(", ") + &more)
}
