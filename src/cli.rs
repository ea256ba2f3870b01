//! The command line: what it accepts, and which module runs it.

mod check;

use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, ConfigErrors, Environment, EventSettings, Loaded, Settings};
use crate::domain::ServerTag;
use crate::events::{EventRules, unname_parser};
use crate::game::alerts::{unname_memory, unname_state};
use crate::store::{Forgotten, Store, StoreError, Unnaming};
use crate::{app, demo};

/// Relays the console logs of Factorio servers to Discord.
///
/// Each line of a server's log becomes a message in a Discord channel: none lost, none doubled, in order.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  factorio-isr demo                        see it work, without Discord and without a game
  factorio-isr check --config config.toml  find all mistakes in a configuration
  factorio-isr run --config config.toml    relay
  factorio-isr healthcheck                 for Docker's HEALTHCHECK
  factorio-isr forget-player Alice         delete what is stored of a player

Exit codes:
  0  done, or stopped in order
  1  failed; standard error says why
  2  the command line is wrong
  130, 143  aborted by a second Ctrl-C or SIGTERM

config.example.toml is the manual of the configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Relay until SIGTERM or Ctrl-C; a second signal aborts.
    ///
    /// Exits with 0 after a stop in order, with 1 when the configuration is wrong or the relay cannot go on.
    Run(ConfigFile),
    /// Check a configuration and say what would run.
    ///
    /// Reports every mistake at once, each with file, line and key. Tries the examples of all patterns and looks
    /// whether the logs can be read; what is odd but allowed is a warning. Nothing is sent anywhere. Exits with 0 when
    /// there is no mistake, else with 1.
    Check(check::CheckArgs),
    /// Show the relay at work: two simulated servers, a stand-in for Discord, and a page to watch it.
    ///
    /// Needs no configuration, no network and no game.
    Demo {
        /// The port of the page; 0 takes a free one.
        #[arg(long, value_name = "N", default_value_t = 8090)]
        port: u16,
    },
    /// Delete what is stored of a player: sessions, deaths, names, delivered lines.
    ///
    /// Stop the relay before. Names are found in any case. What people did by slash commands stays, as the record of those
    /// who did it; so do Discord's messages and the games' own logs, which are not this program's. A player who comes
    /// again is recorded anew. Prints what was deleted. Exits with 0, also when nothing was stored; with 1 when the relay
    /// runs, when there is no database, or when the configuration is wrong.
    ForgetPlayer {
        /// The player's name.
        #[arg(value_name = "NAME")]
        name: String,
        /// Only what is stored of this server; without it, of all.
        #[arg(long, value_name = "TAG")]
        server: Option<ServerTag>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Ask a running relay whether it is alive; for Docker's HEALTHCHECK.
    ///
    /// Exits with 0 when the answer is 2xx within 5 seconds, else with 1 and a sentence.
    Healthcheck {
        /// What to ask. The default is `/healthz` at `http.host` and `http.port` of the configuration, with the
        /// environment variables that `run` reads. Without a configuration file it is port 8080 of 127.0.0.1.
        #[arg(value_name = "URL")]
        url: Option<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "PATH", env = "ISR_CONFIG", default_value = "config.toml")]
    config: PathBuf,
}

/// Does what the command line says and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let env = Environment::of_process();
    match Cli::parse().command {
        Command::Run(file) => match load(&file.config, &env) {
            Ok(loaded) => in_runtime(app::run(loaded)),
            Err(errors) => refuse(&errors),
        },
        Command::Check(args) => check::run(&args, &env),
        Command::Demo { port } => in_runtime(demo::run(port)),
        Command::ForgetPlayer { name, server, file } => match load(&file.config, &env) {
            Ok(loaded) => in_runtime(forget_player(loaded.settings, name, server)),
            Err(errors) => refuse(&errors),
        },
        Command::Healthcheck { url, file } => {
            let url = url.unwrap_or_else(|| health_url(&file.config, &env));
            in_runtime(async move {
                match healthcheck(&url).await {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(reason) => fail(reason),
                }
            })
        }
    }
}

fn in_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // A task that hangs in a system call, as on a dead network mount, must not hold up the exit.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(format!("The runtime does not start: {error}")),
    }
}

/// The configuration, held to the rules of the events, too.
fn load(path: &Path, env: &Environment) -> Result<Loaded, ConfigErrors> {
    config::load_with(path, env, |events| {
        let wrong = EventRules::new(events).err().into_iter().flat_map(|error| error.problems);
        wrong.map(|rule| (key_in_file(&rule.key, events), rule.problem)).collect()
    })
}

/// `patterns.ID.template` stands in the file as `patterns[N].template`.
fn key_in_file(key: &str, events: &EventSettings) -> String {
    let place = |(id, key): (&str, &str)| {
        let at = events.patterns.iter().position(|pattern| pattern.id == id)?;
        Some(format!("patterns[{at}].{key}"))
    };
    let pattern = key.strip_prefix("patterns.").and_then(|rest| rest.rsplit_once('.'));
    pattern.and_then(place).unwrap_or_else(|| key.to_owned())
}

fn refuse(errors: &ConfigErrors) -> ExitCode {
    let count = errors.problems.len();
    fail(format!("{errors}\n{} in the configuration.", counted(count, "problem")))
}

/// `1 problem`, `2 problems`
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn fail(reason: impl Display) -> ExitCode {
    // Where standard error is closed, the exit code alone must tell.
    writeln!(std::io::stderr(), "{reason}").ok();
    ExitCode::FAILURE
}

async fn forget_player(settings: Settings, name: String, server: Option<ServerTag>) -> ExitCode {
    match try_forget(&settings, name.trim(), server.as_ref()).await {
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(format!("The answer cannot be written: {error}")),
        },
        Err(reason) => fail(reason),
    }
}

/// What was deleted, in words.
async fn try_forget(settings: &Settings, name: &str, server: Option<&ServerTag>) -> Result<String, String> {
    let database = &settings.database.path;
    if name.is_empty() {
        return Err("A player's name is not empty.".to_owned());
    }
    if !database.exists() {
        return Err(format!("There is no database {}: nothing is stored.", database.display()));
    }
    let store = Store::open(database).await.map_err(|error| match error {
        StoreError::InUse { .. } => {
            format!("The relay runs with {}: stop it, forget the player, start it again.", database.display())
        }
        other => format!("Cannot forget: {other}"),
    })?;
    let unnaming = Unnaming { parser: unname_parser, alert_memory: unname_memory, alert_state: unname_state };
    let forgotten = store.forget_player(name, server, unnaming).await;
    let forgotten = forgotten.map_err(|error| format!("Nothing is deleted: {error}"));
    store.close().await;
    let forgotten = forgotten?;
    if let Some(tag) = server.filter(|_| forgotten.is_nothing()) {
        known(tag, settings)?;
    }
    let place = server.map_or_else(String::new, |tag| format!(" of the server {tag}"));
    Ok(told(&forgotten, name, &place, database))
}

/// What is stored of a server that is no longer configured can be forgotten; where nothing is, its tag may be mistyped.
fn known(server: &ServerTag, settings: &Settings) -> Result<(), String> {
    let mut tags = settings.servers.iter().map(|server| &server.tag);
    if tags.any(|tag| tag == server) {
        return Ok(());
    }
    let tags: Vec<String> = settings.servers.iter().map(|server| server.tag.to_string()).collect();
    Err(format!("Nothing is stored of a server {server}, and none is configured: there are {}.", tags.join(", ")))
}

fn told(forgotten: &Forgotten, name: &str, place: &str, database: &Path) -> String {
    let database = database.display();
    if forgotten.is_nothing() {
        return format!("Nothing{place} is stored about {name} in {database}.\n{UNREACHED}");
    }
    let Forgotten { sessions, happenings, known_names, delivered, said, alerts, waiting } = forgotten;
    let more = match waiting {
        0 => String::new(),
        waiting => {
            format!("{waiting} lines wait for Discord: start the relay, and forget again when they are delivered.\n")
        }
    };
    format!(
        "Deleted{place} about {name} from {database}:\n  {sessions} sessions\n  {happenings} happenings\n  \
         {known_names} suggested names\n  {delivered} delivered lines and messages\n  {said} lines said in games or kept to know them again\n  \
         {alerts} alerts and what they remember\nKept: what people did by slash commands.\n{UNREACHED}{more}"
    )
}

/// What is not in the database.
const UNREACHED: &str = "\
    Not reached, so look there yourself: messages that are in Discord, alerts and status messages among them; the games' \
    logs, saves and lists of players; this program's own log and traces; the watch-list and other names in the \
    configuration; copies of the database.\n";

/// Where the relay of this configuration answers. One that listens on all addresses is asked at the local one.
fn health_url(config: &Path, env: &Environment) -> String {
    let (host, port) = match config::load_http(config, env) {
        Some(http) => (Some(http.host), http.port.to_string()),
        None => address_of_variables(env),
    };
    let host = match host {
        Some(IpAddr::V6(host)) if host.is_unspecified() => "[::1]".to_owned(),
        Some(IpAddr::V6(host)) => format!("[{host}]"),
        Some(IpAddr::V4(host)) if !host.is_unspecified() => host.to_string(),
        _ => "127.0.0.1".to_owned(),
    };
    format!("http://{host}:{port}/healthz")
}

/// Host and port as the environment has them, for a probe that cannot read the configuration.
fn address_of_variables(env: &Environment) -> (Option<IpAddr>, String) {
    let set = |name: &str| env.vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let port = set("ISR_HTTP__PORT").or_else(|| set("HEALTH_CHECK_PORT")).unwrap_or("8080");
    let host = set("ISR_HTTP__HOST").or_else(|| set("HEALTH_CHECK_HOST"));
    (host.and_then(|host| host.parse().ok()), port.to_owned())
}

/// Asks `url`; anything but a 2xx within 5 seconds is an error with its reason.
async fn healthcheck(url: &str) -> Result<(), String> {
    // A proxy of the environment is for the outside; a probe asks its own machine.
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let client = client.map_err(|error| format!("No HTTP client: {error}"))?;
    match client.get(url).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("{url} answered {}.", answer.status())),
        Err(error) if error.is_timeout() => Err(format!("{url} did not answer within 5 seconds.")),
        Err(error) => Err(format!("{url} cannot be asked: {}.", root_cause(&error))),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_health_check_asks_where_the_relay_listens() {
        let url = |vars: &[(&str, &str)]| {
            let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            health_url(Path::new("no such file"), &Environment { vars, secrets_dir: PathBuf::new() })
        };
        assert_eq!(url(&[]), "http://127.0.0.1:8080/healthz");
        assert_eq!(url(&[("HEALTH_CHECK_PORT", "1"), ("ISR_HTTP__PORT", "")]), "http://127.0.0.1:1/healthz");
        assert_eq!(url(&[("HEALTH_CHECK_PORT", "1"), ("ISR_HTTP__PORT", "2")]), "http://127.0.0.1:2/healthz");
        for (host, asked) in [
            ("0.0.0.0", "127.0.0.1"),
            ("localhost", "127.0.0.1"),
            ("10.0.0.1", "10.0.0.1"),
            ("::", "[::1]"),
            ("fd00::1", "[fd00::1]"),
        ] {
            assert_eq!(url(&[("HEALTH_CHECK_HOST", host)]), format!("http://{asked}:8080/healthz"));
        }
        assert_eq!(url(&[("HEALTH_CHECK_HOST", "10.0.0.1"), ("ISR_HTTP__HOST", "::1")]), "http://[::1]:8080/healthz");
    }
}
