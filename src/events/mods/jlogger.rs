//! The logging of the `AwF` scenarios ("`JammyLogger`"), printed to standard output: `JLOGGER: DIED: NAME cause`.

use super::{ModLine, death, evolution, number, research, rocket};
use crate::domain::EventKind;

/// Reads one line.
pub(super) fn line(text: &str) -> Option<ModLine<'_>> {
    let said = text.strip_prefix("JLOGGER: ")?;
    let (what, values) = said.split_once(": ").unwrap_or((said, ""));
    let event = match what {
        "DIED" => {
            // The killer of the first form is a player.
            let (player, cause) = values.strip_prefix("PLAYER: ").unwrap_or(values).rsplit_once(' ')?;
            (!player.is_empty()).then(|| death(text, player, cause))
        }
        "RESEARCH FINISHED" => {
            let (technology, level) = values.rsplit_once(' ').unwrap_or((values, ""));
            (!technology.is_empty()).then(|| research(EventKind::ResearchFinished, text, technology, number(level)))
        }
        "ROCKET" => Some(rocket(text, None)),
        "EVOLUTION" => evolution(text, values, None),
        _ => return Some(ModLine::other(text, None)),
    };
    Some(ModLine::new(event?, None))
}

#[cfg(test)]
mod tests {
    use super::super::tests::short;
    use super::*;

    #[test]
    fn every_line_the_scenarios_print() {
        let said = [
            "DIED: Bob_1 small-biter",
            "DIED: Player 7 no-cause",
            "DIED: PLAYER: Bob Ann",
            "RESEARCH FINISHED: mining-productivity 14",
            "RESEARCH FINISHED: nuclear-power 1",
            "RESEARCH FINISHED: nuclear-power no-level",
            "ROCKET: ROCKET LAUNCHED",
            "ROCKET: ROCKET_LAUNCHED",
            "EVOLUTION: 0.1234",
            "EVOLUTION: 12",
            "STATS: Bob 12 54000",
            "JFEEDBACK: BAN: Bob no_reason",
            "ARTILLERY: artillery-projectileno source",
            "DIED: Bob",
            "hello",
        ];
        insta::assert_snapshot!(said.map(|said| short(line(&format!("JLOGGER: {said}")))).join("\n"), @r#"
        death player="Bob_1" cause="small-biter"
        death player="Player 7" cause="unknown causes"
        death player="Bob" cause="Ann"
        research_finished technology="mining-productivity" level=" 14"
        research_finished technology="nuclear-power" level=""
        research_finished technology="nuclear-power" level=""
        rocket_launched number="" total=""
        rocket_launched number="" total=""
        evolution factor="0.12" surface=""
        no line of a mod
        mod_other
        mod_other
        mod_other
        no line of a mod
        mod_other
        "#);
    }
}
