//! `GET /events`: what changes of the status page, as server-sent events.

use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::headers::close_after;
use super::page::feed::{Sent, Viewer};
use super::{Served, answers};

/// Sent when there is nothing to send, so that neither end takes the other for gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// When one for whom there is no seat asks again, in milliseconds: not all at the same time.
const ASK_AGAIN: RangeInclusive<u64> = 10_000..=20_000;

/// What the asker has.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// The state its page shows.
    #[serde(default)]
    seen: String,
}

/// Streams until the viewer goes or the program stops. Where too many watch already, the stream is one message, and the
/// browser comes again by itself for the next.
pub(super) async fn events(State(served): State<Served>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    if is_foreign(&headers) {
        return close_after(answers::failure(StatusCode::FORBIDDEN, "cross_site").into_response());
    }
    // A stream that broke and is taken up again tells more than its address.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (page, seen) = (&served.state.page, last.unwrap_or(&asked.seen));
    match page.viewer(seen) {
        Some(viewer) => Sse::new(messages(viewer, served.stop))
            .keep_alive(KeepAlive::new().interval(HEARTBEAT).text("still here"))
            .into_response(),
        None => close_after(Sse::new(one_message(page.glance(seen))).into_response()),
    }
}

/// Another site's page cannot read the answer, but it could take the seats of those who may.
fn is_foreign(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

/// Named differently, so that the page tells that it is not live.
fn one_message(sent: Sent) -> impl Stream<Item = Result<Event, Infallible>> {
    let wait = Duration::from_millis(fastrand::u64(ASK_AGAIN));
    stream::iter([Ok(Event::default().event("glance").retry(wait).id(sent.id).data(&*sent.message))])
}

/// The last one tells of the stop.
fn messages(viewer: Viewer, stop: CancellationToken) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(viewer), move |viewer| {
        let stop = stop.clone();
        async move {
            let mut viewer = viewer?;
            let (sent, viewer) = match stop.run_until_cancelled(viewer.next()).await {
                Some(sent) => (sent?, Some(viewer)),
                None => (viewer.catch_up(), None),
            };
            Some((Ok(Event::default().event("update").id(sent.id).data(&*sent.message)), viewer))
        }
    })
}
