//! `[alerts.KIND]`: one table of all alerts with their keys, and how a section is read by it. To add a key to an alert, add
//! it here and to the example file, and ask for it in `alerts`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use figment::value::Value;

use super::duration;
use super::problem::Problems;
#[cfg(test)]
use super::section::Need;
use super::section::Table;
#[cfg(test)]
use super::source::join;
use super::value::Scalar;
use crate::domain::AlertKind;

/// An alert's table; `enabled`, `ping` and `cooldown` are in each of them.
pub(super) struct Shape {
    pub kind: AlertKind,
    /// Whether it pings, where nothing else is said.
    pub ping: bool,
    /// The least time between two of it, where nothing else is said.
    pub cooldown: &'static str,
    keys: &'static [(&'static str, Bounds)],
}

/// What stands behind a key: its default, the least and the most.
#[derive(Debug, Clone, Copy)]
enum Bounds {
    Time(&'static str, &'static str, &'static str),
    Number(f64, f64, f64),
    Count(usize, usize, usize),
    /// None, where nothing is said.
    Names,
}

use Bounds::{Count, Names, Number, Time};

const fn shape(kind: AlertKind, ping: bool, cooldown: &'static str, keys: &'static [(&'static str, Bounds)]) -> Shape {
    Shape { kind, ping, cooldown, keys }
}

/// All alerts, in the order in which they stand in the manual.
pub(super) const SHAPES: [Shape; AlertKind::ALL.len()] = [
    shape(
        AlertKind::LowUps,
        true,
        "5m",
        &[("below", Number(55.0, 1.0, 60.0)), ("recovered", Number(58.0, 1.0, 60.0)), ("samples", Count(3, 1, 1000))],
    ),
    shape(AlertKind::RconDown, true, "5m", &[("after", Time("2m", "0s", "1d"))]),
    shape(AlertKind::LogSilent, true, "5m", &[("after", Time("2m", "10s", "1d")), ("quiet", Time("6h", "1m", "30d"))]),
    shape(AlertKind::Autosave, true, "5m", &[("overdue", Time("30m", "10s", "7d"))]),
    shape(AlertKind::StartFailed, true, "0s", &[("after", Time("1m", "1s", "1d"))]),
    shape(AlertKind::Crash, true, "0s", &[]),
    shape(AlertKind::CrashLoop, true, "0s", &[("crashes", Count(3, 2, 50)), ("within", Time("15m", "1m", "1d"))]),
    shape(AlertKind::Desync, true, "0s", &[("calm", Time("15m", "1s", "1d"))]),
    shape(AlertKind::ScriptError, true, "0s", &[("calm", Time("15m", "1s", "1d"))]),
    shape(AlertKind::Evolution, false, "0s", &[("step", Number(0.1, 0.01, 1.0))]),
    shape(AlertKind::Watchlist, true, "5m", &[("players", Names)]),
    shape(AlertKind::JoinRefused, true, "5m", &[("attempts", Count(5, 2, 100)), ("within", Time("10m", "1s", "1d"))]),
    shape(AlertKind::Backlog, false, "5m", &[("older_than", Time("10m", "1s", "7d"))]),
];

/// Cooldowns go from nothing to this.
const LONGEST_COOLDOWN: &str = "1d";

/// What was said of one alert.
#[derive(Debug, Default)]
pub(super) struct RuleSection {
    pub enabled: Option<bool>,
    pub ping: Option<bool>,
    pub cooldown: Option<Duration>,
    given: BTreeMap<&'static str, Given>,
}

#[derive(Debug, Clone, PartialEq)]
enum Given {
    Time(Duration),
    Number(f64),
    Count(usize),
    Names(Vec<String>),
}

/// A number with or without a fraction.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Decimal(f64);

impl Scalar for Decimal {
    const EXPECTED: &'static str = "a number as `55` or `0.1`";

    fn parse(value: &Value) -> Option<Self> {
        let number = match value {
            Value::Num(_, number) => number.to_f64().or_else(|| number.to_i128().map(|whole| whole as f64)),
            Value::String(_, text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite()).map(Self)
    }
}

fn time(text: &str) -> Duration {
    duration::parse(text).expect("what stands in the table is a duration")
}

/// Each player once: names have no blanks around them, and are the same in any case.
fn distinct(names: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names
        .iter()
        .map(|name| name.trim())
        .filter(|name| seen.insert(name.to_lowercase()))
        .map(ToOwned::to_owned)
        .collect()
}

impl Bounds {
    fn default(self) -> Given {
        match self {
            Time(default, ..) => Given::Time(time(default)),
            Number(default, ..) => Given::Number(default),
            Count(default, ..) => Given::Count(default),
            Names => Given::Names(Vec::new()),
        }
    }

    fn read(self, table: &mut Table<'_, '_>, key: &str) -> Option<Given> {
        match self {
            Time(..) => table.optional(key).map(Given::Time),
            Number(..) => table.optional(key).map(|Decimal(number)| Given::Number(number)),
            Count(..) => table.optional(key).map(Given::Count),
            Names => table.optional(key).map(|names: Vec<String>| Given::Names(distinct(&names))),
        }
    }

    /// The range, where `given` is out of it.
    fn missed_by(self, given: &Given) -> Option<String> {
        let (within, range) = match (self, given) {
            (Time(_, least, most), Given::Time(given)) => {
                ((time(least)..=time(most)).contains(given), format!("{least} to {most}"))
            }
            (Number(_, least, most), Given::Number(given)) => {
                ((least..=most).contains(given), format!("{least} to {most}"))
            }
            (Count(_, least, most), Given::Count(given)) => {
                ((least..=most).contains(given), format!("{least} to {most}"))
            }
            _ => return None,
        };
        (!within).then_some(range)
    }
}

impl Shape {
    /// The shape of `kind`.
    pub(super) fn of(kind: AlertKind) -> &'static Self {
        SHAPES.iter().find(|shape| shape.kind == kind).expect("a test finds a shape for every alert")
    }

    fn key_names(&self) -> Vec<&'static str> {
        ["enabled", "ping", "cooldown"].into_iter().chain(self.keys.iter().map(|(key, _)| *key)).collect()
    }

    /// Reads the table at `path`; ranges are checked, too.
    pub(super) fn read(&self, path: &str, value: &Value, problems: &mut Problems<'_>) -> Option<RuleSection> {
        let mut table = Table::open(path, value, &self.key_names(), problems)?;
        let (enabled, ping, cooldown) =
            (table.optional("enabled"), table.optional("ping"), table.optional::<Duration>("cooldown"));
        let given = self.keys.iter().filter_map(|(key, bounds)| Some((*key, bounds.read(&mut table, key)?)));
        let section = RuleSection { enabled, ping, cooldown, given: given.collect() };
        if section.cooldown.is_some_and(|cooldown| cooldown > time(LONGEST_COOLDOWN)) {
            problems.add(&format!("{path}.cooldown"), format!("out of range: 0s to {LONGEST_COOLDOWN}"));
        }
        for (key, bounds) in self.keys {
            if let Some(range) = section.given.get(key).and_then(|given| bounds.missed_by(given)) {
                problems.add(&format!("{path}.{key}"), format!("out of range: {range}"));
            }
        }
        Some(section)
    }

    /// Lists its keys.
    #[cfg(test)]
    pub(super) fn list(&self, path: &str, out: &mut Vec<(String, Need)>) {
        out.extend(self.key_names().into_iter().map(|key| (join(path, key), Need::Optional)));
    }

    fn default(&self, key: &str) -> Given {
        let (_, bounds) = self.keys.iter().find(|(other, _)| *other == key).expect("the key stands in the table");
        bounds.default()
    }
}

impl RuleSection {
    /// Whether this key was given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }
}

/// What stands behind a key of an alert, by the sections that come first.
pub(super) struct Values<'a> {
    shape: &'static Shape,
    sections: Vec<&'a RuleSection>,
}

impl<'a> Values<'a> {
    pub fn of(kind: AlertKind, sections: impl Iterator<Item = &'a RuleSection>) -> Self {
        Self { shape: Shape::of(kind), sections: sections.collect() }
    }

    /// The first that `key` finds.
    pub fn first<T>(&self, key: impl Fn(&RuleSection) -> Option<T>) -> Option<T> {
        self.sections.iter().find_map(|section| key(section))
    }

    fn given(&self, key: &str) -> Given {
        self.first(|section| section.given.get(key).cloned()).unwrap_or_else(|| self.shape.default(key))
    }

    pub fn enabled(&self) -> bool {
        self.first(|section| section.enabled).unwrap_or(true)
    }

    pub fn ping(&self) -> bool {
        self.first(|section| section.ping).unwrap_or(self.shape.ping)
    }

    pub fn cooldown(&self) -> Duration {
        self.first(|section| section.cooldown).unwrap_or_else(|| time(self.shape.cooldown))
    }

    pub fn time(&self, key: &str) -> Duration {
        let Given::Time(time) = self.given(key) else { unreachable!("`{key}` is a duration") };
        time
    }

    pub fn number(&self, key: &str) -> f64 {
        let Given::Number(number) = self.given(key) else { unreachable!("`{key}` is a number") };
        number
    }

    pub fn count(&self, key: &str) -> usize {
        let Given::Count(count) = self.given(key) else { unreachable!("`{key}` is a count") };
        count
    }

    pub fn names(&self, key: &str) -> Vec<String> {
        let Given::Names(names) = self.given(key) else { unreachable!("`{key}` is a list of names") };
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_a_table_with_defaults_in_their_ranges() {
        for kind in AlertKind::ALL {
            let shape = Shape::of(*kind);
            assert!(time(shape.cooldown) <= time(LONGEST_COOLDOWN), "{kind}");
            for (key, bounds) in shape.keys {
                assert_eq!(bounds.missed_by(&bounds.default()), None, "{kind}.{key}");
            }
        }
    }
}
