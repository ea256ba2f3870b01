use metrics::{counter, gauge, histogram};

use super::*;
use crate::telemetry::MetricsExporter;
use crate::telemetry::metrics::{
    DELIVERIES, ERRORS, EVENTS_PROCESSED, LINES_READ, OUTBOX_DEPTH, OUTBOX_OLDEST, RATE_LIMITED, RCON_LATENCY,
    RELAY_LATENCY,
};

/// A pulse whose seconds pass when they are told to.
struct Clockwork {
    exporter: MetricsExporter,
    at: Instant,
}

impl Clockwork {
    fn new() -> Self {
        let clockwork = Self { exporter: MetricsExporter::detached(), at: Instant::now() };
        clockwork.exporter.pulse().sample_at(clockwork.at);
        clockwork
    }

    /// `seconds` pass; in each of them this is said.
    fn pass(&mut self, seconds: usize, said: impl Fn()) {
        for _ in 0..seconds {
            self.exporter.record(&said);
            self.at += SAMPLE_INTERVAL;
            self.exporter.pulse().sample_at(self.at);
        }
    }

    fn view(&self) -> PulseView {
        self.exporter.pulse().view()
    }
}

#[test]
fn what_is_counted_anywhere_is_in_the_pulse() {
    let mut clockwork = Clockwork::new();
    clockwork.pass(1, || {
        counter!(LINES_READ, "server" => "a", "source" => "console").increment(3);
        counter!(LINES_READ, "server" => "b", "source" => "engine").increment(4);
        counter!(EVENTS_PROCESSED, "server" => "a", "event_type" => "chat").increment(2);
        for (outcome, count) in [("delivered", 5), ("retry", 6), ("rejected", 7)] {
            counter!(DELIVERIES, "outcome" => outcome).increment(count);
        }
        counter!(RATE_LIMITED, "scope" => "user").increment(8);
        gauge!(OUTBOX_DEPTH, "lane" => "chat").set(9.0);
        gauge!(OUTBOX_DEPTH, "lane" => "alert").set(1.0);
        gauge!(OUTBOX_OLDEST).set(2.5);
    });
    let view = clockwork.view();
    let totals = Totals { lines: 7, events: 2, delivered: 5, retried: 6, rejected: 7, limited: 8 };
    assert_eq!((view.totals, view.recently), (totals, totals));
    assert_eq!((view.depth, view.oldest), (10.0, Duration::from_millis(2500)));
    let text = clockwork.exporter.scrape(
        &crate::health::Lifecycle::new().facts(),
        &crate::health::HealthRegistry::new().snapshot(),
        String::new(),
    );
    assert!(text.contains("factorio_isr_deliveries_total{outcome=\"rejected\"} 7\n"), "and still in the metrics");
    assert!(text.contains("factorio_isr_outbox_depth{lane=\"chat\"} 9\n"));
}

#[test]
fn a_rate_is_that_of_the_last_seconds_and_ends_with_them() {
    let mut clockwork = Clockwork::new();
    clockwork.pass(10, || counter!(LINES_READ, "server" => "a", "source" => "console").increment(20));
    assert!((clockwork.view().lines_now - 20.0).abs() < 1e-9);
    clockwork.pass(10, || {});
    assert!(clockwork.view().lines_now.abs() < 1e-9);
    assert_eq!(clockwork.view().curves.lines, [20.0, 20.0, 0.0, 0.0]);
}

#[test]
fn latencies_are_of_the_last_minutes_alone() {
    let mut clockwork = Clockwork::new();
    clockwork.pass(1, || {
        histogram!(RELAY_LATENCY).record_many(30.0, 1000);
        histogram!(RCON_LATENCY, "server" => "a").record(0.004);
    });
    let view = clockwork.view();
    assert_eq!((view.relay.unwrap().count, view.rcon.unwrap().count), (1000, 1));
    assert!(view.relay.unwrap().p99 > Duration::from_secs(29));
    clockwork.pass(300, || histogram!(RELAY_LATENCY).record(0.2));
    let view = clockwork.view();
    assert!(view.relay.unwrap().p99 < Duration::from_secs(1), "{:?}", view.relay);
    assert_eq!(view.rcon, None);
}

#[test]
fn a_pulse_of_days_is_no_longer_than_one_of_minutes() {
    let mut clockwork = Clockwork::new();
    clockwork.pass(5_000, || {});
    let curves = clockwork.view().curves;
    for curve in [curves.lines, curves.delivered, curves.depth, curves.relay] {
        assert_eq!(curve.len(), Pulse::POINTS);
    }
}

#[test]
fn a_machine_that_slept_has_no_burst() {
    let mut clockwork = Clockwork::new();
    clockwork.at += Duration::from_hours(1);
    clockwork.pass(1, || counter!(LINES_READ, "server" => "a", "source" => "console").increment(3600));
    assert!(clockwork.view().lines_now <= 1.0);
}

#[test]
fn failures_are_counted_by_component_and_kind_with_the_time_of_the_last() {
    let begun = jiff::Timestamp::now().as_millisecond();
    let mut clockwork = Clockwork::new();
    clockwork.pass(2, || {
        counter!(ERRORS, "component" => "discord", "error_type" => "auth").increment(1);
        counter!(ERRORS, "component" => "store", "error_type" => "io").increment(0);
    });
    let errors = clockwork.view().errors;
    let [(of, (count, last))] = &errors.into_iter().collect::<Vec<_>>()[..] else { panic!("one kind of failure") };
    assert_eq!((of.0.as_str(), of.1.as_str(), *count), ("discord", "auth", 2));
    assert!((begun..=jiff::Timestamp::now().as_millisecond()).contains(&last.as_millisecond()), "{last}");
}
