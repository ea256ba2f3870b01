//! Decodes dispatches and passes them on. One that cannot be decoded is counted and skipped.

use metrics::counter;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serenity::all::{ChannelId, Interaction, MessageDeleteBulkEvent, MessageDeleteEvent, MessageId};
use tracing::warn;

use crate::discord::dispatch::{Dispatches, GatewayEvent, MessageJson};
use crate::telemetry::metrics::GATEWAY_EVENTS_UNDECODABLE;

/// Passes the dispatch `name` with the JSON `data` to `dispatches`. Unknown names are skipped.
pub(super) fn route(name: &str, data: &str, dispatches: &Dispatches) {
    match name {
        "INTERACTION_CREATE" if dispatches.wants_interactions() => {
            if let Some(interaction) = decode::<Interaction>("interaction", data) {
                dispatches.interaction(interaction);
            }
        }
        _ if dispatches.wants_messages() => route_message(name, data, dispatches),
        _ => {}
    }
}

fn route_message(name: &str, data: &str, dispatches: &Dispatches) {
    match name {
        "MESSAGE_CREATE" => {
            if let Some(message) = decode_message("message", data) {
                dispatches.event(GatewayEvent::Message(message));
            }
        }
        "MESSAGE_UPDATE" => {
            if let Some(update) = decode_message("message_update", data) {
                dispatches.event(GatewayEvent::MessageUpdate(update));
            }
        }
        "MESSAGE_DELETE" => {
            if let Some(deleted) = decode::<MessageDeleteEvent>("message_delete", data) {
                let (channel, message) = (deleted.channel_id, deleted.message_id);
                dispatches.event(GatewayEvent::MessageDelete { channel, message });
            }
        }
        "MESSAGE_DELETE_BULK" => {
            let Some(deleted) = decode::<MessageDeleteBulkEvent>("message_delete", data) else { return };
            for message in deleted.ids {
                dispatches.event(GatewayEvent::MessageDelete { channel: deleted.channel_id, message });
            }
        }
        _ => {}
    }
}

/// What every message has.
#[derive(Deserialize)]
struct MessageIds {
    #[expect(dead_code, reason = "a message without an id cannot be relayed")]
    id: MessageId,
    channel_id: ChannelId,
}

fn decode_message(kind: &'static str, data: &str) -> Option<MessageJson> {
    let channel = decode::<MessageIds>(kind, data)?.channel_id;
    Some(MessageJson { channel, json: decode(kind, data)? })
}

fn decode<T: DeserializeOwned>(kind: &'static str, data: &str) -> Option<T> {
    match serde_json::from_str(data) {
        Ok(event) => Some(event),
        Err(error) => {
            undecodable(kind, &error);
            None
        }
    }
}

/// Counts and logs a payload that is skipped. Reconnecting would not help: RESUME would replay it.
pub(super) fn undecodable(kind: &'static str, error: &serde_json::Error) {
    counter!(GATEWAY_EVENTS_UNDECODABLE, "kind" => kind).increment(1);
    warn!(kind, reason = without_values(&error.to_string()), "Failed to decode a gateway event; skipping it");
}

/// Removes quoted values: serde quotes a value of the wrong type, which may be message text or a token.
fn without_values(error: &str) -> String {
    let mut parts = error.split('"');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    if let Some(rest) = parts.next_back() {
        shown.push_str("\"…\"");
        shown.push_str(rest);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_no_value_of_the_event() {
        let error = serde_json::from_str::<u64>(r#""secret \" text""#).unwrap_err();
        assert!(error.to_string().contains("secret"), "{error}");
        let shown = without_values(&error.to_string());
        assert_eq!(shown, "invalid type: string \"…\", expected u64 at line 1 column 16");
        assert_eq!(without_values("missing field `id` at line 1"), "missing field `id` at line 1");
    }
}
