//! Where the `metrics` macros write, and what a scrape reads.
//!
//! The labels of a series are written down once, when it is first heard of, so that a scrape only copies: a thousand
//! servers have more than a hundred thousand series, and to sort and write them anew, as the recorder of
//! `metrics-exporter-prometheus` does, took a quarter of a second a scrape. That recorder is what this one is held to by a
//! test, and the lines before a family are of its making.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Label, Metadata, SharedString, Unit};
use metrics_exporter_prometheus::formatting::{write_help_line, write_type_line};

use super::exposition::{escaped, push_value};
use super::metrics::{Kind, METRICS, SECONDS};

/// All families by name.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    families: RwLock<BTreeMap<String, Arc<Family>>>,
    /// Length of the last text: the next one will be about as long.
    written: AtomicUsize,
}

/// A metric and its series, in the order in which they were first heard of.
#[derive(Debug)]
struct Family {
    kind: Kind,
    help: String,
    /// What stands behind the labels of each bucket of a histogram: `le="0.1"} `.
    bounds: Vec<String>,
    series: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<Key, usize>,
    /// What each row begins with, one behind the other: `name{labels} `, of a histogram the labels alone. A scrape reads
    /// them in this order, and so as fast as memory is.
    heads: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    /// Where its head ends; it begins where that of the row before ends.
    head_end: usize,
    value: Value,
}

/// What the macros change.
#[derive(Debug, Clone)]
enum Value {
    /// A count, or the bits of a gauge.
    Number(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

/// A histogram: how many values fell below each bound and above the one before.
#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One more than bounds: the last is for what is above all.
    counts: Box<[AtomicU64]>,
    /// The bits of it.
    sum: AtomicU64,
}

impl Recorder {
    /// The family of this name. The first who speaks of it decides of what kind it is.
    fn family(&self, name: &str, kind: Kind, help: &str) -> Arc<Family> {
        let known = self.families.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.unwrap_or_else(|| {
            let mut families = self.families.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(families.entry(name.to_owned()).or_insert_with(|| Arc::new(Family::new(kind, help))))
        })
    }

    fn describe(&self, key: &KeyName, kind: Kind, help: &str) {
        self.family(key.as_str(), kind, help);
    }

    /// The number behind a series; `None` where its name is one of another kind.
    fn number(&self, key: &Key, kind: Kind) -> Option<Arc<AtomicU64>> {
        match self.family(key.name(), kind, "").value(key, kind)? {
            Value::Number(number) => Some(number),
            Value::Histogram(_) => None,
        }
    }

    /// Adds all series to `text` in the Prometheus text format 0.0.4, and makes `room` for as many bytes behind them.
    pub(super) fn render(&self, text: &mut String, room: usize) {
        let families = self.families.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (before, begun) = (self.written.load(Ordering::Relaxed), text.len());
        text.reserve(before + before / 16 + room);
        for (name, family) in &families {
            family.write(name, text);
        }
        self.written.store(text.len() - begun, Ordering::Relaxed);
    }
}

impl Family {
    fn new(kind: Kind, help: &str) -> Self {
        let bounds = if let Kind::Histogram(bounds) = kind { written_bounds(bounds) } else { Vec::new() };
        Self { kind, help: help.to_owned(), bounds, series: RwLock::default() }
    }

    fn value(&self, key: &Key, kind: Kind) -> Option<Value> {
        if std::mem::discriminant(&kind) != std::mem::discriminant(&self.kind) {
            return None;
        }
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner).get(key);
        Some(known.unwrap_or_else(|| self.series.write().unwrap_or_else(PoisonError::into_inner).add(key, self.kind)))
    }

    fn write(&self, name: &str, text: &mut String) {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if series.rows.is_empty() {
            return;
        }
        if !self.help.is_empty() {
            write_help_line(text, name, None, None, &self.help);
        }
        write_type_line(text, name, None, None, self.kind.as_str());
        let mut begin = 0;
        for row in &series.rows {
            self.write_row(name, &series.heads[begin..row.head_end], &row.value, text);
            begin = row.head_end;
        }
        text.push('\n');
    }

    fn write_row(&self, name: &str, head: &str, value: &Value, text: &mut String) {
        let number = match value {
            Value::Histogram(histogram) => return histogram.write(name, head, &self.bounds, text),
            Value::Number(number) => number.load(Ordering::Acquire),
        };
        text.push_str(head);
        match self.kind {
            Kind::Counter => push_count(text, number),
            _ => push_value(text, f64::from_bits(number)),
        }
        text.push('\n');
    }
}

impl Known {
    fn get(&self, key: &Key) -> Option<Value> {
        self.by_key.get(key).and_then(|at| self.rows.get(*at)).map(|row| row.value.clone())
    }

    /// Another may have added it between the two locks.
    fn add(&mut self, key: &Key, kind: Kind) -> Value {
        if let Some(value) = self.get(key) {
            return value;
        }
        let value = match kind {
            Kind::Histogram(bounds) => Value::Histogram(Arc::new(Buckets::new(bounds))),
            Kind::Counter | Kind::Gauge => Value::Number(Arc::default()),
        };
        self.by_key.insert(key.clone(), self.rows.len());
        let labels = labels(key.labels());
        match value {
            Value::Histogram(_) => self.heads.push_str(&labels),
            Value::Number(_) => head(&mut self.heads, key.name(), "", &labels),
        }
        self.rows.push(Row { head_end: self.heads.len(), value: value.clone() });
        value
    }
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self { bounds, counts, sum: AtomicU64::new(0.0_f64.to_bits()) }
    }

    fn write(&self, name: &str, labels: &str, bounds: &[String], text: &mut String) {
        let (mut total, comma) = (0, if labels.is_empty() { "" } else { "," });
        for (count, bound) in self.counts.iter().zip(bounds) {
            total += count.load(Ordering::Acquire);
            text.extend([name, "_bucket{", labels, comma, bound]);
            push_count(text, total);
            text.push('\n');
        }
        head(text, name, "_sum", labels);
        push_value(text, f64::from_bits(self.sum.load(Ordering::Acquire)));
        text.push('\n');
        head(text, name, "_count", labels);
        push_count(text, total);
        text.push('\n');
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        if value.is_nan() {
            return;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(count as u64, Ordering::Release);
        metrics::GaugeFn::increment(&self.sum, value * count as f64);
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&key, Kind::Counter, &help);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&key, Kind::Gauge, &help);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&key, Kind::Histogram(buckets_of(key.as_str())), &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.number(key, Kind::Counter).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.number(key, Kind::Gauge).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let kind = Kind::Histogram(buckets_of(key.name()));
        match self.family(key.name(), kind, "").value(key, kind) {
            Some(Value::Histogram(histogram)) => Histogram::from_arc(histogram),
            _ => Histogram::noop(),
        }
    }
}

/// The table's, and for a name of nobody's those of what takes time.
fn buckets_of(name: &str) -> &'static [f64] {
    let of_table = METRICS.iter().find(|metric| metric.name == name).map(|metric| metric.kind);
    if let Some(Kind::Histogram(bounds)) = of_table { bounds } else { SECONDS }
}

/// As they are written, without the braces.
fn labels<'a>(labels: impl Iterator<Item = &'a Label>) -> String {
    let pairs: Vec<String> = labels.map(|label| format!("{}=\"{}\"", label.key(), escaped(label.value()))).collect();
    pairs.join(",")
}

fn written_bounds(bounds: &[f64]) -> Vec<String> {
    let written = |bound: &f64| {
        let mut text = "le=\"".to_owned();
        push_value(&mut text, *bound);
        text + "\"} "
    };
    bounds.iter().chain([&f64::INFINITY]).map(written).collect()
}

/// `name_suffix{labels} `
fn head(text: &mut String, name: &str, suffix: &str, labels: &str) {
    let braces = if labels.is_empty() { ["", " "] } else { ["{", "} "] };
    text.extend([name, suffix, braces[0], labels, braces[1]]);
}

fn push_count(text: &mut String, count: u64) {
    text.push_str(itoa::Buffer::new().format(count));
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use metrics::{counter, gauge, histogram, with_local_recorder};
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    use proptest::prelude::*;

    use super::super::metrics::{RELAY_LATENCY, ROWS_PER_MESSAGE};
    use super::*;

    fn text_of(recorder: &Recorder) -> String {
        let mut text = String::new();
        recorder.render(&mut text, 0);
        text
    }

    fn said(speak: impl FnOnce()) -> String {
        let recorder = Recorder::default();
        with_local_recorder(&recorder, speak);
        text_of(&recorder)
    }

    #[test]
    fn families_are_whole_and_what_was_not_heard_of_is_not_there() {
        let text = said(|| {
            metrics::describe_gauge!("b", "Two\nlines \\ of \"help\".");
            metrics::describe_counter!("silent_total", "Nobody counts.");
            gauge!("b", "server" => "x\"y\\z\n").set(1.5);
            counter!("a_total", "server" => "x", "kind" => "k").increment(2);
            gauge!("b").set(f64::NEG_INFINITY);
            counter!("a_total", "server" => "x", "kind" => "k").increment(3);
        });
        insta::assert_snapshot!(text, @r#"
        # TYPE a_total counter
        a_total{server="x",kind="k"} 5

        # HELP b Two\nlines \\ of "help".
        # TYPE b gauge
        b{server="x\"y\\z\n"} 1.5
        b -Inf
        "#);
    }

    #[test]
    fn a_value_on_a_bound_is_in_its_bucket() {
        let text = said(|| {
            let rows = histogram!(ROWS_PER_MESSAGE);
            for value in [1.0, 1.1, 2.0, 20_000.0, f64::NAN] {
                rows.record(value);
            }
            rows.record_many(10.0, 1000);
            drop(histogram!(RELAY_LATENCY, "server" => "x"));
        });
        let counts: Vec<&str> = text.lines().filter(|line| line.starts_with(ROWS_PER_MESSAGE)).collect();
        let counts: Vec<&str> = counts.iter().map(|line| &line[ROWS_PER_MESSAGE.len()..]).collect();
        assert_eq!(
            counts,
            [
                "_bucket{le=\"1\"} 1",
                "_bucket{le=\"2\"} 3",
                "_bucket{le=\"5\"} 3",
                "_bucket{le=\"10\"} 1003",
                "_bucket{le=\"50\"} 1003",
                "_bucket{le=\"100\"} 1003",
                "_bucket{le=\"1000\"} 1003",
                "_bucket{le=\"10000\"} 1003",
                "_bucket{le=\"+Inf\"} 1004",
                "_sum 30004.1",
                "_count 1004"
            ]
        );
        assert!(text.contains("factorio_isr_relay_latency_seconds_bucket{server=\"x\",le=\"0.001\"} 0\n"), "{text}");
    }

    #[test]
    fn a_name_is_of_one_kind() {
        let text = said(|| {
            counter!("odd").increment(1);
            gauge!("odd").set(7.0);
            histogram!("odd").record(7.0);
        });
        assert_eq!(text, "# TYPE odd counter\nodd 1\n\n");
    }

    #[test]
    fn threads_that_count_at_the_same_time_lose_nothing() {
        let (recorder, threads) = (Recorder::default(), 8);
        let start = Barrier::new(threads);
        let count = || {
            start.wait();
            with_local_recorder(&recorder, || {
                for number in 0..1000_u64 {
                    counter!("c_total", "n" => (number % 10).to_string()).increment(1);
                    histogram!("h").record(1.0);
                }
            });
        };
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(count))));
        let text = text_of(&recorder);
        let counted: u64 = text
            .lines()
            .filter(|line| line.starts_with("c_total{"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(counted, 8000);
        assert!(text.contains("h_sum 8000\nh_count 8000\n"), "{text}");
    }

    /// What the crate's own recorder writes of the same.
    fn said_to_the_crate(speak: impl FnOnce()) -> String {
        let buckets = buckets_of(ROWS_PER_MESSAGE);
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(ROWS_PER_MESSAGE.to_owned()), buckets);
        let recorder = builder.expect("there are buckets").build_recorder();
        with_local_recorder(&recorder, speak);
        recorder.handle().render()
    }

    /// Its order is that of a hash map.
    fn sorted(text: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        lines
    }

    /// What a label may be: no backslashes, which the crate takes for escapes where two of them meet.
    fn label() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9 \"{}=,\n\u{e4}-\u{ff}]{0,8}"
    }

    proptest! {
        #[test]
        fn the_text_has_the_lines_that_the_crates_recorder_writes(
            counts in prop::collection::vec((label(), 0..1_000_000_u64), 0..8),
            levels in prop::collection::vec((label(), prop::num::f64::NORMAL | prop::num::f64::ZERO), 0..8),
            values in prop::collection::vec((label(), 0..30_000_u32), 0..30),
        ) {
            let speak = || {
                metrics::describe_counter!("counts_total", "Counts.\nOf \"many\".");
                metrics::describe_gauge!("level", "A level.");
                metrics::describe_histogram!(ROWS_PER_MESSAGE, "Rows.");
                for (of, count) in &counts {
                    counter!("counts_total", "of" => of.clone(), "kind" => "k").increment(*count);
                }
                for (of, level) in &levels {
                    gauge!("level", "of" => of.clone()).set(*level);
                }
                for (of, value) in &values {
                    histogram!(ROWS_PER_MESSAGE, "of" => of.clone()).record(*value);
                }
            };
            let (ours, the_crates) = (said(speak), said_to_the_crate(speak));
            prop_assert_eq!(sorted(&ours), sorted(&the_crates));
        }
    }
}
