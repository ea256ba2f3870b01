//! How the dashboards are made. `.ci/check-dashboards` holds them to Grafana's own schema.

use std::collections::BTreeSet;
use std::fs;

use factorio_isr::domain::EventKind;
use regex::Regex;
use reqwest::Url;
use serde_json::Value;

use super::{Dashboard, dashboards, exported, family, metrics_in, not_shown, rules, shipped, used};

/// Kinds of panels that draw over time.
const OVER_TIME: [&str; 3] = ["timeseries", "heatmap", "state-timeline"];

fn each_panel(check: impl Fn(&Value, &str)) {
    for board in dashboards() {
        for panel in board.panels() {
            check(panel, &board.title_of(panel));
        }
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn links_from_outside_stay_good() {
    let boards = dashboards();
    let names: Vec<[&str; 3]> = boards
        .iter()
        .map(|board| [board.file.as_str(), text(&board.json, "/uid"), text(&board.json, "/title")])
        .collect();
    let expected = [
        ["relay.json", "isr-relay", "Relay"],
        ["server.json", "isr-server", "Server"],
        ["servers.json", "isr-servers", "Servers"],
        ["slo.json", "isr-slo", "SLO"],
    ];
    assert_eq!(names, expected);
    // A number given by some database would clash with another's.
    assert!(boards.iter().all(|board| board.json.get("id").is_none()));
}

#[test]
fn every_file_is_written_in_one_way() {
    for Dashboard { file, text, json } in dashboards() {
        let pretty = serde_json::to_string_pretty(&json).unwrap() + "\n";
        if text != pretty && std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(shipped("grafana/dashboards").join(&file), pretty).unwrap();
            continue;
        }
        assert!(text == pretty, "{file}: keys in order, two spaces; UPDATE_DOCS=1 cargo test writes it so");
    }
}

#[test]
fn a_panel_keeps_its_own_id() {
    for board in dashboards() {
        let mut seen = BTreeSet::new();
        for panel in board.list("/panels") {
            assert!(seen.insert(panel["id"].as_u64().unwrap()), "{}", board.title_of(panel));
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_what_to_do() {
    each_panel(|panel, title| {
        assert!(text(panel, "/description").len() > 20, "{title} has no description");
        let thresholds = panel.pointer("/fieldConfig/defaults/thresholds/steps").and_then(Value::as_array).unwrap();
        let turns_red = thresholds.iter().any(|step| step["color"] == "red");
        let said =
            ["Red", "red", "Any", "Bright", "Nothing"].iter().any(|word| text(panel, "/description").contains(word));
        assert!(!turns_red || said, "{title} can be red, and its description does not say what to do");
    });
}

#[test]
fn every_panel_has_a_unit_a_legend_and_a_shortest_interval() {
    each_panel(|panel, title| {
        assert!(!text(panel, "/fieldConfig/defaults/unit").is_empty(), "{title} has no unit");
        let kind = text(panel, "/type");
        if !OVER_TIME.contains(&kind) {
            return;
        }
        assert!(!text(panel, "/interval").is_empty(), "{title} has no shortest interval");
        for target in panel["targets"].as_array().unwrap() {
            assert!(!["", "__auto"].contains(&text(target, "/legendFormat")), "{title} has no legend");
        }
    });
}

#[test]
fn no_panel_covers_another() {
    let at = |panel: &Value, key: &str| panel["gridPos"][key].as_u64().unwrap();
    for board in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in board.list("/panels") {
            let (x, y) = (at(panel, "x"), at(panel, "y"));
            let (right, bottom) = (x + at(panel, "w"), y + at(panel, "h"));
            assert!(right <= 24 && right > x && bottom > y, "{}", board.title_of(panel));
            let mut cells = (x..right).flat_map(|x| (y..bottom).map(move |y| (x, y)));
            assert!(cells.all(|cell| taken.insert(cell)), "{} covers another", board.title_of(panel));
        }
    }
}

/// Every `datasource` anywhere in a dashboard.
fn datasources<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    let inner: Box<dyn Iterator<Item = &'a Value>> = match value {
        Value::Object(fields) => {
            found.extend(fields.get("datasource"));
            Box::new(fields.values())
        }
        Value::Array(items) => Box::new(items.iter()),
        _ => return,
    };
    inner.for_each(|value| datasources(value, found));
}

#[test]
fn datasources_are_those_that_are_provisioned() {
    let provisioned = fs::read_to_string(shipped("grafana/provisioning/datasources/datasources.yml")).unwrap();
    let uid = Regex::new(r"(?m)^    uid: (\w+)\n    type: (\w+)$").unwrap();
    let known: Vec<[String; 2]> =
        uid.captures_iter(&provisioned).map(|found| [found[1].to_owned(), found[2].to_owned()]).collect();
    assert_eq!(known.len(), 2);
    let builtin = ["-- Grafana --".to_owned(), "grafana".to_owned()];
    for board in dashboards() {
        let mut found = Vec::new();
        datasources(&board.json, &mut found);
        assert!(found.len() > 10);
        for source in found {
            let named = [text(source, "/uid").to_owned(), text(source, "/type").to_owned()];
            assert!(named == builtin || known.contains(&named), "{}: {source}", board.file);
        }
    }
}

/// Every `url` anywhere in a dashboard.
fn urls(text: &str) -> Vec<String> {
    let url = Regex::new(r#""url": "([^"]+)""#).unwrap();
    url.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn links_lead_to_dashboards_that_exist_and_to_traces() {
    let boards = dashboards();
    let uids: BTreeSet<&str> = boards.iter().map(|board| text(&board.json, "/uid")).collect();
    for board in &boards {
        let tagged = board.list("/links").iter().any(|link| text(link, "/type") == "dashboards");
        assert!(tagged, "{} has no links to the others", board.file);
        let urls = urls(&board.text);
        assert!(urls.iter().any(|url| url.starts_with("/explore?")), "{} has no link to traces", board.file);
        for url in urls {
            let url = Url::parse("http://grafana").unwrap().join(&url).unwrap();
            if let Some(uid) = url.path().strip_prefix("/d/") {
                assert!(uids.contains(uid), "{}: {url}", board.file);
                continue;
            }
            assert_eq!(url.path(), "/explore", "{}", board.file);
            let (_, panes) = url.query_pairs().find(|(key, _)| key == "panes").unwrap();
            let panes: Value = serde_json::from_str(&panes).unwrap();
            let query = &panes["traces"]["queries"][0];
            assert_eq!([text(query, "/datasource/uid"), text(query, "/service")], ["jaeger", "factorio-isr"]);
        }
    }
}

#[test]
fn only_metrics_that_exist_are_asked_for() {
    let recorded = Regex::new(r"(?m)^      - record: (\S+)$").unwrap();
    let rules = rules();
    let recorded: BTreeSet<String> = recorded.captures_iter(&rules).map(|found| found[1].to_owned()).collect();
    let exported = exported();
    // Those of the process are another library's, and this one a mod's: the queries are held to a real scrape.
    let others = |name: &String| name.starts_with("process_") || name == "factorio_rockets_launched";
    let exists = |name: &String| exported.contains(&family(name)) || recorded.contains(name) || others(name);
    for board in dashboards() {
        for query in board.queries().into_iter().chain(board.variables()) {
            let unknown: Vec<String> = metrics_in(&query.expr).into_iter().filter(|name| !exists(name)).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", query.of);
        }
    }
    let unknown: Vec<String> = metrics_in(&rules).into_iter().filter(|name| !exists(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_metric_is_shown_or_said_why_not() {
    let (used, not_shown) = (used(), not_shown());
    let forgotten: Vec<String> =
        exported().into_iter().filter(|name| !used.contains(name) && !not_shown.contains(name)).collect();
    assert!(forgotten.is_empty(), "no dashboard and no rule asks for {forgotten:?}");
    let shown: Vec<&String> = not_shown.intersection(&used).collect();
    assert!(shown.is_empty(), "{shown:?} are shown, and listed as not shown");
}

#[test]
fn events_are_called_by_their_names() {
    let selector = Regex::new(r#"event_type=~?"([^"]+)""#).unwrap();
    for board in dashboards() {
        for query in board.queries() {
            for found in selector.captures_iter(&query.expr) {
                for event in found[1].split('|') {
                    assert!(EventKind::from_key(event).is_some(), "{}: there is no event {event}", query.of);
                }
            }
        }
    }
}

#[test]
fn descriptions_name_sections_of_the_runbook() {
    let book = fs::read_to_string(shipped("docs/runbook.md")).unwrap();
    let name = Regex::new(r"\b(?:[A-Z][a-z]+){2,}\b").unwrap();
    each_panel(|panel, title| {
        for found in name.find_iter(text(panel, "/description")) {
            let section = format!("\n### {}\n", found.as_str());
            assert!(book.contains(&section), "{title}: the runbook has no section {}", found.as_str());
        }
    });
}
