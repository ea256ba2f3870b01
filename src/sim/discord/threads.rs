//! Threads and forum posts: channels of their own below a channel.

use serde_json::{Value, json};

use super::SimDiscord;
use super::errors::ApiError;
use super::state::SimState;

/// Type of a public thread.
const PUBLIC_THREAD: u8 = 11;

/// A public thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimThread {
    /// Its id; a forum's post has the same one.
    pub id: u64,
    /// The channel or forum it is in.
    pub parent: u64,
    /// Its title.
    pub name: String,
    /// Whether it rests: a message wakes it up.
    pub archived: bool,
    /// Whether only moderators may write.
    pub locked: bool,
}

impl SimThread {
    /// Makes the object of a channel one of a thread.
    pub(super) fn describe(&self, shown: &mut Value) {
        shown["type"] = json!(PUBLIC_THREAD);
        shown["parent_id"] = json!(self.parent.to_string());
        shown["thread_metadata"] = json!({
            "archived": self.archived, "locked": self.locked, "auto_archive_duration": 1440,
            "archive_timestamp": "2026-01-01T00:00:00.000000+00:00",
        });
    }
}

impl SimState {
    /// Refuses a message into a thread that is locked; wakes one up that is archived only.
    pub(super) fn enter_thread(&mut self, channel: u64) -> Result<(), ApiError> {
        let Some(thread) = self.threads.get_mut(&channel) else { return Ok(()) };
        match (thread.archived, thread.locked) {
            (true, true) => Err(ApiError::new(400, 50083, "Thread is archived")),
            (false, true) => Err(ApiError::new(403, 160_005, "Thread is locked")),
            (_, false) => {
                thread.archived = false;
                Ok(())
            }
        }
    }

    /// `GET /guilds/{id}/threads/active`
    pub(super) fn active_threads_json(&self) -> Value {
        let active = self.threads.values().filter(|thread| !thread.archived);
        let threads: Vec<Value> = active.filter_map(|thread| self.channel_json(thread.id).ok()).collect();
        json!({ "threads": threads, "members": [] })
    }
}

impl SimDiscord {
    /// Opens a thread, or changes the one with this id.
    pub fn set_thread(&self, thread: SimThread) {
        self.hub.change(|state| match state.threads.get_mut(&thread.id) {
            Some(known) => *known = thread,
            None => state.open_thread(thread),
        });
    }

    /// An application writes the answer that it announced: the message gets its text, and does not count as edited.
    pub fn complete_message(&self, channel: u64, message: u64, text: &str) -> Result<(), ApiError> {
        self.hub.change(|state| {
            state.complete(channel, message, |message| {
                text.clone_into(&mut message.content);
                if let Some(fields) = message.fields.as_object_mut() {
                    fields.remove("flags");
                }
            })
        })
    }
}
