//! Logs and metrics. Tasks use these; pure code does not.

pub mod metrics;
