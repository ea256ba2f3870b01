//! The HTTP client of the exporter: reqwest as everywhere else, on the program's runtime.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

/// How much of an answer is read; one chunk more at most.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why the last request had no answer. The exporter itself says "network error" of all there is. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Unanswered(Arc<Mutex<Option<String>>>);

impl Unanswered {
    /// The reason, where the last request had none since somebody asked.
    pub(super) fn take(&self) -> Option<String> {
        self.lock().take()
    }

    fn note<T>(&self, answer: &reqwest::Result<T>) {
        *self.lock() = answer.as_ref().err().map(causes);
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the error and those below it say, without the address: that may hold a password.
fn causes(error: &reqwest::Error) -> String {
    let below = std::iter::successors(error.source(), |error| (*error).source());
    below.fold(what(error).to_owned(), |text, cause| format!("{text}: {cause}"))
}

fn what(error: &reqwest::Error) -> &'static str {
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time",
        (_, true) => "no connection",
        _ => "no whole answer",
    }
}

/// The exporter calls from a thread without a runtime; the requests run on `runtime`.
#[derive(Debug, Clone)]
pub(super) struct SharedClient {
    http: reqwest::Client,
    runtime: Handle,
    unanswered: Unanswered,
}

impl SharedClient {
    pub(super) fn new(runtime: Handle, unanswered: Unanswered) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).timeout(super::EXPORT_TIMEOUT).build();
        Self { http: http.expect("a client without files or addresses can be built"), runtime, unanswered }
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The address may hold a password: this makes a header of it. Left in the address, hyper would log it.
        let (parts, body) = request.into_parts();
        let sending = self.http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let answer = sending.send().await.map_err(reqwest::Error::without_url);
        self.unanswered.note(&answer);
        let mut answer = answer?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = answer.headers().clone();
        }
        let body = beginning(&mut answer).await.map_err(reqwest::Error::without_url);
        self.unanswered.note(&body);
        Ok(response.body(body?)?)
    }
}

/// As much of the body as an honest collector would send. What it says is of no use: the rest is not read.
async fn beginning(answer: &mut reqwest::Response) -> reqwest::Result<Bytes> {
    let mut body = BytesMut::new();
    while body.len() < LONGEST_ANSWER
        && let Some(chunk) = answer.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[async_trait]
impl HttpClient for SharedClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.spawn(self.clone().send(request)).await?
    }
}
