//! Compares what the configuration needs with what Discord shows. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::finding::{Finding, Problem, Subject};
use super::objects::{Channel, ChannelKind, Guild, Member};
use super::permissions::{Permissions, channel_permissions, guild_permissions};
use super::requirements::{Requirement, Requirements};
use crate::domain::ChannelId;

/// What Discord showed.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// The bot's user id.
    pub(super) bot: u64,
    /// By id; `None` where the guild is unknown to the bot.
    pub(super) guilds: BTreeMap<u64, Option<ObservedGuild>>,
    /// The configured channels.
    pub(super) channels: BTreeMap<ChannelId, ObservedChannel>,
}

#[derive(Debug)]
pub(super) struct ObservedGuild {
    pub(super) guild: Guild,
    /// The bot.
    pub(super) member: Member,
    /// All but threads.
    pub(super) channels: BTreeMap<u64, Channel>,
}

#[derive(Debug)]
pub(super) enum ObservedChannel {
    /// In this guild; a private chat has none.
    Found(Channel, Option<u64>),
    Unknown,
    NoAccess,
}

/// What is wrong, at most one finding for each guild and channel: the one to mend first.
pub(super) fn judge(required: &Requirements, observed: &Observed, now: Timestamp) -> Vec<Finding> {
    let guilds = required.guilds.iter().filter_map(|id| unknown_guild(*id, required, observed));
    let mut findings: Vec<Finding> = guilds.collect();
    let guilds_are_known = findings.is_empty();
    for (id, requirement) in &required.channels {
        let problem = match observed.channels.get(id) {
            None => None,
            Some(ObservedChannel::Unknown) => Some(Problem::UnknownChannel),
            Some(ObservedChannel::NoAccess) => Some(Problem::NoAccess),
            Some(ObservedChannel::Found(channel, guild)) => {
                let seen = guild.and_then(|guild| Some((guild, observed.guilds.get(&guild)?.as_ref()?)));
                let elsewhere = || other_guild(*guild, required).filter(|_| guilds_are_known);
                wrong_use(channel, requirement)
                    .or_else(|| lacking((channel, requirement), observed.bot, seen?, now))
                    .or_else(elsewhere)
            }
        };
        let subject = Subject::Channel(*id);
        findings.extend(problem.map(|problem| Finding { subject, problem, keys: requirement.keys.clone() }));
    }
    findings
}

fn unknown_guild(id: u64, required: &Requirements, observed: &Observed) -> Option<Finding> {
    if !matches!(observed.guilds.get(&id), Some(None)) {
        return None;
    }
    let guild_of = |channel: &ObservedChannel| match channel {
        ObservedChannel::Found(_, guild) => *guild,
        ObservedChannel::Unknown | ObservedChannel::NoAccess => None,
    };
    let found: BTreeSet<u64> = observed.channels.values().filter_map(guild_of).collect();
    let found = found.into_iter().filter(|guild| !required.guilds.contains(guild)).collect();
    let invite = format!(
        "https://discord.com/oauth2/authorize?client_id={}&scope=bot&permissions={}",
        observed.bot,
        required.permissions().bits()
    );
    let problem = Problem::UnknownGuild { invite, found };
    Some(Finding { subject: Subject::Guild(id), problem, keys: vec!["discord.guild_id".to_owned()] })
}

/// Channels whose kind cannot do what is wanted, whatever the permissions.
fn wrong_use(channel: &Channel, requirement: &Requirement) -> Option<Problem> {
    match channel.kind {
        ChannelKind::Thread => {
            requirement.permissions.contains(Permissions::MANAGE_CHANNELS).then_some(Problem::TopicOfThread)
        }
        ChannelKind::Category => Some(Problem::WrongKind("a category")),
        ChannelKind::Forum if requirement.permissions.contains(Permissions::SEND_MESSAGES) => {
            Some(Problem::WrongKind("a forum"))
        }
        // A forum has a topic.
        ChannelKind::Messages | ChannelKind::Voice | ChannelKind::Forum => None,
        ChannelKind::Private => Some(Problem::WrongKind("a private chat")),
        ChannelKind::Directory => Some(Problem::WrongKind("a directory")),
    }
}

/// Slash commands are registered in the configured guilds alone; without any, there are none.
fn other_guild(guild: Option<u64>, required: &Requirements) -> Option<Problem> {
    let elsewhere = guild.filter(|guild| !required.guilds.is_empty() && !required.guilds.contains(guild));
    elsewhere.map(Problem::OtherGuild)
}

fn lacking(
    (channel, requirement): (&Channel, &Requirement),
    bot: u64,
    (guild_id, seen): (u64, &ObservedGuild),
    now: Timestamp,
) -> Option<Problem> {
    let is_thread = channel.kind == ChannelKind::Thread;
    let parent = channel.parent_id.filter(|_| is_thread).map(|parent| parent.0);
    // A thread has no overwrites of its own.
    let of_parent = parent.and_then(|parent| seen.channels.get(&parent));
    let overwrites = &of_parent.unwrap_or(channel).permission_overwrites;
    let member = (bot, &seen.member);
    let base = guild_permissions(guild_id, seen.guild.owner_id.0, &seen.guild.roles, member);
    let held = channel_permissions(base, guild_id, member, overwrites);
    let needed = match channel.kind {
        ChannelKind::Thread => in_thread(requirement.permissions),
        // Without Connect, Discord denies everything else there.
        ChannelKind::Voice => requirement.permissions.union(Permissions::CONNECT),
        _ => requirement.permissions,
    };
    let missing = needed.without(held);
    if !missing.is_none() {
        return Some(Problem::MissingPermissions { missing, parent });
    }
    let only_reads = Permissions::VIEW_CHANNEL.union(Permissions::READ_MESSAGE_HISTORY);
    let timed_out = seen.member.communication_disabled_until.filter(|until| *until > now);
    if let Some(until) = timed_out.filter(|_| base != Permissions::ALL && !only_reads.contains(needed)) {
        return Some(Problem::TimedOut(until));
    }
    let locked = channel.thread_metadata.as_ref().is_some_and(|thread| thread.locked);
    let writes = needed.contains(Permissions::SEND_MESSAGES_IN_THREADS);
    (locked && writes && !held.contains(Permissions::MANAGE_THREADS)).then_some(Problem::LockedThread)
}

/// In a thread, another permission than in its channel lets the bot write.
fn in_thread(permissions: Permissions) -> Permissions {
    if permissions.contains(Permissions::SEND_MESSAGES) {
        return permissions.without(Permissions::SEND_MESSAGES).union(Permissions::SEND_MESSAGES_IN_THREADS);
    }
    permissions
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
