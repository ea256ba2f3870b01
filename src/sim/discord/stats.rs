//! What the stand-in has counted.

use std::collections::BTreeMap;

use super::gateway_log::GatewayAddress;
use super::rate_limit::Scope;

/// Counts since the start. A snapshot: it does not move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimStats {
    /// Answered requests by route, as `POST /channels/{id}/messages`, and status.
    pub requests: BTreeMap<(String, u16), u64>,
    /// Requests that got no answer: the connection hung or was cut.
    pub unanswered: u64,
    /// 429s by scope, those of faults included.
    pub limited: BTreeMap<Scope, u64>,
    /// What Discord counts towards its ban: 401, 403 and 429 but for the scope `shared`.
    pub invalid_requests: u64,
    /// Messages not created anew because their nonce was known.
    pub nonce_repeats: u64,
    /// New sessions.
    pub identifies: u64,
    /// Sessions that went on.
    pub resumes: u64,
    /// Heartbeats heard.
    pub heartbeats: u64,
    /// Times the bot set its own status.
    pub presences: u64,
    /// Gateway connections that are open now.
    pub open_sockets: usize,
    /// Gateway sessions that have a connection now: what is dispatched reaches them at once.
    pub connected_sessions: usize,
    /// Gateway connections that became a WebSocket.
    pub gateway_connections: u64,
    /// Gateway connections that a fault kept from becoming one.
    pub upgrades_refused: u64,
    /// RESUMEs that were accepted, by the address the client used.
    pub resumes_at: BTreeMap<GatewayAddress, u64>,
    /// RESUMEs that were not: the session is unknown or has forgotten too much, or a fault.
    pub resumes_refused: u64,
    /// IDENTIFYs that did not begin a session, those that came too early included.
    pub identifies_refused: u64,
    /// Connections closed because the client sent too much or too often.
    pub send_limits_broken: u64,
    /// Per channel: most message creations that were under way at once.
    pub most_posts_at_once: BTreeMap<u64, usize>,
}

impl SimStats {
    /// Answers with this status, over all routes.
    #[must_use]
    pub fn answered(&self, status: u16) -> u64 {
        self.requests.iter().filter(|((_, answer), _)| *answer == status).map(|(_, count)| count).sum()
    }

    /// Answered requests on this route, with any status.
    #[must_use]
    pub fn requested(&self, route: &str) -> u64 {
        self.requests.iter().filter(|((asked, _), _)| asked == route).map(|(_, count)| count).sum()
    }

    /// 429s of one scope.
    #[must_use]
    pub fn limited(&self, scope: Scope) -> u64 {
        self.limited.get(&scope).copied().unwrap_or_default()
    }

    pub(super) fn count_answer(&mut self, route: &str, status: u16, scope: Option<Scope>) {
        *self.requests.entry((route.to_owned(), status)).or_default() += 1;
        if let Some(scope) = scope {
            *self.limited.entry(scope).or_default() += 1;
        }
        if matches!(status, 401 | 403 | 429) && scope != Some(Scope::Shared) {
            self.invalid_requests += 1;
        }
    }
}
