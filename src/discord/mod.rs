//! Discord: the sink that messages go into. Opens no file and knows no log.

mod error_class;
mod rest;
mod sink;

pub use error_class::classify;
pub use sink::DiscordSink;
