//! What health, metrics and the log show of the gateway connection.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{Gauge, counter, gauge};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::health::{Component, ComponentHandle};
use crate::telemetry::metrics::{
    ErrorType, GATEWAY_CONNECTED, GATEWAY_CONNECTION_ATTEMPTS, GATEWAY_HEARTBEAT, GATEWAY_RECONNECTS, count_error,
};

use super::GatewayTimings;

/// How a session came Up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    /// READY: a new session.
    Ready,
    /// RESUMED: the session continues, and nothing is missing.
    Resumed,
}

/// Reports each change. Warnings that repeat are counted by the log itself.
pub(super) struct Report {
    health: ComponentHandle,
    unhealthy_after: Duration,
    /// What does not work although the session is Up.
    limitation: Option<String>,
    connected_before: bool,
    outage: Option<Outage>,
    connected: Gauge,
    latency: Gauge,
}

/// The time since the session was last Up.
#[derive(Debug)]
struct Outage {
    since: Timestamp,
    start: Instant,
    failures: u32,
    cause: String,
    /// Whether an operator must act.
    refused: bool,
    /// Whether health shows the component as unhealthy.
    is_unhealthy: bool,
}

impl Report {
    pub(super) fn new(health: ComponentHandle, timings: &GatewayTimings) -> Self {
        Self {
            health,
            unhealthy_after: timings.unhealthy_after,
            limitation: None,
            connected_before: false,
            outage: None,
            connected: gauge!(GATEWAY_CONNECTED),
            latency: gauge!(GATEWAY_HEARTBEAT),
        }
    }

    /// From now on the component is at most degraded, for this reason.
    pub(super) fn limit(&mut self, reason: String) {
        self.limitation = Some(reason);
    }

    /// A connection attempt starts.
    pub(super) fn attempt_started() {
        counter!(GATEWAY_CONNECTION_ATTEMPTS).increment(1);
    }

    /// READY or RESUMED arrived.
    pub(super) fn up(&mut self, greeting: Greeting) {
        self.connected.set(1.0);
        if self.connected_before {
            counter!(GATEWAY_RECONNECTS).increment(1);
        }
        let outage = self.outage.take();
        let after = outage.as_ref().map_or(0.0, |outage| outage.start.elapsed().as_secs_f64());
        let failures = outage.as_ref().map_or(0, |outage| outage.failures);
        info!(?greeting, after_seconds = after, failures, "Gateway session is up");
        self.connected_before = true;
        match &self.limitation {
            Some(reason) => self.health.degraded(reason.clone()),
            None => self.health.healthy(),
        }
    }

    /// A heartbeat was acknowledged after `latency`.
    pub(super) fn acknowledged(&self, latency: Duration) {
        self.latency.set(latency.as_secs_f64());
    }

    /// The connection or an attempt ended with `cause`; the next attempt comes after `wait`. Without an error `kind` it is
    /// a routine reconnect.
    pub(super) fn down(&mut self, cause: &str, kind: Option<ErrorType>, wait: Duration) {
        let failures = self.note(cause, false);
        let retry_seconds = wait.as_secs_f64();
        if let Some(kind) = kind {
            count_error(Component::Discord.as_str(), kind);
            warn!(reason = cause, failures, retry_seconds, "Gateway connection failed; reconnecting");
        } else {
            info!(reason = cause, failures, retry_seconds, "Gateway connection ended; reconnecting");
        }
    }

    /// Discord refuses the bot until an operator acts.
    pub(super) fn refused(&mut self, cause: &str, kind: ErrorType, wait: Duration) {
        self.note(cause, true);
        count_error(Component::Discord.as_str(), kind);
        error!(reason = cause, retry_seconds = wait.as_secs_f64(), "Discord refuses the bot");
    }

    /// Returns the failures since the session was last Up.
    fn note(&mut self, cause: &str, refused: bool) -> u32 {
        self.connected.set(0.0);
        self.latency.set(0.0);
        let outage = self.outage.get_or_insert_with(|| Outage {
            since: Timestamp::now(),
            start: Instant::now(),
            failures: 0,
            cause: String::new(),
            refused,
            is_unhealthy: false,
        });
        outage.failures += 1;
        outage.refused = refused;
        cause.clone_into(&mut outage.cause);
        let failures = outage.failures;
        self.show_outage();
        failures
    }

    /// Waits for `future`, and reports the component as unhealthy when an outage lasts too long meanwhile.
    pub(super) async fn watch<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        match self.turns_unhealthy() {
            Some(at) if at <= Instant::now() => self.show_outage(),
            Some(at) => tokio::select! {
                output = &mut future => return output,
                () = sleep_until(at) => self.show_outage(),
            },
            None => {}
        }
        future.await
    }

    /// When a lasting outage makes the component unhealthy. It may be in the past: the limit can pass between two waits.
    /// `None` = there is no outage, or health shows it as unhealthy already.
    fn turns_unhealthy(&self) -> Option<Instant> {
        let outage = self.outage.as_ref().filter(|outage| !outage.is_unhealthy)?;
        Some(outage.start + self.unhealthy_after)
    }

    fn show_outage(&mut self) {
        let Some(outage) = &mut self.outage else { return };
        let doing = if self.connected_before { "reconnecting" } else { "connecting" };
        let reason = format!("{doing} since {:.0} because {}", outage.since, outage.cause);
        let short = outage.start.elapsed() < self.unhealthy_after;
        outage.is_unhealthy = !self.connected_before || !short || outage.refused;
        if outage.is_unhealthy {
            self.health.unhealthy(reason);
        } else {
            self.health.degraded(reason);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.connected.set(0.0);
        self.latency.set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{ComponentState, HealthRegistry};

    const HOUR: Duration = Duration::from_hours(1);

    fn report(registry: &HealthRegistry, unhealthy_after: Duration) -> Report {
        let timings = GatewayTimings { unhealthy_after, ..GatewayTimings::default() };
        Report::new(registry.component(Component::Discord), &timings)
    }

    fn fails(report: &mut Report, cause: &str) {
        report.down(cause, Some(ErrorType::Network), Duration::ZERO);
    }

    #[tokio::test]
    async fn an_outage_is_degraded_at_first_and_unhealthy_when_it_lasts() {
        let registry = HealthRegistry::new();
        let state = || registry.state(Component::Discord).unwrap();
        let mut lasting = report(&registry, HOUR);
        lasting.up(Greeting::Ready);
        assert_eq!(state(), ComponentState::Healthy);
        fails(&mut lasting, "the gateway ended the connection");
        assert!(matches!(state(), ComponentState::Degraded(_)), "{:?}", state());
        lasting.up(Greeting::Resumed);
        assert_eq!(state(), ComponentState::Healthy);

        let mut short = report(&registry, Duration::from_millis(50));
        short.up(Greeting::Ready);
        fails(&mut short, "connection refused");
        let mut states = registry.subscribe();
        let unhealthy = states.wait_for(|_| matches!(state(), ComponentState::Unhealthy(_)));
        short.watch(unhealthy).await.unwrap();
        let ComponentState::Unhealthy(reason) = state() else { panic!("{:?}", state()) };
        let cause = " because connection refused";
        assert!(reason.starts_with("reconnecting since ") && reason.ends_with(cause), "{reason}");
    }

    #[tokio::test]
    async fn an_outage_that_reaches_the_limit_between_two_waits_is_unhealthy() {
        let registry = HealthRegistry::new();
        let mut report = report(&registry, HOUR);
        report.up(Greeting::Ready);
        fails(&mut report, "connection refused");
        report.unhealthy_after = Duration::ZERO;
        report.watch(async {}).await;
        let state = registry.state(Component::Discord).unwrap();
        assert!(matches!(state, ComponentState::Unhealthy(_)), "{state:?}");
    }

    #[test]
    fn a_bot_that_never_connected_or_is_refused_is_unhealthy_at_once() {
        let registry = HealthRegistry::new();
        let state = || registry.state(Component::Discord).unwrap();
        let mut report = report(&registry, HOUR);
        fails(&mut report, "connection refused");
        assert!(matches!(state(), ComponentState::Unhealthy(_)), "{:?}", state());
        report.up(Greeting::Ready);
        report.refused("the token is refused", ErrorType::Auth, Duration::ZERO);
        assert!(matches!(state(), ComponentState::Unhealthy(_)), "{:?}", state());
    }
}
