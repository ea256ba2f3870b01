//! What mods' lines told last that stays true for a while: evolution and rockets. Pure; research is among the facts of the
//! game, which are stored.

use std::collections::BTreeMap;

use crate::domain::EventKind;
use crate::rcon::Evolution;

/// More surfaces do not evolve on any map.
const SURFACES: usize = 64;

/// What was told so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ModLines {
    /// By surface; the empty name where the line has none.
    evolution: BTreeMap<String, f64>,
    rockets: Option<u64>,
}

impl ModLines {
    /// The kinds of happenings it is made of.
    pub(super) const KINDS: [EventKind; 2] = [EventKind::Evolution, EventKind::RocketLaunched];

    /// Takes in what the detail of a happening says: `0.62 on gleba`, or the number of a rocket.
    pub(super) fn take(&mut self, kind: EventKind, detail: &str) {
        match kind {
            EventKind::Evolution => {
                let (factor, surface) = detail.split_once(" on ").unwrap_or((detail, ""));
                let factor = factor.parse().ok().filter(|factor| (0.0..=1.0).contains(factor));
                let room = self.evolution.len() < SURFACES || self.evolution.contains_key(surface);
                self.evolution.extend(factor.filter(|_| room).map(|factor| (surface.to_owned(), factor)));
            }
            EventKind::RocketLaunched => self.rockets = detail.parse().ok().or(self.rockets),
            _ => {}
        }
    }

    /// By surface, without what made it so.
    pub(super) fn evolution(&self) -> Vec<Evolution> {
        let one = |(surface, factor): (&String, &f64)| Evolution {
            surface: Some(surface.clone()).filter(|surface| !surface.is_empty()),
            factor: *factor,
            time: 0,
            pollution: 0,
            spawner_kills: 0,
        };
        self.evolution.iter().map(one).collect()
    }

    /// How many were launched, ever.
    pub(super) fn rockets(&self) -> Option<u64> {
        self.rockets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_each_surface_counts() {
        let mut lines = ModLines::default();
        for detail in ["0.61 on nauvis", "0.30 on gleba", "0.62 on nauvis", "soon on vulcanus", "7 on fulgora"] {
            lines.take(EventKind::Evolution, detail);
        }
        let told: Vec<_> = lines.evolution().into_iter().map(|one| (one.surface.unwrap(), one.factor)).collect();
        assert_eq!(told, [("gleba".to_owned(), 0.3), ("nauvis".to_owned(), 0.62)]);
    }

    #[test]
    fn a_rocket_without_a_number_changes_no_count() {
        let mut lines = ModLines::default();
        lines.take(EventKind::RocketLaunched, "49");
        lines.take(EventKind::RocketLaunched, "50");
        lines.take(EventKind::RocketLaunched, " (2 more since the last)");
        assert_eq!(lines.rockets(), Some(50));
    }
}
