//! What the game itself knows: who was there from when to when, and what it wrote of it. Times are milliseconds since
//! 1970, those of lines whole seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

pub const SECOND: i64 = 1000;

/// A session. An end that a line told is exact; the end of one whose game was killed lies in what may be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub start: i64,
    pub ends: RangeInclusive<i64>,
    /// When it really ended.
    pub truly: i64,
}

/// How the relay stood when the game was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watching {
    /// It had answers from this run, and the connection was up.
    Yes,
    /// It was dead.
    No,
    /// It was on its way to the game.
    Perhaps,
}

/// A `kill -9` of the game.
#[derive(Debug)]
pub struct Kill {
    /// From before it to when all its connections were closed.
    pub at: RangeInclusive<i64>,
    pub watching: Watching,
    /// When the relay last stored an answer to who is there, and the time before that.
    pub samples: [Option<i64>; 2],
    /// When the relay died, where it may have given up the connection before, as it was silent for so long.
    pub broke_by: Option<i64>,
}

/// Somebody in the game.
#[derive(Debug, Clone, Copy)]
struct There {
    /// By the line.
    start: i64,
    /// To the millisecond.
    since: i64,
}

/// What the game knows.
#[derive(Debug, Default)]
pub struct Truth {
    pub sessions: BTreeMap<&'static str, Vec<Known>>,
    /// Every line that Discord must be told, in order.
    pub told: Vec<String>,
    online: BTreeMap<&'static str, There>,
    /// The last line of this run that only a game writes which lives.
    last_line: i64,
    /// The last save of this run, which the other log tells of.
    last_save: i64,
    /// How many sessions ended how the relay stood then.
    pub cut_off: BTreeMap<Watching, usize>,
}

impl Truth {
    pub fn is_online(&self, player: &str) -> bool {
        self.online.contains_key(player)
    }

    pub fn online(&self) -> BTreeSet<&'static str> {
        self.online.keys().copied().collect()
    }

    /// A run began, by its line.
    pub fn began(&mut self, line: i64) {
        (self.last_line, self.last_save) = (line, 0);
    }

    pub fn joined(&mut self, player: &'static str, line: i64, since: i64) {
        self.online.insert(player, There { start: line, since });
        self.wrote(line, format!("{player} joined"));
    }

    /// By a line, `what` it says.
    pub fn left(&mut self, player: &'static str, line: i64, what: &str) {
        if let Some(there) = self.online.remove(player) {
            self.ended(player, there.start, line..=line, line);
        }
        self.wrote(line, format!("{player} {what}"));
    }

    pub fn said(&mut self, player: &str, number: u64) {
        self.told.push(format!("{player} said {number}"));
    }

    /// A line that shows life, and that is about nobody's coming and going.
    pub fn moderated(&mut self, line: i64) {
        self.last_line = line;
    }

    pub fn saved(&mut self, at: i64) {
        self.last_save = at;
    }

    /// The server stopped in order, by its line.
    pub fn stopped(&mut self, line: i64) {
        for (player, there) in std::mem::take(&mut self.online) {
            self.ended(player, there.start, line..=line, line);
        }
    }

    pub fn killed(&mut self, kill: &Kill) {
        for (player, there) in std::mem::take(&mut self.online) {
            *self.cut_off.entry(kill.watching).or_default() += 1;
            self.ended(player, there.start, self.may_end(there, kill), *kill.at.end());
        }
    }

    /// Where the relay looks, the session ends when the connection broke. Where it is dead, with the last evidence: the
    /// last line of the run that shows life, or the last answer that named the player. Of that answer only the time is
    /// known at which it was stored; it was asked for after the one before was.
    fn may_end(&self, there: There, kill: &Kill) -> RangeInclusive<i64> {
        let named = |sample: Option<i64>| sample.filter(|at| *at >= there.since).unwrap_or(self.last_line);
        let [last, before] = kill.samples.map(named);
        let evidence = self.last_line.max(before);
        match kill.watching {
            Watching::Yes => *kill.at.start()..=kill.at.end() + SECOND,
            // A save may be read too late to be known as one of this run.
            Watching::No => evidence..=evidence.max(last).max(self.last_save).max(kill.broke_by.unwrap_or(evidence)),
            Watching::Perhaps => evidence..=kill.at.end() + SECOND,
        }
    }

    fn ended(&mut self, player: &'static str, start: i64, ends: RangeInclusive<i64>, truly: i64) {
        self.sessions.entry(player).or_default().push(Known { start, ends, truly });
    }

    fn wrote(&mut self, line: i64, told: String) {
        self.last_line = line;
        self.told.push(told);
    }

    /// Between what and what the play time of a player is, in milliseconds.
    pub fn play_time(&self, player: &str) -> RangeInclusive<i64> {
        let sessions = self.sessions.get(player).map_or(&[][..], Vec::as_slice);
        let sum = |end: fn(&Known) -> i64| sessions.iter().map(|known| end(known) - known.start).sum();
        sum(|known| *known.ends.start())..=sum(|known| *known.ends.end())
    }
}
