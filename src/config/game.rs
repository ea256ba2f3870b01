//! `[game]` and `[servers.TAG.game]`: how often the games are looked at, and what Lua may tell.

use std::collections::BTreeMap;

use figment::value::Value;

use super::file::{GameSection, SeriesSection, ServerGameSection};
use super::problem::Problems;
use super::resolve::within;
use super::settings::{GameSettings, LuaSection, NamePattern, SampleSettings, SeriesSettings};
use super::value::Scalar;
use crate::domain::ServerTag;

impl Scalar for LuaSection {
    const EXPECTED: &'static str = "`players`, `evolution`, `research`, `rockets`, `items`, `fluids`, `kills`, `builds`, \
                                    `pollution`, `platforms`, `seeds` or `electricity`";

    fn parse(value: &Value) -> Option<Self> {
        let word = value.as_str()?.trim();
        Self::ALL.into_iter().find(|section| section.as_str() == word)
    }
}

impl Scalar for NamePattern {
    const EXPECTED: &'static str = "an internal name as `iron-plate`, or one with `*` for any text as `*-science-pack`";

    fn parse(value: &Value) -> Option<Self> {
        let word = value.as_str()?.trim();
        (!word.is_empty() && !word.contains(char::is_whitespace)).then(|| Self::new(word))
    }
}

/// Checks and resolves `[game]`, with what each server has of its own.
pub(super) fn resolve(
    section: GameSection,
    servers: BTreeMap<ServerTag, ServerGameSection>,
    problems: &mut Problems<'_>,
) -> Option<GameSettings> {
    within("game.ups_window", section.ups_window, "10s", "10m", problems);
    if !(1..=500).contains(&section.top_names) {
        problems.add("game.top_names", "out of range: 1 to 500");
    }
    if !(1024..=1_048_576).contains(&section.max_reply_bytes) {
        problems.add("game.max_reply_bytes", "out of range: 1024 to 1048576");
    }
    let general = SampleSettings {
        interval: section.interval,
        idle_interval: section.idle_interval,
        ups_window: section.ups_window,
        sections: section.sections.unwrap_or_else(|| LuaSection::DEFAULT.to_vec()),
        top_names: section.top_names,
        max_reply_bytes: section.max_reply_bytes,
    };
    check("game", &general, problems);
    let own = |(tag, section): (ServerTag, ServerGameSection)| {
        let settings = SampleSettings {
            interval: section.interval.unwrap_or(general.interval),
            idle_interval: section.idle_interval.unwrap_or(general.idle_interval),
            sections: section.sections.unwrap_or_else(|| general.sections.clone()),
            ..general.clone()
        };
        check(&format!("servers.{tag}.game"), &settings, problems);
        (tag, settings)
    };
    let servers = servers.into_iter().map(own).collect();
    Some(GameSettings { general, servers, series: series(section.series?, problems) })
}

fn check(key: &str, settings: &SampleSettings, problems: &mut Problems<'_>) {
    within(&format!("{key}.interval"), settings.interval, "1s", "10m", problems);
    within(&format!("{key}.idle_interval"), settings.idle_interval, "1s", "1h", problems);
    if settings.idle_interval < settings.interval {
        problems.add(&format!("{key}.idle_interval"), "shorter than `interval`: it is for games with nobody in them");
    }
}

fn series(section: SeriesSection, problems: &mut Problems<'_>) -> SeriesSettings {
    if !(1..=10_000).contains(&section.cap) {
        problems.add("game.series.cap", "out of range: 1 to 10000");
    }
    SeriesSettings {
        cap: section.cap,
        allow: section.allow.unwrap_or_default(),
        deny: section.deny.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_as_a_whole_and_a_star_is_any_text() {
        for (pattern, name, matches) in [
            ("iron-plate", "iron-plate", true),
            ("iron-plate", "iron-plates", false),
            ("*-science-pack", "space-science-pack", true),
            ("*-science-pack", "science-pack", false),
            ("iron*", "iron-ore", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("aa*a", "aa", false),
            ("a*a*a", "aa", false),
        ] {
            assert_eq!(NamePattern::new(pattern).matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn every_section_of_lua_is_known_by_its_name() {
        for section in LuaSection::ALL {
            assert_eq!(LuaSection::parse(&Value::from(section.as_str())), Some(section));
            assert!(<LuaSection as Scalar>::EXPECTED.contains(section.as_str()));
        }
    }
}
