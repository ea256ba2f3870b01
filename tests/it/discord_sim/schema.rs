//! JSON Schema, as far as Discord's OpenAPI document uses it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Value};

/// Schemas by name, and how strictly they are read.
#[derive(Clone, Copy)]
pub struct Schemas<'a> {
    /// `components` → `schemas` of the document.
    pub named: &'a Value,
    /// Whether a field that the schema does not name is an error.
    pub known_fields_only: bool,
}

/// Where a value breaks its schema, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    path: String,
    message: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", if self.path.is_empty() { "body" } else { &self.path }, self.message)
    }
}

type Checked = Result<(), Broken>;

fn broken(path: &str, message: impl Into<String>) -> Checked {
    Err(Broken { path: path.to_owned(), message: message.into() })
}

impl Schemas<'_> {
    /// Checks a value against a schema; `path` is where the value is.
    pub fn check(self, schema: &Value, value: &Value, path: &str) -> Checked {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.check(self.resolve(reference), value, path);
        }
        for choices in ["oneOf", "anyOf"] {
            if let Some(choices) = schema[choices].as_array() {
                self.check_any(choices, value, path)?;
            }
        }
        for part in list(&schema["allOf"]) {
            Self { known_fields_only: false, ..self }.check(part, value, path)?;
        }
        check_kind(schema, value, path)?;
        match value {
            Value::Object(object) => self.check_object(schema, object, path),
            Value::Array(items) => self.check_array(schema, items, path),
            Value::String(text) => check_text(schema, text, path),
            Value::Number(_) => check_number(schema, value, path),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn resolve(&self, reference: &str) -> &Value {
        let name = reference.rsplit('/').next().unwrap_or_default();
        let found = &self.named[name];
        assert!(!found.is_null(), "{reference} is not in the reduced document");
        found
    }

    /// One of the choices must fit. The error is that of the choice that fits furthest.
    fn check_any(self, choices: &[Value], value: &Value, path: &str) -> Checked {
        let mut furthest: Option<Broken> = None;
        for choice in choices {
            let Err(found) = self.check(choice, value, path) else { return Ok(()) };
            if furthest.as_ref().is_none_or(|known| known.path.len() < found.path.len()) {
                furthest = Some(found);
            }
        }
        furthest.map_or(Ok(()), Err)
    }

    fn check_object(self, schema: &Value, object: &Map<String, Value>, path: &str) -> Checked {
        for name in list(&schema["required"]).iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return broken(path, format!("`{name}` is missing"));
            }
        }
        let properties = &schema["properties"];
        let additional = &schema["additionalProperties"];
        for (name, value) in object {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match properties.get(name) {
                Some(property) => self.check(property, value, &path)?,
                None if additional.is_object() => self.check(additional, value, &path)?,
                None if additional == false || self.known_fields_only && properties.is_object() => {
                    return broken(&path, "no such field in the document");
                }
                None => {}
            }
        }
        check_length(schema, ["minProperties", "maxProperties"], object.len(), path)
    }

    fn check_array(self, schema: &Value, items: &[Value], path: &str) -> Checked {
        check_length(schema, ["minItems", "maxItems"], items.len(), path)?;
        if schema["uniqueItems"] == true
            && items.iter().map(Value::to_string).collect::<BTreeSet<_>>().len() < items.len()
        {
            return broken(path, "items are not unique");
        }
        if schema["items"].is_object() {
            for (at, item) in items.iter().enumerate() {
                self.check(&schema["items"], item, &format!("{path}.{at}"))?;
            }
        }
        Ok(())
    }
}

/// `type`, `const` and `enum`.
fn check_kind(schema: &Value, value: &Value, path: &str) -> Checked {
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        kinds => list(kinds).iter().filter_map(Value::as_str).collect(),
    };
    // Discord reads ids also from numbers; its own examples send `"id": 0`.
    let numeric_id = schema["format"] == "snowflake" && value.is_u64();
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_kind(value, kind)) && !numeric_id {
        return broken(path, format!("{value} is not {}", kinds.join(" or ")));
    }
    if schema.get("const").is_some_and(|expected| expected != value) {
        return broken(path, format!("{value} is not {}", schema["const"]));
    }
    if schema["enum"].is_array() && !list(&schema["enum"]).contains(value) {
        return broken(path, format!("{value} is not one of {}", schema["enum"]));
    }
    Ok(())
}

fn is_kind(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("an unknown type in the document: {other}"),
    }
}

fn check_text(schema: &Value, text: &str, path: &str) -> Checked {
    check_length(schema, ["minLength", "maxLength"], text.chars().count(), path)?;
    if let Some(pattern) = schema["pattern"].as_str()
        && !Regex::new(pattern).expect("a valid pattern").is_match(text)
    {
        return broken(path, format!("{text:?} does not match {pattern}"));
    }
    match schema["format"].as_str() {
        Some("date-time") if text.parse::<Timestamp>().is_err() => broken(path, format!("{text:?} is not a time")),
        Some("uri") if !text.contains("://") => broken(path, format!("{text:?} is not an address")),
        _ => Ok(()),
    }
}

fn check_number(schema: &Value, value: &Value, path: &str) -> Checked {
    let number = value.as_f64().unwrap_or_default();
    let least = schema["minimum"].as_f64().unwrap_or(f64::NEG_INFINITY);
    let most = schema["maximum"].as_f64().unwrap_or(f64::INFINITY);
    if (least..=most).contains(&number) { Ok(()) } else { broken(path, format!("{value} is not {least} to {most}")) }
}

fn check_length(schema: &Value, [least, most]: [&str; 2], length: usize, path: &str) -> Checked {
    let bound = |name: &str| schema[name].as_u64().and_then(|bound| usize::try_from(bound).ok());
    let (least, most) = (bound(least).unwrap_or(0), bound(most).unwrap_or(usize::MAX));
    if (least..=most).contains(&length) {
        Ok(())
    } else {
        broken(path, format!("a length of {length} is not {least} to {most}"))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: &Value, value: &Value) -> Result<(), String> {
        let named = json!({ "Id": { "type": "string", "format": "snowflake", "pattern": "^[0-9]+$" } });
        let schemas = Schemas { named: &named, known_fields_only: true };
        schemas.check(schema, value, "").map_err(|broken| broken.to_string())
    }

    #[test]
    fn each_keyword_is_checked() {
        let cases = [
            (json!({ "type": ["string", "null"] }), json!(1), "body: 1 is not string or null"),
            (json!({ "const": 2 }), json!(1), "body: 1 is not 2"),
            (json!({ "enum": [1, 2] }), json!(3), "body: 3 is not one of [1,2]"),
            (json!({ "minimum": 0, "maximum": 5 }), json!(6), "body: 6 is not 0 to 5"),
            (json!({ "maxLength": 2 }), json!("äöü"), "body: a length of 3 is not 0 to 2"),
            (json!({ "format": "date-time" }), json!("today"), "body: \"today\" is not a time"),
            (json!({ "format": "uri" }), json!("x.png"), "body: \"x.png\" is not an address"),
            (json!({ "$ref": "#/components/schemas/Id" }), json!("x"), "body: \"x\" does not match ^[0-9]+$"),
            (json!({ "uniqueItems": true }), json!([1, 1]), "body: items are not unique"),
            (json!({ "items": { "type": "string" } }), json!(["a", 1]), ".1: 1 is not string"),
            (json!({ "required": ["a"] }), json!({}), "body: `a` is missing"),
            (json!({ "properties": {} }), json!({ "a": 1 }), "a: no such field in the document"),
            (
                json!({ "oneOf": [{ "type": "null" }, { "properties": { "a": { "type": "string" } } }] }),
                json!({ "a": 1 }),
                "a: 1 is not string",
            ),
        ];
        for (schema, value, message) in cases {
            assert_eq!(check(&schema, &value), Err(message.to_owned()), "{schema}");
        }
    }

    #[test]
    fn fitting_values_pass() {
        let id = json!({ "$ref": "#/components/schemas/Id" });
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": { "id": id, "more": { "oneOf": [{ "type": "null" }, { "type": "integer", "maximum": 5 }] } },
        });
        for value in [json!({ "id": "5" }), json!({ "id": 5, "more": null }), json!({ "id": "5", "more": 5 })] {
            assert_eq!(check(&schema, &value), Ok(()));
        }
    }
}
