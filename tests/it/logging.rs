//! What the running relay writes to its log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use factorio_isr::sim::discord::{SimChannel, SimDiscordConfig};
use serde_json::Value;

use crate::harness::{DEADLINE, Site, TOKEN};

const CHAT: u64 = 1001;
const JSON: &str = "[log]\nformat = \"json\"";

fn assert_json(text: &str) {
    assert!(!text.is_empty());
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let at = entry["timestamp"].as_str().unwrap();
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&entry["level"].as_str().unwrap()), "{line}");
        for field in ["target", "message"] {
            assert!(entry[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_run_is_one_json_object() {
    let config = SimDiscordConfig {
        token: TOKEN.to_owned(),
        channels: vec![SimChannel::new(CHAT, "chat")],
        ..SimDiscordConfig::default()
    };
    let sim = crate::discord_sim::start(config).await.unwrap();
    let site = Site::new(&sim.base_url()).server("prod", CHAT).extra(JSON);
    // What libraries say, too.
    let mut relay = site.start_with(&[("RUST_LOG", "debug,tungstenite=debug")]);
    relay.wait_until_ready().await;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    site.append("prod", &format!("{now} [CHAT] Bob: a \"quoted\" word\n"));
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() == 1).await);
    std::fs::remove_file(site.console_log("prod")).unwrap();
    relay.wait_for("/ready", |_, body| body.contains("prod-console.log")).await;
    sim.stop().await;
    relay.output().find(|line| line.contains("\"WARN\"").then_some(())).await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    assert_json(&relay.output().text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_is_said_in_json_too() {
    let site = Site::new("http://127.0.0.1:9").server("prod", CHAT).extra(JSON);
    std::fs::create_dir(site.dir.path().join("isr.db")).unwrap();
    let mut relay = site.start();
    assert_eq!(relay.exit().await.code(), Some(1));
    let said = relay.output().find(|line| line.contains("ERROR").then(|| line.to_owned())).await;
    assert!(said.contains("isr.db"), "{said}");
    assert_json(&relay.output().text());
}

/// The names in the table of docs/logs.md, each with where it is.
fn documented_fields() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/logs.md")).unwrap();
    let row = regex::Regex::new(r"(?m)^\| `(\w+)` \| ([^|]+) \|").unwrap();
    row.captures_iter(&text).map(|row| (row[1].to_owned(), row[2].to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_fields_are_those_of_the_lines() {
    let site = Site::new("http://127.0.0.1:9").server("prod", CHAT).extra(JSON).extra("[traces]\nenabled = true");
    let mut relay = site.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")]);
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    site.append("prod", &format!("{now} [CHAT] Bob: hello\n"));
    // An attempt to send fails within its trace.
    relay.output().find(|line| line.contains("Discord takes no messages now").then_some(())).await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    let text = relay.output().text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fields = documented_fields();
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["timestamp", "level", "target", "message", "server", "trace_id", "span_id", "span"]);
    for (name, place) in &fields {
        let having = lines.iter().filter(|line| line.get(name).is_some()).count();
        let wanted = if place == "every line" { lines.len()..=lines.len() } else { 1..=lines.len() };
        assert!(wanted.contains(&having), "{name} is in {having} of {} lines", lines.len());
    }
    let traced = lines.iter().find(|line| line["message"].as_str().unwrap().starts_with("Discord takes no")).unwrap();
    let digits = |name: &str| traced[name].as_str().unwrap().len();
    assert_eq!((digits("trace_id"), digits("span_id")), (32, 16), "{traced}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_repeats_is_said_once_and_then_counted() {
    let site = Site::new("http://127.0.0.1:9").server("prod", CHAT);
    let mut relay = site.start_with(&[("RUST_LOG", "info")]);
    let suppressed = "factorio_isr_log_messages_suppressed_total{level=\"warn\"} ";
    let count = |body: &str| body.lines().find_map(|line| line.strip_prefix(suppressed)?.parse::<u64>().ok());
    relay.wait_for("/metrics", |_, body| count(body).is_some_and(|n| n >= 2)).await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    let told = relay.output().find(|line| line.contains("s: Gateway connection failed").then(|| line.to_owned())).await;
    assert!(told.contains("Repeated ") && told.contains("times="), "{told}");
    let said = relay.output().text();
    let is_first = |line: &&str| line.contains("Gateway connection failed") && !line.contains("Repeated ");
    let first = said.lines().filter(is_first);
    assert_eq!(first.count(), 1, "{said}");
}
