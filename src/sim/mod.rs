//! Stand-ins for the far sides, at the protocol: what the demo, the tests and the benchmarks run the real program
//! against. Nothing in the product path depends on it.

pub mod discord;
pub mod factorio;
pub mod page;
pub mod port;
pub mod rcon;
pub mod story;
