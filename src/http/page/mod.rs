//! The status page: what works, what does not, since when and why, and how much the relay does. It is whole without its
//! script; the script swaps the parts that change.

mod activity;
mod components;
pub(super) mod feed;
mod html;
mod servers;
mod sources;

use std::sync::Arc;

use jiff::Timestamp;

use crate::health::Readiness;
use crate::http::assets::{SCRIPT, STYLE};

use html::Times;
pub use sources::{GameAnswers, GameFacts, Games, PageSources, ShownAlert, ShownServer};

/// An element of the page that is swapped as a whole, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: String,
    pub(super) html: Arc<str>,
}

/// The page, in parts.
struct Parts {
    headline: String,
    pulse: String,
    components: String,
    summary: String,
    servers: Vec<servers::Card>,
    fold: String,
    errors: String,
}

impl Parts {
    fn of(sources: &PageSources, times: Times) -> Self {
        let (facts, states) = (sources.lifecycle.facts(), sources.health.snapshot());
        let (readiness, pulse) = (Readiness::of(&facts, &states), sources.pulse.view());
        let cards = servers::cards(sources, &states, times);
        Self {
            headline: components::headline(&facts, &readiness, &servers::alerts(&cards)),
            pulse: activity::tiles(&pulse),
            components: components::cards(&states, times),
            summary: servers::summary(&cards),
            fold: servers::fold(&cards),
            servers: cards,
            errors: activity::errors(&sources.errors.list(), &pulse.errors, times),
        }
    }
}

/// The parts as they are now; the same state makes the same text, whenever it is asked.
pub(super) fn parts(sources: &PageSources) -> Vec<Part> {
    let parts = Parts::of(sources, Times::Absolute);
    let fixed = [
        ("headline", parts.headline),
        ("pulse", parts.pulse),
        ("components", parts.components),
        ("servers-summary", parts.summary),
        ("well-summary", parts.fold),
        ("errors", parts.errors),
    ];
    let fixed = fixed.into_iter().map(|(id, html)| Part { id: id.to_owned(), html: html.into() });
    fixed.chain(parts.servers.into_iter().map(|card| Part { id: card.id, html: card.html.into() })).collect()
}

/// The whole page. `seen` says which state it shows, to a stream that goes on from there.
pub(super) fn render(sources: &PageSources, seen: &str, started: Timestamp, now: Timestamp) -> String {
    let times = Times::From(now);
    let parts = Parts::of(sources, times);
    let list = |well| {
        let cards = parts.servers.iter().filter(|card| card.well == well);
        cards.map(|card| card.html.as_str()).collect::<String>()
    };
    format!(
        include_str!("status.html"),
        seen = seen,
        now_ms = now.as_millisecond(),
        style = STYLE.url(),
        script = SCRIPT.url(),
        version = env!("CARGO_PKG_VERSION"),
        uptime = times.lasting(started),
        now = now.strftime("%Y-%m-%d %H:%M:%S UTC"),
        headline = parts.headline,
        pulse = parts.pulse,
        components = parts.components,
        summary = parts.summary,
        trouble = list(false),
        well = list(true),
        few = if servers::are_few(&parts.servers) { " class=\"few\"" } else { "" },
        open = if servers::are_few(&parts.servers) { " open" } else { "" },
        fold = parts.fold,
        errors = parts.errors,
        metrics = if sources.metrics { METRICS } else { NO_METRICS },
    )
}

const METRICS: &str = "<li><a href=\"/metrics\">/metrics</a> all numbers, for Prometheus</li>";

const NO_METRICS: &str = "<li>/metrics is switched off</li>";

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
