//! Enforced nonces: a repeated one gives the message it was first used for.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Author and nonce.
pub(super) type NonceKey = (u64, String);

/// Nonces with the message they were used for, forgotten after a while.
#[derive(Debug)]
pub(super) struct Nonces {
    memory: Duration,
    known: HashMap<NonceKey, (u64, u64)>,
    order: VecDeque<(Instant, NonceKey)>,
}

impl Nonces {
    pub(super) fn new(memory: Duration) -> Self {
        Self { memory, known: HashMap::new(), order: VecDeque::new() }
    }

    /// Channel and id of the message this nonce was used for.
    pub(super) fn find(&mut self, key: &NonceKey, now: Instant) -> Option<(u64, u64)> {
        while let Some((_, old)) = self.order.pop_front_if(|(since, _)| now.duration_since(*since) >= self.memory) {
            self.known.remove(&old);
        }
        self.known.get(key).copied()
    }

    pub(super) fn remember(&mut self, key: NonceKey, now: Instant, channel: u64, message: u64) {
        self.order.push_back((now, key.clone()));
        self.known.insert(key, (channel, message));
    }

    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_is_known_until_its_time_is_over() {
        let mut nonces = Nonces::new(Duration::from_mins(3));
        let (key, start) = ((900, "7".to_owned()), Instant::now());
        nonces.remember(key.clone(), start, 111, 5);
        assert_eq!(nonces.find(&key, start + Duration::from_secs(179)), Some((111, 5)));
        assert_eq!(nonces.find(&(901, "7".to_owned()), start), None, "another author's is another nonce");
        assert_eq!(nonces.find(&key, start + Duration::from_mins(3)), None);
    }
}
