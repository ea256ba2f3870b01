//! Spans with times of their own, for what one task begins and another goes on with. While nobody traces, all of it is
//! one branch.

use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use opentelemetry::trace::{
    FutureExt as _, Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, ContextGuard, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use super::spans::{Kind, SpanRow};
use crate::domain::TraceContext;

/// The links of a span at most.
pub const MAX_LINKS: u32 = 64;

/// How many characters of a text are shown, where text may be shown at all.
const SHOWN_CHARS: usize = 2000;

static ON: AtomicBool = AtomicBool::new(false);
static WITH_TEXT: AtomicBool = AtomicBool::new(false);
static TRACER: RwLock<Option<SdkTracer>> = RwLock::new(None);

pub(super) fn switch_on(tracer: SdkTracer, with_text: bool) {
    *TRACER.write().unwrap_or_else(PoisonError::into_inner) = Some(tracer);
    WITH_TEXT.store(with_text, Ordering::Relaxed);
    ON.store(true, Ordering::Release);
}

pub(super) fn switch_off() {
    ON.store(false, Ordering::Release);
    WITH_TEXT.store(false, Ordering::Relaxed);
    *TRACER.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Whether spans are recorded.
#[must_use]
pub fn on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// What people wrote, for an attribute: `None` unless `traces.include_text` is set. Long ones are cut.
#[must_use]
pub fn text(of: &str) -> Option<String> {
    (on() && WITH_TEXT.load(Ordering::Relaxed)).then(|| of.chars().take(SHOWN_CHARS).collect())
}

/// A span under way. It ends when it is dropped.
#[derive(Debug)]
pub struct Recording {
    row: &'static SpanRow,
    context: Context,
}

/// What a span is linked to, and what of it.
pub type LinkTo = (TraceContext, Vec<KeyValue>);

impl Recording {
    /// A span that began at `begun`, below `parent`, or as a trace of its own. `None` while nobody traces.
    #[must_use]
    pub fn begin(row: &'static SpanRow, parent: Option<TraceContext>, begun: SystemTime) -> Option<Self> {
        Self::begin_linked(row, parent, begun, Vec::new())
    }

    /// The same, linked to other spans.
    #[must_use]
    pub fn begin_linked(
        row: &'static SpanRow,
        parent: Option<TraceContext>,
        begun: SystemTime,
        links: Vec<LinkTo>,
    ) -> Option<Self> {
        if !on() {
            return None;
        }
        let tracer = TRACER.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let links = links.into_iter().map(|(to, what)| Link::new(remote(to), what, 0)).collect();
        let builder =
            SpanBuilder::from_name(row.name).with_kind(kind(row.kind)).with_start_time(begun).with_links(links);
        let parent = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(remote(parent)));
        let span = tracer.build_with_context(builder, &parent);
        Some(Self { row, context: parent.with_span(span) })
    }

    /// Where it is, for what follows from it.
    #[must_use]
    pub fn place(&self) -> TraceContext {
        let span = self.context.span();
        let context = span.span_context();
        TraceContext {
            trace: u128::from_be_bytes(context.trace_id().to_bytes()),
            span: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
        }
    }

    /// Sets an attribute of the table.
    pub fn set(&self, attribute: &'static str, value: impl Into<Value>) {
        debug_assert!(self.row.has(attribute), "{} has no {attribute} in the table", self.row.name);
        self.context.span().set_attribute(KeyValue::new(attribute, value));
    }

    /// Sets what people wrote, where that may be shown.
    pub fn set_text(&self, attribute: &'static str, of: &str) {
        if let Some(text) = text(of) {
            self.set(attribute, text);
        }
    }

    /// Marks it as failed: it is sent whatever the ratio. `kind` is one of a closed set; `reason` holds no player text.
    pub fn fail(&self, kind: &'static str, reason: &dyn Display) {
        self.set("error.type", kind);
        self.context.span().set_status(Status::error(reason.to_string()));
    }

    /// Makes it the current one on this thread, for log lines.
    #[must_use]
    pub fn enter(&self) -> ContextGuard {
        self.context.clone().attach()
    }

    /// It ended then.
    pub fn end_at(self, ended: SystemTime) {
        self.context.span().end_with_timestamp(ended);
    }
}

/// Runs `work` within `span`: what it records lies below, what it logs names it.
pub async fn within<T>(span: Option<&Recording>, work: impl Future<Output = T>) -> T {
    match span {
        Some(span) => work.with_context(span.context.clone()).await,
        None => work.await,
    }
}

/// Runs `work` below a span of before, which may have been another process's.
pub async fn below<T>(place: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    match place.filter(|_| on()) {
        Some(place) => work.with_context(Context::new().with_remote_span_context(remote(place))).await,
        None => work.await,
    }
}

/// Sets attributes of the span that is current, where one is recorded.
pub fn annotate<const N: usize>(attributes: impl FnOnce() -> [KeyValue; N]) {
    if on() {
        Context::map_current(|context| context.span().set_attributes(attributes()));
    }
}

fn remote(place: TraceContext) -> SpanContext {
    let flags = if place.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(place.trace), SpanId::from(place.span));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

fn kind(kind: Kind) -> SpanKind {
    match kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Consumer => SpanKind::Consumer,
    }
}
