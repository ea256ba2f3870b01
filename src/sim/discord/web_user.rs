//! What the page's user does: writes, edits, deletes, calls commands, presses buttons. Only the page itself may ask.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, body};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::draft::{self, Draft};
use super::errors::ApiError;
use super::hub::Hub;
use super::interactions;
use super::mentions;
use super::state::SimState;

/// Bytes of a request of the page.
const MOST: usize = 32 << 10;
/// Characters of a user's name.
const MOST_NAME: usize = 32;
/// How long the page waits for choices, as a client of Discord does.
const AUTOCOMPLETE_WAIT: Duration = Duration::from_secs(3);

/// A JSON body that came from the page itself: no other site can make a browser send one.
pub(super) struct FromPage<T>(T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for FromPage<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let refuse = |status: StatusCode, why: &'static str| (status, why).into_response();
        if !is_same_origin(request.headers()) {
            return Err(refuse(StatusCode::FORBIDDEN, "Only this server's own page may do this"));
        }
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/json") {
            return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content type must be application/json"));
        }
        let bytes = body::to_bytes(request.into_body(), MOST).await;
        let bytes = bytes.map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "At most 32 KiB"))?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self).map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response())
    }
}

/// Whether the browser, where it is one, says that this server's own page asks.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text("host").unwrap_or_default();
    let origin = text("origin").is_none_or(|origin| origin.split_once("://").is_some_and(|(_, from)| from == host));
    origin && text("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

/// An id, which JSON carries as a string.
#[derive(Clone, Copy)]
pub(super) struct Id(u64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom("an id is a string of digits"))
    }
}

/// Who acts, and where.
#[derive(Deserialize)]
pub(super) struct Actor {
    channel: Id,
    author: String,
    /// Roles to act with; absent = those the user has.
    roles: Option<Vec<Id>>,
}

impl Actor {
    /// Checks the name and takes the roles on.
    fn appear(&self, state: &mut SimState) -> Result<(), ApiError> {
        let length = self.author.chars().count();
        let plain = self.author.trim() == self.author && !self.author.contains(char::is_control);
        if !plain || !(1..=MOST_NAME).contains(&length) || self.author.eq_ignore_ascii_case(&state.bot.name) {
            let message = "A name has 1 to 32 characters and is not the bot's.";
            return Err(ApiError::invalid_form("author", "USERNAME_INVALID", message));
        }
        let Some(roles) = &self.roles else { return Ok(()) };
        state.set_roles(&self.author, &roles.iter().map(|role| role.0).collect::<Vec<_>>())
    }
}

#[derive(Deserialize)]
pub(super) struct Said {
    #[serde(flatten)]
    actor: Actor,
    text: String,
    reply_to: Option<Id>,
}

#[derive(Deserialize)]
pub(super) struct Edited {
    #[serde(flatten)]
    actor: Actor,
    message: Id,
    text: String,
}

#[derive(Deserialize)]
pub(super) struct Deleted {
    #[serde(flatten)]
    actor: Actor,
    message: Id,
}

#[derive(Deserialize)]
pub(super) struct Called {
    #[serde(flatten)]
    actor: Actor,
    command: String,
    options: Value,
}

#[derive(Deserialize)]
pub(super) struct Pressed {
    #[serde(flatten)]
    actor: Actor,
    message: Id,
    component: String,
}

type Answered = Result<Json<Value>, ApiError>;

fn answer_id(id: u64) -> Json<Value> {
    Json(json!({ "id": id.to_string() }))
}

/// The commands the bot has registered, as it sent them.
pub(super) async fn commands(State(hub): State<Arc<Hub>>) -> Json<Value> {
    Json(hub.read(|state| state.commands.clone()))
}

/// A message: `{channel, author, roles?, text, reply_to?}`.
pub(super) async fn say(State(hub): State<Arc<Hub>>, FromPage(said): FromPage<Said>) -> Answered {
    hub.change(|state| {
        said.actor.appear(state)?;
        let mut draft = Draft::text(&checked(&said.text)?);
        draft.reply_to = said.reply_to.map(|id| id.0);
        if let Some(answered) = draft.reply_to {
            state.find(said.actor.channel.0, answered)?;
        }
        let author = state.user(&said.actor.author);
        state.post(said.actor.channel.0, author, draft).map(|message| answer_id(message.id))
    })
}

/// Text that fits a message.
fn checked(text: &str) -> Result<String, ApiError> {
    let content = draft::content(&json!({ "content": text }))?.unwrap_or_default();
    if content.trim().is_empty() { Err(ApiError::empty_message()) } else { Ok(content) }
}

/// A new text for a message of one's own: `{channel, author, message, text}`.
pub(super) async fn edit(State(hub): State<Arc<Hub>>, FromPage(edited): FromPage<Edited>) -> Answered {
    hub.change(|state| {
        own(state, &edited.actor, edited.message)?;
        let text = checked(&edited.text)?;
        let message = state.edit(edited.actor.channel.0, edited.message.0, |message| {
            message.pinged = mentions::pinged(&text, None);
            message.content = text;
        })?;
        Ok(answer_id(message.id))
    })
}

/// The end of a message of one's own: `{channel, author, message}`.
pub(super) async fn delete(State(hub): State<Arc<Hub>>, FromPage(deleted): FromPage<Deleted>) -> Answered {
    hub.change(|state| {
        own(state, &deleted.actor, deleted.message)?;
        state.delete(deleted.actor.channel.0, deleted.message.0).map(|()| answer_id(deleted.message.0))
    })
}

fn own(state: &SimState, actor: &Actor, message: Id) -> Result<(), ApiError> {
    let author = &state.find(actor.channel.0, message.0)?.author;
    if author.bot || author.name != actor.author {
        return Err(ApiError::new(403, 50005, "Cannot edit a message authored by another user"));
    }
    Ok(())
}

/// A slash command: `{channel, author, roles?, command, options}`, the options as an interaction carries them.
pub(super) async fn interact(State(hub): State<Arc<Hub>>, FromPage(called): FromPage<Called>) -> Answered {
    hub.change(|state| {
        called.actor.appear(state)?;
        let (channel, author) = (called.actor.channel.0, &called.actor.author);
        interactions::call(state, channel, author, &called.command, &called.options).map(answer_id)
    })
}

/// A button: `{channel, author, roles?, message, component}`.
pub(super) async fn press(State(hub): State<Arc<Hub>>, FromPage(pressed): FromPage<Pressed>) -> Answered {
    hub.change(|state| {
        pressed.actor.appear(state)?;
        let (channel, author) = (pressed.actor.channel.0, &pressed.actor.author);
        interactions::press(state, channel, author, pressed.message.0, &pressed.component).map(answer_id)
    })
}

/// Choices for the focused option, as `{choices}`: the body is that of a command. 504 where the bot is too late.
pub(super) async fn autocomplete(State(hub): State<Arc<Hub>>, FromPage(called): FromPage<Called>) -> Answered {
    let id = hub.change(|state| {
        called.actor.appear(state)?;
        let (channel, author) = (called.actor.channel.0, &called.actor.author);
        interactions::call(state, channel, author, &called.command, &called.options)
    })?;
    let mut version = hub.version.subscribe();
    let answered = async {
        loop {
            if let Some(choices) = hub.read(|state| interactions::choices(state, id)) {
                return choices;
            }
            if version.changed().await.is_err() {
                return json!([]);
            }
        }
    };
    let choices = timeout(AUTOCOMPLETE_WAIT, answered).await.map_err(|_| ApiError::server(504))?;
    Ok(Json(json!({ "choices": choices })))
}
