use insta::assert_snapshot;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

fn outcome(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Outcome {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect::<HeaderMap>();
    let channel = ChannelId::new(123).unwrap();
    classify(channel, StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
}

/// One line per outcome, so that tables of them can be read.
fn line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered { message_id, rest } => format!("delivered {message_id} rest {rest:?}"),
        Outcome::Retry { after, scope, error, reason, uncertain } => {
            let uncertain = if *uncertain { " uncertain" } else { "" };
            format!("retry {after:?} {scope:?} {error:?}{uncertain} | {reason}")
        }
        Outcome::Rejected { refusal, error, reason } => format!("rejected {refusal:?} {error:?} | {reason}"),
        Outcome::Gone { reason } => format!("gone | {reason}"),
    }
}

fn coded(status: u16, code: i64, message: &str) -> String {
    let body = format!(r#"{{"message": "{message}", "code": {code}}}"#);
    format!("{status} {code}: {}", line(&outcome(status, &[], &body)))
}

fn table(lines: &[String]) -> String {
    lines.join("\n")
}

#[test]
fn a_portal_that_says_ok_has_delivered_nothing() {
    let page = outcome(200, &[("content-type", "text/html; charset=utf-8")], "<h1>Welcome to the hotel</h1>");
    assert_snapshot!(line(&page), @"retry Some(60s) Global Other | something that is not Discord's API answers 200 OK: check discord.api_base and the proxy settings");
    let answer = outcome(200, &[("content-type", "application/json")], r#"{"id": "42"}"#);
    assert_eq!(answer, Outcome::Delivered { message_id: 42, rest: None });
}

#[test]
fn a_stored_message_is_delivered_with_its_id() {
    assert_eq!(outcome(200, &[], r#"{"id": "42"}"#), Outcome::Delivered { message_id: 42, rest: None });
}

#[test]
fn a_success_with_an_unreadable_body_is_sent_all_the_same() {
    for body in ["", "{", "<html>", r#"{"id": null}"#, r#"{"id": "x"}"#] {
        assert_eq!(outcome(200, &[], body), Outcome::Delivered { message_id: 0, rest: None }, "{body}");
    }
}

#[test]
fn an_empty_bucket_wants_rest_and_a_full_one_does_not() {
    let rest = |remaining, reset_after| {
        let headers = [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset-after", reset_after)];
        match outcome(200, &headers, r#"{"id": "1"}"#) {
            Outcome::Delivered { rest, .. } => rest,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(rest("0", "4.25"), Some(Duration::from_millis(4250)));
    assert_eq!(rest("1", "4.25"), None);
    assert_eq!(rest("0", "soon"), None);
    assert_eq!(rest("0", "-1"), None);
}

#[test]
fn rate_limits_wait_for_what_was_asked_and_by_whom() {
    let limited = |headers: &[(&'static str, &'static str)], body: &str| line(&outcome(429, headers, body));
    let json = r#"{"message": "You are being rate limited.", "retry_after": 0.65, "global": false}"#;
    let global = r#"{"message": "You are being rate limited.", "retry_after": 2, "global": true}"#;
    let lines = table(&[
        limited(&[("retry-after", "1"), ("x-ratelimit-scope", "user")], json),
        limited(&[("retry-after", "3600"), ("x-ratelimit-scope", "shared")], json),
        limited(&[], json),
        limited(&[], "{}"),
        limited(&[("retry-after", "0"), ("x-ratelimit-scope", "user")], "{}"),
        limited(&[], global),
        limited(&[("x-ratelimit-global", "true")], json),
        limited(&[("x-ratelimit-scope", "global")], json),
        limited(&[("retry-after", "gibberish")], "{}"),
        limited(&[("retry-after", "-3")], "{}"),
        limited(&[("retry-after", "NaN")], "{}"),
        limited(&[("retry-after", "1e300")], "{}"),
    ]);
    assert_snapshot!(lines, @r#"
    retry Some(1s) Channel RateLimited | Discord's rate limit for this channel: wait 1.0 s
    retry Some(3600s) Channel RateLimited | Discord's rate limit for this channel: wait 3600.0 s
    retry Some(650ms) Channel RateLimited | Discord's rate limit for this channel: wait 0.7 s
    retry Some(5s) Channel RateLimited | Discord's rate limit for this channel: wait 5.0 s
    retry Some(0ns) Channel RateLimited | Discord's rate limit for this channel: wait 0.0 s
    retry Some(2s) Global RateLimited | Discord's rate limit for the whole bot: wait 2.0 s
    retry Some(650ms) Global RateLimited | Discord's rate limit for the whole bot: wait 0.7 s
    retry Some(650ms) Global RateLimited | Discord's rate limit for the whole bot: wait 0.7 s
    retry Some(5s) Channel RateLimited | Discord's rate limit for this channel: wait 5.0 s
    retry Some(5s) Channel RateLimited | Discord's rate limit for this channel: wait 5.0 s
    retry Some(5s) Channel RateLimited | Discord's rate limit for this channel: wait 5.0 s
    retry Some(86400s) Channel RateLimited | Discord's rate limit for this channel: wait 86400.0 s
    "#);
}

#[test]
fn a_retry_after_in_the_form_of_a_date_counts_from_the_answers_own_date() {
    let after = |then, now| {
        let headers = [("retry-after", then), ("date", now)];
        match outcome(429, &headers, "{}") {
            Outcome::Retry { after, .. } => after.unwrap().as_secs(),
            other => panic!("{other:?}"),
        }
    };
    let now = "Mon, 23 Nov 2026 12:00:00 GMT";
    assert_eq!(after("Mon, 23 Nov 2026 12:02:00 GMT", now), 120);
    assert_eq!(after("Mon, 23 Nov 2026 11:00:00 GMT", now), 5, "a date that is over");
    assert_eq!(after("Mon, 23 Nov 2026 12:02:00 GMT", "yesterday"), 5, "no date to count from");
    assert_eq!(after("Fri, 23 Nov 2029 12:02:00 GMT", now), 24 * 3600, "a date far away");
}

#[test]
fn a_429_of_cloudflare_silences_every_channel_for_minutes() {
    let lines = table(&[
        line(&outcome(429, &[], "<html>error code: 1015</html>")),
        line(&outcome(429, &[("retry-after", "30")], "")),
        line(&outcome(429, &[("retry-after", "900")], "")),
        coded(403, 40333, "internal network error"),
    ]);
    assert_snapshot!(lines, @r#"
    retry Some(180s) Global RateLimited | Cloudflare holds this address back from Discord: wait 180 s
    retry Some(180s) Global RateLimited | Cloudflare holds this address back from Discord: wait 180 s
    retry Some(900s) Global RateLimited | Cloudflare holds this address back from Discord: wait 900 s
    403 40333: retry Some(180s) Global RateLimited | Cloudflare holds this address back from Discord: wait 180 s
    "#);
}

#[test]
fn a_refused_token_waits_for_the_operator() {
    let lines = table(&[
        coded(401, 0, "401: Unauthorized"),
        coded(401, 40001, "Unauthorized"),
        coded(401, 50014, "Invalid authentication token provided"),
        line(&outcome(401, &[], "")),
    ]);
    assert_snapshot!(lines, @r#"
    401 0: retry Some(300s) Global Auth | Discord refuses the token: check discord.token
    401 40001: retry Some(300s) Global Auth | Discord refuses the token: check discord.token
    401 50014: retry Some(300s) Global Auth | Discord refuses the token: check discord.token
    retry Some(300s) Global Auth | Discord refuses the token: check discord.token
    "#);
}

#[test]
fn a_refused_channel_is_parked_with_advice() {
    let lines = table(&[
        coded(404, 10003, "Unknown Channel"),
        coded(404, 10004, "Unknown Guild"),
        coded(403, 50001, "Missing Access"),
        coded(403, 50013, "Missing Permissions"),
        coded(400, 50008, "Cannot send messages in a non-text channel"),
        coded(403, 40058, "Cannot message this thread"),
        coded(400, 50083, "Tried to perform an operation on an archived thread"),
        coded(403, 160_005, "Thread is locked"),
        coded(400, 220_001, "Webhooks posted to forum channels must have a thread_name or thread_id"),
        coded(400, 220_003, "Webhooks can only create threads in forum channels"),
        coded(403, 99999, "Something new"),
        coded(404, 0, "404: Not Found"),
    ]);
    assert_snapshot!(lines, @r#"
    404 10003: rejected Channel Channel | Unknown Channel (10003): channel 123 does not exist: check its id
    404 10004: rejected Channel Channel | Unknown Guild (10004): channel 123 does not exist: check its id
    403 50001: rejected Channel Channel | Missing Access (50001): the bot may not see channel 123: invite it to the server and grant View Channel
    403 50013: rejected Channel Channel | Missing Permissions (50013): the bot may not write to channel 123: grant Send Messages and Attach Files
    400 50008: rejected Channel Channel | Cannot send messages in a non-text channel (50008): channel 123 is of a kind that takes no messages
    403 40058: rejected Channel Channel | Cannot message this thread (40058): channel 123 is a locked or archived thread: unlock and reopen it, grant the bot Manage Threads, or use another channel
    400 50083: rejected Channel Channel | Tried to perform an operation on an archived thread (50083): channel 123 is a locked or archived thread: unlock and reopen it, grant the bot Manage Threads, or use another channel
    403 160005: rejected Channel Channel | Thread is locked (160005): channel 123 is a locked or archived thread: unlock and reopen it, grant the bot Manage Threads, or use another channel
    400 220001: rejected Channel Channel | Webhooks posted to forum channels must have a thread_name or thread_id (220001): channel 123 is a forum: use one of its threads or a text channel
    400 220003: rejected Channel Channel | Webhooks can only create threads in forum channels (220003): channel 123 is a forum: use one of its threads or a text channel
    403 99999: rejected Channel Channel | Something new (99999): channel 123 cannot be written to
    404 0: rejected Channel Channel | 404: Not Found: channel 123 cannot be written to
    "#);
}

#[test]
fn a_refused_message_is_dropped_with_what_was_wrong_with_it() {
    let invalid = r#"{"code": 50035, "message": "Invalid Form Body", "errors": {"content": {"_errors":
        [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}]}}}"#;
    let nested = r#"{"code": 50035, "message": "Invalid Form Body", "errors": {"embeds": {"0": {"title": {"_errors":
        [{"code": "X", "message": "Bad.\nWorse."}]}}}}}"#;
    let lines = table(&[
        line(&outcome(400, &[], invalid)),
        line(&outcome(400, &[], nested)),
        coded(400, 50006, "Cannot send an empty message"),
        coded(400, 50109, "The request body contains invalid JSON."),
        coded(413, 40005, "Request entity too large"),
        line(&outcome(413, &[], "<html>")),
        coded(400, 50045, "File uploaded exceeds the maximum size"),
        coded(400, 30015, "Maximum number of attachments in a message reached (10)"),
        coded(400, 200_000, "Message was blocked by automatic moderation"),
        coded(400, 240_000, "Message blocked by harmful links filter"),
        coded(400, 0, "400: Bad Request"),
        coded(405, 0, "405: Method Not Allowed"),
    ]);
    assert_snapshot!(lines, @r#"
    rejected Payload Payload | Discord refuses the message: Invalid Form Body (50035): content: Must be 2000 or fewer in length.
    rejected Payload Payload | Discord refuses the message: Invalid Form Body (50035): embeds.0.title: Bad.Worse.
    400 50006: rejected Payload Payload | Discord refuses the message: Cannot send an empty message (50006)
    400 50109: rejected Payload Payload | Discord refuses the message: The request body contains invalid JSON. (50109)
    413 40005: rejected Payload Payload | Discord refuses the message: Request entity too large (40005)
    rejected Payload Payload | Discord refuses the message: 413 Payload Too Large
    400 50045: rejected Payload Payload | Discord refuses the message: File uploaded exceeds the maximum size (50045)
    400 30015: rejected Payload Payload | Discord refuses the message: Maximum number of attachments in a message reached (10) (30015)
    400 200000: rejected Payload Payload | Discord refuses the message: Message was blocked by automatic moderation (200000)
    400 240000: rejected Payload Payload | Discord refuses the message: Message blocked by harmful links filter (240000)
    400 0: rejected Payload Payload | Discord refuses the message: 400: Bad Request
    405 0: rejected Payload Payload | Discord refuses the message: 405: Method Not Allowed
    "#);
}

#[test]
fn a_message_deleted_since_it_was_delivered_is_delivered() {
    let body = r#"{"message": "Unknown Message", "code": 10008}"#;
    assert_eq!(outcome(404, &[], body), Outcome::Delivered { message_id: 0, rest: None });
}

#[test]
fn trouble_at_discord_is_retried_and_may_hide_a_delivery() {
    let lines = table(&[
        line(&outcome(500, &[], r#"{"message": "500: Internal Server Error", "code": 0}"#)),
        line(&outcome(502, &[], "<html>")),
        line(&outcome(503, &[("retry-after", "20")], "")),
        line(&outcome(504, &[], "")),
        line(&outcome(524, &[], "")),
        line(&outcome(408, &[], "")),
        coded(503, 130_000, "API resource is currently overloaded. Try again a little later"),
        coded(403, 40006, "This feature has been temporarily disabled server-side"),
        coded(403, 20022, "This message cannot be edited due to announcement rate limits"),
    ]);
    assert_snapshot!(lines, @r#"
    retry None Channel ServerError uncertain | Discord answers 500 Internal Server Error
    retry None Channel ServerError uncertain | Discord answers 502 Bad Gateway
    retry Some(20s) Channel ServerError | Discord answers 503 Service Unavailable
    retry None Channel ServerError uncertain | Discord answers 504 Gateway Timeout
    retry None Channel ServerError uncertain | Discord answers 524
    retry None Channel ServerError uncertain | Discord answers 408 Request Timeout
    503 130000: retry None Global ServerError | Discord is overloaded: API resource is currently overloaded. Try again a little later (130000)
    403 40006: retry None Channel RateLimited | Discord asks for patience: This feature has been temporarily disabled server-side (40006)
    403 20022: retry None Channel RateLimited | Discord asks for patience: This message cannot be edited due to announcement rate limits (20022)
    "#);
}

#[test]
fn an_answer_that_is_not_the_apis_blames_the_road() {
    let lines = table(&[
        line(&outcome(302, &[], "")),
        line(&outcome(403, &[], "<html>blocked</html>")),
        line(&outcome(404, &[], "nginx")),
        line(&outcome(400, &[], "The plain HTTP request was sent to HTTPS port")),
        line(&outcome(407, &[], "")),
    ]);
    assert_snapshot!(lines, @r#"
    retry Some(60s) Global Other | something that is not Discord's API answers 302 Found: check discord.api_base and the proxy settings
    retry Some(60s) Global Other | something that is not Discord's API answers 403 Forbidden: check discord.api_base and the proxy settings
    retry Some(60s) Global Other | something that is not Discord's API answers 404 Not Found: check discord.api_base and the proxy settings
    retry Some(60s) Global Other | something that is not Discord's API answers 400 Bad Request: check discord.api_base and the proxy settings
    retry Some(60s) Global Other | something that is not Discord's API answers 407 Proxy Authentication Required: check discord.api_base and the proxy settings
    "#);
}

proptest::proptest! {
    #[test]
    fn no_answer_can_make_it_panic_and_no_wait_exceeds_a_day(
        status in 100u16..1000, retry_after in ".{0,30}", body in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&retry_after) {
            headers.insert("retry-after", value);
        }
        let status = StatusCode::from_u16(status).unwrap();
        let outcome = classify(ChannelId::new(1).unwrap(), status, &headers, &body);
        if let Outcome::Retry { after: Some(after), .. } = outcome {
            proptest::prop_assert!(after <= LONGEST_WAIT);
        }
    }
}
