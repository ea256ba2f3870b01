//! Discord bans an address for 10,000 answers 401, 403 or 429 within ten minutes. We stop at a tenth of that.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::metrics::ErrorType;

/// Discord's window.
const WINDOW: Duration = Duration::from_mins(10);

/// Answers within the window after which we rest.
const LIMIT: usize = 1000;

/// The answers of the last ten minutes that Discord counts.
#[derive(Debug, Default)]
pub(crate) struct InvalidRequests {
    heard_at: VecDeque<Instant>,
}

impl InvalidRequests {
    /// Counts an answer if Discord does.
    pub(crate) fn note(&mut self, error: ErrorType, now: Instant) {
        if matches!(error, ErrorType::RateLimited | ErrorType::Auth | ErrorType::Channel) {
            self.heard_at.push_back(now);
        }
    }

    /// When the next request may go; `None` when it may go now.
    pub(crate) fn resting_until(&mut self, now: Instant) -> Option<Instant> {
        while self.heard_at.front().is_some_and(|heard| now.duration_since(*heard) >= WINDOW) {
            self.heard_at.pop_front();
        }
        let surplus = self.heard_at.len().checked_sub(LIMIT)?;
        Some(self.heard_at[surplus] + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_refusals_in_ten_minutes_stop_all_sending_until_the_window_allows() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut refusals = InvalidRequests::default();
        for n in 0..1000 {
            assert_eq!(refusals.resting_until(start + second * n / 2), None, "after {n}");
            refusals.note(ErrorType::Channel, start + second * n / 2);
        }
        let now = start + second * 500;
        assert_eq!(refusals.resting_until(now), Some(start + WINDOW));
        assert_eq!(refusals.resting_until(start + WINDOW), None);
    }

    #[test]
    fn failures_that_discord_does_not_count_are_not_counted() {
        let now = Instant::now();
        let mut refusals = InvalidRequests::default();
        for _ in 0..2000 {
            refusals.note(ErrorType::Network, now);
            refusals.note(ErrorType::ServerError, now);
            refusals.note(ErrorType::Payload, now);
        }
        assert_eq!(refusals.resting_until(now), None);
    }
}
