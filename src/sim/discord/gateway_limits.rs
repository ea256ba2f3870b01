//! The gateway's limits on what a client sends. Pure: the caller passes the time.

use std::time::Duration;

use tokio::time::Instant;

use super::rate_limit::{Count, Window};

/// Limits of the gateway. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Payloads per connection; beyond, it is closed with 4008.
    pub sends: Option<Window>,
    /// Presence updates per connection; beyond, it is closed with 4008.
    pub presences: Option<Window>,
    /// Bytes of one payload; beyond, the connection is closed with 4002.
    pub payload_bytes: Option<usize>,
    /// The shortest time between two IDENTIFYs; an earlier one is answered by INVALID SESSION.
    pub identify_gap: Option<Duration>,
}

impl GatewayLimits {
    /// Discord's: 120 payloads per 60 s, 5 presence updates per 20 s, 4,096 bytes, an IDENTIFY every 5 s.
    #[must_use]
    pub const fn discord() -> Self {
        Self {
            sends: Some(Window::new(120, Duration::from_mins(1))),
            presences: Some(Window::new(5, Duration::from_secs(20))),
            payload_bytes: Some(4096),
            identify_gap: Some(Duration::from_secs(5)),
        }
    }

    /// No limits.
    #[must_use]
    pub const fn none() -> Self {
        Self { sends: None, presences: None, payload_bytes: None, identify_gap: None }
    }
}

/// Counts the payloads of one connection.
#[derive(Debug)]
pub(super) struct SendCounter {
    limits: GatewayLimits,
    sends: Count,
    presences: Count,
}

impl SendCounter {
    pub(super) fn new(limits: GatewayLimits, now: Instant) -> Self {
        Self { limits, sends: Count::new(now), presences: Count::new(now) }
    }

    /// Counts a payload; `Err` has the close code of the limit that it breaks.
    pub(super) fn admit(&mut self, bytes: usize, op: Option<u64>, now: Instant) -> Result<(), u16> {
        if self.limits.payload_bytes.is_some_and(|most| bytes > most) {
            return Err(4002);
        }
        if self.limits.sends.is_some_and(|window| self.sends.take(window, now).is_err()) {
            return Err(4008);
        }
        let is_presence = op == Some(3);
        if is_presence && self.limits.presences.is_some_and(|window| self.presences.take(window, now).is_err()) {
            return Err(4008);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_close_code() {
        let start = Instant::now();
        let mut counter = SendCounter::new(GatewayLimits::discord(), start);
        assert_eq!(counter.admit(4096, Some(1), start), Ok(()));
        assert_eq!(counter.admit(4097, Some(1), start), Err(4002));
        for _ in 0..5 {
            assert_eq!(counter.admit(10, Some(3), start), Ok(()));
        }
        assert_eq!(counter.admit(10, Some(3), start), Err(4008), "a sixth presence");
        for _ in 0..113 {
            assert_eq!(counter.admit(10, Some(1), start), Ok(()));
        }
        assert_eq!(counter.admit(10, Some(1), start), Err(4008), "a payload after 120");
        assert_eq!(counter.admit(10, Some(1), start + Duration::from_mins(1)), Ok(()));
    }
}
