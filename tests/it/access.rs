//! Guilds and channels that the bot cannot use as configured: what `/ready` and the page say right after the start.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind, SimDiscord, SimState};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Relay, Site, discord_with, relayed_lines};

const CHAT: u64 = 1001;
const OTHER: u64 = 1002;
/// No channel has it.
const NONE: u64 = 4242;
const BOT: u64 = 900;

async fn discord() -> SimDiscord {
    discord_with(&[(CHAT, "chat"), (OTHER, "other")]).await
}

/// A site whose server uses both channels.
fn site(discord: &SimDiscord) -> Site {
    Site::new(&discord.base_url())
        .discord_key("guild_id = 100")
        .server_with("prod", &format!("default = {CHAT}, chat = {OTHER}"), "")
        .extra("[relay]\npark_retry = \"1s\"")
}

fn chat(text: &str) -> String {
    format!("{} [CHAT] Bob: {text}\n", jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S"))
}

/// An overwrite of the bot itself.
fn denied(permissions: u64) -> Value {
    let deny = permissions.to_string();
    json!({ "permission_overwrites": [{ "id": BOT.to_string(), "type": 1, "allow": "0", "deny": deny }] })
}

/// Why a part of Discord is degraded, by `/ready`.
fn reason(body: &str, part: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(body).unwrap();
    let details = answer["details"]["discord"].as_array().cloned().unwrap_or_default();
    let detail = details.into_iter().find(|detail| detail["part"] == part)?;
    assert_eq!(detail["state"], "degraded");
    Some(detail["reason"].as_str().unwrap().to_owned())
}

/// The reason, once there is one. The relay is ready all the same.
async fn reported(relay: &Relay, part: &str) -> String {
    let body = relay.wait_for("/ready", |status, body| status == 200 && reason(body, part).is_some()).await;
    reason(&body, part).unwrap()
}

/// The reason as the page shows it in a browser.
async fn shown_on_page(relay: &Relay) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(relay.address().await).header("accept", "text/html");
    request.send().await.unwrap().text().await.unwrap()
}

async fn nothing_is_reported(relay: &Relay) {
    let clean = |body: &str| serde_json::from_str::<Value>(body).unwrap()["details"] == json!({});
    relay.wait_for("/ready", |status, body| status == 200 && clean(body)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_guild_id_is_reported_with_the_right_one() {
    let discord = discord().await;
    let site = Site::new(&discord.base_url()).discord_key("guild_id = 999").server("prod", CHAT);
    let relay = site.start();
    let reason = reported(&relay, "guild 999").await;
    assert_eq!(
        reason,
        "Discord server 999 (discord.guild_id) is unknown to the bot: the id is wrong, or the bot is not in it; the \
         configured channels are in 100: use that id, or invite the bot: \
         https://discord.com/oauth2/authorize?client_id=900&scope=bot&permissions=101376"
    );
    let page = shown_on_page(&relay).await;
    println!("{reason}\n{page}");
    assert!(
        page.contains("Working, with something to look at") && page.contains("Discord server 999 (discord."),
        "{page}"
    );
    assert!(relay.output().text().contains("Configured Discord server cannot be used"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_was_not_invited_is_told_how() {
    let discord = discord().await;
    discord.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).everywhere().channel(CHAT));
    let site = Site::new(&discord.base_url()).discord_key("guild_id = 999").server("prod", CHAT);
    let relay = site.start();
    let guild = reported(&relay, "guild 999").await;
    assert!(guild.contains("invite the bot: https://discord.com/oauth2/authorize?client_id=900&scope=bot"), "{guild}");
    let channel = reported(&relay, "1001").await;
    assert_eq!(
        channel,
        "the bot has no access to channel 1001 (servers.prod.channels.default); invite the bot to the channel's Discord \
         server, or grant it View Channel there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_does_not_exist_is_reported_before_anything_goes_to_it() {
    let discord = discord().await;
    let site = Site::new(&discord.base_url()).discord_key("guild_id = 100").server_with(
        "prod",
        &format!("default = {CHAT}, alerts = {NONE}"),
        "",
    );
    let relay = site.start();
    let reason = reported(&relay, "4242").await;
    assert_eq!(
        reason,
        "channel 4242 (servers.prod.channels.alerts) does not exist; correct the id (right-click the channel, Copy \
         Channel ID)"
    );
    let page = shown_on_page(&relay).await;
    assert!(page.contains("Channel 4242: ") || page.contains("channel 4242 (servers."), "{page}");
    println!("{}\n{page}", relay.get("/ready").await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_reported_and_its_grant_is_noticed() {
    let discord = discord().await;
    discord.set_channel_fields(OTHER, &denied(1 << 11 | 1 << 15));
    let site = site(&discord);
    let relay = site.start();
    let reason = reported(&relay, "1002").await;
    assert_eq!(
        reason,
        "the bot lacks permissions in channel 1002 (servers.prod.channels.chat): Send Messages, Attach Files; grant \
         the bot these permissions in the settings of the channel, page Permissions"
    );
    println!("{}\n{}", relay.get("/ready").await.1, shown_on_page(&relay).await);
    discord.set_channel_fields(OTHER, &denied(0));
    nothing_is_reported(&relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_costs_three_requests_and_its_channels_none() {
    let discord = discord().await;
    discord.set_channel_fields(OTHER, &denied(1 << 10));
    let site = Site::new(&discord.base_url()).discord_key("guild_id = 100").server_with(
        "prod",
        &format!("default = {CHAT}, chat = {OTHER}"),
        "",
    );
    let relay = site.start();
    assert!(reported(&relay, "1002").await.starts_with("the bot cannot see channel 1002 "));
    let stats = discord.stats();
    for route in ["GET /guilds/{id}", "GET /guilds/{id}/members/{id}", "GET /guilds/{id}/channels"] {
        assert_eq!(stats.requested(route), 1, "{route}");
    }
    assert_eq!(stats.requested("GET /channels/{id}"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_guild_id_the_channels_tell_their_guild() {
    let discord = discord().await;
    discord.set_channel_fields(OTHER, &denied(1 << 16));
    let channels = format!("default = {CHAT}, chat = {OTHER}");
    let site = Site::new(&discord.base_url()).server_with("prod", &channels, "");
    let relay = site.start();
    let reason = reported(&relay, "1002").await;
    assert!(reason.contains(": Read Message History; grant the bot these permissions in the settings"), "{reason}");
    assert_eq!(discord.stats().requested("GET /channels/{id}"), 1, "the second channel is in the list of the guild");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forum_is_no_channel_for_messages_and_its_posts_are() {
    let discord = discord().await;
    discord.set_channel_fields(CHAT, &json!({ "type": 11, "parent_id": OTHER.to_string() }));
    discord.set_channel_fields(OTHER, &json!({ "type": 15 }));
    let site = site(&discord);
    let relay = site.start();
    let reason = reported(&relay, "1002").await;
    assert_eq!(
        reason,
        "channel 1002 (servers.prod.channels.chat) is a forum and takes no messages; use the id of one of its posts \
         (right-click the post, Copy Thread ID), or a text channel"
    );
    let body = relay.get("/ready").await.1;
    assert!(self::reason(&body, "1001").is_none(), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_follows_the_permissions_of_its_channel() {
    let discord = discord().await;
    let in_threads: u64 = 1 << 38;
    discord.set_channel_fields(OTHER, &denied(in_threads));
    discord.set_channel_fields(CHAT, &json!({ "type": 11, "parent_id": OTHER.to_string() }));
    let site = Site::new(&discord.base_url()).discord_key("guild_id = 100").server("prod", CHAT);
    let relay = site.start();
    let reason = reported(&relay, "1001").await;
    assert_eq!(
        reason,
        "the bot lacks permissions in channel 1001 (servers.prod.channels.default): Send Messages in Threads; \
         grant the bot these permissions in the settings of its channel 1002, page Permissions"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_another_guild_is_reported() {
    let discord = discord().await;
    let site = site(&discord);
    discord.set_channel_fields(OTHER, &json!({ "type": 10, "guild_id": "200" }));
    let relay = site.start();
    let reason = reported(&relay, "1002").await;
    assert_eq!(
        reason,
        "channel 1002 (servers.prod.channels.chat) is in the Discord server 200, where slash commands are not registered; \
         add 200 to `discord.guild_id`, or use a channel of a server that is named there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_hangs_holds_up_no_line() {
    let discord = discord().await;
    discord.set_fault(Fault::new(FaultKind::Hang { processed: false }).everywhere().channel(NONE));
    let site = Site::new(&discord.base_url()).discord_key("guild_id = 100").server_with(
        "prod",
        &format!("default = {CHAT}, alerts = {NONE}"),
        "",
    );
    site.append("prod", &chat("first"));
    let relay = site.start();
    let asked = |state: &SimState| state.stats().requested("GET /guilds/{id}/channels") == 1;
    assert!(discord.wait_for(DEADLINE, asked).await);
    let told = |state: &SimState| relayed_lines(&state.messages(CHAT).cloned().collect::<Vec<_>>()).len() == 1;
    assert!(discord.wait_for(DEADLINE, told).await, "{:?}", discord.messages(CHAT));
    relay.wait_until_ready().await;
    assert!(reason(&relay.get("/ready").await.1, "4242").is_none(), "nothing is known yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_parked_later_is_checked_at_once() {
    let discord = discord().await;
    let site = Site::new(&discord.base_url())
        .discord_key("guild_id = 100")
        .server_with("prod", &format!("default = {CHAT}, chat = {OTHER}"), "")
        .extra("[relay]\npark_retry = \"1h\"");
    let relay = site.start();
    relay.wait_until_ready().await;
    let checked = |state: &SimState| state.stats().requested("GET /guilds/{id}/channels") == 1;
    assert!(discord.wait_for(DEADLINE, checked).await);
    nothing_is_reported(&relay).await;
    discord.set_channel_fields(OTHER, &denied(1 << 11));
    discord.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_permissions())).channel(OTHER));
    site.append("prod", &chat("refused"));
    let reason = reported(&relay, "1002").await;
    assert!(
        reason.contains("servers.prod.channels.chat): Send Messages; grant the bot these permissions in the settings"),
        "{reason}"
    );
}
