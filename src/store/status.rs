//! Where the status messages are, and when channels were last changed.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::{ChannelId, ServerTag};

/// A server's status message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMessage {
    /// Whose.
    pub server: ServerTag,
    /// Where.
    pub channel: ChannelId,
    /// Its id; `None` while it is not known whether it was posted.
    pub message: Option<u64>,
    /// What every attempt to post it carries, at most 25 characters.
    pub nonce: String,
    /// When it was first tried.
    pub attempted_at: Timestamp,
}

/// The last change of a channel's topic and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelEdit {
    /// When it was tried.
    pub at: Timestamp,
    /// When the one before was tried.
    pub before: Option<Timestamp>,
    /// What Discord took last.
    pub topic: Option<String>,
    /// The same of the name.
    pub name: Option<String>,
}

impl Store {
    /// All status messages, those in channels that are no longer their servers' included.
    pub async fn status_messages(&self) -> Result<Vec<StatusMessage>, StoreError> {
        let rows = sqlx::query("SELECT server, channel, message, nonce, attempted_at FROM status_messages")
            .fetch_all(&self.readers)
            .await;
        let read = rows.and_then(|rows| rows.iter().map(status_message).collect::<sqlx::Result<Vec<_>>>());
        Ok(read.map_err(|error| self.in_words(&error))?.into_iter().flatten().collect())
    }

    /// Remembers that a server's message is about to be posted, with a nonce of its own, in place of one before.
    pub async fn prepare_status_message(
        &self,
        server: &ServerTag,
        channel: ChannelId,
        at: Timestamp,
    ) -> Result<StatusMessage, StoreError> {
        let nonce = format!("status-{:016x}", fastrand::u64(..));
        let insert = "INSERT OR REPLACE INTO status_messages (server, channel, message, nonce, attempted_at)
                      VALUES ($1, $2, NULL, $3, $4)";
        sqlx::query(insert)
            .bind(server.as_str())
            .bind(channel.get().cast_signed())
            .bind(&nonce)
            .bind(to_millis(at))
            .execute(&self.writer)
            .await
            .map_err(|error| self.in_words(&error))?;
        Ok(StatusMessage { server: server.clone(), channel, message: None, nonce, attempted_at: at })
    }

    /// Remembers that the message is there.
    pub async fn status_posted(&self, at: &StatusMessage, message: u64) -> Result<(), StoreError> {
        sqlx::query("UPDATE status_messages SET message = $3 WHERE server = $1 AND channel = $2")
            .bind(at.server.as_str())
            .bind(at.channel.get().cast_signed())
            .bind(message.cast_signed())
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(|error| self.in_words(&error))
    }

    /// Forgets a message.
    pub async fn forget_status_message(&self, gone: &StatusMessage) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM status_messages WHERE server = $1 AND channel = $2")
            .bind(gone.server.as_str())
            .bind(gone.channel.get().cast_signed())
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(|error| self.in_words(&error))
    }

    /// The last change of a channel.
    pub async fn channel_edit(&self, channel: ChannelId) -> Result<Option<ChannelEdit>, StoreError> {
        let row = sqlx::query("SELECT edited_at, before_at, topic, name FROM channel_edits WHERE channel = $1")
            .bind(channel.get().cast_signed())
            .fetch_optional(&self.readers)
            .await;
        let read = row.and_then(|row| {
            let edit = |row: SqliteRow| {
                let at = from_millis(row.try_get("edited_at")?);
                let before = row.try_get::<Option<i64>, _>("before_at")?.map(from_millis);
                Ok(ChannelEdit { at, before, topic: row.try_get("topic")?, name: row.try_get("name")? })
            };
            row.map(edit).transpose()
        });
        read.map_err(|error| self.in_words(&error))
    }

    /// Remembers a change of a channel.
    pub async fn channel_edited(&self, channel: ChannelId, edit: &ChannelEdit) -> Result<(), StoreError> {
        let insert = "INSERT OR REPLACE INTO channel_edits (channel, edited_at, topic, name, before_at)
                      VALUES ($1, $2, $3, $4, $5)";
        sqlx::query(insert)
            .bind(channel.get().cast_signed())
            .bind(to_millis(edit.at))
            .bind(&edit.topic)
            .bind(&edit.name)
            .bind(edit.before.map(to_millis))
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(|error| self.in_words(&error))
    }
}

/// `None` for a row that somebody damaged by hand.
fn status_message(row: &SqliteRow) -> sqlx::Result<Option<StatusMessage>> {
    let server = ServerTag::new(row.try_get("server")?).ok();
    let channel = ChannelId::new(row.try_get::<i64, _>("channel")?.cast_unsigned());
    let message = row.try_get::<Option<i64>, _>("message")?.map(i64::cast_unsigned);
    let (nonce, attempted_at) = (row.try_get("nonce")?, from_millis(row.try_get("attempted_at")?));
    let placed = server.zip(channel);
    Ok(placed.map(|(server, channel)| StatusMessage { server, channel, message, nonce, attempted_at }))
}
