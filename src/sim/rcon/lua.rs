//! The Lua console, as far as a sampler needs one: a handful of known snippets, everything else answers nothing.

use super::game::{Game, RconEvent};

/// What the save remembers of Lua commands.
#[derive(Debug, Clone, Default)]
pub(super) struct Lua {
    warned_of: Option<String>,
    achievements_disabled: bool,
}

const WARNING: &str = "Using Lua console commands will disable achievements. Please repeat the command to proceed.";

impl Game {
    /// Whether a Lua command has run on this save, which ends its achievements.
    #[must_use]
    pub fn achievements_disabled(&self) -> bool {
        self.lua.achievements_disabled
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

fn evaluate(game: &Game, lua: &str) -> String {
    match lua.trim() {
        "rcon.print(game.tick)" => format!("{}\n", game.tick()),
        "rcon.print(game.speed)" => "1\n".to_owned(),
        "rcon.print(helpers.game_version)" => format!("{}\n", game.version),
        "rcon.print(#game.connected_players)" => {
            format!("{}\n", game.players.values().filter(|player| player.online).count())
        }
        _ => String::new(),
    }
}
