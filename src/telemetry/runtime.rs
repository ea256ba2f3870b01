//! How busy the tokio runtime is that answers the scrape. Only what tokio promises to keep: no `tokio_unstable`.

use tokio::runtime::{Handle, RuntimeMetrics};

use super::exposition::{Family, Series};
use super::metrics::{METRICS, Metric, TOKIO_BUSY, TOKIO_QUEUE, TOKIO_TASKS, TOKIO_WORKERS};

/// Its metrics now; none outside a runtime. The runtime of Discord's gateway is another one.
pub(super) fn families() -> Vec<Family> {
    let Ok(handle) = Handle::try_current() else { return Vec::new() };
    let runtime = handle.metrics();
    [
        (TOKIO_WORKERS, runtime.num_workers() as f64),
        (TOKIO_TASKS, runtime.num_alive_tasks() as f64),
        (TOKIO_QUEUE, runtime.global_queue_depth() as f64),
        (TOKIO_BUSY, busy_seconds(&runtime)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(family(row(name)?, value)))
    .collect()
}

fn busy_seconds(runtime: &RuntimeMetrics) -> f64 {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64()).sum()
}

fn row(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

fn family(metric: &Metric, value: f64) -> Family {
    Family {
        name: metric.name,
        kind: metric.kind,
        help: metric.help,
        series: vec![Series { labels: Vec::new(), value }],
    }
}
