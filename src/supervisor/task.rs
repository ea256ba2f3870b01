//! One task: run, watched, run again.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, error, info_span, warn};

use super::Backoff;
use crate::health::ComponentHandle;
use crate::telemetry::metrics::{ErrorType, TASK_RESTARTS, TASK_RUNNING, count_error};

/// When a task is stopped: stages stop one after the other, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// What lets work in: the tail, the gateway.
    Intake,
    /// What turns lines into outbox rows. Intake has ended: its input is closed, it drains and returns.
    Pipeline,
    /// What sends. It finishes what is in flight.
    Delivery,
    /// What an operator looks at, to the last.
    Http,
}

impl Stage {
    /// All stages, in the order they stop.
    pub const ALL: [Self; 4] = [Self::Intake, Self::Pipeline, Self::Delivery, Self::Http];

    /// The stage's name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Pipeline => "pipeline",
            Self::Delivery => "delivery",
            Self::Http => "http",
        }
    }
}

/// What happens when a task ends by an error, a panic, or without having been asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It rests and is run again.
    Restart(Backoff),
    /// The program stops in order, with exit code 1.
    Fatal,
}

/// What the supervisor knows of a task.
#[derive(Debug, Clone)]
pub struct TaskSpec {
    /// Its name in logs and in the `task` label: from the code or from the configuration, so that there are few.
    pub name: Cow<'static, str>,
    /// When it is stopped.
    pub stage: Stage,
    /// What its fall means.
    pub policy: Policy,
}

impl TaskSpec {
    /// A task that is run again.
    pub fn restart(name: impl Into<Cow<'static, str>>, stage: Stage) -> Self {
        Self { name: name.into(), stage, policy: Policy::Restart(Backoff::default()) }
    }

    /// A task the program cannot go on without.
    pub fn fatal(name: impl Into<Cow<'static, str>>, stage: Stage) -> Self {
        Self { name: name.into(), stage, policy: Policy::Fatal }
    }
}

/// How a run ended that should not have.
#[derive(Debug)]
enum Failure {
    Error(anyhow::Error),
    Panic,
    Returned,
}

impl Failure {
    fn reason(&self) -> String {
        match self {
            Self::Error(error) => format!("failed: {error:#}"),
            Self::Panic => "panicked; the log has the place".to_owned(),
            Self::Returned => "ended though nobody had asked it to".to_owned(),
        }
    }

    fn error_type(&self) -> ErrorType {
        match self {
            Self::Panic => ErrorType::Panic,
            Self::Error(_) | Self::Returned => ErrorType::TaskFailed,
        }
    }
}

/// Watches one task for its whole life.
pub(super) struct Watch<F> {
    pub(super) spec: TaskSpec,
    pub(super) health: Option<ComponentHandle>,
    pub(super) factory: Arc<F>,
    /// The stage is asked to stop.
    pub(super) cancel: CancellationToken,
    /// The ordered stop has begun, though perhaps at another stage.
    pub(super) stopping: CancellationToken,
    /// Names of tasks whose fall is fatal.
    pub(super) falls: mpsc::UnboundedSender<String>,
}

/// Shows that a run is under way, until it is dropped: also where the whole watch is aborted.
struct Running(::metrics::Gauge);

impl Running {
    fn of(task: &str) -> Self {
        let gauge = ::metrics::gauge!(TASK_RUNNING, "task" => task.to_owned());
        gauge.set(1.0);
        Self(gauge)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set(0.0);
    }
}

impl<F, Fut> Watch<F>
where
    F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    /// Runs the task until it has ended for good. The factory, and what it holds, is dropped then.
    pub(super) async fn run(self) {
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            let Some(failure) = self.run_once().await else { return };
            self.report(&failure);
            match self.spec.policy {
                Policy::Fatal => return self.fall(&failure),
                Policy::Restart(backoff) => {
                    failures = backoff.failures(failures, begun.elapsed());
                    if !self.rest(backoff, failures, &failure).await {
                        return;
                    }
                }
            }
        }
    }

    /// Runs the task once, in a tokio task of its own so that a panic stays there.
    async fn run_once(&self) -> Option<Failure> {
        let (factory, cancel) = (Arc::clone(&self.factory), self.cancel.child_token());
        let span = info_span!("task", task = %self.spec.name);
        let _running = Running::of(&self.spec.name);
        let run = AbortOnDropHandle::new(tokio::spawn(async move { factory(cancel).await }.instrument(span)));
        match run.await {
            Ok(Ok(())) if self.stopping.is_cancelled() => None,
            Ok(Ok(())) => Some(Failure::Returned),
            Ok(Err(error)) => Some(Failure::Error(error)),
            Err(end) if end.is_panic() => Some(Failure::Panic),
            Err(_the_runtime_is_going_down) => None,
        }
    }

    fn report(&self, failure: &Failure) {
        let component = self.health.as_ref().map_or("supervisor", |health| health.component().as_str());
        count_error(component, failure.error_type());
        if let Some(health) = &self.health {
            health.unhealthy(format!("task {} {}", self.spec.name, failure.reason()));
        }
    }

    fn fall(&self, failure: &Failure) {
        error!(task = %self.spec.name, reason = %failure.reason(), "A task fell that the program needs: stopping");
        // The supervisor may have gone by now: then nobody needs to know.
        drop(self.falls.send(self.spec.name.clone().into_owned()));
    }

    /// Waits for the next run; `false` when there will be none because the program stops.
    async fn rest(&self, backoff: Backoff, failures: u32, failure: &Failure) -> bool {
        let (task, reason) = (&self.spec.name, failure.reason());
        if self.stopping.is_cancelled() {
            warn!(%task, %reason, "A task fell while stopping");
            return false;
        }
        let wait = backoff.delay(failures, fastrand::f64());
        warn!(%task, %reason, failures, wait_seconds = wait.as_secs_f64(), "A task fell and will be run again");
        tokio::select! {
            () = sleep(wait) => {}
            () = self.stopping.cancelled() => return false,
        }
        ::metrics::counter!(TASK_RESTARTS, "task" => task.clone().into_owned()).increment(1);
        true
    }
}
