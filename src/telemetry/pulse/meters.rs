//! Listens in on the metrics that make the pulse, where they are recorded: who counts a line need not know of the page.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use super::latency::Buckets;
use crate::domain::Lane;
use crate::telemetry::metrics::{
    DELIVERIES, ERRORS, EVENTS_PROCESSED, LINES_READ, OUTBOX_DEPTH, OUTBOX_OLDEST, RATE_LIMITED, RCON_LATENCY,
    RELAY_LATENCY,
};

/// Counts since the start, over all servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines read from the logs.
    pub lines: u64,
    /// Events made of them.
    pub events: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Attempts to be tried again.
    pub retried: u64,
    /// Messages refused for good.
    pub rejected: u64,
    /// 429 answers of Discord.
    pub limited: u64,
}

impl Totals {
    /// What came since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            lines: self.lines.saturating_sub(before.lines),
            events: self.events.saturating_sub(before.events),
            delivered: self.delivered.saturating_sub(before.delivered),
            retried: self.retried.saturating_sub(before.retried),
            rejected: self.rejected.saturating_sub(before.rejected),
            limited: self.limited.saturating_sub(before.limited),
        }
    }
}

/// How often which component failed how, and when the last time: both names are of closed sets.
pub type ErrorCounts = BTreeMap<(String, String), (u64, Timestamp)>;

/// What the metrics of interest say, summed over their labels.
#[derive(Debug, Default)]
pub(super) struct Meters {
    lines: Arc<Sum>,
    events: Arc<Sum>,
    delivered: Arc<Sum>,
    retried: Arc<Sum>,
    rejected: Arc<Sum>,
    limited: Arc<Sum>,
    depths: [Arc<Level>; Lane::ALL.len()],
    oldest: Arc<Level>,
    pub(super) relay: Arc<Buckets>,
    pub(super) rcon: Arc<Buckets>,
    errors: Mutex<BTreeMap<(String, String), Arc<Failures>>>,
}

impl Meters {
    pub(super) fn totals(&self) -> Totals {
        Totals {
            lines: self.lines.get(),
            events: self.events.get(),
            delivered: self.delivered.get(),
            retried: self.retried.get(),
            rejected: self.rejected.get(),
            limited: self.limited.get(),
        }
    }

    /// Notices that wait.
    pub(super) fn depth(&self) -> f64 {
        self.depths.iter().map(|depth| depth.get()).sum()
    }

    /// Seconds the oldest of them has waited.
    pub(super) fn oldest(&self) -> f64 {
        self.oldest.get()
    }

    /// Those that happened.
    pub(super) fn errors(&self) -> ErrorCounts {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.iter().filter_map(|(of, failures)| Some((of.clone(), failures.get()?))).collect()
    }

    fn counter(&self, key: &Key) -> Option<Arc<Sum>> {
        let sum = match (key.name(), label(key, "outcome")) {
            (LINES_READ, _) => &self.lines,
            (EVENTS_PROCESSED, _) => &self.events,
            (RATE_LIMITED, _) => &self.limited,
            (DELIVERIES, Some("delivered")) => &self.delivered,
            (DELIVERIES, Some("retry")) => &self.retried,
            (DELIVERIES, Some("rejected")) => &self.rejected,
            _ => return None,
        };
        Some(Arc::clone(sum))
    }

    fn failures(&self, key: &Key) -> Option<Arc<Failures>> {
        (key.name() == ERRORS).then(|| self.error(key))
    }

    fn error(&self, key: &Key) -> Arc<Failures> {
        let of = |name| label(key, name).unwrap_or_default().to_owned();
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(errors.entry((of("component"), of("error_type"))).or_default())
    }

    fn gauge(&self, key: &Key) -> Option<Arc<Level>> {
        let level = match key.name() {
            OUTBOX_OLDEST => &self.oldest,
            OUTBOX_DEPTH => {
                let lane = label(key, "lane")?;
                &self.depths[Lane::ALL.iter().position(|known| known.as_str() == lane)?]
            }
            _ => return None,
        };
        Some(Arc::clone(level))
    }

    fn histogram(&self, key: &Key) -> Option<Arc<Buckets>> {
        match key.name() {
            RELAY_LATENCY => Some(Arc::clone(&self.relay)),
            RCON_LATENCY => Some(Arc::clone(&self.rcon)),
            _ => None,
        }
    }
}

fn label<'a>(key: &'a Key, name: &str) -> Option<&'a str> {
    key.labels().find(|label| label.key() == name).map(metrics::Label::value)
}

/// Only grows.
#[derive(Debug, Default)]
struct Sum(AtomicU64);

impl Sum {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }
}

/// Counts failures, and remembers when the last was, in Unix milliseconds.
#[derive(Debug, Default)]
struct Failures {
    count: Sum,
    last: AtomicI64,
}

impl Failures {
    /// `None` where there were none.
    fn get(&self) -> Option<(u64, Timestamp)> {
        let last = Timestamp::from_millisecond(self.last.load(Ordering::Relaxed)).ok()?;
        Some(self.count.get()).filter(|count| *count > 0).map(|count| (count, last))
    }
}

impl CounterFn for Failures {
    fn increment(&self, value: u64) {
        if value > 0 {
            self.last.store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
            self.count.increment(value);
        }
    }

    fn absolute(&self, value: u64) {
        self.increment(value.saturating_sub(self.count.get()));
    }
}

/// Goes up and down; the bits of a float.
#[derive(Debug, Default)]
struct Level(AtomicU64);

impl Level {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn add(&self, value: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // Always answers with a new value, so it is always stored.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).ok();
    }
}

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// A recorder that hands everything on, and what makes the pulse to the meters, too.
#[derive(Debug)]
pub(in crate::telemetry) struct Tapped<R> {
    pub(super) inner: R,
    pub(super) meters: Arc<Meters>,
}

impl<R> Tapped<R> {
    /// The recorder behind.
    pub(in crate::telemetry) fn inner(&self) -> &R {
        &self.inner
    }
}

/// Records into two places.
struct Both<A, B>(A, B);

impl<T: CounterFn> CounterFn for Both<Counter, Arc<T>> {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
        self.1.absolute(value);
    }
}

impl GaugeFn for Both<Gauge, Arc<Level>> {
    fn increment(&self, value: f64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn decrement(&self, value: f64) {
        self.0.decrement(value);
        self.1.decrement(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
        self.1.set(value);
    }
}

impl HistogramFn for Both<Histogram, Arc<Buckets>> {
    fn record(&self, value: f64) {
        self.0.record(value);
        self.1.record(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.0.record_many(value, count);
        self.1.record_many(value, count);
    }
}

impl<R: Recorder> Recorder for Tapped<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let counter = self.inner.register_counter(key, metadata);
        if let Some(sum) = self.meters.counter(key) {
            return Counter::from_arc(Arc::new(Both(counter, sum)));
        }
        match self.meters.failures(key) {
            Some(failures) => Counter::from_arc(Arc::new(Both(counter, failures))),
            None => counter,
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let gauge = self.inner.register_gauge(key, metadata);
        match self.meters.gauge(key) {
            Some(level) => Gauge::from_arc(Arc::new(Both(gauge, level))),
            None => gauge,
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let histogram = self.inner.register_histogram(key, metadata);
        match self.meters.histogram(key) {
            Some(buckets) => Histogram::from_arc(Arc::new(Both(histogram, buckets))),
            None => histogram,
        }
    }
}
