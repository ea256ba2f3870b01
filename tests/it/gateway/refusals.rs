//! What only an operator can change: token and intents; and the budget of session starts.

use axum::Router;
use axum::routing::get;
use factorio_isr::sim::discord::{GatewayEnd, GatewayFaults, SessionStarts};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::ends::assert_calm;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_or_intent_is_explained_in_one_sentence_and_heals() {
    for (code, sentence) in [
        (4004, "Discord refuses the token: check discord.token"),
        (4012, "code 4012 (invalid API version): a newer version of this program may help"),
        (4013, "Discord does not know the bot's intents"),
    ] {
        let sim = patient_sim().await;
        sim.set_gateway_faults(GatewayFaults { reject_identify: Some(code), ..GatewayFaults::default() });
        let gateway = Gateway::start(&sim, quick());
        gateway.shows(sentence).await;
        gateway.is_unhealthy().await;
        sim.clear_faults();
        gateway.is_healthy().await;
        assert!(sim.stats().requested("GET /gateway/bot") <= 10, "{:?}", sim.stats());
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_refused_while_it_runs_is_unhealthy_at_once() {
    for code in [4004, 4010, 4011, 4013] {
        let sim = patient_sim().await;
        let gateway = Gateway::connected(&sim, GatewayTimings::default()).await;
        sim.close_gateway(Some(code));
        gateway.is_unhealthy().await;
        assert_eq!(sim.gateway_log().attempts.len(), 1, "{code}: the next attempt is minutes away");
        gateway.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_message_content_intent_the_bot_goes_on_and_is_degraded() {
    let sim = patient_sim().await;
    sim.set_gateway_faults(GatewayFaults { content_off: true, ..GatewayFaults::default() });
    let gateway = Gateway::start(&sim, quick());
    gateway.shows("the Message Content intent is missing: chat from Discord does not reach the games").await;
    gateway.sees("a session", |state| state.stats().identifies == 1).await;
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_never_reaches_the_gateway_and_is_not_tried_in_a_busy_loop() {
    let sim = patient_sim().await;
    let wrong = DiscordSettings { token: "wrong".into(), ..settings(sim.base_url()) };
    let gateway = Gateway::start_with(&sim, wrong, GatewayTimings::default(), Dispatches::default());
    gateway.shows("Discord refuses the token: check discord.token").await;
    assert_eq!(sim.stats().answered(401), 1);
    assert_eq!(sim.stats().requested("GET /gateway/bot"), 0);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_session_starts_of_the_day_are_kept_but_a_resume_needs_none() {
    let sim = patient_sim().await;
    let gateway = Gateway::connected(&sim, quick()).await;
    let few = SessionStarts { remaining: 50, reset_after: Duration::from_hours(1) };
    sim.change_gateway_faults(|faults| faults.session_starts = Some(few));
    gateway.survives(|sim| sim.close_gateway(Some(4000))).await;
    sim.send_invalid_session(false);
    gateway.shows("only 50 of the day's").await;
    assert_eq!(sim.stats().identifies, 1);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_discord_ends_at_once_are_started_ever_more_rarely() {
    let sim = strict_sim().await;
    let gateway = Gateway::connected(&sim, GatewayTimings::default()).await;
    sim.set_gateway_faults(GatewayFaults {
        after_ready: Some(GatewayEnd::Close(Some(4009))),
        ..GatewayFaults::default()
    });
    sim.close_gateway(Some(4009));
    gateway.sees("two more IDENTIFYs", |state| state.stats().identifies == 3).await;
    let starts: Vec<_> = sim.gateway_log().sends.iter().filter(|send| send.op == Some(2)).map(|send| send.at).collect();
    let gaps: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, least) in gaps.iter().zip([5, 10]) {
        assert!(*gap + millis(300) >= Duration::from_secs(least), "{gaps:?}");
    }
    assert_calm(&sim);
    gateway.stops().await;
}

/// Answers like Discord before a session, and names this address as the gateway's.
pub async fn api_that_names(gateway: String) -> String {
    let answer = json!({ "url": gateway, "shards": 1 }).to_string();
    let router = Router::new()
        .route("/api/v10/users/@me", get(async || r#"{"id": "900"}"#))
        .route("/api/v10/gateway/bot", get(async move || answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_gateway_is_spoken_to_in_tls_and_a_failed_handshake_is_the_cause() {
    let sim = patient_sim().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = api_that_names(format!("wss://{}", listener.local_addr().unwrap())).await;
    let gateway = Gateway::start_with(&sim, settings(api), quick(), Dispatches::default());
    let (mut connection, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
    let first = timeout(DEADLINE, connection.read_u8()).await.unwrap().unwrap();
    assert_eq!(first, 0x16, "a TLS handshake");
    // A TLS alert: handshake failure.
    tokio::io::AsyncWriteExt::write_all(&mut connection, &[0x15, 3, 3, 0, 2, 2, 40]).await.unwrap();
    gateway.shows("TLS handshake failed").await;
    gateway.stops().await;
}
