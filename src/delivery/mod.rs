//! The outbox to a sink: order, folding, retries, dead letters.

mod sink;

pub use sink::{Attachment, NoticeSink, Outcome, OutgoingMessage, Refusal, RetryScope};
