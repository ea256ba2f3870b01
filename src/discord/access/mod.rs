//! Whether the bot can do in Discord what the configuration asks of it: the guilds exist and have the bot, the channels
//! exist, take messages and grant the permissions that are needed. Found by reading, before the first message fails.
//!
//! [`Requirements`] says what the configuration needs, [`AccessChecker`] compares it with Discord's answers,
//! [`AccessMonitor`] reports the findings to health and repeats the check.

mod check;
mod finding;
mod judge;
mod monitor;
mod objects;
mod permissions;
mod requirements;

pub use check::{AccessChecker, CheckFailed};
pub use finding::{Finding, Problem, Subject};
pub use monitor::{AccessMonitor, AccessTimes};
pub use permissions::Permissions;
pub use requirements::{Requirement, Requirements};
