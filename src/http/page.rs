//! The status page: what works, what does not, since when and why. Plain HTML, no script.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;

use crate::health::{Component, Detail, LifecycleFacts, PartReport, Readiness, States, state_name, worst_part};

/// The page for these states. `metrics` tells whether there is a `/metrics` to link to.
pub(super) fn render(facts: &LifecycleFacts, states: &States, metrics: bool, now: Timestamp) -> String {
    let readiness = Readiness::of(facts, states);
    let (state, headline) = headline(facts, &readiness);
    format!(
        include_str!("status.html"),
        state = state,
        headline = headline,
        reasons = reasons(facts, &readiness),
        uptime = for_people(facts.uptime),
        version = env!("CARGO_PKG_VERSION"),
        components = components(states, &readiness, now),
        servers = servers(&readiness.servers, now),
        metrics = if metrics { r#"<a href="/metrics">Metrics</a>"# } else { "<span>Metrics are disabled</span>" },
        now = now.strftime("%Y-%m-%d %H:%M:%S UTC"),
    )
}

fn headline(facts: &LifecycleFacts, readiness: &Readiness) -> (&'static str, &'static str) {
    if facts.dead_because().is_some() && facts.fallen.is_some() {
        ("unhealthy", "Going down")
    } else if facts.stopping {
        ("starting", "Stopping")
    } else if !readiness.ready && readiness.components.values().all(|state| *state != "unhealthy") {
        ("starting", "Starting")
    } else if !readiness.ready {
        ("unhealthy", "Not ready")
    } else if readiness.details.is_empty() {
        ("healthy", "All is well")
    } else {
        ("degraded", "Working, with something to look at")
    }
}

fn reasons(facts: &LifecycleFacts, readiness: &Readiness) -> String {
    let said = readiness.reasons.iter().map(|reason| for_operators(reason, readiness).to_owned());
    let dead = facts.dead_because().filter(|_| facts.fallen.is_some() || facts.marked_live);
    dead.into_iter().chain(said).fold(String::new(), |mut list, reason| {
        put(&mut list, format_args!("<li>{}</li>", escape(&reason)));
        list
    })
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

fn title(component: Component) -> &'static str {
    match component {
        Component::Discord => "Discord",
        Component::LogTailer => "Logs",
        Component::Pipeline => "Pipeline",
        Component::Delivery => "Delivery",
        Component::Store => "Database",
        Component::Rcon => "RCON",
    }
}

/// What the log or console of a server is called.
fn part_title(part: &str) -> &str {
    match part {
        "console" => "Console log",
        "engine" => "Engine log",
        "rcon" => "RCON",
        other => other,
    }
}

fn components(states: &States, readiness: &Readiness, now: Timestamp) -> String {
    Component::ALL.into_iter().fold(String::new(), |mut list, component| {
        let since = worst_part(states, component).map(|worst| worst.since);
        let reasons = readiness.details.get(component.as_str()).map(|details| reasons_of(details)).unwrap_or_default();
        card(&mut list, title(component), state_name(states, component), since, &reasons, now);
        list
    })
}

/// Each part with its reason; the parts of servers have theirs below, and are only named here.
fn reasons_of(details: &[Detail]) -> Vec<String> {
    let (of_servers, others): (Vec<_>, Vec<_>) = details.iter().partition(|detail| server_part(detail).is_some());
    let named: Vec<String> = of_servers
        .into_iter()
        .filter_map(server_part)
        .map(|(server, part)| format!("{server}: {}", part_title(part)))
        .collect();
    let below = (!named.is_empty()).then(|| named.join(", "));
    let reason = |detail: &Detail| {
        let reason = detail.report.reason.as_deref()?;
        Some(detail.part.as_ref().map_or_else(|| reason.to_owned(), |part| format!("{part}: {reason}")))
    };
    others.into_iter().filter_map(reason).chain(below).collect()
}

fn server_part(detail: &Detail) -> Option<(&str, &str)> {
    detail.part.as_ref()?.split_once('/')
}

fn servers(servers: &BTreeMap<String, BTreeMap<String, PartReport>>, now: Timestamp) -> String {
    let mut list = String::new();
    for (server, parts) in servers {
        put(&mut list, format_args!("<h3>{}</h3>\n<ul class=\"cards\">\n", escape(server)));
        for (part, report) in parts {
            card(&mut list, part_title(part), report.state, Some(report.since), report.reason.as_slice(), now);
        }
        list.push_str("</ul>\n");
    }
    if list.is_empty() {
        list.push_str("<p class=\"quiet\">No server has reported yet.</p>\n");
    }
    list
}

fn card(list: &mut String, title: &str, state: &str, since: Option<Timestamp>, reasons: &[String], now: Timestamp) {
    let (title, words) = (escape(title), state.replace('_', " "));
    put(list, format_args!("<li class=\"{state}\"><b>{title}</b> <span class=\"state\">{words}</span>"));
    if let Some(since) = since {
        let lasts = for_people(Duration::try_from(now.duration_since(since)).unwrap_or_default());
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
        put(list, format_args!(" <time datetime=\"{since}\" title=\"since {since}\">for {lasts}</time>"));
    }
    for reason in reasons {
        put(list, format_args!("<p>{}</p>", escape(reason)));
    }
    list.push_str("</li>\n");
}

fn put(to: &mut String, text: std::fmt::Arguments<'_>) {
    to.write_fmt(text).expect("a string takes all that is written to it");
}

/// The two largest units of a duration: `3 d 4 h`, `12 min 5 s`.
fn for_people(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Text as HTML text: reasons quote what others wrote.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ServerTag;
    use crate::health::{HealthRegistry, Lifecycle};

    fn rendered(life: &Lifecycle, health: &HealthRegistry) -> String {
        render(&life.facts(), &health.snapshot(), true, Timestamp::now())
    }

    #[test]
    fn the_headline_says_how_it_is() {
        let (life, health) = (Lifecycle::new(), HealthRegistry::new());
        assert!(rendered(&life, &health).contains("<h1>Starting</h1>"));
        life.mark_live();
        life.mark_initialised();
        let discord = health.component(Component::Discord);
        health.server_part(Component::LogTailer, &ServerTag::new("prod").unwrap(), "console").healthy();
        discord.healthy();
        assert!(rendered(&life, &health).contains("<h1>All is well</h1>"));
        discord.degraded("slow");
        assert!(rendered(&life, &health).contains("<h1>Working, with something to look at</h1>"));
        discord.unhealthy("refused");
        assert!(rendered(&life, &health).contains("<h1>Not ready</h1>"));
        life.mark_stopping();
        assert!(rendered(&life, &health).contains("<h1>Stopping</h1>"));
        life.mark_fallen("pipeline");
        assert!(rendered(&life, &health).contains("<li>the task pipeline fell</li>"));
    }

    #[test]
    fn a_reason_cannot_become_markup() {
        let health = HealthRegistry::new();
        health.component(Component::Store).unhealthy("<script>alert('x')</script> & \"more\"");
        let page = rendered(&Lifecycle::new(), &health);
        assert!(page.contains("<p>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;more&quot;</p>"));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn a_server_stands_with_its_logs_and_their_states() {
        let health = HealthRegistry::new();
        let console = health.server_part(Component::LogTailer, &ServerTag::new("prod").unwrap(), "console");
        console.unhealthy("/factorio/console.log does not exist");
        let page = rendered(&Lifecycle::new(), &health);
        let server = page.split("<h3>prod</h3>").nth(1).unwrap().split("</ul>").next().unwrap();
        assert!(server.contains("<li class=\"unhealthy\"><b>Console log</b> <span class=\"state\">unhealthy</span>"));
        assert!(server.contains("<p>/factorio/console.log does not exist</p>"));
    }

    #[test]
    fn every_part_that_does_not_work_is_named() {
        let health = HealthRegistry::new();
        for server in ["prod", "test"] {
            let console = health.server_part(Component::LogTailer, &ServerTag::new(server).unwrap(), "console");
            console.unhealthy("gone");
        }
        for channel in ["1001", "1002"] {
            health.part(Component::Delivery, channel).degraded("Missing Access");
        }
        let page = rendered(&Lifecycle::new(), &health);
        assert!(page.contains("<p>prod: Console log, test: Console log</p>"), "{page}");
        assert!(page.contains("<p>1001: Missing Access</p><p>1002: Missing Access</p>"), "{page}");
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let said = |seconds| for_people(Duration::from_secs(seconds));
        assert_eq!([said(0), said(59), said(60), said(3_599)], ["0 s", "59 s", "1 min 0 s", "59 min 59 s"]);
        assert_eq!([said(3_600), said(86_399), said(86_400)], ["1 h 0 min", "23 h 59 min", "1 d 0 h"]);
    }
}
