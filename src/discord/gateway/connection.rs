//! One connection: HELLO, IDENTIFY or RESUME, then heartbeats, dispatches and presence until it ends.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use crate::discord::dispatch::{Dispatches, GatewayEvent};
use crate::discord::status::Presence;
use crate::telemetry::metrics::STATUS_UPDATES;

use super::GatewayTimings;
use super::disconnect::Disconnect;
use super::events::{route, undecodable};
use super::heartbeat::Heartbeat;
use super::payload::{self, Hello, LONGEST_PAYLOAD, Payload};
use super::report::{Greeting, Report};
use super::send_limit::SendLimit;
use super::session::Session;
use super::socket::Socket;

/// The close code with which a session stays resumable. Discord ends a session on 1000 and 1001.
const CLOSE_TO_RESUME: u16 = 4900;
/// The close code that ends the session.
pub(super) const CLOSE_FOR_GOOD: u16 = 1000;

/// The presence that Discord shows, kept across connections.
#[derive(Debug, Default)]
pub(super) struct ShownPresence {
    shown: Option<Presence>,
    sent: Option<Instant>,
    /// Whether Discord has certainly received it: it answered something that was sent later.
    confirmed: bool,
}

impl ShownPresence {
    /// A presence that was written shortly before the end may never have arrived: it is sent again.
    pub(super) fn connection_ended(&mut self) {
        if !self.confirmed {
            self.shown = None;
        }
    }

    /// Discord answered a heartbeat that was sent at `heartbeat`.
    fn acknowledged(&mut self, heartbeat: Instant) {
        self.confirmed |= self.sent.is_none_or(|sent| sent <= heartbeat);
    }
}

/// What a connection works with, besides its socket.
pub(super) struct Context<'a> {
    pub(super) token: &'a str,
    pub(super) dispatches: &'a Dispatches,
    pub(super) timings: &'a GatewayTimings,
    pub(super) session: &'a mut Option<Session>,
    pub(super) presence: &'a mut ShownPresence,
}

/// A connection after HELLO.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    heartbeat: Heartbeat,
    sends: SendLimit,
    /// Changes of the wanted presence.
    wanted: Option<watch::Receiver<Option<Presence>>>,
}

/// The result of one step of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Greeted(Greeting),
    Acknowledged(std::time::Duration),
    /// Anything else.
    Other,
}

impl Connection {
    /// Connects to `address` and waits for HELLO.
    pub(super) async fn open(
        address: &str,
        tls: Option<Arc<ClientConfig>>,
        context: &Context<'_>,
    ) -> Result<Self, Disconnect> {
        let timings = context.timings;
        let mut socket = Socket::connect(address, tls, timings).await?;
        let hello = timeout(timings.hello, hello(&mut socket));
        let hello = hello.await.map_err(|_| Disconnect::HelloTimeout(timings.hello))??;
        let interval = std::time::Duration::from_millis(hello.heartbeat_interval);
        Ok(Self {
            socket,
            heartbeat: Heartbeat::new(interval, timings, Instant::now()),
            sends: SendLimit::default(),
            wanted: context.dispatches.wanted_presence(),
        })
    }

    /// Sends RESUME where there is a session, else IDENTIFY, and waits for RESUMED or READY.
    pub(super) async fn greet(&mut self, context: &mut Context<'_>) -> Result<Greeting, Disconnect> {
        let command = self.send_greeting(context).await?;
        let limit = context.timings.greeting;
        let mut deadline = Instant::now() + limit;
        loop {
            let before = context.session.as_ref().map(|session| session.sequence);
            let step = tokio::select! {
                step = self.step(context, false) => step?,
                () = sleep_until(deadline) => return Err(Disconnect::GreetingTimeout { command, limit }),
            };
            if let Step::Greeted(greeting) = step {
                return Ok(greeting);
            }
            // A long replay may take its time as long as it goes on.
            if context.session.as_ref().map(|session| session.sequence) != before {
                deadline = Instant::now() + limit;
            }
        }
    }

    async fn send_greeting(&mut self, context: &mut Context<'_>) -> Result<&'static str, Disconnect> {
        if let Some(session) = context.session.as_ref() {
            self.send(payload::resume(context.token, session)).await?;
            return Ok("RESUME");
        }
        let wanted = self.wanted.as_ref().and_then(|wanted| wanted.borrow().clone());
        let intents = context.dispatches.intents().bits();
        *context.presence = ShownPresence { sent: wanted.as_ref().map(|_| Instant::now()), ..ShownPresence::default() };
        self.send(payload::identify(context.token, intents, wanted.as_ref())).await?;
        context.presence.shown = wanted;
        Ok("IDENTIFY")
    }

    /// Serves the connection until it ends.
    pub(super) async fn run(&mut self, context: &mut Context<'_>, report: &Report) -> Disconnect {
        loop {
            match self.step(context, true).await {
                Ok(Step::Acknowledged(latency)) => report.acknowledged(latency),
                Ok(_) => {}
                Err(end) => return end,
            }
        }
    }

    /// Closes the connection in the way that fits `end`.
    pub(super) async fn close(self, end: &Disconnect) {
        match end {
            Disconnect::Closed { .. } | Disconnect::ClosedWithoutCode => self.socket.confirm_close().await,
            Disconnect::Eof | Disconnect::Broken(_) => drop(self.socket),
            Disconnect::InvalidSession { resumable: false } => self.socket.close(CLOSE_FOR_GOOD).await,
            _ => self.socket.close(CLOSE_TO_RESUME).await,
        }
    }

    /// Ends the session and the connection.
    pub(super) async fn close_for_good(self) {
        self.socket.close(CLOSE_FOR_GOOD).await;
    }

    /// Waits for what comes next: a payload, a timer or a change of the presence.
    async fn step(&mut self, context: &mut Context<'_>, is_up: bool) -> Result<Step, Disconnect> {
        let now = Instant::now();
        let presence_due = if is_up { self.presence_due(context, now) } else { None };
        let wanted = self.wanted.as_mut().filter(|_| is_up && presence_due.is_none());
        tokio::select! {
            text = self.socket.next() => self.receive(text?.as_str(), context).await,
            () = sleep_until(self.heartbeat.due()) => self.send_heartbeat(context).await,
            () = at(self.heartbeat.expires()) => Err(Disconnect::AckTimeout(self.heartbeat.limit())),
            () = at(presence_due) => self.send_presence(context).await,
            () = changed(wanted) => Ok(Step::Other),
        }
    }

    async fn receive(&mut self, text: &str, context: &mut Context<'_>) -> Result<Step, Disconnect> {
        let payload: Payload<'_> = match serde_json::from_str(text) {
            Ok(payload) => payload,
            Err(error) => {
                undecodable("envelope", &error);
                return Ok(Step::Other);
            }
        };
        match payload.op {
            0 => dispatch(&payload, context),
            1 => self.send_heartbeat(context).await,
            7 => Err(Disconnect::ReconnectRequested),
            9 => Err(Disconnect::InvalidSession { resumable: payload.data() == "true" }),
            11 => {
                let Some(sent) = self.heartbeat.acknowledged() else { return Ok(Step::Other) };
                context.presence.acknowledged(sent);
                Ok(Step::Acknowledged(sent.elapsed()))
            }
            op => {
                debug!(op, "Skipped a gateway payload with an unexpected opcode");
                Ok(Step::Other)
            }
        }
    }

    async fn send_heartbeat(&mut self, context: &Context<'_>) -> Result<Step, Disconnect> {
        let now = Instant::now();
        let allowed = self.sends.heartbeat_free_at(now);
        if allowed > now {
            let wait_seconds = (allowed - now).as_secs_f64();
            warn!(wait_seconds, "Too many gateway payloads within a minute; postponing a heartbeat");
            self.heartbeat.postpone(allowed);
            return Ok(Step::Other);
        }
        self.send(payload::heartbeat(context.session.as_ref().map(|session| session.sequence))).await?;
        self.heartbeat.sent(now);
        Ok(Step::Other)
    }

    /// When the wanted presence may be sent; `None` = Discord shows it already, or none is wanted.
    fn presence_due(&mut self, context: &Context<'_>, now: Instant) -> Option<Instant> {
        let wanted = self.wanted.as_mut()?.borrow_and_update().clone()?;
        if context.presence.shown.as_ref() == Some(&wanted) {
            return None;
        }
        let gap_ends = context.presence.sent.map_or(now, |sent| sent + context.timings.presence_gap);
        Some(gap_ends.max(self.sends.free_at(now)))
    }

    async fn send_presence(&mut self, context: &mut Context<'_>) -> Result<Step, Disconnect> {
        let Some(wanted) = self.wanted.as_ref().and_then(|wanted| wanted.borrow().clone()) else {
            return Ok(Step::Other);
        };
        let text = payload::update_presence(&wanted);
        // It counts as unsent until the write has succeeded: if this connection ends, the next one sends it.
        *context.presence = ShownPresence { sent: Some(Instant::now()), ..ShownPresence::default() };
        if text.len() > LONGEST_PAYLOAD {
            warn!(bytes = text.len(), "The bot's status is longer than Discord accepts; skipping it");
        } else {
            self.send(text).await?;
            metrics::counter!(STATUS_UPDATES, "what" => "presence", "outcome" => "done").increment(1);
        }
        context.presence.shown = Some(wanted);
        Ok(Step::Other)
    }

    async fn send(&mut self, payload: String) -> Result<(), Disconnect> {
        self.sends.record(Instant::now());
        self.socket.send(payload).await
    }
}

/// Waits for HELLO. Whatever arrives before it is skipped.
async fn hello(socket: &mut Socket) -> Result<Hello, Disconnect> {
    loop {
        let text = socket.next().await?;
        let Some(payload) = decode::<Payload<'_>>(&text) else { continue };
        match payload.op {
            10 => {
                if let Ok(hello) = serde_json::from_str(payload.data()) {
                    return Ok(hello);
                }
                return Err(Disconnect::Protocol("HELLO has no heartbeat_interval".to_owned()));
            }
            7 => return Err(Disconnect::ReconnectRequested),
            op => debug!(op, "Skipped a gateway payload before HELLO"),
        }
    }
}

fn decode<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Option<T> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            undecodable("envelope", &error);
            None
        }
    }
}

/// Op 0. The sequence number counts on receipt, whatever the event is.
fn dispatch(payload: &Payload<'_>, context: &mut Context<'_>) -> Result<Step, Disconnect> {
    let name = payload.t.as_deref().unwrap_or_default();
    if name == "READY" {
        return ready(payload, context);
    }
    if let (Some(session), Some(sequence)) = (context.session.as_mut(), payload.s) {
        session.sequence = session.sequence.max(sequence);
    }
    if name == "RESUMED" {
        let no_session = || Disconnect::Protocol("RESUMED without a session".to_owned());
        context.session.as_ref().ok_or_else(no_session)?;
        return Ok(Step::Greeted(Greeting::Resumed));
    }
    route(name, payload.data(), context.dispatches);
    Ok(Step::Other)
}

/// A new session: what happened before it was not sent and must be asked for by REST.
fn ready(payload: &Payload<'_>, context: &mut Context<'_>) -> Result<Step, Disconnect> {
    let session = Session::from_ready(payload.data(), payload.s.unwrap_or_default());
    *context.session = Some(session.ok_or(Disconnect::NoSession)?);
    // READY answers IDENTIFY, which contained the presence.
    context.presence.confirmed = true;
    context.dispatches.event(GatewayEvent::Ready);
    Ok(Step::Greeted(Greeting::Ready))
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

async fn changed(wanted: Option<&mut watch::Receiver<Option<Presence>>>) {
    let Some(wanted) = wanted else { return std::future::pending().await };
    if wanted.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
