//! The tasks of a stage, and its stop.

use std::borrow::Cow;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::Stage;

/// How long each stage may take to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopDeadlines {
    /// For [`Stage::Intake`].
    pub intake: Duration,
    /// For [`Stage::Pipeline`].
    pub pipeline: Duration,
    /// For [`Stage::Delivery`].
    pub delivery: Duration,
    /// For [`Stage::Http`].
    pub http: Duration,
}

impl Default for StopDeadlines {
    /// 9 s in all: Docker and most service managers kill after 10 s.
    fn default() -> Self {
        Self {
            intake: Duration::from_secs(2),
            pipeline: Duration::from_secs(2),
            delivery: Duration::from_secs(4),
            http: Duration::from_secs(1),
        }
    }
}

impl StopDeadlines {
    /// The deadline of `stage`.
    #[must_use]
    pub fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Intake => self.intake,
            Stage::Pipeline => self.pipeline,
            Stage::Delivery => self.delivery,
            Stage::Http => self.http,
        }
    }
}

/// The tasks of one stage.
#[derive(Debug, Default)]
pub(super) struct StageTasks {
    pub(super) cancel: CancellationToken,
    tasks: Vec<(Cow<'static, str>, JoinHandle<()>)>,
}

impl StageTasks {
    pub(super) fn add(&mut self, name: Cow<'static, str>, task: JoinHandle<()>) {
        self.tasks.push((name, task));
    }

    /// Asks the tasks to end and waits for them; aborts and names those that do not in time.
    pub(super) async fn stop(&mut self, stage: Stage, deadline: Duration) -> Vec<String> {
        debug!(stage = stage.as_str(), tasks = self.tasks.len(), "Stopping a stage");
        self.cancel.cancel();
        // At the deadline the tasks themselves say who is still running.
        let _in_time = timeout(deadline, self.join()).await;
        let late = self.abort();
        if !late.is_empty() {
            error!(stage = stage.as_str(), still_running = late.join(", "), "Not done in time: aborted");
        }
        late
    }

    async fn join(&mut self) {
        for (name, task) in &mut self.tasks {
            if !task.is_finished() && task.await.is_err() {
                error!(task = %name, "The watch over a task ended by a panic");
            }
        }
    }

    /// Aborts what still runs and names it.
    pub(super) fn abort(&mut self) -> Vec<String> {
        let running = self.tasks.drain(..).filter(|(_, task)| !task.is_finished());
        running
            .map(|(name, task)| {
                task.abort();
                name.into_owned()
            })
            .collect()
    }
}
