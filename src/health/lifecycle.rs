//! How far the process is in its life, and whether it still lives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

/// So long a process counts as alive only when it is marked so.
const STARTUP_GRACE: Duration = Duration::from_secs(5);

/// A heartbeat older than this means that the supervisor hangs.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(10);

/// The marks the process leaves on its way. Clones share them.
#[derive(Debug, Clone)]
pub struct Lifecycle(Arc<Marks>);

#[derive(Debug)]
struct Marks {
    started: Instant,
    /// Milliseconds from `started` to the last heartbeat.
    beat: AtomicU64,
    live: AtomicBool,
    initialised: AtomicBool,
    stopping: AtomicBool,
    fallen: OnceLock<String>,
}

/// The marks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleFacts {
    /// Time since the start.
    pub uptime: Duration,
    /// Time since the last heartbeat; since the start where there was none yet.
    pub heartbeat_age: Duration,
    /// Whether somebody said that the process lives.
    pub marked_live: bool,
    /// Whether everything is wired and started.
    pub initialised: bool,
    /// Whether the ordered stop has begun.
    pub stopping: bool,
    /// The first task that fell and may not fall.
    pub fallen: Option<String>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// The life begins now.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Marks {
            started: Instant::now(),
            beat: AtomicU64::new(0),
            live: AtomicBool::new(false),
            initialised: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            fallen: OnceLock::new(),
        }))
    }

    /// The process answers: liveness need not wait for the first 5 s to pass.
    pub fn mark_live(&self) {
        self.0.live.store(true, Ordering::Relaxed);
    }

    /// Everything is wired and started.
    pub fn mark_initialised(&self) {
        self.0.initialised.store(true, Ordering::Relaxed);
    }

    /// The ordered stop has begun.
    pub fn mark_stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// `task` fell, and the program cannot go on without it. The first one is remembered.
    pub fn mark_fallen(&self, task: &str) {
        self.0.fallen.get_or_init(|| task.to_owned());
    }

    /// The supervisor is awake.
    pub fn beat(&self) {
        let age = u64::try_from(self.uptime().as_millis()).unwrap_or(u64::MAX);
        self.0.beat.store(age, Ordering::Relaxed);
    }

    /// Time since the start.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// The marks as they are now.
    #[must_use]
    pub fn facts(&self) -> LifecycleFacts {
        let uptime = self.uptime();
        let beat = Duration::from_millis(self.0.beat.load(Ordering::Relaxed));
        LifecycleFacts {
            uptime,
            heartbeat_age: uptime.saturating_sub(beat),
            marked_live: self.0.live.load(Ordering::Relaxed),
            initialised: self.0.initialised.load(Ordering::Relaxed),
            stopping: self.0.stopping.load(Ordering::Relaxed),
            fallen: self.0.fallen.get().cloned(),
        }
    }
}

impl LifecycleFacts {
    /// Why the process counts as dead; `None` while it is alive.
    ///
    /// Alive = (marked live, or up for more than 5 s) and the heartbeat is younger than 10 s and nothing fell
    /// that may not fall.
    #[must_use]
    pub fn dead_because(&self) -> Option<String> {
        if let Some(task) = &self.fallen {
            return Some(format!("the task {task} fell"));
        }
        if self.heartbeat_age >= HEARTBEAT_LIMIT {
            return Some(format!("no heartbeat for {} s", self.heartbeat_age.as_secs()));
        }
        (!self.marked_live && self.uptime <= STARTUP_GRACE).then(|| "not started yet".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(uptime: u64, heartbeat_age: u64, marked_live: bool) -> LifecycleFacts {
        LifecycleFacts {
            uptime: Duration::from_secs(uptime),
            heartbeat_age: Duration::from_secs(heartbeat_age),
            marked_live,
            initialised: false,
            stopping: false,
            fallen: None,
        }
    }

    #[test]
    fn a_young_process_is_alive_only_when_marked() {
        assert_eq!(facts(5, 0, false).dead_because().as_deref(), Some("not started yet"));
        assert_eq!(facts(6, 0, false).dead_because(), None);
        assert_eq!(facts(0, 0, true).dead_because(), None);
    }

    #[test]
    fn a_stale_heartbeat_is_death() {
        assert_eq!(facts(100, 9, true).dead_because(), None);
        assert_eq!(facts(100, 10, true).dead_because().as_deref(), Some("no heartbeat for 10 s"));
    }

    #[test]
    fn a_fallen_task_is_death_and_the_first_one_is_named() {
        let life = Lifecycle::new();
        life.mark_live();
        assert_eq!(life.facts().dead_because(), None);
        life.mark_fallen("pipeline");
        life.mark_fallen("http");
        assert_eq!(life.facts().dead_because().as_deref(), Some("the task pipeline fell"));
    }
}
