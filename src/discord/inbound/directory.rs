//! What roles, channels and members are called, asked of Discord when a message needs it, and remembered for a while.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::Shared;
use crate::domain::ChannelId;

/// How long a name holds.
const FRESH: Duration = Duration::from_mins(10);
/// How long a failure holds.
const FAILED: Duration = Duration::from_mins(1);
/// Channels remembered, and members.
const MOST: usize = 1000;
/// How long all members of a page of messages are asked for together: who is not known then is called by the name
/// that is known everywhere.
const MEMBERS: Duration = Duration::from_secs(1);
/// Members asked for at once.
const AT_ONCE: usize = 8;

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

#[derive(Debug, Deserialize)]
struct Member {
    nick: Option<String>,
    user: User,
}

#[derive(Debug, Deserialize)]
struct User {
    global_name: Option<String>,
    username: String,
}

/// Until when it holds, and what it is.
type Known<T> = (Instant, Option<T>);

pub(super) struct Directory {
    shared: Arc<Shared>,
    channels: HashMap<u64, Known<Channel>>,
    roles: HashMap<String, Known<BTreeMap<u64, String>>>,
    /// By the Discord server and the user.
    members: HashMap<(String, u64), Known<String>>,
}

impl Directory {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, channels: HashMap::new(), roles: HashMap::new(), members: HashMap::new() }
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

    /// The gateway named a member.
    pub(super) fn meet(&mut self, guild: &str, member: u64, name: &str) {
        self.remember(guild, member, Some(name.to_owned()));
    }

    /// What of these people is known without asking.
    pub(super) fn known_members(&self, guild: &str, ids: impl Iterator<Item = u64>) -> BTreeMap<u64, String> {
        ids.filter_map(|id| Some((id, self.member(guild, id)?.1.clone()?))).collect()
    }

    /// What members of the Discord server that `channel` is in call these people. Never takes long.
    pub(super) async fn members(&mut self, channel: ChannelId, ids: &BTreeSet<u64>) -> BTreeMap<u64, String> {
        let Some(guild) = self.channel(channel.get()).await.and_then(|channel| channel.guild_id) else {
            return BTreeMap::new();
        };
        let unknown: Vec<u64> = ids.iter().copied().filter(|id| self.member(&guild, *id).is_none()).collect();
        let told = self.ask_for_members(&guild, &unknown).await;
        for id in unknown {
            self.remember(&guild, id, told.get(&id).cloned());
        }
        self.known_members(&guild, ids.iter().copied())
    }

    async fn ask_for_members(&self, guild: &str, ids: &[u64]) -> BTreeMap<u64, String> {
        let ask = |id: u64| async move { (id, self.ask::<Member>(&format!("/guilds/{guild}/members/{id}")).await) };
        let mut answers = iter(ids.iter().copied()).map(ask).buffer_unordered(AT_ONCE);
        let mut told = BTreeMap::new();
        let deadline = Instant::now() + MEMBERS;
        while let Ok(Some((id, member))) = timeout_at(deadline, answers.next()).await {
            let name = |member: Member| member.nick.or(member.user.global_name).unwrap_or(member.user.username);
            told.extend(member.map(|member| (id, name(member))));
        }
        told
    }

    /// `None` where a member must be asked for.
    fn member(&self, guild: &str, id: u64) -> Option<&Known<String>> {
        self.members.get(&(guild.to_owned(), id)).filter(|(until, _)| *until > Instant::now())
    }

    fn remember(&mut self, guild: &str, member: u64, name: Option<String>) {
        if self.members.len() >= MOST {
            self.members.clear();
        }
        self.members.insert((guild.to_owned(), member), (holds_until(name.is_some()), name));
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
