//! Talks to the games' consoles over RCON: one actor per server, over one connection that is kept.
//!
//! The achievement guard stands in this room, so that no caller can forget it.

mod command_line;
mod commands;
mod error;
mod framing;
mod guard;
mod lua;
mod names;
mod replies;

pub use command_line::{CommandLine, MAX_COMMAND_BYTES};
pub use commands::{ChatText, Command, InvalidArgument, Reason, SaveName, SurfaceName};
pub use error::{Garbage, RconError};
pub use guard::{LuaCommand, lua_command};
pub use lua::string_literal;
pub use names::{InvalidPlayerName, PlayerName};
pub use replies::{
    Evolution, ListedPlayer, Players, Refusal, parse_admins, parse_evolution, parse_name_list, parse_players,
    parse_seed, parse_time, parse_version, refusal,
};
