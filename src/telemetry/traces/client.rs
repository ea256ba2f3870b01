//! The HTTP client of the exporter: reqwest as everywhere else, on the program's runtime.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

/// How much of an answer is read; one chunk more at most.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The exporter calls from a thread without a runtime; the requests run on `runtime`.
#[derive(Debug, Clone)]
pub(super) struct SharedClient {
    http: reqwest::Client,
    runtime: Handle,
}

impl SharedClient {
    pub(super) fn new(runtime: Handle) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).timeout(super::EXPORT_TIMEOUT).build();
        Self { http: http.expect("a client without files or addresses can be built"), runtime }
    }

    async fn send(http: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The address may hold a password: this makes a header of it. Left in the address, hyper would log it.
        let (parts, body) = request.into_parts();
        let sending = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let mut answer = sending.send().await.map_err(reqwest::Error::without_url)?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = answer.headers().clone();
        }
        Ok(response.body(beginning(&mut answer).await.map_err(reqwest::Error::without_url)?)?)
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
        self.runtime.spawn(Self::send(self.http.clone(), request)).await?
    }
}
