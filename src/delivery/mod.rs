//! The outbox to a sink: order, folding, retries, dead letters. Every channel has one sender at a time; what piles up
//! meanwhile is folded, and a flood goes as a file.

mod channel;
mod cut;
mod file;
mod gate;
mod invalid_requests;
mod plan;
#[cfg(test)]
mod plan_tests;
mod schedule;
mod shared;
mod sink;
mod traced;
mod waits;
mod worker;

pub(crate) use cut::cut;
pub use schedule::Schedule;
pub use sink::{Attachment, NoticeSink, Outcome, OutgoingMessage, Refusal, RetryScope};
pub use worker::DeliveryWorker;
