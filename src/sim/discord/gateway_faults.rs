//! Gateway faults: every way in which a real gateway refuses, ends or stops serving a connection.

use std::time::Duration;

/// How the gateway misbehaves. The default is a gateway without faults.
///
/// Each fault stays until it is cleared and strikes every connection that reaches its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayFaults {
    /// What happens to a new connection.
    pub upgrade: Upgrade,
    /// Whether heartbeats are acknowledged.
    pub acknowledge: bool,
    /// IDENTIFY is answered by a close with this code: 4004, 4013, 4014 are fatal ones.
    pub reject_identify: Option<u16>,
    /// `MESSAGE_CONTENT` is not switched on in the portal: a client that asks for it gets a close with 4014.
    pub content_off: bool,
    /// Ends a connection after the upgrade and before HELLO.
    pub before_hello: Option<GatewayEnd>,
    /// Ends a connection when IDENTIFY arrives; no session begins.
    pub on_identify: Option<GatewayEnd>,
    /// Ends a connection when RESUME arrives; the session is not resumed.
    pub on_resume: Option<GatewayEnd>,
    /// Ends a connection right after READY or RESUMED was sent.
    pub after_ready: Option<GatewayEnd>,
    /// What READY names as `resume_gateway_url`.
    pub resume_url: ResumeUrl,
    /// What `GET /gateway/bot` answers as `session_start_limit`; `None` counts real sessions.
    pub session_starts: Option<SessionStarts>,
}

impl Default for GatewayFaults {
    fn default() -> Self {
        Self {
            upgrade: Upgrade::Accept,
            acknowledge: true,
            reject_identify: None,
            content_off: false,
            before_hello: None,
            on_identify: None,
            on_resume: None,
            after_ready: None,
            resume_url: ResumeUrl::Valid,
            session_starts: None,
        }
    }
}

impl GatewayFaults {
    /// One fault of connections that begin, or none, by chance.
    pub fn draw(random: &mut fastrand::Rng) -> Self {
        let (end, mut faults) = (Some(GatewayEnd::draw(random)), Self::default());
        match random.u8(..8) {
            0 => faults.before_hello = end,
            1 => faults.on_identify = end,
            2 => faults.on_resume = end,
            3 => faults.after_ready = end,
            4 => faults.upgrade = Upgrade::Refuse(503),
            5 => faults.upgrade = Upgrade::StallTcp,
            _ => {}
        }
        faults
    }
}

/// What happens to a new gateway connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// It becomes a WebSocket.
    Accept,
    /// An HTTP error with this status.
    Refuse(u16),
    /// An HTTP error with this status and `Retry-After` in whole seconds.
    RefuseFor(u16, Duration),
    /// The request is read and never answered.
    Stall,
    /// The TCP connection is accepted and never read.
    StallTcp,
}

/// How the gateway ends a connection, or stops serving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayEnd {
    /// A close frame, with this code or without one. 4003, 4007 and 4009 also end the session.
    Close(Option<u16>),
    /// A TCP FIN without a close frame.
    Fin,
    /// A TCP reset.
    Reset,
    /// The connection stays open, but nothing is sent or processed any more.
    HalfOpen,
    /// Bytes that are not a WebSocket frame. The connection stays open.
    Garbage,
    /// A text frame that is not JSON. The connection stays open.
    NotJson,
    /// RECONNECT (op 7). The connection stays open.
    Reconnect,
    /// INVALID SESSION (op 9). The connection stays open; unless `true`, the session is gone.
    InvalidSession(bool),
}

impl GatewayEnd {
    /// Each way, with close codes that a session survives and one that it does not.
    pub const ALL: [Self; 12] = [
        Self::Close(Some(1000)),
        Self::Close(Some(4000)),
        Self::Close(Some(4009)),
        Self::Close(None),
        Self::Fin,
        Self::Reset,
        Self::HalfOpen,
        Self::Garbage,
        Self::NotJson,
        Self::Reconnect,
        Self::InvalidSession(true),
        Self::InvalidSession(false),
    ];

    /// One of [`GatewayEnd::ALL`], by chance.
    pub fn draw(random: &mut fastrand::Rng) -> Self {
        Self::ALL[random.usize(..Self::ALL.len())]
    }

    /// Whether Discord forgets the session as well.
    pub(super) fn ends_session(self) -> bool {
        matches!(self, Self::Close(Some(4003 | 4007 | 4009)) | Self::InvalidSession(false))
    }
}

/// What READY names as `resume_gateway_url`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeUrl {
    /// An address of this gateway, different from the one that `GET /gateway/bot` answers.
    Valid,
    /// A string that is not a URL.
    Garbage,
    /// A port where connections are refused.
    Unreachable,
    /// No such field.
    Missing,
}

/// `session_start_limit` of `GET /gateway/bot`, as far as a test sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionStarts {
    /// Sessions that may still begin.
    pub remaining: u64,
    /// Until all may begin again.
    pub reset_after: Duration,
}
