//! One serenity client on a thread and a runtime of its own.
//!
//! Some close frames make serenity spin until the next heartbeat, which freezes every task of its runtime; and a client
//! that is only dropped may come back. Both end with the runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret;
use serenity::Error;
use serenity::all::{
    CollectorCallback, Context, Event, EventHandler, Interaction, MessageId, OnlineStatus, Ready, ResumedEvent,
    ShardId, ShardMessenger,
};
use serenity::client::ClientBuilder;
use serenity::gateway::{ActivityData, GatewayError, ShardManager};
use serenity::http::{Http, HttpBuilder};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::config::settings::DiscordSettings;
use crate::telemetry::metrics::ErrorType;

use super::dispatch::{Dispatches, GatewayEvent};
use super::error_class::TOKEN_REFUSED;
use super::gateway::GatewayTimes;
use super::rest::Rest;
use super::status::Presence;
use super::watchdog::{Shard, Signal};

/// How long a look at the shard may wait for serenity's lock.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// We were told to stop.
    Stopped,
    /// Somebody must change something first.
    Refused(String, ErrorType),
    /// The privileged intents must be switched on first.
    IntentsRefused,
    /// The next one may fare better.
    Failed(String),
}

/// A running session, seen from the program's own runtime.
#[derive(Debug)]
pub(super) struct Session {
    times: GatewayTimes,
    stop: CancellationToken,
    pulse: watch::Receiver<Instant>,
    manager: watch::Receiver<Option<Arc<ShardManager>>>,
    signals: mpsc::UnboundedReceiver<Signal>,
    ended: oneshot::Receiver<End>,
    /// The shard at the last look.
    seen: Option<Shard>,
}

/// What the session's thread needs.
struct Plan {
    http: Http,
    dispatches: Dispatches,
    gateway_url: String,
    times: GatewayTimes,
    stop: CancellationToken,
    pulse: watch::Sender<Instant>,
    manager: watch::Sender<Option<Arc<ShardManager>>>,
    signals: mpsc::UnboundedSender<Signal>,
}

impl Session {
    /// Starts a session with the gateway at `gateway_url`.
    pub(super) fn start(
        settings: &DiscordSettings,
        dispatches: Dispatches,
        gateway_url: String,
        times: GatewayTimes,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (pulse, pulse_seen) = watch::channel(Instant::now());
        let (manager, manager_seen) = watch::channel(None);
        let (signals, signals_seen) = mpsc::unbounded_channel();
        let (ended, ended_seen) = oneshot::channel();
        let http = serenity_http(settings)?;
        let plan = Plan { http, dispatches, gateway_url, times, stop: stop.clone(), pulse, manager, signals };
        std::thread::Builder::new()
            .name("discord-gateway".to_owned())
            .spawn(move || {
                let end = run_thread(plan);
                // Nobody listens any more when the session was given up.
                drop(ended.send(end));
            })
            .context("cannot start the gateway's thread")?;
        Ok(Self {
            times,
            stop,
            pulse: pulse_seen,
            manager: manager_seen,
            signals: signals_seen,
            ended: ended_seen,
            seen: None,
        })
    }

    /// When the session's runtime last showed that it moves.
    pub(super) fn pulse(&self) -> Instant {
        *self.pulse.borrow()
    }

    /// The shard as serenity has it, `None` while there is none. A busy serenity has what it had before.
    pub(super) async fn shard(&mut self) -> Option<Shard> {
        let manager = self.manager.borrow().clone()?;
        if let Ok(runners) = timeout(LOCK_PATIENCE, manager.runners.lock()).await {
            let shard = runners.get(&ShardId(0));
            self.seen = shard.map(|runner| Shard { stage: runner.stage, latency: runner.latency });
        }
        self.seen
    }

    /// Gives the bot its own status. `false` while serenity has no shard to say it to.
    pub(super) async fn show(&self, presence: &Presence) -> bool {
        let Some(manager) = self.manager.borrow().clone() else { return false };
        let Ok(runners) = timeout(LOCK_PATIENCE, manager.runners.lock()).await else { return false };
        let Some(shard) = runners.get(&ShardId(0)) else { return false };
        let status = if presence.idle { OnlineStatus::Idle } else { OnlineStatus::Online };
        shard.runner_tx.set_presence(Some(ActivityData::custom(&presence.text)), status);
        true
    }

    /// Waits for what serenity reports next, or for a session that ends by itself.
    pub(super) async fn next(&mut self) -> Result<Signal, End> {
        tokio::select! {
            Some(signal) = self.signals.recv() => Ok(signal),
            end = &mut self.ended => {
                Err(end.unwrap_or_else(|_| End::Failed("the gateway's thread panicked".to_owned())))
            }
        }
    }

    /// Closes the connection if it can be closed, and takes the runtime down in any case.
    pub(super) async fn stop(mut self) {
        self.close().await;
        self.stop.cancel();
        if !self.ended.is_terminated() && timeout(self.times.stop * 2, &mut self.ended).await.is_err() {
            warn!("The gateway's thread does not end");
        }
    }

    async fn close(&self) {
        let manager = self.manager.borrow().clone();
        if let Some(manager) = manager
            && !self.ended.is_terminated()
            && timeout(self.times.stop, manager.shutdown_all()).await.is_err()
        {
            debug!("The gateway connection did not close in time");
        }
    }
}

/// Serenity's own requests: an HTTP client of their own, because connections belong to the runtime that opened them.
fn serenity_http(settings: &DiscordSettings) -> anyhow::Result<Http> {
    let rest = Rest::new(settings)?;
    let builder = HttpBuilder::new(settings.token.expose_secret().trim()).client(rest.http());
    Ok(match settings.api_base {
        // Without this, serenity ignores the address while its rate limiter is on.
        Some(_) => builder.proxy(rest.base()).ratelimiter_disabled(true).build(),
        None => builder.build(),
    })
}

fn run_thread(plan: Plan) -> End {
    let runtime = match Builder::new_multi_thread().worker_threads(1).thread_name("discord").enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return End::Failed(format!("cannot start the gateway's runtime: {error}")),
    };
    let (stop, patience) = (plan.stop.clone(), plan.times.stop);
    let end = run_client(&runtime, plan, &stop);
    runtime.shutdown_timeout(patience);
    end
}

fn run_client(runtime: &Runtime, plan: Plan, stop: &CancellationToken) -> End {
    let beat = plan.times.poll;
    let pulse = plan.pulse.clone();
    runtime.spawn(async move {
        loop {
            pulse.send_replace(Instant::now());
            tokio::time::sleep(beat).await;
        }
    });
    let client = runtime.spawn(run_serenity(plan));
    runtime.block_on(async {
        tokio::select! {
            () = stop.cancelled() => End::Stopped,
            end = client => end.unwrap_or_else(|_| End::Failed("the gateway client panicked".to_owned())),
        }
    })
}

async fn run_serenity(plan: Plan) -> End {
    let intents = plan.dispatches.intents();
    let handler = Handler { signals: plan.signals, dispatches: plan.dispatches, greetings: Arc::default() };
    let mut client = match ClientBuilder::new_with_http(plan.http, intents).event_handler(handler).await {
        Ok(client) => client,
        Err(error) => return end_of(&error),
    };
    // Where serenity's own question for the address fails, it would connect to the real Discord.
    *client.ws_url.lock().await = plan.gateway_url;
    plan.manager.send_replace(Some(client.shard_manager.clone()));
    match client.start().await {
        Ok(()) => End::Failed("the gateway client ended without a word".to_owned()),
        Err(error) => end_of(&error),
    }
}

/// Serenity's errors are shown by `Display` only: their `Debug` has tokens in it.
fn end_of(error: &Error) -> End {
    match error {
        Error::Gateway(GatewayError::InvalidAuthentication) => End::Refused(TOKEN_REFUSED.to_owned(), ErrorType::Auth),
        Error::Gateway(GatewayError::DisallowedGatewayIntents) => End::IntentsRefused,
        Error::Gateway(GatewayError::InvalidGatewayIntents) => {
            let reason = "Discord does not know the bot's intents: a newer version of this program may help";
            End::Refused(reason.to_owned(), ErrorType::Other)
        }
        other => End::Failed(other.to_string()),
    }
}

struct Handler {
    signals: mpsc::UnboundedSender<Signal>,
    dispatches: Dispatches,
    /// Counts the greetings: only what listens since the last one is heard.
    greetings: Arc<AtomicU64>,
}

impl Handler {
    fn tell(&self, signal: Signal) {
        if self.signals.send(signal).is_err() {
            debug!(?signal, "A session that was given up still speaks");
        }
    }

    /// Hands on what happens in channels from now on, in the order in which it comes.
    ///
    /// Serenity runs a task for each event it gives to an [`EventHandler`], so that two of one breath may swap places.
    /// What it calls a collector is called by the task that reads the connection, one event after the other
    /// (`ShardRunner::run` of serenity 0.12). It lasts as long as the session, resumes included.
    fn listen(&self, shard: &ShardMessenger) {
        let (dispatches, greetings) = (self.dispatches.clone(), Arc::clone(&self.greetings));
        let this = greetings.fetch_add(1, Ordering::Relaxed) + 1;
        shard.add_collector(CollectorCallback(Box::new(move |event| {
            let current = greetings.load(Ordering::Relaxed) == this;
            if current {
                for event in told(event) {
                    dispatches.event(event);
                }
            }
            current
        })));
    }
}

/// What an event of the gateway means for those who listen to channels.
fn told(event: &Event) -> Vec<GatewayEvent> {
    match event {
        Event::MessageCreate(event) => vec![GatewayEvent::Message(Box::new(event.message.clone()))],
        Event::MessageUpdate(event) => vec![GatewayEvent::MessageUpdate(Box::new(event.clone()))],
        Event::MessageDelete(event) => {
            vec![GatewayEvent::MessageDelete { channel: event.channel_id, message: event.message_id }]
        }
        Event::MessageDeleteBulk(event) => {
            let gone =
                |message: &MessageId| GatewayEvent::MessageDelete { channel: event.channel_id, message: *message };
            event.ids.iter().map(gone).collect()
        }
        _ => Vec::new(),
    }
}

#[serenity::async_trait]
impl EventHandler for Handler {
    /// What was written between the greeting and the listening is asked for like all that was written before it.
    async fn ready(&self, context: Context, ready: Ready) {
        debug!(guilds = ready.guilds.len(), "The gateway session is ready");
        self.tell(Signal::Ready);
        self.listen(&context.shard);
        self.dispatches.event(GatewayEvent::Ready);
    }

    async fn resume(&self, _: Context, _: ResumedEvent) {
        debug!("The gateway session is resumed");
        self.tell(Signal::Resumed);
    }

    async fn interaction_create(&self, _: Context, interaction: Interaction) {
        self.dispatches.interaction(interaction);
    }
}
