//! The metrics of the games in one table. docs/game-metrics.md is made of it.
//!
//! They are no part of [`METRICS`](super::metrics::METRICS): they are read off the games' board at each scrape, so that a game
//! that is down has none. Where graftorio2 has a metric of the same meaning, name and labels are its own, with `server` before.

use super::metrics::Kind;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GameMetric {
    /// Its full name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// The labels, in order.
    pub labels: &'static [&'static str],
    /// What it means: becomes `# HELP`.
    pub help: &'static str,
    /// Whether graftorio2 has it.
    pub theirs: bool,
    /// Whether the game's own commands tell it.
    pub native: bool,
    /// Whether it is there where a mod's file tells of the game.
    pub by_file: bool,
}

macro_rules! game_metrics {
    ($($konst:ident: $kind:ident, $name:literal [$($label:literal),*], $from:ident $native:ident, $help:literal;)+) => {
        $(#[doc = $help] pub const $konst: GameMetric = GameMetric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
            theirs: game_metrics!(@theirs $from),
            native: game_metrics!(@native $native),
            by_file: game_metrics!(@by_file $from $native),
        };)+

        /// All metrics of the games.
        pub const GAME_METRICS: &[GameMetric] = &[$($konst),+];
    };
    (@theirs graftorio2) => { true };
    (@theirs ours) => { false };
    (@native all) => { true };
    (@native native) => { true };
    (@native lua) => { false };
    (@by_file $from:ident all) => { true };
    (@by_file graftorio2 $native:ident) => { true };
    (@by_file ours $native:ident) => { false };
}

game_metrics! {
    UP: Gauge, "factorio_isr_game_up" ["server"], ours native, "1 while the game answers over RCON, else 0; absent where it has no RCON. What a mod's file tells does not change it.";
    SOURCE: Gauge, "factorio_isr_game_source" ["server", "source"], ours all, "1, with where the numbers of the game are from: lua, native, or files where the game cannot be asked and a mod's file tells.";
    UPS: Gauge, "factorio_isr_game_ups" ["server"], ours all, "Updates of the map a second; absent while it stands or is not measured yet.";
    UPS_TARGET: Gauge, "factorio_isr_game_ups_target" ["server"], ours all, "Updates a second the game aims at: 60 times its speed; 60 where only Lua could tell.";
    UPS_ERROR: Gauge, "factorio_isr_game_ups_error" ["server"], ours all, "How far the updates a second may be off.";
    PAUSED: Gauge, "factorio_isr_game_paused" ["server"], ours all, "1 while the map stands still, 0 while it moves; a file tells the latter alone.";
    AGE: Gauge, "factorio_isr_game_age_seconds" ["server"], ours all, "Age of the map in seconds, at 60 updates a second.";
    SAMPLE_AGE: Gauge, "factorio_isr_game_sample_age_seconds" ["server"], ours all, "Seconds since the numbers of the game are from.";
    SAMPLE_DURATION: Gauge, "factorio_isr_game_sample_duration_seconds" ["server"], ours native, "Seconds the answers to the last sample took.";
    SAMPLE_BYTES: Gauge, "factorio_isr_game_sample_bytes" ["server"], ours native, "Bytes the answers to the last sample had.";
    ROCKETS: Gauge, "factorio_isr_game_rockets_launched" ["server", "force"], ours lua, "Rockets launched, ever.";
    PLATFORMS: Gauge, "factorio_isr_game_platforms" ["server", "force", "state"], ours lua, "Space platforms by what they do.";

    TICK: Gauge, "factorio_tick" ["server"], graftorio2 native, "The map's tick; to the second where the source is native.";
    CONNECTED: Gauge, "factorio_connected_player_count" ["server"], graftorio2 native, "Players in the game.";
    KNOWN: Gauge, "factorio_total_player_count" ["server"], graftorio2 native, "Players who ever were in the game.";
    SEED: Gauge, "factorio_seed" ["server", "surface"], graftorio2 lua, "Map seed by surface.";
    EVOLUTION: Gauge, "factorio_evolution" ["server", "force", "type", "surface"], graftorio2 native, "Evolution factor, 0 to 1, and the parts of it by type; of the enemies alone, and without parts, where the source is native.";
    RESEARCH_QUEUE: Gauge, "factorio_research_queue" ["server", "force", "name", "level", "index"], graftorio2 lua, "Research queue: progress of the first, 0 for the others.";
    ITEMS_LAUNCHED: Counter, "factorio_items_launched_total" ["server", "force", "name"], graftorio2 lua, "Items launched in rockets.";
    ITEM_INPUT: Gauge, "factorio_item_production_input" ["server", "force", "name", "surface"], graftorio2 lua, "Items produced, ever.";
    ITEM_OUTPUT: Gauge, "factorio_item_production_output" ["server", "force", "name", "surface"], graftorio2 lua, "Items consumed, ever.";
    FLUID_INPUT: Gauge, "factorio_fluid_production_input" ["server", "force", "name", "surface"], graftorio2 lua, "Fluids produced, ever.";
    FLUID_OUTPUT: Gauge, "factorio_fluid_production_output" ["server", "force", "name", "surface"], graftorio2 lua, "Fluids consumed, ever.";
    KILL_INPUT: Gauge, "factorio_kill_count_input" ["server", "force", "name", "surface"], graftorio2 lua, "Kills, ever.";
    KILL_OUTPUT: Gauge, "factorio_kill_count_output" ["server", "force", "name", "surface"], graftorio2 lua, "Losses, ever.";
    BUILD_INPUT: Gauge, "factorio_entity_build_count_input" ["server", "force", "name", "surface"], graftorio2 lua, "Entities placed, ever.";
    BUILD_OUTPUT: Gauge, "factorio_entity_build_count_output" ["server", "force", "name", "surface"], graftorio2 lua, "Entities removed, ever.";
    POLLUTION_INPUT: Gauge, "factorio_pollution_production_input" ["server", "force", "name", "surface"], graftorio2 lua, "Pollution produced, ever; it belongs to no force and stands under the first that has players.";
    POLLUTION_OUTPUT: Gauge, "factorio_pollution_production_output" ["server", "force", "name", "surface"], graftorio2 lua, "Pollution consumed, ever.";
    POWER_INPUT: Gauge, "factorio_power_production_input" ["server", "force", "name", "network", "surface"], graftorio2 lua, "The first flow of an electric network's statistics, in joules, ever.";
    POWER_OUTPUT: Gauge, "factorio_power_production_output" ["server", "force", "name", "network", "surface"], graftorio2 lua, "The second flow of an electric network's statistics, in joules, ever.";
}

/// The table of docs/game-metrics.md.
#[must_use]
pub fn table() -> String {
    let row = |metric: &GameMetric| {
        let mark = |has| if has { "yes" } else { "" };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!(
            "| `{}` | {} | {} | {} | yes | {} | {} |\n",
            metric.name,
            labels.join(" "),
            mark(metric.theirs),
            mark(metric.native),
            mark(metric.by_file),
            metric.help
        )
    };
    let head = "| metric | labels | graftorio2's | source 1: native | source 2: Lua | source 3: files | meaning |\n\
                |---|---|---|---|---|---|---|\n";
    GAME_METRICS.iter().map(row).fold(head.to_owned(), |table, row| table + &row)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn the_document_has_the_table_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/game-metrics.md");
        let document = fs::read_to_string(path).unwrap();
        let (begin, end) = ("<!-- made of the code -->\n", "<!-- up to here -->");
        let (before, rest) = document.split_once(begin).unwrap();
        let (shown, after) = rest.split_once(end).unwrap();
        if shown != table() && std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(path, format!("{before}{begin}{}{end}{after}", table())).unwrap();
            return;
        }
        assert_eq!(shown, table(), "UPDATE_DOCS=1 cargo test writes it");
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let mut names = BTreeSet::new();
        for metric in GAME_METRICS {
            assert!(names.insert(metric.name), "{} twice", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(metric.labels[0], "server", "{}", metric.name);
            assert_ne!(metric.theirs, metric.name.starts_with("factorio_isr_"), "{}", metric.name);
        }
    }
}
