//! What was written while nobody listened.

use std::ops::ControlFlow;

use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::Value;
use serenity::all::Message;
use tracing::{info, warn};

use super::heard::{Heard, first_id_at};
use super::intake::Intake;
use super::routes::Verdict;
use crate::discord::rest::Answer;
use crate::domain::ChannelId;
use crate::store::Mark;

/// Messages per request; the API's maximum.
const PAGE: usize = 100;

/// A page of messages, or that the channel can never be read.
type Page = ControlFlow<(), Vec<Message>>;

impl Intake {
    /// From every channel, something may be missing behind what was seen last. A channel that was never heard begins
    /// now.
    pub(super) async fn note_gaps(&mut self) -> anyhow::Result<()> {
        let now = self.shared.clock.now();
        for channel in self.shared.chat.feeds.keys() {
            match self.shared.store.last_seen(*channel).await? {
                Some(seen) => {
                    self.gaps.entry(*channel).or_insert(seen);
                }
                None => self.shared.store.take_in(&[], Some((*channel, first_id_at(now)))).await?,
            }
        }
        Ok(())
    }

    /// Asks for what was missed. What cannot be asked for now is asked for later.
    pub(super) async fn close_gaps(&mut self) -> anyhow::Result<()> {
        for (channel, after) in self.gaps.clone() {
            let ttl = SignedDuration::try_from(self.shared.chat.ttl)?;
            let oldest = first_id_at(self.shared.clock.now().saturating_sub(ttl)?);
            if self.say_missed(channel, after.max(oldest)).await? && self.mark_too_old(channel, after, oldest).await? {
                self.gaps.remove(&channel);
                let seen = self.newest.remove(&channel).unwrap_or(after).max(after);
                self.shared.store.take_in(&[], Some((channel, seen))).await?;
            }
        }
        Ok(())
    }

    /// Takes in what was written behind `after`. Answers whether that is all, or can never be.
    async fn say_missed(&mut self, channel: ChannelId, mut after: u64) -> anyhow::Result<bool> {
        loop {
            let page = match self.page(channel, &format!("after={after}")).await {
                None => return Ok(false),
                Some(ControlFlow::Break(())) => return Ok(true),
                Some(ControlFlow::Continue(page)) => page,
            };
            if let Some(messages) = Some(page.len()).filter(|count| *count > 0) {
                info!(%channel, messages, "Reading what was written in Discord meanwhile");
            }
            after = page.iter().map(|message| message.id.get()).fold(after, u64::max);
            let mut heard: Vec<Heard> = page.iter().filter_map(Heard::of).collect();
            let people = heard.iter().flat_map(Heard::people).collect();
            let names = self.directory.members(channel, &people).await;
            for mut heard in heard.drain(..) {
                heard.rename(&names);
                self.hear(heard).await?;
            }
            if page.len() < PAGE {
                return Ok(true);
            }
        }
    }

    /// Marks what was written behind `after` and is too old to be said: the last page of it. Who wrote before that
    /// does not wait any more. Answers whether that is done, or can never be.
    async fn mark_too_old(&mut self, channel: ChannelId, after: u64, oldest: u64) -> anyhow::Result<bool> {
        if after >= oldest {
            return Ok(true);
        }
        let page = match self.page(channel, &format!("before={oldest}")).await {
            None => return Ok(false),
            Some(ControlFlow::Break(())) => return Ok(true),
            Some(ControlFlow::Continue(page)) => page,
        };
        let missed = page.iter().filter(|message| message.id.get() > after).filter_map(Heard::of);
        for mut heard in missed {
            if let Verdict::Say(_) = self.ears.judge(&mut heard, &self.shared.chat, self.own) {
                self.shared.store.mark(channel, heard.id, Mark::Failed, self.shared.clock.now()).await?;
            }
        }
        Ok(true)
    }

    /// Messages, oldest first. `None` where Discord does not answer now.
    async fn page(&self, channel: ChannelId, place: &str) -> Option<Page> {
        let path = format!("/channels/{channel}/messages?{place}&limit={PAGE}");
        match self.shared.rest.get(&path).await {
            Ok(answer) if answer.status.is_success() => messages(&answer).map(ControlFlow::Continue),
            Ok(answer) if answer.status == StatusCode::FORBIDDEN => {
                warn!(%channel, "Cannot read what was written while away: grant View Channel and Read Message History");
                Some(ControlFlow::Break(()))
            }
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                warn!(%channel, "Cannot read what was written while away: Discord knows no such channel; look at its id");
                Some(ControlFlow::Break(()))
            }
            Ok(_) | Err(_) => None,
        }
    }
}

/// A page of messages, oldest first. One that this version cannot read is left out.
fn messages(answer: &Answer) -> Option<Vec<Message>> {
    let listed: Vec<Value> = answer.json()?;
    let read =
        |value| serde_json::from_value::<Message>(value).inspect_err(|error| warn!(%error, "Cannot read a message"));
    let mut messages: Vec<Message> = listed.into_iter().filter_map(|value| read(value).ok()).collect();
    messages.sort_by_key(|message| message.id);
    Some(messages)
}
