//! Every way in which the gateway ends a connection, at every moment, as the client sees it.

use std::time::Duration;

use factorio_isr::sim::discord::{
    GatewayAddress, GatewayEnd, GatewayFaults, ResumeUrl, SessionStarts, SimDiscord, SimDiscordConfig, Upgrade,
};
use serde_json::{Value, json};

use super::client::{GatewayClient, INTENTS, Received, general_url};
use super::{CHANNEL, Rest, SOON, two_channels, unlimited};

/// How long a connection that has gone silent is watched.
const WATCH: Duration = Duration::from_millis(150);

const ENDS: [GatewayEnd; 12] = GatewayEnd::ALL;

/// Checks that the next thing the client sees is this end.
async fn sees(client: &mut GatewayClient, end: GatewayEnd) {
    match end {
        GatewayEnd::Close(code) => assert_eq!(client.receive().await, Received::Close(code)),
        GatewayEnd::Fin => assert_eq!(client.receive().await, Received::Fin),
        GatewayEnd::Reset => assert_eq!(client.receive().await, Received::Reset),
        GatewayEnd::HalfOpen => {
            client.send_heartbeat().await;
            assert!(client.is_silent_for(WATCH).await);
        }
        GatewayEnd::Garbage => assert_eq!(client.receive().await, Received::NoFrame),
        GatewayEnd::NotJson => assert!(matches!(client.receive().await, Received::Text(_))),
        GatewayEnd::Reconnect => assert_eq!(client.payload().await["op"], 7),
        GatewayEnd::InvalidSession(resumable) => {
            let payload = client.payload().await;
            assert_eq!((&payload["op"], &payload["d"]), (&json!(9), &json!(resumable)));
        }
    }
}

async fn faulty(faults: GatewayFaults) -> SimDiscord {
    let discord = unlimited().await;
    discord.set_gateway_faults(faults);
    discord
}

#[tokio::test]
async fn connection_ends_before_hello() {
    for end in ENDS {
        let discord = faulty(GatewayFaults { before_hello: Some(end), ..GatewayFaults::default() }).await;
        let mut client = GatewayClient::open(&discord).await;
        sees(&mut client, end).await;
        assert_eq!(discord.stats().gateway_connections, 1, "{end:?}");
    }
}

#[tokio::test]
async fn connection_ends_on_identify() {
    for end in ENDS {
        let discord = faulty(GatewayFaults { on_identify: Some(end), ..GatewayFaults::default() }).await;
        let mut client = GatewayClient::connect(&discord).await;
        client.send_identify(INTENTS).await;
        sees(&mut client, end).await;
        assert_eq!((discord.stats().identifies, discord.stats().identifies_refused), (0, 1), "{end:?}");
    }
}

#[tokio::test]
async fn connection_ends_after_ready_and_after_resumed() {
    for end in ENDS {
        let discord = faulty(GatewayFaults { after_ready: Some(end), ..GatewayFaults::default() }).await;
        let mut client = GatewayClient::connect(&discord).await;
        let session = client.session(0).await;
        sees(&mut client, end).await;

        let mut client = GatewayClient::connect(&discord).await;
        client.send_resume(&session, 1).await;
        let forgotten = matches!(end, GatewayEnd::Close(Some(4009)) | GatewayEnd::InvalidSession(false));
        if forgotten {
            sees(&mut client, GatewayEnd::InvalidSession(false)).await;
        } else {
            assert_eq!(client.payload().await["t"], "RESUMED", "{end:?}");
            sees(&mut client, end).await;
        }
        assert_eq!(discord.stats().resumes_refused, u64::from(forgotten), "{end:?}");
    }
}

#[tokio::test]
async fn connection_ends_on_resume_and_the_session_waits_for_the_next() {
    for end in [GatewayEnd::Close(Some(4000)), GatewayEnd::Fin, GatewayEnd::Reset, GatewayEnd::HalfOpen] {
        let discord = faulty(GatewayFaults { on_resume: Some(end), ..GatewayFaults::default() }).await;
        let mut client = GatewayClient::connect(&discord).await;
        let session = client.session(0).await;
        let mut client = GatewayClient::connect(&discord).await;
        client.send_resume(&session, 1).await;
        sees(&mut client, end).await;

        discord.clear_faults();
        let mut client = GatewayClient::connect(&discord).await;
        client.send_resume(&session, 1).await;
        assert_eq!(client.payload().await["t"], "RESUMED", "{end:?}");
        assert_eq!((discord.stats().resumes, discord.stats().resumes_refused), (1, 1), "{end:?}");
    }
}

#[tokio::test]
async fn live_connection_ends() {
    for end in ENDS {
        let discord = unlimited().await;
        let mut client = GatewayClient::log_in(&discord).await;
        discord.end_gateway(end);
        sees(&mut client, end).await;
    }
}

#[tokio::test]
async fn half_open_connection_delivers_nothing_and_loses_nothing() {
    let discord = unlimited().await;
    let mut client = GatewayClient::connect(&discord).await;
    let session = client.session(INTENTS).await;
    client.event("GUILD_CREATE").await;
    discord.end_gateway(GatewayEnd::HalfOpen);
    for n in 0..20 {
        discord.say(CHANNEL, "alice", &n.to_string()).unwrap();
    }
    assert!(client.is_silent_for(WATCH).await);

    let mut client = GatewayClient::connect(&discord).await;
    client.send_resume(&session, 2).await;
    for n in 0..20 {
        let replayed = client.payload().await;
        assert_eq!((&replayed["s"], &replayed["d"]["content"]), (&json!(n + 3), &json!(n.to_string())));
    }
    assert_eq!(client.payload().await["t"], "RESUMED");
}

#[tokio::test]
async fn half_open_connection_is_over_when_its_client_leaves() {
    let discord = unlimited().await;
    let client = GatewayClient::log_in(&discord).await;
    discord.end_gateway(GatewayEnd::HalfOpen);
    drop(client);
    assert!(discord.wait_for(SOON, |state| state.stats().open_sockets == 0).await);
}

#[tokio::test]
async fn resume_goes_to_an_address_of_its_own() {
    let discord = unlimited().await;
    let ready = GatewayClient::connect(&discord).await.identify(0).await;
    let url = ready["resume_gateway_url"].as_str().unwrap();
    assert_ne!(url, general_url(&discord));
    for at in [url.to_owned(), format!("{url}/"), format!("{}/", general_url(&discord))] {
        let mut client = GatewayClient::open_at(&at).await;
        assert_eq!(client.payload().await["op"], 10);
        client.send_resume(ready["session_id"].as_str().unwrap(), 1).await;
        client.event("RESUMED").await;
    }
    let resumed = discord.stats().resumes_at;
    assert_eq!((resumed[&GatewayAddress::Resume], resumed[&GatewayAddress::General]), (2, 1));
}

#[tokio::test]
async fn resume_address_can_be_bad() {
    let named = async |resume_url| {
        let discord = faulty(GatewayFaults { resume_url, ..GatewayFaults::default() }).await;
        GatewayClient::connect(&discord).await.identify(0).await["resume_gateway_url"].clone()
    };
    assert_eq!(named(ResumeUrl::Missing).await, Value::Null);
    assert!(reqwest::Url::parse(named(ResumeUrl::Garbage).await.as_str().unwrap()).is_err());
    let unreachable = named(ResumeUrl::Unreachable).await;
    let refused = tokio_tungstenite::connect_async(unreachable.as_str().unwrap()).await.unwrap_err();
    assert!(matches!(refused, tokio_tungstenite::tungstenite::Error::Io(_)), "{refused:?}");
}

#[tokio::test]
async fn gateway_that_stalls_leaves_rest_alone() {
    for upgrade in [Upgrade::Stall, Upgrade::StallTcp] {
        let discord = faulty(GatewayFaults { upgrade, ..GatewayFaults::default() }).await;
        let (url, rest) = (general_url(&discord), Rest::new(&discord));
        let (connected, answered) =
            tokio::join!(tokio::time::timeout(WATCH, tokio_tungstenite::connect_async(url)), rest.get("/users/@me"),);
        assert!(connected.is_err(), "{upgrade:?}");
        assert_eq!((answered.0, discord.stats().upgrades_refused), (200, 1), "{upgrade:?}");
        discord.clear_faults();
        GatewayClient::log_in(&discord).await;
    }
}

#[tokio::test]
async fn log_has_what_clients_asked_for() {
    let discord = unlimited().await;
    let mut client = GatewayClient::log_in(&discord).await;
    client.send(&json!({ "op": 3, "d": { "since": null, "status": "idle" } })).await;
    client.close(4900).await;
    assert!(discord.wait_for(SOON, |state| state.gateway_log().closes == [Some(4900)]).await);
    let log = discord.gateway_log();
    let attempt = &log.attempts[0];
    assert_eq!((attempt.address, attempt.accepted), (GatewayAddress::General, true));
    assert_eq!((attempt.query["v"].as_str(), attempt.query["encoding"].as_str()), ("10", "json"));
    assert_eq!(log.sent(2).next().unwrap()["intents"], INTENTS);
    assert_eq!(log.sent(3).next().unwrap().get("since"), Some(&Value::Null));
    assert!(!log.compression_requested());

    let compressed = format!("{}?v=10&compress=zlib-stream", general_url(&discord));
    drop(tokio_tungstenite::connect_async(compressed).await.unwrap());
    assert!(discord.gateway_log().compression_requested());
}

#[tokio::test]
async fn session_start_limit_can_be_set() {
    let starts = SessionStarts { remaining: 3, reset_after: Duration::from_secs(2) };
    let discord = faulty(GatewayFaults { session_starts: Some(starts), ..GatewayFaults::default() }).await;
    let limit = Rest::new(&discord).get("/gateway/bot").await.1["session_start_limit"].clone();
    assert_eq!((&limit["remaining"], &limit["reset_after"]), (&json!(3), &json!(2000)));
}

#[tokio::test]
async fn client_that_sends_too_much_is_closed() {
    let discord = unlimited().await;
    let mut client = GatewayClient::connect(&discord).await;
    for _ in 0..120 {
        client.send_heartbeat().await;
        assert_eq!(client.payload().await["op"], 11);
    }
    client.send_heartbeat().await;
    assert_eq!(client.receive().await, Received::Close(Some(4008)));

    let mut client = GatewayClient::connect(&discord).await;
    client.identify(0).await;
    for _ in 0..6 {
        client.send(&json!({ "op": 3, "d": { "status": "idle" } })).await;
    }
    assert_eq!(client.receive().await, Received::Close(Some(4008)));
    assert_eq!(discord.stats().presences, 5);

    let mut client = GatewayClient::connect(&discord).await;
    client.send(&json!({ "op": 3, "d": "x".repeat(4096) })).await;
    assert_eq!(client.receive().await, Received::Close(Some(4002)));
    assert_eq!(discord.stats().send_limits_broken, 3);
}

#[tokio::test]
async fn second_identify_within_five_seconds_is_an_invalid_session() {
    let discord = SimDiscord::start(SimDiscordConfig { ..two_channels() }).await.unwrap();
    GatewayClient::connect(&discord).await.identify(0).await;
    let mut client = GatewayClient::connect(&discord).await;
    client.send_identify(0).await;
    sees(&mut client, GatewayEnd::InvalidSession(false)).await;
    assert_eq!((discord.stats().identifies, discord.stats().identifies_refused), (1, 1));
}
