//! The task: checks once Discord is connected, reports to health, and checks again so that a change in Discord's
//! settings is noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::check::{AccessChecker, CheckFailed};
use super::finding::{Finding, Subject};
use crate::config::Settings;
use crate::health::{Component, ComponentState, HealthRegistry, States, worst_part};

/// When it is checked. The defaults suit the real Discord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessTimes {
    /// The first check waits for the gateway connection, which proves the token, at most so long.
    pub connect: Duration,
    /// The time between checks while something is wrong.
    pub recheck: Duration,
    /// The time between checks while nothing is.
    pub interval: Duration,
    /// The first wait after a check that failed; it doubles up to `recheck`.
    pub retry: Duration,
    /// The wait after a channel was parked or taken back: others may follow.
    pub settle: Duration,
}

impl AccessTimes {
    /// The times for a configuration: what Discord refuses is checked as often as it is tried again.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            connect: Duration::from_secs(30),
            recheck: settings.relay.park_retry.min(Duration::from_hours(1)),
            interval: Duration::from_hours(1),
            retry: Duration::from_secs(15),
            settle: Duration::from_secs(1),
        }
    }
}

/// Reports to health what is wrong with the access to Discord. A clone is a fresh start for the supervisor; run one at a
/// time.
#[derive(Debug, Clone)]
pub struct AccessMonitor {
    checker: Arc<AccessChecker>,
    health: HealthRegistry,
    times: AccessTimes,
}

impl AccessMonitor {
    /// A monitor that reports to `health`.
    #[must_use]
    pub fn new(checker: AccessChecker, health: HealthRegistry, times: AccessTimes) -> Self {
        Self { checker: Arc::new(checker), health, times }
    }

    /// Runs until `cancel`.
    ///
    /// # Errors
    /// Never: a check that fails is repeated.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let _stopped = cancel.run_until_cancelled(self.keep_checking()).await;
        Ok(())
    }

    async fn keep_checking(&self) {
        self.remove_old_reports();
        self.wait_for_connection().await;
        let mut reported = Reported::default();
        let mut failures = 0;
        loop {
            let parked = parked_channels(&self.health.snapshot());
            let wait = match self.checker.check().await {
                Ok(findings) => {
                    failures = 0;
                    let wait = if findings.is_empty() { self.times.interval } else { self.times.recheck };
                    self.report(&mut reported, findings);
                    wait
                }
                Err(failure) => {
                    failures += 1;
                    self.wait_after(&failure, failures)
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.parking_differs_from(&parked) => sleep(self.times.settle).await,
            }
        }
    }

    /// A refused token is reported by the gateway; asking with it again and again leads to a ban.
    async fn wait_for_connection(&self) {
        let mut states = self.health.subscribe();
        let connected =
            states.wait_for(|states| worst_part(states, Component::Discord).is_some_and(|part| part.state.works()));
        if timeout(self.times.connect, connected).await.is_err() {
            debug!("No gateway connection yet; checking the access to the channels without it");
        }
    }

    fn wait_after(&self, failure: &CheckFailed, failures: u32) -> Duration {
        let doubled = self.times.retry.saturating_mul(1 << failures.min(6));
        let wait = failure.retry_after.unwrap_or_default().max(doubled);
        debug!(reason = failure.reason, retry_seconds = wait.as_secs(), "Failed to check the access to the channels");
        wait
    }

    /// Returns when other channels are parked than `before`.
    async fn parking_differs_from(&self, before: &BTreeSet<String>) {
        let mut states = self.health.subscribe();
        if states.wait_for(|states| parked_channels(states) != *before).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Shows the findings and removes those that are over.
    fn report(&self, reported: &mut Reported, findings: Vec<Finding>) {
        let mut now = Reported::default();
        for finding in findings {
            let text = finding.to_string();
            if reported.0.get(&finding.subject) != Some(&text) {
                log_finding(&finding);
            }
            self.health.report(Component::Discord, &part(finding.subject), ComponentState::Degraded(text.clone()));
            now.0.insert(finding.subject, text);
        }
        for subject in reported.0.keys().filter(|subject| !now.0.contains_key(subject)) {
            self.health.part(Component::Discord, &part(*subject)).remove();
            info!(part = part(*subject), "Discord access is as the configuration needs it again");
        }
        *reported = now;
    }

    /// A run of this task that failed may have left some.
    fn remove_old_reports(&self) {
        for (component, part) in self.health.snapshot().into_keys() {
            if component == Component::Discord && (is_channel(&part) || part.starts_with(GUILD)) {
                self.health.part(component, &part).remove();
            }
        }
    }
}

/// What was last reported, by subject.
#[derive(Debug, Default)]
struct Reported(BTreeMap<Subject, String>);

const GUILD: &str = "guild ";

/// The name in the health of Discord.
fn part(subject: Subject) -> String {
    match subject {
        Subject::Guild(id) => format!("{GUILD}{id}"),
        Subject::Channel(id) => id.to_string(),
    }
}

fn is_channel(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The channels that delivery reports as refused or failing.
fn parked_channels(states: &States) -> BTreeSet<String> {
    let parts = states.keys().filter(|(component, part)| *component == Component::Delivery && is_channel(part));
    parts.map(|(_, part)| part.clone()).collect()
}

fn log_finding(finding: &Finding) {
    let (reason, remedy) = (finding.reason(), finding.remedy());
    match finding.subject {
        Subject::Guild(guild) => warn!(guild, reason, remedy, "Configured Discord server cannot be used"),
        Subject::Channel(channel) => {
            warn!(%channel, reason, remedy, "Configured Discord channel cannot be used as intended");
        }
    }
}
