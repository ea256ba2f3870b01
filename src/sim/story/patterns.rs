//! What the demo's configuration says about the lines of the events-logger mod.

/// `[[patterns]]` for the demo, as an operator with that mod would write them.
///
/// They begin at the start of the line, so that no player's chat can pass for the mod.
pub const DEMO_PATTERNS: &str = r#"
[[patterns]]
id = "mod-death"
regex = '^Script @__events-logger__/\S+ \[DIED\] (?P<player>\S+) (?P<cause>\S+)$'
event = "death"
template = "💀 **{player}** was killed by {cause}"
channel = "game"
examples = ['Script @__events-logger__/logging.lua:85: [DIED] Mattie small-biter']

[[patterns]]
id = "mod-research"
regex = '^Script @__events-logger__/\S+ \[RESEARCH FINISHED\] (?P<technology>\S+) \S+$'
event = "research"
template = "🔬 Research done: **{technology}**"
channel = "game"
examples = ['Script @__events-logger__/logging.lua:85: [RESEARCH FINISHED] automation 3']

[[patterns]]
id = "mod-rocket"
regex = '^Script @__events-logger__/\S+ \[ROCKET\] ROCKET LAUNCHED$'
event = "rocket"
template = "🚀 A rocket was launched"
channel = "game"
examples = ['Script @__events-logger__/logging.lua:85: [ROCKET] ROCKET LAUNCHED']
"#;

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::sim::factorio::{SimServer, SimServerConfig};

    fn regexes() -> Vec<(Regex, String)> {
        let document: toml_edit::DocumentMut = DEMO_PATTERNS.parse().unwrap();
        let patterns = document["patterns"].as_array_of_tables().unwrap();
        let regex = |table: &toml_edit::Table| Regex::new(table["regex"].as_str().unwrap()).unwrap();
        let example = |table: &toml_edit::Table| table["examples"][0].as_str().unwrap().to_owned();
        patterns.iter().map(|table| (regex(table), example(table))).collect()
    }

    #[test]
    fn patterns_match_their_examples_and_no_chat() {
        for (regex, example) in regexes() {
            assert!(regex.is_match(&example), "{example}");
            assert!(!regex.is_match(&format!("[CHAT] Bob: {example}")), "{example}");
        }
    }

    #[test]
    fn patterns_match_what_the_simulated_mod_writes() {
        let dir = tempfile::tempdir().unwrap();
        let engine_log = dir.path().join("factorio-current.log");
        let config = SimServerConfig {
            name: "Nauvis Main".to_owned(),
            console_log: dir.path().join("console.log"),
            engine_log: Some(engine_log.clone()),
            timezone: jiff::tz::TimeZone::UTC,
            space_age: false,
        };
        let mut server = SimServer::new(config, std::sync::Arc::new(crate::domain::SystemClock));
        server.companion_died("old_pete", "locomotive").unwrap();
        server.companion_research_finished("automation", 3).unwrap();
        server.companion_rocket_launched().unwrap();
        let written = std::fs::read_to_string(engine_log).unwrap();
        assert_eq!(written.lines().count(), 3);
        for ((regex, _), line) in regexes().iter().zip(written.lines()) {
            let (_seconds, text) = line.trim_start().split_once(' ').unwrap();
            assert!(regex.is_match(text), "{text}");
        }
    }
}
