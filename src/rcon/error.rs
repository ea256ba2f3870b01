//! What can go wrong between a command and its answer, each with a sentence for those who must act.

use std::io;
use std::time::Duration;

use crate::telemetry::metrics::ErrorType;

/// Why a command has no answer, or a server no connection. `Display` is for the operator's log and the health
/// endpoints; [`RconError::public_message`] is for members of a Discord server. Neither names addresses or passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RconError {
    /// The game refused the password.
    #[error("The game refused the RCON password: compare `rcon.password` with the game's `--rcon-password`")]
    WrongPassword,
    /// Nothing listens. The game opens RCON only once its map is loaded.
    #[error("Nothing listens on the RCON port: the game is down, still loads its map, or runs without `--rcon-port`")]
    Refused,
    /// The machine cannot be reached, for this reason.
    #[error("The RCON address cannot be reached ({0}): check `rcon.host`, `rcon.port` and firewalls")]
    Unreachable(String),
    /// No answer within this time; the connection is given up.
    #[error("The game did not answer within {} s: a blocking save may be running, or the game hangs", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The connection ended before the answer was whole.
    #[error("The RCON connection was cut before the answer was whole: the game may have stopped")]
    CutMidReply,
    /// The game closed the connection while nothing was asked, or at the login.
    #[error("The game closed the RCON connection: it stopped or restarts")]
    Closed,
    /// What came was no answer to what was asked; the connection is given up.
    #[error("What answers on the RCON port does not speak as Factorio does: {0}")]
    Garbage(Garbage),
    /// The protocol's code fell over; the connection is given up.
    #[error("The RCON connection failed inside: it is made anew")]
    Crashed,
    /// The connection failed so before the command was sent: the game never heard it.
    #[error("{0}")]
    NotSent(Box<RconError>),
    /// As many commands wait as may.
    #[error("Too many RCON commands wait: the game answers more slowly than it is asked")]
    QueueFull,
    /// The command waited for its turn this long, and was not sent.
    #[error("The RCON command was not sent within {} s: the game is busy or away", .0.as_secs_f64())]
    WaitedTooLong(Duration),
    /// The achievement guard refused this command; it was not sent.
    #[error("`/{command}` disables achievements for the save: set `rcon.allow_lua = true` for this server to allow it")]
    LuaNotAllowed {
        /// The command's name, without the slash.
        command: &'static str,
    },
    /// Nothing to send: the game never answers an empty command.
    #[error("The RCON command is empty")]
    EmptyCommand,
    /// More bytes than [`MAX_COMMAND_BYTES`](super::MAX_COMMAND_BYTES).
    #[error("The RCON command has {bytes} bytes, {} are allowed", super::MAX_COMMAND_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A line end or another control character inside.
    #[error("The RCON command is not one line of plain text")]
    NotOneLine,
    /// The program is being stopped; the command was not sent.
    #[error("The RCON connection is being closed: the program stops")]
    Stopping,
}

/// What was wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Garbage {
    /// A packet that cannot be one, or is longer than anybody should buffer.
    #[error("a packet of {0} bytes")]
    Length(i32),
    /// An answer to something else.
    #[error("an answer with id {got} where {expected} was asked")]
    Id {
        /// The id of the command in flight; 0 when there is none.
        expected: i32,
        /// The id that came.
        got: i32,
    },
    /// An answer of the wrong type.
    #[error("a packet of type {0}")]
    Type(i32),
    /// A packet must end in two zero bytes.
    #[error("a packet without its end")]
    Unterminated,
    /// Bytes nobody asked for.
    #[error("bytes that nobody asked for")]
    Unasked,
}

impl RconError {
    /// What members of a Discord server may read: the reason, and nothing of the inside.
    #[must_use]
    pub fn public_message(&self) -> String {
        let text = match self {
            Self::WrongPassword => "I cannot log in to this server's console. Its operator must correct the password.",
            Self::Refused => "The game is not running, or is still loading its map.",
            Self::Unreachable(_) => "The game's machine cannot be reached.",
            Self::TimedOut(_) => {
                "The game did not answer in time; it may be saving. Whether the command ran is not known."
            }
            Self::CutMidReply | Self::Closed | Self::Crashed => {
                "The connection to the game broke. Whether the command ran is not known."
            }
            Self::Garbage(_) => "The game's answer could not be read. Whether the command ran is not known.",
            Self::NotSent(_) => "The game does not answer now; the command was not sent.",
            Self::QueueFull => "Too many commands are waiting for this server. Try again in a moment.",
            Self::WaitedTooLong(_) => "The game was busy for too long; the command was not sent. Try again later.",
            Self::LuaNotAllowed { command } => {
                return format!("`/{command}` would disable achievements on this save, and is not allowed here.");
            }
            Self::EmptyCommand => "There is nothing to send.",
            Self::TooLong { .. } => "That is too long for the game's console.",
            Self::NotOneLine => "A command must be one line of plain text.",
            Self::Stopping => "I am being stopped; the command was not sent.",
        };
        text.to_owned()
    }

    /// Whether the game may have run the command all the same. Where not, it certainly did not.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::CutMidReply | Self::Closed | Self::Garbage(_) | Self::Crashed)
    }

    /// The same, of a command that was still waiting when it happened.
    pub(super) fn before_sending(self) -> Self {
        if self.may_have_run() { Self::NotSent(Box::new(self)) } else { self }
    }

    /// The kind to count it as; `None` for what is the caller's own mistake.
    #[must_use]
    pub fn error_type(&self) -> Option<ErrorType> {
        match self {
            Self::WrongPassword => Some(ErrorType::Auth),
            Self::Refused | Self::Unreachable(_) | Self::TimedOut(_) | Self::CutMidReply | Self::Closed => {
                Some(ErrorType::Network)
            }
            Self::Garbage(_) => Some(ErrorType::Payload),
            Self::Crashed => Some(ErrorType::Panic),
            Self::NotSent(error) => error.error_type(),
            Self::QueueFull | Self::WaitedTooLong(_) => Some(ErrorType::RateLimited),
            Self::LuaNotAllowed { .. }
            | Self::EmptyCommand
            | Self::TooLong { .. }
            | Self::NotOneLine
            | Self::Stopping => None,
        }
    }

    /// How the command ended, for the metrics: one of [`RCON_OUTCOMES`](crate::telemetry::labels::RCON_OUTCOMES).
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timed_out",
            Self::CutMidReply | Self::Closed | Self::Garbage(_) | Self::Crashed => "broken",
            Self::WrongPassword | Self::Refused | Self::Unreachable(_) | Self::NotSent(_) => "unreachable",
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong(_) => "waited_too_long",
            Self::LuaNotAllowed { .. } | Self::EmptyCommand | Self::TooLong { .. } | Self::NotOneLine => "refused",
            Self::Stopping => "stopping",
        }
    }

    /// What an error of the TCP connect means.
    pub(super) fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Unreachable(error.to_string()),
        }
    }

    /// What an error of the protocol's code means while an answer is awaited.
    pub(super) fn of_exchange(error: &rcon::Error) -> Self {
        let io = match error {
            rcon::Error::Auth => return Self::WrongPassword,
            rcon::Error::CommandTooLong => return Self::TooLong { bytes: super::MAX_COMMAND_BYTES + 1 },
            rcon::Error::Io(io) => io,
        };
        match io.get_ref().and_then(|inner| inner.downcast_ref::<Garbage>()) {
            Some(garbage) => Self::Garbage(*garbage),
            None => Self::CutMidReply,
        }
    }
}

impl From<Garbage> for io::Error {
    fn from(garbage: Garbage) -> Self {
        Self::new(io::ErrorKind::InvalidData, garbage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_error() -> Vec<RconError> {
        let second = Duration::from_millis(1500);
        vec![
            RconError::WrongPassword,
            RconError::Refused,
            RconError::Unreachable("no route to 10.1.2.3:27015".to_owned()),
            RconError::TimedOut(second),
            RconError::CutMidReply,
            RconError::Closed,
            RconError::Garbage(Garbage::Length(3)),
            RconError::Crashed,
            RconError::QueueFull,
            RconError::WaitedTooLong(second),
            RconError::LuaNotAllowed { command: "sc" },
            RconError::EmptyCommand,
            RconError::TooLong { bytes: 9000 },
            RconError::NotOneLine,
            RconError::Stopping,
        ]
    }

    #[test]
    fn members_are_told_why_but_no_internals() {
        let told: Vec<String> = every_error().iter().map(RconError::public_message).collect();
        for text in &told {
            assert!(!text.contains("10.1.2.3") && !text.contains("27015") && !text.contains("rcon."), "{text}");
            assert!(text.ends_with('.') || text.ends_with('?'), "{text}");
        }
    }

    #[test]
    fn what_was_never_sent_did_not_run() {
        let unknown: Vec<RconError> = every_error().into_iter().filter(RconError::may_have_run).collect();
        assert_eq!(unknown.len(), 5, "{unknown:?}");
        assert!(!RconError::Refused.may_have_run());
        for error in unknown {
            assert!(error.public_message().contains("not known"), "{error}");
        }
    }

    #[test]
    fn every_error_is_counted_as_an_outcome_of_the_closed_set() {
        use crate::telemetry::labels::RCON_OUTCOMES;
        let nested = RconError::NotSent(Box::new(RconError::Closed));
        let mut outcomes: Vec<_> = every_error().iter().chain([&nested]).map(RconError::outcome).collect();
        outcomes.extend(["answered"]);
        for outcome in RCON_OUTCOMES {
            assert!(outcomes.contains(&outcome), "nothing ends as {outcome}");
        }
        assert!(outcomes.iter().all(|outcome| RCON_OUTCOMES.contains(outcome)), "{outcomes:?}");
    }

    #[test]
    fn a_lost_connection_is_told_from_garbage() {
        let cut = rcon::Error::Io(io::ErrorKind::UnexpectedEof.into());
        assert_eq!(RconError::of_exchange(&cut), RconError::CutMidReply);
        let bad = rcon::Error::Io(Garbage::Length(3).into());
        assert_eq!(RconError::of_exchange(&bad), RconError::Garbage(Garbage::Length(3)));
        assert_eq!(RconError::of_connect(&io::ErrorKind::ConnectionRefused.into()), RconError::Refused);
        let away = io::Error::new(io::ErrorKind::NetworkUnreachable, "no network");
        assert_eq!(RconError::of_connect(&away), RconError::Unreachable("no network".to_owned()));
    }
}
