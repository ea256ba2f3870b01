//! A look into a log file, for `check`: what it holds, judged by the rules of the pipeline.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use regex::Regex;

use crate::log_format::{Content, Damage, Fit, LogRole, Runs, Wrapper, classify, clean, sample};

/// Bytes that are looked at from the start and from the end of a file.
const LOOKED_AT: u64 = 64 * 1024;

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LogProbe {
    pub(super) content: Content,
    pub(super) wrapper: Option<Wrapper>,
    /// It begins like metrics in the text format of Prometheus.
    pub(super) metrics: bool,
    damage: Option<Damage>,
    /// Lines that were looked at and are not empty.
    lines: u64,
    /// The first of them, as it may be shown.
    first: String,
    /// A line of a known mod or of a user pattern is among them.
    known: bool,
}

impl LogProbe {
    /// Looks at the file at `path`, which has `bytes` bytes.
    pub(super) fn read(path: &Path, bytes: u64, patterns: &[&Regex]) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut text = chunk(&mut file)?;
        if bytes > 2 * LOOKED_AT {
            file.seek(SeekFrom::Start(bytes - LOOKED_AT))?;
            let end = chunk(&mut file)?;
            // The chunk begins within a line, and the one before ended within one.
            text.truncate(text.rfind('\n').map_or(0, |newline| newline + 1));
            text.push_str(end.split_once('\n').map_or("", |(_, rest)| rest));
        } else {
            text.push_str(&chunk(&mut file)?);
        }
        Ok(Self::of(&text, patterns))
    }

    fn of(text: &str, patterns: &[&Regex]) -> Self {
        let lines: Vec<_> = text.lines().map(clean).filter(|line| !line.trim().is_empty()).collect();
        let mut probe = Self { wrapper: wrapper_of(lines.iter().map(AsRef::as_ref)), ..Self::default() };
        let Some(first) = lines.first() else { return probe };
        probe.metrics = first.starts_with("# HELP ") || first.starts_with("# TYPE ");
        probe.damage = Damage::of(first);
        probe.first = sample(first.trim());
        for line in &lines {
            probe.lines += 1;
            let text = match &probe.wrapper {
                Some(wrapper) => wrapper.unwrap(line),
                None => Some(line.as_ref().into()),
            };
            let Some(text) = text else { continue };
            probe.content.add(&text);
            probe.known = probe.known || is_of_mod(&text) || patterns.iter().any(|pattern| matches(pattern, &text));
        }
        probe
    }

    /// What is odd about this content in a log of `role`.
    pub(super) fn problem(&self, role: LogRole) -> Option<String> {
        if let Some(damage) = self.damage {
            return Some(format!("nothing of it is relayed: {}", damage.text()));
        }
        if self.metrics || self.lines == 0 || self.known || self.content.is_factorio() {
            return None;
        }
        let lines = match self.lines {
            1 => "its one line is no line of Factorio:".to_owned(),
            lines => format!("none of the {lines} lines looked at is a line of Factorio; the first is"),
        };
        Some(format!("nothing of it is relayed: {lines} `{}`. {}", self.first, role.remedy()))
    }

    /// What this is, in a word, where that is worth one.
    pub(super) fn kind(&self) -> Option<String> {
        let wrapper = self.wrapper.as_ref().map(|wrapper| format!("unwrapped from {}", wrapper.describe()));
        let capture = self.content.is_capture().then(|| "a capture of standard output".to_owned());
        let kinds: Vec<String> = capture.into_iter().chain(wrapper).collect();
        (!kinds.is_empty()).then(|| kinds.join(", "))
    }
}

fn chunk(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}"))
}

fn wrapper_of<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Wrapper> {
    let mut runs = Runs::default();
    for line in lines {
        match classify(line) {
            Fit::Plain => return None,
            Fit::Candidate(wrapper) => {
                if let Some(wrapper) = runs.count(wrapper) {
                    return Some(wrapper);
                }
            }
            Fit::Unclear => {}
            Fit::Other => runs.clear(),
        }
    }
    None
}

/// What mods known to the relay print.
fn is_of_mod(line: &str) -> bool {
    line.starts_with("JLOGGER: ") || line.starts_with("[FactoriGOChatBot]: ") || line.starts_with("{\"event\":")
}

/// Patterns see lines without their time.
fn matches(pattern: &Regex, line: &str) -> bool {
    let dated =
        line.len() > 20 && line.is_char_boundary(20) && line.as_bytes()[4] == b'-' && line.as_bytes()[10] == b' ';
    pattern.is_match(line) || (dated && pattern.is_match(&line[20..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "2026-11-30 10:00:00 [CHAT] Bob: hello\n";

    fn problem(text: &str) -> String {
        LogProbe::of(text, &[]).problem(LogRole::Console).unwrap_or_default()
    }

    #[test]
    fn a_file_that_is_no_log_of_factorio_is_explained() {
        assert!(problem("\u{1f}\u{fffd}\u{8}").contains("compressed"));
        assert!(
            problem("GET /\nGET /\n")
                .contains("none of the 2 lines looked at is a line of Factorio; the first is `GET /`")
        );
        for good in ["", "\n\n", CHAT, "JLOGGER: DIED: Bob biter\n", "# HELP x\n"] {
            assert_eq!(problem(good), "", "{good}");
        }
        let pattern = Regex::new("^BOSS ").unwrap();
        for line in ["BOSS x\n", "2026-11-30 10:00:00 BOSS x\n"] {
            assert_eq!(LogProbe::of(line, &[&pattern]).problem(LogRole::Console), None);
        }
    }

    #[test]
    fn a_wrapper_is_named() {
        let wrapped = format!("factorio-1  | {CHAT}").repeat(3);
        let probe = LogProbe::of(&wrapped, &[]);
        assert_eq!(probe.problem(LogRole::Console), None);
        assert_eq!(probe.kind().as_deref(), Some("unwrapped from the prefix `factorio-1 |`"));
    }

    #[test]
    fn a_large_file_is_looked_at_from_both_ends() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let engine = "   0.567 Info AppManager.cpp:287: Saving to _autosave4 (blocking).\n";
        let text = format!("{}{CHAT}", engine.repeat(5_000));
        std::fs::write(file.path(), &text).unwrap();
        let probe = LogProbe::read(file.path(), text.len() as u64, &[]).unwrap();
        assert!(probe.content.is_capture(), "{probe:?}");
    }
}
