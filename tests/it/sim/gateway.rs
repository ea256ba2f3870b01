//! The gateway and the objects, as a client with serenity's models sees them.

use std::time::Duration;

use factorio_isr::sim::discord::{GatewayFaults, SimDiscord, SimDiscordConfig, Upgrade};
use reqwest::multipart;
use serde_json::{Value, json};
use serenity::all::{
    BotGateway, Channel, ChannelId, Command, CommandInteraction, CreateAllowedMentions, CreateCommand, CreateMessage,
    CurrentApplicationInfo, CurrentUser, Guild, GuildChannel, GuildId, Interaction, Member, Message, Nonce,
    PartialGuild, Ready, UserId,
};

use super::client::{GatewayClient, INTENTS, general_url, read};
use super::{CHANNEL, Rest, SOON, answer, contents, two_channels};

const WITHOUT_CONTENT: u64 = INTENTS & !(1 << 15);

/// Whether the page shows the bot as online.
async fn shown_online(discord: &SimDiscord) -> bool {
    let url = format!("{}/sim/state", discord.base_url());
    let state: Value = Rest::new(discord).client.get(url).send().await.unwrap().json().await.unwrap();
    state["bot"]["online"].as_bool().unwrap()
}

async fn discord() -> SimDiscord {
    SimDiscord::start(two_channels()).await.unwrap()
}

#[tokio::test]
async fn login_brings_ready_and_the_guild_with_its_channels() {
    let config = SimDiscordConfig { heartbeat_interval: Duration::from_millis(200), ..two_channels() };
    let discord = SimDiscord::start(config).await.unwrap();
    let mut client = GatewayClient::open(&discord).await;
    let hello = client.payload().await;
    assert_eq!((&hello["op"], &hello["d"]["heartbeat_interval"]), (&json!(10), &json!(200)));
    let ready: Ready = read(client.identify(INTENTS).await);
    assert_eq!((ready.user.name.as_str(), ready.guilds.len()), ("factorio-isr", 1));
    let guild: Guild = client.read_event("GUILD_CREATE").await;
    assert_eq!((guild.channels.len(), guild.roles.len(), guild.members.len()), (2, 2, 1));
    assert_eq!(guild.channels[&ChannelId::new(CHANNEL)].name, "factory");
    client.send_heartbeat().await;
    assert_eq!(client.payload().await["op"], 11);
    let stats = discord.stats();
    assert_eq!((stats.heartbeats, stats.identifies, stats.open_sockets), (1, 1, 1));
    assert!(shown_online(&discord).await);

    discord.cut_gateway();
    assert!(discord.wait_for(SOON, |state| state.stats().open_sockets == 0).await);
    assert!(!shown_online(&discord).await);
}

#[tokio::test]
async fn message_of_a_user_reaches_the_bot() {
    let discord = discord().await;
    let mut client = GatewayClient::log_in(&discord).await;
    discord.say(CHANNEL, "alice", "hello <@900>").unwrap();
    let message: Message = client.read_event("MESSAGE_CREATE").await;
    assert_eq!((message.content.as_str(), message.author.name.as_str()), ("hello <@900>", "alice"));
    assert_eq!((message.guild_id, message.mentions[0].id), (Some(GuildId::new(100)), UserId::new(900)));
    assert!(message.member.is_some() && !message.author.bot);
}

#[tokio::test]
async fn without_its_intent_the_bot_reads_only_what_mentions_it() {
    let discord = discord().await;
    let mut client = GatewayClient::connect(&discord).await;
    client.identify(WITHOUT_CONTENT).await;
    discord.say(CHANNEL, "alice", "secret").unwrap();
    discord.say(CHANNEL, "alice", "for <@900>").unwrap();
    for content in ["", "for <@900>"] {
        assert_eq!(client.event("MESSAGE_CREATE").await["content"], content);
    }
}

#[tokio::test]
async fn message_built_with_serenity_comes_back_whole() {
    let discord = discord().await;
    let mut client = GatewayClient::log_in(&discord).await;
    let message = CreateMessage::new()
        .content("line 1")
        .nonce(Nonce::String("7-1".into()))
        .enforce_nonce(true)
        .allowed_mentions(CreateAllowedMentions::new());
    let mut message = serde_json::to_value(message).unwrap();
    message["attachments"] = json!([{ "id": 0, "filename": "prod.txt" }]);
    let rest = Rest::new(&discord);
    let post = async || -> Message {
        let file = multipart::Part::bytes("log".as_bytes()).file_name("prod.txt");
        let form = multipart::Form::new().text("payload_json", message.to_string()).part("files[0]", file);
        let request = rest.request("POST", &format!("/channels/{CHANNEL}/messages")).multipart(form);
        read(answer(request.send().await.unwrap()).await.1)
    };
    let (sent, again) = (post().await, post().await);
    assert_eq!((sent.id, &sent.attachments[0].filename), (again.id, &"prod.txt".to_owned()));
    assert_eq!(client.read_event::<Message>("MESSAGE_CREATE").await.id, sent.id);
    assert_eq!(contents(&discord), ["line 1"]);
}

#[tokio::test]
async fn serenity_parses_what_rest_answers() {
    let discord = discord().await;
    let rest = Rest::new(&discord);
    let said = discord.say(CHANNEL, "alice", "hello").unwrap();
    let get = async |path: &str| {
        let (status, body) = rest.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let channel = format!("/channels/{CHANNEL}");
    assert_eq!(read::<CurrentUser>(get("/users/@me").await).id, UserId::new(900));
    assert_eq!(read::<CurrentApplicationInfo>(get("/oauth2/applications/@me").await).name, "factorio-isr");
    assert_eq!(read::<BotGateway>(get("/gateway/bot").await).session_start_limit.remaining, 1000);
    assert_eq!(read::<PartialGuild>(get("/guilds/100").await).roles.len(), 2);
    assert_eq!(read::<Vec<GuildChannel>>(get("/guilds/100/channels").await).len(), 2);
    let mut member = get("/guilds/100/members/900").await;
    member["guild_id"] = json!("100");
    assert_eq!(read::<Member>(member).roles.len(), 1);
    let Channel::Guild(found) = read(get(&channel).await) else { panic!("not a guild channel") };
    assert_eq!(found.id, ChannelId::new(CHANNEL));
    assert_eq!(read::<Vec<Message>>(get(&format!("{channel}/messages")).await)[0].content, "hello");
    assert_eq!(read::<Message>(get(&format!("{channel}/messages/{said}")).await).content, "hello");
    assert_eq!(rest.request("POST", &format!("{channel}/typing")).send().await.unwrap().status(), 204);
    let edit = rest.request("PATCH", &channel).json(&json!({ "topic": "12 online" })).send().await.unwrap();
    assert_eq!(read::<GuildChannel>(answer(edit).await.1).topic.as_deref(), Some("12 online"));
}

#[tokio::test]
async fn commands_are_registered_and_answered() {
    let discord = discord().await;
    let (mut client, rest) = (GatewayClient::log_in(&discord).await, Rest::new(&discord));
    let commands = json!([CreateCommand::new("factorio").description("Asks a server")]);
    let path = "/applications/900/guilds/100/commands";
    let registered = answer(rest.request("PUT", path).json(&commands).send().await.unwrap()).await.1;
    let registered: Vec<Command> = read(registered);
    assert_eq!((registered.len(), registered[0].name.as_str()), (1, "factorio"));

    let id = discord.interact(CHANNEL, "alice", "factorio", &json!([])).unwrap();
    let Interaction::Command(command) = client.read_event("INTERACTION_CREATE").await else { panic!("a command") };
    assert_eq!((command.data.name.as_str(), command.user.name.as_str()), ("factorio", "alice"));
    assert_eq!(defer(&rest, &command).await, 204);
    assert_eq!(defer(&rest, &command).await, 400, "an interaction is answered once");
    let path = format!("/webhooks/900/{}/messages/@original", command.token);
    let edit = rest.request("PATCH", &path).json(&json!({ "content": "3 online" })).send().await.unwrap();
    assert_eq!(read::<Message>(answer(edit).await.1).content, "3 online");
    assert_eq!(discord.interaction_reply(id).map(|reply| reply.content.clone()).as_deref(), Some("3 online"));
}

async fn defer(rest: &Rest<'_>, command: &CommandInteraction) -> u16 {
    let path = format!("/interactions/{}/{}/callback", command.id, command.token);
    rest.request("POST", &path).json(&json!({ "type": 5 })).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn token_and_intents_that_are_not_granted_are_closed_with_their_codes() {
    let other = SimDiscord::start(SimDiscordConfig { token: "other".into(), ..two_channels() }).await.unwrap();
    let without_intent = discord().await;
    without_intent.set_gateway_faults(GatewayFaults { content_off: true, ..GatewayFaults::default() });
    let rejecting = discord().await;
    rejecting.set_gateway_faults(GatewayFaults { reject_identify: Some(4013), ..GatewayFaults::default() });
    for (discord, code) in [(other, 4004), (without_intent, 4014), (rejecting, 4013)] {
        let mut client = GatewayClient::connect(&discord).await;
        client.send_identify(INTENTS).await;
        assert_eq!(client.receive().await, super::client::Received::Close(Some(code)));
        assert_eq!(discord.stats().identifies, 0);
    }
}

#[tokio::test]
async fn refused_upgrade_is_an_http_error() {
    let discord = discord().await;
    let refusals = [(Upgrade::Refuse(503), None), (Upgrade::RefuseFor(429, Duration::from_secs(7)), Some("7"))];
    for (upgrade, retry_after) in refusals {
        discord.set_gateway_faults(GatewayFaults { upgrade, ..GatewayFaults::default() });
        let refused = tokio_tungstenite::connect_async(general_url(&discord)).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(answer) = refused else { panic!("{refused:?}") };
        let header = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header.as_deref(), retry_after);
    }
    assert_eq!(discord.stats().upgrades_refused, 2);
    discord.clear_faults();
    GatewayClient::log_in(&discord).await;
    assert_eq!(discord.stats().gateway_connections, 1);
}
