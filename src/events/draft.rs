//! Notices in the making: an event is written down, the bare lines behind it are added, and at the end of the batch
//! all of it becomes content and plain text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::Captures;

use super::interpreter::Interpretation;
use super::markup;
use super::memory::Thread;
use super::mentions::Marked;
use super::template::Template;
use super::vanilla::Event;
use super::vanilla::console::SERVER;
use crate::config::settings::ServerSettings;
use crate::domain::{ChannelId, EventKind, Happening, Lane, Mentions, Notice, PlayerChat};

/// How much of an engine error's trace is shown in the message. The text file has all of it.
const TRACE_LINES: usize = 20;
const TRACE_CHARS: usize = 1500;

/// Stands before the bare lines whose first line went out with an earlier batch.
const CONTINUED: &str = "↳ ";

/// Where a notice goes, and as what.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) channel: ChannelId,
    pub(super) lane: Lane,
    pub(super) event: Arc<str>,
    /// The notice begins with the server's name.
    pub(super) prefixed: bool,
}

/// The notices of one batch.
#[derive(Debug)]
pub(super) struct Drafts<'s> {
    server: &'s ServerSettings,
    /// The zone of the log's time stamps.
    zone: TimeZone,
    written: Vec<Draft>,
    /// Whether the last draft takes more lines.
    open: bool,
    counts: BTreeMap<Arc<str>, u64>,
    chats: Vec<PlayerChat>,
    happenings: Vec<Happening>,
    /// Whether the last happening takes more lines.
    happening_open: bool,
    /// The offset just behind the line that is read.
    pub(super) line_end: u64,
}

#[derive(Debug)]
struct Draft {
    notice: Notice,
    line_end: u64,
    more: Vec<String>,
    capped: bool,
}

/// What a template is filled from.
pub(super) struct Source<'a> {
    pub(super) at: Timestamp,
    /// The text behind the envelope.
    pub(super) text: &'a str,
    /// Bytes cut off the end of the line.
    pub(super) cut: u64,
    pub(super) values: Values<'a>,
    /// What a player said, with the mentions that may ping.
    pub(super) marked: Option<Marked>,
}

/// Where the values of an event's own placeholders come from.
pub(super) enum Values<'a> {
    Event(&'a Event<'a>),
    Groups(&'a Captures<'a>),
}

impl Source<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = match &self.values {
            Values::Event(event) => event.field(name),
            Values::Groups(groups) => groups.name(name).map(|group| group.as_str()),
        }?;
        Some(if value == SERVER { "the server".into() } else { value.into() })
    }
}

impl<'s> Drafts<'s> {
    pub(super) fn new(server: &'s ServerSettings, zone: TimeZone) -> Self {
        Self {
            server,
            zone,
            written: Vec::new(),
            open: false,
            counts: BTreeMap::new(),
            chats: Vec::new(),
            happenings: Vec::new(),
            happening_open: false,
            line_end: 0,
        }
    }

    /// Counts an event, relayed or not.
    pub(super) fn count(&mut self, event: &Arc<str>) {
        if let Some(count) = self.counts.get_mut(event) {
            *count += 1;
        } else {
            self.counts.insert(Arc::clone(event), 1);
        }
    }

    /// Notes what a player said, for the other games.
    pub(super) fn chat(&mut self, player: &str, message: &str, at: Timestamp) {
        let server = self.server.tag.clone();
        self.chats.push(PlayerChat { server, player: player.to_owned(), message: message.to_owned(), at });
    }

    /// Notes what happened, for the history, with the player it is about and the one other thing it tells.
    pub(super) fn happened(&mut self, event: &Event<'_>, at: Timestamp) {
        let detail = event.fields.iter().flatten().find(|(name, _)| !matches!(*name, "player" | "actor"));
        // A factor of nobody knows which surface tells nothing: `0.62 on gleba`.
        let surface = event.field("surface").unwrap_or_default();
        self.happening_open = true;
        self.happenings.push(Happening {
            server: self.server.tag.clone(),
            at,
            kind: event.kind,
            player: event.field("player").map(ToOwned::to_owned),
            detail: detail.map(|(_, value)| format!("{}{surface}", value.trim())).filter(|value| !value.is_empty()),
        });
    }

    /// No more lines are added to the last notice.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.happening_open = false;
    }

    /// Removes the last notice and the last happening where they are of this kind, which turned out to be wrong.
    pub(super) fn retract(&mut self, kind: EventKind) {
        if self.written.last().is_some_and(|draft| &*draft.notice.event == kind.as_str()) {
            self.written.pop();
        }
        if self.happenings.last().is_some_and(|happening| happening.kind == kind) {
            self.happenings.pop();
        }
        self.close();
    }

    /// Adds a bare line to the error before it, as far as a message would show it. Where the error was committed with an
    /// earlier batch, the lines are a happening of their own.
    fn add_to_happening(&mut self, line: &str, at: Timestamp) {
        if !self.happening_open {
            let (server, kind) = (self.server.tag.clone(), EventKind::ErrorContinued);
            self.happenings.push(Happening { server, at, kind, player: None, detail: None });
            self.happening_open = true;
        }
        let Some(happening) = self.happenings.last_mut() else { return };
        if happening.detail.is_none() && happening.kind == EventKind::ErrorContinued {
            happening.detail = Some(line.to_owned());
            return;
        }
        let detail = happening.detail.get_or_insert_default();
        if detail.lines().count() < TRACE_LINES && detail.chars().count() + line.chars().count() < TRACE_CHARS {
            detail.extend(["\n", line]);
        }
    }

    /// Writes a notice; the bare lines behind it will be added to it.
    pub(super) fn push(
        &mut self,
        to: &Address,
        content: &Template,
        plain: &Template,
        source: &Source<'_>,
        capped: bool,
    ) {
        let mark = cut_mark(source.cut);
        let content = content.render(|name| self.markdown(name, source));
        let plain = plain.render(|name| Self::plain_value(name, source));
        let content = never_empty(content.trim().to_owned() + &mark, source.text);
        let plain = plain.trim().to_owned() + &mark;
        let mentions = source.marked.as_ref().map(|marked| marked.mentions.clone()).unwrap_or_default();
        self.add(to, &content, &plain, source.at, capped);
        if let Some(draft) = self.written.last_mut() {
            draft.notice.mentions = mentions;
        }
    }

    /// Adds a bare line to the notice it belongs to, or begins a new one where that has gone out already.
    pub(super) fn attach(&mut self, thread: &Thread, line: &str, cut: u64, at: Timestamp) {
        let Thread::Relayed { channel, lane, event, capped, prefixed } = thread else {
            return self.add_to_happening(line, at);
        };
        let mark = cut_mark(cut);
        if self.open
            && let Some(draft) = self.written.last_mut()
        {
            draft.more.push(line.to_owned() + &mark);
            return;
        }
        let to = Address { channel: *channel, lane: *lane, event: event.as_str().into(), prefixed: *prefixed };
        let content = never_empty(format!("{CONTINUED}{}{mark}", markup::to_discord(line)), line);
        let plain = format!("{CONTINUED}{}{mark}", markup::to_plain(line));
        self.add(&to, &content, &plain, at, *capped);
    }

    fn add(&mut self, to: &Address, content: &str, plain: &str, occurred_at: Timestamp, capped: bool) {
        let server = self.server.tag.clone();
        let (in_discord, in_file) = self.prefixes(to.prefixed);
        let content = in_discord + content;
        let plain = format!("[{}] {in_file}{plain}", self.local(occurred_at));
        let (channel, lane, event) = (to.channel, to.lane, Arc::clone(&to.event));
        let notice =
            Notice { server, channel, lane, event, content, plain, mentions: Mentions::default(), occurred_at };
        self.written.push(Draft { notice, line_end: self.line_end, more: Vec::new(), capped });
        self.open = true;
    }

    /// What a notice begins with, in Discord and in a text file.
    fn prefixes(&self, prefixed: bool) -> (String, String) {
        if !prefixed {
            return (String::new(), String::new());
        }
        let name = &self.server.name;
        (format!("[{}] ", markup::to_discord(name)), format!("[{}] ", markup::to_plain(name)))
    }

    fn markdown<'a>(&self, name: &str, source: &'a Source<'_>) -> Option<Cow<'a, str>> {
        if let Some(marked) = source.marked.as_ref().filter(|_| name == "message") {
            return Some(Cow::Borrowed(&marked.markdown));
        }
        let value = source.value(name).map(|value| markup::to_discord(&value));
        Some(Cow::Owned(value.or_else(|| match name {
            "server" => Some(markup::to_discord(&self.server.name)),
            "time" => Some(format!("<t:{}:T>", source.at.as_second())),
            "text" => Some(markup::to_discord(source.text)),
            _ => None,
        })?))
    }

    fn plain_value<'a>(name: &str, source: &'a Source<'_>) -> Option<Cow<'a, str>> {
        let value = source.value(name).map(|value| markup::to_plain(&value));
        Some(Cow::Owned(value.or_else(|| (name == "text").then(|| markup::to_plain(source.text)))?))
    }

    /// The server's local time, as its console log writes it.
    fn local(&self, at: Timestamp) -> String {
        self.zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// All that came of the batch.
    pub(super) fn finish(self) -> Interpretation {
        let line_ends = self.written.iter().map(|draft| draft.line_end).collect();
        let notices = self.written.into_iter().map(Draft::finish).collect();
        Interpretation {
            notices,
            line_ends,
            events: self.counts.into_iter().collect(),
            happenings: self.happenings,
            chats: self.chats,
        }
    }
}

impl Draft {
    fn finish(self) -> Notice {
        let Self { mut notice, more, capped, .. } = self;
        let shown: Vec<String> = more.iter().map(|line| markup::to_discord(line)).collect();
        let fitting = if capped { fitting(&shown) } else { shown.len() };
        for line in &shown[..fitting] {
            notice.content.extend(["\n", line]);
        }
        if fitting < shown.len() {
            notice.content.extend(["\n(+", &(shown.len() - fitting).to_string(), " lines)"]);
        }
        for line in &more {
            notice.plain.extend(["\n    ", &markup::to_plain(line)]);
        }
        notice
    }
}

/// How many of a trace's lines are shown.
fn fitting(lines: &[String]) -> usize {
    let mut chars = 0;
    let fits = |line: &&String| {
        chars += line.chars().count() + 1;
        chars <= TRACE_CHARS
    };
    lines.iter().take(TRACE_LINES).take_while(fits).count()
}

fn cut_mark(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { format!(" … ({bytes} bytes cut)") }
}

/// Discord refuses a message without a visible character: the line itself stands in for it, or the fact that there
/// is nothing to see.
fn never_empty(content: String, text: &str) -> String {
    if !content.trim().is_empty() {
        return content;
    }
    let text = markup::to_discord(text);
    let text = if text.trim().is_empty() { "(a line without visible characters)" } else { text.trim() };
    text.to_owned()
}
