//! What each route of the REST API does to the state.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::command_rules;
use super::draft::{self, Draft, Payload};
use super::errors::ApiError;
use super::gateway_faults::{ResumeUrl, SessionStarts};
use super::interactions;
use super::mentions;
use super::objects;
use super::permissions::{ADD_REACTIONS, ATTACH_FILES, EMBED_LINKS, READ_MESSAGE_HISTORY, SEND_MESSAGES, VIEW_CHANNEL};
use super::route::Route;
use super::state::SimState;

/// A good answer: a JSON body with 200, or nothing with 204.
#[derive(Debug)]
pub(super) enum Answer {
    Json(Value),
    NoContent,
}

type Answered = Result<Answer, ApiError>;

/// A request that came through authorisation, faults and limits.
pub(super) struct Call<'a> {
    pub(super) route: &'a Route,
    pub(super) query: HashMap<String, String>,
    pub(super) payload: Payload,
}

/// Carries out a request.
pub(super) fn carry_out(state: &mut SimState, call: Call<'_>) -> Answered {
    let segments = call.route.segments();
    match (call.route.method.as_str(), &segments[..]) {
        ("GET", ["gateway"]) => json_answer(json!({ "url": gateway_url(state) })),
        ("GET", ["gateway", "bot"]) => json_answer(gateway_bot(state)),
        ("GET", ["users", "@me"]) => json_answer(objects::current_user(&state.bot)),
        ("GET", ["oauth2", "applications", "@me"] | ["applications", "@me"]) => {
            json_answer(objects::application(&state.bot, !state.gateway_faults.content_off))
        }
        (method, ["applications", application, "commands"]) => {
            commands(state, method, id(application)?, None, &call.payload)
        }
        (method, ["applications", application, "guilds", guild, "commands"]) => {
            commands(state, method, id(application)?, Some(id(guild)?), &call.payload)
        }
        (_, ["guilds", guild, rest @ ..]) => guild_route(state, &call, id(guild)?, rest),
        (_, ["channels", channel, rest @ ..]) => {
            let (channel, rest): (u64, Vec<String>) = (id(channel)?, rest.iter().map(ToString::to_string).collect());
            channel_route(state, call, channel, &rest.iter().map(String::as_str).collect::<Vec<_>>())
        }
        (method, ["interactions" | "webhooks", ..]) => interactions::carry_out(state, method, &segments, call.payload),
        _ => Err(ApiError::not_found()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the arms of the table above are results")]
fn json_answer(body: Value) -> Answered {
    Ok(Answer::Json(body))
}

fn id(segment: &str) -> Result<u64, ApiError> {
    segment.parse().map_err(|_| {
        ApiError::invalid_form("id", "NUMBER_TYPE_COERCE", &format!("Value \"{segment}\" is not snowflake."))
    })
}

/// The general address of the gateway, without a query.
fn gateway_url(state: &SimState) -> String {
    let base = state.public_url.as_ref().unwrap_or(&state.base_url);
    format!("{}/gateway", base.replacen("http", "ws", 1))
}

/// The address at which a session is resumed, as READY names it.
pub(super) fn resume_url(state: &SimState) -> Option<String> {
    match state.gateway_faults.resume_url {
        ResumeUrl::Valid => Some(format!("{}/resume", gateway_url(state))),
        ResumeUrl::Garbage => Some("wss//gateway, or not".into()),
        // Nothing listens on port 1.
        ResumeUrl::Unreachable => Some("ws://127.0.0.1:1".into()),
        ResumeUrl::Missing => None,
    }
}

/// Sessions that may begin in 24 hours; beyond, Discord resets the token.
const SESSION_STARTS: u64 = 1000;

fn gateway_bot(state: &SimState) -> Value {
    let starts = state.gateway_faults.session_starts.unwrap_or_else(|| SessionStarts {
        remaining: SESSION_STARTS.saturating_sub(state.counts.identifies),
        reset_after: Duration::from_hours(24),
    });
    json!({
        "url": gateway_url(state), "shards": 1,
        "session_start_limit": {
            "total": SESSION_STARTS, "remaining": starts.remaining,
            "reset_after": starts.reset_after.as_millis(), "max_concurrency": 1,
        },
    })
}

/// The commands of a guild, or the global ones: read, or replaced.
fn commands(state: &mut SimState, method: &str, application: u64, guild: Option<u64>, payload: &Payload) -> Answered {
    if application != state.bot.id {
        let message = "You are not authorized to perform this action on this application";
        return Err(ApiError::new(403, 20012, message));
    }
    match method {
        "GET" => {
            let guild = guild.map_or(Value::Null, |guild| json!(guild.to_string()));
            let known = state.commands.as_array().into_iter().flatten();
            json_answer(known.filter(|command| command["guild_id"] == guild).cloned().collect())
        }
        "PUT" => register(state, application, guild, payload),
        _ => Err(ApiError::not_found()),
    }
}

fn register(state: &mut SimState, application: u64, guild: Option<u64>, payload: &Payload) -> Answered {
    let Some(sent) = payload.json.as_array() else { return Err(ApiError::invalid_json()) };
    command_rules::check(sent)?;
    let mut commands = Vec::new();
    for command in sent {
        let id = state.next_id();
        commands.push(objects::command(command, id, application, guild));
    }
    state.commands = Value::Array(commands);
    json_answer(state.commands.clone())
}

fn guild_route(state: &SimState, call: &Call<'_>, guild: u64, rest: &[&str]) -> Answered {
    if guild != state.guild.id {
        return Err(ApiError::new(404, 10004, "Unknown Guild"));
    }
    match (call.route.method.as_str(), rest) {
        ("GET", []) => json_answer(state.guild_json()),
        ("GET", ["channels"]) => {
            json_answer(state.channels_json().into_iter().filter(|channel| !is_thread(channel)).collect())
        }
        ("GET", ["threads", "active"]) => json_answer(state.active_threads_json()),
        ("GET", ["roles"]) => json_answer(objects::roles(&state.guild, &state.bot, &state.roles)),
        ("GET", ["members", user]) => {
            let user = id(user)?;
            let found = state.users().iter().find(|member| member.id == user);
            let found = found.ok_or_else(|| ApiError::new(404, 10007, "Unknown Member"))?;
            json_answer(state.member_json(found))
        }
        _ => Err(ApiError::not_found()),
    }
}

/// The list of a guild's channels has no threads.
fn is_thread(channel: &Value) -> bool {
    matches!(channel["type"].as_u64(), Some(10..=12))
}

fn channel_route(state: &mut SimState, call: Call<'_>, channel: u64, rest: &[&str]) -> Answered {
    let permissions = state.bot_permissions(channel)?;
    if permissions & VIEW_CHANNEL == 0 {
        return Err(ApiError::missing_access());
    }
    if permissions & needed(&call, rest) != needed(&call, rest) {
        return Err(ApiError::missing_permissions());
    }
    match (call.route.method.as_str(), rest) {
        ("GET", []) => json_answer(state.channel_json(channel)?),
        ("PATCH", []) => edit_channel(state, channel, &call.payload.json),
        ("POST", ["typing"]) => Ok(Answer::NoContent),
        ("POST", ["messages"]) => {
            if matches!(state.channel_kind(channel)?, CATEGORY | FORUM | MEDIA) {
                return Err(ApiError::new(400, 50008, "Cannot send messages in a non-text channel"));
            }
            check_reference(state, channel, &call.payload.json["message_reference"])?;
            let author = state.bot.user();
            state.enter_thread(channel)?;
            let message = state.post(channel, author, Draft::read(call.payload)?)?;
            json_answer(state.created_json(&message))
        }
        ("GET", ["messages"]) if permissions & READ_MESSAGE_HISTORY == 0 => json_answer(json!([])),
        ("GET", ["messages"]) => list(state, channel, &call.query),
        ("GET", ["messages", message]) => {
            let found = state.find(channel, id(message)?)?;
            json_answer(state.message_json(found))
        }
        ("PATCH", ["messages", message]) => edit_message(state, channel, id(message)?, &call.payload),
        ("DELETE", ["messages", message]) => state.delete(channel, id(message)?).map(|()| Answer::NoContent),
        ("PUT" | "DELETE", ["messages", message, "reactions", emoji, "@me"]) => {
            let there = call.route.method.as_str() == "PUT";
            let emoji = emoji_of(emoji).ok_or_else(|| ApiError::new(400, 10014, "Unknown Emoji"))?;
            state.react(channel, id(message)?, &emoji, there).map(|()| Answer::NoContent)
        }
        _ => Err(ApiError::not_found()),
    }
}

/// Types of channels that hold no messages.
const CATEGORY: u8 = 4;
const FORUM: u8 = 15;
const MEDIA: u8 = 16;

/// The permissions that a request needs, beyond seeing the channel.
fn needed(call: &Call<'_>, rest: &[&str]) -> u64 {
    match (call.route.method.as_str(), rest) {
        ("POST", ["messages"]) => {
            let embeds = call.payload.json["embeds"].as_array().is_some_and(|embeds| !embeds.is_empty());
            let files = !call.payload.files.is_empty();
            SEND_MESSAGES | if embeds { EMBED_LINKS } else { 0 } | if files { ATTACH_FILES } else { 0 }
        }
        ("PUT", ["messages", _, "reactions", ..]) => ADD_REACTIONS | READ_MESSAGE_HISTORY,
        _ => 0,
    }
}

/// A reply needs the message it answers, unless it says that it does not.
fn check_reference(state: &SimState, channel: u64, reference: &Value) -> Result<(), ApiError> {
    let Some(answered) = mentions::snowflake(&reference["message_id"]) else { return Ok(()) };
    if reference["fail_if_not_exists"] == false || state.find(channel, answered).is_ok() {
        return Ok(());
    }
    Err(ApiError::invalid_form("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message"))
}

/// An emoji in a path: its bytes in percent form.
fn emoji_of(segment: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = segment.split('%').skip(1).map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    String::from_utf8(bytes?).ok().filter(|emoji| !emoji.is_empty())
}

fn edit_channel(state: &mut SimState, channel: u64, json: &Value) -> Answered {
    let edited = state.edit_channel(channel, |channel| {
        if let Some(name) = json["name"].as_str() {
            name.clone_into(&mut channel.name);
        }
        if let Some(topic) = json.get("topic") {
            channel.topic = topic.as_str().map(str::to_owned);
        }
    });
    edited.map(Answer::Json)
}

/// Up to `limit` messages (50, at most 100), newest first: those just after `after`, or the last ones before `before`.
fn list(state: &SimState, channel: u64, query: &HashMap<String, String>) -> Answered {
    let bound = |name: &str| query.get(name).map(|value| id(value)).transpose();
    let limit = bound("limit")?.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::invalid_form("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100."));
    }
    let (after, before) = (bound("after")?, bound("before")?);
    let fits = |message: &u64| after.is_none_or(|after| *message > after) && before.is_none_or(|b| *message < b);
    let mut ids: Vec<u64> = state.messages(channel).map(|message| message.id).filter(fits).collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(ids.len());
    if after.is_some() {
        ids.truncate(limit);
    } else {
        ids.drain(..ids.len() - limit);
    }
    let shown = ids.iter().rev().map(|id| state.find(channel, *id).map(|message| state.message_json(message)));
    shown.collect::<Result<Vec<_>, _>>().map(|shown| Answer::Json(Value::Array(shown)))
}

fn edit_message(state: &mut SimState, channel: u64, id: u64, payload: &Payload) -> Answered {
    let message = state.find(channel, id)?;
    if message.author.id != state.bot.id {
        return Err(ApiError::new(403, 50005, "Cannot edit a message authored by another user"));
    }
    draft::check_edit(payload, &message.attachments.iter().map(|file| file.id).collect::<Vec<_>>())?;
    let json = &payload.json;
    let (content, allowed) = (draft::content(json)?, draft::allowed_mentions(json)?);
    let message = state.edit(channel, id, |message| {
        message.content = content.unwrap_or_else(|| std::mem::take(&mut message.content));
        // An edit without the field parses mentions anew with the defaults.
        message.pinged = mentions::pinged(&message.content, allowed.as_ref());
        message.allowed_mentions = allowed;
        for (field, place) in [("embeds", &mut message.embeds), ("components", &mut message.components)] {
            if let Some(list) = json.get(field).filter(|list| list.is_array()) {
                *place = list.clone();
            }
        }
    })?;
    json_answer(state.message_json(&message))
}
