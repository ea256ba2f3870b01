//! Follows log files through rotation, truncation and restarts.
//!
//! [`Follower`] does the reading, [`Wakes`] say when to look, [`follow()`] is the task that joins them to the pipeline.

mod before;
mod fingerprint;
mod follow;
mod line_buffer;
#[cfg(test)]
mod model;
mod open_log;
mod report;
mod search;
mod siblings;
#[cfg(test)]
mod situations;
mod stat;
mod step;
mod traced;
mod wakes;

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub use follow::Follower;
use report::Report;
pub use step::{Again, Happening, Piece, Standing, Step};
use traced::Began;
pub use wakes::{Wake, Wakes};

use crate::config::settings::StartAt;
use crate::domain::{LineBatch, LogSource, Position, ServerTag};
use crate::health::ComponentHandle;
use crate::telemetry::traces::Recording;

/// How long a file that was rotated away must be quiet before it is left.
const QUIET: Duration = Duration::from_millis(50);
/// A file system that does not answer for so long is said to hang.
const HANGING: Duration = Duration::from_secs(10);
/// How often the watched directories are looked at anew, should an event have been missed.
const REFRESH: Duration = Duration::from_secs(5);

/// One log to follow.
#[derive(Debug, Clone)]
pub struct TailConfig {
    /// The server.
    pub server: ServerTag,
    /// Which of its logs.
    pub source: LogSource,
    /// Where the log is.
    pub path: PathBuf,
    /// Where the first reading ever begins.
    pub start_at: StartAt,
    /// How often to look when no wake comes.
    pub poll_interval: Duration,
}

/// Reads a log from a position and hands its lines on, until cancelled. The file is the buffer: while the receiver
/// is busy nothing is read.
///
/// Files that are missing or cannot be read are no errors: they are reported to `health` and tried again. Errors
/// are a receiver that is gone and a reader that panicked.
pub async fn follow(
    config: TailConfig,
    from: Position,
    wakes: &Wakes,
    out: mpsc::Sender<LineBatch>,
    health: ComponentHandle,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let reader = Reader {
        follower: Follower::new(config.path.clone(), config.start_at, from),
        wake: wakes.subscribe(&config.path),
        refresh: true,
    };
    let report = Report::new(&config, health);
    let tail = Tail { config, out, report, at_end: false };
    // A read that hangs on a dead mount cannot be cancelled; it is left behind.
    cancel.run_until_cancelled(tail.run(reader)).await.unwrap_or(Ok(()))
}

/// Room for one batch on its way to the pipeline.
type Place = mpsc::OwnedPermit<LineBatch>;

/// What moves to the blocking threads and back.
struct Reader {
    follower: Follower,
    wake: Wake,
    refresh: bool,
}

impl Reader {
    /// The watch comes first: what happens after the poll rings.
    fn poll(&mut self) -> io::Result<Step> {
        if self.refresh {
            self.wake.refresh();
        }
        self.follower.poll()
    }
}

struct Tail {
    config: TailConfig,
    out: mpsc::Sender<LineBatch>,
    report: Report,
    /// The log was read to its end and nothing was read since.
    at_end: bool,
}

impl Tail {
    async fn run(mut self, mut reader: Reader) -> anyhow::Result<()> {
        let mut refreshed = Instant::now();
        loop {
            let asked = Instant::now();
            let mut place = Some(self.place().await?);
            let began = Began::now(asked.elapsed());
            let result;
            (reader, result) = self.poll(reader, &mut place).await?;
            reader.refresh = !reader.wake.is_complete() || refreshed.elapsed() > REFRESH || !is_calm(&result);
            if reader.refresh {
                refreshed = Instant::now();
            }
            let again = match result {
                Ok(step) => self.hand_on(step, place, began).await?,
                Err(error) => {
                    self.report.unreadable(&error);
                    Again::Later
                }
            };
            match again {
                Again::Now => {}
                Again::Soon => sleep(QUIET.min(self.config.poll_interval)).await,
                Again::Later => {
                    tokio::select! {
                        () = reader.wake.woken() => {}
                        () = sleep(self.config.poll_interval) => {}
                    }
                }
            }
        }
    }

    /// One hop to a blocking thread per poll: a mount that hangs then blocks that thread and no worker of the
    /// runtime, and the poll of an idle log stays one hop and one `stat`.
    ///
    /// A poll that hangs gives its place back: other logs need it.
    async fn poll(
        &mut self,
        mut reader: Reader,
        place: &mut Option<Place>,
    ) -> anyhow::Result<(Reader, io::Result<Step>)> {
        let mut polling = tokio::task::spawn_blocking(move || {
            let result = reader.poll();
            (reader, result)
        });
        loop {
            tokio::select! {
                done = &mut polling => return done.context("the reader of the log failed"),
                () = sleep(HANGING) => {
                    *place = None;
                    self.report.hanging();
                }
            }
        }
    }

    /// Waits for a place for the next batch before anything is read: what many tails had read and could not hand on
    /// would fill the memory.
    async fn place(&self) -> anyhow::Result<Place> {
        let mut waiting = pin!(self.out.clone().reserve_owned());
        loop {
            tokio::select! {
                place = &mut waiting => return place.ok().context("nobody takes the lines of the log any more"),
                () = sleep(Duration::from_secs(1)) => self.report.lag_seconds(),
            }
        }
    }

    async fn hand_on(&mut self, step: Step, place: Option<Place>, began: Option<Began>) -> anyhow::Result<Again> {
        self.report.step(&step);
        let Some(piece) = step.piece else {
            self.at_end |= step.again == Again::Later && step.standing != Standing::Missing;
            return Ok(step.again);
        };
        let live = std::mem::replace(&mut self.at_end, false);
        let span = traced::reading(began, &self.config, &piece);
        let TailConfig { server, source, .. } = &self.config;
        let Piece { start, end, items } = piece;
        let trace = span.as_ref().map(Recording::place);
        let batch = LineBatch { server: server.clone(), source: *source, start, end, items, live, trace };
        let place = match place {
            Some(place) => place,
            None => self.place().await?,
        };
        place.send(batch);
        Ok(step.again)
    }
}

/// Nothing happened that changes what is to be watched.
fn is_calm(result: &io::Result<Step>) -> bool {
    result.as_ref().is_ok_and(|step| step.happened.is_empty() && step.standing == Standing::Following)
}
