//! How the games were: samples, rolled up with age. A sample is kept as it is for a while, five minutes of them as one
//! row for longer, an hour as one row for ever.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::ServerTag;

/// Rows deleted, and rows rolled up, in one transaction, so that a commit of lines never waits long behind it.
const ROWS_PER_STEP: i64 = 1000;

/// The steps of roll-ups in seconds, each made of the one before; 0 is the samples as they are.
const STEPS: [i64; 3] = [0, 300, 3600];

/// A row of the history of more points than this is made of coarser steps.
const MOST_POINTS: u64 = 3000;

/// One sample as it is kept. What the game did not say is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRow {
    /// When it was taken.
    pub at: Timestamp,
    /// How many players were there.
    pub players: Option<u32>,
    /// Updates a second.
    pub ups: Option<f64>,
    /// The highest evolution factor of all surfaces, 0 to 1.
    pub evolution: Option<f64>,
}

/// A point of a game's history: a sample, or what a step of them comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryPoint {
    /// The sample's time, or the beginning of the step.
    pub at: Timestamp,
    /// The mean of the players; `None` where the game did not say.
    pub players: Option<f64>,
    /// The most players.
    pub players_max: Option<u32>,
    /// The mean of the updates a second.
    pub ups: Option<f64>,
    /// The step's length; zero for a sample.
    pub step: Duration,
}

/// How long what is kept. Hourly rows stay for ever, and so do deaths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Samples as they are.
    pub raw: Duration,
    /// Rows of five minutes.
    pub five_minutes: Duration,
    /// What happened in the games.
    pub happenings: Duration,
}

impl Store {
    /// The history of `server` from `from` on and before `to`, in order: by the finest step that reaches back to `from`
    /// and gives no more than 3000 points.
    pub async fn history(
        &self,
        server: &ServerTag,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<HistoryPoint>, StoreError> {
        self.read_history(server, from, to).await.map_err(|error| self.in_words(&error))
    }

    /// Keeps a sample by which nobody was seen to be there or not.
    pub async fn keep_sample(&self, server: &ServerTag, sample: &SampleRow) -> Result<(), StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            insert_sample(&mut tx, server, sample).await?;
            tx.commit().await
        };
        work.await.map_err(|error| self.in_words(&error))
    }

    async fn read_history(
        &self,
        server: &ServerTag,
        from: Timestamp,
        to: Timestamp,
    ) -> sqlx::Result<Vec<HistoryPoint>> {
        let mut reader = self.readers.acquire().await?;
        let step = step_for(&mut reader, server, from, to).await?;
        // What is not rolled up yet is read from the finer steps behind.
        let mut points = Vec::new();
        let mut reached = to_millis(from);
        for step in STEPS.into_iter().rev().skip_while(|other| *other > step) {
            let rows = points_between(&mut reader, server, step, (reached, to_millis(to))).await?;
            reached = rows.last().map_or(reached, |last| to_millis(last.at) + (step * 1000).max(1));
            points.extend(rows);
        }
        Ok(points)
    }

    /// Makes a small part of the roll-ups that are due at `now`. Answers whether there may be more.
    ///
    /// Each row is made again of the same finer rows if it is made twice, so nothing is counted double.
    pub async fn roll_up(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.roll_up_step(now).await.map_err(|error| self.in_words(&error))
    }

    async fn roll_up_step(&self, now: Timestamp) -> sqlx::Result<bool> {
        let servers: Vec<String> = sqlx::query_scalar(
            "WITH RECURSIVE tags (server) AS (
                 SELECT min(server) FROM history
                 UNION ALL SELECT (SELECT min(server) FROM history WHERE server > tags.server) FROM tags
                 WHERE tags.server IS NOT NULL
             ) SELECT server FROM tags WHERE server IS NOT NULL",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut more = false;
        for server in servers {
            for pair in STEPS.windows(2) {
                more |= self.roll_up_server(&server, (pair[0], pair[1]), to_millis(now)).await?;
            }
        }
        Ok(more)
    }

    /// From the end of what is rolled up to the last whole step of which all finer rows are there.
    async fn roll_up_server(&self, server: &str, (fine, step): (i64, i64), now: i64) -> sqlx::Result<bool> {
        let millis = step * 1000;
        let mut tx = self.begin().await?;
        let done = last_of(&mut tx, server, step, now).await?.map_or(i64::MIN, |last| last + millis);
        let complete = match fine {
            0 => Some(now),
            fine => last_of(&mut tx, server, fine, now).await?.map(|last| last + fine * 1000),
        };
        let first = "SELECT min(at) FROM history WHERE server = $1 AND step = $2 AND at >= $3";
        let first: Option<i64> =
            sqlx::query_scalar(first).bind(server).bind(fine).bind(done).fetch_one(&mut *tx).await?;
        let (Some(first), Some(complete)) = (first, complete) else { return Ok(false) };
        let begin = first - first.rem_euclid(millis);
        let whole = complete - complete.rem_euclid(millis);
        // As many steps as a transaction's worth of finer rows may make, at one a second.
        let end = whole.min(begin.saturating_add(millis * (ROWS_PER_STEP * 1000 / millis).max(1)));
        if begin >= end {
            return Ok(false);
        }
        sqlx::query(
            "INSERT OR REPLACE INTO history
                 (server, step, at, samples, players, players_min, players_max, ups, ups_min, evolution)
             SELECT $1, $3, at - at % $4, sum(samples),
                    sum(players * samples) / sum(CASE WHEN players IS NULL THEN NULL ELSE samples END),
                    min(players_min), max(players_max),
                    sum(ups * samples) / sum(CASE WHEN ups IS NULL THEN NULL ELSE samples END),
                    min(ups_min), max(evolution)
             FROM history WHERE server = $1 AND step = $2 AND at >= $5 AND at < $6 GROUP BY at - at % $4",
        )
        .bind(server)
        .bind(fine)
        .bind(step)
        .bind(millis)
        .bind(begin)
        .bind(end)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(end < whole)
    }

    /// Deletes some of what is older than `keep` says at `now`, never a row that is not rolled up. Answers whether there
    /// may be more.
    pub async fn prune_history(&self, now: Timestamp, keep: &Retention) -> Result<bool, StoreError> {
        self.prune_history_step(now, keep).await.map_err(|error| self.in_words(&error))
    }

    async fn prune_history_step(&self, now: Timestamp, keep: &Retention) -> sqlx::Result<bool> {
        let before = |keep: Duration| to_millis(now.saturating_sub(keep).unwrap_or(Timestamp::MIN));
        let mut most = 0;
        for (step, keep) in [(STEPS[0], keep.raw), (STEPS[1], keep.five_minutes)] {
            let coarser = STEPS.into_iter().find(|other| *other > step).unwrap_or(step);
            let query = "DELETE FROM history WHERE (server, step, at) IN (
                 SELECT server, step, at FROM history old WHERE step = $1 AND at < $2 AND at < (
                     SELECT max(at) + $3 * 1000 FROM history WHERE server = old.server AND step = $3 AND at <= $5)
                 LIMIT $4)";
            let query =
                sqlx::query(query).bind(step).bind(before(keep)).bind(coarser).bind(ROWS_PER_STEP).bind(to_millis(now));
            most = most.max(query.execute(&self.writer).await?.rows_affected());
        }
        // Deaths are part of the players' records. The index is used only where its own condition stands in the query.
        let query = "DELETE FROM happenings WHERE id IN (
             SELECT id FROM happenings WHERE kind <> 'death' AND happened_at < $1 ORDER BY happened_at LIMIT $2)";
        let query = sqlx::query(query).bind(before(keep.happenings)).bind(ROWS_PER_STEP);
        most = most.max(query.execute(&self.writer).await?.rows_affected());
        Ok(most == ROWS_PER_STEP.cast_unsigned())
    }
}

/// Rows of a clock that was ahead once do not count.
async fn last_of(connection: &mut SqliteConnection, server: &str, step: i64, now: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("SELECT max(at) FROM history WHERE server = $1 AND step = $2 AND at <= $3")
        .bind(server)
        .bind(step)
        .bind(now)
        .fetch_one(connection)
        .await
}

/// The finest step of which no row from `from` on was pruned, and which does not give too many points. A step reaches
/// back to `from` when no coarser row stands before its first one.
async fn step_for(
    connection: &mut SqliteConnection,
    server: &ServerTag,
    from: Timestamp,
    to: Timestamp,
) -> sqlx::Result<i64> {
    let range = (server.as_str(), to_millis(from), to_millis(to));
    let mut coarsest_first: Option<i64> = None;
    let mut found = STEPS[2];
    for step in STEPS.into_iter().rev() {
        let row = sqlx::query(
            "SELECT min(at) AS first, count(*) AS points FROM history
             WHERE server = $1 AND step = $2 AND at >= $3 AND at < $4",
        )
        .bind(range.0)
        .bind(step)
        .bind(range.1)
        .bind(range.2)
        .fetch_one(&mut *connection)
        .await?;
        let (first, points): (Option<i64>, i64) = (row.try_get("first")?, row.try_get("points")?);
        let Some(first) = first else { continue };
        let reaches = coarsest_first.is_none_or(|coarser| first < coarser + STEPS[2] * 1000);
        if reaches && points.cast_unsigned() <= MOST_POINTS {
            found = step;
        }
        coarsest_first = Some(coarsest_first.map_or(first, |other| other.min(first)));
    }
    Ok(found)
}

async fn points_between(
    connection: &mut SqliteConnection,
    server: &ServerTag,
    step: i64,
    (from, to): (i64, i64),
) -> sqlx::Result<Vec<HistoryPoint>> {
    sqlx::query(
        "SELECT at, players, players_max, ups FROM history
         WHERE server = $1 AND step = $2 AND at >= $3 AND at < $4 ORDER BY at",
    )
    .bind(server.as_str())
    .bind(step)
    .bind(from)
    .bind(to)
    .try_map(|row: sqlx::sqlite::SqliteRow| {
        Ok(HistoryPoint {
            at: from_millis(row.try_get("at")?),
            players: row.try_get("players")?,
            players_max: row.try_get("players_max")?,
            ups: row.try_get("ups")?,
            step: Duration::from_secs(step.unsigned_abs()),
        })
    })
    .fetch_all(connection)
    .await
}

/// A second sample of the same time replaces the first.
pub(super) async fn insert_sample(
    tx: &mut SqliteConnection,
    server: &ServerTag,
    sample: &SampleRow,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT OR REPLACE INTO history
             (server, step, at, samples, players, players_min, players_max, ups, ups_min, evolution)
         VALUES ($1, 0, $2, 1, $3, $3, $3, $4, $4, $5)",
    )
    .bind(server.as_str())
    .bind(to_millis(sample.at))
    .bind(sample.players)
    .bind(sample.ups)
    .bind(sample.evolution)
    .execute(tx)
    .await
    .map(drop)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
