//! What mods write about the game, read into events: deaths, research, rockets, evolution. One file per format.
//!
//! A mod's line comes on one of three ways: in a file of the mod's own, as the `log()` of a script in the engine's log, or
//! `print`ed to standard output. Each format is known by its own beginning, so that nothing has to be configured, and
//! nothing that a player types can pass for one: chat stands behind its envelope, or inside a JSON text.
//!
//! Who joins, leaves, is kicked or banned is told by the console log; what a mod says of that is not told again.

mod events_logger;
mod factorigo;
mod jlogger;

use std::borrow::Cow;

use super::vanilla::{Event, Field};
use crate::domain::EventKind;

/// What a mod's line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModLine<'a> {
    pub(super) event: Event<'a>,
    /// The tick of the game, where the line tells.
    pub(super) tick: Option<u64>,
    /// It is the first of two equal lines about one thing.
    pub(super) said_twice: bool,
}

impl<'a> ModLine<'a> {
    fn new(event: Event<'a>, tick: Option<u64>) -> Self {
        Self { event, tick, said_twice: false }
    }

    /// A line of a known mod about something nobody here tells.
    fn other(text: &'a str, tick: Option<u64>) -> Self {
        Self::new(Event::raw(EventKind::ModOther, text), tick)
    }
}

/// Reads a line of a mod's own file. `None`: no mod known here writes so.
pub(super) fn in_file(text: &str) -> Option<ModLine<'_>> {
    factorigo::line(text).or_else(|| jlogger::line(text)).or_else(|| events_logger::json(text))
}

/// Reads a line that was printed to standard output, which has no envelope there.
pub(super) fn printed(text: &str) -> Option<ModLine<'_>> {
    factorigo::line(text).or_else(|| jlogger::line(text))
}

/// Reads the text of an engine line of the level `Script`: `@__events-logger__/el_helpers.lua:35: [DIED] …`. What a
/// console command logs, `=(command):1: …`, is no mod's.
pub(super) fn logged(text: &str) -> Option<ModLine<'_>> {
    let (source, said) = text.strip_prefix('@')?.split_once(": ")?;
    let (file, line) = source.rsplit_once(':')?;
    if line.is_empty() || !line.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if file.starts_with("__events-logger__/") { events_logger::logged(said) } else { printed(said) }
}

/// Stands for a cause that no mod tells.
const UNKNOWN_CAUSE: &str = "unknown causes";

/// A player died; `cause` is an entity's or a player's name, and `no-cause` or nothing where there is none.
fn death<'a>(text: &'a str, player: impl Into<Cow<'a, str>>, cause: impl Into<Cow<'a, str>>) -> Event<'a> {
    let cause = match cause.into() {
        cause if cause.is_empty() || cause == "no-cause" || cause == "no_cause" => UNKNOWN_CAUSE.into(),
        cause => cause,
    };
    event(EventKind::Death, text, vec![("player", player.into()), ("cause", cause)])
}

/// A technology; level 1 is what technologies without levels have, and is not told.
fn research<'a>(kind: EventKind, text: &'a str, technology: impl Into<Cow<'a, str>>, level: Option<u64>) -> Event<'a> {
    let level = level.filter(|level| *level > 1).map_or_else(String::new, |level| format!(" {level}"));
    event(kind, text, vec![("technology", technology.into()), ("level", level.into())])
}

/// A rocket; `number` counts those of the save, where the mod does.
fn rocket(text: &str, number: Option<u64>) -> Event<'_> {
    let total = number.map_or_else(String::new, |number| format!(", number {number}"));
    let number = number.map_or_else(String::new, |number| number.to_string());
    event(EventKind::RocketLaunched, text, vec![("number", number.into()), ("total", total.into())])
}

/// The evolution of a surface, from 0 to 1. `None` where that is no such number.
fn evolution<'a>(text: &'a str, factor: &str, surface: Option<Cow<'a, str>>) -> Option<Event<'a>> {
    let value: f64 = factor.parse().ok().filter(|value| (0.0..=1.0).contains(value))?;
    let place = surface.map_or_else(String::new, |surface| format!(" on {surface}"));
    Some(event(EventKind::Evolution, text, vec![("factor", format!("{value:.2}").into()), ("surface", place.into())]))
}

fn event<'a>(kind: EventKind, text: &'a str, fields: Vec<Field<'a>>) -> Event<'a> {
    Event { kind, text: text.into(), fields: Some(fields) }
}

/// The digits of a whole number, and nothing else.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::events::line_format::Envelope;

    /// An event in short, for snapshots.
    pub(super) fn short(line: Option<ModLine<'_>>) -> String {
        let Some(ModLine { event, tick, said_twice }) = line else { return "no line of a mod".to_owned() };
        let fields = event.fields.iter().flatten().map(|(name, value)| format!(" {name}={value:?}"));
        let tick = tick.map_or_else(String::new, |tick| format!(" at tick {tick}"));
        let twice = if said_twice { " twice" } else { "" };
        format!("{}{}{tick}{twice}", event.kind, fields.collect::<String>())
    }

    #[test]
    fn a_script_is_known_by_the_mod_that_speaks() {
        for (text, expected) in [
            ("@__events-logger__/el_helpers.lua:35: [DIED] PVE:Bob small-biter", "death"),
            ("@__level__/modules/awflogging.lua:12: JLOGGER: ROCKET: ROCKET LAUNCHED", "rocket_launched"),
            ("@/opt/factorio/temp/currently-playing/control.lua:12: JLOGGER: DIED: Bob no-cause", "death"),
            ("@__events-logger__/el_helpers.lua:35: JLOGGER: DIED: Bob no-cause", "none"),
            ("@__other__/control.lua:35: [DIED] PVE:Bob small-biter", "none"),
            ("=(command):1: JLOGGER: DIED: Bob no-cause", "none"),
            ("@__level__/x.lua: JLOGGER: DIED: Bob no-cause", "none"),
        ] {
            let kind = logged(text).map_or("none", |line| line.event.kind.as_str());
            assert_eq!(kind, expected, "{text}");
        }
    }

    /// Texts near to what mods write.
    fn near() -> impl Strategy<Value = String> {
        "(JLOGGER: |DIED: |PLAYER: |ROCKET: |RESEARCH FINISHED: |EVOLUTION: |\\[FactoriGOChatBot\\]: \"|\\[PLAYER_DIED:|\
          \\[ROCKET_LAUNCHED:|[0-9]{1,25} |\\]\"|@__events-logger__/a\\.lua:1: |\\[DIED\\] |PVE:|ambient damage| - |\
          \\{\"event\":\"DIED\",|\"name\":\"|\"|\\}|no-cause|\\[EVOLUTION\\] Surface: |Factor: |:| |\\PC){0,10}"
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in near()) {
            for line in [in_file(&text), printed(&text), logged(&text)].into_iter().flatten() {
                prop_assert_eq!(line.event.text.as_ref().is_empty(), false);
                let named = line.event.kind != EventKind::Death || line.event.field("player").is_some_and(|p| !p.is_empty());
                prop_assert!(named, "{:?}", line);
            }
        }

        #[test]
        fn what_a_player_says_is_chat(text in near(), tag in "CHAT|SHOUT") {
            let line = format!("2026-11-23 20:54:41 [{tag}] Bob: {text}");
            let tagged = matches!(Envelope::parse(&line), Envelope::Tagged { .. });
            prop_assert!(tagged, "{}", line);
            prop_assert_eq!(in_file(&line), None);
            prop_assert_eq!(printed(&line), None);
        }

        #[test]
        fn what_a_player_says_in_a_mods_file_is_chat_there(text in near()) {
            let json = serde_json::json!({ "event": "CHAT", "name": "Bob", "message": text, "tick": 5 }).to_string();
            prop_assert_eq!(in_file(&json).map(|line| line.event.kind), Some(EventKind::ModOther));
            let logged_chat = format!("@__events-logger__/el_helpers.lua:35: [CHAT] Bob: {text}");
            prop_assert_eq!(logged(&logged_chat).map(|line| line.event.kind), Some(EventKind::ModOther));
        }
    }
}
