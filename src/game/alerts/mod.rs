//! Alerts: rules over what was sampled and what happened, and what becomes of each alert. Pure: no file, clock or task.
//!
//! What comes in ([`Input`]) goes into the [`Memory`] of the rules; `rules` judges it; the [`Engine`] lets an alert
//! fire, remind and recover by these verdicts; `texts` says so.

mod engine;
mod memory;
mod naming;
mod rules;
mod set_back;
mod starts;
pub mod texts;

pub use engine::{AlertKey, AlertState, Change, Changed, Engine, Phase, Silences};
pub use memory::Memory;
pub use naming::{unname_memory, unname_state};
pub use rules::{Facts, Finding, Input, Surroundings, Verdict};

#[cfg(test)]
mod adversity_tests;
#[cfg(test)]
mod by_file_tests;
#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod growth_tests;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod low_ups_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod start_tests;
