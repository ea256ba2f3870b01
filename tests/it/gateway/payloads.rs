//! What the relay sends to the gateway: within Discord's limits and as documented.

use std::cell::Cell;
use std::collections::HashMap;

use factorio_isr::discord::status::Presence;
use factorio_isr::sim::discord::{GatewayEnd, GatewayFaults};
use serde_json::Value;

use super::*;
use crate::harness::metrics_of;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ready_session_is_healthy_and_a_stop_closes_it_for_good() {
    let sim = patient_sim_with_heartbeat(millis(200)).await;
    let gateway = Gateway::connected(&sim, quick()).await;
    gateway.sees("heartbeats", |state| state.stats().heartbeats >= 3).await;
    assert_eq!(sim.stats().identifies, 1);
    gateway.stops().await;
    assert_eq!(sim.gateway_log().closes, [Some(1000)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_compression_is_asked_for_and_the_version_is_10() {
    let sim = patient_sim().await;
    let gateway = Gateway::connected(&sim, quick()).await;
    gateway.survives(SimDiscord::send_reconnect).await;
    let expected: HashMap<String, String> =
        [("v", "10"), ("encoding", "json")].map(|(k, v)| (k.into(), v.into())).into();
    for attempt in sim.gateway_log().attempts {
        assert_eq!(attempt.query, expected);
    }
    assert!(!sim.gateway_log().compression_requested());
    gateway.stops().await;
    assert_eq!(sim.gateway_log().closes.first(), Some(&Some(4900)), "a session that is to be resumed stays");
}

/// Sessions that were started or resumed.
fn connections(state: &SimState) -> u64 {
    state.stats().identifies + state.stats().resumes
}

fn presence(text: &str) -> Presence {
    Presence { text: text.to_owned(), idle: false }
}

fn text(presence: &Value) -> &str {
    presence["activities"][0]["state"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_presence_is_part_of_identify_and_survives_a_resume() {
    let sim = patient_sim().await;
    let mut dispatches = Dispatches::default();
    let wanted = dispatches.presence();
    wanted.send_replace(Some(presence("3 players")));
    let timings = GatewayTimings { presence_gap: millis(20), ..quick() };
    let gateway = Gateway::start_with(&sim, settings(sim.base_url()), timings, dispatches);
    gateway.is_healthy().await;
    let identify = sim.gateway_log().sent(2).next().cloned().unwrap();
    assert_eq!(text(&identify["presence"]), "3 players");
    gateway.survives(|sim| sim.close_gateway(Some(4000))).await;
    wanted.send_replace(Some(presence("4 players")));
    gateway.sees("the update", |state| state.gateway_log().sent(3).any(|sent| text(sent) == "4 players")).await;
    let updates: Vec<Value> = sim.gateway_log().sent(3).cloned().collect();
    assert_eq!(updates.len(), 1, "the presence is sent when it differs: {updates:?}");
    for presence in updates.iter().chain([&identify["presence"]]) {
        assert_eq!(presence["since"], Value::Null);
        assert_eq!(presence["afk"], false);
    }
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presence_that_changes_while_the_connection_closes_reaches_discord() {
    for code in [4000, 4003, 4009] {
        let sim = patient_sim().await;
        let mut dispatches = Dispatches::default();
        let wanted = dispatches.presence();
        let timings = GatewayTimings { presence_gap: Duration::ZERO, ..quick() };
        let gateway = Gateway::start_with(&sim, settings(sim.base_url()), timings, dispatches);
        gateway.is_healthy().await;
        for round in 0..20 {
            let (now, before) = (format!("round {round}"), sim.read(connections));
            sim.end_gateway(GatewayEnd::Close(Some(code)));
            wanted.send_replace(Some(presence(&now)));
            let reached = |state: &SimState| {
                let log = state.gateway_log();
                let shown = |presence: &Value| text(presence) == now;
                connections(state) > before
                    && (log.sent(3).any(shown) || log.sent(2).any(|sent| shown(&sent["presence"])))
            };
            gateway.sees(&now, reached).await;
        }
        sim.say(CHANNEL, USER, "after").unwrap();
        gateway.events_until("after").await;
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_updates_stay_within_discords_limits() {
    let sim = strict_sim().await;
    let mut dispatches = Dispatches::default();
    let wanted = dispatches.presence();
    let timings = GatewayTimings { presence_gap: Duration::from_secs(4), ..GatewayTimings::default() };
    let gateway = Gateway::start_with(&sim, settings(sim.base_url()), timings, dispatches);
    gateway.is_healthy().await;
    for count in 0..200 {
        wanted.send_replace(Some(presence(&format!("{count} players"))));
        tokio::task::yield_now().await;
    }
    gateway.sees("the last one", |state| text(state.presence()) == "199 players").await;
    assert_eq!(sim.stats().send_limits_broken, 0);
    gateway.stops().await;
}

#[test]
fn reconnects_attempts_and_undecodable_events_are_counted() {
    let shown = metrics_of(async {
        let sim = patient_sim().await;
        let gateway = Gateway::connected(&sim, quick()).await;
        sim.dispatch("MESSAGE_CREATE", &serde_json::json!({ "id": "no message" }));
        gateway.survives(|sim| sim.close_gateway(Some(4000))).await;
        gateway.survives(|sim| sim.send_invalid_session(false)).await;
        gateway.stops().await;
    });
    for line in [
        "factorio_isr_gateway_reconnects_total 2",
        "factorio_isr_gateway_connection_attempts_total 3",
        "factorio_isr_gateway_events_undecodable_total{kind=\"message\"} 1",
        "factorio_isr_gateway_connected 0",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
    }
}

#[test]
fn each_failed_attempt_is_one_error() {
    let refused = Cell::new(0);
    let shown = metrics_of(async {
        let sim = patient_sim().await;
        let gateway = Gateway::connected(&sim, quick()).await;
        let on_resume = Some(GatewayEnd::Reconnect);
        sim.set_gateway_faults(GatewayFaults { on_resume, ..GatewayFaults::default() });
        sim.send_reconnect();
        // A reconnect that Discord asks for is routine, unless it is the answer to RESUME.
        gateway.sees("two refused RESUMEs", |state| state.stats().resumes_refused >= 2).await;
        sim.clear_faults();
        gateway.is_healthy().await;
        refused.set(sim.stats().resumes_refused);
        gateway.stops().await;
    });
    let line = format!("factorio_isr_errors_total{{component=\"discord\",error_type=\"network\"}} {}", refused.get());
    assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
}

#[test]
fn a_missing_intent_is_one_error() {
    let shown = metrics_of(async {
        let sim = patient_sim().await;
        sim.set_gateway_faults(GatewayFaults { content_off: true, ..GatewayFaults::default() });
        let gateway = Gateway::start(&sim, quick());
        gateway.sees("a session", |state| state.stats().identifies == 1).await;
        gateway.stops().await;
    });
    let line = "factorio_isr_errors_total{component=\"discord\",error_type=\"auth\"} 1";
    assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
}
