//! Discord's limit on what a connection may send: 120 payloads in 60 s, else it closes the connection. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_mins(1);
const LIMIT: usize = 120;
/// Kept free for heartbeats.
const RESERVED: usize = 6;

/// The sends of one connection within the last minute.
#[derive(Debug, Default)]
pub(super) struct SendLimit {
    sent: VecDeque<Instant>,
}

impl SendLimit {
    /// Counts a send.
    pub(super) fn record(&mut self, now: Instant) {
        self.forget(now);
        self.sent.push_back(now);
    }

    /// When a heartbeat may be sent; not after `now` where it may be sent at once.
    pub(super) fn heartbeat_free_at(&mut self, now: Instant) -> Instant {
        self.below(LIMIT, now)
    }

    /// When anything but a heartbeat may be sent; not after `now` where it may be sent at once.
    pub(super) fn free_at(&mut self, now: Instant) -> Instant {
        self.below(LIMIT - RESERVED, now)
    }

    /// When fewer than `limit` sends are within the last minute.
    fn below(&mut self, limit: usize, now: Instant) -> Instant {
        self.forget(now);
        match self.sent.len().checked_sub(limit) {
            None => now,
            Some(over) => self.sent[over] + WINDOW,
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.sent.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
            self.sent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_of_the_120_sends_a_minute_are_left_to_heartbeats() {
        let start = Instant::now();
        let mut limit = SendLimit::default();
        for _ in 0..114 {
            assert_eq!(limit.free_at(start), start);
            limit.record(start);
        }
        assert_eq!(limit.free_at(start), start + WINDOW);
        for _ in 0..6 {
            assert_eq!(limit.heartbeat_free_at(start), start);
            limit.record(start);
        }
        assert_eq!(limit.heartbeat_free_at(start), start + WINDOW);
        let later = start + WINDOW;
        assert_eq!(limit.free_at(later), later);
        assert_eq!(limit.heartbeat_free_at(later), later);
    }
}
