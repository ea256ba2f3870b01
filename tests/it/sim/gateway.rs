//! The gateway and the objects, as serenity's client sees them: what it cannot parse, it drops without a word.

use std::sync::Arc;
use std::time::Duration;

use factorio_isr::sim::discord::{GatewayFaults, SimDiscord, SimDiscordConfig, Upgrade};
use serde_json::json;
use serenity::all::{
    ChannelId, Context, CreateAllowedMentions, CreateAttachment, CreateCommand, CreateInteractionResponse,
    CreateInteractionResponseMessage, CreateMessage, EditInteractionResponse, EventHandler, GatewayError,
    GatewayIntents, Guild, GuildId, Http, HttpBuilder, Interaction, Message, MessageId, Ready, ResumedEvent, UserId,
};
use tokio::sync::mpsc;

use super::{CHANNEL, SOON, TOKEN, contents, two_channels};

const INTENTS: GatewayIntents =
    GatewayIntents::GUILDS.union(GatewayIntents::GUILD_MESSAGES).union(GatewayIntents::MESSAGE_CONTENT);

/// What serenity's handler was told.
#[derive(Debug)]
enum Heard {
    Ready(Box<Ready>),
    Guild(Box<Guild>),
    Message(Box<Message>),
    Interaction(Box<Interaction>),
    Resumed,
}

struct Ear(mpsc::UnboundedSender<Heard>);

impl Ear {
    fn tell(&self, heard: Heard) {
        drop(self.0.send(heard));
    }
}

#[serenity::async_trait]
impl EventHandler for Ear {
    async fn ready(&self, _: Context, ready: Ready) {
        self.tell(Heard::Ready(Box::new(ready)));
    }

    async fn guild_create(&self, _: Context, guild: Guild, _: Option<bool>) {
        self.tell(Heard::Guild(Box::new(guild)));
    }

    async fn message(&self, _: Context, message: Message) {
        self.tell(Heard::Message(Box::new(message)));
    }

    async fn interaction_create(&self, _: Context, interaction: Interaction) {
        self.tell(Heard::Interaction(Box::new(interaction)));
    }

    async fn resume(&self, _: Context, _: ResumedEvent) {
        self.tell(Heard::Resumed);
    }
}

fn http(discord: &SimDiscord) -> Http {
    HttpBuilder::new(TOKEN).proxy(discord.base_url()).ratelimiter_disabled(true).build()
}

/// A bot that is logged in or about to be.
struct Bot {
    heard: mpsc::UnboundedReceiver<Heard>,
    http: Arc<Http>,
    running: tokio::task::JoinHandle<serenity::Result<()>>,
}

impl Bot {
    async fn start(discord: &SimDiscord, intents: GatewayIntents) -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        let mut client = serenity::client::ClientBuilder::new_with_http(http(discord), intents)
            .event_handler(Ear(sender))
            .await
            .unwrap();
        let http = Arc::clone(&client.http);
        Self { heard, http, running: tokio::spawn(async move { client.start().await }) }
    }

    async fn next(&mut self) -> Heard {
        tokio::time::timeout(SOON, self.heard.recv()).await.expect("an event in time").expect("a running client")
    }

    /// Skips what comes before the session is there.
    async fn logged_in(discord: &SimDiscord) -> Self {
        let mut bot = Self::start(discord, INTENTS).await;
        while !matches!(bot.next().await, Heard::Guild(_)) {}
        bot
    }

    async fn next_message(&mut self) -> Message {
        loop {
            if let Heard::Message(message) = self.next().await {
                return *message;
            }
        }
    }

    async fn resumed(&mut self) {
        while !matches!(self.next().await, Heard::Resumed) {}
    }

    /// How the client ended, which it does only for a reason that no retry heals.
    async fn fatal(mut self) -> GatewayError {
        let ended = tokio::time::timeout(SOON, &mut self.running).await.expect("it ends in time").unwrap();
        let Err(serenity::Error::Gateway(error)) = ended else { panic!("{ended:?}") };
        error
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Whether the page shows the bot as online.
async fn shown_online(discord: &SimDiscord) -> bool {
    let url = format!("{}/sim/state", discord.base_url());
    let state: serde_json::Value =
        super::Rest::new(discord).client.get(url).send().await.unwrap().json().await.unwrap();
    state["bot"]["online"].as_bool().unwrap()
}

/// Heartbeats every 200 ms, so that a test sees some.
async fn lively() -> SimDiscord {
    let config = SimDiscordConfig { heartbeat_interval: Duration::from_millis(200), ..two_channels() };
    SimDiscord::start(config).await.unwrap()
}

#[tokio::test]
async fn login_brings_ready_and_the_guild_with_its_channels() {
    let discord = lively().await;
    let mut bot = Bot::start(&discord, INTENTS).await;
    let Heard::Ready(ready) = bot.next().await else { panic!("READY comes first") };
    assert_eq!((ready.user.name.as_str(), ready.guilds.len()), ("factorio-isr", 1));
    let Heard::Guild(guild) = bot.next().await else { panic!("then the guild") };
    assert_eq!((guild.channels.len(), guild.roles.len(), guild.members.len()), (2, 2, 1));
    assert_eq!(guild.channels[&ChannelId::new(CHANNEL)].name, "factory");
    assert!(discord.wait_for(SOON, |state| state.stats().heartbeats >= 2).await);
    assert_eq!((discord.stats().identifies, discord.stats().open_sockets), (1, 1));
    assert!(shown_online(&discord).await);

    discord.set_gateway_faults(GatewayFaults { upgrade: Upgrade::Stall, ..GatewayFaults::default() });
    discord.cut_gateway();
    assert!(discord.wait_for(SOON, |state| state.stats().upgrades_refused == 1).await);
    assert!(!shown_online(&discord).await);
}

#[tokio::test]
async fn what_a_user_says_reaches_the_bot() {
    let discord = lively().await;
    let mut bot = Bot::logged_in(&discord).await;
    discord.say(CHANNEL, "alice", "hello <@900>").unwrap();
    let message = bot.next_message().await;
    assert_eq!((message.content.as_str(), message.author.name.as_str()), ("hello <@900>", "alice"));
    assert_eq!((message.guild_id, message.mentions[0].id), (Some(GuildId::new(100)), UserId::new(900)));
    assert!(message.member.is_some() && !message.author.bot);
}

#[tokio::test]
async fn without_its_intent_the_bot_reads_only_what_mentions_it() {
    let discord = lively().await;
    let mut bot = Bot::start(&discord, INTENTS.difference(GatewayIntents::MESSAGE_CONTENT)).await;
    while !matches!(bot.next().await, Heard::Guild(_)) {}
    discord.say(CHANNEL, "alice", "secret").unwrap();
    discord.say(CHANNEL, "alice", "for <@900>").unwrap();
    assert_eq!(bot.next_message().await.content, "");
    assert_eq!(bot.next_message().await.content, "for <@900>");
}

#[tokio::test]
async fn message_sent_with_serenity_comes_back_whole() {
    let discord = lively().await;
    let mut bot = Bot::logged_in(&discord).await;
    let channel = ChannelId::new(CHANNEL);
    let draft = CreateMessage::new()
        .content("line 1")
        .nonce(serenity::all::Nonce::String("7-1".into()))
        .enforce_nonce(true)
        .allowed_mentions(CreateAllowedMentions::new())
        .add_file(CreateAttachment::bytes("log", "prod.txt"));
    let sent = channel.send_message(&bot.http, draft.clone()).await.unwrap();
    let again = channel.send_message(&bot.http, draft).await.unwrap();
    assert_eq!((sent.id, &sent.attachments[0].filename), (again.id, &"prod.txt".to_owned()));
    assert_eq!(bot.next_message().await.id, sent.id);
    assert_eq!(contents(&discord), ["line 1"]);
}

#[tokio::test]
async fn serenity_parses_what_rest_answers() {
    let discord = lively().await;
    let http = http(&discord);
    let (channel, guild) = (ChannelId::new(CHANNEL), GuildId::new(100));
    let said = discord.say(CHANNEL, "alice", "hello").unwrap();
    assert_eq!(http.get_current_user().await.unwrap().id, UserId::new(900));
    assert_eq!(http.get_current_application_info().await.unwrap().name, "factorio-isr");
    assert_eq!(http.get_bot_gateway().await.unwrap().session_start_limit.remaining, 1000);
    assert_eq!(http.get_guild(guild).await.unwrap().roles.len(), 2);
    assert_eq!(http.get_channels(guild).await.unwrap().len(), 2);
    assert_eq!(http.get_member(guild, UserId::new(900)).await.unwrap().roles.len(), 1);
    assert_eq!(http.get_channel(channel).await.unwrap().id(), channel);
    assert_eq!(http.get_messages(channel, None, None).await.unwrap()[0].content, "hello");
    assert_eq!(http.get_message(channel, MessageId::new(said)).await.unwrap().content, "hello");
    http.broadcast_typing(channel).await.unwrap();
    let topic = http.edit_channel(channel, &json!({ "topic": "12 online" }), None).await.unwrap().topic;
    assert_eq!(topic.as_deref(), Some("12 online"));
}

#[tokio::test]
async fn commands_are_registered_and_answered() {
    let discord = lively().await;
    let mut bot = Bot::logged_in(&discord).await;
    let commands = vec![CreateCommand::new("factorio").description("Asks a server")];
    let registered = GuildId::new(100).set_commands(&bot.http, commands).await.unwrap();
    assert_eq!((registered.len(), registered[0].name.as_str()), (1, "factorio"));

    let id = discord.interact(CHANNEL, "alice", "factorio", &json!([])).unwrap();
    let Heard::Interaction(interaction) = bot.next().await else { panic!("an interaction") };
    let Interaction::Command(command) = *interaction else { panic!("a command") };
    assert_eq!((command.data.name.as_str(), command.user.name.as_str()), ("factorio", "alice"));
    let defer = CreateInteractionResponse::Defer(CreateInteractionResponseMessage::new());
    command.create_response(&bot.http, defer.clone()).await.unwrap();
    assert!(command.create_response(&bot.http, defer).await.is_err(), "an interaction is answered once");
    let reply = command.edit_response(&bot.http, EditInteractionResponse::new().content("3 online")).await.unwrap();
    assert_eq!(reply.content, "3 online");
    assert_eq!(discord.interaction_reply(id).map(|reply| reply.content.clone()).as_deref(), Some("3 online"));
}

#[tokio::test]
async fn cut_connection_is_resumed_with_what_was_missed() {
    let discord = lively().await;
    let mut bot = Bot::logged_in(&discord).await;
    discord.cut_gateway();
    discord.say(CHANNEL, "alice", "still there?").unwrap();
    assert_eq!(bot.next_message().await.content, "still there?");
    bot.resumed().await;
    assert_eq!((discord.stats().identifies, discord.stats().resumes), (1, 1));
}

#[tokio::test]
async fn reconnect_and_a_resumable_invalid_session_are_resumed() {
    let discord = lively().await;
    let mut bot = Bot::logged_in(&discord).await;
    discord.send_reconnect();
    bot.resumed().await;
    discord.send_invalid_session(true);
    bot.resumed().await;
    discord.close_gateway(Some(4000));
    bot.resumed().await;
    assert_eq!((discord.stats().identifies, discord.stats().resumes), (1, 3));
}

#[tokio::test]
async fn invalid_session_begins_a_new_one() {
    let discord = lively().await;
    let _bot = Bot::logged_in(&discord).await;
    discord.send_invalid_session(false);
    assert!(discord.wait_for(SOON, |state| state.stats().identifies == 2).await);
}

#[tokio::test]
async fn close_without_a_code_ends_the_connection() {
    let discord = lively().await;
    let _bot = Bot::logged_in(&discord).await;
    discord.close_gateway(None);
    assert!(discord.wait_for(SOON, |state| state.stats().identifies + state.stats().resumes == 2).await);
}

#[tokio::test]
async fn unacknowledged_heartbeats_make_the_client_come_anew() {
    let discord = lively().await;
    let _bot = Bot::logged_in(&discord).await;
    discord.set_gateway_faults(GatewayFaults { acknowledge: false, ..GatewayFaults::default() });
    assert!(discord.wait_for(SOON, |state| state.stats().identifies + state.stats().resumes >= 2).await);
}

#[tokio::test]
async fn wrong_token_ends_the_client() {
    let discord = SimDiscord::start(SimDiscordConfig { token: "other".into(), ..two_channels() }).await.unwrap();
    let bot = Bot::start(&discord, INTENTS).await;
    assert!(matches!(bot.fatal().await, GatewayError::InvalidAuthentication));
}

#[tokio::test]
async fn intent_that_is_not_granted_ends_the_client() {
    let discord = lively().await;
    discord.set_gateway_faults(GatewayFaults { reject_identify: Some(4014), ..GatewayFaults::default() });
    let bot = Bot::start(&discord, INTENTS).await;
    assert!(matches!(bot.fatal().await, GatewayError::DisallowedGatewayIntents));
}

#[tokio::test]
async fn refused_upgrade_is_tried_again() {
    let discord = lively().await;
    discord.set_gateway_faults(GatewayFaults { upgrade: Upgrade::Refuse(503), ..GatewayFaults::default() });
    let mut bot = Bot::start(&discord, INTENTS).await;
    assert!(discord.wait_for(SOON, |state| state.stats().upgrades_refused >= 1).await);
    discord.clear_faults();
    while !matches!(bot.next().await, Heard::Guild(_)) {}
    discord.say(CHANNEL, "alice", "back").unwrap();
    assert_eq!(bot.next_message().await.content, "back");
}
