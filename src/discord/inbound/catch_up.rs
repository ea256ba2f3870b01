//! What was written while nobody listened.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::Value;
use tracing::{info, warn};

use super::heard::{Heard, first_id_at};
use super::intake::Intake;
use super::routes::Verdict;
use crate::config::settings::ThreadChat;
use crate::discord::rest::Answer;
use crate::domain::ChannelId;
use crate::store::Mark;

/// Messages per request; the API's maximum.
const PAGE: usize = 100;

/// A page of messages, or that the channel can never be read.
type Page = ControlFlow<(), Vec<Value>>;

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
        self.threads_unlisted = self.shared.chat.threads == ThreadChat::Relay;
        Ok(())
    }

    /// Something may be missing in each thread that is active, too. A thread that was opened meanwhile is read from its
    /// first message.
    async fn note_gaps_of_threads(&mut self) -> anyhow::Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut guilds = BTreeSet::new();
        for channel in shared.chat.feeds.keys() {
            guilds.extend(self.directory.guild(*channel).await);
        }
        let mut threads = Vec::new();
        for guild in guilds {
            let Some(active) = self.directory.active_threads(guild).await else { return Ok(()) };
            threads.extend(active);
        }
        self.threads_unlisted = false;
        let named = |channel: &ChannelId| shared.chat.feeds.contains_key(channel);
        for (thread, parent) in threads.into_iter().filter(|(thread, parent)| named(parent) && !named(thread)) {
            let before_parent_gap = self.gaps.get(&parent).copied().unwrap_or(u64::MAX);
            let after = match shared.store.last_seen(thread).await? {
                Some(seen) => Some(seen),
                // The first message of a forum's post has the thread's own id.
                None => Some(thread.get() - 1).filter(|_| thread.get() > before_parent_gap),
            };
            match after {
                Some(after) => drop(self.gaps.entry(thread).or_insert(after)),
                None => shared.store.take_in(&[], Some((thread, first_id_at(shared.clock.now())))).await?,
            }
        }
        Ok(())
    }

    /// Asks for what was missed. What cannot be asked for now is asked for later.
    pub(super) async fn close_gaps(&mut self) -> anyhow::Result<()> {
        if self.threads_unlisted {
            self.note_gaps_of_threads().await?;
        }
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
            after = page.iter().map(id_of).fold(after, u64::max);
            let (whole, guild) = (page.len() < PAGE, self.directory.guild(channel).await);
            let heard: Vec<Heard> = page.iter().filter_map(Heard::read).collect();
            let people = heard.iter().flat_map(Heard::people).collect();
            let names = match guild {
                Some(guild) => self.directory.members(guild, &people).await,
                None => BTreeMap::new(),
            };
            for mut heard in heard {
                heard.guild = guild;
                heard.rename(&names);
                if let Some(guild) = guild {
                    self.complete_roles(&mut heard, guild).await;
                }
                self.hear(heard).await?;
            }
            if whole {
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
        let Some(games) = self.games(Some(channel)).await else { return Ok(true) };
        let missed: Vec<Heard> = page.iter().filter(|message| id_of(message) > after).filter_map(Heard::read).collect();
        let guild = self.directory.guild(channel).await;
        for mut heard in missed {
            if let Some(guild) = guild {
                self.complete_roles(&mut heard, guild).await;
            }
            let verdict = self.ears.judge(&mut heard, Some(&games), &self.shared.chat, self.own);
            if let Verdict::Say(_) = verdict {
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

/// A page of messages, oldest first.
fn messages(answer: &Answer) -> Option<Vec<Value>> {
    let mut messages: Vec<Value> = answer.json()?;
    messages.sort_by_key(id_of);
    Some(messages)
}

fn id_of(message: &Value) -> u64 {
    message["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default()
}
