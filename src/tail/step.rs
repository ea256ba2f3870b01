//! What a poll of a log tells.

use std::path::PathBuf;

use crate::domain::{LogItem, Position};

/// Lines and the span they cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where the piece before ended.
    pub start: Position,
    /// Where the next one begins.
    pub end: Position,
    /// What was read, in order.
    pub items: Vec<LogItem>,
}

/// Something an operator may want to read in a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Reading begins, or goes on after a stop.
    Opened {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// The log is another file now.
    Rotated {
        /// The file that was read to its end; it may have another name by now.
        from: PathBuf,
        /// The file that is read from its start.
        to: PathBuf,
    },
    /// The file was truncated or written anew.
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where its former content is read to its end.
        copy: Option<PathBuf>,
    },
    /// The same content is read on in another file.
    Moved {
        /// The file that holds it now.
        to: PathBuf,
    },
}

/// How the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there and followed.
    Following,
    /// Nothing is at its path; the file that was there is still open and followed.
    Orphaned,
    /// Nothing is at its path, and nothing is open.
    Missing,
}

/// When to poll again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// At once: there may be more.
    Now,
    /// In a moment: a file is to be seen quiet before it is left.
    Soon,
    /// When something happens, or after the poll interval.
    Later,
}

/// What a poll brought.
#[derive(Debug)]
pub struct Step {
    /// Something to hand on.
    pub piece: Option<Piece>,
    /// What happened, in order.
    pub happened: Vec<Happening>,
    /// How the log stands.
    pub standing: Standing,
    /// Bytes of the file being read that were seen and are not read.
    pub unread_bytes: u64,
    /// When to poll again.
    pub again: Again,
}
