//! The Discord simulator as every test of the relay starts it: what the relay sends is checked against Discord's OpenAPI
//! document and the gateway's rules. A request that breaks them is refused, and fails the test.

mod gateway_rules;
mod openapi;
mod schema;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use factorio_isr::sim::discord::{
    GatewayAttempt, GatewaySend, RequestCheck, RestRequest, SimDiscord, SimDiscordConfig,
};

pub use openapi::check_answer;

/// Starts a simulator whose clients are checked.
pub async fn start(config: SimDiscordConfig) -> io::Result<SimDiscord> {
    SimDiscord::start_checked(config, Arc::new(Violations::default())).await
}

/// Whether the gateway's rules hold for the relay. serenity's client breaks them: it asks for compression and sends
/// `since` as an object.
const CHECKS_GATEWAY: bool = true;

/// What the clients of one simulator did wrong. Fails the test when the last handle of the simulator is dropped.
#[derive(Debug, Default)]
struct Violations(Mutex<Vec<String>>);

impl Violations {
    fn record(&self, found: Result<(), String>) -> Result<(), String> {
        if let Err(violation) = &found {
            eprintln!("{violation}");
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(violation.clone());
        }
        found
    }
}

impl RequestCheck for Violations {
    fn rest(&self, request: &RestRequest<'_>) -> Result<(), String> {
        self.record(openapi::check_request(request))
    }

    fn gateway_attempt(&self, attempt: &GatewayAttempt) -> Result<(), String> {
        if CHECKS_GATEWAY { self.record(gateway_rules::check_query(&attempt.query)) } else { Ok(()) }
    }

    fn gateway_send(&self, send: &GatewaySend) -> Result<(), String> {
        if CHECKS_GATEWAY { self.record(gateway_rules::check_send(send)) } else { Ok(()) }
    }
}

impl Drop for Violations {
    fn drop(&mut self) {
        let violations = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let fails = !violations.is_empty() && !std::thread::panicking();
        assert!(!fails, "Discord does not document what was sent to it:\n{}", violations.join("\n"));
    }
}
