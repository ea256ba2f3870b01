//! What `check` says of a good configuration: what would run, and what would be odd about it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::log_probe::LogProbe;
use super::settings::{Destination, PatternSettings, ServerSettings, Settings};
use super::{Loaded, alert_summary};
use crate::domain::LogSource;
use crate::log_format::{Content, LogRole};

/// The summary of a configuration, with the state of its logs at the time it was made.
#[derive(Debug)]
pub struct Summary<'a> {
    settings: &'a Settings,
    /// By server: what it is called, where it is and how it is, for each of its files.
    files: Vec<Vec<(String, PathBuf, LogState)>>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

/// What there is at the path of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LogState {
    Readable { bytes: u64, probe: LogProbe },
    Missing,
    Directory,
    Unreadable(String),
}

impl LogState {
    fn of(path: &Path, patterns: &[&Regex]) -> Self {
        match Self::probe(path, patterns) {
            Ok(state) => state,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    fn probe(path: &Path, patterns: &[&Regex]) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Ok(Self::Directory);
        }
        if !metadata.is_file() {
            return Ok(Self::Unreadable("it is no regular file".to_owned()));
        }
        let bytes = metadata.len();
        Ok(Self::Readable { bytes, probe: LogProbe::read(path, bytes, patterns)? })
    }

    /// What is odd about a log in this state, for its key.
    fn warning(&self, key: &str, path: &Path) -> Option<String> {
        let path = path.display();
        let problem = match self {
            Self::Missing => "is not there yet; it is read as soon as it appears".to_owned(),
            Self::Directory => "is a directory".to_owned(),
            Self::Unreadable(why) => format!("cannot be read: {why}"),
            Self::Readable { bytes, probe } => match (wrong_file(key, *bytes, probe), role_of(key)) {
                (Some(found), _) => format!("is {found}"),
                (None, Some(role)) => return probe.problem(role).map(|problem| format!("{key}: {path}: {problem}")),
                (None, None) => return None,
            },
        };
        Some(format!("{key}: {path} {problem}"))
    }

    fn content(&self) -> Option<&Content> {
        match self {
            Self::Readable { probe, .. } => Some(&probe.content),
            _ => None,
        }
    }
}

/// The role of the log that `key` names; `None` for a file that is no log.
fn role_of(key: &str) -> Option<LogRole> {
    if key.ends_with(".console_log") {
        Some(LogRole::Console)
    } else if key.ends_with(".engine_log") {
        Some(LogRole::Engine)
    } else {
        key.contains(".mod_logs.").then_some(LogRole::Mod)
    }
}

/// The kind of a file that is configured in the place of another kind.
fn wrong_file(key: &str, bytes: u64, probe: &LogProbe) -> Option<&'static str> {
    let (log, metrics) = (key.contains(".mod_logs."), key.ends_with(".prometheus_file"));
    match &probe.content {
        content if (log || metrics) && content.has_console() => Some("a console log: name it as `console_log`"),
        content if (log || metrics) && content.engine > 0 => Some("a factorio-current.log: name it as `engine_log`"),
        _ if probe.metrics && !metrics => Some("a file of metrics: name it as `prometheus_file`"),
        _ if metrics && !probe.metrics && bytes > 0 => {
            Some("no file of metrics: such a file begins with `# HELP` or `# TYPE`")
        }
        _ => None,
    }
}

/// What is odd about the content of a server's console log and engine log, judged together.
fn content_warnings(server: &ServerSettings, files: &[(String, PathBuf, LogState)]) -> Vec<String> {
    let state = |path: &Path| files.iter().find(|(_, known, _)| known == path).and_then(|(.., state)| state.content());
    let console_path = server.console_log.as_path();
    let engine_path = server.engine_log.as_deref().filter(|path| *path != console_path);
    let Some(console) = state(console_path) else { return Vec::new() };
    let advice = Content::judge((console, console_path), engine_path.and_then(state));
    let tag = &server.tag;
    let mut warnings = Vec::new();
    let both = [("console_log", Some(console_path), LogRole::Console), ("engine_log", engine_path, LogRole::Engine)];
    for (key, path, role) in both {
        let text = advice.and_then(|advice| advice.text(role));
        if let (Some(text), Some(path)) = (text, path) {
            warnings.push(format!("servers.{tag}.{key}: {}: {text}", path.display()));
        }
    }
    if advice.is_none() && console.engine > 0 && !console.has_console() {
        warnings.push(format!(
            "servers.{tag}.console_log: {} holds only lines of the engine so far. If it is a capture of the game's \
             standard output, chat will follow; if it is the engine's own log, it never contains chat: start the game \
             with `--console-log FILE` and name that file",
            console_path.display()
        ));
    }
    warnings
}

/// The log files seen so far by device and inode, each with its key: two paths may lead to one file.
#[derive(Default)]
struct Files(HashMap<(u64, u64), String>);

impl Files {
    fn warning(&mut self, key: String, path: &Path) -> Option<String> {
        let file = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
        match self.0.entry((file.dev(), file.ino())) {
            Entry::Vacant(place) => {
                place.insert(key);
                None
            }
            Entry::Occupied(other) => {
                let (path, other) = (path.display(), other.get());
                Some(format!("{key}: {path} is the same file as `{other}`: its lines would be relayed twice"))
            }
        }
    }
}

/// What would keep the relay from starting, as far as it shows without opening the database.
fn database_warning(path: &Path) -> Option<String> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let why = if path.is_dir() {
        "is a directory"
    } else if directory.is_dir() {
        return None;
    } else {
        "cannot be made: its directory does not exist"
    };
    Some(format!("database.path: {} {why}", path.display()))
}

impl fmt::Display for LogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readable { bytes, probe } => match probe.kind() {
                Some(kind) => write!(f, "readable, {bytes} bytes: {kind}"),
                None => write!(f, "readable, {bytes} bytes"),
            },
            Self::Missing => f.write_str("not there yet"),
            Self::Directory => f.write_str("a directory"),
            Self::Unreadable(_) => f.write_str("cannot be read"),
        }
    }
}

/// The files of a server: their keys, what they are called and where they are.
fn files_of(server: &ServerSettings) -> Vec<(String, String, &Path)> {
    let of_log = |(source, path)| match source {
        LogSource::Console => ("console_log".to_owned(), "console log".to_owned(), path),
        LogSource::Engine => ("engine_log".to_owned(), "engine log".to_owned(), path),
        LogSource::Mod(name) => (format!("mod_logs.{}", name.as_str()), format!("mod log {}", name.as_str()), path),
    };
    let metrics = server.prometheus_file.iter();
    let metrics = metrics.map(|file| ("prometheus_file".to_owned(), "metrics file".to_owned(), file.path.as_path()));
    server.logs().map(of_log).chain(metrics).collect()
}

impl<'a> Summary<'a> {
    /// Looks at the logs, too.
    #[must_use]
    pub fn of(loaded: &'a Loaded) -> Self {
        let settings = &loaded.settings;
        let mut warnings = loaded.warnings.clone();
        let mut files = Files::default();
        let patterns: Vec<&Regex> = settings.events.patterns.iter().map(|pattern| &pattern.regex).collect();
        let mut look = |server: &ServerSettings| {
            let mut seen = Vec::new();
            for (key, name, path) in files_of(server) {
                let (state, key) = (LogState::of(path, &patterns), format!("servers.{}.{key}", server.tag));
                warnings.extend(state.warning(&key, path));
                warnings.extend(files.warning(key, path));
                seen.push((name, path.to_owned(), state));
            }
            warnings.extend(content_warnings(server, &seen));
            seen
        };
        let files = settings.servers.iter().map(&mut look).collect();
        warnings.extend(database_warning(&settings.database.path));
        Self { settings, files, notes: Vec::new(), warnings }
    }

    /// The same, with warnings that need more than the configuration.
    #[must_use]
    pub fn with_warnings(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(more);
        self
    }

    /// The same, with facts that are neither good nor bad.
    #[must_use]
    pub fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// The facts of [`Summary::with_notes`].
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What is probably not meant, each a sentence.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn server(&self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let server = &self.settings.servers[index];
        writeln!(f, "Server {} ({})", server.tag, server.name)?;
        for (name, path, state) in &self.files[index] {
            writeln!(f, "  {name:<12} {} ({state})", path.display())?;
        }
        writeln!(f, "  time zone    {}", server.timezone.iana_name().unwrap_or("the system's"))?;
        write!(f, "  channels     default {}", server.channels.default)?;
        for (route, channel) in &server.channels.routes {
            write!(f, ", {} {channel}", route.as_str())?;
        }
        let status = &self.settings.status;
        for (name, channels) in [("status", &status.messages), ("topic", &status.topics)] {
            if let Some(channel) = channels.get(&server.tag) {
                write!(f, ", {name} {channel}")?;
            }
        }
        match &server.rcon {
            None => writeln!(f, "\n  rcon         none")?,
            Some(rcon) => {
                let lua = if rcon.allow_lua { "Lua allowed" } else { "Lua refused" };
                writeln!(f, "\n  rcon         {}:{}, {lua}", rcon.host, rcon.port)?;
            }
        }
        alert_summary::write(f, server)
    }

    fn pattern(f: &mut fmt::Formatter<'_>, pattern: &PatternSettings) -> fmt::Result {
        let what = match (pattern.silence, pattern.channel) {
            (true, _) => "silenced".to_owned(),
            (false, Destination::Route(route)) => format!("to channel {}", route.as_str()),
            (false, Destination::Channel(id)) => format!("to channel {id}"),
        };
        let (id, event, examples) = (&pattern.id, &pattern.event, pattern.examples.len());
        writeln!(f, "Pattern {id}: event {event}, {what}, examples that match: {examples}")
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings;
        (0..settings.servers.len()).try_for_each(|index| self.server(f, index))?;
        settings.events.patterns.iter().try_for_each(|pattern| Self::pattern(f, pattern))?;
        for (kind, changed) in &settings.events.overrides {
            writeln!(f, "Event {kind}: {}", if changed.enabled == Some(false) { "off" } else { "changed" })?;
        }
        writeln!(f, "Discord at {}", settings.discord.api_base.as_deref().unwrap_or("https://discord.com"))?;
        let metrics = if settings.metrics.enabled { "on" } else { "off" };
        writeln!(f, "HTTP on {}, port {}, metrics {metrics}", settings.http.host, settings.http.port)?;
        writeln!(f, "Database at {}", settings.database.path.display())?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_wrong_place_is_told_with_the_right_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let warning = |text: &str, key: &str| {
            std::fs::write(&path, text).unwrap();
            let warning = LogState::of(&path, &[]).warning(key, &path).unwrap_or_default();
            warning.replace(&path.display().to_string(), "FILE")
        };
        let (metrics, log) = ("servers.prod.prometheus_file", "servers.prod.mod_logs.x");
        let console = "2025-07-20 11:18:47 [JOIN] Bob joined the game\n";
        let engine = "   0.000 2025-07-20 11:18:47; Factorio 2.0.55 (build 83138, linux64, headless)\n";
        let prom = "# HELP factorio_tick game tick\n# TYPE factorio_tick gauge\nfactorio_tick 5\n";
        let death = "[FactoriGOChatBot]: \"2852569 [PLAYER_DIED:Mattie]\"\n";
        insta::assert_snapshot!([
            warning(console, log),
            warning(engine, log),
            warning(prom, log),
            warning(prom, "servers.prod.console_log"),
            warning(death, metrics),
            warning(engine, metrics),
        ].join("\n"), @"
        servers.prod.mod_logs.x: FILE is a console log: name it as `console_log`
        servers.prod.mod_logs.x: FILE is a factorio-current.log: name it as `engine_log`
        servers.prod.mod_logs.x: FILE is a file of metrics: name it as `prometheus_file`
        servers.prod.console_log: FILE is a file of metrics: name it as `prometheus_file`
        servers.prod.prometheus_file: FILE is no file of metrics: such a file begins with `# HELP` or `# TYPE`
        servers.prod.prometheus_file: FILE is a factorio-current.log: name it as `engine_log`
        ");
        for (text, key) in [(death, log), (prom, metrics), ("", metrics), (console, "servers.prod.console_log")] {
            assert_eq!(warning(text, key), "", "{key}");
        }
    }

    #[test]
    fn each_state_of_a_log_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        let state = |path: &Path| LogState::of(path, &[]);
        assert_eq!(state(&log), LogState::Missing);
        std::fs::write(&log, "12345").unwrap();
        assert!(matches!(state(&log), LogState::Readable { bytes: 5, .. }));
        assert_eq!(state(dir.path()), LogState::Directory);
        assert!(matches!(state(Path::new("/dev/null")), LogState::Unreadable(_)));
    }
}
