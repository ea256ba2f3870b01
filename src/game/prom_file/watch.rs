//! Reads the files when they change, and shows them at a scrape.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::numbers::{FileNumbers, numbers};
use super::{Dropped, Exposition, read, weave};
use crate::config::settings::PrometheusFileSettings;
use crate::domain::ServerTag;
use crate::telemetry::metrics::{PROMETHEUS_FILE_AGE, PROMETHEUS_FILE_DROPPED};

/// How often a file is looked at. While a whole one does not change, that is one `stat`.
const POLL: Duration = Duration::from_secs(1);
/// The mod writes the file in place: what was written to just now may be half a file.
const SETTLED: Duration = Duration::from_millis(50);
/// How long no whole file may be found before that is said: a mod writes it within moments.
const TORN: Duration = Duration::from_secs(5);
/// What file systems tell of time at most, whose times have fractions: the kernel's tick.
const FINE: Duration = Duration::from_millis(10);
/// A larger file is not read.
const MAX_BYTES: u64 = 4 << 20;

/// A file that is seen to be rewritten was so within this time: one look may find it being written, and the next reads it.
pub(in crate::game) const SEEN_LATE: Duration = Duration::from_millis(2500);

/// What a file told when it was last read, and when that was.
#[derive(Debug, Clone, PartialEq)]
pub struct FileTold {
    /// Its numbers.
    pub numbers: FileNumbers,
    /// When it was written, by the clock of the machine its file system is on: as the game's own log tells time.
    pub written: Timestamp,
    /// The same on this machine's clock, as far as that can be known.
    pub written_at: Instant,
    /// How finely the file system tells time.
    pub resolution: Duration,
    /// When it was seen to have been written, two seconds behind it at most; of one that is older than the relay, when it was
    /// written.
    pub seen: Timestamp,
    /// The same for measuring.
    pub seen_at: Instant,
}

/// What a file tells, now and as it is rewritten; `None` until it is read.
pub type FileUpdates = watch::Receiver<Option<Arc<FileTold>>>;

/// The files of all servers, as last read. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PrometheusFiles(Arc<Mutex<BTreeMap<ServerTag, Kept>>>);

#[derive(Debug)]
struct Kept {
    max_age: Duration,
    /// When the file was last rewritten; before that, when the relay began to look.
    written: Instant,
    said: Option<Arc<Exposition>>,
    told: watch::Sender<Option<Arc<FileTold>>>,
}

impl PrometheusFiles {
    /// The file of a server among these.
    #[must_use]
    pub fn file(&self, server: ServerTag, settings: PrometheusFileSettings) -> PrometheusFile {
        let told = watch::Sender::new(None);
        let kept = Kept { max_age: settings.max_age, written: Instant::now(), said: None, told };
        self.lock().insert(server.clone(), kept);
        PrometheusFile { server, settings, files: self.clone() }
    }

    /// What the file of `server` tells; `None` where it has none.
    #[must_use]
    pub fn updates(&self, server: &ServerTag) -> Option<FileUpdates> {
        Some(self.lock().get(server)?.told.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerTag, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metrics of the games, as `own` has them, with those of the files that are not too old.
    #[must_use]
    pub fn shown_with(&self, own: String) -> String {
        let shown: Vec<_> = {
            let files = self.lock();
            let fresh = files.iter().filter(|(_, kept)| kept.written.elapsed() <= kept.max_age);
            fresh.filter_map(|(server, kept)| Some((server.clone(), kept.said.clone()?))).collect()
        };
        if shown.is_empty() {
            return own;
        }
        let (text, refused) = weave(&own, &shown);
        for server in &refused {
            count(server, "collision", 1);
        }
        text
    }
}

/// One server's file, to be watched.
#[derive(Debug, Clone)]
pub struct PrometheusFile {
    server: ServerTag,
    settings: PrometheusFileSettings,
    files: PrometheusFiles,
}

/// What tells one writing of a file from the next.
type Stamp = (Option<SystemTime>, u64);

/// What a look at the file finds.
enum Look {
    /// What was read before.
    Unchanged,
    /// It is being written.
    Unsettled(Stamp),
    /// It is at rest, and is no whole file: why.
    Torn(&'static str),
    /// All of it, and when it was written by the clocks.
    Whole { text: String, stamp: Stamp, dated: Dated },
}

/// When a file was written, by its own time and by this machine's.
#[derive(Debug, Clone, Copy)]
struct Dated {
    written: SystemTime,
    written_at: Instant,
    looked_at: Instant,
}

impl Dated {
    /// Of a file that is looked at now. One without a time was written now.
    fn now(written: Option<SystemTime>) -> Self {
        let (now, looked_at) = (SystemTime::now(), Instant::now());
        let written = written.unwrap_or(now);
        let written_at = match now.duration_since(written) {
            Ok(age) => looked_at.checked_sub(age).unwrap_or(looked_at),
            // Its clock is ahead of ours.
            Err(ahead) => looked_at + ahead.duration(),
        };
        Self { written, written_at, looked_at }
    }

    fn age(&self) -> Duration {
        self.looked_at - self.written_at
    }

    /// A file system whose times have no fraction has whole seconds.
    fn resolution(&self) -> Duration {
        let since = self.written.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if since.subsec_nanos() == 0 { Duration::from_secs(1) } else { FINE }
    }
}

impl PrometheusFile {
    /// Looks at the file until cancelled. A file that is missing, torn or too large is no error: the last good reading
    /// is shown until it is too old.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let (mut read_before, mut seen_before, mut trouble) = (None, None, None);
        let mut torn_since: Option<Instant> = None;
        let mut pause = Duration::ZERO;
        while cancel.run_until_cancelled(sleep(pause)).await.is_some() {
            pause = POLL;
            let path = self.settings.path.clone();
            // A dead mount then blocks that thread and no worker of the runtime.
            let looking = tokio::task::spawn_blocking(move || look(&path, read_before, seen_before));
            let Some(look) = cancel.run_until_cancelled(looking).await else { break };
            match look? {
                Ok(Look::Unchanged) => {}
                Ok(Look::Unsettled(stamp)) => {
                    // A mod that writes in step with the looks would else be met at it each time.
                    if seen_before.replace(stamp) != Some(stamp) {
                        pause = SETTLED;
                    }
                }
                Ok(Look::Torn(reason)) => {
                    if torn_since.get_or_insert_with(Instant::now).elapsed() >= TORN {
                        self.complain(&io::Error::other(reason), &mut trouble);
                    }
                }
                Ok(Look::Whole { text, stamp, dated }) => {
                    self.take(&text, dated, read_before.is_none());
                    (read_before, torn_since) = (Some(stamp), None);
                    if trouble.take().is_some() {
                        info!(server = %self.server, "The file of metrics is read again");
                    }
                }
                Err(error) => {
                    torn_since = None;
                    self.complain(&error, &mut trouble);
                }
            }
            self.report_age();
        }
        Ok(())
    }

    /// Takes in a file that was rewritten; the first one may be older than the relay.
    fn take(&self, text: &str, dated: Dated, first: bool) {
        let (said, dropped) = read(text, &self.server, self.settings.max_series);
        let Dropped { invalid, capped, collided } = dropped;
        for (reason, number) in [("invalid", invalid), ("cap", capped), ("collision", collided)] {
            count(&self.server, reason, number);
        }
        let age = if first { dated.age() } else { Duration::ZERO };
        let now = Timestamp::now();
        let told = FileTold {
            numbers: numbers(text),
            written: Timestamp::try_from(dated.written).unwrap_or(now),
            written_at: dated.written_at,
            resolution: dated.resolution(),
            seen: now.checked_sub(age).unwrap_or(now),
            seen_at: dated.looked_at.checked_sub(age).unwrap_or(dated.looked_at),
        };
        if let Some(kept) = self.files.lock().get_mut(&self.server) {
            kept.said = Some(Arc::new(said));
            kept.written = told.seen_at;
            kept.told.send_replace(Some(Arc::new(told)));
        }
    }

    fn report_age(&self) {
        if let Some(kept) = self.files.lock().get(&self.server) {
            let age = kept.written.elapsed().as_secs_f64();
            metrics::gauge!(PROMETHEUS_FILE_AGE, "server" => self.server.to_string()).set(age);
        }
    }

    /// Says what keeps the file from being read, once.
    fn complain(&self, error: &io::Error, trouble: &mut Option<String>) {
        let reason = error.to_string();
        if trouble.as_ref() != Some(&reason) {
            let path = self.settings.path.display();
            warn!(server = %self.server, "The metrics of the game in {path} are not read: {reason}");
            *trouble = Some(reason);
        }
    }
}

fn count(server: &ServerTag, reason: &'static str, number: u64) {
    let labels = [("server", server.to_string()), ("reason", reason.to_owned())];
    metrics::counter!(PROMETHEUS_FILE_DROPPED, &labels).increment(number);
}

/// Reads the file where it changed since `read_before` and is at rest: written a while ago, or as it was when it was
/// `seen_before`.
fn look(path: &Path, read_before: Option<Stamp>, seen_before: Option<Stamp>) -> io::Result<Look> {
    let mut file = File::open(path)?;
    let before = file.metadata()?;
    let stamp = stamp(&before);
    if Some(stamp) == read_before {
        return Ok(Look::Unchanged);
    }
    if before.len() > MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    let dated = Dated::now(stamp.0);
    if dated.age() < SETTLED && Some(stamp) != seen_before {
        return Ok(Look::Unsettled(stamp));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if bytes.len() as u64 != before.len() || self::stamp(&file.metadata()?) != stamp {
        return Ok(Look::Unsettled(stamp));
    }
    Ok(match text.chars().last() {
        Some('\n') => Look::Whole { text, stamp, dated },
        Some(_) => Look::Torn(
            "its last line does not end, so it may be cut off: whoever writes it must end it with a line feed",
        ),
        None => Look::Torn("it is empty"),
    })
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.modified().ok(), metadata.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::{interval_at, timeout};

    use super::*;

    #[tokio::test]
    async fn a_file_that_is_rewritten_in_step_with_the_looks_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let settings = PrometheusFileSettings {
            path: dir.path().join("game.prom"),
            max_age: Duration::from_mins(2),
            max_series: 100,
        };
        let prod = ServerTag::new("prod").unwrap();
        let files = PrometheusFiles::default();
        let file = files.file(prod.clone(), settings.clone());
        let mut updates = files.updates(&prod).unwrap();
        // Each look comes a moment after a writing.
        let begin = Instant::now() + SETTLED / 2;
        let writing = async {
            let mut seconds = interval_at(begin, POLL);
            for tick in 1.. {
                seconds.tick().await;
                fs::write(&settings.path, format!("factorio_tick {tick}\n")).unwrap();
            }
        };
        let looking = async {
            tokio::time::sleep_until(begin + SETTLED / 3).await;
            file.run(CancellationToken::new()).await
        };
        let ticks = async {
            for _ in 0..4 {
                updates.changed().await.unwrap();
                assert!(updates.borrow_and_update().as_ref().unwrap().numbers.tick.is_some());
            }
        };
        tokio::select! {
            () = writing => {}
            ended = looking => panic!("{ended:?}"),
            read = timeout(Duration::from_secs(20), ticks) => read.expect("it is read"),
        }
    }
}
