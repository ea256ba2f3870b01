//! Wires the rooms together.

use std::process::ExitCode;

use crate::config::Loaded;

/// Runs the relay until it is told to stop.
#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn run(_loaded: Loaded) -> ExitCode {
    eprintln!("not wired yet");
    ExitCode::FAILURE
}

/// Runs the demo, its page on `port` (0 = any free one).
#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn demo(_port: u16) -> ExitCode {
    eprintln!("not wired yet");
    ExitCode::FAILURE
}
