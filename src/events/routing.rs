//! From an event to its channel, lane and wording: the defaults, and what the operator changed of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::defaults::{BuiltIn, COMMON, Relayed};
use super::patterns::Patterns;
use super::template::Template;
use crate::config::settings::{
    Destination, EventOverride, EventSettings, MentionSettings, ServerChannels, ServerSettings,
};
use crate::domain::{ChannelId, EventKind, Lane, ServerTag};

/// What happens with every event, compiled once from `[events.*]` and `[[patterns]]`.
#[derive(Debug)]
pub struct EventRules {
    /// In the order of [`EventKind::ALL`].
    rules: Vec<Rule>,
    pub(super) patterns: Patterns,
    pub(super) mentions: MentionSettings,
    /// Channels in which lines begin with the server's name.
    shared: BTreeSet<ChannelId>,
}

/// What happens with one built-in kind.
#[derive(Debug)]
pub(super) struct Rule {
    /// The event's key.
    pub(super) key: Arc<str>,
    pub(super) destination: Destination,
    pub(super) lane: Lane,
    content: Template,
    raw_content: Template,
    plain: Template,
    raw_plain: Template,
    relayed: Relayed,
    /// `content` is the operator's.
    own_content: bool,
}

/// Everything that is wrong with `[events.*]` and `[[patterns]]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct RuleError {
    /// One for each mistake, in the order of the event kinds, then of the patterns.
    pub problems: Vec<RuleProblem>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleProblem {
    /// The key in the configuration: `events.chat.template`, `patterns.deaths.template`.
    pub key: String,
    /// What is wrong with it, for people.
    pub problem: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl EventRules {
    /// Compiles the operator's settings on top of the defaults.
    ///
    /// # Errors
    /// Names every template that does not parse, every placeholder its event does not have, and every event that is
    /// to be relayed though it never can be.
    pub fn new(settings: &EventSettings) -> Result<Self, RuleError> {
        let mut problems = Vec::new();
        let unchanged = EventOverride::default();
        let change = |kind| settings.overrides.get(kind).unwrap_or(&unchanged);
        let rules = EventKind::ALL.iter().map(|kind| Rule::new(*kind, change(kind), &mut problems)).collect();
        let patterns = Patterns::new(&settings.patterns, &mut problems);
        if problems.is_empty() {
            Ok(Self { rules, patterns, mentions: MentionSettings::default(), shared: BTreeSet::new() })
        } else {
            Err(RuleError { problems })
        }
    }

    /// The same, with the names that players may ping. Without this there are none.
    #[must_use]
    pub fn with_mentions(self, mentions: MentionSettings) -> Self {
        Self { mentions, ..self }
    }

    /// The same, with the server's name before each line of a built-in template in the channels that several of these
    /// servers share.
    #[must_use]
    pub fn with_server_prefix(self, servers: &[ServerSettings]) -> Self {
        let shared = self.shared_channels(servers).into_keys().collect();
        Self { shared, ..self }
    }

    /// The channels that events of several servers reach, with these servers. Alerts name their server anyway.
    #[must_use]
    pub fn shared_channels(&self, servers: &[ServerSettings]) -> BTreeMap<ChannelId, BTreeSet<ServerTag>> {
        let mut reached = BTreeMap::<ChannelId, BTreeSet<ServerTag>>::new();
        for server in servers {
            let relayed = |kind: &&EventKind| self.of(**kind).relays(server) && !server.alerts.tells(**kind);
            let built_in = EventKind::ALL.iter().filter(relayed).map(|kind| self.of(*kind).destination);
            for destination in built_in.chain(self.patterns.destinations(&server.tag)) {
                reached.entry(channel(destination, &server.channels)).or_default().insert(server.tag.clone());
            }
        }
        reached.retain(|_, servers| servers.len() > 1);
        reached
    }

    /// Whether lines of a built-in template in this channel begin with the server's name.
    pub(super) fn is_shared(&self, channel: ChannelId) -> bool {
        self.shared.contains(&channel)
    }

    /// Where notices of `kind` go for `server`; `None` where it is not relayed.
    #[must_use]
    pub fn channel_of(&self, kind: EventKind, server: &ServerSettings) -> Option<ChannelId> {
        let rule = self.of(kind);
        rule.relays(server).then(|| channel(rule.destination, &server.channels))
    }

    /// The server's name, where lines in `channel` begin with it.
    #[must_use]
    pub fn prefix_name(&self, channel: ChannelId, server: &ServerSettings) -> Option<String> {
        self.is_shared(channel).then(|| server.name.clone())
    }

    pub(super) fn of(&self, kind: EventKind) -> &Rule {
        &self.rules[kind as usize]
    }
}

impl Rule {
    fn new(kind: EventKind, change: &EventOverride, problems: &mut Vec<RuleProblem>) -> Self {
        let built_in = BuiltIn::of(kind);
        let content = template(kind, &built_in, change, problems);
        let relayed = match (change.enabled, built_in.relayed) {
            (Some(true), Relayed::Never) => {
                let problem = "this event is never relayed; a pattern can pick single lines".to_owned();
                problems.push(RuleProblem { key: format!("events.{kind}.enabled"), problem });
                Relayed::Never
            }
            (None, default) => default,
            (Some(true), _) => Relayed::Yes,
            (Some(false), _) => Relayed::No,
        };
        Self {
            key: kind.as_str().into(),
            destination: change.channel.unwrap_or(Destination::Route(built_in.route)),
            lane: change.lane.unwrap_or(built_in.lane),
            content,
            raw_content: built_in_template(kind, &format!("{} {{text}}", built_in.icon)),
            plain: built_in_template(kind, built_in.plain),
            raw_plain: built_in_template(kind, "{text}"),
            relayed,
            own_content: change.template.is_some(),
        }
    }

    /// Whether the template of the message is ours.
    pub(super) fn is_built_in(&self, understood: bool) -> bool {
        !(understood && self.own_content)
    }

    /// Whether it is relayed for `server`.
    pub(super) fn relays(&self, server: &ServerSettings) -> bool {
        match self.relayed {
            Relayed::Yes => true,
            Relayed::WithoutEngineLog => server.engine_log.is_none(),
            Relayed::No | Relayed::Never => false,
        }
    }

    /// The template of the message. `understood`: the wording of the line is known, so that there are values.
    pub(super) fn content(&self, understood: bool) -> &Template {
        if understood { &self.content } else { &self.raw_content }
    }

    /// The template of the line in a text file.
    pub(super) fn plain(&self, understood: bool) -> &Template {
        if understood { &self.plain } else { &self.raw_plain }
    }
}

/// The operator's template, or the default where there is none or it is wrong.
fn template(kind: EventKind, built_in: &BuiltIn, change: &EventOverride, problems: &mut Vec<RuleProblem>) -> Template {
    let default = || built_in_template(kind, built_in.content);
    let Some(source) = &change.template else { return default() };
    Template::parse(source, &placeholders(built_in)).unwrap_or_else(|errors| {
        let key = format!("events.{kind}.template");
        problems.extend(errors.iter().map(|e| RuleProblem { key: key.clone(), problem: e.to_string() }));
        default()
    })
}

fn built_in_template(kind: EventKind, source: &str) -> Template {
    Template::parse(source, &placeholders(&BuiltIn::of(kind))).expect("a built-in template names its own placeholders")
}

fn placeholders(built_in: &BuiltIn) -> Vec<&'static str> {
    built_in.placeholders.iter().copied().chain(COMMON).collect()
}

/// The channel of `destination` on a server with these channels.
pub(super) fn channel(destination: Destination, channels: &ServerChannels) -> ChannelId {
    match destination {
        Destination::Route(route) => channels.of(route),
        Destination::Channel(channel) => channel,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use regex::Regex;

    use super::*;
    use crate::config::settings::PatternSettings;
    use crate::domain::Route;

    #[test]
    fn every_built_in_template_names_only_its_own_placeholders() {
        let rules = EventRules::new(&EventSettings::default()).unwrap();
        for kind in EventKind::ALL {
            assert_eq!(&*rules.of(*kind).key, kind.as_str());
        }
    }

    #[test]
    fn every_mistake_is_named_with_its_key() {
        let mut settings = EventSettings::default();
        let with = |template: &str| EventOverride { template: Some(template.to_owned()), ..EventOverride::default() };
        settings.overrides.insert(EventKind::Chat, with("{plyer} said {message"));
        settings.overrides.insert(EventKind::Join, with("{message}"));
        let enabled = EventOverride { enabled: Some(true), ..EventOverride::default() };
        settings.overrides.insert(EventKind::EngineOther, enabled);
        settings.patterns.push(PatternSettings {
            id: "deaths".to_owned(),
            regex: Regex::new("DIED: (?<player>.*)").unwrap(),
            event: "death".into(),
            template: Some("{player} {cause}".to_owned()),
            silence: false,
            channel: Destination::Route(Route::Game),
            lane: Lane::Chat,
            servers: HashSet::new(),
            examples: Vec::new(),
        });
        insta::assert_snapshot!(EventRules::new(&settings).unwrap_err(), @"
        events.join.template: `{message}` is no placeholder here; there are `{player}` `{server}` `{time}` `{text}`
        events.chat.template: `{plyer}` is no placeholder here, did you mean `{player}`; there are `{player}` `{message}` `{server}` `{time}` `{text}`
        events.chat.template: a `{` is never closed; write `{{` for a literal brace
        events.engine_other.enabled: this event is never relayed; a pattern can pick single lines
        patterns.deaths.template: `{cause}` is no placeholder here; there are `{player}` `{server}` `{time}` `{text}`
        ");
    }
}
