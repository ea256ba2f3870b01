//! What the gateway has seen of its clients.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// Which of the gateway's addresses a client used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GatewayAddress {
    /// The one that `GET /gateway/bot` answers.
    General,
    /// The one that READY names as `resume_gateway_url`.
    Resume,
}

/// A connection that a client opened or tried to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayAttempt {
    /// When its request arrived.
    pub at: Instant,
    /// Where.
    pub address: GatewayAddress,
    /// The query of its request: `v`, `encoding`, `compress`. Empty for one that was never read.
    pub query: HashMap<String, String>,
    /// Whether it became a WebSocket.
    pub accepted: bool,
}

/// A payload that a client sent.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewaySend {
    /// When.
    pub at: Instant,
    /// On which connection: 1 is the first one that became a WebSocket.
    pub connection: u64,
    /// The operation: 1 heartbeat, 2 IDENTIFY, 3 presence, 6 RESUME.
    pub op: Option<u64>,
    /// The payload's `d`.
    pub data: Value,
}

/// Everything that clients did at the gateway.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GatewayLog {
    /// Connections, in the order of their requests.
    pub attempts: Vec<GatewayAttempt>,
    /// Payloads that are JSON, in the order of their arrival, but for heartbeats.
    pub sends: Vec<GatewaySend>,
    /// The codes of close frames from clients, in the order of their arrival.
    pub closes: Vec<Option<u16>>,
}

impl GatewayLog {
    /// The `d` of each payload with this operation.
    pub fn sent(&self, op: u64) -> impl Iterator<Item = &Value> {
        self.sends.iter().filter(move |send| send.op == Some(op)).map(|send| &send.data)
    }

    /// The largest number of connection attempts in any second.
    #[must_use]
    pub fn most_attempts_per_second(&self) -> usize {
        let second = Duration::from_secs(1);
        let within = |first: usize| {
            let start = self.attempts[first].at;
            self.attempts[first..].iter().take_while(|attempt| attempt.at.duration_since(start) < second).count()
        };
        (0..self.attempts.len()).map(within).max().unwrap_or_default()
    }

    /// The shortest time between two connection attempts.
    #[must_use]
    pub fn shortest_gap(&self) -> Option<Duration> {
        self.attempts.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).min()
    }

    /// Whether any client asked for compression, of the transport or of payloads.
    #[must_use]
    pub fn compression_requested(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.query.contains_key("compress"))
            || self.sent(2).any(|identify| identify["compress"] == true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_gap_of_attempts_are_measured_over_any_second() {
        let start = Instant::now();
        let attempt = |millis: u64| GatewayAttempt {
            at: start + Duration::from_millis(millis),
            address: GatewayAddress::General,
            query: HashMap::new(),
            accepted: true,
        };
        let log = GatewayLog { attempts: [0, 900, 1100, 1800, 5000].map(attempt).into(), ..GatewayLog::default() };
        assert_eq!(log.most_attempts_per_second(), 3);
        assert_eq!(log.shortest_gap(), Some(Duration::from_millis(200)));
        assert_eq!(GatewayLog::default().most_attempts_per_second(), 0);
        assert_eq!(GatewayLog::default().shortest_gap(), None);
    }
}
