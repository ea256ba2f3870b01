//! What a collector refuses of an export that it takes. The exporters say it in their own log, and nowhere else: this
//! hears it, so that it can be counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Who says it.
const EXPORTERS: &str = "opentelemetry-otlp";
/// How the names of these events end.
const PARTLY: &str = ".PartialSuccess";

/// Spans refused since somebody asked: there is one exporter, and it exports one batch at a time.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Takes the number of spans that were refused, as the collector says.
pub(super) fn take() -> usize {
    REFUSED.swap(0, Ordering::Relaxed)
}

/// A layer that hears the exporters.
pub(super) fn hearing<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Hearing.with_filter(Targets::new().with_target(EXPORTERS, Level::WARN))
}

struct Hearing;

impl<S: Subscriber> Layer<S> for Hearing {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().name().ends_with(PARTLY) {
            event.record(&mut Spans);
        }
    }
}

struct Spans;

impl Visit for Spans {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "rejected_spans" {
            // A negative number is a lie.
            REFUSED.store(usize::try_from(value).unwrap_or_default(), Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
