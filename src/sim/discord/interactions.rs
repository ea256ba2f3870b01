//! Slash commands: a user's call, the bot's one callback, and what it says afterwards.

use std::sync::Arc;

use serde_json::{Value, json};

use super::draft::{Draft, Payload};
use super::errors::ApiError;
use super::model::{SimMessage, SimUser};
use super::objects;
use super::routes::Answer;
use super::state::SimState;

/// Flag EPHEMERAL: only the caller sees it.
const EPHEMERAL: u64 = 64;
/// Callback with a message.
const MESSAGE: u64 = 4;
/// Callback "thinks", the message follows.
const DEFERRED: u64 = 5;

/// Calls that are remembered.
const KEPT_CALLS: usize = 1000;

/// A call and how far its answer is.
#[derive(Debug)]
pub(super) struct Called {
    id: u64,
    token: String,
    channel: u64,
    /// The callback as sent.
    callback: Option<Value>,
    reply: Option<Arc<SimMessage>>,
}

impl Called {
    fn is_ephemeral(&self) -> bool {
        self.callback.as_ref().is_some_and(|callback| is_ephemeral(&callback["data"]))
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
            let at = position(state, |called| called.id == id && called.token == *token).ok_or_else(unknown)?;
            callback(state, at, payload).map(|()| Answer::NoContent)
        }
        (_, ["webhooks", _, token, rest @ ..]) => {
            let invalid = || ApiError::new(401, 50027, "Invalid Webhook Token");
            let at = position(state, |called| called.token == *token).ok_or_else(invalid)?;
            if state.interactions[at].callback.is_none() {
                return Err(ApiError::new(404, 10015, "Unknown Webhook"));
            }
            say(state, at, method, rest, payload)
        }
        _ => Err(ApiError::not_found()),
    }
}

fn position(state: &SimState, fits: impl Fn(&Called) -> bool) -> Option<usize> {
    state.interactions.iter().position(fits)
}

fn callback(state: &mut SimState, at: usize, payload: Payload) -> Result<(), ApiError> {
    if state.interactions[at].callback.is_some() {
        return Err(ApiError::new(400, 40060, "Interaction has already been acknowledged."));
    }
    let sent = payload.json.clone();
    if sent["type"] == MESSAGE {
        let reply = Payload { json: sent["data"].clone(), files: payload.files };
        let ephemeral = is_ephemeral(&sent["data"]);
        let reply = utter(state, state.interactions[at].channel, reply, ephemeral)?;
        state.interactions[at].reply = Some(reply);
    }
    state.interactions[at].callback = Some(sent);
    Ok(())
}

/// The original reply, read or edited, and messages that follow it.
fn say(state: &mut SimState, at: usize, method: &str, rest: &[&str], payload: Payload) -> Result<Answer, ApiError> {
    let channel = state.interactions[at].channel;
    let message = match (method, rest) {
        ("GET", ["messages", "@original"]) => original(state, at)?,
        ("PATCH", ["messages", "@original"]) => {
            let reply = rewrite(state, at, payload)?;
            state.interactions[at].reply = Some(Arc::clone(&reply));
            reply
        }
        // The first message after a deferral takes the place of the original.
        ("POST", []) if state.interactions[at].reply.is_none() && deferred(&state.interactions[at]) => {
            let ephemeral = state.interactions[at].is_ephemeral();
            let reply = utter(state, channel, payload, ephemeral)?;
            state.interactions[at].reply = Some(Arc::clone(&reply));
            reply
        }
        ("POST", []) => {
            let ephemeral = is_ephemeral(&payload.json);
            utter(state, channel, payload, ephemeral)?
        }
        _ => return Err(ApiError::not_found()),
    };
    Ok(Answer::Json(state.created_json(&message)))
}

fn deferred(called: &Called) -> bool {
    called.callback.as_ref().is_some_and(|callback| callback["type"] == DEFERRED)
}

fn original(state: &SimState, at: usize) -> Result<Arc<SimMessage>, ApiError> {
    state.interactions[at].reply.clone().ok_or_else(ApiError::unknown_message)
}

/// Edits the original; after a deferral it comes into being by this.
fn rewrite(state: &mut SimState, at: usize, payload: Payload) -> Result<Arc<SimMessage>, ApiError> {
    let (channel, ephemeral) = (state.interactions[at].channel, state.interactions[at].is_ephemeral());
    let Some(reply) = state.interactions[at].reply.clone() else {
        return utter(state, channel, payload, ephemeral);
    };
    let draft = Draft::read(payload)?;
    if ephemeral {
        return Ok(Arc::new(SimMessage { content: draft.content, ..SimMessage::clone(&reply) }));
    }
    state.edit(channel, reply.id, |message| message.content = draft.content)
}

/// The bot speaks: into the channel, or to the caller only. Without `allowed_mentions`, it pings users only.
fn utter(state: &mut SimState, channel: u64, payload: Payload, ephemeral: bool) -> Result<Arc<SimMessage>, ApiError> {
    let mut draft = Draft::read(payload)?;
    draft.allowed_mentions.get_or_insert_with(|| json!({ "parse": ["users"] }));
    let author = state.bot.user();
    if ephemeral { Ok(Arc::new(state.compose(channel, author, draft))) } else { state.post(channel, author, draft) }
}

/// A user calls a registered command; every session hears it.
pub(super) fn call(
    state: &mut SimState,
    channel: u64,
    caller: &str,
    command: &str,
    options: &Value,
) -> Result<u64, ApiError> {
    let registered = state.commands.as_array().into_iter().flatten().find(|known| known["name"] == command);
    let unknown = || ApiError::new(404, 10063, "Unknown application command");
    let data = registered.map(|known| {
        json!({
            "id": known["id"], "name": command, "type": 1, "options": options, "guild_id": state.guild.id.to_string(),
        })
    });
    let (data, place) = (data.ok_or_else(unknown)?, state.channel_json(channel)?);
    let (caller, id) = (state.user(caller), state.next_id());
    let token = format!("interaction-{id:x}");
    let event = interaction(state, &caller, id, &token, &data, &place);
    if state.interactions.len() == KEPT_CALLS {
        state.interactions.remove(0);
    }
    state.interactions.push(Called { id, token, channel, callback: None, reply: None });
    state.sessions.dispatch(0, "INTERACTION_CREATE", |_| event.clone());
    Ok(id)
}

fn interaction(state: &SimState, caller: &SimUser, id: u64, token: &str, data: &Value, place: &Value) -> Value {
    let guild = state.guild.id.to_string();
    let mut member = objects::member(caller, &state.bot);
    member["permissions"] = json!(objects::EVERYONE_PERMISSIONS.to_string());
    let mut place = place.clone();
    place["permissions"] = member["permissions"].clone();
    json!({
        "id": id.to_string(), "application_id": state.bot.id.to_string(), "type": 2, "data": data, "guild_id": guild,
        "guild": { "id": guild, "locale": "en-US", "features": [] }, "channel_id": place["id"], "channel": place,
        "member": member, "token": token, "version": 1, "app_permissions": state.bot.permissions.to_string(),
        "locale": "en-US", "guild_locale": "en-US", "entitlements": [], "context": 0,
        "authorizing_integration_owners": { "0": guild }, "attachment_size_limit": 10 << 20,
    })
}

/// What the bot has replied to a call, if it has.
pub(super) fn reply(state: &SimState, id: u64) -> Option<Arc<SimMessage>> {
    state.interactions.iter().find(|called| called.id == id)?.reply.clone()
}
