//! Discord: the sink that messages go into, and the gateway connection. Opens no file and knows no log.

pub mod access;
mod api_route;
pub mod chart;
pub mod commands;
mod dispatch;
mod error_class;
mod gateway;
pub mod inbound;
mod interactions;
mod permissions;
mod rest;
mod sink;
pub mod status;

pub use commands::Commands;
pub use dispatch::{Dispatches, GatewayEvent, MessageJson};
pub use error_class::classify;
pub use gateway::{GatewayTimings, run_gateway, run_gateway_with};
pub use inbound::Inbound;
pub use sink::DiscordSink;
