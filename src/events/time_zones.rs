//! What an operator reads about a log whose time stamps do not fit the configured time zone.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::config::settings::ServerSettings;
use crate::domain::ServerTag;
use crate::health::{Component, ComponentHandle, HealthRegistry};

/// Zones that are suggested first: the most likely one of each offset.
const COMMON_ZONES: [&str; 30] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "America/Chicago",
    "America/Denver",
    "Europe/London",
    "Europe/Helsinki",
    "Europe/Moscow",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "America/Halifax",
    "America/St_Johns",
    "America/Anchorage",
    "Pacific/Honolulu",
    "Pacific/Auckland",
    "Asia/Bangkok",
    "Asia/Dubai",
    "Asia/Karachi",
    "Asia/Tehran",
    "Asia/Kabul",
    "Asia/Kathmandu",
    "Asia/Dhaka",
    "Asia/Yangon",
    "Australia/Adelaide",
    "Atlantic/Azores",
    "Pacific/Apia",
];

/// Reports servers whose logs are in another time zone: once in the log, and as a part of the server while it lasts.
#[derive(Debug)]
pub(super) struct TimeZoneReport {
    servers: Arc<[ServerTag]>,
    entries: Vec<Entry>,
    registry: Option<HealthRegistry>,
}

#[derive(Debug)]
struct Entry {
    server: ServerSettings,
    reported: Option<Offset>,
    part: Option<ComponentHandle>,
}

impl TimeZoneReport {
    pub(super) fn new(servers: &[ServerSettings]) -> Self {
        let entry = |server: &ServerSettings| Entry { server: server.clone(), reported: None, part: None };
        Self {
            servers: servers.iter().map(|server| server.tag.clone()).collect(),
            entries: servers.iter().map(entry).collect(),
            registry: None,
        }
    }

    pub(super) fn report_to(&mut self, registry: &HealthRegistry) {
        self.registry = Some(registry.clone());
    }

    pub(super) fn servers(&self) -> Arc<[ServerTag]> {
        Arc::clone(&self.servers)
    }

    /// Reports what was measured last for the server. Returns whether it changed.
    pub(super) fn report(&mut self, server: &ServerTag, measured: Option<Offset>, now: Timestamp) -> bool {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.server.tag == *server) else { return false };
        if entry.reported == measured {
            return false;
        }
        entry.reported = measured;
        let tag = server.as_str();
        if let Some(reason) = measured.and_then(|offset| timezone_mismatch(&entry.server, offset, now)) {
            tracing::warn!(server = tag, reason, "Log is in another time zone");
            if let Some(registry) = &self.registry {
                let part = registry.server_part(Component::LogTailer, server, "timezone");
                part.degraded(reason);
                entry.part = Some(part);
            }
        } else {
            tracing::info!(server = tag, "Log is in the expected time zone");
            if let Some(part) = entry.part.take() {
                part.remove();
            }
        }
        true
    }
}

/// The difference between the stamps of a server's log and its time zone, with the key to set. `None` if there is none.
#[must_use]
pub fn timezone_mismatch(server: &ServerSettings, measured: Offset, now: Timestamp) -> Option<String> {
    let expected = server.timezone.to_offset(now);
    let seconds = measured.seconds() - expected.seconds();
    if seconds == 0 {
        return None;
    }
    let (key, utc) = (format!("servers.{}.timezone", server.tag), shown(measured));
    let (amount, direction) = (duration(seconds.abs()), if seconds < 0 { "behind" } else { "ahead of" });
    let zone = server.timezone.iana_name().unwrap_or("the system's zone");
    let advice = match zone_with(measured, now) {
        Some(example) => format!("set `{key}` to the zone of the game's host, for example \"{example}\""),
        None => "no time zone has this offset: check the clock of the game's host".to_owned(),
    };
    Some(if server.timezone_configured {
        format!("the game's log is at {utc}, {amount} {direction} the configured time zone {zone}: {advice}")
    } else {
        format!(
            "the game's log is at {utc}, {amount} {direction} the relay's time zone {zone}; lines are dated by the \
             measured offset: {advice}"
        )
    })
}

fn zone_with(offset: Offset, now: Timestamp) -> Option<String> {
    let all = jiff::tz::db().available().map(|name| name.to_string());
    let mut names = COMMON_ZONES.into_iter().map(ToOwned::to_owned).chain(all);
    names.find(|name| TimeZone::get(name).is_ok_and(|zone| zone.to_offset(now) == offset))
}

/// `UTC-05:00`
fn shown(offset: Offset) -> String {
    let minutes = offset.seconds().abs() / 60;
    format!("UTC{}{:02}:{:02}", if offset.seconds() < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}

/// `5 h`, `45 min`, `5 h 45 min`
fn duration(seconds: i32) -> String {
    match (seconds / 3600, seconds % 3600 / 60) {
        (hours, 0) => format!("{hours} h"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::offset;

    use super::*;
    use crate::events::log_clock::tests::server;

    fn mismatch(zone: &str, configured: bool, seconds: i32) -> String {
        let server =
            ServerSettings { timezone: TimeZone::get(zone).unwrap(), timezone_configured: configured, ..server() };
        let winter = "2026-11-30T12:00:00Z".parse().unwrap();
        timezone_mismatch(&server, Offset::from_seconds(seconds).unwrap(), winter).unwrap_or_default()
    }

    #[test]
    fn the_operator_reads_the_difference_and_the_key_to_set() {
        insta::assert_snapshot!([
            mismatch("UTC", false, -5 * 3600),
            mismatch("UTC", true, 2 * 3600),
            mismatch("Europe/Berlin", false, 0),
            mismatch("UTC", false, 5 * 3600 + 45 * 60),
            mismatch("UTC", false, 15 * 60),
        ].join("\n"), @r#"
        the game's log is at UTC-05:00, 5 h behind the relay's time zone UTC; lines are dated by the measured offset: set `servers.prod.timezone` to the zone of the game's host, for example "America/New_York"
        the game's log is at UTC+02:00, 2 h ahead of the configured time zone UTC: set `servers.prod.timezone` to the zone of the game's host, for example "Europe/Helsinki"
        the game's log is at UTC+00:00, 1 h behind the relay's time zone Europe/Berlin; lines are dated by the measured offset: set `servers.prod.timezone` to the zone of the game's host, for example "UTC"
        the game's log is at UTC+05:45, 5 h 45 min ahead of the relay's time zone UTC; lines are dated by the measured offset: set `servers.prod.timezone` to the zone of the game's host, for example "Asia/Kathmandu"
        the game's log is at UTC+00:15, 15 min ahead of the relay's time zone UTC; lines are dated by the measured offset: no time zone has this offset: check the clock of the game's host
        "#);
        assert_eq!(mismatch("America/New_York", false, offset(-5).seconds()), "");
    }
}
