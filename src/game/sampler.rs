//! The task that asks one game how it is.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::board::GameView;
use super::memory::{Memory, asked_at};
use super::sample::{Absence, Reading, Sample, SampleSource};
use super::ups::{ClockLook, TICKS_A_SECOND};
use super::{lua::LuaReading, snippet};
use crate::config::settings::SampleSettings;
use crate::rcon::{
    Command, CommandLine, LinkState, Players, Priority, RconClient, RconError, Reply, parse_evolution, parse_players,
    parse_time, parse_version, refusal,
};

/// Asks one game again and again, behind everything people ask. A clone is a fresh start for the supervisor.
///
/// A sample is taken every `interval`, and when the connection is made or lost; between samples the clock of the map is
/// looked at, for UPS. While the map stands with nobody in it, it is left alone for `idle_interval`, as each command lets it
/// go on a little. The version is asked for once a connection; how many ever played and evolution, which change slowly,
/// every five minutes.
#[derive(Debug, Clone)]
pub struct Sampler {
    rcon: RconClient,
    samples: mpsc::Sender<Sample>,
    settings: SampleSettings,
    /// Tells of players that joined, while the game is left alone.
    view: watch::Receiver<GameView>,
}

/// No game has so many players at once: an answer that lists more is not the game's.
const MOST_ONLINE: usize = 1000;

/// An answer within this time tells when its tick was read.
const PROMPT: Duration = Duration::from_millis(100);

/// What the answers to one sample cost.
#[derive(Debug, Default)]
struct Cost {
    took: Duration,
    bytes: usize,
}

impl Sampler {
    /// A sampler of the game behind `rcon`, whose view is `view`.
    #[must_use]
    pub fn new(
        rcon: RconClient,
        samples: mpsc::Sender<Sample>,
        settings: SampleSettings,
        view: watch::Receiver<GameView>,
    ) -> Self {
        Self { rcon, samples, settings, view }
    }

    /// Runs until `cancel`, or until nobody takes the samples.
    ///
    /// # Errors
    /// Never: a game that does not answer is a sample, too.
    pub async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        let _stopped = cancel.run_until_cancelled(self.go_on()).await;
        Ok(())
    }

    /// Returns when nobody takes the samples.
    async fn go_on(&mut self) {
        let mut link = self.rcon.link();
        let mut memory = Memory::new(self.settings.ups_window);
        // The first sample is taken at once; the second anywhere in the interval, so that games do not answer in step.
        let mut due = Instant::now();
        let mut phase = fastrand::f64();
        loop {
            if link.wait_for(|link| *link != LinkState::Connecting).await.is_err() {
                return;
            }
            link.mark_unchanged();
            if Instant::now() < due {
                self.look(&mut memory).await;
            } else {
                if self.sample(&mut memory).await.is_err() {
                    return;
                }
                let interval = if memory.is_idle() { self.settings.idle_interval } else { self.settings.interval };
                due = Instant::now() + interval.mul_f64(std::mem::replace(&mut phase, 1.0).max(0.1));
            }
            let next = if memory.is_idle() { due } else { due.min(Instant::now() + memory.cadence()) };
            tokio::select! {
                () = sleep_until(next) => {}
                changed = link.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    memory.forget();
                    // It is down as before: one more attempt to connect is no news.
                    if !(memory.is_down() && matches!(*link.borrow(), LinkState::Down(_))) {
                        due = Instant::now();
                    }
                }
                () = somebody_comes(&mut self.view), if memory.is_idle() => due = Instant::now(),
            }
        }
    }

    /// Looks at the clock alone. Where that fails, the next sample will say why.
    async fn look(&self, memory: &mut Memory) {
        let mut cost = Cost::default();
        let read = if memory.source() == Some(SampleSource::Lua) {
            let clock = CommandLine::parse(snippet::CLOCK).expect("the clock's command is one line");
            self.ask(clock, &mut cost).await.ok().and_then(|reply| clock_of_lua(&reply))
        } else {
            self.ask(Command::Time, &mut cost).await.ok().and_then(|reply| clock_of_time(&reply))
        };
        match read {
            Some(look) => memory.meter.take(ClockLook { empty: memory.is_empty(), ..look }),
            None => memory.meter.restart(),
        }
    }

    async fn sample(&self, memory: &mut Memory) -> Result<(), mpsc::error::SendError<Sample>> {
        let outcome = self.read(memory).await.map_err(|error| absence(&error));
        if let Err(absence) = &outcome {
            memory.failed(matches!(absence, Absence::Down(_)));
        }
        self.samples.send(Sample { at: Timestamp::now(), outcome }).await
    }

    /// By the best source there is.
    async fn read(&self, memory: &mut Memory) -> Result<Reading, RconError> {
        let mut cost = Cost::default();
        if self.rcon.allows_lua() && memory.may_try_lua() {
            let command = snippet::command(&self.settings)?;
            let reply = self.ask(command, &mut cost).await?;
            match LuaReading::parse(&reply.text) {
                Ok(lua) => return self.with_lua(lua, &reply, memory, cost).await,
                Err(reason) => memory.lua_failed(self.rcon.server(), reason),
            }
        }
        self.natively(memory, cost).await
    }

    async fn with_lua(
        &self,
        lua: LuaReading,
        reply: &Reply,
        memory: &mut Memory,
        mut cost: Cost,
    ) -> Result<Reading, RconError> {
        memory.lua_told(self.rcon.server(), &lua.errors);
        if reply.took <= PROMPT {
            memory.meter.take(clock_of_sample(&lua, reply, memory.is_empty()));
        }
        let players = match &lua.players {
            Some(players) => Some(players.iter().map(|player| player.name.clone()).collect()),
            None => self.players(&mut cost).await?,
        };
        memory.saw(SampleSource::Lua, players.as_deref());
        // At which moment of a long answer the tick was read, nobody knows.
        if reply.took > PROMPT {
            self.look(memory).await;
        }
        Ok(Reading {
            source: SampleSource::Lua,
            players,
            age: Some(Duration::from_secs_f64(lua.tick as f64 / TICKS_A_SECOND)),
            ups: memory.meter.ups(),
            paused: memory.meter.paused(),
            evolution: lua.enemies(),
            version: lua.version.clone(),
            known_players: Some(lua.known_players),
            lua: Some(lua),
            fallback: None,
            took: cost.took,
            bytes: cost.bytes,
        })
    }

    async fn natively(&self, memory: &mut Memory, mut cost: Cost) -> Result<Reading, RconError> {
        let time = self.ask(Command::Time, &mut cost).await?;
        match clock_of_time(&time) {
            Some(look) => memory.meter.take(ClockLook { empty: memory.is_empty(), ..look }),
            None => memory.meter.restart(),
        }
        let players = self.players(&mut cost).await?;
        let readable = parse_time(&time.text).is_some() || players.is_some() || refusal(&time.text).is_some();
        self.rcon.set_replies_readable(readable);
        if memory.slow_is_due() {
            let evolution = self.ask(Command::Evolution { surface: None }, &mut cost).await?;
            let count = self.ask(Command::PlayersCount, &mut cost).await?;
            let count = parse_players(&count.text).map(|players| players.count as u64);
            memory.learn_slow(parse_evolution(&evolution.text).unwrap_or_default(), count);
        }
        if memory.version.is_none() {
            let version = self.ask(Command::Version, &mut cost).await?;
            memory.version = parse_version(&version.text).map(ToOwned::to_owned);
        }
        memory.saw(SampleSource::Native, players.as_deref());
        let (evolution, known_players) = memory.slow();
        // Somebody may have come for the first time since it was asked.
        let online = players.as_ref().map_or(0, Vec::len) as u64;
        let known_players = known_players.map(|known| known.max(online));
        Ok(Reading {
            source: SampleSource::Native,
            players,
            age: parse_time(&time.text),
            ups: memory.meter.ups(),
            paused: memory.meter.paused(),
            evolution,
            version: memory.version.clone(),
            known_players,
            lua: None,
            fallback: memory.fallback(),
            took: cost.took,
            bytes: cost.bytes,
        })
    }

    async fn players(&self, cost: &mut Cost) -> Result<Option<Vec<String>>, RconError> {
        let reply = self.ask(Command::PlayersOnline, cost).await?;
        let told = |players: &Players| players.count == players.listed.len() && players.count <= MOST_ONLINE;
        let players = parse_players(&reply.text).filter(told);
        Ok(players.map(|players| players.listed.into_iter().map(|one| one.name).collect()))
    }

    async fn ask(&self, command: impl Into<CommandLine>, cost: &mut Cost) -> Result<Reply, RconError> {
        let reply = self.rcon.command(Priority::Sampler, command, None).await?;
        cost.took += reply.took;
        cost.bytes += reply.text.len();
        Ok(reply)
    }
}

/// `/time` tells whole seconds.
fn clock_of_time(reply: &Reply) -> Option<ClockLook> {
    let (asked, answered) = asked_at(reply);
    let tick = parse_time(&reply.text)?.as_secs().checked_mul(60)?;
    Some(ClockLook { asked, answered, tick, resolution: 60, speed: None, halted: None, empty: false })
}

fn clock_of_sample(lua: &LuaReading, reply: &Reply, empty: bool) -> ClockLook {
    let (asked, answered) = asked_at(reply);
    let (speed, halted) = (Some(lua.speed), Some(lua.halted));
    ClockLook { asked, answered, tick: lua.tick, resolution: 1, speed, halted, empty }
}

/// `4968001 1 false`
fn clock_of_lua(reply: &Reply) -> Option<ClockLook> {
    let (asked, answered) = asked_at(reply);
    let mut words = reply.text.split_whitespace();
    let (tick, speed) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let halted = words.next()?.parse().ok()?;
    Some(ClockLook { asked, answered, tick, resolution: 1, speed: Some(speed), halted: Some(halted), empty: false })
}

/// Returns when the view has a player in it.
async fn somebody_comes(view: &mut watch::Receiver<GameView>) {
    let somebody = |view: &GameView| view.players.as_ref().is_some_and(|players| !players.is_empty());
    if view.wait_for(somebody).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn absence(error: &RconError) -> Absence {
    if error.may_have_run() { Absence::Silent(error.to_string()) } else { Absence::Down(error.to_string()) }
}
