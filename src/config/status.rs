//! `[status]` and the channels `status` and `topic` of a server: what Discord shows of the games without being asked.

use std::collections::BTreeMap;
use std::time::Duration;

use super::file::{ServerSection, StatusSection};
use super::problem::Problems;
use super::settings::StatusSettings;
use crate::domain::{ChannelId, ServerTag, StatusTemplate};

/// The channels of the servers that have them.
#[derive(Debug, Default)]
pub(super) struct StatusChannels {
    messages: BTreeMap<ServerTag, ChannelId>,
    topics: BTreeMap<ServerTag, ChannelId>,
}

/// `channels.status` and `channels.topic` of each server.
pub(super) fn channels<'a>(servers: impl Iterator<Item = (&'a ServerTag, &'a ServerSection)>) -> StatusChannels {
    let mut all = StatusChannels::default();
    for (tag, server) in servers {
        let Some(channels) = &server.channels else { continue };
        all.messages.extend(channels.status.map(|channel| (tag.clone(), channel)));
        all.topics.extend(channels.topic.map(|channel| (tag.clone(), channel)));
    }
    all
}

/// Checks and resolves `[status]`. `None` means that problems were added.
pub(super) fn resolve(
    section: &StatusSection,
    channels: StatusChannels,
    park_retry: Duration,
    problems: &mut Problems<'_>,
) -> Option<StatusSettings> {
    let mut within = |key: &str, value: Duration, least: Duration, most: Duration, range: &str| {
        if value < least || value > most {
            problems.add(&format!("status.{key}"), format!("out of range: {range}"));
        }
    };
    within("floor", section.floor, Duration::from_secs(1), Duration::from_hours(1), "1s to 1h");
    within("channel_floor", section.channel_floor, Duration::from_mins(5), Duration::from_hours(24), "5m to 1d");
    one_topic_each(&channels.topics, problems);
    let topic = template("topic", &section.topic, problems);
    let channel_name = section.channel_name.as_ref().map(|source| template("channel_name", source, problems));
    let StatusChannels { messages, topics } = if section.enabled { channels } else { StatusChannels::default() };
    Some(StatusSettings {
        floor: section.floor,
        presence: section.presence,
        topic: topic?,
        channel_name: match channel_name {
            Some(template) => Some(template?),
            None => None,
        },
        channel_floor: section.channel_floor,
        park_retry,
        messages,
        topics,
    })
}

/// A channel has one topic: two servers would overwrite each other's.
fn one_topic_each(topics: &BTreeMap<ServerTag, ChannelId>, problems: &mut Problems<'_>) {
    let mut seen = BTreeMap::new();
    for (tag, channel) in topics {
        if let Some(other) = seen.insert(*channel, tag) {
            let message = format!("the same channel as `servers.{other}.channels.topic`: it has one topic");
            problems.add(&format!("servers.{tag}.channels.topic"), message);
        }
    }
}

fn template(key: &str, source: &str, problems: &mut Problems<'_>) -> Option<StatusTemplate> {
    StatusTemplate::parse(source).map_err(|error| problems.add(&format!("status.{key}"), error.to_string())).ok()
}
