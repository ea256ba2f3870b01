//! The task that keeps one game's view: samples come from its sampler, happenings from the database.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::board::{BoardHandle, GameLink, GameView};
use super::sample::{Absence, Reading, Sample};
use crate::domain::{Happening, ServerTag};
use crate::store::{Store, StoreError};

/// Happenings read at a time.
const PAGE: u32 = 500;

/// Keeps the view of one game. A clone is a fresh start for the supervisor; run one at a time.
#[derive(Debug, Clone)]
pub struct Keeper {
    server: ServerTag,
    store: Store,
    board: BoardHandle,
    samples: Arc<Mutex<mpsc::Receiver<Sample>>>,
    /// The last happening that was read.
    seen: i64,
}

impl Keeper {
    /// A keeper of `server`.
    #[must_use]
    pub fn new(server: ServerTag, store: Store, board: BoardHandle, samples: mpsc::Receiver<Sample>) -> Self {
        Self { server, store, board, samples: Arc::new(Mutex::new(samples)), seen: 0 }
    }

    /// Runs until `cancel`.
    ///
    /// # Errors
    /// When the database cannot be read at the start; later it is looked at again.
    pub async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut happened = self.store.happened();
        let samples = Arc::clone(&self.samples);
        let mut samples = samples.lock().await;
        self.seen = self.store.last_happening(&self.server).await.context("Cannot read what happened")?;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                Some(sample) = samples.recv() => self.sampled(sample),
                Ok(()) = happened.changed() => {
                    if let Err(error) = self.catch_up().await {
                        warn!(server = %self.server, %error, "What happened in the game cannot be read");
                    }
                }
                else => cancel.cancelled().await,
            }
        }
    }

    fn sampled(&mut self, sample: Sample) {
        self.board.update(|view| show(view, sample));
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            let page = self.store.happenings_after(&self.server, self.seen, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            self.seen = *last;
            for (_, happening) in &page {
                self.happened(happening);
            }
        }
    }

    fn happened(&mut self, happening: &Happening) {
        tracing::trace!(server = %self.server, kind = %happening.kind, "Happened");
    }
}

/// Puts a sample onto the view.
fn show(view: &mut GameView, sample: Sample) {
    let link = match &sample.outcome {
        Ok(_) => GameLink::Up,
        Err(Absence::Silent(reason)) => GameLink::Silent(reason.clone()),
        Err(Absence::Down(reason)) => GameLink::Down(reason.clone()),
    };
    if std::mem::discriminant(&view.link) != std::mem::discriminant(&link) {
        view.since = Some(sample.at);
    }
    view.link = link;
    let Ok(reading) = sample.outcome else { return };
    let Reading { source, age, ups, paused, evolution, version, lua, .. } = reading;
    view.sampled_at = Some(sample.at);
    view.source = Some(source);
    (view.age, view.ups, view.paused) = (age, ups, paused);
    view.evolution = evolution;
    view.version = version.or(view.version.take());
    view.research = lua.and_then(|lua| lua.research);
}
