//! What happened in the games, in the order it was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use tokio::sync::watch;

use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::{EventKind, Happening, ServerTag};

/// Rows per INSERT: six values each, of at most 32,766 that SQLite binds.
const ROWS_PER_INSERT: usize = 1000;

/// Who waits for happenings, by server: a commit wakes those of its servers alone.
#[derive(Debug, Default)]
pub(super) struct Awaited(Mutex<BTreeMap<ServerTag, watch::Sender<u64>>>);

impl Awaited {
    fn subscribe(&self, server: &ServerTag) -> watch::Receiver<u64> {
        self.servers().entry(server.clone()).or_default().subscribe()
    }

    /// Something happened on each of `servers`.
    pub(super) fn tell<'a>(&self, servers: impl Iterator<Item = &'a ServerTag>) {
        let awaited = self.servers();
        for sender in servers.collect::<BTreeSet<_>>().into_iter().filter_map(|server| awaited.get(server)) {
            sender.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<ServerTag, watch::Sender<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Changes with every commit that stored happenings of `server`.
    #[must_use]
    pub fn happened(&self, server: &ServerTag) -> watch::Receiver<u64> {
        self.happened.subscribe(server)
    }

    /// The id of the last happening of `server`; 0 where there is none.
    pub async fn last_happening(&self, server: &ServerTag) -> Result<i64, StoreError> {
        sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM happenings WHERE server = $1")
            .bind(server.as_str())
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.in_words(&error))
    }

    /// The happenings of `server` behind the one with the id `after`, in order, at most `limit`, with their ids.
    pub async fn happenings_after(
        &self,
        server: &ServerTag,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Happening)>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, kind, player, detail, happened_at FROM happenings
             WHERE server = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(server.as_str())
        .bind(after)
        .bind(limit)
        .try_map(|row| happening_of(&row, server))
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.in_words(&error))?;
        Ok(rows)
    }
}

impl Store {
    /// The details of happenings of a kind of `server`, in order, among the last `within` of all.
    pub async fn last_details(
        &self,
        server: &ServerTag,
        kind: EventKind,
        within: u32,
    ) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT detail FROM (SELECT id, kind, detail FROM happenings WHERE server = $1 ORDER BY id DESC LIMIT $3)
             WHERE kind = $2 AND detail IS NOT NULL ORDER BY id",
        )
        .bind(server.as_str())
        .bind(kind.as_str())
        .bind(within)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.in_words(&error))
    }
}

fn happening_of(row: &SqliteRow, server: &ServerTag) -> sqlx::Result<(i64, Happening)> {
    let kind: &str = row.try_get("kind")?;
    let happening = Happening {
        server: server.clone(),
        at: from_millis(row.try_get("happened_at")?),
        // A kind of another version is one that nobody here asks for.
        kind: EventKind::from_key(kind).unwrap_or(EventKind::EngineOther),
        player: row.try_get("player")?,
        detail: row.try_get("detail")?,
    };
    Ok((row.try_get("id")?, happening))
}

pub(super) async fn insert_happenings(
    tx: &mut SqliteConnection,
    happenings: &[(&Happening, Timestamp)],
) -> sqlx::Result<()> {
    for chunk in happenings.chunks(ROWS_PER_INSERT) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO happenings (server, kind, player, detail, happened_at, read_at) ");
        insert.push_values(chunk, |mut row, (happening, read_at)| {
            row.push_bind(happening.server.as_str())
                .push_bind(happening.kind.as_str())
                .push_bind(happening.player.as_deref())
                .push_bind(happening.detail.as_deref())
                .push_bind(to_millis(happening.at))
                .push_bind(to_millis(*read_at));
        });
        insert.build().persistent(false).execute(&mut *tx).await?;
    }
    Ok(())
}
