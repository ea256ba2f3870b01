//! Whether the relay does its work now, and what does not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::registry::{States, worst_part};
use super::{Component, ComponentState, LifecycleFacts, PartStatus};

/// The name of a component's state. Where nobody reports for it: RCON is optional, all else is about to report.
#[must_use]
pub fn state_name(states: &States, component: Component) -> &'static str {
    match worst_part(states, component) {
        Some(part) => part.state.as_str(),
        None if component == Component::Rcon => "not_configured",
        None => "starting",
    }
}

/// The answer to "ready?". Field names are fixed: probes and dashboards rely on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Initialised, not stopping, and `discord` and `log_tailer` work.
    pub ready: bool,
    /// What is wrong, from a closed set of words. `rcon_unhealthy` alone does not make it unready.
    pub reasons: Vec<&'static str>,
    /// Every component's state.
    pub components: BTreeMap<&'static str, &'static str>,
    /// Every server's parts, as `console` and `engine`.
    pub servers: BTreeMap<String, BTreeMap<String, PartReport>>,
    /// For each component that is not healthy: which of its parts, and why.
    pub details: BTreeMap<&'static str, Vec<Detail>>,
}

/// One part of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// The state's name.
    pub state: &'static str,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Why a component is not healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Which part of it, as `TAG/console` or a channel's id; absent for the component as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Its state.
    #[serde(flatten)]
    pub report: PartReport,
}

impl From<&PartStatus> for PartReport {
    fn from(status: &PartStatus) -> Self {
        Self { state: status.state.as_str(), reason: status.state.reason().map(str::to_owned), since: status.since }
    }
}

impl Readiness {
    /// The answer of these states and marks.
    #[must_use]
    pub fn of(facts: &LifecycleFacts, states: &States) -> Self {
        let works = |component| worst_part(states, component).is_some_and(|part| part.state.works());
        let (discord, log_tailer) = (works(Component::Discord), works(Component::LogTailer));
        let rcon = worst_part(states, Component::Rcon).is_none_or(|part| part.state.works());
        let wrong = [
            (!facts.initialised, "app_not_initialized"),
            (!discord, "discord_unhealthy"),
            (!log_tailer, "log_tailer_unhealthy"),
            (!rcon, "rcon_unhealthy"),
            (facts.stopping, "stopping"),
        ];
        Self {
            ready: facts.initialised && !facts.stopping && discord && log_tailer,
            reasons: wrong.into_iter().filter_map(|(so, reason)| so.then_some(reason)).collect(),
            components: Component::ALL.into_iter().map(|c| (c.as_str(), state_name(states, c))).collect(),
            servers: servers(states),
            details: details(states),
        }
    }
}

fn servers(states: &States) -> BTreeMap<String, BTreeMap<String, PartReport>> {
    let mut servers = BTreeMap::<String, BTreeMap<String, PartReport>>::new();
    for ((_, part), status) in states {
        if let Some((server, part)) = part.split_once('/') {
            servers.entry(server.to_owned()).or_default().insert(part.to_owned(), status.into());
        }
    }
    servers
}

fn details(states: &States) -> BTreeMap<&'static str, Vec<Detail>> {
    let mut details = BTreeMap::<&'static str, Vec<Detail>>::new();
    for ((component, part), status) in states.iter().filter(|(_, status)| status.state != ComponentState::Healthy) {
        let part = (!part.is_empty()).then(|| part.clone());
        details.entry(component.as_str()).or_default().push(Detail { part, report: status.into() });
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ServerTag;
    use crate::health::{ComponentHandle, HealthRegistry, Lifecycle};

    /// A relay in which all is well.
    fn well() -> (Lifecycle, HealthRegistry, ComponentHandle, ComponentHandle) {
        let (life, health) = (Lifecycle::new(), HealthRegistry::new());
        life.mark_initialised();
        let discord = health.component(Component::Discord);
        let console = health.server_part(Component::LogTailer, &ServerTag::new("prod").unwrap(), "console");
        discord.healthy();
        console.healthy();
        (life, health, discord, console)
    }

    fn answer(life: &Lifecycle, health: &HealthRegistry) -> (bool, Vec<&'static str>) {
        let readiness = Readiness::of(&life.facts(), &health.snapshot());
        (readiness.ready, readiness.reasons)
    }

    #[test]
    fn all_is_well() {
        let (life, health, ..) = well();
        assert_eq!(answer(&life, &health), (true, vec![]));
    }

    #[test]
    fn a_degraded_component_still_does_its_work() {
        let (life, health, discord, _console) = well();
        discord.degraded("resumed twice in a minute");
        assert_eq!(answer(&life, &health), (true, vec![]));
    }

    #[test]
    fn nothing_is_known_at_the_start() {
        let reasons = vec!["app_not_initialized", "discord_unhealthy", "log_tailer_unhealthy"];
        assert_eq!(answer(&Lifecycle::new(), &HealthRegistry::new()), (false, reasons));
    }

    #[test]
    fn each_of_discord_and_the_tailer_makes_it_unready() {
        let (life, health, discord, console) = well();
        discord.unhealthy("the token is wrong");
        assert_eq!(answer(&life, &health), (false, vec!["discord_unhealthy"]));
        discord.healthy();
        console.unhealthy("no such file");
        assert_eq!(answer(&life, &health), (false, vec!["log_tailer_unhealthy"]));
    }

    #[test]
    fn rcon_is_named_but_does_not_block() {
        let (life, health, ..) = well();
        health.part(Component::Rcon, "prod/rcon").unhealthy("refused");
        assert_eq!(answer(&life, &health), (true, vec!["rcon_unhealthy"]));
    }

    #[test]
    fn who_stops_is_not_ready() {
        let (life, health, ..) = well();
        life.mark_stopping();
        assert_eq!(answer(&life, &health), (false, vec!["stopping"]));
    }

    #[test]
    fn other_components_are_listed_but_do_not_block() {
        let (life, health, ..) = well();
        health.component(Component::Store).unhealthy("the disk is full");
        let readiness = Readiness::of(&life.facts(), &health.snapshot());
        assert!(readiness.ready);
        assert_eq!(readiness.components["store"], "unhealthy");
        assert_eq!(readiness.details["store"][0].report.reason.as_deref(), Some("the disk is full"));
        assert_eq!(readiness.components["rcon"], "not_configured");
    }

    #[test]
    fn a_server_shows_its_parts_and_a_channel_is_no_server() {
        let (life, health, _discord, console) = well();
        console.unhealthy("no such file");
        health.part(Component::Delivery, "1234").degraded("Missing Access");
        let readiness = Readiness::of(&life.facts(), &health.snapshot());
        let parts: Vec<_> =
            readiness.servers.iter().flat_map(|(tag, parts)| parts.keys().map(move |p| (tag, p))).collect();
        assert_eq!(parts, [(&"prod".to_owned(), &"console".to_owned())]);
        assert_eq!(readiness.servers["prod"]["console"].reason.as_deref(), Some("no such file"));
        assert_eq!(readiness.details["delivery"][0].part.as_deref(), Some("1234"));
    }
}
