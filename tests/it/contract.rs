//! The dependency directions between the rooms, read off the source.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// What each room may know, beside itself. A file of `src/` that is no room's is a room of its own.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("health", &["domain"]),
    // Logging has a section of the configuration, and a scrape looks at the components.
    ("telemetry", &["domain", "config", "health"]),
    ("http", &["domain", "health", "telemetry"]),
    ("supervisor", &["domain", "health", "telemetry"]),
    ("store", &["domain", "telemetry"]),
    ("tail", &["domain", "config", "health", "telemetry"]),
    ("events", &["domain", "config", "store", "health", "telemetry"]),
    ("delivery", &["domain", "config", "store", "health", "telemetry"]),
    ("discord", &["domain", "config", "delivery", "store", "rcon", "health", "telemetry"]),
    // The backoff between attempts is the supervisor's.
    ("game", &["domain", "store", "rcon"]),
    ("rcon", &["domain", "config", "supervisor", "health", "telemetry"]),
    ("sim", &["domain"]),
    ("cli", EVERYTHING),
    ("app", PRODUCT),
    ("demo", EVERYTHING),
    ("lib", &[]),
    ("main", &["cli"]),
];

const PRODUCT: &[&str] = &[
    "domain",
    "config",
    "health",
    "telemetry",
    "http",
    "supervisor",
    "store",
    "tail",
    "events",
    "delivery",
    "discord",
    "rcon",
    "game",
];

const EVERYTHING: &[&str] = &[
    "domain",
    "config",
    "health",
    "telemetry",
    "http",
    "supervisor",
    "store",
    "tail",
    "events",
    "delivery",
    "discord",
    "rcon",
    "game",
    "sim",
    "app",
    "demo",
];

/// Rooms that compute only, and what I/O looks like in them.
const NO_IO: &[(&str, &[&str])] = &[
    ("domain", &["std::fs", "std::net", "std::process", "tokio", "tracing", "sqlx"]),
    ("discord", &["std::fs", "tokio::fs", "File::open", "OpenOptions", "sqlx"]),
    ("http", &["std::fs", "tokio::fs", "File::open", "OpenOptions", "sqlx"]),
    ("health", &["std::fs", "std::net", "tokio::fs", "tokio::net", "sqlx"]),
];

/// One source file without its tests and comments.
struct Source {
    room: String,
    path: PathBuf,
    code: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => files(&path, found),
            Some(extension) if extension == "rs" => found.push(path),
            _ => {}
        }
    }
}

/// Files that belong to a test module: `#[cfg(test)] mod name;` in the file that declares them.
fn test_files(declaring: &Path) -> Vec<PathBuf> {
    let declared = Regex::new(r#"#\[cfg\(test\)\]\s*(?:#\[path = "([^"]+)"\]\s*)?mod (\w+);"#).unwrap();
    let folder = declaring.parent().unwrap();
    let stem = declaring.file_stem().unwrap();
    let below = if ["mod", "lib", "main"].iter().any(|name| stem == *name) { folder.into() } else { folder.join(stem) };
    let text = fs::read_to_string(declaring).unwrap();
    let of = |found: regex::Captures<'_>| match found.get(1) {
        Some(path) => vec![folder.join(path.as_str())],
        None => vec![below.join(format!("{}.rs", &found[2])), below.join(&found[2]).join("mod.rs")],
    };
    declared.captures_iter(&text).flat_map(of).collect()
}

/// The code before the test module, which stands last, without comments.
fn without_tests(text: &str) -> String {
    let tests = Regex::new(r"(?m)^#\[cfg\(test\)\]\nmod \w+ \{").unwrap();
    let code = tests.find(text).map_or(text, |tests| &text[..tests.start()]);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).fold(String::new(), |all, line| all + line + "\n")
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    files(&root(), &mut paths);
    let tests: BTreeSet<PathBuf> = paths.iter().flat_map(|path| test_files(path)).collect();
    paths.retain(|path| !tests.contains(path));
    let source = |path: PathBuf| {
        let within = path.strip_prefix(root()).unwrap().with_extension("");
        let room = within.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        let code = without_tests(&fs::read_to_string(&path).unwrap());
        Source { room, path, code }
    };
    paths.into_iter().map(source).collect()
}

/// The rooms a piece of code names, in `crate::room::..` and `crate::{room, ..}`. A log filter in quotes is no path.
fn known_rooms(code: &str, rooms: &BTreeSet<String>) -> BTreeSet<String> {
    let path = Regex::new(r#"(?:^|[^"`,\w])(?:crate|factorio_isr)::(\w+)"#).unwrap();
    let group = Regex::new(r"\bcrate::\{([^;]*)\}").unwrap();
    let word = Regex::new(r"\w+").unwrap();
    let single = path.captures_iter(code).map(|found| found[1].to_owned());
    let grouped = group.captures_iter(code).flat_map(|found| {
        let inner = found[1].to_owned();
        word.find_iter(&inner).map(|word| word.as_str().to_owned()).collect::<Vec<_>>()
    });
    single.chain(grouped).filter(|name| rooms.contains(name)).collect()
}

fn rooms() -> BTreeSet<String> {
    MAY_KNOW.iter().map(|(room, _)| (*room).to_owned()).collect()
}

#[test]
fn no_room_knows_what_it_should_not() {
    let table: BTreeMap<&str, &[&str]> = MAY_KNOW.iter().copied().collect();
    let rooms = rooms();
    let mut broken = Vec::new();
    for source in sources() {
        let Some(may) = table.get(source.room.as_str()) else {
            broken.push(format!("{} is in no room of the table", source.path.display()));
            continue;
        };
        let may_know = |room: &str| room == source.room || may.contains(&room);
        let wrong = known_rooms(&source.code, &rooms).into_iter().filter(|room| !may_know(room));
        broken.extend(wrong.map(|room| format!("{} knows {room}", source.path.display())));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_permission_is_used() {
    let rooms = rooms();
    let mut known = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources() {
        known.entry(source.room).or_default().extend(known_rooms(&source.code, &rooms));
    }
    // The command line and the demo may know all.
    let strict = MAY_KNOW.iter().filter(|(_, may)| *may != EVERYTHING);
    let unused: Vec<String> = strict
        .flat_map(|(room, may)| may.iter().map(move |other| (*room, *other)))
        .filter(|(room, other)| *other != "domain" && !known[*room].contains(*other))
        .map(|(room, other)| format!("{room} may know {other}, and does not"))
        .collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn rooms_that_only_compute_open_nothing() {
    let mut broken = Vec::new();
    for source in sources() {
        let forbidden = NO_IO.iter().filter(|(room, _)| *room == source.room).flat_map(|(_, words)| *words);
        let found = forbidden.filter(|word| source.code.contains(**word));
        broken.extend(found.map(|word| format!("{} has {word}", source.path.display())));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_reader_of_sources_sees_paths_and_groups_but_no_tests() {
    let rooms = rooms();
    let code = "use crate::store::Store;\nuse crate::{app, demo::run};\n// crate::tail\nlet x = crate::http::y();\n\
                #[cfg(test)]\nmod tests {\n    use crate::sim::Sim;\n}\n";
    let known: Vec<String> = known_rooms(&without_tests(code), &rooms).into_iter().collect();
    assert_eq!(known, ["app", "demo", "http", "store"]);
    let all = sources();
    assert!(all.len() > 80, "{} files", all.len());
    assert!(!all.iter().any(|source| source.path.ends_with("tail/situations.rs")), "declared under cfg(test)");
}
