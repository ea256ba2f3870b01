//! Starts that failed, by the lines of the engine.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{Memory, Trouble};
use super::rules::at_least;
use crate::config::settings::AlertLimits;
use crate::domain::{AlertKind, EventKind, Happening, NO_SERVER};

/// What is known of the starts of a server since it was last ready.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Starts {
    /// The error of the run that is not ready yet.
    pub(super) error: Option<Trouble>,
    /// Whether `failed` counts that run already.
    counted: bool,
    /// The starts that failed.
    pub(super) failed: Option<Trouble>,
}

impl Starts {
    fn report(&mut self, happening: &Happening) {
        (self.error, self.counted) = (Some(Trouble::of(happening)), false);
    }

    /// A run ended before it was ready. One without an error counts where starts failed before.
    fn end(&mut self, at: Timestamp) {
        if self.error.is_some() {
            self.count();
        } else if let Some(failed) = &mut self.failed {
            failed.count = failed.count.saturating_add(1);
            failed.last = failed.last.max(at);
        }
        (self.error, self.counted) = (None, false);
    }

    fn count(&mut self) {
        let Some(error) = self.error.clone().filter(|_| !self.counted) else { return };
        self.counted = true;
        self.failed = Some(match self.failed.take() {
            Some(failed) => failed.merge(error, EventKind::StartError),
            None => error,
        });
    }

    /// Time has passed: a run that is not ready so long after its error has failed.
    pub(super) fn tick(&mut self, after: Duration, now: Timestamp) {
        if self.error.as_ref().is_some_and(|error| at_least(now, error.last, after)) {
            self.count();
        }
    }

    /// The trouble to which further lines of the error belong.
    pub(super) fn last_error(&mut self) -> Option<&mut Trouble> {
        if self.counted { self.failed.as_mut() } else { self.error.as_mut().or(self.failed.as_mut()) }
    }
}

impl Memory {
    pub(super) fn start_error(&mut self, happening: &Happening) {
        self.starts.report(happening);
    }

    /// A run ended before it was ready, or without `Goodbye` after a script error.
    pub(super) fn run_failed(&mut self, happening: &Happening, limits: &AlertLimits) {
        self.starts.end(happening.at);
        let is_server = happening.detail.as_deref() != Some(NO_SERVER);
        if is_server && !self.was_told_by_console(happening.at) {
            self.expect_console(happening.at);
            self.count_crash(happening.at, limits);
        }
    }

    /// The engine log of a run has no `Goodbye`.
    pub(super) fn run_killed(&mut self, happening: &Happening, limits: &AlertLimits) {
        if !self.was_told_by_console(happening.at) {
            self.expect_console(happening.at);
            self.down = Some(super::memory::again(self.down.take(), happening));
            self.count_crash(happening.at, limits);
        } else if let Some(down) = &mut self.down
            && happening.detail.is_some()
        {
            // The engine log says more than the console log.
            down.detail.clone_from(&happening.detail);
        }
    }

    /// A run is ready: starts do not fail any more, and those that did are no crash loop.
    pub(super) fn ready(&mut self, limits: &AlertLimits) {
        let Some(failed) = std::mem::take(&mut self.starts).failed else { return };
        if limits.start_after.is_some() {
            self.crashes.retain(|crash| *crash < failed.first);
            self.looping &= limits.crashes > 0 && self.crashes.len() >= limits.crashes;
        }
    }

    /// Lines of the last error that were read after its first ones.
    pub(super) fn error_continued(&mut self, happening: &Happening) {
        let Some(lines) = &happening.detail else { return };
        let trouble = match self.last_error {
            Some(AlertKind::StartFailed) => self.starts.last_error(),
            Some(AlertKind::ScriptError) => self.script.as_mut(),
            Some(AlertKind::Autosave) => self.save_failed.as_mut(),
            Some(AlertKind::Crash) => self.down.as_mut(),
            _ => None,
        };
        if let Some(trouble) = trouble {
            trouble.extend(lines);
        }
    }
}
