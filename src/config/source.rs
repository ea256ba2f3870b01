//! The configuration file: its values, and on which line each key stands.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use toml_edit::{ImDocument, Item, TableLike, TomlError};

use super::interpolate::interpolate;
use super::problem::{ConfigErrors, Origin, Problem};

/// A parsed file, variables filled in.
pub(super) struct Source {
    /// As named on the command line.
    pub path: PathBuf,
    /// What it says.
    pub values: Dict,
    /// The line of each key, counted from 1.
    pub lines: BTreeMap<String, usize>,
    /// Keys whose text had a `${VAR}` in it: their values may be secrets.
    pub interpolated: BTreeSet<String>,
    /// What went wrong with `${VAR}`s.
    pub problems: Vec<Problem>,
}

impl Source {
    /// Reads and parses the file at `path`.
    pub fn read(path: &Path, vars: &BTreeMap<String, String>) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigErrors::one(unreadable(path, &error)))?;
        Self::parse(path, &text, vars)
    }

    fn parse(path: &Path, text: &str, vars: &BTreeMap<String, String>) -> Result<Self, ConfigErrors> {
        let document = ImDocument::parse(text).map_err(|error| ConfigErrors::one(syntax_error(path, text, &error)))?;
        let mut walk = Walk {
            text,
            vars,
            source: Self {
                path: path.to_owned(),
                values: Dict::new(),
                lines: BTreeMap::new(),
                interpolated: BTreeSet::new(),
                problems: Vec::new(),
            },
        };
        walk.source.values = walk.table("", document.as_table());
        Ok(walk.source)
    }

    /// The place of `key`, if the file has it.
    pub fn origin(&self, key: &str) -> Option<Origin> {
        let line = *self.lines.get(key)?;
        Some(Origin::File { path: self.path.clone(), line: Some(line), column: None })
    }

    /// The tags of `[servers.*]`.
    pub fn server_tags(&self) -> Vec<String> {
        let servers = self.values.get("servers").and_then(Value::as_dict);
        servers.map(|servers| servers.keys().cloned().collect()).unwrap_or_default()
    }
}

/// Joins a key to the key of its table.
pub(super) fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

/// Turns the document into values and notes the lines on the way.
struct Walk<'a> {
    text: &'a str,
    vars: &'a BTreeMap<String, String>,
    source: Source,
}

impl Walk<'_> {
    fn table(&mut self, path: &str, table: &dyn TableLike) -> Dict {
        let mut dict = Dict::new();
        for (name, item) in table.iter() {
            let path = join(path, name);
            let span = table.get_key_value(name).and_then(|(key, _)| key.span());
            self.note_line(&path, span);
            if let Some(value) = self.item(&path, item) {
                dict.insert(name.to_owned(), value);
            }
        }
        dict
    }

    fn item(&mut self, path: &str, item: &Item) -> Option<Value> {
        if let Some(table) = item.as_table_like() {
            return Some(Value::from(self.table(path, table)));
        }
        if let Some(tables) = item.as_array_of_tables() {
            let tables = tables.iter().enumerate().map(|(index, table)| {
                let path = format!("{path}[{index}]");
                self.note_line(&path, table.span());
                Value::from(self.table(&path, table))
            });
            return Some(Value::from(tables.collect::<Vec<_>>()));
        }
        item.as_value().map(|value| self.value(path, value))
    }

    fn value(&mut self, path: &str, value: &toml_edit::Value) -> Value {
        match value {
            toml_edit::Value::String(text) => self.string(path, text.value()),
            toml_edit::Value::Integer(number) => Value::from(*number.value()),
            toml_edit::Value::Float(number) => Value::from(*number.value()),
            toml_edit::Value::Boolean(flag) => Value::from(*flag.value()),
            toml_edit::Value::Datetime(time) => Value::from(time.value().to_string()),
            toml_edit::Value::InlineTable(table) => Value::from(self.table(path, table)),
            toml_edit::Value::Array(array) => {
                let elements = array.iter().enumerate().map(|(index, element)| {
                    let path = format!("{path}[{index}]");
                    self.note_line(&path, element.span());
                    self.value(&path, element)
                });
                Value::from(elements.collect::<Vec<_>>())
            }
        }
    }

    /// A string that cannot be filled in is reported here and left empty: nobody complains of it again.
    fn string(&mut self, path: &str, text: &str) -> Value {
        match interpolate(text, self.vars) {
            Ok(None) => Value::from(text),
            Ok(Some(filled)) => {
                self.source.interpolated.insert(path.to_owned());
                Value::from(filled)
            }
            Err(error) => {
                let line = self.source.lines.get(path).copied();
                self.source.problems.push(Problem {
                    origin: Origin::File { path: self.source.path.clone(), line, column: None },
                    key: Some(path.to_owned()),
                    message: error.to_string(),
                    hint: Some("`$${` stands for a literal `${`".to_owned()),
                });
                Value::Empty(figment::value::Tag::Default, figment::value::Empty::Unit)
            }
        }
    }

    fn note_line(&mut self, path: &str, span: Option<Range<usize>>) {
        if let Some(span) = span {
            self.source.lines.insert(path.to_owned(), position(self.text, span.start).0);
        }
    }
}

/// Line and column of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn syntax_error(path: &Path, text: &str, error: &TomlError) -> Problem {
    let place = error.span().map(|span| position(text, span.start));
    let (line, column) = place.unzip();
    // The message tells what was expected; the error's own `Display` would quote the line, which may hold a secret.
    let message = error.message().trim().replace('\n', ", ");
    let hint = message.contains("quoted").then(|| "text stands in quotes: key = \"text\"".to_owned());
    let origin = Origin::File { path: path.to_owned(), line, column };
    Problem { origin, key: None, message: format!("no valid TOML: {message}"), hint }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let (message, hint) = match error.kind() {
        io::ErrorKind::NotFound => (
            "there is no such file".to_owned(),
            Some("copy config.example.toml to it and fill in your channels, or name another with --config".to_owned()),
        ),
        io::ErrorKind::IsADirectory => (
            "this is a directory".to_owned(),
            Some("Docker makes one where a mounted file does not exist on the host".to_owned()),
        ),
        _ => (format!("cannot be read: {error}"), None),
    };
    let origin = Origin::File { path: path.to_owned(), line: None, column: None };
    Problem { origin, key: None, message, hint }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Source, ConfigErrors> {
        Source::parse(Path::new("c.toml"), text, &BTreeMap::new())
    }

    #[test]
    fn every_key_knows_its_line() {
        let text = "a = 1\n[t]\n\nb.c = 2\nlist = [\n  1,\n  2,\n]\ni = { x = 1 }\n[[p]]\nid = 1\n[[p]]\nid = 2\n";
        let lines = parse(text).unwrap().lines;
        for (key, line) in [
            ("a", 1),
            ("t", 2),
            ("t.b.c", 4),
            ("t.list", 5),
            ("t.list[1]", 7),
            ("t.i.x", 9),
            ("p[0]", 10),
            ("p[1].id", 13),
        ] {
            assert_eq!(lines.get(key), Some(&line), "{key}");
        }
    }

    #[test]
    fn a_syntax_error_names_its_place_and_quotes_nothing() {
        for text in ["[discord]\ntoken = hush\n", "[discord]\ntoken = \"hush\n", "token = \"hush\" hush\n", "hush\n"] {
            let problem = parse(text).err().unwrap().to_string();
            assert!(problem.starts_with("c.toml:") && !problem.contains("hush"), "{problem}");
        }
        let problems = parse("[http]\nport = = 1\n").err().unwrap().problems;
        assert_eq!(problems[0].origin, Origin::File { path: "c.toml".into(), line: Some(2), column: Some(8) });
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_at_a_place_in_it(text in "[a-c\\[\\]=\"'. \n{}$#1é]{0,40}") {
            match parse(&text) {
                Ok(source) => prop_assert!(source.lines.values().all(|line| *line <= text.lines().count())),
                Err(errors) => {
                    let Origin::File { line: Some(line), column: Some(column), .. } = errors.problems[0].origin else {
                        return Err(TestCaseError::fail("no place"));
                    };
                    let width = text.split('\n').nth(line - 1).map(|line| line.chars().count());
                    prop_assert!(width.is_some_and(|width| column <= width + 1), "{line}:{column}");
                }
            }
        }
    }
}
