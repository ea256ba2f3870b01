//! `[chat]`, `[mentions]` and `servers.TAG.chat_from`: who is heard in which game, and whom players may ping.

use std::collections::BTreeMap;
use std::time::Duration;

use figment::value::Value;

use super::chat_rules::{IgnoreRule, RoleRules};
use super::file::{ChatSection, MentionsSection, ServerSection};
use super::problem::Problems;
use super::section::Name;
use super::settings::{ChatSettings, EmojiStyle, MentionSettings, MentionTarget, ServerSettings};
use super::value::{Scalar, snowflake, snowflakes};
use crate::domain::{ChannelId, ChatTemplate, ChatTemplateError, Route, ServerTag};

/// The longest `chat.delay`.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// The id of a user or a role.
#[derive(Debug, Clone, Copy)]
pub(super) struct SnowflakeId(u64);

impl Scalar for SnowflakeId {
    const EXPECTED: &'static str = "the id of a user or a role, the number Discord gives by \"Copy ID\"";

    fn parse(value: &Value) -> Option<Self> {
        snowflake(value).map(Self)
    }
}

/// Ids of bots and webhooks: one, a list, or ids with commas between them.
#[derive(Debug, Default)]
pub(super) struct BotIds(Vec<u64>);

impl Scalar for BotIds {
    const EXPECTED: &'static str = "the id of a bot or a webhook, or a list of them";

    fn parse(value: &Value) -> Option<Self> {
        snowflakes(value).map(Self)
    }
}

/// Ids of roles: one, a list, or ids with commas between them.
#[derive(Debug, Default)]
pub(super) struct RoleIds(Vec<u64>);

impl Scalar for RoleIds {
    const EXPECTED: &'static str = "the id of a role, or a list of them";

    fn parse(value: &Value) -> Option<Self> {
        snowflakes(value).map(Self)
    }
}

impl Scalar for EmojiStyle {
    const EXPECTED: &'static str = "`keep` or `name`";

    fn parse(value: &Value) -> Option<Self> {
        match value.as_str()?.trim() {
            "keep" => Some(Self::Keep),
            "name" => Some(Self::Name),
            _ => None,
        }
    }
}

/// What players write behind an `@`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MentionName(String);

impl MentionName {
    fn of(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let ends_well = text.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let good = text.chars().count() <= 32 && text.chars().all(allowed) && ends_well;
        good.then(|| Self(text.to_lowercase()))
    }
}

impl Scalar for MentionName {
    const EXPECTED: &'static str = "a name from `mentions.users` or `mentions.roles`";

    fn parse(value: &Value) -> Option<Self> {
        Self::of(value.as_str()?.trim())
    }
}

impl Name for MentionName {
    #[cfg(test)]
    const PLACEHOLDER: &'static str = "NAME";

    fn parse(text: &str) -> Result<Self, (String, String)> {
        if ["everyone", "here"].contains(&text.to_lowercase().as_str()) {
            let hint = "a role of your own reaches as many".to_owned();
            return Err((format!("`@{text}` never pings from a game"), hint));
        }
        let hint = "use at most 32 letters, digits, `_`, `-` or `.`, the last of them a letter, a digit or `_`";
        Self::of(text).ok_or_else(|| (format!("`{text}` cannot be written behind an `@`"), hint.to_owned()))
    }
}

/// `chat_from` of each server that has it.
pub(super) fn sources<'a>(
    servers: impl Iterator<Item = (&'a ServerTag, &'a ServerSection)>,
) -> BTreeMap<ServerTag, Vec<ChannelId>> {
    servers.filter_map(|(tag, server)| Some((tag.clone(), server.chat_from.clone()?))).collect()
}

/// What is allowed but probably not meant.
pub(super) fn warnings(servers: &[ServerSettings], chat_from: &BTreeMap<ServerTag, Vec<ChannelId>>) -> Vec<String> {
    let deaf = |server: &&ServerSettings| server.rcon.is_none() && chat_from.contains_key(&server.tag);
    let say = |server: &ServerSettings| {
        format!(
            "servers.{0}.chat_from has no effect: chat reaches a game over RCON; add `[servers.{0}.rcon]`",
            server.tag
        )
    };
    servers.iter().filter(deaf).map(say).collect()
}

/// Checks and resolves `[chat]`. `None` means that problems were added.
pub(super) fn resolve(
    section: ChatSection,
    servers: &[ServerSettings],
    chat_from: &BTreeMap<ServerTag, Vec<ChannelId>>,
    ttl: Duration,
    problems: &mut Problems<'_>,
) -> Option<ChatSettings> {
    let mut within = |key: &str, good: bool, range: &str| {
        if !good {
            problems.add(&format!("chat.{key}"), format!("out of range: {range}"));
        }
    };
    within("max_lines", (1..=20).contains(&section.max_lines), "1 to 20");
    within("max_length", (20..=400).contains(&section.max_length), "20 to 400");
    within("flood_messages", (1..=100).contains(&section.flood_messages), "1 to 100");
    let windows = Duration::from_secs(1)..=Duration::from_mins(10);
    within("flood_window", windows.contains(&section.flood_window), "1s to 10m");
    within("delay", section.delay <= MAX_DELAY, "0s to 30s");
    if section.delay <= MAX_DELAY && section.delay >= ttl {
        problems
            .add("chat.delay", "must be shorter than relay.inbound_ttl: a message would expire before it is relayed");
    }
    let ignore = ignore_rules(section.ignore.unwrap_or_default(), problems);
    let template = template("template", ChatTemplate::from_discord(&section.template), problems);
    let server_template =
        self::template("server_template", ChatTemplate::from_game(&section.server_template), problems);
    let games = || servers.iter().filter(|server| server.rcon.is_some());
    let mut feeds = BTreeMap::<_, Vec<ServerTag>>::new();
    for server in games().filter(|_| section.enabled) {
        let default = vec![server.channels.of(Route::Chat)];
        for channel in chat_from.get(&server.tag).unwrap_or(&default) {
            feeds.entry(*channel).or_default().push(server.tag.clone());
        }
    }
    feeds.values_mut().for_each(Vec::dedup);
    let hearing = games().filter(|_| section.server_to_server);
    Some(ChatSettings {
        feeds,
        template: template?,
        emoji: section.emoji,
        max_lines: section.max_lines,
        max_length: section.max_length,
        allowed_bots: section.allowed_bots.unwrap_or_default().0.into_iter().collect(),
        flood_messages: section.flood_messages,
        flood_window: section.flood_window,
        ignore,
        roles: RoleRules {
            require: section.require_roles.unwrap_or_default().0.into_iter().collect(),
            block: section.block_roles.unwrap_or_default().0.into_iter().collect(),
        },
        delay: section.delay,
        threads: section.threads,
        games: hearing.map(|server| (server.tag.clone(), server.name.clone())).collect(),
        server_template: server_template?,
        ttl,
    })
}

/// The rules that can be used; the others are reported.
fn ignore_rules(texts: Vec<String>, problems: &mut Problems<'_>) -> Vec<IgnoreRule> {
    let mut rules = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        match IgnoreRule::parse(&text) {
            Ok(rule) => rules.push(rule),
            Err(error) => problems.add(&format!("chat.ignore[{index}]"), regex_problem(&error)),
        }
    }
    rules
}

/// The last line of a syntax error has the reason; those before draw the place.
fn regex_problem(error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default();
    format!("not a valid regex: {}", reason.strip_prefix("error: ").unwrap_or(reason))
}

fn template(
    key: &str,
    parsed: Result<ChatTemplate, ChatTemplateError>,
    problems: &mut Problems<'_>,
) -> Option<ChatTemplate> {
    parsed.map_err(|error| problems.add(&format!("chat.{key}"), error.to_string())).ok()
}

/// Checks and resolves `[mentions]`.
pub(super) fn mentions(section: MentionsSection, problems: &mut Problems<'_>) -> MentionSettings {
    if !(1..=20).contains(&section.per_minute) {
        problems.add("mentions.per_minute", "out of range: 1 to 20");
    }
    let mut names = BTreeMap::new();
    let users = section.users.unwrap_or_default().into_iter().map(|(name, id)| (name, MentionTarget::User(id.0)));
    let roles = section.roles.unwrap_or_default().into_iter().map(|(name, id)| (name, MentionTarget::Role(id.0)));
    for (name, target) in users.chain(roles) {
        if names.insert(name.0.clone(), target).is_some() {
            problems.add(&format!("mentions.roles.{}", name.0), "a user in `mentions.users` has this name");
        }
    }
    for (alias, name) in section.aliases.unwrap_or_default() {
        let key = format!("mentions.aliases.{}", alias.0);
        match names.get(&name.0).copied() {
            None => problems.add(&key, format!("`{}` is neither in `mentions.users` nor in `mentions.roles`", name.0)),
            Some(target) => {
                if names.insert(alias.0, target).is_some() {
                    problems.add(&key, "a user, a role or another alias has this name");
                }
            }
        }
    }
    MentionSettings { per_minute: section.per_minute, names }
}
