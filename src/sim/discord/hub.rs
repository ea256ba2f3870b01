//! The state behind its lock, shared by all connections, and the news that it changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use tokio::sync::{broadcast, watch};

use super::check::RequestCheck;
use super::gateway_faults::Upgrade;
use super::gateway_limits::GatewayLimits;
use super::gateway_log::GatewayAddress;
use super::model::Change;
use super::state::SimState;

/// What every connection holds.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) token: String,
    pub(super) heartbeat_interval: Duration,
    pub(super) gateway_limits: GatewayLimits,
    pub(super) changes: broadcast::Sender<Change>,
    pub(super) version: watch::Sender<u64>,
    pub(super) state: Mutex<SimState>,
    /// Owned by the handles of the simulator, so that it ends with the last of them.
    pub(super) check: Option<Weak<dyn RequestCheck>>,
}

impl Hub {
    /// Reads the state. The lock is never held across an await.
    pub(super) fn read<T>(&self, look: impl FnOnce(&SimState) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state and wakes those who wait for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut SimState) -> T) -> T {
        let result = change(&mut self.lock());
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// The check of what clients send, if there is one.
    pub(super) fn check(&self) -> Option<Arc<dyn RequestCheck>> {
        self.check.as_ref()?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, SimState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a token, with or without the word `Bot`, is the bot's.
    pub(super) fn knows(&self, token: &str) -> bool {
        token.strip_prefix("Bot ").unwrap_or(token) == self.token
    }

    /// Whether the header `Authorization` is `Bot TOKEN`.
    pub(super) fn authorizes(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        shown.and_then(|shown| shown.strip_prefix("Bot ")).is_some_and(|token| token == self.token)
    }

    /// Whether a new gateway connection is to be left unread. Counts it as refused if so.
    pub(super) fn stalls_gateway(&self) -> bool {
        let stalls = self.read(|state| state.gateway_faults.upgrade == Upgrade::StallTcp);
        if stalls {
            self.change(|state| state.count_attempt(GatewayAddress::General, HashMap::new(), false));
        }
        stalls
    }

    /// A message creation is under way, until the guard is dropped: answered, or its client gone.
    pub(super) fn posting(&self, channel: u64) -> Posting<'_> {
        self.change(|state| {
            let under_way = state.posts_under_way.entry(channel).or_default();
            *under_way += 1;
            let most = state.counts.most_posts_at_once.entry(channel).or_default();
            *most = (*most).max(*under_way);
        });
        Posting { hub: self, channel }
    }
}

/// A message creation that is under way.
pub(super) struct Posting<'a> {
    hub: &'a Hub,
    channel: u64,
}

impl Drop for Posting<'_> {
    fn drop(&mut self) {
        self.hub.change(|state| {
            if let Some(under_way) = state.posts_under_way.get_mut(&self.channel) {
                *under_way -= 1;
            }
        });
    }
}
