//! The gateway's events to the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Shared;
use super::clean::mentioned;
use super::directory::{Directory, KnownMember};
use super::format;
use super::heard::{Heard, written_at};
use super::routes::{Ears, Reason, Verdict};
use super::traced;
use crate::config::settings::ThreadChat;
use crate::discord::GatewayEvent;
use crate::domain::{ChannelId, NewChat, ServerTag};
use crate::health::{Component, ComponentHandle};
use crate::store::{Edit, Mark};
use crate::telemetry::traces::{self, Recording};

/// Events taken at a time.
const BATCH: usize = 64;
/// The wait between attempts to ask Discord for something.
const RETRY: Duration = Duration::from_secs(5);
/// An edit later than this is not said.
const EDIT_WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// A message that was written longer ago than `chat.delay` and this is not held back.
const MAX_CLOCK_OFFSET: SignedDuration = SignedDuration::from_secs(30);
/// Answers of applications that are awaited; they come within 15 minutes or never.
const MAX_LOADING: usize = 256;
/// The application's flags: Message Content is switched on, in either of its forms.
const CONTENT_FLAGS: u64 = (1 << 18) | (1 << 19);
/// What to do where it is not.
const NO_CONTENT: &str = "the Message Content intent is missing: chat from Discord does not reach the games; switch it \
                          on in the developer portal, page Bot, and restart";

#[derive(Debug, Deserialize)]
struct Application {
    flags: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Me {
    id: String,
}

pub(super) struct Intake {
    pub(super) shared: Arc<Shared>,
    pub(super) directory: Directory,
    pub(super) ears: Ears,
    pub(super) own: u64,
    /// Channels of which something was missed: everything behind this message must be asked for.
    pub(super) gaps: BTreeMap<ChannelId, u64>,
    /// The newest message of a channel with a gap.
    pub(super) newest: BTreeMap<ChannelId, u64>,
    /// Whether threads may have been active meanwhile that must still be asked for.
    pub(super) threads_unlisted: bool,
    /// Messages that applications announced, whose text is still to come.
    loading: BTreeSet<u64>,
    health: ComponentHandle,
}

impl Intake {
    pub(super) fn new(shared: Arc<Shared>, directory: Directory) -> Self {
        let health = shared.health.part(Component::Discord, "message_content");
        Self {
            shared,
            directory,
            ears: Ears::default(),
            own: 0,
            gaps: BTreeMap::new(),
            newest: BTreeMap::new(),
            threads_unlisted: false,
            loading: BTreeSet::new(),
            health,
        }
    }

    /// Takes events in until `cancel`.
    pub(super) async fn run(
        mut self,
        events: &mut mpsc::Receiver<GatewayEvent>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        if self.shared.chat.feeds.is_empty() {
            self.health.remove();
            cancel.cancelled().await;
            return Ok(());
        }
        let Some(()) = cancel.run_until_cancelled(self.introduce()).await else { return Ok(()) };
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let gaps = !self.gaps.is_empty() || self.threads_unlisted;
            let overflowed = events.capacity() == 0;
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                count = events.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        cancel.cancelled().await;
                        return Ok(());
                    }
                    for event in batch.drain(..) {
                        self.take(event).await?;
                    }
                    if overflowed {
                        self.note_gaps().await?;
                    }
                }
                () = sleep(RETRY), if gaps => self.close_gaps().await?,
            }
        }
    }

    /// Asks who the bot is: without that, it could take its own words for another's.
    async fn introduce(&mut self) {
        loop {
            let me: Option<Me> = match self.shared.rest.get("/users/@me").await {
                Ok(answer) if answer.status.is_success() => answer.json(),
                Ok(_) | Err(_) => None,
            };
            if let Some(id) = me.and_then(|me| me.id.parse().ok()) {
                self.own = id;
                return;
            }
            debug!("Discord does not say who the bot is");
            sleep(RETRY).await;
        }
    }

    async fn take(&mut self, event: GatewayEvent) -> anyhow::Result<()> {
        match event {
            GatewayEvent::Ready => {
                self.check_content().await;
                self.note_gaps().await?;
                self.close_gaps().await
            }
            GatewayEvent::Message(message) => {
                if self.games(ChannelId::new(message.channel.get())).await.is_none() {
                    return Ok(());
                }
                self.create(&message.json).await
            }
            GatewayEvent::MessageUpdate(update) => {
                if self.games(ChannelId::new(update.channel.get())).await.is_none() {
                    return Ok(());
                }
                self.update(&update.json).await
            }
            GatewayEvent::MessageDelete { channel, message } => {
                if self.games(ChannelId::new(channel.get())).await.is_some() {
                    self.shared.store.withdraw(message.get(), self.shared.clock.now()).await?;
                }
                Ok(())
            }
        }
    }

    /// The games that a channel is relayed to: those of `chat_from`, where it names the channel, or the channel above a
    /// public thread with `threads = "relay"`.
    pub(super) async fn games(&mut self, channel: Option<ChannelId>) -> Option<Vec<ServerTag>> {
        let (channel, shared) = (channel?, Arc::clone(&self.shared));
        if let Some(games) = shared.chat.feeds.get(&channel) {
            return Some(games.clone());
        }
        if shared.chat.threads == ThreadChat::Ignore {
            return None;
        }
        let parent = self.directory.parent_of_public_thread(channel).await?;
        shared.chat.feeds.get(&parent).cloned()
    }

    /// Takes `MESSAGE_CREATE` in.
    async fn create(&mut self, json: &Value) -> anyhow::Result<()> {
        let Some(mut heard) = Heard::read(json) else {
            debug!(kind = json["type"].as_u64(), "Message is an announcement of Discord; not relayed");
            return Ok(());
        };
        self.complete(&mut heard).await;
        self.hear(heard).await
    }

    /// Says in health whether Discord lets the bot read.
    async fn check_content(&self) {
        let Ok(answer) = self.shared.rest.get("/applications/@me").await else { return };
        let Some(flags) = answer.json::<Application>().and_then(|application| application.flags) else { return };
        if flags & CONTENT_FLAGS == 0 {
            self.health.degraded(NO_CONTENT);
            warn!("The Message Content intent is missing: switch it on in the developer portal, page Bot, and restart");
        } else {
            self.health.healthy();
        }
    }

    /// Adds what the event leaves out: nicknames, and the author's roles where they matter. Who wrote comes with the
    /// gateway's messages, and is remembered for those that come without.
    async fn complete(&mut self, heard: &mut Heard) {
        let Some(guild) = heard.guild else { return };
        if heard.roles.is_some() && heard.author.is_person() {
            let member = KnownMember { name: heard.name.clone(), roles: heard.roles.clone() };
            self.directory.meet(guild, heard.author.id(), member);
        }
        let others: Vec<u64> = heard.others().collect();
        heard.rename(&self.directory.known_members(guild, others.into_iter()));
        self.complete_roles(heard, guild).await;
    }

    /// Asks for the author's roles where the rules need them.
    pub(super) async fn complete_roles(&mut self, heard: &mut Heard, guild: u64) {
        if heard.author.is_person() && heard.roles.is_none() && !self.shared.chat.roles.is_empty() {
            heard.roles = self.directory.member_roles(guild, heard.author.id()).await;
        }
    }

    pub(super) async fn hear(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        let Some(games) = self.games(Some(heard.channel)).await else { return Ok(()) };
        let newest = self.newest.entry(heard.channel).or_default();
        *newest = heard.id.max(*newest);
        let seen = (!self.gaps.contains_key(&heard.channel)).then_some((heard.channel, heard.id));
        let games = self.judge(&mut heard, &games).await?;
        let lines = if games.is_empty() { Vec::new() } else { self.lines(&heard, false).await };
        if lines.is_empty() && !games.is_empty() {
            self.not_relayed(&heard, Reason::NothingToShow).await?;
        }
        self.ears.note_said(&heard, &lines);
        let games = if lines.is_empty() { Vec::new() } else { games };
        let now = self.shared.clock.now();
        let span = if games.is_empty() { None } else { traced::heard(&heard, games.len(), &lines, now) };
        let trace = span.as_ref().map(Recording::place);
        let written_at = written_at(heard.id);
        let to = |server| NewChat {
            server,
            source: Some((heard.channel, heard.id)),
            lines: lines.clone(),
            written_at,
            due_at: self.due_at(written_at, now),
            trace,
        };
        let chats: Vec<_> = games.into_iter().map(to).collect();
        Ok(traces::within(span.as_ref(), self.shared.store.take_in(&chats, seen)).await?)
    }

    /// A message is held back from when it arrived: our clock may differ from Discord's. One that was written long ago,
    /// and is fetched only now, has been there for long enough.
    fn due_at(&self, written_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let delay = SignedDuration::try_from(self.shared.chat.delay).ok().filter(|delay| !delay.is_zero())?;
        let is_old = now.duration_since(written_at) > delay + MAX_CLOCK_OFFSET;
        if is_old { None } else { now.checked_add(delay).ok() }
    }

    /// The games that show the message. Where none does, its author may get a reaction.
    async fn judge(&mut self, heard: &mut Heard, games: &Vec<ServerTag>) -> anyhow::Result<Vec<ServerTag>> {
        let shared = Arc::clone(&self.shared);
        if heard.loading {
            self.note_loading(heard.id);
            debug!(channel = %heard.channel, "Message is announced only; waiting for its text");
            return Ok(Vec::new());
        }
        match self.ears.judge(heard, Some(games), &shared.chat, self.own) {
            Verdict::Say(games) => return Ok(games),
            Verdict::Ignored(reason) => self.not_relayed(heard, reason).await?,
            Verdict::Flood => {
                debug!(channel = %heard.channel, "Message exceeds the flood limit; not relayed");
                self.react(heard, Mark::Flood).await?;
            }
        }
        Ok(Vec::new())
    }

    async fn not_relayed(&mut self, heard: &Heard, reason: Reason) -> anyhow::Result<()> {
        debug!(channel = %heard.channel, message = heard.id, reason = reason.as_str(), "Message not relayed");
        if reason.gets_reaction() {
            self.react(heard, Mark::NotRelayed).await?;
        }
        Ok(())
    }

    /// Puts a reaction on a message, unless too many of its channel have one.
    async fn react(&mut self, heard: &Heard, mark: Mark) -> anyhow::Result<()> {
        if self.ears.admits_reaction(heard, self.shared.chat.flood_window) {
            self.shared.store.mark(heard.channel, heard.id, mark, self.shared.clock.now()).await?;
        }
        Ok(())
    }

    fn note_loading(&mut self, message: u64) {
        self.loading.insert(message);
        while self.loading.len() > MAX_LOADING {
            self.loading.pop_first();
        }
    }

    /// Takes `MESSAGE_UPDATE` in: an edit, or the text of an answer that was announced.
    async fn update(&mut self, json: &Value) -> anyhow::Result<()> {
        let Some(mut heard) = Heard::read_update(json) else { return Ok(()) };
        let Some(games) = self.games(Some(heard.channel)).await else { return Ok(()) };
        self.complete(&mut heard).await;
        if !heard.loading && self.loading.remove(&heard.id) {
            return self.hear(heard).await;
        }
        let Some(at) = heard.edited else { return Ok(()) };
        let verdict = self.ears.judge(&mut heard, Some(&games), &self.shared.chat, self.own);
        let games = match verdict {
            Verdict::Say(games) => games,
            Verdict::Ignored(Reason::IgnoreRule | Reason::NothingToShow) => return self.take_back(&heard, at).await,
            Verdict::Ignored(_) | Verdict::Flood => return Ok(()),
        };
        let (instead, behind) = (self.lines(&heard, false).await, self.lines(&heard, true).await);
        if instead.is_empty() {
            return self.take_back(&heard, at).await;
        }
        self.ears.note_said(&heard, &behind);
        let in_time = at.duration_since(written_at(heard.id)) <= EDIT_WINDOW;
        let said = in_time && self.ears.admits_edit(&heard, at, &self.shared.chat);
        if !said {
            debug!(channel = %heard.channel, message = heard.id, in_time, "Edit not repeated in the games");
        }
        if in_time && !said {
            self.react(&heard, Mark::Flood).await?;
        }
        let span = traced::heard(&heard, games.len(), &behind, self.shared.clock.now());
        let edit = Edit {
            channel: heard.channel,
            message: heard.id,
            at,
            instead: &instead,
            behind: said.then_some(behind.as_slice()),
            trace: span.as_ref().map(Recording::place),
        };
        Ok(self.shared.store.take_in_edit(&edit).await?)
    }

    /// An edit left nothing to relay: what was not said before is not said any more.
    async fn take_back(&self, heard: &Heard, at: Timestamp) -> anyhow::Result<()> {
        debug!(channel = %heard.channel, message = heard.id, "Edit leaves nothing to relay");
        let (channel, message) = (heard.channel, heard.id);
        let edit = Edit { channel, message, at, instead: &[], behind: None, trace: None };
        Ok(self.shared.store.take_in_edit(&edit).await?)
    }

    async fn lines(&mut self, heard: &Heard, edited: bool) -> Vec<String> {
        let ids = mentioned(&heard.texts().join("\n"));
        let guild = match heard.guild {
            None if !ids.is_empty() => self.directory.guild(heard.channel).await,
            guild => guild,
        };
        let names = self.directory.names(guild, &ids, heard.users.clone()).await;
        format::lines(heard, &names, &self.shared.chat, edited, self.own)
    }
}
