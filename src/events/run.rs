//! The runs of a server as its engine log shows them: whether a run got ready, and how it ended. Pure.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};

/// Lines of an error that are kept to recognise its repetition, and the characters of each.
const KEPT_LINES: usize = 40;
const KEPT_CHARS: usize = 200;

/// Names that are kept of who connects, and peers whose names are.
const KEPT_NAMES: usize = 64;

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// The header of the run was not read, so it is not known.
    #[default]
    Unknown,
    /// The header was read; players cannot join yet.
    Starting,
    /// It creates a map or a picture and exits: it is not a server.
    Tool,
    /// Players can join.
    Ready,
    /// It wrote `Goodbye`.
    Ended,
}

/// How a run ended that did not end in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Before it was ready, or after an error that has been reported.
    Failed,
    /// A run that creates a map or a picture, with an error.
    ToolFailed,
    /// Without `Goodbye`, in the middle of a save or not.
    Killed {
        /// The last line was the progress of a save.
        saving: bool,
    },
}

/// What was reported of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Reported {
    /// An error before it was ready.
    start_error: bool,
    script_error: bool,
    /// A crash of the engine.
    crash: bool,
}

/// The text of the last error of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct ErrorText {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<String>,
    /// The engine writes the lines once more.
    repeating: bool,
    /// It began with a quote that is not closed yet.
    quoted: bool,
}

/// The current run of one engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    phase: Phase,
    reported: Reported,
    /// The last line was the progress of a save.
    saving: bool,
    /// The run before did not get ready.
    failed_before: bool,
    error: ErrorText,
    peers: Peers,
}

/// Who the peers of a run are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Peers {
    /// The last name that came from each address, by the hash of the address, which is not stored.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    names: BTreeMap<u64, String>,
    /// The address whose request was answered last.
    answered: Option<u64>,
    /// The name that was checked last, before a peer was added.
    checked: Option<String>,
    /// The peer that joined last, of which the console says the name next.
    joined: Option<u32>,
    /// By number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    known: BTreeMap<u32, String>,
}

impl Peers {
    /// Takes in a line that may say who connects or who a peer is.
    fn note(&mut self, message: &str) {
        if let Some(rest) = message.strip_prefix("Refusing connection for address ") {
            let name = rest.split_once("username (").and_then(|(_, rest)| rest.split_once(')'));
            if let (Some(host), Some((name, _))) = (host(rest), name) {
                keep(&mut self.names, &host, name);
            }
        } else if let Some(rest) = message.strip_prefix("Replying to connectionRequest for address") {
            self.answered = host(rest);
        } else if let Some(name) = message.strip_prefix("Queuing ban recommendation check for user ") {
            self.checked = Some(name.trim_end_matches('.').to_owned());
        } else if let Some(peer) = number(message, " adding peer(") {
            let by_address = self.answered.and_then(|host| self.names.get(&host)).cloned();
            self.known.remove(&peer);
            if let Some(name) = by_address.or(self.checked.take()) {
                keep(&mut self.known, &peer, &name);
            }
        } else if let Some(peer) = number(message, " processed PlayerJoinGame peerID(") {
            self.joined = Some(peer);
        }
    }
}

/// The hash of `192.0.2.1` in `(IP ADDR:({192.0.2.1:34197}))…`.
fn host(text: &str) -> Option<u64> {
    let (address, _) = text.split_once("({")?.1.split_once('}')?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let mut hasher = DefaultHasher::new();
    host.hash(&mut hasher);
    Some(hasher.finish())
}

/// The number behind `mark`.
fn number(message: &str, mark: &str) -> Option<u32> {
    message.split_once(mark)?.1.split_once(')')?.0.parse().ok()
}

fn keep<K: Ord + Clone>(names: &mut BTreeMap<K, String>, key: &K, name: &str) {
    names.insert(key.clone(), name.to_owned());
    if names.len() > KEPT_NAMES
        && let Some(other) = names.keys().find(|other| *other != key).cloned()
    {
        names.remove(&other);
    }
}

impl Run {
    /// A new run begins. Answers how the run before ended, where that was not in order and is not reported yet.
    pub(super) fn begin(&mut self) -> Option<Ending> {
        let ending = match self.phase {
            Phase::Unknown | Phase::Ended => None,
            Phase::Tool => self.reported.start_error.then_some(Ending::ToolFailed),
            Phase::Starting | Phase::Ready if self.reported.crash => None,
            Phase::Ready if !self.reported.script_error => Some(Ending::Killed { saving: self.saving }),
            Phase::Starting | Phase::Ready => Some(Ending::Failed),
        };
        let failed_before = match self.phase {
            Phase::Ended | Phase::Tool => self.failed_before,
            phase => phase == Phase::Starting,
        };
        *self = Self { phase: Phase::Starting, failed_before, ..Self::default() };
        ending
    }

    /// The run wrote `Goodbye`.
    pub(super) fn end(&mut self) -> Option<Ending> {
        let ending = match self.phase {
            Phase::Starting if !self.reported.crash => Some(Ending::Failed),
            Phase::Tool => self.reported.start_error.then_some(Ending::ToolFailed),
            _ => None,
        };
        self.failed_before = match self.phase {
            Phase::Tool => self.failed_before || self.reported.start_error,
            phase => phase == Phase::Starting,
        };
        self.phase = Phase::Ended;
        ending
    }

    /// Players can join.
    pub(super) fn ready(&mut self) {
        self.phase = Phase::Ready;
        self.reported.start_error = false;
        self.failed_before = false;
    }

    /// Takes in a message of the engine. Answers whether it shows that the run is not a server.
    pub(super) fn note(&mut self, message: &str) -> bool {
        self.saving = message.starts_with("Saving progress");
        let is_tool = self.phase == Phase::Starting && shows_tool(message);
        if is_tool {
            self.phase = Phase::Tool;
        }
        is_tool
    }

    /// An error of the start, or a script error, or a crash is reported.
    pub(super) fn report_start_error(&mut self, message: &str) {
        self.reported.start_error = true;
        self.keep_first(message);
    }

    pub(super) fn report_script_error(&mut self, message: &str) {
        self.reported.script_error = true;
        self.keep_first(message);
    }

    pub(super) fn report_crash(&mut self) {
        self.reported.crash = true;
        self.error = ErrorText::default();
    }

    /// Players cannot join yet.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Tool)
    }

    /// It creates a map and exits.
    pub(super) fn is_tool(&self) -> bool {
        self.phase == Phase::Tool
    }

    pub(super) fn has_start_error(&self) -> bool {
        self.reported.start_error
    }

    /// The run before did not get ready.
    pub(super) fn failed_before(&self) -> bool {
        self.failed_before
    }

    /// Whether `message` begins the text of the last error once more. If so, its known lines are dropped from then on.
    pub(super) fn begins_again(&mut self, message: &str) -> bool {
        let again = self.error.lines.contains(&comparable(message));
        if again {
            self.error.repeating = true;
            self.open_quote(message);
        }
        again
    }

    /// A line that continues the last error, without the quote that ends the engine's text. `None` for one that the
    /// error has already.
    pub(super) fn continue_error<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let text = match line.strip_suffix('"') {
            Some(text) if self.error.quoted => {
                self.error.quoted = false;
                text
            }
            _ => line,
        };
        let key = comparable(text);
        if self.error.repeating && (key.is_empty() || self.error.lines.contains(&key)) {
            return None;
        }
        if self.error.lines.len() < KEPT_LINES {
            self.error.lines.push(key);
        }
        Some(text)
    }

    /// An error that is not in [`Run::begins_again`] has a text of its own.
    pub(super) fn open_quote(&mut self, message: &str) {
        let text = without_prefix(message);
        self.error.quoted = text.starts_with('"') && !text[1..].ends_with('"');
    }

    fn keep_first(&mut self, message: &str) {
        self.error.lines = vec![comparable(message)];
        self.error.repeating = false;
        self.open_quote(message);
    }

    /// Takes in a message of the engine with its addresses.
    pub(super) fn note_peers(&mut self, message: &str) {
        self.peers.note(message);
    }

    /// The console says that `player` joined.
    pub(super) fn joined(&mut self, player: &str) {
        if let Some(peer) = self.peers.joined.take() {
            keep(&mut self.peers.known, &peer, player);
        }
    }

    /// The name of a peer, where the log has it.
    pub(super) fn name_of(&self, peer: &str) -> Option<&str> {
        self.peers.known.get(&peer.parse().ok()?).map(String::as_str)
    }

    /// Drops the kept lines that contain a forgotten name.
    pub(super) fn unname(&mut self, named: &dyn Fn(&str) -> bool) {
        let Peers { names, known, checked, .. } = &mut self.peers;
        names.retain(|_, name| !named(name));
        known.retain(|_, name| !named(name));
        checked.take_if(|name| named(name));
        self.error.lines.retain(|line| !named(line));
    }
}

/// `Creating new map …`, or arguments that make the engine do one thing and exit.
fn shows_tool(message: &str) -> bool {
    const TOOLS: [&str; 6] =
        ["--create", "--generate-map-preview", "--map2scenario", "--benchmark", "--dump-", "--sync-mods"];
    let arguments = message.strip_prefix("Program arguments: ");
    message.starts_with("Creating new map")
        || arguments.is_some_and(|arguments| TOOLS.iter().any(|tool| arguments.contains(tool)))
}

fn without_prefix(message: &str) -> &str {
    message.strip_prefix("MultiplayerManager failed: ").unwrap_or(message)
}

/// The text that two reports of one error have in common.
fn comparable(message: &str) -> String {
    let text = without_prefix(message);
    let exception = text.strip_prefix("Exception at tick ").and_then(|rest| rest.split_once(": "));
    let text = exception.map_or(text, |(_, text)| text);
    text.trim().trim_matches('"').trim().chars().take(KEPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_stops_in_order_after_it_was_ready_has_no_bad_ending() {
        let mut run = Run::default();
        assert_eq!(run.begin(), None, "the lines before are not known");
        run.ready();
        assert_eq!(run.end(), None);
        assert_eq!(run.begin(), None);
        assert!(!run.failed_before());
    }

    #[test]
    fn a_run_that_is_never_ready_has_failed_with_and_without_goodbye() {
        let mut run = Run::default();
        run.begin();
        assert_eq!(run.end(), Some(Ending::Failed));
        assert_eq!(run.begin(), None, "reported once");
        assert!(run.failed_before());
        assert_eq!(run.begin(), Some(Ending::Failed));
        assert!(run.failed_before());
        run.ready();
        assert!(!run.failed_before());
    }

    #[test]
    fn a_run_without_goodbye_was_killed_and_the_last_line_shows_whether_it_was_saving() {
        let mut run = Run::default();
        run.begin();
        run.ready();
        run.note("Saving progress: 0.012089%");
        assert_eq!(run.begin(), Some(Ending::Killed { saving: true }));
        run.ready();
        run.note("Saving progress: 0.012089%");
        run.note("Saving finished");
        assert_eq!(run.begin(), Some(Ending::Killed { saving: false }));
    }

    #[test]
    fn a_crash_that_was_reported_is_not_reported_again_by_the_next_header() {
        let mut run = Run::default();
        run.begin();
        run.ready();
        run.report_crash();
        assert_eq!(run.begin(), None);
    }

    #[test]
    fn a_run_that_creates_a_map_is_no_failed_start() {
        for line in ["Program arguments: \"factorio\" \"--create\" \"a.zip\"", "Creating new map /saves/a.zip"] {
            let mut run = Run::default();
            run.begin();
            assert!(run.note(line));
            assert_eq!(run.end(), None);
            assert_eq!(run.begin(), None);
            assert!(!run.failed_before(), "{line}");
        }
    }

    #[test]
    fn the_second_text_of_one_error_adds_only_new_lines_and_loses_its_quote() {
        let mut run = Run::default();
        run.begin();
        run.ready();
        run.report_script_error("Exception at tick 7: The mod X failed.");
        assert_eq!(run.continue_error("__x__/control.lua:3560: nil"), Some("__x__/control.lua:3560: nil"));
        assert!(!run.begins_again("MultiplayerManager failed: \"Something else"));
        assert!(run.begins_again("MultiplayerManager failed: \"The mod X failed."));
        assert_eq!(run.continue_error("a new line"), Some("a new line"));
        assert_eq!(run.continue_error("__x__/control.lua:3560: nil\""), None);
    }
}
