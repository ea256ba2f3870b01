//! The handle callers hold: it checks a command, lets it wait its turn, and brings the answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{counter, gauge};
use opentelemetry::KeyValue;
use secrecy::SecretString;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::actor::RconActor;
use super::command_line::CommandLine;
use super::error::RconError;
use super::guard::lua_command;
use super::queue::{Queue, Request};
use crate::config::settings::RconSettings;
use crate::domain::ServerTag;
use crate::health::{Component, ComponentHandle, HealthRegistry};
use crate::supervisor::Backoff;
use crate::telemetry::metrics::{ErrorType, RCON_COMMANDS, RCON_CONNECTED, count_error};
use crate::telemetry::traces;

/// Who asks: people are served before samplers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for the answer, or wrote the chat.
    Person,
    /// A timer asks, and will ask again.
    Sampler,
}

/// The game's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the game said, as it said it, without the last line end. Bytes that are no UTF-8 became `U+FFFD`.
    pub text: String,
    /// From sending to the answer.
    pub took: Duration,
}

/// How the connection to a game is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Not yet known, or just lost: commands wait.
    Connecting,
    /// Commands are sent.
    Up,
    /// The last attempt failed with this: commands fail with it at once.
    Down(RconError),
    /// The program stops.
    Stopping,
}

/// Which game, and how to log in. `Debug` shows no password.
#[derive(Debug, Clone)]
pub struct RconTarget {
    /// The server it belongs to.
    pub server: ServerTag,
    /// Name or address.
    pub host: String,
    /// The game's `--rcon-port`.
    pub port: u16,
    /// The game's `--rcon-password`.
    pub password: SecretString,
    /// Whether commands that disable achievements may be sent.
    pub allow_lua: bool,
}

impl RconTarget {
    /// What `[servers.TAG.rcon]` says.
    #[must_use]
    pub fn of(server: &ServerTag, settings: &RconSettings) -> Self {
        Self {
            server: server.clone(),
            host: settings.host.clone(),
            port: settings.port,
            password: settings.password.clone(),
            allow_lua: settings.allow_lua,
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RconTimes {
    /// For the TCP connection, and again for the login. 15 s: a blocking save holds the login up, too.
    pub connect: Duration,
    /// From sending a command to its answer, where the caller says nothing else. 15 s.
    pub command: Duration,
    /// For its turn to be sent. 30 s.
    pub queue: Duration,
    /// Between attempts to connect.
    pub backoff: Backoff,
}

impl Default for RconTimes {
    fn default() -> Self {
        let (connect, command) = (Duration::from_secs(15), Duration::from_secs(15));
        Self { connect, command, queue: Duration::from_secs(30), backoff: Backoff::default() }
    }
}

/// What the handles and the actor of one server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) target: RconTarget,
    pub(super) times: RconTimes,
    pub(super) queue: Queue,
    pub(super) link: watch::Sender<LinkState>,
    pub(super) health: ComponentHandle,
    /// Whether the game's replies cannot be parsed.
    unreadable: AtomicBool,
}

/// A game that answers in a language other than English.
const UNREADABLE: &str = "The game's answers to `/time` and `/players` cannot be read, probably because it does not run in \
    English; who is in the game is known from its log alone. Set `locale=en` below `[general]` in the game's \
    `config/config.ini` and restart the game";

impl Shared {
    pub(super) fn count(error: &RconError) {
        if let Some(kind) = error.error_type() {
            count_error(Component::Rcon.as_str(), kind);
        }
    }

    /// The game has answered a command: only that proves that the connection works.
    pub(super) fn answered(&self) {
        if self.unreadable.load(Ordering::Relaxed) {
            self.health.degraded(UNREADABLE);
        } else {
            self.health.healthy();
        }
    }

    /// Tells everybody how the connection is from now on.
    pub(super) fn link_is(&self, state: LinkState) {
        let up = f64::from(u8::from(state == LinkState::Up));
        gauge!(RCON_CONNECTED, "server" => self.target.server.to_string()).set(up);
        self.link.send_replace(state);
    }
}

/// Sends commands to one game. Clones send to the same, over the same connection.
#[derive(Clone)]
pub struct RconClient {
    shared: Arc<Shared>,
}

/// A handle for `target` and the actor that serves it, which the supervisor runs. Health is reported as `TAG/rcon`.
#[must_use]
pub fn connect(target: RconTarget, times: RconTimes, health: &HealthRegistry) -> (RconClient, RconActor) {
    let part = health.server_part(Component::Rcon, &target.server, "rcon");
    let queue = Queue::new(target.server.clone());
    let link = watch::Sender::new(LinkState::Connecting);
    let shared = Arc::new(Shared { target, times, queue, link, health: part, unreadable: AtomicBool::new(false) });
    (RconClient { shared: shared.clone() }, RconActor::new(shared))
}

impl RconClient {
    /// Which server this is.
    #[must_use]
    pub fn server(&self) -> &ServerTag {
        &self.shared.target.server
    }

    /// Whether commands that disable achievements may be sent.
    #[must_use]
    pub fn allows_lua(&self) -> bool {
        self.shared.target.allow_lua
    }

    /// How the connection is, now and as it changes.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.shared.link.subscribe()
    }

    /// Reports whether the replies of the game can be parsed. A change is logged once and shown by health.
    pub fn set_replies_readable(&self, readable: bool) {
        if self.shared.unreadable.swap(!readable, Ordering::Relaxed) != readable {
            return;
        }
        if readable {
            info!(server = %self.server(), "The game's RCON replies can be parsed again");
        } else {
            warn!(server = %self.server(), reason = UNREADABLE, "Failed to parse the game's RCON replies; using its log");
        }
        self.shared.answered();
    }

    /// Sends one command and waits for its answer, `limit` (default [`RconTimes::command`]) from the sending on.
    ///
    /// While the game is known to be away, this fails at once. A command is sent at most once, but for a Lua command
    /// that the game swallowed with its warning. Dropping the future withdraws a command that was not sent yet; one
    /// that was sent runs, and its answer is thrown away.
    pub async fn command(
        &self,
        priority: Priority,
        command: impl Into<CommandLine>,
        limit: Option<Duration>,
    ) -> Result<Reply, RconError> {
        let line = command.into();
        let verb = line.command_name().to_owned();
        let span = tracing::info_span!("rcon.command", otel.kind = "client", server = %self.server(), verb);
        if traces::on() {
            self.describe(&span, priority, &line);
        }
        let work = self.send(priority, line, limit.unwrap_or(self.shared.times.command)).instrument(span.clone());
        let reply = work.await.inspect_err(|error| {
            traces::failed(&span, error.error_type().map_or("not_sent", ErrorType::as_str), error);
            if matches!(error, RconError::QueueFull | RconError::WaitedTooLong(_)) {
                Shared::count(error);
            }
        });
        let outcome = reply.as_ref().map_or_else(RconError::outcome, |_| "answered");
        counter!(RCON_COMMANDS, "server" => self.server().to_string(), "outcome" => outcome).increment(1);
        reply
    }

    /// What the span says beside the name.
    fn describe(&self, span: &tracing::Span, priority: Priority, line: &CommandLine) {
        let RconTarget { host, port, .. } = &self.shared.target;
        span.set_attribute("server.address", host.clone());
        span.set_attribute("server.port", i64::from(*port));
        span.set_attribute("priority", if priority == Priority::Person { "person" } else { "sampler" });
        if let Some(text) = traces::text(&line.without_secrets()) {
            span.set_attribute("command", text);
        }
    }

    async fn send(&self, priority: Priority, line: CommandLine, limit: Duration) -> Result<Reply, RconError> {
        self.check(&line)?;
        match &*self.shared.link.borrow() {
            LinkState::Down(error) => return Err(error.clone().before_sending()),
            LinkState::Stopping => return Err(RconError::Stopping),
            LinkState::Connecting | LinkState::Up => {}
        }
        let (started, mut start) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        self.shared.queue.push(priority, Request { line, timeout: limit, started, answer })?;
        let patience = self.shared.times.queue;
        let asked = Instant::now();
        let sent = if let Ok(started) = timeout(patience, &mut start).await {
            started.is_ok()
        } else {
            start.close();
            // It may have been sent between the end of the patience and this line.
            start.try_recv().map_err(|_| RconError::WaitedTooLong(patience))?;
            true
        };
        traces::annotate(|| [KeyValue::new("waited.queue_seconds", asked.elapsed().as_secs_f64())]);
        let answer = answered.await.unwrap_or(Err(RconError::Crashed));
        if sent { answer } else { answer.map_err(RconError::before_sending) }
    }

    /// The achievement guard.
    fn check(&self, line: &CommandLine) -> Result<(), RconError> {
        match lua_command(line.as_str()) {
            Some(lua) if !self.shared.target.allow_lua => Err(RconError::LuaNotAllowed { command: lua.name }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for RconClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RconClient").field("server", self.server()).finish_non_exhaustive()
    }
}
