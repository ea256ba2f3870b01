//! The alert and recording rules for Prometheus, their own tests, and the runbook, held to each other.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/prometheus")
}

/// The YAML files in a folder of `grafana/prometheus`, in order.
pub fn files(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder().join(name)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {name}");
    files
}

fn text_of(files: &[PathBuf]) -> String {
    files.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// The first group of every match, line by line.
fn all(text: &str, regex: &str) -> Vec<String> {
    let regex = Regex::new(&format!("(?m){regex}")).unwrap();
    regex.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn set(names: Vec<String>) -> BTreeSet<String> {
    let count = names.len();
    let set: BTreeSet<String> = names.into_iter().collect();
    assert_eq!(set.len(), count, "a name stands twice");
    set
}

fn alerts() -> BTreeSet<String> {
    set(all(&text_of(&files("rules")), r"^      - alert: (\w+)$"))
}

fn runbook() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md")).unwrap()
}

fn promtool(what: &str, files: &[PathBuf]) {
    let done = Command::new("promtool").arg(what).arg("rules").args(files).output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "promtool {what} rules: {said}");
}

#[test]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
fn promtool_takes_the_rules() {
    promtool("check", &files("rules"));
}

#[test]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
fn each_alert_fires_and_rests_and_each_recording_gives_its_number() {
    promtool("test", &files("tests"));
}

#[test]
fn no_rule_is_left_untested() {
    let tests = text_of(&files("tests"));
    for alert in alerts() {
        let tested = |what: &str| tests.contains(&format!("  - name: {alert} {what}"));
        assert!(tested("fires") && tested("rests"), "{alert} is not shown to fire and to rest");
    }
    for recorded in all(&text_of(&files("rules")), r"^      - record: (\S+)$") {
        let asked = Regex::new(&format!(r"expr: .*\b{}\b", regex::escape(&recorded))).unwrap();
        assert!(asked.is_match(&tests), "no test asks for {recorded}");
    }
}

/// A test that is named of an alert asks for that alert, and expects what its name says.
#[test]
fn the_tests_do_what_their_names_say() {
    let tests = text_of(&files("tests"));
    let named = Regex::new(r"^(\w+) (fires|rests)").unwrap();
    let mut seen = 0;
    for block in tests.split("\n  - name: ").skip(1) {
        let Some(name) = named.captures(block) else { continue };
        seen += 1;
        assert!(block.contains(&format!("- alertname: {}\n", &name[1])), "{block}");
        assert_eq!(&name[2] == "rests", block.contains("exp_alerts: []"), "{block}");
    }
    assert!(seen >= 2 * alerts().len());
}

#[test]
fn every_alert_says_how_bad_it_is_and_where_to_read_on() {
    let rules = text_of(&files("rules"));
    for block in rules.split("      - alert: ").skip(1) {
        let name = block.lines().next().unwrap();
        let severity = all(block, r"^          severity: (critical|warning|info)$");
        assert_eq!(severity.len(), 1, "{name}");
        for annotation in ["summary", "description"] {
            assert_eq!(all(block, &format!("^          {annotation}: '(.+)'$")).len(), 1, "{name}: {annotation}");
        }
        let anchor = all(block, r"^          runbook_url: docs/runbook\.md#(\w+)$");
        assert_eq!(anchor, [name.to_lowercase()], "{name}");
    }
}

#[test]
fn the_runbook_has_a_section_for_each_alert_and_none_more() {
    let book = runbook();
    assert_eq!(set(all(&book, r"^### (\w+)$")), alerts());
    for section in book.split("\n### ").skip(1) {
        for part in ["Meaning", "Impact", "Look at", "Do"] {
            let name = section.lines().next().unwrap();
            assert_eq!(section.matches(&format!("\n- **{part}.** ")).count(), 1, "{name}: {part}");
        }
    }
}
