//! Log lines on standard error, for people or for machines. Standard output stays free for what commands answer.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::Context;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::json_line::JsonLine;
use super::panic_hook;
use super::recent::RecentErrors;
use super::repeats::{Repeats, Sparing};
use super::traces::Traces;
use crate::config::settings::{LogFormat, LogSettings};

/// Libraries that log more than an operator needs. Both `log.level` and `RUST_LOG` can override it.
const QUIET: &str = "serenity=warn,h2=warn,hyper=warn,reqwest=warn,rustls=warn,sqlx=warn";

static REPEATS: OnceLock<Repeats> = OnceLock::new();

/// Sends the program's log to standard error, panics into the log, and spans to `traces`.
///
/// The filter is `RUST_LOG` where that is set and not empty, else `log.level`.
///
/// # Errors
/// When the filter cannot be read, or a log is set up already.
pub fn init(settings: &LogSettings, traces: Option<&Traces>) -> anyhow::Result<()> {
    let rust_log = std::env::var("RUST_LOG").ok();
    let filter = choose_filter(settings, rust_log.as_deref())?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let repeats = Repeats::new();
    let logged = lines(settings.format, filter, repeats.clone(), colour, std::io::stderr);
    tracing_subscriber::registry()
        .with(traces.map(Traces::layer))
        .with(logged)
        .with(RecentErrors::of_the_process().layer())
        .try_init()
        .context("the log is set up already")?;
    panic_hook::install();
    repeats.sweep_in_background().context("Cannot start the thread that counts repeated failures")?;
    REPEATS.get_or_init(|| repeats);
    Ok(())
}

/// Says how often failures were repeated and not logged, before the program ends.
pub fn tell_repeats() {
    REPEATS.get().iter().for_each(|repeats| repeats.tell(true));
}

/// Reads a filter as `log.level` has it: `info`, or `info,factorio_isr::tail=debug`.
///
/// # Errors
/// When it has a level or a form that does not exist.
pub fn parse_filter(directives: &str) -> anyhow::Result<EnvFilter> {
    // The later directive wins, so the operator's come last.
    let all = format!("{QUIET},{directives}");
    EnvFilter::builder().parse(all).with_context(|| format!("`{directives}` is no log filter"))
}

fn choose_filter(settings: &LogSettings, rust_log: Option<&str>) -> anyhow::Result<EnvFilter> {
    match rust_log.filter(|directives| !directives.trim().is_empty()) {
        Some(directives) => parse_filter(directives).context("in the environment variable RUST_LOG"),
        None => parse_filter(&settings.level).context("in log.level"),
    }
}

/// The JSON form is [`JsonLine`]'s.
fn lines<S, W>(
    format: LogFormat,
    filter: EnvFilter,
    repeats: Repeats,
    colour: bool,
    writer: W,
) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // A failed write, as to a terminal that was closed, would be reported by a print to the same place, which panics.
    let layer = fmt::layer().with_writer(writer).with_ansi(colour).log_internal_errors(false);
    let lines: Box<dyn Layer<S> + Send + Sync> = match format {
        LogFormat::Console => layer.event_format(Sparing { format: fmt::format(), repeats }).boxed(),
        LogFormat::Json => {
            layer.fmt_fields(JsonFields::new()).event_format(Sparing { format: JsonLine, repeats }).boxed()
        }
    };
    lines.with_filter(filter.and(filter_fn(has_no_secrets)))
}

/// Libraries whose log lines hold secrets are never logged, whatever the filter says.
///
/// The exporter of traces logs addresses with passwords (its failures are logged once by our own code), and tungstenite
/// logs whole frames: IDENTIFY has the bot token.
fn has_no_secrets(metadata: &Metadata<'_>) -> bool {
    let secretive = ["opentelemetry", "tungstenite", "tokio_tungstenite"];
    !secretive.iter().any(|library| metadata.target().starts_with(library))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

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

    /// What stands in the log after `said`.
    fn logged(format: LogFormat, filter: EnvFilter, said: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber =
            tracing_subscriber::registry().with(lines(format, filter, Repeats::new(), false, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, said);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    fn settings(level: &str) -> LogSettings {
        LogSettings { format: LogFormat::Console, level: level.to_owned() }
    }

    fn say_one_of_each() {
        tracing::debug!("Ours, a detail");
        tracing::info!("Ours, a change");
        tracing::info!(target: "serenity::http", "Theirs, a change");
        tracing::warn!(target: "serenity::http", "Theirs, a warning");
    }

    fn messages(filter: EnvFilter) -> Vec<String> {
        let text = logged(LogFormat::Console, filter, say_one_of_each);
        text.lines().map(|line| line.rsplit(": ").next().unwrap().to_owned()).collect()
    }

    #[test]
    fn libraries_speak_only_when_it_matters() {
        let filter = choose_filter(&settings("info"), None).unwrap();
        assert_eq!(messages(filter), ["Ours, a change", "Theirs, a warning"]);
    }

    #[test]
    fn the_operator_can_make_a_library_speak() {
        let filter = choose_filter(&settings("warn,serenity=info"), None).unwrap();
        assert_eq!(messages(filter), ["Theirs, a change", "Theirs, a warning"]);
    }

    #[test]
    fn no_filter_makes_a_library_log_its_secrets() {
        let both = || {
            tracing::debug!(target: "opentelemetry-otlp", url = "http://user:password@collector", "Sent");
            tracing::trace!(target: "tungstenite::protocol", "Sending frame: Bot token");
        };
        let filter = parse_filter("trace,opentelemetry-otlp=trace,tungstenite=trace").unwrap();
        assert_eq!(logged(LogFormat::Console, filter, both), "");
    }

    #[test]
    fn rust_log_wins_over_the_configuration() {
        let filter = choose_filter(&settings("error"), Some("debug")).unwrap();
        assert_eq!(messages(filter), ["Ours, a detail", "Ours, a change", "Theirs, a warning"]);
        let filter = choose_filter(&settings("info"), Some("")).unwrap();
        assert_eq!(messages(filter), ["Ours, a change", "Theirs, a warning"]);
    }

    #[test]
    fn a_filter_that_cannot_be_read_names_its_place() {
        let error = choose_filter(&settings("loud=louder"), None).unwrap_err();
        assert!(format!("{error:#}").starts_with("in log.level: `loud=louder` is no log filter"), "{error:#}");
        let error = choose_filter(&settings("info"), Some("a=b=c")).unwrap_err();
        assert!(format!("{error:#}").starts_with("in the environment variable RUST_LOG: "), "{error:#}");
    }

    #[test]
    fn a_json_line_has_its_fields_side_by_side() {
        let text = logged(LogFormat::Json, parse_filter("info").unwrap(), || {
            let _in_task = tracing::info_span!("task", task = "tail").entered();
            tracing::info!(server = "prod", lines = 3, "Log opened");
        });
        let mut line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        let at = line["timestamp"].take();
        assert!(at.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{at}");
        let expected = serde_json::json!({
            "timestamp": null,
            "level": "INFO",
            "target": "factorio_isr::telemetry::logging::tests",
            "message": "Log opened",
            "server": "prod",
            "lines": 3,
            "span": {"name": "task", "task": "tail"},
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_line_break_in_a_field_makes_no_second_json_line() {
        let text = logged(LogFormat::Json, parse_filter("info").unwrap(), || {
            tracing::info!(reason = "one\ntwo", "Refused");
        });
        assert_eq!(text.lines().count(), 1);
    }
}
