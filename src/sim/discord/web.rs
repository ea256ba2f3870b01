//! What the stand-in's page lives on: its state, what happens, and the files.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use futures_util::{Stream, stream};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{self, error::RecvError};

use super::hub::Hub;
use super::interactions;
use super::model::{Change, SimMessage};
use super::objects;
use super::state::SimState;

/// Messages per channel that the page is given at first.
const SHOWN: usize = 200;

pub(super) async fn page() -> Html<&'static str> {
    Html(include_str!("../page/index.html"))
}

/// `{guild, bot, channels, messages}`: the last messages per channel, oldest first.
pub(super) async fn state(State(hub): State<Arc<Hub>>) -> Json<Value> {
    Json(hub.read(snapshot))
}

fn snapshot(state: &SimState) -> Value {
    let messages: Map<String, Value> = state
        .channels()
        .map(|channel| {
            let kept = state.messages(channel.id);
            let skipped = kept.len().saturating_sub(SHOWN);
            (channel.id.to_string(), kept.skip(skipped).map(|message| shown(message)).collect())
        })
        .collect();
    let roles: Vec<Value> =
        state.roles.iter().map(|role| json!({ "id": role.id.to_string(), "name": role.name })).collect();
    json!({
        "guild": { "name": state.guild.name }, "bot": bot(state), "channels": channels(state), "messages": messages, "roles": roles,
    })
}

fn channels(state: &SimState) -> Vec<Value> {
    let shown = state.channels().map(|channel| {
        json!({
            "id": channel.id.to_string(), "name": channel.name, "topic": channel.topic, "category": channel.category,
        })
    });
    shown.collect()
}

/// The bot's name, whether it is there, and its own status: `online` or `idle`, and the text.
fn bot(state: &SimState) -> Value {
    let online = state.sessions.connected() > 0;
    let activity = &state.presence["activities"][0];
    let text = activity["state"].as_str().or_else(|| activity["name"].as_str()).filter(|_| online);
    json!({ "name": state.bot.name, "online": online, "status": state.presence["status"], "activity": text })
}

fn shown(message: &SimMessage) -> Value {
    let files: Vec<Value> = message
        .attachments
        .iter()
        .enumerate()
        .map(|(n, file)| {
            let url = objects::attachment_path(message.id, n);
            json!({
                "filename": file.filename, "size": file.bytes.len(), "url": url, "type": file.content_type(),
                "alt": file.description,
            })
        })
        .collect();
    let interaction = message.interaction.as_ref().map(|invocation| {
        json!({ "id": invocation.id.to_string(), "user": invocation.user.name, "command": invocation.command })
    });
    json!({
        "id": message.id.to_string(), "channel": message.channel.to_string(),
        "author": { "name": message.author.name, "bot": message.author.bot },
        "content": message.content, "timestamp": objects::iso8601(message.timestamp),
        "edited": message.edited.map(objects::iso8601), "attachments": files,
        "mention_everyone": objects::mentions_everyone(message), "embeds": message.embeds,
        "components": message.components, "ephemeral": message.flags & interactions::EPHEMERAL != 0,
        "reply_to": message.reply_to.map(|id| id.to_string()), "interaction": interaction,
    })
}

/// Server-sent events: `message` and `edit` with the message, `delete` with `{channel, id}`, and `status` with
/// `{bot, channels, missed}`; `missed` events were lost to a slow reader, who asks for the state anew. `private` has a
/// message for the one who called, `ack` is `{interaction, thinking}`.
pub(super) async fn events(State(hub): State<Arc<Hub>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = hub.changes.subscribe();
    let events = stream::unfold((hub, changes), |(hub, mut changes)| async move {
        let event = next_event(&hub, &mut changes).await?;
        Some((Ok(event), (hub, changes)))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn next_event(hub: &Hub, changes: &mut broadcast::Receiver<Change>) -> Option<Event> {
    let (name, data) = match changes.recv().await {
        Ok(Change::Message(message)) => ("message", shown(&message)),
        Ok(Change::Edit(message)) => ("edit", shown(&message)),
        Ok(Change::Delete { channel, id }) => {
            ("delete", json!({ "channel": channel.to_string(), "id": id.to_string() }))
        }
        Ok(Change::Private(message)) => ("private", shown(&message)),
        Ok(Change::Acknowledged { interaction, thinking }) => {
            ("ack", json!({ "interaction": interaction.to_string(), "thinking": thinking }))
        }
        Ok(Change::Status) => ("status", status(hub, 0)),
        Err(RecvError::Lagged(missed)) => ("status", status(hub, missed)),
        Err(RecvError::Closed) => return None,
    };
    Some(Event::default().event(name).data(data.to_string()))
}

fn status(hub: &Hub, missed: u64) -> Value {
    hub.read(|state| json!({ "bot": bot(state), "channels": channels(state), "missed": missed }))
}

/// A file of a message.
pub(super) async fn attachment(State(hub): State<Arc<Hub>>, Path((message, index)): Path<(u64, usize)>) -> Response {
    let file = hub.read(|state| {
        let found = state.channels().find_map(|channel| state.find(channel.id, message).ok());
        let file = found.and_then(|message| message.attachments.get(index).cloned());
        file.or_else(|| interactions::private_file(state, message, index))
    });
    match file {
        Some(file) => ([(header::CONTENT_TYPE, file.content_type())], file.bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
