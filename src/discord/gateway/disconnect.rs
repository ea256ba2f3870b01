//! Why a gateway connection ended, and what has to follow. Pure.

use std::time::Duration;

use tokio_tungstenite::tungstenite;

use super::preflight::PreflightError;

/// Why a connection, or an attempt at one, ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disconnect {
    /// `GET /gateway/bot` failed.
    #[error(transparent)]
    Preflight(PreflightError),
    /// No TCP connection.
    #[error("cannot connect to the gateway: {0}")]
    Unreachable(String),
    #[error("cannot connect to the gateway: TLS handshake failed: {0}")]
    Tls(String),
    #[error("the gateway did not accept the connection within {} s", .0.as_secs_f64())]
    ConnectTimeout(Duration),
    /// An HTTP answer instead of a WebSocket.
    #[error("the gateway refused the WebSocket upgrade with HTTP {status}")]
    UpgradeRefused { status: u16, retry_after: Option<Duration> },
    #[error("the gateway sent no HELLO within {} s", .0.as_secs_f64())]
    HelloTimeout(Duration),
    #[error("the gateway did not answer {command} within {} s", .limit.as_secs_f64())]
    GreetingTimeout { command: &'static str, limit: Duration },
    #[error("the gateway closed the connection with code {code} ({})", close_code_name(*code))]
    Closed { code: u16 },
    #[error("the gateway closed the connection without a code")]
    ClosedWithoutCode,
    /// FIN without a close frame.
    #[error("the gateway ended the connection without a close frame")]
    Eof,
    #[error("the gateway connection broke: {0}")]
    Broken(String),
    #[error("the gateway did not acknowledge a heartbeat within {} s", .0.as_secs_f64())]
    AckTimeout(Duration),
    #[error("a payload could not be written to the gateway within {} s", .0.as_secs_f64())]
    WriteTimeout(Duration),
    /// Op 7.
    #[error("Discord asked for a reconnect")]
    ReconnectRequested,
    /// Op 9.
    #[error("Discord invalidated the session")]
    InvalidSession { resumable: bool },
    #[error("the gateway violated the protocol: {0}")]
    Protocol(String),
    /// RESUME would replay it, so a new session must begin.
    #[error("the gateway sent a message over the size limit")]
    MessageTooLarge,
    #[error("the gateway's READY has no session")]
    NoSession,
    #[error("the gateway address cannot be used: {0}")]
    BadUrl(String),
}

/// What has to follow a disconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Resume the session where there is one.
    Resume,
    /// The session is lost: begin a new one.
    Identify,
    /// An operator must act before Discord accepts the bot.
    Refused(Refusal),
}

/// What Discord refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Token,
    /// A privileged intent is not switched on in the developer portal.
    PrivilegedIntents,
    /// Discord does not know an intent bit.
    UnknownIntents,
    /// Close codes 4010 to 4012: sharding or API version.
    Client,
}

impl Disconnect {
    /// What has to follow.
    pub(super) fn next_step(&self) -> NextStep {
        match self {
            Self::Closed { code } => next_step_after_close(*code),
            Self::InvalidSession { resumable: false } | Self::MessageTooLarge | Self::NoSession => NextStep::Identify,
            Self::Preflight(PreflightError::TokenRefused) => NextStep::Refused(Refusal::Token),
            _ => NextStep::Resume,
        }
    }

    /// The wait that the peer asked for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::UpgradeRefused { retry_after, .. } | Self::Preflight(PreflightError::Failed { retry_after, .. }) => {
                *retry_after
            }
            _ => None,
        }
    }

    /// Whether Discord asks for such a reconnect in normal operation: no error once the session was Up.
    pub(super) fn is_routine(&self) -> bool {
        matches!(self, Self::ReconnectRequested | Self::InvalidSession { resumable: true })
    }
}

/// By Discord's table of close codes; the rule for unknown ones is to resume.
fn next_step_after_close(code: u16) -> NextStep {
    match code {
        4003 | 4007 | 4009 => NextStep::Identify,
        4004 => NextStep::Refused(Refusal::Token),
        4010..=4012 => NextStep::Refused(Refusal::Client),
        4013 => NextStep::Refused(Refusal::UnknownIntents),
        4014 => NextStep::Refused(Refusal::PrivilegedIntents),
        _ => NextStep::Resume,
    }
}

/// What Discord and RFC 6455 call a close code.
fn close_code_name(code: u16) -> &'static str {
    match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1006 => "abnormal closure",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        4000 => "unknown error",
        4001 => "unknown opcode",
        4002 => "decode error",
        4003 => "not authenticated",
        4004 => "authentication failed",
        4005 => "already authenticated",
        4007 => "invalid sequence",
        4008 => "rate limited",
        4009 => "session timed out",
        4010 => "invalid shard",
        4011 => "sharding required",
        4012 => "invalid API version",
        4013 => "invalid intents",
        4014 => "disallowed intents",
        _ => "unknown close code",
    }
}

impl From<tungstenite::Error> for Disconnect {
    /// Of an established connection.
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::Error;
        use tungstenite::error::ProtocolError;
        match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Eof,
            // rustls reports a FIN without close_notify, which is how most peers end a connection, as this error.
            Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Self::Eof,
            Error::Io(error) => Self::Broken(error.to_string()),
            Error::Capacity(_) => Self::MessageTooLarge,
            other => Self::Protocol(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_code_decides_between_resume_identify_and_refusal() {
        for code in [1000, 1001, 1006, 4000, 4001, 4002, 4005, 4006, 4008, 4999] {
            assert_eq!(Disconnect::Closed { code }.next_step(), NextStep::Resume, "{code}");
        }
        for code in [4003, 4007, 4009] {
            assert_eq!(Disconnect::Closed { code }.next_step(), NextStep::Identify, "{code}");
        }
        for (code, refusal) in [
            (4004, Refusal::Token),
            (4010, Refusal::Client),
            (4011, Refusal::Client),
            (4012, Refusal::Client),
            (4013, Refusal::UnknownIntents),
            (4014, Refusal::PrivilegedIntents),
        ] {
            assert_eq!(Disconnect::Closed { code }.next_step(), NextStep::Refused(refusal), "{code}");
        }
    }

    #[test]
    fn only_what_makes_a_session_useless_ends_it() {
        let resumable = [
            Disconnect::ClosedWithoutCode,
            Disconnect::Eof,
            Disconnect::Broken("Connection reset by peer".into()),
            Disconnect::Protocol("reserved bits".into()),
            Disconnect::AckTimeout(Duration::from_secs(15)),
            Disconnect::HelloTimeout(Duration::from_secs(10)),
            Disconnect::UpgradeRefused { status: 503, retry_after: None },
            Disconnect::ReconnectRequested,
            Disconnect::InvalidSession { resumable: true },
        ];
        for end in resumable {
            assert_eq!(end.next_step(), NextStep::Resume, "{end}");
        }
        for end in [Disconnect::InvalidSession { resumable: false }, Disconnect::MessageTooLarge] {
            assert_eq!(end.next_step(), NextStep::Identify, "{end}");
        }
    }

    #[test]
    fn the_end_of_a_tls_stream_is_an_end_and_no_error() {
        let text = "peer closed connection without sending TLS close_notify: https://docs.rs/rustls";
        let end = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, text);
        assert_eq!(Disconnect::from(tungstenite::Error::Io(end)), Disconnect::Eof);
    }

    #[test]
    fn causes_are_readable() {
        assert_eq!(
            Disconnect::Closed { code: 4009 }.to_string(),
            "the gateway closed the connection with code 4009 (session timed out)"
        );
        assert_eq!(
            Disconnect::ConnectTimeout(Duration::from_secs(10)).to_string(),
            "the gateway did not accept the connection within 10 s"
        );
    }
}
