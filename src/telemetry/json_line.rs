//! A log line for machines: one JSON object with stable names.

use std::fmt;

use jiff::Timestamp;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes `timestamp`, `level`, `target`, `message`, `server` where the event or a span around it names one, `trace_id`
/// and `span_id` where the event happened within a recorded trace, the event's own fields, and `span`.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Map::new();
        event.record(&mut Fields(&mut line));
        // Behind the event's own: these names mean the same in every line.
        line.insert("timestamp".to_owned(), format!("{:.6}", Timestamp::now()).into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields =
                extensions.get::<FormattedFields<N>>().map(|fields| fields.fields.as_str()).unwrap_or_default();
            let fields: Map<String, Value> = serde_json::from_str(fields).unwrap_or_default();
            if let Some(server) = fields.get("server").filter(|_| !line.contains_key("server")) {
                line.insert("server".to_owned(), server.clone());
            }
            if !line.contains_key("span") {
                let mut shown = Map::from_iter([("name".to_owned(), span.name().into())]);
                shown.extend(fields);
                line.insert("span".to_owned(), shown.into());
            }
        }
        line.extend(trace_ids());
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// What ties the line to its trace.
fn trace_ids() -> impl Iterator<Item = (String, Value)> {
    // The tasks that carry a trace by hand have a context and no span of this log.
    let of_span = Span::current().context().span().span_context().clone();
    let span = if of_span.is_valid() { of_span } else { Context::current().span().span_context().clone() };
    let ids = [("trace_id", span.trace_id().to_string()), ("span_id", span.span_id().to_string())];
    ids.into_iter().filter(move |_| span.is_valid()).map(|(name, id)| (name.to_owned(), id.into()))
}

/// The fields of an event, as JSON.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}
