//! Failures that repeat: the first is logged at once, the others of a minute are counted, and their number is logged
//! when the minute is over.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use metrics::counter;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::metrics::LOG_SUPPRESSED;

/// How long the same is not said again.
const WINDOW: Duration = Duration::from_mins(1);
/// How often ended windows are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// Failures that are told apart at a time; more of one kind are taken together.
const KEYS: usize = 512;
/// Different reasons of one failure that are said at once.
const REASONS: usize = 4;
/// How much of a text is kept for the summary.
const KEPT_CHARS: usize = 200;
/// Fields that say whose failure it is.
const WHOSE: [&str; 11] =
    ["server", "source", "component", "task", "channel", "command", "section", "at", "kind", "path", "stage"];
/// Fields that say why.
const WHY: [&str; 2] = ["error", "reason"];
/// The summaries' own, which are never held back.
const TARGET: &str = "factorio_isr::telemetry::repeats";

/// Holds repeated warnings and errors back. Clones share what they know.
#[derive(Debug, Clone)]
pub(super) struct Repeats {
    window: Duration,
    known: Arc<Mutex<HashMap<Key, Repeated>>>,
}

/// Where in the code, and whose failure.
type Key = (Identifier, u64);

/// A failure that was said, and how often it has happened since.
#[derive(Debug)]
struct Repeated {
    since: Instant,
    level: Level,
    target: &'static str,
    what: Said,
    reasons: Vec<u64>,
    times: u64,
}

/// The fields of an event that matter here.
#[derive(Debug, Default, Clone)]
struct Said {
    message: String,
    server: Option<String>,
    reason: String,
    whose: DefaultHasher,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        let mut text = String::new();
        if name == "message" || WHY.contains(&name) || WHOSE.contains(&name) {
            // A text never fails to be written.
            write!(text, "{value:?}").ok();
        }
        match name {
            "message" => self.message = short(&text),
            why if WHY.contains(&why) => self.reason = short(&text),
            whose if WHOSE.contains(&whose) => {
                (whose, &text).hash(&mut self.whose);
                if whose == "server" {
                    self.server = Some(text.trim_matches('"').to_owned());
                }
            }
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

fn short(text: &str) -> String {
    text.chars().take(KEPT_CHARS).collect()
}

impl Repeats {
    pub(super) fn new() -> Self {
        Self { window: WINDOW, known: Arc::default() }
    }

    /// Logs the summaries, from a thread of its own, for as long as this or a clone of it is there: whoever logs does
    /// not wait, and one that logs nothing more is told of all the same.
    pub(super) fn sweep_in_background(&self) -> std::io::Result<()> {
        let (known, window): (Weak<_>, _) = (Arc::downgrade(&self.known), self.window);
        let sweep = move || {
            while let Some(known) = known.upgrade() {
                Self { window, known }.tell(false);
                thread::park_timeout(SWEEP);
            }
        };
        thread::Builder::new().name("log-repeats".to_owned()).spawn(sweep).map(drop)
    }

    /// Logs what was held back in windows that have ended, or in all of them.
    pub(super) fn tell(&self, all: bool) {
        for (level, target, said, times, seconds) in self.take(all) {
            let Said { message, server, reason, .. } = said;
            let reason = Some(reason).filter(|reason| !reason.is_empty());
            if level == Level::ERROR {
                tracing::error!(
                    target: TARGET, server, reason, of = target, times, seconds,
                    "Repeated {times} times in {seconds} s: {message}"
                );
            } else {
                tracing::warn!(
                    target: TARGET, server, reason, of = target, times, seconds,
                    "Repeated {times} times in {seconds} s: {message}"
                );
            }
        }
    }

    /// What is to be told. A failure that went on is held back for another window; one that did not is forgotten.
    fn take(&self, all: bool) -> Vec<(Level, &'static str, Said, u64, u64)> {
        let mut told = Vec::new();
        self.known().retain(|_, repeated| {
            let age = repeated.since.elapsed();
            if age < self.window && !all {
                return true;
            }
            let times = std::mem::take(&mut repeated.times);
            if times == 0 {
                return false;
            }
            let seconds = age.as_secs().max(1);
            told.push((repeated.level, repeated.target, repeated.what.clone(), times, seconds));
            repeated.since = Instant::now();
            repeated.reasons.truncate(1);
            true
        });
        told
    }

    /// Whether the failure is to be logged now.
    fn admit(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        let mut said = Said::default();
        event.record(&mut said);
        let mut reason = DefaultHasher::new();
        said.reason.hash(&mut reason);
        let reason = reason.finish();
        let mut known = self.known();
        let key = (metadata.callsite(), said.whose.finish());
        let key = if known.len() < KEYS || known.contains_key(&key) { key } else { (metadata.callsite(), 0) };
        if let Some(repeated) = known.get_mut(&key) {
            if repeated.reasons.len() < REASONS && !repeated.reasons.contains(&reason) {
                repeated.reasons.push(reason);
                return true;
            }
            repeated.times += 1;
            repeated.what.reason = said.reason;
            return false;
        }
        let (level, target) = (*metadata.level(), metadata.target());
        let first = Repeated { since: Instant::now(), level, target, what: said, reasons: vec![reason], times: 0 };
        known.insert(key, first);
        true
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Repeated>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_failure(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN && metadata.target() != TARGET
}

/// A format that leaves out what repeats. A filter cannot: `tracing-subscriber` does not expect one to decide by the
/// fields of an event and lets the next event suffer for it.
#[derive(Debug, Clone)]
pub(super) struct Sparing<F> {
    pub(super) format: F,
    pub(super) repeats: Repeats,
}

impl<S, N, F> FormatEvent<S, N> for Sparing<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if !is_failure(event.metadata()) || self.repeats.admit(event) {
            return self.format.format_event(context, writer, event);
        }
        let level = if *event.metadata().level() == Level::ERROR { "error" } else { "warn" };
        counter!(LOG_SUPPRESSED, "level" => level).increment(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::fmt::format;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are logged while `said` runs.
    fn logged(repeats: &Repeats, said: impl FnOnce()) -> Vec<String> {
        let sink = Sink::default();
        let writer = sink.clone();
        let format = Sparing { format: format(), repeats: repeats.clone() };
        let layer = tracing_subscriber::fmt::layer().event_format(format).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, said);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }

    fn fail(server: &str, reason: &str) {
        tracing::warn!(server, reason, "The log is not read");
    }

    #[test]
    fn the_first_is_said_at_once_and_the_others_as_a_number() {
        let repeats = Repeats::new();
        let lines = logged(&repeats, || {
            (0..58).for_each(|_| fail("prod", "no disk"));
            repeats.tell(false);
            repeats.tell(true);
            repeats.tell(true);
        });
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].contains("The log is not read") && !lines[0].contains("Repeated"), "{lines:#?}");
        assert!(lines[1].contains("Repeated 57 times in 1 s: The log is not read"), "{lines:#?}");
        assert!(lines[1].contains("prod") && lines[1].contains("no disk") && lines[1].contains("WARN"), "{lines:#?}");
    }

    #[test]
    fn other_servers_and_other_reasons_are_news() {
        let lines = logged(&Repeats::new(), || {
            for _ in 0..3 {
                fail("prod", "no disk");
                fail("test", "no disk");
                fail("prod", "no access");
            }
        });
        assert_eq!(lines.len(), 3, "{lines:#?}");
    }

    #[test]
    fn reasons_without_end_are_not() {
        let repeats = Repeats::new();
        let lines = logged(&repeats, || {
            (0..100).for_each(|n| fail("prod", &format!("waited {n} ms")));
            repeats.tell(true);
        });
        assert_eq!(lines.len(), REASONS + 1, "{lines:#?}");
        assert!(lines[REASONS].contains("Repeated 96 times") && lines[REASONS].contains("waited 99 ms"), "{lines:#?}");
    }

    #[test]
    fn a_failure_that_stopped_is_news_when_it_comes_again() {
        let repeats = Repeats { window: Duration::ZERO, ..Repeats::new() };
        let lines = logged(&repeats, || {
            fail("prod", "no disk");
            repeats.tell(false);
            fail("prod", "no disk");
        });
        assert_eq!(lines.len(), 2, "{lines:#?}");
    }

    #[test]
    fn a_flood_of_different_failures_costs_no_more_memory_than_a_table() {
        let repeats = Repeats::new();
        let lines = logged(&repeats, || (0..10_000).for_each(|n| fail(&format!("server-{n}"), "no disk")));
        assert!(repeats.known().len() <= KEYS + 1);
        assert!(lines.len() <= KEYS + 1, "{}", lines.len());
    }

    #[test]
    fn what_is_no_failure_is_never_held_back() {
        let lines = logged(&Repeats::new(), || (0..5).for_each(|_| tracing::info!(server = "prod", "Log opened")));
        assert_eq!(lines.len(), 5);
    }
}
