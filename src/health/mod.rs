//! What works now, and why not. Tasks report here; the endpoints and the status page read.

mod registry;

pub use registry::{Component, ComponentHandle, ComponentState, HealthRegistry, PartStatus};
