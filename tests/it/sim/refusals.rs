//! What Discord refuses, and what it answers: the simulator is as strict and as complete.

use factorio_isr::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig, SimOverwrite};
use reqwest::multipart;
use serde_json::{Value, json};

use super::client::GatewayClient;
use super::{CHANNEL, Rest, answer, contents, header, limited, two_channels, unlimited};

const COMMANDS: &str = "/applications/900/guilds/100/commands";

async fn put(rest: &Rest<'_>, path: &str, body: &Value) -> (u16, Value) {
    answer(rest.request("PUT", path).json(body).send().await.unwrap()).await
}

async fn patch(rest: &Rest<'_>, path: &str, body: &Value) -> (u16, Value) {
    answer(rest.request("PATCH", path).json(body).send().await.unwrap()).await
}

/// Where the first field error of an answer is, as `embeds.0.title`.
fn refused_at((status, body): (u16, Value)) -> String {
    assert_eq!((status, &body["code"]), (400, &json!(50035)), "{body}");
    let mut fields = Vec::new();
    let mut at = &body["errors"];
    while let Some((field, inner)) = at.as_object().and_then(|object| object.iter().next()) {
        if field == "_errors" {
            break;
        }
        fields.push(field.as_str());
        at = inner;
    }
    fields.join(".")
}

#[tokio::test]
async fn command_that_breaks_a_rule_is_refused_with_its_place() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let option =
        |name: &str, required: bool| json!({ "type": 3, "name": name, "description": "d", "required": required });
    let command = |name: &str, description: &str, options: Vec<Value>| json!([{ "name": name, "description": description, "options": options }]);
    let many: Vec<Value> = (0..26).map(|n| option(&n.to_string(), false)).collect();
    let cases = [
        (command("Factorio", "d", vec![]), "0.name"),
        (command(&"f".repeat(33), "d", vec![]), "0.name"),
        (command("factorio", "", vec![]), "0.description"),
        (command("factorio", &"d".repeat(101), vec![]), "0.description"),
        (command("factorio", "d", vec![option("a", false), option("b", true)]), "0.options.1"),
        (command("factorio", "d", many), "0.options"),
    ];
    for (commands, path) in cases {
        assert_eq!(refused_at(put(&rest, COMMANDS, &commands).await), path);
    }
    assert_eq!(put(&rest, "/applications/901/guilds/100/commands", &json!([])).await.1["code"], 20012);
    assert_eq!(rest.get(COMMANDS).await, (200, json!([])), "nothing was registered");

    let right = command("factorio", "d", vec![option("a", true), option("b", false)]);
    assert_eq!(put(&rest, COMMANDS, &right).await.0, 200);
    assert_eq!(rest.get(COMMANDS).await.1[0]["name"], "factorio");
    assert_eq!(rest.get("/applications/900/commands").await.1, json!([]), "it is the guild's");
}

#[tokio::test]
async fn message_that_breaks_a_rule_is_refused_with_its_place() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let button = |id: Value, label: &str| json!({ "type": 2, "style": 1, "label": label, "custom_id": id });
    let row = |buttons: &[Value]| json!({ "type": 1, "components": buttons });
    let rows: Vec<Value> = (0..6).map(|n| row(&[button(json!(n.to_string()), "Yes")])).collect();
    let cases = [
        (json!({ "components": rows }), "components"),
        (json!({ "components": [row(&[button(Value::Null, "Yes")])] }), "components.0.components.0.custom_id"),
        (
            json!({ "components": [row(&[button(json!("a"), "Yes"), button(json!("a"), "No")])] }),
            "components.0.components.1.custom_id",
        ),
        (json!({ "components": [row(&[button(json!("a"), &"x".repeat(81))])] }), "components.0.components.0.label"),
        (json!({ "embeds": [{ "title": "t", "color": 0x0100_0000 }] }), "embeds.0.color"),
        (json!({ "embeds": [{ "title": "t" }, { "title": "t", "timestamp": "noon" }] }), "embeds.1.timestamp"),
        (json!({ "embeds": [{ "title": "t".repeat(257) }] }), "embeds.0.title"),
        (json!({ "allowed_mentions": { "parse": ["here"] } }), "allowed_mentions.parse.0"),
        (json!({ "message_reference": { "message_id": "5" } }), "message_reference"),
    ];
    let (_, sent) = rest.say(json!({ "content": "right" })).await;
    let edit = format!("/channels/{CHANNEL}/messages/{}", sent["id"].as_str().unwrap());
    for (mut message, path) in cases {
        message["content"] = json!("x");
        assert_eq!(refused_at(rest.say(message.clone()).await), path);
        if path != "message_reference" {
            assert_eq!(refused_at(patch(&rest, &edit, &message).await), path, "an edit");
        }
    }
    assert_eq!(contents(&discord), ["right"]);
    let lenient = json!({ "content": "x", "message_reference": { "message_id": "5", "fail_if_not_exists": false } });
    assert_eq!(rest.say(lenient).await.0, 200);
}

#[tokio::test]
async fn reply_to_a_deleted_message_is_refused() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let asked = discord.say(CHANNEL, "alice", "who is on?").unwrap();
    let reply = json!({ "content": "bob", "message_reference": { "message_id": asked.to_string() } });
    assert_eq!(rest.say(reply.clone()).await.1["referenced_message"]["content"], "who is on?");
    discord.delete_message(CHANNEL, asked).unwrap();
    assert_eq!(refused_at(rest.say(reply).await), "message_reference");
}

#[tokio::test]
async fn attachment_without_its_file_is_refused() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    let post = async |id: u64| {
        let payload = json!({ "attachments": [{ "id": id, "filename": "a.txt", "description": "log" }] }).to_string();
        let file = multipart::Part::bytes("x".as_bytes()).file_name("a.txt");
        let form = multipart::Form::new().text("payload_json", payload).part("files[3]", file);
        let path = format!("/channels/{CHANNEL}/messages");
        answer(rest.request("POST", &path).multipart(form).send().await.unwrap()).await
    };
    assert_eq!(post(0).await.1["code"], 50146);
    let (status, sent) = post(3).await;
    assert_eq!((status, &sent["attachments"][0]["description"]), (200, &json!("log")));
    let edit = format!("/channels/{CHANNEL}/messages/{}", sent["id"].as_str().unwrap());
    let kept = json!({ "attachments": [{ "id": sent["attachments"][0]["id"] }] });
    assert_eq!(patch(&rest, &edit, &kept).await.0, 200);
    assert_eq!(patch(&rest, &edit, &json!({ "attachments": [{ "id": "5" }] })).await.1["code"], 50146);
}

#[tokio::test]
async fn embeds_come_back_with_the_fields_that_discord_adds() {
    let discord = unlimited().await;
    let embed = json!({ "title": "t", "fields": [{ "name": "n", "value": "v" }] });
    let (_, sent) = Rest::new(&discord).say(json!({ "embeds": [embed] })).await;
    assert_eq!(
        (&sent["embeds"][0]["type"], &sent["embeds"][0]["fields"][0]["inline"]),
        (&json!("rich"), &json!(false))
    );
}

#[tokio::test]
async fn channel_that_the_bot_may_not_use_is_refused() {
    let (voice, forum, hidden, muted) = (301, 302, 303, 304);
    let deny = |bits: u64| vec![SimOverwrite { target: 100, allow: 0, deny: bits }];
    let channels = vec![
        SimChannel { kind: 2, ..SimChannel::new(voice, "talk") },
        SimChannel { kind: 15, ..SimChannel::new(forum, "ideas") },
        SimChannel { overwrites: deny(1 << 10), ..SimChannel::new(hidden, "secret") },
        SimChannel { overwrites: deny(1 << 11), ..SimChannel::new(muted, "rules") },
    ];
    let discord = SimDiscord::start(SimDiscordConfig { channels, ..two_channels() }).await.unwrap();
    let (rest, mut client) = (Rest::new(&discord), GatewayClient::log_in(&discord).await);
    let post = async |channel: u64| {
        let path = format!("/channels/{channel}/messages");
        answer(rest.request("POST", &path).json(&json!({ "content": "x" })).send().await.unwrap()).await
    };
    assert_eq!(post(voice).await.0, 200);
    for (channel, code) in [(forum, 50008), (hidden, 50001), (muted, 50013)] {
        assert_eq!(post(channel).await.1["code"], code);
    }
    assert_eq!(rest.get(&format!("/channels/{hidden}")).await.1["code"], 50001);
    let shown = rest.get("/guilds/100/channels").await.1;
    assert_eq!((&shown[0]["type"], &shown[1]["type"]), (&json!(2), &json!(15)));
    let overwrite = json!([{ "id": "100", "type": 0, "allow": "0", "deny": "1024" }]);
    assert_eq!(shown[2]["permission_overwrites"], overwrite);

    discord.say(hidden, "alice", "unseen").unwrap();
    discord.say(muted, "alice", "seen").unwrap();
    assert_eq!(client.event("MESSAGE_CREATE").await["content"], "x", "the bot's own");
    assert_eq!(client.event("MESSAGE_CREATE").await["content"], "seen");
}

#[tokio::test]
async fn reactions_are_limited_per_channel_and_message() {
    let discord = limited().await;
    let rest = Rest::new(&discord);
    let message = discord.say(CHANNEL, "alice", "hello").unwrap();
    let react = async |rest: &Rest<'_>, emoji: &str| {
        let emoji = emoji.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"));
        let path = format!("/channels/{CHANNEL}/messages/{message}/reactions/{emoji}/@me");
        rest.request("PUT", &path).send().await.unwrap()
    };
    let first = react(&rest, "⏳").await;
    assert_eq!((header(&first, "x-ratelimit-limit"), header(&first, "x-ratelimit-remaining")), ("1", "0"));
    assert_eq!(react(&rest, "❌").await.status(), 429);

    discord.set_limits(factorio_isr::sim::discord::RateLimits::none());
    for emoji in ('🀀'..).take(19) {
        assert_eq!(react(&rest, &emoji.to_string()).await.status(), 204);
    }
    assert_eq!(answer(react(&rest, "❌").await).await.1["code"], 30010);
}
