//! The REST API's way of a request: read, authorise, fail on purpose, limit, carry out, count.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequest, Multipart, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, body};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::check::RestRequest;
use super::draft::{MAX_REQUEST, Payload, Upload};
use super::errors::ApiError;
use super::faults::{FaultKind, RetryAfter};
use super::hub::Hub;
use super::mentions;
use super::rate_limit::{self, Bucket, Refused, Scope, Standing};
use super::route::Route;
use super::routes::{self, Answer, Call};
use super::server::Peer;

/// Bytes of a request that are read at all.
const MOST_READ: usize = 2 * MAX_REQUEST;

/// Any request below `/api`.
pub(super) async fn answer(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let Some(route) = Route::of(request.method(), request.uri().path()) else {
        return ApiError::not_found().into_response();
    };
    let _under_way = route.channel().filter(|_| route.creates_message()).map(|channel| hub.posting(channel));
    let authorized = hub.authorizes(request.headers()) || !route.needs_authorization();
    let query = Query::try_from_uri(request.uri()).map(|Query(query)| query).unwrap_or_default();
    let response = match read(request).await {
        _ if !authorized => ApiError::unauthorized().into_response(),
        Err(error) => error.into_response(),
        Ok(payload) => match check(&hub, &route, &query, &payload) {
            Err(error) => error.into_response(),
            Ok(()) => Exchange { hub: &hub, peer: &peer, route: &route }.answer(query, payload).await,
        },
    };
    let scope = response.extensions().get::<Scope>().copied();
    hub.change(|state| state.counts.count_answer(&route.label(), response.status().as_u16(), scope));
    response
}

/// Asks the test's own check, if there is one.
fn check(hub: &Hub, route: &Route, query: &HashMap<String, String>, payload: &Payload) -> Result<(), ApiError> {
    let Some(check) = hub.check() else { return Ok(()) };
    let path = format!("/{}", route.segments().join("/"));
    let request = RestRequest { method: route.method.as_str(), path: &path, query, body: &payload.json };
    check.rest(&request).map_err(|error| ApiError::new(400, 50035, error))
}

/// Reads all of the body before judging it: an answer in the middle of an upload would look like a broken connection.
async fn read(request: Request) -> Result<Payload, ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = body::to_bytes(body, MOST_READ).await.map_err(|_| ApiError::too_large())?;
    if bytes.len() > MAX_REQUEST {
        return Err(ApiError::too_large());
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/form-data") {
        return read_form(Request::from_parts(parts, bytes.into())).await;
    }
    let json = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
    Ok(Payload { json: json.map_err(|_| ApiError::invalid_json())?, files: Vec::new() })
}

/// A form with the JSON in `payload_json` and the files in `files[n]`.
async fn read_form(request: Request) -> Result<Payload, ApiError> {
    let refused = |_| ApiError::invalid_json();
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| ApiError::invalid_json())?;
    let mut payload = Payload::default();
    while let Some(field) = form.next_field().await.map_err(refused)? {
        let filename = field.file_name().map(str::to_owned);
        let is_json = field.name() == Some("payload_json");
        let number = file_number(field.name().unwrap_or_default()).unwrap_or(payload.files.len() as u64);
        let bytes = field.bytes().await.map_err(refused)?;
        if is_json {
            payload.json = serde_json::from_slice(&bytes).map_err(|_| ApiError::invalid_json())?;
        } else if let Some(filename) = filename {
            payload.files.push(Upload { number, filename, description: None, bytes });
        }
    }
    describe(&mut payload);
    Ok(payload)
}

/// The number in `files[0]`.
fn file_number(name: &str) -> Option<u64> {
    name.strip_prefix("files[")?.strip_suffix(']')?.parse().ok()
}

/// Alt texts are in the JSON, under the number of the file.
fn describe(payload: &mut Payload) {
    // The answer to an interaction has the message one level down.
    let message = payload.json.get("data").unwrap_or(&payload.json);
    let described = message["attachments"].as_array().cloned().unwrap_or_default();
    for file in &mut payload.files {
        let about = described.iter().find(|about| mentions::snowflake(&about["id"]) == Some(file.number));
        file.description = about.and_then(|about| about["description"].as_str()).map(str::to_owned);
    }
}

struct Exchange<'a> {
    hub: &'a Hub,
    peer: &'a Peer,
    route: &'a Route,
}

impl Exchange<'_> {
    async fn answer(&self, query: HashMap<String, String>, payload: Payload) -> Response {
        match self.hub.change(|state| state.faults.strike(self.route, payload.content())) {
            None => self.carry_out(query, payload),
            Some(FaultKind::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                self.carry_out(query, payload)
            }
            Some(FaultKind::Answer(error)) => error.into_response(),
            Some(FaultKind::Page(status)) => page(status),
            Some(FaultKind::RateLimited { retry_after, scope, header }) => {
                limited(Refused { scope, retry_after }, header, None)
            }
            Some(FaultKind::Hang { processed }) => {
                self.leave_unanswered(processed, query, payload);
                std::future::pending().await
            }
            Some(FaultKind::Cut { processed }) => {
                self.leave_unanswered(processed, query, payload);
                self.peer.cut();
                std::future::pending().await
            }
        }
    }

    fn leave_unanswered(&self, processed: bool, query: HashMap<String, String>, payload: Payload) {
        if processed {
            drop(self.carry_out(query, payload));
        }
        self.hub.change(|state| state.counts.unanswered += 1);
    }

    fn carry_out(&self, query: HashMap<String, String>, payload: Payload) -> Response {
        let edits_name = payload.json.get("name").or_else(|| payload.json.get("topic")).is_some();
        let bucket = self.route.bucket(edits_name);
        let standing = match self.admit(bucket) {
            Ok(standing) => standing,
            Err((refused, standing)) => return limited(refused, RetryAfter::Seconds, standing),
        };
        if let Err((refused, standing)) = self.admit_old() {
            return too_many_old_edits(refused, standing);
        }
        let call = Call { route: self.route, query, payload };
        let mut response = match self.hub.change(|state| routes::carry_out(state, call)) {
            Ok(Answer::Json(body)) => Json(body).into_response(),
            Ok(Answer::NoContent) => StatusCode::NO_CONTENT.into_response(),
            Err(error) => error.into_response(),
        };
        if let Some(standing) = standing {
            rate_limit::announce(response.headers_mut(), standing, Timestamp::now());
        }
        response
    }

    /// Messages that are no longer young have a limit of their own.
    fn admit_old(&self) -> Result<(), (Refused, Option<Standing>)> {
        let Some((channel, message)) = self.route.edited_message() else { return Ok(()) };
        let old = self.hub.read(|state| state.is_old(channel, message));
        if old { self.admit(Some(Bucket::OldEdits(channel))).map(drop) } else { Ok(()) }
    }

    fn admit(&self, bucket: Option<Bucket>) -> Result<Option<Standing>, (Refused, Option<Standing>)> {
        if self.route.carries_token() {
            return Ok(None);
        }
        self.hub.change(|state| {
            state.limiter.admit(bucket, Instant::now()).map_err(|refused| {
                let of_bucket = bucket.filter(|_| refused.scope == Scope::User);
                (refused, of_bucket.and_then(|bucket| state.limiter.exhausted(bucket, refused.retry_after)))
            })
        })
    }
}

/// 429 with the code 30046.
fn too_many_old_edits(refused: Refused, standing: Option<Standing>) -> Response {
    let message = "Maximum number of edits to messages older than 1 hour reached. Try again later";
    said_limited(refused, RetryAfter::Seconds, standing, json!({ "message": message, "code": 30046 }))
}

/// 429 as Discord says it.
fn limited(refused: Refused, header: RetryAfter, standing: Option<Standing>) -> Response {
    let global = refused.scope == Scope::Global;
    let message = if global {
        "You are being blocked from accessing our API temporarily."
    } else {
        "You are being rate limited."
    };
    said_limited(refused, header, standing, json!({ "message": message, "global": global }))
}

fn said_limited(refused: Refused, header: RetryAfter, standing: Option<Standing>, mut body: Value) -> Response {
    body["retry_after"] = json!(refused.retry_after.as_secs_f64());
    let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    let headers = response.headers_mut();
    if let Some(standing) = standing {
        rate_limit::announce(headers, standing, Timestamp::now());
    }
    retry_after(headers, header, refused.retry_after);
    rate_limit::insert(headers, "x-ratelimit-scope", refused.scope.as_str());
    if refused.scope == Scope::Global {
        rate_limit::insert(headers, "x-ratelimit-global", "true");
    }
    response.extensions_mut().insert(refused.scope);
    response
}

fn retry_after(headers: &mut HeaderMap, form: RetryAfter, wait: Duration) {
    let seconds = rate_limit::whole_seconds(wait);
    match form {
        RetryAfter::Seconds => rate_limit::insert(headers, "retry-after", &seconds.to_string()),
        RetryAfter::HttpDate => {
            let date = Timestamp::now().saturating_add(Duration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
            let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            rate_limit::insert(headers, "retry-after", &date);
        }
        RetryAfter::Absent => {}
    }
}

/// What the proxy in front of Discord says when Discord does not, or when it has banned the address.
fn page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let reason = status.canonical_reason().unwrap_or("Error");
    let html =
        format!("<!DOCTYPE html><html><head><title>{reason}</title></head><body><h1>{reason}</h1></body></html>");
    (status, [(header::CONTENT_TYPE, "text/html; charset=UTF-8")], html).into_response()
}
