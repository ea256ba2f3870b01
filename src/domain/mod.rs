//! The words the program is written in. No I/O, no tokio.

mod alert;
pub mod blueprint;
mod chat;
mod clock;
mod event;
mod happening;
mod keyed;
mod log;
mod notice;
mod server_tag;
pub mod sessions;
mod status_template;
mod trace;
mod words;

pub use alert::AlertKind;
pub use chat::{
    ChatPart, ChatTemplate, ChatTemplateError, NewChat, PlayerChat, RELAY_PREFIX, RELAY_PREFIXES, SAMPLING_LUA,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use event::{EventKind, Route};
pub use happening::{Happening, NO_SERVER};
pub use log::{FileId, Fingerprint, Gap, LineBatch, LogItem, LogLine, LogSource, ModLogName, Position};
pub use notice::{ChannelId, Lane, Mentions, Notice};
pub use server_tag::{InvalidServerTag, ServerTag};
pub use status_template::{StatusPart, StatusTemplate, StatusTemplateError};
pub use trace::{InvalidTraceContext, TraceContext};
pub use words::Words;
