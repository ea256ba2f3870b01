//! A stand-in for Discord: REST API and gateway, version 10, as far as a bot needs them, and a page that shows what a
//! player would see.
//!
//! Objects carry every field that a strict client asks for. Rate limits, nonces, size limits and errors are Discord's;
//! faults are switched on by the caller. What it does not know: webhooks of its own, compression, and the permissions that
//! change channels.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use factorio_isr::sim::discord::{SimDiscord, SimDiscordConfig};
//! let discord = SimDiscord::start(SimDiscordConfig::default()).await?;
//! println!("discord.api_base = {}", discord.base_url());
//! # Ok(()) }
//! ```

mod check;
mod command_rules;
mod components;
mod config;
mod draft;
mod embeds;
mod errors;
mod faults;
mod gateway;
mod gateway_control;
mod gateway_faults;
mod gateway_limits;
mod gateway_log;
mod hub;
mod interactions;
mod mentions;
mod model;
mod nonces;
mod objects;
mod permissions;
mod rate_limit;
mod rest;
mod route;
mod routes;
mod server;
mod sessions;
mod state;
mod stats;
mod threads;
mod web;
mod web_user;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use check::{RequestCheck, RestRequest};
pub use config::SimDiscordConfig;
pub use errors::ApiError;
pub use faults::{Chaos, ChaosRates, Fault, FaultKind, RetryAfter};
pub use gateway_faults::{GatewayEnd, GatewayFaults, ResumeUrl, SessionStarts, Upgrade};
pub use gateway_limits::GatewayLimits;
pub use gateway_log::{GatewayAddress, GatewayAttempt, GatewayLog, GatewaySend};
pub use model::{
    Change, Ping, SimAttachment, SimBot, SimChannel, SimGuild, SimInvocation, SimMessage, SimOverwrite, SimRole,
    SimUser,
};
pub use rate_limit::{RateLimits, Scope, Window};
pub use state::SimState;
pub use stats::SimStats;
pub use threads::SimThread;

use draft::{Draft, Upload};
use hub::Hub;
use rate_limit::Limiter;
use server::{CuttableListener, Peer};

use super::port::ReservedPort;

/// A running stand-in. Clones are the same one; it ends with the last clone.
#[derive(Debug, Clone)]
pub struct SimDiscord {
    _check: Option<Arc<dyn RequestCheck>>,
    hub: Arc<Hub>,
    port: Arc<ReservedPort>,
    routes: Router,
    running: Arc<Mutex<Option<Running>>>,
}

/// What a user posts, for [`SimDiscord::post_as`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SimPost<'a> {
    /// The text.
    pub text: &'a str,
    /// The message it answers.
    pub reply_to: Option<u64>,
    /// Names and contents of files.
    pub files: &'a [(&'a str, &'a str)],
    /// Names of stickers.
    pub stickers: &'a [&'a str],
    /// Whether the author is a bot.
    pub bot: bool,
    /// More fields of the message object, as `poll`, `message_snapshots`, `embeds`, `webhook_id`.
    pub fields: Option<&'a Value>,
}

/// The listening task and the guard whose end ends all connections.
#[derive(Debug)]
struct Running {
    guard: DropGuard,
    task: tokio::task::JoinHandle<()>,
}

/// Changes that a slow watcher may lag behind before it loses some.
const CHANGES: usize = 4096;

/// How long a stop waits for what is being answered.
const STOP_LIMIT: Duration = Duration::from_secs(2);

impl SimDiscord {
    /// Listens, and answers from the moment this returns.
    pub async fn start(config: SimDiscordConfig) -> io::Result<Self> {
        Self::start_with(config, Router::new()).await
    }

    /// As [`SimDiscord::start`], with a check of everything that clients send. It is dropped with the last clone.
    pub async fn start_checked(config: SimDiscordConfig, check: Arc<dyn RequestCheck>) -> io::Result<Self> {
        Self::launch(config, Router::new(), Some(check)).await
    }

    /// As [`SimDiscord::start`], with more routes on the same port: none of them may be one of the stand-in's own.
    pub async fn start_with(config: SimDiscordConfig, more: Router) -> io::Result<Self> {
        Self::launch(config, more, None).await
    }

    async fn launch(config: SimDiscordConfig, more: Router, check: Option<Arc<dyn RequestCheck>>) -> io::Result<Self> {
        let port = ReservedPort::reserve(config.port)?;
        let (address, listener) = (port.address(), port.listen().await?);
        let (changes, _) = broadcast::channel(CHANGES);
        let mut state = SimState::new(&config, changes.clone());
        state.base_url = format!("http://{address}");
        let hub = Arc::new(Hub {
            token: config.token,
            heartbeat_interval: config.heartbeat_interval,
            gateway_limits: config.gateway_limits,
            changes,
            version: watch::Sender::new(0),
            state: Mutex::new(state),
            check: check.as_ref().map(Arc::downgrade),
        });
        let routes = router(Arc::clone(&hub)).merge(more);
        let running = serve(routes.clone(), listener, Arc::clone(&hub));
        Ok(Self { _check: check, hub, port: Arc::new(port), routes, running: Arc::new(Mutex::new(Some(running))) })
    }

    /// As `http://127.0.0.1:PORT`: what `discord.api_base` is set to, and where the page is.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// An outage: every connection breaks and new ones are refused. State and sessions stay.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { guard, task }) = running else { return };
        drop(guard);
        let abort = task.abort_handle();
        match tokio::time::timeout(STOP_LIMIT, task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "The Discord stand-in did not stop in order"),
            Err(_) => abort.abort(),
        }
        if !self.wait_for(STOP_LIMIT, |state| state.stats().open_sockets == 0).await {
            tracing::warn!("The Discord stand-in has gateway connections that do not end");
        }
    }

    /// The end of an outage, on the same port.
    pub async fn restart(&self) -> io::Result<()> {
        self.stop().await;
        let listener = self.port.listen().await?;
        let running = serve(self.routes.clone(), listener, Arc::clone(&self.hub));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(())
    }

    /// The messages of a channel that are kept, oldest first.
    #[must_use]
    pub fn messages(&self, channel: u64) -> Vec<Arc<SimMessage>> {
        self.hub.read(|state| state.messages(channel).cloned().collect())
    }

    /// Counts until now.
    #[must_use]
    pub fn stats(&self) -> SimStats {
        self.hub.read(SimState::stats)
    }

    /// Looks at the state. The closure runs under the lock: it must not call the stand-in.
    pub fn read<T>(&self, look: impl FnOnce(&SimState) -> T) -> T {
        self.hub.read(look)
    }

    /// Waits until the state is as wanted; `false` if it is not by the deadline. The predicate runs under the lock.
    pub async fn wait_for(&self, deadline: Duration, wanted: impl Fn(&SimState) -> bool) -> bool {
        let deadline = Instant::now() + deadline;
        let mut version = self.hub.version.subscribe();
        while !self.hub.read(&wanted) {
            match tokio::time::timeout_at(deadline, version.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return self.hub.read(&wanted),
            }
        }
        true
    }

    /// What happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.hub.changes.subscribe()
    }

    /// A user writes. The user becomes a member if the name is new. Returns the message's id.
    pub fn say(&self, channel: u64, author: &str, text: &str) -> Result<u64, ApiError> {
        self.hub.change(|state| {
            let author = state.user(author);
            state.post(channel, author, Draft::text(text)).map(|message| message.id)
        })
    }

    /// A user writes something with more to it: a reply, files (name and text), stickers, as a bot.
    pub fn post_as(&self, channel: u64, author: &str, post: SimPost<'_>) -> Result<u64, ApiError> {
        self.hub.change(|state| {
            let author = SimUser { bot: post.bot, ..state.user(author) };
            let file = |(name, text): &(&str, &str)| Upload {
                number: 0,
                filename: (*name).into(),
                description: None,
                bytes: text.as_bytes().to_vec().into(),
            };
            let draft = Draft {
                reply_to: post.reply_to,
                files: post.files.iter().map(file).collect(),
                stickers: post.stickers.iter().map(ToString::to_string).collect(),
                fields: post.fields.cloned().unwrap_or_default(),
                ..Draft::text(post.text)
            };
            state.post(channel, author, draft).map(|message| message.id)
        })
    }

    /// A user changes what they wrote.
    pub fn edit_message(&self, channel: u64, message: u64, text: &str) -> Result<(), ApiError> {
        self.hub.change(|state| state.edit(channel, message, |message| text.clone_into(&mut message.content)).map(drop))
    }

    /// A user deletes what they wrote.
    pub fn delete_message(&self, channel: u64, message: u64) -> Result<(), ApiError> {
        self.hub.change(|state| state.delete(channel, message))
    }

    /// Switches a fault on. Of several that fit a request, the one set first strikes.
    pub fn set_fault(&self, fault: Fault) {
        self.hub.change(|state| state.faults.add(fault));
    }

    /// Random faults, or no more.
    pub fn set_chaos(&self, chaos: Option<Chaos>) {
        self.hub.change(|state| state.faults.set_chaos(chaos));
    }

    /// Switches all faults off, those of the gateway included. Requests that hang go on hanging.
    pub fn clear_faults(&self) {
        self.hub.change(|state| {
            state.faults.clear();
            state.gateway_faults = GatewayFaults::default();
        });
    }

    /// New rate limits, with full buckets.
    pub fn set_limits(&self, limits: RateLimits) {
        self.hub.change(|state| state.limiter = Limiter::new(limits));
    }

    /// As if the time in which nonces are remembered were over.
    pub fn forget_nonces(&self) {
        self.hub.change(SimState::forget_nonces);
    }

    /// A user calls a registered command with these options, an array. Returns the interaction's id.
    pub fn interact(&self, channel: u64, caller: &str, command: &str, options: &Value) -> Result<u64, ApiError> {
        self.hub.change(|state| interactions::call(state, channel, caller, command, options))
    }

    /// A user presses the button `custom_id` of the reply to the interaction `answer`. Returns the interaction's id.
    pub fn press(&self, caller: &str, answer: u64, custom_id: &str) -> Result<u64, ApiError> {
        self.hub.change(|state| {
            let message = interactions::reply(state, answer).ok_or_else(ApiError::unknown_message)?;
            interactions::press(state, message.channel, caller, message.id, custom_id)
        })
    }

    /// What the bot let choose from, for a call with an option that is `focused`; an array.
    #[must_use]
    pub fn choices(&self, id: u64) -> Option<Value> {
        self.hub.read(|state| interactions::choices(state, id))
    }

    /// Gives a user roles by id, and permission bits beyond everyone's, in place of those before.
    pub fn set_standing(&self, user: &str, roles: &[u64], permissions: u64) {
        let standing = state::Standing { roles: roles.to_vec(), permissions };
        self.hub.change(|state| state.standings.insert(user.to_owned(), standing));
    }

    /// A member calls themselves `nick` here.
    pub fn set_nick(&self, user: &str, nick: &str) {
        self.hub.change(|state| state.nicks.insert(user.to_owned(), nick.to_owned()));
    }

    /// Replaces fields of a channel's object, an object by field, as `type` or `permission_overwrites`.
    pub fn set_channel_fields(&self, channel: u64, fields: &Value) {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.hub.change(|state| state.channel_fields.entry(channel).or_default().extend(fields));
    }

    /// What the bot replied to a call of [`SimDiscord::interact`]; a reply only the caller sees included.
    #[must_use]
    pub fn interaction_reply(&self, id: u64) -> Option<Arc<SimMessage>> {
        self.hub.read(|state| interactions::reply(state, id))
    }

    /// Any event, as `INTERACTION_CREATE`, to every session, whatever its intents.
    pub fn dispatch(&self, event: &str, data: &Value) {
        self.hub.change(|state| state.sessions.dispatch(0, event, |_| data.clone()));
    }
}

fn serve(routes: Router, listener: TcpListener, hub: Arc<Hub>) -> Running {
    let all = CancellationToken::new();
    let stopped = all.clone().cancelled_owned();
    let listener = CuttableListener { listener, all: all.clone(), hub };
    let service = routes.into_make_service_with_connect_info::<Peer>();
    let task = tokio::spawn(async move {
        let server = axum::serve(listener, service).with_graceful_shutdown(stopped);
        if let Err(error) = server.await {
            tracing::warn!(%error, "The Discord stand-in has stopped");
        }
    });
    Running { guard: all.drop_guard(), task }
}

fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/", get(web::page))
        .route("/gateway", get(gateway::connect))
        .route("/gateway/", get(gateway::connect))
        .route("/gateway/resume", get(gateway::connect_to_resume))
        .route("/gateway/resume/", get(gateway::connect_to_resume))
        .route("/sim/state", get(web::state))
        .route("/sim/events", get(web::events))
        .route("/sim/commands", get(web_user::commands))
        .route("/sim/say", post(web_user::say))
        .route("/sim/edit", post(web_user::edit))
        .route("/sim/delete", post(web_user::delete))
        .route("/sim/interact", post(web_user::interact))
        .route("/sim/press", post(web_user::press))
        .route("/sim/autocomplete", post(web_user::autocomplete))
        .route("/sim/attachments/{message}/{index}", get(web::attachment))
        .route("/api/{*path}", any(rest::answer))
        .layer(DefaultBodyLimit::disable())
        .with_state(hub)
}
