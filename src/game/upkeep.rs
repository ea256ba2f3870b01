//! The task that rolls samples up and lets go of what is old.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::domain::Clock;
use crate::store::{Retention, Store, StoreError};

/// How often there is something to do.
const INTERVAL: Duration = Duration::from_mins(1);

/// The pause between two small steps, for whoever else writes.
const PAUSE: Duration = Duration::from_millis(20);

/// Keeps the history small. A clone is a fresh start for the supervisor; run one at a time.
#[derive(Clone)]
pub struct HistoryUpkeep {
    store: Store,
    keep: Retention,
    clock: Arc<dyn Clock>,
}

impl HistoryUpkeep {
    /// For all servers in `store`.
    #[must_use]
    pub fn new(store: Store, keep: Retention, clock: Arc<dyn Clock>) -> Self {
        Self { store, keep, clock }
    }

    /// Runs until `cancel`.
    ///
    /// # Errors
    /// When the database fails in a way that waiting does not heal.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            match self.tidy(&cancel).await {
                Err(error) if !error.is_transient() => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "The history cannot be tidied"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Rows are rolled up before they are let go.
    async fn tidy(&self, cancel: &CancellationToken) -> Result<(), StoreError> {
        while self.store.roll_up(self.clock.now()).await? {
            if cancel.run_until_cancelled(sleep(PAUSE)).await.is_none() {
                return Ok(());
            }
        }
        while self.store.prune_history(self.clock.now(), &self.keep).await? {
            if cancel.run_until_cancelled(sleep(PAUSE)).await.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}
