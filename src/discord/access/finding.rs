//! What is wrong with a guild or a channel, and what an operator does about it, in words.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::permissions::Permissions;
use crate::domain::ChannelId;

/// Keys of the configuration that are named; the others are counted.
const KEYS_NAMED: usize = 3;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// What is wrong with it.
    pub problem: Problem,
    /// The keys of the configuration that name it.
    pub keys: Vec<String>,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A guild; people call it a Discord server.
    Guild(u64),
    /// A channel or a thread.
    Channel(ChannelId),
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The guild does not exist, or the bot is not in it.
    UnknownGuild {
        /// The link that invites the bot.
        invite: String,
        /// The guilds of the configured channels, where the bot is.
        found: BTreeSet<u64>,
    },
    /// The channel does not exist.
    UnknownChannel,
    /// Discord does not show the channel to the bot.
    NoAccess,
    /// It is of a kind that takes no messages.
    WrongKind(&'static str),
    /// A thread has no topic.
    TopicOfThread,
    /// It is in a guild that `discord.guild_id` does not name.
    OtherGuild(u64),
    /// The thread is locked, and the bot may not unlock it.
    LockedThread,
    /// The bot is timed out in its guild.
    TimedOut(Timestamp),
    /// These permissions are missing.
    MissingPermissions {
        /// Which.
        missing: Permissions,
        /// Of a thread: the channel whose settings grant them.
        parent: Option<u64>,
    },
}

impl Finding {
    /// What is wrong, as a sentence without its end.
    #[must_use]
    pub fn reason(&self) -> String {
        let what = self.what();
        match &self.problem {
            Problem::UnknownGuild { .. } => {
                format!("{what} is unknown to the bot: the id is wrong, or the bot is not in it")
            }
            Problem::UnknownChannel => format!("{what} does not exist"),
            Problem::NoAccess => format!("the bot has no access to {what}"),
            Problem::WrongKind(kind) => format!("{what} is {kind} and takes no messages"),
            Problem::TopicOfThread => format!("{what} is a thread and has no topic"),
            Problem::OtherGuild(guild) => {
                format!("{what} is in the Discord server {guild}, where slash commands are not registered")
            }
            Problem::LockedThread => format!("{what} is a locked thread"),
            Problem::TimedOut(until) => format!("the bot is timed out until {until:.0} and cannot use {what}"),
            Problem::MissingPermissions { missing, .. } if missing.contains(Permissions::VIEW_CHANNEL) => {
                format!("the bot cannot see {what}")
            }
            Problem::MissingPermissions { missing, .. } => {
                format!("the bot lacks permissions in {what}: {}", missing.names().join(", "))
            }
        }
    }

    /// What to do about it, as a sentence without its end.
    #[must_use]
    pub fn remedy(&self) -> String {
        match &self.problem {
            Problem::UnknownGuild { invite, found } if found.is_empty() => {
                format!("correct the id (right-click the server, Copy Server ID), or invite the bot: {invite}")
            }
            Problem::UnknownGuild { invite, found } => {
                let found: Vec<String> = found.iter().map(u64::to_string).collect();
                format!("the configured channels are in {}: use that id, or invite the bot: {invite}", found.join(", "))
            }
            Problem::UnknownChannel => "correct the id (right-click the channel, Copy Channel ID)".to_owned(),
            Problem::NoAccess => {
                "invite the bot to the channel's Discord server, or grant it View Channel there".to_owned()
            }
            Problem::WrongKind("a forum") => {
                "use the id of one of its posts (right-click the post, Copy Thread ID), or a text channel".to_owned()
            }
            Problem::WrongKind(_) => "use the id of a text channel".to_owned(),
            Problem::TopicOfThread => "use the id of a text channel for the topic".to_owned(),
            Problem::OtherGuild(guild) => {
                format!("add {guild} to `discord.guild_id`, or use a channel of a server that is named there")
            }
            Problem::LockedThread => "unlock the thread, or grant the bot Manage Threads".to_owned(),
            Problem::TimedOut(_) => "remove the timeout from the bot".to_owned(),
            Problem::MissingPermissions { missing, parent } => {
                let place = parent.map_or_else(|| "the channel".to_owned(), |parent| format!("its channel {parent}"));
                // Where View Channel is missing, the reason names only that.
                let all = if missing.contains(Permissions::VIEW_CHANNEL) {
                    missing.names().join(", ")
                } else {
                    "these permissions".to_owned()
                };
                format!("grant the bot {all} in the settings of {place}, page Permissions")
            }
        }
    }

    fn what(&self) -> String {
        let name = match self.subject {
            Subject::Guild(id) => format!("Discord server {id}"),
            Subject::Channel(id) => format!("channel {id}"),
        };
        let keys: Vec<&str> = self.keys.iter().take(KEYS_NAMED).map(String::as_str).collect();
        let more = match self.keys.len() - keys.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if keys.is_empty() { name } else { format!("{name} ({}{more})", keys.join(", ")) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason(), self.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(problem: Problem) -> Finding {
        let keys = vec!["servers.prod.channels.chat".to_owned()];
        Finding { subject: Subject::Channel(ChannelId::new(1002).unwrap()), problem, keys }
    }

    #[test]
    fn a_finding_names_the_channel_the_key_and_the_remedy() {
        assert_eq!(
            finding(Problem::UnknownChannel).to_string(),
            "channel 1002 (servers.prod.channels.chat) does not exist; correct the id (right-click the channel, Copy \
             Channel ID)"
        );
        let missing = Permissions::SEND_MESSAGES.union(Permissions::ATTACH_FILES);
        assert_eq!(
            finding(Problem::MissingPermissions { missing, parent: None }).to_string(),
            "the bot lacks permissions in channel 1002 (servers.prod.channels.chat): Send Messages, Attach Files; grant \
             the bot these permissions in the settings of the channel, page Permissions"
        );
    }

    #[test]
    fn many_keys_are_counted() {
        let keys = (1..=12).map(|server| format!("servers.s{server}.channels.default")).collect();
        let finding = Finding { keys, ..finding(Problem::NoAccess) };
        assert_eq!(
            finding.reason(),
            "the bot has no access to channel 1002 (servers.s1.channels.default, servers.s2.channels.default, \
             servers.s3.channels.default and 9 more)"
        );
    }
}
