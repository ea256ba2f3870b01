//! The environment as a layer of the configuration: variables named after keys, and secrets mounted as files.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything the configuration takes from outside its file. A value, so that tests need not change the process.
#[derive(Clone)]
pub struct Environment {
    /// The environment variables. Those with an empty value count as unset.
    pub vars: BTreeMap<String, String>,
    /// Where Docker and Kubernetes mount secrets: `/run/secrets`.
    pub secrets_dir: PathBuf,
}

/// Shows the names only: values may be secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.vars.keys().collect();
        f.debug_struct("Environment").field("vars", &names).field("secrets_dir", &self.secrets_dir).finish()
    }
}

/// What begins the name of a variable that names a key.
const PREFIX: &str = "ISR_";

/// Names other tools already use, each with its key.
const ALIASES: [(&str, &str); 6] = [
    ("DISCORD_BOT_TOKEN", "discord.token"),
    ("DISCORD_BOT_TOKEN_FILE", "discord.token_file"),
    ("HEALTH_CHECK_HOST", "http.host"),
    ("HEALTH_CHECK_PORT", "http.port"),
    ("METRICS_ENABLED", "metrics.enabled"),
    ("TRACES_ENABLED", "traces.enabled"),
];

/// Variables with our prefix that are no keys.
const NOT_KEYS: [&str; 1] = ["ISR_CONFIG"];

/// A variable and the key it sets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Override {
    /// The variable's name.
    pub variable: String,
    /// The key, part by part.
    pub path: Vec<String>,
    /// The variable's value.
    pub value: String,
}

impl Environment {
    /// The environment of this process. A variable that is no UTF-8 is left out.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { vars: std::env::vars_os().filter_map(text).collect(), secrets_dir: "/run/secrets".into() }
    }

    /// The variables that set keys, weakest first. `tags` are the server tags of the file: `SPACE_AGE` finds
    /// `space-age`, and a tag that is in no file is taken in lower case.
    pub(super) fn overrides(&self, tags: &[String]) -> Vec<Override> {
        let alias = |(variable, key): &(&str, &str)| {
            let value = self.vars.get(*variable)?.clone();
            let path = key.split('.').map(ToOwned::to_owned).collect();
            Some(Override { variable: (*variable).to_owned(), path, value })
        };
        let own = self.vars.iter().filter_map(|(variable, value)| {
            let path = key_path(variable, tags)?;
            Some(Override { variable: variable.clone(), path, value: value.clone() })
        });
        ALIASES.iter().filter_map(alias).chain(own).filter(|o| !o.value.is_empty()).collect()
    }

    /// Variables with our prefix that name no key. They may be another program's (Kubernetes makes `ISR_SERVICE_HOST`
    /// of a service called `isr`), so they are no errors.
    pub(super) fn warnings(&self) -> Vec<String> {
        let unused = |name: &&String| {
            name.starts_with(PREFIX) && key_path(name, &[]).is_none() && !NOT_KEYS.contains(&name.as_str())
        };
        let say = |name: &String| format!("{name} names no key and is ignored; a key is named like ISR_HTTP__PORT");
        self.vars.keys().filter(unused).map(say).collect()
    }
}

/// `ISR_SERVERS__PROD__RCON__PORT` is `servers.prod.rcon.port`; a name without `__` is a key only if it is a top one.
fn key_path(variable: &str, tags: &[String]) -> Option<Vec<String>> {
    let name = variable.strip_prefix(PREFIX)?;
    if name != "TIMEZONE" && !name.contains("__") {
        return None;
    }
    let mut path: Vec<String> = name.split("__").map(str::to_lowercase).collect();
    if path[0] == "servers" {
        path[1] = matching_tag(&path[1], tags);
    }
    Some(path)
}

fn matching_tag(written: &str, tags: &[String]) -> String {
    let plain = |tag: &str| tag.to_lowercase().replace('-', "_");
    let exact = tags.iter().find(|tag| tag.as_str() == written);
    exact.or_else(|| tags.iter().find(|tag| plain(tag) == plain(written))).cloned().unwrap_or(written.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Environment { vars, secrets_dir: PathBuf::new() }
    }

    #[test]
    fn variables_name_keys_and_tags_are_found_in_any_case() {
        let tags = ["Prod".to_owned(), "space-age".to_owned()];
        let path = |name| key_path(name, &tags).map(|path| path.join("."));
        assert_eq!(path("ISR_DISCORD__TOKEN").as_deref(), Some("discord.token"));
        assert_eq!(path("ISR_TIMEZONE").as_deref(), Some("timezone"));
        assert_eq!(path("ISR_SERVERS__PROD__RCON__PASSWORD").as_deref(), Some("servers.Prod.rcon.password"));
        assert_eq!(path("ISR_SERVERS__SPACE_AGE__NAME").as_deref(), Some("servers.space-age.name"));
        assert_eq!(path("ISR_SERVERS__NEW__NAME").as_deref(), Some("servers.new.name"));
        assert_eq!(path("ISR_SERVICE_HOST"), None);
        assert_eq!(path("PATH"), None);
    }

    #[test]
    fn our_own_names_come_after_aliases_and_empty_ones_are_unset() {
        let environment = environment(&[
            ("HEALTH_CHECK_PORT", "1"),
            ("ISR_HTTP__PORT", "2"),
            ("ISR_HTTP__HOST", ""),
            ("TRACES_ENABLED", "true"),
        ]);
        let names: Vec<_> = environment.overrides(&[]).into_iter().map(|o| o.variable).collect();
        assert_eq!(names, ["HEALTH_CHECK_PORT", "TRACES_ENABLED", "ISR_HTTP__PORT"]);
    }

    #[test]
    fn a_stranger_with_our_prefix_is_warned_about() {
        let environment = environment(&[("ISR_SERVICE_HOST", "x"), ("ISR_CONFIG", "x"), ("ISR_HTTP__PORT", "1")]);
        let warnings = environment.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("ISR_SERVICE_HOST "));
    }

    #[test]
    fn debug_shows_no_values() {
        let text = format!("{:?}", environment(&[("ISR_DISCORD__TOKEN", "hush")]));
        assert!(text.contains("ISR_DISCORD__TOKEN") && !text.contains("hush"), "{text}");
    }
}
