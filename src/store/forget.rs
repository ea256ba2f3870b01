//! How a player is forgotten. Personal data of players in this file: their sessions, what happened to them, their names
//! as suggestions, what the alerts remember of them, and what was said of them or by them on its way to Discord and into
//! other games.

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
    /// Chat that was said in other games, and what is kept of the last chat to know it again, where it names the player.
    pub said: u64,
    /// Alerts about the player, and what alerts remember that names them.
    pub alerts: u64,
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

/// Rids what another room remembers, which is opaque here, of every text that the question says yes to. `None` where
/// there is none.
pub type Unname = fn(stored: &str, named: &dyn Fn(&str) -> bool) -> Option<String>;

/// How the other rooms forget a player.
#[derive(Debug, Clone, Copy)]
pub struct Unnaming {
    /// In what the parser of a log remembers across lines.
    pub parser: Unname,
    /// In what the rules of alerts have seen.
    pub alert_memory: Unname,
    /// In the state of one alert.
    pub alert_state: Unname,
}

impl Store {
    /// Deletes what is stored of `player`, on `server` or on all, in one transaction, and overwrites it in the file.
    /// What people did by slash commands (the audit) is kept: it is the record of those who did it.
    ///
    /// # Errors
    /// Nothing is deleted then.
    pub async fn forget_player(
        &self,
        player: &str,
        server: Option<&ServerTag>,
        unnaming: Unnaming,
    ) -> Result<Forgotten, StoreError> {
        let named = Named { player, server: server.map(ServerTag::as_str) };
        self.try_forget(&named, unnaming).await.map_err(|error| self.in_words(&error))
    }

    async fn try_forget(&self, named: &Named<'_>, unnaming: Unnaming) -> sqlx::Result<Forgotten> {
        sqlx::query("PRAGMA secure_delete = ON").execute(&self.writer).await?;
        let mut tx = self.begin().await?;
        let mut forgotten = Forgotten {
            sessions: named.delete_rows(&mut tx, "sessions", "player").await?,
            known_names: named.delete_rows(&mut tx, "known_players", "name").await?,
            ..Forgotten::default()
        };
        named.forget_happenings(&mut tx, &mut forgotten).await?;
        forgotten.said += named.forget_parsed(&mut tx, unnaming.parser).await?;
        forgotten.alerts = named.forget_memories(&mut tx, unnaming.alert_memory).await?;
        forgotten.alerts += named.forget_states(&mut tx, unnaming.alert_state).await?;
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

    /// The last that was said in a game.
    async fn forget_parsed(&self, tx: &mut SqliteConnection, unname: Unname) -> sqlx::Result<u64> {
        let query = format!("SELECT server, source, state FROM checkpoints WHERE {HERE}");
        let rows: Vec<(String, String, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(self.server).fetch_all(&mut *tx).await?;
        let mut changed = 0;
        for (server, source, state) in rows {
            let Some(state) = unname(&state, &|text| names(text, self.player)) else { continue };
            let update = "UPDATE checkpoints SET state = $3 WHERE server = $1 AND source = $2";
            let update = sqlx::query(update).bind(server).bind(source).bind(state);
            changed += update.execute(&mut *tx).await?.rows_affected();
        }
        Ok(changed)
    }

    async fn forget_memories(&self, tx: &mut SqliteConnection, unname: Unname) -> sqlx::Result<u64> {
        let query = format!("SELECT server, memory FROM alert_memories WHERE {HERE}");
        let rows: Vec<(String, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(self.server).fetch_all(&mut *tx).await?;
        let mut changed = 0;
        for (server, memory) in rows {
            let Some(memory) = unname(&memory, &|text| names(text, self.player)) else { continue };
            let update = "UPDATE alert_memories SET memory = $2 WHERE server = $1";
            changed += sqlx::query(update).bind(server).bind(memory).execute(&mut *tx).await?.rows_affected();
        }
        Ok(changed)
    }

    /// An alert about the player goes. One about something else loses the words that name them, so that the edit that
    /// says it is over takes them out of Discord, too.
    async fn forget_states(&self, tx: &mut SqliteConnection, unname: Unname) -> sqlx::Result<u64> {
        let query = format!("SELECT server, alert, subject, state FROM alert_states WHERE {HERE}");
        let rows: Vec<(String, String, String, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(self.server).fetch_all(&mut *tx).await?;
        let mut changed = 0;
        for (server, alert, subject, state) in rows {
            let unnamed = unname(&state, &|text| names(text, self.player));
            let query = if names(&subject, self.player) {
                "DELETE FROM alert_states WHERE server = $1 AND alert = $2 AND subject = $3"
            } else if unnamed.is_some() {
                "UPDATE alert_states SET state = $4 WHERE server = $1 AND alert = $2 AND subject = $3"
            } else {
                continue;
            };
            let query = sqlx::query(query).bind(server).bind(alert).bind(subject).bind(unnamed);
            changed += query.execute(&mut *tx).await?.rows_affected();
        }
        Ok(changed)
    }

    async fn forget_outbox(&self, tx: &mut SqliteConnection, forgotten: &mut Forgotten) -> sqlx::Result<()> {
        let done = self.ids(&mut *tx, "outbox", "plain", "state IN ('delivered', 'dead')").await?;
        let waiting = self.ids(&mut *tx, "outbox", "plain", "state IN ('pending', 'assigned')").await?;
        forgotten.waiting = waiting.len() as u64;
        let mut messages = messages_of(&mut *tx, &done).await?;
        if self.server.is_none() {
            messages.extend(self.finished_messages(&mut *tx).await?);
        }
        forget_places(&mut *tx, &done).await?;
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
        forgotten.said += delete(&mut *tx, "inbound", &said).await?;
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

/// Where in Discord the messages of these rows are, but of alerts that will still be edited there.
async fn forget_places(tx: &mut SqliteConnection, rows: &BTreeSet<i64>) -> sqlx::Result<()> {
    let query = "DELETE FROM editable WHERE notice = $1
                 AND NOT EXISTS (SELECT 1 FROM alert_states WHERE alert_states.notice = editable.notice)";
    for id in rows {
        sqlx::query(query).bind(id).execute(&mut *tx).await?;
    }
    Ok(())
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
