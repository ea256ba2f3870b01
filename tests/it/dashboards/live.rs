//! Every query of the dashboards and the rules, asked of a real Prometheus that scrapes the running demo.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::{Value, json};

use super::{Query, dashboards, family, not_shown, used};
use crate::harness::{Relay, address_in};
use crate::prometheus::Prometheus;

/// UPS are known when their window of a minute is over, which a crash in the demo's story begins anew.
const PATIENCE: Duration = Duration::from_mins(5);

/// The server whose dashboard is looked at: that of which Lua tells most.
const SERVER: &str = "space-age";

/// Queries that find nothing when all is well, by panel and a part of the query.
const EMPTY_WHEN_WELL: &[(&str, &str, &str)] = &[
    ("servers.json: Alerts", "", "nothing has to fire"),
    ("slo.json: Alerts of Prometheus", "", "nothing has to fire"),
    ("server.json: State of the game", "alerts_firing", "nothing has to fire"),
    ("annotation Alerts of games", "", "nothing has to fire"),
    ("annotation Alerts of Prometheus", "", "nothing has to fire"),
    ("annotation Starts of games", "", "the demo's games start before the first scrape"),
];

/// The running demo, and a Prometheus with our rules that looks at it every second.
struct Watched {
    demo: Relay,
    page: String,
    relay: String,
    prometheus: Prometheus,
}

impl Watched {
    async fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factorio-isr"));
        command.args(["demo", "--port", "0"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let demo = Relay::spawn(&mut command);
        let page = demo.output().find(|line| address_in(line, "what players see")).await;
        let relay = demo.output().find(|line| address_in(line, "relay, status")).await;
        let jobs = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}/*.yml\"]\nscrape_configs:\n  \
             - job_name: factorio-isr\n    static_configs:\n      - targets: [\"{}\"]\n",
            crate::rules::folder().join("rules").display(),
            relay.trim_start_matches("http://")
        );
        Self { demo, page, relay, prometheus: Prometheus::start(&jobs).await }
    }

    /// Somebody in Discord does something, on the demo's page.
    async fn act(&self, path: &str, what: &Value) {
        let url = format!("{}/sim/{path}", self.page);
        let answer = reqwest::Client::new().post(url).json(what).send().await.unwrap();
        assert!(answer.status().is_success(), "{path} {what}: {}", answer.text().await.unwrap());
    }

    /// Chat into a game, and a slash command.
    async fn talk(&self) {
        let vera = json!({ "channel": "1001", "author": "Vera", "text": "Is the train late?" });
        self.act("say", &vera).await;
        let call = json!({ "channel": "1001", "author": "Vera", "command": "online", "options": [] });
        self.act("interact", &call).await;
    }

    /// The numbers that a query finds.
    async fn values(&self, query: &Query) -> Vec<f64> {
        let expr = filled_in(&query.expr);
        let answer = self.prometheus.ask("query", &[("query", &expr)]).await;
        assert_eq!(answer["status"], "success", "{}: {expr}: {answer}", query.of);
        let results = answer["data"]["result"].as_array().unwrap();
        let number = |sample: &Value| sample.as_str().unwrap().parse().unwrap();
        match answer["data"]["resultType"].as_str().unwrap() {
            "scalar" => vec![number(&results[1])],
            _ => results.iter().map(|result| number(&result["value"][1])).collect(),
        }
    }

    /// The values of a variable's `label_values(metric, label)`.
    async fn choices(&self, variable: &Query) -> Vec<Value> {
        let asked = Regex::new(r"^label_values\((.+), (\w+)\)$").unwrap();
        let asked = asked.captures(&variable.expr).unwrap_or_else(|| panic!("{}", variable.of));
        let answer = self.prometheus.ask("series", &[("match[]", &filled_in(&asked[1]))]).await;
        let series = answer["data"].as_array().unwrap_or_else(|| panic!("{}: {answer}", variable.of));
        series.iter().map(|labels| labels[&asked[2]].clone()).filter(|value| !value.is_null()).collect()
    }

    /// Those of the queries that find nothing.
    async fn without_data(&self, queries: Vec<Query>) -> Vec<Query> {
        let mut without = Vec::new();
        for query in queries {
            let values = self.values(&query).await;
            assert!(!values.iter().any(|value| value.is_nan()), "{} divides by zero: {}", query.of, query.expr);
            if values.is_empty() {
                without.push(query);
            }
        }
        without
    }

    /// Waits until each query has found numbers once, while somebody talks and asks.
    async fn all_find_something(&self, mut queries: Vec<Query>) {
        let deadline = Instant::now() + PATIENCE;
        let mut tick = tokio::time::interval(Duration::from_secs(2));
        while !queries.is_empty() {
            tick.tick().await;
            self.talk().await;
            queries = self.without_data(queries).await;
            let names: Vec<String> = queries.iter().map(|query| format!("{}: {}", query.of, query.expr)).collect();
            assert!(Instant::now() < deadline, "found nothing:\n{}\n{}", names.join("\n"), self.demo.output().text());
        }
    }
}

/// A query as Grafana sends it.
fn filled_in(expr: &str) -> String {
    let all = [
        ("$__rate_interval", "15s"),
        ("$__range_s", "60"),
        ("$__range", "60s"),
        ("$server", SERVER),
        ("$surface", ".*"),
        ("$instance", ".*"),
    ];
    let filled = all.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value));
    assert!(!filled.contains('$'), "what is {filled}?");
    filled
}

fn may_be_empty(query: &Query) -> bool {
    EMPTY_WHEN_WELL.iter().any(|(of, part, _)| query.of.ends_with(of) && query.expr.contains(part))
}

/// What the rules look at: each selector must find series, or the rule is about nothing.
fn looked_at_by_rules() -> Vec<Query> {
    let selector = Regex::new(r"\b(?:up|factorio_isr_\w+|process_\w+|isr:[\w:]+)\b(?:\{[^}]*\})?").unwrap();
    let rules = super::rules();
    let blocks = rules.split("\n      - ").skip(1).filter_map(|rule| {
        let (name, rest) = rule.split_once('\n')?;
        Some((name, rest.split("\n        labels:").next()?))
    });
    let of_rule = |(name, expr): (&str, &str)| -> Vec<Query> {
        let found = selector.find_iter(expr).map(|found| found.as_str().to_owned());
        found.map(|expr| Query { of: format!("rule {name}"), expr }).collect()
    };
    blocks.flat_map(of_rule).collect()
}

/// Names of the metrics in a scrape.
async fn scraped(watched: &Watched) -> BTreeSet<String> {
    let body = reqwest::get(format!("{}/metrics", watched.relay)).await.unwrap().text().await.unwrap();
    let series = body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    series.map(|line| family(line.split(['{', ' ']).next().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
async fn every_query_of_every_dashboard_and_rule_finds_data_in_the_demo() {
    let watched = Watched::start().await;
    let boards = dashboards();
    let (quiet, loud): (Vec<Query>, Vec<Query>) =
        boards.iter().flat_map(super::Dashboard::queries).partition(may_be_empty);
    assert!(loud.len() > 150, "{}", loud.len());
    for (of, part, _) in EMPTY_WHEN_WELL {
        assert!(quiet.iter().any(|query| query.of.ends_with(of) && query.expr.contains(part)), "{of} is not there");
    }
    for query in &quiet {
        watched.values(query).await;
    }
    let rules = looked_at_by_rules();
    assert!(rules.len() > 60, "{}", rules.len());
    watched.all_find_something(loud.into_iter().chain(rules).collect()).await;
    for variable in boards.iter().flat_map(super::Dashboard::variables) {
        assert!(!watched.choices(&variable).await.is_empty(), "{} has no choices", variable.of);
    }

    let answer = watched.prometheus.ask("rules", &[]).await;
    let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
    assert!(groups.len() >= 7, "{answer}");
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let (used, not_shown) = (used(), not_shown());
    let scraped = scraped(&watched).await.into_iter();
    let forgotten: Vec<String> = scraped.filter(|name| !used.contains(name) && !not_shown.contains(name)).collect();
    assert!(forgotten.is_empty(), "no dashboard and no rule asks for {forgotten:?}");
}
