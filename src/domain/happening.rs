//! What happened in a game, as its history, its sessions and its alerts need it.

use jiff::Timestamp;

use super::{EventKind, ServerTag};

/// The detail of a [`EventKind::RunFailed`] that was no run of a server, as one that creates a map.
pub const NO_SERVER: &str = "no server";

/// One event of a server, whether it was relayed or not. It is stored in the transaction that moves the checkpoint
/// behind its line, so that nothing is counted twice and nothing is missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Where.
    pub server: ServerTag,
    /// When, by the line; when it was read, where the line tells no time.
    pub at: Timestamp,
    /// What. Always one that [`EventKind::is_remembered`].
    pub kind: EventKind,
    /// The player it is about, as the game wrote the name.
    pub player: Option<String>,
    /// The one other thing the line tells: a reason, a cause, a technology, an error.
    pub detail: Option<String>,
}

impl EventKind {
    /// Whether it goes into the history. What people say does not, nor does what nobody understood.
    #[must_use]
    pub fn is_remembered(self) -> bool {
        !matches!(
            self,
            Self::Chat
                | Self::Shout
                | Self::ServerChat
                | Self::RelayEcho
                | Self::Color
                | Self::ConsoleText
                | Self::UnknownTag
                | Self::Unmatched
                | Self::EngineOther
                | Self::ModOther
        )
    }
}
