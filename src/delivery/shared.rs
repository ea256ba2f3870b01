//! What all channels have in common: the database, the sink, the gate, and what an operator is told.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::gate::{Gate, Pass};
use super::schedule::Schedule;
use super::sink::NoticeSink;
use super::waits::Cause;
use crate::config::settings::RelaySettings;
use crate::domain::{ChannelId, Clock};
use crate::health::{Component, ComponentHandle, HealthRegistry};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::{DELIVERIES, ErrorType, PARKED_CHANNELS, RETRIES, count_error};

/// Files in memory at a time, of all channels together.
const FILES_AT_ONCE: usize = 2;

/// How long a worker that is to stop waits for answers: within the 4 s that the supervisor gives it.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Lives as long as one run of the worker.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) sink: Arc<dyn NoticeSink>,
    pub(crate) relay: RelaySettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) schedule: Schedule,
    pub(crate) cancel: CancellationToken,
    pub(crate) files: Semaphore,
    pub(crate) health: HealthRegistry,
    gate: Gate,
    delivery: ComponentHandle,
    outbox: ComponentHandle,
    parked: Mutex<BTreeSet<ChannelId>>,
    unreachable_since: Mutex<Option<Timestamp>>,
    /// When this run of the worker began.
    pub(crate) started: Timestamp,
    /// Why the gate was closed last.
    closed_for: Mutex<Cause>,
    /// Whether the operator was told that sending rests because of too many refusals.
    resting: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        sink: Arc<dyn NoticeSink>,
        relay: RelaySettings,
        clock: Arc<dyn Clock>,
        health: HealthRegistry,
        schedule: Schedule,
        cancel: CancellationToken,
    ) -> Self {
        let delivery = health.component(Component::Delivery);
        let outbox = health.part(Component::Store, "outbox");
        delivery.healthy();
        outbox.healthy();
        forget_channels(&health);
        begin_series();
        let started = clock.now();
        Self {
            store,
            sink,
            relay,
            clock,
            schedule,
            cancel,
            files: Semaphore::new(FILES_AT_ONCE),
            health,
            gate: Gate::new(schedule),
            delivery,
            outbox,
            parked: Mutex::default(),
            unreachable_since: Mutex::default(),
            started,
            closed_for: Mutex::new(Cause::Outage),
            resting: AtomicBool::new(false),
        }
    }

    /// Leave to send once; `None` when the worker is to stop.
    pub(crate) async fn pass(&self) -> Option<Pass<'_>> {
        if self.cancel.is_cancelled() {
            return None;
        }
        let pass = self.cancel.run_until_cancelled(self.gate.pass()).await?;
        if self.resting.swap(false, Ordering::Relaxed) {
            self.delivery.healthy();
        }
        Some(pass)
    }

    /// Whether `pass` still holds.
    pub(crate) fn admits(&self, pass: &Pass<'_>) -> bool {
        self.gate.admits(pass)
    }

    /// Waits. `false` when the worker is to stop.
    pub(crate) async fn rest(&self, time: Duration) -> bool {
        if time.is_zero() {
            return !self.cancel.is_cancelled();
        }
        self.cancel.run_until_cancelled(tokio::time::sleep(time)).await.is_some()
    }

    /// What comes of `attempt`; `None` when the worker is to stop and nothing comes in time.
    pub(crate) async fn unless_stopped<T>(&self, attempt: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            outcome = attempt => Some(outcome),
            () = async {
                self.cancel.cancelled().await;
                tokio::time::sleep(LAST_ANSWERS).await;
            } => None,
        }
    }

    /// Discord answered for this channel alone, well or not.
    pub(crate) fn reachable(&self, pass: &Pass<'_>) {
        if self.gate.open(pass) {
            *self.unreachable_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.delivery.healthy();
            tracing::info!("Discord takes messages again");
        }
    }

    /// Discord, or the way to it, failed for all channels.
    pub(crate) fn unreachable(&self, pass: &Pass<'_>, after: Option<Duration>, error: ErrorType, reason: &str) {
        self.gate.close(pass, after);
        self.note_closed(Cause::of(error));
        let mut since = self.unreachable_since.lock().unwrap_or_else(PoisonError::into_inner);
        let first = since.is_none();
        let from = since.get_or_insert_with(|| self.clock.now()).strftime("%FT%TZ");
        if error == ErrorType::RateLimited {
            self.delivery.degraded(format!("Discord limits all sending since {from}: {reason}"));
        } else {
            self.delivery.unhealthy(format!("Nothing gets through since {from}: {reason}"));
        }
        if first {
            tracing::warn!(reason, "Discord takes no messages now; they are kept and tried again");
        } else {
            tracing::debug!(reason, "Discord still takes no messages");
        }
    }

    /// Why whoever waits at the gate, or did, waits.
    pub(crate) fn closed_for(&self) -> Cause {
        *self.closed_for.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_closed(&self, cause: Cause) {
        *self.closed_for.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }

    /// Counts a failed attempt.
    pub(crate) fn count_failure(&self, error: ErrorType) {
        count_error(Component::Delivery.as_str(), error);
        if self.gate.note(error) && !self.resting.swap(true, Ordering::Relaxed) {
            self.note_closed(Cause::Refused);
            self.delivery.degraded("all sending rests for up to ten minutes: Discord refused too many requests");
            tracing::error!("Sending rests before Discord bans this address for too many refused requests");
        }
    }

    /// Notes whether a channel is parked. Answers whether that is new.
    pub(crate) fn park(&self, channel: ChannelId, parked: bool) -> bool {
        let mut all = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = if parked { all.insert(channel) } else { all.remove(&channel) };
        ::metrics::gauge!(PARKED_CHANNELS).set(all.len() as f64);
        changed
    }

    /// Asks the database until it answers. Gives up when trying again cannot help, or when the worker is to stop: what
    /// is not stored then is sent again after the restart, with the same nonce.
    pub(crate) async fn stored<T, F>(&self, mut ask: impl FnMut() -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut failures = 0;
        loop {
            let error = match ask().await {
                Ok(answer) => {
                    if failures > 0 {
                        self.outbox.healthy();
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            failures += 1;
            count_error(Component::Store.as_str(), error.error_type());
            self.outbox.unhealthy(error.to_string());
            // What ends the task is logged where it ends.
            if !error.is_transient() {
                return Err(error).context("the outbox failed");
            }
            tracing::warn!(%error, "The outbox cannot be read or written now; it is tried again");
            if !self.rest(self.schedule.wait(failures, None, fastrand::f64())).await {
                return Err(error).context("the outbox failed");
            }
        }
    }
}

/// A series that appears with its first event hides that event from `rate()`.
fn begin_series() {
    ::metrics::gauge!(PARKED_CHANNELS).set(0.0);
    ::metrics::counter!(RETRIES).increment(0);
    for outcome in ["delivered", "retry", "parked", "rejected"] {
        ::metrics::counter!(DELIVERIES, "outcome" => outcome).increment(0);
    }
}

/// What a run before this one said of its channels; this one finds out anew.
fn forget_channels(health: &HealthRegistry) {
    for (component, part) in health.snapshot().into_keys() {
        if component == Component::Delivery && !part.is_empty() {
            health.part(component, &part).remove();
        }
    }
}
