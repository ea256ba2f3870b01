//! What works now, and why not. Tasks report here; the endpoints and the status page read.

mod lifecycle;
mod registry;

pub use lifecycle::{Lifecycle, LifecycleFacts};
pub use registry::{Component, ComponentHandle, ComponentState, HealthRegistry, PartStatus};
