//! What an operator and their tools see: probes, metrics, the status page. Reads only; nothing here changes anything.

mod answers;
mod assets;
mod events;
mod headers;
mod listener;
mod page;
mod scrapes;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{DefaultBodyLimit, FromRef, RawQuery, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use assets::Asset;
use listener::{LimitedListener, Patience};
use scrapes::Scrapes;

pub use page::feed::StatusPage;
pub use page::{GameAnswers, GameFacts, Games, PageSources, ShownAlert, ShownServer};

use crate::health::{HealthRegistry, Lifecycle};
use crate::telemetry::MetricsExporter;
use crate::telemetry::exposition::GameSeries;

/// An answer that takes longer is given up.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Nobody has anything to upload here.
const BODY_LIMIT: usize = 4 * 1024;

/// Probes, scrapes and browsers together need a handful.
const CONNECTIONS: usize = 128;

/// A connection is kept for the next request longer than scrapes are apart. A request has to be there, and answered,
/// well before that: who sends it byte by byte, or not at all, is cut off.
const PATIENCE: Patience = Patience {
    idle: Duration::from_secs(75),
    first: Duration::from_secs(10),
    request: Duration::from_secs(10),
    // Kubernetes gives a probe one second by default, and tries it three times.
    crowded: Duration::from_secs(1),
};

/// So long open requests may take once the stop has come. Shorter than the deadline of the stage.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// What the answers are made of.
#[derive(Debug, Clone)]
pub struct HttpState {
    /// How far the process is.
    pub lifecycle: Lifecycle,
    /// How the components are.
    pub health: HealthRegistry,
    /// The metrics; `None` where they are disabled, and `/metrics` is not found then.
    pub metrics: Option<MetricsExporter>,
    /// Who knows series of the games.
    pub games: Vec<Arc<dyn GameSeries>>,
    /// The status page.
    pub page: StatusPage,
}

/// The state while it is served.
#[derive(Debug, Clone)]
struct Served {
    state: HttpState,
    /// Streams end with it: they would never end by themselves.
    stop: CancellationToken,
}

impl FromRef<Served> for HttpState {
    fn from_ref(served: &Served) -> Self {
        served.state.clone()
    }
}

/// Serves until `cancel`, then finishes what is being answered, for half a second at most.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, state: HttpState, cancel: CancellationToken) -> anyhow::Result<()> {
    let stop = cancel.clone();
    let listener = LimitedListener::new(listener, CONNECTIONS, PATIENCE);
    let server = axum::serve(listener, router(Served { state, stop: cancel.clone() }))
        .with_graceful_shutdown(stop.cancelled_owned());
    tokio::select! {
        end = server.into_future() => end.context("the HTTP server ended"),
        () = grace_over(&cancel) => Ok(()),
    }
}

async fn grace_over(cancel: &CancellationToken) {
    cancel.cancelled().await;
    sleep(STOP_GRACE).await;
}

fn router(served: Served) -> Router {
    Router::new()
        .route("/", get(answers::root))
        .route("/healthz", get(answers::liveness))
        .route("/livez", get(answers::liveness))
        .route("/ready", get(answers::readiness))
        .route("/readyz", get(answers::readiness))
        .route("/health", get(answers::health))
        .route("/metrics", get(answers::metrics).layer(Extension(Scrapes::default())))
        .route("/events", get(events::events))
        .route(assets::STYLE.path, get(asset(&assets::STYLE)))
        .route(assets::SCRIPT.path, get(asset(&assets::SCRIPT)))
        .route(assets::ICON.path, get(asset(&assets::ICON)))
        .fallback(answers::not_found)
        .method_not_allowed_fallback(answers::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(limit_and_log))
        .with_state(served)
}

fn asset(asset: &'static Asset) -> MethodRouter<Served> {
    get(async |query: RawQuery, headers: HeaderMap| asset.answer(query, &headers))
}

async fn limit_and_log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begun = Instant::now();
    let mut response = match timeout(REQUEST_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => answers::failure(StatusCode::GATEWAY_TIMEOUT, "timeout").into_response(),
    };
    headers::secure(response.headers_mut());
    debug!(%method, path, status = response.status().as_u16(), seconds = begun.elapsed().as_secs_f64(), "Answered");
    response
}
