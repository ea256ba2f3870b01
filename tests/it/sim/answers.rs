//! The simulator's answers, checked against Discord's OpenAPI document.

use factorio_isr::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig, SimRole};
use serde_json::{Value, json};

use super::{CHANNEL, Rest, answer, two_channels};
use crate::discord_sim::check_answer;

const COMMANDS: &str = "/applications/900/guilds/100/commands";

#[tokio::test]
async fn answers_have_every_field_that_the_openapi_document_requires() {
    let roles = vec![SimRole { id: 201, name: "moderator".into(), permissions: 0 }];
    let channels = [0, 2, 4, 5, 15].map(|kind| SimChannel { kind, ..SimChannel::new(400 + u64::from(kind), "c") });
    let channels = channels.into_iter().chain(two_channels().channels).collect();
    let discord = SimDiscord::start(SimDiscordConfig { roles, channels, ..two_channels() }).await.unwrap();
    let rest = Rest::new(&discord);
    let asked = discord.say(CHANNEL, "alice", "hello <@900>").unwrap();
    let row = json!({ "type": 1, "components": [{ "type": 2, "style": 1, "label": "Yes", "custom_id": "a" }] });
    let embed = json!({ "title": "t", "color": 5, "fields": [{ "name": "n", "value": "v" }] });
    let reference = json!({ "message_id": asked.to_string() });
    let message = json!({ "content": "x", "embeds": [embed], "components": [row], "message_reference": reference });
    let posted = rest.say(message).await.1;
    let command = json!([{ "name": "factorio", "description": "d", "options": [
        { "type": 3, "name": "player", "description": "d", "required": true }] }]);
    let registered = answer(rest.request("PUT", COMMANDS).json(&command).send().await.unwrap()).await.1;
    let mut wrong = Vec::new();
    let mut check = |method: &str, path: &str, body: &Value| {
        if let Err(error) = check_answer(method, path, body) {
            wrong.push(format!("{method} {path}: {error}"));
        }
    };
    check("POST", &format!("/channels/{CHANNEL}/messages"), &posted);
    check("PUT", COMMANDS, &registered);
    let paths = [
        "/gateway".to_owned(),
        "/gateway/bot".to_owned(),
        "/users/@me".to_owned(),
        "/applications/@me".to_owned(),
        "/oauth2/applications/@me".to_owned(),
        "/guilds/100".to_owned(),
        "/guilds/100/roles".to_owned(),
        "/guilds/100/channels".to_owned(),
        "/guilds/100/members/900".to_owned(),
        COMMANDS.to_owned(),
        format!("/channels/{CHANNEL}"),
        format!("/channels/{CHANNEL}/messages"),
        format!("/channels/{CHANNEL}/messages/{asked}"),
    ];
    for path in paths {
        let (status, body) = rest.get(&path).await;
        assert_eq!(status, 200, "{path}: {body}");
        check("GET", &path, &body);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
