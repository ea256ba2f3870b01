//! `[game]` and `[servers.TAG.game]`: how often the games are looked at, and what Lua may tell.

use std::collections::BTreeMap;
use std::time::Duration;

use figment::value::Value;

use super::file::{GameSection, SeriesSection, ServerGameSection};
use super::problem::Problems;
use super::resolve::within;
use super::value::Scalar;
use crate::domain::ServerTag;

/// `[game]`
#[derive(Debug, Clone, Default)]
pub struct GameSettings {
    /// How games are looked at that have nothing of their own.
    pub general: SampleSettings,
    /// `servers.TAG.game`, with `general` where a key is absent.
    pub servers: BTreeMap<ServerTag, SampleSettings>,
    /// `[game.series]`
    pub series: SeriesSettings,
}

impl GameSettings {
    /// How this server's game is looked at.
    #[must_use]
    pub fn of(&self, server: &ServerTag) -> &SampleSettings {
        self.servers.get(server).unwrap_or(&self.general)
    }
}

/// How a game is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleSettings {
    /// `interval`: between samples.
    pub interval: Duration,
    /// `idle_interval`: the same, while the map stands with nobody in it.
    pub idle_interval: Duration,
    /// `ups_window`: over which UPS are measured.
    pub ups_window: Duration,
    /// `sections`: what Lua is asked for.
    pub sections: Vec<LuaSection>,
    /// `top_names`: names a table of Lua may have, those with the most first.
    pub top_names: usize,
    /// `max_reply_bytes`: of Lua's answer.
    pub max_reply_bytes: usize,
}

impl Default for SampleSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            idle_interval: Duration::from_mins(2),
            ups_window: Duration::from_mins(1),
            sections: LuaSection::DEFAULT.to_vec(),
            top_names: 100,
            max_reply_bytes: 131_072,
        }
    }
}

/// What one Lua command may tell, part by part. What the map itself is (tick, speed, version) is always among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the words of the configuration")]
pub enum LuaSection {
    Players,
    Evolution,
    Research,
    Rockets,
    Items,
    Fluids,
    Kills,
    Builds,
    Pollution,
    Platforms,
    Seeds,
    Electricity,
}

impl LuaSection {
    /// All of them, in the order in which they are asked for: where the answer may hold no more, the last ones are left out.
    pub const ALL: [Self; 12] = [
        Self::Players,
        Self::Evolution,
        Self::Research,
        Self::Rockets,
        Self::Platforms,
        Self::Seeds,
        Self::Items,
        Self::Fluids,
        Self::Kills,
        Self::Pollution,
        Self::Builds,
        Self::Electricity,
    ];

    /// Those that cost the game little.
    pub const DEFAULT: &[Self] = &[
        Self::Players,
        Self::Evolution,
        Self::Research,
        Self::Rockets,
        Self::Platforms,
        Self::Items,
        Self::Fluids,
        Self::Kills,
        Self::Pollution,
    ];

    /// The word of the configuration, and the key in the answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Players => "players",
            Self::Evolution => "evolution",
            Self::Research => "research",
            Self::Rockets => "rockets",
            Self::Items => "items",
            Self::Fluids => "fluids",
            Self::Kills => "kills",
            Self::Builds => "builds",
            Self::Pollution => "pollution",
            Self::Platforms => "platforms",
            Self::Seeds => "seeds",
            Self::Electricity => "electricity",
        }
    }
}

/// `[game.series]`: how many series a game may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesSettings {
    /// `cap`: series of one metric and server.
    pub cap: usize,
    /// `allow`: only names that match one of these; empty = all.
    pub allow: Vec<NamePattern>,
    /// `deny`: none of these.
    pub deny: Vec<NamePattern>,
}

impl Default for SeriesSettings {
    fn default() -> Self {
        Self { cap: 500, allow: Vec::new(), deny: Vec::new() }
    }
}

/// An internal name of the game, where `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(Vec<String>);

impl NamePattern {
    /// As it is written.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.split('*').map(ToOwned::to_owned).collect())
    }

    /// Whether the whole name is one of those meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return name == first };
        let Some(mut left) = name.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            let Some((_, behind)) = left.split_once(part.as_str()) else { return false };
            left = behind;
        }
        left.ends_with(last.as_str())
    }
}

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
