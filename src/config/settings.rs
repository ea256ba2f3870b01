//! The validated configuration: every value resolved, every rule held. Other rooms see only their own part of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use regex::Regex;
use secrecy::SecretString;

pub use super::alerts::{AlertLimits, AlertRule, AlertSettings};
pub use super::chat_rules::{IgnoreRule, RoleRules, ThreadChat};
pub use super::game::{GameSettings, LuaSection, NamePattern, SampleSettings, SeriesSettings};
use crate::domain::{
    ChannelId, ChatTemplate, EventKind, Lane, LogSource, ModLogName, Route, ServerTag, StatusTemplate,
};

/// The whole configuration. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[discord]`
    pub discord: DiscordSettings,
    /// `[servers.*]`, by tag. Never empty.
    pub servers: Vec<ServerSettings>,
    /// `[events.*]` and `[[patterns]]`
    pub events: EventSettings,
    /// `[permissions]`
    pub permissions: PermissionSettings,
    /// `[commands]`
    pub commands: CommandSettings,
    /// `[relay]`
    pub relay: RelaySettings,
    /// `[chat]`
    pub chat: ChatSettings,
    /// `[mentions]`
    pub mentions: MentionSettings,
    /// `[game]`
    pub game: GameSettings,
    /// `[status]`
    pub status: StatusSettings,
    /// `[http]`
    pub http: HttpSettings,
    /// `[metrics]`
    pub metrics: MetricsSettings,
    /// `[database]`
    pub database: DatabaseSettings,
    /// `[history]`
    pub history: HistorySettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[traces]`
    pub traces: TraceSettings,
}

/// `[history]`
#[derive(Debug, Clone)]
pub struct HistorySettings {
    /// `raw`: how long every sample is kept.
    pub raw: Duration,
    /// `five_minutes`: how long five minutes of samples are kept as one row.
    pub five_minutes: Duration,
    /// `happenings`: how long what happened is kept, but for deaths.
    pub happenings: Duration,
}

/// `[discord]`
#[derive(Debug, Clone)]
pub struct DiscordSettings {
    /// `token`: the bot token.
    pub token: SecretString,
    /// `api_base`: where Discord's API is, without `/api/v10`; `None` = the real one.
    pub api_base: Option<String>,
    /// `guild_id`: one id or a list; used by the slash commands.
    pub guild_ids: Vec<u64>,
}

/// `[servers.TAG]`
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The table's name.
    pub tag: ServerTag,
    /// `name`: for people; the tag where absent.
    pub name: String,
    /// `console_log`: the file of `--console-log`.
    pub console_log: PathBuf,
    /// `engine_log`: `factorio-current.log`, where given.
    pub engine_log: Option<PathBuf>,
    /// `start_at`: where a log without a checkpoint is read from.
    pub start_at: StartAt,
    /// `timezone`: the zone of the console log's timestamps; the system's where absent.
    pub timezone: TimeZone,
    /// Whether the operator set it.
    pub timezone_configured: bool,
    /// `channels`
    pub channels: ServerChannels,
    /// `permissions`: who may more on this server, beside those of `[permissions]`.
    pub permissions: PermissionSettings,
    /// `rcon`, where given.
    pub rcon: Option<RconSettings>,
    /// `[alerts]` with what `servers.TAG.alerts` changes of it.
    pub alerts: AlertSettings,
    /// `mod_logs`, by name: the logs that mods write.
    pub mod_logs: BTreeMap<ModLogName, PathBuf>,
    /// `prometheus_file`, where given.
    pub prometheus_file: Option<PrometheusFileSettings>,
}

impl ServerSettings {
    /// Where its alerts go.
    #[must_use]
    pub fn alert_channel(&self) -> ChannelId {
        match self.alerts.destination {
            Destination::Route(route) => self.channels.of(route),
            Destination::Channel(channel) => channel,
        }
    }

    /// Every log of the server, the console log first.
    pub fn logs(&self) -> impl Iterator<Item = (LogSource, &Path)> {
        let engine = self.engine_log.iter().map(|path| (LogSource::Engine, path.as_path()));
        let mods = self.mod_logs.iter().map(|(name, path)| (LogSource::Mod(*name), path.as_path()));
        [(LogSource::Console, self.console_log.as_path())].into_iter().chain(engine).chain(mods)
    }
}

/// `servers.TAG.prometheus_file`: what graftorio2 and its like write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusFileSettings {
    /// `path`
    pub path: PathBuf,
    /// `max_age`: a file that was not rewritten for so long says nothing about now.
    pub max_age: Duration,
    /// `max_series`: of a family, at most so many are re-exported.
    pub max_series: usize,
}

/// Where the first reading ever of a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartAt {
    /// Behind what is there now.
    #[default]
    End,
    /// At the first byte.
    Beginning,
}

/// `servers.TAG.channels`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChannels {
    /// `default`
    pub default: ChannelId,
    /// The other routes that have a channel of their own.
    pub routes: BTreeMap<Route, ChannelId>,
}

impl ServerChannels {
    /// The channel of `route`.
    #[must_use]
    pub fn of(&self, route: Route) -> ChannelId {
        self.routes.get(&route).copied().unwrap_or(self.default)
    }
}

/// What a member of the Discord server may do; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Ask.
    Everyone,
    /// Act on players and chat.
    Moderator,
    /// Change the game and its lists.
    Admin,
}

impl Level {
    /// All levels, the least first.
    pub const ALL: [Self; 3] = [Self::Everyone, Self::Moderator, Self::Admin];

    /// The name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
        }
    }
}

/// `[permissions]` and `servers.TAG.permissions`: ids of roles and users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSettings {
    /// `moderator`
    pub moderator: Vec<u64>,
    /// `admin`
    pub admin: Vec<u64>,
}

/// So many within such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSettings {
    /// How many.
    pub limit: usize,
    /// Within which time.
    pub window: Duration,
}

/// `[commands]`
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// `default_server`: the server meant by those who never named one.
    pub default_server: Option<ServerTag>,
    /// `query_limit` and `query_window`: for each member.
    pub queries: RateSettings,
    /// `action_limit` and `action_window`: for each member, commands above `everyone`.
    pub actions: RateSettings,
    /// `confirm_within`: how long the buttons of a dangerous command work.
    pub confirm_within: Duration,
    /// `name_moderator`: whether a reason says in the game who gave the command.
    pub name_moderator: bool,
    /// `rcon`: whether `/factorio rcon` works.
    pub rcon: bool,
    /// `rcon_allow`: the commands it may send, with their slash; `*` = every one.
    pub rcon_allow: Vec<String>,
    /// `levels`: other levels than the built-in ones, by the command's name.
    pub levels: BTreeMap<String, Level>,
}

/// `servers.TAG.rcon`: checked now, used by the RCON room.
#[derive(Debug, Clone)]
pub struct RconSettings {
    /// `host`
    pub host: String,
    /// `port`
    pub port: u16,
    /// `password`
    pub password: SecretString,
    /// `allow_lua`: whether Lua commands, which disable achievements, may be sent.
    pub allow_lua: bool,
}

/// `[events.KIND]` and `[[patterns]]`
#[derive(Debug, Clone, Default)]
pub struct EventSettings {
    /// What the operator changed of the built-in events.
    pub overrides: BTreeMap<EventKind, EventOverride>,
    /// In the order of the file: the first that matches wins.
    pub patterns: Vec<PatternSettings>,
}

/// `[events.KIND]`: each key absent = the built-in default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventOverride {
    /// `enabled`: whether it is relayed at all.
    pub enabled: Option<bool>,
    /// `template`
    pub template: Option<String>,
    /// `channel`: a route or a channel id.
    pub channel: Option<Destination>,
    /// `lane`
    pub lane: Option<Lane>,
}

/// Where a notice goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The server's channel of this route.
    Route(Route),
    /// This channel, for every server.
    Channel(ChannelId),
}

/// One `[[patterns]]` entry.
#[derive(Debug, Clone)]
pub struct PatternSettings {
    /// `id`: unique among the patterns.
    pub id: String,
    /// `regex`: linear-time; matched against the text behind the line's envelope, tag included (`[CHAT] Bob: hi`).
    pub regex: Regex,
    /// `event`: the event's key in metrics; a built-in key overrides that event for matching lines.
    pub event: Arc<str>,
    /// `template`: `{group}` per named group; `None` = the whole text. Ignored where `silence` is set.
    pub template: Option<String>,
    /// `silence`: matching lines are not relayed.
    pub silence: bool,
    /// `channel`: a route or a channel id; `default` where absent.
    pub channel: Destination,
    /// `lane`
    pub lane: Lane,
    /// `servers`: only for these; empty = all.
    pub servers: HashSet<ServerTag>,
    /// `examples`: lines that must match; `check` runs them.
    pub examples: Vec<String>,
}

/// `[relay]`
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// `max_replay_age`: older lines go as a digest.
    pub max_replay_age: Duration,
    /// `poll_interval`: how often each log is looked at, besides the wake-ups.
    pub poll_interval: Duration,
    /// `max_backlog_messages`: a backlog that would need more messages goes as one with an attachment.
    pub max_backlog_messages: usize,
    /// `park_retry`: how long a channel rests that Discord refuses for good, before it is tried again.
    pub park_retry: Duration,
    /// `keep_delivered`: how long delivered rows are kept.
    pub keep_delivered: Duration,
    /// `server_prefix`: whether lines in a channel of several servers begin with the server's name.
    pub server_prefix: ServerPrefix,
}

/// `relay.server_prefix`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerPrefix {
    /// In channels that events of several servers reach, built-in templates begin with the server's name.
    #[default]
    Auto,
    /// Nowhere.
    Never,
}

/// `[chat]`: chat into the games.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    /// Which Discord channel is heard in which games, from `servers.TAG.chat_from`; only games that have RCON.
    /// Empty where `enabled = false`.
    pub feeds: BTreeMap<ChannelId, Vec<ServerTag>>,
    /// `template`
    pub template: ChatTemplate,
    /// `emoji`
    pub emoji: EmojiStyle,
    /// `max_lines`: more lines of a message are counted only.
    pub max_lines: usize,
    /// `max_length`: characters of a line.
    pub max_length: usize,
    /// `allowed_bots`: user and webhook ids.
    pub allowed_bots: BTreeSet<u64>,
    /// `flood_messages`: one person's messages within the window that are said.
    pub flood_messages: usize,
    /// `flood_window`
    pub flood_window: Duration,
    /// `ignore`
    pub ignore: Vec<IgnoreRule>,
    /// `require_roles` and `block_roles`
    pub roles: RoleRules,
    /// `delay`: how long a message is held back, in case its author deletes it.
    pub delay: Duration,
    /// `threads`
    pub threads: ThreadChat,
    /// `server_to_server`: the games that hear each other, by tag with their names; empty where it is off.
    pub games: BTreeMap<ServerTag, String>,
    /// `server_template`
    pub server_template: ChatTemplate,
    /// `relay.inbound_ttl`: how long chat waits for a game that is down.
    pub ttl: Duration,
}

/// `chat.emoji`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmojiStyle {
    /// As they are.
    #[default]
    Keep,
    /// As `:name:`.
    Name,
}

/// `[mentions]`: whom players may ping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MentionSettings {
    /// `per_minute`: pings of one player in a minute.
    pub per_minute: usize,
    /// `users`, `roles` and `aliases`, by the name in lower case.
    pub names: BTreeMap<String, MentionTarget>,
}

/// Whom a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MentionTarget {
    /// A user's id.
    User(u64),
    /// A role's id.
    Role(u64),
}

/// `[status]`, and `servers.TAG.channels.{status,topic}`
#[derive(Debug, Clone)]
pub struct StatusSettings {
    /// `floor`: a status message changes at most this often.
    pub floor: Duration,
    /// `presence`: whether the bot's own status tells of the players.
    pub presence: bool,
    /// `topic`
    pub topic: StatusTemplate,
    /// `channel_name`; `None` = it stays as it is.
    pub channel_name: Option<StatusTemplate>,
    /// `channel_floor`: a channel's topic and name change at most this often.
    pub channel_floor: Duration,
    /// `relay.park_retry`: how long a channel rests that Discord refuses.
    pub park_retry: Duration,
    /// `channels.status` of each server that has it; empty where `enabled = false`.
    pub messages: BTreeMap<ServerTag, ChannelId>,
    /// `channels.topic` of each server that has it, no two the same; empty where `enabled = false`.
    pub topics: BTreeMap<ServerTag, ChannelId>,
}

/// `[http]`
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// `host`
    pub host: IpAddr,
    /// `port`; 0 = any free one.
    pub port: u16,
    /// `show_players`
    pub show_players: bool,
}

/// `[metrics]`
#[derive(Debug, Clone)]
pub struct MetricsSettings {
    /// `enabled`
    pub enabled: bool,
}

/// `[database]`
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `path`
    pub path: PathBuf,
    /// `keep_audit`: how long rows of the audit are kept.
    pub keep_audit: Duration,
}

/// `[traces]`
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// `enabled`, and not `OTEL_SDK_DISABLED`.
    pub enabled: bool,
    /// `endpoint`, without a path; `None`: the standard variables, else localhost.
    pub endpoint: Option<String>,
    /// `protocol`
    pub protocol: TraceProtocol,
    /// `sample_ratio`: 0 to 1.
    pub sample_ratio: f64,
    /// `include_text`
    pub include_text: bool,
    /// `instance`
    pub instance: String,
}

/// `traces.protocol`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceProtocol {
    /// HTTP with protobuf bodies.
    #[default]
    Http,
    /// gRPC.
    Grpc,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `format`
    pub format: LogFormat,
    /// `level`: a `tracing` filter, as `info` or `info,factorio_isr::tail=debug`. `RUST_LOG` wins.
    pub level: String,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}
