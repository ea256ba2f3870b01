//! Who was in a game from when to when: sessions, made of what the log says and of what samples see.
//!
//! The log is exact and read in order, but late, and it says nothing when the game is killed. Samples (`/players
//! online`, asked at a known time) and the RCON connection are timely, but see only the moment. So what a sample infers
//! stays open to correction ([`Session::settled`] is false) until the log has told what was before it:
//!
//! - A JOIN begins a session, a LEAVE, kick, ban of one who is there, or the server's stop ends it, to the second.
//! - A game that is killed writes nothing. Its sessions end when the RCON connection broke; where nobody watched it, with
//!   the last evidence that the player was there: a sample, or for all players a later line of the same run.
//! - A sample begins a session for somebody nobody knew of, and ends that of somebody it misses, with the last evidence.
//!   A line that is read afterwards puts the exact time in its place.
//! - A sample says nothing about what the log has within [`MARGIN`] of it.
//! - Between two samples further apart than [`REACH`], as while the relay or the connection was down, a session is
//!   carried on by a second piece which is [joined](Session::joined_to) to the first: a LEAVE makes them one, the start
//!   of another run parts them.
//!
//! Sessions of one player never overlap and are never negative, whatever the clocks do.

#[cfg(test)]
mod tests;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::keyed::keyed_enum;
use super::{EventKind, Happening};
use timeline::Timeline;

/// How far the log's whole seconds and the relay's clock may be apart without contradicting each other.
pub const MARGIN: Duration = Duration::from_secs(5);

/// How long after the last evidence a sample still shows that a player was there all the time.
pub const REACH: Duration = Duration::from_secs(150);

keyed_enum! {
    /// How the beginning of a session is known.
    Start {
        /// By its line, to the second.
        Join = "join",
        /// A sample saw the player first: it began before.
        Sample = "sample",
    }
}

keyed_enum! {
    /// How the end of a session is known.
    End {
        /// By its line, to the second.
        Leave = "leave",
        /// By its line, to the second.
        Kick = "kick",
        /// By its line, to the second.
        Ban = "ban",
        /// The server stopped in order: by its line, to the second.
        Stop = "stop",
        /// The engine wrote that it crashed, to the second.
        Crash = "crash",
        /// The RCON connection broke.
        LinkLost = "link_lost",
        /// Nobody watched any longer: the last evidence.
        Unwatched = "unwatched",
        /// A sample missed the player: the last evidence.
        Missed = "missed",
        /// Another run began: the last evidence.
        NextRun = "next_run",
        /// The player joined once more: the last evidence.
        Rejoin = "rejoin",
        /// The log's clock went back behind the beginning: the last evidence.
        ClockStep = "clock_step",
    }
}

impl End {
    /// Whether a line of the log tells the end, to the second.
    #[must_use]
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Leave | Self::Kick | Self::Ban | Self::Stop | Self::Crash)
    }

    /// Whether the player may have been there all the same.
    fn may_go_on(self) -> bool {
        matches!(self, Self::LinkLost | Self::Unwatched)
    }
}

/// Somebody in a game, from when to when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its row; `None` for one that is not stored yet.
    pub id: Option<i64>,
    /// As the game wrote the name when it began. Names that differ only in case are the same player's.
    pub player: String,
    /// When it began, as far as is known.
    pub started_at: Timestamp,
    /// How that is known.
    pub start: Start,
    /// The end of the session before, where this one goes on with it as far as is known.
    pub joined_to: Option<Timestamp>,
    /// The last evidence that the player was there.
    pub seen_at: Timestamp,
    /// When it ended, as far as is known, and how that is known; `None` while it lasts.
    pub ended: Option<(Timestamp, End)>,
    /// A sample at this time knows the player to be gone.
    pub gone_by: Option<Timestamp>,
    /// Whether it is over for good: no line that is still to be read changes it.
    pub settled: bool,
}

impl Session {
    fn begin(player: &str, at: Timestamp, start: Start) -> Self {
        let player = player.to_owned();
        let (joined_to, ended, gone_by) = (None, None, None);
        Self { id: None, player, started_at: at, start, joined_to, seen_at: at, ended, gone_by, settled: false }
    }

    /// Whether it lasts.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// The end, or the last evidence while it lasts.
    fn until(&self) -> Timestamp {
        self.ended.map_or(self.seen_at, |(at, _)| at)
    }

    fn end_at(&mut self, at: Timestamp, end: End) {
        self.ended = Some((at.max(self.started_at), end));
    }
}

/// What is seen of a game over its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// It answered.
    Answered {
        /// When it was asked who is there.
        at: Timestamp,
        /// Since when it answers without a break that was seen. What is known of the time before may be of another run, the
        /// log of which is still to be read.
        since: Timestamp,
        /// Who is there; `None` where the answer was not understood.
        online: Option<Vec<String>>,
    },
    /// Nobody is there, by a file: the game itself cannot be asked.
    Nobody {
        /// When the file was written.
        at: Timestamp,
    },
    /// The connection broke.
    LinkLost {
        /// When.
        at: Timestamp,
    },
    /// There is no connection, and nobody saw it break.
    Unreachable,
}

/// What a server's game is known to have done, beside its players.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunEvidence {
    /// Its connection broke then, or it crashed, and it has not answered since.
    pub lost_at: Option<Timestamp>,
    /// Its last line that only a running game writes, of those that are read in order with its starts.
    pub alive_at: Option<Timestamp>,
    /// The last such line that may be read out of order with them, as of another log: it may be of the next run already.
    pub alive_elsewhere_at: Option<Timestamp>,
    /// It last answered a sample.
    pub answered_at: Option<Timestamp>,
}

/// What is to be stored after a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SessionChanges {
    /// New ones, and those that differ from what was loaded.
    pub write: Vec<Session>,
    /// Rows that are no more.
    pub delete: Vec<i64>,
}

/// The sessions of one server that can still change, and the last one of every player that is looked at.
#[derive(Debug, Default)]
pub struct SessionBook {
    evidence: RunEvidence,
    players: BTreeMap<String, Timeline>,
    loaded: BTreeMap<i64, Session>,
}

/// The name without its case.
#[must_use]
pub fn player_key(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl SessionBook {
    /// A book of what is stored: for every player concerned, all sessions that are not settled, and the last one.
    #[must_use]
    pub fn new(evidence: RunEvidence, sessions: Vec<Session>) -> Self {
        let mut book = Self { evidence, ..Self::default() };
        for session in sessions {
            book.loaded.extend(session.id.map(|id| (id, session.clone())));
            book.players.entry(player_key(&session.player)).or_default().insert(session);
        }
        book
    }

    /// What is known of the game.
    #[must_use]
    pub fn evidence(&self) -> RunEvidence {
        self.evidence
    }

    /// The names whose sessions must be in the book before `happening` is taken in.
    #[must_use]
    pub fn concerned(happening: &Happening) -> Option<&str> {
        let about_one = matches!(happening.kind, EventKind::Join | EventKind::Leave | EventKind::Kick | EventKind::Ban);
        happening.player.as_deref().filter(|_| about_one)
    }

    /// Takes in what a line says; lines come in the order of their log.
    pub fn happened(&mut self, happening: &Happening) {
        let at = happening.at;
        match happening.kind {
            EventKind::ServerOnline | EventKind::ServerCrashed => return self.next_run(at),
            EventKind::ServerOffline => self.players.values_mut().for_each(|player| player.leave(at, End::Stop)),
            EventKind::Crash => self.crash(at),
            _ => self.player_happened(happening),
        }
        if tells_life_in_order(happening.kind) {
            self.evidence.alive_at = Some(at);
        } else if shows_life(happening.kind) {
            self.evidence.alive_elsewhere_at = Some(at);
        }
    }

    fn player_happened(&mut self, happening: &Happening) {
        let Some(name) = Self::concerned(happening) else { return };
        let lost = self.evidence.lost_at;
        let player = self.players.entry(player_key(name)).or_default();
        match happening.kind {
            EventKind::Join => player.join(name, happening.at, lost),
            EventKind::Leave => player.leave(happening.at, End::Leave),
            EventKind::Kick => player.leave(happening.at, End::Kick),
            _ => player.leave(happening.at, End::Ban),
        }
    }

    fn next_run(&mut self, at: Timestamp) {
        let before = |time: &Timestamp| *time <= at;
        let RunEvidence { lost_at, alive_at, alive_elsewhere_at, .. } = self.evidence;
        let elsewhere = alive_elsewhere_at.filter(|elsewhere| *elsewhere < at);
        let (lost, alive) = (lost_at.filter(before), alive_at.filter(before).max(elsewhere));
        self.players.values_mut().for_each(|player| player.next_run(at, lost, alive));
        self.evidence.lost_at = lost_at.filter(|lost| *lost > at);
        self.evidence.alive_at = Some(at);
        // What is far ahead was told before the clock went back.
        self.evidence.alive_elsewhere_at = alive_elsewhere_at.filter(|elsewhere| *elsewhere <= at + REACH);
    }

    fn crash(&mut self, at: Timestamp) {
        if self.evidence.answered_at.is_some_and(|answered| answered > at) {
            return;
        }
        self.evidence.lost_at = Some(at);
        self.players.values_mut().for_each(|player| player.lose(at, End::Crash));
    }

    /// Takes in what was seen of the game over its connection.
    pub fn observed(&mut self, observation: &Observation) {
        match observation {
            Observation::Answered { at, since, online } => self.answered(*at, *since, online.as_deref()),
            Observation::Nobody { at } => self.players.values_mut().for_each(|player| player.absent(*at)),
            Observation::LinkLost { at } => self.link_lost(*at),
            Observation::Unreachable => self.players.values_mut().for_each(Timeline::unwatched),
        }
    }

    fn answered(&mut self, at: Timestamp, since: Timestamp, online: Option<&[String]>) {
        self.evidence.answered_at = self.evidence.answered_at.max(Some(at));
        self.evidence.lost_at = self.evidence.lost_at.filter(|lost| *lost > at);
        let Some(online) = online else { return };
        let listed: BTreeSet<String> = online.iter().map(|name| player_key(name)).collect();
        for name in online {
            self.players.entry(player_key(name)).or_default().present(name, at, since);
        }
        let missing = self.players.iter_mut().filter(|(name, _)| !listed.contains(*name));
        missing.for_each(|(_, player)| player.absent(at));
    }

    fn link_lost(&mut self, at: Timestamp) {
        if self.evidence.lost_at.is_none() {
            self.evidence.lost_at = Some(at);
            self.players.values_mut().for_each(|player| player.lose(at, End::LinkLost));
        }
    }

    /// What differs from what was loaded.
    #[must_use]
    pub fn changes(self) -> SessionChanges {
        let mut gone: BTreeSet<i64> = self.loaded.keys().copied().collect();
        let mut changes = SessionChanges::default();
        for session in self.players.into_values().flat_map(Timeline::into_sessions) {
            let known = session.id.and_then(|id| self.loaded.get(&id));
            session.id.map(|id| gone.remove(&id));
            if known != Some(&session) {
                changes.write.push(session);
            }
        }
        changes.delete = gone.into_iter().collect();
        changes
    }
}

/// Lines of the console log, which also tells of the starts, that a run writes between its start and its end.
fn tells_life_in_order(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Join
            | EventKind::Leave
            | EventKind::Command
            | EventKind::Warning
            | EventKind::Kick
            | EventKind::Ban
            | EventKind::Unban
            | EventKind::Promote
            | EventKind::Demote
    )
}

/// Lines of any log that a run writes between its start and its end. What the engine says of the next start is not among
/// them: its log may be read first.
fn shows_life(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::SaveStarted
            | EventKind::SaveFinished
            | EventKind::Desync
            | EventKind::Death
            | EventKind::ResearchStarted
            | EventKind::ResearchFinished
            | EventKind::RocketLaunched
    )
}
