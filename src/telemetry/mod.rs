//! Logs and metrics. Tasks use these; pure code does not.

#[cfg(test)]
mod drift;
mod exporter;
pub mod exposition;
pub mod game_metrics;
pub mod logging;
pub mod metrics;
pub mod panic_hook;
mod series;

pub use exporter::MetricsExporter;
pub use series::{ServerSeries, preregister};
