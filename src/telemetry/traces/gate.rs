//! What stands before and behind the exporter's queue: so many spans and no more, each accounted for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::counter;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, Status, TraceFlags};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::telemetry::metrics::TRACE_SPANS;

/// Spans that were let in and have not left: shared by the gate and the exporter behind the queue.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    inside: Arc<AtomicUsize>,
    room: usize,
}

impl Accounts {
    pub(super) fn new(room: usize) -> Self {
        Self { inside: Arc::default(), room }
    }

    /// Lets one in, where there is room.
    fn enter(&self) -> bool {
        let one_more = |inside| (inside < self.room).then_some(inside + 1);
        self.inside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn leave(&self, spans: usize, outcome: &'static str) {
        self.inside.fetch_sub(spans, Ordering::Relaxed);
        count(outcome, spans);
    }
}

fn count(outcome: &'static str, spans: usize) {
    counter!(TRACE_SPANS, "outcome" => outcome).increment(spans as u64);
}

/// Lets sampled spans and failed ones into the queue, as long as there is room.
#[derive(Debug)]
pub(super) struct Gate<P> {
    next: P,
    accounts: Accounts,
}

impl<P: SpanProcessor> Gate<P> {
    pub(super) fn new(next: P, accounts: Accounts) -> Self {
        Self { next, accounts }
    }
}

impl<P: SpanProcessor> SpanProcessor for Gate<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            if !matches!(span.status, Status::Error { .. }) {
                return;
            }
            span.span_context = sampled(&span.span_context);
        }
        if self.accounts.enter() {
            self.next.on_end(span);
        } else {
            count("dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// The queue behind the gate takes sampled spans alone.
fn sampled(context: &SpanContext) -> SpanContext {
    let (remote, state) = (context.is_remote(), context.trace_state().clone());
    SpanContext::new(context.trace_id(), context.span_id(), TraceFlags::SAMPLED, remote, state)
}

/// An exporter that says what became of the spans.
pub(super) struct Counting<E> {
    exporter: E,
    accounts: Accounts,
}

impl<E> Counting<E> {
    pub(super) fn new(exporter: E, accounts: &Accounts) -> Self {
        Self { exporter, accounts: accounts.clone() }
    }
}

impl<E: fmt::Debug> fmt::Debug for Counting<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exporter.fmt(f)
    }
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.exporter.export(batch).await;
        if let Err(error) = &outcome {
            tracing::warn!(reason = %error, "The collector takes no traces; the spans are lost");
        }
        self.accounts.leave(spans, if outcome.is_ok() { "exported" } else { "failed" });
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;
    use crate::telemetry::traces::sampler::ErrorsAlways;

    /// Keeps the names of what it is given.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<std::sync::Mutex<Vec<String>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            assert!(span.span_context.is_sampled(), "the queue would drop it");
            self.0.lock().unwrap().push(span.name.into_owned());
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    /// What leaves of three spans, the second of which failed.
    fn leaving(ratio: f64, room: usize) -> Vec<String> {
        let kept = Kept::default();
        // Nobody tells the accounts that a span has left, as with a collector that hangs.
        let gate = Gate::new(kept.clone(), Accounts::new(room));
        let provider =
            SdkTracerProvider::builder().with_sampler(ErrorsAlways::new(ratio)).with_span_processor(gate).build();
        let tracer = provider.tracer("test");
        for (name, status) in [("one", Status::Unset), ("two", Status::error("refused")), ("three", Status::Ok)] {
            let mut span = tracer.start(name);
            span.set_status(status);
            span.end();
        }
        kept.0.lock().unwrap().clone()
    }

    #[test]
    fn a_failed_span_leaves_whatever_the_ratio() {
        assert_eq!(leaving(1.0, 10), ["one", "two", "three"]);
        assert_eq!(leaving(0.0, 10), ["two"]);
    }

    #[test]
    fn a_collector_that_hangs_costs_no_more_than_its_queue() {
        assert_eq!(leaving(1.0, 2), ["one", "two"]);
        assert_eq!(leaving(1.0, 0), Vec::<String>::new());
    }
}
