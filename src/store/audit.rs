//! What people did by slash commands, and its notice, in one transaction.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::housekeeping::ROWS_PER_STEP;
use super::ingest::{NewRow, insert_notices};
use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::Notice;

/// One command that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// In which Discord server.
    pub guild: u64,
    /// In which channel.
    pub channel: u64,
    /// Who, by id.
    pub member: u64,
    /// Who, as named then.
    pub member_name: String,
    /// For which game; empty where the command concerns none.
    pub server: String,
    /// The command with its options.
    pub command: String,
    /// `done`, `refused`, `failed`, `unknown`, `denied` ...
    pub outcome: String,
    /// The game's words, or why there are none.
    pub answer: String,
}

impl Store {
    /// Keeps the entry; where there is a notice, it goes to the outbox with it.
    pub async fn audit(&self, entry: &AuditEntry, notice: Option<&Notice>) -> Result<(), StoreError> {
        self.write_audit(entry, notice).await.map_err(|error| self.in_words(&error))?;
        if notice.is_some() {
            self.committed.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
        Ok(())
    }

    async fn write_audit(&self, entry: &AuditEntry, notice: Option<&Notice>) -> sqlx::Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO audit (happened_at, guild, channel, member, member_name, server, command, outcome, answer)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(to_millis(entry.at))
        .bind(entry.guild.cast_signed())
        .bind(entry.channel.cast_signed())
        .bind(entry.member.cast_signed())
        .bind(&entry.member_name)
        .bind(&entry.server)
        .bind(&entry.command)
        .bind(&entry.outcome)
        .bind(&entry.answer)
        .execute(&mut *tx)
        .await?;
        let rows: Vec<_> = notice.map(|notice| NewRow::untraced(notice, entry.at)).into_iter().collect();
        insert_notices(&mut tx, &rows).await?;
        tx.commit().await
    }

    /// Deletes some of the entries from before `before`, the oldest first. Answers whether there may be more.
    pub async fn prune_audit(&self, before: Timestamp) -> Result<bool, StoreError> {
        // Entries come in the order of time, so those of the lowest ids are enough to look at: no index is needed.
        let deleted = sqlx::query(
            "DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, happened_at FROM audit ORDER BY id LIMIT $2)
             WHERE happened_at < $1)",
        )
        .bind(to_millis(before))
        .bind(ROWS_PER_STEP)
        .execute(&self.writer)
        .await
        .map_err(|error| self.in_words(&error))?;
        Ok(deleted.rows_affected() == ROWS_PER_STEP.cast_unsigned())
    }

    /// The last `most` entries, the newest first.
    pub async fn audit_entries(&self, most: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT happened_at, guild, channel, member, member_name, server, command, outcome, answer
             FROM audit ORDER BY id DESC LIMIT $1",
        )
        .bind(most)
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(entry).collect()).map_err(|error| self.in_words(&error))
    }
}

fn entry(row: &SqliteRow) -> sqlx::Result<AuditEntry> {
    let id = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    Ok(AuditEntry {
        at: from_millis(row.try_get("happened_at")?),
        guild: id("guild")?,
        channel: id("channel")?,
        member: id("member")?,
        member_name: row.try_get("member_name")?,
        server: row.try_get("server")?,
        command: row.try_get("command")?,
        outcome: row.try_get("outcome")?,
        answer: row.try_get("answer")?,
    })
}
