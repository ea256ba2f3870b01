//! `[servers.TAG.mod_logs]` and `[servers.TAG.prometheus_file]`: the files that mods write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::file::PrometheusFileSection;
use super::problem::Problems;
use super::resolve::within;
use super::section::Name;
use super::settings::PrometheusFileSettings;
use crate::domain::ModLogName;

impl Name for ModLogName {
    #[cfg(test)]
    const PLACEHOLDER: &'static str = "NAME";

    fn parse(text: &str) -> Result<Self, (String, String)> {
        let hint =
            "use at most 24 lower-case letters, digits, `_` and `-`; `console`, `engine`, `rcon` and `game` are taken";
        Self::new(text).ok_or_else(|| (format!("`{text}` is no name for a mod's log"), hint.to_owned()))
    }
}

/// The logs with their whole paths.
pub(super) fn mod_logs(logs: BTreeMap<ModLogName, PathBuf>, base: &Path) -> BTreeMap<ModLogName, PathBuf> {
    logs.into_iter().map(|(name, path)| (name, base.join(path))).collect()
}

/// The metrics file of the server at `key`; a wrong range is reported.
pub(super) fn prometheus_file(
    key: &str,
    section: PrometheusFileSection,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<PrometheusFileSettings> {
    within(&format!("{key}.max_age"), section.max_age, "10s", "1d", problems);
    if !(1..=100_000).contains(&section.max_series) {
        problems.add(&format!("{key}.max_series"), "out of range: 1 to 100000");
    }
    let path = base.join(section.path?);
    Some(PrometheusFileSettings { path, max_age: section.max_age, max_series: section.max_series })
}
