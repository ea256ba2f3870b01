//! Which traces leave: a share of all, and what is linked to one of these. Failures leave by the gate.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// Samples a ratio of the traces, children as their parents. What is not sampled is recorded all the same, so that
/// the gate can let failures through.
#[derive(Debug, Clone)]
pub(super) struct ErrorsAlways(Sampler);

impl ErrorsAlways {
    /// `ratio`: 0 to 1.
    pub(super) fn new(ratio: f64) -> Self {
        Self(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
    }
}

impl ShouldSample for ErrorsAlways {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self.0.should_sample(parent, trace, name, kind, attributes, links);
        // A message goes with its lines: else a ratio of a tenth would leave a hundredth to be followed back.
        if parent.is_none_or(|parent| !parent.has_active_span()) && !links.is_empty() {
            let any = links.iter().any(|link| link.span_context.is_sampled());
            result.decision = if any { SamplingDecision::RecordAndSample } else { SamplingDecision::RecordOnly };
        }
        if result.decision == SamplingDecision::Drop {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}
