//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::value::Value;

use super::layers::Layers;
use super::value::shown;

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the configuration file.
    File {
        /// The file, as it was named on the command line.
        path: PathBuf,
        /// Counted from 1; absent where something is missing altogether.
        line: Option<usize>,
        /// Counted from 1, in characters; only for syntax errors.
        column: Option<usize>,
    },
    /// In this environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File { path, line, column } => {
                write!(f, "{}", path.display())?;
                for number in [line, column].into_iter().flatten() {
                    write!(f, ":{number}")?;
                }
                Ok(())
            }
        }
    }
}

/// One thing that is wrong. Its text never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The place to change.
    pub origin: Origin,
    /// The dotted key, as `servers.prod.console_log`; absent where the file itself is the problem.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

/// All problems of a configuration, in the order of the file. `Display` gives one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn one(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects problems and finds the place of each by its key.
pub(super) struct Problems<'a> {
    layers: &'a Layers,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub fn new(layers: &'a Layers, early: Vec<Problem>) -> Self {
        Self { layers, found: early }
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether there is a problem with `key`, or with a key below it, already.
    pub fn concern(&self, key: &str) -> bool {
        let below =
            |other: &str| other.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.found.iter().any(|problem| problem.key.as_deref().is_some_and(below))
    }

    /// The directory relative paths start from: that of the configuration file.
    pub fn base_dir(&self) -> &'a Path {
        self.layers.base_dir()
    }

    /// Where `key` was said.
    pub fn origin(&self, key: &str) -> Origin {
        self.layers.origin(key)
    }

    /// `key` is wrong as `message` says.
    pub fn add(&mut self, key: &str, message: impl Into<String>) {
        self.push(key, message.into(), None);
    }

    /// `key` is wrong as `message` says; `hint` says what to do.
    pub fn add_with_hint(&mut self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.push(key, message.into(), Some(hint.into()));
    }

    /// The environment variable `name`, which stands for `key` where nothing else says it, is wrong as `message` says.
    pub fn add_of_variable(&mut self, name: &str, key: &str, message: impl Into<String>) {
        let (origin, key) = (Origin::Variable(name.to_owned()), Some(key.to_owned()));
        self.found.push(Problem { origin, key, message: message.into(), hint: None });
    }

    /// `key` has a value of the wrong kind. The value is shown only where it stands in the file for all to see: what
    /// comes from the environment may be a secret in the wrong place.
    pub fn add_mismatch(&mut self, key: &str, expected: &str, value: &Value, secret: bool) {
        let visible = !secret && matches!(self.origin(key), Origin::File { .. }) && !self.layers.is_interpolated(key);
        self.add(key, format!("expected {expected}, found {}", shown(value, visible)));
    }

    fn push(&mut self, key: &str, message: String, hint: Option<String>) {
        self.found.push(Problem { origin: self.origin(key), key: Some(key.to_owned()), message, hint });
    }

    pub fn into_errors(mut self) -> ConfigErrors {
        self.found.sort();
        self.found.dedup();
        ConfigErrors { problems: self.found }
    }
}

/// The hint for a misspelt `word`: the nearest of `candidates` where one is near, else all of them.
pub(super) fn suggestion(word: &str, candidates: &[&str]) -> String {
    let word = word.to_lowercase();
    let edits = |candidate: &&&str| strsim::damerau_levenshtein(&word, candidate);
    match candidates.iter().min_by_key(edits) {
        Some(nearest) if edits(&nearest) <= 1 + word.chars().count() / 4 => format!("did you mean `{nearest}`?"),
        _ => format!("known are {}", candidates.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested_and_a_far_one_gets_the_list() {
        assert_eq!(suggestion("consol_log", &["name", "console_log"]), "did you mean `console_log`?");
        assert_eq!(suggestion("Consol_Log", &["name", "console_log"]), "did you mean `console_log`?");
        assert_eq!(suggestion("wo", &["what", "who"]), "did you mean `who`?");
        assert_eq!(suggestion("zzz", &["host", "port"]), "known are `host`, `port`");
    }

    #[test]
    fn problems_are_printed_with_place_key_and_hint() {
        let file = |line, column| Origin::File { path: "config.toml".into(), line, column };
        let problem = |origin, key: Option<&str>, hint: Option<&str>| {
            Problem { origin, key: key.map(Into::into), message: "wrong".into(), hint: hint.map(Into::into) }
                .to_string()
        };
        assert_eq!(problem(file(Some(3), None), Some("a.b"), Some("do so")), "config.toml:3: a.b: wrong; do so");
        assert_eq!(problem(file(Some(3), Some(7)), None, None), "config.toml:3:7: wrong");
        assert_eq!(problem(file(None, None), None, None), "config.toml: wrong");
        let variable = Origin::Variable("ISR_A".into());
        assert_eq!(problem(variable, Some("a"), None), "environment variable ISR_A: a: wrong");
    }
}
