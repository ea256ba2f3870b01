//! What the demo's configuration adds to the events that are built in.

/// `[[patterns]]` for the demo: an announcement of the server's goes where joins and stops go.
///
/// It begins at the start of the line, so that no player's chat can pass for the server's.
pub const DEMO_PATTERNS: &str = r#"
[[patterns]]
id = "restart"
regex = '^\[CHAT\] <server>: (?P<what>.*\b[Rr]estart\b.*)$'
template = "📢 {what}"
channel = "joins"
examples = ['[CHAT] <server>: Restart tonight at 23:00 for a mod update']
"#;

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn the_pattern_matches_its_example_and_no_players_chat() {
        let document: toml_edit::DocumentMut = DEMO_PATTERNS.parse().unwrap();
        let patterns = document["patterns"].as_array_of_tables().unwrap();
        let pattern = patterns.get(0).unwrap();
        let regex = Regex::new(pattern["regex"].as_str().unwrap()).unwrap();
        let example = pattern["examples"][0].as_str().unwrap();
        assert_eq!(patterns.len(), 1);
        assert!(regex.is_match(example), "{example}");
        assert!(!regex.is_match(&format!("[CHAT] Bob: {example}")), "{example}");
    }
}
