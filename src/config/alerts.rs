//! `[alerts]` and `[servers.TAG.alerts]`: which alerts there are, when they fire, where they go and whom they ping.
//!
//! Every key may be left out: a server's own comes first, then that of `[alerts]`, then the default.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use figment::value::Value;

use super::duration;
use super::problem::Problems;
#[cfg(test)]
use super::section::Need;
use super::section::{Key, Table, sections};
use super::settings::{AlertLimits, AlertRule, AlertSettings, Destination, EventSettings, ServerSettings};
#[cfg(test)]
use super::source::join;
use super::value::{Scalar, snowflakes};
use crate::domain::{AlertKind, Route, ServerTag};

/// A number with or without a fraction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decimal(f64);

impl Scalar for Decimal {
    const EXPECTED: &'static str = "a number as `55` or `0.1`";

    fn parse(value: &Value) -> Option<Self> {
        let number = match value {
            Value::Num(_, number) => number.to_f64().or_else(|| number.to_i128().map(|whole| whole as f64)),
            Value::String(_, text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite()).map(Self)
    }
}

/// Ids of roles: one, a list, or ids with commas between them.
#[derive(Debug, Clone, Default)]
pub(super) struct RoleIds(Vec<u64>);

impl Scalar for RoleIds {
    const EXPECTED: &'static str = "the id of a role or a list of them";

    fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::Array(_, ids) if ids.is_empty() => Some(Self::default()),
            value => snowflakes(value).map(Self),
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

sections! {
    /// `[alerts]`
    AlertsSection {
        /// Whether there are any.
        enabled: bool = optional;
        /// A route or a channel id.
        channel: Destination = optional;
        /// The roles that are pinged.
        ping: RoleIds = optional;
        /// How often an alert that lasts is repeated; 0s: never.
        remind_after: Duration = optional;
        low_ups: LowUpsSection = section;
        rcon_down: RconDownSection = section;
        log_silent: LogSilentSection = section;
        autosave: AutosaveSection = section;
        crash: CrashSection = section;
        crash_loop: CrashLoopSection = section;
        desync: DesyncSection = section;
        script_error: ScriptErrorSection = section;
        evolution: EvolutionSection = section;
        watchlist: WatchlistSection = section;
        join_refused: JoinRefusedSection = section;
        backlog: BacklogSection = section;
    }

    /// The game runs slower than it aims at. The numbers are of 60: at another speed they are scaled.
    LowUpsSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// Updates per second below which a sample is bad. 1 to 60.
        below: Decimal = optional;
        /// Updates per second from which on all is well again; not less than `below`.
        recovered: Decimal = optional;
        /// Bad samples in a row. 1 to 1000.
        samples: usize = optional;
    }

    /// The game cannot be asked.
    RconDownSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// For how long.
        after: Duration = optional;
    }

    /// People play, and the log tells nothing of it.
    LogSilentSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// Somebody came or went by RCON, and for so long no line was read.
        after: Duration = optional;
        /// Somebody is in the game all the time, and for so long no line was read.
        quiet: Duration = optional;
    }

    /// A save failed, or none was made.
    AutosaveSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// The time without a save while somebody plays.
        overdue: Duration = optional;
    }

    /// The server crashed.
    CrashSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
    }

    /// The server crashed again and again.
    CrashLoopSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// So many crashes. 2 to 50.
        crashes: usize = optional;
        /// Within this time.
        within: Duration = optional;
    }

    /// A player's game went out of step.
    DesyncSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// It is over when there was none for so long.
        calm: Duration = optional;
    }

    /// A mod or a script raised an error.
    ScriptErrorSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// It is over when there was none for so long.
        calm: Duration = optional;
    }

    /// The enemies evolved by a step.
    EvolutionSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// 0.01 to 1.
        step: Decimal = optional;
    }

    /// A player of this list joined.
    WatchlistSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// Names, in any case.
        players: Vec<String> = optional;
    }

    /// Somebody was refused again and again.
    JoinRefusedSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// So many times. 2 to 100.
        attempts: usize = optional;
        /// Within this time.
        within: Duration = optional;
    }

    /// What is to be said in Discord waits.
    BacklogSection {
        enabled: bool = optional;
        ping: bool = optional;
        cooldown: Duration = optional;
        /// For how long.
        older_than: Duration = optional;
    }
}

/// Cooldowns go from nothing to this.
const DAY: Duration = Duration::from_hours(24);

/// A server's own section, the common one, then the defaults.
struct Layers<'a>(Vec<&'a AlertsSection>);

impl Layers<'_> {
    fn first<T>(&self, key: impl Fn(&AlertsSection) -> Option<T>, default: T) -> T {
        self.0.iter().find_map(|section| key(section)).unwrap_or(default)
    }
}

/// The keys that every alert has.
macro_rules! rule {
    ($layers:ident, $name:ident, $ping:literal, $cooldown:expr) => {
        $layers.first(|all| all.$name.as_ref()?.enabled, true).then(|| AlertRule {
            ping: $layers.first(|all| all.$name.as_ref()?.ping, $ping),
            cooldown: $layers.first(|all| all.$name.as_ref()?.cooldown, $cooldown),
            after: Duration::ZERO,
            samples: 1,
        })
    };
}

/// A key of one alert.
macro_rules! limit {
    ($layers:ident, $name:ident.$key:ident, $default:expr) => {
        $layers.first(|all| all.$name.as_ref()?.$key.clone(), $default)
    };
}

/// The alerts of each server; problems are added where a value is out of range.
pub(super) fn resolve(
    common: &AlertsSection,
    own: &BTreeMap<ServerTag, OwnAlerts>,
    tags: &[ServerTag],
    problems: &mut Problems<'_>,
) -> BTreeMap<ServerTag, AlertSettings> {
    check("alerts", common, problems);
    for (tag, own) in own {
        check(&format!("servers.{tag}.alerts"), &own.0, problems);
    }
    let mut all = BTreeMap::new();
    for tag in tags {
        let layers = Layers(own.get(tag).map(|own| &own.0).into_iter().chain([common]).collect());
        let settings = settings(&layers);
        if settings.limits.ups_recovered < settings.limits.ups_below {
            let given = own.get(tag).is_some_and(|own| own.0.low_ups.as_ref().is_some_and(LowUpsSection::has_limits));
            let path = if given { format!("servers.{tag}.alerts") } else { "alerts".to_owned() };
            problems.add(&format!("{path}.low_ups.recovered"), "must not be less than `below`");
        }
        all.insert(tag.clone(), settings);
    }
    all
}

impl LowUpsSection {
    fn has_limits(&self) -> bool {
        self.below.is_some() || self.recovered.is_some()
    }
}

fn settings(layers: &Layers<'_>) -> AlertSettings {
    let remind_after = layers.first(|all| all.remind_after, Duration::from_hours(1));
    let rules = if layers.first(|all| all.enabled, true) { rules(layers) } else { BTreeMap::new() };
    AlertSettings {
        destination: layers.first(|all| all.channel, Destination::Route(Route::Alerts)),
        ping: layers.first(|all| all.ping.clone(), RoleIds::default()).0.into_iter().collect::<BTreeSet<_>>(),
        remind_after: Some(remind_after).filter(|after| !after.is_zero()),
        rules,
        limits: limits(layers),
    }
}

fn rules(layers: &Layers<'_>) -> BTreeMap<AlertKind, AlertRule> {
    let (minutes, none) = (Duration::from_mins(5), Duration::ZERO);
    let samples = limit!(layers, low_ups.samples, 3);
    let rcon_after = limit!(layers, rcon_down.after, Duration::from_mins(2));
    let silent_after = limit!(layers, log_silent.after, Duration::from_mins(2));
    let rules = [
        (AlertKind::LowUps, rule!(layers, low_ups, true, minutes).map(|rule| AlertRule { samples, ..rule })),
        (AlertKind::RconDown, rule!(layers, rcon_down, true, minutes).map(|r| AlertRule { after: rcon_after, ..r })),
        (
            AlertKind::LogSilent,
            rule!(layers, log_silent, true, minutes).map(|r| AlertRule { after: silent_after, ..r }),
        ),
        (AlertKind::Autosave, rule!(layers, autosave, true, minutes)),
        (AlertKind::CrashLoop, rule!(layers, crash_loop, true, none)),
        (AlertKind::Crash, rule!(layers, crash, true, none)),
        (AlertKind::Desync, rule!(layers, desync, true, none)),
        (AlertKind::ScriptError, rule!(layers, script_error, true, none)),
        (AlertKind::Evolution, rule!(layers, evolution, false, none)),
        (AlertKind::Watchlist, rule!(layers, watchlist, true, minutes)),
        (AlertKind::JoinRefused, rule!(layers, join_refused, true, minutes)),
        (AlertKind::Backlog, rule!(layers, backlog, false, minutes)),
    ];
    rules.into_iter().filter_map(|(kind, rule)| Some((kind, rule?))).collect()
}

fn limits(layers: &Layers<'_>) -> AlertLimits {
    let loops = limit!(layers, crash_loop.enabled, true);
    AlertLimits {
        ups_below: limit!(layers, low_ups.below, Decimal(55.0)).0,
        ups_recovered: limit!(layers, low_ups.recovered, Decimal(58.0)).0,
        log_quiet: limit!(layers, log_silent.quiet, Duration::from_hours(6)),
        save_overdue: limit!(layers, autosave.overdue, Duration::from_mins(30)),
        crashes: if loops { limit!(layers, crash_loop.crashes, 3) } else { 0 },
        crashes_within: limit!(layers, crash_loop.within, Duration::from_mins(15)),
        desync_calm: limit!(layers, desync.calm, Duration::from_mins(15)),
        script_calm: limit!(layers, script_error.calm, Duration::from_mins(15)),
        evolution_step: limit!(layers, evolution.step, Decimal(0.1)).0,
        watchlist: limit!(layers, watchlist.players, Vec::new()),
        refusals: limit!(layers, join_refused.attempts, 5),
        refusals_within: limit!(layers, join_refused.within, Duration::from_mins(10)),
        backlog_age: limit!(layers, backlog.older_than, Duration::from_mins(10)),
    }
}

/// The ranges of all keys. The tables are never absent where the section was read.
fn check(path: &str, section: &AlertsSection, problems: &mut Problems<'_>) {
    let mut ranges = Ranges { path, problems };
    ranges.duration("remind_after", section.remind_after, "0s", "7d");
    if let Some(low) = &section.low_ups {
        ranges.number("low_ups.below", low.below, 1.0, 60.0);
        ranges.number("low_ups.recovered", low.recovered, 1.0, 60.0);
        ranges.count("low_ups.samples", low.samples, 1..=1000);
    }
    ranges.duration("rcon_down.after", section.rcon_down.as_ref().and_then(|s| s.after), "0s", "1d");
    ranges.duration("log_silent.after", section.log_silent.as_ref().and_then(|s| s.after), "10s", "1d");
    ranges.duration("log_silent.quiet", section.log_silent.as_ref().and_then(|s| s.quiet), "1m", "30d");
    ranges.duration("autosave.overdue", section.autosave.as_ref().and_then(|s| s.overdue), "10s", "7d");
    ranges.count("crash_loop.crashes", section.crash_loop.as_ref().and_then(|s| s.crashes), 2..=50);
    ranges.duration("crash_loop.within", section.crash_loop.as_ref().and_then(|s| s.within), "1m", "1d");
    ranges.duration("desync.calm", section.desync.as_ref().and_then(|s| s.calm), "1s", "1d");
    ranges.duration("script_error.calm", section.script_error.as_ref().and_then(|s| s.calm), "1s", "1d");
    ranges.number("evolution.step", section.evolution.as_ref().and_then(|s| s.step), 0.01, 1.0);
    ranges.count("join_refused.attempts", section.join_refused.as_ref().and_then(|s| s.attempts), 2..=100);
    ranges.duration("join_refused.within", section.join_refused.as_ref().and_then(|s| s.within), "1s", "1d");
    ranges.duration("backlog.older_than", section.backlog.as_ref().and_then(|s| s.older_than), "1s", "7d");
    for (alert, cooldown) in cooldowns(section) {
        if cooldown.is_some_and(|cooldown| cooldown > DAY) {
            ranges.add(&format!("{alert}.cooldown"), "0s to 1d");
        }
    }
}

fn cooldowns(section: &AlertsSection) -> [(&'static str, Option<Duration>); 12] {
    [
        ("low_ups", section.low_ups.as_ref().and_then(|s| s.cooldown)),
        ("rcon_down", section.rcon_down.as_ref().and_then(|s| s.cooldown)),
        ("log_silent", section.log_silent.as_ref().and_then(|s| s.cooldown)),
        ("autosave", section.autosave.as_ref().and_then(|s| s.cooldown)),
        ("crash", section.crash.as_ref().and_then(|s| s.cooldown)),
        ("crash_loop", section.crash_loop.as_ref().and_then(|s| s.cooldown)),
        ("desync", section.desync.as_ref().and_then(|s| s.cooldown)),
        ("script_error", section.script_error.as_ref().and_then(|s| s.cooldown)),
        ("evolution", section.evolution.as_ref().and_then(|s| s.cooldown)),
        ("watchlist", section.watchlist.as_ref().and_then(|s| s.cooldown)),
        ("join_refused", section.join_refused.as_ref().and_then(|s| s.cooldown)),
        ("backlog", section.backlog.as_ref().and_then(|s| s.cooldown)),
    ]
}

struct Ranges<'a, 'p> {
    path: &'a str,
    problems: &'a mut Problems<'p>,
}

impl Ranges<'_, '_> {
    fn add(&mut self, key: &str, range: &str) {
        self.problems.add(&format!("{}.{key}", self.path), format!("out of range: {range}"));
    }

    fn duration(&mut self, key: &str, given: Option<Duration>, least: &str, most: &str) {
        let bound = |text| duration::parse(text).expect("bounds are durations");
        if given.is_some_and(|given| given < bound(least) || given > bound(most)) {
            self.add(key, &format!("{least} to {most}"));
        }
    }

    fn number(&mut self, key: &str, given: Option<Decimal>, least: f64, most: f64) {
        if given.is_some_and(|given| !(least..=most).contains(&given.0)) {
            self.add(key, &format!("{least} to {most}"));
        }
    }

    fn count(&mut self, key: &str, given: Option<usize>, range: std::ops::RangeInclusive<usize>) {
        if given.is_some_and(|given| !range.contains(&given)) {
            self.add(key, &format!("{} to {}", range.start(), range.end()));
        }
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
        [servers.test]\nconsole_log = \"test.log\"\nchannels = { default = 1 }\n";

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
        let alerts = "[alerts]\nremind_after = \"8d\"\n\
            [alerts.low_ups]\nbelow = 61\nsamples = 0\ncooldown = \"2d\"\n\
            [alerts.evolution]\nstep = 0\n\
            [alerts.crash_loop]\ncrashes = 1\n\
            [servers.test.alerts.low_ups]\nrecovered = 20\n\
            [servers.test.alerts.rcon_down]\nafter = \"soon\"\nbefore = 1\n";
        let errors = loaded(alerts).unwrap_err().to_string();
        let told: Vec<&str> = errors.lines().map(|line| line.split_once(": ").unwrap().1).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        alerts.remind_after: out of range: 0s to 7d
        alerts.low_ups.recovered: must not be less than `below`
        alerts.low_ups.below: out of range: 1 to 60
        alerts.low_ups.samples: out of range: 1 to 1000
        alerts.low_ups.cooldown: out of range: 0s to 1d
        alerts.evolution.step: out of range: 0.01 to 1
        alerts.crash_loop.crashes: out of range: 2 to 50
        servers.test.alerts.low_ups.recovered: must not be less than `below`
        servers.test.alerts.rcon_down.after: expected a duration as `250ms`, `15m` or `2h30m`, found the text "soon"
        servers.test.alerts.rcon_down.before: unknown key; known are `enabled`, `ping`, `cooldown`, `after`
        "#);
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
