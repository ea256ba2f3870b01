//! The file in which a mod writes the game's metrics, as graftorio2's `game.prom`: read leniently, shown again with a
//! `server` label, and read for what the games' view can tell. Pure; [`PrometheusFiles`] does the reading.
//!
//! Names and labels stay what they are, so that the dashboards people have go on to work; what the text format does not
//! allow, what would be too much and what has the name of a metric of the program's own is left out and counted.

mod numbers;
mod sample;
mod watch;
mod weave;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

pub use numbers::FileNumbers;
use sample::{Sample, help, valid_name};
pub(super) use watch::SEEN_LATE;
pub use watch::{FileTold, FileUpdates, PrometheusFile, PrometheusFiles};
pub(super) use weave::weave;

use crate::domain::ServerTag;

/// What a family is, by its `# TYPE` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Counter, Self::Gauge, Self::Histogram, Self::Summary, Self::Untyped]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// The label that tells the samples of one series apart.
    fn inner_label(self) -> Option<&'static str> {
        match self {
            Self::Histogram => Some("le"),
            Self::Summary => Some("quantile"),
            Self::Counter | Self::Gauge | Self::Untyped => None,
        }
    }

    /// Whether a sample of this name is one of the family `name`.
    fn has(self, name: &str, sample: &Sample) -> bool {
        let Some(suffix) = sample.name.strip_prefix(name) else { return false };
        let inner = self.inner_label().is_some_and(|label| sample.label(label).is_some());
        match (self, suffix) {
            (Self::Histogram, "_bucket") | (Self::Summary, "") => inner,
            (Self::Histogram | Self::Summary, "_sum" | "_count")
            | (Self::Counter | Self::Gauge | Self::Untyped, "") => true,
            _ => false,
        }
    }
}

/// One family of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Family {
    kind: Kind,
    help: String,
    /// Its samples with the `server` label, as they are shown.
    samples: String,
}

/// What a file says, with the `server` label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Exposition {
    families: BTreeMap<String, Family>,
}

/// What of a file is not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Lines that are none of the text format, samples that stand there twice.
    pub(super) invalid: u64,
    /// Series beyond the cap of their family.
    pub(super) capped: u64,
    /// Samples that have the name of a metric of the program's own.
    pub(super) collided: u64,
}

/// Whether a family of this name can only be about the program itself.
fn is_own(family: &str) -> bool {
    ["factorio_isr_", "process_"].iter().any(|prefix| family.starts_with(prefix))
}

/// Reads the file of `server`; of each family at most `max_series` series are taken, in the order of the file.
pub(super) fn read(text: &str, server: &ServerTag, max_series: usize) -> (Exposition, Dropped) {
    let mut reading = Reading::new(server, max_series);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix('#') {
            Some(comment) => reading.comment(comment.trim_start()),
            None => reading.sample(line),
        }
    }
    let families = reading.families.into_iter().filter(|(_, family)| !family.samples.is_empty());
    (Exposition { families: families.collect() }, reading.dropped)
}

struct Reading<'a> {
    server: &'a ServerTag,
    max_series: usize,
    families: BTreeMap<String, Family>,
    /// The series of each family.
    series: HashMap<String, HashSet<String>>,
    samples: HashSet<String>,
    dropped: Dropped,
}

impl<'a> Reading<'a> {
    fn new(server: &'a ServerTag, max_series: usize) -> Self {
        Self {
            server,
            max_series,
            families: BTreeMap::new(),
            series: HashMap::new(),
            samples: HashSet::new(),
            dropped: Dropped::default(),
        }
    }

    /// `HELP name text`, `TYPE name kind`; any other comment means nothing.
    fn comment(&mut self, comment: &str) {
        let mut words = comment.splitn(3, ' ');
        let (Some(keyword), Some(name)) = (words.next(), words.next()) else { return };
        let text = words.next().unwrap_or_default().trim();
        if !matches!(keyword, "HELP" | "TYPE") {
            return;
        }
        if !valid_name(name, true) {
            self.dropped.invalid += 1;
            return;
        }
        let family = self.family(name);
        if keyword == "HELP" {
            family.help = help(text);
        } else if family.samples.is_empty() {
            family.kind = Kind::parse(text).unwrap_or(Kind::Untyped);
        }
    }

    fn family(&mut self, name: &str) -> &mut Family {
        let new = || Family { kind: Kind::Untyped, help: String::new(), samples: String::new() };
        self.families.entry(name.to_owned()).or_insert_with(new)
    }

    fn sample(&mut self, line: &str) {
        let Some((name, sample)) = Sample::parse(line).and_then(|sample| Some((self.family_of(&sample)?, sample)))
        else {
            self.dropped.invalid += 1;
            return;
        };
        if is_own(&name) {
            self.dropped.collided += 1;
            return;
        }
        if !self.samples.insert(sample.identity()) {
            self.dropped.invalid += 1;
            return;
        }
        let kind = self.family(&name).kind;
        if !self.fits(&name, sample.series(&name, kind.inner_label())) {
            return;
        }
        let shown = sample.shown(self.server.as_str());
        self.family(&name).samples.push_str(&shown);
    }

    /// The family of a sample; one of its own where no `# TYPE` line announced it. `None` for a sample that its family
    /// cannot have.
    fn family_of(&self, sample: &Sample) -> Option<String> {
        let bases = ["", "_bucket", "_sum", "_count"].iter().filter_map(|suffix| sample.name.strip_suffix(suffix));
        let known = bases.filter_map(|base| self.families.get_key_value(base));
        // Only histograms and summaries have samples of other names than their own.
        let known = known.filter(|(name, family)| **name == sample.name || family.kind.inner_label().is_some());
        let of_it = known.clone().find(|(name, family)| family.kind.has(name, sample));
        match of_it {
            Some((name, _)) => Some(name.clone()),
            None if known.count() == 0 => Some(sample.name.clone()),
            None => None,
        }
    }

    /// Whether there is room for the series in its family. One that was let in once is let in with all its samples.
    fn fits(&mut self, family: &str, series: String) -> bool {
        let known = self.series.entry(family.to_owned()).or_default();
        if known.contains(&series) {
            return true;
        }
        let fits = known.len() < self.max_series;
        if fits {
            known.insert(series);
        } else {
            self.dropped.capped += 1;
        }
        fits
    }
}

/// Writes the head of a family. A help text is required by those who check metrics.
fn write_head(out: &mut String, name: &str, family: &Family) {
    let help = if family.help.is_empty() { "Written by a mod." } else { &family.help };
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", family.kind.as_str()).expect("a String takes all");
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
