//! The dependency directions between the rooms, read off the source.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// What a room may know, beside itself.
#[derive(Clone, Copy)]
enum May {
    Know(&'static [&'static str]),
    /// Every room of the product.
    KnowTheProduct,
    /// The product, and what stands around it.
    KnowAll,
}

use May::{Know, KnowAll, KnowTheProduct};

/// What each room may know. A file of `src/` that is no room's is a room of its own.
const MAY_KNOW: &[(&str, May)] = &[
    ("domain", Know(&[])),
    ("log_format", Know(&[])),
    // `check` looks at the logs.
    ("config", Know(&["domain", "log_format"])),
    ("health", Know(&["domain"])),
    // Logging has a section of the configuration, and a scrape looks at the components.
    ("telemetry", Know(&["domain", "config", "health"])),
    ("http", Know(&["domain", "health", "telemetry"])),
    ("supervisor", Know(&["domain", "health", "telemetry"])),
    ("store", Know(&["domain", "telemetry"])),
    ("tail", Know(&["domain", "config", "health", "telemetry"])),
    ("events", Know(&["domain", "log_format", "config", "store", "health", "telemetry"])),
    ("delivery", Know(&["domain", "config", "store", "health", "telemetry"])),
    ("discord", Know(&["domain", "config", "delivery", "store", "events", "rcon", "game", "health", "telemetry"])),
    // The backoff between attempts is the supervisor's.
    ("game", Know(&["domain", "config", "events", "store", "rcon", "telemetry"])),
    ("rcon", Know(&["domain", "config", "supervisor", "health", "telemetry"])),
    ("sim", Know(&["domain"])),
    ("cli", KnowAll),
    ("app", KnowTheProduct),
    ("demo", KnowAll),
    ("lib", Know(&[])),
    ("main", Know(&["cli"])),
];

/// Rooms around the product: what starts it, what plays its far sides, and the rules for log lines, which `app` needs not
/// know.
const NOT_THE_PRODUCT: [&str; 7] = ["sim", "cli", "app", "demo", "lib", "main", "log_format"];

impl May {
    fn rooms(self) -> BTreeSet<&'static str> {
        let all = MAY_KNOW.iter().map(|(room, _)| *room);
        match self {
            Know(rooms) => rooms.iter().copied().collect(),
            KnowTheProduct => all.filter(|room| !NOT_THE_PRODUCT.contains(room)).collect(),
            KnowAll => all.filter(|room| !["cli", "lib", "main"].contains(room)).collect(),
        }
    }
}

/// Rooms that compute only, and what I/O looks like in them.
const NO_IO: &[(&str, &[&str])] = &[
    ("domain", &["std::fs", "std::net", "std::process", "tokio", "tracing", "sqlx"]),
    ("log_format", &["std::fs", "std::process", "tokio", "tracing", "sqlx"]),
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
    let declared =
        Regex::new(r#"#\[cfg\(test\)\]\s*(?:#\[path = "([^"]+)"\]\s*)?(?:pub\([^)]*\) )?mod (\w+);"#).unwrap();
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
    let tests = Regex::new(r"(?m)^#\[cfg\(test\)\]\n(?:pub\([^)]*\) )?mod \w+ \{").unwrap();
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
    let table: BTreeMap<&str, BTreeSet<&str>> = MAY_KNOW.iter().map(|(room, may)| (*room, may.rooms())).collect();
    let rooms = rooms();
    let mut broken = Vec::new();
    for source in sources() {
        let Some(may) = table.get(source.room.as_str()) else {
            broken.push(format!("{} is in no room of the table", source.path.display()));
            continue;
        };
        let may_know = |room: &str| room == source.room || may.contains(room);
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
    let strict = MAY_KNOW.iter().filter(|(_, may)| !matches!(may, KnowAll));
    let unused: Vec<String> = strict
        .flat_map(|(room, may)| may.rooms().into_iter().map(move |other| (*room, other)))
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
                #[cfg(test)]\npub(super) mod tests {\n    use crate::sim::Sim;\n}\n";
    let known: Vec<String> = known_rooms(&without_tests(code), &rooms).into_iter().collect();
    assert_eq!(known, ["app", "demo", "http", "store"]);
    let all = sources();
    assert!(all.len() > 80, "{} files", all.len());
    for tests in ["tail/situations.rs", "discord/inbound/routes_tests.rs"] {
        assert!(!all.iter().any(|source| source.path.ends_with(tests)), "{tests} is declared under cfg(test)");
    }
}

#[test]
fn tests_of_the_relay_start_the_simulator_with_the_check_of_what_is_sent() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut paths = Vec::new();
    files(&tests, &mut paths);
    // The simulator's own tests send what Discord refuses.
    paths.retain(|path| !path.starts_with(tests.join("sim")) && !path.ends_with("it/sim.rs"));
    let start = ["SimDiscord::", "start"].concat();
    let starts =
        |path: &PathBuf| fs::read_to_string(path).unwrap().lines().filter(|line| line.contains(&start)).count();
    let found: Vec<_> = paths.iter().map(|path| (path, starts(path))).filter(|(_, count)| *count > 0).collect();
    assert!(
        matches!(&found[..], [(path, 1)] if path.ends_with("discord_sim/mod.rs")),
        "use `crate::discord_sim::start` instead of `{start}` in {found:?}"
    );
}
