//! Finds the programs that some tests need: the tests of those that are missing are ignored, with the reason.
//!
//! Also names `migrations/` to cargo: `sqlx::migrate!` embeds the folder but does not notice a new file in it.

use std::env;
use std::path::PathBuf;

/// Each condition, and the programs that meet it: all of an inner list, by any name of each.
const TOOLS: [(&str, &[&[&str]]); 3] = [
    ("has_promtool", &[&["promtool"], &["prometheus"]]),
    ("has_chromium", &[&["chromium", "google-chrome"]]),
    ("has_collector", &[&["rotel-agent"]]),
];

/// Names the collector where it is not in `PATH`.
const COLLECTOR: &str = "RELAY_TEST_ROTEL";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo:rerun-if-env-changed={COLLECTOR}");
    for (condition, programs) in TOOLS {
        println!("cargo:rustc-check-cfg=cfg({condition})");
        let named =
            condition == "has_collector" && env::var_os(COLLECTOR).is_some_and(|path| PathBuf::from(path).is_file());
        if named || programs.iter().all(|names| names.iter().any(|name| is_installed(name))) {
            println!("cargo:rustc-cfg={condition}");
        }
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
