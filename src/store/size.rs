//! How large the database's files are.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError};
use crate::telemetry::metrics::{STORE_FILE_BYTES, STORE_WAL_BYTES};

/// How often they are looked at.
const INTERVAL: Duration = Duration::from_secs(5);

impl Store {
    /// Shows the sizes of the database's file and of its write-ahead log on the metrics, until `cancel`.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub async fn show_size(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let wal = beside(&self.path, "-wal");
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            gauge!(STORE_FILE_BYTES).set(self.length(&self.path).await?);
            gauge!(STORE_WAL_BYTES).set(self.length(&wal).await?);
        }
        Ok(())
    }

    /// Bytes of a file; none for one that is not there.
    async fn length(&self, path: &Path) -> Result<f64, StoreError> {
        match tokio::fs::metadata(path).await {
            Ok(file) => Ok(file.len() as f64),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0.0),
            Err(error) => Err(StoreError::from_io(&self.path, &error)),
        }
    }
}

/// `PATH` with something behind its name, as SQLite and the lock have it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
