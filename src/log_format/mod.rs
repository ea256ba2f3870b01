//! What a line of a file looks like, whatever it says: a line of Factorio, one in another program's wrapper, or neither.
//!
//! Everything here is pure and knows nothing about events, so that the configuration check and the pipeline judge a
//! file by the same rules.

mod clean;
mod content;
mod redact;
mod shape;
mod wrapper;

pub use clean::clean;
pub use content::{Advice, Content, Damage, LogRole, PROOF_EXPECTED, sample};
pub use redact::redact;
pub use shape::{LineShape, shape};
pub use wrapper::{Fit, Runs, Wrapper, classify};
