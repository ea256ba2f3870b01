//! A Factorio dedicated server as its log files show it: the file of `--console-log` and `factorio-current.log`.
//!
//! The lines are the ones real servers of 2.0 write; time comes from a [`Clock`](crate::domain::Clock). [`SimServer`] plays
//! no game and opens no port; [`SimGame`] is one with its RCON and the game behind both.

mod engine;
mod feed;
mod game;
mod log_file;
mod map_clock;
mod metrics_file;
mod mods;
mod numbered;
mod server;

pub use feed::{FeedLine, LogFeed};
pub use game::SimGame;
pub use log_file::LogFile;
pub use map_clock::MapState;
pub use metrics_file::{GameNumbers, MetricsFile};
pub use mods::SimMod;
pub use numbered::{Loss, NumberedLine, check_exactly_once, numbered_lines};
pub use server::{SERVER_ACTOR, SimServer, SimServerConfig};
