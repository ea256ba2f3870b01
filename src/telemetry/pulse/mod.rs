//! The relay's pulse: how much it does, for the last five minutes. It hears what the metrics are told, and never reads
//! them back.

mod latency;
mod meters;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use latency::Percentiles;
pub use meters::{ErrorCounts, Totals};

use latency::{Counts, Sums, between, percentiles};
use meters::Meters;
pub(super) use meters::Tapped;

/// How often [`Pulse::sample`] is to be called.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Samples to a point of the curves: a curve that moves every second is only restless.
const SAMPLES_PER_POINT: u32 = 5;

/// Points of a curve: five minutes of them.
const POINTS: usize = 60;

/// What the meters say, point by point. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    meters: Arc<Meters>,
    curve: Mutex<Curve>,
}

/// The last points, and where the meters stood at the last sample.
#[derive(Debug, Default)]
struct Curve {
    points: VecDeque<Point>,
    last: Option<Look>,
}

/// The meters at one moment.
#[derive(Debug)]
struct Look {
    at: Instant,
    totals: Totals,
    relay: Sums,
    rcon: Sums,
}

/// What a few samples say together.
#[derive(Debug)]
struct Point {
    samples: u32,
    lasted: Duration,
    did: Totals,
    /// At its end.
    depth: f64,
    relay: Counts,
    rcon: Counts,
}

/// The pulse as it is shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PulseView {
    /// Since the start.
    pub totals: Totals,
    /// In the time the curves span.
    pub recently: Totals,
    /// Lines a second, over the last seconds.
    pub lines_now: f64,
    /// Messages delivered a second, over the last seconds.
    pub delivered_now: f64,
    /// Notices that wait.
    pub depth: f64,
    /// How long the oldest has waited.
    pub oldest: Duration,
    /// From the reading of a line to its delivery, in the time the curves span.
    pub relay: Option<Percentiles>,
    /// RCON commands, in the same time.
    pub rcon: Option<Percentiles>,
    /// Failures since the start.
    pub errors: ErrorCounts,
    /// Oldest first.
    pub curves: Curves,
}

/// The last minutes, point by point.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// Lines a second.
    pub lines: Vec<f64>,
    /// Messages delivered a second.
    pub delivered: Vec<f64>,
    /// Notices that wait.
    pub depth: Vec<f64>,
    /// Seconds to delivery, the 99th percentile; 0 where nothing was delivered.
    pub relay: Vec<f64>,
}

impl Pulse {
    /// How many points a curve has at most.
    pub const POINTS: usize = POINTS;

    /// The recorder that `inner` becomes when the pulse hears what it is told.
    pub(super) fn tap<R>(&self, inner: R) -> Tapped<R> {
        Tapped { inner, meters: Arc::clone(&self.0.meters) }
    }

    /// Takes in what happened since the last time.
    pub fn sample(&self) {
        self.sample_at(Instant::now());
    }

    fn sample_at(&self, at: Instant) {
        let now = Look::of(&self.0.meters, at);
        let depth = self.0.meters.depth();
        self.curve().take(now, depth);
    }

    /// The pulse as it is now.
    #[must_use]
    pub fn view(&self) -> PulseView {
        let meters = &self.0.meters;
        let curve = self.curve();
        let recent = curve.points.iter().rev().take(2);
        let lasted: f64 = recent.clone().map(|point| point.lasted.as_secs_f64()).sum();
        let rate = |count: fn(&Totals) -> u64| {
            per_second(recent.clone().map(|point| count(&point.did)).sum::<u64>() as f64, lasted)
        };
        PulseView {
            totals: meters.totals(),
            recently: curve.points.iter().fold(Totals::default(), |sum, point| sum.plus(point.did)),
            lines_now: rate(|did| did.lines),
            delivered_now: rate(|did| did.delivered),
            depth: meters.depth(),
            oldest: Duration::try_from_secs_f64(meters.oldest()).unwrap_or_default(),
            relay: percentiles(curve.points.iter().map(|point| &point.relay)),
            rcon: percentiles(curve.points.iter().map(|point| &point.rcon)),
            errors: meters.errors(),
            curves: curve.curves(),
        }
    }

    fn curve(&self) -> MutexGuard<'_, Curve> {
        self.0.curve.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn plus(self, more: Self) -> Self {
        Self {
            lines: self.lines + more.lines,
            events: self.events + more.events,
            delivered: self.delivered + more.delivered,
            retried: self.retried + more.retried,
            rejected: self.rejected + more.rejected,
            limited: self.limited + more.limited,
        }
    }
}

impl Look {
    fn of(meters: &Meters, at: Instant) -> Self {
        Self { at, totals: meters.totals(), relay: meters.relay.counts(), rcon: meters.rcon.counts() }
    }
}

impl Curve {
    fn take(&mut self, now: Look, depth: f64) {
        if let Some(before) = &self.last {
            let sample = Point {
                samples: 1,
                lasted: now.at.saturating_duration_since(before.at),
                did: now.totals.since(before.totals),
                depth,
                relay: between(&before.relay, &now.relay),
                rcon: between(&before.rcon, &now.rcon),
            };
            self.add(sample);
        }
        self.last = Some(now);
    }

    fn add(&mut self, sample: Point) {
        match self.points.back_mut() {
            Some(point) if point.samples < SAMPLES_PER_POINT => point.absorb(&sample),
            _ => self.points.push_back(sample),
        }
        if self.points.len() > POINTS {
            self.points.pop_front();
        }
    }

    fn curves(&self) -> Curves {
        let rate = |count: fn(&Totals) -> u64| {
            let points = self.points.iter();
            points.map(|point| per_second(count(&point.did) as f64, point.lasted.as_secs_f64())).collect()
        };
        let p99 = |point: &Point| percentiles(std::iter::once(&point.relay)).map_or(0.0, |p| p.p99.as_secs_f64());
        Curves {
            lines: rate(|did| did.lines),
            delivered: rate(|did| did.delivered),
            depth: self.points.iter().map(|point| point.depth).collect(),
            relay: self.points.iter().map(p99).collect(),
        }
    }
}

impl Point {
    fn absorb(&mut self, sample: &Self) {
        self.samples += sample.samples;
        self.lasted += sample.lasted;
        self.did = self.did.plus(sample.did);
        self.depth = sample.depth;
        for (mine, more) in [(&mut self.relay, &sample.relay), (&mut self.rcon, &sample.rcon)] {
            mine.iter_mut().zip(more).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
    }
}

fn per_second(count: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
