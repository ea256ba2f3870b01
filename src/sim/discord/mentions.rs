//! Whom a message pings.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::errors::ApiError;
use super::model::Ping;

static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<@!?(?<user>\d{1,20})>|<@&(?<role>\d{1,20})>|@(?<group>everyone|here)").expect("a valid pattern")
});

/// The mentions of `content` that `allowed_mentions` lets through; without the field, all of them.
///
/// Backslashes and code marks do not stop a ping here: only `allowed_mentions` is relied on.
pub(super) fn pinged(content: &str, allowed: Option<&Value>) -> Vec<Ping> {
    let mut pings: Vec<Ping> = Vec::new();
    for ping in MENTION.captures_iter(content).filter_map(|found| mention(&found)) {
        if !pings.contains(&ping) && allowed.is_none_or(|allowed| allows(allowed, ping)) {
            pings.push(ping);
        }
    }
    pings
}

fn mention(found: &regex::Captures<'_>) -> Option<Ping> {
    let number = |name| found.name(name).and_then(|id| id.as_str().parse().ok());
    match found.name("group").map(|group| group.as_str()) {
        Some("everyone") => Some(Ping::Everyone),
        Some(_) => Some(Ping::Here),
        None => number("user").map(Ping::User).or_else(|| number("role").map(Ping::Role)),
    }
}

fn allows(allowed: &Value, ping: Ping) -> bool {
    let parses = |kind: &str| items(allowed, "parse").any(|item| item == kind);
    let lists = |list: &str, id: u64| items(allowed, list).any(|item| snowflake(item) == Some(id));
    match ping {
        Ping::Everyone | Ping::Here => parses("everyone"),
        Ping::User(id) => parses("users") || lists("users", id),
        Ping::Role(id) => parses("roles") || lists("roles", id),
    }
}

/// `parse` takes `users`, `roles` and `everyone`. `parse: ["users"]` with a list of users (the same for roles) contradicts itself; lists hold at most 100 ids.
pub(super) fn validate(allowed: &Value) -> Result<(), ApiError> {
    for (at, parsed) in items(allowed, "parse").enumerate() {
        if !["users", "roles", "everyone"].iter().any(|kind| parsed == kind) {
            let message = "Value must be one of {'users', 'roles', 'everyone'}.";
            return Err(ApiError::invalid_form(&format!("allowed_mentions.parse.{at}"), "BASE_TYPE_CHOICES", message));
        }
    }
    for kind in ["users", "roles"] {
        let listed = items(allowed, kind).count();
        if listed > 0 && items(allowed, "parse").any(|item| item == kind) {
            let message = format!("parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive.");
            return Err(ApiError::invalid_form(
                "allowed_mentions",
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                &message,
            ));
        }
        if listed > 100 {
            return Err(ApiError::too_long(&format!("allowed_mentions.{kind}"), 100));
        }
    }
    Ok(())
}

fn items<'a>(allowed: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    allowed.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// An id, which the API takes as a string or as a number.
pub(super) fn snowflake(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "<@1> <@!1> <@&2> @everyone \\@here";

    #[test]
    fn without_allowed_mentions_everything_pings() {
        assert_eq!(pinged(TEXT, None), [Ping::User(1), Ping::Role(2), Ping::Everyone, Ping::Here]);
    }

    #[test]
    fn empty_parse_list_pings_nobody() {
        assert_eq!(pinged(TEXT, Some(&json!({ "parse": [] }))), []);
    }

    #[test]
    fn listed_ids_and_parsed_kinds_ping() {
        assert_eq!(pinged(TEXT, Some(&json!({ "users": ["1"], "roles": ["3"] }))), [Ping::User(1)]);
        assert_eq!(pinged(TEXT, Some(&json!({ "parse": ["roles"] }))), [Ping::Role(2)]);
        assert_eq!(pinged(TEXT, Some(&json!({ "parse": ["everyone"] }))), [Ping::Everyone, Ping::Here]);
    }

    #[test]
    fn parse_and_list_of_one_kind_exclude_each_other() {
        assert_eq!(validate(&json!({ "parse": ["users"], "users": ["1"] })).unwrap_err().code, 50035);
        assert!(validate(&json!({ "parse": ["users"], "users": [], "roles": ["1"] })).is_ok());
        let unknown = validate(&json!({ "parse": ["users", "here"] })).unwrap_err();
        assert_eq!(unknown.field_path(), "allowed_mentions.parse.1");
    }
}
