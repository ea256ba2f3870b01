//! Keeps one connection to one game: connects, serves, and connects again, for ever.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info, warn};

use super::client::{LinkState, Shared};
use super::error::RconError;
use super::framing::Guarded;
use super::session::{Guard, Session};
use crate::health::ComponentState;
use crate::supervisor::Backoff;
use crate::telemetry::metrics::RCON_RECONNECTS;

/// Serves the commands of all [`RconClient`](super::RconClient)s of one server. A clone is a fresh start for the supervisor; run
/// one at a time.
#[derive(Clone)]
pub struct RconActor {
    shared: Arc<Shared>,
    guard: Guard,
}

/// How a connection, or the attempt at one, went.
enum Ended {
    /// It was never up.
    Failed(RconError),
    /// It was up, this long.
    Broken(RconError, Duration),
    /// It was told to stop.
    Stopped,
}

impl RconActor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, guard: |stream| Box::new(Guarded::new(stream)) }
    }

    /// Runs until `cancel`; a command in flight is finished before. What goes wrong is reported as health and tried
    /// again, so this returns no error.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        self.shared.link_is(LinkState::Connecting);
        self.keep_connected(&cancel).await;
        self.shared.link_is(LinkState::Stopping);
        self.shared.queue.fail_all(&RconError::Stopping);
        Ok(())
    }

    async fn keep_connected(&self, cancel: &CancellationToken) {
        let backoff = self.shared.times.backoff;
        let mut failures = 0;
        let mut last: Option<RconError> = None;
        while !cancel.is_cancelled() {
            let (error, run) = match self.connection(cancel, last.as_ref()).await {
                Ended::Stopped => return,
                Ended::Failed(error) => (error, None),
                Ended::Broken(error, run) => (error, Some(run)),
            };
            failures = backoff.failures(failures, run.unwrap_or_default());
            if run.is_some() {
                last = None;
                counter!(RCON_RECONNECTS, "server" => self.shared.target.server.to_string()).increment(1);
            }
            self.report(&error, run.is_some(), last.as_ref());
            let wait = wait_after(&error, failures, backoff, fastrand::f64());
            last = Some(error);
            let _stopped = cancel.run_until_cancelled(sleep(wait)).await;
        }
    }

    /// One connection, in a task of its own: the protocol's code may panic. `last` is how the one before ended.
    async fn connection(&self, cancel: &CancellationToken, last: Option<&RconError>) -> Ended {
        let opening = AbortOnDropHandle::new(tokio::spawn(Session::open(self.shared.clone(), self.guard)));
        let opened = match cancel.run_until_cancelled(opening).await {
            None => return Ended::Stopped,
            Some(Err(_panic)) => return Ended::Failed(RconError::Crashed),
            Some(Ok(Err(error))) => return Ended::Failed(error),
            Some(Ok(Ok(session))) => session,
        };
        let since = Instant::now();
        self.up(last);
        match AbortOnDropHandle::new(tokio::spawn(opened.serve(cancel.clone()))).await {
            Ok(None) => Ended::Stopped,
            Ok(Some(error)) => Ended::Broken(error, since.elapsed()),
            Err(_panic) => Ended::Broken(RconError::Crashed, since.elapsed()),
        }
    }

    /// A login is no proof of health: a game that hangs takes logins and answers nothing. After a timeout the reason
    /// stays until a command is answered.
    fn up(&self, last: Option<&RconError>) {
        info!(server = %self.shared.target.server, "RCON is connected");
        if !matches!(last, Some(RconError::TimedOut(_))) {
            self.shared.health.set(ComponentState::Starting);
        }
        self.shared.link_is(LinkState::Up);
    }

    /// Tells of a failure: to health always, to the log when it is news, and to those who wait when the game is away.
    fn report(&self, error: &RconError, was_up: bool, last: Option<&RconError>) {
        Shared::count(error);
        self.shared.health.unhealthy(error.to_string());
        let target = &self.shared.target;
        let (server, host, port) = (&target.server, &target.host, target.port);
        match error {
            same if last == Some(same) => debug!(%server, host, port, %error, "RCON is still not connected"),
            RconError::WrongPassword => error!(%server, host, port, %error, "RCON cannot log in"),
            _ => warn!(%server, host, port, %error, "RCON is not connected"),
        }
        if was_up {
            self.shared.link_is(LinkState::Connecting);
        } else {
            self.shared.link_is(LinkState::Down(error.clone()));
            self.shared.queue.fail_all(error);
        }
    }
}

/// The wait before the next attempt, after so many failures in a row. A wrong password is not guessed at: somebody must
/// correct it first, so the waits are the longest from the beginning. `chance` in 0..1 spreads them, so that a host
/// with many games is not asked by all actors at once.
fn wait_after(error: &RconError, failures: u32, backoff: Backoff, chance: f64) -> Duration {
    let step = if *error == RconError::WrongPassword { u32::MAX } else { failures.saturating_sub(1) };
    backoff.delay(step, chance)
}

impl fmt::Debug for RconActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RconActor").field("server", &self.shared.target.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "actor_tests.rs"]
mod tests;
