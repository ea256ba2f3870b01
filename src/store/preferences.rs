//! What is remembered for slash commands: chosen servers, players' names, what is registered with Discord.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{Store, StoreError, to_millis};
use crate::domain::ServerTag;

/// Names suggested at once: more than Discord shows.
const MOST_NAMES: i64 = 500;
/// Rows per INSERT.
const ROWS_PER_INSERT: usize = 1000;

impl Store {
    /// The server that `member` of `guild` last named; `None` where there is none, or what is stored is no tag.
    pub async fn preferred_server(&self, guild: u64, member: u64) -> Result<Option<ServerTag>, StoreError> {
        let server = sqlx::query_scalar::<_, String>("SELECT server FROM preferences WHERE guild = $1 AND member = $2")
            .bind(guild.cast_signed())
            .bind(member.cast_signed())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.in_words(&error))?;
        Ok(server.and_then(|tag| ServerTag::new(&tag).ok()))
    }

    /// Remembers the server that `member` of `guild` named.
    pub async fn prefer_server(&self, guild: u64, member: u64, server: &ServerTag) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO preferences (guild, member, server) VALUES ($1, $2, $3)")
            .bind(guild.cast_signed())
            .bind(member.cast_signed())
            .bind(server.as_str())
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(|error| self.in_words(&error))
    }

    /// Remembers the names of players of `server`.
    pub async fn know_players(&self, server: &ServerTag, names: &[String], at: Timestamp) -> Result<(), StoreError> {
        let seen: Vec<_> = names.iter().map(|name| (name.as_str(), at)).collect();
        let work = async {
            let mut tx = self.begin().await?;
            insert_players(&mut tx, server, &seen).await?;
            tx.commit().await
        };
        work.await.map_err(|error| self.in_words(&error))
    }

    /// Names of players of `server`, the last seen first, at most 500.
    pub async fn known_players(&self, server: &ServerTag) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT name FROM known_players WHERE server = $1 ORDER BY seen_at DESC, name LIMIT $2")
            .bind(server.as_str())
            .bind(MOST_NAMES)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.in_words(&error))
    }

    /// What is registered for `application`, by guild.
    pub async fn registrations(&self, application: u64) -> Result<Vec<(u64, String)>, StoreError> {
        let rows = sqlx::query("SELECT guild, fingerprint FROM registrations WHERE application = $1")
            .bind(application.cast_signed())
            .fetch_all(&self.readers)
            .await;
        let read = rows.and_then(|rows| {
            rows.iter().map(|row| Ok((row.try_get::<i64, _>(0)?.cast_unsigned(), row.try_get(1)?))).collect()
        });
        read.map_err(|error| self.in_words(&error))
    }

    /// Remembers what is registered in `guild`; `None` = nothing any more.
    pub async fn registered(&self, application: u64, guild: u64, print: Option<&str>) -> Result<(), StoreError> {
        let query = match print {
            Some(_) => "INSERT OR REPLACE INTO registrations (application, guild, fingerprint) VALUES ($1, $2, $3)",
            None => "DELETE FROM registrations WHERE application = $1 AND guild = $2 AND $3 IS NULL",
        };
        sqlx::query(query)
            .bind(application.cast_signed())
            .bind(guild.cast_signed())
            .bind(print)
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(|error| self.in_words(&error))
    }
}

/// Adds players of `server`, and when each was seen.
pub(super) async fn insert_players(
    tx: &mut SqliteConnection,
    server: &ServerTag,
    seen: &[(&str, Timestamp)],
) -> sqlx::Result<()> {
    for chunk in seen.chunks(ROWS_PER_INSERT) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO known_players (server, name, seen_at) ");
        insert.push_values(chunk, |mut row, (name, at)| {
            row.push_bind(server.as_str()).push_bind(*name).push_bind(to_millis(*at));
        });
        insert.push(" ON CONFLICT (server, name) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)");
        insert.build().persistent(false).execute(&mut *tx).await?;
    }
    Ok(())
}
