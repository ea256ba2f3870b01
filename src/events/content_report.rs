//! Reports logs whose content is not what the configuration says.

use std::collections::HashMap;
use std::path::PathBuf;

use tracing::{info, warn};

use super::pipeline::Track;
use crate::config::settings::ServerSettings;
use crate::domain::{LogSource, ServerTag};
use crate::health::{Component, ComponentHandle, HealthRegistry};
use crate::log_format::{Advice, Content, LogRole};

/// The topic of the notes in the health of a log.
const TOPIC: &str = "content";

type LogKey = (ServerTag, LogSource);

/// One log.
struct Log {
    source: LogSource,
    path: PathBuf,
    handle: Option<ComponentHandle>,
    /// What was reported last.
    problem: Option<String>,
}

/// The logs of all servers.
pub(super) struct ContentReport(HashMap<ServerTag, Vec<Log>>);

impl ContentReport {
    pub(super) fn new(servers: &[ServerSettings]) -> Self {
        let logs = |server: &ServerSettings| {
            let log = |(source, path): (LogSource, &std::path::Path)| Log {
                source,
                path: path.to_owned(),
                handle: None,
                problem: None,
            };
            server.logs().map(log).collect()
        };
        Self(servers.iter().map(|server| (server.tag.clone(), logs(server))).collect())
    }

    pub(super) fn servers(&self) -> Vec<ServerTag> {
        self.0.keys().cloned().collect()
    }

    /// From now on problems are notes of the logs in `registry`.
    pub(super) fn report_to(&mut self, registry: &HealthRegistry) {
        for (server, logs) in &mut self.0 {
            for log in logs {
                log.handle = Some(registry.server_part(Component::LogTailer, server, log.source.as_str()));
            }
        }
    }

    /// Looks at what is known of a server's logs now, and reports what changed.
    pub(super) fn update(&mut self, server: &ServerTag, tracks: &mut HashMap<LogKey, Track>) {
        let Some(logs) = self.0.get_mut(server) else { return };
        let advice = advice(server, logs, tracks);
        for log in logs {
            let Some(track) = tracks.get_mut(&(server.clone(), log.source)) else { continue };
            let role = role(log.source);
            let unknown = track.holding.problem(track.interpreter.recognition(), role);
            let problem = unknown.or_else(|| advice.and_then(|advice| advice.text(role)).map(str::to_owned));
            log.report(server, problem);
        }
    }
}

impl Log {
    fn report(&mut self, server: &ServerTag, problem: Option<String>) {
        if problem == self.problem {
            return;
        }
        let shown = problem.as_ref().map(|problem| format!("{}: {problem}", self.path.display()));
        // The number of lines in it changes; the kind of problem does not.
        let new = self.problem.is_none();
        match &shown {
            Some(reason) if new => {
                warn!(%server, source = self.source.as_str(), reason, "Log content is not what its key says");
            }
            None => info!(%server, source = self.source.as_str(), "Log content recognised"),
            Some(_) => {}
        }
        if let Some(handle) = &self.handle {
            handle.note(TOPIC, shown);
        }
        self.problem = problem;
    }
}

fn advice(server: &ServerTag, logs: &[Log], tracks: &mut HashMap<LogKey, Track>) -> Option<Advice> {
    let mut content = |source: LogSource| -> Option<Content> {
        let track = tracks.get_mut(&(server.clone(), source))?;
        Some(track.interpreter.recognition().content.clone())
    };
    let path = |source: LogSource| logs.iter().find(|log| log.source == source).map(|log| &log.path);
    let console_path = path(LogSource::Console)?;
    let console = content(LogSource::Console)?;
    let engine = content(LogSource::Engine).filter(|_| path(LogSource::Engine) != Some(console_path));
    Content::judge((&console, console_path), engine.as_ref())
}

fn role(source: LogSource) -> LogRole {
    match source {
        LogSource::Console => LogRole::Console,
        LogSource::Engine => LogRole::Engine,
        LogSource::Mod(_) => LogRole::Mod,
    }
}
