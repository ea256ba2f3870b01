//! Lines of a log file and where they stand in it.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::{ServerTag, TraceContext};

/// Which of a server's logs a line stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogSource {
    /// The file of `--console-log`: chat, joins, leaves, moderation.
    Console,
    /// `factorio-current.log`: start, ready, saves, errors, stop. It never holds chat or joins.
    Engine,
    /// A file that a mod writes: deaths, research, rockets.
    Mod(ModLogName),
}

impl LogSource {
    /// The source's name in the database, in logs and in metric labels. No two logs of a server share one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Console => "console",
            Self::Engine => "engine",
            Self::Mod(name) => name.as_str(),
        }
    }
}

impl Serialize for LogSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What the operator calls a mod's log: its key in `[servers.TAG.mod_logs]`. It names the log's checkpoint, so that the
/// path may change and the order of the keys does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModLogName {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl ModLogName {
    /// The longest name.
    pub const MAX_LEN: usize = 24;

    /// Names that a server's other parts have.
    const TAKEN: [&'static str; 5] = ["console", "engine", "rcon", "game", "timezone"];

    /// A name of 1 to 24 lower-case letters, digits, `_` and `-`. `None` for any other, and for the names of a server's
    /// own logs and parts.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if name.is_empty() || !name.bytes().all(allowed) || Self::TAKEN.contains(&name) {
            return None;
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, len: u8::try_from(name.len()).ok()? })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always a text: a name is ASCII.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for ModLogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Device and inode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct FileId {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

/// Hashes of what stands at the head of a file and just before an offset. An inode is reused and a file is
/// truncated and regrown; the bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes from the start of the file `head_hash` covers; they may lie behind the offset.
    pub head_len: u32,
    /// Hash of the first `head_len` bytes.
    pub head_hash: u64,
    /// How many bytes before the offset `tail_hash` covers.
    pub tail_len: u32,
    /// Hash of the `tail_len` bytes before the offset.
    pub tail_hash: u64,
}

/// A place in the history of one log: everything before it has been read.
///
/// Positions of one log are ordered by (`generation`, `offset`); a new generation begins with every file the tail
/// goes on to, be it after a rotation, a truncation or a recreation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// Counts the files (or the lives of one truncated file) read so far.
    pub generation: u64,
    /// The file.
    pub file: FileId,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// What stands at the head of the file and before `offset`.
    pub fingerprint: Fingerprint,
    /// When the file was last written to, as of the last reading, in nanoseconds since 1970 by the file system's
    /// clock. Rotated files that are newer were never read. Of an empty file this is at least the time of the newest
    /// file rotated before.
    pub seen_at: i64,
}

/// One line, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The text: invalid UTF-8 and NUL bytes replaced by U+FFFD, a final CR removed.
    pub text: String,
    /// Offset just behind the line end, in the file of the batch's `end`.
    pub end: u64,
    /// Bytes cut off because the line was longer than the cap; 0 for nearly every line.
    pub skipped_bytes: u64,
}

/// Bytes of the log that no reader can have any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// How many bytes at least; `None` when it cannot be known.
    pub bytes: Option<u64>,
    /// What happened, for people: "the file was truncated before it was read to its end".
    pub reason: String,
}

/// What a batch is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// A line.
    Line(LogLine),
    /// A hole before the next line.
    Gap(Gap),
    /// A line before the place where the first reading ever begins. It is not relayed: it shows the time, and
    /// when the run began.
    Before(String),
}

/// Lines of one log, read in one go. All its lines lie in one generation, that of `end`; where `start` is of an
/// earlier generation, the batch begins a new one: it holds no lines, at most a gap or lines before it, and its `end` is where the new
/// generation is read from (0, but for the first start at the end of a log and for a log that was cut short).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineBatch {
    /// The server.
    pub server: ServerTag,
    /// Which of its logs.
    pub source: LogSource,
    /// Where the batch before this one ended.
    pub start: Position,
    /// Where the next one begins.
    pub end: Position,
    /// The lines, in order.
    pub items: Vec<LogItem>,
    /// The log had been read to its end before this read, so its lines were appended since.
    pub live: bool,
    /// The reading of it, where that is traced.
    pub trace: Option<TraceContext>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mod_log_is_not_called_as_another_log_of_the_server() {
        for bad in ["", "console", "engine", "rcon", "Game", "a b", "a/b", "ü", &"x".repeat(25)] {
            assert_eq!(ModLogName::new(bad), None, "{bad}");
        }
        for good in ["factorigo", "events-logger_2", &"x".repeat(24)] {
            assert_eq!(ModLogName::new(good).unwrap().as_str(), good);
        }
    }
}
