//! The file in which graftorio2 writes the game's metrics, `script-output/graftorio2/game.prom`: all of it, anew, in place.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the file tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GameNumbers {
    /// The age of the map in ticks.
    pub tick: u64,
    /// Players in the game.
    pub online: usize,
    /// Players ever seen.
    pub known: usize,
    /// Items by name, produced so far.
    pub produced: Vec<(String, u64)>,
    /// The enemies' evolution by surface, 0 to 1.
    pub evolution: Vec<(String, f64)>,
    /// What is researched and how far, 0 to 1; what comes next.
    pub research: Vec<(String, f64)>,
    /// Rockets launched, as graftorio3 tells; `None` for a mod that does not.
    pub rockets: Option<u64>,
}

/// The file.
#[derive(Debug)]
pub struct MetricsFile(PathBuf);

impl MetricsFile {
    /// The file at `path`; its directory must exist. Nothing is written yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes as the game does: the file is emptied and filled again.
    pub fn write(&self, numbers: &GameNumbers) -> io::Result<()> {
        fs::write(&self.0, text(numbers))
    }

    /// Writes so that nobody ever sees half of it, as the game does not.
    pub fn write_atomically(&self, numbers: &GameNumbers) -> io::Result<()> {
        let new = self.0.with_extension("prom.new");
        fs::write(&new, text(numbers))?;
        fs::rename(new, &self.0)
    }

    /// Dies while writing: the file ends in the middle of a line.
    pub fn write_torn(&self, numbers: &GameNumbers) -> io::Result<()> {
        let text = text(numbers);
        let half = text[..text.len() / 2].trim_end_matches('\n');
        fs::write(&self.0, half)
    }
}

fn text(numbers: &GameNumbers) -> String {
    let mut out = String::new();
    gauge(&mut out, "factorio_tick", "game tick", &[(String::new(), numbers.tick as f64)]);
    gauge(&mut out, "factorio_connected_player_count", "connected players", &[(String::new(), numbers.online as f64)]);
    gauge(
        &mut out,
        "factorio_total_player_count",
        "total registered players",
        &[(String::new(), numbers.known as f64)],
    );
    let labels = |name: &String| format!("{{force=\"player\",name=\"{name}\"}}");
    let produced: Vec<_> = numbers.produced.iter().map(|(name, count)| (labels(name), *count as f64)).collect();
    gauge(&mut out, "factorio_item_production_input", "items produced", &produced);
    let labels = |surface: &String| format!("{{force=\"enemy\",type=\"total\",surface=\"{surface}\"}}");
    let evolution: Vec<_> = numbers.evolution.iter().map(|(name, factor)| (labels(name), *factor)).collect();
    gauge(&mut out, "factorio_evolution", "evolution", &evolution);
    let labels =
        |at: usize, name: &String| format!("{{force=\"player\",name=\"{name}\",level=\"1\",index=\"{}\"}}", at + 1);
    let research = numbers.research.iter().enumerate();
    let research: Vec<_> = research.map(|(at, (name, progress))| (labels(at, name), *progress)).collect();
    gauge(&mut out, "factorio_research_queue", "research", &research);
    let rockets: Vec<_> =
        numbers.rockets.iter().map(|count| ("{force=\"player\"}".to_owned(), *count as f64)).collect();
    gauge(&mut out, "factorio_rockets_launched", "rockets launched per force", &rockets);
    out
}

/// A family without samples is not written, as graftorio2 does it.
fn gauge(out: &mut String, name: &str, help: &str, samples: &[(String, f64)]) {
    if samples.is_empty() {
        return;
    }
    write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n").expect("a String takes all");
    for (labels, value) in samples {
        writeln!(out, "{name}{labels} {value}").expect("a String takes all");
    }
    out.push('\n');
}
