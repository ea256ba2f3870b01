//! One function per endpoint. Paths and field names are fixed: probes and dashboards rely on them.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::{error, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::HttpState;
use super::headers::close_after;
use super::scrapes::Scrapes;
use crate::health::Readiness;
use crate::telemetry::exposition;

/// The program's name in answers.
const SERVICE: &str = "factorio-isr";

/// The Prometheus text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Unix time in seconds.
fn unix_time() -> f64 {
    Timestamp::now().as_duration().as_secs_f64()
}

fn ok_or_unavailable(ok: bool) -> StatusCode {
    if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// An error as JSON: `{"error": "not_found"}`.
pub(super) fn failure(status: StatusCode, error: &'static str) -> impl IntoResponse {
    (status, Json(json!({ "error": error })))
}

fn endpoints(state: &HttpState) -> Value {
    json!({
        "liveness": "/healthz",
        "readiness": "/ready",
        "metrics": state.metrics.as_ref().map(|_| "/metrics"),
    })
}

pub(super) async fn liveness(State(state): State<HttpState>) -> impl IntoResponse {
    let facts = state.lifecycle.facts();
    let alive = facts.dead_because().is_none();
    let _span = info_span!("health_liveness_check", uptime_seconds = facts.uptime.as_secs_f64()).entered();
    let body = json!({
        "status": if alive { "alive" } else { "dead" },
        "uptime_seconds": facts.uptime.as_secs_f64(),
        "timestamp": unix_time(),
    });
    (ok_or_unavailable(alive), Json(body))
}

#[derive(Serialize)]
struct ReadinessAnswer {
    #[serde(flatten)]
    readiness: Readiness,
    timestamp: f64,
}

pub(super) async fn readiness(State(state): State<HttpState>) -> impl IntoResponse {
    let readiness = Readiness::of(&state.lifecycle.facts(), &state.health.snapshot());
    let span = info_span!("health_readiness_check", is_ready = readiness.ready);
    for (component, state) in &readiness.components {
        span.set_attribute(format!("component.{component}"), state.to_string());
    }
    (ok_or_unavailable(readiness.ready), Json(ReadinessAnswer { readiness, timestamp: unix_time() }))
}

pub(super) async fn health(State(state): State<HttpState>) -> Json<Value> {
    let facts = state.lifecycle.facts();
    let readiness = Readiness::of(&facts, &state.health.snapshot());
    Json(json!({
        "status": "healthy",
        "service": SERVICE,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": facts.uptime.as_secs_f64(),
        "endpoints": endpoints(&state),
        "alive": facts.dead_because().is_none(),
        "dead_because": facts.dead_because(),
        "ready": readiness.ready,
        "reasons": readiness.reasons,
    }))
}

pub(super) async fn root(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let body = if accepted.any(|types| types.contains("text/html")) {
        close_after(Html(state.page.html()).into_response())
    } else {
        let mut endpoints = endpoints(&state);
        endpoints["health"] = "/health".into();
        Json(json!({ "service": SERVICE, "endpoints": endpoints })).into_response()
    };
    ([(header::VARY, "Accept")], body).into_response()
}

/// Always the text format 0.0.4: whoever asks for another, as Prometheus does first, takes this one too.
pub(super) async fn metrics(
    State(state): State<HttpState>,
    Extension(scrapes): Extension<Scrapes>,
    method: Method,
) -> Response {
    let Some(exporter) = state.metrics.clone() else {
        return failure(StatusCode::NOT_FOUND, "metrics_disabled").into_response();
    };
    let kind = [(header::CONTENT_TYPE, METRICS_TYPE)];
    if method == Method::HEAD {
        return kind.into_response();
    }
    let write = move |text: &mut String| {
        // First, for it counts what it cuts.
        let games = exporter.record(|| exposition::render(&state.games));
        exporter.scrape_into(text, &state.lifecycle.facts(), &state.health.snapshot(), games);
    };
    match scrapes.body(write).await {
        Ok(text) => (kind, text).into_response(),
        Err(panic) => {
            error!(%panic, "The metrics cannot be written");
            failure(StatusCode::INTERNAL_SERVER_ERROR, "internal").into_response()
        }
    }
}

pub(super) async fn not_found() -> impl IntoResponse {
    failure(StatusCode::NOT_FOUND, "not_found")
}

pub(super) async fn method_not_allowed() -> impl IntoResponse {
    failure(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
}
