//! The HTTP client of the exporter: reqwest as everywhere else, on the program's runtime.

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

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
        let answer = http.execute(request.try_into()?).await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = answer.headers().clone();
        }
        Ok(response.body(answer.bytes().await?)?)
    }
}

#[async_trait]
impl HttpClient for SharedClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.spawn(Self::send(self.http.clone(), request)).await?
    }
}
