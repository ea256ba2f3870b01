//! When the next heartbeat is due, and whether the last one was acknowledged in time. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::GatewayTimings;

/// The heartbeats of one connection.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    limit: Duration,
    due: Instant,
    /// When the oldest heartbeat without an acknowledgement was sent.
    unacknowledged: Option<Instant>,
}

impl Heartbeat {
    /// After HELLO at `now` with `interval`. The first heartbeat is due after a random part of it, as Discord asks.
    pub(super) fn new(interval: Duration, timings: &GatewayTimings, now: Instant) -> Self {
        let interval = interval.clamp(*timings.heartbeat.start(), *timings.heartbeat.end());
        let limit = (interval / 2).clamp(*timings.acknowledge.start(), *timings.acknowledge.end());
        Self { interval, limit, due: now + interval.mul_f64(fastrand::f64()), unacknowledged: None }
    }

    /// When the next one is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// When the connection counts as dead unless an acknowledgement arrives.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.unacknowledged.map(|sent| sent + self.limit)
    }

    /// The time allowed for an acknowledgement.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// A heartbeat was sent, on time or because the gateway asked for it.
    pub(super) fn sent(&mut self, now: Instant) {
        self.unacknowledged.get_or_insert(now);
        self.due = now + self.interval;
    }

    /// The next heartbeat must not be sent before `until`.
    pub(super) fn postpone(&mut self, until: Instant) {
        self.due = until;
    }

    /// Op 11 arrived. Returns when the heartbeat was sent.
    pub(super) fn acknowledged(&mut self) -> Option<Instant> {
        self.unacknowledged.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_acknowledgement_is_due_within_15_s_or_half_the_interval() {
        let (timings, now) = (GatewayTimings::default(), Instant::now());
        for (interval, limit) in [(41, 15), (20, 10), (2, 1), (0, 1), (1_000_000, 15)] {
            let mut heartbeat = Heartbeat::new(seconds(interval), &timings, now);
            assert_eq!(heartbeat.expires(), None);
            heartbeat.sent(now);
            assert_eq!(heartbeat.expires(), Some(now + seconds(limit)), "{interval} s");
            heartbeat.sent(now + seconds(1));
            assert_eq!(heartbeat.expires(), Some(now + seconds(limit)), "the oldest counts");
            assert_eq!(heartbeat.acknowledged(), Some(now));
            assert_eq!(heartbeat.expires(), None);
        }
    }

    #[test]
    fn an_absurd_interval_is_clamped() {
        let (timings, now) = (GatewayTimings::default(), Instant::now());
        for (interval, used) in [(0, 1), (41, 41), (u64::MAX / 4, 120)] {
            let mut heartbeat = Heartbeat::new(seconds(interval), &timings, now);
            assert!(heartbeat.due() <= now + seconds(used), "{interval} s");
            heartbeat.sent(now);
            assert_eq!(heartbeat.due(), now + seconds(used), "{interval} s");
        }
    }
}
