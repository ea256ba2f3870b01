//! The image and the compose file, held to the program. `.ci/try-image` and `.ci/check-compose` run the real thing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use factorio_isr::config::{self, Environment};
use regex::Regex;

fn shipped(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The first group of every match, line by line.
fn all(text: &str, regex: &str) -> Vec<String> {
    let regex = Regex::new(&format!("(?m){regex}")).unwrap();
    regex.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn one(text: &str, regex: &str) -> String {
    let found = all(text, regex);
    assert_eq!(found.len(), 1, "{regex} finds {found:?}");
    found[0].clone()
}

/// The environment that the image gives the program.
fn environment_of_the_image() -> BTreeMap<String, String> {
    let block = one(&shipped("Dockerfile"), r"^ENV ((?:.*\\\n)*.*)$");
    let pair = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    block.split_whitespace().filter_map(pair).collect()
}

fn run(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_factorio-isr")).args(args).output().unwrap()
}

#[test]
fn what_the_image_starts_is_a_command_of_the_program() {
    let dockerfile = shipped("Dockerfile");
    let compose = shipped("docker-compose.yml");
    let healthcheck = one(&dockerfile, r#"CMD \["/usr/bin/factorio-isr", "(\w+)"\]$"#);
    assert_eq!(one(&compose, r#"test: \["CMD", "/usr/bin/factorio-isr", "(\w+)"\]$"#), healthcheck);
    for command in [healthcheck, one(&dockerfile, r#"^CMD \["(\w+)"\]$"#)] {
        assert!(run(&[&command, "--help"]).status.success(), "{command}");
    }
}

#[test]
fn one_version_and_none_that_moves() {
    let dockerfile = shipped("Dockerfile");
    assert_eq!(one(&dockerfile, r"^ARG VERSION=(.+)$"), env!("CARGO_PKG_VERSION"));
    let rust = one(&dockerfile, r"^ARG RUST_IMAGE=.*/rust:(\d+\.\d+)\.\d+-slim-bookworm$");
    let part = |version: &str| version.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    assert!(part(&rust) >= part(env!("CARGO_PKG_RUST_VERSION")), "{rust} is too old for Cargo.toml");

    let images = all(&shipped("docker-compose.yml"), r"^    image: (.+)$");
    assert_eq!(images.len(), 4);
    assert_eq!(images[0], format!("factorio-isr:{}", env!("CARGO_PKG_VERSION")));
    let pinned = Regex::new(r"^v?\d+\.\d+\.\d+$").unwrap();
    for image in images {
        let tag = image.rsplit_once(':').unwrap().1;
        assert!(pinned.is_match(tag), "{image} is not pinned");
    }
}

#[test]
fn every_service_is_confined_and_watched() {
    let compose = shipped("docker-compose.yml");
    let services = compose.split("\nservices:\n").nth(1).unwrap().split("\nvolumes:\n").next().unwrap();
    let names = all(services, r"^  (\w+):$");
    assert_eq!(names, ["isr", "prometheus", "grafana", "jaeger"]);
    for said in [
        r#"    user: "[1-9]\d*:\d+""#,
        "    read_only: true",
        "    healthcheck:",
        "    cap_drop:\n      - ALL",
        "    security_opt:\n      - no-new-privileges:true",
    ] {
        assert_eq!(all(services, &format!("^({said})$")).len(), names.len(), "{said}");
    }
    assert_eq!(all(services, r"^    profiles: \[(.+)\]$"), ["monitoring"; 3], "the relay alone has none");
    let ports = all(services, r"^      - (\S+:\d+:\d+)$");
    assert!(ports.iter().all(|port| port.contains("127.0.0.1")), "seen from outside: {ports:?}");
    assert!(!compose.to_lowercase().contains("password: admin"));
}

#[test]
fn the_example_needs_no_other_paths_in_the_container() {
    let mut vars = environment_of_the_image();
    vars.insert("DISCORD_BOT_TOKEN".to_owned(), "example".to_owned());
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let env = Environment { vars: vars.clone(), secrets_dir: root.join("no-secrets") };
    let settings = config::load(&root.join("config.example.toml"), &env).unwrap().settings;

    let dockerfile = shipped("Dockerfile");
    let compose = shipped("docker-compose.yml");
    let volume = one(&dockerfile, r#"^VOLUME \["(.+)"\]$"#);
    assert!(settings.database.path.starts_with(&volume), "{}", settings.database.path.display());
    assert!(compose.contains(&format!("      - isr-data:{volume}\n")));
    assert!(compose.contains(&format!("        target: {}\n", vars["ISR_CONFIG"])));
    let logs = one(&compose, r"^        source: \$\{FACTORIO_LOGS:-(.+)\}$");
    assert!(compose.contains(&format!("        target: {logs}\n")));
    assert!(settings.servers[0].console_log.starts_with(&logs));
}

#[test]
fn everybody_knows_the_port() {
    let dockerfile = shipped("Dockerfile");
    let port = one(&dockerfile, r"^EXPOSE (\d+)$");
    assert_eq!(environment_of_the_image()["HEALTH_CHECK_PORT"], port);
    assert_eq!(one(&shipped("config.example.toml"), r"^# port = (80\d+)$"), port, "the default");
    assert_eq!(one(&shipped("docker-compose.yml"), r"^      - \$\{HEALTH_CHECK_HOST:.*:(\d+)$"), port);
    assert_eq!(one(&shipped("grafana/prometheus/prometheus.yml"), r#"targets: \["isr:(\d+)"\]$"#), port);
}

#[test]
fn the_variables_of_compose_are_explained_and_used() {
    let compose = shipped("docker-compose.yml");
    let example = shipped(".env.example");
    for name in all(&example, r"^(?:# )?([A-Z_]+)=") {
        assert!(name == "COMPOSE_PROFILES" || compose.contains(&format!("${{{name}:")), "{name} does nothing");
    }
    for name in all(&compose, r"[^$]\$\{(\w+):") {
        assert!(name.starts_with("ISR_") || example.contains(&format!("{name}=")), "{name} is not in .env.example");
    }
}

#[test]
fn what_compose_mounts_is_there() {
    let compose = shipped("docker-compose.yml");
    let mounts = all(&compose, r"^      - \./(\S+):ro$");
    assert_eq!(mounts.len(), 3, "{mounts:?}");
    for (source, _) in mounts.iter().map(|mount| mount.split_once(':').unwrap()) {
        assert!(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(source).is_dir(), "{source}");
    }
    let provider = shipped("grafana/provisioning/dashboards/dashboards.yml");
    let folder = one(&provider, r"^      path: (.+)$");
    assert!(compose.contains(&format!("      - ./grafana/dashboards:{folder}:ro\n")));
    let home = one(&compose, r"^      GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: (.+)$");
    let home = home.strip_prefix(&format!("{folder}/")).unwrap();
    assert!(shipped(&format!("grafana/dashboards/{home}")).contains("\"uid\": \"isr-servers\""), "{home}");
    // Datasources are reached by the names of services.
    let sources = shipped("grafana/provisioning/datasources/datasources.yml");
    for host in all(&sources, r"url: http://(\w+):") {
        assert!(compose.contains(&format!("\n  {host}:\n")), "{host}");
    }
}

/// The sources up to their tests, with the folders they lie in.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut sources: Vec<_> = files
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (folder.to_owned(), text.split("#[cfg(test)]").next().unwrap().to_owned())
        })
        .collect();
    sources.extend(folders.iter().flat_map(|folder| self::sources(folder)));
    sources
}

/// What only a module of tests is compiled with.
const FOR_TESTS: &str = "docs/commands.md";

#[test]
fn all_that_is_compiled_into_the_program_is_handed_to_the_build_of_the_image() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let handed = all(&shipped(".dockerignore"), "^!(.*)$");
    let mut included = 0;
    for (folder, text) in sources(&root.join("src")) {
        for file in all(&text, r#"include_(?:bytes|str)!\("([^"]+)"\)"#) {
            let file = folder.join(&file).canonicalize().unwrap_or_else(|error| panic!("{file}: {error}"));
            let file = file.strip_prefix(root).unwrap();
            assert!(
                file == Path::new(FOR_TESTS) || handed.iter().any(|handed| file.starts_with(handed)),
                ".dockerignore leaves out {}",
                file.display()
            );
            included += 1;
        }
    }
    assert!(included > 0, "nothing is included any more");
}
