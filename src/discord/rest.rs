//! Our own requests to Discord's API: one HTTP client with timeouts, every answer whole with its headers.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use metrics::{counter, histogram};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::time::Instant;
use tracing::debug;

use crate::config::settings::DiscordSettings;
use crate::delivery::Attachment;
use crate::telemetry::labels::DiscordRoute;
use crate::telemetry::metrics::{DISCORD_LATENCY, DISCORD_REQUESTS, RATE_LIMITED};

use super::api_route::route_of;
use super::error_class::{http_date, rate_limit_scope};

/// The real Discord.
const DISCORD: &str = "https://discord.com";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A file may take longer by its size: one that never gets through in time would hold its channel for ever.
const SLOWEST_UPLOAD_BYTES_PER_SECOND: usize = 32 * 1024;
/// What Discord asks of bots: who, and which version.
const USER_AGENT: &str = concat!("DiscordBot (factorio-isr, ", env!("CARGO_PKG_VERSION"), ")");
/// Longer answers are cut off: a hundred messages are far shorter.
const LONGEST_BODY: usize = 8 * 1024 * 1024;
const OFFSET_UNKNOWN: i64 = i64::MIN;

/// The API of Discord, as one bot.
#[derive(Debug)]
pub(crate) struct Rest {
    http: Client,
    base: String,
    patience: Option<Duration>,
    /// By how many milliseconds Discord's clock is ahead of ours, from its last answer.
    clock_offset: AtomicI64,
}

/// An answer, of any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Empty where the connection broke after the headers.
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The request never left.
    #[error("Discord cannot be reached: {0}")]
    Unreachable(String),
    /// It may have arrived.
    #[error("Discord did not answer in time")]
    TimedOut,
    /// It may have arrived.
    #[error("the connection to Discord broke: {0}")]
    Broken(String),
}

impl Rest {
    /// A client for the API at `api_base`, or the real one. Connects to nothing yet.
    pub(crate) fn new(settings: &DiscordSettings) -> anyhow::Result<Self> {
        let base = settings.api_base.as_deref().unwrap_or(DISCORD).trim_end_matches('/').to_owned();
        let url = Url::parse(&base).context("discord.api_base is not an address")?;
        let mut auth = HeaderValue::try_from(format!("Bot {}", settings.token.expose_secret().trim()))
            .map_err(|_| anyhow::anyhow!("discord.token holds characters that no token has"))?;
        auth.set_sensitive(true);
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, auth)]))
            // A redirect would turn a POST into a GET, and Discord sends none.
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT);
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().context("cannot set up the HTTP client")?;
        Ok(Self { http, base, patience: None, clock_offset: AtomicI64::new(OFFSET_UNKNOWN) })
    }

    /// The same with this patience for every request, files included.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Where the API is, without `/api/v10`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Host and port of the API, or of what stands before it.
    pub(crate) fn peer(&self) -> (String, u16) {
        let url = Url::parse(&self.base).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default().to_owned();
        (host, url.and_then(|url| url.port_or_known_default()).unwrap_or_default())
    }

    /// By how much Discord's clock is ahead of ours, in milliseconds, once it has answered anything.
    pub(crate) fn clock_offset(&self) -> Option<i64> {
        Some(self.clock_offset.load(Ordering::Relaxed)).filter(|offset| *offset != OFFSET_UNKNOWN)
    }

    /// `GET /api/v10{path}`
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Unanswered> {
        self.request((Method::GET, path), self.http.get(self.url(path))).await
    }

    /// `POST /api/v10{path}` with `payload` as JSON, or as `payload_json` beside a file.
    pub(crate) async fn post(
        &self,
        path: &str,
        payload: &(impl Serialize + Sync),
        file: Option<&Attachment>,
    ) -> Result<Answer, Unanswered> {
        self.request((Method::POST, path), with_payload(self.http.post(self.url(path)), payload, file)?).await
    }

    /// `PUT /api/v10{path}` without a body
    pub(crate) async fn put_empty(&self, path: &str) -> Result<Answer, Unanswered> {
        // Without a length, some proxies refuse it.
        self.request((Method::PUT, path), self.http.put(self.url(path)).header(CONTENT_LENGTH, 0)).await
    }

    /// `DELETE /api/v10{path}`
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, Unanswered> {
        self.request((Method::DELETE, path), self.http.delete(self.url(path))).await
    }

    /// `PUT /api/v10{path}`
    pub(crate) async fn put(&self, path: &str, payload: &(impl Serialize + Sync)) -> Result<Answer, Unanswered> {
        self.request((Method::PUT, path), self.http.put(self.url(path)).json(payload)).await
    }

    /// `PATCH /api/v10{path}` with `payload` as JSON, or as `payload_json` beside a file.
    pub(crate) async fn patch(
        &self,
        path: &str,
        payload: &(impl Serialize + Sync),
        file: Option<&Attachment>,
    ) -> Result<Answer, Unanswered> {
        self.request((Method::PATCH, path), with_payload(self.http.patch(self.url(path)), payload, file)?).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v10{path}", self.base)
    }

    async fn request(&self, (method, path): (Method, &str), request: RequestBuilder) -> Result<Answer, Unanswered> {
        let (started, route, path) = (Instant::now(), route_of(&method, path), without_token(path));
        let request = match self.patience {
            Some(patience) => request.timeout(patience),
            None => request,
        };
        let answer = match request.send().await {
            Ok(response) => Ok(read_whole(response).await),
            Err(error) => Err(Unanswered::from(error)),
        };
        let elapsed = started.elapsed();
        histogram!(DISCORD_LATENCY).record(elapsed.as_secs_f64());
        count(route, &answer);
        match &answer {
            Ok(answer) => {
                debug!(path, status = answer.status.as_u16(), ?elapsed, "Discord answered");
                self.note(answer);
            }
            Err(error) => debug!(path, %error, ?elapsed, "Discord did not answer"),
        }
        answer
    }

    fn note(&self, answer: &Answer) {
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            counter!(RATE_LIMITED, "scope" => rate_limit_scope(&answer.headers)).increment(1);
        }
        let date = answer.headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?));
        if let Some(date) = date {
            let offset = date.as_millisecond() - Timestamp::now().as_millisecond();
            self.clock_offset.store(offset, Ordering::Relaxed);
        }
    }
}

impl Answer {
    /// The body as JSON; `None` when it is not.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Unanswered {
    /// Whether the request may have had its effect.
    pub(crate) fn uncertain(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }
}

impl From<reqwest::Error> for Unanswered {
    /// Takes the innermost cause only: the outer ones repeat the address.
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() || error.is_builder() {
            return Self::Unreachable(innermost(&error));
        }
        if error.is_timeout() {
            return Self::TimedOut;
        }
        Self::Broken(innermost(&error))
    }
}

fn count(route: DiscordRoute, answer: &Result<Answer, Unanswered>) {
    let status = answer.as_ref().map_or("error", |answer| status_class(answer.status));
    counter!(DISCORD_REQUESTS, "route" => route.as_str(), "status" => status).increment(1);
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..=299 => "2xx",
        300..=399 => "3xx",
        429 => "429",
        400..=499 => "4xx",
        500.. => "5xx",
    }
}

/// The path as a log may show it: those of interactions and webhooks carry a token.
fn without_token(path: &str) -> &str {
    let is_secret = path.starts_with("/interactions/") || path.starts_with("/webhooks/");
    let end = path.match_indices('/').nth(2).map(|(at, _)| at).filter(|_| is_secret);
    end.map_or(path, |end| &path[..end])
}

fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A broken body does not unmake the status: a message whose `200` arrived is sent.
async fn read_whole(mut response: Response) -> Answer {
    let mut body = BytesMut::new();
    while body.len() < LONGEST_BODY
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    Answer { status: response.status(), headers: response.headers().clone(), body: body.freeze() }
}

fn upload_timeout(bytes: usize) -> Duration {
    UPLOAD_TIMEOUT + Duration::from_secs((bytes / SLOWEST_UPLOAD_BYTES_PER_SECOND) as u64)
}

fn with_payload(
    request: RequestBuilder,
    payload: &(impl Serialize + Sync),
    file: Option<&Attachment>,
) -> Result<RequestBuilder, Unanswered> {
    Ok(match file {
        None => request.json(payload),
        Some(file) => request.multipart(form(payload, file)?).timeout(upload_timeout(file.bytes.len())),
    })
}

fn is_png(filename: &str) -> bool {
    Path::new(filename).extension().is_some_and(|kind| kind.eq_ignore_ascii_case("png"))
}

fn form(payload: &impl Serialize, file: &Attachment) -> Result<Form, Unanswered> {
    let unfit = |error: &dyn std::fmt::Display| Unanswered::Unreachable(error.to_string());
    let payload = serde_json::to_string(payload).map_err(|error| unfit(&error))?;
    let payload = Part::text(payload).mime_str("application/json").map_err(|error| unfit(&error))?;
    let length = file.bytes.len() as u64;
    let kind = if is_png(&file.filename) { "image/png" } else { "text/plain; charset=utf-8" };
    let content = Part::stream_with_length(file.bytes.clone(), length)
        .file_name(file.filename.clone())
        .mime_str(kind)
        .map_err(|error| unfit(&error))?;
    Ok(Form::new().part("payload_json", payload).part("files[0]", content))
}

/// A stand-in on this machine is not behind a proxy.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_file_gets_through_a_slow_line() {
        let largest = 8 << 20;
        let quarter_megabit_per_second = 32 * 1024;
        assert!(upload_timeout(largest) > Duration::from_secs(largest as u64 / quarter_megabit_per_second));
        assert_eq!(upload_timeout(1000), UPLOAD_TIMEOUT);
    }

    #[test]
    fn statuses_are_counted_by_class_and_429_by_itself() {
        use crate::telemetry::labels::DISCORD_STATUSES;
        let classes = [200, 204, 301, 400, 404, 429, 499, 500, 999].map(|code| {
            let class = status_class(StatusCode::from_u16(code).unwrap());
            assert!(DISCORD_STATUSES.contains(&class), "{class}");
            class
        });
        assert_eq!(classes, ["2xx", "2xx", "3xx", "4xx", "4xx", "429", "4xx", "5xx", "5xx"]);
    }

    #[test]
    fn paths_in_logs_have_no_tokens() {
        assert_eq!(without_token("/interactions/12/secret/callback"), "/interactions/12");
        assert_eq!(without_token("/webhooks/12/secret/messages/@original"), "/webhooks/12");
        assert_eq!(without_token("/channels/12/messages"), "/channels/12/messages");
    }
}
