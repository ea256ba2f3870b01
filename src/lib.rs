//! factorio-isr reads the console logs of many Factorio servers and relays them to Discord.
//!
//! Each server's log is read in order and turned into events; the events become outbox rows in the same
//! SQLite transaction that moves that log's checkpoint; one worker delivers the rows to Discord;
//! everything else observes or asks.
//!
//! | room | what it is for |
//! |---|---|
//! | [`domain`] | the words everything else is written in: tags, lines, events, notices, the clock; no I/O |
//! | [`config`] | what the TOML may say, and the validated [`config::Settings`] that come of it |
//! | [`tail`] | follows log files through rotation, truncation and restarts |
//! | [`events`] | lines to events to notices; pure, but for the pipeline task that commits them |
//! | [`store`] | one SQLite file: checkpoints and the outbox, in one transaction |
//! | [`delivery`] | the outbox to a sink: order, folding, retries, dead letters |
//! | [`discord`] | the sink that is Discord, and its gateway |
//! | [`game`] | how each game is: samples, sessions, alerts |
//! | [`rcon`] | asks the games and tells them: commands, answers, and the guard of achievements |
//! | [`supervisor`] | named tasks, restarts, ordered stop |
//! | [`health`], [`http`], [`telemetry`] | what an operator sees |
//! | [`sim`] | a Factorio server and a Discord, for the demo, the tests and the benchmarks |
//! | [`cli`] | the command line |
//! | [`app`] | wires all of it together |

pub mod app;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod demo;
pub mod discord;
pub mod domain;
pub mod events;
pub mod game;
pub mod health;
pub mod http;
pub mod log_format;
pub mod rcon;
pub mod sim;
pub mod store;
pub mod supervisor;
pub mod tail;
pub mod telemetry;
