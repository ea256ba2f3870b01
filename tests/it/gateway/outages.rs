//! A gateway that is away: no storm, the cause within seconds, and a session that goes on afterwards.

use factorio_isr::sim::discord::{Fault, FaultKind, GatewayEnd, GatewayFaults, Upgrade};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::ends::assert_calm;
use super::*;

/// A way to be away, and what the cause has to say.
fn outages() -> Vec<(GatewayFaults, &'static str)> {
    let well = GatewayFaults::default();
    let end = |end| Some(end);
    vec![
        (GatewayFaults { upgrade: Upgrade::Refuse(502), ..well }, "refused the WebSocket upgrade with HTTP 502"),
        (GatewayFaults { upgrade: Upgrade::Refuse(403), ..well }, "refused the WebSocket upgrade with HTTP 403"),
        (GatewayFaults { before_hello: end(GatewayEnd::Fin), ..well }, "without a close frame"),
        (GatewayFaults { before_hello: end(GatewayEnd::Close(Some(1013))), ..well }, "code 1013 (try again later)"),
        (GatewayFaults { before_hello: end(GatewayEnd::Close(None)), ..well }, "without a code"),
        (GatewayFaults { on_resume: end(GatewayEnd::Close(Some(4000))), ..well }, "code 4000 (unknown error)"),
        (GatewayFaults { on_resume: end(GatewayEnd::Garbage), ..well }, "violated the protocol"),
        (GatewayFaults { after_ready: end(GatewayEnd::Close(Some(4000))), ..well }, "code 4000 (unknown error)"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_makes_no_storm_is_reported_with_its_cause_and_loses_nothing() {
    join_all(outages().into_iter().map(|(faults, cause)| async move {
        let sim = strict_sim().await;
        let gateway = Gateway::connected(&sim, GatewayTimings::default()).await;
        sim.set_gateway_faults(faults);
        sim.close_gateway(Some(1001));
        let begun = Instant::now();
        gateway.shows("code 1001 (going away)").await;
        let noticed = begun.elapsed();
        assert!(noticed < Duration::from_secs(2), "{cause}: the first cause was shown after {noticed:?}");
        sim.say(CHANNEL, USER, "during").unwrap();
        gateway.shows(cause).await;
        if faults.after_ready.is_none() {
            let reason = gateway.is_unhealthy().await;
            assert!(reason.starts_with("reconnecting since "), "{reason}");
            assert!(begun.elapsed() >= Duration::from_secs(9), "{cause}: a short outage does not block readiness");
        }
        assert_calm(&sim);
        sim.clear_faults();
        gateway.is_healthy().await;
        sim.say(CHANNEL, USER, "after").unwrap();
        assert_eq!(gateway.events_until("after").await, ["READY", "during", "after"], "{cause}");
        assert_eq!(sim.stats().identifies, 1, "{cause}");
        assert_calm(&sim);
        gateway.stops().await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_routine_reconnect_never_makes_the_component_unhealthy() {
    let sim = strict_sim().await;
    let gateway = Gateway::connected(&sim, GatewayTimings::default()).await;
    let mut states = gateway.health.subscribe();
    let health = gateway.health.clone();
    let watch = tokio::spawn(async move {
        let unhealthy = |_: &_| matches!(health.state(Component::Discord), Some(ComponentState::Unhealthy(_)));
        states.wait_for(unhealthy).await.is_ok()
    });
    gateway.survives(SimDiscord::send_reconnect).await;
    assert!(!watch.is_finished(), "it was unhealthy");
    watch.abort();
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_accepts_and_stalls_is_given_up_and_tried_again() {
    for upgrade in [Upgrade::Stall, Upgrade::StallTcp] {
        let sim = patient_sim().await;
        sim.set_gateway_faults(GatewayFaults { upgrade, ..GatewayFaults::default() });
        let gateway = Gateway::start(&sim, quick());
        gateway.shows("connecting since").await;
        gateway.shows("the gateway did not accept the connection within 1 s").await;
        sim.clear_faults();
        gateway.is_healthy().await;
        gateway.stops().await;
    }
    let silences = [
        (GatewayFaults { before_hello: Some(GatewayEnd::HalfOpen), ..GatewayFaults::default() }, "sent no HELLO"),
        (
            GatewayFaults { on_identify: Some(GatewayEnd::HalfOpen), ..GatewayFaults::default() },
            "did not answer IDENTIFY within 1 s",
        ),
    ];
    for (faults, cause) in silences {
        let sim = patient_sim().await;
        sim.set_gateway_faults(faults);
        let gateway = Gateway::start(&sim, quick());
        gateway.shows(cause).await;
        sim.clear_faults();
        gateway.is_healthy().await;
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_while_resuming_is_given_up_and_resumed_later() {
    let stalls = [
        GatewayFaults { upgrade: Upgrade::Stall, ..GatewayFaults::default() },
        GatewayFaults { upgrade: Upgrade::StallTcp, ..GatewayFaults::default() },
        GatewayFaults { before_hello: Some(GatewayEnd::HalfOpen), ..GatewayFaults::default() },
        GatewayFaults { on_resume: Some(GatewayEnd::HalfOpen), ..GatewayFaults::default() },
    ];
    for faults in stalls {
        let sim = patient_sim().await;
        let gateway = Gateway::connected(&sim, quick()).await;
        sim.set_gateway_faults(faults);
        sim.close_gateway(Some(4000));
        gateway.shows("within 1 s").await;
        sim.say(CHANNEL, USER, "during").unwrap();
        sim.clear_faults();
        gateway.is_healthy().await;
        assert_eq!(gateway.events_until("during").await, ["READY", "during"], "{faults:?}");
        assert_eq!(sim.stats().identifies, 1, "{faults:?}");
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_of_a_refused_upgrade_is_respected() {
    let sim = patient_sim().await;
    let gateway = Gateway::connected(&sim, quick()).await;
    let upgrade = Upgrade::RefuseFor(503, Duration::from_secs(3));
    sim.set_gateway_faults(GatewayFaults { upgrade, ..GatewayFaults::default() });
    sim.close_gateway(Some(4000));
    gateway.shows("HTTP 503").await;
    let refused = Instant::now();
    sim.clear_faults();
    gateway.is_healthy().await;
    assert!(refused.elapsed() > millis(2500), "{:?}", refused.elapsed());
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_whole_of_discord_is_reported_and_healed() {
    let sim = patient_sim().await;
    let gateway = Gateway::connected(&sim, quick()).await;
    sim.stop().await;
    gateway.shows("Connection refused").await;
    gateway.is_unhealthy().await;
    sim.restart().await.unwrap();
    gateway.is_healthy().await;
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_resumed_while_the_rest_api_is_down() {
    let sim = patient_sim().await;
    let gateway = Gateway::connected(&sim, quick()).await;
    let on_resume = Some(GatewayEnd::Close(Some(4000)));
    sim.set_gateway_faults(GatewayFaults { on_resume, ..GatewayFaults::default() });
    sim.set_fault(Fault::new(FaultKind::server_error(503)).everywhere());
    sim.close_gateway(Some(4000));
    gateway.sees("more RESUMEs than the API is asked for", |state| state.stats().resumes_refused >= 5).await;
    sim.set_gateway_faults(GatewayFaults::default());
    gateway.is_healthy().await;
    assert_eq!(sim.stats().identifies, 1);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_quick_in_every_state_of_an_outage() {
    let states = [
        GatewayFaults { upgrade: Upgrade::Stall, ..GatewayFaults::default() },
        GatewayFaults { upgrade: Upgrade::Refuse(503), ..GatewayFaults::default() },
        GatewayFaults { before_hello: Some(GatewayEnd::HalfOpen), ..GatewayFaults::default() },
        GatewayFaults { on_identify: Some(GatewayEnd::HalfOpen), ..GatewayFaults::default() },
        GatewayFaults { reject_identify: Some(4004), ..GatewayFaults::default() },
    ];
    for faults in states {
        let sim = patient_sim().await;
        sim.set_gateway_faults(faults);
        let gateway = Gateway::start(&sim, GatewayTimings::default());
        gateway.sees("an attempt", |state| !state.gateway_log().attempts.is_empty()).await;
        gateway.cancel.cancel();
        let stopped = timeout(Duration::from_secs(3), gateway.task).await;
        stopped.unwrap_or_else(|_| panic!("{faults:?}: does not stop")).unwrap().unwrap();
    }
}
