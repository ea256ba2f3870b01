//! What an answer of Discord means for a message. Pure.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::delivery::{Outcome, Refusal, RetryScope};
use crate::domain::ChannelId;
use crate::telemetry::metrics::ErrorType;

/// The one sentence about a refused token, in every place.
pub(crate) const TOKEN_REFUSED: &str = "Discord refuses the token: check discord.token";
/// The wait after a 429 that does not say how long in a way anybody can read.
const UNREADABLE_RETRY_AFTER: Duration = Duration::from_secs(5);
/// The least wait when Cloudflare, not the API, says 429: repeating it leads to a ban of the address.
const CLOUDFLARE_REST: Duration = Duration::from_mins(3);
/// The wait while the token is refused: 10,000 refused requests in 10 minutes ban the address.
const AUTH_REST: Duration = Duration::from_mins(5);
/// The wait when something that is not the API answers.
const FOREIGN_REST: Duration = Duration::from_mins(1);
/// Longer waits than this are not believed.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// Characters of Discord's own words that go into a reason.
const LONGEST_QUOTE: usize = 200;

/// What an error says, beside its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The message was delivered, and deleted since.
    AlreadyThere,
    RateLimited,
    Token,
    Channel,
    Payload,
    BackOff,
    Overloaded,
    Cloudflare,
    ServerError,
    /// Not the API: a proxy, a portal, a wrong address.
    Foreign,
}

/// The outcome that Discord's answer to a `POST` of a message with a nonce stands for.
///
/// Reasons are made of the status, Discord's code and message, and `channel`; never of a token or an address.
#[must_use]
pub fn classify(channel: ChannelId, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Outcome {
    if status.is_success() && is_a_page(headers) {
        return foreign(status);
    }
    if status.is_success() {
        return Outcome::Delivered { message_id: message_id(body), rest: bucket_rest(headers) };
    }
    let error = ApiError::read(body);
    let class = class_of(status, error.as_ref());
    let said = error.unwrap_or_default();
    match class {
        Class::AlreadyThere => Outcome::Delivered { message_id: 0, rest: None },
        Class::RateLimited => rate_limited(headers, &said),
        Class::Cloudflare => cloudflare(headers),
        Class::Token => retry(Some(AUTH_REST), RetryScope::Global, ErrorType::Auth, TOKEN_REFUSED.to_owned()),
        Class::Channel => rejected(Refusal::Channel, said.quoted(status) + &channel_advice(said.code, channel)),
        Class::Payload => rejected(Refusal::Payload, format!("Discord refuses the message: {}", said.quoted(status))),
        Class::BackOff => {
            let reason = format!("Discord asks for patience: {}", said.quoted(status));
            retry(retry_after(headers, &said), RetryScope::Channel, ErrorType::RateLimited, reason)
        }
        Class::Overloaded => {
            let reason = format!("Discord is overloaded: {}", said.quoted(status));
            retry(retry_after(headers, &said), RetryScope::Global, ErrorType::ServerError, reason)
        }
        Class::ServerError => server_error(status, headers, &said),
        Class::Foreign => foreign(status),
    }
}

/// Whether an edit was refused because there is no such message (10008), or it is another bot's (50005).
pub(crate) fn is_gone(status: StatusCode, body: &[u8]) -> bool {
    status.is_client_error() && ApiError::read(body).is_some_and(|error| matches!(error.code, 10008 | 50005))
}

/// The `scope` label of a 429 in metrics: `user`, `global`, `shared` or `unknown`.
#[must_use]
pub(crate) fn rate_limit_scope(headers: &HeaderMap) -> &'static str {
    match text(headers, "x-ratelimit-scope") {
        Some("user") => "user",
        Some("shared") => "shared",
        Some("global") => "global",
        _ if text(headers, "x-ratelimit-global") == Some("true") => "global",
        _ => "unknown",
    }
}

fn class_of(status: StatusCode, error: Option<&ApiError>) -> Class {
    let code = error.map(|error| error.code);
    match (status.as_u16(), code) {
        (_, Some(40333)) | (429, None) => Class::Cloudflare,
        (429, _) => Class::RateLimited,
        (401, _) => Class::Token,
        (_, Some(130_000)) => Class::Overloaded,
        (408 | 500.., _) => Class::ServerError,
        (413, _) => Class::Payload,
        (400.., Some(code)) => class_of_code(code).unwrap_or(match status.as_u16() {
            403 | 404 => Class::Channel,
            _ => Class::Payload,
        }),
        _ => Class::Foreign,
    }
}

/// The JSON error codes of the API that mean the same with any status.
fn class_of_code(code: i64) -> Option<Class> {
    Some(match code {
        10008 => Class::AlreadyThere,
        40001 | 50014 => Class::Token,
        10003 | 10004 | 40058 | 50001 | 50008 | 50013 | 50083 | 160_005 | 220_001..=220_003 => Class::Channel,
        30015 | 40005 | 50006 | 50035 | 50045 | 50109 | 200_000 | 240_000 => Class::Payload,
        20016 | 20022 | 20028 | 20029 | 30046 | 40004 | 40006 | 40062 => Class::BackOff,
        _ => return None,
    })
}

fn rate_limited(headers: &HeaderMap, said: &ApiError) -> Outcome {
    let after = retry_after(headers, said).unwrap_or(UNREADABLE_RETRY_AFTER);
    let global = said.global || rate_limit_scope(headers) == "global";
    let scope = if global { RetryScope::Global } else { RetryScope::Channel };
    let whose = if global { "for the whole bot" } else { "for this channel" };
    let reason = format!("Discord's rate limit {whose}: wait {:.1} s", after.as_secs_f64());
    retry(Some(after), scope, ErrorType::RateLimited, reason)
}

fn cloudflare(headers: &HeaderMap) -> Outcome {
    let after = retry_after(headers, &ApiError::default()).unwrap_or_default().max(CLOUDFLARE_REST);
    let reason = format!("Cloudflare holds this address back from Discord: wait {} s", after.as_secs());
    retry(Some(after), RetryScope::Global, ErrorType::RateLimited, reason)
}

fn foreign(status: StatusCode) -> Outcome {
    let reason = format!(
        "something that is not Discord's API answers {}: check discord.api_base and the proxy settings",
        status_text(status)
    );
    retry(Some(FOREIGN_REST), RetryScope::Global, ErrorType::Other, reason)
}

/// The API answers in JSON. A portal or a proxy that says `200 OK` to everything has delivered nothing.
fn is_a_page(headers: &HeaderMap) -> bool {
    text(headers, CONTENT_TYPE.as_str()).is_some_and(|kind| !kind.to_ascii_lowercase().contains("json"))
}

fn server_error(status: StatusCode, headers: &HeaderMap, said: &ApiError) -> Outcome {
    Outcome::Retry {
        after: retry_after(headers, said),
        scope: RetryScope::Channel,
        error: ErrorType::ServerError,
        reason: format!("Discord answers {}", status_text(status)),
        // Only 503 promises that nothing was done.
        uncertain: status != StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn retry(after: Option<Duration>, scope: RetryScope, error: ErrorType, reason: String) -> Outcome {
    Outcome::Retry { after, scope, error, reason, uncertain: false }
}

fn rejected(refusal: Refusal, reason: String) -> Outcome {
    let error = match refusal {
        Refusal::Channel => ErrorType::Channel,
        Refusal::Payload => ErrorType::Payload,
    };
    Outcome::Rejected { refusal, error, reason }
}

/// `503 Service Unavailable`; the number alone for Cloudflare's own, which have no standard name.
pub(crate) fn status_text(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(name) => format!("{} {name}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// What an operator can do about a refused channel.
fn channel_advice(code: i64, channel: ChannelId) -> String {
    match code {
        10003 | 10004 => format!(": channel {channel} does not exist: check its id"),
        50001 => format!(": the bot may not see channel {channel}: invite it to the server and grant View Channel"),
        50013 => format!(": the bot may not write to channel {channel}: grant Send Messages and Attach Files"),
        50008 => format!(": channel {channel} is of a kind that takes no messages"),
        40058 | 50083 | 160_005 => format!(
            ": channel {channel} is a locked or archived thread: unlock and reopen it, grant the bot Manage Threads, or use \
             another channel"
        ),
        220_001..=220_003 => format!(": channel {channel} is a forum: use one of its threads or a text channel"),
        _ => format!(": channel {channel} cannot be written to"),
    }
}

/// 0 where the answer does not say: the message is there all the same.
fn message_id(body: &[u8]) -> u64 {
    let id = serde_json::from_slice::<Value>(body).ok().and_then(|value| value.get("id")?.as_str()?.parse().ok());
    id.unwrap_or(0)
}

fn bucket_rest(headers: &HeaderMap) -> Option<Duration> {
    let empty = text(headers, "x-ratelimit-remaining")?.parse::<f64>().is_ok_and(|remaining| remaining <= 0.0);
    let reset_after = seconds(text(headers, "x-ratelimit-reset-after")?.parse().ok()?)?;
    empty.then_some(reset_after)
}

/// How long an answer to any request asks to wait.
pub(crate) fn answered_retry_after(headers: &HeaderMap, body: &[u8]) -> Option<Duration> {
    retry_after(headers, &ApiError::read(body).unwrap_or_default())
}

/// The longer of what the header and the body ask for. A date counts from the answer's own date, and at least 5 s.
fn retry_after(headers: &HeaderMap, said: &ApiError) -> Option<Duration> {
    let header = text(headers, RETRY_AFTER.as_str()).map(|value| {
        let number = value.parse().ok().and_then(seconds);
        number.or_else(|| until(value, headers)).unwrap_or(UNREADABLE_RETRY_AFTER)
    });
    header.max(said.retry_after.and_then(seconds))
}

fn until(date: &str, headers: &HeaderMap) -> Option<Duration> {
    let then = http_date(date)?;
    let now = http_date(text(headers, DATE.as_str())?)?;
    let wait = Duration::try_from(then.duration_since(now)).unwrap_or_default();
    Some(wait.clamp(UNREADABLE_RETRY_AFTER, LONGEST_WAIT))
}

/// The time of an HTTP date such as `Wed, 21 Oct 2015 07:28:00 GMT`.
pub(crate) fn http_date(date: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
}

fn seconds(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The JSON body of an error.
#[derive(Debug, Default)]
struct ApiError {
    /// 0 where there is none.
    code: i64,
    message: String,
    /// Which field of ours it is about, and what is wrong with it.
    detail: Option<String>,
    retry_after: Option<f64>,
    global: bool,
}

impl ApiError {
    /// `None` when the body is not a JSON object, and so not from the API.
    fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let object = value.as_object()?;
        Some(Self {
            code: object.get("code").and_then(Value::as_i64).unwrap_or(0),
            message: object.get("message").and_then(Value::as_str).map(printable).unwrap_or_default(),
            detail: object.get("errors").and_then(|errors| first_detail(errors, "")),
            retry_after: object.get("retry_after").and_then(Value::as_f64),
            global: object.get("global").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// `Missing Access (50001)`, or the status where the body says nothing.
    fn quoted(&self, status: StatusCode) -> String {
        let mut quoted = if self.message.is_empty() { status_text(status) } else { self.message.clone() };
        if self.code != 0 {
            quoted = format!("{quoted} ({})", self.code);
        }
        if let Some(detail) = &self.detail {
            quoted.push_str(": ");
            quoted.push_str(detail);
        }
        quoted
    }
}

/// The first complaint in the tree under `errors`, with its path: `content: Must be 2000 or fewer in length.`
fn first_detail(errors: &Value, path: &str) -> Option<String> {
    let object = errors.as_object()?;
    if let Some(message) = object.get("_errors").and_then(|list| list.get(0)?.get("message")?.as_str()) {
        return Some(format!("{path}: {}", printable(message)));
    }
    object.iter().find_map(|(key, value)| {
        let path = if path.is_empty() { printable(key) } else { format!("{path}.{}", printable(key)) };
        first_detail(value, &path)
    })
}

fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(LONGEST_QUOTE).collect()
}

#[cfg(test)]
#[path = "error_class_tests.rs"]
mod tests;
