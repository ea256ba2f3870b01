//! What works now, and why not. Tasks report here; the endpoints and the status page read.

mod lifecycle;
mod readiness;
mod registry;

pub use lifecycle::{Lifecycle, LifecycleFacts};
pub use readiness::{Detail, PartReport, Readiness, state_name};
pub use registry::{Component, ComponentHandle, ComponentState, HealthRegistry, Key, PartStatus, States, worst_part};
