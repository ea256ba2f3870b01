//! The task: wakes the channels that have something to say, keeps the outbox small, and counts it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::channel::Channel;
use super::schedule::Schedule;
use super::shared::Shared;
use super::sink::NoticeSink;
use crate::config::settings::RelaySettings;
use crate::domain::{ChannelId, Clock, Lane};
use crate::health::{Component, ComponentHandle, HealthRegistry};
use crate::store::{OutboxStats, Store};
use crate::telemetry::metrics::{DEAD_LETTERS, OUTBOX_DEPTH, OUTBOX_OLDEST};

/// How often the outbox is looked at besides the wake-ups, and counted.
const POLL: Duration = Duration::from_secs(1);

/// How many polls lie between two searches for old rows.
const POLLS_PER_PRUNING: u32 = 60;

/// How long a dead letter is kept.
const KEEP_DEAD: Duration = Duration::from_hours(30 * 24);

/// Delivers the outbox to a sink, for as long as it runs.
pub struct DeliveryWorker {
    store: Store,
    sink: Arc<dyn NoticeSink>,
    relay: RelaySettings,
    clock: Arc<dyn Clock>,
    health: HealthRegistry,
    schedule: Schedule,
}

impl DeliveryWorker {
    /// A worker; nothing happens before [`Self::run`].
    #[must_use]
    pub fn new(
        store: Store,
        sink: Arc<dyn NoticeSink>,
        relay: RelaySettings,
        clock: Arc<dyn Clock>,
        health: HealthRegistry,
    ) -> Self {
        Self { store, sink, relay, clock, health, schedule: Schedule::default() }
    }

    /// Other waits between failed attempts than 1 s to 60 s, as for tests.
    #[must_use]
    pub fn with_schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// Delivers until `cancel`; then finishes what is in flight and stores its outcome.
    ///
    /// # Errors
    /// When the database fails in a way that waiting does not heal.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let Self { store, sink, relay, clock, health, schedule } = self;
        let shared = Shared::new(store, sink, relay, clock, health, schedule, cancel);
        tokio::try_join!(Box::pin(deliver(&shared)), Box::pin(keep_house(&shared)))?;
        Ok(())
    }
}

async fn deliver(shared: &Shared) -> anyhow::Result<()> {
    let mut committed = shared.store.committed();
    let mut senders = Senders { shared, busy: BTreeSet::new(), channels: FuturesUnordered::new() };
    while !shared.cancel.is_cancelled() {
        committed.mark_unchanged();
        for channel in senders.with_work().await? {
            if senders.busy.insert(channel) {
                senders.channels.push(Box::pin(Channel::new(shared, channel).drain()));
            }
        }
        tokio::select! {
            () = shared.cancel.cancelled() => {}
            _ = committed.changed() => {}
            Some(idle) = senders.channels.next() => { senders.busy.remove(&idle?); }
            () = tokio::time::sleep(POLL) => {}
        }
    }
    while let Some(stopped) = senders.channels.next().await {
        stopped?;
    }
    Ok(())
}

/// The channels that send now.
struct Senders<'a> {
    shared: &'a Shared,
    busy: BTreeSet<ChannelId>,
    channels: FuturesUnordered<BoxFuture<'a, anyhow::Result<ChannelId>>>,
}

impl Senders<'_> {
    /// The channels that have something to say. Those that send go on meanwhile: between them they may hold every
    /// connection to the database, and would never give one back while nobody polls them.
    async fn with_work(&mut self) -> anyhow::Result<Vec<ChannelId>> {
        let shared = self.shared;
        let mut found = pin!(shared.stored(|| shared.store.channels_with_work()));
        loop {
            tokio::select! {
                found = &mut found => return found,
                Some(idle) = self.channels.next() => { self.busy.remove(&idle?); }
            }
        }
    }
}

async fn keep_house(shared: &Shared) -> anyhow::Result<()> {
    let mut polls = 0_u32;
    let mut dead_letters = None;
    while !shared.cancel.is_cancelled() {
        let stats = shared.stored(|| shared.store.outbox_stats()).await?;
        report(shared, &stats, &mut dead_letters);
        if polls.is_multiple_of(POLLS_PER_PRUNING) {
            prune(shared).await?;
        }
        polls = polls.wrapping_add(1);
        shared.rest(POLL).await;
    }
    Ok(())
}

fn report(shared: &Shared, stats: &OutboxStats, dead_letters: &mut Option<ComponentHandle>) {
    for lane in Lane::ALL {
        ::metrics::gauge!(OUTBOX_DEPTH, "lane" => lane.as_str()).set(stats.depth(lane) as f64);
    }
    let age = stats.oldest.map_or(0.0, |oldest| shared.clock.now().duration_since(oldest).as_secs_f64().max(0.0));
    ::metrics::gauge!(OUTBOX_OLDEST).set(age);
    ::metrics::gauge!(DEAD_LETTERS).set(stats.dead as f64);
    match &stats.last_refusal {
        Some(reason) => dead_letters
            .get_or_insert_with(|| shared.health.part(Component::Delivery, "dead_letters"))
            .degraded(format!("notices refused for good: {}, the last: {reason}", stats.dead)),
        None => dead_letters.take().iter().for_each(ComponentHandle::remove),
    }
}

/// In small steps, so that a commit of lines never waits long.
async fn prune(shared: &Shared) -> anyhow::Result<()> {
    let now = shared.clock.now();
    let delivered_before = now.saturating_sub(shared.relay.keep_delivered)?;
    let dead_before = now.saturating_sub(KEEP_DEAD)?;
    while shared.stored(|| shared.store.prune(delivered_before, dead_before)).await? {
        if shared.cancel.is_cancelled() {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}
