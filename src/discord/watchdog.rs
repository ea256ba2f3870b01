//! Judges from outside whether a gateway session lives. Pure: no event says "disconnected", so this one looks.

use std::collections::VecDeque;
use std::time::Duration;

use serenity::gateway::ConnectionStage;
use tokio::time::Instant;

use super::gateway::GatewayTimes;

/// What a session tells of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// A new session began: it cost one of the day's session starts.
    Ready,
    /// The session went on over a new connection.
    Resumed,
}

/// The shard as it looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) stage: ConnectionStage,
    /// Measured anew at every answered heartbeat.
    pub(super) latency: Option<Duration>,
}

/// How the session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Connected, and lately heard of.
    Up,
    /// Not connected, for this reason; it may still heal by itself.
    Down(&'static str),
    /// It will not heal: build a new one.
    Dead(String),
}

/// The memory of one session.
#[derive(Debug)]
pub(super) struct Watchdog {
    times: GatewayTimes,
    down_since: Option<Instant>,
    /// The last time that anything came from Discord.
    heard: Instant,
    latency: Option<Duration>,
    /// Whether READY or RESUMED came since the last gap: the stage alone says "connected" too often.
    greeted: bool,
    starts: VecDeque<Instant>,
}

impl Watchdog {
    /// For a session that begins at `now`.
    pub(super) fn new(times: GatewayTimes, now: Instant) -> Self {
        Self { times, down_since: Some(now), heard: now, latency: None, greeted: false, starts: VecDeque::new() }
    }

    /// Takes note of a signal.
    pub(super) fn signal(&mut self, signal: Signal, now: Instant) {
        self.heard = now;
        self.greeted = true;
        if signal == Signal::Ready {
            self.starts.push_back(now);
        }
    }

    /// Judges by the shard (`None` = serenity has none at present) and the last sign of life of its runtime.
    pub(super) fn look(&mut self, shard: Option<Shard>, pulse: Instant, now: Instant) -> Verdict {
        if now.saturating_duration_since(pulse) > self.times.stall_limit {
            return Verdict::Dead("the gateway client hangs after the connection was closed".to_owned());
        }
        if let Some(verdict) = self.churn(now) {
            return verdict;
        }
        match shard {
            Some(shard) if shard.stage == ConnectionStage::Connected && self.greeted => self.connected(shard, now),
            _ => self.disconnected(stage_reason(shard), now),
        }
    }

    fn connected(&mut self, shard: Shard, now: Instant) -> Verdict {
        self.down_since = None;
        if shard.latency != self.latency {
            self.latency = shard.latency;
            self.heard = now;
        }
        let silence = now.saturating_duration_since(self.heard);
        if silence > self.times.ack_limit {
            return Verdict::Dead(format!("Discord answered no heartbeat for {} s", silence.as_secs()));
        }
        Verdict::Up
    }

    fn disconnected(&mut self, reason: &'static str, now: Instant) -> Verdict {
        self.greeted = false;
        let since = *self.down_since.get_or_insert(now);
        let outage = now.saturating_duration_since(since);
        if outage > self.times.connect_limit {
            return Verdict::Dead(format!("{reason}, for {} s", outage.as_secs()));
        }
        Verdict::Down(reason)
    }

    /// Sessions that end as soon as they begin eat up the day's session starts.
    fn churn(&mut self, now: Instant) -> Option<Verdict> {
        let old = |start: &Instant| now.saturating_duration_since(*start) > self.times.churn_window;
        while self.starts.front().is_some_and(old) {
            self.starts.pop_front();
        }
        let starts = self.starts.len();
        (starts > self.times.churn_limit)
            .then(|| Verdict::Dead(format!("Discord ends every session: {starts} in a short time")))
    }
}

fn stage_reason(shard: Option<Shard>) -> &'static str {
    match shard.map(|shard| shard.stage) {
        None => "no connection to the gateway",
        Some(ConnectionStage::Connecting | ConnectionStage::Handshake) => "the gateway does not greet",
        Some(ConnectionStage::Identifying) => "the gateway does not answer the identification",
        Some(ConnectionStage::Connected) => "the gateway session is not ready",
        Some(ConnectionStage::Resuming) => "the gateway does not resume the session",
        Some(_) => "the gateway closed the connection",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: Option<Duration> = Some(Duration::from_millis(12));

    #[expect(clippy::unnecessary_wraps, reason = "as the watchdog takes it")]
    fn shard(stage: ConnectionStage, latency: Option<Duration>) -> Option<Shard> {
        Some(Shard { stage, latency })
    }

    /// A watchdog with default times that saw its session begin at the returned time.
    fn connected() -> (Watchdog, Instant) {
        let start = Instant::now();
        let mut dog = Watchdog::new(GatewayTimes::default(), start);
        dog.signal(Signal::Ready, start);
        assert_eq!(dog.look(shard(ConnectionStage::Connected, ACK), start, start), Verdict::Up);
        (dog, start)
    }

    #[test]
    fn a_connected_stage_before_any_ready_is_no_connection() {
        let start = Instant::now();
        let mut dog = Watchdog::new(GatewayTimes::default(), start);
        let verdict = dog.look(shard(ConnectionStage::Connected, None), start, start);
        assert_eq!(verdict, Verdict::Down("the gateway session is not ready"));
    }

    #[test]
    fn a_connection_that_never_comes_is_given_up() {
        let start = Instant::now();
        let mut dog = Watchdog::new(GatewayTimes::default(), start);
        let soon = start + Duration::from_secs(90);
        assert_eq!(dog.look(None, soon, soon), Verdict::Down("no connection to the gateway"));
        let late = start + Duration::from_secs(91);
        assert_eq!(dog.look(None, late, late), Verdict::Dead("no connection to the gateway, for 91 s".into()));
    }

    #[test]
    fn an_outage_counts_from_its_own_beginning() {
        let (mut dog, start) = connected();
        let lost = start + Duration::from_secs(100);
        let resuming = shard(ConnectionStage::Resuming, ACK);
        assert_eq!(dog.look(resuming, lost, lost), Verdict::Down("the gateway does not resume the session"));
        let back = lost + Duration::from_mins(1);
        let early = dog.look(shard(ConnectionStage::Connected, ACK), back, back);
        assert_eq!(early, Verdict::Down("the gateway session is not ready"));
        dog.signal(Signal::Resumed, back);
        assert_eq!(dog.look(shard(ConnectionStage::Connected, ACK), back, back), Verdict::Up);
        let lost_again = back + Duration::from_mins(1);
        assert_eq!(dog.look(None, lost_again, lost_again), Verdict::Down("no connection to the gateway"));
    }

    #[test]
    fn heartbeats_that_are_answered_keep_it_alive() {
        let (mut dog, start) = connected();
        for beat in 1..20 {
            let now = start + Duration::from_secs(41 * beat);
            let latency = Some(Duration::from_millis(beat));
            assert_eq!(dog.look(shard(ConnectionStage::Connected, latency), now, now), Verdict::Up, "beat {beat}");
        }
    }

    #[test]
    fn heartbeats_that_nobody_answers_end_it_whatever_the_stage_says() {
        let (mut dog, start) = connected();
        let late = start + Duration::from_secs(181);
        let verdict = dog.look(shard(ConnectionStage::Connected, ACK), late, late);
        assert_eq!(verdict, Verdict::Dead("Discord answered no heartbeat for 181 s".into()));
    }

    #[test]
    fn a_runtime_without_pulse_hangs() {
        let (mut dog, start) = connected();
        let late = start + Duration::from_secs(16);
        let verdict = dog.look(shard(ConnectionStage::Connected, ACK), start, late);
        assert_eq!(verdict, Verdict::Dead("the gateway client hangs after the connection was closed".into()));
    }

    #[test]
    fn sessions_that_end_at_once_are_not_repeated_for_ever() {
        let (mut dog, start) = connected();
        let times = GatewayTimes::default();
        let mut verdicts = (1..=times.churn_limit as u64).map(|session| {
            let now = start + Duration::from_secs(5 * session);
            dog.signal(Signal::Ready, now);
            dog.look(shard(ConnectionStage::Connected, ACK), now, now)
        });
        assert!(verdicts.by_ref().take(times.churn_limit - 1).all(|verdict| verdict == Verdict::Up));
        assert_eq!(verdicts.next(), Some(Verdict::Dead("Discord ends every session: 6 in a short time".into())));
    }

    #[test]
    fn rare_new_sessions_are_nothing_to_worry_about() {
        let (mut dog, start) = connected();
        for hour in 1..50 {
            let now = start + Duration::from_hours(hour);
            dog.signal(Signal::Ready, now);
            assert_eq!(dog.look(shard(ConnectionStage::Connected, ACK), now, now), Verdict::Up);
        }
    }
}
