//! Since when a game is as it is shown. Pure.

use jiff::Timestamp;

use super::sample::{Absence, Sample};

/// How a game is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Online,
    Paused,
    Silent,
    Down,
}

/// How long the game is as it is, by what was seen. What began before anybody looked, began at a time nobody knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Spell {
    shown: Option<Shown>,
    began: Option<Timestamp>,
    /// Whether the map stood when the game last told, and since when.
    stood: bool,
    paused_at: Option<Timestamp>,
}

impl Spell {
    /// Takes in how the game is now.
    pub(super) fn take(&mut self, sample: &Sample) {
        let (shown, paused) = match &sample.outcome {
            Ok(reading) if reading.paused == Some(true) => (Shown::Paused, Some(true)),
            Ok(reading) => (Shown::Online, reading.paused),
            Err(Absence::Silent(_)) => (Shown::Silent, None),
            Err(Absence::Down(_)) => (Shown::Down, Some(false)),
        };
        self.see(shown, paused, sample.at);
    }

    /// Takes in that its file tells that it is there; whether it stands, a file does not tell.
    pub(super) fn told_by_file(&mut self, at: Timestamp) {
        self.see(Shown::Online, None, at);
    }

    fn see(&mut self, shown: Shown, paused: Option<bool>, at: Timestamp) {
        // At the first look it is not known since when.
        let begins = self.shown.map(|_| at);
        if self.shown.replace(shown) != Some(shown) {
            self.began = begins;
        }
        // A save while the map stands does not end the pause.
        let Some(stands) = paused else { return };
        if stands && !self.stood {
            self.paused_at = begins;
        }
        self.stood = stands;
    }

    /// Since when the game is as it is shown, where its run began at `started`: a save, a pause or a broken connection in
    /// between do not make it younger.
    pub(super) fn since(&self, started: Option<Timestamp>) -> Option<Timestamp> {
        match self.shown? {
            Shown::Online => started,
            Shown::Paused => self.paused_at,
            Shown::Silent | Shown::Down => self.began,
        }
    }
}
