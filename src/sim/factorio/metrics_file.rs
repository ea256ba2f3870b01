//! The file in which graftorio2 writes the game's metrics, `script-output/graftorio2/game.prom`: all of it, anew, in place.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the file tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GameNumbers {
    /// The age of the map in ticks.
    pub tick: u64,
    /// Players in the game.
    pub online: usize,
    /// Players ever seen.
    pub known: usize,
    /// Items by name, produced so far.
    pub produced: Vec<(String, u64)>,
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
    gauge(&mut out, "factorio_tick", "game tick", &[(String::new(), numbers.tick)]);
    gauge(&mut out, "factorio_connected_player_count", "connected players", &[(String::new(), numbers.online as u64)]);
    gauge(
        &mut out,
        "factorio_total_player_count",
        "total registered players",
        &[(String::new(), numbers.known as u64)],
    );
    let labels = |name: &String| format!("{{force=\"player\",name=\"{name}\"}}");
    let produced: Vec<_> = numbers.produced.iter().map(|(name, count)| (labels(name), *count)).collect();
    gauge(&mut out, "factorio_item_production_input", "items produced", &produced);
    out
}

fn gauge(out: &mut String, name: &str, help: &str, samples: &[(String, u64)]) {
    write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n").expect("a String takes all");
    for (labels, value) in samples {
        writeln!(out, "{name}{labels} {value}").expect("a String takes all");
    }
    out.push('\n');
}
