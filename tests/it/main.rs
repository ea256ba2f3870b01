//! The one integration binary: the real program against the simulator. A file per area; names are situations.

mod chat_lines;
mod commands;
mod config;
mod config_chat;
mod contract;
mod delivery;
mod discord;
mod events;
mod events_of_mods;
mod games;
mod harness;
mod http;
mod inbound;
mod logging;
mod loops;
mod losses;
mod mods;
mod prometheus;
mod rcon;
mod records;
mod relay;
mod samples;
mod sessions;
mod sim;
mod store;
mod tail;
