//! What can be wrong with the database, in an operator's words.

use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

use crate::telemetry::metrics::ErrorType;

/// Why the database could not do what it was asked to. Nothing of a failed call is stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file was written by a newer version.
    #[error(
        "the database {path} is of schema version {found}, this program knows only up to {known}: \
         run the newer version of factorio-isr, or choose another `database.path`"
    )]
    NewerVersion {
        /// The database.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Another factorio-isr has it open.
    #[error("another factorio-isr uses this database (it holds {lock}): stop it, or choose another `database.path`")]
    InUse {
        /// The lock file.
        lock: PathBuf,
    },
    /// Some other program holds the database for longer than we wait.
    #[error("the database {path} is locked by another program: {detail}")]
    Locked {
        /// The database.
        path: PathBuf,
        /// `SQLite`'s words.
        detail: String,
    },
    /// The file is damaged, or no database at all.
    #[error(
        "the database {path} is damaged or not a SQLite database ({detail}): restore it from a backup, \
         or move it away to begin anew (what was not delivered yet is lost with it)"
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// `SQLite`'s words.
        detail: String,
    },
    /// No room left on the disk.
    #[error("the disk of the database {path} is full: free some space, it goes on by itself")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The file or its directory cannot be opened or written.
    #[error("the database {path} cannot be opened for writing ({detail}): its directory must exist and be writable")]
    NotWritable {
        /// The database.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// Reading or writing failed below the database.
    #[error("reading or writing the database {path} failed: {detail}")]
    Io {
        /// The database.
        path: PathBuf,
        /// `SQLite`'s words.
        detail: String,
    },
    /// Something else.
    #[error("the database {path} failed: {detail}")]
    Other {
        /// The database.
        path: PathBuf,
        /// sqlx's words.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later with nobody touching the program.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Full { .. } | Self::Io { .. })
    }

    /// For metrics.
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::Full { .. } => ErrorType::DiskFull,
            Self::Io { .. } | Self::NotWritable { .. } => ErrorType::Io,
            _ => ErrorType::Database,
        }
    }

    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull {
            return Self::Full { path: path.to_owned() };
        }
        Self::NotWritable { path: path.to_owned(), detail: error.to_string() }
    }

    /// Primary result codes are the low byte: <https://www.sqlite.org/rescode.html>.
    pub(super) fn from_sqlx(path: &Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        let code = error.as_database_error().and_then(|e| e.code()?.parse::<i32>().ok());
        let detail = error.as_database_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
        match (code.map(|code| code & 0xff), error) {
            (Some(5 | 6), _) | (None, sqlx::Error::PoolTimedOut) => Self::Locked { path, detail },
            (Some(11 | 26), _) => Self::Corrupt { path, detail },
            (Some(13), _) => Self::Full { path },
            (Some(3 | 8 | 14), _) => Self::NotWritable { path, detail },
            (Some(10), _) | (None, sqlx::Error::Io(_)) => Self::Io { path, detail },
            _ => Self::Other { path, detail },
        }
    }

    pub(super) fn from_migrate(path: &Path, error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Self::from_sqlx(path, &error),
            other => Self::Other { path: path.to_owned(), detail: other.to_string() },
        }
    }
}
