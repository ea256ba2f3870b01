//! What mods write of the game, each in its own format: lines that the game itself never writes.

use std::collections::HashMap;
use std::path::PathBuf;

/// The mod a [`SimServer`](super::SimServer) runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SimMod {
    /// `events-logger` with its usual settings: `log()` lines in the engine log.
    #[default]
    EventsLogger,
    /// The same with its JSON file, `script-output/game-events.json`, beside the `log()` lines.
    EventsLoggerJson(PathBuf),
    /// The companion of `FactoriGOChatBot`, which writes `script-output/factorigo-chat-bot/factorigo-chat-bot.log`.
    FactoriGo(PathBuf),
    /// A scenario that prints `JLOGGER:` lines, into a console log that is a capture of standard output.
    JLogger,
}

impl SimMod {
    /// The file of the mod's own, where it has one.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::EventsLoggerJson(path) | Self::FactoriGo(path) => Some(path),
            Self::EventsLogger | Self::JLogger => None,
        }
    }
}

/// What a mod tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told<'a> {
    /// Who, and by what.
    Died(&'a str, &'a str),
    /// A technology and its level.
    ResearchStarted(&'a str, u32),
    /// A technology and its level.
    ResearchFinished(&'a str, u32),
    Rocket,
}

/// Where a line goes, and the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ModOutput {
    /// `log()` at this source.
    Logged(&'static str, String),
    /// A line of the mod's file.
    Written(String),
    /// `print()`
    Printed(String),
}

const HELPERS: &str = "__events-logger__/el_helpers.lua:38";
const RESEARCH: &str = "__events-logger__/events/research.lua:23";

/// What the mods count in the save.
#[derive(Debug, Default)]
pub(super) struct Counts {
    rockets: u64,
    /// By player and cause.
    deaths: HashMap<(String, String), u64>,
}

impl Counts {
    /// The lines that `which` mod writes of this.
    pub(super) fn lines(&mut self, which: &SimMod, told: Told<'_>, tick: u64) -> Vec<ModOutput> {
        match which {
            SimMod::EventsLogger => logged(told),
            SimMod::EventsLoggerJson(_) => {
                let mut lines = logged(told);
                lines.insert(0, ModOutput::Written(json(told, tick)));
                lines
            }
            SimMod::FactoriGo(_) => vec![ModOutput::Written(self.factorigo(told, tick))],
            SimMod::JLogger => printed(told).into_iter().map(ModOutput::Printed).collect(),
        }
    }

    fn factorigo(&mut self, told: Told<'_>, tick: u64) -> String {
        let said = match told {
            Told::Died(player, cause) => {
                let count = self.deaths.entry((player.to_owned(), cause.to_owned())).or_default();
                *count += 1;
                let count = *count;
                let total: u64 = self.deaths.iter().filter(|((who, _), _)| who == player).map(|(_, n)| n).sum();
                format!("PLAYER_DIED:{player}:{cause}:{count}:{total}")
            }
            Told::ResearchStarted(technology, level) => format!("RESEARCH_STARTED:{}", prototype(technology, level)),
            Told::ResearchFinished(technology, level) => format!("RESEARCH_FINISHED:{}", prototype(technology, level)),
            Told::Rocket => {
                self.rockets += 1;
                format!("ROCKET_LAUNCHED:{}", self.rockets)
            }
        };
        format!("[FactoriGOChatBot]: \"{tick} [{said}]\"")
    }
}

/// Technologies with levels have them in their names.
fn prototype(technology: &str, level: u32) -> String {
    if level > 1 { format!("{technology}-{level}") } else { technology.to_owned() }
}

fn logged(told: Told<'_>) -> Vec<ModOutput> {
    let log = |text: String| ModOutput::Logged(HELPERS, text);
    match told {
        Told::Died(player, "") => vec![
            log(format!("[DIED] ambient damage{player} - ambient damage")),
            log(format!("[DIED] {player} ambient damage")),
        ],
        Told::Died(player, cause) => {
            vec![log(format!("[DIED] PVE:{player} {cause}")), log(format!("[DIED] {player} PVE"))]
        }
        Told::ResearchStarted(technology, level) => vec![log(format!("[RESEARCH_STARTED] {technology} {level}"))],
        Told::ResearchFinished(technology, level) => {
            vec![ModOutput::Logged(RESEARCH, format!("[RESEARCH FINISHED] {technology} {level}"))]
        }
        Told::Rocket => vec![log("[ROCKET_LAUNCHED]  from rocket-silo at -12.5, 40.5".to_owned())],
    }
}

fn json(told: Told<'_>, tick: u64) -> String {
    let value = match told {
        Told::Died(name, "") => {
            serde_json::json!({ "name": name, "event": "DIED", "reason": "ambient damage", "tick": tick })
        }
        Told::Died(name, cause) => {
            serde_json::json!({ "name": name, "event": "DIED", "reason": "PVE", "cause": cause, "tick": tick })
        }
        Told::ResearchStarted(name, level) => {
            serde_json::json!({ "name": name, "event": "RESEARCH_STARTED", "level": level, "tick": tick })
        }
        Told::ResearchFinished(name, level) => {
            serde_json::json!({ "name": name, "event": "RESEARCH_FINISHED", "level": level, "tick": tick })
        }
        Told::Rocket => serde_json::json!({
            "event": "ROCKET_LAUNCHED",
            "silo": { "name": "rocket-silo", "position": { "x": -12.5, "y": 40.5 } },
            "tick": tick
        }),
    };
    value.to_string()
}

fn printed(told: Told<'_>) -> Option<String> {
    match told {
        Told::Died(player, "") => Some(format!("JLOGGER: DIED: {player} no-cause")),
        Told::Died(player, cause) => Some(format!("JLOGGER: DIED: {player} {cause}")),
        Told::ResearchStarted(..) => None,
        Told::ResearchFinished(technology, level) => Some(format!("JLOGGER: RESEARCH FINISHED: {technology} {level}")),
        Told::Rocket => Some("JLOGGER: ROCKET: ROCKET LAUNCHED".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mod_tells_of_the_same_in_its_own_words() {
        let mods = [
            SimMod::EventsLogger,
            SimMod::EventsLoggerJson("x".into()),
            SimMod::FactoriGo("x".into()),
            SimMod::JLogger,
        ];
        let told = [
            Told::Died("Bob", "small-biter"),
            Told::Died("Bob", ""),
            Told::ResearchStarted("automation", 3),
            Told::ResearchFinished("automation", 3),
            Told::Rocket,
        ];
        let mut counts = Counts::default();
        let lines = mods.iter().flat_map(|which| told.map(|told| counts.lines(which, told, 60))).flatten();
        insta::assert_snapshot!(lines.map(|line| format!("{line:?}")).collect::<Vec<_>>().join("\n"), @r#"
        Logged("__events-logger__/el_helpers.lua:38", "[DIED] PVE:Bob small-biter")
        Logged("__events-logger__/el_helpers.lua:38", "[DIED] Bob PVE")
        Logged("__events-logger__/el_helpers.lua:38", "[DIED] ambient damageBob - ambient damage")
        Logged("__events-logger__/el_helpers.lua:38", "[DIED] Bob ambient damage")
        Logged("__events-logger__/el_helpers.lua:38", "[RESEARCH_STARTED] automation 3")
        Logged("__events-logger__/events/research.lua:23", "[RESEARCH FINISHED] automation 3")
        Logged("__events-logger__/el_helpers.lua:38", "[ROCKET_LAUNCHED]  from rocket-silo at -12.5, 40.5")
        Written("{\"cause\":\"small-biter\",\"event\":\"DIED\",\"name\":\"Bob\",\"reason\":\"PVE\",\"tick\":60}")
        Logged("__events-logger__/el_helpers.lua:38", "[DIED] PVE:Bob small-biter")
        Logged("__events-logger__/el_helpers.lua:38", "[DIED] Bob PVE")
        Written("{\"event\":\"DIED\",\"name\":\"Bob\",\"reason\":\"ambient damage\",\"tick\":60}")
        Logged("__events-logger__/el_helpers.lua:38", "[DIED] ambient damageBob - ambient damage")
        Logged("__events-logger__/el_helpers.lua:38", "[DIED] Bob ambient damage")
        Written("{\"event\":\"RESEARCH_STARTED\",\"level\":3,\"name\":\"automation\",\"tick\":60}")
        Logged("__events-logger__/el_helpers.lua:38", "[RESEARCH_STARTED] automation 3")
        Written("{\"event\":\"RESEARCH_FINISHED\",\"level\":3,\"name\":\"automation\",\"tick\":60}")
        Logged("__events-logger__/events/research.lua:23", "[RESEARCH FINISHED] automation 3")
        Written("{\"event\":\"ROCKET_LAUNCHED\",\"silo\":{\"name\":\"rocket-silo\",\"position\":{\"x\":-12.5,\"y\":40.5}},\"tick\":60}")
        Logged("__events-logger__/el_helpers.lua:38", "[ROCKET_LAUNCHED]  from rocket-silo at -12.5, 40.5")
        Written("[FactoriGOChatBot]: \"60 [PLAYER_DIED:Bob:small-biter:1:1]\"")
        Written("[FactoriGOChatBot]: \"60 [PLAYER_DIED:Bob::1:2]\"")
        Written("[FactoriGOChatBot]: \"60 [RESEARCH_STARTED:automation-3]\"")
        Written("[FactoriGOChatBot]: \"60 [RESEARCH_FINISHED:automation-3]\"")
        Written("[FactoriGOChatBot]: \"60 [ROCKET_LAUNCHED:1]\"")
        Printed("JLOGGER: DIED: Bob small-biter")
        Printed("JLOGGER: DIED: Bob no-cause")
        Printed("JLOGGER: RESEARCH FINISHED: automation 3")
        Printed("JLOGGER: ROCKET: ROCKET LAUNCHED")
        "#);
    }
}
