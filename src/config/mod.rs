//! What the operator may say: defaults, TOML, environment and secret files, checked as a whole.
//!
//! [`load`] reads the file and the environment into one tree (`source`, `environment`, `layers`), reads that tree
//! key by key (`section`, `value`, and `file`, which lists every key) and resolves it into [`Settings`] (`resolve`,
//! `patterns`, `secret`). Nothing stops at the first mistake: [`ConfigErrors`] has them all.

mod alert_summary;
mod alert_tables;
mod alerts;
mod chat;
mod chat_rules;
mod duration;
mod environment;
mod file;
mod files;
mod game;
mod history;
mod interpolate;
mod layers;
mod log_probe;
mod patterns;
mod problem;
mod resolve;
mod secret;
mod section;
pub mod settings;
mod source;
mod status;
pub mod summary;
mod traces;
mod value;

use std::path::Path;

pub use duration::parse as parse_duration;
pub use environment::Environment;
pub use problem::{ConfigErrors, Origin, Problem};
pub use settings::{EventSettings, HttpSettings, Settings};

use layers::Layers;
use problem::Problems;
use resolve::Resolved;
use source::Source;

/// The names of the slash commands, as keys of `[commands.levels]`: the registry is held to this list.
pub const COMMAND_NAMES: [&str; 30] = [
    "servers",
    "connect",
    "status",
    "players",
    "version",
    "seed",
    "evolution",
    "admins",
    "health",
    "kick",
    "ban",
    "unban",
    "mute",
    "unmute",
    "promote",
    "demote",
    "whitelist",
    "save",
    "broadcast",
    "whisper",
    "clock",
    "speed",
    "research",
    "rcon",
    "help",
    "online",
    "player",
    "top",
    "history",
    "alerts",
];

/// A configuration without errors.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The validated settings.
    pub settings: Settings,
    /// What is allowed but probably not meant, each a sentence that names its key or variable.
    pub warnings: Vec<String>,
}

/// Reads the configuration at `path`, lays the environment over it and checks everything.
///
/// Relative paths in it are relative to the directory of `path`.
///
/// # Errors
/// With every problem there is: a file that cannot be read or is no TOML, unknown or missing keys, values of the
/// wrong kind or out of range, secrets that cannot be found. No text of an error contains a secret.
pub fn load(path: &Path, env: &Environment) -> Result<Loaded, ConfigErrors> {
    load_with(path, env, |_| Vec::new())
}

/// `http` of the configuration at `path` with the environment, whatever else is wrong or missing. `None` when the file
/// cannot be read.
#[must_use]
pub fn load_http(path: &Path, env: &Environment) -> Option<HttpSettings> {
    let (layers, early) = Layers::merge(Source::read(path, &env.vars).ok()?, env);
    let mut problems = Problems::new(&layers, early);
    let http = file::read(layers.root(), &mut problems)?.http?;
    Some(HttpSettings { host: http.host, port: http.port, show_players: http.show_players })
}

/// As [`load`], with rules of another room on top: `rules` gives `(key, what is wrong with it)` for each mistake.
///
/// # Errors
/// As [`load`], and with what `rules` finds, each at the line of its key.
pub fn load_with(
    path: &Path,
    env: &Environment,
    rules: impl Fn(&EventSettings) -> Vec<(String, String)>,
) -> Result<Loaded, ConfigErrors> {
    let source = Source::read(path, &env.vars)?;
    let (layers, early) = Layers::merge(source, env);
    let mut problems = Problems::new(&layers, early);
    let resolved = file::read(layers.root(), &mut problems).map(|file| resolve::resolve(file, env, &mut problems));
    let Resolved { events, loaded } = resolved.unwrap_or_default();
    // Patterns are known by their ids, which can be trusted only when nothing is wrong with them.
    let trusted = !problems.concern("patterns");
    for (key, message) in events.iter().flat_map(rules).filter(|(key, _)| trusted || !key.starts_with("patterns")) {
        problems.add(&key, message);
    }
    match loaded {
        Some(mut loaded) if problems.is_empty() => {
            loaded.warnings.extend(env.warnings());
            Ok(loaded)
        }
        _ => Err(problems.into_errors()),
    }
}
