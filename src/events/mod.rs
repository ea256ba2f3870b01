//! Lines to events to notices.
//!
//! [`line_format`] takes a line's envelope off, `vanilla` says what the game meant, `mods` what a mod told, `patterns` lets the operator
//! decide otherwise, `routing` knows where each event goes, `template` and [`markup`] write it for Discord, and
//! the [`Interpreter`] leads one log's lines through all of them. All of these are pure: no file, no clock, no task.

mod content_report;
mod counts;
mod defaults;
mod draft;
mod interpreter;
pub mod line_format;
mod log_clock;
pub mod markup;
mod memory;
mod mentions;
mod mods;
mod patterns;
mod pipeline;
mod recognition;
pub mod rich_text;
mod routing;
mod run;
mod template;
mod time_zones;
mod traced;
mod vanilla;

pub use defaults::{BuiltIn, COMMON, Relayed};
pub use interpreter::{Interpretation, Interpreter};
pub use memory::unname_parser;
pub use pipeline::{FanOut, Pipeline};
pub use routing::{EventRules, RuleError, RuleProblem};
pub use time_zones::timezone_mismatch;
