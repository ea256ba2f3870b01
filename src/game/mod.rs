//! The games in view: what their servers say of themselves, kept for people, alerts and metrics.
//!
//! For each server a sampler asks the game by RCON and hands its [`Sample`]s to the [`Keeper`], which also reads what
//! happened by the log and what a mod's file tells, and puts all together on the [`GameBoard`]. Whoever wants to know how a
//! game is looks there.

mod alert_keeper;
pub mod alerts;
mod board;
mod files;
mod keeper;
mod lua;
mod memory;
mod missed;
mod mod_lines;
mod prom_file;
mod sample;
mod sampler;
mod series;
mod snippet;
mod spell;
mod unwatched;
mod upkeep;
mod ups;

pub use alert_keeper::{AlertKeeper, stored_alerts};
pub use board::{BoardHandle, FiringAlert, GameBoard, GameLink, GameView, OnlinePlayer};
pub use files::{FileReading, FileSource};
pub use keeper::{FileNews, Keeper};
pub use lua::{Flow, ForceEvolution, ForceResearch, ForceRockets, LuaPlayer, LuaReading, Platform, QueuedResearch};
pub use prom_file::{FileNumbers, FileTold, FileUpdates, PrometheusFile, PrometheusFiles};
pub use sample::{Absence, Achievements, Reading, Research, Sample, SampleSource, Ups};
pub use sampler::Sampler;
pub use series::{BoardSeries, limit};
pub use unwatched::end_alerts_of_removed;
pub use upkeep::HistoryUpkeep;
pub use ups::{ClockLook, UpsMeter};
