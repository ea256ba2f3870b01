//! Shows what the simulated servers write, as it is written, to whoever looks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::domain::LogSource;

/// How many lines a newcomer is shown.
const HISTORY: usize = 200;

/// A line of a log, as the game wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedLine {
    /// The server's name.
    pub server: Arc<str>,
    /// Which of its logs.
    pub source: LogSource,
    /// The line, without its end.
    pub text: String,
}

/// The lines of all servers: the last 200, and the ones to come. Clones share them.
#[derive(Debug, Clone)]
pub struct LogFeed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    history: Mutex<VecDeque<FeedLine>>,
    sender: broadcast::Sender<FeedLine>,
}

impl LogFeed {
    /// An empty feed.
    #[must_use]
    pub fn new() -> Self {
        let (sender, _) = broadcast::channel(1024);
        Self(Arc::new(Inner { history: Mutex::default(), sender }))
    }

    /// The last lines and a receiver of all that follow them: none is in both, none is missing between.
    #[must_use]
    pub fn subscribe(&self) -> (Vec<FeedLine>, broadcast::Receiver<FeedLine>) {
        let history = self.0.history.lock().unwrap_or_else(PoisonError::into_inner);
        (history.iter().cloned().collect(), self.0.sender.subscribe())
    }

    fn publish(&self, line: FeedLine) {
        let mut history = self.0.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(line.clone());
        // An error says that nobody looks.
        self.0.sender.send(line).ok();
    }
}

impl Default for LogFeed {
    fn default() -> Self {
        Self::new()
    }
}

/// Cuts what is written to one log into lines for the feed.
#[derive(Debug)]
pub(super) struct Tap {
    feed: LogFeed,
    server: Arc<str>,
    source: LogSource,
    partial: Vec<u8>,
}

impl Tap {
    pub(super) fn new(feed: LogFeed, server: Arc<str>, source: LogSource) -> Self {
        Self { feed, server, source, partial: Vec::new() }
    }

    pub(super) fn see(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if let Some(line) = self.partial.strip_suffix(b"\n") {
                let text = String::from_utf8_lossy(line).into_owned();
                self.feed.publish(FeedLine { server: self.server.clone(), source: self.source, text });
                self.partial.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[FeedLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn newcomer_sees_the_last_lines_and_then_the_new_ones() {
        let feed = LogFeed::new();
        let mut tap = Tap::new(feed.clone(), "Nauvis".into(), LogSource::Console);
        for n in 0..205 {
            tap.see(format!("line {n}\n").as_bytes());
        }
        let (history, mut receiver) = feed.subscribe();
        tap.see(b"new\n");
        assert_eq!((history.len(), history[0].text.as_str()), (200, "line 5"));
        assert_eq!(receiver.try_recv().map(|line| line.text), Ok("new".to_owned()));
    }

    #[test]
    fn line_written_in_halves_is_shown_once_and_whole() {
        let feed = LogFeed::new();
        let mut tap = Tap::new(feed.clone(), "Nauvis".into(), LogSource::Console);
        tap.see(b"one\nhal");
        assert_eq!(texts(&feed.subscribe().0), ["one"]);
        tap.see(b"f\n");
        assert_eq!(texts(&feed.subscribe().0), ["one", "half"]);
    }
}
