//! Slash commands, buttons and autocomplete: what a user does, the bot's one callback, and what it says afterwards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::draft::{self, Draft, Payload};
use super::errors::ApiError;
use super::model::{Change, SimAttachment, SimInvocation, SimMessage, SimUser};
use super::objects;
use super::routes::Answer;
use super::state::SimState;

/// Flag EPHEMERAL: only the caller sees it.
pub(super) const EPHEMERAL: u64 = 64;

/// Types of interactions.
const COMMAND: u8 = 2;
const COMPONENT: u8 = 3;
const AUTOCOMPLETE: u8 = 4;

/// Callback with a message.
const MESSAGE: u64 = 4;
/// Callback "thinks", the message follows.
const DEFERRED: u64 = 5;
/// Callback of a button: the message it stands on may change later.
const DEFERRED_UPDATE: u64 = 6;
/// Callback of a button: the message it stands on changes.
const UPDATE: u64 = 7;
/// Callback with choices.
const CHOICES: u64 = 8;

/// Calls that are remembered.
const KEPT_CALLS: usize = 1000;
/// Private messages that are remembered.
const KEPT_PRIVATE: usize = 1000;

/// All interactions, and the messages only their callers see.
#[derive(Debug)]
pub(super) struct Interactions {
    calls: VecDeque<Called>,
    private: VecDeque<Arc<SimMessage>>,
    deadline: Duration,
}

impl Interactions {
    /// `deadline` is how long a call waits for its callback.
    pub(super) fn new(deadline: Duration) -> Self {
        Self { calls: VecDeque::new(), private: VecDeque::new(), deadline }
    }

    fn call(&self, id: u64) -> Option<&Called> {
        self.calls.iter().find(|called| called.invocation.id == id)
    }
}

/// A call and how far its answer is.
#[derive(Debug)]
struct Called {
    invocation: SimInvocation,
    kind: u8,
    token: String,
    channel: u64,
    began: Instant,
    /// The message whose button was pressed.
    source: Option<u64>,
    /// The callback as sent.
    callback: Option<Value>,
    /// What `@original` means.
    reply: Option<u64>,
    /// The deferral was deleted before anything took its place.
    withdrawn: bool,
    /// The last message that followed the callback on its own.
    follow_up: Option<u64>,
}

impl Called {
    fn is_ephemeral(&self) -> bool {
        self.callback.as_ref().is_some_and(|callback| is_ephemeral(&callback["data"]))
    }

    fn is_deferred(&self) -> bool {
        self.callback.as_ref().is_some_and(|callback| callback["type"] == DEFERRED)
    }

    /// Whether the bot is still seen to think.
    fn is_awaited(&self) -> bool {
        self.is_deferred() && self.reply.is_none() && !self.withdrawn
    }
}

fn is_ephemeral(data: &Value) -> bool {
    data["flags"].as_u64().unwrap_or_default() & EPHEMERAL != 0
}

/// What carries out the routes of interactions; the token is the credential.
pub(super) fn carry_out(
    state: &mut SimState,
    method: &str,
    segments: &[&str],
    payload: Payload,
) -> Result<Answer, ApiError> {
    match (method, segments) {
        ("POST", ["interactions", id, token, "callback"]) => {
            let unknown = || ApiError::new(404, 10062, "Unknown interaction");
            let id: u64 = id.parse().map_err(|_| unknown())?;
            let deadline = state.interactions.deadline;
            let fits = |called: &Called| called.invocation.id == id && called.token == *token;
            let in_time = |called: &Called| called.callback.is_some() || called.began.elapsed() <= deadline;
            let at = position(state, |called| fits(called) && in_time(called)).ok_or_else(unknown)?;
            callback(state, at, payload).map(|()| Answer::NoContent)
        }
        (_, ["webhooks", application, token, rest @ ..]) => {
            if application.parse() != Ok(state.bot.id) {
                return Err(ApiError::new(404, 10015, "Unknown Webhook"));
            }
            let invalid = || ApiError::new(401, 50027, "Invalid Webhook Token");
            let at = position(state, |called| called.token == *token).ok_or_else(invalid)?;
            if state.interactions.calls[at].callback.is_none() {
                return Err(ApiError::new(404, 10015, "Unknown Webhook"));
            }
            say(state, at, method, rest, payload)
        }
        _ => Err(ApiError::not_found()),
    }
}

fn position(state: &SimState, fits: impl Fn(&Called) -> bool) -> Option<usize> {
    state.interactions.calls.iter().position(fits)
}

fn callback(state: &mut SimState, at: usize, payload: Payload) -> Result<(), ApiError> {
    let called = &state.interactions.calls[at];
    if called.callback.is_some() {
        return Err(ApiError::new(400, 40060, "Interaction has already been acknowledged."));
    }
    let (kind, source, sent) = (called.kind, called.source, payload.json.clone());
    let data = Payload { json: sent["data"].clone(), files: payload.files };
    let reply = match (sent["type"].as_u64().unwrap_or_default(), source) {
        (MESSAGE, _) if kind != AUTOCOMPLETE => Some(utter(state, at, data, is_ephemeral(&sent["data"]))?.id),
        (DEFERRED, _) if kind != AUTOCOMPLETE => None,
        (DEFERRED_UPDATE, Some(source)) => Some(source),
        (UPDATE, Some(source)) => Some(revise(state, at, source, data)?.id),
        (CHOICES, _) if kind == AUTOCOMPLETE => None,
        _ => return Err(ApiError::invalid_form("type", "INTERACTION_TYPE_INVALID", "Not for this interaction.")),
    };
    let called = &mut state.interactions.calls[at];
    (called.reply, called.callback) = (reply, Some(sent));
    tell_whether_it_thinks(state, at);
    Ok(())
}

fn tell_whether_it_thinks(state: &mut SimState, at: usize) {
    let called = &state.interactions.calls[at];
    let (interaction, thinking) = (called.invocation.id, called.is_awaited());
    state.tell(Change::Acknowledged { interaction, thinking });
}

/// The original reply, read, edited or deleted, and messages that follow it.
fn say(state: &mut SimState, at: usize, method: &str, rest: &[&str], payload: Payload) -> Result<Answer, ApiError> {
    let called = &state.interactions.calls[at];
    let (reply, fresh) = (called.reply, called.is_awaited());
    let ephemeral = if fresh { called.is_ephemeral() } else { is_ephemeral(&payload.json) };
    let message = match (method, rest, reply) {
        ("GET", ["messages", "@original"], Some(reply)) => find(state, called.channel, reply)?,
        ("PATCH", ["messages", "@original"], Some(reply)) => revise(state, at, reply, payload)?,
        ("DELETE", ["messages", "@original"], Some(reply)) => {
            let channel = called.channel;
            return delete(state, channel, reply).map(|()| Answer::NoContent);
        }
        // After that, a message of any audience may follow (discord-api-docs issue 2739).
        ("DELETE", ["messages", "@original"], None) if fresh => {
            state.interactions.calls[at].withdrawn = true;
            tell_whether_it_thinks(state, at);
            return Ok(Answer::NoContent);
        }
        // What comes first after a deferral takes the place of the original.
        ("PATCH", ["messages", "@original"], None) | ("POST", [], None) if fresh => {
            let message = utter(state, at, payload, ephemeral)?;
            state.interactions.calls[at].reply = Some(message.id);
            message
        }
        ("GET" | "PATCH" | "DELETE", ["messages", "@original"], None) => return Err(ApiError::unknown_message()),
        ("POST", [], _) => {
            let message = utter(state, at, payload, ephemeral)?;
            state.interactions.calls[at].follow_up = Some(message.id);
            message
        }
        _ => return Err(ApiError::not_found()),
    };
    Ok(Answer::Json(state.created_json(&message)))
}

/// A message of the channel, or a private one.
fn find(state: &SimState, channel: u64, id: u64) -> Result<Arc<SimMessage>, ApiError> {
    let private = state.interactions.private.iter().find(|message| message.id == id && message.channel == channel);
    private.map_or_else(|| state.find(channel, id).cloned(), |message| Ok(Arc::clone(message)))
}

fn delete(state: &mut SimState, channel: u64, id: u64) -> Result<(), ApiError> {
    let before = state.interactions.private.len();
    state.interactions.private.retain(|message| message.id != id);
    if state.interactions.private.len() == before {
        return state.delete(channel, id);
    }
    state.tell(Change::Delete { channel, id });
    Ok(())
}

/// Changes what the fields that were sent say, in a message of the channel or a private one.
fn revise(state: &mut SimState, at: usize, id: u64, payload: Payload) -> Result<Arc<SimMessage>, ApiError> {
    let channel = state.interactions.calls[at].channel;
    let content = draft::content(&payload.json)?;
    let kept: Vec<u64> = find(state, channel, id)?.attachments.iter().map(|file| file.id).collect();
    draft::check_edit(&payload, &kept)?;
    let mut files = Vec::new();
    for file in payload.files {
        files.push(SimAttachment {
            id: state.next_id(),
            filename: file.filename,
            description: file.description,
            bytes: file.bytes,
        });
    }
    let json = payload.json;
    let change = move |message: &mut SimMessage| {
        message.content = content.unwrap_or_else(|| std::mem::take(&mut message.content));
        for (field, place) in [("embeds", &mut message.embeds), ("components", &mut message.components)] {
            if let Some(list) = json.get(field).filter(|list| list.is_array()) {
                *place = list.clone();
            }
        }
        message.attachments.extend(files);
    };
    let Some(private) = state.interactions.private.iter_mut().find(|message| message.id == id) else {
        return state.edit(channel, id, change);
    };
    let mut changed = SimMessage::clone(private);
    change(&mut changed);
    changed.edited = Some(Timestamp::now());
    *private = Arc::new(changed);
    let private = Arc::clone(private);
    state.tell(Change::Private(Arc::clone(&private)));
    Ok(private)
}

/// The bot speaks: into the channel, or to the caller only. Without `allowed_mentions`, it pings users only.
fn utter(state: &mut SimState, at: usize, payload: Payload, ephemeral: bool) -> Result<Arc<SimMessage>, ApiError> {
    let mut draft = Draft::read(payload)?;
    draft.allowed_mentions.get_or_insert_with(|| json!({ "parse": ["users"] }));
    let called = &state.interactions.calls[at];
    let channel = called.channel;
    draft.interaction = Some(called.invocation.clone());
    let author = state.bot.user();
    if !ephemeral {
        return state.post(channel, author, draft);
    }
    draft.flags |= EPHEMERAL;
    let message = Arc::new(state.compose(channel, author, draft));
    let private = &mut state.interactions.private;
    private.push_back(Arc::clone(&message));
    if private.len() > KEPT_PRIVATE {
        private.pop_front();
    }
    state.tell(Change::Private(Arc::clone(&message)));
    Ok(message)
}

/// A user calls a registered command, or still types it where an option is `focused`; every session hears it.
pub(super) fn call(
    state: &mut SimState,
    channel: u64,
    caller: &str,
    command: &str,
    options: &Value,
) -> Result<u64, ApiError> {
    let kind = if is_typing(options) { AUTOCOMPLETE } else { COMMAND };
    let data = command_data(state, command, options)?;
    begin(state, channel, caller, Deed { kind, label: spelled(command, options), data, source: None })
}

fn is_typing(options: &Value) -> bool {
    let mut listed = options.as_array().into_iter().flatten();
    listed.any(|option| option["focused"] == true || is_typing(&option["options"]))
}

fn command_data(state: &SimState, command: &str, options: &Value) -> Result<Value, ApiError> {
    let registered = state.commands.as_array().into_iter().flatten().find(|known| known["name"] == command);
    let known = registered.ok_or_else(|| ApiError::new(404, 10063, "Unknown application command"))?;
    let guild = state.guild.id.to_string();
    Ok(json!({ "id": known["id"], "name": command, "type": 1, "options": options, "guild_id": guild }))
}

/// As `/factorio players`: the name and those of subcommands, without options.
fn spelled(command: &str, options: &Value) -> String {
    let nested = options.get(0).filter(|option| matches!(option["type"].as_u64(), Some(1 | 2)));
    let below = nested.map(|option| spelled(option["name"].as_str().unwrap_or_default(), &option["options"]));
    below.map_or_else(|| format!("/{command}"), |below| format!("/{command} {}", below.trim_start_matches('/')))
}

/// A user presses a button that is there and not switched off.
pub(super) fn press(
    state: &mut SimState,
    channel: u64,
    caller: &str,
    message: u64,
    component: &str,
) -> Result<u64, ApiError> {
    let found = find(state, channel, message)?;
    let hidden = found.flags & EPHEMERAL != 0
        && found.interaction.as_ref().is_some_and(|invocation| invocation.user.name != caller);
    let buttons = found.components.as_array().into_iter().flatten();
    let mut buttons = buttons.flat_map(|row| row["components"].as_array().into_iter().flatten());
    let there = buttons.any(|button| button["custom_id"] == component && button["disabled"] != true);
    if hidden || !there {
        return Err(ApiError::invalid_form("custom_id", "COMPONENT_VALIDATION_FAILED", "Component not found"));
    }
    let data = json!({ "custom_id": component, "component_type": 2, "id": 1 });
    begin(state, channel, caller, Deed { kind: COMPONENT, label: String::new(), data, source: Some(found) })
}

/// What a user does, before anybody heard of it.
struct Deed {
    kind: u8,
    label: String,
    data: Value,
    source: Option<Arc<SimMessage>>,
}

fn begin(state: &mut SimState, channel: u64, caller: &str, deed: Deed) -> Result<u64, ApiError> {
    let place = state.channel_json(channel)?;
    let (user, id) = (state.user(caller), state.next_id());
    let token = format!("interaction-{id:x}");
    let mut event = interaction(state, &user, id, &token, &deed.data, &place);
    event["type"] = json!(deed.kind);
    if let Some(source) = &deed.source {
        event["message"] = state.message_json(source);
    }
    let calls = &mut state.interactions.calls;
    if calls.len() == KEPT_CALLS {
        calls.pop_front();
    }
    calls.push_back(Called {
        invocation: SimInvocation { id, user, command: deed.label },
        kind: deed.kind,
        token,
        channel,
        began: Instant::now(),
        source: deed.source.map(|source| source.id),
        callback: None,
        reply: None,
        withdrawn: false,
        follow_up: None,
    });
    state.sessions.dispatch(0, "INTERACTION_CREATE", |_| event.clone());
    Ok(id)
}

fn interaction(state: &SimState, caller: &SimUser, id: u64, token: &str, data: &Value, place: &Value) -> Value {
    let guild = state.guild.id.to_string();
    let mut member = state.member_json(caller);
    let more = state.standings.get(&caller.name).map_or(0, |standing| standing.permissions);
    let permissions = objects::EVERYONE_PERMISSIONS | more;
    member["permissions"] = json!(permissions.to_string());
    let channel = place["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
    let app_permissions = state.bot_permissions(channel).unwrap_or_default();
    let mut place = place.clone();
    place["permissions"] = member["permissions"].clone();
    json!({
        "id": id.to_string(), "application_id": state.bot.id.to_string(), "data": data, "guild_id": guild,
        "guild": { "id": guild, "locale": "en-US", "features": [] }, "channel_id": place["id"], "channel": place,
        "member": member, "token": token, "version": 1, "app_permissions": app_permissions.to_string(),
        "locale": "en-US", "guild_locale": "en-US", "entitlements": [], "context": 0,
        "authorizing_integration_owners": { "0": guild }, "attachment_size_limit": 10 << 20,
    })
}

/// What the bot has replied to a call, if it has: the message as it stands, or the one that followed where there is none.
pub(super) fn reply(state: &SimState, id: u64) -> Option<Arc<SimMessage>> {
    let called = state.interactions.call(id)?;
    let replies = [called.reply, called.follow_up].into_iter().flatten();
    replies.map(|message| find(state, called.channel, message)).find_map(Result::ok)
}

/// The choices the bot has answered.
pub(super) fn choices(state: &SimState, id: u64) -> Option<Value> {
    let callback = state.interactions.call(id)?.callback.as_ref()?;
    callback["data"].get("choices").cloned()
}

/// A file of a private message.
pub(super) fn private_file(state: &SimState, message: u64, index: usize) -> Option<SimAttachment> {
    let private = state.interactions.private.iter().find(|private| private.id == message)?;
    private.attachments.get(index).cloned()
}
