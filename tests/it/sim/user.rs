//! What the page's user does: writes, calls commands, presses buttons; and a small bot that answers.

use std::time::Duration;

use factorio_isr::sim::discord::{SimDiscord, SimDiscordConfig, SimRole};
use serde_json::{Value, json};

use super::client::GatewayClient;
use super::{CHANNEL, Rest, answer, contents, two_channels};

const MODERATOR: u64 = 201;
const MANAGE_GUILD: u64 = 32;

async fn discord() -> SimDiscord {
    let moderator = SimRole { id: MODERATOR, name: "moderator".into(), permissions: MANAGE_GUILD };
    SimDiscord::start(SimDiscordConfig { roles: vec![moderator], ..two_channels() }).await.unwrap()
}

/// The page's requests.
struct Page<'a>(Rest<'a>);

impl<'a> Page<'a> {
    fn new(discord: &'a SimDiscord) -> Self {
        Self(Rest::new(discord))
    }

    fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.0.client.post(format!("{}/sim/{path}", self.0.discord.base_url()))
    }

    /// As alice, in the first channel.
    async fn post(&self, path: &str, mut body: Value) -> (u16, Value) {
        for (field, value) in [("channel", CHANNEL.to_string()), ("author", "alice".to_owned())] {
            if body.get(field).is_none() {
                body[field] = json!(value);
            }
        }
        answer(self.request(path).json(&body).send().await.unwrap()).await
    }

    async fn id(&self, path: &str, body: Value) -> u64 {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_str().unwrap().parse().unwrap()
    }
}

/// A bot of the gateway that hears everything and answers by REST.
struct Bot<'a> {
    rest: Rest<'a>,
    gateway: GatewayClient,
}

impl<'a> Bot<'a> {
    async fn start(discord: &'a SimDiscord) -> Self {
        let bot = Self { rest: Rest::new(discord), gateway: GatewayClient::log_in(discord).await };
        let commands = json!([{ "name": "factorio", "description": "Asks a server" }]);
        bot.rest.request("PUT", "/applications/900/guilds/100/commands").json(&commands).send().await.unwrap();
        bot
    }

    async fn called(&mut self) -> Value {
        self.gateway.event("INTERACTION_CREATE").await
    }

    async fn calls_back(&self, interaction: &Value, body: Value) -> u16 {
        let (id, token) = (interaction["id"].as_str().unwrap(), interaction["token"].as_str().unwrap());
        let path = format!("/interactions/{id}/{token}/callback");
        self.rest.request("POST", &path).json(&body).send().await.unwrap().status().as_u16()
    }

    async fn original(&self, method: &str, interaction: &Value, body: Value) -> (u16, Value) {
        let path = format!("/webhooks/900/{}/messages/@original", interaction["token"].as_str().unwrap());
        answer(self.rest.request(method, &path).json(&body).send().await.unwrap()).await
    }
}

fn ban() -> Value {
    let name = json!({ "name": "player", "type": 3, "value": "Bob" });
    json!({ "command": "factorio", "options": [{ "name": "ban", "type": 1, "options": [name] }] })
}

fn buttons(label: &str) -> Value {
    json!([{ "type": 1, "components": [
        { "type": 2, "style": 4, "label": label, "custom_id": "yes" },
        { "type": 2, "style": 2, "label": "Off", "custom_id": "off", "disabled": true },
    ] }])
}

#[tokio::test]
async fn written_message_reaches_the_bot_with_what_it_answers() {
    let discord = discord().await;
    let (mut bot, page) = (Bot::start(&discord).await, Page::new(&discord));
    let first = page.id("say", json!({ "text": "who is on?" })).await;
    assert_eq!(bot.gateway.event("MESSAGE_CREATE").await["content"], "who is on?");
    let roles = json!([MODERATOR.to_string()]);
    page.id("say", json!({ "text": "me", "author": "bob", "reply_to": first.to_string(), "roles": roles })).await;
    let reply = bot.gateway.event("MESSAGE_CREATE").await;
    assert_eq!(
        (&reply["type"], &reply["referenced_message"]["content"], &reply["member"]["roles"]),
        (&json!(19), &json!("who is on?"), &roles)
    );
    page.id("edit", json!({ "message": first.to_string(), "text": "who is here?" })).await;
    assert_eq!(bot.gateway.event("MESSAGE_UPDATE").await["content"], "who is here?");
    page.id("delete", json!({ "message": first.to_string() })).await;
    assert_eq!(bot.gateway.event("MESSAGE_DELETE").await["id"], first.to_string());
    assert_eq!(contents(&discord), ["me"]);
}

#[tokio::test]
async fn only_the_author_changes_a_message() {
    let discord = discord().await;
    let page = Page::new(&discord);
    let message = page.id("say", json!({ "text": "mine" })).await.to_string();
    for path in ["edit", "delete"] {
        let theft = json!({ "message": message, "text": "yours", "author": "mallory" });
        assert_eq!(page.post(path, theft).await.0, 403, "{path}");
    }
    assert_eq!(contents(&discord), ["mine"]);
}

#[tokio::test]
async fn other_sites_and_forms_are_refused() {
    let discord = discord().await;
    let page = Page::new(&discord);
    let body = json!({ "channel": "111", "author": "alice", "text": "x" }).to_string();
    let json = || page.request("say").header("content-type", "application/json").body(body.clone());
    let own = discord.base_url();
    let cases = [
        (json().header("origin", "https://evil.example"), 403),
        (json().header("origin", "null"), 403),
        (json().header("sec-fetch-site", "cross-site"), 403),
        (page.request("say").header("content-type", "text/plain").body(body.clone()), 415),
        (page.request("say").body(body.clone()), 415),
        (json().body("x".repeat(40_000)), 413),
        (json().body("{}"), 422),
        (json().header("origin", own).header("sec-fetch-site", "same-origin"), 200),
    ];
    for (request, expected) in cases {
        let shown = format!("{request:?}");
        assert_eq!(request.send().await.unwrap().status(), expected, "{shown}");
    }
    assert_eq!(contents(&discord), ["x"]);
}

#[tokio::test]
async fn odd_names_unknown_roles_and_empty_texts_are_refused() {
    let discord = discord().await;
    let page = Page::new(&discord);
    for author in ["", " a", "Factorio-ISR", "a\nb", &"x".repeat(33)] {
        assert_eq!(page.post("say", json!({ "text": "x", "author": author })).await.0, 400, "{author:?}");
    }
    assert_eq!(page.post("say", json!({ "text": "x", "roles": ["5"] })).await.0, 404);
    assert_eq!(page.post("say", json!({ "text": " " })).await.1["code"], 50006);
    assert_eq!(page.post("say", json!({ "text": "x", "channel": "5" })).await.1["code"], 10003);
    assert_eq!(page.post("interact", json!({ "command": "nope", "options": [] })).await.1["code"], 10063);
    assert!(contents(&discord).is_empty());
}

#[tokio::test]
async fn command_carries_the_roles_and_the_deferred_reply_names_the_caller() {
    let discord = discord().await;
    let (mut bot, page) = (Bot::start(&discord).await, Page::new(&discord));
    let mut call = ban();
    call["roles"] = json!([MODERATOR.to_string()]);
    let id = page.id("interact", call).await;
    let heard = bot.called().await;
    assert_eq!((&heard["type"], &heard["data"]["options"]), (&json!(2), &ban()["options"]));
    let permissions: u64 = heard["member"]["permissions"].as_str().unwrap().parse().unwrap();
    assert_eq!((permissions & MANAGE_GUILD, &heard["member"]["roles"][0]), (MANAGE_GUILD, &json!("201")));

    assert_eq!(bot.calls_back(&heard, json!({ "type": 5 })).await, 204);
    assert_eq!(bot.original("GET", &heard, Value::Null).await.0, 404, "there is nothing yet");
    let embeds = json!([{ "title": "Banned", "color": 0xff_0000 }]);
    assert_eq!(bot.original("PATCH", &heard, json!({ "embeds": embeds })).await.0, 200);
    let reply = discord.interaction_reply(id).unwrap();
    let invocation = reply.interaction.as_ref().unwrap();
    assert_eq!((&reply.embeds, invocation.user.name.as_str()), (&embeds, "alice"));
    assert_eq!(invocation.command, "/factorio ban");
    assert_eq!(discord.messages(CHANNEL), [reply]);
}

#[tokio::test]
async fn private_reply_is_in_no_channel_and_its_button_only_for_the_caller() {
    let discord = discord().await;
    let (mut bot, page) = (Bot::start(&discord).await, Page::new(&discord));
    let id = page.id("interact", ban()).await;
    let asked = bot.called().await;
    let question = json!({ "content": "Really?", "flags": 64, "components": buttons("Ban Bob") });
    bot.calls_back(&asked, json!({ "type": 4, "data": question })).await;
    assert!(contents(&discord).is_empty());
    let message = discord.interaction_reply(id).unwrap().id.to_string();

    let press = |author: &str, component: &str| json!({ "author": author, "message": message, "component": component });
    assert_eq!(page.post("press", press("mallory", "yes")).await.0, 400);
    assert_eq!(page.post("press", press("alice", "off")).await.0, 400, "it is switched off");
    assert_eq!(page.post("press", press("alice", "other")).await.0, 400);
    page.id("press", press("alice", "yes")).await;
    let pressed = bot.called().await;
    assert_eq!((&pressed["type"], &pressed["data"]["custom_id"]), (&json!(3), &json!("yes")));
    assert_eq!((&pressed["message"]["id"], &pressed["message"]["flags"]), (&json!(message), &json!(64)));

    let done = json!({ "type": 7, "data": { "content": "Done", "components": [] } });
    assert_eq!(bot.calls_back(&pressed, done).await, 204);
    let reply = discord.interaction_reply(id).unwrap();
    assert_eq!((reply.content.as_str(), &reply.components), ("Done", &json!([])));
    assert_eq!(bot.original("GET", &pressed, Value::Null).await.1["content"], "Done");
    assert_eq!(page.post("press", press("alice", "yes")).await.0, 400, "the button is gone");
}

#[tokio::test]
async fn button_of_a_public_message_may_be_answered_later() {
    let discord = discord().await;
    let (mut bot, page) = (Bot::start(&discord).await, Page::new(&discord));
    let (_, sent) = bot.rest.say(json!({ "content": "vote", "components": buttons("Yes") })).await;
    page.id("press", json!({ "message": sent["id"], "component": "yes", "author": "bob" })).await;
    let pressed = bot.called().await;
    assert_eq!(bot.calls_back(&pressed, json!({ "type": 6 })).await, 204);
    bot.original("PATCH", &pressed, json!({ "content": "1 vote" })).await;
    assert_eq!(contents(&discord), ["1 vote"]);
}

#[tokio::test]
async fn autocomplete_brings_the_bots_choices() {
    let discord = discord().await;
    let (mut bot, page) = (Bot::start(&discord).await, Page::new(&discord));
    let typed = json!([{ "name": "player", "type": 3, "value": "Bo", "focused": true }]);
    let choices = json!([{ "name": "Bob", "value": "Bob" }]);
    let bot_answers = async {
        let asked = bot.called().await;
        assert_eq!((&asked["type"], &asked["data"]["options"]), (&json!(4), &typed));
        assert_eq!(bot.calls_back(&asked, json!({ "type": 4, "data": { "content": "no" } })).await, 400);
        bot.calls_back(&asked, json!({ "type": 8, "data": { "choices": choices } })).await
    };
    let asked = page.post("autocomplete", json!({ "command": "factorio", "options": typed }));
    let (answered, called_back) = tokio::join!(asked, bot_answers);
    assert_eq!((answered, called_back), ((200, json!({ "choices": choices })), 204));
}

#[tokio::test]
async fn answer_behind_the_deadline_is_refused() {
    let config = SimDiscordConfig { interaction_deadline: Duration::ZERO, ..two_channels() };
    let discord = SimDiscord::start(config).await.unwrap();
    let (mut bot, page) = (Bot::start(&discord).await, Page::new(&discord));
    page.id("interact", ban()).await;
    let heard = bot.called().await;
    assert_eq!(bot.calls_back(&heard, json!({ "type": 5 })).await, 404);
}

#[tokio::test]
async fn registered_commands_are_shown_to_the_page() {
    let discord = discord().await;
    let (_bot, page) = (Bot::start(&discord).await, Page::new(&discord));
    let url = format!("{}/sim/commands", discord.base_url());
    let commands: Value = page.0.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!((&commands[0]["name"], &commands[0]["guild_id"]), (&json!("factorio"), &json!("100")));
}
