//! One SQLite file: how far each log has been read, and what is still to be said. A batch of lines moves the
//! checkpoint and fills the outbox in one transaction, so neither can be without the other.

mod alerts;
mod audit;
mod backlog;
mod company;
mod error;
mod facts;
mod forget;
mod happenings;
mod history;
mod housekeeping;
mod inbound;
mod ingest;
mod outbox;
mod preferences;
mod records;
mod sessions;
mod size;
mod status;
#[cfg(test)]
mod tests;
mod traces;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqlitePool, Transaction};
use tokio::sync::watch;

use backlog::Backlog;

pub use alerts::{AlertCommit, AlertNotice, AlertRow, NoticeRole, PostedNotice, StoredAlerts};
pub use audit::AuditEntry;
pub use error::StoreError;
pub use facts::GameFacts;
pub use forget::{Forgotten, Unname, Unnaming};
pub use history::{HistoryPoint, Retention, SampleRow};
pub use housekeeping::OutboxStats;
pub use inbound::{Edit, LineEnd, Mark, MarkChange, QueuedChat, SaidChat};
pub use ingest::{BatchTrace, CommitOutcome, IngestedBatch, StoredCheckpoint, measured_offsets};
pub use outbox::{NewMessage, OutboxRow, StoredMessage};
pub use records::{PlayTime, PlayerRecord};
pub use status::{ChannelEdit, StatusMessage};
pub use traces::{MessageOrigins, RowsOrigin};

static MIGRATOR: Migrator = sqlx::migrate!();

/// How long a statement waits for another program that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database. Clones share it; it is released when the last one is gone.
#[derive(Debug, Clone)]
pub struct Store {
    path: Arc<Path>,
    writer: SqlitePool,
    readers: SqlitePool,
    nonce_seed: u64,
    committed: Arc<watch::Sender<u64>>,
    inbound: Arc<watch::Sender<u64>>,
    happened: Arc<happenings::Awaited>,
    silenced: Arc<watch::Sender<u64>>,
    backlog: Arc<Backlog>,
    last_read_before: Option<Timestamp>,
    _lock: Arc<File>,
}

impl Store {
    /// Opens the database, makes it where there is none, and brings its schema up to date.
    ///
    /// A lock file beside it (`PATH.lock`) keeps a second factorio-isr out for as long as this one lives.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock_beside(path)?;
        let in_words = |error| StoreError::from_sqlx(path, &error);
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).disable_statement_logging();
        let writing = options
            .clone()
            .create_if_missing(true)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", "16777216");
        let writer = lasting_pool(1).connect_with(writing).await.map_err(in_words)?;
        refuse_newer_schema(path, &writer).await?;
        MIGRATOR.run(&writer).await.map_err(|error| StoreError::from_migrate(path, error))?;
        let nonce_seed = nonce_seed(&writer).await.map_err(in_words)?;
        let last_read = "SELECT max(read_at) FROM checkpoints WHERE read_at > 0";
        let last_read: Option<i64> = sqlx::query_scalar(last_read).fetch_one(&writer).await.map_err(in_words)?;
        let last_read_before = last_read.map(from_millis);
        let readers = lasting_pool(4).connect_with(options.read_only(true)).await.map_err(in_words)?;
        let committed = Arc::new(watch::Sender::new(0));
        let inbound = Arc::new(watch::Sender::new(0));
        let happened = Arc::default();
        let silenced = Arc::new(watch::Sender::new(0));
        let (path, lock, backlog) = (path.into(), Arc::new(lock), Arc::default());
        Ok(Self {
            path,
            writer,
            readers,
            nonce_seed,
            committed,
            inbound,
            happened,
            silenced,
            backlog,
            last_read_before,
            _lock: lock,
        })
    }

    /// Changes with every commit that put notices into the outbox.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Closes the files in order, after what is under way. Every later call on any clone fails.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    fn in_words(&self, error: &sqlx::Error) -> StoreError {
        StoreError::from_sqlx(&self.path, error)
    }
}

/// Connections to a file do not age: they are made once and kept.
fn lasting_pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(30))
}

fn lock_beside(path: &Path) -> Result<File, StoreError> {
    let lock = size::beside(path, ".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(|error| StoreError::from_io(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { lock }),
        Err(TryLockError::Error(error)) => Err(StoreError::from_io(path, &error)),
    }
}

async fn refuse_newer_schema(path: &Path, writer: &SqlitePool) -> Result<(), StoreError> {
    let in_words = |error| StoreError::from_sqlx(path, &error);
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(tables).fetch_one(writer).await.map_err(in_words)? == 0 {
        return Ok(());
    }
    let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    let found: i64 = sqlx::query_scalar(newest).fetch_one(writer).await.map_err(in_words)?;
    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(StoreError::NewerVersion { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Chosen once per database.
async fn nonce_seed(writer: &SqlitePool) -> sqlx::Result<u64> {
    sqlx::query("INSERT OR IGNORE INTO instance (id, nonce_seed) VALUES (1, $1)")
        .bind(fastrand::i64(0..1 << 48))
        .execute(writer)
        .await?;
    let seed: i64 = sqlx::query_scalar("SELECT nonce_seed FROM instance").fetch_one(writer).await?;
    Ok(seed.cast_unsigned())
}

fn to_millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Total, so that a row damaged by hand cannot stop the delivery of the others.
fn from_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}
