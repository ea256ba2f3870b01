//! Lines to events to notices.
