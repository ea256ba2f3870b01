//! The games' series, read off the board at each scrape.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use metrics::counter;

use super::board::{GameBoard, GameLink, GameView};
use super::lua::LuaReading;
use super::sample::SampleSource;
use super::ups::TICKS_A_SECOND;
use crate::config::settings::{GameSettings, LuaSection, SeriesSettings};
use crate::domain::ServerTag;
use crate::telemetry::exposition::{Family, GameSeries, Series};
use crate::telemetry::game_metrics::{self as table, GameMetric};
use crate::telemetry::metrics::GAME_SERIES_CUT;

/// Which metrics of Lua's flows are theirs, made and used.
const FLOWS: [(LuaSection, GameMetric, GameMetric); 6] = [
    (LuaSection::Items, table::ITEM_INPUT, table::ITEM_OUTPUT),
    (LuaSection::Fluids, table::FLUID_INPUT, table::FLUID_OUTPUT),
    (LuaSection::Kills, table::KILL_INPUT, table::KILL_OUTPUT),
    (LuaSection::Builds, table::BUILD_INPUT, table::BUILD_OUTPUT),
    (LuaSection::Pollution, table::POLLUTION_INPUT, table::POLLUTION_OUTPUT),
    (LuaSection::Electricity, table::POWER_INPUT, table::POWER_OUTPUT),
];

/// What the board knows, as series. A game that does not answer has none but `up`, unless a mod's file tells of it.
#[derive(Debug, Clone)]
pub struct BoardSeries {
    board: GameBoard,
    settings: GameSettings,
}

impl BoardSeries {
    /// The series of this board.
    #[must_use]
    pub fn new(board: GameBoard, settings: GameSettings) -> Self {
        Self { board, settings }
    }

    /// The same at a given time.
    #[must_use]
    pub fn families_at(&self, now: Timestamp) -> Vec<Family> {
        let mut all = BTreeMap::<&'static str, Family>::new();
        for server in self.board.servers() {
            let mut game = Collected::of(server);
            let settings = self.settings.of(server);
            self.board.look(server, |view| {
                let interval = if is_idle(view) { settings.idle_interval } else { settings.interval };
                game.view(view, now, interval * 2);
            });
            for (name, mut family) in game.families {
                let cut = limit(&mut family, &self.settings.series) + game.cut.remove(name).unwrap_or(0);
                if cut > 0 {
                    counter!(GAME_SERIES_CUT, "server" => server.to_string(), "family" => name).increment(cut);
                }
                match all.get_mut(name) {
                    Some(known) => known.series.extend(family.series),
                    None => drop(all.insert(name, family)),
                }
            }
        }
        all.into_values().collect()
    }
}

impl GameSeries for BoardSeries {
    fn families(&self) -> Vec<Family> {
        self.families_at(Timestamp::now())
    }
}

/// Whether the game is asked seldom, as [`super::Sampler`] does while it stands with nobody in it.
fn is_idle(view: &GameView) -> bool {
    view.headcount() == Some(0) && view.paused != Some(false)
}

/// Keeps a family of one server to the limits: names that may not be in it are dropped, and of the others the highest values
/// stay. Returns how many the cap cut.
pub fn limit(family: &mut Family, limits: &SeriesSettings) -> u64 {
    let may = |name: &str| {
        let named = |patterns: &[_]| {
            patterns.iter().any(|pattern: &crate::config::settings::NamePattern| pattern.matches(name))
        };
        (limits.allow.is_empty() || named(&limits.allow)) && !named(&limits.deny)
    };
    family.series.retain(|series| series.labels.iter().all(|(label, value)| *label != "name" || may(value)));
    let cut = family.series.len().saturating_sub(limits.cap);
    if cut > 0 {
        family.series.sort_by(|a, b| b.value.total_cmp(&a.value));
        family.series.truncate(limits.cap);
    }
    cut as u64
}

/// The families of one server.
struct Collected<'a> {
    server: &'a ServerTag,
    families: BTreeMap<&'static str, Family>,
    /// What Lua left out, by family.
    cut: BTreeMap<&'static str, u64>,
}

impl<'a> Collected<'a> {
    fn of(server: &'a ServerTag) -> Self {
        Self { server, families: BTreeMap::new(), cut: BTreeMap::new() }
    }

    /// One series; `labels` are the values behind `server`, in the order of the table.
    fn add(&mut self, metric: &GameMetric, labels: &[&str], value: f64) {
        debug_assert_eq!(labels.len() + 1, metric.labels.len(), "{}", metric.name);
        let values = std::iter::once(self.server.as_str()).chain(labels.iter().copied());
        let labels = metric.labels.iter().copied().zip(values.map(ToOwned::to_owned)).collect();
        let new = || Family { name: metric.name, kind: metric.kind, help: metric.help, series: Vec::new() };
        self.families.entry(metric.name).or_insert_with(new).series.push(Series { labels, value });
    }

    fn maybe(&mut self, metric: &GameMetric, value: Option<f64>) {
        if let Some(value) = value {
            self.add(metric, &[], value);
        }
    }

    fn view(&mut self, view: &GameView, now: Timestamp, patience: Duration) {
        if view.link != GameLink::None {
            self.add(&table::UP, &[], f64::from(u8::from(view.link == GameLink::Up)));
        }
        let age = view.sampled_at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
        let Some(age) = age else { return };
        // How long a file is a source, is for the keeper to say.
        let answers = matches!(view.link, GameLink::Up | GameLink::Silent(_)) && age <= patience;
        if !answers && !view.files_tell {
            return;
        }
        self.add(&table::SAMPLE_AGE, &[], age.as_secs_f64());
        if view.files_tell {
            self.by_file(view);
        } else {
            self.native(view);
        }
        if let Some(lua) = &view.lua {
            self.lua(lua);
        }
    }

    /// What a file tells that is not shown as it stands there. Players are also those of the log.
    fn by_file(&mut self, view: &GameView) {
        self.add(&table::SOURCE, &[SampleSource::Files.as_str()], 1.0);
        self.moment(view);
        self.maybe(&table::AGE, view.age.map(|age| age.as_secs_f64()));
    }

    /// What is so now, and perhaps not any more once the game does not answer.
    fn moment(&mut self, view: &GameView) {
        self.maybe(&table::UPS, view.ups.map(|ups| ups.shown()));
        self.maybe(&table::UPS_TARGET, view.ups.map(|ups| ups.target));
        self.maybe(&table::UPS_ERROR, view.ups.map(|ups| ups.error));
        self.maybe(&table::PAUSED, view.paused.map(|paused| f64::from(u8::from(paused))));
        self.maybe(&table::CONNECTED, view.headcount().map(|count| count as f64));
    }

    /// What every source tells.
    fn native(&mut self, view: &GameView) {
        if let Some(source) = view.source {
            self.add(&table::SOURCE, &[source.as_str()], 1.0);
        }
        if let Some((took, bytes)) = view.cost {
            self.add(&table::SAMPLE_DURATION, &[], took.as_secs_f64());
            self.add(&table::SAMPLE_BYTES, &[], bytes as f64);
        }
        if view.link == GameLink::Up {
            self.moment(view);
        }
        self.maybe(&table::AGE, view.age.map(|age| age.as_secs_f64()));
        self.maybe(&table::KNOWN, view.known_players.map(|known| known as f64));
        if view.lua.is_none() {
            self.maybe(&table::TICK, view.age.map(|age| (age.as_secs_f64() * TICKS_A_SECOND).round()));
            for evolution in &view.evolution {
                let surface = evolution.surface.as_deref().unwrap_or_default().to_lowercase();
                self.add(&table::EVOLUTION, &["enemy", "total", &surface], evolution.factor);
            }
        }
    }

    fn lua(&mut self, lua: &LuaReading) {
        self.add(&table::TICK, &[], lua.tick as f64);
        for (surface, seed) in &lua.seeds {
            self.add(&table::SEED, &[surface], *seed as f64);
        }
        for evolution in &lua.evolution {
            let surface = evolution.surface.as_deref().unwrap_or_default();
            for (kind, value) in [
                ("total", evolution.total),
                ("by_pollution", evolution.by_pollution),
                ("by_time", evolution.by_time),
                ("by_killing_spawners", evolution.by_killing_spawners),
            ] {
                self.add(&table::EVOLUTION, &[&evolution.force, kind, surface], value);
            }
        }
        self.research(lua);
        self.space(lua);
        for (section, input, output) in &FLOWS {
            self.flows(lua, *section, [input, output]);
        }
    }

    fn research(&mut self, lua: &LuaReading) {
        for force in &lua.researching {
            for (at, queued) in force.queue.iter().enumerate() {
                let progress = if at == 0 { force.progress.unwrap_or(0.0) } else { 0.0 };
                let (level, index) = (queued.level.to_string(), (at + 1).to_string());
                self.add(&table::RESEARCH_QUEUE, &[&force.force, &queued.name, &level, &index], progress);
            }
            let (Some(name), true) = (&force.name, force.queue.is_empty()) else { continue };
            let level = force.level.unwrap_or(1).to_string();
            self.add(&table::RESEARCH_QUEUE, &[&force.force, name, &level, "1"], force.progress.unwrap_or(0.0));
        }
    }

    fn space(&mut self, lua: &LuaReading) {
        for force in &lua.rockets {
            self.add(&table::ROCKETS, &[&force.force], force.launched as f64);
            for (name, count) in &force.items {
                self.add(&table::ITEMS_LAUNCHED, &[&force.force, name], *count);
            }
            *self.cut.entry(table::ITEMS_LAUNCHED.name).or_default() += force.cut;
        }
        let mut platforms = BTreeMap::<(&str, &str), f64>::new();
        for platform in &lua.platforms {
            let state = platform.state.as_deref().unwrap_or("unknown");
            *platforms.entry((&platform.force, state)).or_default() += 1.0;
        }
        for ((force, state), count) in platforms {
            self.add(&table::PLATFORMS, &[force, state], count);
        }
    }

    fn flows(&mut self, lua: &LuaReading, section: LuaSection, metrics: [&GameMetric; 2]) {
        for flow in lua.flow(section) {
            let surface = flow.surface.as_deref().unwrap_or_default();
            let network = flow.network.map(|network| network.to_string()).unwrap_or_default();
            let sides = [(&flow.input, flow.input_cut), (&flow.output, flow.output_cut)];
            for (metric, (counts, cut)) in metrics.into_iter().zip(sides) {
                for (name, count) in counts {
                    let values = [flow.force.as_str(), name, &network, surface];
                    let with_network = metric.labels.contains(&"network");
                    let values: Vec<&str> =
                        if with_network { values.to_vec() } else { vec![values[0], values[1], values[3]] };
                    self.add(metric, &values, *count);
                }
                *self.cut.entry(metric.name).or_default() += cut;
            }
        }
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
