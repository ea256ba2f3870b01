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

use super::clean::{Mentioned, Names};
use crate::discord::rest::Rest;
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
    #[serde(rename = "type", default)]
    kind: u8,
    name: Option<String>,
    guild_id: Option<String>,
    parent_id: Option<String>,
}

/// A channel's kinds that are public threads; the posts of a forum are of the second.
const PUBLIC_THREADS: [u8; 2] = [10, 11];

#[derive(Debug, Deserialize)]
struct ActiveThreads {
    threads: Vec<ActiveThread>,
}

#[derive(Debug, Deserialize)]
struct ActiveThread {
    id: String,
    #[serde(flatten)]
    channel: Channel,
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
    #[serde(default)]
    roles: Vec<String>,
    user: User,
}

/// A member of a Discord server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::discord) struct KnownMember {
    /// As the others see them.
    pub(in crate::discord) name: String,
    /// Their roles; `None` where only the name is known.
    pub(in crate::discord) roles: Option<BTreeSet<u64>>,
}

impl From<Member> for KnownMember {
    fn from(member: Member) -> Self {
        let name = member.nick.or(member.user.global_name).unwrap_or(member.user.username);
        let roles = member.roles.iter().filter_map(|role| role.parse().ok()).collect();
        Self { name, roles: Some(roles) }
    }
}

#[derive(Debug, Deserialize)]
struct User {
    global_name: Option<String>,
    username: String,
}

/// Until when it holds, and what it is.
type Known<T> = (Instant, Option<T>);

pub(in crate::discord) struct Directory {
    rest: Arc<Rest>,
    channels: HashMap<u64, Known<Channel>>,
    roles: HashMap<u64, Known<BTreeMap<u64, String>>>,
    /// By the Discord server and the user.
    members: HashMap<(u64, u64), Known<KnownMember>>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl Directory {
    /// Knows nothing yet and asks by `rest`.
    pub(in crate::discord) fn new(rest: Arc<Rest>) -> Self {
        Self { rest, channels: HashMap::new(), roles: HashMap::new(), members: HashMap::new() }
    }

    /// What the ids of a text are called in `guild`, as far as the bot may see it; `users` are known already.
    pub(in crate::discord) async fn names(
        &mut self,
        guild: Option<u64>,
        ids: &Mentioned,
        mut users: BTreeMap<u64, String>,
    ) -> Names {
        let unknown: BTreeSet<u64> = ids.users.iter().filter(|id| !users.contains_key(id)).copied().collect();
        let mut roles = BTreeMap::new();
        if let Some(guild) = guild {
            users.extend(self.members(guild, &unknown).await);
            if !ids.roles.is_empty() {
                roles = self.roles(guild).await;
            }
        }
        Names { users, roles, channels: self.channels(&ids.channels).await }
    }

    /// The names of these channels, as far as the bot may see them.
    async fn channels(&mut self, ids: &BTreeSet<u64>) -> BTreeMap<u64, String> {
        let mut names = BTreeMap::new();
        for id in ids {
            names.extend(self.channel(*id).await.and_then(|channel| Some((*id, channel.name?))));
        }
        names
    }

    /// The names of the roles of a Discord server.
    async fn roles(&mut self, guild: u64) -> BTreeMap<u64, String> {
        if let Some((_, roles)) = self.roles.get(&guild).filter(|(until, _)| *until > Instant::now()) {
            return roles.clone().unwrap_or_default();
        }
        let asked: Option<Guild> = self.ask(&format!("/guilds/{guild}")).await;
        let named = |role: Role| Some((role.id.parse().ok()?, role.name));
        let roles: Option<BTreeMap<_, _>> = asked.map(|guild| guild.roles.into_iter().filter_map(named).collect());
        self.roles.insert(guild, (holds_until(roles.is_some()), roles.clone()));
        roles.unwrap_or_default()
    }

    /// The Discord server that `channel` is in.
    pub(super) async fn guild(&mut self, channel: ChannelId) -> Option<u64> {
        self.channel(channel.get()).await?.guild_id?.parse().ok()
    }

    /// The channel above a public thread; `None` for everything else.
    pub(super) async fn parent_of_public_thread(&mut self, channel: ChannelId) -> Option<ChannelId> {
        parent_of_public_thread(&self.channel(channel.get()).await?)
    }

    /// The public threads of a Discord server that are not archived, with the channels above them; `None` where Discord
    /// does not answer.
    pub(super) async fn active_threads(&mut self, guild: u64) -> Option<Vec<(ChannelId, ChannelId)>> {
        let active: ActiveThreads = self.ask(&format!("/guilds/{guild}/threads/active")).await?;
        let mut threads = Vec::new();
        for thread in active.threads {
            let id = thread.id.parse().ok().and_then(ChannelId::new);
            threads.extend(id.zip(parent_of_public_thread(&thread.channel)));
        }
        Some(threads)
    }

    /// The gateway named a member.
    pub(super) fn meet(&mut self, guild: u64, id: u64, member: KnownMember) {
        self.remember(guild, id, Some(member));
    }

    /// What of these people is known without asking.
    pub(super) fn known_members(&self, guild: u64, ids: impl Iterator<Item = u64>) -> BTreeMap<u64, String> {
        ids.filter_map(|id| Some((id, self.member(guild, id)?.1.as_ref()?.name.clone()))).collect()
    }

    /// What the members of a Discord server call these people. Never takes long.
    pub(super) async fn members(&mut self, guild: u64, ids: &BTreeSet<u64>) -> BTreeMap<u64, String> {
        let unknown: Vec<u64> = ids.iter().copied().filter(|id| self.member(guild, *id).is_none()).collect();
        self.learn(guild, &unknown).await;
        self.known_members(guild, ids.iter().copied())
    }

    /// The roles of a member; `None` where Discord does not say them.
    pub(super) async fn member_roles(&mut self, guild: u64, id: u64) -> Option<BTreeSet<u64>> {
        let known = |member: &KnownMember| member.roles.is_some();
        if !self.member(guild, id).is_some_and(|(_, member)| member.as_ref().is_none_or(known)) {
            self.learn(guild, &[id]).await;
        }
        self.member(guild, id)?.1.as_ref()?.roles.clone()
    }

    async fn learn(&mut self, guild: u64, ids: &[u64]) {
        let mut answers = self.ask_for_members(guild, ids).await;
        for id in ids {
            self.remember(guild, *id, answers.remove(id));
        }
    }

    async fn ask_for_members(&self, guild: u64, ids: &[u64]) -> BTreeMap<u64, KnownMember> {
        let ask = |id: u64| async move { (id, self.ask::<Member>(&format!("/guilds/{guild}/members/{id}")).await) };
        let mut answers = iter(ids.iter().copied()).map(ask).buffer_unordered(AT_ONCE);
        let mut members = BTreeMap::new();
        let deadline = Instant::now() + MEMBERS;
        while let Ok(Some((id, member))) = timeout_at(deadline, answers.next()).await {
            members.extend(member.map(|member| (id, KnownMember::from(member))));
        }
        members
    }

    /// `None` where a member must be asked for.
    fn member(&self, guild: u64, id: u64) -> Option<&Known<KnownMember>> {
        self.members.get(&(guild, id)).filter(|(until, _)| *until > Instant::now())
    }

    fn remember(&mut self, guild: u64, id: u64, member: Option<KnownMember>) {
        if self.members.len() >= MOST {
            self.members.clear();
        }
        self.members.insert((guild, id), (holds_until(member.is_some()), member));
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
        match self.rest.get(path).await {
            Ok(answer) if answer.status.is_success() => answer.json(),
            Ok(answer) => {
                debug!(path, status = answer.status.as_u16(), "Failed to look up a name in Discord");
                None
            }
            Err(error) => {
                debug!(path, %error, "Failed to look up a name in Discord");
                None
            }
        }
    }
}

fn parent_of_public_thread(channel: &Channel) -> Option<ChannelId> {
    let parent = channel.parent_id.as_ref().filter(|_| PUBLIC_THREADS.contains(&channel.kind))?;
    parent.parse().ok().and_then(ChannelId::new)
}

fn holds_until(known: bool) -> Instant {
    Instant::now() + if known { FRESH } else { FAILED }
}
