//! The sessions of players: written in the transaction that stores what they come of.

use std::collections::BTreeSet;
use std::slice;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::history::insert_sample;
use super::ingest::{NewRow, insert_notices};
use super::{SampleRow, Store, StoreError, from_millis, to_millis};
use crate::domain::sessions::{End, Observation, RunEvidence, Session, SessionBook, Start};
use crate::domain::{EventKind, Happening, Notice, ServerTag};

const COLUMNS: &str = "id, player, started_at, start, joined_to, seen_at, ended_at, ended_by, gone_by, settled";

/// Of each player of the JSON list `$2`, on the server `$1`.
const LAST_SETTLED: &str = "FROM sessions WHERE id IN (
    SELECT (SELECT id FROM sessions WHERE player = names.value AND server = $1 AND settled = 1
            ORDER BY started_at DESC, id DESC LIMIT 1)
    FROM json_each($2) AS names)";

impl Store {
    /// Takes in what was seen of the game, and keeps the sample it was seen by, in one transaction.
    ///
    /// # Errors
    /// Nothing is stored then.
    pub async fn observe(
        &self,
        server: &ServerTag,
        observation: &Observation,
        sample: Option<&SampleRow>,
    ) -> Result<(), StoreError> {
        self.observe_all(server, slice::from_ref(observation), sample.map(slice::from_ref).unwrap_or_default()).await
    }

    /// Takes in what was seen of the game one after the other, in order, and keeps the samples, in one transaction.
    ///
    /// # Errors
    /// Nothing is stored then.
    pub async fn observe_all(
        &self,
        server: &ServerTag,
        observations: &[Observation],
        samples: &[SampleRow],
    ) -> Result<(), StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            let mut book = load(&mut tx, server, observations.iter().flat_map(seen)).await?;
            for observation in observations {
                book.observed(observation);
            }
            save(&mut tx, server, book).await?;
            for sample in samples {
                insert_sample(&mut tx, server, sample).await?;
            }
            tx.commit().await
        };
        work.await.map_err(|error| self.in_words(&error))
    }

    /// The game of `server` cannot be asked any more: who is there counts up to now, not up to its last answer.
    pub async fn not_asked_any_more(&self, server: &ServerTag) -> Result<(), StoreError> {
        let query = "UPDATE run_evidence SET answered_at = NULL WHERE server = $1";
        let done = sqlx::query(query).bind(server.as_str()).execute(&self.writer).await;
        done.map(drop).map_err(|error| self.in_words(&error))
    }

    /// Who is in the game of `server` by its sessions, and since when, the longest first.
    pub async fn open_sessions(&self, server: &ServerTag) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let work = async {
            let mut reader = self.readers.acquire().await?;
            unsettled(&mut reader, server).await
        };
        let mut sessions = work.await.map_err(|error| self.in_words(&error))?;
        sessions.sort_by_key(|session| (session.started_at, session.id));
        let mut open: Vec<_> = sessions
            .iter()
            .filter(|session| session.is_open())
            .map(|session| (session.player.clone(), since(session, &sessions)))
            .collect();
        open.sort_by_key(|(_, since)| *since);
        Ok(open)
    }
}

impl Store {
    /// How many players may have been in the game of `server` at `at`, by its sessions, where each end may have been as much
    /// as `slack` later.
    pub async fn present_around(
        &self,
        server: &ServerTag,
        at: Timestamp,
        slack: Duration,
    ) -> Result<usize, StoreError> {
        let ended = at.saturating_sub(slack).unwrap_or(at);
        let query = "SELECT count(*) FROM (
                         SELECT player FROM sessions WHERE server = $1 AND settled = 0 AND started_at <= $2
                                                     AND (ended_at IS NULL OR ended_at >= $3)
                         UNION SELECT player FROM sessions WHERE server = $1 AND ended_at >= $3 AND started_at <= $2)";
        let count: i64 = sqlx::query_scalar(query)
            .bind(server.as_str())
            .bind(to_millis(at))
            .bind(to_millis(ended))
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.in_words(&error))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}

impl Store {
    /// Ends for good the sessions of `server` that began with a JOIN and whose players samples have missed since before
    /// `gone_by`, and stores what `notice` says of each: no LEAVE will come.
    ///
    /// # Errors
    /// Nothing is stored then.
    pub async fn report_missed(
        &self,
        server: &ServerTag,
        gone_by: Timestamp,
        now: Timestamp,
        notice: impl Fn(&str, Timestamp) -> Notice + Sync,
    ) -> Result<usize, StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            let missed: Vec<(i64, String, i64)> = sqlx::query_as(
                "UPDATE sessions SET settled = 1
                 WHERE server = $1 AND settled = 0 AND start = $2 AND ended_by = $3 AND gone_by <= $4
                   AND joined_to IS NULL
                 RETURNING id, player, ended_at",
            )
            .bind(server.as_str())
            .bind(Start::Join.as_str())
            .bind(End::Missed.as_str())
            .bind(to_millis(gone_by))
            .fetch_all(&mut *tx)
            .await?;
            let notices: Vec<_> = missed.iter().map(|(_, name, ended)| notice(name, from_millis(*ended))).collect();
            let rows: Vec<_> = notices.iter().map(|notice| NewRow::untraced(notice, now)).collect();
            insert_notices(&mut tx, &rows).await?;
            tx.commit().await?;
            Ok(missed.len())
        };
        let missed = work.await.map_err(|error| self.in_words(&error))?;
        if missed > 0 {
            self.committed.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
        Ok(missed)
    }
}

/// Who was there, as far as it says.
fn seen(observation: &Observation) -> impl Iterator<Item = &str> {
    let online = match observation {
        Observation::Answered { online, .. } => online.as_deref(),
        _ => None,
    };
    online.unwrap_or_default().iter().map(String::as_str)
}

/// When the first of the pieces began that lead to `session`; `all` are in order.
fn since(session: &Session, all: &[Session]) -> Timestamp {
    let mut first = session;
    let before = all.iter().rev().filter(|other| other.player.eq_ignore_ascii_case(&session.player));
    for other in before.skip_while(|other| other.id != session.id).skip(1) {
        if first.joined_to.is_none() {
            break;
        }
        first = other;
    }
    first.started_at
}

/// Applies what happened, by server and in order.
pub(super) async fn apply_happenings(
    tx: &mut SqliteConnection,
    happenings: impl Iterator<Item = &Happening> + Clone,
) -> sqlx::Result<()> {
    let concerning = happenings.filter(|happening| concerns_sessions(happening));
    let servers: BTreeSet<&ServerTag> = concerning.clone().map(|happening| &happening.server).collect();
    for server in servers {
        let here = concerning.clone().filter(|happening| happening.server == *server);
        let mut book = load(&mut *tx, server, here.clone().filter_map(SessionBook::concerned)).await?;
        here.for_each(|happening| book.happened(happening));
        save(&mut *tx, server, book).await?;
    }
    Ok(())
}

fn concerns_sessions(happening: &Happening) -> bool {
    !matches!(happening.kind, EventKind::LogGap | EventKind::Starting | EventKind::Ready | EventKind::JoinRefused)
}

async fn load(
    tx: &mut SqliteConnection,
    server: &ServerTag,
    names: impl Iterator<Item = &str>,
) -> sqlx::Result<SessionBook> {
    let mut sessions = unsettled(&mut *tx, server).await?;
    let names: BTreeSet<String> = names.map(crate::domain::sessions::player_key).collect();
    sessions.extend(last_settled(&mut *tx, server, &names).await?);
    let evidence =
        sqlx::query("SELECT lost_at, alive_at, alive_elsewhere_at, answered_at FROM run_evidence WHERE server = $1")
            .bind(server.as_str())
            .try_map(|row| evidence_of(&row))
            .fetch_optional(&mut *tx)
            .await?;
    Ok(SessionBook::new(evidence.unwrap_or_default(), sessions))
}

/// The last settled session of each of `names`, where there is one. A batch of lines may be about thousands.
async fn last_settled(
    connection: &mut SqliteConnection,
    server: &ServerTag,
    names: &BTreeSet<String>,
) -> sqlx::Result<Vec<Session>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: serde_json::Value = names.iter().map(String::as_str).collect();
    sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} {LAST_SETTLED}")))
        .bind(server.as_str())
        .bind(names.to_string())
        .try_map(|row| session_of(&row))
        .fetch_all(connection)
        .await
}

async fn unsettled(connection: &mut SqliteConnection, server: &ServerTag) -> sqlx::Result<Vec<Session>> {
    let query = format!("SELECT {COLUMNS} FROM sessions WHERE server = $1 AND settled = 0");
    sqlx::query(sqlx::AssertSqlSafe(query))
        .bind(server.as_str())
        .try_map(|row| session_of(&row))
        .fetch_all(connection)
        .await
}

fn session_of(row: &SqliteRow) -> sqlx::Result<Session> {
    let time = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(from_millis));
    let ended_by: Option<&str> = row.try_get("ended_by")?;
    // A reason of another version is one of the vague ones.
    let end = ended_by.map(|key| End::from_key(key).unwrap_or(End::Missed));
    Ok(Session {
        id: row.try_get("id")?,
        player: row.try_get("player")?,
        started_at: from_millis(row.try_get("started_at")?),
        start: Start::from_key(row.try_get("start")?).unwrap_or(Start::Sample),
        joined_to: time("joined_to")?,
        seen_at: from_millis(row.try_get("seen_at")?),
        ended: time("ended_at")?.zip(end),
        gone_by: time("gone_by")?,
        settled: row.try_get("settled")?,
    })
}

fn evidence_of(row: &SqliteRow) -> sqlx::Result<RunEvidence> {
    let time = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(from_millis));
    Ok(RunEvidence {
        lost_at: time("lost_at")?,
        alive_at: time("alive_at")?,
        alive_elsewhere_at: time("alive_elsewhere_at")?,
        answered_at: time("answered_at")?,
    })
}

async fn save(tx: &mut SqliteConnection, server: &ServerTag, book: SessionBook) -> sqlx::Result<()> {
    let RunEvidence { lost_at, alive_at, alive_elsewhere_at, answered_at } = book.evidence();
    let query = "INSERT OR REPLACE INTO run_evidence (server, lost_at, alive_at, alive_elsewhere_at, answered_at)
                 VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(query)
        .bind(server.as_str())
        .bind(lost_at.map(to_millis))
        .bind(alive_at.map(to_millis))
        .bind(alive_elsewhere_at.map(to_millis))
        .bind(answered_at.map(to_millis))
        .execute(&mut *tx)
        .await?;
    let changes = book.changes();
    for id in changes.delete {
        sqlx::query("DELETE FROM sessions WHERE id = $1").bind(id).execute(&mut *tx).await?;
    }
    for session in changes.write {
        write(&mut *tx, server, &session).await?;
    }
    Ok(())
}

/// An id of NULL makes a new row.
async fn write(tx: &mut SqliteConnection, server: &ServerTag, session: &Session) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT OR REPLACE INTO sessions (id, server, player, started_at, start, joined_to, seen_at, ended_at, ended_by,
                                          gone_by, settled)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(session.id)
    .bind(server.as_str())
    .bind(&session.player)
    .bind(to_millis(session.started_at))
    .bind(session.start.as_str())
    .bind(session.joined_to.map(to_millis))
    .bind(to_millis(session.seen_at))
    .bind(session.ended.map(|(at, _)| to_millis(at)))
    .bind(session.ended.map(|(_, end)| end.as_str()))
    .bind(session.gone_by.map(to_millis))
    .bind(session.settled)
    .execute(tx)
    .await
    .map(drop)
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
