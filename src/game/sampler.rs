//! The task that asks one game how it is.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::sample::{Absence, Reading, Sample, SampleSource};
use crate::rcon::{
    Command, Priority, RconClient, RconError, parse_evolution, parse_players, parse_time, parse_version,
};

/// How often a game is asked.
const INTERVAL: Duration = Duration::from_secs(30);

/// Asks one game again and again, behind everything people ask. A clone is a fresh start for the supervisor.
#[derive(Debug, Clone)]
pub struct Sampler {
    rcon: RconClient,
    samples: mpsc::Sender<Sample>,
}

impl Sampler {
    /// A sampler of the game behind `rcon`.
    #[must_use]
    pub fn new(rcon: RconClient, samples: mpsc::Sender<Sample>) -> Self {
        Self { rcon, samples }
    }

    /// Runs until `cancel`, or until nobody takes the samples.
    ///
    /// # Errors
    /// Never: a game that does not answer is a sample, too.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(outcome) = cancel.run_until_cancelled(self.ask()).await else { break };
            let outcome = outcome.map_err(|error| absence(&error));
            if self.samples.send(Sample { at: Timestamp::now(), outcome }).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn ask(&self) -> Result<Reading, RconError> {
        let begun = Instant::now();
        let players = self.command(Command::PlayersOnline).await?;
        let time = self.command(Command::Time).await?;
        let evolution = self.command(Command::Evolution { surface: None }).await?;
        let version = self.command(Command::Version).await?;
        Ok(Reading {
            source: SampleSource::Native,
            players: parse_players(&players).map(|players| players.listed.into_iter().map(|one| one.name).collect()),
            age: parse_time(&time),
            ups: None,
            paused: None,
            evolution: parse_evolution(&evolution).unwrap_or_default(),
            version: parse_version(&version).map(ToOwned::to_owned),
            lua: None,
            took: begun.elapsed(),
        })
    }

    async fn command(&self, command: Command) -> Result<String, RconError> {
        Ok(self.rcon.command(Priority::Sampler, command, None).await?.text)
    }
}

fn absence(error: &RconError) -> Absence {
    if error.may_have_run() { Absence::Silent(error.to_string()) } else { Absence::Down(error.to_string()) }
}
