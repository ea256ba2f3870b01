//! What is needed to resume a gateway session. Pure.

use serde::Deserialize;

/// A session that Discord opened with READY.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: String,
    /// Where Discord wants it resumed; `None` = at the general address.
    pub(super) resume_url: Option<String>,
    /// The number of the last dispatch that arrived.
    pub(super) sequence: u64,
}

impl std::fmt::Debug for Session {
    /// The id is a secret as long as the session exists.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
struct Ready {
    session_id: String,
    #[serde(default)]
    resume_gateway_url: Option<String>,
}

impl Session {
    /// The session that READY's `data` opens; `None` where it names none.
    pub(super) fn from_ready(data: &str, sequence: u64) -> Option<Self> {
        let ready: Ready = serde_json::from_str(data).ok()?;
        (!ready.session_id.is_empty()).then_some(Self {
            id: ready.session_id,
            resume_url: ready.resume_gateway_url.filter(|url| !url.is_empty()),
            sequence,
        })
    }
}
