//! One log, line by line, to notices.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::draft::{Address, Drafts, Source, Values};
use super::line_format::{Envelope, Level};
use super::log_clock::{self, LogClock};
use super::markup;
use super::memory::{Memory, Thread};
use super::mentions::{self, Marked, Pings};
use super::mods::{self, ModLine};
use super::routing::{self, EventRules};
use super::vanilla::{Event, console, engine};
use crate::config::settings::ServerSettings;
use crate::domain::{EventKind, Gap, Happening, LineBatch, LogItem, LogLine, LogSource, Notice, PlayerChat};
use crate::log_format::redact;

#[path = "interpreter_commands.rs"]
mod commands;
#[path = "interpreter_mods.rs"]
mod of_mods;
#[path = "interpreter_recognition.rs"]
mod of_recognition;
#[path = "interpreter_runs.rs"]
mod runs;

use of_mods::Anchor;

/// Reads the lines of one log in order. Pure: it has a memory, but no file, clock or task.
///
/// Every line is read by its own shape, so that a capture of standard output, which holds the lines of both logs,
/// is understood as either. Where a server has two logs configured, each says its own part only: the console log
/// what is dated, the engine log what the engine wrote, and where there are logs of mods, they alone what mods tell. So
/// no line is told twice, whatever the files hold.
#[derive(Debug)]
pub struct Interpreter {
    server: Arc<ServerSettings>,
    source: LogSource,
    rules: Arc<EventRules>,
    memory: Memory,
    clock: LogClock,
    pings: Pings,
}

/// What a batch means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpretation {
    /// In the order of the lines.
    pub notices: Vec<Notice>,
    /// For each notice, the offset just behind its first line.
    pub line_ends: Vec<u64>,
    /// How often each event occurred, relayed or not, by its key; for metrics.
    pub events: Vec<(Arc<str>, u64)>,
    /// What happened, relayed or not.
    pub happenings: Vec<Happening>,
    /// What players said, relayed or not, but for what a pattern took.
    pub chats: Vec<PlayerChat>,
}

/// An event at its place in the log.
struct Said<'a> {
    event: Event<'a>,
    at: Timestamp,
    /// What user patterns see; `None` where they have no say.
    pattern_text: Option<Cow<'a, str>>,
    cut: u64,
    /// It is counted and remembered, but goes out by a pattern only.
    quiet: bool,
}

impl Interpreter {
    /// The interpreter of one log that has not seen a line yet.
    #[must_use]
    pub fn new(server: ServerSettings, source: LogSource, rules: Arc<EventRules>) -> Self {
        let clock = LogClock::new(&server);
        Self { server: Arc::new(server), source, rules, memory: Memory::default(), clock, pings: Pings::default() }
    }

    /// Goes on where the interpreter stood that gave this [`Interpreter::state`]. A state of another version or a
    /// broken one counts as none.
    pub fn restore(&mut self, state: &str) {
        self.memory = Memory::from_json(state);
    }

    /// The offset of the log's time stamps from UTC, if it was measured and differs from the time zone of the server.
    #[must_use]
    pub fn measured_offset(&self) -> Option<Offset> {
        self.clock.measured()
    }

    /// Continues with an offset that was measured before, by this log or by another one of the server.
    pub fn set_measured_offset(&mut self, offset: Option<Offset>) {
        self.clock.restore(offset);
    }

    /// What is known of the lines so far, as small JSON; to be committed with the checkpoint.
    #[must_use]
    pub fn state(&self) -> String {
        self.memory.to_json()
    }

    /// The time of the last line that had one, also before a restart.
    #[must_use]
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.memory.last_seen
    }

    /// Reads the next batch. `now` stands in where no line tells the time.
    pub fn interpret(&mut self, batch: &LineBatch, now: Timestamp) -> Interpretation {
        let server = Arc::clone(&self.server);
        self.set_clock(batch, now);
        let mut drafts = Drafts::new(&server, self.clock.zone());
        let anchor = Anchor::of(self.source, batch, now);
        for item in &batch.items {
            match item {
                LogItem::Line(line) => {
                    drafts.line_end = line.end;
                    match anchor {
                        Some(anchor) => self.line_of_mod_log(line, anchor, &mut drafts),
                        None => self.line(line, now, &mut drafts),
                    }
                }
                LogItem::Gap(gap) => self.gap(gap, now, &mut drafts),
                LogItem::Before(text) => self.line_before(text, now),
            }
        }
        drafts.finish()
    }

    /// Compares the stamps of lines that were just appended with the clock.
    fn set_clock(&mut self, batch: &LineBatch, now: Timestamp) {
        if batch.live && batch.items.len() <= log_clock::MAX_LINES {
            let stamps: Vec<DateTime> = batch.items.iter().filter_map(|item| self.stamp(item)).collect();
            self.clock.begin_appended(&stamps, now);
        } else {
            self.clock.begin_backlog();
        }
    }

    /// The local time at which a line was written. A capture has engine lines, too, which are dated by an older header.
    fn stamp(&self, item: &LogItem) -> Option<DateTime> {
        let LogItem::Line(line) = item else { return None };
        match Envelope::parse(&self.game_line(&line.text)?) {
            Envelope::Engine { millis, .. } if self.source == LogSource::Engine => {
                let time = Timestamp::from_millisecond(self.memory.engine_zero?.checked_add(millis)?).ok()?;
                Some(self.clock.stamp_of(time))
            }
            Envelope::Header { at, .. } if self.source == LogSource::Engine => at,
            Envelope::Tagged { at, .. }
            | Envelope::Dated { at, .. }
            | Envelope::LogOpened(at)
            | Envelope::LogClosed(at)
                if self.source == LogSource::Console =>
            {
                at
            }
            _ => None,
        }
    }

    fn line(&mut self, line: &LogLine, now: Timestamp, drafts: &mut Drafts<'_>) {
        let Some(text) = self.game_line(&line.text) else {
            // A line of another program in the same wrapper, as of another container.
            return drafts.count(&self.rules.of(EventKind::Unmatched).key);
        };
        self.note_content(&text);
        self.note_peers(&text);
        let text = redact(&text);
        if text.trim().is_empty() && line.skipped_bytes == 0 {
            return;
        }
        let envelope = Envelope::parse(&text);
        let pattern_text = (!self.rules.patterns.is_empty()).then(|| envelope.pattern_text(&text));
        let said = |event, at| Said { event, at, pattern_text, cut: line.skipped_bytes, quiet: false };
        match envelope {
            Envelope::Tagged { at, tag, text } => {
                let at = self.dated(at, now);
                let event = self.know_again(console::tagged(tag, text), at);
                self.console(said(event, at), drafts);
            }
            Envelope::Dated { at, text } => {
                let at = self.dated(at, now);
                self.console(said(Event::new(EventKind::ConsoleText, text, []), at), drafts);
            }
            Envelope::LogOpened(at) => {
                let at = self.dated(at, now);
                self.opened(&said(Event::new(EventKind::ServerOnline, &text, []), at), drafts);
            }
            Envelope::LogClosed(at) => {
                let at = self.dated(at, now);
                self.closed(&said(Event::new(EventKind::ServerOffline, &text, []), at), drafts);
            }
            Envelope::Header { millis, at, text } => {
                let at = self.begin_engine(millis, at, now);
                self.header(said(engine::header(text), at), drafts);
            }
            Envelope::Engine { millis, level, full, message } => {
                let at = self.engine_time(millis, now);
                if let Some(line) = (level == Some(Level::Script)).then(|| mods::logged(message)).flatten()
                    && self.tells_engine()
                    && self.server.mod_logs.is_empty()
                {
                    return self.script(said(line.event, at), line.said_twice, drafts);
                }
                let event = self.event_in_run(level, full, message);
                self.engine_line(level, said(event, at), drafts);
            }
            Envelope::Bare(text) => self.bare(said(Event::new(EventKind::Unmatched, text, []), now), drafts),
        }
    }

    /// Whether this log is the one that tells what the console says.
    fn tells_console(&self) -> bool {
        self.source == LogSource::Console
    }

    /// Whether this log is the one that tells what the engine says.
    fn tells_engine(&self) -> bool {
        self.source == LogSource::Engine || self.server.engine_log.is_none()
    }

    fn console(&mut self, mut said: Said<'_>, drafts: &mut Drafts<'_>) {
        if !self.tells_console() {
            return self.leave_to_the_other_log(drafts);
        }
        self.limit_commands(&mut said);
        let kind = said.event.kind;
        let ghost = kind == EventKind::Leave && self.memory.loading;
        self.memory.loading &= kind != EventKind::Join;
        if kind == EventKind::Join
            && let Some(player) = said.event.field("player")
        {
            self.memory.run.joined(player);
        }
        let spans_lines = match kind {
            EventKind::Command | EventKind::Warning | EventKind::ConsoleText | EventKind::UnknownTag => true,
            // In a capture of standard output a mod, the entrypoint or a person may have written the next line.
            EventKind::Chat | EventKind::Shout | EventKind::ServerChat | EventKind::RelayEcho => !self.memory.mixed,
            _ => false,
        };
        if ghost {
            // A map saved with players on it says on loading that they leave.
            drafts.count(&self.rules.of(kind).key);
            drafts.close();
            self.memory.thread = Thread::Silenced;
        } else {
            self.memory.thread = self.tell(&said, false, drafts);
        }
        if !spans_lines {
            self.memory.thread = Thread::None;
        }
    }

    /// Another relay that listens to us in Discord says in the game what we took from it: as `<server>: Relay: Bob: hi`
    /// behind `Bob: hi`. Relayed, that would go round for ever.
    fn know_again<'a>(&mut self, event: Event<'a>, at: Timestamp) -> Event<'a> {
        if !self.tells_console() {
            return event;
        }
        let Some(message) = event.field("message") else { return event };
        match event.kind {
            EventKind::ServerChat if self.memory.was_said(message, at) => {
                return Event { kind: EventKind::RelayEcho, ..event };
            }
            EventKind::Chat | EventKind::Shout | EventKind::ServerChat => {
                self.memory.note_said(event.field("player"), message, at);
            }
            _ => {}
        }
        event
    }

    /// A run begins. If the one before was not closed, it did not end in order.
    fn opened(&mut self, said: &Said<'_>, drafts: &mut Drafts<'_>) {
        if !self.tells_console() {
            return self.leave_to_the_other_log(drafts);
        }
        if self.memory.log_open {
            let event = Event::new(EventKind::ServerCrashed, &said.event.text, [("reason", runs::NOT_IN_ORDER)]);
            self.tell(&Said { event, at: said.at, pattern_text: None, cut: 0, quiet: false }, false, drafts);
        }
        self.memory.log_open = true;
        self.memory.loading = true;
        self.tell(said, false, drafts);
        self.memory.thread = Thread::None;
    }

    fn closed(&mut self, said: &Said<'_>, drafts: &mut Drafts<'_>) {
        if !self.tells_console() {
            return self.leave_to_the_other_log(drafts);
        }
        self.memory.log_open = false;
        self.tell(said, false, drafts);
        self.memory.thread = Thread::None;
    }

    /// A line that belongs to the one before it, unless a pattern knows it or it begins an error of its own.
    fn bare(&mut self, mut said: Said<'_>, drafts: &mut Drafts<'_>) {
        said.at = self.memory.last_seen.unwrap_or(said.at);
        let both_logs_are_one_file = self.server.engine_log.as_ref() == Some(&self.server.console_log);
        let read_elsewhere = self.source == LogSource::Engine && both_logs_are_one_file;
        if !read_elsewhere && let Some(thread) = self.tell_by_pattern(&said, false, drafts) {
            if thread != Thread::Silenced {
                drafts.close();
            }
            return;
        }
        let in_error = ERRORS_WITH_TRACES.iter().any(|kind| self.memory.thread.is(kind.as_str()));
        if !read_elsewhere
            && self.server.mod_logs.is_empty()
            && let Some(ModLine { event, said_twice, .. }) = mods::printed(&said.event.text)
        {
            let said = Said { event, at: said.at, pattern_text: None, cut: said.cut, quiet: false };
            self.tell_of_mod(said, said_twice, drafts);
            drafts.close();
            if !in_error {
                self.memory.thread = Thread::None;
            }
            return;
        }
        if self.tells_engine()
            && !in_error
            && let Some(event) = engine::bare(&said.event.text)
        {
            let said = Said { event, at: said.at, pattern_text: None, cut: said.cut, quiet: false };
            return self.bare_error(said, drafts);
        }
        match &self.memory.thread {
            Thread::Relayed { .. } | Thread::Alerted { .. } if in_error => {
                if let Some(line) = self.memory.run.continue_error(&said.event.text) {
                    drafts.attach(&self.memory.thread, line, said.cut, said.at);
                }
            }
            Thread::Relayed { .. } | Thread::Alerted { .. } => {
                if self.memory.thread.is(EventKind::Unmatched.as_str()) {
                    drafts.count(&self.rules.of(EventKind::Unmatched).key);
                }
                drafts.attach(&self.memory.thread, &said.event.text, said.cut, said.at);
            }
            // Replies to commands, what is typed into the console, what the entrypoint of a container says.
            Thread::None if self.memory.mixed => drafts.count(&self.rules.of(EventKind::Unmatched).key),
            Thread::None if self.tells_console() => {
                said.pattern_text = None;
                self.memory.thread = self.tell(&said, false, drafts);
            }
            Thread::None | Thread::Silenced if self.source == LogSource::Engine => {
                drafts.count(&self.rules.of(EventKind::EngineOther).key);
            }
            Thread::None | Thread::Silenced => {}
        }
    }

    fn gap(&mut self, gap: &Gap, now: Timestamp, drafts: &mut Drafts<'_>) {
        self.memory.forget_run();
        let bytes = gap.bytes.map_or_else(String::new, |bytes| format!(" ({bytes} bytes)"));
        let loss = if gap.bytes.is_some() { "was lost" } else { "may have been lost" };
        let fields = [("reason", gap.reason.as_str()), ("bytes", &bytes), ("loss", loss)];
        let mut event = Event::new(EventKind::LogGap, &gap.reason, fields);
        event.fields.get_or_insert_default().push(("log", self.source.as_str().to_owned().into()));
        self.tell(&Said { event, at: now, pattern_text: None, cut: 0, quiet: false }, false, drafts);
    }

    /// The line stands in the server's other log too, and is told from there.
    fn leave_to_the_other_log(&mut self, drafts: &mut Drafts<'_>) {
        drafts.close();
        self.memory.thread = Thread::Silenced;
    }

    /// Counts the event and writes its notice, if it is to have one. The answer is what becomes of bare lines behind.
    fn tell(&mut self, said: &Said<'_>, capped: bool, drafts: &mut Drafts<'_>) -> Thread {
        drafts.close();
        let kind = said.event.kind;
        let by_pattern = if kind == EventKind::RelayEcho { None } else { self.tell_by_pattern(said, capped, drafts) };
        let by_alert = self.server.alerts.tells(kind);
        // A pattern has the last word on its lines, also on whether they alert anybody.
        if kind.is_remembered() && !(by_alert && by_pattern.is_some()) {
            drafts.happened(&said.event, said.at);
        }
        if let Some(thread) = by_pattern {
            return thread;
        }
        let rules = Arc::clone(&self.rules);
        let rule = rules.of(said.event.kind);
        drafts.count(&rule.key);
        let marked = self.hear(said, drafts);
        if by_alert {
            return Thread::Alerted { event: kind.as_str().to_owned() };
        }
        if said.quiet || is_blank_chat(&said.event) || !rule.relays(&self.server) {
            return Thread::Silenced;
        }
        let channel = routing::channel(rule.destination, &self.server.channels);
        let understood = said.event.fields.is_some();
        let prefixed = rule.is_built_in(understood) && self.rules.is_shared(channel);
        let to = Address { channel, lane: rule.lane, event: Arc::clone(&rule.key), prefixed };
        let values = Values::Event(&said.event);
        let source = Source { at: said.at, text: &said.event.text, cut: said.cut, values, marked };
        drafts.push(&to, rule.content(understood), rule.plain(understood), &source, capped);
        relayed(&to, capped)
    }

    /// Notes what a player says for the other games, and whom it may ping.
    fn hear(&mut self, said: &Said<'_>, drafts: &mut Drafts<'_>) -> Option<Marked> {
        if !matches!(said.event.kind, EventKind::Chat | EventKind::Shout) {
            return None;
        }
        let (player, message) = (said.event.field("player")?, said.event.field("message")?);
        drafts.chat(player, message, said.at);
        let names = &self.rules.mentions;
        (!names.names.is_empty()).then(|| mentions::mark(names, &mut self.pings, player, message, said.at))
    }

    /// Does the same by the operator's patterns; `None` when none matches.
    fn tell_by_pattern(&self, said: &Said<'_>, capped: bool, drafts: &mut Drafts<'_>) -> Option<Thread> {
        let text = said.pattern_text.as_deref()?;
        let (pattern, groups) = self.rules.patterns.find(&self.server.tag, text)?;
        drafts.count(&pattern.event);
        let Some(content) = &pattern.content else { return Some(Thread::Silenced) };
        let channel = routing::channel(pattern.destination, &self.server.channels);
        let prefixed = pattern.built_in && self.rules.is_shared(channel);
        let to = Address { channel, lane: pattern.lane, event: Arc::clone(&pattern.event), prefixed };
        let source = Source { at: said.at, text, cut: said.cut, values: Values::Groups(&groups), marked: None };
        drafts.push(&to, content, self.rules.of(EventKind::Unmatched).plain(false), &source, capped);
        Some(relayed(&to, capped))
    }

    /// The time of a dated line.
    fn dated(&mut self, at: Option<DateTime>, now: Timestamp) -> Timestamp {
        let at = at.and_then(|at| self.clock.to_utc(at)).or(self.memory.last_seen).unwrap_or(now);
        self.memory.last_seen = Some(at);
        at
    }

    /// The header of a run has the time at which the engine's seconds began. That is kept in the configured time zone: the offset of
    /// the log may be measured later.
    fn begin_engine(&mut self, millis: i64, at: Option<DateTime>, now: Timestamp) -> Timestamp {
        let started = at.and_then(|at| self.clock.uncorrected(at));
        self.memory.engine_zero = started.and_then(|at| at.as_millisecond().checked_sub(millis));
        self.memory.loading = true;
        self.memory.thread = Thread::None;
        let at = at.and_then(|at| self.clock.to_utc(at)).unwrap_or(now);
        self.memory.last_seen = Some(at);
        at
    }

    fn engine_time(&mut self, millis: i64, now: Timestamp) -> Timestamp {
        let at = self.memory.engine_zero.and_then(|zero| zero.checked_add(millis));
        let Some(at) = at.and_then(|at| Timestamp::from_millisecond(at).ok()) else { return now };
        let at = self.clock.correct(at);
        self.memory.last_seen = Some(at);
        at
    }
}

/// Behind these the engine writes stack traces and the pages of servers that did not answer as they should.
const ERRORS_WITH_TRACES: [EventKind; 5] =
    [EventKind::SaveFailed, EventKind::ScriptCrash, EventKind::Crash, EventKind::StartError, EventKind::HostFailed];

fn has_trace(kind: EventKind) -> bool {
    ERRORS_WITH_TRACES.contains(&kind)
}

/// Whether a chat message has no visible character.
fn is_blank_chat(event: &Event<'_>) -> bool {
    let is_chat = matches!(event.kind, EventKind::Chat | EventKind::Shout | EventKind::ServerChat);
    is_chat && event.field("message").is_some_and(markup::is_blank)
}

fn relayed(to: &Address, capped: bool) -> Thread {
    Thread::Relayed {
        channel: to.channel,
        lane: to.lane,
        event: to.event.as_ref().to_owned(),
        capped,
        prefixed: to.prefixed,
    }
}

#[cfg(test)]
#[path = "interpreter_tests.rs"]
mod tests;
