//! How a player is forgotten. Personal data of players in this file: their sessions, what happened to them, their names
//! as suggestions, and what was said of them or by them on its way to Discord and into other games.

use std::collections::BTreeSet;

use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError};
use crate::domain::ServerTag;

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Sessions.
    pub sessions: u64,
    /// Joins, kicks, deaths and the like, and those of others that name the player.
    pub happenings: u64,
    /// Names that are suggested.
    pub known_names: u64,
    /// Lines and messages that were delivered to Discord, or refused for good, and name the player.
    pub delivered: u64,
    /// Chat that was said in other games, and names the player.
    pub said: u64,
    /// Lines that name the player and wait for Discord: they are kept, and go when they are delivered.
    pub waiting: u64,
}

impl Forgotten {
    /// Whether nothing was there.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Store {
    /// Deletes what is stored of `player`, on `server` or on all, in one transaction, and overwrites it in the file.
    /// What people did by slash commands (the audit) is kept: it is the record of those who did it.
    ///
    /// # Errors
    /// Nothing is deleted then.
    pub async fn forget_player(&self, player: &str, server: Option<&ServerTag>) -> Result<Forgotten, StoreError> {
        self.try_forget(player, server.map(ServerTag::as_str)).await.map_err(|error| self.in_words(&error))
    }

    async fn try_forget(&self, player: &str, server: Option<&str>) -> sqlx::Result<Forgotten> {
        sqlx::query("PRAGMA secure_delete = ON").execute(&self.writer).await?;
        let mut tx = self.begin().await?;
        let named = Named { player, server };
        let mut forgotten = Forgotten {
            sessions: named.delete_rows(&mut tx, "sessions", "player").await?,
            known_names: named.delete_rows(&mut tx, "known_players", "name").await?,
            ..Forgotten::default()
        };
        named.forget_happenings(&mut tx, &mut forgotten).await?;
        named.forget_outbox(&mut tx, &mut forgotten).await?;
        named.forget_inbound(&mut tx, &mut forgotten).await?;
        tx.commit().await?;
        // The log of the transactions holds the old pages, too.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await?;
        Ok(forgotten)
    }
}

/// Who is forgotten, and where.
struct Named<'a> {
    player: &'a str,
    server: Option<&'a str>,
}

/// The rows whose text names somebody.
const HERE: &str = "($1 IS NULL OR server = $1)";

impl Named<'_> {
    async fn delete_rows(&self, tx: &mut SqliteConnection, table: &str, column: &str) -> sqlx::Result<u64> {
        let query = format!("DELETE FROM {table} WHERE {HERE} AND {column} = $2 COLLATE NOCASE");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(self.server).bind(self.player);
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn forget_happenings(&self, tx: &mut SqliteConnection, forgotten: &mut Forgotten) -> sqlx::Result<()> {
        forgotten.happenings = self.delete_rows(&mut *tx, "happenings", "player").await?;
        let naming = self.ids(&mut *tx, "happenings", "detail", "detail IS NOT NULL").await?;
        forgotten.happenings += delete(&mut *tx, "happenings", &naming).await?;
        Ok(())
    }

    async fn forget_outbox(&self, tx: &mut SqliteConnection, forgotten: &mut Forgotten) -> sqlx::Result<()> {
        let done = self.ids(&mut *tx, "outbox", "plain", "state IN ('delivered', 'dead')").await?;
        let waiting = self.ids(&mut *tx, "outbox", "plain", "state IN ('pending', 'assigned')").await?;
        forgotten.waiting = waiting.len() as u64;
        let mut messages = messages_of(&mut *tx, &done).await?;
        if self.server.is_none() {
            messages.extend(self.finished_messages(&mut *tx).await?);
        }
        forgotten.delivered =
            delete(&mut *tx, "outbox", &done).await? + delete(&mut *tx, "messages", &messages).await?;
        Ok(())
    }

    /// Messages are of no server: those whose lines are gone are found by their own text.
    async fn finished_messages(&self, tx: &mut SqliteConnection) -> sqlx::Result<BTreeSet<i64>> {
        let rows = sqlx::query("SELECT id, content AS text FROM messages WHERE state <> 'open'").fetch_all(tx).await?;
        self.naming(&rows)
    }

    async fn forget_inbound(&self, tx: &mut SqliteConnection, forgotten: &mut Forgotten) -> sqlx::Result<()> {
        // Chat of another game carries its player's name; the row's server is the one that heard it.
        let query = "SELECT id, lines AS text FROM inbound WHERE state <> 'pending'";
        let rows = sqlx::query(query).fetch_all(&mut *tx).await?;
        let said = if self.server.is_none() { self.naming(&rows)? } else { BTreeSet::new() };
        forgotten.said = delete(&mut *tx, "inbound", &said).await?;
        Ok(())
    }

    async fn ids(
        &self,
        tx: &mut SqliteConnection,
        table: &str,
        column: &str,
        which: &str,
    ) -> sqlx::Result<BTreeSet<i64>> {
        // LIKE finds too many, as `_` is any character; the exact look follows.
        let query = format!(
            "SELECT id, {column} AS text FROM {table} WHERE {HERE} AND {which} AND {column} LIKE '%' || $2 || '%'"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).bind(self.server).bind(self.player).fetch_all(tx).await?;
        self.naming(&rows)
    }

    fn naming(&self, rows: &[sqlx::sqlite::SqliteRow]) -> sqlx::Result<BTreeSet<i64>> {
        let mut ids = BTreeSet::new();
        for row in rows {
            if names(row.try_get("text")?, self.player) {
                ids.insert(row.try_get("id")?);
            }
        }
        Ok(ids)
    }
}

/// The finished messages these lines went into.
async fn messages_of(tx: &mut SqliteConnection, rows: &BTreeSet<i64>) -> sqlx::Result<BTreeSet<i64>> {
    let query = "SELECT m.id FROM messages m JOIN outbox o ON o.message = m.id WHERE m.state <> 'open' AND o.id = $1";
    let mut messages = BTreeSet::new();
    for id in rows {
        messages.extend(sqlx::query_scalar::<_, i64>(query).bind(id).fetch_optional(&mut *tx).await?);
    }
    Ok(messages)
}

async fn delete(tx: &mut SqliteConnection, table: &str, ids: &BTreeSet<i64>) -> sqlx::Result<u64> {
    let mut deleted = 0;
    for id in ids {
        let query = format!("DELETE FROM {table} WHERE id = $1");
        deleted += sqlx::query(sqlx::AssertSqlSafe(query)).bind(id).execute(&mut *tx).await?.rows_affected();
    }
    Ok(deleted)
}

/// Whether `text`, as plain text or as Discord's markdown, has `player` in it as a word, in any case.
fn names(text: &str, player: &str) -> bool {
    let (text, player) = (text.replace('\\', "").to_lowercase(), player.to_lowercase());
    let of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(&player).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let after = text[start + found.len()..].chars().next();
        !before.is_some_and(of_name) && !after.is_some_and(of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_word() {
        for text in ["Bob joined the game", "said **bob**: hi", r"by bob.", "(Bob)", "bob"] {
            assert!(names(text, "Bob"), "{text}");
        }
        for text in ["Bobby joined", "foo-bob: hi", "big_bob", ""] {
            assert!(!names(text, "Bob"), "{text}");
        }
        assert!(names(r"**big\_bob** joined", "big_bob"));
    }
}
