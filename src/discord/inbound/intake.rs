//! The gateway's events to the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serenity::all::{GuildId, MessageUpdateEvent};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Shared;
use super::clean::{Names, mentioned};
use super::directory::Directory;
use super::format;
use super::heard::{Heard, written_at};
use super::routes::{Ears, Verdict};
use super::traced;
use crate::discord::GatewayEvent;
use crate::domain::{ChannelId, NewChat};
use crate::health::{Component, ComponentHandle};
use crate::store::{Edit, Mark};
use crate::telemetry::traces::{self, Recording};

/// Events taken at a time.
const BATCH: usize = 64;
/// The wait between attempts to ask Discord for something.
const RETRY: Duration = Duration::from_secs(5);
/// An edit later than this is not said.
const EDIT_WINDOW: SignedDuration = SignedDuration::from_mins(1);
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
            health,
        }
    }

    /// Hears until `cancel`.
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
            let gaps = !self.gaps.is_empty();
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
                let Some(mut heard) = Heard::of(&message) else { return Ok(()) };
                self.name_people(&mut heard, message.guild_id, message.member.is_some());
                self.hear(heard).await
            }
            GatewayEvent::MessageUpdate(update) => self.edit(&update).await,
            GatewayEvent::MessageDelete { channel, message } => {
                if ChannelId::new(channel.get()).is_some_and(|channel| self.shared.chat.feeds.contains_key(&channel)) {
                    self.shared.store.withdraw(message.get(), self.shared.clock.now()).await?;
                }
                Ok(())
            }
        }
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

    /// Who wrote comes with the gateway's messages, and is remembered for those that come without; whom a message
    /// quotes may be known so.
    fn name_people(&mut self, heard: &mut Heard, guild: Option<GuildId>, with_member: bool) {
        let Some(guild) = guild.map(|guild| guild.to_string()) else { return };
        if with_member {
            self.directory.meet(&guild, heard.author.id(), &heard.name);
        }
        let quoted = heard.quote.as_ref().map(|quote| quote.author);
        heard.rename(&self.directory.known_members(&guild, quoted.into_iter()));
    }

    pub(super) async fn hear(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        let settings = &self.shared.chat;
        if !settings.feeds.contains_key(&heard.channel) {
            return Ok(());
        }
        let newest = self.newest.entry(heard.channel).or_default();
        *newest = heard.id.max(*newest);
        let seen = (!self.gaps.contains_key(&heard.channel)).then_some((heard.channel, heard.id));
        let store = &self.shared.store;
        let games = match self.ears.judge(&mut heard, settings, self.own) {
            Verdict::Ignored => Vec::new(),
            Verdict::Flood { first } => {
                debug!(channel = %heard.channel, "A message is dropped: its author writes too much at once");
                if first {
                    store.mark(heard.channel, heard.id, Mark::Flood, self.shared.clock.now()).await?;
                }
                Vec::new()
            }
            Verdict::Say(games) => games,
        };
        let lines = if games.is_empty() { Vec::new() } else { self.lines(&heard, false).await };
        self.ears.note_said(&heard, &lines);
        let games = if lines.is_empty() { Vec::new() } else { games };
        let now = self.shared.clock.now();
        let span = if games.is_empty() { None } else { traced::heard(&heard, games.len(), &lines, now) };
        let trace = span.as_ref().map(Recording::place);
        let to = |server| NewChat {
            server,
            source: Some((heard.channel, heard.id)),
            lines: lines.clone(),
            written_at: written_at(heard.id),
            trace,
        };
        let chats: Vec<_> = games.into_iter().map(to).collect();
        Ok(traces::within(span.as_ref(), self.shared.store.take_in(&chats, seen)).await?)
    }

    async fn edit(&mut self, update: &MessageUpdateEvent) -> anyhow::Result<()> {
        let Some(mut heard) = Heard::of_update(update) else { return Ok(()) };
        self.name_people(&mut heard, update.guild_id, matches!(update.member, Some(Some(_))));
        let Some(at) = heard.edited else { return Ok(()) };
        let Verdict::Say(games) = self.ears.judge(&mut heard, &self.shared.chat, self.own) else { return Ok(()) };
        let (instead, behind) = (self.lines(&heard, false).await, self.lines(&heard, true).await);
        if instead.is_empty() {
            return Ok(());
        }
        self.ears.note_said(&heard, &behind);
        let in_time = at.duration_since(written_at(heard.id)) <= EDIT_WINDOW;
        let said = in_time && self.ears.admits_edit(&heard, at, &self.shared.chat);
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

    async fn lines(&mut self, heard: &Heard, edited: bool) -> Vec<String> {
        let quoted = heard.quote.as_ref().map(|quote| quote.text.as_str()).unwrap_or_default();
        let (roles, channels) = mentioned(&format!("{}\n{quoted}", heard.text));
        let names = Names {
            users: heard.users.clone(),
            roles: if roles.is_empty() { BTreeMap::new() } else { self.directory.roles(heard.channel).await },
            channels: self.directory.channels(&channels).await,
        };
        format::lines(heard, &names, &self.shared.chat, edited, self.own)
    }
}
