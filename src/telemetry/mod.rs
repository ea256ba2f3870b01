//! Logs, metrics and traces. Tasks use these; pure code does not.

#[cfg(test)]
mod docs;
#[cfg(test)]
mod drift;
mod exporter;
pub mod exposition;
pub mod game_metrics;
mod json_line;
pub mod labels;
pub mod logging;
pub mod metrics;
pub mod panic_hook;
pub mod pulse;
pub mod recent;
mod recorder;
mod repeats;
mod runtime;
mod series;
pub mod traces;

pub use exporter::MetricsExporter;
pub use pulse::Pulse;
pub use recent::RecentErrors;
pub use series::{ServerSeries, preregister};
pub use traces::Traces;
