//! A hook through which tests check everything that clients send.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use super::gateway_log::{GatewayAttempt, GatewaySend};

/// A request of the REST API, as a check sees it.
#[derive(Debug, Clone, Copy)]
pub struct RestRequest<'a> {
    /// As `POST`.
    pub method: &'a str,
    /// Below `/api/v10`, as `/channels/1/messages`.
    pub path: &'a str,
    /// Its query.
    pub query: &'a HashMap<String, String>,
    /// Its JSON, of a form the field `payload_json`; null without a body.
    pub body: &'a Value,
}

/// Checks what clients send. An error says what is wrong.
pub trait RequestCheck: fmt::Debug + Send + Sync {
    /// A request of the REST API; one that is wrong is answered by 400 with the error.
    fn rest(&self, request: &RestRequest<'_>) -> Result<(), String>;

    /// A gateway connection.
    fn gateway_attempt(&self, attempt: &GatewayAttempt) -> Result<(), String>;

    /// A payload to the gateway; one that is wrong ends the connection with 4002.
    fn gateway_send(&self, send: &GatewaySend) -> Result<(), String>;
}
