//! What `check` says of a good configuration: what would run, and what would be odd about it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::settings::{Destination, PatternSettings, ServerSettings, Settings};
use super::{Loaded, alert_summary};
use crate::domain::LogSource;

/// The summary of a configuration, with the state of its logs at the time it was made.
#[derive(Debug)]
pub struct Summary<'a> {
    settings: &'a Settings,
    /// By server: what it is called, where it is and how it is, for each of its files.
    files: Vec<Vec<(String, PathBuf, LogState)>>,
    warnings: Vec<String>,
}

/// What there is at the path of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LogState {
    Readable {
        bytes: u64,
    },
    /// Begins like `factorio-current.log`.
    EngineLog {
        bytes: u64,
    },
    /// Begins like the file of `--console-log`.
    ConsoleLog {
        bytes: u64,
    },
    /// Begins like metrics in the text format of Prometheus.
    Metrics {
        bytes: u64,
    },
    Missing,
    Directory,
    Unreadable(String),
}

impl LogState {
    fn of(path: &Path) -> Self {
        match Self::probe(path) {
            Ok(state) => state,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    fn probe(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Ok(Self::Directory);
        }
        if !metadata.is_file() {
            return Ok(Self::Unreadable("it is no regular file".to_owned()));
        }
        let mut head = Vec::new();
        File::open(path)?.take(256).read_to_end(&mut head)?;
        let bytes = metadata.len();
        Ok(match &head[..] {
            head if begins_like_engine_log(head) => Self::EngineLog { bytes },
            head if begins_like_console_log(head) => Self::ConsoleLog { bytes },
            head if head.starts_with(b"# HELP ") || head.starts_with(b"# TYPE ") => Self::Metrics { bytes },
            _ => Self::Readable { bytes },
        })
    }

    /// What is odd about a log in this state, for its key.
    fn warning(&self, key: &str, path: &Path) -> Option<String> {
        let path = path.display();
        let console = key.ends_with(".console_log");
        if let Some(warning) = self.wrong_mod_file(key, &path.to_string()) {
            return Some(warning);
        }
        match self {
            Self::EngineLog { .. } if console => Some(format!(
                "{key}: {path} is a factorio-current.log, which never contains chat; \
                 start the game with `--console-log FILE` and name that file"
            )),
            Self::Missing => Some(format!("{key}: {path} is not there yet; it is read as soon as it appears")),
            Self::Directory => Some(format!("{key}: {path} is a directory")),
            Self::Unreadable(why) => Some(format!("{key}: {path} cannot be read: {why}")),
            Self::Readable { .. } | Self::EngineLog { .. } | Self::ConsoleLog { .. } | Self::Metrics { .. } => None,
        }
    }

    /// A file that no mod writes, named as one that a mod does, or the other way round.
    fn wrong_mod_file(&self, key: &str, path: &str) -> Option<String> {
        let (log, metrics) = (key.contains(".mod_logs."), key.ends_with(".prometheus_file"));
        let found = match self {
            Self::EngineLog { .. } if log || metrics => "a factorio-current.log: name it as `engine_log`",
            Self::ConsoleLog { .. } if log || metrics => "a console log: name it as `console_log`",
            Self::Metrics { .. } if !metrics => "a file of metrics: name it as `prometheus_file`",
            Self::Readable { bytes: 1.. } if metrics => {
                "no file of metrics: such a file begins with `# HELP` or `# TYPE`"
            }
            _ => return None,
        };
        Some(format!("{key}: {path} is {found}"))
    }
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

/// `   0.000 2025-07-20 11:18:47; Factorio 2.0.55 (build ...)`
fn begins_like_engine_log(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let line = head.lines().next().unwrap_or_default();
    line.trim_start().starts_with("0.0") && line.contains("; Factorio ")
}

/// `=== Log opened ...`, or `2025-07-20 11:18:47 [JOIN] ...`.
fn begins_like_console_log(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let line = head.lines().next().unwrap_or_default();
    let dated = line.get(10..11) == Some(" ") && line.get(4..5) == Some("-") && line.get(19..21) == Some(" [");
    line.starts_with("=== Log ") || dated
}

impl fmt::Display for LogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readable { bytes }
            | Self::EngineLog { bytes }
            | Self::ConsoleLog { bytes }
            | Self::Metrics { bytes } => write!(f, "readable, {bytes} bytes"),
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
        let mut look = |server: &ServerSettings| {
            let mut seen = Vec::new();
            for (key, name, path) in files_of(server) {
                let (state, key) = (LogState::of(path), format!("servers.{}.{key}", server.tag));
                warnings.extend(state.warning(&key, path));
                warnings.extend(files.warning(key, path));
                seen.push((name, path.to_owned(), state));
            }
            seen
        };
        let files = settings.servers.iter().map(&mut look).collect();
        warnings.extend(database_warning(&settings.database.path));
        Self { settings, files, warnings }
    }

    /// The same, with warnings that need more than the configuration.
    #[must_use]
    pub fn with_warnings(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(more);
        self
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
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_log_is_recognised_by_its_first_line() {
        let engine = b"   0.000 2025-07-20 11:18:47; Factorio 2.0.55 (build 83138, linux64, headless)\n   0.1 x";
        assert!(begins_like_engine_log(engine));
        assert!(!begins_like_engine_log(b"2025-07-20 11:18:47 [JOIN] Bob joined the game\n"));
        assert!(!begins_like_engine_log(b""));
    }

    #[test]
    fn a_file_in_the_wrong_place_is_told_with_the_right_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let warning = |text: &str, key: &str| {
            std::fs::write(&path, text).unwrap();
            let warning = LogState::of(&path).warning(key, &path).unwrap_or_default();
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
        assert_eq!(LogState::of(&log), LogState::Missing);
        std::fs::write(&log, "12345").unwrap();
        assert_eq!(LogState::of(&log), LogState::Readable { bytes: 5 });
        assert_eq!(LogState::of(dir.path()), LogState::Directory);
        assert!(matches!(LogState::of(Path::new("/dev/null")), LogState::Unreadable(_)));
    }
}
