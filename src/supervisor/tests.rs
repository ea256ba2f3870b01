use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::health::{Component, ComponentState, HealthRegistry};

const QUICK: Backoff =
    Backoff { first: Duration::from_millis(1), max: Duration::from_millis(5), good_run: Duration::from_mins(1) };

const SHORT: StopDeadlines = StopDeadlines {
    intake: Duration::from_millis(50),
    pipeline: Duration::from_millis(50),
    delivery: Duration::from_millis(50),
    http: Duration::from_millis(50),
};

/// A supervisor, the hand that sends it signals, and its life.
fn supervisor() -> (Supervisor, mpsc::Sender<Signal>, mpsc::Receiver<Signal>, Lifecycle) {
    let lifecycle = Lifecycle::new();
    let (hand, receiver) = mpsc::channel(4);
    (Supervisor::new(lifecycle.clone()), hand, receiver, lifecycle)
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("within the deadline of the test")
}

fn quick(name: &'static str, stage: Stage) -> TaskSpec {
    TaskSpec { name: name.into(), stage, policy: Policy::Restart(QUICK) }
}

/// Runs a task whose first run ends as `first` says; what its component says then, and that it ran again.
async fn after_the_first_run(first: fn() -> anyhow::Result<()>) -> String {
    let (mut supervisor, _hand, signals, _life) = supervisor();
    let health = HealthRegistry::new();
    let component = health.component(Component::Delivery);
    let mut changes = health.subscribe();
    let (again, mut runs_again) = mpsc::channel(1);
    let runs = AtomicU32::new(0);
    supervisor.spawn(quick("delivery", Stage::Delivery), Some(component), move |cancel| {
        let (run, again) = (runs.fetch_add(1, Ordering::Relaxed), again.clone());
        async move {
            if run == 0 {
                return first();
            }
            again.send(()).await?;
            cancel.cancelled().await;
            Ok(())
        }
    });
    let running = tokio::spawn(supervisor.run(signals::from_channel(signals)));
    in_time(runs_again.recv()).await.expect("a second run");
    running.abort();
    let states = in_time(changes.wait_for(|states| states.values().any(|part| !part.state.works()))).await.unwrap();
    let reason = states.values().find_map(|part| part.state.reason().map(str::to_owned));
    reason.expect("a reason")
}

#[tokio::test]
async fn a_task_that_fails_is_run_again_and_its_component_says_why() {
    let reason = after_the_first_run(|| Err(anyhow::anyhow!("no route").context("cannot connect"))).await;
    assert_eq!(reason, "task delivery failed: cannot connect: no route");
}

#[tokio::test]
async fn a_task_that_panics_is_run_again_and_its_words_stay_out_of_health() {
    let reason = after_the_first_run(|| panic!("Bob said hello")).await;
    assert_eq!(reason, "task delivery panicked; the log has the place");
}

#[tokio::test]
async fn a_task_that_ends_unasked_is_run_again() {
    let reason = after_the_first_run(|| Ok(())).await;
    assert_eq!(reason, "task delivery ended though nobody had asked it to");
}

#[tokio::test]
async fn the_metrics_say_whether_a_task_runs_or_rests() {
    let metrics = crate::telemetry::MetricsExporter::install().unwrap();
    let shown = || metrics.value("factorio_isr_task_running{task=\"resting\"}");
    let (mut supervisor, _hand, _signals, _life) = supervisor();
    let long = Backoff { first: Duration::from_hours(1), max: Duration::from_hours(1), ..QUICK };
    let spec = TaskSpec { policy: Policy::Restart(long), ..quick("resting", Stage::Intake) };
    let (run, mut runs) = mpsc::channel(1);
    let (fall, falls) = oneshot::channel::<()>();
    let falls = Arc::new(tokio::sync::Mutex::new(Some(falls)));
    supervisor.spawn(spec, None, move |_cancel| {
        let (run, falls) = (run.clone(), Arc::clone(&falls));
        async move {
            run.send(()).await?;
            if let Some(falls) = falls.lock().await.take() {
                falls.await?;
            }
            anyhow::bail!("fallen")
        }
    });
    in_time(runs.recv()).await.expect("a run");
    assert_eq!(shown(), "1");
    fall.send(()).expect("the task waits for it");
    in_time(async {
        while shown() != "0" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn stages_stop_in_order_and_ready_learns_of_it_first() {
    let (mut supervisor, hand, signals, life) = supervisor();
    let (said, mut order) = mpsc::unbounded_channel();
    for stage in [Stage::Http, Stage::Delivery, Stage::Intake, Stage::Pipeline] {
        let (said, life) = (said.clone(), life.clone());
        supervisor.spawn(quick(stage.as_str(), stage), None, move |cancel| {
            let (said, life) = (said.clone(), life.clone());
            async move {
                cancel.cancelled().await;
                said.send((stage.as_str(), life.facts().stopping))?;
                Ok(())
            }
        });
    }
    drop(said);
    hand.send(Signal::Terminate).await.unwrap();
    let exit = in_time(supervisor.run(signals::from_channel(signals))).await;
    assert_eq!((exit.exit_code(), exit), (0, ExitReason::Stopped(Signal::Terminate)));
    let mut stopped = Vec::new();
    while let Some(stage) = order.recv().await {
        stopped.push(stage);
    }
    assert_eq!(stopped, [("intake", true), ("pipeline", true), ("delivery", true), ("http", true)]);
}

#[tokio::test]
async fn the_pipeline_drains_what_the_intake_left() {
    let (mut supervisor, hand, signals, _life) = supervisor();
    let (lines, mut input) = mpsc::channel(100);
    let (result, drained) = oneshot::channel();
    supervisor.spawn(quick("tail", Stage::Intake), None, move |cancel| {
        let lines = lines.clone();
        async move {
            cancel.cancelled().await;
            for line in 0..100 {
                lines.send(line).await?;
            }
            Ok(())
        }
    });
    supervisor.spawn_once("pipeline", Stage::Pipeline, None, |_cancel| async move {
        let mut seen = Vec::new();
        while let Some(line) = input.recv().await {
            seen.push(line);
        }
        result.send(seen).map_err(|_| anyhow::anyhow!("nobody listens"))
    });
    hand.send(Signal::Interrupt).await.unwrap();
    assert_eq!(in_time(supervisor.run(signals::from_channel(signals))).await.exit_code(), 0);
    assert_eq!(drained.await.unwrap(), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fatal_fall_stops_the_rest_in_order_and_is_the_exit_code() {
    let (mut supervisor, _hand, signals, life) = supervisor();
    life.mark_live();
    let health = HealthRegistry::new();
    let (stopped, was_asked) = oneshot::channel();
    supervisor.spawn_once("pipeline", Stage::Pipeline, Some(health.component(Component::Pipeline)), |_| async {
        Err(anyhow::anyhow!("the database is gone"))
    });
    supervisor.spawn_once("http", Stage::Http, None, |cancel| async move {
        cancel.cancelled().await;
        stopped.send(()).map_err(|()| anyhow::anyhow!("nobody listens"))
    });
    let exit = in_time(supervisor.run(signals::from_channel(signals))).await;
    assert_eq!((exit.exit_code(), exit), (1, ExitReason::Fell("pipeline".into())));
    assert_eq!(was_asked.await, Ok(()));
    assert_eq!(life.facts().dead_because().as_deref(), Some("the task pipeline fell"));
    let reason = "task pipeline failed: the database is gone".to_owned();
    assert_eq!(health.state(Component::Pipeline), Some(ComponentState::Unhealthy(reason)));
}

#[tokio::test]
async fn a_task_that_falls_while_stopping_spoils_the_exit_code() {
    let (mut supervisor, hand, signals, _life) = supervisor();
    supervisor.spawn_once("pipeline", Stage::Pipeline, None, |cancel| async move {
        cancel.cancelled().await;
        Err(anyhow::anyhow!("could not drain"))
    });
    hand.send(Signal::Terminate).await.unwrap();
    let exit = in_time(supervisor.run(signals::from_channel(signals))).await;
    assert_eq!(exit, ExitReason::Fell("pipeline".into()));
}

#[tokio::test]
async fn a_task_that_misses_the_deadline_is_named_and_aborted() {
    let (supervisor, hand, signals, _life) = supervisor();
    let mut supervisor = supervisor.with_deadlines(SHORT);
    let (alive, mut aborted) = oneshot::channel::<()>();
    supervisor.spawn_once("deaf", Stage::Intake, None, |_cancel| async move {
        let _alive = alive;
        std::future::pending().await
    });
    hand.send(Signal::Terminate).await.unwrap();
    let exit = in_time(supervisor.run(signals::from_channel(signals))).await;
    assert_eq!((exit.exit_code(), exit), (1, ExitReason::Overran(vec!["deaf".into()])));
    in_time(&mut aborted).await.expect_err("the task is dropped without a word");
}

#[tokio::test]
async fn a_second_signal_aborts_at_once() {
    let (mut supervisor, hand, signals, _life) = supervisor();
    supervisor.spawn_once("deaf", Stage::Delivery, None, |_cancel| std::future::pending());
    hand.send(Signal::Terminate).await.unwrap();
    hand.send(Signal::Interrupt).await.unwrap();
    let begun = tokio::time::Instant::now();
    let exit = in_time(supervisor.run(signals::from_channel(signals))).await;
    assert!(begun.elapsed() < StopDeadlines::default().delivery, "it did not wait for the deadline");
    assert_eq!((exit.exit_code(), exit), (130, ExitReason::Aborted(Signal::Interrupt)));
}

#[tokio::test]
async fn a_task_at_rest_does_not_hold_up_the_stop() {
    let (mut supervisor, hand, signals, _life) = supervisor();
    let health = HealthRegistry::new();
    let mut changes = health.subscribe();
    let spec = TaskSpec::restart("gateway", Stage::Intake);
    supervisor.spawn(spec, Some(health.component(Component::Discord)), |_| async { anyhow::bail!("refused") });
    let running = tokio::spawn(supervisor.run(signals::from_channel(signals)));
    let refused = |part: &crate::health::PartStatus| matches!(part.state, ComponentState::Unhealthy(_));
    in_time(changes.wait_for(|states| states.values().any(refused))).await.unwrap();
    hand.send(Signal::Terminate).await.unwrap();
    assert_eq!(in_time(running).await.unwrap(), ExitReason::Stopped(Signal::Terminate));
}

/// Without a beat after the start, its age is the uptime for ever.
fn is_unbeaten(facts: &crate::health::LifecycleFacts) -> bool {
    facts.heartbeat_age == facts.uptime
}

#[tokio::test]
async fn the_heart_beats_while_the_supervisor_runs() {
    let (supervisor, hand, signals, life) = supervisor();
    let running = tokio::spawn(supervisor.run(signals::from_channel(signals)));
    in_time(async {
        let mut looks = interval(Duration::from_millis(20));
        while is_unbeaten(&life.facts()) {
            looks.tick().await;
        }
    })
    .await;
    hand.send(Signal::Terminate).await.unwrap();
    in_time(running).await.unwrap();
}

#[test]
fn the_stop_is_over_before_a_service_manager_kills() {
    let deadlines = StopDeadlines::default();
    let all: Duration = Stage::ALL.iter().map(|stage| deadlines.of(*stage)).sum();
    assert!(all < Duration::from_secs(10));
}
