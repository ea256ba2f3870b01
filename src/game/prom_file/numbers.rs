//! What of a file of metrics the games' view can tell: the families of graftorio2 and its forks, by their names. Pure.

use std::collections::BTreeMap;

use super::sample::Sample;
use crate::game::lua::ForceEvolution;
use crate::game::sample::Research;
use crate::rcon::Evolution;

/// The force that evolves, as the game calls it.
const ENEMY: &str = "enemy";
/// The force of most players.
const PLAYER: &str = "player";
/// Surfaces of space platforms are called so; nobody lives there.
const PLATFORM: &str = "platform-";

/// The numbers of a file. What it does not tell, or tells wrongly, is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileNumbers {
    /// The age of the map in ticks, when it was written.
    pub tick: Option<u64>,
    /// Players in the game. graftorio2 begins to tell when the first one comes or goes.
    pub players: Option<usize>,
    /// Players who ever were in the game.
    pub known_players: Option<u64>,
    /// By surface: the enemies' where the file tells it, else that of the players' force, which is all graftorio2 tells.
    pub evolution: Vec<Evolution>,
    /// What the players' force researches.
    pub research: Option<Research>,
    /// Rockets launched, ever.
    pub rockets: Option<u64>,
}

/// The parts of an evolution factor by the label `type`.
type Parts = BTreeMap<String, f64>;

#[derive(Default)]
struct Found {
    numbers: FileNumbers,
    /// By force and surface.
    evolution: BTreeMap<(String, Option<String>), Parts>,
    /// The first in the queue, by force.
    research: BTreeMap<String, Research>,
}

/// Reads a file; lines that are none of the text format tell nothing.
pub(super) fn numbers(text: &str) -> FileNumbers {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut found = Found::default();
    lines.filter_map(Sample::parse).for_each(|sample| found.take(&sample));
    found.done()
}

impl Found {
    fn take(&mut self, sample: &Sample) {
        let numbers = &mut self.numbers;
        match sample.name.as_str() {
            "factorio_tick" => numbers.tick = numbers.tick.or(whole(sample)),
            "factorio_connected_player_count" => {
                let count = || usize::try_from(whole(sample)?).ok();
                numbers.players = numbers.players.or_else(count);
            }
            "factorio_total_player_count" => numbers.known_players = numbers.known_players.or(whole(sample)),
            // Of graftorio3, once for each force.
            "factorio_rockets_launched" => {
                let all = whole(sample).map(|count| count.saturating_add(numbers.rockets.unwrap_or(0)));
                numbers.rockets = all.or(numbers.rockets);
            }
            "factorio_evolution" => self.evolution(sample),
            "factorio_research_queue" => self.research(sample),
            _ => {}
        }
    }

    fn evolution(&mut self, sample: &Sample) {
        let Some(factor) = share(sample) else { return };
        let (Some(force), Some(kind)) = (sample.label("force"), sample.label("type")) else { return };
        let surface = sample.label("surface").filter(|surface| !surface.is_empty()).map(ToOwned::to_owned);
        if surface.as_ref().is_none_or(|surface| !surface.starts_with(PLATFORM)) {
            self.evolution.entry((force.to_owned(), surface)).or_default().insert(kind.to_owned(), factor);
        }
    }

    fn research(&mut self, sample: &Sample) {
        let (Some(force), Some(name), Some("1")) = (sample.label("force"), sample.label("name"), sample.label("index"))
        else {
            return;
        };
        let research = Research { technology: name.to_owned(), progress: share(sample) };
        if !name.is_empty() {
            self.research.entry(force.to_owned()).or_insert(research);
        }
    }

    fn done(mut self) -> FileNumbers {
        let told = |force: &&str| self.evolution.keys().any(|(other, _)| other == force);
        let first = self.evolution.keys().next().map(|(force, _)| force.as_str());
        let force = [ENEMY, PLAYER].into_iter().find(told).or(first).map(ToOwned::to_owned);
        let of_force = self.evolution.iter().filter(|((other, _), _)| Some(other) == force.as_ref());
        self.numbers.evolution =
            of_force.filter_map(|((force, surface), parts)| evolution(force, surface.as_deref(), parts)).collect();
        let research = self.research.remove(PLAYER);
        self.numbers.research = research.or_else(|| self.research.into_values().next());
        self.numbers
    }
}

fn evolution(force: &str, surface: Option<&str>, parts: &Parts) -> Option<Evolution> {
    let part = |kind: &str| parts.get(kind).copied().unwrap_or_default();
    let factors = ForceEvolution {
        force: force.to_owned(),
        surface: surface.map(ToOwned::to_owned),
        total: *parts.get("total")?,
        by_pollution: part("by_pollution"),
        by_time: part("by_time"),
        by_killing_spawners: part("by_killing_spawners"),
    };
    Some(factors.in_shares())
}

/// A count, as Lua may write it: `1e+15` is one, too.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole, and within the range")]
fn whole(sample: &Sample) -> Option<u64> {
    let number = sample.number();
    ((0.0..1e18).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

fn share(sample: &Sample) -> Option<f64> {
    Some(sample.number()).filter(|number| (0.0..=1.0).contains(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As graftorio2 1.x writes it: of the forces that have players.
    const GRAFTORIO2: &str = "# TYPE factorio_tick gauge\nfactorio_tick 4968300\n\
        factorio_connected_player_count 3\nfactorio_total_player_count 17\n\
        factorio_evolution{force=\"player\",type=\"total\"} 0.61\n\
        factorio_evolution{force=\"player\",type=\"by_time\"} 0.2\n\
        factorio_evolution{force=\"player\",type=\"by_pollution\"} 0.6\n\
        factorio_evolution{force=\"player\",type=\"by_killing_spawners\"} 0.2\n\
        factorio_research_queue{force=\"player\",name=\"mining-productivity-3\",level=\"3\",index=\"2\"} 0\n\
        factorio_research_queue{force=\"player\",name=\"rocket-silo\",level=\"1\",index=\"1\"} 0.42\n\
        factorio_research_queue{force=\"player\",name=\"automation\",level=\"1\",index=\"-1\"} 1\n";

    #[test]
    fn a_file_of_graftorio2() {
        let research = Research { technology: "rocket-silo".to_owned(), progress: Some(0.42) };
        let evolution = Evolution { surface: None, factor: 0.61, time: 20, pollution: 60, spawner_kills: 20 };
        let expected = FileNumbers {
            tick: Some(4_968_300),
            players: Some(3),
            known_players: Some(17),
            evolution: vec![evolution],
            research: Some(research),
            rockets: None,
        };
        assert_eq!(numbers(GRAFTORIO2), expected);
    }

    #[test]
    fn a_file_of_graftorio3_tells_of_the_enemies_of_each_planet_and_of_rockets() {
        let surface = |name: &str, force: &str, factor: f64| {
            format!("factorio_evolution{{force=\"{force}\",type=\"total\",surface=\"{name}\"}} {factor}\n")
        };
        let text = surface("nauvis", "player", 0.1)
            + &surface("nauvis", "enemy", 0.9)
            + &surface("gleba", "enemy", 0.5)
            + &surface("platform-7", "enemy", 0.0)
            + "factorio_rockets_launched{force=\"enemy\"} 0\nfactorio_rockets_launched{force=\"player\"} 12\n";
        let told = numbers(&text);
        let evolution: Vec<_> = told.evolution.iter().map(|one| (one.surface.as_deref(), one.factor)).collect();
        assert_eq!((evolution, told.rockets), (vec![(Some("gleba"), 0.5), (Some("nauvis"), 0.9)], Some(12)));
    }

    #[test]
    fn what_cannot_be_is_not_told() {
        let text = "factorio_tick -1\nfactorio_connected_player_count 2.5\nfactorio_total_player_count Nan\n\
            factorio_rockets_launched{force=\"player\"} inf\nfactorio_evolution{force=\"enemy\",type=\"total\"} 1.5\n\
            factorio_research_queue{force=\"player\",name=\"\",level=\"1\",index=\"1\"} 0.5\nfactorio_tick";
        assert_eq!(numbers(text), FileNumbers::default());
    }

    proptest! {
        #[test]
        fn any_file_is_read(text in "(factorio_tick |factorio_evolution\\{|force=\"enemy\",|type=\"total\"|\\} |[0-9e.+-]{1,9}|nan|\n|\\PC){0,40}") {
            let told = numbers(&text);
            prop_assert!(told.evolution.iter().all(|one| (0.0..=1.0).contains(&one.factor)));
        }
    }
}
