//! What the pipeline stores: a batch's notices and its log's checkpoint, or neither.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::Offset;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Row, Sqlite, SqliteConnection};
use tokio::time::Instant;

use super::facts::remember_facts;
use super::happenings::insert_happenings;
use super::inbound::insert_chat;
use super::outbox::mentions_text;
use super::preferences::insert_players;
use super::sessions::apply_happenings;
use super::{Store, StoreError, to_millis};
use crate::domain::{
    EventKind, FileId, Fingerprint, Happening, LogSource, NewChat, Notice, Position, ServerTag, TraceContext,
};
use crate::telemetry::metrics::COMMIT_LATENCY;

/// Rows per INSERT: eleven values at most, of at most 32,766 that SQLite binds.
const ROWS_PER_INSERT: usize = 1000;

/// How far a log has been read, and what the parser remembered there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Everything before it is in the outbox.
    pub position: Position,
    /// The parser's own, opaque here.
    pub state: String,
    /// The offset of the log's time stamps from UTC, if it was measured and differs from the configured time zone.
    pub utc_offset: Option<Offset>,
}

/// What came of one batch of lines.
#[derive(Debug, Clone)]
pub struct IngestedBatch {
    /// The server.
    pub server: ServerTag,
    /// Which of its logs.
    pub source: LogSource,
    /// Where the batch begins: the stored checkpoint must be here.
    pub start: Position,
    /// Where the checkpoint moves to.
    pub end: Position,
    /// The parser's state at `end`.
    pub state: String,
    /// What is to be said, in order.
    pub notices: Vec<Notice>,
    /// What happened, in order.
    pub happenings: Vec<Happening>,
    /// What is to be said in other games, in order.
    pub chats: Vec<NewChat>,
    /// When the lines were read.
    pub read_at: Timestamp,
    /// The measured offset of the log's time stamps from UTC at `end`.
    pub utc_offset: Option<Offset>,
    /// Where the notices come from, where that is traced.
    pub trace: Option<BatchTrace>,
}

/// What is stored with the notices of a traced batch, so that their messages can be followed back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchTrace {
    /// The commit.
    pub commit: TraceContext,
    /// For each notice, the offset just behind its line.
    pub line_ends: Vec<u64>,
}

/// What became of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is stored.
    Committed,
    /// It had been stored before; nothing was done.
    AlreadyCommitted,
    /// The checkpoint is neither at its start nor behind its end; nothing was done.
    Conflict {
        /// Where the checkpoint is.
        stored: Position,
    },
}

type LogKey = (ServerTag, LogSource);

/// The checkpoints of one transaction. Each with when lines of it were last read, where the transaction brought some, and whether it moved.
type Checkpoints = BTreeMap<LogKey, (StoredCheckpoint, Option<Timestamp>, bool)>;

impl Store {
    /// The log's checkpoint; `None` for a log that was never read, which stands at [`Position::default`].
    pub async fn checkpoint(
        &self,
        server: &ServerTag,
        source: LogSource,
    ) -> Result<Option<StoredCheckpoint>, StoreError> {
        let mut reader = self.readers.acquire().await.map_err(|e| self.in_words(&e))?;
        read_checkpoint(&mut reader, server, source).await.map_err(|e| self.in_words(&e))
    }

    /// Stores all batches in one transaction. Each moves its log's checkpoint from `start` to `end`, or does nothing;
    /// batches of one log may follow one another.
    ///
    /// # Errors
    /// Nothing is stored then. Where [`StoreError::is_transient`], try again.
    pub async fn commit(&self, batches: &[IngestedBatch]) -> Result<Vec<CommitOutcome>, StoreError> {
        let begun = Instant::now();
        let (outcomes, [rows, chats]) = self.commit_all(batches).await.map_err(|e| self.in_words(&e))?;
        ::metrics::histogram!(COMMIT_LATENCY).record(begun.elapsed().as_secs_f64());
        if rows > 0 {
            self.committed.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
        let fresh = batches.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == CommitOutcome::Committed);
        self.happened.tell(fresh.filter(|(batch, _)| !batch.happenings.is_empty()).map(|(batch, _)| &batch.server));
        if chats > 0 {
            self.inbound_changed();
        }
        Ok(outcomes)
    }

    async fn commit_all(&self, batches: &[IngestedBatch]) -> sqlx::Result<(Vec<CommitOutcome>, [usize; 2])> {
        let mut tx = self.begin().await?;
        let mut checkpoints = read_checkpoints(&mut tx, batches).await?;
        let outcomes: Vec<_> = batches.iter().map(|batch| advance(&mut checkpoints, batch)).collect();
        let fresh = || batches.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == CommitOutcome::Committed);
        let rows: Vec<_> = fresh().flat_map(|(batch, _)| rows_of(batch)).collect();
        insert_notices(&mut tx, &rows).await?;
        let happenings: Vec<_> = fresh().flat_map(|(b, _)| b.happenings.iter().map(|h| (h, b.read_at))).collect();
        insert_happenings(&mut tx, &happenings).await?;
        apply_happenings(&mut tx, happenings.iter().map(|(happening, _)| *happening)).await?;
        remember_facts(&mut tx, happenings.iter().map(|(happening, _)| *happening)).await?;
        let mut chats = 0;
        for chat in fresh().flat_map(|(batch, _)| &batch.chats) {
            chats += insert_chat(&mut tx, chat, 0).await?;
        }
        for (batch, _) in fresh() {
            insert_players(&mut tx, &batch.server, &joined(&batch.happenings)).await?;
        }
        for (log, (checkpoint, read_at, moved)) in &checkpoints {
            if *moved {
                write_checkpoint(&mut tx, log, checkpoint, *read_at).await?;
            }
        }
        tx.commit().await?;
        Ok((outcomes, [rows.len(), chats]))
    }
}

/// The measured offsets of logs' time stamps in the database at `path`, which another process may be using. Nothing is
/// written.
///
/// # Errors
/// When there is no database, or one of an older version.
pub async fn measured_offsets(path: &Path) -> Result<Vec<(String, Offset)>, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let read = async {
        let mut connection = options.connect().await?;
        // The console log, where it has one, speaks for its server.
        let query = "SELECT server, utc_offset FROM checkpoints WHERE utc_offset IS NOT NULL ORDER BY server, source";
        let rows = sqlx::query_as::<_, (String, i32)>(query).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(rows)
    };
    let rows = read.await.map_err(|error: sqlx::Error| StoreError::from_sqlx(path, &error))?;
    let offset = |(server, seconds): (String, i32)| Some((server, Offset::from_seconds(seconds).ok()?));
    let mut offsets: Vec<_> = rows.into_iter().filter_map(offset).collect();
    offsets.dedup_by(|later, first| later.0 == first.0);
    Ok(offsets)
}

/// Who joined, and when.
fn joined(happenings: &[Happening]) -> Vec<(&str, Timestamp)> {
    let joins = happenings.iter().filter(|happening| happening.kind == EventKind::Join);
    joins.filter_map(|join| Some((join.player.as_deref()?, join.at))).collect()
}

/// Moves the batch's checkpoint if it stands where the batch begins.
fn advance(checkpoints: &mut Checkpoints, batch: &IngestedBatch) -> CommitOutcome {
    let key = (batch.server.clone(), batch.source);
    let entry = checkpoints.entry(key).or_insert_with(|| (never_read(), None, false));
    let stored = entry.0.position;
    if place(&stored) == place(&batch.start) && stored.file == batch.start.file {
        let moved_to =
            StoredCheckpoint { position: batch.end, state: batch.state.clone(), utc_offset: batch.utc_offset };
        *entry = (moved_to, Some(batch.read_at).filter(|_| has_lines(batch)).or(entry.1), true);
        return CommitOutcome::Committed;
    }
    let same_life = stored.generation != batch.end.generation || stored.file == batch.end.file;
    if place(&stored) >= place(&batch.end) && same_life {
        return CommitOutcome::AlreadyCommitted;
    }
    CommitOutcome::Conflict { stored }
}

/// Whether it is more than the news that an empty file begins.
fn has_lines(batch: &IngestedBatch) -> bool {
    batch.end.offset > 0 && place(&batch.end) != place(&batch.start)
}

fn place(position: &Position) -> (u64, u64) {
    (position.generation, position.offset)
}

fn never_read() -> StoredCheckpoint {
    StoredCheckpoint { position: Position::default(), state: String::new(), utc_offset: None }
}

async fn read_checkpoints(tx: &mut SqliteConnection, batches: &[IngestedBatch]) -> sqlx::Result<Checkpoints> {
    let mut checkpoints = Checkpoints::new();
    for batch in batches {
        if let Entry::Vacant(entry) = checkpoints.entry((batch.server.clone(), batch.source)) {
            let stored = read_checkpoint(&mut *tx, &batch.server, batch.source).await?;
            entry.insert((stored.unwrap_or_else(never_read), None, false));
        }
    }
    Ok(checkpoints)
}

async fn read_checkpoint(
    connection: &mut SqliteConnection,
    server: &ServerTag,
    source: LogSource,
) -> sqlx::Result<Option<StoredCheckpoint>> {
    sqlx::query(
        "SELECT generation, device, inode, offset, head_len, head_hash, tail_len, tail_hash, seen_at, state,
                utc_offset
         FROM checkpoints WHERE server = $1 AND source = $2",
    )
    .bind(server.as_str())
    .bind(source.as_str())
    .fetch_optional(connection)
    .await?
    .map(|row| checkpoint_of(&row))
    .transpose()
}

fn checkpoint_of(row: &SqliteRow) -> sqlx::Result<StoredCheckpoint> {
    let unsigned = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    let fingerprint = Fingerprint {
        head_len: row.try_get("head_len")?,
        head_hash: unsigned("head_hash")?,
        tail_len: row.try_get("tail_len")?,
        tail_hash: unsigned("tail_hash")?,
    };
    let position = Position {
        generation: unsigned("generation")?,
        file: FileId { device: unsigned("device")?, inode: unsigned("inode")? },
        offset: unsigned("offset")?,
        fingerprint,
        seen_at: row.try_get("seen_at")?,
    };
    let utc_offset = row.try_get::<Option<i32>, _>("utc_offset")?;
    let utc_offset = utc_offset.and_then(|seconds| Offset::from_seconds(seconds).ok());
    Ok(StoredCheckpoint { position, state: row.try_get("state")?, utc_offset })
}

async fn write_checkpoint(
    tx: &mut SqliteConnection,
    (server, source): &LogKey,
    checkpoint: &StoredCheckpoint,
    read_at: Option<Timestamp>,
) -> sqlx::Result<()> {
    let Position { generation, file, offset, fingerprint, seen_at } = checkpoint.position;
    sqlx::query(
        "INSERT OR REPLACE INTO checkpoints (server, source, generation, device, inode, offset,
                                             head_len, head_hash, tail_len, tail_hash, seen_at, state,
                                             utc_offset, read_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
                 coalesce($14, (SELECT read_at FROM checkpoints WHERE server = $1 AND source = $2), 0))",
    )
    .bind(server.as_str())
    .bind(source.as_str())
    .bind(generation.cast_signed())
    .bind(file.device.cast_signed())
    .bind(file.inode.cast_signed())
    .bind(offset.cast_signed())
    .bind(fingerprint.head_len)
    .bind(fingerprint.head_hash.cast_signed())
    .bind(fingerprint.tail_len)
    .bind(fingerprint.tail_hash.cast_signed())
    .bind(seen_at)
    .bind(&checkpoint.state)
    .bind(checkpoint.utc_offset.map(Offset::seconds))
    .bind(read_at.map(to_millis))
    .execute(tx)
    .await?;
    Ok(())
}

/// A notice about to be stored.
pub(super) struct NewRow<'a> {
    notice: &'a Notice,
    created_at: Timestamp,
    trace: Option<(Arc<str>, i64)>,
}

impl<'a> NewRow<'a> {
    pub(super) fn untraced(notice: &'a Notice, created_at: Timestamp) -> Self {
        Self { notice, created_at, trace: None }
    }
}

fn rows_of(batch: &IngestedBatch) -> impl Iterator<Item = NewRow<'_>> {
    let traced = batch.trace.as_ref().map(|trace| (Arc::<str>::from(trace.commit.to_string()), &trace.line_ends));
    batch.notices.iter().enumerate().map(move |(n, notice)| {
        let end = |ends: &Vec<u64>| ends.get(n).copied().unwrap_or_default().cast_signed();
        let trace = traced.as_ref().map(|(commit, ends)| (Arc::clone(commit), end(ends)));
        NewRow { notice, created_at: batch.read_at, trace }
    })
}

pub(super) async fn insert_notices(tx: &mut SqliteConnection, rows: &[NewRow<'_>]) -> sqlx::Result<()> {
    for chunk in rows.chunks(ROWS_PER_INSERT) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO outbox (server, channel, lane, event, content, plain, mentions, occurred_at, created_at,
                                 trace, line_end) ",
        );
        insert.push_values(chunk, |mut row, NewRow { notice, created_at, trace }| {
            row.push_bind(notice.server.as_str())
                .push_bind(notice.channel.get().cast_signed())
                .push_bind(notice.lane.as_str())
                .push_bind(&*notice.event)
                .push_bind(&notice.content)
                .push_bind(&notice.plain)
                .push_bind(mentions_text(&notice.mentions))
                .push_bind(to_millis(notice.occurred_at))
                .push_bind(to_millis(*created_at))
                .push_bind(trace.as_ref().map(|(commit, _)| commit.as_ref()))
                .push_bind(trace.as_ref().map(|(_, line_end)| *line_end));
        });
        // Every batch is of another size: kept statements would push the useful ones out of the cache.
        insert.build().persistent(false).execute(&mut *tx).await?;
    }
    Ok(())
}
