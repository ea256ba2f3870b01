//! What the running relay writes to its log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use factorio_isr::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig};
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
    let sim = SimDiscord::start(config).await.unwrap();
    let site = Site::new(&sim.base_url()).server("prod", CHAT).extra(JSON);
    // What libraries say, too.
    let mut relay = site.start_with(&[("RUST_LOG", "debug,serenity=debug")]);
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
