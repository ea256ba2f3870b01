//! The slash commands as a member sees them: Discord and the game are simulated, everything between is real.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

mod actions;
mod audit;
mod confirm;
mod console;
mod history;
mod info;
mod late;
mod lists;
mod lua;
mod matrix;
mod names;
mod permissions;
mod program;
mod records;
mod registration;
mod said_to_players;
mod world;
