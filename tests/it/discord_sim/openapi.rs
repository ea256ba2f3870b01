//! Discord's OpenAPI document, reduced to the routes that the relay and its tests use.

use std::sync::LazyLock;

use factorio_isr::sim::discord::RestRequest;
use serde_json::{Value, json};

use super::schema::Schemas;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value =
        serde_json::from_str(include_str!("../../discord-openapi/openapi.json")).expect("a valid document");
    // The document wants an integer; the reference and every library send a string.
    document["components"]["schemas"]["ApplicationCommandUpdateRequest"]["properties"]["default_member_permissions"] =
        json!({ "type": ["integer", "string", "null"] });
    document
});

/// Checks a request's route, query and body.
pub fn check_request(request: &RestRequest<'_>) -> Result<(), String> {
    let (method, path) = (request.method, request.path);
    let operation =
        operation(method, path).ok_or_else(|| format!("{method} {path}: no such route in the reduced document"))?;
    let known: Vec<&str> = operation["query"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(unknown) = request.query.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("{method} {path}: the query has {unknown}, the document {known:?}"));
    }
    match operation.get("request") {
        Some(schema) => check(schema, request.body, true),
        None if request.body.is_null() => Ok(()),
        None => Err("the document has no body here".to_owned()),
    }
    .map_err(|error| format!("{method} {path}: {error} in {}", request.body))
}

/// Checks an answer of the simulator.
pub fn check_answer(method: &str, path: &str, body: &Value) -> Result<(), String> {
    let operation = operation(method, path).ok_or("no such route in the reduced document")?;
    operation.get("answer").map_or(Ok(()), |schema| check(schema, body, false))
}

fn check(schema: &Value, body: &Value, known_fields_only: bool) -> Result<(), String> {
    let schemas = Schemas { named: &DOCUMENT["components"]["schemas"], known_fields_only };
    schemas.check(schema, body, "").map_err(|broken| broken.to_string())
}

/// What the document says of a method and a path, as `/channels/1/messages`.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let routes = DOCUMENT["routes"].as_object()?;
    // A path without parameters wins: `/users/@me` is not a user's id.
    let found =
        routes.iter().filter(|(template, _)| fits(template, path)).min_by_key(|(route, _)| route.matches('{').count());
    found?.1.get(method.to_ascii_lowercase())
}

fn fits(template: &str, path: &str) -> bool {
    let same = |(expected, given): (&str, &str)| expected == given || expected.starts_with('{');
    template.split('/').count() == path.split('/').count() && template.split('/').zip(path.split('/')).all(same)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn checked(method: &str, path: &str, body: &Value) -> Result<(), String> {
        check_request(&RestRequest { method, path, query: &HashMap::new(), body })
    }

    #[test]
    fn requests_are_held_against_their_route() {
        assert_eq!(checked("POST", "/channels/1/messages", &json!({ "content": "hello" })), Ok(()));
        let refused = checked("POST", "/channels/1/messages", &json!({ "content": 5 })).unwrap_err();
        assert!(refused.starts_with("POST /channels/1/messages: content: 5 is not string or null"), "{refused}");
        let refused = checked("POST", "/channels/1/messages", &json!({ "contents": "hello" })).unwrap_err();
        assert!(refused.contains("contents: no such field"), "{refused}");
        let colour = json!({ "embeds": [{ "title": "t", "color": 0x0100_0000 }] });
        assert!(checked("POST", "/channels/1/messages", &colour).unwrap_err().contains("embeds.0.color"));
        assert!(checked("POST", "/channels/1/nothing", &Value::Null).is_err());
        let query = HashMap::from([("newest".to_owned(), "1".to_owned())]);
        let request = RestRequest { method: "GET", path: "/channels/1/messages", query: &query, body: &Value::Null };
        assert!(check_request(&request).unwrap_err().contains("newest"));
    }
}
