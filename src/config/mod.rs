//! What the operator may say: defaults, TOML, environment and secret files, checked as a whole.

pub mod settings;

pub use settings::Settings;
