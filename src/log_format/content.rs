//! What a file holds: which of Factorio's logs it is, or why it is none.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::redact::redact;
use super::shape::{LineShape, shape};

/// After so many lines without one of Factorio, the log is reported as degraded.
pub const PROOF_EXPECTED: u64 = 20;

/// Characters of a line that is shown to explain what a file looks like.
const SAMPLE_CHARS: usize = 120;
/// Engine lines after a player entered the game within which a capture of standard output has shown the `[JOIN]`.
const JOIN_EXPECTED: u32 = 20;
/// Lines of one kind after which the absence of the other kind means something.
const ENOUGH: u32 = 20;

/// What a log is configured as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogRole {
    /// `console_log`
    Console,
    /// `engine_log`
    Engine,
    /// A file in `mod_logs`
    Mod,
}

impl LogRole {
    /// What to do where such a file is something else.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Console => {
                "Start the game with `--console-log FILE` and set `console_log` to that file, or to a capture of the \
                 game's standard output"
            }
            Self::Engine => "Set `engine_log` to the game's factorio-current.log",
            Self::Mod => "Name a file that a mod writes, or pick its lines by `[[patterns]]`",
        }
    }
}

/// How many lines of which kind were read of one file. Small, so that it can be stored with a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// Dated lines with a tag of the game.
    pub console: u32,
    /// `=== Log opened …`: the file is one of `--console-log`.
    pub marker: bool,
    /// Lines of the engine.
    pub engine: u32,
    /// Neither.
    pub other: u32,
    /// Engine lines since a player entered the game.
    after_join: Option<u32>,
    /// A player entered the game, and no console line said so.
    silent_join: bool,
}

/// What is wrong with the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// It holds lines of the engine only, and should hold chat.
    EngineLogAsConsole,
    /// It is the console log, and should hold lines of the engine.
    ConsoleLogAsEngine,
    /// Both of the above, so that the two paths are exchanged.
    Swapped,
}

impl Content {
    /// Counts one line, without its wrapper.
    pub fn add(&mut self, line: &str) {
        match shape(line) {
            Some(LineShape::Marker) => self.marker = true,
            Some(LineShape::Console) => self.console = self.console.saturating_add(1),
            Some(LineShape::Engine) => {
                self.engine = self.engine.saturating_add(1);
                self.watch_joins(line);
            }
            None => self.other = self.other.saturating_add(1),
        }
        if self.has_console() {
            (self.after_join, self.silent_join) = (None, false);
        }
    }

    fn watch_joins(&mut self, line: &str) {
        if line.contains("processed PlayerJoinGame") {
            self.after_join.get_or_insert(0);
        } else if let Some(lines) = &mut self.after_join {
            *lines += 1;
            self.silent_join = *lines >= JOIN_EXPECTED;
            self.after_join = self.after_join.filter(|_| !self.silent_join);
        }
    }

    /// Whether there is a line that only the console log or a capture of standard output has.
    #[must_use]
    pub fn has_console(&self) -> bool {
        self.marker || self.console > 0
    }

    /// Whether it holds a line of Factorio.
    #[must_use]
    pub fn is_factorio(&self) -> bool {
        self.has_console() || self.engine > 0
    }

    /// Whether it holds both kinds of lines, as a capture of standard output does.
    #[must_use]
    pub fn is_capture(&self) -> bool {
        self.has_console() && self.engine > 0
    }

    /// Whether this is for sure the engine's own log: a capture of standard output would look different, or the file
    /// has the name that the engine gives.
    #[must_use]
    pub fn is_engine_log(&self, path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let named = name.starts_with("factorio-current.log") || name.starts_with("factorio-previous.log");
        !self.has_console() && (self.silent_join || (named && self.engine > 0))
    }

    /// Whether this is for sure a console log.
    #[must_use]
    pub fn is_console_log(&self) -> bool {
        self.engine == 0 && (self.marker || self.console >= ENOUGH)
    }

    /// Whether it has only lines of the engine so far.
    #[must_use]
    pub fn is_engine_only(&self) -> bool {
        !self.has_console() && self.engine >= ENOUGH
    }

    /// What is wrong with `console` as the console log and `engine` as the engine log of one server.
    #[must_use]
    pub fn judge(console: (&Self, &Path), engine: Option<&Self>) -> Option<Advice> {
        let engine_is_console = engine.is_some_and(Self::is_console_log);
        let (content, path) = console;
        let no_chat = content.is_engine_log(path) || (engine_is_console && content.is_engine_only());
        match (no_chat, engine_is_console) {
            (true, true) => Some(Advice::Swapped),
            (true, false) => Some(Advice::EngineLogAsConsole),
            (false, true) => Some(Advice::ConsoleLogAsEngine),
            (false, false) => None,
        }
    }
}

impl Advice {
    /// What is wrong and what to do, for the log that is configured as `role`. `None` where that one is in order.
    #[must_use]
    pub fn text(self, role: LogRole) -> Option<&'static str> {
        match (self, role) {
            (Self::Swapped, LogRole::Console) => Some(
                "this is the engine's log, and `engine_log` is the console log: exchange the paths of `console_log` \
                 and `engine_log`; until then nothing is relayed",
            ),
            (Self::Swapped, LogRole::Engine) => Some(
                "this is the console log, and `console_log` is the engine's log: exchange the paths of `console_log` \
                 and `engine_log`; until then nothing is relayed",
            ),
            (Self::EngineLogAsConsole, LogRole::Console) => Some(
                "this is the engine's log, as factorio-current.log is, and never contains chat, joins or leaves: start \
                 the game with `--console-log FILE`, set `console_log` to that file and `engine_log` to this one",
            ),
            (Self::ConsoleLogAsEngine, LogRole::Engine) => Some(
                "this is a console log, which never contains starts, saves or errors: set `engine_log` to the game's \
                 factorio-current.log",
            ),
            _ => None,
        }
    }
}

/// Why a file cannot be read as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Compressed.
    Compressed,
    /// UTF-16.
    Utf16,
    /// No text.
    Binary,
}

impl Damage {
    /// Judges the first line of a file, decoded as UTF-8 with U+FFFD for what is none, NUL included.
    #[must_use]
    pub fn of(line: &str) -> Option<Self> {
        const REPLACED: char = '\u{fffd}';
        let magic: String = line.chars().take(4).collect();
        // gzip, zstd, xz, bzip2.
        if magic.starts_with("\u{1f}\u{fffd}")
            || magic.starts_with("(\u{fffd}/\u{fffd}")
            || magic == "\u{fffd}7zX"
            || (magic.starts_with("BZh") && line.contains(REPLACED))
        {
            return Some(Self::Compressed);
        }
        let (mut chars, mut replaced, mut pairs) = (0_usize, 0_usize, 0_usize);
        let mut before = REPLACED;
        for c in line.chars() {
            chars += 1;
            replaced += usize::from(c == REPLACED);
            pairs += usize::from(c == REPLACED && before.is_ascii_graphic());
            before = c;
        }
        if replaced >= 4 && pairs * 3 >= chars {
            return Some(Self::Utf16);
        }
        (replaced >= 4 && replaced * 5 >= chars).then_some(Self::Binary)
    }

    /// What is wrong and what to do.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Compressed => {
                "it is compressed, and only plain text is read: name the file that the game writes, not a packed copy"
            }
            Self::Utf16 => {
                "it is encoded in UTF-16 (as by `>` and Tee-Object of Windows PowerShell), and only UTF-8 is read: \
                 name the file of `--console-log`, or write the capture in UTF-8"
            }
            Self::Binary => "it is no text file: name the file that the game writes",
        }
    }
}

/// A line as it may be shown to explain what a file looks like: redacted and cut.
#[must_use]
pub fn sample(line: &str) -> String {
    let visible: String = redact(line).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match visible.char_indices().nth(SAMPLE_CHARS) {
        Some((end, _)) => format!("{}…", &visible[..end]),
        None => visible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(lines: &[&str]) -> Content {
        let mut content = Content::default();
        for line in lines {
            content.add(line);
        }
        content
    }

    const ENGINE: &str = "   0.567 Info AppManager.cpp:287: Saving to _autosave4 (blocking).";
    const JOINED: &str = " 250.355 Info GameActionHandler.cpp:4996: UpdateTick (1) processed PlayerJoinGame peerID(1)";
    const JOIN: &str = "2026-11-30 10:00:00 [JOIN] Bob joined the game";
    const OPENED: &str = "=== Log opened 2026-11-30 10:00:00 ===";

    #[test]
    fn a_log_of_the_engine_shows_by_a_join_that_no_console_line_tells() {
        let neutral = Path::new("server.log");
        let start = content(&[ENGINE; 100]);
        assert!(!start.is_engine_log(neutral), "a capture of standard output begins like this, too");
        assert!(start.is_engine_log(Path::new("/factorio/factorio-current.log")));
        let mut engine = vec![ENGINE, JOINED];
        engine.extend([ENGINE; 20]);
        assert!(content(&engine).is_engine_log(neutral));
        engine.insert(2, JOIN);
        assert!(!content(&engine).is_engine_log(neutral));
        assert!(content(&engine).is_capture());
        assert_eq!(Content::judge((&content(&engine), neutral), None), None);
    }

    #[test]
    fn exchanged_paths_are_told_from_one_wrong_path() {
        let (engine, console) = (content(&[ENGINE; 30]), content(&[OPENED, JOIN]));
        let neutral = Path::new("a.log");
        assert_eq!(Content::judge((&engine, neutral), Some(&console)), Some(Advice::Swapped));
        assert_eq!(Content::judge((&console, neutral), Some(&console)), Some(Advice::ConsoleLogAsEngine));
        assert_eq!(Content::judge((&console, neutral), Some(&engine)), None);
        assert_eq!(Content::judge((&engine, neutral), Some(&engine)), None);
    }

    #[test]
    fn files_that_are_no_text_are_named() {
        let decode = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
        let utf16: Vec<u8> = "\u{feff}2026 [CHAT] Bob".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "2026 [CHAT] Bob".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(Damage::of(&decode(&utf16)), Some(Damage::Utf16));
        assert_eq!(Damage::of(&decode(&big)), Some(Damage::Utf16));
        assert_eq!(Damage::of(&decode(&[0x1f, 0x8b, 8, 0, 0, 1])), Some(Damage::Compressed));
        assert_eq!(Damage::of(&decode(&[0x28, 0xb5, 0x2f, 0xfd, 1])), Some(Damage::Compressed));
        assert_eq!(Damage::of(&decode(&[0x80; 40])), Some(Damage::Binary));
        for text in [ENGINE, JOIN, "Игрок вошёл", "a \u{fffd} b", ""] {
            assert_eq!(Damage::of(text), None, "{text}");
        }
    }

    #[test]
    fn a_sample_shows_no_address_and_no_control_character() {
        let line = format!("\u{1b}x from 203.0.113.9 {}", "y".repeat(500));
        let shown = sample(&line);
        assert!(shown.starts_with("\u{fffd}x from <address> yyy") && shown.ends_with('…'), "{shown}");
        assert_eq!(shown.chars().count(), 121);
    }
}
