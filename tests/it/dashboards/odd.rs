//! Queries of the dashboards on odd days, as Prometheus' own evaluator sees them: games that are down, nothing to divide
//! by, counters that fall, a hundred servers.

use std::fs::write;
use std::process::Command;

use super::dashboards;

/// The query of a panel or an annotation, as Grafana sends it when all is chosen.
fn query(of: &str, nth: usize) -> String {
    let queries: Vec<_> = dashboards().iter().flat_map(super::Dashboard::queries).collect();
    let found = queries.iter().filter(|query| query.of == of).nth(nth);
    let expr = &found.unwrap_or_else(|| panic!("there is no {of}")).expr;
    ["$server", "$instance", "$surface"].iter().fold(expr.replace("$__rate_interval", "2m"), |e, n| e.replace(n, ".*"))
}

/// Holds a query to what it must find after ten minutes of these series: labels and value, in no order.
fn finds(query: &str, series: &[(&str, &str)], expected: &[(&str, f64)]) {
    let series: Vec<_> =
        series.iter().map(|(name, values)| serde_json::json!({ "series": name, "values": values })).collect();
    let expected: Vec<_> =
        expected.iter().map(|(labels, value)| serde_json::json!({ "labels": labels, "value": value })).collect();
    let asked = serde_json::json!({ "expr": query, "eval_time": "10m", "exp_samples": expected });
    let test = serde_json::json!({
        "rule_files": [crate::rules::folder().join("rules/slo.yml")],
        "evaluation_interval": "1m",
        "tests": [{ "interval": "1m", "input_series": series, "promql_expr_test": [asked] }],
    });
    // JSON is YAML, too.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("test.yml");
    write(&file, test.to_string()).unwrap();
    let done = Command::new("promtool").args(["test", "rules"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{query}: {said}");
}

const READ_A: (&str, &str) = ("factorio_isr_lines_read_total{server=\"a\"}", "0+1x20");
const READ_B: (&str, &str) = ("factorio_isr_lines_read_total{server=\"b\"}", "5x20");
const READ_C: (&str, &str) = ("factorio_isr_lines_read_total{server=\"c\"}", "0+1x20");

#[test]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
fn a_game_that_is_down_is_said_to_be_down() {
    let up = [("factorio_isr_game_up{server=\"a\"}", "1x20"), ("factorio_isr_game_up{server=\"b\"}", "1x5 0x15")];
    let series = [READ_A, READ_B, READ_C, up[0], up[1]];
    let states = [("{server=\"a\"}", 1.0), ("{server=\"b\"}", 0.0), ("{server=\"c\"}", -1.0)];
    finds(&query("servers.json: All servers", 0), &series, &states);
    finds(&query("servers.json: Up and down", 1), &series, &states);
    finds(&query("servers.json: Games down", 0), &series, &[("{}", 1.0)]);
    finds(&query("server.json: State", 0).replace("=\".*\"", "=\"b\""), &series, &[states[1]]);
}

#[test]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
fn a_relay_that_is_down_is_said_to_be_down() {
    let relay = "{job=\"factorio-isr\", instance=\"isr:8080\"}";
    let up = format!("up{relay}");
    let gone = (
        "factorio_isr_component_status{job=\"factorio-isr\", instance=\"isr:8080\", component=\"store\"}",
        "1x4 stale",
    );
    let series = [(up.as_str(), "1x4 0x20"), gone];
    finds(&query("servers.json: Relay", 0), &series, &[("{}", 0.0)]);
    finds(&query("relay.json: State", 0), &series, &[("{}", 0.0)]);
    finds(&query("servers.json: Up and down", 0), &series, &[(&up, 0.0)]);
    // The others find nothing, and say so in words, as no games are down for all one knows.
    finds(&query("servers.json: Games down", 0), &series, &[]);
}

#[test]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
fn where_nothing_happens_nothing_is_divided() {
    let quiet = [
        ("factorio_isr_rows_per_message_sum", "7x20"),
        ("factorio_isr_rows_per_message_count", "5x20"),
        ("factorio_isr_rows_per_message_bucket{le=\"1\"}", "3x20"),
        ("factorio_isr_rows_per_message_bucket{le=\"+Inf\"}", "5x20"),
        ("factorio_isr_relay_latency_seconds_bucket{le=\"5\"}", "3x20"),
        ("factorio_isr_relay_latency_seconds_bucket{le=\"+Inf\"}", "5x20"),
    ];
    for (of, nth) in [
        ("relay.json: Notices in a message", 0),
        ("relay.json: Notices in a message", 1),
        ("relay.json: Slowest of twenty", 0),
        ("relay.json: Line to delivery", 2),
        ("slo.json: Of 30 days", 0),
        ("slo.json: Budget left", 0),
        ("slo.json: Burn rate", 0),
    ] {
        finds(&query(of, nth), &quiet, &[]);
    }
}

#[test]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
fn what_falls_back_makes_no_negative_rate() {
    let tick = [("factorio_tick{server=\".*\"}", "0+3600x8 7200+3600x12")];
    finds(&format!("{} >= bool 0", query("server.json: Tick", 0)), &tick, &[("{server=\".*\"}", 1.0)]);
    let events = "factorio_isr_events_processed_total{server=\"a\", event_type=\"join\"}";
    let joins = query("servers.json: annotation Joins", 0);
    finds(&joins, &[(events, "5x9 6x9")], &[("{server=\"a\"}", 1.0)]);
    finds(&joins, &[(events, "5x9 0x9")], &[]);
}

#[test]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
fn a_hundred_servers_fit() {
    let names: Vec<[String; 3]> = (0..100)
        .map(|n| {
            let series = |name: &str| format!("{name}{{server=\"s{n}\"}}");
            [
                series("factorio_isr_lines_read_total"),
                series("factorio_isr_game_up"),
                series("factorio_isr_last_event_timestamp_seconds"),
            ]
        })
        .collect();
    let series: Vec<(&str, &str)> = names
        .iter()
        .flat_map(|[read, up, event]| [(read.as_str(), "0+1x20"), (up.as_str(), "0x20"), (event.as_str(), "300x20")])
        .collect();
    finds(&query("servers.json: Servers", 0), &series, &[("{}", 100.0)]);
    finds(&query("servers.json: Games down", 0), &series, &[("{}", 100.0)]);
    for drawn in ["servers.json: Since the last event", "slo.json: Games that answered"] {
        let query = query(drawn, 0).replace("$__range", "5m");
        finds(&format!("count({query})"), &series, &[("{}", 20.0)]);
    }
}
