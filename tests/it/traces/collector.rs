//! A collector in the test: takes spans by HTTP or gRPC, and keeps what it was sent.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::routing::post;
use factorio_isr::sim::port::ReservedPort;
use factorio_isr::telemetry::traces::spans::{Kind, SPANS};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::within;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A span as it came, with the attributes of its resource.
#[derive(Debug, Clone)]
pub struct Received {
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub kind: i32,
    /// Unix nanoseconds.
    pub times: (u64, u64),
    pub failed: bool,
    pub links: Vec<ReceivedLink>,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

/// What a span is linked to.
#[derive(Debug, Clone)]
pub struct ReceivedLink {
    pub trace: String,
    pub id: String,
    pub attributes: BTreeMap<String, String>,
}

impl Received {
    /// The table of the code, and so that of the documentation, knows the span and all its attributes.
    fn is_in_the_table(&self) {
        let known = SPANS.iter().find(|(row, _)| row.name == self.name);
        let (row, _) = known.unwrap_or_else(|| panic!("{} is not in the table", self.name));
        let kind = match row.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
            Kind::Consumer => 5,
        };
        assert_eq!(self.kind, kind, "{}", self.name);
        let unknown: Vec<_> = self.attributes.keys().filter(|name| !row.has(name)).collect();
        assert!(unknown.is_empty(), "{} has {unknown:?}, which is not in the table", self.name);
    }
}

/// Takes spans on 127.0.0.1, by HTTP or gRPC.
pub struct Collector {
    port: ReservedPort,
    pub address: SocketAddr,
    pub spans: watch::Sender<Vec<Received>>,
    service: Service,
    _server: AbortOnDropHandle<()>,
}

#[derive(Clone, Default)]
struct Service {
    spans: watch::Sender<Vec<Received>>,
    /// All bodies, as they came.
    raw: Arc<Mutex<Vec<u8>>>,
    answer: ExportTraceServiceResponse,
    hangs: watch::Sender<bool>,
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(flag) => flag.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| pair.value.as_ref()?.value.as_ref().map(text);
    pairs.iter().filter_map(|pair| Some((pair.key.clone(), value(pair)?))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A body as it was before it was compressed, if it was.
fn plain(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if body.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    } else {
        plain.extend_from_slice(body);
    }
    plain
}

fn link(link: &Link) -> ReceivedLink {
    ReceivedLink { trace: hex(&link.trace_id), id: hex(&link.span_id), attributes: attributes(&link.attributes) }
}

impl Service {
    /// Takes what was sent and answers; says nothing while it hangs.
    async fn answer(&self, body: &[u8]) -> Vec<u8> {
        self.take(body);
        self.hangs.subscribe().wait_for(|hangs| !hangs).await.unwrap();
        self.answer.encode_to_vec()
    }

    fn take(&self, body: &[u8]) {
        self.raw.lock().unwrap().extend_from_slice(body);
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for from in &request.resource_spans {
            let resource = attributes(&from.resource.as_ref().unwrap().attributes);
            let spans = from.scope_spans.iter().flat_map(|scope| &scope.spans).map(|span| Received {
                name: span.name.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind,
                times: (span.start_time_unix_nano, span.end_time_unix_nano),
                links: span.links.iter().map(link).collect(),
                failed: span.status.as_ref().is_some_and(|status| status.code == 2),
                attributes: attributes(&span.attributes),
                resource: resource.clone(),
            });
            self.spans.send_modify(|all| all.extend(spans));
        }
    }
}

async fn serve_http(listener: TcpListener, service: Service) {
    let take = async move |body: Bytes| {
        // A connection that is kept would outlive the server.
        ([(CONNECTION, "close")], service.answer(&plain(&body)).await)
    };
    let router = Router::new().route("/v1/traces", post(take)).layer(DefaultBodyLimit::disable());
    axum::serve(listener, router).await.unwrap();
}

/// gRPC by hand: a message has five bytes before it, and the status comes behind the answer.
async fn serve_grpc(listener: TcpListener, service: Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(socket).await.unwrap();
            while let Some(Ok((request, mut reply))) = connection.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let mut body = request.into_body();
                    let mut message = Vec::new();
                    while let Some(Ok(chunk)) = body.data().await {
                        body.flow_control().release_capacity(chunk.len()).unwrap();
                        message.extend_from_slice(&chunk);
                    }
                    let mut frame = vec![0; 5];
                    frame.extend(service.answer(&message[5..]).await);
                    let length = u32::try_from(frame.len() - 5).unwrap();
                    frame[1..5].copy_from_slice(&length.to_be_bytes());
                    let headers = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                    let mut answer = reply.send_response(headers, false).unwrap();
                    answer.send_data(frame.into(), false).unwrap();
                    answer.send_trailers(HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))])).unwrap();
                });
            }
        });
    }
}

impl Collector {
    pub async fn http() -> Self {
        Self::serve(ReservedPort::reserve(0).unwrap(), "http", Service::default()).await
    }

    pub async fn grpc() -> Self {
        Self::serve(ReservedPort::reserve(0).unwrap(), "grpc", Service::default()).await
    }

    pub async fn speaking(protocol: &str) -> Self {
        Self::serve(ReservedPort::reserve(0).unwrap(), protocol, Service::default()).await
    }

    /// One at this port, as after a restart.
    pub async fn http_at(port: ReservedPort) -> Self {
        Self::serve(port, "http", Service::default()).await
    }

    /// It is gone; its port is still its own.
    pub fn stop(self) -> ReservedPort {
        self.port
    }

    /// One that says of each export that it refused so many spans.
    pub async fn refusing(protocol: &str, rejected_spans: i64) -> Self {
        let refused = ExportTracePartialSuccess { rejected_spans, error_message: "too old".to_owned() };
        let answer = ExportTraceServiceResponse { partial_success: Some(refused) };
        Self::serve(ReservedPort::reserve(0).unwrap(), protocol, Service { answer, ..Service::default() }).await
    }

    async fn serve(port: ReservedPort, protocol: &str, service: Service) -> Self {
        let listener = port.listen().await.unwrap();
        let (address, spans, taking) = (port.address(), service.spans.clone(), service.clone());
        let server = match protocol {
            "grpc" => tokio::spawn(serve_grpc(listener, taking)),
            _ => tokio::spawn(serve_http(listener, taking)),
        };
        Self { port, address, spans, service, _server: AbortOnDropHandle::new(server) }
    }

    /// Whether it answers nobody from now on, though it takes what it is sent.
    pub fn hang(&self, hangs: bool) {
        self.service.hangs.send_replace(hangs);
    }

    /// The first span that `suits`, now or later.
    pub async fn find(&self, suits: impl Fn(&Received) -> bool) -> Received {
        let mut spans = self.spans.subscribe();
        let found = within(spans.wait_for(|all| all.iter().any(&suits))).await.unwrap();
        found.iter().for_each(Received::is_in_the_table);
        found.iter().find(|span| suits(span)).unwrap().clone()
    }

    pub async fn named(&self, name: &str) -> Received {
        self.find(|span| span.name == name).await
    }

    /// Whether anything it was ever sent holds these bytes.
    pub fn was_sent(&self, text: &str) -> bool {
        let raw = self.service.raw.lock().unwrap();
        raw.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }

    pub fn all(&self) -> Vec<Received> {
        self.spans.borrow().clone()
    }
}
