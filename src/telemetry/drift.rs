//! Holds the table of metrics to the code: a row that nothing counts is a promise nobody keeps.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::metrics::METRICS;

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code outside the table and what stands around it, which name every row.
fn code() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    let naming =
        ["metrics.rs", "series.rs", "labels.rs", "docs.rs", "drift.rs"].map(|file| root.join("telemetry").join(file));
    files.iter().filter(|file| !naming.contains(file)).map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// The constants of the table.
fn constants() -> BTreeSet<String> {
    let table = include_str!("metrics.rs");
    let rows = Regex::new(r"(?m)^    ([A-Z_]+): Kind::").unwrap();
    let found: BTreeSet<String> = rows.captures_iter(table).map(|row| row[1].to_owned()).collect();
    assert_eq!(found.len(), METRICS.len(), "one constant per row");
    found
}

#[test]
fn every_metric_of_the_table_is_counted_somewhere() {
    // `count_error` is how `ERRORS` is used.
    let code = code().replace("count_error(", " ERRORS ");
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let unused: Vec<String> = constants().into_iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(unused.is_empty(), "no code counts {unused:?}");
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    use super::metrics::Kind;
    let mut names = BTreeSet::new();
    for metric in METRICS {
        assert!(names.insert(metric.name), "{} twice", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
        assert!(metric.help.ends_with('.'), "{}: help is a sentence", metric.name);
    }
}
