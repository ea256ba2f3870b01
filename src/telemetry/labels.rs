//! What labels may say: closed sets where there are some, and where not, what bounds them.

use super::metrics::{self, ErrorType, Metric};
use crate::domain::{AlertKind, EventKind, Lane};
use crate::health::Component;

/// What a request to the Discord API asks for: the closed set of `route` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DiscordRoute {
    /// Sends a message.
    MessageSend,
    /// Changes a message.
    MessageEdit,
    /// Deletes a message.
    MessageDelete,
    /// Looks through a channel's messages.
    MessageList,
    /// Sets or takes away a reaction.
    Reaction,
    /// Reads a channel.
    ChannelRead,
    /// Changes a channel's name or topic.
    ChannelEdit,
    /// Reads a guild or a member of it.
    GuildRead,
    /// Answers a slash command for the first time.
    InteractionAnswer,
    /// Completes or changes the answer to a slash command.
    InteractionFollowup,
    /// Registers slash commands.
    CommandRegistration,
    /// Asks who the bot is and what it may.
    Identity,
    /// Asks where the gateway is.
    Gateway,
    /// Something else.
    Other,
}

impl DiscordRoute {
    /// All routes.
    pub const ALL: [Self; 14] = [
        Self::MessageSend,
        Self::MessageEdit,
        Self::MessageDelete,
        Self::MessageList,
        Self::Reaction,
        Self::ChannelRead,
        Self::ChannelEdit,
        Self::GuildRead,
        Self::InteractionAnswer,
        Self::InteractionFollowup,
        Self::CommandRegistration,
        Self::Identity,
        Self::Gateway,
        Self::Other,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageSend => "message_send",
            Self::MessageEdit => "message_edit",
            Self::MessageDelete => "message_delete",
            Self::MessageList => "message_list",
            Self::Reaction => "reaction",
            Self::ChannelRead => "channel_read",
            Self::ChannelEdit => "channel_edit",
            Self::GuildRead => "guild_read",
            Self::InteractionAnswer => "interaction_answer",
            Self::InteractionFollowup => "interaction_followup",
            Self::CommandRegistration => "command_registration",
            Self::Identity => "identity",
            Self::Gateway => "gateway",
            Self::Other => "other",
        }
    }
}

/// How requests to the Discord API are answered: the `status` values of [`metrics::DISCORD_REQUESTS`].
pub const DISCORD_STATUSES: [&str; 6] = ["2xx", "3xx", "4xx", "429", "5xx", "error"];

/// How RCON commands end: the `outcome` values of [`metrics::RCON_COMMANDS`].
pub const RCON_OUTCOMES: [&str; 8] =
    ["answered", "timed_out", "broken", "unreachable", "queue_full", "waited_too_long", "refused", "stopping"];

/// Who counts failures: the `component` values of [`metrics::ERRORS`].
pub const ERROR_COMPONENTS: [&str; 7] =
    ["discord", "log_tailer", "pipeline", "delivery", "store", "rcon", "supervisor"];

/// How slash commands end: the `outcome` values of [`metrics::SLASH_COMMANDS`].
pub const SLASH_OUTCOMES: [&str; 9] =
    ["done", "refused", "denied", "bad_input", "failed", "unknown", "rate_limited", "cancelled", "expired"];

/// What a label may say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// These words.
    pub closed: Vec<&'static str>,
    /// And what this names: few, for the configuration or the code bounds them.
    pub named_by: Option<&'static str>,
}

impl Values {
    fn named_by(what: &'static str) -> Self {
        Self { closed: Vec::new(), named_by: Some(what) }
    }

    fn or_named_by(self, what: &'static str) -> Self {
        Self { named_by: Some(what), ..self }
    }
}

impl FromIterator<&'static str> for Values {
    fn from_iter<I: IntoIterator<Item = &'static str>>(words: I) -> Self {
        Self { closed: words.into_iter().collect(), named_by: None }
    }
}

/// What `label` of `metric` may say; `None` where nobody wrote it down.
#[must_use]
pub fn values(metric: &Metric, label: &str) -> Option<Values> {
    of_one_metric(metric.name, label).or_else(|| of_every_metric(label))
}

/// Labels that mean the same wherever they stand.
fn of_every_metric(label: &str) -> Option<Values> {
    Some(match label {
        "server" => Values::named_by("the tags of the configured servers"),
        "component" => Component::ALL.into_iter().map(Component::as_str).collect(),
        "error_type" => ErrorType::ALL.into_iter().map(ErrorType::as_str).collect(),
        "event_type" => {
            let kinds: Values = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            kinds.or_named_by("the `event` keys of `[[patterns]]`")
        }
        "source" => Values::from_iter(["console", "engine"]).or_named_by("the keys of `mod_logs`"),
        "lane" => Lane::ALL.into_iter().map(Lane::as_str).collect(),
        "alert" => AlertKind::ALL.iter().map(|kind| kind.as_str()).collect(),
        "family" => Values::named_by("the metrics of [game-metrics.md](game-metrics.md) that have a `name`"),
        "command" => Values::named_by("the commands of [commands.md](commands.md)"),
        "task" => Values::named_by("the tasks of the program, some of them once for each log or game"),
        "version" => Values::named_by("the version of the program"),
        "route" => DiscordRoute::ALL.into_iter().map(DiscordRoute::as_str).collect(),
        "status" => DISCORD_STATUSES.into_iter().collect(),
        "scope" => Values::from_iter(["user", "global", "shared", "unknown"]),
        _ => return None,
    })
}

/// Labels whose words are a metric's own.
fn of_one_metric(metric: &str, label: &str) -> Option<Values> {
    let words: &[&str] = match (metric, label) {
        (metrics::ERRORS, "component") => &ERROR_COMPONENTS,
        (metrics::RCON_COMMANDS, "outcome") => &RCON_OUTCOMES,
        (metrics::SLASH_COMMANDS, "outcome") => &SLASH_OUTCOMES,
        (metrics::INBOUND_CHATS, "outcome") => &["said", "doubt", "expired"],
        (metrics::DELIVERIES, "outcome") => &["delivered", "retry", "parked", "rejected"],
        (metrics::TRACE_SPANS, "outcome") => &["exported", "failed", "dropped"],
        (metrics::STATUS_UPDATES, "outcome") => &["done", "gone", "retry", "refused"],
        (metrics::STATUS_UPDATES, "what") => &["message", "channel", "presence"],
        (metrics::GATEWAY_EVENTS_DROPPED, "kind") => {
            &["interaction", "ready", "message", "message_update", "message_delete"]
        }
        (metrics::GATEWAY_EVENTS_UNDECODABLE, "kind") => {
            &["envelope", "interaction", "message", "message_update", "message_delete"]
        }
        (metrics::PROMETHEUS_FILE_DROPPED, "reason") => &["invalid", "cap", "collision"],
        (metrics::LOG_SUPPRESSED, "level") => &["warn", "error"],
        (metrics::ALERTS, "change") => &["fired", "grown", "reminded", "recovered"],
        _ => return None,
    };
    Some(words.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::super::metrics::METRICS;
    use super::*;

    #[test]
    fn every_label_of_the_table_is_bounded() {
        let labels = METRICS.iter().flat_map(|metric| metric.labels.iter().map(move |label| (metric, *label)));
        let open: Vec<_> =
            labels.filter(|(metric, label)| values(metric, label).is_none()).map(|(m, l)| (m.name, l)).collect();
        assert!(open.is_empty(), "say in src/telemetry/labels.rs what bounds {open:?}");
    }

    #[test]
    fn every_component_may_fail() {
        assert!(Component::ALL.into_iter().all(|component| ERROR_COMPONENTS.contains(&component.as_str())));
    }
}
