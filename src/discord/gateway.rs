//! Keeps a gateway session alive for ever: asks first, watches, tears down, builds anew.

use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use metrics::{Gauge, counter, gauge};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::config::settings::DiscordSettings;
use crate::health::{Component, ComponentHandle};
use crate::telemetry::metrics::{
    ErrorType, GATEWAY_CONNECTED, GATEWAY_HEARTBEAT, GATEWAY_RECONNECTS, STATUS_UPDATES, count_error,
};

use super::dispatch::Dispatches;
use super::preflight::{Trouble, ask_gateway};
use super::rest::Rest;
use super::session::{End, Session};
use super::status::Presence;
use super::watchdog::{Signal, Verdict, Watchdog};

/// The waits and limits of the gateway. The defaults suit the real Discord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayTimes {
    /// How often the session is looked at.
    pub poll: Duration,
    /// A session without a connection for longer is built anew. Serenity itself tries every 5 s.
    pub connect_limit: Duration,
    /// A session that answered no heartbeat for longer is built anew. Discord wants one every 41 s.
    pub ack_limit: Duration,
    /// A session whose runtime does not move for longer is built anew.
    pub stall_limit: Duration,
    /// More than `churn_limit` new sessions within this time are too many.
    pub churn_window: Duration,
    /// See `churn_window`.
    pub churn_limit: usize,
    /// The wait before the first new try; it doubles.
    pub retry_first: Duration,
    /// The longest wait between tries.
    pub retry_longest: Duration,
    /// The wait after Discord refused the token or the intents; it doubles.
    pub refused_first: Duration,
    /// The longest wait after a refusal.
    pub refused_longest: Duration,
    /// A connection that held this long starts the waits from the beginning.
    pub settled: Duration,
    /// The bot's own status changes at most this often: Discord takes five changes in 20 s.
    pub presence_floor: Duration,
    /// The patience at a stop, for the close frame and again for the runtime.
    pub stop: Duration,
}

impl Default for GatewayTimes {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            connect_limit: Duration::from_secs(90),
            ack_limit: Duration::from_mins(3),
            stall_limit: Duration::from_secs(15),
            churn_window: Duration::from_mins(5),
            churn_limit: 5,
            retry_first: Duration::from_secs(5),
            retry_longest: Duration::from_mins(5),
            refused_first: Duration::from_mins(5),
            refused_longest: Duration::from_hours(1),
            settled: Duration::from_mins(10),
            presence_floor: Duration::from_secs(15),
            stop: Duration::from_secs(1),
        }
    }
}

/// Holds the gateway connection until `cancel`, hands on to `dispatches` what it hears, and reports to `health` whether
/// it stands, and why not.
///
/// # Errors
/// When the token or `api_base` cannot be used at all. Nothing that Discord or the network does is an error here.
pub async fn run_gateway(
    settings: DiscordSettings,
    dispatches: Dispatches,
    health: ComponentHandle,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    run_gateway_with(settings, dispatches, health, cancel, GatewayTimes::default()).await
}

/// [`run_gateway`] with other times.
///
/// # Errors
/// As [`run_gateway`].
pub async fn run_gateway_with(
    settings: DiscordSettings,
    dispatches: Dispatches,
    health: ComponentHandle,
    cancel: CancellationToken,
    times: GatewayTimes,
) -> anyhow::Result<()> {
    let rest = Rest::new(&settings).context("cannot connect to the gateway")?;
    let mut keeper = Keeper {
        settings,
        dispatches,
        rest,
        times,
        cancel: cancel.clone(),
        report: Report { limited: false, health, since: None, connected_before: false },
        retries: Backoff::new(times.retry_first, times.retry_longest),
        refusals: Backoff::new(times.refused_first, times.refused_longest),
        shown: None,
    };
    loop {
        let end = keeper.try_once().await;
        let Some(wait) = keeper.settle(end) else { return Ok(()) };
        debug!(?wait, "Waiting before the next gateway session");
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = sleep(wait) => {}
        }
    }
}

struct Keeper {
    settings: DiscordSettings,
    dispatches: Dispatches,
    rest: Rest,
    times: GatewayTimes,
    cancel: CancellationToken,
    report: Report,
    retries: Backoff,
    refusals: Backoff,
    /// When the bot's own status was last set, and to what.
    shown: Option<(Instant, Presence)>,
}

/// What became of one try.
enum Ended {
    Session(End),
    Before(Trouble),
}

impl Keeper {
    async fn try_once(&mut self) -> Ended {
        let cancel = self.cancel.clone();
        let gateway = tokio::select! {
            () = cancel.cancelled() => return Ended::Session(End::Stopped),
            gateway = ask_gateway(&self.rest) => gateway,
        };
        match gateway {
            Ok(url) => Ended::Session(self.hold_session(url).await),
            Err(trouble) => Ended::Before(trouble),
        }
    }

    async fn hold_session(&mut self, url: String) -> End {
        let mut session = match Session::start(&self.settings, self.dispatches.clone(), url, self.times) {
            Ok(session) => session,
            Err(error) => return End::Failed(format!("{error:#}")),
        };
        let end = self.watch(&mut session).await;
        session.stop().await;
        end
    }

    async fn watch(&mut self, session: &mut Session) -> End {
        let mut watchdog = Watchdog::new(self.times, Instant::now());
        let gauges = Gauges::new();
        let mut up_since = None;
        let mut tick = interval(self.times.poll);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return End::Stopped,
                next = session.next() => match next {
                    Ok(signal) => {
                        self.greeted(signal);
                        watchdog.signal(signal, Instant::now());
                        self.report.count(signal);
                    }
                    Err(end) => return end,
                },
                _ = tick.tick() => {}
            }
            let shard = session.shard().await;
            match watchdog.look(shard, session.pulse(), Instant::now()) {
                Verdict::Up => {
                    gauges.show(true, shard.and_then(|shard| shard.latency));
                    self.report.up();
                    self.reset_waits(*up_since.get_or_insert_with(Instant::now));
                    self.show_presence(session).await;
                }
                Verdict::Down(reason) => {
                    up_since = None;
                    gauges.show(false, None);
                    self.report.down_for_now(reason);
                }
                Verdict::Dead(reason) => return End::Failed(reason),
            }
        }
    }

    /// A new session knows nothing of the bot's own status.
    fn greeted(&mut self, signal: Signal) {
        if signal == Signal::Ready
            && let Some((_, presence)) = &mut self.shown
        {
            presence.text.clear();
        }
    }

    async fn show_presence(&mut self, session: &Session) {
        let Some(wanted) = self.dispatches.wanted_presence() else { return };
        let early = |(at, shown): &(Instant, Presence)| *shown == wanted || at.elapsed() < self.times.presence_floor;
        if !self.shown.as_ref().is_some_and(early) && session.show(&wanted).await {
            counter!(STATUS_UPDATES, "what" => "presence", "outcome" => "done").increment(1);
            self.shown = Some((Instant::now(), wanted));
        }
    }

    fn reset_waits(&mut self, up_since: Instant) {
        self.refusals.reset();
        if up_since.elapsed() >= self.times.settled {
            self.retries.reset();
        }
    }

    /// Says what happened, and how long to wait; `None` = stop.
    fn settle(&mut self, ended: Ended) -> Option<Duration> {
        match ended {
            Ended::Session(End::Stopped) => None,
            Ended::Session(End::Refused(reason, kind)) => Some(self.refused(&reason, kind)),
            Ended::Session(End::IntentsRefused) => Some(self.intents_refused()),
            Ended::Session(End::Failed(reason)) => Some(self.failed(&reason, ErrorType::Network)),
            Ended::Before(Trouble::Refused(reason)) => Some(self.refused(&reason, ErrorType::Auth)),
            Ended::Before(Trouble::Failed { reason, kind, after }) => {
                Some(self.failed(&reason, kind).max(after.unwrap_or_default()))
            }
        }
    }

    fn refused(&mut self, reason: &str, kind: ErrorType) -> Duration {
        count_error(Component::Discord.as_str(), kind);
        self.report.down(reason);
        let wait = self.refusals.next();
        error!(reason, retry_seconds = wait.as_secs_f64(), "Discord refuses the bot");
        wait
    }

    /// Goes on without them: slash commands and the state of the connection need none.
    fn intents_refused(&mut self) -> Duration {
        let Some(less) = self.dispatches.without_privileged() else {
            return self.refused(INTENTS_REFUSED, ErrorType::Auth);
        };
        count_error(Component::Discord.as_str(), ErrorType::Auth);
        error!("The Message Content intent is missing: {CONTENT_REFUSED}");
        self.dispatches = less;
        self.report.limited = true;
        self.retries.next()
    }

    fn failed(&mut self, reason: &str, kind: ErrorType) -> Duration {
        count_error(Component::Discord.as_str(), kind);
        self.report.down(reason);
        let wait = self.retries.next();
        warn!(reason, retry_seconds = wait.as_secs_f64(), "The gateway connection failed");
        wait
    }
}

const INTENTS_REFUSED: &str =
    "Discord refuses the bot's intents: switch them on in the developer portal, on the page Bot";
const CONTENT_REFUSED: &str = "chat from Discord does not reach the games; switch Message Content on in the developer \
                               portal, on the page Bot, and restart";

/// What health and the journal are told.
struct Report {
    /// Connected without the Message Content intent, which was asked for.
    limited: bool,
    health: ComponentHandle,
    since: Option<Timestamp>,
    connected_before: bool,
}

impl Report {
    /// Counts what begins or goes on after the first session. Resumes are Discord's daily business.
    fn count(&mut self, signal: Signal) {
        debug!(?signal, "The gateway greets");
        if self.connected_before {
            counter!(GATEWAY_RECONNECTS).increment(1);
        }
    }

    fn up(&mut self) {
        let outage: Option<SignedDuration> = self.since.take().map(|since| Timestamp::now().duration_since(since));
        match outage {
            Some(outage) => info!(after_seconds = outage.as_secs(), "The gateway is connected"),
            None if !self.connected_before => info!("The gateway is connected"),
            None => {}
        }
        self.connected_before = true;
        if self.limited {
            self.health.degraded(format!("the Message Content intent is missing: {CONTENT_REFUSED}"));
        } else {
            self.health.healthy();
        }
    }

    /// A gap that the session itself may still close. The first connection of all is awaited without a word.
    fn down_for_now(&mut self, reason: &str) {
        if self.connected_before && self.since.is_none() {
            info!(reason, "The gateway connection is lost, and sought again");
            self.down(reason);
        }
    }

    fn down(&mut self, reason: &str) {
        let since = *self.since.get_or_insert_with(Timestamp::now);
        let doing = if self.connected_before { "reconnecting" } else { "connecting" };
        self.health.unhealthy(format!("{doing} since {since:.0} because {reason}"));
    }
}

/// Shows on the metrics whether the session stands; with the session's watch, that it does not.
struct Gauges {
    connected: Gauge,
    heartbeat: Gauge,
}

impl Gauges {
    fn new() -> Self {
        Self { connected: gauge!(GATEWAY_CONNECTED), heartbeat: gauge!(GATEWAY_HEARTBEAT) }
    }

    fn show(&self, connected: bool, heartbeat: Option<Duration>) {
        self.connected.set(f64::from(u8::from(connected)));
        self.heartbeat.set(heartbeat.unwrap_or_default().as_secs_f64());
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        self.show(false, None);
    }
}

/// Waits that double from `first` to `longest`, each up to a fifth longer or shorter by chance.
#[derive(Debug)]
struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait.mul_f64(0.8 + 0.4 * fastrand::f64())
    }

    fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{ComponentState, HealthRegistry};

    #[test]
    fn an_outage_keeps_its_beginning_while_its_reason_becomes_clearer() {
        let registry = HealthRegistry::new();
        let state = || registry.state(Component::Discord).unwrap();
        let health = registry.component(Component::Discord);
        let mut report = Report { limited: false, health, since: None, connected_before: false };
        report.down_for_now("no connection to the gateway");
        assert_eq!(state(), ComponentState::Starting);
        report.up();
        assert_eq!(state(), ComponentState::Healthy);
        report.down_for_now("no connection to the gateway");
        report.since = Some("2026-11-23T12:00:00.123Z".parse().unwrap());
        report.down("Discord did not answer in time");
        let reason = "reconnecting since 2026-11-23T12:00:00Z because Discord did not answer in time";
        assert_eq!(state(), ComponentState::Unhealthy(reason.into()));
        report.up();
        assert_eq!((state(), report.since), (ComponentState::Healthy, None));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_reset() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(5), seconds(300));
        let waits: Vec<_> = (0..8).map(|_| backoff.next()).collect();
        for (wait, nominal) in waits.into_iter().zip([5, 10, 20, 40, 80, 160, 300, 300]) {
            let range = seconds(nominal).mul_f64(0.8)..=seconds(nominal).mul_f64(1.2);
            assert!(range.contains(&wait), "{wait:?} for {nominal} s");
        }
        backoff.reset();
        assert!(backoff.next() <= seconds(6));
    }
}
