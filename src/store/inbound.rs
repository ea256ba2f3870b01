//! Chat on its way into the games: what waits, what became of it, and the reactions that tell.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tokio::sync::watch;

use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::{ChannelId, NewChat, ServerTag, TraceContext};

/// The oldest chat that waits for a game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedChat {
    /// Its row.
    pub id: i64,
    /// Changes when the message is edited while it waits.
    pub revision: i64,
    /// All its lines.
    pub lines: Vec<String>,
    /// How many of them have been said.
    pub said: usize,
    /// How often the answer to the next of them was cut off.
    pub cuts: u32,
    /// When it was written.
    pub written_at: Timestamp,
    /// The earliest time at which it is said.
    pub due_at: Timestamp,
    /// What it comes from, where that is traced.
    pub trace: Option<TraceContext>,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// The game said it.
    Said,
    /// It was sent, and nobody knows whether the game heard it.
    InDoubt,
}

/// What the end of a line means for its chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaidChat {
    /// Whether this was the last of its lines.
    pub whole: bool,
    /// Whether any of its lines is in doubt.
    pub in_doubt: bool,
}

/// A message that was edited, as each game it went to would hear it.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// The message.
    pub message: u64,
    /// When it was edited.
    pub at: Timestamp,
    /// What is said where nothing of the message has been said yet; empty where it is not to be said any more.
    pub instead: &'a [String],
    /// What is said behind a message that was said; `None` when it is too late for that.
    pub behind: Option<&'a [String]>,
    /// The hearing of it, where that is traced.
    pub trace: Option<TraceContext>,
}

/// A reaction of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// ⏳: it waits for a game that is down.
    Waiting,
    /// ❌: a game was down for too long, and does not hear it.
    Failed,
    /// ❔: it was sent, and nobody knows whether a game heard all of it.
    Doubt,
    /// 🐌: its author writes too much at once.
    Flood,
    /// 🚫: it is not relayed, because a game cannot show it or because of its author's roles.
    NotRelayed,
}

impl Mark {
    /// All marks.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Failed, Self::Doubt, Self::Flood, Self::NotRelayed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Doubt => "doubt",
            Self::Flood => "flood",
            Self::NotRelayed => "not_relayed",
        }
    }

    /// What Discord shows.
    #[must_use]
    pub fn emoji(self) -> &'static str {
        match self {
            Self::Waiting => "⏳",
            Self::Failed => "❌",
            Self::Doubt => "❔",
            Self::Flood => "🐌",
            Self::NotRelayed => "🚫",
        }
    }
}

/// A reaction that is to be put on a message, or taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkChange {
    /// The channel.
    pub channel: ChannelId,
    /// The message.
    pub message: u64,
    /// Which.
    pub mark: Mark,
    /// Whether it is to be there.
    pub wanted: bool,
}

impl Store {
    /// Changes whenever chat or a mark was added or changed.
    #[must_use]
    pub fn inbound(&self) -> watch::Receiver<u64> {
        self.inbound.subscribe()
    }

    pub(super) fn inbound_changed(&self) {
        self.inbound.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// The last message of `channel` that was taken in.
    pub async fn last_seen(&self, channel: ChannelId) -> Result<Option<u64>, StoreError> {
        let seen = sqlx::query_scalar::<_, i64>("SELECT message FROM inbound_seen WHERE channel = $1")
            .bind(channel.get().cast_signed())
            .fetch_optional(&self.readers)
            .await;
        Ok(seen.map_err(|e| self.in_words(&e))?.map(i64::cast_unsigned))
    }

    /// Takes a Discord message in: its chat for each game, and that it was seen, unless `seen` is `None`. What was taken
    /// in before is not taken in again.
    pub async fn take_in(&self, chats: &[NewChat], seen: Option<(ChannelId, u64)>) -> Result<(), StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            for chat in chats {
                insert_chat(&mut tx, chat, 0).await?;
            }
            if let Some((channel, message)) = seen {
                sqlx::query(
                    "INSERT INTO inbound_seen (channel, message) VALUES ($1, $2)
                     ON CONFLICT (channel) DO UPDATE SET message = max(message, excluded.message)",
                )
                .bind(channel.get().cast_signed())
                .bind(message.cast_signed())
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await
        };
        work.await.map_err(|e| self.in_words(&e))?;
        self.inbound_changed();
        Ok(())
    }

    /// Takes an edit in: what waits is replaced, behind what was said another row follows. A message that went to no
    /// game, and an edit that was taken in before, change nothing.
    pub async fn take_in_edit(&self, edit: &Edit<'_>) -> Result<(), StoreError> {
        self.try_edit(edit).await.map_err(|e| self.in_words(&e))?;
        self.inbound_changed();
        Ok(())
    }

    async fn try_edit(&self, edit: &Edit<'_>) -> sqlx::Result<()> {
        let revision = to_millis(edit.at);
        let mut tx = self.begin().await?;
        let last = sqlx::query(
            "SELECT id, server, state, said, revision,
                    (SELECT min(id) FROM inbound first WHERE first.message = $1 AND first.server = inbound.server) AS first
             FROM inbound WHERE message = $1 AND id IN (SELECT max(id) FROM inbound WHERE message = $1 GROUP BY server)",
        )
        .bind(edit.message.cast_signed())
        .fetch_all(&mut *tx)
        .await?;
        for row in last {
            let (state, known): (String, i64) = (row.try_get("state")?, row.try_get("revision")?);
            let untouched = state == "pending" && row.try_get::<i64, _>("said")? == 0;
            if known >= revision || matches!(state.as_str(), "withdrawn" | "expired") {
                continue;
            }
            let id: i64 = row.try_get("id")?;
            if untouched && edit.instead.is_empty() {
                sqlx::query("UPDATE inbound SET state = 'withdrawn', finished_at = $2 WHERE id = $1")
                    .bind(id)
                    .bind(revision)
                    .execute(&mut *tx)
                    .await?;
                settle_waiting(&mut tx, id, edit.at).await?;
                continue;
            }
            let is_first = id == row.try_get::<i64, _>("first")?;
            let lines = if is_first && untouched { Some(edit.instead) } else { edit.behind };
            let Some(lines) = lines else { continue };
            if untouched {
                sqlx::query("UPDATE inbound SET lines = $2, revision = $3 WHERE id = $1")
                    .bind(id)
                    .bind(lines.join("\n"))
                    .bind(revision)
                    .execute(&mut *tx)
                    .await?;
                continue;
            }
            let Ok(server) = ServerTag::new(row.try_get("server")?) else { continue };
            let source = Some((edit.channel, edit.message));
            let (lines, written_at) = (lines.to_vec(), edit.at);
            let chat = NewChat { server, source, lines, written_at, due_at: None, trace: edit.trace };
            insert_chat(&mut tx, &chat, revision).await?;
        }
        tx.commit().await
    }

    /// A deleted message: what of it still waits is never said, and it needs no marks.
    pub async fn withdraw(&self, message: u64, now: Timestamp) -> Result<u64, StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            let withdrawn = sqlx::query(
                "UPDATE inbound SET state = 'withdrawn', finished_at = $2 WHERE message = $1 AND state = 'pending'",
            )
            .bind(message.cast_signed())
            .bind(to_millis(now))
            .execute(&mut *tx)
            .await?
            .rows_affected();
            sqlx::query("DELETE FROM inbound_marks WHERE message = $1")
                .bind(message.cast_signed())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(withdrawn)
        };
        let withdrawn = work.await.map_err(|e: sqlx::Error| self.in_words(&e))?;
        self.inbound_changed();
        Ok(withdrawn)
    }

    /// The oldest chat for `server` that may be said; where there is none, the one that may be said first.
    pub async fn next_chat(&self, server: &ServerTag, now: Timestamp) -> Result<Option<QueuedChat>, StoreError> {
        sqlx::query(
            "SELECT id, revision, lines, said, cuts, written_at, due_at, trace FROM inbound
             WHERE state = 'pending' AND server = $1
             ORDER BY due_at > $2, CASE WHEN due_at > $2 THEN due_at END, id LIMIT 1",
        )
        .bind(server.as_str())
        .bind(to_millis(now))
        .try_map(|row| queued_of(&row))
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.in_words(&e))
    }

    /// How much chat waits for `server`.
    pub async fn chats_waiting(&self, server: &ServerTag) -> Result<u64, StoreError> {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM inbound WHERE state = 'pending' AND server = $1")
            .bind(server.as_str())
            .fetch_one(&self.readers)
            .await
            .map(i64::cast_unsigned)
            .map_err(|e| self.in_words(&e))
    }

    /// The next line of `chat` is over.
    pub async fn line_over(&self, chat: &QueuedChat, end: LineEnd, now: Timestamp) -> Result<SaidChat, StoreError> {
        let said = self.try_line_over(chat, end, now).await.map_err(|e| self.in_words(&e))?;
        if said.whole || end == LineEnd::InDoubt {
            self.inbound_changed();
        }
        Ok(said)
    }

    async fn try_line_over(&self, chat: &QueuedChat, end: LineEnd, now: Timestamp) -> sqlx::Result<SaidChat> {
        let whole = chat.said + 1 >= chat.lines.len();
        let mut tx = self.begin().await?;
        // An edit or a deletion meanwhile has its own way.
        let in_doubt = sqlx::query_scalar::<_, i64>(
            "UPDATE inbound SET said = said + 1, cuts = 0, in_doubt = in_doubt + $5,
                                state = CASE WHEN $4 THEN 'said' ELSE state END,
                                finished_at = CASE WHEN $4 THEN $3 END
             WHERE id = $1 AND revision = $2 AND state = 'pending' RETURNING in_doubt",
        )
        .bind(chat.id)
        .bind(chat.revision)
        .bind(to_millis(now))
        .bind(whole)
        .bind(end == LineEnd::InDoubt)
        .fetch_optional(&mut *tx)
        .await?;
        if end == LineEnd::InDoubt && in_doubt.is_some() {
            mark_chat(&mut tx, chat.id, Mark::Doubt, now).await?;
        }
        if whole {
            settle_waiting(&mut tx, chat.id, now).await?;
        }
        tx.commit().await?;
        Ok(SaidChat { whole, in_doubt: in_doubt.is_some_and(|lines| lines > 0) })
    }

    /// The answer to the next line of `chat` was cut off.
    pub async fn answer_cut(&self, chat: &QueuedChat) -> Result<(), StoreError> {
        sqlx::query("UPDATE inbound SET cuts = cuts + 1 WHERE id = $1 AND revision = $2 AND state = 'pending'")
            .bind(chat.id)
            .bind(chat.revision)
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(|e| self.in_words(&e))
    }

    /// `chat` waited too long: it is not said any more, and its message is marked; a line that was sent already may
    /// have been heard.
    pub async fn expire(&self, chat: &QueuedChat, now: Timestamp) -> Result<(), StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            sqlx::query("UPDATE inbound SET state = 'expired', finished_at = $2 WHERE id = $1 AND state = 'pending'")
                .bind(chat.id)
                .bind(to_millis(now))
                .execute(&mut *tx)
                .await?;
            let mark = if chat.cuts > 0 { Mark::Doubt } else { Mark::Failed };
            mark_chat(&mut tx, chat.id, mark, now).await?;
            settle_waiting(&mut tx, chat.id, now).await?;
            tx.commit().await
        };
        work.await.map_err(|e| self.in_words(&e))?;
        self.inbound_changed();
        Ok(())
    }

    /// `server` is down: marks the messages that wait for it.
    pub async fn mark_waiting(&self, server: &ServerTag, now: Timestamp) -> Result<(), StoreError> {
        let marked = sqlx::query(
            "INSERT INTO inbound_marks (channel, message, mark, wanted, set_at)
             SELECT DISTINCT channel, message, 'waiting', 1, $2 FROM inbound
             WHERE state = 'pending' AND server = $1 AND message IS NOT NULL AND due_at <= $2
             ON CONFLICT (message, mark) DO UPDATE SET wanted = 1, set_at = excluded.set_at WHERE wanted = 0",
        )
        .bind(server.as_str())
        .bind(to_millis(now))
        .execute(&self.writer)
        .await
        .map_err(|e| self.in_words(&e))?;
        if marked.rows_affected() > 0 {
            self.inbound_changed();
        }
        Ok(())
    }

    /// Marks a message.
    pub async fn mark(&self, channel: ChannelId, message: u64, mark: Mark, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO inbound_marks (channel, message, mark, wanted, set_at) VALUES ($1, $2, $3, 1, $4)
             ON CONFLICT (message, mark) DO NOTHING",
        )
        .bind(channel.get().cast_signed())
        .bind(message.cast_signed())
        .bind(mark.as_str())
        .bind(to_millis(now))
        .execute(&self.writer)
        .await
        .map_err(|e| self.in_words(&e))?;
        self.inbound_changed();
        Ok(())
    }

    /// The reactions that are not as they should be, oldest first.
    pub async fn mark_changes(&self, limit: u32) -> Result<Vec<MarkChange>, StoreError> {
        let rows = sqlx::query(
            "SELECT channel, message, mark, wanted FROM inbound_marks WHERE wanted <> shown ORDER BY set_at LIMIT $1",
        )
        .bind(limit)
        .try_map(|row: SqliteRow| mark_of(&row))
        .fetch_all(&self.readers)
        .await;
        Ok(rows.map_err(|e| self.in_words(&e))?.into_iter().flatten().collect())
    }

    /// A reaction is as `change` wanted it.
    pub async fn mark_changed(&self, change: &MarkChange) -> Result<(), StoreError> {
        sqlx::query("UPDATE inbound_marks SET shown = $3 WHERE message = $1 AND mark = $2")
            .bind(change.message.cast_signed())
            .bind(change.mark.as_str())
            .bind(change.wanted)
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(|e| self.in_words(&e))
    }

    /// Forgets chat that was finished, and marks that were set, before `before`.
    pub async fn prune_inbound(&self, before: Timestamp) -> Result<(), StoreError> {
        for delete in [
            "DELETE FROM inbound WHERE state <> 'pending' AND finished_at < $1",
            "DELETE FROM inbound_marks WHERE set_at < $1",
        ] {
            let query = sqlx::query(delete).bind(to_millis(before));
            query.execute(&self.writer).await.map_err(|e| self.in_words(&e))?;
        }
        Ok(())
    }
}

/// Answers how many rows that made: none for what was stored before.
pub(super) async fn insert_chat(tx: &mut SqliteConnection, chat: &NewChat, revision: i64) -> sqlx::Result<usize> {
    let inserted = sqlx::query(
        "INSERT OR IGNORE INTO inbound (server, channel, message, revision, lines, written_at, trace, due_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8
         WHERE $4 > 0 OR NOT EXISTS (SELECT 1 FROM inbound WHERE message = $3 AND server = $1)",
    )
    .bind(chat.server.as_str())
    .bind(chat.source.map(|(channel, _)| channel.get().cast_signed()))
    .bind(chat.source.map(|(_, message)| message.cast_signed()))
    .bind(revision)
    .bind(chat.lines.join("\n"))
    .bind(to_millis(chat.written_at))
    .bind(chat.trace.map(|trace| trace.to_string()))
    .bind(chat.due_at.map_or(0, to_millis))
    .execute(tx)
    .await?;
    Ok(usize::try_from(inserted.rows_affected()).unwrap_or_default())
}

/// Marks the message that a chat came from, unless that was withdrawn.
async fn mark_chat(tx: &mut SqliteConnection, chat: i64, mark: Mark, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO inbound_marks (channel, message, mark, wanted, set_at)
         SELECT channel, message, $3, 1, $2 FROM inbound
         WHERE id = $1 AND state <> 'withdrawn' AND message IS NOT NULL
         ON CONFLICT (message, mark) DO NOTHING",
    )
    .bind(chat)
    .bind(to_millis(now))
    .bind(mark.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes the mark of waiting off a message, once it waits for no game.
async fn settle_waiting(tx: &mut SqliteConnection, chat: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE inbound_marks SET wanted = 0, set_at = $2
         WHERE mark = 'waiting' AND wanted = 1 AND message = (SELECT message FROM inbound WHERE id = $1)
           AND NOT EXISTS (SELECT 1 FROM inbound i WHERE i.message = inbound_marks.message AND i.state = 'pending')",
    )
    .bind(chat)
    .bind(to_millis(now))
    .execute(tx)
    .await?;
    Ok(())
}

fn queued_of(row: &SqliteRow) -> sqlx::Result<QueuedChat> {
    let lines: String = row.try_get("lines")?;
    Ok(QueuedChat {
        id: row.try_get("id")?,
        revision: row.try_get("revision")?,
        lines: lines.split('\n').map(ToOwned::to_owned).collect(),
        said: usize::try_from(row.try_get::<i64, _>("said")?).unwrap_or_default(),
        cuts: u32::try_from(row.try_get::<i64, _>("cuts")?).unwrap_or_default(),
        written_at: from_millis(row.try_get("written_at")?),
        due_at: from_millis(row.try_get("due_at")?),
        // One that cannot be read is none: the chat is said all the same.
        trace: row.try_get::<Option<String>, _>("trace")?.and_then(|trace| trace.parse().ok()),
    })
}

fn mark_of(row: &SqliteRow) -> sqlx::Result<Option<MarkChange>> {
    let name: String = row.try_get("mark")?;
    let mark = Mark::ALL.into_iter().find(|mark| mark.as_str() == name);
    let channel = ChannelId::new(row.try_get::<i64, _>("channel")?.cast_unsigned());
    let (message, wanted) = (row.try_get::<i64, _>("message")?.cast_unsigned(), row.try_get("wanted")?);
    Ok(mark.zip(channel).map(|(mark, channel)| MarkChange { channel, message, mark, wanted }))
}
