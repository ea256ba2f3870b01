//! What a channel waited for, and when: so that a message can say what held it up.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::telemetry::metrics::ErrorType;

/// Waits that are remembered; older ones are forgotten.
const REMEMBERED: usize = 64;

/// A shorter one is the passing of an open gate.
const SHORTEST: SignedDuration = SignedDuration::from_millis(1);

/// Why a channel did not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Discord asked for it: the rests between messages, and 429.
    RateLimit,
    /// Discord was away or failed.
    Outage,
    /// Discord refused the channel, or too many requests.
    Refused,
}

impl Cause {
    /// Why a failed attempt is not repeated at once.
    pub(crate) fn of(error: ErrorType) -> Self {
        match error {
            ErrorType::RateLimited => Self::RateLimit,
            ErrorType::Auth | ErrorType::Channel | ErrorType::Payload => Self::Refused,
            _ => Self::Outage,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    cause: Cause,
    from: Timestamp,
    until: Timestamp,
}

/// The waits of one channel, in order; they do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    waits: VecDeque<Wait>,
    /// Whether something was delivered since the last.
    settled: bool,
}

impl Waits {
    /// Notes a wait. One for the cause of the one before is the same one, with the failed attempts between them, unless
    /// something was delivered in between.
    pub(crate) fn note(&mut self, cause: Cause, from: Timestamp, until: Timestamp) {
        if until.duration_since(from) < SHORTEST {
            return;
        }
        let settled = std::mem::take(&mut self.settled);
        if let Some(last) = self.waits.back_mut().filter(|last| last.cause == cause && !settled) {
            last.until = until;
            return;
        }
        if self.waits.len() == REMEMBERED {
            self.waits.pop_front();
        }
        self.waits.push_back(Wait { cause, from, until });
    }

    /// A message arrived.
    pub(crate) fn settle(&mut self) {
        self.settled = true;
    }

    /// How long was waited for `cause` since `since`.
    pub(crate) fn waited(&self, cause: Cause, since: Timestamp) -> Duration {
        let within =
            |wait: &Wait| Duration::try_from(wait.until.duration_since(wait.from.max(since))).unwrap_or_default();
        self.waits.iter().filter(|wait| wait.cause == cause).map(within).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seconds(waits: &Waits, since: i64) -> [u64; 3] {
        [Cause::RateLimit, Cause::Outage, Cause::Refused].map(|cause| waits.waited(cause, at(since)).as_secs())
    }

    #[test]
    fn only_what_a_row_lived_through_counts() {
        let mut waits = Waits::default();
        waits.note(Cause::RateLimit, at(10), at(15));
        waits.note(Cause::Outage, at(20), at(50));
        assert_eq!(seconds(&waits, 0), [5, 30, 0]);
        assert_eq!(seconds(&waits, 13), [2, 30, 0]);
        assert_eq!(seconds(&waits, 45), [0, 5, 0]);
        assert_eq!(seconds(&waits, 60), [0, 0, 0]);
    }

    #[test]
    fn failed_attempts_within_an_outage_belong_to_it() {
        let mut waits = Waits::default();
        // An attempt that hung for 15 s lies between.
        waits.note(Cause::Outage, at(0), at(1));
        waits.note(Cause::Outage, at(16), at(18));
        assert_eq!(seconds(&waits, 0), [0, 18, 0]);
        waits.settle();
        waits.note(Cause::Outage, at(100), at(101));
        assert_eq!(seconds(&waits, 0), [0, 19, 0]);
    }

    #[test]
    fn an_outage_of_a_day_is_one_wait() {
        let mut waits = Waits::default();
        for minute in 0..1440 {
            waits.note(Cause::Outage, at(minute * 60), at(minute * 60 + 59));
        }
        assert_eq!(seconds(&waits, 0), [0, 86_399, 0]);
        assert_eq!(waits.waits.len(), 1);
    }

    proptest! {
        #[test]
        fn no_more_is_waited_than_time_went_by(
            steps in prop::collection::vec((0_u8..3, 0_i64..5, 0_i64..20, any::<bool>()), 0..300), since in 0_i64..3000,
        ) {
            let (mut waits, mut now) = (Waits::default(), 0);
            for (cause, busy, wait, delivered) in steps {
                let cause = [Cause::RateLimit, Cause::Outage, Cause::Refused][usize::from(cause)];
                waits.note(cause, at(now + busy), at(now + busy + wait));
                now += busy + wait;
                if delivered {
                    waits.settle();
                }
            }
            let all: u64 = seconds(&waits, since).iter().sum();
            prop_assert!(all <= u64::try_from(now - since).unwrap_or_default());
            prop_assert!(waits.waits.len() <= REMEMBERED);
        }
    }
}
