//! Dangerous commands that wait for a button to be pressed by the one who called. Kept in memory: a restart forgets
//! them, and nothing is done.

use std::collections::HashMap;

use super::service::Job;

/// Commands that may wait at once.
const MOST: usize = 500;

/// What a button says to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Press<'a> {
    Confirm(&'a str),
    Cancel(&'a str),
}

impl<'a> Press<'a> {
    /// `None` for a button that is not ours.
    pub(super) fn of(custom_id: &'a str) -> Option<Self> {
        match custom_id.split_once(':')? {
            ("confirm", id) => Some(Self::Confirm(id)),
            ("cancel", id) => Some(Self::Cancel(id)),
            _ => None,
        }
    }

    pub(super) fn id(&self) -> &'a str {
        match self {
            Self::Confirm(id) | Self::Cancel(id) => id,
        }
    }
}

/// The commands that wait, each by an id nobody can guess.
#[derive(Default)]
pub(super) struct Waiting(HashMap<String, Job>);

impl Waiting {
    /// Lets `job` wait; gives it back where too many do.
    pub(super) fn add(&mut self, job: Job) -> Result<String, Box<Job>> {
        if self.0.len() >= MOST {
            return Err(Box::new(job));
        }
        let id = format!("{:016x}", fastrand::u64(..));
        self.0.insert(id.clone(), job);
        Ok(id)
    }

    /// Who called it.
    pub(super) fn caller(&self, id: &str) -> Option<(u64, String)> {
        self.0.get(id).map(|job| (job.origin.caller.id, job.origin.caller.name.clone()))
    }

    /// Takes it: confirmed, cancelled or expired, and so only once.
    pub(super) fn take(&mut self, id: &str) -> Option<Job> {
        self.0.remove(id)
    }
}
