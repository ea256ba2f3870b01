//! How a single value is read: each kind accepts what TOML has for it, and the text an environment variable gives.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;
use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::duration;
use super::settings::{Destination, Level, LogFormat, ServerPrefix, StartAt, TraceProtocol};
use crate::domain::{ChannelId, Lane, Route, ServerTag};

/// A value without keys below it.
pub(super) trait Scalar: Sized {
    /// What operators are told to write.
    const EXPECTED: &'static str;

    /// Whether no error may show what was found.
    const SECRET: bool = false;

    /// The value, or `None` where it is something else.
    fn parse(value: &Value) -> Option<Self>;
}

/// A list of more is not shown.
const MOST_ELEMENTS: usize = 5;

/// What an error says it found. Long texts, and any text where `visible` is false, are not shown.
pub(super) fn shown(value: &Value, visible: bool) -> String {
    match value {
        Value::String(_, text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(_, text) if visible && text.chars().count() <= 32 => format!("the text {text:?}"),
        Value::String(..) | Value::Char(..) => "another text".to_owned(),
        Value::Bool(_, flag) if visible => format!("`{flag}`"),
        Value::Num(_, number) if visible => match number.to_i128() {
            Some(number) => format!("the number {number}"),
            None => "a fraction".to_owned(),
        },
        Value::Bool(..) | Value::Num(..) => "another value".to_owned(),
        Value::Empty(..) => "nothing".to_owned(),
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(_, elements) if visible && (1..=MOST_ELEMENTS).contains(&elements.len()) => {
            let elements: Vec<String> = elements.iter().map(|element| shown(element, visible)).collect();
            format!("a list of {}", elements.join(", "))
        }
        Value::Array(..) => "a list".to_owned(),
    }
}

/// A whole number: TOML's, or the digits of a text.
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Num(_, number) => number.to_i128(),
        Value::String(_, text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn word(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}

impl Scalar for String {
    const EXPECTED: &'static str = "a text in quotes";

    fn parse(value: &Value) -> Option<Self> {
        value.as_str().filter(|text| !text.trim().is_empty()).map(ToOwned::to_owned)
    }
}

/// A secret is a text and nothing else: a number would lose its leading zeros.
impl Scalar for SecretString {
    const EXPECTED: &'static str = "a secret as a text in quotes";
    const SECRET: bool = true;

    fn parse(value: &Value) -> Option<Self> {
        value.as_str().filter(|text| !text.is_empty()).map(SecretString::from)
    }
}

/// The path of a file with a secret in it. `Debug` hides it, since people put the secret itself here.
#[derive(Clone)]
pub(super) struct SecretFile(pub PathBuf);

impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretFile")
    }
}

impl Scalar for SecretFile {
    const EXPECTED: &'static str = "the path of a file with the secret in it";
    const SECRET: bool = true;

    fn parse(value: &Value) -> Option<Self> {
        PathBuf::parse(value).map(Self)
    }
}

impl Scalar for PathBuf {
    const EXPECTED: &'static str = "a path in quotes";

    fn parse(value: &Value) -> Option<Self> {
        String::parse(value).map(Self::from)
    }
}

impl Scalar for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn parse(value: &Value) -> Option<Self> {
        if let Value::Bool(_, flag) = value {
            return Some(*flag);
        }
        match word(value)?.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }
}

impl Scalar for u16 {
    const EXPECTED: &'static str = "a port from 0 to 65535";

    fn parse(value: &Value) -> Option<Self> {
        integer(value)?.try_into().ok()
    }
}

impl Scalar for usize {
    const EXPECTED: &'static str = "a whole number";

    fn parse(value: &Value) -> Option<Self> {
        integer(value)?.try_into().ok()
    }
}

impl Scalar for IpAddr {
    const EXPECTED: &'static str = "an IP address as `0.0.0.0` or `::1`, or `localhost`";

    fn parse(value: &Value) -> Option<Self> {
        match word(value)? {
            // The one name everybody writes, and which means the same everywhere.
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            address => address.parse().ok(),
        }
    }
}

impl Scalar for Duration {
    const EXPECTED: &'static str = "a duration as `250ms`, `15m` or `2h30m`";

    fn parse(value: &Value) -> Option<Self> {
        duration::parse(word(value)?)
    }
}

impl Scalar for TimeZone {
    const EXPECTED: &'static str = "an IANA time zone as `Europe/Berlin` or `UTC`";

    fn parse(value: &Value) -> Option<Self> {
        TimeZone::get(word(value)?).ok()
    }
}

/// Discord's ids are positive and fit in 64 bits.
pub(super) fn snowflake(value: &Value) -> Option<u64> {
    integer(value)?.try_into().ok().filter(|id| *id != 0)
}

/// One id, or several: a list, or as text with commas between, as a variable has it.
pub(super) fn snowflakes(value: &Value) -> Option<Vec<u64>> {
    match value {
        Value::Array(_, ids) => ids.iter().map(snowflake).collect(),
        Value::String(_, ids) => ids.split(',').map(|id| snowflake(&Value::from(id))).collect(),
        one => Some(vec![snowflake(one)?]),
    }
}

impl Scalar for ChannelId {
    const EXPECTED: &'static str = "a channel id, the number Discord gives by \"Copy Channel ID\"";

    fn parse(value: &Value) -> Option<Self> {
        ChannelId::new(snowflake(value)?)
    }
}

/// One id, a list of ids, or ids with commas between them.
#[derive(Debug)]
pub(super) struct GuildIds(pub Vec<u64>);

impl Scalar for GuildIds {
    const EXPECTED: &'static str = "a Discord server's id or a list of them";

    fn parse(value: &Value) -> Option<Self> {
        snowflakes(value).map(Self)
    }
}

/// Roles or users, or both: an id or a list of ids.
#[derive(Debug)]
pub(super) struct MemberIds(pub Vec<u64>);

impl Scalar for MemberIds {
    const EXPECTED: &'static str = "the id of a role or a user, or a list of them";

    fn parse(value: &Value) -> Option<Self> {
        snowflakes(value).map(Self)
    }
}

impl Scalar for ServerTag {
    const EXPECTED: &'static str = "the name of a `[servers.TAG]` table";

    fn parse(value: &Value) -> Option<Self> {
        ServerTag::new(word(value)?).ok()
    }
}

impl Scalar for Level {
    const EXPECTED: &'static str = "`everyone`, `moderator` or `admin`";

    fn parse(value: &Value) -> Option<Self> {
        let word = word(value)?;
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

impl Scalar for Destination {
    const EXPECTED: &'static str =
        "a channel id, or one of `default`, `chat`, `joins`, `admin`, `alerts`, `server`, `game`, `audit`";

    fn parse(value: &Value) -> Option<Self> {
        let route = word(value).and_then(|word| Route::ALL.into_iter().find(|route| route.as_str() == word));
        route.map(Self::Route).or_else(|| ChannelId::parse(value).map(Self::Channel))
    }
}

impl Scalar for Lane {
    const EXPECTED: &'static str = "`alert` or `chat`";

    fn parse(value: &Value) -> Option<Self> {
        let word = word(value)?;
        Self::ALL.into_iter().find(|lane| lane.as_str() == word)
    }
}

impl Scalar for StartAt {
    const EXPECTED: &'static str = "`end` or `beginning`";

    fn parse(value: &Value) -> Option<Self> {
        match word(value)? {
            "end" => Some(Self::End),
            "beginning" => Some(Self::Beginning),
            _ => None,
        }
    }
}

impl Scalar for ServerPrefix {
    const EXPECTED: &'static str = "`auto` or `never`";

    fn parse(value: &Value) -> Option<Self> {
        match word(value)? {
            "auto" => Some(Self::Auto),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

impl Scalar for LogFormat {
    const EXPECTED: &'static str = "`console` or `json`";

    fn parse(value: &Value) -> Option<Self> {
        match word(value)? {
            "console" => Some(Self::Console),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Scalar for TraceProtocol {
    const EXPECTED: &'static str = "`http` or `grpc`";

    fn parse(value: &Value) -> Option<Self> {
        match word(value)? {
            "http" => Some(Self::Http),
            "grpc" => Some(Self::Grpc),
            _ => None,
        }
    }
}

impl Scalar for f64 {
    const EXPECTED: &'static str = "a number";

    fn parse(value: &Value) -> Option<Self> {
        let number = match value {
            Value::Num(_, number) => number.to_f64().or_else(|| Some(number.to_i128()? as Self)),
            other => word(other)?.parse().ok(),
        };
        number.filter(|number| number.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(value: impl Into<Value>) -> Option<Vec<u64>> {
        GuildIds::parse(&value.into()).map(|ids| ids.0)
    }

    #[test]
    fn ids_are_numbers_or_digits() {
        assert_eq!(ids(7), Some(vec![7]));
        assert_eq!(ids("7, 8"), Some(vec![7, 8]));
        assert_eq!(ids(vec![Value::from("7"), Value::from(8)]), Some(vec![7, 8]));
        assert_eq!(ids("1111111111111111111"), Some(vec![1_111_111_111_111_111_111]));
        assert_eq!([ids(0), ids(-1), ids("seven"), ids(1.5), ids("18446744073709551616")], [const { None }; 5]);
    }

    #[test]
    fn a_destination_is_a_route_or_an_id() {
        assert_eq!(Destination::parse(&Value::from("alerts")), Some(Destination::Route(Route::Alerts)));
        assert_eq!(Destination::parse(&Value::from("12")), ChannelId::new(12).map(Destination::Channel));
        assert_eq!(Destination::parse(&Value::from("alarms")), None);
        for route in Route::ALL {
            assert!(Destination::EXPECTED.contains(&format!("`{}`", route.as_str())), "{route:?}");
        }
    }

    #[test]
    fn ports_and_flags_may_come_as_text() {
        assert_eq!(u16::parse(&Value::from("8080")), Some(8080));
        assert_eq!(u16::parse(&Value::from(70_000)), None);
        assert_eq!(bool::parse(&Value::from("False")), Some(false));
        assert_eq!(bool::parse(&Value::from("maybe")), None);
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        assert_eq!(shown(&Value::from("abc"), true), "the text \"abc\"");
        assert_eq!(shown(&Value::from("abc"), false), "another text");
        assert_eq!(shown(&Value::from("x".repeat(60)), true), "another text");
        assert_eq!(shown(&Value::from(5), false), "another value");
    }
}
