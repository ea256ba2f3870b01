//! What can be wrong with an answer.

use std::time::Duration;

use super::wire::{ANSWER, frame};

/// How the server answers, until told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// As the game does.
    #[default]
    None,
    /// Takes commands and answers none, until this fault is over.
    Hang,
    /// Takes connections and does not answer the login, until this fault is over.
    HangLogin,
    /// Answers this much later.
    Slow(Duration),
    /// Answers this much later what is longer than a question: Lua that looks at a whole factory.
    SlowLua(Duration),
    /// Sends half the packet and closes.
    CutMidReply,
    /// Sends a packet that claims this length.
    Length(i32),
    /// Puts bytes in front of the text that are not UTF-8.
    NotUtf8,
    /// Answers with another id.
    WrongId,
    /// Closes instead of answering.
    Close,
}

/// The bytes of one answer, and whether the connection ends behind them.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) closes: bool,
}

/// Bytes of the longest question that a simple command is.
const QUESTION: usize = 200;

impl Fault {
    /// How much later `command` is answered.
    pub(super) fn delay(self, command: &str) -> Option<Duration> {
        match self {
            Self::Slow(delay) => Some(delay),
            Self::SlowLua(delay) if command.len() > QUESTION => Some(delay),
            _ => None,
        }
    }

    /// What is sent where `text` is the answer to the command `id`.
    pub(super) fn spoil(self, id: i32, text: &[u8]) -> Answer {
        let whole = |id, text: &[u8]| frame(id, ANSWER, text);
        let bytes = match self {
            Self::None | Self::Hang | Self::HangLogin | Self::Slow(_) | Self::SlowLua(_) => whole(id, text),
            Self::CutMidReply => {
                let mut half = whole(id, text);
                half.truncate(half.len() / 2 + 2);
                half
            }
            Self::Length(length) => [&length.to_le_bytes()[..], &whole(id, text)[4..]].concat(),
            Self::NotUtf8 => whole(id, &[b"\xff\xfe\xc3", text].concat()),
            Self::WrongId => whole(id.wrapping_add(1000), text),
            Self::Close => Vec::new(),
        };
        Answer { bytes, closes: matches!(self, Self::CutMidReply | Self::Close) }
    }
}
