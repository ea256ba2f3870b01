//! `check`: validates a configuration and prints what would run.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{ConfigFile, counted, fail, in_runtime, load, refuse};
use crate::config::settings::ServerPrefix;
use crate::config::summary::Summary;
use crate::config::{ConfigErrors, Environment, Loaded, Origin, Problem, Settings};
use crate::domain::{ChannelId, ServerTag};
use crate::events::{EventRules, timezone_mismatch};
use crate::store;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Exit with 1 when there are warnings, too.
    #[arg(long)]
    strict: bool,
    /// Print one JSON object instead of text: `valid`, `errors`, `warnings`, `notes`.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    config: String,
    valid: bool,
    errors: Vec<ReportedError<'a>>,
    warnings: &'a [String],
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct ReportedError<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> From<&'a Problem> for ReportedError<'a> {
    fn from(problem: &'a Problem) -> Self {
        let (file, line, variable) = match &problem.origin {
            Origin::File { path, line, .. } => (Some(path.display().to_string()), *line, None),
            Origin::Variable(name) => (None, None, Some(name.as_str())),
        };
        let (key, hint) = (problem.key.as_deref(), problem.hint.as_deref());
        Self { file, line, variable, key, message: &problem.message, hint }
    }
}

pub(super) fn run(args: &CheckArgs, env: &Environment) -> ExitCode {
    let path = &args.file.config;
    match load(path, env) {
        Ok(loaded) => in_runtime(async { summarise(args, &loaded).await }),
        Err(errors) if args.json => print(&json_of_errors(path, &errors), ExitCode::FAILURE),
        Err(errors) => refuse(&errors),
    }
}

async fn summarise(args: &CheckArgs, loaded: &Loaded) -> ExitCode {
    let zones = time_zone_warnings(&loaded.settings).await;
    let summary = Summary::of(loaded).with_warnings(zones).with_notes(shared_channels(&loaded.settings));
    let warnings = summary.warnings();
    let code = if args.strict && !warnings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    let path = args.file.config.display();
    if args.json {
        let report =
            Report { config: path.to_string(), valid: true, errors: Vec::new(), warnings, notes: summary.notes() };
        return print(&json(&report), code);
    }
    let headline = match warnings.len() {
        0 => format!("{path} is valid, with no warnings."),
        count if args.strict => format!("{path} is valid, but --strict refuses its {}.", counted(count, "warning")),
        count => format!("{path} is valid, with {}.", counted(count, "warning")),
    };
    print(&format!("{headline}\n\n{summary}"), code)
}

/// Servers whose logs a running relay found to be in another time zone. Without a database nothing was measured.
async fn time_zone_warnings(settings: &Settings) -> Vec<String> {
    let measured = store::measured_offsets(&settings.database.path).await.unwrap_or_default();
    let now = Timestamp::now();
    let warning = |(server, offset)| {
        let server = settings.servers.iter().find(|configured| configured.tag.as_str() == server)?;
        let mismatch = timezone_mismatch(server, offset, now)?;
        Some(format!("servers.{}.timezone: {mismatch}", server.tag))
    };
    measured.into_iter().filter_map(warning).collect()
}

/// Channels that events of several servers reach, and how their lines are told apart.
fn shared_channels(settings: &Settings) -> Vec<String> {
    let Ok(rules) = EventRules::new(&settings.events) else { return Vec::new() };
    let how = match settings.relay.server_prefix {
        ServerPrefix::Auto => {
            "lines of the built-in templates begin with the server's name (relay.server_prefix = \"auto\")"
        }
        ServerPrefix::Never => "lines do not name their server (relay.server_prefix = \"never\")",
    };
    let note = |(channel, servers): (ChannelId, BTreeSet<ServerTag>)| {
        let servers: Vec<&str> = servers.iter().map(ServerTag::as_str).collect();
        format!("channel {channel} has events of {}: {how}", servers.join(", "))
    };
    rules.shared_channels(&settings.servers).into_iter().map(note).collect()
}

fn json_of_errors(path: &Path, errors: &ConfigErrors) -> String {
    let config = path.display().to_string();
    let errors = errors.problems.iter().map(ReportedError::from).collect();
    json(&Report { config, valid: false, errors, warnings: &[], notes: &[] })
}

fn json(report: &Report<'_>) -> String {
    serde_json::to_string_pretty(report).expect("a report is plain data") + "\n"
}

fn print(text: &str, code: ExitCode) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(error) => fail(format!("Failed to write the result: {error}")),
    }
}
