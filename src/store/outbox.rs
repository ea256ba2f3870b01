//! What delivery reads and stores: pending rows, the messages they become, and what came of those.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::{ChannelId, Lane, Mentions};

/// Text held in memory at a time, however long the rows are.
const PAGE_BYTES: usize = 1 << 20;

/// Messages delivered so long before the first attempt at another one may be taken for it: more than the clocks of
/// this machine and of Discord may differ in the search for it.
pub(super) const NEIGHBOUR_MILLIS: i64 = 5 * 60 * 1000;

/// FNV-1a, 64 bits: <https://www.rfc-editor.org/rfc/rfc9923>. The same in every version, as nonces must be.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// 48 bits: with a 63-bit id behind them the nonce stays within 25 characters of base 36.
const NONCE_MARK: u64 = (1 << 48) - 1;

/// A notice that is to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Grows in the order of the commits.
    pub id: i64,
    /// The server's tag.
    pub server: String,
    /// The event's key.
    pub event: String,
    /// Discord markdown.
    pub content: String,
    /// For a file.
    pub plain: String,
    /// Whom it may ping.
    pub mentions: Mentions,
    /// When it happened in the game.
    pub occurred_at: Timestamp,
    /// At most this many rows may be in its message.
    pub group_limit: Option<u32>,
    /// The notice whose message it replaces the text of.
    pub edits: Option<i64>,
}

/// A message about to be stored: the pending rows of a lane up to and with `last_row`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Where to.
    pub channel: ChannelId,
    /// Of which lane.
    pub lane: Lane,
    /// At most 2000 characters.
    pub content: String,
    /// Set where the rows' plain text goes along.
    pub filename: Option<String>,
    /// Whom it may ping.
    pub mentions: Mentions,
    /// How many rows.
    pub rows: usize,
    /// The last of them.
    pub last_row: i64,
    /// The notice whose message it replaces the text of; its row then goes alone.
    pub edits: Option<i64>,
}

/// A message that is stored and not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its id.
    pub id: i64,
    /// The same at every attempt, in every process; at most 25 characters.
    pub nonce: String,
    /// Where to.
    pub channel: ChannelId,
    /// At most 2000 characters.
    pub content: String,
    /// Set where the rows' plain text goes along.
    pub filename: Option<String>,
    /// Whom it may ping.
    pub mentions: Mentions,
    /// How many rows.
    pub rows: usize,
    /// How often it was tried, and the outcome stored.
    pub attempts: u32,
    /// The first attempt that may have arrived.
    pub first_attempt_at: Timestamp,
    /// Discord's id of the message whose text it replaces. `None` for a new message, also where the old one is not
    /// known any more.
    pub edits: Option<u64>,
}

impl Store {
    /// The channels for which something is pending or under way.
    pub async fn channels_with_work(&self) -> Result<Vec<ChannelId>, StoreError> {
        // One index seek per channel, however many rows wait.
        let ids: Vec<i64> = sqlx::query_scalar(
            "WITH RECURSIVE waiting(channel) AS (
                 SELECT min(channel) FROM outbox WHERE state = 'pending'
                 UNION ALL
                 SELECT (SELECT min(o.channel) FROM outbox o WHERE o.state = 'pending' AND o.channel > w.channel)
                 FROM waiting w WHERE w.channel IS NOT NULL)
             SELECT channel FROM waiting WHERE channel IS NOT NULL
             UNION SELECT channel FROM messages WHERE state = 'open'",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.in_words(&e))?;
        Ok(ids.into_iter().filter_map(|id| ChannelId::new(id.cast_unsigned())).collect())
    }

    /// The pending rows of a lane behind the row `after` (0 = from the first): at most `limit`, and not many more
    /// than fill [`PAGE_BYTES`]. Empty only when there are none.
    pub async fn pending_rows(
        &self,
        channel: ChannelId,
        lane: Lane,
        after: i64,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let mut found = sqlx::query(
            "SELECT id, server, event, content, plain, mentions, occurred_at, group_limit, edits FROM outbox
             WHERE state = 'pending' AND channel = $1 AND lane = $2 AND id > $3 ORDER BY id LIMIT $4",
        )
        .bind(channel.get().cast_signed())
        .bind(lane.as_str())
        .bind(after)
        .bind(limit)
        .try_map(|row| row_of(&row))
        .fetch(&self.readers);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = found.try_next().await.map_err(|e| self.in_words(&e))? {
            bytes += row.content.len() + row.plain.len();
            rows.push(row);
            if bytes > PAGE_BYTES {
                break;
            }
        }
        Ok(rows)
    }

    /// The lane's message that is not finished, if there is one.
    pub async fn open_message(&self, channel: ChannelId, lane: Lane) -> Result<Option<StoredMessage>, StoreError> {
        sqlx::query(
            "SELECT id, content, filename, mentions, row_count, attempts, first_attempt_at,
                    (SELECT message FROM editable WHERE notice = messages.edits) AS target FROM messages
             WHERE state = 'open' AND channel = $1 AND lane = $2 ORDER BY id LIMIT 1",
        )
        .bind(channel.get().cast_signed())
        .bind(lane.as_str())
        .try_map(|row| message_of(&row, channel, self.nonce_seed))
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.in_words(&e))
    }

    /// Discord's ids of the messages delivered to the channel since shortly before `first_attempt`.
    pub async fn ids_delivered_around(
        &self,
        channel: ChannelId,
        first_attempt: Timestamp,
    ) -> Result<Vec<u64>, StoreError> {
        // The index is of what is not open.
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT discord_id FROM messages
             WHERE state <> 'open' AND finished_at >= $1 AND state = 'delivered' AND channel = $2",
        )
        .bind(to_millis(first_attempt).saturating_sub(NEIGHBOUR_MILLIS))
        .bind(channel.get().cast_signed())
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.in_words(&e))?;
        Ok(ids.into_iter().map(i64::cast_unsigned).collect())
    }

    /// The plain texts of a message's rows behind the row `after`, with their ids.
    pub async fn plain_texts(&self, message: i64, after: i64, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
        sqlx::query_as(
            "SELECT id, plain FROM outbox
             WHERE state = 'assigned' AND message = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(message)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.in_words(&e))
    }

    /// Stores a message and ties its rows to it, before it is first sent at `now`.
    pub async fn assign(&self, message: &NewMessage, now: Timestamp) -> Result<StoredMessage, StoreError> {
        self.try_assign(message, now).await.map_err(|e| self.in_words(&e))
    }

    async fn try_assign(&self, message: &NewMessage, now: Timestamp) -> sqlx::Result<StoredMessage> {
        let mut tx = self.begin().await?;
        let stored = sqlx::query(
            "INSERT INTO messages (channel, lane, content, filename, row_count, first_attempt_at, mentions, edits)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id, content, filename, mentions, row_count,
                    attempts, first_attempt_at, (SELECT message FROM editable WHERE notice = edits) AS target",
        )
        .bind(message.channel.get().cast_signed())
        .bind(message.lane.as_str())
        .bind(&message.content)
        .bind(&message.filename)
        .bind(i64::try_from(message.rows).unwrap_or(i64::MAX))
        .bind(to_millis(now))
        .bind(mentions_text(&message.mentions))
        .bind(message.edits)
        .try_map(|row| message_of(&row, message.channel, self.nonce_seed))
        .fetch_one(&mut *tx)
        .await?;
        let tied = sqlx::query(
            "UPDATE outbox SET state = 'assigned', message = $1
             WHERE state = 'pending' AND channel = $2 AND lane = $3 AND id <= $4",
        )
        .bind(stored.id)
        .bind(message.channel.get().cast_signed())
        .bind(message.lane.as_str())
        .bind(message.last_row)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if tied != message.rows as u64 {
            let wrong = format!("a message of {} rows would take {tied}", message.rows);
            return Err(sqlx::Error::Protocol(wrong));
        }
        tx.commit().await?;
        Ok(stored)
    }

    /// Notes an attempt that failed and will be repeated.
    pub async fn postpone(
        &self,
        message: &StoredMessage,
        first_attempt_at: Timestamp,
        reason: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE messages SET attempts = attempts + 1, first_attempt_at = $2, last_error = $3 WHERE id = $1",
        )
        .bind(message.id)
        .bind(to_millis(first_attempt_at))
        .bind(reason)
        .execute(&self.writer)
        .await
        .map_err(|e| self.in_words(&e))?;
        Ok(())
    }

    /// Finishes a message that is there. Answers how many of its rows had been read when.
    pub async fn delivered(
        &self,
        message: &StoredMessage,
        discord_id: u64,
        now: Timestamp,
    ) -> Result<BTreeMap<Timestamp, usize>, StoreError> {
        self.try_delivered(message, discord_id, now).await.map_err(|e| self.in_words(&e))
    }

    async fn try_delivered(
        &self,
        message: &StoredMessage,
        discord_id: u64,
        now: Timestamp,
    ) -> sqlx::Result<BTreeMap<Timestamp, usize>> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE messages SET state = 'delivered', attempts = attempts + 1, discord_id = $2, finished_at = $3
             WHERE id = $1",
        )
        .bind(message.id)
        .bind(discord_id.cast_signed())
        .bind(to_millis(now))
        .execute(&mut *tx)
        .await?;
        note_editable(&mut tx, message, discord_id, now).await?;
        let mut read_at = BTreeMap::new();
        let mut rows = sqlx::query_scalar::<_, i64>(
            "UPDATE outbox SET state = 'delivered', finished_at = $2
             WHERE state = 'assigned' AND message = $1 RETURNING created_at",
        )
        .bind(message.id)
        .bind(to_millis(now))
        .fetch(&mut *tx);
        while let Some(created_at) = rows.try_next().await? {
            *read_at.entry(from_millis(created_at)).or_insert(0) += 1;
        }
        drop(rows);
        tx.commit().await?;
        Ok(read_at)
    }

    /// The message that was to be edited is gone: the text goes as a new one.
    pub async fn post_anew(&self, message: &StoredMessage, reason: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE messages SET edits = NULL, attempts = attempts + 1, first_attempt_at = $2, last_error = $3
             WHERE id = $1",
        )
        .bind(message.id)
        .bind(to_millis(now))
        .bind(reason)
        .execute(&self.writer)
        .await
        .map_err(|e| self.in_words(&e))?;
        Ok(())
    }

    /// Gives a refused message's rows back to the lane, to go in messages of at most `group_limit` rows.
    pub async fn dissolve(
        &self,
        message: &StoredMessage,
        group_limit: u32,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            refuse(&mut tx, message.id, reason, now).await?;
            sqlx::query(
                "UPDATE outbox SET state = 'pending', message = NULL, group_limit = $2
                 WHERE state = 'assigned' AND message = $1",
            )
            .bind(message.id)
            .bind(group_limit)
            .execute(&mut *tx)
            .await?;
            tx.commit().await
        };
        work.await.map_err(|e| self.in_words(&e))
    }

    /// Makes a refused message's row a dead letter.
    pub async fn bury(&self, message: &StoredMessage, reason: &str, now: Timestamp) -> Result<(), StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            refuse(&mut tx, message.id, reason, now).await?;
            sqlx::query(
                "UPDATE outbox SET state = 'dead', reason = $2, finished_at = $3
                 WHERE state = 'assigned' AND message = $1",
            )
            .bind(message.id)
            .bind(reason)
            .bind(to_millis(now))
            .execute(&mut *tx)
            .await?;
            tx.commit().await
        };
        work.await.map_err(|e| self.in_words(&e))
    }
}

/// Remembers where an editable notice went, also where the text of an edit had to be posted anew, as that message was
/// gone. One whose id Discord did not say cannot be edited.
async fn note_editable(
    tx: &mut SqliteConnection,
    message: &StoredMessage,
    discord_id: u64,
    now: Timestamp,
) -> sqlx::Result<()> {
    if message.rows != 1 || discord_id == 0 {
        return Ok(());
    }
    sqlx::query(
        "INSERT OR REPLACE INTO editable (notice, message, posted_at)
         SELECT coalesce(edits, id), $2, $3 FROM outbox
         WHERE state = 'assigned' AND message = $1 AND (editable = 1 OR edits IS NOT NULL)",
    )
    .bind(message.id)
    .bind(discord_id.cast_signed())
    .bind(to_millis(now))
    .execute(tx)
    .await
    .map(drop)
}

async fn refuse(tx: &mut SqliteConnection, message: i64, reason: &str, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE messages SET state = 'refused', attempts = attempts + 1, last_error = $2, finished_at = $3
         WHERE id = $1",
    )
    .bind(message)
    .bind(reason)
    .bind(to_millis(now))
    .execute(tx)
    .await?;
    Ok(())
}

fn row_of(row: &SqliteRow) -> sqlx::Result<OutboxRow> {
    Ok(OutboxRow {
        id: row.try_get("id")?,
        server: row.try_get("server")?,
        event: row.try_get("event")?,
        content: row.try_get("content")?,
        plain: row.try_get("plain")?,
        mentions: mentions_of(row)?,
        occurred_at: from_millis(row.try_get("occurred_at")?),
        group_limit: row.try_get("group_limit")?,
        edits: row.try_get("edits")?,
    })
}

fn message_of(row: &SqliteRow, channel: ChannelId, nonce_seed: u64) -> sqlx::Result<StoredMessage> {
    let id: i64 = row.try_get("id")?;
    let (content, filename): (String, Option<String>) = (row.try_get("content")?, row.try_get("filename")?);
    Ok(StoredMessage {
        id,
        nonce: nonce(nonce_seed, id, &content, filename.as_deref()),
        channel,
        content,
        filename,
        mentions: mentions_of(row)?,
        rows: usize::try_from(row.try_get::<i64, _>("row_count")?).unwrap_or_default(),
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        first_attempt_at: from_millis(row.try_get("first_attempt_at")?),
        edits: row.try_get::<Option<i64>, _>("target")?.map(i64::cast_unsigned),
    })
}

/// Of the content too: where a database is restored from a backup, ids are used again for other messages, and Discord
/// would take those for the ones it has.
fn nonce(seed: u64, id: i64, content: &str, filename: Option<&str>) -> String {
    let bytes = content.bytes().chain([0]).chain(filename.unwrap_or_default().bytes());
    let mark = bytes.fold(seed ^ FNV_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    format!("{}-{}", base36((mark ^ (mark >> 48)) & NONCE_MARK), base36(id.cast_unsigned()))
}

/// JSON, or nothing where nobody is pinged.
pub(super) fn mentions_text(mentions: &Mentions) -> Option<String> {
    (!mentions.is_empty()).then(|| serde_json::to_string(mentions).expect("numbers become JSON"))
}

/// Total, so that a row damaged by hand cannot stop the delivery of the others: it pings nobody.
fn mentions_of(row: &SqliteRow) -> sqlx::Result<Mentions> {
    let text: Option<String> = row.try_get("mentions")?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize] as char);
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_base_36() {
        assert_eq!([0, 35, 36, 46_655].map(base36), ["0", "z", "10", "zzz"]);
    }

    #[test]
    fn the_longest_nonce_is_one_discord_takes() {
        assert!(base36(NONCE_MARK).len() + 1 + base36(i64::MAX.cast_unsigned()).len() <= 25);
    }

    #[test]
    fn an_id_used_again_after_a_restore_has_another_nonce() {
        let nonces =
            [nonce(7, 1, "a", None), nonce(7, 1, "b", None), nonce(7, 1, "a", Some("f")), nonce(8, 1, "a", None)];
        let different: std::collections::BTreeSet<_> = nonces.iter().collect();
        assert_eq!(different.len(), nonces.len(), "{nonces:?}");
        assert_eq!(nonces[0], nonce(7, 1, "a", None));
    }
}
