//! Messages that are more than typed text: players read of each that it is there.

use factorio_isr::sim::discord::SimPost;
use serde_json::{Value, json};

use super::*;

const ROBOT: u64 = 800;

fn robot(mut fields: Value) -> Value {
    fields["author"] = json!({ "id": ROBOT.to_string(), "username": "Robot", "bot": true, "discriminator": "0000" });
    fields
}

fn with_robot(chat: ChatSettings) -> ChatSettings {
    ChatSettings { allowed_bots: [ROBOT].into(), ..chat }
}

fn post(world: &World, author: &str, text: &str, fields: &Value) -> u64 {
    let post = SimPost { text, fields: Some(fields), ..SimPost::default() };
    world.discord.post_as(CHANNELS[0], author, post).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn forwards_and_polls_are_one_line_each() {
    let world = World::new(&["a"]).await;
    let relay = world.relay(settings(&[(CHANNELS[0], &["a"])])).await;
    let snapshot = json!({ "content": "copy me\n**that** ore <@7>", "attachments": [], "embeds": [], "mentions": [
        { "id": "7", "username": "carl", "global_name": "Carl", "discriminator": "0000" }
    ], "timestamp": "2026-01-01T00:00:00Z", "edited_timestamp": null, "flags": 0, "type": 0 });
    let forward = json!({
        "flags": 16384, "message_snapshots": [{ "message": snapshot }],
        "message_reference": { "type": 1, "channel_id": "102", "message_id": "5" },
    });
    post(&world, "Ann", "", &forward);
    let poll = json!({ "poll": {
        "question": { "text": "Which planet next?" }, "expiry": null, "allow_multiselect": false, "layout_type": 1,
        "answers": [{ "answer_id": 1, "poll_media": { "text": "Gleba" } }, { "answer_id": 2, "poll_media": { "text": "Fulgora" } }],
    } });
    post(&world, "Ann", "", &poll);
    let result = json!({ "type": 46, "embeds": [{ "type": "poll_result", "fields": [
        { "name": "poll_question_text", "value": "Which planet next?", "inline": false },
        { "name": "victor_answer_text", "value": "Gleba", "inline": false },
    ] }] });
    post(&world, "Ann", "", &result);
    insta::assert_snapshot!(world.told("a", 3).await.join("\n"), @"
    [Discord] Ann: ↷ forwarded: copy me that ore @Carl
    [Discord] Ann: (poll: Which planet next? Gleba / Fulgora)
    [Discord] Ann: (poll closed: Which planet next? Gleba)
    ");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embeds_and_answers_of_allowed_bots_are_one_line_each() {
    let world = World::new(&["a"]).await;
    let relay = world.relay(with_robot(settings(&[(CHANNELS[0], &["a"])]))).await;
    let embed =
        json!({ "embeds": [{ "type": "rich", "title": "Release 2.1.12", "description": "Fixed a **crash**" }] });
    post(&world, "Robot", "", &robot(embed.clone()));
    post(
        &world,
        "Stranger",
        "",
        &json!({ "author": { "id": "9", "username": "X", "bot": true, "discriminator": "0000" } }),
    );
    let preview = json!({ "embeds": [{ "type": "link", "title": "Factorio", "url": "https://factorio.com" }] });
    post(&world, "Ann", "https://factorio.com", &preview);
    let mut answer = robot(json!({ "flags": 128 }));
    answer["type"] = json!(20);
    let announced = post(&world, "Robot", "", &answer);
    world.discord.say(CHANNELS[0], "Ann", "well?").unwrap();
    world.told("a", 3).await;
    world.discord.complete_message(CHANNELS[0], announced, "The answer is 42").unwrap();
    insta::assert_snapshot!(world.told("a", 4).await.join("\n"), @"
    [Discord] Robot: Release 2.1.12: Fixed a crash
    [Discord] Ann: https://factorio.com
    [Discord] Ann: well?
    [Discord] Robot: The answer is 42
    ");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn components_of_allowed_bots_are_one_line() {
    let world = World::new(&["a"]).await;
    let chat = || with_robot(settings(&[(CHANNELS[0], &["a"])]));
    world.relay(chat()).await.stop().await;
    let layout = json!({ "flags": 1 << 15, "components": [
        { "type": 17, "id": 1, "components": [
            { "type": 10, "id": 2, "content": "# Server news" },
            { "type": 9, "id": 3, "components": [{ "type": 10, "id": 4, "content": "Map **reset** tonight" }],
              "accessory": { "type": 2, "id": 5, "style": 5, "label": "More", "url": "https://a.b" } },
            { "type": 14, "id": 6 },
        ] },
    ] });
    // Once missed and fetched, once received.
    post(&world, "Robot", "", &robot(layout.clone()));
    let relay = world.relay(chat()).await;
    assert_eq!(world.told("a", 1).await, ["[Discord] Robot: Server news Map reset tonight"]);
    post(&world, "Robot", "", &robot(layout));
    assert_eq!(world.told("a", 2).await, ["[Discord] Robot: Server news Map reset tonight"; 2]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_a_game_cannot_show_gets_a_reaction() {
    let world = World::new(&["a"]).await;
    let relay = world.relay(settings(&[(CHANNELS[0], &["a"])])).await;
    let unknown = post(&world, "Ann", "", &json!({ "shared_client_theme": { "colors": ["ff0000"] } }));
    let hidden = post(&world, "Ann", "\u{200b}\u{2060}", &Value::Null);
    world.reactions(CHANNELS[0], unknown, &["🚫"]).await;
    world.reactions(CHANNELS[0], hidden, &["🚫"]).await;
    let pinned = post(&world, "Ann", "", &json!({ "type": 6 }));
    let said = world.discord.say(CHANNELS[0], "Ann", "hello").unwrap();
    assert_eq!(world.told("a", 1).await, ["[Discord] Ann: hello"]);
    for unmarked in [pinned, said] {
        world.reactions(CHANNELS[0], unmarked, &[]).await;
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_names_whom_it_mentions_and_says_what_it_shows() {
    let world = World::new(&["a"]).await;
    let general = CHANNELS[0];
    let bob = world.discord.say(general, "Bob", "hi").unwrap();
    let bob = world.discord.messages(general).iter().find(|message| message.id == bob).unwrap().author.id;
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    let asked = world.discord.say(general, "Ann", &format!("where is <@{bob}>?")).unwrap();
    world.told("a", 1).await;
    let embed = json!({ "embeds": [{ "type": "rich", "title": "Release 2.1.12", "description": "Fixed a crash" }] });
    let release = post(&world, "Robot", "", &robot(embed));
    let reply = |text, to| SimPost { text, reply_to: Some(to), ..SimPost::default() };
    world.discord.post_as(general, "Carl", reply("gone", asked)).unwrap();
    world.discord.post_as(general, "Carl", reply("nice", release)).unwrap();
    insta::assert_snapshot!(world.told("a", 5).await.join("\n"), @r#"
    [Discord] Ann: where is @Bob?
    [Discord] Carl: ↪ Ann: "where is @Bob?"
    [Discord] Carl: gone
    [Discord] Carl: ↪ Robot: Release 2.1.12: Fixed a crash
    [Discord] Carl: nice
    "#);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn markdown_and_blueprints_are_plain_text() {
    let world = World::new(&["a"]).await;
    let general = CHANNELS[0];
    let relay = world.relay(settings(&[(general, &["a"])])).await;
    let blueprint = "0eNq".to_owned() + &"x9+/".repeat(400);
    for text in [
        "**bold** ||the boss dies|| [docs](https://a.b/c) 1\u{fe0f}\u{20e3} ❤\u{fe0f}",
        "```lua\nlocal x = 1\n```",
        "see <id:customize> <sound:1:2> <t:0:R>",
        &blueprint,
    ] {
        world.discord.say(general, "Ann", text).unwrap();
    }
    let expected = [
        "[Discord] Ann: bold (spoiler) docs (https://a.b/c) 1\u{fe0f}\u{20e3} ❤\u{fe0f}",
        "[Discord] Ann: local x = 1",
        "[Discord] Ann: see Channels & Roles (sound) 1970-01-01 00:00 UTC",
        "[Discord] Ann: blueprint (2 KB)",
    ];
    assert_eq!(world.told("a", 4).await, expected);
    relay.stop().await;
}
