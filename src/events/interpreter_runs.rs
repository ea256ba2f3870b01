//! The interpreter's part for the lines of the engine, which belong to a run.

use jiff::Timestamp;

use super::super::draft::Drafts;
use super::super::line_format::{Envelope, Level};
use super::super::memory::Thread;
use super::super::run::Ending;
use super::super::vanilla::{Event, engine};
use super::{Interpreter, Said, has_trace};
use crate::domain::{EventKind, LogSource, NO_SERVER};

/// Source files of the engine whose errors do not keep a server from starting.
const HARMLESS_SOURCES: [&str; 4] =
    ["HttpSharedState.cpp", "MatchingServer.cpp", "AuthServerConnector.cpp", "InterruptibleStdioStream.cpp"];
/// Beginnings of other such errors.
const HARMLESS_ERRORS: [&str; 3] = ["Matching server", "Got EOF on stdin", "Failed to sendHeartbeat"];

impl Interpreter {
    /// The engine's header: the run before is over, however it ended.
    pub(super) fn header(&mut self, mut said: Said<'_>, drafts: &mut Drafts<'_>) {
        if self.tells_engine()
            && let Some(ending) = self.memory.run.begin()
        {
            self.tell_ending(ending, said.at, drafts);
        }
        // The alert says that the server tries again.
        said.quiet = self.memory.run.failed_before() && self.server.alerts.tells(EventKind::StartError);
        self.engine(&said, drafts);
    }

    fn tell_ending(&mut self, ending: Ending, at: Timestamp, drafts: &mut Drafts<'_>) {
        // Where the console log has markers, they report the same.
        let has_markers = self.source != LogSource::Console || self.memory.log_open;
        let (kind, reason) = match ending {
            Ending::ToolFailed => (EventKind::RunFailed, NO_SERVER),
            Ending::Failed => (EventKind::RunFailed, ""),
            Ending::Killed { saving } => {
                let kind = if has_markers { EventKind::RunKilled } else { EventKind::ServerCrashed };
                (kind, if saving { KILLED_WHILE_SAVING } else { NOT_IN_ORDER })
            }
        };
        let event = Event::new(kind, reason, [("reason", reason)]);
        self.tell(&Said { event, at, pattern_text: None, cut: 0, quiet: false }, false, drafts);
        drafts.close();
    }

    /// A line before the first one that is read: its time and its run are noted.
    pub(super) fn line_before(&mut self, text: &str, now: Timestamp) {
        let Some(text) = self.game_line(text) else { return };
        match Envelope::parse(&text) {
            Envelope::Tagged { at, .. } | Envelope::Dated { at, .. } => {
                self.dated(at, now);
            }
            Envelope::LogOpened(at) => {
                self.dated(at, now);
                self.memory.log_open = self.tells_console();
            }
            Envelope::LogClosed(at) => {
                self.dated(at, now);
                self.memory.log_open = false;
            }
            Envelope::Header { millis, at, .. } => {
                self.begin_engine(millis, at, now);
                self.memory.mixed = true;
                self.memory.loading = false;
                // Whether the run is ready may stand between the lines that are read.
                self.memory.run.begin();
                self.memory.run.ready();
            }
            Envelope::Engine { millis, level, message, .. } => {
                self.engine_time(millis, now);
                self.memory.mixed = true;
                if level != Some(Level::Script) {
                    self.memory.run.note(message);
                    if engine::message(level, message).kind == EventKind::Stopped {
                        self.memory.run.end();
                    }
                }
            }
            Envelope::Bare(_) => {}
        }
    }

    /// What an engine line means in this run.
    pub(super) fn event_in_run<'a>(&mut self, level: Option<Level>, full: &str, message: &'a str) -> Event<'a> {
        let event = engine::message(level, message);
        if !self.tells_engine() || level == Some(Level::Script) {
            return event;
        }
        let run = &mut self.memory.run;
        match event.kind {
            EventKind::Ready => run.ready(),
            EventKind::Crash => run.report_crash(),
            EventKind::Desync => return self.name_peer(event),
            EventKind::HostFailed if run.is_starting() => return start_error(event),
            _ if run.is_starting() && level == Some(Level::Error) && !is_harmless(full, message) => {
                return start_error(event);
            }
            _ => {}
        }
        event
    }

    /// Notes who the peers are, before addresses are removed from the line.
    pub(super) fn note_peers(&mut self, line: &str) {
        const MARKS: [&str; 4] = ["connection", "ban recommendation", "adding peer(", "PlayerJoinGame"];
        if self.tells_engine()
            && MARKS.iter().any(|mark| line.contains(mark))
            && let Envelope::Engine { level, message, .. } = Envelope::parse(line)
            && level != Some(Level::Script)
        {
            self.memory.run.note_peers(message);
        }
    }

    /// A desync with who it is about, by name where an earlier line has it.
    fn name_peer<'a>(&self, mut event: Event<'a>) -> Event<'a> {
        let peer = event.field("peer").unwrap_or_default().to_owned();
        let name = self.memory.run.name_of(&peer).map(ToOwned::to_owned);
        let fields = event.fields.get_or_insert_default();
        fields.insert(0, ("who", name.clone().unwrap_or_else(|| format!("peer {peer}")).into()));
        fields.extend(name.map(|name| ("player", name.into())));
        event
    }

    pub(super) fn engine_line(&mut self, level: Option<Level>, said: Said<'_>, drafts: &mut Drafts<'_>) {
        if !self.tells_engine() || level == Some(Level::Script) {
            return self.engine(&said, drafts);
        }
        if self.memory.run.note(&said.event.text) {
            drafts.retract(EventKind::Starting);
        }
        match said.event.kind {
            EventKind::Crash if self.memory.thread.is(EventKind::Crash.as_str()) => {
                self.memory.mixed = true;
                drafts.attach(&self.memory.thread, &said.event.text, said.cut, said.at);
            }
            EventKind::StartError => self.start_error(&said, drafts),
            EventKind::ScriptCrash => {
                self.memory.run.report_script_error(&said.event.text);
                self.engine(&said, drafts);
            }
            EventKind::HostFailed if self.memory.run.begins_again(&said.event.text) => {
                self.go_on_with(EventKind::ScriptCrash);
            }
            EventKind::HostFailed => {
                self.memory.run.open_quote(&said.event.text);
                self.engine(&said, drafts);
            }
            EventKind::Stopped => self.stopped(said, drafts),
            _ => self.engine(&said, drafts),
        }
    }

    /// The errors of one start are one report.
    fn start_error(&mut self, said: &Said<'_>, drafts: &mut Drafts<'_>) {
        let text = &said.event.text;
        let is_more = self.memory.run.has_start_error();
        if is_more && self.memory.run.begins_again(text) {
            return self.go_on_with(EventKind::StartError);
        }
        if is_more && self.server.alerts.tells(EventKind::StartError) {
            self.go_on_with(EventKind::StartError);
            let message = said.event.field("message").unwrap_or(text);
            if let Some(line) = self.memory.run.continue_error(message) {
                drafts.attach(&self.memory.thread, line, said.cut, said.at);
            }
            return;
        }
        self.memory.run.report_start_error(text);
        self.engine(said, drafts);
    }

    /// The bare lines that follow belong to the error of this kind.
    fn go_on_with(&mut self, kind: EventKind) {
        self.memory.mixed = true;
        if self.memory.thread.is(kind.as_str()) {
            return;
        }
        self.memory.thread = if self.server.alerts.tells(kind) {
            Thread::Alerted { event: kind.as_str().to_owned() }
        } else {
            Thread::Silenced
        };
    }

    fn stopped(&mut self, mut said: Said<'_>, drafts: &mut Drafts<'_>) {
        let is_tool = self.memory.run.is_tool();
        // The alert says that the start failed.
        said.quiet = self.memory.run.has_start_error() && self.server.alerts.tells(EventKind::StartError);
        let ending = self.memory.run.end();
        if is_tool {
            drafts.count(&self.rules.of(EventKind::Stopped).key);
            drafts.close();
            self.memory.thread = Thread::Silenced;
        } else {
            self.engine(&said, drafts);
        }
        if let Some(ending) = ending {
            self.tell_ending(ending, said.at, drafts);
        }
    }

    /// A line without an envelope that begins an error.
    pub(super) fn bare_error(&mut self, said: Said<'_>, drafts: &mut Drafts<'_>) {
        let run = &mut self.memory.run;
        if said.event.kind == EventKind::Crash {
            run.report_crash();
        } else if run.is_starting() {
            return self.start_error(&Said { event: start_error(said.event), ..said }, drafts);
        } else {
            run.report_script_error(&said.event.text);
        }
        self.memory.thread = self.tell(&said, true, drafts);
    }

    pub(super) fn engine(&mut self, said: &Said<'_>, drafts: &mut Drafts<'_>) {
        self.memory.mixed = true;
        if !self.tells_engine() {
            return self.leave_to_the_other_log(drafts);
        }
        let has_trace = has_trace(said.event.kind);
        let thread = self.tell(said, has_trace, drafts);
        self.memory.thread = if has_trace { thread } else { Thread::Silenced };
    }
}

/// Why a run did not end in order.
pub(super) const NOT_IN_ORDER: &str = "it crashed or was killed";
const KILLED_WHILE_SAVING: &str = "it was killed while saving the map";

fn start_error(event: Event<'_>) -> Event<'_> {
    let message = event.fields.iter().flatten().find(|(name, _)| *name == "message").map(|(_, value)| value.clone());
    let message = message.unwrap_or_else(|| event.text.clone());
    Event { kind: EventKind::StartError, text: event.text, fields: Some(vec![("message", message)]) }
}

/// Whether the error keeps no server from starting.
fn is_harmless(full: &str, message: &str) -> bool {
    let source = full.split(' ').nth(1).unwrap_or_default();
    HARMLESS_SOURCES.iter().any(|file| source.starts_with(file))
        || HARMLESS_ERRORS.iter().any(|error| message.starts_with(error))
}
