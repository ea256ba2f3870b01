//! `[traces]`, and what other tools call its keys.

use super::environment::Environment;
use super::file::TracesSection;
use super::problem::Problems;
use super::settings::{TraceProtocol, TraceSettings};

/// The retired Thrift agent of Jaeger, as the Python program was told of it.
const JAEGER: &str = "JAEGER_AGENT_HOST";
/// By these the OTLP libraries of all languages are told where to send.
const STANDARD: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const STANDARD_PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// The settings and, where a retired variable is used, the warning about it. `None`: problems were added.
pub(super) fn resolve(
    section: TracesSection,
    env: &Environment,
    problems: &mut Problems<'_>,
) -> Option<(TraceSettings, Option<String>)> {
    if !(0.0..=1.0).contains(&section.sample_ratio) {
        problems.add("traces.sample_ratio", "out of range: 0 to 1");
        return None;
    }
    let protocol = section.protocol.map_or_else(|| standard_protocol(env, problems), Some)?;
    let given = match section.endpoint {
        Some(text) => Some(endpoint(&text, problems)?),
        None => None,
    };
    let standard = STANDARD.iter().any(|name| set(env, name).is_some());
    let jaeger = set(env, JAEGER).filter(|_| given.is_none() && !standard);
    let agent = jaeger.map(|host| format!("http://{host}:{}", protocol.port()));
    let warning = agent.as_ref().map(|agent| {
        format!(
            "{JAEGER} speaks of the agent that Jaeger has retired: traces go to {agent} by OTLP; \
             set traces.endpoint or {} instead",
            STANDARD[1]
        )
    });
    let settings = TraceSettings {
        enabled: section.enabled && set(env, "OTEL_SDK_DISABLED") != Some("true"),
        endpoint: given.or(agent),
        protocol,
        sample_ratio: section.sample_ratio,
        include_text: section.include_text,
        instance: section.instance.or_else(|| set(env, "HOSTNAME").map(ToOwned::to_owned)).unwrap_or_else(host_name),
    };
    Some((settings, warning))
}

fn set<'a>(env: &'a Environment, name: &str) -> Option<&'a str> {
    env.vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn standard_protocol(env: &Environment, problems: &mut Problems<'_>) -> Option<TraceProtocol> {
    let Some((name, protocol)) = STANDARD_PROTOCOL.iter().find_map(|name| Some((name, set(env, name)?))) else {
        return Some(TraceProtocol::Http);
    };
    match protocol {
        "grpc" => Some(TraceProtocol::Grpc),
        "http/protobuf" => Some(TraceProtocol::Http),
        other => {
            let message = format!("{name} is `{other}`: expected `http/protobuf` or `grpc`");
            problems.add("traces.protocol", message);
            None
        }
    }
}

/// The address without a path: both protocols have theirs.
fn endpoint(text: &str, problems: &mut Problems<'_>) -> Option<String> {
    let good = |url: &reqwest::Url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/" && url.query().is_none()
    };
    if reqwest::Url::parse(text).is_ok_and(|url| good(&url)) {
        return Some(text.trim().trim_end_matches('/').to_owned());
    }
    let hint = "leave out `/v1/traces`: it is added";
    problems.add_with_hint("traces.endpoint", "expected `http://host:port`", hint);
    None
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
    use std::path::PathBuf;

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
        assert!(!traces("enabled = true", &[("OTEL_SDK_DISABLED", "true")]).enabled);
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
    fn the_standard_protocol_is_taken_where_the_file_says_none() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        assert_eq!(traces("", &[grpc]).protocol, TraceProtocol::Grpc);
        assert_eq!(traces("protocol = \"http\"", &[grpc]).protocol, TraceProtocol::Http);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let wrong = |lines: &str| load(lines, &[]).unwrap_err();
        assert!(wrong("endpoint = \"collector:4318\"").contains("traces.endpoint"));
        assert!(wrong("endpoint = \"http://c:4318/v1/traces\"").contains("leave out `/v1/traces`"));
        assert!(wrong("sample_ratio = 1.5").contains("traces.sample_ratio"));
        let json = load("", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).unwrap_err();
        assert!(json.contains("OTEL_EXPORTER_OTLP_PROTOCOL is `http/json`"), "{json}");
    }
}
