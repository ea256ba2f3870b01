//! From what was said to [`Settings`]: rules that concern more than one value, paths, ranges, secrets.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::environment::Environment;
use super::file::{
    ChannelsSection, CommandsSection, DatabaseSection, DiscordSection, EventSection, File, LogSection,
    PermissionsSection, RconSection, RelaySection, ServerSection,
};
use super::problem::Problems;
use super::secret::Sought;
use super::settings::{
    AlertSettings, CommandSettings, DatabaseSettings, DiscordSettings, EventOverride, EventSettings, HttpSettings,
    LogSettings, MetricsSettings, PermissionSettings, RateSettings, RconSettings, RelaySettings, ServerChannels,
    ServerSettings, Settings,
};
use super::value::MemberIds;
use super::{Loaded, alerts, chat, duration, files, game, history, patterns, status, traces};
use crate::domain::{EventKind, Route, ServerTag};

/// What came of a file; `None` where problems were added.
#[derive(Default)]
pub(super) struct Resolved {
    /// On their own, so that a mistake elsewhere does not hide theirs.
    pub events: Option<EventSettings>,
    pub loaded: Option<Loaded>,
}

/// Checks and resolves `file`.
pub(super) fn resolve(mut file: File, env: &Environment, problems: &mut Problems<'_>) -> Resolved {
    let tags = file.servers.iter().flatten().map(|(tag, _)| tag.clone()).collect::<Vec<_>>();
    let patterns = patterns::resolve(file.patterns.take().unwrap_or_default(), &tags, problems);
    let events = file.events.take().map(|events| EventSettings { overrides: overrides(events), patterns });
    Resolved { loaded: settings(file, events.clone(), env, problems), events }
}

fn settings(
    mut file: File,
    events: Option<EventSettings>,
    env: &Environment,
    problems: &mut Problems<'_>,
) -> Option<Loaded> {
    let base = problems.base_dir().to_owned();
    let resolver = Resolver { base: &base, env, zone: file.timezone };
    let discord = file.discord.and_then(|section| resolver.discord(section, problems));
    let park_retry = file.relay.as_ref().map(|section| section.park_retry);
    let ttl = file.relay.as_ref().map(|section| section.inbound_ttl);
    let relay = file.relay.map(|section| relay(&section, problems));
    let database = file.database.map(|section| database(section, &base, problems));
    let log = file.log.and_then(|section| log(section, problems));
    let chat_from = chat::sources(file.servers.iter().flatten());
    let shown = status::channels(file.servers.iter().flatten());
    let tags = file.servers.iter().flatten().map(|(tag, _)| tag.clone()).collect::<Vec<_>>();
    let commands = file.commands.and_then(|section| commands(section, &tags, problems));
    let own = file.servers.iter_mut().flatten();
    let own = own.filter_map(|(tag, server)| Some((tag.clone(), server.alerts.take()?))).collect();
    let alerts = file.alerts.map(|section| alerts::resolve(&section, &own, &tags, problems));
    let mut servers = file.servers;
    let own_game = servers.iter_mut().flatten().filter_map(|(tag, server)| Some((tag.clone(), server.game.take()?)));
    let own_game = own_game.collect();
    let mut servers = servers.map(|sections| resolver.servers(sections, problems))?;
    for server in &mut servers {
        if let Some(own) = alerts.as_ref().and_then(|alerts| alerts.get(&server.tag)) {
            server.alerts = own.clone().told_by(server);
        }
    }
    let chat = file.chat.and_then(|section| chat::resolve(section, &servers, &chat_from, ttl?, problems));
    let mentions = file.mentions.map(|section| chat::mentions(section, problems));
    let game = file.game.and_then(|section| game::resolve(section, own_game, problems));
    let (traces, of_traces) = file.traces.and_then(|section| traces::resolve(section, env, problems)).unzip();
    let status = file.status.and_then(|section| status::resolve(&section, shown, park_retry?, problems));
    let mut warnings = lua_warnings(&servers);
    warnings.extend(timezone_warning(&servers, env));
    warnings.extend(chat::warnings(&servers, &chat_from));
    warnings.extend(of_traces.into_iter().flatten());
    warnings.extend(events.iter().flat_map(|events| alerts::warnings(&servers, events)));
    let history = file.history.map(|section| history::resolve(&section, problems));
    let http = file.http?;
    let settings = Settings {
        discord: discord?,
        servers,
        events: events?,
        permissions: permissions(file.permissions?),
        commands: commands?,
        relay: relay?,
        chat: chat?,
        mentions: mentions?,
        game: game?,
        status: status?,
        http: HttpSettings { host: http.host, port: http.port, show_players: http.show_players },
        metrics: MetricsSettings { enabled: file.metrics?.enabled },
        database: database?,
        history: history?,
        log: log?,
        traces: traces?,
    };
    Some(Loaded { settings, warnings })
}

/// What several sections need.
struct Resolver<'a> {
    /// The directory of the configuration file.
    base: &'a Path,
    env: &'a Environment,
    /// `timezone`: the zone of servers that have none of their own.
    zone: Option<TimeZone>,
}

impl Resolver<'_> {
    fn discord(&self, section: DiscordSection, problems: &mut Problems<'_>) -> Option<DiscordSettings> {
        let api_base = section.api_base.and_then(|url| api_base(&url, problems));
        let sought = Sought {
            key: "discord.token",
            given: section.token,
            file: section.token_file,
            mounts: ["discord_token", "DISCORD_BOT_TOKEN"].map(ToOwned::to_owned).into(),
            base: self.base,
        };
        let token = sought.find(self.env, problems)?;
        check_token(&token, problems);
        Some(DiscordSettings { token, api_base, guild_ids: section.guild_id.map(|ids| ids.0).unwrap_or_default() })
    }

    /// The servers without a problem.
    fn servers(
        &self,
        sections: BTreeMap<ServerTag, ServerSection>,
        problems: &mut Problems<'_>,
    ) -> Vec<ServerSettings> {
        if sections.is_empty() && !problems.concern("servers") {
            let hint = "add a table `[servers.TAG]` with `console_log` and `channels`";
            problems.add_with_hint("servers", "no server is configured", hint);
        }
        let mut logs = Logs::default();
        let servers = sections.into_iter();
        servers.filter_map(|(tag, section)| self.server(&tag, section, &mut logs, problems)).collect()
    }

    fn server(
        &self,
        tag: &ServerTag,
        section: ServerSection,
        logs: &mut Logs,
        problems: &mut Problems<'_>,
    ) -> Option<ServerSettings> {
        let path = format!("servers.{tag}");
        let console_log = section.console_log.map(|log| self.base.join(log));
        let engine_log = section.engine_log.map(|log| self.base.join(log));
        for (key, log) in [("console_log", &console_log), ("engine_log", &engine_log)] {
            if let Some(log) = log {
                logs.check(&format!("{path}.{key}"), log, problems);
            }
        }
        let mod_logs = files::mod_logs(section.mod_logs?, self.base);
        for (name, log) in &mod_logs {
            logs.check(&format!("{path}.mod_logs.{}", name.as_str()), log, problems);
        }
        let prometheus_file = match section.prometheus_file {
            Some(file) => Some(files::prometheus_file(&format!("{path}.prometheus_file"), file, self.base, problems)?),
            None => None,
        };
        let rcon = match section.rcon {
            Some(rcon) => Some(self.rcon(tag, rcon, problems)?),
            None => None,
        };
        let zone = section.timezone.or_else(|| self.zone.clone());
        Some(ServerSettings {
            tag: tag.clone(),
            name: section.name.unwrap_or_else(|| tag.to_string()),
            console_log: console_log?,
            engine_log,
            start_at: section.start_at,
            timezone_configured: zone.is_some(),
            timezone: zone.unwrap_or_else(TimeZone::system),
            channels: channels(&section.channels?)?,
            permissions: permissions(section.permissions?),
            rcon,
            mod_logs,
            prometheus_file,
            alerts: AlertSettings::none(),
        })
    }

    fn rcon(&self, tag: &ServerTag, section: RconSection, problems: &mut Problems<'_>) -> Option<RconSettings> {
        let upper = tag.as_str().to_uppercase();
        let mounts = [format!("rcon_password_{tag}"), format!("RCON_PASSWORD_{tag}"), format!("RCON_PASSWORD_{upper}")];
        let sought = Sought {
            key: &format!("servers.{tag}.rcon.password"),
            given: section.password,
            file: section.password_file,
            mounts: mounts.into_iter().chain(["RCON_PASSWORD".to_owned()]).collect(),
            base: self.base,
        };
        if section.port == 0 {
            problems.add(&format!("servers.{tag}.rcon.port"), "expected a port from 1 to 65535, found the number 0");
        }
        let password = sought.find(self.env, problems)?;
        Some(RconSettings { host: section.host, port: section.port, password, allow_lua: section.allow_lua })
    }
}

/// The log files seen so far, each with its key.
#[derive(Default)]
struct Logs(BTreeMap<PathBuf, String>);

impl Logs {
    fn check(&mut self, key: &str, log: &Path, problems: &mut Problems<'_>) {
        let name = log.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if key.ends_with("console_log") && ["factorio-current.log", "factorio-previous.log"].contains(&name) {
            let message = format!("{name} never contains chat, joins or leaves");
            let hint = "start the game with `--console-log FILE` and name that file here; this one is an `engine_log`";
            problems.add_with_hint(key, message, hint);
        }
        if let Some(other) = self.0.insert(plain(log), key.to_owned()) {
            problems.add(key, format!("the same file as `{other}`: its lines would be relayed twice"));
        }
    }
}

/// The path without `.` and `..`, so that two spellings of a path are equal. Links are not followed.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

fn channels(section: &ChannelsSection) -> Option<ServerChannels> {
    let routes = [
        (Route::Chat, section.chat),
        (Route::Joins, section.joins),
        (Route::Admin, section.admin),
        (Route::Alerts, section.alerts),
        (Route::Server, section.server),
        (Route::Game, section.game),
        (Route::Audit, section.audit),
    ];
    let routes = routes.into_iter().filter_map(|(route, channel)| Some((route, channel?))).collect();
    Some(ServerChannels { default: section.default?, routes })
}

fn overrides(sections: BTreeMap<EventKind, EventSection>) -> BTreeMap<EventKind, EventOverride> {
    let resolve = |(kind, section): (EventKind, EventSection)| {
        let EventSection { enabled, template, channel, lane } = section;
        (kind, EventOverride { enabled, template, channel, lane })
    };
    sections.into_iter().map(resolve).collect()
}

fn permissions(section: PermissionsSection) -> PermissionSettings {
    let ids = |ids: Option<MemberIds>| ids.map(|ids| ids.0).unwrap_or_default();
    PermissionSettings { moderator: ids(section.moderator), admin: ids(section.admin) }
}

fn commands(section: CommandsSection, tags: &[ServerTag], problems: &mut Problems<'_>) -> Option<CommandSettings> {
    within("commands.query_window", section.query_window, "1s", "1h", problems);
    within("commands.action_window", section.action_window, "1s", "1h", problems);
    within("commands.confirm_within", section.confirm_within, "5s", "10m", problems);
    for (key, limit) in [("query_limit", section.query_limit), ("action_limit", section.action_limit)] {
        if !(1..=1000).contains(&limit) {
            problems.add(&format!("commands.{key}"), "out of range: 1 to 1000");
        }
    }
    if let Some(tag) = section.default_server.as_ref().filter(|tag| !tags.contains(tag)) {
        problems.add("commands.default_server", format!("there is no table `[servers.{tag}]`"));
    }
    let rcon_allow = section.rcon_allow.unwrap_or_default();
    let is_command = |text: &str| text == "*" || (text.starts_with('/') && !text.contains(char::is_whitespace));
    for (index, _) in rcon_allow.iter().enumerate().filter(|(_, text)| !is_command(text)) {
        problems.add(&format!("commands.rcon_allow[{index}]"), "expected a command's first word as `/players`, or `*`");
    }
    Some(CommandSettings {
        default_server: section.default_server,
        queries: RateSettings { limit: section.query_limit, window: section.query_window },
        actions: RateSettings { limit: section.action_limit, window: section.action_window },
        confirm_within: section.confirm_within,
        name_moderator: section.name_moderator,
        rcon: section.rcon,
        rcon_allow,
        levels: section.levels?.into_iter().map(|(name, level)| (name.0, level)).collect(),
    })
}

pub(super) fn within(key: &str, value: Duration, least: &str, most: &str, problems: &mut Problems<'_>) {
    let bound = |text| duration::parse(text).expect("bounds are durations");
    if value < bound(least) || value > bound(most) {
        problems.add(key, format!("out of range: {least} to {most}"));
    }
}

fn relay(section: &RelaySection, problems: &mut Problems<'_>) -> RelaySettings {
    within("relay.max_replay_age", section.max_replay_age, "1s", "365d", problems);
    within("relay.poll_interval", section.poll_interval, "10ms", "1m", problems);
    within("relay.park_retry", section.park_retry, "1s", "1d", problems);
    within("relay.keep_delivered", section.keep_delivered, "0s", "30d", problems);
    within("relay.inbound_ttl", section.inbound_ttl, "1s", "1h", problems);
    if !(1..=100).contains(&section.max_backlog_messages) {
        problems.add("relay.max_backlog_messages", "out of range: 1 to 100");
    }
    RelaySettings {
        max_replay_age: section.max_replay_age,
        poll_interval: section.poll_interval,
        max_backlog_messages: section.max_backlog_messages,
        park_retry: section.park_retry,
        keep_delivered: section.keep_delivered,
        server_prefix: section.server_prefix,
    }
}

fn database(section: DatabaseSection, base: &Path, problems: &mut Problems<'_>) -> DatabaseSettings {
    within("database.keep_audit", section.keep_audit, "1d", "3650d", problems);
    DatabaseSettings { path: base.join(section.path), keep_audit: section.keep_audit }
}

fn log(section: LogSection, problems: &mut Problems<'_>) -> Option<LogSettings> {
    if EnvFilter::builder().parse(&section.level).is_err() {
        problems.add("log.level", "expected a filter as `info` or `info,factorio_isr::tail=debug`");
        return None;
    }
    if let Some(word) = no_level(&section.level) {
        let hint = "for one module write `info,module=debug`";
        let message = format!("`{word}` is no level; there are `error`, `warn`, `info`, `debug`, `trace` and `off`");
        problems.add_with_hint("log.level", message, hint);
        return None;
    }
    Some(LogSettings { format: section.format, level: section.level })
}

/// A word on its own that is no level. The filter takes it for a module to trace, which silences all others.
fn no_level(filter: &str) -> Option<&str> {
    let words = filter.split(',').map(str::trim).filter(|word| !word.is_empty() && !filter.contains('['));
    words.filter(|word| !word.contains('=')).find(|word| word.parse::<LevelFilter>().is_err())
}

/// The address without a `/` at its end.
fn api_base(text: &str, problems: &mut Problems<'_>) -> Option<String> {
    let good = |url: &reqwest::Url| {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && bare && anonymous
    };
    if reqwest::Url::parse(text).is_ok_and(|url| good(&url)) {
        return Some(text.trim().trim_end_matches('/').to_owned());
    }
    let hint = "leave out `/api/v10` and whatever else stands behind the port";
    problems.add_with_hint("discord.api_base", "expected `http://host:port` or `https://host`", hint);
    None
}

/// Catches what people paste beside the token. Whether the token is good, only Discord knows.
fn check_token(token: &SecretString, problems: &mut Problems<'_>) {
    let token = token.expose_secret();
    if token.trim_start().to_lowercase().starts_with("bot ") {
        problems.add_with_hint("discord.token", "the token starts with `Bot `", "give the token alone");
    } else if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
        problems.add("discord.token", "the token has white space in it");
    } else if token.contains(['"', '\'']) {
        problems.add("discord.token", "the token has a quote in it");
    }
}

fn lua_warnings(servers: &[ServerSettings]) -> Vec<String> {
    let open = servers.iter().filter(|server| server.rcon.as_ref().is_some_and(|rcon| rcon.allow_lua));
    let say = |server: &ServerSettings| {
        format!("servers.{}.rcon.allow_lua is true: a Lua command disables achievements for the save", server.tag)
    };
    open.map(say).collect()
}

/// An invalid `TZ` means UTC to the C library and to us, which is hardly what the operator wants.
fn timezone_warning(servers: &[ServerSettings], env: &Environment) -> Option<String> {
    let tz = env.vars.get("TZ").filter(|tz| !tz.is_empty() && !is_time_zone(tz))?;
    let uses_it = servers.iter().any(|server| !server.timezone_configured);
    uses_it.then(|| {
        format!(
            "TZ is \"{tz}\", which is not a time zone, so UTC is used: write it as \"Europe/Berlin\", or set `timezone`"
        )
    })
}

/// A POSIX rule, the name of a zone, or a file with one.
fn is_time_zone(tz: &str) -> bool {
    let name = tz.strip_prefix(':').unwrap_or(tz);
    let in_database = name.rsplit_once("zoneinfo/").map_or(name, |(_, name)| name);
    TimeZone::posix(tz).is_ok() || TimeZone::get(in_database).is_ok() || Path::new(name).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_a_path_are_one() {
        for (written, expected) in [("/a/./b/../c", "/a/c"), ("a//b/", "a/b"), ("../x", "../x"), ("/a/b", "/a/b")] {
            assert_eq!(plain(Path::new(written)), PathBuf::from(expected), "{written}");
        }
    }
}
