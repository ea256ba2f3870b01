//! A simulated life whose truth is known: a game and a relay that come and go at any moment, a log that is read late, and
//! samples that see what is not read yet.

use std::ops::RangeInclusive;

use super::*;

const SECOND: i64 = 1000;
/// How long a game needs to be back at least: it loads its map.
const RESTART: i64 = SECOND;
const PLAYERS: [&str; 3] = ["Ann", "bob", "Cid"];

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

/// What befalls the game or the relay.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Joins, or leaves in this way.
    Player(usize, EventKind),
    /// Somebody writes a command: a line that shows life.
    Command,
    /// The engine's log tells of a save.
    Save,
    /// Is killed, or stops in order, or starts.
    Game { killed: bool },
    /// Who was saved with the map that is loaded leaves it.
    LeavesTheLoadedMap(usize),
    /// Is killed, or starts and reads the console's log and the engine's so many milliseconds later.
    Relay(i64, i64),
    /// RCON hangs, or answers again.
    Rcon,
}

fn any_act() -> impl Strategy<Value = Act> {
    let who = || 0..PLAYERS.len();
    let how = prop::sample::select(vec![EventKind::Leave, EventKind::Leave, EventKind::Kick]);
    prop_oneof![
        8 => (who(), how).prop_map(|(who, how)| Act::Player(who, how)),
        1 => Just(Act::Command),
        2 => Just(Act::Save),
        4 => prop::bool::weighted(0.8).prop_map(|killed| Act::Game { killed }),
        1 => who().prop_map(Act::LeavesTheLoadedMap),
        4 => (0_i64..2000, 0_i64..2000).prop_map(|(console, engine)| Act::Relay(console, engine)),
        1 => Just(Act::Rcon),
    ]
}

/// Milliseconds; now and then so long that a session does not reach over it without a sample.
fn any_pause() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 0_i64..2000, 20 => 0_i64..6000, 1 => 100_000_i64..200_000]
}

/// Somebody in the game.
#[derive(Debug, Clone, Copy)]
struct There {
    start: i64,
    /// The last sample that had the player, of those that say something: not of those within the margin of a line that was
    /// not read yet.
    sampled: i64,
}

/// A session as it was, and between what its end may be known.
#[derive(Debug)]
struct Truth {
    start: i64,
    ends: RangeInclusive<i64>,
}

/// The keeper of the game, as far as sessions go.
#[derive(Debug, Default)]
struct Watch {
    watched: bool,
    was_up: bool,
    absence_noted: bool,
    answers_since: Option<i64>,
    /// When it begins to read the console's log.
    reads_from: i64,
    /// And the engine's.
    reads_engine_from: i64,
}

#[derive(Default)]
struct Life {
    now: i64,
    /// When the run began, while there is one.
    run: Option<i64>,
    ended: i64,
    killed: bool,
    hangs: bool,
    last_line: i64,
    online: BTreeMap<usize, There>,
    log: Vec<(EventKind, Option<usize>, i64)>,
    read: usize,
    /// The saves that the engine's log tells of and that are not read yet.
    saves: Vec<i64>,
    relay: Option<Watch>,
    kept: Kept,
    truth: BTreeMap<usize, Vec<Truth>>,
}

impl Life {
    fn pass(&mut self, millis: i64) {
        let end = self.now + millis;
        while self.now < end {
            let next = (self.now / SECOND + 1) * SECOND + 300;
            self.now = next.min(end);
            self.read_logs();
            if self.now == next {
                self.sample();
            }
        }
    }

    fn write(&mut self, kind: EventKind, who: Option<usize>) -> i64 {
        let second = self.now / SECOND * SECOND;
        self.log.push((kind, who, second));
        self.last_line = second;
        second
    }

    fn read_logs(&mut self) {
        let Some(watch) = &self.relay else { return };
        let (console, engine) = (watch.reads_from <= self.now, watch.reads_engine_from <= self.now);
        if engine {
            for at in std::mem::take(&mut self.saves) {
                self.happens(EventKind::SaveFinished, None, at);
            }
        }
        if console {
            while let Some(&(kind, who, at)) = self.log.get(self.read) {
                self.read += 1;
                self.happens(kind, who, at);
            }
        }
    }

    fn happens(&mut self, kind: EventKind, who: Option<usize>, at: i64) {
        let (server, player) = (ServerTag::new("prod").unwrap(), who.map(|who| PLAYERS[who].to_owned()));
        let happening = Happening { server, at: time(at), kind, player, detail: None };
        self.kept.step(|book| book.happened(&happening));
    }

    fn observe(&mut self, observation: &Observation) {
        self.kept.step(|book| book.observed(observation));
    }

    fn sample(&mut self) {
        let Some(watch) = &mut self.relay else { return };
        if self.run.is_none() {
            return self.gone();
        }
        if self.hangs {
            return;
        }
        let first = !std::mem::replace(&mut watch.watched, true);
        (watch.was_up, watch.absence_noted) = (true, false);
        let (at, since) = (time(self.now), time(*watch.answers_since.get_or_insert(self.now)));
        if first {
            self.observe(&Observation::Unreachable);
        }
        if self.read == self.log.len() {
            self.online.values_mut().for_each(|there| there.sampled = self.now);
        }
        let online = Some(self.online.keys().map(|who| PLAYERS[*who].to_owned()).collect());
        self.observe(&Observation::Answered { at, since, online });
    }

    fn gone(&mut self) {
        let Some(watch) = &mut self.relay else { return };
        watch.answers_since = None;
        if std::mem::replace(&mut watch.absence_noted, true) {
            return;
        }
        let lost = std::mem::replace(&mut watch.was_up, false);
        let at = time(self.now);
        let observation = if lost { Observation::LinkLost { at } } else { Observation::Unreachable };
        self.observe(&observation);
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Player(who, _) if self.run.is_some() && !self.online.contains_key(&who) => self.join(who),
            Act::Player(who, how) if self.run.is_some() => self.leave(who, how),
            Act::Command if self.run.is_some() => drop(self.write(EventKind::Command, None)),
            Act::Save if self.run.is_some() => self.saves.push(self.now),
            Act::Game { killed: true } if self.run.is_some() => self.kill_game(),
            Act::Game { killed: false } if self.run.is_some() => self.stop_game(),
            Act::Game { .. } => self.start_game(),
            Act::LeavesTheLoadedMap(who) if self.run.is_some() && !self.online.contains_key(&who) => {
                self.write(EventKind::Leave, Some(who));
            }
            Act::Relay(..) if self.relay.is_some() => self.relay = None,
            Act::Relay(console, engine) => {
                let (reads_from, reads_engine_from) = (self.now + console, self.now + engine);
                self.relay = Some(Watch { reads_from, reads_engine_from, ..Watch::default() });
            }
            Act::Rcon => self.hangs = !self.hangs,
            _ => {}
        }
        self.read_logs();
    }

    fn join(&mut self, who: usize) {
        let start = self.write(EventKind::Join, Some(who));
        self.online.insert(who, There { start, sampled: start });
    }

    fn leave(&mut self, who: usize, kind: EventKind) {
        let line = self.write(kind, Some(who));
        let there = self.online.remove(&who).unwrap();
        self.truth.entry(who).or_default().push(Truth { start: there.start, ends: line..=line });
    }

    fn stop_game(&mut self) {
        (self.run, self.ended) = (None, self.now);
        self.gone();
        let line = self.write(EventKind::ServerOffline, None);
        for (who, there) in std::mem::take(&mut self.online) {
            self.truth.entry(who).or_default().push(Truth { start: there.start, ends: line..=line });
        }
    }

    /// Where the relay looked, and had read what was before, the end is known; else it is behind no evidence, and not behind the truth.
    fn kill_game(&mut self) {
        let (now, begun) = (self.now, self.run.take().unwrap());
        let looked = self.relay.as_ref().and_then(|watch| watch.answers_since).is_some_and(|since| since >= begun);
        let looked = looked && self.read == self.log.len();
        self.gone();
        for (who, there) in std::mem::take(&mut self.online) {
            let evidence = self.last_line.max(there.sampled);
            let ends = if looked { now..=now } else { evidence..=now };
            self.truth.entry(who).or_default().push(Truth { start: there.start, ends });
        }
        (self.killed, self.ended) = (true, now);
    }

    fn start_game(&mut self) {
        if self.now < self.ended + RESTART {
            return;
        }
        self.run = Some(self.now);
        if std::mem::take(&mut self.killed) {
            self.write(EventKind::ServerCrashed, None);
        }
        self.write(EventKind::ServerOnline, None);
    }

    /// All is up, and everybody is there; then the game stops in order.
    fn end(&mut self) {
        self.hangs = false;
        self.relay.get_or_insert_default();
        self.pass(RESTART);
        if self.run.is_none() {
            self.start_game();
        }
        for who in 0..PLAYERS.len() {
            if !self.online.contains_key(&who) {
                self.join(who);
            }
        }
        self.pass(20 * SECOND);
        self.stop_game();
        self.read_logs();
    }

    /// As sums count them: what goes on with a session before is the same one.
    fn stored(&self, who: usize) -> Vec<(i64, i64, String)> {
        let mut sessions: Vec<&Session> =
            self.kept.rows.values().filter(|session| player_key(&session.player) == player_key(PLAYERS[who])).collect();
        sessions.sort_by_key(|session| (session.started_at, session.until(), session.id));
        let mut whole: Vec<(i64, i64, String)> = Vec::new();
        for session in sessions {
            let (until, end) = session.ended.unwrap_or_else(|| panic!("a ghost: {session:?}"));
            let (until, end) = (until.as_millisecond(), end.as_str().to_owned());
            match whole.last_mut().filter(|_| session.joined_to.is_some()) {
                Some(last) => (last.1, last.2) = (until, end),
                None => whole.push((session.started_at.as_millisecond(), until, end)),
            }
        }
        whole
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (who, name) in PLAYERS.iter().enumerate() {
            let (stored, truth) = (self.stored(who), self.truth.get(&who).map_or(&[][..], Vec::as_slice));
            let known = |(truth, stored): (&Truth, &(i64, i64, String))| {
                truth.start == stored.0 && truth.ends.contains(&stored.1)
            };
            let right = stored.len() == truth.len() && truth.iter().zip(&stored).all(known);
            prop_assert!(right, "{name} was there {truth:#?}, it is said {stored:#?}\nlog {:?}", self.log);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_life_is_known_as_it_was(acts in prop::collection::vec((any_pause(), any_act()), 0..50)) {
        let mut life = Life { now: 1_000_000 * SECOND, ..Life::default() };
        for (pause, act) in acts {
            life.pass(pause);
            life.act(act);
            life.kept.check();
        }
        life.end();
        life.check()?;
    }
}
