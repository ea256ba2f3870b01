//! How the program ended, in one word for the log and one number for the system.

use std::fmt;

use super::Signal;

/// How the program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// In order, because somebody asked.
    Stopped(Signal),
    /// A task fell that the program cannot go on without: its name.
    Fell(String),
    /// In order, but these tasks were not done in time and were aborted.
    Overran(Vec<String>),
    /// At once, by a second signal.
    Aborted(Signal),
}

impl ExitReason {
    /// 0 after an ordered stop by a signal; 130 where Ctrl-C aborted; else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Stopped(_) => 0,
            Self::Aborted(Signal::Interrupt) => 130,
            Self::Fell(_) | Self::Overran(_) | Self::Aborted(Signal::Terminate) => 1,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(signal) => write!(f, "stopped in order after {}", signal.as_str()),
            Self::Fell(task) => write!(f, "the task {task} fell"),
            Self::Overran(tasks) => write!(f, "not done in time: {}", tasks.join(", ")),
            Self::Aborted(signal) => write!(f, "aborted by a second signal, {}", signal.as_str()),
        }
    }
}
