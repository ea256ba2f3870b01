//! What stands before and behind the exporter's queue: so many spans and no more, each accounted for.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceFlags};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use super::client::Unanswered;
use super::held::Held;
use super::refused;
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

/// Lets sampled spans and failed traces into the queue, as long as there is room.
#[derive(Debug)]
pub(super) struct Gate<P> {
    next: P,
    accounts: Accounts,
    held: Mutex<Held>,
}

impl<P: SpanProcessor> Gate<P> {
    pub(super) fn new(next: P, accounts: Accounts) -> Self {
        Self { next, accounts, held: Mutex::default() }
    }

    fn send(&self, span: SpanData) {
        if self.accounts.enter() {
            self.next.on_end(span);
        } else {
            count("dropped", 1);
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for Gate<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            return self.send(span);
        }
        let leaving = self.held.lock().unwrap_or_else(PoisonError::into_inner).ended(span);
        for mut span in leaving {
            span.span_context = sampled(&span.span_context);
            self.send(span);
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
    unanswered: Unanswered,
}

impl<E> Counting<E> {
    pub(super) fn new(exporter: E, accounts: &Accounts, unanswered: Unanswered) -> Self {
        Self { exporter, accounts: accounts.clone(), unanswered }
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
        // It may claim to have refused more than there were.
        let refused = refused::take().min(spans);
        let why = self.unanswered.take();
        if let Err(error) = &outcome {
            let reason = why.map_or_else(|| error.to_string(), |why| format!("{error}: {why}"));
            tracing::warn!(reason, "The collector takes no traces; the spans are lost");
        } else if refused > 0 {
            tracing::warn!("The collector refuses some of the spans, which are lost; its own log may tell why");
        }
        let lost = if outcome.is_ok() { refused } else { spans };
        self.accounts.leave(spans - lost, "exported");
        self.accounts.leave(lost, "failed");
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
    use opentelemetry::trace::{Link, Span as _, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

    use super::super::held::KEPT;
    use super::*;
    use crate::telemetry::traces::sampler::ErrorsAlways;

    /// Keeps the names of what it is given.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

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

    /// What leaves of the spans that `record` makes.
    fn leaving_of(ratio: f64, room: usize, record: impl FnOnce(&SdkTracer)) -> Vec<String> {
        let kept = Kept::default();
        // Nobody tells the accounts that a span has left, as with a collector that hangs.
        let gate = Gate::new(kept.clone(), Accounts::new(room));
        let provider =
            SdkTracerProvider::builder().with_sampler(ErrorsAlways::new(ratio)).with_span_processor(gate).build();
        record(&provider.tracer("test"));
        kept.0.lock().unwrap().clone()
    }

    /// What leaves of three spans, the second of which failed.
    fn leaving(ratio: f64, room: usize) -> Vec<String> {
        leaving_of(ratio, room, |tracer| {
            for (name, status) in [("one", Status::Unset), ("two", Status::error("refused")), ("three", Status::Ok)] {
                ended(tracer, name, &Context::new(), Vec::new(), status);
            }
        })
    }

    /// A span below `parent` that has ended, for others to be below it or linked to it.
    fn ended(tracer: &SdkTracer, name: &'static str, parent: &Context, links: Vec<Link>, status: Status) -> Context {
        let builder = tracer.span_builder(name).with_links(links);
        let mut span = tracer.build_with_context(builder, parent);
        span.set_status(status);
        span.end();
        parent.with_remote_span_context(span.span_context().clone())
    }

    fn link_to(context: &Context) -> Vec<Link> {
        vec![Link::with_context(context.span().span_context().clone())]
    }

    #[test]
    fn a_failed_span_leaves_whatever_the_ratio() {
        assert_eq!(leaving(1.0, 10), ["one", "two", "three"]);
        assert_eq!(leaving(0.0, 10), ["two"]);
    }

    #[test]
    fn a_failure_that_comes_late_takes_its_trace_along() {
        let names = leaving_of(0.0, 10, |tracer| {
            let whole = tracer.build_with_context(tracer.span_builder("whole"), &Context::new());
            let whole = Context::new().with_span(whole);
            ended(tracer, "another trace", &Context::new(), Vec::new(), Status::Unset);
            ended(tracer, "went well", &whole, Vec::new(), Status::Unset);
            ended(tracer, "failed", &whole, Vec::new(), Status::error("refused"));
            whole.span().end();
        });
        assert_eq!(names, ["went well", "failed", "whole"]);
    }

    #[test]
    fn a_message_that_fails_takes_its_line_along_and_tells_how_it_ended() {
        let names = leaving_of(0.0, 10, |tracer| {
            let line = ended(tracer, "line", &Context::new(), Vec::new(), Status::Unset);
            let other = ended(tracer, "other line", &Context::new(), Vec::new(), Status::Unset);
            ended(tracer, "refused", &Context::new(), link_to(&line), Status::error("503"));
            ended(tracer, "other message", &Context::new(), link_to(&other), Status::Ok);
            ended(tracer, "delivered", &Context::new(), link_to(&line), Status::Ok);
        });
        assert_eq!(names, ["line", "refused", "delivered"]);
    }

    #[test]
    fn what_was_left_out_is_forgotten_when_too_much_came_after_it() {
        let names = leaving_of(0.0, 10, |tracer| {
            let line = ended(tracer, "line", &Context::new(), Vec::new(), Status::Unset);
            for _ in 0..KEPT {
                ended(tracer, "another trace", &Context::new(), Vec::new(), Status::Unset);
            }
            ended(tracer, "refused", &Context::new(), link_to(&line), Status::error("503"));
        });
        assert_eq!(names, ["refused"]);
    }

    #[test]
    fn a_collector_that_hangs_costs_no_more_than_its_queue() {
        assert_eq!(leaving(1.0, 2), ["one", "two"]);
        assert_eq!(leaving(1.0, 0), Vec::<String>::new());
    }
}
