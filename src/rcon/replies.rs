//! Reads the game's answers. Pure. What is not understood is `None`, never an error: the caller shows the text.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

/// A player as `/players` and `/admins` list one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPlayer {
    /// The name as the game has it: on servers that verify nobody it may hold anything.
    pub name: String,
    /// Whether the player is in the game.
    pub online: bool,
}

/// The answer to `/players`, `/players online` and `/players count`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Players {
    /// How many the game counts.
    pub count: usize,
    /// Who they are; empty where only the number was asked.
    pub listed: Vec<ListedPlayer>,
}

/// One surface's enemies. The shares are percent of the factor.
#[derive(Debug, Clone, PartialEq)]
pub struct Evolution {
    /// The surface; `None` before 2.0, where all shared one factor.
    pub surface: Option<String>,
    /// 0 to 1.
    pub factor: f64,
    /// By the time that passed.
    pub time: u32,
    /// By pollution.
    pub pollution: u32,
    /// By destroyed spawners.
    pub spawner_kills: u32,
}

/// Why the game did not do as told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `Unknown command "…"`
    UnknownCommand,
    /// There is no such player, surface or the like.
    NotFound,
    /// The player is not in the game.
    NotOnline,
    /// It is so already, or was never so.
    NothingToDo,
    /// `Cannot …`, as a Lua error or a ban that is none.
    Failed,
}

static PLAYERS: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:Online p|P)layers \((\d{1,9})\):?$"));
static EVOLUTION: LazyLock<Regex> = LazyLock::new(|| {
    let shares = r"\(Time (\d{1,4})%\) \(Pollution (\d{1,4})%\) \(Spawner kills (\d{1,4})%\)";
    regex(&format!(r"^(?:(.+?) - )?Evolution factor: (\d+(?:\.\d+)?)\.? {shares}$"))
});
static VERSION: LazyLock<Regex> = LazyLock::new(|| regex(r"^\d+\.\d+\.\d+$"));
static NAMES: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:Whitelisted|Banned|Muted) players: (.+)$"));
static NO_NAMES: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^(?:The (?:white|ban)list is empty|No players are (?:banned|whitelisted|muted))\.$"));
static REFUSALS: LazyLock<[(Regex, Refusal); 6]> = LazyLock::new(|| {
    [
        (regex(r#"^Unknown command ""#), Refusal::UnknownCommand),
        (regex(r"^Cannot "), Refusal::Failed),
        (regex(r"^(?:Player )?\S+ (?:doesn't|does not) exist\.$"), Refusal::NotFound),
        (regex(r#"^Surface ".*" does not exist\.$"#), Refusal::NotFound),
        (regex(r"^(?:Player )?\S+ (?:isn't|is not) online\.$"), Refusal::NotOnline),
        (regex(r"^(?:Player )?\S+ is (?:already|not) [a-z ]+\.$"), Refusal::NothingToDo),
    ]
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant that the tests compile")
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn listed(line: &str) -> ListedPlayer {
    let online = line.strip_suffix(" (online)");
    ListedPlayer { name: online.unwrap_or(line).to_owned(), online: online.is_some() }
}

/// The answer to `/players`, `/players online` or `/players count`.
#[must_use]
pub fn parse_players(text: &str) -> Option<Players> {
    let mut lines = lines(text);
    let header = PLAYERS.captures(lines.next()?)?;
    let (count, listed): (usize, Vec<ListedPlayer>) = (header[1].parse().ok()?, lines.map(listed).collect());
    // `/players count` lists nobody.
    let agree = listed.is_empty() || listed.len() == count;
    agree.then_some(Players { count, listed })
}

/// The answer to `/admins`: a name a line.
#[must_use]
pub fn parse_admins(text: &str) -> Option<Vec<ListedPlayer>> {
    let names = lines(text).filter(|line| !line.ends_with(':'));
    let admins: Vec<ListedPlayer> = names.map(listed).collect();
    admins.iter().all(|admin| !admin.name.contains(char::is_whitespace)).then_some(admins)
}

/// The answer to `/time`, as `1 day, 11 hours, 1 minute and 26 seconds`: the age of the map.
#[must_use]
pub fn parse_time(text: &str) -> Option<Duration> {
    let parts = text.trim().split(" and ").flat_map(|part| part.split(", "));
    let seconds = parts.map(seconds_of).try_fold(0_u64, |sum, part| sum.checked_add(part?))?;
    Some(Duration::from_secs(seconds))
}

fn seconds_of(part: &str) -> Option<u64> {
    let (number, unit) = part.split_once(' ')?;
    let length = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(length)
}

/// The answer to `/evolution`: one line before 2.0, one for each surface since.
#[must_use]
pub fn parse_evolution(text: &str) -> Option<Vec<Evolution>> {
    let surfaces: Option<Vec<Evolution>> = lines(text).map(evolution_of).collect();
    surfaces.filter(|surfaces| !surfaces.is_empty())
}

fn evolution_of(line: &str) -> Option<Evolution> {
    let found = EVOLUTION.captures(line)?;
    let share = |group: usize| found[group].parse::<u32>().ok();
    Some(Evolution {
        surface: found.get(1).map(|surface| surface.as_str().to_owned()),
        factor: found[2].parse().ok().filter(|factor| (0.0..=1.0).contains(factor))?,
        time: share(3)?,
        pollution: share(4)?,
        spawner_kills: share(5)?,
    })
}

/// The answer to `/version`.
#[must_use]
pub fn parse_version(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|version| VERSION.is_match(version))
}

/// The answer to `/seed`.
#[must_use]
pub fn parse_seed(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The answer to `/whitelist get` and `/banlist get`, as `Whitelisted players: A, B and C`.
#[must_use]
pub fn parse_name_list(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if NO_NAMES.is_match(text) {
        return Some(Vec::new());
    }
    let names = NAMES.captures(text)?.get(1)?.as_str();
    let names = names.split(" and ").flat_map(|part| part.split(", "));
    let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    names.map(|name| is_name(name).then(|| name.to_owned())).collect()
}

/// Why the game did not do as told; `None` when it did, or said something unknown.
#[must_use]
pub fn refusal(text: &str) -> Option<Refusal> {
    let text = text.trim();
    REFUSALS.iter().find(|(pattern, _)| pattern.is_match(text)).map(|(_, refusal)| *refusal)
}

#[cfg(test)]
#[path = "replies_tests.rs"]
mod tests;
