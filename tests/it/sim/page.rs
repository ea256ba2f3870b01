//! What the page lives on.

use factorio_isr::sim::discord::{Change, SimDiscord, SimDiscordConfig};
use serde_json::{Value, json};

use super::{CHANNEL, Rest, unlimited};

/// The next server-sent event: its name and its data.
async fn event(stream: &mut reqwest::Response, buffer: &mut String) -> (String, Value) {
    loop {
        if let Some((event, rest)) = buffer.split_once("\n\n").map(|(event, rest)| (event.to_owned(), rest.to_owned()))
        {
            *buffer = rest;
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            return (field("event: ").to_owned(), serde_json::from_str(field("data: ")).unwrap());
        }
        let chunk = stream.chunk().await.unwrap().expect("an open stream");
        buffer.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test]
async fn state_names_the_channels_and_their_last_messages() {
    let discord = unlimited().await;
    for n in 0..201 {
        discord.say(CHANNEL, "alice", &n.to_string()).unwrap();
    }
    let url = format!("{}/sim/state", discord.base_url());
    let state: Value = Rest::new(&discord).client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&state["guild"]["name"], &state["bot"]),
        (
            &json!("Simulated guild"),
            &json!({ "name": "factorio-isr", "online": false, "status": null, "activity": null })
        )
    );
    assert_eq!(state["channels"][0], json!({ "id": "111", "name": "factory", "topic": null, "category": null }));
    let messages = state["messages"]["111"].as_array().unwrap();
    assert_eq!((messages.len(), &messages[0]["content"], &messages[199]["content"]), (200, &json!("1"), &json!("200")));
    assert_eq!(messages[0]["author"], json!({ "name": "alice", "bot": false }));
    assert_eq!(state["messages"]["222"], json!([]));
}

#[tokio::test]
async fn events_follow_what_happens() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let url = format!("{}/sim/events", discord.base_url());
    let (mut stream, mut buffer) = (rest.client.get(url).send().await.unwrap(), String::new());
    let mut changes = discord.subscribe();

    let (_, sent) = rest.say(json!({ "content": "one" })).await;
    let path = format!("/channels/{CHANNEL}/messages/{}", sent["id"].as_str().unwrap());
    rest.request("PATCH", &path).json(&json!({ "content": "two" })).send().await.unwrap();
    rest.request("DELETE", &path).send().await.unwrap();

    let (name, message) = event(&mut stream, &mut buffer).await;
    assert_eq!((name.as_str(), &message["content"], &message["channel"]), ("message", &json!("one"), &json!("111")));
    let (name, message) = event(&mut stream, &mut buffer).await;
    assert_eq!((name.as_str(), &message["content"]), ("edit", &json!("two")));
    assert_eq!(
        event(&mut stream, &mut buffer).await,
        ("delete".to_owned(), json!({ "channel": "111", "id": sent["id"] }))
    );
    assert!(matches!(changes.recv().await, Ok(Change::Message(message)) if message.content == "one"));
}

#[tokio::test]
async fn added_route_is_served_beside_the_own_ones_also_after_an_outage() {
    let more = axum::Router::new().route("/sim/info", axum::routing::get(async || "more"));
    let discord = SimDiscord::start_with(SimDiscordConfig::default(), more).await.unwrap();
    discord.restart().await.unwrap();
    let rest = Rest::new(&discord);
    let more = rest.client.get(format!("{}/sim/info", discord.base_url())).send().await.unwrap();
    assert_eq!(more.text().await.unwrap(), "more");
    assert_eq!(rest.get("/users/@me").await.0, 200);
}

#[tokio::test]
async fn page_is_served_at_the_root() {
    let discord = unlimited().await;
    let page = Rest::new(&discord).client.get(discord.base_url()).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.text().await.unwrap().to_lowercase().starts_with("<!doctype html>"));
}
