//! The task that rolls samples up and lets go of what is old.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::domain::Clock;
use crate::store::{Retention, Store, StoreError};

/// How often there is something to do.
const INTERVAL: Duration = Duration::from_mins(1);

/// The pause between two small steps, for whoever else writes.
const PAUSE: Duration = Duration::from_millis(20);

/// What is younger is not rolled up yet: a sample is stored a while after it was taken, when the database is busy.
const LATENESS: Duration = Duration::from_mins(1);

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
        let settled = self.clock.now().saturating_sub(LATENESS).unwrap_or(Timestamp::MIN);
        while self.store.roll_up(settled).await? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ManualClock, ServerTag};
    use crate::store::SampleRow;

    #[tokio::test]
    async fn a_sample_that_is_stored_late_is_part_of_its_step() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
        let prod = ServerTag::new("prod").unwrap();
        let begin = Timestamp::from_second(1_790_000_400).unwrap();
        let keep = async |second: u64, players: u32| {
            let at = begin + Duration::from_secs(second);
            let sample = SampleRow { at, players: Some(players), ups: None, evolution: None };
            store.keep_sample(&prod, &sample).await.unwrap();
        };
        let clock = ManualClock::new(begin + Duration::from_secs(301));
        let days = |count: u64| Duration::from_hours(24 * count);
        let retention = Retention { raw: Duration::from_hours(1), five_minutes: days(30), happenings: days(30) };
        let upkeep = HistoryUpkeep::new(store.clone(), retention, Arc::new(clock.clone()));
        let cancel = CancellationToken::new();
        keep(100, 2).await;
        upkeep.tidy(&cancel).await.unwrap();
        keep(299, 4).await;
        clock.advance(days(1));
        upkeep.tidy(&cancel).await.unwrap();
        let points = store.history(&prod, begin, begin + days(1)).await.unwrap();
        assert_eq!(points.iter().map(|point| point.players).collect::<Vec<_>>(), [Some(3.0)], "{points:?}");
    }
}
