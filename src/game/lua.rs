//! What Lua tells of a game: the answer to the [snippet](super::snippet), read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::sample::Research;
use super::ups::TICKS_A_SECOND;
use crate::config::settings::LuaSection;
use crate::rcon::Evolution;

/// What only Lua tells. A section that was not asked for, or failed, is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LuaReading {
    /// The age of the map in ticks.
    pub tick: u64,
    /// `game.speed`
    pub speed: f64,
    /// `game.tick_paused`: somebody halted the map.
    pub halted: bool,
    /// Everybody who ever played here.
    pub known_players: u64,
    /// The game's version.
    pub version: Option<String>,
    /// Who is in the game; `None` where it was not asked, or failed.
    pub players: Option<Vec<LuaPlayer>>,
    /// What the first force with players researches.
    pub research: Option<Research>,
    /// What each force with players researches.
    pub researching: Vec<ForceResearch>,
    /// The enemies', and that of forces with players, by surface.
    pub evolution: Vec<ForceEvolution>,
    /// Rockets by force.
    pub rockets: Vec<ForceRockets>,
    /// Space platforms; none before 2.0.
    pub platforms: Vec<Platform>,
    /// Map seeds by surface.
    pub seeds: BTreeMap<String, u64>,
    /// What was made and used, ever: items, fluids, kills, buildings, pollution, electricity.
    pub flows: BTreeMap<LuaSection, Vec<Flow>>,
    /// Why a section is missing, by its name.
    pub errors: BTreeMap<String, String>,
}

/// Somebody in the game.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LuaPlayer {
    /// As the game has it.
    pub name: String,
    /// How long this player was in the game, ever, in ticks.
    pub ticks: u64,
}

impl LuaPlayer {
    /// How long this player was in the game, ever, at the map's usual speed.
    #[must_use]
    pub fn online_time(&self) -> Duration {
        Duration::from_secs_f64(self.ticks as f64 / TICKS_A_SECOND)
    }
}

/// What a force researches.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ForceResearch {
    /// The force's name.
    pub force: String,
    /// The technology's internal name.
    pub name: Option<String>,
    /// Its level, where it has several.
    pub level: Option<u64>,
    /// 0 to 1.
    pub progress: Option<f64>,
    /// What comes then, the current one first.
    #[serde(default, deserialize_with = "list")]
    pub queue: Vec<QueuedResearch>,
}

/// A technology in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QueuedResearch {
    /// Its internal name.
    pub name: String,
    /// Its level.
    pub level: u64,
}

/// A force's evolution factors, 0 to 1.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ForceEvolution {
    /// The force's name.
    pub force: String,
    /// The surface's internal name; `None` before 2.0.
    pub surface: Option<String>,
    /// The factor.
    pub total: f64,
    /// What of it pollution made.
    pub by_pollution: f64,
    /// What of it time made.
    pub by_time: f64,
    /// What of it destroyed spawners made.
    pub by_killing_spawners: f64,
}

/// A force's rockets.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ForceRockets {
    /// The force's name.
    pub force: String,
    /// Rockets, ever.
    pub launched: u64,
    /// What was in them, by internal name.
    #[serde(default)]
    pub items: BTreeMap<String, f64>,
    /// Names that were left out.
    #[serde(default)]
    pub cut: u64,
}

/// A space platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// The force's name.
    pub force: String,
    /// As the players call it.
    pub name: String,
    /// As the game's `defines` call it.
    pub state: Option<String>,
    /// Where it stands, by internal name; `None` on its way.
    pub location: Option<String>,
}

/// What flowed into a statistic and out of it, ever, by internal name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Flow {
    /// The force's name.
    pub force: String,
    /// The surface's internal name; `None` before 2.0.
    pub surface: Option<String>,
    /// The electric network's number, of electricity alone.
    pub network: Option<u64>,
    /// What was made.
    #[serde(default)]
    pub input: BTreeMap<String, f64>,
    /// What was used.
    #[serde(default)]
    pub output: BTreeMap<String, f64>,
    /// Names that were left out of `input`, having the least.
    #[serde(default)]
    pub input_cut: u64,
    /// The same of `output`.
    #[serde(default)]
    pub output_cut: u64,
}

#[derive(Deserialize)]
struct Answer {
    map: Map,
    version: Option<String>,
    players: Option<Value>,
    #[serde(default, deserialize_with = "list")]
    research: Vec<ForceResearch>,
    #[serde(default, deserialize_with = "list")]
    evolution: Vec<ForceEvolution>,
    #[serde(default, deserialize_with = "list")]
    rockets: Vec<ForceRockets>,
    #[serde(default, deserialize_with = "list")]
    platforms: Vec<Platform>,
    #[serde(default)]
    seeds: BTreeMap<String, u64>,
    #[serde(default)]
    errors: BTreeMap<String, String>,
    /// The flows.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Map {
    tick: u64,
    speed: f64,
    paused: bool,
    known: u64,
}

/// A list. Lua knows no difference between an empty list and an empty table, and writes `{}`.
fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    elements(Value::deserialize(from)?).map_err(D::Error::custom)
}

fn elements<T: DeserializeOwned>(value: Value) -> Result<Vec<T>, serde_json::Error> {
    match value {
        Value::Object(fields) if fields.is_empty() => Ok(Vec::new()),
        other => serde_json::from_value(other),
    }
}

impl LuaReading {
    /// What the snippet printed.
    ///
    /// # Errors
    /// With what is wrong, in words for the operator: an error of Lua, an answer of another command, no JSON.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.starts_with('{') {
            let said: String = text.chars().take(160).collect();
            return Err(if said.is_empty() {
                "it answered nothing".to_owned()
            } else {
                format!("it answered: {said}")
            });
        }
        let mut answer: Answer = serde_json::from_str(text).map_err(|error| match reported(text) {
            Some(of_lua) => of_lua,
            None => format!("its answer cannot be read: {error}"),
        })?;
        let (mut flows, mut errors) = (BTreeMap::new(), answer.errors);
        for section in LuaSection::ALL {
            let Some(value) = answer.others.remove(section.as_str()) else { continue };
            match elements(value) {
                Ok(read) => drop(flows.insert(section, read)),
                Err(error) => drop(errors.insert(section.as_str().to_owned(), error.to_string())),
            }
        }
        Ok(Self {
            tick: answer.map.tick,
            speed: answer.map.speed,
            halted: answer.map.paused,
            known_players: answer.map.known,
            version: answer.version,
            players: answer.players.and_then(|players| elements(players).ok()),
            research: answer.research.first().and_then(current),
            researching: answer.research,
            evolution: answer.evolution,
            rockets: answer.rockets,
            platforms: answer.platforms,
            seeds: answer.seeds,
            flows,
            errors,
        })
    }

    /// The enemies' evolution as `/evolution` tells it: with shares in percent, by the surface's internal name.
    #[must_use]
    pub fn enemies(&self) -> Vec<Evolution> {
        self.evolution.iter().filter(|evolution| evolution.force == "enemy").map(ForceEvolution::in_shares).collect()
    }

    /// Rockets of all forces, ever.
    #[must_use]
    pub fn rockets_launched(&self) -> u64 {
        self.rockets.iter().fold(0, |all, force| all.saturating_add(force.launched))
    }

    /// A flow of a section.
    pub fn flow(&self, section: LuaSection) -> impl Iterator<Item = &Flow> {
        self.flows.get(&section).into_iter().flatten()
    }
}

/// What Lua says of the section without which there is no reading.
fn reported(text: &str) -> Option<String> {
    let errors = &serde_json::from_str::<Value>(text).ok()?["errors"];
    Some(format!("Lua failed: {}", errors["map"].as_str()?))
}

fn current(force: &ForceResearch) -> Option<Research> {
    Some(Research { technology: force.name.clone()?, progress: force.progress })
}

impl ForceEvolution {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is 0 to 100")]
    pub(super) fn in_shares(&self) -> Evolution {
        let all = self.by_time + self.by_pollution + self.by_killing_spawners;
        let share = |part: f64| if all > 0.0 { (100.0 * part / all).round().clamp(0.0, 100.0) as u32 } else { 0 };
        Evolution {
            surface: self.surface.clone(),
            factor: self.total,
            time: share(self.by_time),
            pollution: share(self.by_pollution),
            spawner_kills: share(self.by_killing_spawners),
        }
    }
}
