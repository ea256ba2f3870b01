//! The Lua console, as far as the relay needs one: the snippets it sends, everything else answers nothing.

use super::game::{Game, RconEvent, Research};
use super::sample::sample_of;

/// What the save remembers of Lua commands.
#[derive(Debug, Clone, Default)]
pub(super) struct Lua {
    warned_of: Option<String>,
    achievements_disabled: bool,
}

const WARNING: &str = "Using Lua console commands will disable achievements. Please repeat the command to proceed.";

#[cfg(test)]
impl Lua {
    /// Of a save on which Lua ran before.
    pub(super) fn disabled() -> Self {
        Self { achievements_disabled: true, ..Self::default() }
    }
}

impl Game {
    /// Whether a Lua command has run on this save, which ends its achievements.
    #[must_use]
    pub fn achievements_disabled(&self) -> bool {
        self.lua.achievements_disabled
    }
}

impl Game {
    pub(super) fn is_before_2(&self) -> bool {
        self.version.starts_with("1.")
    }
}

/// Runs Lua, unless it is the save's first: that is warned of, and must come again as it was. `logged` = by `/c`.
pub(super) fn run(game: &mut Game, lua: &str, logged: bool, events: &mut Vec<RconEvent>) -> String {
    let memory = &mut game.lua;
    if !memory.achievements_disabled && memory.warned_of.as_deref() != Some(lua) {
        memory.warned_of = Some(lua.to_owned());
        events.push(RconEvent::LuaWarning { lua: lua.to_owned() });
        return format!("Player <server> tried using the command \"{lua}\".\n{WARNING}\n");
    }
    memory.achievements_disabled = true;
    if logged {
        events.push(RconEvent::LuaCommand { lua: lua.to_owned() });
    }
    evaluate(game, lua)
}

/// What the snippet prints; nothing where it is none that is known.
fn evaluate(game: &mut Game, lua: &str) -> String {
    let lua = lua.trim();
    let said = match lua {
        "rcon.print(game.tick)" => Some(game.tick().to_string()),
        "rcon.print(game.tick..' '..game.speed..' '..tostring(game.tick_paused))" => {
            Some(format!("{} {} {}", game.tick(), game.speed, game.halted))
        }
        "rcon.print(game.speed)" => Some(game.speed.to_string()),
        "rcon.print(helpers.game_version)" => Some(game.version.clone()),
        "rcon.print(#game.connected_players)" => {
            Some(game.players.values().filter(|player| player.online).count().to_string())
        }
        sample if sample.contains("S('map',") => Some(sample_of(game, sample).to_string()),
        _ => set_speed(game, lua).or_else(|| set_daytime(game, lua)).or_else(|| research(game, lua)),
    };
    said.map(|said| said + "\n").unwrap_or_default()
}

fn set_speed(game: &mut Game, lua: &str) -> Option<String> {
    let speed = lua.strip_prefix("game.speed=")?.strip_suffix(" rcon.print(game.speed)")?;
    game.speed = speed.parse().ok()?;
    Some(game.speed.to_string())
}

fn set_daytime(game: &mut Game, lua: &str) -> Option<String> {
    let (name, rest) = literal(lua.strip_prefix("local s=game.surfaces[")?)?;
    let rest = rest.strip_prefix("] if not s then rcon.print(\"Cannot find the surface.\") return end s.daytime=")?;
    let daytime = rest.strip_suffix(" rcon.print(s.name..\": \"..s.daytime)")?;
    // Lua names surfaces as the game does inside, in lower case.
    let Some(surface) = game.surfaces.iter_mut().find(|surface| surface.name.to_lowercase() == name) else {
        return Some("Cannot find the surface.".to_owned());
    };
    surface.daytime = daytime.parse().ok()?;
    Some(format!("{name}: {daytime}"))
}

/// The research of a force. All forces share one here, but for their names.
fn research(game: &mut Game, lua: &str) -> Option<String> {
    let (force, rest) = literal(lua.strip_prefix("local f=game.forces[")?)?;
    let rest = rest.strip_prefix("] if not f then rcon.print(\"Cannot find the force.\") return end ")?;
    if !["player", "enemy", "neutral"].contains(&&*force) {
        return Some("Cannot find the force.".to_owned());
    }
    let research = &mut game.research;
    if rest.starts_with("local t=f.current_research ") {
        let progress = |current: &String| format!("{current} {:.0} %", (research.progress * 100.0).floor());
        return Some(research.queue.first().map_or_else(|| "Nothing.".to_owned(), progress));
    }
    if rest == "f.cancel_current_research() rcon.print(\"Cancelled.\")" {
        research.leave_current();
        return Some("Cancelled.".to_owned());
    }
    let (technology, rest) = literal(rest.strip_prefix("local t=f.technologies[")?)?;
    let then = rest.strip_prefix("] if not t then rcon.print(\"Cannot find the technology.\") return end ")?;
    Some(match then {
        _ if !research.technologies.contains(&technology) => "Cannot find the technology.".to_owned(),
        "t.researched=true rcon.print(\"Completed.\")" => {
            research.complete(technology);
            "Completed.".to_owned()
        }
        _ if research.enqueue(technology) => "Queued.".to_owned(),
        _ => "Cannot queue it.".to_owned(),
    })
}

impl Research {
    fn leave_current(&mut self) {
        self.progress = 0.0;
        if !self.queue.is_empty() {
            self.queue.remove(0);
        }
    }

    fn complete(&mut self, technology: String) {
        if self.queue.first() == Some(&technology) {
            self.leave_current();
        }
        self.queue.retain(|queued| *queued != technology);
        self.done.insert(technology);
    }

    /// Whether it was not researched or queued before.
    fn enqueue(&mut self, technology: String) -> bool {
        let fresh = !self.done.contains(&technology) && !self.queue.contains(&technology);
        self.queue.extend(fresh.then_some(technology));
        fresh
    }
}

/// The text of the string literal that `lua` begins with, and what is behind it.
fn literal(lua: &str) -> Option<(String, &str)> {
    let (inner, rest) = lua.strip_prefix('"')?.split_once('"')?;
    let mut bytes = Vec::new();
    let mut left = inner.bytes();
    while let Some(byte) = left.next() {
        if byte == b'\\' {
            let digits: String = left.by_ref().take(3).map(char::from).collect();
            bytes.push(digits.parse().ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some((String::from_utf8(bytes).ok()?, rest))
}
