//! What roles and channels are called, asked of Discord when a message mentions them, and remembered for a while.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::debug;

use super::Shared;
use crate::domain::ChannelId;

/// How long a name holds.
const FRESH: Duration = Duration::from_mins(10);
/// How long a failure holds.
const FAILED: Duration = Duration::from_mins(1);
/// Channels remembered.
const MOST: usize = 1000;

#[derive(Debug, Clone, Deserialize)]
struct Channel {
    name: Option<String>,
    guild_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Guild {
    roles: Vec<Role>,
}

#[derive(Debug, Clone, Deserialize)]
struct Role {
    id: String,
    name: String,
}

/// Until when it holds, and what it is.
type Known<T> = (Instant, Option<T>);

pub(super) struct Directory {
    shared: Arc<Shared>,
    channels: HashMap<u64, Known<Channel>>,
    roles: HashMap<String, Known<BTreeMap<u64, String>>>,
}

impl Directory {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, channels: HashMap::new(), roles: HashMap::new() }
    }

    /// The names of these channels, as far as the bot may see them.
    pub(super) async fn channels(&mut self, ids: &BTreeSet<u64>) -> BTreeMap<u64, String> {
        let mut names = BTreeMap::new();
        for id in ids {
            names.extend(self.channel(*id).await.and_then(|channel| Some((*id, channel.name?))));
        }
        names
    }

    /// The names of the roles of the Discord server that `channel` is in.
    pub(super) async fn roles(&mut self, channel: ChannelId) -> BTreeMap<u64, String> {
        let Some(guild) = self.channel(channel.get()).await.and_then(|channel| channel.guild_id) else {
            return BTreeMap::new();
        };
        if let Some((_, roles)) = self.roles.get(&guild).filter(|(until, _)| *until > Instant::now()) {
            return roles.clone().unwrap_or_default();
        }
        let asked: Option<Guild> = self.ask(&format!("/guilds/{guild}")).await;
        let named = |role: Role| Some((role.id.parse().ok()?, role.name));
        let roles: Option<BTreeMap<_, _>> = asked.map(|guild| guild.roles.into_iter().filter_map(named).collect());
        self.roles.insert(guild, (holds_until(roles.is_some()), roles.clone()));
        roles.unwrap_or_default()
    }

    async fn channel(&mut self, id: u64) -> Option<Channel> {
        if let Some((_, channel)) = self.channels.get(&id).filter(|(until, _)| *until > Instant::now()) {
            return channel.clone();
        }
        let channel: Option<Channel> = self.ask(&format!("/channels/{id}")).await;
        if self.channels.len() >= MOST {
            self.channels.clear();
        }
        self.channels.insert(id, (holds_until(channel.is_some()), channel.clone()));
        channel
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        match self.shared.rest.get(path).await {
            Ok(answer) if answer.status.is_success() => answer.json(),
            Ok(answer) => {
                debug!(path, status = answer.status.as_u16(), "Discord does not tell a name");
                None
            }
            Err(error) => {
                debug!(path, %error, "Discord does not tell a name");
                None
            }
        }
    }
}

fn holds_until(known: bool) -> Instant {
    Instant::now() + if known { FRESH } else { FAILED }
}
