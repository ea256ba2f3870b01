//! Talks to the games' consoles over RCON: one actor per server, over one connection that is kept.
//!
//! Callers hold an [`RconClient`] and send typed [`Command`]s. The achievement guard stands in this room, so that no
//! caller can forget it; Lua reaches the game only where the operator allowed it.

mod actor;
mod client;
mod command_line;
mod commands;
mod error;
mod framing;
mod guard;
mod lua;
mod names;
mod queue;
mod replies;
mod session;
mod stream;

pub use actor::RconActor;
pub use client::{LinkState, Priority, RconClient, RconTarget, RconTimes, Reply, connect};
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
