//! `[traces]`, and what other tools call its keys.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use axum::http::{HeaderName, HeaderValue};

use super::environment::Environment;
use super::file::TracesSection;
use super::problem::Problems;
use super::settings::{TraceProtocol, TraceSettings};

/// The retired Thrift agent of Jaeger, as the Python program was told of it.
const JAEGER: &str = "JAEGER_AGENT_HOST";
/// By these the OTLP libraries of all languages are told where to send.
const STANDARD: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const STANDARD_PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const STANDARD_COMPRESSION: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const STANDARD_HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
/// By this they are told where traces go at all.
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";

/// By these they are told which traces to send.
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The settings, and warnings of variables that are retired or not honoured. `None`: problems were added.
pub(super) fn resolve(
    section: TracesSection,
    env: &Environment,
    problems: &mut Problems<'_>,
) -> Option<(TraceSettings, Vec<String>)> {
    let enabled = section.enabled && !is_off(env);
    // Who does not send traces is not held up by variables that are meant for other programs.
    let nothing = Environment { vars: BTreeMap::new(), secrets_dir: PathBuf::new() };
    let standard = if enabled { env } else { &nothing };
    let sample_ratio = match section.sample_ratio {
        Some(ratio) => in_range(ratio, problems)?,
        None => standard_ratio(standard, problems)?,
    };
    let protocol = section.protocol.map_or_else(|| standard_protocol(standard, problems), Some)?;
    let given = match section.endpoint {
        Some(text) => Some(endpoint(&text, problems)?),
        None => None,
    };
    if given.is_none() {
        check_standard_endpoint(standard, protocol, problems)?;
    }
    check_exporter(standard, problems)?;
    let agent = jaeger_agent(env, protocol).filter(|_| given.is_none());
    let is_host = agent.as_ref().is_none_or(|agent| is_bare(agent));
    if enabled && !is_host {
        problems.add_of_variable(JAEGER, "traces.endpoint", "expected the name of a host, without a port");
        return None;
    }
    let agent = agent.filter(|_| is_host);
    let go = if enabled { "traces go" } else { "traces are off, and would go" };
    let retired = agent.as_ref().map(|agent| {
        format!(
            "{JAEGER} speaks of the agent that Jaeger has retired: {go} to {agent} by OTLP; \
             set traces.endpoint or {} instead",
            STANDARD[1]
        )
    });
    let settings = TraceSettings {
        enabled,
        endpoint: given.or(agent),
        protocol,
        sample_ratio,
        include_text: section.include_text,
        instance: section.instance.or_else(|| set(env, "HOSTNAME").map(ToOwned::to_owned)).unwrap_or_else(host_name),
    };
    Some((settings, retired.into_iter().chain(other_exporters(standard)).collect()))
}

fn set<'a>(env: &'a Environment, name: &str) -> Option<&'a str> {
    env.vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// The name and value of the one that counts: that for traces goes before that for all.
fn first_set<'a>(env: &'a Environment, names: [&'static str; 2]) -> Option<(&'static str, &'a str)> {
    names.into_iter().find_map(|name| Some((name, set(env, name)?)))
}

/// Whether a standard variable switches traces off.
fn is_off(env: &Environment) -> bool {
    let is = |name, value: &str| set(env, name).is_some_and(|given| given.eq_ignore_ascii_case(value));
    is("OTEL_SDK_DISABLED", "true") || is(EXPORTER, "none")
}

/// By the standard, exporters that a program does not have are passed over with a warning. They are listed behind commas.
fn other_exporters(env: &Environment) -> Option<String> {
    let exporters = set(env, EXPORTER)?.split(',').map(str::trim);
    let others: Vec<&str> = exporters.filter(|one| !one.is_empty() && !one.eq_ignore_ascii_case("otlp")).collect();
    (!others.is_empty()).then(|| format!("{EXPORTER} asks for {}: traces go by OTLP alone", others.join(", ")))
}

/// The exporter passes over what it cannot use of these, so that traces would go in another form than wanted, or without
/// the key that the collector asks for.
fn check_exporter(env: &Environment, problems: &mut Problems<'_>) -> Option<()> {
    let known = |value: &str| value.eq_ignore_ascii_case("gzip") || value.eq_ignore_ascii_case("none");
    if let Some((name, other)) = first_set(env, STANDARD_COMPRESSION).filter(|(_, value)| !known(value)) {
        problems.add_of_variable(name, "traces", format!("expected `gzip` or `none`, found `{other}`"));
        return None;
    }
    // The values are not shown: they may be secrets.
    if let Some((name, _)) = first_set(env, STANDARD_HEADERS).filter(|(_, text)| !text.split(',').all(is_header)) {
        problems.add_of_variable(name, "traces", "expected `name=value`, and more of them behind commas");
        return None;
    }
    Some(())
}

/// Whether the exporter can send it. Empty ones do no harm.
fn is_header(text: &str) -> bool {
    let Some((name, value)) = text.split_once('=') else { return text.trim().is_empty() };
    HeaderName::from_bytes(name.trim().as_bytes()).is_ok() && HeaderValue::from_str(value.trim()).is_ok()
}

/// Where Jaeger's own collector is on that host, unless a standard variable says it.
fn jaeger_agent(env: &Environment, protocol: TraceProtocol) -> Option<String> {
    let host = set(env, JAEGER).filter(|_| STANDARD.iter().all(|name| set(env, name).is_none()))?;
    let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
    Some(format!("http://{host}:{}", protocol.port()))
}

fn in_range(ratio: f64, problems: &mut Problems<'_>) -> Option<f64> {
    if (0.0..=1.0).contains(&ratio) {
        return Some(ratio);
    }
    problems.add("traces.sample_ratio", "out of range: 0 to 1");
    None
}

/// What the standard variables say of the ratio. Parents decide for what is below them in any case.
fn standard_ratio(env: &Environment, problems: &mut Problems<'_>) -> Option<f64> {
    let Some(sampler) = set(env, SAMPLER) else { return Some(1.0) };
    match sampler.strip_prefix("parentbased_").unwrap_or(sampler) {
        "always_on" => Some(1.0),
        "always_off" => Some(0.0),
        "traceidratio" => standard_share(env, problems),
        _ => {
            let expected = "`always_on`, `always_off` or `traceidratio`, also behind `parentbased_`";
            let message = format!("expected {expected}, found `{sampler}`");
            problems.add_of_variable(SAMPLER, "traces.sample_ratio", message);
            None
        }
    }
}

fn standard_share(env: &Environment, problems: &mut Problems<'_>) -> Option<f64> {
    let Some(text) = set(env, SAMPLER_ARGUMENT) else { return Some(1.0) };
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    if ratio.is_none() {
        let message = format!("expected a number from 0 to 1, found `{text}`");
        problems.add_of_variable(SAMPLER_ARGUMENT, "traces.sample_ratio", message);
    }
    ratio
}

fn standard_protocol(env: &Environment, problems: &mut Problems<'_>) -> Option<TraceProtocol> {
    let Some((name, protocol)) = first_set(env, STANDARD_PROTOCOL) else { return Some(TraceProtocol::Http) };
    match protocol {
        "grpc" => Some(TraceProtocol::Grpc),
        "http/protobuf" => Some(TraceProtocol::Http),
        other => {
            let message = format!("expected `http/protobuf` or `grpc`, found `{other}`");
            problems.add_of_variable(name, "traces.protocol", message);
            None
        }
    }
}

/// The exporter reads these variables itself; what it could not use is said here, beside all else that is wrong. The
/// value is not shown: it may hold a password.
fn check_standard_endpoint(env: &Environment, protocol: TraceProtocol, problems: &mut Problems<'_>) -> Option<()> {
    let Some((name, text)) = first_set(env, STANDARD) else { return Some(()) };
    let text = match protocol {
        // By the standard, an address without a scheme will do for gRPC.
        TraceProtocol::Grpc if !text.contains("://") => format!("https://{text}"),
        _ => text.to_owned(),
    };
    if reqwest::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Some(());
    }
    problems.add_of_variable(name, "traces.endpoint", "expected `http://host:port`");
    None
}

/// The address without a path: both protocols have theirs.
fn endpoint(text: &str, problems: &mut Problems<'_>) -> Option<String> {
    if is_bare(text) {
        return Some(text.trim().trim_end_matches('/').to_owned());
    }
    let hint = "leave out `/v1/traces`: it is added";
    problems.add_with_hint("traces.endpoint", "expected `http://host:port`", hint);
    None
}

/// Whether it is the address of a server and names nothing on it.
fn is_bare(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/" && url.query().is_none()
    })
}

/// What tells this relay from others that send to the same collector.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "factorio-isr".to_owned() } else { name.to_owned() }
}

impl TraceProtocol {
    /// Where collectors listen for it.
    fn port(self) -> u16 {
        match self {
            Self::Grpc => 4317,
            Self::Http => 4318,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;

    /// What is read of `[traces]` with these lines and variables.
    fn load(lines: &str, vars: &[(&str, &str)]) -> Result<Loaded, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let log = "console_log = \"/c.log\"\nchannels = { default = 1 }";
        std::fs::write(&path, format!("discord.token = \"t\"\n[servers.a]\n{log}\n[traces]\n{lines}")).unwrap();
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let env = Environment { vars, secrets_dir: PathBuf::new() };
        crate::config::load(&path, &env).map_err(|errors| errors.to_string())
    }

    fn traces(lines: &str, vars: &[(&str, &str)]) -> TraceSettings {
        load(lines, vars).unwrap().settings.traces
    }

    #[test]
    fn traces_are_off_until_somebody_wants_them() {
        assert!(!traces("", &[]).enabled);
        assert!(traces("", &[("TRACES_ENABLED", "true")]).enabled);
        for off in ["true", "TRUE"] {
            assert!(!traces("enabled = true", &[("OTEL_SDK_DISABLED", off)]).enabled);
        }
        assert!(!traces("enabled = true", &[(EXPORTER, "none")]).enabled);
        assert!(traces("enabled = true", &[(EXPORTER, "otlp")]).enabled);
    }

    #[test]
    fn the_retired_agent_of_jaeger_becomes_an_endpoint_and_a_warning() {
        let agent = ("JAEGER_AGENT_HOST", "jaeger");
        let loaded = load("", &[agent]).unwrap();
        assert_eq!(loaded.settings.traces.endpoint.as_deref(), Some("http://jaeger:4318"));
        let warned = |loaded: &Loaded| loaded.warnings.iter().any(|warning| warning.contains("JAEGER_AGENT_HOST"));
        assert!(warned(&loaded));
        assert_eq!(traces("protocol = \"grpc\"", &[agent]).endpoint.as_deref(), Some("http://jaeger:4317"));
        let told = load("endpoint = \"http://other:4318/\"", &[agent]).unwrap();
        assert_eq!((told.settings.traces.endpoint.as_deref(), warned(&told)), (Some("http://other:4318"), false));
        let standard = load("", &[agent, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard:4318")]).unwrap();
        assert_eq!((standard.settings.traces.endpoint.as_deref(), warned(&standard)), (None, false));
    }

    #[test]
    fn the_retired_agent_is_told_of_as_it_is_while_traces_are_off() {
        let agent = ("JAEGER_AGENT_HOST", "jaeger");
        let warning = |lines: &str| load(lines, &[agent]).unwrap().warnings.concat();
        assert!(warning("enabled = true").contains("retired: traces go to http://jaeger:4318 by OTLP"));
        assert!(warning("").contains("retired: traces are off, and would go to http://jaeger:4318 by OTLP"));
    }

    #[test]
    fn the_retired_agent_is_a_host_and_nothing_else() {
        let endpoint = |agent: &str| traces("enabled = true", &[("JAEGER_AGENT_HOST", agent)]).endpoint;
        assert_eq!(endpoint("10.0.0.1").as_deref(), Some("http://10.0.0.1:4318"));
        for address in ["::1", "[::1]"] {
            assert_eq!(endpoint(address).as_deref(), Some("http://[::1]:4318"));
        }
        for wrong in ["jaeger:6831", "http://jaeger", "jaeger/", "two hosts"] {
            let error = load("enabled = true", &[("JAEGER_AGENT_HOST", wrong)]).unwrap_err();
            let said = "variable JAEGER_AGENT_HOST: traces.endpoint: expected the name of a host, without a port";
            assert!(error.contains(said), "{wrong}: {error}");
            assert!(load("", &[("JAEGER_AGENT_HOST", wrong)]).is_ok(), "nobody asks for it");
        }
    }

    #[test]
    fn the_standard_protocol_is_taken_where_the_file_says_none() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        assert_eq!(traces("enabled = true", &[grpc]).protocol, TraceProtocol::Grpc);
        assert_eq!(traces("enabled = true\nprotocol = \"http\"", &[grpc]).protocol, TraceProtocol::Http);
    }

    #[test]
    fn the_standard_sampler_is_taken_where_the_file_says_no_ratio() {
        let ratio = |vars: &[(&str, &str)]| traces("enabled = true", vars).sample_ratio.to_string();
        let sampler = |name| (SAMPLER, name);
        assert_eq!(ratio(&[]), "1");
        assert_eq!(ratio(&[sampler("always_off")]), "0");
        assert_eq!(ratio(&[sampler("parentbased_always_on")]), "1");
        assert_eq!(ratio(&[sampler("parentbased_traceidratio"), (SAMPLER_ARGUMENT, "0.25")]), "0.25");
        assert_eq!(ratio(&[sampler("traceidratio")]), "1");
        let told = traces("enabled = true\nsample_ratio = 0.5", &[sampler("always_off")]);
        assert_eq!(told.sample_ratio.to_string(), "0.5");
    }

    #[test]
    fn variables_for_other_programs_do_not_matter_while_traces_are_off() {
        for other in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense"),
            (SAMPLER, "jaeger_remote"),
            (STANDARD_COMPRESSION[1], "zstd"),
            (STANDARD_HEADERS[1], "nonsense"),
        ] {
            assert!(load("", &[other]).is_ok(), "{other:?}");
            assert!(load("enabled = true", &[other]).is_err(), "{other:?}");
        }
    }

    #[test]
    fn an_address_in_a_variable_is_looked_at_beforehand() {
        let with = |lines: &str, name: &str, value: &str| load(&format!("enabled = true\n{lines}"), &[(name, value)]);
        for wrong in ["hunter2", "ftp://user:hunter2@host:4318", "http://:hunter2@", "hunter2:4318"] {
            for name in STANDARD {
                let error = with("", name, wrong).unwrap_err();
                let said = format!("environment variable {name}: traces.endpoint: expected `http://host:port`");
                assert!(error.contains(&said), "{error}");
                assert!(!error.contains("hunter2"), "it may hold a password: {error}");
            }
        }
        for good in ["http://host:4318", "https://host/otlp/", "http://[::1]:4318"] {
            assert!(with("", STANDARD[1], good).is_ok(), "{good}");
        }
        assert!(with("protocol = \"grpc\"", STANDARD[1], "host:4317").is_ok());
        assert!(with("endpoint = \"http://host:1\"", STANDARD[1], "nonsense").is_ok(), "nobody asks for it");
    }

    #[test]
    fn what_the_exporter_would_pass_over_is_named() {
        let with = |name: &str, value: &str| load("enabled = true", &[(name, value)]);
        let warned = |exporters: &str| with(EXPORTER, exporters).unwrap().warnings.concat();
        assert!(warned("otlp,console").contains("OTEL_TRACES_EXPORTER asks for console: traces go by OTLP alone"));
        assert!(warned("zipkin, Jaeger").contains("asks for zipkin, Jaeger"));
        assert_eq!((warned("otlp"), warned("OTLP, ")), (String::new(), String::new()));
        for name in STANDARD_COMPRESSION {
            let zstd = with(name, "zstd").unwrap_err();
            assert!(
                zstd.contains(&format!("variable {name}: traces: expected `gzip` or `none`, found `zstd`")),
                "{zstd}"
            );
            assert!(with(name, "GZIP").is_ok() && with(name, "none").is_ok());
        }
        for name in STANDARD_HEADERS {
            for wrong in ["hunter2", "a=b,hunter2", "a b=hunter2", "name=hunter2\u{7f}"] {
                let error = with(name, wrong).unwrap_err();
                assert!(error.contains(&format!("variable {name}: traces: expected `name=value`")), "{error}");
                assert!(!error.contains("hunter2"), "it may be a secret: {error}");
            }
            for good in ["authorization=Basic%20aHVudGVyMg==", "a=b, c=d", "a=b,,c=d,", "x-tenant=", ""] {
                assert!(with(name, good).is_ok(), "{good}");
            }
        }
    }

    #[test]
    fn what_is_said_of_all_does_not_matter_where_something_is_said_of_traces() {
        for (names, good, wrong) in [(STANDARD_COMPRESSION, "gzip", "zstd"), (STANDARD_HEADERS, "a=b", "nonsense")] {
            assert!(load("enabled = true", &[(names[0], good), (names[1], wrong)]).is_ok());
            assert!(load("enabled = true", &[(names[0], wrong), (names[1], good)]).is_err());
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let wrong = |lines: &str| load(lines, &[]).unwrap_err();
        assert!(wrong("endpoint = \"collector:4318\"").contains("traces.endpoint"));
        assert!(wrong("endpoint = \"http://c:4318/v1/traces\"").contains("leave out `/v1/traces`"));
        assert!(wrong("sample_ratio = 1.5").contains("traces.sample_ratio"));
        let json = load("enabled = true", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).unwrap_err();
        let said = "variable OTEL_EXPORTER_OTLP_PROTOCOL: traces.protocol: expected `http/protobuf` or `grpc`, found `http/json`";
        assert!(json.contains(said), "{json}");
        let sampler = load("enabled = true", &[(SAMPLER, "jaeger_remote")]).unwrap_err();
        let said = "variable OTEL_TRACES_SAMPLER: traces.sample_ratio: expected `always_on`, `always_off`";
        assert!(sampler.contains(said), "{sampler}");
        let share = [(SAMPLER, "traceidratio"), (SAMPLER_ARGUMENT, "2")];
        let share = load("enabled = true", &share).unwrap_err();
        let said = "variable OTEL_TRACES_SAMPLER_ARG: traces.sample_ratio: expected a number from 0 to 1, found `2`";
        assert!(share.contains(said), "{share}");
    }
}
