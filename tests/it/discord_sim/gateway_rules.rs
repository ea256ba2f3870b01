//! What Discord's documentation says of a client's gateway payloads.

use std::collections::HashMap;

use factorio_isr::sim::discord::GatewaySend;
use serde_json::Value;

/// Checks the query of a gateway connection.
pub fn check_query(query: &HashMap<String, String>) -> Result<(), String> {
    if query.get("v").map(String::as_str) != Some("10") {
        return Err(format!("gateway: the query {query:?} does not ask for version 10"));
    }
    if query.get("encoding").is_some_and(|encoding| encoding != "json") || query.contains_key("compress") {
        return Err(format!("gateway: the query {query:?} asks for more than plain JSON"));
    }
    Ok(())
}

/// Checks a payload.
pub fn check_send(send: &GatewaySend) -> Result<(), String> {
    let data = &send.data;
    let found = match send.op {
        Some(1) => of_heartbeat(data),
        Some(2) => of_identify(data),
        Some(3) => of_presence(data),
        Some(6) => of_resume(data),
        other => Err(format!("the operation {other:?} is not one that the relay needs")),
    };
    found.map_err(|error| format!("gateway: {error}"))
}

fn of_heartbeat(data: &Value) -> Result<(), String> {
    expect(data.is_null() || data.is_u64(), "d of a heartbeat", "an integer or null", data)
}

fn of_identify(data: &Value) -> Result<(), String> {
    expect(data["token"].is_string(), "token", "a string", &Value::Null)?;
    expect(data["intents"].is_u64(), "intents", "an integer", &data["intents"])?;
    for property in ["os", "browser", "device"] {
        let given = &data["properties"][property];
        expect(given.is_string(), property, "a string", given)?;
    }
    let compress = &data["compress"];
    expect(compress.is_null() || compress == false, "compress", "absent or false", compress)?;
    let presence = &data["presence"];
    if presence.is_null() { Ok(()) } else { of_presence(presence) }
}

fn of_presence(data: &Value) -> Result<(), String> {
    let since = data.get("since");
    let shown = since.unwrap_or(&Value::Null);
    expect(since.is_some_and(|since| since.is_null() || since.is_u64()), "since", "an integer or null", shown)?;
    expect(data["afk"].is_boolean(), "afk", "a boolean", &data["afk"])?;
    let statuses = ["online", "dnd", "idle", "invisible", "offline"];
    expect(statuses.iter().any(|status| data["status"] == *status), "status", "a status", &data["status"])?;
    let activities = data["activities"].as_array();
    expect(activities.is_some(), "activities", "an array", &data["activities"])?;
    for activity in activities.into_iter().flatten() {
        expect(activity["name"].is_string(), "name of an activity", "a string", &activity["name"])?;
        expect(activity["type"].as_u64().is_some_and(|kind| kind <= 5), "type of an activity", "0 to 5", activity)?;
        let state = &activity["state"];
        let fits = state.is_null() || state.as_str().is_some_and(|text| text.chars().count() <= 128);
        expect(fits, "state of an activity", "at most 128 characters", state)?;
    }
    Ok(())
}

fn of_resume(data: &Value) -> Result<(), String> {
    expect(data["token"].is_string(), "token", "a string", &Value::Null)?;
    expect(data["session_id"].is_string(), "session_id", "a string", &data["session_id"])?;
    expect(data["seq"].is_u64(), "seq", "an integer", &data["seq"])
}

fn expect(fits: bool, what: &str, expected: &str, given: &Value) -> Result<(), String> {
    if fits { Ok(()) } else { Err(format!("{what} is not {expected}: {given}")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn presence_since_is_an_integer_or_null() {
        let presence = |since: Value| json!({ "since": since, "afk": false, "status": "idle", "activities": [] });
        assert_eq!(of_presence(&presence(Value::Null)), Ok(()));
        assert_eq!(of_presence(&presence(json!(5))), Ok(()));
        assert!(of_presence(&presence(json!({ "secs": 5 }))).unwrap_err().contains("since"));
        assert!(of_presence(&json!({ "afk": false, "status": "idle", "activities": [] })).is_err());
    }

    #[test]
    fn compression_is_never_asked_for() {
        let query = |pairs: &[(&str, &str)]| {
            check_query(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(query(&[("v", "10"), ("encoding", "json")]), Ok(()));
        assert!(query(&[("v", "10"), ("compress", "zlib-stream")]).is_err());
        assert!(query(&[("v", "9")]).is_err());
        let properties = json!({ "os": "linux", "browser": "x", "device": "x" });
        let identify = json!({ "token": "t", "intents": 1, "properties": properties, "compress": true });
        assert!(of_identify(&identify).unwrap_err().contains("compress"));
    }
}
