//! A Factorio server's RCON at the protocol: the login, one packet an answer, the game's own texts, and its faults.
//!
//! It writes no log. What a real server would write into its logs is told as [`RconEvent`]s, for whoever does.

mod commands;
mod faults;
mod game;
mod lua;
mod sample;
mod server;
mod wire;

pub use faults::Fault;
pub use game::{Game, Player, RconEvent, Research, Surface};
pub use server::{Seen, SimRcon};
