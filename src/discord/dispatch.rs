//! Passes gateway events to the tasks that want them, in order, without ever waiting for one.

use metrics::counter;
use serde_json::Value;
use serenity::all::{ChannelId, GatewayIntents, Interaction, MessageId};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::status::Presence;
use crate::telemetry::metrics::GATEWAY_EVENTS_DROPPED;

/// Interactions that may wait. Each must be answered within 3 s: more than these could not be anyway.
const INTERACTIONS: usize = 64;
/// The intents that must be switched on in the developer portal.
const PRIVILEGED: GatewayIntents =
    GatewayIntents::GUILD_MEMBERS.union(GatewayIntents::GUILD_PRESENCES).union(GatewayIntents::MESSAGE_CONTENT);
/// Messages and what happens to them that may wait.
const MESSAGES: usize = 1024;

/// A message, or what changed of it, as Discord sent it: serenity's models leave out Components V2 and whatever is newer.
#[derive(Debug, Clone)]
pub struct MessageJson {
    /// The channel of the message.
    pub channel: ChannelId,
    /// The `d` of the dispatch.
    pub json: Value,
}

/// What happens in channels, in the order in which Discord told it.
#[derive(Debug, Clone)]
pub enum GatewayEvent {
    /// A new session began: what happened before it was not told and must be asked for.
    Ready,
    /// Somebody wrote; the bot itself included.
    Message(MessageJson),
    /// A message has changed.
    MessageUpdate(MessageJson),
    /// A message is gone.
    MessageDelete {
        /// Where it was.
        channel: ChannelId,
        /// Which.
        message: MessageId,
    },
}

/// Who hears what of the gateway, and what it shows of the bot. Nothing by default, with the one intent a connection needs. Clones are the same.
#[derive(Debug, Clone)]
pub struct Dispatches {
    intents: GatewayIntents,
    interactions: Option<mpsc::Sender<Interaction>>,
    messages: Option<mpsc::Sender<GatewayEvent>>,
    presence: Option<watch::Receiver<Option<Presence>>>,
}

impl Default for Dispatches {
    fn default() -> Self {
        Self { intents: GatewayIntents::GUILDS, interactions: None, messages: None, presence: None }
    }
}

impl Dispatches {
    /// Slash commands and buttons go to the receiver. They need no intent.
    pub fn interactions(&mut self) -> mpsc::Receiver<Interaction> {
        let (sender, receiver) = mpsc::channel(INTERACTIONS);
        self.interactions = Some(sender);
        receiver
    }

    /// Messages go to the receiver, with `intents` asked for beside the present ones: `GUILD_MESSAGES`, and
    /// `MESSAGE_CONTENT`, which Discord refuses unless it is switched on in the developer portal.
    pub fn messages(&mut self, intents: GatewayIntents) -> mpsc::Receiver<GatewayEvent> {
        let (sender, receiver) = mpsc::channel(MESSAGES);
        self.messages = Some(sender);
        self.intents |= intents;
        receiver
    }

    /// What the sender is told becomes the bot's own status. It needs no intent.
    pub fn presence(&mut self) -> watch::Sender<Option<Presence>> {
        let (sender, receiver) = watch::channel(None);
        self.presence = Some(receiver);
        sender
    }

    /// Receives the status that the bot should show; a value of `None` means that it is not known yet. Without a receiver
    /// the status is left alone.
    pub(super) fn wanted_presence(&self) -> Option<watch::Receiver<Option<Presence>>> {
        self.presence.clone()
    }

    pub(super) fn wants_interactions(&self) -> bool {
        self.interactions.is_some()
    }

    pub(super) fn wants_messages(&self) -> bool {
        self.messages.is_some()
    }

    /// The same without what Discord must be asked for in the developer portal; `None` when nothing is.
    pub(super) fn without_privileged(&self) -> Option<Self> {
        let asks = self.intents.intersects(PRIVILEGED);
        asks.then(|| Self { intents: self.intents.difference(PRIVILEGED), ..self.clone() })
    }

    /// What the session asks Discord for.
    pub(super) fn intents(&self) -> GatewayIntents {
        self.intents
    }

    pub(super) fn interaction(&self, interaction: Interaction) {
        hand_on(self.interactions.as_ref(), "interaction", interaction);
    }

    pub(super) fn event(&self, event: GatewayEvent) {
        let kind = match &event {
            GatewayEvent::Ready => "ready",
            GatewayEvent::Message(_) => "message",
            GatewayEvent::MessageUpdate(_) => "message_update",
            GatewayEvent::MessageDelete { .. } => "message_delete",
        };
        hand_on(self.messages.as_ref(), kind, event);
    }
}

/// Never waits: the gateway task must go on reading, and send its heartbeats.
fn hand_on<T>(sender: Option<&mpsc::Sender<T>>, kind: &'static str, event: T) {
    let Some(sender) = sender else { return };
    match sender.try_send(event) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => {
            counter!(GATEWAY_EVENTS_DROPPED, "kind" => kind).increment(1);
            warn!(kind, "An event of Discord is dropped: too many wait already");
        }
        Err(TrySendError::Closed(_)) => debug!(kind, "An event of Discord comes while stopping"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_channel_loses_the_newest_and_keeps_the_order() {
        let mut dispatches = Dispatches::default();
        let mut heard = dispatches.messages(GatewayIntents::GUILD_MESSAGES);
        for id in 1..=MESSAGES as u64 + 3 {
            let message = MessageId::new(id);
            dispatches.event(GatewayEvent::MessageDelete { channel: ChannelId::new(1), message });
        }
        drop(dispatches);
        let mut seen = Vec::new();
        while let Some(GatewayEvent::MessageDelete { message, .. }) = heard.recv().await {
            seen.push(message.get());
        }
        assert_eq!(seen, (1..=MESSAGES as u64).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_privileged_is_asked_for_unless_somebody_listens() {
        let mut dispatches = Dispatches::default();
        drop(dispatches.interactions());
        assert_eq!(dispatches.intents(), GatewayIntents::GUILDS);
        drop(dispatches.messages(GatewayIntents::MESSAGE_CONTENT));
        assert_eq!(dispatches.intents(), GatewayIntents::GUILDS | GatewayIntents::MESSAGE_CONTENT);
    }
}
