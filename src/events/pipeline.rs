//! The task between the logs and the outbox: batches in, one transaction out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use jiff::tz::Offset;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::content_report::ContentReport;
use super::counts::{Counts, LastEvents};
use super::recognition::Holding;
use super::time_zones::TimeZoneReport;
use super::traced::{self, Commits};
use super::{EventRules, Interpreter};
use crate::config::settings::ServerSettings;
use crate::domain::{Clock, LineBatch, LogItem, LogSource, NewChat, PlayerChat, Position, ServerTag};
use crate::health::{ComponentHandle, HealthRegistry};
use crate::store::{CommitOutcome, IngestedBatch, Store, StoreError};
use crate::telemetry::metrics::count_error;
use crate::telemetry::traces::{self, Recording};

/// Batches committed in one transaction at most.
const BATCHES_PER_COMMIT: usize = 64;

/// The waits between attempts to commit while the database cannot be written: doubled from the first to the last.
const COMMIT_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

type LogKey = (ServerTag, LogSource);

/// One log's interpreter and how far its lines are read and committed.
pub(super) struct Track {
    pub(super) interpreter: Interpreter,
    /// What waits until the log is recognised.
    pub(super) holding: Holding,
    /// The end of the last batch, held or not.
    received: Position,
    committed: Position,
}

impl Track {
    /// A tail that was started again begins at the checkpoint, which is before what is held.
    fn begins_again(&self, batch: &LineBatch) -> bool {
        !self.holding.is_empty() && batch.start == self.committed
    }

    /// What of `batch` and of the held batches is to be committed now.
    fn admit(&mut self, batch: LineBatch) -> anyhow::Result<Vec<LineBatch>> {
        if self.begins_again(&batch) {
            self.holding.clear();
            self.received = self.committed;
        }
        let Some(batch) = unread_part(batch, &self.received)? else { return Ok(Vec::new()) };
        self.received = batch.end;
        Ok(self.holding.admit(&mut self.interpreter, batch))
    }
}

/// Interprets the batches of all logs and commits what comes of them together with the checkpoints.
pub struct Pipeline {
    store: Store,
    clock: Arc<dyn Clock>,
    health: ComponentHandle,
    tracks: HashMap<LogKey, Track>,
    last_events: LastEvents,
    fan_out: Option<FanOut>,
    content: ContentReport,
    time_zones: TimeZoneReport,
}

/// Writes what a player said down for the other games.
pub type FanOut = Arc<dyn Fn(&PlayerChat) -> Vec<NewChat> + Send + Sync>;

impl Pipeline {
    /// A pipeline for these servers' logs, each going on from its checkpoint.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn new(
        store: Store,
        servers: &[ServerSettings],
        rules: &Arc<EventRules>,
        clock: Arc<dyn Clock>,
        health: ComponentHandle,
    ) -> anyhow::Result<Self> {
        let mut tracks = HashMap::new();
        let mut last_events = LastEvents::default();
        for server in servers {
            for (source, _) in server.logs() {
                let mut interpreter = Interpreter::new(server.clone(), source, Arc::clone(rules));
                let stored = store.checkpoint(&server.tag, source).await.context("Cannot read the checkpoints")?;
                let committed = if let Some(stored) = stored {
                    interpreter.restore(&stored.state);
                    interpreter.set_measured_offset(stored.utc_offset);
                    if let Some(seen) = interpreter.last_seen() {
                        last_events.note(&server.tag, seen, clock.now());
                    }
                    stored.position
                } else {
                    interpreter.begin_unrecognised();
                    Position::default()
                };
                let (holding, received) = (Holding::default(), committed);
                tracks.insert((server.tag.clone(), source), Track { interpreter, holding, received, committed });
            }
        }
        let (content, time_zones) = (ContentReport::new(servers), TimeZoneReport::new(servers));
        Ok(Self { store, clock, health, tracks, last_events, fan_out: None, content, time_zones })
    }

    /// The same, with what players say going to other games too, committed with their lines.
    #[must_use]
    pub fn with_fan_out(self, fan_out: FanOut) -> Self {
        Self { fan_out: Some(fan_out), ..self }
    }

    /// The same, with logs in another time zone and logs of unexpected content reported in the health of the servers.
    #[must_use]
    pub fn with_registry(mut self, registry: &HealthRegistry) -> Self {
        self.time_zones.report_to(registry);
        self.content.report_to(registry);
        for server in self.content.servers() {
            self.content.update(&server, &mut self.tracks);
        }
        self
    }

    /// Commits batches until `cancel`, then what is still in the channel, then returns.
    ///
    /// # Errors
    /// When the database fails for good, or a batch does not follow what is committed. Nothing is lost then:
    /// the checkpoint has not moved.
    pub async fn run(
        mut self,
        mut batches: mpsc::Receiver<LineBatch>,
        cancel: CancellationToken,
    ) -> anyhow::Result<()> {
        self.health.healthy();
        self.report_time_zones();
        let mut received = Vec::with_capacity(BATCHES_PER_COMMIT);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !batches.is_closed() => batches.close(),
                count = batches.recv_many(&mut received, BATCHES_PER_COMMIT) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.ingest(received.drain(..), &cancel).await?;
                }
            }
        }
    }

    async fn ingest(
        &mut self,
        received: impl Iterator<Item = LineBatch>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut ingested = Vec::new();
        let mut counts = Vec::new();
        let now = self.clock.now();
        let mut commits = Commits::default();
        for batch in received {
            let key = (batch.server.clone(), batch.source);
            let track = self.tracks.get_mut(&key).context("A batch came from a log that is not configured")?;
            for batch in track.admit(batch)? {
                let (batch, events) = interpret(track, batch, now, self.fan_out.as_ref(), &mut commits);
                let (server, source) = key.clone();
                counts.push(Counts { server, source, events, last_seen: track.interpreter.last_seen() });
                ingested.push(batch);
            }
            self.content.update(&key.0, &mut self.tracks);
        }
        if ingested.is_empty() {
            return Ok(());
        }
        traces::within(commits.first(), self.commit(&ingested, &commits, cancel)).await?;
        self.report_time_zones();
        for counts in counts {
            counts.count();
            if let Some(seen) = counts.last_seen {
                self.last_events.note(&counts.server, seen, now);
            }
        }
        Ok(())
    }

    /// Reports the measured offset of each server's logs when it changes. A log without its own measurement takes over
    /// that of the console log: both are written by one host.
    fn report_time_zones(&mut self) {
        for server in self.time_zones.servers().iter() {
            let console = self.measured_offset(server, LogSource::Console);
            let engine = self.measured_offset(server, LogSource::Engine);
            let changed = self.time_zones.report(server, console.or(engine), self.clock.now());
            if let Some(track) = self.tracks.get_mut(&(server.clone(), LogSource::Engine))
                && changed
                && engine.is_none()
            {
                track.interpreter.set_measured_offset(console);
            }
        }
    }

    fn measured_offset(&self, server: &ServerTag, source: LogSource) -> Option<Offset> {
        self.tracks.get(&(server.clone(), source))?.interpreter.measured_offset()
    }

    /// Commits, again and again while the failure may heal. Meanwhile the channel fills and the tails wait.
    async fn commit(
        &self,
        ingested: &[IngestedBatch],
        spans: &Commits,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        let (mut wait, mut attempts) = (COMMIT_RETRY.0, 0);
        loop {
            attempts += 1;
            let begun = Instant::now();
            match self.store.commit(ingested).await {
                Ok(outcomes) => {
                    spans.done(attempts, begun.elapsed());
                    self.health.healthy();
                    return check_outcomes(ingested, &outcomes);
                }
                Err(error) if error.is_transient() && !cancel.is_cancelled() => self.report(&error),
                Err(error) => {
                    spans.failed(attempts, &error);
                    return Err(error).context("Cannot commit lines");
                }
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(COMMIT_RETRY.1),
            }
        }
    }

    fn report(&self, error: &StoreError) {
        count_error("pipeline", error.error_type());
        tracing::warn!(%error, "Lines cannot be committed now; they wait in their files");
        self.health.unhealthy(format!("Lines wait in their files: {error}"));
    }
}

fn interpret(
    track: &mut Track,
    batch: LineBatch,
    now: Timestamp,
    fan_out: Option<&FanOut>,
    commits: &mut Commits,
) -> (IngestedBatch, Vec<(Arc<str>, u64)>) {
    let span = traced::parsing(&batch);
    let entered = span.as_ref().map(Recording::enter);
    let interpretation = track.interpreter.interpret(&batch, now);
    drop(entered);
    let parsed = span.map(|span| traced::parsed(&span, &batch, &interpretation));
    track.committed = batch.end;
    let mut ingested = IngestedBatch {
        server: batch.server,
        source: batch.source,
        start: batch.start,
        end: batch.end,
        state: track.interpreter.state(),
        utc_offset: track.interpreter.measured_offset(),
        notices: interpretation.notices,
        happenings: interpretation.happenings,
        chats: fan_out.iter().flat_map(|fan_out| interpretation.chats.iter().flat_map(|chat| fan_out(chat))).collect(),
        read_at: now,
        trace: None,
    };
    commits.add(parsed, &mut ingested, interpretation.line_ends);
    (ingested, interpretation.events)
}

fn check_outcomes(ingested: &[IngestedBatch], outcomes: &[CommitOutcome]) -> anyhow::Result<()> {
    for (batch, outcome) in ingested.iter().zip(outcomes) {
        if let CommitOutcome::Conflict { stored } = outcome {
            bail!(
                "The checkpoint of {}'s {} log was moved by another hand to offset {} (expected {})",
                batch.server,
                batch.source.as_str(),
                stored.offset,
                batch.start.offset
            );
        }
    }
    Ok(())
}

/// What of `batch` is not committed yet: all of it, nothing, or, where a tail that was started again reads once more
/// what was in flight, the rest.
///
/// # Errors
/// When the batch does not follow, or begins in a file before the committed one. The stored checkpoint is right then:
/// the next start goes on from it.
fn unread_part(mut batch: LineBatch, committed: &Position) -> anyhow::Result<Option<LineBatch>> {
    let place = |position: &Position| (position.generation, position.offset);
    if batch.start == *committed {
        return Ok(Some(batch));
    }
    // A second reading may count the files in between differently, so its places would not be those of the first.
    if batch.start.generation < committed.generation {
        bail!(
            "{}'s {} log was rotated while its tail fell: it is read anew from what is stored",
            batch.server,
            batch.source.as_str()
        );
    }
    if place(&batch.end) <= place(committed) {
        return Ok(None);
    }
    if place(&batch.start) > place(committed) {
        bail!(
            "A batch of {}'s {} log begins at offset {} of file {}, but only {} of file {} are committed",
            batch.server,
            batch.source.as_str(),
            batch.start.offset,
            batch.start.generation,
            committed.offset,
            committed.generation
        );
    }
    if committed.generation == batch.end.generation {
        let read = |item: &LogItem| match item {
            LogItem::Line(line) => line.end <= committed.offset,
            LogItem::Gap(_) | LogItem::Before(_) => true,
        };
        let known = batch.items.iter().take_while(|item| read(item)).count();
        batch.items.drain(..known);
    }
    batch.start = *committed;
    Ok(Some(batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::LogLine;

    fn at(generation: u64, offset: u64) -> Position {
        Position { generation, offset, ..Position::default() }
    }

    fn batch(start: Position, end: Position, lines: &[(&str, u64)]) -> LineBatch {
        let line = |(text, end): &(&str, u64)| {
            LogItem::Line(LogLine { text: (*text).to_owned(), end: *end, skipped_bytes: 0 })
        };
        LineBatch {
            server: ServerTag::new("prod").unwrap(),
            source: LogSource::Console,
            start,
            end,
            items: lines.iter().map(line).collect(),
            live: false,
            trace: None,
        }
    }

    #[test]
    fn a_tail_that_starts_again_reads_held_lines_again() {
        let rules = Arc::new(EventRules::new(&crate::config::EventSettings::default()).unwrap());
        let mut interpreter = Interpreter::new(crate::events::log_clock::tests::server(), LogSource::Console, rules);
        interpreter.begin_unrecognised();
        let (holding, start) = (Holding::default(), at(1, 0));
        let mut track = Track { interpreter, holding, received: start, committed: start };
        let lines = |batches: Vec<LineBatch>| -> Vec<u64> { batches.iter().map(|batch| batch.end.offset).collect() };
        assert_eq!(lines(track.admit(batch(start, at(1, 10), &[("a", 10)])).unwrap()), [0_u64; 0]);
        assert_eq!(lines(track.admit(batch(at(1, 10), at(1, 20), &[("b", 20)])).unwrap()), [0_u64; 0]);
        // The first reading met a file that the second one does not find.
        assert_eq!(lines(track.admit(batch(start, at(1, 15), &[("ab", 15)])).unwrap()), [0_u64; 0]);
        let known = batch(at(1, 15), at(1, 60), &[("2026-11-30 10:00:00 [CHAT] Bob: hi", 60)]);
        assert_eq!(lines(track.admit(known).unwrap()), [15, 60]);
    }

    #[test]
    fn a_batch_read_twice_is_dropped() {
        let twice = batch(at(1, 0), at(1, 10), &[("a", 10)]);
        assert_eq!(unread_part(twice, &at(1, 10)).unwrap(), None);
    }

    #[test]
    fn a_batch_read_twice_in_part_keeps_its_new_lines() {
        let overlapping = batch(at(1, 0), at(1, 30), &[("a", 10), ("b", 20), ("c", 30)]);
        let rest = unread_part(overlapping, &at(1, 20)).unwrap().unwrap();
        assert_eq!(rest, batch(at(1, 20), at(1, 30), &[("c", 30)]));
    }

    #[test]
    fn a_hole_before_a_batch_is_an_error() {
        let late = batch(at(1, 20), at(1, 30), &[("c", 30)]);
        assert!(unread_part(late, &at(1, 10)).is_err());
    }

    #[test]
    fn a_second_reading_across_a_rotation_is_not_trusted() {
        // The first reading met three files; the second one finds only the last of them, and counts two.
        let committed = at(3, 100);
        for again in [batch(at(1, 30), at(1, 40), &[("a", 40)]), batch(at(2, 90), at(2, 120), &[("new", 120)])] {
            assert!(unread_part(again, &committed).is_err());
        }
    }

    #[test]
    fn a_new_file_follows_the_old_one() {
        let next = batch(at(1, 30), at(2, 5), &[("d", 5)]);
        assert_eq!(unread_part(next.clone(), &at(1, 30)).unwrap(), Some(next));
    }
}
