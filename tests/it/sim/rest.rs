//! The REST API and its limits, as a plain HTTP client sees them.

use factorio_isr::sim::discord::{Ping, RateLimits, Scope};
use reqwest::multipart;
use serde_json::json;

use super::{CHANNEL, Rest, answer, contents, header, limited, unlimited};

#[tokio::test]
async fn posted_message_is_shown_with_its_author() {
    let discord = unlimited().await;
    let (status, message) = Rest::new(&discord).say(json!({ "content": "hello" })).await;
    assert_eq!(
        (status, &message["content"], &message["author"]["username"]),
        (200, &json!("hello"), &json!("factorio-isr"))
    );
    assert_eq!(contents(&discord), ["hello"]);
}

#[tokio::test]
async fn request_without_the_token_is_unauthorized() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let url = format!("{}/api/v10/users/@me", discord.base_url());
    let (status, body) = answer(rest.client.get(url).header("authorization", "Bot other").send().await.unwrap()).await;
    assert_eq!((status, body), (401, json!({ "message": "401: Unauthorized", "code": 0 })));
    assert_eq!(discord.stats().invalid_requests, 1);
    assert_eq!(rest.get("/users/@me").await.1["id"], "900");
}

#[tokio::test]
async fn unknown_channel_is_refused_in_discords_words() {
    let discord = unlimited().await;
    let refused = Rest::new(&discord).get("/channels/5").await;
    assert_eq!(refused, (404, json!({ "message": "Unknown Channel", "code": 10003 })));
}

#[tokio::test]
async fn message_over_two_thousand_characters_is_refused() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let (status, body) = rest.say(json!({ "content": "é".repeat(2001) })).await;
    assert_eq!((status, &body["code"]), (400, &json!(50035)));
    assert_eq!(rest.say(json!({ "content": "é".repeat(2000) })).await.0, 200);
    assert_eq!(rest.say(json!({ "content": "" })).await.1["code"], 50006);
}

#[tokio::test]
async fn repeated_nonce_answers_with_the_first_message() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let body = json!({ "content": "once", "nonce": "7-1", "enforce_nonce": true });
    let (_, first) = rest.say(body.clone()).await;
    let (status, second) = rest.say(body.clone()).await;
    assert_eq!((status, &second["id"], &second["nonce"]), (200, &first["id"], &json!("7-1")));
    assert_eq!((contents(&discord).len(), discord.stats().nonce_repeats), (1, 1));

    let path = format!("/channels/{CHANNEL}/messages/{}", first["id"].as_str().unwrap());
    assert_eq!(rest.get(&path).await.1.get("nonce"), None, "a fetched message has lost it");

    discord.forget_nonces();
    assert_ne!(rest.say(body).await.1["id"], first["id"], "later, it is a new message");
}

#[tokio::test]
async fn nonce_of_a_deleted_message_is_an_unknown_message() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let body = json!({ "content": "once", "nonce": 5, "enforce_nonce": true });
    let (_, first) = rest.say(body.clone()).await;
    let path = format!("/channels/{CHANNEL}/messages/{}", first["id"].as_str().unwrap());
    assert_eq!(rest.request("DELETE", &path).send().await.unwrap().status(), 204);
    assert_eq!(rest.say(body).await, (404, json!({ "message": "Unknown Message", "code": 10008 })));
}

#[tokio::test]
async fn nonce_that_is_not_enforced_makes_a_second_message() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    for _ in 0..2 {
        rest.say(json!({ "content": "twice", "nonce": "7" })).await;
    }
    assert_eq!(contents(&discord), ["twice", "twice"]);
}

#[tokio::test]
async fn history_is_read_in_pages_after_a_known_message() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let ids: Vec<u64> = (0..5).map(|n| discord.say(CHANNEL, "alice", &format!("m{n}")).unwrap()).collect();
    let texts = async |query: String| -> Vec<String> {
        let (_, page) = rest.get(&format!("/channels/{CHANNEL}/messages?{query}")).await;
        page.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(format!("after={}&limit=2", ids[1])).await, ["m3", "m2"]);
    assert_eq!(texts(format!("before={}&limit=2", ids[3])).await, ["m2", "m1"]);
    assert_eq!(texts("limit=1".into()).await, ["m4"]);
    assert_eq!(rest.get(&format!("/channels/{CHANNEL}/messages?limit=101")).await.0, 400);
}

#[tokio::test]
async fn edited_message_keeps_its_place() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let (_, first) = rest.say(json!({ "content": "first" })).await;
    rest.say(json!({ "content": "second" })).await;
    let path = format!("/channels/{CHANNEL}/messages/{}", first["id"].as_str().unwrap());
    let edited = rest.request("PATCH", &path).json(&json!({ "content": "changed" })).send().await.unwrap();
    assert_eq!(edited.status(), 200);
    assert_eq!(contents(&discord), ["changed", "second"]);
    assert!(discord.messages(CHANNEL)[0].edited.is_some());

    let other = discord.say(CHANNEL, "alice", "mine").unwrap();
    let path = format!("/channels/{CHANNEL}/messages/{other}");
    let refused = rest.request("PATCH", &path).json(&json!({ "content": "yours" })).send().await.unwrap();
    assert_eq!(answer(refused).await.1["code"], 50005);
}

#[tokio::test]
async fn mention_pings_unless_the_sender_forbids_it() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    rest.say(json!({ "content": "@everyone <@5>" })).await;
    rest.say(json!({ "content": "@everyone <@5>", "allowed_mentions": { "parse": [] } })).await;
    let messages = discord.messages(CHANNEL);
    assert_eq!(messages[0].pinged, [Ping::Everyone, Ping::User(5)]);
    assert_eq!(messages[1].pinged, []);
    assert_eq!(messages[1].allowed_mentions, Some(json!({ "parse": [] })));
}

#[tokio::test]
async fn attached_file_can_be_downloaded() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let file = multipart::Part::bytes("line 1\nline 2\n".as_bytes()).file_name("prod.txt");
    let payload = json!({ "content": "", "attachments": [{ "id": 0, "filename": "prod.txt" }] }).to_string();
    let form = multipart::Form::new().text("payload_json", payload).part("files[0]", file);
    let path = format!("/channels/{CHANNEL}/messages");
    let (status, message) = answer(rest.request("POST", &path).multipart(form).send().await.unwrap()).await;
    assert_eq!((status, &message["attachments"][0]["size"]), (200, &json!(14)));
    let url = message["attachments"][0]["url"].as_str().unwrap();
    assert_eq!(rest.client.get(url).send().await.unwrap().text().await.unwrap(), "line 1\nline 2\n");
    assert_eq!(discord.messages(CHANNEL)[0].attachments[0].text(), "line 1\nline 2\n");
}

#[tokio::test]
async fn file_over_ten_mebibytes_is_too_large() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let file = multipart::Part::bytes(vec![b'x'; (10 << 20) + 1]).file_name("prod.txt");
    let form = multipart::Form::new().text("payload_json", "{}").part("files[0]", file);
    let path = format!("/channels/{CHANNEL}/messages");
    let refused = rest.request("POST", &path).multipart(form).send().await.unwrap();
    assert_eq!(answer(refused).await, (413, json!({ "message": "Request entity too large", "code": 40005 })));
}

#[tokio::test]
async fn request_over_twenty_five_mebibytes_is_too_large() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let file = || multipart::Part::bytes(vec![b'x'; 9 << 20]).file_name("prod.txt");
    let form = multipart::Form::new().part("files[0]", file()).part("files[1]", file()).part("files[2]", file());
    let path = format!("/channels/{CHANNEL}/messages");
    let refused = rest.request("POST", &path).multipart(form).send().await.unwrap();
    assert_eq!(answer(refused).await.1["code"], 40005);
}

#[tokio::test]
async fn sixth_message_within_five_seconds_is_limited() {
    let discord = limited().await;
    let rest = Rest::new(&discord);
    for remaining in ["4", "3", "2", "1", "0"] {
        let sent = rest.post(json!({ "content": "a" })).await.unwrap();
        assert_eq!((header(&sent, "x-ratelimit-limit"), header(&sent, "x-ratelimit-remaining")), ("5", remaining));
    }
    let refused = rest.post(json!({ "content": "a" })).await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "x-ratelimit-scope")), (429, "user"));
    let whole: f64 = header(&refused, "retry-after").parse().unwrap();
    let exact = answer(refused).await.1["retry_after"].as_f64().unwrap();
    assert!(exact > 0.0 && exact <= 5.0 && (0.0..1.0).contains(&(whole - exact)), "{whole} {exact}");
    assert_eq!((discord.stats().limited(Scope::User), discord.stats().invalid_requests), (1, 1));

    discord.set_limits(RateLimits::discord());
    assert_eq!(rest.say(json!({ "content": "full again" })).await.0, 200);
}
