//! How long each server's lines wait for Discord.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Store, StoreError, from_millis};
use crate::domain::ServerTag;

/// The last look at what waits. All servers share it: it reads every waiting notice, whoever asks.
#[derive(Debug, Default)]
pub(super) struct Backlog(Mutex<Option<Look>>);

#[derive(Debug)]
struct Look {
    at: Instant,
    but_event: String,
    oldest: BTreeMap<String, Timestamp>,
}

impl Look {
    fn answers(&self, but_event: &str, age: Duration) -> bool {
        self.but_event == but_event && self.at.elapsed() < age
    }
}

impl Store {
    /// When the oldest undelivered notice of `server` was read, those of the alert `but_event` left out, as it was at
    /// most `age` ago.
    pub async fn oldest_waiting(
        &self,
        server: &ServerTag,
        but_event: &str,
        age: Duration,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut last = self.backlog.0.lock().await;
        if let Some(look) = last.as_ref().filter(|look| look.answers(but_event, age)) {
            return Ok(look.oldest.get(server.as_str()).copied());
        }
        let at = Instant::now();
        let oldest = self.oldest_of_each(but_event).await?;
        let look = last.insert(Look { at, but_event: but_event.to_owned(), oldest });
        Ok(look.oldest.get(server.as_str()).copied())
    }

    async fn oldest_of_each(&self, but_event: &str) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        // A partial index is used only where its own condition stands in the query.
        let oldest: Vec<(String, i64)> = sqlx::query_as(
            "SELECT server, min(oldest) FROM (
                 SELECT server, min(created_at) AS oldest FROM outbox
                 WHERE state = 'pending' AND event <> $1 GROUP BY server
                 UNION ALL
                 SELECT server, min(created_at) FROM outbox
                 WHERE state = 'assigned' AND event <> $1 GROUP BY server)
             GROUP BY server",
        )
        .bind(but_event)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.in_words(&error))?;
        Ok(oldest.into_iter().map(|(server, at)| (server, from_millis(at))).collect())
    }
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
