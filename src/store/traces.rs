//! Where the rows of a message came from.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, from_millis};
use crate::domain::TraceContext;

/// The rows of a message that came of one traced batch of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsOrigin {
    /// Their commit.
    pub commit: TraceContext,
    /// How many.
    pub rows: u64,
    /// The offsets just behind the first and the last of their lines.
    pub line_ends: (u64, u64),
    /// When the first and the last of them was written, by the log's own clock.
    pub written_at: (Timestamp, Timestamp),
}

/// Where a message's rows came from, and since when they wait.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageOrigins {
    /// One for each batch; sampled ones first, else in order.
    pub batches: Vec<RowsOrigin>,
    /// When the first of all its rows was read.
    pub waiting_since: Option<Timestamp>,
}

impl Store {
    /// Where the rows of the unfinished message `message` came from: at most `limit` batches.
    pub async fn origins(&self, message: i64, limit: u32) -> Result<MessageOrigins, StoreError> {
        let batches = sqlx::query(
            "SELECT trace, count(*) AS row_count, min(line_end) AS first_end, max(line_end) AS last_end,
                    min(occurred_at) AS first_at, max(occurred_at) AS last_at FROM outbox
             WHERE state = 'assigned' AND message = $1 AND trace IS NOT NULL
             GROUP BY trace ORDER BY trace LIKE '%-01' DESC, min(id) LIMIT $2",
        )
        .bind(message)
        .bind(limit)
        .try_map(|row| origin_of(&row))
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.in_words(&e))?;
        let since = "SELECT min(created_at) FROM outbox WHERE state = 'assigned' AND message = $1";
        let since: Option<i64> =
            sqlx::query_scalar(since).bind(message).fetch_one(&self.readers).await.map_err(|e| self.in_words(&e))?;
        let batches = batches.into_iter().flatten().collect();
        Ok(MessageOrigins { batches, waiting_since: since.map(from_millis) })
    }
}

/// `None` for a text that is no trace: the message is sent all the same.
fn origin_of(row: &SqliteRow) -> sqlx::Result<Option<RowsOrigin>> {
    let unsigned = |column: &str| row.try_get::<Option<i64>, _>(column).map(|n| n.unwrap_or_default().cast_unsigned());
    let at = |column: &str| row.try_get(column).map(from_millis);
    let trace: String = row.try_get("trace")?;
    let Ok(commit) = trace.parse() else { return Ok(None) };
    Ok(Some(RowsOrigin {
        commit,
        rows: unsigned("row_count")?,
        line_ends: (unsigned("first_end")?, unsigned("last_end")?),
        written_at: (at("first_at")?, at("last_at")?),
    }))
}
