//! The companion of `FactoriGOChatBot`: `script-output/factorigo-chat-bot/factorigo-chat-bot.log`.
//!
//! `[FactoriGOChatBot]: "2852569 [PLAYER_DIED:Mattie:locomotive:10:50]"`: the tick, then what happened. Of a death: who,
//! by what (older versions leave it out), how often by that, how often at all. A killer is named if it is a player.

use super::{ModLine, death, number, research, rocket};
use crate::domain::EventKind;

/// Reads one line.
pub(super) fn line(text: &str) -> Option<ModLine<'_>> {
    let said = text.strip_prefix("[FactoriGOChatBot]: \"")?.strip_suffix('"')?;
    let (tick, said) = said.split_once(' ')?;
    let tick = Some(number(tick)?);
    let (what, values) = said.strip_prefix('[')?.strip_suffix(']')?.split_once(':').unwrap_or((said, ""));
    let event = match what {
        "PLAYER_DIED" => {
            let mut values = values.split(':');
            let player = values.next().filter(|player| !player.is_empty())?;
            death(text, player, values.next().unwrap_or_default())
        }
        "RESEARCH_STARTED" if !values.is_empty() => research(EventKind::ResearchStarted, text, values, None),
        "RESEARCH_FINISHED" if !values.is_empty() => research(EventKind::ResearchFinished, text, values, None),
        "ROCKET_LAUNCHED" => rocket(text, number(values)),
        _ => return Some(ModLine::other(text, tick)),
    };
    Some(ModLine::new(event, tick))
}

#[cfg(test)]
mod tests {
    use super::super::tests::short;
    use super::*;

    #[test]
    fn every_line_the_companion_writes() {
        let said = [
            "2852569 [PLAYER_DIED:Mattie]",
            "2852569 [PLAYER_DIED:Mattie:locomotive:10:50]",
            "2852569 [PLAYER_DIED:foo-bar:big worm:1:2]",
            "13934261 [PLAYER_DIED:Mattie::1:15]",
            "3045105 [RESEARCH_STARTED:nuclear-power]",
            "3229214 [RESEARCH_FINISHED:mining-productivity-3]",
            "12393460 [ROCKET_LAUNCHED:1337]",
            "2852569 [foobar]",
            "2852569 [PLAYER_DIED:]",
            "x [PLAYER_DIED:Mattie]",
            "2852569 PLAYER_DIED:Mattie",
        ];
        let read = said.map(|said| short(line(&format!("[FactoriGOChatBot]: \"{said}\""))));
        insta::assert_snapshot!(read.join("\n"), @r#"
        death player="Mattie" cause="unknown causes" at tick 2852569
        death player="Mattie" cause="locomotive" at tick 2852569
        death player="foo-bar" cause="big worm" at tick 2852569
        death player="Mattie" cause="unknown causes" at tick 13934261
        research_started technology="nuclear-power" level="" at tick 3045105
        research_finished technology="mining-productivity-3" level="" at tick 3229214
        rocket_launched number="1337" total=", number 1337" at tick 12393460
        mod_other at tick 2852569
        no line of a mod
        no line of a mod
        no line of a mod
        "#);
    }
}
