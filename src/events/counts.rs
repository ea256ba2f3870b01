//! What the metrics are told of committed lines.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use metrics::{Gauge, counter, gauge};

use crate::domain::{EventKind, LogSource, ServerTag};
use crate::telemetry::metrics::{EVENTS_PROCESSED, LAST_EVENT, LINES_UNMATCHED};

/// What one batch adds.
pub(super) struct Counts {
    pub(super) server: ServerTag,
    pub(super) source: LogSource,
    /// How often each event occurred.
    pub(super) events: Vec<(Arc<str>, u64)>,
    /// The time of the log's last line that had one.
    pub(super) last_seen: Option<Timestamp>,
}

impl Counts {
    /// Counts the events.
    pub(super) fn count(&self) {
        for (event, count) in &self.events {
            let labels = [("server", self.server.to_string()), ("event_type", event.to_string())];
            counter!(EVENTS_PROCESSED, &labels).increment(*count);
            if event.as_ref() == EventKind::Unmatched.as_str() {
                let labels = [("server", self.server.to_string()), ("source", self.source.as_str().to_owned())];
                counter!(LINES_UNMATCHED, &labels).increment(*count);
            }
        }
    }
}

/// The newest time in each server's logs.
#[derive(Default)]
pub(super) struct LastEvents(HashMap<ServerTag, (Timestamp, Gauge)>);

impl LastEvents {
    /// Takes note of a line's time. One that lies ahead of `now` is a wrong time zone, and counts as now.
    pub(super) fn note(&mut self, server: &ServerTag, seen: Timestamp, now: Timestamp) {
        let seen = seen.min(now);
        let new = || (Timestamp::UNIX_EPOCH, gauge!(LAST_EVENT, "server" => server.to_string()));
        let (newest, gauge) = self.0.entry(server.clone()).or_insert_with(new);
        if seen > *newest {
            *newest = seen;
            gauge.set(seen.as_duration().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::MetricsExporter;

    #[test]
    fn the_newest_of_a_servers_logs_counts_and_the_future_does_not() {
        let exporter = MetricsExporter::detached();
        let at = |second| Timestamp::from_second(second).unwrap();
        let server = ServerTag::new("prod").unwrap();
        let shown = |seen: &[i64]| {
            exporter.record(|| {
                let mut last = LastEvents::default();
                for seen in seen {
                    last.note(&server, at(*seen), at(1000));
                }
            });
            exporter.value(LAST_EVENT)
        };
        assert_eq!(shown(&[500, 400]), "500");
        assert_eq!(shown(&[500, 900, 5000]), "1000");
    }
}
