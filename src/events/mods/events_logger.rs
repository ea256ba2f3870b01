//! The mod `events-logger`: `log()` lines in the engine's log, as `[DIED] PVE:Bob small-biter`, and, where its setting
//! says so, JSON lines in `script-output/game-events.json`.
//!
//! A death is logged by two lines; the second one, without the cause, is not told. That of a player by a player is the
//! same line twice.

use serde_json::Value;

use super::{ModLine, UNKNOWN_CAUSE, death, evolution, number, research, rocket};
use crate::domain::EventKind;
use crate::events::vanilla::Event;

/// What stands for the cause of a death by fire, poison and the like.
const AMBIENT: &str = "ambient damage";

/// Reads what the mod gave to `log()`: `[TAG] text`.
pub(super) fn logged(text: &str) -> Option<ModLine<'_>> {
    let (tag, said) = text.strip_prefix('[')?.split_once(']')?;
    let said = said.trim_start();
    let event = match tag {
        "DIED" => return died(text, said),
        "RESEARCH_STARTED" => technology(EventKind::ResearchStarted, text, said),
        "RESEARCH FINISHED" | "RESEARCH_FINISHED" => technology(EventKind::ResearchFinished, text, said),
        "ROCKET" | "ROCKET_LAUNCHED" => Some(rocket(text, None)),
        "EVOLUTION" => evolved(text, said),
        _ => return Some(ModLine::other(text, None)),
    };
    Some(ModLine::new(event?, None))
}

/// `PVE:NAME cause`, `NAME PVP` (twice), `ambient damageNAME - ambient damage`; of older versions `NAME cause` and
/// `PLAYER: NAME killer`.
fn died<'a>(text: &'a str, said: &'a str) -> Option<ModLine<'a>> {
    let second = said.strip_suffix(" PVE").or_else(|| said.strip_suffix(" ambient damage"));
    let ambient = said.strip_prefix(AMBIENT).and_then(|rest| rest.strip_suffix(" - ambient damage"));
    if let Some(player) = ambient.filter(|player| !player.is_empty()) {
        return Some(ModLine::new(death(text, player, AMBIENT), None));
    }
    if second.is_some() {
        return Some(ModLine::other(text, None));
    }
    let said = said.strip_prefix("PVE:").or_else(|| said.strip_prefix("PLAYER: ")).unwrap_or(said);
    let (player, cause) = said.rsplit_once(' ').filter(|(player, _)| !player.is_empty())?;
    let by_player = cause == "PVP";
    let event = death(text, player, if by_player { "another player" } else { cause });
    Some(ModLine { said_twice: by_player, ..ModLine::new(event, None) })
}

fn technology<'a>(kind: EventKind, text: &'a str, said: &'a str) -> Option<Event<'a>> {
    let (technology, level) = said.rsplit_once(' ').unwrap_or((said, ""));
    (!technology.is_empty()).then(|| research(kind, text, technology, number(level)))
}

/// `Surface: nauvis Factor: 0.1234`, of older versions the number alone.
fn evolved<'a>(text: &'a str, said: &'a str) -> Option<Event<'a>> {
    match said.strip_prefix("Surface: ").and_then(|rest| rest.rsplit_once(" Factor: ")) {
        Some((surface, factor)) => evolution(text, factor, Some(surface.into())),
        None => evolution(text, said, None),
    }
}

/// Reads a line of the JSON file, and of the file of joins and leaves that the `AwF` scenarios write in the same style.
pub(super) fn json(text: &str) -> Option<ModLine<'_>> {
    if !text.starts_with('{') {
        return None;
    }
    let line: Value = serde_json::from_str(text).ok()?;
    let word = |key: &str| line.get(key).and_then(Value::as_str).filter(|word| !word.is_empty()).map(str::to_owned);
    let tick = line.get("tick").and_then(Value::as_u64);
    let kind = word("event").or_else(|| word("type"))?;
    let technology = |kind| Some(research(kind, text, word("name")?, line.get("level").and_then(Value::as_u64)));
    let event = match kind.as_str() {
        "DIED" => word("name").map(|player| death(text, player, cause(word("cause"), word("reason")))),
        "RESEARCH_STARTED" => technology(EventKind::ResearchStarted),
        "RESEARCH_FINISHED" => technology(EventKind::ResearchFinished),
        "ROCKET_LAUNCHED" => Some(rocket(text, None)),
        "EVOLUTION" => {
            let stats = line.get("stats");
            let factor = stats.and_then(|stats| stats.get("factor")).and_then(Value::as_f64);
            let surface = stats.and_then(|stats| stats.get("surface")).and_then(Value::as_str);
            factor.and_then(|factor| evolution(text, &factor.to_string(), surface.map(|name| name.to_owned().into())))
        }
        _ => return Some(ModLine::other(text, tick)),
    };
    Some(ModLine::new(event?, tick))
}

fn cause(cause: Option<String>, reason: Option<String>) -> String {
    cause.or_else(|| reason.filter(|reason| reason == AMBIENT)).unwrap_or_else(|| UNKNOWN_CAUSE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::short;
    use super::*;

    #[test]
    fn every_line_the_mod_logs() {
        let said = [
            "[DIED] PVE:Bob small-biter",
            "[DIED] Bob PVE",
            "[DIED] Bob PVP",
            "[DIED] ambient damageBob - ambient damage",
            "[DIED] Bob ambient damage",
            "[DIED] Mattie behemoth-spitter",
            "[DIED] Mattie no-cause",
            "[DIED] PLAYER: Bob Ann",
            "[RESEARCH_STARTED] automation 3",
            "[RESEARCH FINISHED] nuclear-power 1",
            "[RESEARCH_CANCELLED] automation",
            "[ROCKET_LAUNCHED]  from rocket-silo at 12.5, -3.5",
            "[ROCKET] ROCKET LAUNCHED",
            "[EVOLUTION] Surface: nauvis Factor: 0.6161",
            "[EVOLUTION] 0.6161",
            "[EVOLUTION] soon",
            "[JOIN] Bob",
            "[LEAVE] Bob quit",
            "[CHAT] Bob: [DIED] PVE:Ann small-biter",
            "[DIED] ",
            "hello",
        ];
        insta::assert_snapshot!(said.map(|said| short(logged(said))).join("\n"), @r#"
        death player="Bob" cause="small-biter"
        mod_other
        death player="Bob" cause="another player" twice
        death player="Bob" cause="ambient damage"
        mod_other
        death player="Mattie" cause="behemoth-spitter"
        death player="Mattie" cause="unknown causes"
        death player="Bob" cause="Ann"
        research_started technology="automation" level=" 3"
        research_finished technology="nuclear-power" level=""
        mod_other
        rocket_launched number="" total=""
        rocket_launched number="" total=""
        evolution factor="0.62" surface=" on nauvis"
        evolution factor="0.62" surface=""
        no line of a mod
        mod_other
        mod_other
        mod_other
        no line of a mod
        no line of a mod
        "#);
    }

    #[test]
    fn every_line_of_the_json_file() {
        let said = [
            r#"{"name":"Bob","event":"DIED","reason":"PVE","cause":"small-biter","tick":120}"#,
            r#"{"name":"Bob","event":"DIED","reason":"PVP","cause":"Ann","tick":121}"#,
            r#"{"name":"Bob","event":"DIED","reason":"ambient damage","tick":122}"#,
            r#"{"name":"Bob","event":"DIED","reason":"no-cause"}"#,
            r#"{"name":"automation","event":"RESEARCH_STARTED","level":3,"tick":123}"#,
            r#"{"name":"nuclear-power","event":"RESEARCH_FINISHED","level":"no-level","tick":124}"#,
            r#"{"event":"ROCKET_LAUNCHED","silo":{"name":"rocket-silo","position":{"x":1.5,"y":2}},"tick":125}"#,
            r#"{"name":"evolution_factor","event":"EVOLUTION","stats":{"factor":0.61607,"surface":"nauvis"}}"#,
            r#"{"name":17,"event":"BUILT_ENTITY","player_name":"Bob","tick":126}"#,
            r#"{"name":"Bob","event":"JOIN","tick":127}"#,
            r#"{"type":"leave","playerName":"Bob","reason":"dropped"}"#,
            r#"{"event":"DIED","name":17}"#,
            r#"{"level":"info"}"#,
            r#"{"event":"DIED","name":"Bob""#,
            "[]",
        ];
        insta::assert_snapshot!(said.map(|said| short(json(said))).join("\n"), @r#"
        death player="Bob" cause="small-biter" at tick 120
        death player="Bob" cause="Ann" at tick 121
        death player="Bob" cause="ambient damage" at tick 122
        death player="Bob" cause="unknown causes"
        research_started technology="automation" level=" 3" at tick 123
        research_finished technology="nuclear-power" level="" at tick 124
        rocket_launched number="" total="" at tick 125
        evolution factor="0.62" surface=" on nauvis"
        mod_other at tick 126
        mod_other at tick 127
        mod_other
        no line of a mod
        no line of a mod
        no line of a mod
        no line of a mod
        "#);
    }
}
