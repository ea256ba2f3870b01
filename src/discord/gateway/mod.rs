//! The connection to Discord's gateway: one task, one socket, one session.
//!
//! The [`Supervisor`](supervisor::Supervisor) goes through these states until it is cancelled:
//!
//! ```text
//! Waiting -> Asking -> Connecting -> AwaitHello -> Greeting -> Up -> Closing -> Waiting ...
//!    |        GET /gateway/bot, only before IDENTIFY and after three failed RESUMEs
//!    `------- Refused: the token or the intents must be changed first; the waits are minutes to an hour
//! ```
//!
//! The session is *Up* from READY or RESUMED on this connection until the connection ends. Every wait has a limit
//! ([`GatewayTimings`]), every attempt is at least [`GatewayTimings::attempt_gap`] after the one before, and only a
//! connection that was Up for [`GatewayTimings::settled`] resets the back-off.

mod backoff;
mod connection;
mod disconnect;
mod events;
mod heartbeat;
mod payload;
mod preflight;
mod report;
mod schedule;
mod send_limit;
mod session;
mod socket;
mod supervisor;
mod tls;

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::settings::DiscordSettings;
use crate::health::ComponentHandle;

use super::dispatch::Dispatches;

/// The waits and limits of the gateway connection. The defaults suit the real Discord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayTimings {
    /// The limit for TCP connect, TLS handshake and WebSocket upgrade together.
    pub connect: Duration,
    /// The limit from the upgrade to HELLO.
    pub hello: Duration,
    /// The limit from IDENTIFY or RESUME to READY or RESUMED. It starts again with each event that is replayed.
    pub greeting: Duration,
    /// The limit for writing one payload.
    pub write: Duration,
    /// The limit for the peer's answer to our close frame.
    pub close: Duration,
    /// The heartbeat interval from HELLO is clamped to this range.
    pub heartbeat: RangeInclusive<Duration>,
    /// A heartbeat must be acknowledged within half the interval, but within this range.
    pub acknowledge: RangeInclusive<Duration>,
    /// The least time between the starts of two connection attempts.
    pub attempt_gap: Duration,
    /// The first wait after a failure; it doubles up to `retry_longest`.
    pub retry_first: Duration,
    /// The longest wait after a failure.
    pub retry_longest: Duration,
    /// A connection that was Up for this long resets the waits.
    pub settled: Duration,
    /// The least time between two IDENTIFYs; it doubles with each one up to `identify_longest`.
    pub identify_first: Duration,
    /// The longest enforced time between two IDENTIFYs. Five minutes are 288 a day; Discord allows 1,000.
    pub identify_longest: Duration,
    /// The wait after op 9 (INVALID SESSION): a random time in this range, as Discord asks.
    pub invalid_session: RangeInclusive<Duration>,
    /// The wait after Discord refused the token or the intents; it doubles up to `refused_longest`.
    pub refused_first: Duration,
    /// The longest wait after a refusal.
    pub refused_longest: Duration,
    /// The least time between two presence updates. Discord allows 5 per 20 s.
    pub presence_gap: Duration,
    /// The component is degraded in an outage, and unhealthy when the session was not Up for this long.
    pub unhealthy_after: Duration,
}

impl Default for GatewayTimings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(10),
            hello: seconds(10),
            greeting: seconds(30),
            write: seconds(10),
            close: seconds(1),
            heartbeat: seconds(1)..=Duration::from_mins(2),
            acknowledge: seconds(1)..=seconds(15),
            attempt_gap: seconds(1),
            retry_first: seconds(1),
            retry_longest: seconds(60),
            settled: seconds(60),
            identify_first: seconds(5),
            identify_longest: Duration::from_mins(5),
            invalid_session: seconds(1)..=seconds(5),
            refused_first: Duration::from_mins(5),
            refused_longest: Duration::from_hours(1),
            presence_gap: seconds(15),
            unhealthy_after: seconds(10),
        }
    }
}

/// Holds the gateway connection until `cancel`, passes what arrives to `dispatches`, and reports its state to `health`.
///
/// # Errors
/// When the token or `api_base` cannot be used at all. Nothing that Discord or the network does is an error here.
pub async fn run_gateway(
    settings: DiscordSettings,
    dispatches: Dispatches,
    health: ComponentHandle,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    run_gateway_with(settings, dispatches, health, cancel, GatewayTimings::default()).await
}

/// [`run_gateway`] with other timings.
///
/// # Errors
/// As [`run_gateway`].
pub async fn run_gateway_with(
    settings: DiscordSettings,
    dispatches: Dispatches,
    health: ComponentHandle,
    cancel: CancellationToken,
    timings: GatewayTimings,
) -> anyhow::Result<()> {
    supervisor::Supervisor::new(settings, dispatches, health, timings)?.run(&cancel).await;
    Ok(())
}
