//! Where secrets come from: the key itself, the file its `_file` key names, or a file mounted by Docker.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::environment::Environment;
use super::problem::{Origin, Problems};
use super::value::SecretFile;

/// What is known of one secret.
pub(super) struct Sought<'a> {
    /// `discord.token`; the key of its file is the same with `_file`.
    pub key: &'a str,
    /// What the key says.
    pub given: Option<SecretString>,
    /// What the `_file` key says.
    pub file: Option<SecretFile>,
    /// Names it may have in the directory of mounted secrets, best first.
    pub mounts: Vec<String>,
    /// Whose directory relative paths start from.
    pub base: &'a Path,
}

impl Sought<'_> {
    /// The secret. `None` means that a problem was added; its text names the key, never a value: people put secrets
    /// where a path belongs.
    pub fn find(self, env: &Environment, problems: &mut Problems<'_>) -> Option<SecretString> {
        let file_key = format!("{}_file", self.key);
        if problems.concern(self.key) || problems.concern(&file_key) {
            return None;
        }
        match (self.given, self.file) {
            (Some(given), None) => Some(given),
            (None, Some(file)) => read_named(&file_key, &self.base.join(file.0), problems),
            (Some(given), Some(file)) => match strength(problems, self.key).cmp(&strength(problems, &file_key)) {
                std::cmp::Ordering::Greater => Some(given),
                std::cmp::Ordering::Less => read_named(&file_key, &self.base.join(file.0), problems),
                std::cmp::Ordering::Equal => {
                    problems.add(self.key, format!("given twice, here and by `{file_key}`"));
                    None
                }
            },
            (None, None) => read_mounted(self.key, &self.mounts, env, problems),
        }
    }
}

/// How strong the layer is that `key` was said in: the file, a variable of another tool, a variable of our own.
fn strength(problems: &Problems<'_>, key: &str) -> u8 {
    match problems.origin(key) {
        Origin::File { .. } => 0,
        Origin::Variable(name) if !name.starts_with("ISR_") => 1,
        Origin::Variable(_) => 2,
    }
}

fn read_named(key: &str, path: &Path, problems: &mut Problems<'_>) -> Option<SecretString> {
    match read(path) {
        Ok(secret) => Some(secret),
        Err(error) => {
            problems.add(key, format!("the file it names cannot be read: {error}"));
            None
        }
    }
}

fn read_mounted(key: &str, names: &[String], env: &Environment, problems: &mut Problems<'_>) -> Option<SecretString> {
    for path in names.iter().map(|name| env.secrets_dir.join(name)) {
        match read(&path) {
            Ok(secret) => return Some(secret),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => {
                problems.add(key, format!("the secret {} cannot be read: {error}", path.display()));
                return None;
            }
        }
    }
    let variable = match key {
        "discord.token" => "DISCORD_BOT_TOKEN".to_owned(),
        _ => format!("ISR_{}", key.to_uppercase().replace('.', "__").replace('-', "_")),
    };
    let mount = PathBuf::from("/run/secrets").join(names.first().map_or("", String::as_str));
    let hint = format!(
        "set it here, in `{key}_file`, in the environment variable {variable}, or as a secret in {}",
        mount.display()
    );
    problems.add_with_hint(key, "missing", hint);
    None
}

/// The file's text without the line end that editors put there.
fn read(path: &Path) -> io::Result<SecretString> {
    let text = std::fs::read_to_string(path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
    }
    Ok(SecretString::from(secret))
}
