//! The pulse in tiles, and what failed lately.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::health::Component;
use crate::telemetry::pulse::{ErrorCounts, PulseView};
use crate::telemetry::recent::RecentError;

use super::components::title;
use super::html::{Times, curve, escape, grouped, mark, put, rate, short};

/// A notice that has waited longer than this is worth a colour: Discord limits a burst for a few seconds.
const LONG: Duration = Duration::from_mins(1);

/// One number with what belongs to it.
struct Tile<'a> {
    title: &'a str,
    value: String,
    unit: &'a str,
    below: String,
    curve: Option<&'a [f64]>,
    state: &'a str,
}

/// The relay's pulse.
pub(super) fn tiles(pulse: &PulseView) -> String {
    let tiles = [lines(pulse), delivered(pulse), backlog(pulse), latency(pulse), rcon(pulse), limits(pulse)];
    format!("<ul id=\"pulse\" class=\"tiles\">{}</ul>", tiles.iter().map(written).collect::<String>())
}

fn written(tile: &Tile<'_>) -> String {
    let Tile { title, value, unit, below, curve: values, state } = tile;
    let curve = values.map(curve).unwrap_or_default();
    format!(
        "<li class=\"tile {state}\"><h3>{title}</h3><p class=\"value\"><b>{value}</b> {unit}</p>\
         <p class=\"quiet\">{below}</p>{curve}</li>"
    )
}

fn lines(pulse: &PulseView) -> Tile<'_> {
    Tile {
        title: "Lines read",
        value: rate(pulse.lines_now),
        unit: "a second",
        below: format!(
            "{} lines, {} events since the start",
            grouped(pulse.totals.lines),
            grouped(pulse.totals.events)
        ),
        curve: Some(&pulse.curves.lines),
        state: "",
    }
}

fn delivered(pulse: &PulseView) -> Tile<'_> {
    let mut below = format!("{} messages since the start", grouped(pulse.totals.delivered));
    for (count, what) in [(pulse.recently.retried, "tried again"), (pulse.recently.rejected, "refused")] {
        if count > 0 {
            put(&mut below, format_args!(", {} {what} lately", grouped(count)));
        }
    }
    let state = if pulse.recently.rejected > 0 { "degraded" } else { "" };
    Tile {
        title: "Delivered",
        value: rate(pulse.delivered_now),
        unit: "a second",
        below,
        curve: Some(&pulse.curves.delivered),
        state,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn backlog(pulse: &PulseView) -> Tile<'_> {
    let waits = pulse.depth >= 1.0;
    Tile {
        title: "Backlog",
        value: grouped(pulse.depth.max(0.0) as u64),
        unit: if pulse.depth.round() as i64 == 1 { "notice" } else { "notices" },
        below: if waits { format!("the oldest waits {}", short(pulse.oldest)) } else { "nothing waits".to_owned() },
        curve: Some(&pulse.curves.depth),
        state: if waits && pulse.oldest > LONG { "degraded" } else { "" },
    }
}

fn latency(pulse: &PulseView) -> Tile<'_> {
    let (value, unit, below) = match pulse.relay {
        Some(relay) => (short(relay.p50), "median", format!("99 % within {}", short(relay.p99))),
        None => ("–".to_owned(), "", "nothing delivered in five minutes".to_owned()),
    };
    Tile { title: "Latency, line to Discord", value, unit, below, curve: Some(&pulse.curves.relay), state: "" }
}

fn rcon(pulse: &PulseView) -> Tile<'_> {
    let (value, unit, below) = match pulse.rcon {
        Some(rcon) => {
            let below = format!("99 % within {}, {} commands in 5 min", short(rcon.p99), grouped(rcon.count));
            (short(rcon.p50), "median", below)
        }
        None => ("–".to_owned(), "", "no command in five minutes".to_owned()),
    };
    Tile { title: "RCON", value, unit, below, curve: None, state: "" }
}

fn limits(pulse: &PulseView) -> Tile<'_> {
    Tile {
        title: "Rate limits",
        value: grouped(pulse.recently.limited),
        unit: "in 5 min",
        below: format!("{} answers 429 since the start", grouped(pulse.totals.limited)),
        curve: None,
        state: "",
    }
}

/// The last failures, the newest first.
pub(super) fn errors(errors: &[RecentError], counts: &ErrorCounts, times: Times) -> String {
    let mut html = "<div id=\"errors\">".to_owned();
    if errors.is_empty() {
        html += "<p class=\"quiet\">No warning and no error since the start.</p>";
    } else {
        let list: String = errors.iter().map(|error| entry(error, times)).collect();
        put(&mut html, format_args!("<ol class=\"errors\">{list}</ol>"));
    }
    if !counts.is_empty() {
        let counted = counted(counts, times);
        put(&mut html, format_args!("<h3>Failures since the start, by kind</h3><ul class=\"kinds\">{counted}</ul>"));
    }
    html + "</div>"
}

fn entry(error: &RecentError, times: Times) -> String {
    let (state, word) = if error.severe { ("unhealthy", "error") } else { ("degraded", "warning") };
    let mut html = format!(
        "<li class=\"{state}\">{}<div><p><span class=\"state\">{word}</span> <b>{}</b> {}{}</p>",
        mark(state),
        room(&error.room),
        escape(&error.message),
        places(&error.places),
    );
    if let Some(reason) = &error.reason {
        put(&mut html, format_args!("<p class=\"why\">{}</p>", escape(reason)));
    }
    html += "</div><p class=\"when\">";
    if error.count > 1 {
        let first = error.first.strftime("%Y-%m-%d %H:%M:%S UTC");
        let count = grouped(error.count);
        put(&mut html, format_args!("<span class=\"count\" title=\"since {first}\">{count} times</span> "));
    }
    put(&mut html, format_args!("{}</p></li>", times.past(error.last)));
    html
}

/// What a room of the source is called.
fn room(room: &str) -> String {
    match room {
        "tail" => title(Component::LogTailer),
        "events" => title(Component::Pipeline),
        "delivery" => title(Component::Delivery),
        "store" => title(Component::Store),
        "discord" => title(Component::Discord),
        "rcon" => title(Component::Rcon),
        "game" => "Games",
        "supervisor" => "Supervisor",
        "app" => "Program",
        "telemetry" => "Telemetry",
        other => return escape(other),
    }
    .to_owned()
}

fn places(places: &[(&'static str, String)]) -> String {
    let place = |(what, which): &(&str, String)| format!(" <code>{what} {}</code>", escape(which));
    places.iter().map(place).collect()
}

/// A row for each component that failed: `Discord: 3 network, 2 min ago, 1 auth, 5 s ago`.
fn counted(counts: &ErrorCounts, times: Times) -> String {
    let mut by_component: BTreeMap<&str, String> = BTreeMap::new();
    for ((component, kind), (count, last)) in counts {
        let (count, kind, last) = (grouped(*count), escape(kind), times.past(*last));
        let kinds = by_component.entry(component).or_default();
        put(kinds, format_args!("<span><b>{count}</b> <code>{kind}</code> {last}</span>"));
    }
    let row = |(component, kinds): (&str, &String)| format!("<li>{} {kinds}</li>", component_title(component));
    by_component.iter().map(|(component, kinds)| row((component, kinds))).collect()
}

/// What a component is called; the metrics know one that is no part of the health.
fn component_title(name: &str) -> String {
    let known = Component::ALL.into_iter().find(|component| component.as_str() == name);
    known.map_or_else(|| escape(name), |component| title(component).to_owned())
}
