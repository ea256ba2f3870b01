//! The last warnings and errors of the log, for the status page: what happened, where, how often and when.
//!
//! The page may be open to more people than the log. So only the program's own events are kept, of them only fields that
//! are known to hold nothing written by players, and reasons only from rooms whose reasons never quote a game's answer or
//! a member's message.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Different failures that are kept; the one that is longest ago goes first.
const KEPT: usize = 20;

/// Characters of a message or a reason that are kept.
const LONGEST: usize = 400;

/// The crate whose events these are.
const OURS: &str = "factorio_isr";

/// Fields that say where it was.
const PLACES: [&str; 8] = ["server", "source", "channel", "task", "section", "stage", "status", "kind"];

/// Fields that say why.
const REASONS: [&str; 2] = ["reason", "error"];

/// Whose reasons are shown. Left out are those that may quote what a game answers (`game::memory`, where Lua of a mod
/// speaks) or what members write (`discord::inbound`, `discord::commands`): the log has them.
const TELL_REASONS: [&str; 14] = [
    "app",
    "delivery",
    "discord::access",
    "discord::dispatch",
    "discord::gateway",
    "discord::session",
    "discord::sink",
    "discord::status",
    "events::pipeline",
    "game::alert_keeper",
    "game::keeper",
    "rcon",
    "supervisor",
    "tail",
];

/// A failure, and how often it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentError {
    /// Whether it is an error, else a warning.
    pub severe: bool,
    /// The room of the source it comes from, as `tail`.
    pub room: String,
    /// What happened.
    pub message: String,
    /// Where, as `server`, `prod`.
    pub places: Vec<(&'static str, String)>,
    /// Why, where that may be shown.
    pub reason: Option<String>,
    /// How often in a row of the same.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

/// The last failures. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RecentErrors(Arc<Mutex<VecDeque<RecentError>>>);

/// Those of this process: as there is one log, there is one.
static OF_THE_PROCESS: Mutex<Option<RecentErrors>> = Mutex::new(None);

impl RecentErrors {
    /// Those of the log of this process.
    #[must_use]
    pub fn of_the_process() -> Self {
        let mut known = OF_THE_PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(Self::default).clone()
    }

    /// Hears every warning and error of the program, whatever level the log has.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        Hearing(self.clone()).with_filter(Targets::new().with_target(OURS, Level::WARN))
    }

    /// The last first.
    #[must_use]
    pub fn list(&self) -> Vec<RecentError> {
        self.lock().iter().rev().cloned().collect()
    }

    fn add(&self, error: RecentError) {
        let mut kept = self.lock();
        let same = kept.iter().position(|known| known.is_like(&error));
        let before = same.and_then(|at| kept.remove(at));
        kept.push_back(match before {
            Some(before) => RecentError { count: before.count + 1, first: before.first, ..error },
            None => error,
        });
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RecentError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecentError {
    fn is_like(&self, other: &Self) -> bool {
        (&self.room, &self.message, &self.places, &self.reason)
            == (&other.room, &other.message, &other.places, &other.reason)
    }
}

struct Hearing(RecentErrors);

impl<S: Subscriber> Layer<S> for Hearing {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let Some(path) = event.metadata().target().strip_prefix(OURS) else { return };
        // The filter lets `factorio_isr_other` pass as well.
        let Some(path) = path.strip_prefix("::") else { return };
        let mut heard = Heard { tells_reasons: tells_reasons(path), ..Heard::default() };
        event.record(&mut heard);
        let now = Timestamp::now();
        self.0.add(RecentError {
            severe: *event.metadata().level() == Level::ERROR,
            room: path.split("::").next().unwrap_or_default().to_owned(),
            message: heard.message,
            places: heard.places,
            reason: heard.reason,
            count: 1,
            first: now,
            last: now,
        });
    }
}

fn tells_reasons(path: &str) -> bool {
    TELL_REASONS
        .iter()
        .any(|room| path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

/// What of an event may be kept.
#[derive(Default)]
struct Heard {
    tells_reasons: bool,
    message: String,
    places: Vec<(&'static str, String)>,
    reason: Option<String>,
}

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), |text| write!(text, "{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), |text| text.write_str(value));
    }
}

impl Heard {
    fn take(&mut self, field: &'static str, write: impl FnOnce(&mut Cut) -> fmt::Result) {
        let wanted = field == "message" || PLACES.contains(&field) || (self.tells_reasons && REASONS.contains(&field));
        let mut text = Cut::default();
        // An error of a value's own is no reason to lose the rest.
        if !wanted || (write(&mut text).is_err() && text.0.is_empty()) {
            return;
        }
        match field {
            "message" => self.message = text.0,
            field if REASONS.contains(&field) => self.reason = Some(text.0),
            field => self.places.push((field, text.0)),
        }
    }
}

/// One line of a text, cut where it is too long.
#[derive(Default)]
struct Cut(String, usize);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match self.1 {
                LONGEST => self.0.push('…'),
                over if over > LONGEST => return Ok(()),
                _ => self.0.push(if c.is_control() { ' ' } else { c }),
            }
            self.1 += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::{error, warn};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What is kept of what is said.
    fn kept(said: impl FnOnce()) -> Vec<RecentError> {
        let errors = RecentErrors::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(errors.layer()), said);
        errors.list()
    }

    #[test]
    fn a_failure_is_kept_with_its_place_and_reason() {
        let kept = kept(|| warn!(target: "factorio_isr::tail::report", server = "prod", reason = "gone", "Not read"));
        let [error] = &kept[..] else { panic!("{kept:?}") };
        assert_eq!((error.room.as_str(), error.message.as_str(), error.severe), ("tail", "Not read", false));
        assert_eq!(error.places, [("server", "prod".to_owned())]);
        assert_eq!((error.reason.as_deref(), error.count), (Some("gone"), 1));
    }

    #[test]
    fn the_same_again_is_counted_and_comes_first() {
        let kept = kept(|| {
            for channel in [1, 2, 1, 1] {
                error!(target: "factorio_isr::delivery", channel, "Refused");
            }
        });
        let seen: Vec<(&str, u64)> = kept.iter().map(|error| (error.places[0].1.as_str(), error.count)).collect();
        assert_eq!(seen, [("1", 3), ("2", 1)]);
        assert!(kept[0].first <= kept[1].last && kept[1].last <= kept[0].last);
    }

    #[test]
    fn only_the_last_are_kept() {
        let kept = kept(|| (0..1000).for_each(|channel| warn!(target: "factorio_isr::delivery", channel, "Refused")));
        assert_eq!((kept.len(), kept[0].places[0].1.as_str()), (KEPT, "999"));
    }

    #[test]
    fn libraries_and_what_is_no_failure_are_not_kept() {
        let kept = kept(|| {
            warn!(target: "serenity::http", "webhook token");
            warn!(target: "factorio_isr_other", "Another crate");
            tracing::info!(target: "factorio_isr::app", "Fine");
        });
        assert!(kept.is_empty(), "{kept:?}");
    }

    #[test]
    fn what_members_write_or_games_answer_is_not_kept() {
        let kept = kept(|| {
            warn!(target: "factorio_isr::discord::inbound::catch_up", error = "invalid: \"psst\"", "Cannot read");
            warn!(target: "factorio_isr::game::memory", server = "prod", reason = "psst", "Lua does not tell");
            warn!(target: "factorio_isr::rcon::actor", answer = "psst", text = "psst", "Odd");
        });
        assert_eq!(kept.len(), 3);
        assert!(!format!("{kept:?}").contains("psst"), "{kept:?}");
    }

    #[test]
    fn an_endless_reason_of_many_lines_is_one_short_line() {
        let kept = kept(|| warn!(target: "factorio_isr::tail", reason = "a\nb\0".repeat(100_000), "Not read"));
        let reason = kept[0].reason.as_deref().unwrap();
        assert_eq!((reason.chars().count(), &reason[..4]), (LONGEST + 1, "a b "));
        assert!(reason.ends_with('…'));
    }
}
