//! The requests before an IDENTIFY: whether Discord accepts the token, where the gateway is, and whether enough of the
//! day's session starts are left.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::telemetry::metrics::ErrorType;

use crate::discord::error_class::{TOKEN_REFUSED, answered_retry_after, status_text};
use crate::discord::rest::{Answer, Rest};

/// Session starts that are left unused: beyond the limit Discord ends all sessions and replaces the token.
const SPARE_STARTS: u64 = 50;
/// Discord counts session starts by the day; a longer wait cannot be right.
const LONGEST_RESET: Duration = Duration::from_hours(24);

/// Why no session can be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PreflightError {
    #[error("{TOKEN_REFUSED}")]
    TokenRefused,
    /// It may work later, not before `retry_after`.
    #[error("{reason}")]
    Failed { reason: String, kind: ErrorType, retry_after: Option<Duration> },
}

#[derive(Debug, Deserialize)]
struct GatewayBot {
    url: String,
    session_start_limit: Option<SessionStartLimit>,
}

#[derive(Debug, Deserialize)]
struct SessionStartLimit {
    total: u64,
    remaining: u64,
    /// Milliseconds.
    reset_after: u64,
}

/// The general WebSocket address; with `identify`, only if a session may be started now.
pub(super) async fn ask_gateway(rest: &Rest, identify: bool) -> Result<String, PreflightError> {
    ask(rest, "/users/@me").await?;
    let answer = ask(rest, "/gateway/bot").await?;
    let gateway: GatewayBot = answer
        .json()
        .ok_or_else(|| failed("Discord's answer about its gateway cannot be read", ErrorType::Other, None))?;
    if identify {
        enough_starts(gateway.session_start_limit.as_ref())?;
    }
    safe_url(rest.base(), gateway.url)
}

async fn ask(rest: &Rest, path: &str) -> Result<Answer, PreflightError> {
    let answer = rest.get(path).await.map_err(|error| failed(error.to_string(), ErrorType::Network, None))?;
    match answer.status {
        status if status.is_success() => Ok(answer),
        StatusCode::UNAUTHORIZED => Err(PreflightError::TokenRefused),
        status => {
            let kind = match status.as_u16() {
                429 => ErrorType::RateLimited,
                500.. => ErrorType::ServerError,
                _ => ErrorType::Other,
            };
            let after = answered_retry_after(&answer.headers, &answer.body);
            Err(failed(format!("Discord answers {}", status_text(status)), kind, after))
        }
    }
}

fn enough_starts(limit: Option<&SessionStartLimit>) -> Result<(), PreflightError> {
    let Some(limit) = limit else { return Ok(()) };
    if limit.remaining > SPARE_STARTS.min(limit.total / 10) {
        return Ok(());
    }
    let reason = format!("only {} of the day's {} gateway sessions are left", limit.remaining, limit.total);
    let reset_after = Duration::from_millis(limit.reset_after).min(LONGEST_RESET);
    Err(failed(reason, ErrorType::RateLimited, Some(reset_after)))
}

/// Checks that `url` is `wss://`: IDENTIFY and RESUME send the token. Plain `ws://` is allowed where the API is plain too.
pub(super) fn safe_url(base: &str, url: String) -> Result<String, PreflightError> {
    let scheme = Url::parse(&url).map(|url| url.scheme().to_owned()).unwrap_or_default();
    match scheme.as_str() {
        "wss" => Ok(url),
        "ws" if base.starts_with("http://") => Ok(url),
        _ => Err(failed("Discord names a gateway that is not wss://", ErrorType::Other, None)),
    }
}

fn failed(reason: impl Into<String>, kind: ErrorType, retry_after: Option<Duration>) -> PreflightError {
    PreflightError::Failed { reason: reason.into(), kind, retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(remaining: u64) -> SessionStartLimit {
        SessionStartLimit { total: 1000, remaining, reset_after: 3_600_000 }
    }

    #[test]
    fn the_last_session_starts_of_the_day_are_left_alone() {
        assert_eq!(enough_starts(None), Ok(()));
        assert_eq!(enough_starts(Some(&limit(51))), Ok(()));
        let reason = "only 50 of the day's 1000 gateway sessions are left";
        let expected = failed(reason, ErrorType::RateLimited, Some(Duration::from_hours(1)));
        assert_eq!(enough_starts(Some(&limit(50))), Err(expected));
        let absurd = SessionStartLimit { reset_after: u64::MAX, ..limit(0) };
        let reason = "only 0 of the day's 1000 gateway sessions are left";
        let expected = failed(reason, ErrorType::RateLimited, Some(Duration::from_hours(24)));
        assert_eq!(enough_starts(Some(&absurd)), Err(expected));
    }

    #[test]
    fn a_token_never_goes_over_a_plain_connection_to_a_protected_api() {
        assert_eq!(
            safe_url("https://discord.com", "wss://gateway.discord.gg".into()).as_deref(),
            Ok("wss://gateway.discord.gg")
        );
        assert_eq!(safe_url("http://127.0.0.1:1", "ws://127.0.0.1:1".into()).as_deref(), Ok("ws://127.0.0.1:1"));
        for url in ["ws://gateway.discord.gg", "https://gateway.discord.gg", "gateway", ""] {
            assert!(safe_url("https://discord.com", url.into()).is_err(), "{url}");
        }
    }
}
