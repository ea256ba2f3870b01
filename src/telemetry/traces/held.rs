//! Spans that the ratio leaves out, kept for a while: a failure that comes late takes the rest of its trace along.

use std::collections::{HashSet, VecDeque};

use opentelemetry::trace::{Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

/// How many spans are kept, and how many traces are remembered as failed.
pub(super) const KEPT: usize = 1024;

/// The last spans that were left out, the oldest first, and the last traces in which something failed.
#[derive(Debug, Default)]
pub(super) struct Held {
    spans: VecDeque<SpanData>,
    failed: VecDeque<TraceId>,
    known: HashSet<TraceId>,
}

impl Held {
    /// What leaves after all, now that this span has ended: nothing, or what is known of the traces it belongs to.
    pub(super) fn ended(&mut self, span: SpanData) -> Vec<SpanData> {
        let fails = matches!(span.status, Status::Error { .. });
        if !fails && (self.known.is_empty() || !traces(&span).any(|trace| self.known.contains(&trace))) {
            self.keep(span);
            return Vec::new();
        }
        let wanted: HashSet<TraceId> = traces(&span).collect();
        if fails {
            for trace in &wanted {
                self.remember(*trace);
            }
        }
        let mut leaving = self.take(&wanted);
        leaving.push(span);
        leaving
    }

    fn take(&mut self, wanted: &HashSet<TraceId>) -> Vec<SpanData> {
        let is_wanted = |span: &SpanData| wanted.contains(&span.span_context.trace_id());
        let (leaving, kept): (VecDeque<_>, VecDeque<_>) = self.spans.drain(..).partition(is_wanted);
        self.spans = kept;
        leaving.into()
    }

    fn keep(&mut self, span: SpanData) {
        if self.spans.len() == KEPT {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
    }

    fn remember(&mut self, trace: TraceId) {
        if !self.known.insert(trace) {
            return;
        }
        self.failed.push_back(trace);
        if self.failed.len() > KEPT
            && let Some(oldest) = self.failed.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// The span's own trace, and those it is linked to: a message and its lines.
fn traces(span: &SpanData) -> impl Iterator<Item = TraceId> {
    let linked = span.links.iter().map(|link| link.span_context.trace_id());
    std::iter::once(span.span_context.trace_id()).chain(linked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_without_end_are_forgotten_too() {
        let mut held = Held::default();
        for trace in 1..=2 * KEPT as u128 {
            held.remember(trace.into());
        }
        assert_eq!((held.failed.len(), held.known.len()), (KEPT, KEPT));
        assert!(!held.known.contains(&1.into()) && held.known.contains(&(2 * KEPT as u128).into()));
    }
}
