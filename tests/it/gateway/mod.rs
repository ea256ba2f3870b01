//! The gateway connection against a gateway that fails in every way a real one does.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod ends;
mod outages;
mod payloads;
mod refusals;
mod scripted;
mod tls;

use std::time::Duration;

use factorio_isr::config::settings::DiscordSettings;
use factorio_isr::discord::{Dispatches, GatewayEvent, GatewayTimings, Inbound, run_gateway_with};
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::sim::discord::{GatewayLimits, RateLimits, SimDiscord, SimDiscordConfig, SimState};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const CHANNEL: u64 = 111;
const DEADLINE: Duration = Duration::from_secs(45);
const USER: &str = "Ada";

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Short waits, so that a test of many reconnects is quick.
fn quick() -> GatewayTimings {
    GatewayTimings {
        connect: millis(1000),
        hello: millis(1000),
        greeting: millis(1000),
        write: millis(1000),
        close: millis(500),
        heartbeat: millis(50)..=Duration::from_mins(2),
        acknowledge: millis(1000)..=millis(2000),
        attempt_gap: millis(20),
        retry_first: millis(50),
        retry_longest: millis(400),
        identify_first: millis(50),
        identify_longest: millis(400),
        invalid_session: millis(20)..=millis(50),
        refused_first: millis(100),
        refused_longest: millis(800),
        unhealthy_after: millis(1500),
        ..GatewayTimings::default()
    }
}

fn settings(base: String) -> DiscordSettings {
    DiscordSettings { token: SimDiscordConfig::default().token.into(), api_base: Some(base), guild_ids: Vec::new() }
}

/// A gateway that accepts IDENTIFYs as often as the quick timings send them.
async fn patient_sim() -> SimDiscord {
    patient_sim_with_heartbeat(SimDiscordConfig::default().heartbeat_interval).await
}

async fn patient_sim_with_heartbeat(heartbeat_interval: Duration) -> SimDiscord {
    let limits = RateLimits::none();
    let config = SimDiscordConfig {
        heartbeat_interval,
        limits,
        gateway_limits: GatewayLimits::none(),
        ..SimDiscordConfig::default()
    };
    crate::discord_sim::start(config).await.unwrap()
}

/// A gateway with Discord's own limits.
async fn strict_sim() -> SimDiscord {
    crate::discord_sim::start(SimDiscordConfig { limits: RateLimits::none(), ..SimDiscordConfig::default() })
        .await
        .unwrap()
}

/// A running gateway connection and what arrived over it.
struct Gateway {
    sim: SimDiscord,
    health: HealthRegistry,
    cancel: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    /// The texts of all messages, and `READY` for each new session, in the order of arrival.
    events: watch::Receiver<Vec<String>>,
}

impl Gateway {
    fn start(sim: &SimDiscord, timings: GatewayTimings) -> Self {
        Self::start_with(sim, settings(sim.base_url()), timings, Dispatches::default())
    }

    fn start_with(
        sim: &SimDiscord,
        settings: DiscordSettings,
        timings: GatewayTimings,
        mut dispatches: Dispatches,
    ) -> Self {
        let (health, cancel) = (HealthRegistry::new(), CancellationToken::new());
        let handle = health.component(Component::Discord);
        let mut incoming = dispatches.messages(Inbound::INTENTS);
        let (collected, events) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Some(event) = incoming.recv().await {
                match event {
                    GatewayEvent::Ready => collected.send_modify(|all| all.push("READY".to_owned())),
                    GatewayEvent::Message(message) => {
                        let text = message.json["content"].as_str().unwrap_or_default().to_owned();
                        collected.send_modify(|all| all.push(text));
                    }
                    _ => {}
                }
            }
        });
        let task = tokio::spawn(run_gateway_with(settings, dispatches, handle, cancel.clone(), timings));
        Self { sim: sim.clone(), health, cancel, task, events }
    }

    async fn connected(sim: &SimDiscord, timings: GatewayTimings) -> Self {
        let gateway = Self::start(sim, timings);
        gateway.is_healthy().await;
        gateway
    }

    fn state(&self) -> ComponentState {
        self.health.state(Component::Discord).unwrap()
    }

    async fn waits_for(&self, what: &str, wanted: impl Fn(&ComponentState) -> bool) -> ComponentState {
        let mut states = self.health.subscribe();
        let reached = timeout(DEADLINE, states.wait_for(|_| wanted(&self.state()))).await;
        assert!(reached.is_ok(), "not {what}: {:?}, {:?}", self.state(), self.sim.stats());
        self.state()
    }

    async fn is_healthy(&self) {
        self.waits_for("healthy", |state| *state == ComponentState::Healthy).await;
    }

    async fn is_unhealthy(&self) -> String {
        let state = self.waits_for("unhealthy", |state| matches!(state, ComponentState::Unhealthy(_))).await;
        state.reason().unwrap().to_owned()
    }

    async fn shows(&self, reason: &str) {
        self.waits_for(reason, |state| state.reason().is_some_and(|shown| shown.contains(reason))).await;
    }

    async fn sees(&self, what: &str, wanted: impl Fn(&SimState) -> bool) {
        assert!(self.sim.wait_for(DEADLINE, wanted).await, "{what}: {:?}, {:?}", self.sim.stats(), self.state());
    }

    /// Does something to the gateway, and waits until there is a new connection that works.
    async fn survives(&self, blow: impl FnOnce(&SimDiscord)) {
        let connections = |state: &SimState| state.stats().identifies + state.stats().resumes;
        let before = self.sim.read(connections);
        blow(&self.sim);
        self.sees("a new connection", |state| connections(state) > before).await;
        self.is_healthy().await;
    }

    /// Waits until the last message that arrived is `text`, and returns all events.
    async fn events_until(&self, text: &str) -> Vec<String> {
        let mut events = self.events.clone();
        let arrived = |all: &Vec<String>| all.last().is_some_and(|last| last == text);
        let reached = timeout(DEADLINE, events.wait_for(arrived)).await.map(|found| found.unwrap().clone());
        reached.unwrap_or_else(|_| panic!("no {text}: {:?}", self.events.borrow()))
    }

    async fn stops(self) {
        self.cancel.cancel();
        timeout(Duration::from_secs(5), self.task).await.expect("stops in time").unwrap().unwrap();
        let closed = |state: &SimState| state.stats().open_sockets == 0;
        assert!(self.sim.wait_for(DEADLINE, closed).await, "a connection is left");
    }
}
