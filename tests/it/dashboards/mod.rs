//! The dashboards in `grafana/dashboards`: how they are made, and what their queries give.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

mod live;
mod odd;
mod structure;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use factorio_isr::telemetry::game_metrics::GAME_METRICS;
use factorio_isr::telemetry::metrics::{Kind, METRICS};
use regex::Regex;
use serde_json::Value;

/// A dashboard as Grafana reads it.
struct Dashboard {
    file: String,
    text: String,
    json: Value,
}

/// A query of a panel or an annotation, and which.
struct Query {
    of: String,
    expr: String,
}

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn dashboards() -> Vec<Dashboard> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(shipped("grafana/dashboards")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Dashboard::read(path)).collect()
}

impl Dashboard {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let json = serde_json::from_str(&text).unwrap();
        Self { file: path.file_name().unwrap().to_str().unwrap().to_owned(), text, json }
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.json.pointer(pointer).and_then(Value::as_array).unwrap()
    }

    /// Its panels, without the rows that head them.
    fn panels(&self) -> impl Iterator<Item = &Value> {
        self.list("/panels").iter().filter(|panel| panel["type"] != "row")
    }

    fn title_of(&self, panel: &Value) -> String {
        format!("{}: {}", self.file, panel["title"].as_str().unwrap())
    }

    fn queries(&self) -> Vec<Query> {
        let targets = |panel: &Value| -> Vec<Query> {
            let of = self.title_of(panel);
            let exprs = panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap());
            exprs.map(|expr| Query { of: of.clone(), expr: expr.to_owned() }).collect()
        };
        let annotation = |note: &Value| {
            let expr = note["target"]["expr"].as_str()?.to_owned();
            Some(Query { of: format!("{}: annotation {}", self.file, note["name"].as_str().unwrap()), expr })
        };
        let annotations = self.list("/annotations/list").iter().filter_map(annotation);
        self.panels().flat_map(targets).chain(annotations).collect()
    }

    /// The queries that fill its variables.
    fn variables(&self) -> Vec<Query> {
        let variable = |variable: &Value| Query {
            of: format!("{}: variable {}", self.file, variable["name"].as_str().unwrap()),
            expr: variable["query"]["query"].as_str().unwrap().to_owned(),
        };
        self.list("/templating/list").iter().map(variable).collect()
    }
}

/// The names of metrics in a query.
fn metrics_in(expr: &str) -> BTreeSet<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:factorio_\w+|process_\w+|isr:[\w:]+)").unwrap());
    NAME.find_iter(expr).map(|found| found.as_str().to_owned()).collect()
}

/// The table's metric that a series belongs to: those of a histogram have endings.
fn family(series: &str) -> String {
    let histogram = |name: &&str| METRICS.iter().any(|m| m.name == *name && matches!(m.kind, Kind::Histogram(_)));
    let endings = ["_bucket", "_sum", "_count"];
    let base = endings.iter().find_map(|ending| series.strip_suffix(ending)).filter(histogram);
    base.unwrap_or(series).to_owned()
}

/// Every metric of the two tables.
fn exported() -> BTreeSet<String> {
    let own = METRICS.iter().map(|metric| metric.name);
    own.chain(GAME_METRICS.iter().map(|metric| metric.name)).map(str::to_owned).collect()
}

/// The text of all rules for Prometheus.
fn rules() -> String {
    crate::rules::files("rules").iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// The metrics that dashboards and rules ask for.
fn used() -> BTreeSet<String> {
    let boards = dashboards();
    let queries = boards.iter().flat_map(|board| board.queries().into_iter().chain(board.variables()));
    let asked = queries.map(|query| query.expr).chain([rules()]);
    asked.flat_map(|expr| metrics_in(&expr)).map(|name| family(&name)).collect()
}

/// Metrics that no dashboard and no rule shows, and why.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("factorio_seed", "a seed is no quantity: it is for a look-up"),
    (
        "factorio_kill_count_input",
        "only of games with statistics that the demo's have not; graftorio2's dashboards show it",
    ),
    ("factorio_kill_count_output", "likewise"),
    ("factorio_entity_build_count_input", "likewise"),
    ("factorio_entity_build_count_output", "likewise"),
    ("factorio_pollution_production_input", "likewise"),
    ("factorio_pollution_production_output", "likewise"),
    ("factorio_power_production_input", "likewise"),
    ("factorio_power_production_output", "likewise"),
    ("process_start_time_seconds", "factorio_isr_uptime_seconds tells it"),
    ("process_virtual_memory_bytes", "the resident memory is what counts"),
    ("process_virtual_memory_max_bytes", "likewise"),
];

fn not_shown() -> BTreeSet<String> {
    NOT_SHOWN.iter().map(|(name, _)| (*name).to_owned()).collect()
}
