//! Named tasks that are run again when they fall, an ordered stop, and an honest exit code.

mod backoff;
mod exit;
pub mod signals;
mod stop;
mod task;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub use backoff::Backoff;
pub use exit::ExitReason;
pub use signals::Signal;
pub use stop::StopDeadlines;
pub use task::{Policy, Stage, TaskSpec};

use crate::health::{ComponentHandle, Lifecycle};
use crate::telemetry::metrics::{TASK_RESTARTS, TASK_RUNNING};
use stop::StageTasks;
use task::Watch;

/// How often the supervisor shows that it is awake.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Runs the program's tasks and stops them in order.
#[derive(Debug)]
pub struct Supervisor {
    lifecycle: Lifecycle,
    deadlines: StopDeadlines,
    stages: BTreeMap<Stage, StageTasks>,
    stopping: CancellationToken,
    falls: mpsc::UnboundedSender<String>,
    fallen: mpsc::UnboundedReceiver<String>,
}

/// Why the stop began.
enum Cause {
    Signal(Signal),
    Fall(String),
}

impl Supervisor {
    /// A supervisor without tasks. It leaves its heartbeat, the stop and a fatal fall in `lifecycle`.
    #[must_use]
    pub fn new(lifecycle: Lifecycle) -> Self {
        let (falls, fallen) = mpsc::unbounded_channel();
        Self {
            lifecycle,
            deadlines: StopDeadlines::default(),
            stages: BTreeMap::new(),
            stopping: CancellationToken::new(),
            falls,
            fallen,
        }
    }

    /// Other deadlines for the ordered stop.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: StopDeadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Starts a task now. `factory` makes every run of it; the token it gets asks the run to finish and return.
    ///
    /// A fall makes `health` unhealthy with the reason. It must be a handle the task itself reports with: only the
    /// next run knows when it works again.
    /// What the factory holds, as a channel's sender, is dropped when the task has ended for good.
    pub fn spawn<F, Fut>(&mut self, spec: TaskSpec, health: Option<ComponentHandle>, factory: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        ::metrics::counter!(TASK_RESTARTS, "task" => spec.name.clone().into_owned()).absolute(0);
        ::metrics::gauge!(TASK_RUNNING, "task" => spec.name.clone().into_owned()).set(0.0);
        let stage = self.stages.entry(spec.stage).or_default();
        let name = spec.name.clone();
        let watch = Watch {
            spec,
            health,
            factory: Arc::new(factory),
            cancel: stage.cancel.clone(),
            stopping: self.stopping.clone(),
            falls: self.falls.clone(),
        };
        stage.add(name, tokio::spawn(watch.run()));
    }

    /// Starts a task that runs once, as one that owns a channel's receiver. Its fall is fatal.
    pub fn spawn_once<F, Fut>(&mut self, name: &'static str, stage: Stage, health: Option<ComponentHandle>, run: F)
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let run = Mutex::new(Some(run));
        self.spawn(TaskSpec::fatal(name, stage), health, move |cancel| {
            let run = run.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                match run {
                    Some(run) => run(cancel).await,
                    None => anyhow::bail!("it was to run once"),
                }
            }
        });
    }

    /// Runs until a signal comes or a task falls that may not, then stops everything in order.
    /// A second signal aborts.
    pub async fn run(self, signals: impl Stream<Item = Signal>) -> ExitReason {
        let lifecycle = self.lifecycle.clone();
        // Both in one task: the heart beats only while the supervisor itself gets on.
        tokio::select! {
            reason = self.drive(signals) => reason,
            never = beat(lifecycle) => match never {},
        }
    }

    async fn drive(mut self, signals: impl Stream<Item = Signal>) -> ExitReason {
        let mut signals = pin!(signals.chain(stream::pending()));
        let cause = tokio::select! {
            Some(signal) = signals.next() => Cause::Signal(signal),
            Some(task) = self.fallen.recv() => Cause::Fall(task),
        };
        self.begin_stop(&cause);
        let spare = usize::from(matches!(cause, Cause::Fall(_)));
        let mut further = pin!(signals.skip(spare));
        let stopped = tokio::select! {
            overran = self.stop_in_order() => Ok(overran),
            Some(signal) = further.next() => Err(signal),
        };
        match stopped {
            Ok(overran) => self.verdict(cause, overran),
            Err(signal) => self.abort(signal),
        }
    }

    fn begin_stop(&self, cause: &Cause) {
        match cause {
            Cause::Signal(signal) => info!(signal = signal.as_str(), "Stopping in order; a second signal aborts"),
            Cause::Fall(task) => self.lifecycle.mark_fallen(task),
        }
        self.lifecycle.mark_stopping();
        self.stopping.cancel();
    }

    /// Stops stage after stage; the names of the tasks that were not done in time.
    async fn stop_in_order(&mut self) -> Vec<String> {
        let mut overran = Vec::new();
        for (stage, tasks) in &mut self.stages {
            overran.extend(tasks.stop(*stage, self.deadlines.of(*stage)).await);
        }
        overran
    }

    fn verdict(&mut self, cause: Cause, overran: Vec<String>) -> ExitReason {
        let fell = match cause {
            Cause::Fall(task) => Err(task),
            Cause::Signal(signal) => self.fallen.try_recv().map_or(Ok(signal), Err),
        };
        match fell {
            Err(task) => ExitReason::Fell(task),
            Ok(_) if !overran.is_empty() => ExitReason::Overran(overran),
            Ok(signal) => ExitReason::Stopped(signal),
        }
    }

    fn abort(&mut self, signal: Signal) -> ExitReason {
        let running: Vec<String> = self.stages.values_mut().flat_map(StageTasks::abort).collect();
        error!(signal = signal.as_str(), still_running = running.join(", "), "Aborted by a second signal");
        ExitReason::Aborted(signal)
    }
}

/// Shows for ever that the supervisor is awake.
async fn beat(lifecycle: Lifecycle) -> Infallible {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        lifecycle.beat();
    }
}

#[cfg(test)]
mod tests;
