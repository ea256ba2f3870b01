//! File and environment laid over each other, and where each key came from.

use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider, Source as Provenance};

use super::environment::{Environment, Override};
use super::problem::{Origin, Problem};
use super::source::Source;

/// The merged tree. Environment variables stand above the file.
pub(super) struct Layers {
    source: Source,
    figment: Figment,
    root: Value,
}

/// The file as a figment layer.
struct FileLayer<'a>(&'a Source);

impl Provider for FileLayer<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML", self.0.path.as_path())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.0.values.clone()))
    }
}

/// A variable as a figment layer of its own, so that its value's tag leads back to its name. Its value is always a
/// string: figment's own `Env` would make a number of an all-digit password.
struct VariableLayer(Override);

impl Provider for VariableLayer {
    fn metadata(&self) -> Metadata {
        Metadata::from("environment", Provenance::Custom(self.0.variable.clone()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let leaf = Value::from(self.0.value.as_str());
        let nested = self.0.path.iter().rev().fold(leaf, |value, key| Value::from(Dict::from([(key.clone(), value)])));
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

impl Layers {
    /// Lays the environment over the file. Also gives what was wrong with the file's `${VAR}`s.
    pub fn merge(mut source: Source, env: &Environment) -> (Self, Vec<Problem>) {
        let problems = std::mem::take(&mut source.problems);
        let variables = env.overrides(&source.server_tags());
        let figment = Figment::from(FileLayer(&source));
        let figment = variables.into_iter().fold(figment, |figment, o| figment.merge(VariableLayer(o)));
        let root = figment.data().expect("the layers above give data without fail").remove(&Profile::Default);
        (Self { source, figment, root: Value::from(root.unwrap_or_default()) }, problems)
    }

    /// The whole tree.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The directory of the file.
    pub fn base_dir(&self) -> &Path {
        self.source.path.parent().unwrap_or(Path::new(""))
    }

    /// Whether the file's text at `key` had a `${VAR}` in it.
    pub fn is_interpolated(&self, key: &str) -> bool {
        self.source.interpolated.contains(key)
    }

    /// Where `key` was said; for a missing key, where its table was; else the file as a whole.
    pub fn origin(&self, key: &str) -> Origin {
        let mut key = key;
        loop {
            if let Some(origin) = self.own_origin(key) {
                return origin;
            }
            match key.rfind(['.', '[']) {
                Some(at) => key = &key[..at],
                None => return Origin::File { path: self.source.path.clone(), line: None, column: None },
            }
        }
    }

    fn own_origin(&self, key: &str) -> Option<Origin> {
        let value = key.split('.').try_fold(&self.root, |value, part| value.as_dict()?.get(part));
        let metadata = value.and_then(|value| self.figment.get_metadata(value.tag()));
        let variable = metadata.and_then(|metadata| metadata.source.as_ref()?.custom()).map(ToOwned::to_owned);
        let variable = variable.map(Origin::Variable);
        let in_file = self.source.origin(key);
        match value {
            Some(Value::Dict(..)) => in_file.or(variable),
            _ => variable.or(in_file),
        }
    }
}
