//! The recorder behind the `metrics` macros, and what a scrape reads.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use metrics::{Label, with_local_recorder};
use metrics_process::Collector;

use super::exposition::write_family;
use super::metrics::{BUILD_INFO, COMPONENT_STATUS, Kind, METRICS, READY, UPTIME};
use super::pulse::{Pulse, Tapped};
use super::recorder::Recorder;
use super::runtime;
use super::series::{ServerSeries, preregister};
use crate::health::{Component, LifecycleFacts, Readiness, States, worst_part};

/// More than the runtime's few metrics take.
const ROOM_FOR_RUNTIME: usize = 1024;

/// The exporter of this process, once installed.
static INSTALLED: Mutex<Option<MetricsExporter>> = Mutex::new(None);

/// Knows every metric of the table and writes them in the Prometheus text format 0.0.4. Clones share all.
#[derive(Clone)]
pub struct MetricsExporter(Arc<Inner>);

struct Inner {
    recorder: Arc<Tapped<Recorder>>,
    pulse: Pulse,
    process: Collector,
    extension: Mutex<Option<Extension>>,
}

/// Adds to what the games say of themselves: given the text of that, it answers with the whole.
pub type Extension = Arc<dyn Fn(String) -> String + Send + Sync>;

impl std::fmt::Debug for MetricsExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsExporter")
    }
}

impl MetricsExporter {
    /// The exporter behind the macros of the whole process. Asked again, it is the same one.
    ///
    /// # Errors
    /// When another recorder is installed already.
    pub fn install() -> anyhow::Result<Self> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(exporter) = &*installed {
            return Ok(exporter.clone());
        }
        let exporter = Self::detached();
        metrics::set_global_recorder(Arc::clone(&exporter.0.recorder))
            .context("cannot install the metrics recorder")?;
        Ok(installed.insert(exporter).clone())
    }

    /// An exporter that hears only what is said in [`Self::record`]: for tests.
    #[must_use]
    pub fn detached() -> Self {
        let pulse = Pulse::default();
        let recorder = Arc::new(pulse.tap(Recorder::default()));
        let (process, extension) = (Collector::default(), Mutex::default());
        let exporter = Self(Arc::new(Inner { recorder, pulse, process, extension }));
        exporter.record(|| describe_all(&exporter.0.process));
        exporter
    }

    /// Runs `said` so that the macros in it reach this exporter, global or not. It must not await.
    pub fn record<T>(&self, said: impl FnOnce() -> T) -> T {
        with_local_recorder(&*self.0.recorder, said)
    }

    /// What the relay does, as the status page shows it.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    /// Lets the series of the configured servers exist at zero, before anything happens.
    pub fn preregister(&self, servers: &[ServerSeries]) {
        self.record(|| preregister(servers));
    }

    /// What a scrape reads now, with what the games say of themselves in the same format.
    #[must_use]
    pub fn scrape(&self, facts: &LifecycleFacts, states: &States, games: String) -> String {
        let mut text = String::new();
        self.scrape_into(&mut text, facts, states, games);
        text
    }

    /// The same, behind what `text` has. Uptime, components and the process are looked at here and nowhere else.
    pub fn scrape_into(&self, text: &mut String, facts: &LifecycleFacts, states: &States, games: String) {
        self.record(|| self.look_around(facts, states));
        let extension = self.0.extension.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Before the rest is written, for it counts.
        let games = match extension {
            Some(extension) => self.record(|| extension(games)),
            None => games,
        };
        self.0.recorder.inner().render(text, games.len() + ROOM_FOR_RUNTIME);
        for family in runtime::families() {
            write_family(text, &family);
        }
        text.push_str(&games);
    }

    fn look_around(&self, facts: &LifecycleFacts, states: &States) {
        metrics::gauge!(UPTIME).set(facts.uptime.as_secs_f64());
        for component in Component::ALL {
            if let Some(part) = worst_part(states, component) {
                let works = f64::from(u8::from(part.state.works()));
                metrics::gauge!(COMPONENT_STATUS, "component" => component.as_str()).set(works);
            }
        }
        metrics::gauge!(READY).set(f64::from(u8::from(Readiness::of(facts, states).ready)));
        self.0.process.collect();
    }

    /// The value of the only series of this name, as it is scraped.
    #[cfg(test)]
    pub(crate) fn value(&self, name: &str) -> String {
        let mut text = String::new();
        self.0.recorder.inner().render(&mut text, 0);
        let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
    }

    /// Lets `extension` add to every scrape, in place of the one before.
    pub fn extend(&self, extension: Extension) {
        *self.0.extension.lock().unwrap_or_else(PoisonError::into_inner) = Some(extension);
    }
}

fn describe_all(process: &Collector) {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    process.describe();
    let version = vec![Label::from_static_parts("version", env!("CARGO_PKG_VERSION"))];
    metrics::gauge!(BUILD_INFO, version).set(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{LogSource, ServerTag};
    use crate::health::{HealthRegistry, Lifecycle};

    fn scrape(exporter: &MetricsExporter) -> String {
        exporter.scrape(&Lifecycle::new().facts(), &HealthRegistry::new().snapshot(), String::new())
    }

    /// One sample for every row of the table.
    fn touch_every_row() {
        for metric in METRICS {
            let labels: Vec<Label> = metric.labels.iter().map(|label| Label::new(*label, "x")).collect();
            match metric.kind {
                Kind::Counter => metrics::counter!(metric.name, labels).increment(1),
                Kind::Gauge => metrics::gauge!(metric.name, labels).set(1.0),
                Kind::Histogram(_) => metrics::histogram!(metric.name, labels).record(1.0),
            }
        }
    }

    #[test]
    fn every_row_of_the_table_has_its_help_and_type() {
        let exporter = MetricsExporter::detached();
        exporter.record(touch_every_row);
        let text = scrape(&exporter);
        for metric in METRICS {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
            assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
        }
    }

    #[test]
    fn nothing_is_a_summary_or_without_help() {
        let exporter = MetricsExporter::detached();
        exporter.record(touch_every_row);
        let text = scrape(&exporter);
        let types: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(types.iter().any(|line| line.starts_with("process_")), "the process is looked at");
        for line in types {
            let (name, kind) = line.split_once(' ').unwrap();
            assert_ne!(kind, "summary", "{name}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
    }

    #[test]
    fn fixed_buckets_are_the_contracts() {
        let exporter = MetricsExporter::detached();
        exporter.record(touch_every_row);
        let text = scrape(&exporter);
        let bounds = |prefix: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with(prefix));
            lines.map(|line| line.split("le=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
        };
        let discord = ["0.01", "0.05", "0.1", "0.5", "1", "2", "5", "+Inf"];
        assert_eq!(bounds("factorio_isr_discord_api_latency_seconds_bucket"), discord);
        let rcon = ["0.01", "0.1", "0.5", "1", "5", "10", "+Inf"];
        assert_eq!(bounds("factorio_isr_rcon_command_latency_seconds_bucket"), rcon);
    }

    #[test]
    fn series_of_a_configured_server_stand_at_zero() {
        let exporter = MetricsExporter::detached();
        let server = ServerSeries {
            tag: ServerTag::new("prod").unwrap(),
            logs: vec![LogSource::Console],
            rcon: true,
            lua: false,
            prometheus_file: false,
            alerts: Vec::new(),
            events: vec!["boss_fight".into()],
        };
        exporter.preregister(&[server]);
        let text = scrape(&exporter);
        for series in [
            r#"factorio_isr_events_processed_total{server="prod",event_type="chat"} 0"#,
            r#"factorio_isr_events_processed_total{server="prod",event_type="boss_fight"} 0"#,
            r#"factorio_isr_lines_read_total{server="prod",source="console"} 0"#,
            r#"factorio_isr_errors_total{component="discord",error_type="auth"} 0"#,
            r#"factorio_isr_deliveries_total{outcome="rejected"} 0"#,
            r#"factorio_isr_outbox_depth{lane="alert"} 0"#,
            r#"factorio_isr_rcon_command_latency_seconds_count{server="prod"} 0"#,
            "factorio_isr_discord_api_latency_seconds_count 0",
        ] {
            assert!(text.lines().any(|line| line == series), "{series}\n{text}");
        }
        assert!(!text.contains(r#"source="engine""#), "this server has no engine log");
    }

    #[test]
    fn a_scrape_sees_components_as_they_are_now() {
        let exporter = MetricsExporter::detached();
        let (life, health) = (Lifecycle::new(), HealthRegistry::new());
        let discord = health.component(Component::Discord);
        let series = |value| format!("factorio_isr_component_status{{component=\"discord\"}} {value}");
        discord.degraded("slow");
        assert!(exporter.scrape(&life.facts(), &health.snapshot(), String::new()).contains(&series(1)));
        discord.unhealthy("refused");
        let text = exporter.scrape(&life.facts(), &health.snapshot(), String::new());
        assert!(text.contains(&series(0)));
        assert!(!text.contains(r#"component="rcon""#), "nobody reports for RCON\n");
        assert!(text.contains("factorio_isr_uptime_seconds "));
        assert!(text.contains(&format!("factorio_isr_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
    }

    #[test]
    fn installed_twice_is_installed_once() {
        let (first, second) = (MetricsExporter::install().unwrap(), MetricsExporter::install().unwrap());
        metrics::counter!("factorio_isr_test_total").increment(3);
        assert!(scrape(&first).contains("factorio_isr_test_total 3"));
        assert!(Arc::ptr_eq(&first.0, &second.0));
    }
}
