//! `[alerts]` and `[servers.TAG.alerts]`: which alerts there are, when they fire, where they go and whom they ping.
//!
//! Every key may be left out: a server's own comes first, then that of `[alerts]`, then the default.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use figment::value::Value;

use super::alert_tables::{RuleSection, SHAPES, Shape, Values};
use super::problem::Problems;
use super::resolve::within;
#[cfg(test)]
use super::section::Need;
use super::section::{Key, Table};
use super::settings::{Destination, EventSettings, ServerSettings};
use super::source::join;
use super::value::{Scalar, snowflakes};
use crate::domain::{AlertKind, EventKind, Route, ServerTag};

/// `[alerts]` for one server.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSettings {
    /// `channel`
    pub destination: Destination,
    /// `ping`: the roles that alerts ping.
    pub ping: BTreeSet<u64>,
    /// `remind_after`; `None` = never.
    pub remind_after: Option<Duration>,
    /// The alerts that are on, and of which something of the server tells.
    pub rules: BTreeMap<AlertKind, AlertRule>,
    /// When they fire.
    pub limits: AlertLimits,
}

impl AlertSettings {
    /// Whether an alert says what the notice of `event` would.
    #[must_use]
    pub fn tells(&self, event: EventKind) -> bool {
        AlertKind::instead_of(event).is_some_and(|alert| self.rules.contains_key(&alert))
    }

    /// Without those of which nothing of `server` tells: such an alert would never fire, or fire for ever.
    pub(super) fn told_by(mut self, server: &ServerSettings) -> Self {
        let (rcon, engine) = (server.rcon.is_some(), server.engine_log.is_some());
        let counts = rcon || server.prometheus_file.is_some();
        self.limits.engine_log = engine;
        self.rules.retain(|kind, _| match kind {
            AlertKind::RconDown => rcon,
            AlertKind::LowUps | AlertKind::LogSilent => counts,
            AlertKind::Autosave => engine,
            _ => true,
        });
        self
    }

    /// Without any alert.
    #[must_use]
    pub fn none() -> Self {
        Self {
            destination: Destination::Route(Route::Alerts),
            ping: BTreeSet::new(),
            remind_after: None,
            rules: BTreeMap::new(),
            limits: AlertLimits::default(),
        }
    }
}

/// What every alert has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertRule {
    /// `ping`: whether it pings the roles of `alerts.ping`.
    pub ping: bool,
    /// `cooldown`: the least time between two of it.
    pub cooldown: Duration,
    /// `after`: for how long it must be so.
    pub after: Duration,
    /// `samples`: so often in a row it must be so.
    pub samples: usize,
}

/// When the alerts fire; each field is `[alerts.TABLE]`'s key of nearly that name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertLimits {
    /// `low_ups.below`, of 60.
    pub ups_below: f64,
    /// `low_ups.recovered`, of 60.
    pub ups_recovered: f64,
    /// `log_silent.quiet`
    pub log_quiet: Duration,
    /// `autosave.overdue`
    pub save_overdue: Duration,
    /// `start_failed.after`; `None` where that alert is off.
    pub start_after: Option<Duration>,
    /// Whether the engine log shows when a server is ready.
    pub engine_log: bool,
    /// `crash_loop.crashes`; 0 where that alert is off.
    pub crashes: usize,
    /// `crash_loop.within`
    pub crashes_within: Duration,
    /// `desync.calm`
    pub desync_calm: Duration,
    /// `script_error.calm`
    pub script_calm: Duration,
    /// `evolution.step`
    pub evolution_step: f64,
    /// `watchlist.players`
    pub watchlist: Vec<String>,
    /// `join_refused.attempts`
    pub refusals: usize,
    /// `join_refused.within`
    pub refusals_within: Duration,
    /// `backlog.older_than`
    pub backlog_age: Duration,
}

/// Ids of roles: one, a list, or ids with commas between them.
#[derive(Debug, Clone, Default)]
struct RoleIds(Vec<u64>);

impl Scalar for RoleIds {
    const EXPECTED: &'static str = "the id of a role or a list of them";

    fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::Array(_, ids) if ids.is_empty() => Some(Self::default()),
            value => snowflakes(value).map(Self),
        }
    }
}

/// `[alerts]`
#[derive(Debug)]
pub(super) struct AlertsSection {
    enabled: Option<bool>,
    channel: Option<Destination>,
    ping: Option<RoleIds>,
    /// 0s: never.
    remind_after: Option<Duration>,
    rules: BTreeMap<AlertKind, RuleSection>,
}

/// The keys beside the alerts' own tables.
const COMMON: [&str; 4] = ["enabled", "channel", "ping", "remind_after"];

impl Key for AlertsSection {
    const EXPECTED: &'static str = "a table";

    fn read(path: &str, value: &Value, problems: &mut Problems<'_>) -> Option<Self> {
        let keys: Vec<&str> = COMMON.into_iter().chain(SHAPES.iter().map(|shape| shape.kind.as_str())).collect();
        let mut table = Table::open(path, value, &keys, problems)?;
        let section = Self {
            enabled: table.optional("enabled"),
            channel: table.optional("channel"),
            ping: table.optional("ping"),
            remind_after: table.optional("remind_after"),
            rules: BTreeMap::new(),
        };
        let rule = |shape: &Shape| {
            let rule = table.by(shape.kind.as_str(), |path, value, problems| shape.read(path, value, problems))?;
            Some((shape.kind, rule))
        };
        let rules = SHAPES.iter().filter_map(rule).collect();
        if let Some(after) = section.remind_after.filter(|after| !after.is_zero()) {
            within(&join(path, "remind_after"), after, "1s", "7d", problems);
        }
        Some(Self { rules, ..section })
    }

    #[cfg(test)]
    fn list(path: &str, _: Need, out: &mut Vec<(String, Need)>) {
        out.extend(COMMON.into_iter().map(|key| (join(path, key), Need::Optional)));
        for shape in &SHAPES {
            shape.list(&join(path, shape.kind.as_str()), out);
        }
    }
}

/// `[servers.TAG.alerts]`: every key of `[alerts]` may stand here too.
#[derive(Debug)]
pub(super) struct OwnAlerts(AlertsSection);

impl Key for OwnAlerts {
    const EXPECTED: &'static str = "a table";

    fn read(path: &str, value: &Value, problems: &mut Problems<'_>) -> Option<Self> {
        AlertsSection::read(path, value, problems).map(Self)
    }

    /// The manual says by one example that all keys may stand here.
    #[cfg(test)]
    fn list(path: &str, need: Need, out: &mut Vec<(String, Need)>) {
        out.push((join(path, "low_ups.below"), need));
    }
}

/// A server's own section, then the common one.
struct Layers<'a>(Vec<&'a AlertsSection>);

impl Layers<'_> {
    fn first<T>(&self, key: impl Fn(&AlertsSection) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|section| key(section))
    }

    fn of(&self, kind: AlertKind) -> Values<'_> {
        Values::of(kind, self.0.iter().filter_map(|section| section.rules.get(&kind)))
    }
}

/// The alerts of each server; problems are added where two keys are at odds.
pub(super) fn resolve(
    common: &AlertsSection,
    own: &BTreeMap<ServerTag, OwnAlerts>,
    tags: &[ServerTag],
    problems: &mut Problems<'_>,
) -> BTreeMap<ServerTag, AlertSettings> {
    let mut all = BTreeMap::new();
    for tag in tags {
        let own = own.get(tag).map(|own| &own.0);
        let settings = settings(&Layers(own.into_iter().chain([common]).collect()));
        if settings.limits.ups_recovered < settings.limits.ups_below {
            let low_ups = own.and_then(|own| own.rules.get(&AlertKind::LowUps));
            let given = low_ups.is_some_and(|rule| rule.has("below") || rule.has("recovered"));
            let path = if given { format!("servers.{tag}.alerts") } else { "alerts".to_owned() };
            problems.add(&format!("{path}.low_ups.recovered"), "must not be less than `below`");
        }
        all.insert(tag.clone(), settings);
    }
    all
}

fn settings(layers: &Layers<'_>) -> AlertSettings {
    let remind_after = layers.first(|all| all.remind_after).unwrap_or(Duration::from_hours(1));
    let any = layers.first(|all| all.enabled).unwrap_or(true);
    let on = AlertKind::ALL.iter().filter(|kind| any && layers.of(**kind).enabled());
    AlertSettings {
        destination: layers.first(|all| all.channel).unwrap_or(Destination::Route(Route::Alerts)),
        ping: layers.first(|all| all.ping.clone()).unwrap_or_default().0.into_iter().collect(),
        remind_after: Some(remind_after).filter(|after| !after.is_zero()),
        rules: on.map(|kind| (*kind, rule(*kind, &layers.of(*kind)))).collect(),
        limits: limits(layers),
    }
}

fn rule(kind: AlertKind, values: &Values<'_>) -> AlertRule {
    let waits = matches!(kind, AlertKind::RconDown | AlertKind::LogSilent);
    AlertRule {
        ping: values.ping(),
        cooldown: values.cooldown(),
        after: if waits { values.time("after") } else { Duration::ZERO },
        samples: if kind == AlertKind::LowUps { values.count("samples") } else { 1 },
    }
}

fn limits(layers: &Layers<'_>) -> AlertLimits {
    use AlertKind as A;
    let (low_ups, crash_loop, join_refused) =
        (layers.of(A::LowUps), layers.of(A::CrashLoop), layers.of(A::JoinRefused));
    let start_failed = layers.of(A::StartFailed);
    AlertLimits {
        ups_below: low_ups.number("below"),
        ups_recovered: low_ups.number("recovered"),
        log_quiet: layers.of(A::LogSilent).time("quiet"),
        save_overdue: layers.of(A::Autosave).time("overdue"),
        start_after: start_failed.enabled().then(|| start_failed.time("after")),
        engine_log: false,
        crashes: if crash_loop.enabled() { crash_loop.count("crashes") } else { 0 },
        crashes_within: crash_loop.time("within"),
        desync_calm: layers.of(A::Desync).time("calm"),
        script_calm: layers.of(A::ScriptError).time("calm"),
        evolution_step: layers.of(A::Evolution).number("step"),
        watchlist: layers.of(A::Watchlist).names("players"),
        refusals: join_refused.count("attempts"),
        refusals_within: join_refused.time("within"),
        backlog_age: layers.of(A::Backlog).time("older_than"),
    }
}

/// An event whose notice an alert says instead: what is set for that notice does nothing.
pub(super) fn warnings(servers: &[ServerSettings], events: &EventSettings) -> Vec<String> {
    let set = events.overrides.keys().filter_map(|event| Some((event, AlertKind::instead_of(*event)?)));
    let taken = set.filter(|(_, alert)| servers.iter().any(|server| server.alerts.rules.contains_key(alert)));
    let say = |(event, alert)| {
        format!(
            "events.{event} has no effect where the alert `{alert}` is on, which says the same: \
             change `[alerts.{alert}]`, or switch it off by `enabled = false`"
        )
    };
    taken.map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigErrors, Environment, Loaded, load};

    const SERVERS: &str = "[discord]\ntoken = \"abc\"\n\
        [servers.prod]\nconsole_log = \"prod.log\"\nchannels = { default = 1 }\n\
        engine_log = \"prod-current.log\"\nrcon = { password = \"hush\" }\n\
        [servers.test]\nconsole_log = \"test.log\"\nchannels = { default = 1 }\n\
        engine_log = \"test-current.log\"\nrcon = { port = 27016, password = \"hush\" }\n";

    fn loaded(alerts: &str) -> Result<Loaded, ConfigErrors> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, format!("{SERVERS}{alerts}")).unwrap();
        load(&path, &Environment { vars: [].into(), secrets_dir: dir.path().join("secrets") })
    }

    fn of(loaded: &Loaded, tag: &str) -> AlertSettings {
        loaded.settings.servers.iter().find(|server| server.tag.as_str() == tag).unwrap().alerts.clone()
    }

    /// The manual's `[alerts]`, with its commented keys made real.
    fn manual() -> String {
        let example = include_str!("../../config.example.toml");
        let (start, end) = (example.find("\n[alerts]\n").unwrap(), example.find("\n[http]\n").unwrap());
        let key = |line: &str| {
            let key = line.strip_prefix("# ").unwrap_or(line);
            let word = key.split(" = ").next().unwrap_or_default();
            let is_key = key.contains(" = ") && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_key { key.to_owned() } else { line.to_owned() }
        };
        example[start..end].lines().map(key).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_manual_shows_the_defaults() {
        let shown = of(&loaded(&manual()).unwrap_or_else(|errors| panic!("{errors}")), "prod");
        let mut defaults = of(&loaded("").unwrap(), "prod");
        // These two have no default; the manual has examples.
        assert_eq!((defaults.ping.len(), defaults.limits.watchlist.len()), (0, 0));
        defaults.ping.clone_from(&shown.ping);
        defaults.limits.watchlist.clone_from(&shown.limits.watchlist);
        assert_eq!(shown, defaults);
        assert_eq!(shown.rules.len(), AlertKind::ALL.len(), "all are on");
    }

    #[test]
    fn what_nothing_of_a_server_tells_is_no_alert_of_it() {
        let off = |keys: &str| -> Vec<&str> {
            let server = format!("[servers.bare]\nconsole_log = \"bare.log\"\nchannels = {{ default = 1 }}\n{keys}");
            let bare = of(&loaded(&server).unwrap_or_else(|errors| panic!("{errors}")), "bare");
            let kinds = AlertKind::ALL.iter().filter(|kind| !bare.rules.contains_key(*kind));
            kinds.map(|kind| kind.as_str()).collect()
        };
        assert_eq!(off(""), ["low_ups", "rcon_down", "log_silent", "autosave"]);
        assert_eq!(off("prometheus_file = { path = \"game.prom\" }"), ["rcon_down", "autosave"]);
        assert_eq!(off("engine_log = \"bare-current.log\""), ["low_ups", "rcon_down", "log_silent"]);
        assert_eq!(off("rcon = { port = 27017, password = \"hush\" }"), ["autosave"]);
    }

    #[test]
    fn a_servers_own_key_comes_before_the_common_one() {
        let alerts = "[alerts]\nping = [7, \"8\"]\nchannel = \"admin\"\n\
            [alerts.low_ups]\nbelow = 50.5\nsamples = 2\n\
            [servers.test.alerts]\nping = []\nremind_after = \"0s\"\n\
            [servers.test.alerts.low_ups]\nbelow = 30\n\
            [servers.test.alerts.crash]\nenabled = false\n";
        let loaded = loaded(alerts).unwrap_or_else(|errors| panic!("{errors}"));
        let (prod, test) = (of(&loaded, "prod"), of(&loaded, "test"));
        assert_eq!((prod.limits.ups_below, test.limits.ups_below), (50.5, 30.0));
        assert_eq!((prod.rules[&AlertKind::LowUps].samples, test.rules[&AlertKind::LowUps].samples), (2, 2));
        assert_eq!((prod.ping, test.ping), ([7, 8].into(), [].into()));
        assert_eq!((prod.remind_after, test.remind_after), (Some(Duration::from_hours(1)), None));
        assert!(prod.rules.contains_key(&AlertKind::Crash) && !test.rules.contains_key(&AlertKind::Crash));
        assert_eq!(test.destination, Destination::Route(Route::Admin));
    }

    #[test]
    fn every_value_out_of_range_is_told_where_it_stands() {
        let alerts = "[alerts]\nremind_after = \"8d\"\nping = [7, \"@moderators\"]\n\
            [alerts.low_ups]\nbelow = 61\nsamples = 0\ncooldown = \"2d\"\n\
            [alerts.evolution]\nstep = 0\n\
            [alerts.crash_loop]\ncrashes = 1\n\
            [alerts.watchlist]\nplayers = [\"Bob\", \" \"]\n\
            [servers.test.alerts.low_ups]\nrecovered = 20\n\
            [servers.test.alerts.rcon_down]\nafter = \"soon\"\nbefore = 1\n";
        let errors = loaded(alerts).unwrap_err().to_string();
        let told: Vec<&str> = errors.lines().map(|line| line.split_once(": ").unwrap().1).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        alerts.remind_after: out of range: 1s to 7d
        alerts.ping: expected the id of a role or a list of them, found a list of the number 7, the text "@moderators"
        alerts.low_ups.recovered: must not be less than `below`
        alerts.low_ups.below: out of range: 1 to 60
        alerts.low_ups.samples: out of range: 1 to 1000
        alerts.low_ups.cooldown: out of range: 0s to 1d
        alerts.evolution.step: out of range: 0.01 to 1
        alerts.crash_loop.crashes: out of range: 2 to 50
        alerts.watchlist.players[1]: expected a text in quotes, found the text " "
        servers.test.alerts.low_ups.recovered: must not be less than `below`
        servers.test.alerts.rcon_down.after: expected a duration as `250ms`, `15m` or `2h30m`, found the text "soon"
        servers.test.alerts.rcon_down.before: unknown key; known are `enabled`, `ping`, `cooldown`, `after`
        "#);
    }

    #[test]
    fn a_player_is_watched_once_however_the_name_is_written() {
        let players = "[alerts.watchlist]\nplayers = [\" Griefer\", \"griefer\", \"Jörg B.\", \"*_`\"]\n";
        assert_eq!(of(&loaded(players).unwrap(), "prod").limits.watchlist, ["Griefer", "Jörg B.", "*_`"]);
    }

    #[test]
    fn an_event_that_an_alert_tells_instead_is_warned_of() {
        let events = "[events.crash]\ntemplate = \"oh\"\n[events.chat]\nenabled = true\n";
        let warned = |more: &str| loaded(&format!("{events}{more}")).unwrap().warnings.len();
        assert_eq!(warned(""), 1);
        assert_eq!(warned("[alerts.crash]\nenabled = false\n"), 0);
        assert_eq!(warned("[alerts]\nenabled = false\n"), 0);
    }
}
