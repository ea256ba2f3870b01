//! What the configuration needs of Discord: which guilds, which channels, and which permissions in each. Pure.

use std::collections::BTreeMap;

use super::permissions::Permissions;
use crate::config::Settings;
use crate::config::settings::{Destination, ServerSettings};
use crate::domain::ChannelId;

/// All that the configuration needs of Discord.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// `discord.guild_id`
    pub guilds: Vec<u64>,
    /// By channel.
    pub channels: BTreeMap<ChannelId, Requirement>,
}

/// What is needed of one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    /// The permissions, as for a channel that is no thread.
    pub permissions: Permissions,
    /// The keys of the configuration that name it.
    pub keys: Vec<String>,
}

/// What a channel is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Messages of text, long ones as files. Past messages are searched after an answer that was lost.
    Notices,
    /// A message with an embed.
    Status,
    /// The channel's own topic.
    Topic,
    /// Messages are read, also those written while the relay was away, and answered by reactions.
    ChatSource,
}

impl Purpose {
    fn permissions(self) -> Permissions {
        let own = match self {
            Self::Notices => {
                Permissions::SEND_MESSAGES.union(Permissions::ATTACH_FILES).union(Permissions::READ_MESSAGE_HISTORY)
            }
            Self::Status => {
                Permissions::SEND_MESSAGES.union(Permissions::EMBED_LINKS).union(Permissions::READ_MESSAGE_HISTORY)
            }
            Self::Topic => Permissions::MANAGE_CHANNELS,
            Self::ChatSource => Permissions::READ_MESSAGE_HISTORY.union(Permissions::ADD_REACTIONS),
        };
        own.union(Permissions::VIEW_CHANNEL)
    }
}

impl Requirements {
    /// Those of a configuration.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        let mut all = Self { guilds: settings.discord.guild_ids.clone(), channels: BTreeMap::new() };
        all.guilds.dedup();
        for server in &settings.servers {
            all.add_server(settings, server);
        }
        all.add_events(settings);
        for (channel, games) in &settings.chat.feeds {
            for tag in games {
                all.add(*channel, Purpose::ChatSource, format!("servers.{tag}.chat_from"));
            }
        }
        all
    }

    /// The permissions of all channels together, for an invite link.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.channels.values().fold(Permissions::NONE, |all, channel| all.union(channel.permissions))
    }

    fn add_server(&mut self, settings: &Settings, server: &ServerSettings) {
        let tag = &server.tag;
        self.add(server.channels.default, Purpose::Notices, format!("servers.{tag}.channels.default"));
        for (route, channel) in &server.channels.routes {
            self.add(*channel, Purpose::Notices, format!("servers.{tag}.channels.{}", route.as_str()));
        }
        if let Destination::Channel(channel) = server.alerts.destination
            && !server.alerts.rules.is_empty()
        {
            self.add(channel, Purpose::Notices, "alerts.channel".to_owned());
        }
        if let Some(channel) = settings.status.messages.get(tag) {
            self.add(*channel, Purpose::Status, format!("servers.{tag}.channels.status"));
        }
        if let Some(channel) = settings.status.topics.get(tag) {
            self.add(*channel, Purpose::Topic, format!("servers.{tag}.channels.topic"));
        }
    }

    /// The channels that events name themselves.
    fn add_events(&mut self, settings: &Settings) {
        for (kind, event) in &settings.events.overrides {
            if let Some(Destination::Channel(channel)) = event.channel
                && event.enabled != Some(false)
            {
                self.add(channel, Purpose::Notices, format!("events.{kind}.channel"));
            }
        }
        for pattern in settings.events.patterns.iter().filter(|pattern| !pattern.silence) {
            if let Destination::Channel(channel) = pattern.channel {
                self.add(channel, Purpose::Notices, format!("the channel of the pattern `{}`", pattern.id));
            }
        }
    }

    fn add(&mut self, channel: ChannelId, purpose: Purpose, key: String) {
        let required = self.channels.entry(channel).or_default();
        required.permissions = required.permissions.union(purpose.permissions());
        if !required.keys.contains(&key) {
            required.keys.push(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load};

    fn requirements(more: &str) -> Requirements {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let text = format!("[discord]\ntoken = \"t\"\nguild_id = 100\n{more}");
        std::fs::write(&path, text).unwrap();
        let env = Environment { vars: [].into(), secrets_dir: dir.path().join("secrets") };
        Requirements::from_settings(&load(&path, &env).unwrap_or_else(|errors| panic!("{errors}")).settings)
    }

    fn names(requirements: &Requirements, channel: u64) -> Vec<&'static str> {
        requirements.channels[&ChannelId::new(channel).unwrap()].permissions.names()
    }

    #[test]
    fn a_channel_needs_only_what_it_is_used_for() {
        let all = requirements(
            "[servers.prod]\nconsole_log = \"a.log\"\nchat_from = [4]\n\
             channels = { default = 1, status = 2, topic = 3 }\n\
             rcon = { port = 1, password = \"p\" }\n",
        );
        assert_eq!(names(&all, 1), ["View Channel", "Send Messages", "Attach Files", "Read Message History"]);
        assert_eq!(names(&all, 2), ["View Channel", "Send Messages", "Embed Links", "Read Message History"]);
        assert_eq!(names(&all, 3), ["View Channel", "Manage Channels"]);
        assert_eq!(names(&all, 4), ["View Channel", "Read Message History", "Add Reactions"]);
        assert_eq!(all.guilds, [100]);
    }

    #[test]
    fn a_channel_knows_every_key_that_names_it() {
        let all = requirements(
            "[alerts]\nchannel = 5\n[events.join]\nchannel = 6\n[events.leave]\nchannel = 7\nenabled = false\n\
             [servers.prod]\nconsole_log = \"a.log\"\nchannels = { default = 1, chat = 5 }\n\
             [servers.test]\nconsole_log = \"b.log\"\nchannels = { default = 1 }\n",
        );
        let keys = |channel| all.channels[&ChannelId::new(channel).unwrap()].keys.clone();
        assert_eq!(keys(1), ["servers.prod.channels.default", "servers.test.channels.default"]);
        assert_eq!(keys(5), ["servers.prod.channels.chat", "alerts.channel"]);
        assert_eq!(keys(6), ["events.join.channel"]);
        assert!(!all.channels.contains_key(&ChannelId::new(7).unwrap()), "an event that is off needs no channel");
    }
}
