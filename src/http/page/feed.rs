//! The page and what changes of it, for all viewers at once. Each part has the number of the change that made it what it
//! is: who has seen up to a number is sent what came after, so nobody who is slow is waited or remembered for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{PageSources, parts, render};
use crate::telemetry::metrics::STATUS_PAGE_VIEWERS;
use crate::telemetry::pulse::SAMPLE_INTERVAL;

/// Who may look at once. Each holds a connection, of which probes need some.
pub(in crate::http) const VIEWERS: usize = 32;

/// The status page. Clones are the same.
#[derive(Debug, Clone)]
pub struct StatusPage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sources: PageSources,
    started: Timestamp,
    /// Tells the changes of this run from those of another.
    run: String,
    changes: Mutex<Changes>,
    news: watch::Sender<Arc<News>>,
    seats: Arc<Semaphore>,
}

/// The parts, and the change that made each what it is.
#[derive(Debug, Default)]
struct Changes {
    latest: u64,
    /// Up to here who watches was told. Pages that are opened in between bring `latest` further.
    told: u64,
    parts: BTreeMap<String, (u64, Arc<str>)>,
}

/// What changed with one look.
#[derive(Debug, Default)]
struct News {
    /// Up to here was known before.
    after: u64,
    latest: u64,
    message: Arc<str>,
}

/// What a viewer is sent.
#[derive(Serialize)]
struct Message<'a> {
    /// Unix time in milliseconds.
    now: i64,
    version: &'static str,
    /// Whether these are all parts there are.
    all: bool,
    parts: BTreeMap<&'a str, &'a str>,
}

/// A message, and what is seen by who has it.
pub(in crate::http) struct Sent {
    pub(in crate::http) id: String,
    pub(in crate::http) message: Arc<str>,
}

impl Changes {
    /// Takes in the parts as they are now.
    fn take(&mut self, sources: &PageSources) {
        let next = self.latest + 1;
        for part in parts(sources) {
            if self.parts.get(&part.id).is_none_or(|(_, known)| *known != part.html) {
                self.parts.insert(part.id, (next, part.html));
                self.latest = next;
            }
        }
    }

    fn since(&self, seen: u64) -> Arc<str> {
        let changed = self.parts.iter().filter(|(_, (change, _))| *change > seen);
        let message = Message {
            now: Timestamp::now().as_millisecond(),
            version: env!("CARGO_PKG_VERSION"),
            all: seen == 0,
            parts: changed.map(|(id, (_, html))| (id.as_str(), &**html)).collect(),
        };
        serde_json::to_string(&message).expect("text is JSON").into()
    }
}

impl StatusPage {
    /// The page of these sources.
    #[must_use]
    pub fn new(sources: PageSources) -> Self {
        let now = Timestamp::now();
        let started = now.saturating_sub(sources.lifecycle.uptime()).unwrap_or(now);
        Self(Arc::new(Inner {
            sources,
            started,
            run: format!("{:x}-{:08x}", now.as_millisecond(), fastrand::u32(..)),
            changes: Mutex::default(),
            news: watch::Sender::default(),
            seats: Arc::new(Semaphore::new(VIEWERS)),
        }))
    }

    /// Feels the pulse every second, and tells viewers what changed. A task for the last stage.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            self.0.sources.pulse.sample();
            match self.0.news.receiver_count() {
                0 => self.rest(),
                _ => self.look(),
            }
        }
        Ok(())
    }

    /// Looks what changed, once for all who watch.
    fn look(&self) {
        let mut changes = self.changes();
        let after = changes.told;
        changes.take(&self.0.sources);
        changes.told = changes.latest;
        let news = News { after, latest: changes.latest, message: changes.since(after) };
        self.0.news.send_replace(Arc::new(news));
    }

    /// Nobody watches: whoever comes has a page that is newer than all of it.
    fn rest(&self) {
        let mut changes = self.changes();
        changes.told = changes.latest;
    }

    /// The whole page as it is now.
    pub(in crate::http) fn html(&self) -> String {
        let seen = {
            let mut changes = self.changes();
            changes.take(&self.0.sources);
            changes.latest
        };
        // What changes from here on is sent, perhaps for a second time.
        render(&self.0.sources, &self.id(seen), self.0.started, Timestamp::now())
    }

    /// A viewer who has seen up to this id; `None` when too many look already.
    pub(in crate::http) fn viewer(&self, seen: &str) -> Option<Viewer> {
        let seat = Arc::clone(&self.0.seats).try_acquire_owned().ok()?;
        ::metrics::gauge!(STATUS_PAGE_VIEWERS).increment(1.0);
        if self.0.news.receiver_count() == 0 {
            self.rest();
        }
        let news = self.0.news.subscribe();
        Some(Viewer { page: self.clone(), news, seen: self.number(seen), greeted: false, _seat: seat })
    }

    /// What changed for one who has seen up to this id and does not stay.
    pub(in crate::http) fn glance(&self, seen: &str) -> Sent {
        let seen = self.number(seen);
        let mut changes = self.changes();
        changes.take(&self.0.sources);
        Sent { id: self.id(changes.latest), message: changes.since(seen) }
    }

    fn id(&self, change: u64) -> String {
        format!("{}.{change}", self.0.run)
    }

    /// The change an id stands for; 0, before all of them, for that of another run.
    fn number(&self, id: &str) -> u64 {
        let change = id.strip_prefix(&self.0.run).and_then(|rest| rest.strip_prefix('.')).and_then(|n| n.parse().ok());
        change.filter(|change| *change <= self.changes().latest).unwrap_or(0)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches the page.
pub(in crate::http) struct Viewer {
    page: StatusPage,
    news: watch::Receiver<Arc<News>>,
    seen: u64,
    greeted: bool,
    _seat: OwnedSemaphorePermit,
}

impl Viewer {
    /// What is new to this viewer: at once what came since the page was made, then what comes. However long it takes
    /// until it is asked again, the answer is one message.
    pub(in crate::http) async fn next(&mut self) -> Option<Sent> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(self.catch_up());
        }
        self.news.changed().await.ok()?;
        let news = Arc::clone(&self.news.borrow_and_update());
        if news.after > self.seen {
            return Some(self.catch_up());
        }
        self.seen = news.latest;
        Some(Sent { id: self.page.id(news.latest), message: Arc::clone(&news.message) })
    }

    /// What changed up to now: the last word before a stream ends.
    pub(in crate::http) fn catch_up(&mut self) -> Sent {
        let mut changes = self.page.changes();
        changes.take(&self.page.0.sources);
        let message = changes.since(self.seen);
        self.seen = changes.latest;
        Sent { id: self.page.id(self.seen), message }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        ::metrics::gauge!(STATUS_PAGE_VIEWERS).decrement(1.0);
    }
}
