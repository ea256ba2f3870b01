//! Traces over OTLP: what is recorded, how much of it leaves, and what happens when nobody takes it.
//!
//! A collector that is dead, slow or lying costs a bounded queue and a warning now and then: spans are handed over
//! without waiting, dropped where the queue is full, and counted.

mod client;
mod gate;
mod held;
mod recording;
mod refused;
mod sampler;
pub mod spans;

use std::fmt::Display;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Status, TracerProvider as _};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, ResourceBuilder, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use client::{SharedClient, Unanswered};
use gate::{Accounts, Counting, Gate};
pub use recording::{LinkTo, MAX_LINKS, Recording, annotate, below, on, text, within};
use sampler::ErrorsAlways;

use crate::config::settings::{TraceProtocol, TraceSettings};

/// Whose spans these are.
const TRACER: &str = "factorio-isr";
/// Spans that may wait for the collector.
const QUEUE: usize = 2048;
/// Spans in one export.
const BATCH: usize = 512;
/// How long a span waits for others before they leave together.
const DELAY: Duration = Duration::from_secs(1);
/// How long one export may go on trying. A last request may begin just before, and take as long again.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The tracer of this program, once set up. Flush it before the program ends.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Connects to nothing yet; must be called within a Tokio runtime, on which exports run.
    ///
    /// # Errors
    /// When the endpoint is no address, or the exporter cannot be built.
    pub fn start(settings: &TraceSettings) -> anyhow::Result<Self> {
        let accounts = Accounts::new(QUEUE);
        let unanswered = Unanswered::default();
        let exporter = exporter(settings, &unanswered).context("Cannot set up the export of traces")?;
        let exporter = Counting::new(exporter, &accounts, unanswered);
        let batch = BatchConfigBuilder::default()
            // One more than the gate lets through, so that nothing is dropped behind its back.
            .with_max_queue_size(QUEUE + 1)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(ErrorsAlways::new(settings.sample_ratio))
            .with_span_processor(Gate::new(processor, accounts))
            .with_resource(resource(settings))
            .build();
        recording::switch_on(provider.tracer(TRACER), settings.include_text);
        Ok(Self { provider })
    }

    /// Records the program's own spans, and hears what the exporter says. Libraries' spans are not recorded: the
    /// exporter's would make more of themselves.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer: SdkTracer = self.provider.tracer(TRACER);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_ours))
            .and_then(refused::hearing())
    }

    /// Sends what is waiting and ends, within `limit`. What the collector does not take by then is lost, and counted.
    pub async fn flush(self, limit: Duration) {
        recording::switch_off();
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(limit)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "Not all traces were sent");
        }
    }
}

/// Marks a span as failed: it is sent whatever the ratio. `kind` is one of a closed set; `reason` is for people and
/// holds no player text.
pub fn failed(span: &Span, kind: &'static str, reason: &dyn Display) {
    span.set_attribute("error.type", kind);
    span.set_status(Status::error(reason.to_string()));
}

/// Spans of this program that are worth a trace: the tasks live as long as the program.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("factorio_isr") && metadata.name() != "task"
}

/// The name, the instance and the version, and what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say of them.
fn resource(settings: &TraceSettings) -> Resource {
    let named = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    let builder = Resource::builder_empty()
        .with_service_name("factorio-isr")
        .with_attribute(KeyValue::new("service.instance.id", settings.instance.clone()))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    named.into_iter().fold(builder, ResourceBuilder::with_service_name).build()
}

fn exporter(settings: &TraceSettings, unanswered: &Unanswered) -> Result<SpanExporter, ExporterBuildError> {
    match settings.protocol {
        TraceProtocol::Http => {
            let builder = SpanExporter::builder()
                .with_http()
                .with_http_client(SharedClient::new(Handle::current(), unanswered.clone()))
                .with_protocol(Protocol::HttpBinary)
                .with_timeout(EXPORT_TIMEOUT);
            match &settings.endpoint {
                // Given in code it is taken as it is.
                Some(endpoint) => builder.with_endpoint(format!("{endpoint}/v1/traces")).build(),
                None => builder.build(),
            }
        }
        TraceProtocol::Grpc => {
            let builder = SpanExporter::builder()
                .with_tonic()
                .with_tls_config(ClientTlsConfig::new().with_enabled_roots())
                .with_timeout(EXPORT_TIMEOUT);
            match &settings.endpoint {
                Some(endpoint) => builder.with_endpoint(endpoint).build(),
                None => builder.build(),
            }
        }
    }
}
