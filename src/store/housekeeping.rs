//! What is in the outbox, for metrics; and how old rows leave the file.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;

use super::outbox::NEIGHBOUR_MILLIS;
use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::Lane;

/// Rows deleted in one transaction, so that a commit of lines never waits long behind it.
pub(super) const ROWS_PER_STEP: i64 = 1000;

/// Free pages given back to the disk in one step.
const PAGES_PER_STEP: &str = "PRAGMA incremental_vacuum(1000)";

/// How long a message can be edited: an alert that lasts longer ends in a new message.
const KEEP_EDITABLE: Duration = Duration::from_hours(90 * 24);

/// How full the outbox is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxStats {
    /// Alerts that are not delivered yet.
    pub alert_depth: u64,
    /// Everything else that is not delivered yet.
    pub chat_depth: u64,
    /// When the oldest of them was read.
    pub oldest: Option<Timestamp>,
    /// Notices that were refused for good.
    pub dead: u64,
    /// Why the last of those was refused.
    pub last_refusal: Option<String>,
}

impl OutboxStats {
    /// How many of `lane` are not delivered yet.
    #[must_use]
    pub fn depth(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Alert => self.alert_depth,
            Lane::Chat => self.chat_depth,
        }
    }
}

impl Store {
    /// Counts the outbox.
    pub async fn outbox_stats(&self) -> Result<OutboxStats, StoreError> {
        self.count_outbox().await.map_err(|e| self.in_words(&e))
    }

    async fn count_outbox(&self) -> sqlx::Result<OutboxStats> {
        // A partial index is used only where its own condition stands in the query.
        let rows = sqlx::query(
            "SELECT lane, count(*) AS depth, min(created_at) AS oldest FROM outbox WHERE state = 'pending' GROUP BY lane
             UNION ALL
             SELECT lane, count(*), min(created_at) FROM outbox WHERE state = 'assigned' GROUP BY lane",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut stats = OutboxStats::default();
        for row in rows {
            let depth = row.try_get::<i64, _>("depth")?.cast_unsigned();
            let alert = row.try_get::<&str, _>("lane")? == Lane::Alert.as_str();
            *(if alert { &mut stats.alert_depth } else { &mut stats.chat_depth }) += depth;
            let oldest = from_millis(row.try_get("oldest")?);
            stats.oldest = Some(stats.oldest.map_or(oldest, |other| other.min(oldest)));
        }
        let dead = "SELECT count(*) FROM outbox WHERE state = 'dead'";
        stats.dead = sqlx::query_scalar::<_, i64>(dead).fetch_one(&self.readers).await?.cast_unsigned();
        let refusal = "SELECT reason FROM outbox WHERE state = 'dead' ORDER BY finished_at DESC LIMIT 1";
        stats.last_refusal = sqlx::query_scalar(refusal).fetch_optional(&self.readers).await?.flatten();
        Ok(stats)
    }

    /// Deletes some of what was delivered before `delivered_before` or died before `dead_before`, and gives the room
    /// back to the disk. Answers whether there may be more.
    pub async fn prune(&self, delivered_before: Timestamp, dead_before: Timestamp) -> Result<bool, StoreError> {
        self.prune_step(delivered_before, dead_before).await.map_err(|e| self.in_words(&e))
    }

    async fn prune_step(&self, delivered_before: Timestamp, dead_before: Timestamp) -> sqlx::Result<bool> {
        let steps = [
            (
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
              WHERE state = 'delivered' AND finished_at < $1 ORDER BY finished_at LIMIT $2)",
                delivered_before,
            ),
            (
                // What is around an open message tells it from its equals.
                "DELETE FROM messages WHERE id IN (SELECT m.id FROM messages m
              WHERE m.state <> 'open' AND m.finished_at < $1 AND NOT EXISTS (SELECT 1 FROM messages o
                  WHERE o.state = 'open' AND o.channel = m.channel AND m.finished_at >= o.first_attempt_at - $3)
              ORDER BY m.finished_at LIMIT $2)",
                delivered_before,
            ),
            (
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
              WHERE state = 'dead' AND finished_at < $1 ORDER BY finished_at LIMIT $2)",
                dead_before,
            ),
        ];
        let too_old = dead_before.min(delivered_before).saturating_sub(KEEP_EDITABLE).unwrap_or(Timestamp::MIN);
        sqlx::query("DELETE FROM editable WHERE posted_at < $1").bind(to_millis(too_old)).execute(&self.writer).await?;
        let free_before = self.free_pages().await?;
        let mut most = 0;
        for (delete, before) in steps {
            let query = sqlx::query(delete).bind(to_millis(before)).bind(ROWS_PER_STEP).bind(NEIGHBOUR_MILLIS);
            most = most.max(query.execute(&self.writer).await?.rows_affected());
        }
        sqlx::query(PAGES_PER_STEP).execute(&self.writer).await?;
        let free = self.free_pages().await?;
        Ok(most == ROWS_PER_STEP.cast_unsigned() || (0 < free && free < free_before))
    }

    async fn free_pages(&self) -> sqlx::Result<i64> {
        sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&self.writer).await
    }
}
