//! A connection that ends: what is resumed, what begins anew, and that nothing is lost where the protocol allows it.

use factorio_isr::sim::discord::{GatewayAddress, GatewayEnd, GatewayFaults, ResumeUrl, SimDiscord};
use futures_util::future::join_all;

use super::*;

/// Ends after which Discord keeps the session.
const RESUMABLE: [GatewayEnd; 15] = [
    GatewayEnd::Close(None),
    GatewayEnd::Close(Some(1000)),
    GatewayEnd::Close(Some(1001)),
    GatewayEnd::Close(Some(1012)),
    GatewayEnd::Close(Some(4000)),
    GatewayEnd::Close(Some(4001)),
    GatewayEnd::Close(Some(4002)),
    GatewayEnd::Close(Some(4005)),
    GatewayEnd::Close(Some(4008)),
    GatewayEnd::Close(Some(4999)),
    GatewayEnd::Fin,
    GatewayEnd::Reset,
    GatewayEnd::Garbage,
    GatewayEnd::Reconnect,
    GatewayEnd::InvalidSession(true),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_that_leaves_the_session_is_resumed_without_a_lost_message() {
    for end in RESUMABLE {
        let sim = patient_sim().await;
        let gateway = Gateway::connected(&sim, quick()).await;
        sim.say(CHANNEL, USER, "before").unwrap();
        gateway.events_until("before").await;
        gateway
            .survives(|sim| {
                sim.end_gateway(end);
                sim.say(CHANNEL, USER, "during 1").unwrap();
                sim.say(CHANNEL, USER, "during 2").unwrap();
            })
            .await;
        sim.say(CHANNEL, USER, "after").unwrap();
        let events = gateway.events_until("after").await;
        assert_eq!(events, ["READY", "before", "during 1", "during 2", "after"], "{end:?}");
        let stats = sim.stats();
        assert_eq!(stats.identifies, 1, "{end:?}");
        assert!(stats.resumes_at.contains_key(&GatewayAddress::Resume), "{end:?}: {stats:?}");
        assert!(!stats.resumes_at.contains_key(&GatewayAddress::General), "{end:?}: {stats:?}");
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_discord_ends_is_followed_by_a_new_one() {
    let ends = [4003, 4007, 4009].map(|code| GatewayEnd::Close(Some(code)));
    for end in ends.into_iter().chain([GatewayEnd::InvalidSession(false)]) {
        let sim = patient_sim().await;
        let gateway = Gateway::connected(&sim, quick()).await;
        gateway.survives(|sim| sim.end_gateway(end)).await;
        sim.say(CHANNEL, USER, "after").unwrap();
        assert_eq!(gateway.events_until("after").await, ["READY", "READY", "after"], "{end:?}");
        assert_eq!(sim.stats().identifies, 2, "{end:?}");
        assert_eq!(sim.stats().resumes_refused, 0, "{end:?}: a lost session is not resumed");
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_noticed_by_the_missing_acknowledgement_and_resumed() {
    let sim = patient_sim_with_heartbeat(millis(1000)).await;
    let gateway = Gateway::connected(&sim, quick()).await;
    gateway
        .survives(|sim| {
            sim.end_gateway(GatewayEnd::HalfOpen);
            sim.say(CHANNEL, USER, "unheard").unwrap();
        })
        .await;
    assert_eq!(gateway.events_until("unheard").await, ["READY", "unheard"]);
    assert_eq!(sim.stats().identifies, 1);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_without_acknowledgement_end_the_connection_with_the_cause() {
    let sim = patient_sim_with_heartbeat(millis(300)).await;
    let gateway = Gateway::connected(&sim, quick()).await;
    sim.set_gateway_faults(GatewayFaults { acknowledge: false, ..GatewayFaults::default() });
    gateway.shows("the gateway did not acknowledge a heartbeat within 1 s").await;
    sim.clear_faults();
    gateway.is_healthy().await;
    let heartbeats = sim.stats().heartbeats;
    gateway.sees("more heartbeats", |state| state.stats().heartbeats > heartbeats + 3).await;
    assert_eq!(sim.stats().identifies, 1);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_skipped_and_the_connection_goes_on() {
    let sim = patient_sim().await;
    let gateway = Gateway::connected(&sim, quick()).await;
    sim.end_gateway(GatewayEnd::NotJson);
    sim.dispatch("MESSAGE_CREATE", &serde_json::json!({ "id": "no message" }));
    sim.dispatch("SOMETHING_NEW", &serde_json::json!({ "of": "tomorrow" }));
    sim.say(CHANNEL, USER, "after").unwrap();
    assert_eq!(gateway.events_until("after").await, ["READY", "after"]);
    assert_eq!((sim.stats().identifies, sim.stats().resumes), (1, 0));
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_address_that_does_not_work_is_replaced_by_the_general_one() {
    for resume_url in [ResumeUrl::Garbage, ResumeUrl::Unreachable, ResumeUrl::Missing] {
        let sim = patient_sim().await;
        sim.set_gateway_faults(GatewayFaults { resume_url, ..GatewayFaults::default() });
        let gateway = Gateway::connected(&sim, quick()).await;
        gateway.survives(|sim| sim.close_gateway(Some(4000))).await;
        let stats = sim.stats();
        assert_eq!(stats.identifies, 1, "{resume_url:?}");
        assert_eq!(stats.resumes_at.get(&GatewayAddress::General), Some(&1), "{resume_url:?}: {stats:?}");
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_three_failed_resumes_the_general_address_is_used() {
    let sim = patient_sim().await;
    let gateway = Gateway::connected(&sim, quick()).await;
    let on_resume = Some(GatewayEnd::Close(Some(4000)));
    sim.set_gateway_faults(GatewayFaults { on_resume, ..GatewayFaults::default() });
    sim.close_gateway(Some(4000));
    gateway.sees("five refused RESUMEs", |state| state.stats().resumes_refused >= 5).await;
    let addresses: Vec<_> = sim.gateway_log().attempts.iter().skip(1).take(5).map(|attempt| attempt.address).collect();
    let (resume, general) = (GatewayAddress::Resume, GatewayAddress::General);
    assert_eq!(addresses, [resume, resume, resume, general, general]);
    sim.clear_faults();
    gateway.is_healthy().await;
    assert_eq!(sim.stats().identifies, 1);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_never_resumed_is_given_up_for_a_new_one() {
    for on_resume in [GatewayEnd::Close(Some(4000)), GatewayEnd::Fin, GatewayEnd::InvalidSession(true)] {
        let sim = patient_sim().await;
        let gateway = Gateway::connected(&sim, quick()).await;
        sim.set_gateway_faults(GatewayFaults { on_resume: Some(on_resume), ..GatewayFaults::default() });
        gateway.survives(|sim| sim.close_gateway(Some(4000))).await;
        assert_eq!(sim.stats().identifies, 2, "{on_resume:?}");
        assert_eq!(sim.stats().resumes_refused, 10, "{on_resume:?}");
        gateway.stops().await;
    }
}

/// Sets an end for one moment of a greeting.
type Moment = fn(&mut GatewayFaults, GatewayEnd);

/// One end at each moment of a greeting, with Discord's own limits and the product's own timings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_at_any_moment_of_the_greeting_is_survived_within_discords_limits() {
    let ends = [GatewayEnd::Close(None), GatewayEnd::Close(Some(4000)), GatewayEnd::Fin, GatewayEnd::Reset];
    // A moment, and the close code that leads to it.
    let moments: [(Moment, u16); 4] = [
        (|faults, end| faults.before_hello = Some(end), 4000),
        (|faults, end| faults.on_identify = Some(end), 4009),
        (|faults, end| faults.on_resume = Some(end), 4000),
        (|faults, end| faults.after_ready = Some(end), 4000),
    ];
    let cases = moments.iter().flat_map(|(moment, code)| ends.iter().map(move |end| (moment, *code, *end)));
    join_all(cases.map(|(moment, code, end)| async move {
        let sim = strict_sim().await;
        let gateway = Gateway::connected(&sim, GatewayTimings::default()).await;
        sim.change_gateway_faults(|faults| moment(faults, end));
        sim.close_gateway(Some(code));
        let attempts = sim.gateway_log().attempts.len();
        gateway.sees("two more attempts", |state| state.gateway_log().attempts.len() >= attempts + 2).await;
        sim.clear_faults();
        gateway.survives(|_| {}).await;
        assert_calm(&sim);
        gateway.stops().await;
    }))
    .await;
}

/// Neither a storm nor a broken limit.
pub fn assert_calm(sim: &SimDiscord) {
    let log = sim.gateway_log();
    // The simulator sees a request a little later than the client began it.
    assert!(log.shortest_gap().is_none_or(|gap| gap >= millis(700)), "{:?}", log.attempts);
    assert!(log.most_attempts_per_second() <= 2, "{:?}", log.attempts);
    assert_eq!(sim.stats().send_limits_broken, 0);
    let identifies: Vec<_> = log.sends.iter().filter(|send| send.op == Some(2)).map(|send| send.at).collect();
    let too_early = identifies.windows(2).any(|pair| pair[1] - pair[0] < millis(4700));
    assert!(!too_early, "an IDENTIFY came too early: {identifies:?}");
    assert!(!log.compression_requested());
}
