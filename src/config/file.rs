//! Every key the configuration knows: its name, its kind, its default. `config.example.toml` is held to this list.
//!
//! A key `a.b` is set by the environment variable `ISR_A__B` too. To add a key, add it here, in `settings` and in the
//! example file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;
use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::alerts::{AlertsSection, OwnAlerts};
use super::chat::{BotIds, MentionName, RoleIds, SnowflakeId};
use super::problem::Problems;
#[cfg(test)]
use super::section::Need;
use super::section::{CommandName, Key, Table, sections};
use super::settings::{
    Destination, EmojiStyle, Level, LogFormat, LuaSection, NamePattern, ServerPrefix, StartAt, ThreadChat,
    TraceProtocol,
};
#[cfg(test)]
use super::source::join;
use super::value::{GuildIds, MemberIds, SecretFile};
use crate::domain::{ChannelId, EventKind, Lane, ModLogName, ServerTag};

/// Reads the whole tree. `None` means that problems were added.
pub(super) fn read(root: &Value, problems: &mut Problems<'_>) -> Option<File> {
    File::read("", root, problems)
}

sections! {
    /// The whole file.
    File {
        /// The zone of the timestamps in the console logs, where a server does not say its own. Absent: the system's.
        timezone: TimeZone = optional;
        discord: DiscordSection = section;
        http: HttpSection = section;
        metrics: MetricsSection = section;
        database: DatabaseSection = section;
        history: HistorySection = section;
        permissions: PermissionsSection = section;
        commands: CommandsSection = section;
        relay: RelaySection = section;
        log: LogSection = section;
        alerts: AlertsSection = section;
        chat: ChatSection = section;
        mentions: MentionsSection = section;
        game: GameSection = section;
        traces: TracesSection = section;
        status: StatusSection = section;
        /// One table a server; its name is the server's tag.
        servers: BTreeMap<ServerTag, ServerSection> = section;
        /// Changes to the built-in events, by their key.
        events: BTreeMap<EventKind, EventSection> = section;
        /// Lines of mods and scripts, in order: the first that matches wins.
        patterns: Vec<PatternSection> = optional;
    }

    /// `[discord]`
    DiscordSection {
        /// The bot token.
        token: SecretString = optional;
        /// A file with the bot token in it.
        token_file: SecretFile = optional;
        /// Where Discord's API is, for proxies and tests: `http(s)://host[:port]`.
        api_base: String = optional;
        /// The Discord servers ("guilds") that get slash commands: an id or a list.
        guild_id: GuildIds = optional;
    }

    /// `[http]`: health, metrics and the status page.
    HttpSection {
        /// The address to listen on.
        host: IpAddr = "0.0.0.0";
        /// The port to listen on; 0 takes a free one.
        port: u16 = 8080;
        /// Whether the status page names the players who are in the games.
        show_players: bool = false;
    }

    /// `[metrics]`
    MetricsSection {
        /// Whether `/metrics` answers.
        enabled: bool = true;
    }

    /// `[database]`
    DatabaseSection {
        /// The SQLite file with what is read and what is not delivered yet.
        path: PathBuf = "factorio-isr.db";
        /// How long the audit of slash commands stays in it. 1d to 3650d.
        keep_audit: Duration = "365d";
    }

    /// `[history]`: how long what is remembered of the games.
    HistorySection {
        /// Every sample. 1h to 90d.
        raw: Duration = "48h";
        /// A row for five minutes of samples. 1d to 3650d.
        five_minutes: Duration = "30d";
        /// What happened in the games, but for deaths. 1d to 3650d.
        happenings: Duration = "90d";
    }

    /// `[permissions]` and `[servers.TAG.permissions]`: roles and users that may use more than the questions.
    PermissionsSection {
        /// Those who may kick, mute and speak as the server.
        moderator: MemberIds = optional;
        /// Those who may do everything.
        admin: MemberIds = optional;
    }

    /// `[commands]`: the slash commands.
    CommandsSection {
        /// The server meant by those who never named one.
        default_server: ServerTag = optional;
        /// Questions a member may ask within `query_window`. 1 to 1000.
        query_limit: usize = 5;
        /// 1s to 1h.
        query_window: Duration = "30s";
        /// Commands above `everyone` a member may give within `action_window`. 1 to 1000.
        action_limit: usize = 3;
        /// 1s to 1h.
        action_window: Duration = "1m";
        /// How long the buttons of a dangerous command work. 5s to 10m.
        confirm_within: Duration = "1m";
        /// Whether the reason of a kick or a ban says in the game who gave the command.
        name_moderator: bool = false;
        /// Whether `/factorio rcon` works.
        rcon: bool = false;
        /// What it may send, with the slash; `*` is everything.
        rcon_allow: Vec<String> = optional;
        /// Other levels than the built-in ones.
        levels: BTreeMap<CommandName, Level> = section;
    }

    /// `[relay]`
    RelaySection {
        /// Lines older than this go as one digest message. 1s to 365d.
        max_replay_age: Duration = "15m";
        /// How often each log is looked at, besides the wake-ups by the system. 10ms to 1m.
        poll_interval: Duration = "250ms";
        /// A backlog that needs more messages than this goes as one with a text file. 1 to 100.
        max_backlog_messages: usize = 5;
        /// How long a channel rests that Discord refuses, before it is tried again. 1s to 1d.
        park_retry: Duration = "5m";
        /// How long delivered messages stay in the database. 0s to 30d.
        keep_delivered: Duration = "1h";
        /// Chat from Discord waits this long for a game that is down. 1s to 1h.
        inbound_ttl: Duration = "5m";
        /// Whether lines in a channel of several servers begin with the server's name: `auto` or `never`.
        server_prefix: ServerPrefix = "auto";
    }

    /// `[chat]`: chat from Discord into the games, and between games.
    ChatSection {
        /// Whether what is written in Discord is said in the games that have RCON.
        enabled: bool = true;
        /// How a line from Discord is said: `{name}` and `{text}`.
        template: String = "[Discord] {name}: {text}";
        /// `keep`, or `name`: emoji as `:name:`.
        emoji: EmojiStyle = "keep";
        /// More lines of a message than this are counted. 1 to 20.
        max_lines: usize = 5;
        /// Characters of a line. 20 to 400.
        max_length: usize = 300;
        /// Bots and webhooks that are heard, by user or webhook id.
        allowed_bots: BotIds = optional;
        /// Messages of one person within `flood_window` that are said. 1 to 100.
        flood_messages: usize = 6;
        /// See `flood_messages`. 1s to 10m.
        flood_window: Duration = "10s";
        /// Messages that are not relayed: a prefix, or a regex between slashes.
        ignore: Vec<String> = optional;
        /// Roles of which an author needs one.
        require_roles: RoleIds = optional;
        /// Roles whose members are not relayed.
        block_roles: RoleIds = optional;
        /// How long a message is held back, in case its author deletes it. 0s to 30s.
        delay: Duration = "0s";
        /// `ignore`, or `relay`: the public threads below the channels, too.
        threads: ThreadChat = "ignore";
        /// Whether the games hear each other.
        server_to_server: bool = false;
        /// How a line from another game is said: `{name}`, `{server}` and `{text}`.
        server_template: String = "[Relay] {name} ({server}): {text}";
    }

    /// `[mentions]`: whom players may ping with `@name`.
    MentionsSection {
        /// Pings of one player in a minute. 1 to 20.
        per_minute: usize = 3;
        /// Users by name.
        users: BTreeMap<MentionName, SnowflakeId> = section;
        /// Roles by name.
        roles: BTreeMap<MentionName, SnowflakeId> = section;
        /// Other names of those.
        aliases: BTreeMap<MentionName, MentionName> = section;
    }

    /// `[game]`: how the games with RCON are looked at.
    GameSection {
        /// Between two samples of a game. 1s to 10m.
        interval: Duration = "30s";
        /// The same while the map stands with nobody in it: each command lets it go on a little. 1s to 1h.
        idle_interval: Duration = "2m";
        /// The time over which UPS are measured. 10s to 10m.
        ups_window: Duration = "1m";
        /// What Lua is asked for, where `allow_lua` is set.
        sections: Vec<LuaSection> = optional;
        /// Names in a table of Lua, as of items: those with the most. 1 to 500.
        top_names: usize = 100;
        /// Sections of Lua that do not fit are left out. 1024 to 1048576.
        max_reply_bytes: usize = 131072;
        series: SeriesSection = section;
    }

    /// `[game.series]`: the series of games in `/metrics`.
    SeriesSection {
        /// Series of one metric and server. 1 to 10000.
        cap: usize = 500;
        /// The `name`s that may be among them. Absent: all.
        allow: Vec<NamePattern> = optional;
        /// The `name`s that may not.
        deny: Vec<NamePattern> = optional;
    }

    /// `[servers.TAG.game]`: other values than those of `[game]`.
    ServerGameSection {
        interval: Duration = optional;
        idle_interval: Duration = optional;
        sections: Vec<LuaSection> = optional;
    }

    /// `[traces]`: spans over OTLP.
    TracesSection {
        /// Whether spans are recorded and sent.
        enabled: bool = false;
        /// The collector, as `http://host:4318`. Absent: `OTEL_EXPORTER_OTLP_ENDPOINT`, else localhost.
        endpoint: String = optional;
        /// `http` or `grpc`. Absent: `OTEL_EXPORTER_OTLP_PROTOCOL`, else `http`.
        protocol: TraceProtocol = optional;
        /// The share of traces that is sent, 0 to 1. What failed is always sent. Absent: `OTEL_TRACES_SAMPLER`, else 1.
        sample_ratio: f64 = optional;
        /// Whether what players write may stand in spans.
        include_text: bool = false;
        /// What tells this relay from others at the collector. Absent: the host's name.
        instance: String = optional;
    }

    /// `[status]`: what Discord shows of the games without being asked.
    StatusSection {
        /// Whether there are status messages and topics, where a server has a channel for them.
        enabled: bool = true;
        /// A status message changes at most this often. 1s to 1h.
        floor: Duration = "15s";
        /// Whether the bot's own status tells how many players there are.
        presence: bool = true;
        /// The topic of `channels.topic`.
        topic: String = "{state}, {players} players online, Factorio {version}";
        /// The name of `channels.topic`; absent: it stays as it is.
        channel_name: String = optional;
        /// A channel's topic and name change at most this often. 5m to 1d.
        channel_floor: Duration = "10m";
    }

    /// `[log]`: the program's own log.
    LogSection {
        /// `console` for people, `json` for machines.
        format: LogFormat = "console";
        /// A `tracing` filter.
        level: String = "info";
    }

    /// `[servers.TAG]`
    ServerSection {
        /// The name people see; the tag where absent.
        name: String = optional;
        /// The file given to the game by `--console-log`.
        console_log: PathBuf = required;
        /// The game's `factorio-current.log`: start, saves, desyncs, crashes.
        engine_log: PathBuf = optional;
        /// Where a log is read from that was never read before.
        start_at: StartAt = "end";
        /// The zone of this server's timestamps.
        timezone: TimeZone = optional;
        channels: ChannelsSection = section;
        permissions: PermissionsSection = section;
        rcon: RconSection = optional;
        /// Files that mods write, by a name of the operator's.
        mod_logs: BTreeMap<ModLogName, PathBuf> = section;
        /// The file in which a mod writes the game's metrics.
        prometheus_file: PrometheusFileSection = optional;
        game: ServerGameSection = optional;
        /// The Discord channels whose chat is said in this game. Absent: the channel its own chat goes to.
        chat_from: Vec<ChannelId> = optional;
        /// Other alerts than those of `[alerts]`.
        alerts: OwnAlerts = optional;
    }

    /// `[servers.TAG.channels]`: what goes where; `default` takes what has no channel of its own.
    ChannelsSection {
        default: ChannelId = required;
        /// What players say.
        chat: ChannelId = optional;
        /// Joins and leaves.
        joins: ChannelId = optional;
        /// Moderation and commands.
        admin: ChannelId = optional;
        /// Crashes, desyncs, failed saves, gaps.
        alerts: ChannelId = optional;
        /// Starts, stops and saves.
        server: ChannelId = optional;
        /// Deaths, research, rockets.
        game: ChannelId = optional;
        /// What people did by slash commands.
        audit: ChannelId = optional;
        /// Where the server's status message is; absent: it has none.
        status: ChannelId = optional;
        /// The channel whose topic tells how the game is; absent: none.
        topic: ChannelId = optional;
    }

    /// `[servers.TAG.rcon]`
    RconSection {
        /// Where the game's RCON listens.
        host: String = "127.0.0.1";
        /// `--rcon-port`
        port: u16 = 27015;
        /// `--rcon-password`
        password: SecretString = optional;
        /// A file with the password in it.
        password_file: SecretFile = optional;
        /// Whether Lua commands may be sent; they disable achievements for the save.
        allow_lua: bool = false;
    }

    /// `[servers.TAG.prometheus_file]`
    PrometheusFileSection {
        /// The file, as graftorio2 writes it.
        path: PathBuf = required;
        /// A file that was not rewritten for so long is not shown any more. 10s to 1d.
        max_age: Duration = "2m";
        /// Series of one family that are shown. 1 to 100000.
        max_series: usize = 1000;
    }

    /// `[events.KIND]`
    EventSection {
        /// Whether the event is relayed at all.
        enabled: bool = optional;
        /// The text.
        template: String = optional;
        /// A route or a channel id.
        channel: Destination = optional;
        /// `alert` overtakes `chat`.
        lane: Lane = optional;
    }

    /// `[[patterns]]`
    PatternSection {
        /// Its name in messages and logs.
        id: String = required;
        /// Matched against the text behind the line's time, tag included.
        regex: String = required;
        /// The event in metrics; a built-in key overrides that event. Absent: the id.
        event: String = optional;
        /// The text, with `{group}` for a named group, `{server}`, `{time}` and `{text}`. Absent: the line.
        template: String = optional;
        /// Whether matching lines are dropped.
        silence: bool = false;
        /// A route or a channel id.
        channel: Destination = "default";
        /// `alert` overtakes `chat`.
        lane: Lane = "chat";
        /// Only for these servers; absent: for all.
        servers: Vec<String> = optional;
        /// Lines that must match.
        examples: Vec<String> = optional;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use toml_edit::{DocumentMut, Item, TableLike};

    use super::*;

    const EXAMPLE: &str = include_str!("../../config.example.toml");

    fn keys_of_code() -> BTreeMap<String, Need> {
        let mut keys = Vec::new();
        File::list("", Need::Optional, &mut keys);
        keys.into_iter().collect()
    }

    /// The example with its commented keys and tables made real. Prose has no ` = ` behind its first word.
    fn uncommented() -> DocumentMut {
        let is_key = |line: &str| {
            let word = line.split(" = ").next().unwrap_or_default();
            line.contains(" = ") && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
            Some(inner) if is_key(inner) || inner.starts_with('[') => inner,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n").parse().unwrap()
    }

    fn keys_of_example() -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        collect("", uncommented().as_table(), &mut keys);
        keys
    }

    fn collect(path: &str, table: &dyn TableLike, keys: &mut BTreeMap<String, String>) {
        for (key, item) in table.iter() {
            let key = match (path, key) {
                ("servers", "prod") => "TAG",
                ("events", "chat") => "KIND",
                ("mentions.users" | "mentions.roles" | "mentions.aliases" | "servers.TAG.mod_logs", _) => "NAME",
                ("commands.levels", "kick") => "COMMAND",
                _ => key,
            };
            let path = join(path, key);
            match item {
                Item::Value(value) => {
                    keys.insert(path, value.clone().decorated("", "").to_string());
                }
                Item::ArrayOfTables(tables) => tables.iter().for_each(|table| collect(&path, table, keys)),
                item => collect(&path, item.as_table_like().unwrap(), keys),
            }
        }
    }

    #[test]
    fn the_example_names_every_key_and_no_other() {
        let code: Vec<_> = keys_of_code().into_keys().collect();
        let example: Vec<_> = keys_of_example().into_keys().collect();
        assert_eq!(code, example);
        assert!(code.len() > 40, "{code:?}");
    }

    #[test]
    fn the_example_shows_the_defaults_of_the_code() {
        let example = keys_of_example();
        for (key, need) in keys_of_code() {
            if let Need::Default(default) = need {
                assert_eq!(example[&key], default, "{key}");
            }
        }
    }

    #[test]
    fn the_example_comments_out_what_is_not_required() {
        let mut given = BTreeMap::new();
        collect("", EXAMPLE.parse::<DocumentMut>().unwrap().as_table(), &mut given);
        let required = keys_of_code().into_iter().filter(|(_, need)| *need == Need::Required).map(|(key, _)| key);
        // These are required in tables that are not.
        for key in required.filter(|key| !key.starts_with("patterns") && !key.contains("prometheus_file")) {
            assert!(given.remove(&key).is_some(), "{key}");
        }
        assert_eq!(given.into_keys().collect::<Vec<_>>(), ["servers.TAG.name"]);
    }

    #[test]
    fn every_default_is_within_its_range() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let mut example = uncommented();
        // Each is the other way to give a secret, which may be given once.
        example["discord"].as_table_mut().unwrap().remove("token_file");
        example["servers"]["prod"]["rcon"].as_table_mut().unwrap().remove("password_file");
        std::fs::write(&path, example.to_string()).unwrap();
        let vars = ["MY_BOT_TOKEN", "PROD_RCON_PASSWORD"].map(|name| (name.to_owned(), "1234".to_owned()));
        let env = crate::config::Environment { vars: vars.into(), secrets_dir: dir.path().join("secrets") };
        let loaded = crate::config::load(&path, &env).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(loaded.settings.events.patterns.len(), 1);
    }
}
