//! The gateway, frame by frame: what no library lets one send.

use factorio_isr::sim::discord::{SimDiscord, SimDiscordConfig};
use serde_json::{Value, json};

use super::client::{GatewayClient, Received};
use super::{CHANNEL, Rest, SOON, TOKEN, answer, contents, two_channels, unlimited};

#[tokio::test]
async fn wrong_frames_are_closed_with_their_codes() {
    let discord = unlimited().await;
    let cases = [
        (json!("no object"), 4002),
        (json!({ "op": 99, "d": {} }), 4003),
        (json!({ "op": 3, "d": {} }), 4003),
        (json!({ "op": 2, "d": { "token": "other", "intents": 0 } }), 4004),
    ];
    for (frame, code) in cases {
        let mut client = GatewayClient::connect(&discord).await;
        client.send(&frame).await;
        assert_eq!(client.receive().await, Received::Close(Some(code)), "{frame}");
    }
    let mut client = GatewayClient::connect(&discord).await;
    client.identify(0).await;
    client.send(&json!({ "op": 2, "d": { "token": TOKEN, "intents": 0 } })).await;
    assert_eq!(client.receive().await, Received::Close(Some(4005)));
}

#[tokio::test]
async fn sequence_goes_on_over_a_resume_and_repeats_what_was_missed() {
    let discord = SimDiscord::start(SimDiscordConfig { replay_limit: 3, ..two_channels() }).await.unwrap();
    let mut client = GatewayClient::connect(&discord).await;
    let session = client.session(1 << 9).await;
    drop(client);
    assert!(discord.wait_for(SOON, |state| state.stats().open_sockets == 0).await);
    for text in ["a", "b", "c"] {
        discord.say(CHANNEL, "alice", text).unwrap();
    }
    let mut client = GatewayClient::connect(&discord).await;
    client.send_resume(&session, 2).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let frame = client.payload().await;
        seen.push((frame["s"].as_u64().unwrap(), frame["t"].as_str().unwrap().to_owned()));
    }
    let expected = [(3, "MESSAGE_CREATE"), (4, "MESSAGE_CREATE"), (5, "RESUMED")];
    assert_eq!(seen, expected.map(|(sequence, event)| (sequence, event.to_owned())));
}

#[tokio::test]
async fn session_that_is_unknown_or_forgot_too_much_is_invalid() {
    let discord = SimDiscord::start(SimDiscordConfig { replay_limit: 1, ..two_channels() }).await.unwrap();
    let mut client = GatewayClient::connect(&discord).await;
    let session = client.session(1 << 9).await;
    for text in ["a", "b"] {
        discord.say(CHANNEL, "alice", text).unwrap();
    }
    for (session, sequence) in [("unknown", 0), (session.as_str(), 1)] {
        let mut client = GatewayClient::connect(&discord).await;
        client.send_resume(session, sequence).await;
        let frame = client.payload().await;
        assert_eq!((&frame["op"], &frame["d"]), (&json!(9), &json!(false)));
    }
}

#[tokio::test]
async fn goodbye_of_the_client_ends_its_session() {
    let discord = unlimited().await;
    let mut client = GatewayClient::connect(&discord).await;
    let session = client.session(0).await;
    client.close(1000).await;
    assert!(discord.wait_for(SOON, |state| state.stats().open_sockets == 0).await);
    let mut client = GatewayClient::connect(&discord).await;
    client.send_resume(&session, 1).await;
    assert_eq!(client.payload().await["op"], 9);
}

#[tokio::test]
async fn presence_is_remembered() {
    let discord = unlimited().await;
    let mut client = GatewayClient::connect(&discord).await;
    client.identify(0).await;
    client.send(&json!({ "op": 3, "d": { "status": "idle" } })).await;
    assert!(discord.wait_for(SOON, |state| state.presence()["status"] == "idle").await);
}

/// A called command: the id of its interaction, and the path of its webhook.
async fn called(discord: &SimDiscord, rest: &Rest<'_>) -> (u64, String, String) {
    let commands = json!([{ "name": "factorio", "description": "Asks a server" }]);
    let path = "/applications/900/guilds/100/commands";
    assert_eq!(rest.request("PUT", path).json(&commands).send().await.unwrap().status(), 200);
    let mut client = GatewayClient::connect(discord).await;
    client.identify(0).await;
    let id = discord.interact(CHANNEL, "alice", "factorio", &json!([])).unwrap();
    let token = client.payload().await["d"]["token"].as_str().unwrap().to_owned();
    (id, format!("/interactions/{id}/{token}/callback"), format!("/webhooks/900/{token}"))
}

#[tokio::test]
async fn reply_for_the_caller_only_is_not_in_the_channel() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let (id, callback, webhook) = called(&discord, &rest).await;
    let post =
        async |path: &str, body: Value| answer(rest.request("POST", path).json(&body).send().await.unwrap()).await;

    assert_eq!(post(&webhook, json!({ "content": "early" })).await.1["code"], 10015);
    let reply = json!({ "type": 4, "data": { "content": "3 online", "flags": 64 } });
    assert_eq!(post(&callback, reply.clone()).await.0, 204);
    assert_eq!(post(&callback, reply).await.1["code"], 40060);
    assert_eq!(discord.interaction_reply(id).unwrap().content, "3 online");
    assert_eq!(contents(&discord), [""; 0]);

    assert_eq!(post(&webhook, json!({ "content": "said to all" })).await.0, 200);
    assert_eq!(contents(&discord), ["said to all"]);
}

#[tokio::test]
async fn first_follow_up_of_a_deferred_reply_takes_its_place() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let (id, callback, webhook) = called(&discord, &rest).await;
    rest.request("POST", &callback).json(&json!({ "type": 5 })).send().await.unwrap();
    for text in ["first", "second"] {
        rest.request("POST", &webhook).json(&json!({ "content": text })).send().await.unwrap();
    }
    assert_eq!(discord.interaction_reply(id).unwrap().content, "first");
    let path = format!("{webhook}/messages/@original");
    let edited = rest.request("PATCH", &path).json(&json!({ "content": "changed" })).send().await.unwrap();
    assert_eq!(answer(edited).await.1["content"], "changed");
    assert_eq!(contents(&discord), ["changed", "second"]);
}

#[tokio::test]
async fn a_deferred_reply_that_is_deleted_makes_room_for_one_of_another_audience() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let (id, callback, webhook) = called(&discord, &rest).await;
    rest.request("POST", &callback).json(&json!({ "type": 5 })).send().await.unwrap();
    let original = format!("{webhook}/messages/@original");
    assert_eq!(rest.request("DELETE", &original).send().await.unwrap().status(), 204);
    assert_eq!(answer(rest.request("DELETE", &original).send().await.unwrap()).await.1["code"], 10008);
    assert_eq!(discord.interaction_reply(id), None);
    let secret = json!({ "content": "for alice", "flags": 64 });
    rest.request("POST", &webhook).json(&secret).send().await.unwrap();
    assert_eq!(discord.interaction_reply(id).unwrap().content, "for alice");
    assert_eq!(contents(&discord), [""; 0]);
}

#[tokio::test]
async fn interaction_that_is_not_there_cannot_be_answered() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let reply =
        rest.request("POST", "/interactions/1/token/callback").json(&json!({ "type": 5 })).send().await.unwrap();
    assert_eq!(answer(reply).await, (404, json!({ "message": "Unknown interaction", "code": 10062 })));
    let edit = rest.request("PATCH", "/webhooks/900/token/messages/@original").json(&json!({})).send().await.unwrap();
    assert_eq!(answer(edit).await.1["code"], 50027);
    assert_eq!(discord.interact(CHANNEL, "alice", "unregistered", &json!([])).unwrap_err().code, 10063);
}
