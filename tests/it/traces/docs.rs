//! What is written about the spans is what there is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use factorio_isr::telemetry::traces::spans::SPANS;
use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_documentation_has_the_table_of_the_code() {
    let mut table = "| span | kind | what | attributes |\n|---|---|---|---|\n".to_owned();
    for (row, what) in SPANS {
        let attributes: Vec<String> = row.attributes.iter().map(|name| format!("`{name}`")).collect();
        writeln!(table, "| `{}` | {} | {what} | {} |", row.name, row.kind.as_str(), attributes.join(", ")).unwrap();
    }
    let documentation = fs::read_to_string(root().join("docs/traces.md")).unwrap();
    assert!(documentation.contains(&table), "docs/traces.md must have this table:\n\n{table}");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_span_of_the_code_is_in_the_table_and_every_one_of_the_table_in_the_code() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let by_macro = Regex::new(r#"_span!\(\s*"([^"]+)""#).unwrap();
    let by_row = Regex::new(r"begin(?:_linked)?\(\s*&([A-Z_]+)").unwrap();
    let rows = Regex::new(r#"([A-Z_]+): \w+, "([^"]+)" \["#).unwrap();
    let table = fs::read_to_string(root().join("src/telemetry/traces/spans.rs")).unwrap();
    let name_of = |row: &str| rows.captures_iter(&table).find(|found| &found[1] == row).unwrap()[2].to_owned();
    let mut used = BTreeSet::new();
    for file in files {
        let code = fs::read_to_string(&file).unwrap();
        used.extend(by_macro.captures_iter(&code).map(|found| found[1].to_owned()));
        used.extend(by_row.captures_iter(&code).map(|found| name_of(&found[1])));
    }
    // The tasks live as long as the program: their span is of the log alone.
    assert!(used.remove("task"));
    let known: BTreeSet<String> = SPANS.iter().map(|(row, _)| row.name.to_owned()).collect();
    assert_eq!(used, known);
}
