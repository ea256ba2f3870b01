//! What the status page costs those who record: a metric that the pulse listens to beside one that it does not, and a
//! warning that is remembered beside one that is not.

use std::hint::black_box;

use criterion::Criterion;
use factorio_isr::telemetry::{MetricsExporter, RecentErrors};
use metrics::{counter, histogram};
use tracing_subscriber::layer::SubscriberExt as _;

pub(crate) fn cost(criterion: &mut Criterion) {
    let exporter = MetricsExporter::detached();
    let mut group = criterion.benchmark_group("taps");
    for (what, name) in [("plain", "factorio_isr_bytes_read_total"), ("in_pulse", "factorio_isr_lines_read_total")] {
        group.bench_function(format!("counter_{what}"), |bencher| {
            let count = || counter!(name, "server" => "bench", "source" => "console").increment(black_box(1));
            exporter.record(|| bencher.iter(count));
        });
    }
    let histograms =
        [("plain", "factorio_isr_commit_latency_seconds"), ("in_pulse", "factorio_isr_relay_latency_seconds")];
    for (what, name) in histograms {
        group.bench_function(format!("histogram_{what}"), |bencher| {
            exporter.record(|| bencher.iter(|| histogram!(name).record(black_box(0.02))));
        });
    }
    for (what, remembers) in [("plain", false), ("remembered", true)] {
        group.bench_function(format!("warning_{what}"), |bencher| {
            let layer = remembers.then(|| RecentErrors::default().layer());
            let subscriber = tracing_subscriber::registry().with(layer);
            let warn = || tracing::warn!(target: "factorio_isr::tail", server = "bench", reason = "gone", "Not read");
            tracing::subscriber::with_default(subscriber, || bencher.iter(warn));
        });
    }
    group.finish();
}
