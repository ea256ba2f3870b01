//! How what the alerts remember is rid of a player who is forgotten.

use super::engine::AlertState;
use super::memory::{Memory, Trouble};
use super::rules::Facts;

/// Rids the memory of the rules of all that `named` says yes to, as for [`crate::store::Store::forget_player`]. `None`
/// where there is nothing.
///
/// What does not read any more counts as nothing when it is read next; it may go if it has the name.
pub fn unname_memory(stored: &str, named: &dyn Fn(&str) -> bool) -> Option<String> {
    let Ok(before) = serde_json::from_str::<Memory>(stored) else { return named(stored).then(|| "{}".to_owned()) };
    let mut after = before.clone();
    after.unname(named);
    (after != before).then(|| json(&after))
}

/// The same of the state of one alert.
pub fn unname_state(stored: &str, named: &dyn Fn(&str) -> bool) -> Option<String> {
    let Ok(before) = serde_json::from_str::<AlertState>(stored) else { return named(stored).then(String::new) };
    let mut after = before.clone();
    let shown = after.shown.as_mut().map(|(_, facts)| facts);
    for facts in shown.into_iter().chain([&mut after.facts]) {
        unname_facts(facts, named);
    }
    (after != before).then(|| json(&after))
}

fn unname_facts(facts: &mut Facts, named: &dyn Fn(&str) -> bool) {
    if let Facts::Trouble { before, .. } = facts {
        before.retain(|one| !named(one));
    }
    if let Facts::Trouble { detail: text, .. } | Facts::Refusals { reason: text, .. } = facts {
        clear(text, named);
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data with text keys becomes JSON")
}

fn clear(text: &mut Option<String>, named: &dyn Fn(&str) -> bool) {
    if text.as_deref().is_some_and(named) {
        *text = None;
    }
}

impl Memory {
    fn unname(&mut self, named: &dyn Fn(&str) -> bool) {
        // Without the name alone, the next sample would show somebody who came.
        if self.online.iter().flatten().any(|name| named(name)) {
            self.online = None;
        }
        self.watched.retain(|name, _| !named(name));
        self.refused.retain(|name, _| !named(name));
        for refused in self.refused.values_mut() {
            clear(&mut refused.reason, named);
        }
        for Trouble { detail, before, .. } in self.troubles_mut() {
            clear(detail, named);
            before.retain(|one| !named(one));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::engine_tests::{Seen, happened, players, settings, time};
    use super::super::{Engine, Silences};
    use super::*;
    use crate::domain::EventKind;

    fn is_bob(text: &str) -> bool {
        text.to_lowercase().split_whitespace().any(|word| word == "bob")
    }

    /// Seen by an engine; then its memory, forgotten.
    fn forgotten(seen: &[Seen]) -> Option<Memory> {
        let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
        for (second, seen) in (0..).zip(seen) {
            seen.show(&mut engine, &Silences::default(), time(second));
        }
        let stored = serde_json::to_string(engine.memory()).unwrap();
        unname_memory(&stored, &is_bob).map(|memory| serde_json::from_str(&memory).unwrap())
    }

    #[test]
    fn a_name_leaves_everything_that_is_remembered() {
        let seen = [
            players(&["Ann", "Bob"]),
            Seen::Happening(EventKind::JoinRefused, Some("Bob")),
            happened(EventKind::Desync),
        ];
        let memory = forgotten(&seen).unwrap();
        assert!(!serde_json::to_string(&memory).unwrap().contains("Bob"));
        assert_eq!(memory.online, None, "not Ann alone: Bob would come with the next sample");
        assert!(memory.desync.is_some() && memory.online_since.is_some(), "what is not about Bob stays");
        assert_eq!(forgotten(&seen[2..]), None);
    }

    #[test]
    fn an_error_that_names_somebody_stays_without_its_words() {
        let mut trouble = Trouble {
            first: time(1),
            last: time(2),
            count: 2,
            detail: Some("Bob did it".to_owned()),
            before: vec!["Bob was it".to_owned(), "Ann was it".to_owned()],
        };
        let memory = Memory { script: Some(trouble.clone()), ..Memory::default() };
        let memory = unname_memory(&serde_json::to_string(&memory).unwrap(), &is_bob).unwrap();
        trouble.detail = None;
        trouble.before.remove(0);
        assert_eq!(serde_json::from_str::<Memory>(&memory).unwrap().script, Some(trouble));
        assert_eq!(unname_memory("of another version, with Bob in it", &is_bob).as_deref(), Some("{}"));
        assert_eq!(unname_memory("of another version", &is_bob), None);
    }

    #[test]
    fn the_state_of_an_alert_loses_the_words_alone() {
        let words = |detail: Option<&str>, before: &[&str]| Facts::Trouble {
            count: 1,
            last: time(5),
            detail: detail.map(ToOwned::to_owned),
            before: before.iter().map(ToString::to_string).collect(),
        };
        let state =
            |facts: Facts| AlertState { shown: Some((time(6), facts.clone())), facts, ..AlertState::new(time(5)) };
        let facts = words(Some("by Bob"), &["not by Ann", "nor by Bob"]);
        let stored = serde_json::to_string(&state(facts)).unwrap();
        let unnamed = unname_state(&stored, &is_bob).unwrap();
        let facts = words(None, &["not by Ann"]);
        assert_eq!(serde_json::from_str::<AlertState>(&unnamed).unwrap(), state(facts));
        assert_eq!(unname_state(&unnamed, &is_bob), None);
    }
}
