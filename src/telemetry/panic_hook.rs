//! Panics as log lines: the place at `error`, the words at `debug`, for they may quote what a player wrote.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{Location, PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

use tracing::{debug, error};

static INSTALLED: Once = Once::new();

/// Sends panics into the log from now on, once for the process. Where no log is set up, they go where they went before.
pub fn install() {
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if tracing::dispatcher::has_been_set() {
                log(panic.location(), message(panic));
            } else {
                before(panic);
            }
        }));
    });
}

fn message<'p>(panic: &'p PanicHookInfo<'_>) -> &'p str {
    panic.payload_as_str().unwrap_or("(no text)")
}

fn log(location: Option<&Location<'_>>, message: &str) {
    let at = location.map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    error!(at, thread = thread.name(), "A task panicked: this is a defect of the program");
    debug!(at, message, "What the panic said");
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        error!(at, %trace, "Where the panic came from");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the child process, where the test below panics with the hook installed.
    const CHILD: &str = "RELAY_TEST_PANIC_HOOK_CHILD";

    /// What the child does, in a process of its own: the hook would hide the panics of other tests.
    fn panic_with_a_log() {
        tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
        install();
        install();
        panic!("Bob said hello");
    }

    #[test]
    fn a_panic_is_logged_once_with_its_place_and_without_its_words() {
        if std::env::var_os(CHILD).is_some() {
            return panic_with_a_log();
        }
        let name = "telemetry::panic_hook::tests::a_panic_is_logged_once_with_its_place_and_without_its_words";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([name, "--exact", "--nocapture", "--test-threads=1"]);
        child.envs([("RUST_BACKTRACE", "0"), (CHILD, "1")]);
        let output = child.output().unwrap();
        assert!(!output.status.success(), "the child panicked");
        let log = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("A task panicked")).collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert!(lines[0].contains("ERROR") && lines[0].contains("panic_hook.rs:"), "{log}");
        assert!(!log.contains("Bob said hello"), "{log}");
    }
}
