//! The JSON payloads of the gateway: the envelope of what arrives, and what we send. Pure.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::discord::status::Presence;

use super::session::Session;

/// The longest payload that Discord accepts, in bytes; it closes the connection for a longer one.
pub(super) const LONGEST_PAYLOAD: usize = 4096;

/// The envelope of every payload. `d` is decoded only where it is needed.
#[derive(Debug, Deserialize)]
pub(super) struct Payload<'a> {
    pub(super) op: u64,
    /// The sequence number of a dispatch.
    #[serde(default)]
    pub(super) s: Option<u64>,
    /// The name of a dispatch.
    #[serde(borrow, default)]
    pub(super) t: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) d: Option<&'a RawValue>,
}

impl Payload<'_> {
    /// `d` as JSON text; `null` where it is absent.
    pub(super) fn data(&self) -> &str {
        self.d.map_or("null", RawValue::get)
    }
}

/// HELLO's `d`.
#[derive(Debug, Deserialize)]
pub(super) struct Hello {
    /// Milliseconds.
    pub(super) heartbeat_interval: u64,
}

/// Op 1. `sequence` is the number of the last dispatch, if any.
pub(super) fn heartbeat(sequence: Option<u64>) -> String {
    json!({ "op": 1, "d": sequence }).to_string()
}

/// Op 2. Asks for no compression: it saves little for one guild and is one more thing that can fail.
pub(super) fn identify(token: &str, intents: u64, presence: Option<&Presence>) -> String {
    let mut data = json!({
        "token": token,
        "intents": intents,
        "properties": { "os": std::env::consts::OS, "browser": "factorio-isr", "device": "factorio-isr" },
    });
    if let Some(presence) = presence {
        data["presence"] = presence_data(presence);
    }
    json!({ "op": 2, "d": data }).to_string()
}

/// Op 6.
pub(super) fn resume(token: &str, session: &Session) -> String {
    json!({ "op": 6, "d": { "token": token, "session_id": session.id, "seq": session.sequence } }).to_string()
}

/// Op 3.
pub(super) fn update_presence(presence: &Presence) -> String {
    json!({ "op": 3, "d": presence_data(presence) }).to_string()
}

fn presence_data(presence: &Presence) -> Value {
    let status = if presence.idle { "idle" } else { "online" };
    // Type 4 is a custom status: Discord shows `state` and requires a name.
    let activity = json!({ "name": "Custom Status", "type": 4, "state": presence.text });
    json!({ "since": null, "activities": [activity], "status": status, "afk": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_without_its_data() {
        let text = r#"{"t":"MESSAGE_CREATE","s":7,"op":0,"d":{"id":"1"}}"#;
        let payload: Payload<'_> = serde_json::from_str(text).unwrap();
        assert_eq!((payload.op, payload.s, payload.t.as_deref()), (0, Some(7), Some("MESSAGE_CREATE")));
        assert_eq!(payload.data(), r#"{"id":"1"}"#);
        let ack: Payload<'_> = serde_json::from_str(r#"{"op":11,"d":null,"s":null,"t":null}"#).unwrap();
        assert_eq!((ack.op, ack.s, ack.data()), (11, None, "null"));
        let escaped: Payload<'_> = serde_json::from_str(r#"{"op":0,"t":"\u0052EADY"}"#).unwrap();
        assert_eq!(escaped.t.as_deref(), Some("READY"));
    }

    #[test]
    fn a_presence_has_an_integer_or_null_as_since() {
        let presence = Presence { text: "3 players".into(), idle: false };
        let sent: Value = serde_json::from_str(&update_presence(&presence)).unwrap();
        assert_eq!(sent["d"]["since"], Value::Null);
        assert_eq!(sent["d"]["activities"][0]["state"], "3 players");
        let idle = identify("secret", 1, Some(&Presence { idle: true, ..presence }));
        let sent: Value = serde_json::from_str(&idle).unwrap();
        assert_eq!(sent["d"]["presence"]["status"], "idle");
        assert!(sent["d"].get("compress").is_none());
    }
}
