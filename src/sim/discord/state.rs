//! Everything the stand-in remembers, and the rules by which it changes. No I/O.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::config::SimDiscordConfig;
use super::draft::{Draft, Upload};
use super::errors::ApiError;
use super::faults::Faults;
use super::gateway_faults::GatewayFaults;
use super::gateway_log::{GatewayAddress, GatewayAttempt, GatewayLog};
use super::interactions::Interactions;
use super::mentions;
use super::model::{Change, SimAttachment, SimBot, SimChannel, SimGuild, SimMessage, SimRole, SimUser};
use super::nonces::Nonces;
use super::objects;
use super::permissions::{self, VIEW_CHANNEL};
use super::rate_limit::Limiter;
use super::sessions::{GUILD_MESSAGES, GUILDS, MESSAGE_CONTENT, Sessions};
use super::stats::SimStats;
use super::threads::SimThread;

/// Milliseconds since 1970 at which Discord's ids begin.
const DISCORD_EPOCH: i64 = 1_420_070_400_000;

/// Different reactions of a message.
const MOST_REACTIONS: usize = 20;

/// What a user may in the guild, beyond what everyone may.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) roles: Vec<u64>,
    pub(super) permissions: u64,
}

#[derive(Debug)]
struct ChannelState {
    channel: SimChannel,
    messages: VecDeque<Arc<SimMessage>>,
    posted: u64,
}

/// The state of the stand-in, as predicates of [`super::SimDiscord::wait_for`] see it.
#[derive(Debug)]
pub struct SimState {
    pub(super) guild: SimGuild,
    pub(super) bot: SimBot,
    pub(super) base_url: String,
    pub(super) public_url: Option<String>,
    pub(super) faults: Faults,
    pub(super) gateway_faults: GatewayFaults,
    pub(super) gateway_log: GatewayLog,
    /// When the last IDENTIFY arrived that was not too early.
    pub(super) last_identify: Option<Instant>,
    pub(super) limiter: Limiter,
    pub(super) sessions: Sessions,
    pub(super) commands: Value,
    pub(super) presence: Value,
    pub(super) interactions: Interactions,
    pub(super) roles: Vec<SimRole>,
    /// By user.
    pub(super) standings: HashMap<String, Standing>,
    /// What members call themselves here, by user.
    pub(super) nicks: HashMap<String, String>,
    /// Fields of the channel objects that replace the usual ones, by channel.
    pub(super) channel_fields: HashMap<u64, Map<String, Value>>,
    pub(super) posts_under_way: HashMap<u64, usize>,
    pub(super) counts: SimStats,
    /// Those of `channels` that are threads.
    pub(super) threads: BTreeMap<u64, SimThread>,
    channels: BTreeMap<u64, ChannelState>,
    /// The channels in the order they were given.
    order: Vec<u64>,
    users: Vec<SimUser>,
    nonces: Nonces,
    keep_messages: Option<usize>,
    old_after: Duration,
    last_id: u64,
    changes: broadcast::Sender<Change>,
}

impl SimState {
    pub(super) fn new(config: &SimDiscordConfig, changes: broadcast::Sender<Change>) -> Self {
        let state =
            |channel: &SimChannel| ChannelState { channel: channel.clone(), messages: VecDeque::new(), posted: 0 };
        Self {
            guild: config.guild.clone(),
            bot: config.bot.clone(),
            base_url: String::new(),
            public_url: config.public_url.clone(),
            faults: Faults::default(),
            gateway_faults: GatewayFaults::default(),
            gateway_log: GatewayLog::default(),
            last_identify: None,
            limiter: Limiter::new(config.limits),
            sessions: Sessions::new(config.replay_limit),
            commands: json!([]),
            presence: Value::Null,
            interactions: Interactions::new(config.interaction_deadline),
            roles: config.roles.clone(),
            standings: HashMap::new(),
            nicks: HashMap::new(),
            channel_fields: HashMap::new(),
            posts_under_way: HashMap::new(),
            counts: SimStats::default(),
            threads: BTreeMap::new(),
            channels: config.channels.iter().map(|channel| (channel.id, state(channel))).collect(),
            order: config.channels.iter().map(|channel| channel.id).collect(),
            users: vec![config.bot.user()],
            nonces: Nonces::new(config.nonce_memory),
            keep_messages: config.keep_messages,
            old_after: config.old_after,
            last_id: 0,
            changes,
        }
    }

    /// The messages of a channel that are kept, oldest first.
    #[must_use]
    pub fn messages(&self, channel: u64) -> impl DoubleEndedIterator<Item = &Arc<SimMessage>> + ExactSizeIterator {
        static NONE: VecDeque<Arc<SimMessage>> = VecDeque::new();
        self.channels.get(&channel).map_or(&NONE, |state| &state.messages).iter()
    }

    /// How many messages were ever posted into a channel, those no longer kept included.
    #[must_use]
    pub fn posted(&self, channel: u64) -> u64 {
        self.channels.get(&channel).map_or(0, |state| state.posted)
    }

    /// The channels, in the order they were given.
    pub fn channels(&self) -> impl Iterator<Item = &SimChannel> {
        self.order.iter().filter_map(|id| self.channels.get(id)).map(|state| &state.channel)
    }

    /// Counts until now.
    #[must_use]
    pub fn stats(&self) -> SimStats {
        SimStats {
            open_sockets: self.sessions.open_sockets(),
            connected_sessions: self.sessions.connected(),
            ..self.counts.clone()
        }
    }

    /// What the gateway has seen of its clients.
    #[must_use]
    pub fn gateway_log(&self) -> &GatewayLog {
        &self.gateway_log
    }

    pub(super) fn count_attempt(&mut self, address: GatewayAddress, query: HashMap<String, String>, accepted: bool) {
        let count = if accepted { &mut self.counts.gateway_connections } else { &mut self.counts.upgrades_refused };
        *count += 1;
        self.gateway_log.attempts.push(GatewayAttempt { at: Instant::now(), address, query, accepted });
    }

    /// The commands last registered, as an array.
    #[must_use]
    pub fn commands(&self) -> &Value {
        &self.commands
    }

    /// The presence the bot last set, or null.
    #[must_use]
    pub fn presence(&self) -> &Value {
        &self.presence
    }

    /// A fresh id: later ones are greater.
    pub(super) fn next_id(&mut self) -> u64 {
        let since = Timestamp::now().as_millisecond() - DISCORD_EPOCH;
        self.last_id = (u64::try_from(since).unwrap_or_default() << 22).max(self.last_id + 1);
        self.last_id
    }

    /// The user of this name, who becomes a member if unknown.
    pub(super) fn user(&mut self, name: &str) -> SimUser {
        if let Some(user) = self.users.iter().find(|user| user.name == name) {
            return user.clone();
        }
        let user = SimUser { id: self.next_id(), name: name.to_owned(), bot: false };
        self.users.push(user.clone());
        user
    }

    pub(super) fn users(&self) -> &[SimUser] {
        &self.users
    }

    /// Gives a user these roles, in place of those before, and what they permit.
    pub(super) fn set_roles(&mut self, name: &str, roles: &[u64]) -> Result<(), ApiError> {
        if !roles.iter().all(|id| self.roles.iter().any(|role| role.id == *id)) {
            return Err(ApiError::new(404, 10011, "Unknown Role"));
        }
        let held = self.roles.iter().filter(|role| roles.contains(&role.id));
        let permissions = held.fold(0, |all, role| all | role.permissions);
        self.standings.insert(name.to_owned(), Standing { roles: roles.to_vec(), permissions });
        Ok(())
    }

    pub(super) fn roles_of(&self, user: &SimUser) -> &[u64] {
        self.standings.get(&user.name).map_or(&[], |standing| &standing.roles)
    }

    fn nick_of(&self, user: &SimUser) -> Option<&str> {
        self.nicks.get(&user.name).map(String::as_str)
    }

    pub(super) fn member_json(&self, user: &SimUser) -> Value {
        objects::member(user, &self.bot, self.roles_of(user), self.nick_of(user))
    }

    pub(super) fn guild_json(&self) -> Value {
        objects::guild(&self.guild, &self.bot, &self.roles)
    }

    pub(super) fn channel_json(&self, id: u64) -> Result<Value, ApiError> {
        let state = self.channels.get(&id).ok_or_else(ApiError::unknown_channel)?;
        let position = self.order.iter().position(|other| *other == id).unwrap_or_default();
        let last = state.messages.back().map(|message| message.id);
        let mut shown = objects::channel(&state.channel, (&self.guild, &self.bot, &self.roles), position, last);
        for (field, value) in self.channel_fields.get(&id).into_iter().flatten() {
            shown[field] = value.clone();
        }
        if let Some(thread) = self.threads.get(&id) {
            thread.describe(&mut shown);
        }
        Ok(shown)
    }

    /// Opens a thread: a channel that is not in the guild's list.
    pub(super) fn open_thread(&mut self, thread: SimThread) {
        let channel = SimChannel::new(thread.id, thread.name.clone());
        self.channels.insert(thread.id, ChannelState { channel, messages: VecDeque::new(), posted: 0 });
        self.threads.insert(thread.id, thread);
    }

    /// What the bot may do in a channel.
    pub(super) fn bot_permissions(&self, id: u64) -> Result<u64, ApiError> {
        let state = self.channels.get(&id).ok_or_else(ApiError::unknown_channel)?;
        Ok(permissions::of_bot(&self.bot, &self.guild, &state.channel))
    }

    /// Whether the bot sees a channel: what happens in others is not dispatched to it.
    fn is_visible(&self, channel: u64) -> bool {
        self.bot_permissions(channel).is_ok_and(|permissions| permissions & VIEW_CHANNEL != 0)
    }

    /// The type of a channel.
    pub(super) fn channel_kind(&self, id: u64) -> Result<u8, ApiError> {
        self.channels.get(&id).map(|state| state.channel.kind).ok_or_else(ApiError::unknown_channel)
    }

    pub(super) fn channels_json(&self) -> Vec<Value> {
        self.order.iter().filter_map(|id| self.channel_json(*id).ok()).collect()
    }

    pub(super) fn message_json(&self, message: &SimMessage) -> Value {
        let mut shown = objects::message(message, &self.base_url, &self.users);
        if let Some(answered) = message.reply_to {
            let answered = self.find(message.channel, answered).ok();
            shown["referenced_message"] =
                answered.map_or(Value::Null, |answered| objects::message(answered, &self.base_url, &self.users));
        }
        shown
    }

    /// The message as its creation answers it: with its nonce.
    pub(super) fn created_json(&self, message: &SimMessage) -> Value {
        let mut created = self.message_json(message);
        if let Some(nonce) = &message.nonce {
            created["nonce"] = nonce.clone();
        }
        created
    }

    pub(super) fn find(&self, channel: u64, id: u64) -> Result<&Arc<SimMessage>, ApiError> {
        let state = self.channels.get(&channel).ok_or_else(ApiError::unknown_channel)?;
        let at = state.messages.binary_search_by_key(&id, |message| message.id);
        at.ok().and_then(|at| state.messages.get(at)).ok_or_else(ApiError::unknown_message)
    }

    /// Posts a message. A nonce that is enforced and known gives the message it was first used for.
    pub(super) fn post(&mut self, channel: u64, author: SimUser, draft: Draft) -> Result<Arc<SimMessage>, ApiError> {
        if !self.channels.contains_key(&channel) {
            return Err(ApiError::unknown_channel());
        }
        let now = Instant::now();
        let key = draft.nonce.as_ref().filter(|_| draft.enforce_nonce).map(|nonce| (author.id, nonce.to_string()));
        if let Some((channel, message)) = key.as_ref().and_then(|key| self.nonces.find(key, now)) {
            self.counts.nonce_repeats += 1;
            return self.find(channel, message).cloned();
        }
        let message = Arc::new(self.compose(channel, author, draft));
        self.keep(Arc::clone(&message));
        if let Some(key) = key {
            self.nonces.remember(key, now, channel, message.id);
        }
        self.announce("MESSAGE_CREATE", &message);
        self.tell(Change::Message(Arc::clone(&message)));
        Ok(message)
    }

    /// A message that is not in any channel yet.
    pub(super) fn compose(&mut self, channel: u64, author: SimUser, draft: Draft) -> SimMessage {
        let file = |file: Upload| SimAttachment {
            id: self.next_id(),
            filename: file.filename,
            description: file.description,
            bytes: file.bytes,
        };
        let attachments = draft.files.into_iter().map(file).collect();
        SimMessage {
            id: self.next_id(),
            channel,
            author,
            nonce: draft.nonce,
            attachments,
            timestamp: Timestamp::now(),
            edited: None,
            edits: 0,
            pinged: mentions::pinged(&draft.content, draft.allowed_mentions.as_ref()),
            content: draft.content,
            allowed_mentions: draft.allowed_mentions,
            flags: draft.flags,
            embeds: draft.embeds,
            components: draft.components,
            reply_to: draft.reply_to,
            interaction: draft.interaction,
            stickers: draft.stickers,
            fields: draft.fields,
            reactions: Vec::new(),
        }
    }

    fn keep(&mut self, message: Arc<SimMessage>) {
        let most = self.keep_messages.unwrap_or(usize::MAX);
        if let Some(state) = self.channels.get_mut(&message.channel) {
            state.posted += 1;
            state.messages.push_back(message);
            while state.messages.len() > most {
                state.messages.pop_front();
            }
        }
    }

    /// As if the time in which nonces are remembered were over.
    pub(super) fn forget_nonces(&mut self) {
        self.nonces.forget();
    }

    /// Whether a message is so old that its edits have a limit of their own.
    pub(super) fn is_old(&self, channel: u64, id: u64) -> bool {
        let age = |message: &Arc<SimMessage>| Timestamp::now().duration_since(message.timestamp);
        self.find(channel, id)
            .is_ok_and(|message| Duration::try_from(age(message)).is_ok_and(|age| age >= self.old_after))
    }

    /// Changes a message in place; who may is the caller's question.
    pub(super) fn edit(
        &mut self,
        channel: u64,
        id: u64,
        change: impl FnOnce(&mut SimMessage),
    ) -> Result<Arc<SimMessage>, ApiError> {
        let mut message = SimMessage::clone(self.find(channel, id)?);
        change(&mut message);
        message.edited = Some(Timestamp::now());
        message.edits += 1;
        let message = self.replace(message);
        self.announce("MESSAGE_UPDATE", &message);
        Ok(message)
    }

    /// Changes a message in place as Discord does it itself: it does not count as edited.
    pub(super) fn complete(
        &mut self,
        channel: u64,
        id: u64,
        change: impl FnOnce(&mut SimMessage),
    ) -> Result<(), ApiError> {
        let mut message = SimMessage::clone(self.find(channel, id)?);
        change(&mut message);
        let message = self.replace(message);
        self.announce("MESSAGE_UPDATE", &message);
        Ok(())
    }

    /// Puts a reaction of the bot on a message, or takes it off. Who listens for messages hears nothing of it.
    pub(super) fn react(&mut self, channel: u64, id: u64, emoji: &str, there: bool) -> Result<(), ApiError> {
        let mut message = SimMessage::clone(self.find(channel, id)?);
        message.reactions.retain(|reaction| reaction != emoji);
        if there && message.reactions.len() >= MOST_REACTIONS {
            return Err(ApiError::new(400, 30010, "Maximum number of reactions reached (20)"));
        }
        if there {
            message.reactions.push(emoji.to_owned());
        }
        self.replace(message);
        Ok(())
    }

    fn replace(&mut self, message: SimMessage) -> Arc<SimMessage> {
        let message = Arc::new(message);
        if let Some(state) = self.channels.get_mut(&message.channel)
            && let Ok(at) = state.messages.binary_search_by_key(&message.id, |known| known.id)
        {
            state.messages[at] = Arc::clone(&message);
        }
        self.tell(Change::Edit(Arc::clone(&message)));
        message
    }

    pub(super) fn delete(&mut self, channel: u64, id: u64) -> Result<(), ApiError> {
        self.find(channel, id)?;
        let state = self.channels.get_mut(&channel).ok_or_else(ApiError::unknown_channel)?;
        state.messages.retain(|message| message.id != id);
        let guild = self.guild.id.to_string();
        let gone = json!({ "id": id.to_string(), "channel_id": channel.to_string(), "guild_id": guild });
        if self.is_visible(channel) {
            self.sessions.dispatch(GUILD_MESSAGES, "MESSAGE_DELETE", |_| gone.clone());
        }
        self.tell(Change::Delete { channel, id });
        Ok(())
    }

    /// Changes a channel's name or topic.
    pub(super) fn edit_channel(&mut self, id: u64, change: impl FnOnce(&mut SimChannel)) -> Result<Value, ApiError> {
        let state = self.channels.get_mut(&id).ok_or_else(ApiError::unknown_channel)?;
        change(&mut state.channel);
        let shown = self.channel_json(id)?;
        self.sessions.dispatch(GUILDS, "CHANNEL_UPDATE", |_| shown.clone());
        self.tell(Change::Status);
        Ok(shown)
    }

    /// A message event for all sessions; without the intent `MESSAGE_CONTENT`, other people's words are left out.
    fn announce(&mut self, event: &str, message: &SimMessage) {
        if !self.is_visible(message.channel) {
            return;
        }
        let mut shown = self.created_json(message);
        shown["guild_id"] = json!(self.guild.id.to_string());
        shown["member"] = {
            let author = &message.author;
            objects::partial_member(author, &self.bot, self.roles_of(author), self.nick_of(author))
        };
        let bot = self.bot.id;
        let open = message.author.id == bot || message.pinged.contains(&super::model::Ping::User(bot));
        self.sessions.dispatch(GUILD_MESSAGES, event, |intents| {
            let mut shown = shown.clone();
            if !open && intents & MESSAGE_CONTENT == 0 {
                shown["content"] = json!("");
                for field in ["embeds", "attachments", "components"] {
                    shown[field] = json!([]);
                }
            }
            shown
        });
    }

    /// Nobody may be watching: that is no error.
    pub(super) fn tell(&self, change: Change) {
        drop(self.changes.send(change));
    }
}
