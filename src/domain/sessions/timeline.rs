//! The sessions of one player on one server, in order: settled ones, then those that may still change.

use jiff::Timestamp;

use super::{End, MARGIN, REACH, Session, Start};

/// Only the last may be open.
#[derive(Debug, Default)]
pub(super) struct Timeline(Vec<Session>);

impl Timeline {
    /// Puts a stored session in its place.
    pub(super) fn insert(&mut self, session: Session) {
        let key = |one: &Session| (one.started_at, !one.settled, one.is_open(), one.until(), one.id);
        let place = self.0.partition_point(|other| key(other) <= key(&session));
        self.0.insert(place, session);
    }

    pub(super) fn into_sessions(self) -> Vec<Session> {
        self.0
    }

    fn end_of(&self, index: usize) -> Option<Timestamp> {
        Some(self.0.get(index)?.until())
    }

    /// A JOIN. `lost`: the game was already gone then.
    pub(super) fn join(&mut self, player: &str, at: Timestamp, lost: Option<Timestamp>) {
        let repeated = |session: &Session| !session.settled && session.start == Start::Join && session.started_at == at;
        if self.0.iter().any(repeated) {
            return;
        }
        if let Some(index) = self.0.iter().position(|session| was_begun_by_join(session, at)) {
            return self.join_explains(index, player, at);
        }
        let seen_behind = self.0.last().filter(|last| last.is_open() && last.seen_at > at + MARGIN);
        let seen_behind = seen_behind.map(|last| Session::begin(player, last.seen_at, Start::Sample));
        self.cut(self.0.len(), at);
        if let Some(seen) = seen_behind {
            self.0.push(seen);
            return self.join_before(self.0.len() - 1, player, at);
        }
        let at = self.0.last().map_or(at, |last| at.max(last.until()));
        let mut session = Session::begin(player, at, Start::Join);
        if let Some(lost) = lost.filter(|lost| at <= *lost) {
            session.end_at(lost, End::LinkLost);
        }
        self.0.push(session);
    }

    /// The JOIN of a session that a sample saw before its line was read.
    fn join_explains(&mut self, index: usize, player: &str, at: Timestamp) {
        self.cut(index, at);
        if self.0[index].started_at > at {
            return self.join_before(index, player, at);
        }
        let before = index.checked_sub(1).and_then(|before| self.end_of(before));
        let session = &mut self.0[index];
        session.started_at = before.map_or(at, |before| at.max(before));
        session.seen_at = session.seen_at.max(session.started_at);
        (session.start, session.joined_to) = (Start::Join, None);
        player.clone_into(&mut session.player);
    }

    /// The JOIN of a session that a sample saw later: what is not read yet may lie between, as another run, though only
    /// seconds have passed.
    fn join_before(&mut self, index: usize, player: &str, at: Timestamp) {
        let before = index.checked_sub(1).and_then(|before| self.end_of(before));
        let at = before.map_or(at, |before| at.max(before));
        let mut session = Session::begin(player, at, Start::Join);
        session.end_at(at, End::Unwatched);
        self.0[index].joined_to = Some(at);
        self.0.insert(index, session);
    }

    /// What is before `index` is over when the player joins once more, at `at`.
    fn cut(&mut self, index: usize, at: Timestamp) {
        for session in self.0[..index].iter_mut().filter(|session| !session.settled) {
            let (until, end) = session.ended.unwrap_or((session.seen_at, End::Rejoin));
            session.end_at(until.min(at), end);
            session.settled = true;
        }
    }

    /// A LEAVE, a kick, a ban, or the stop of the server. Whoever is not there is not concerned: the line that said so was
    /// read before.
    pub(super) fn leave(&mut self, at: Timestamp, end: End) {
        let concerned = |session: &Session| !session.settled && session.started_at <= at;
        let Some(index) = self.0.iter().rposition(concerned) else { return self.leave_before_all(at) };
        if self.0[index].gone_by.is_some_and(|gone| at > gone + MARGIN) {
            return;
        }
        let ahead = self.0.split_off(index + 1);
        let rejoined = self.0[index].is_open().then_some(self.0[index].seen_at).filter(|seen| *seen > at + MARGIN);
        let rejoined = rejoined.map(|seen| Session::begin(&self.0[index].player, seen, Start::Sample));
        self.0[index].end_at(at, end);
        self.0[index].seen_at = self.0[index].until();
        self.0[index].gone_by = None;
        self.join_pieces();
        self.settle();
        self.go_on_with(rejoined.into_iter().chain(ahead), at);
    }

    /// A LEAVE before everything that is known of the player and not settled.
    fn leave_before_all(&mut self, at: Timestamp) {
        let Some(index) = self.0.iter().position(|session| !session.settled) else { return };
        let session = &mut self.0[index];
        if session.start == Start::Join {
            if session.is_open() {
                session.end_at(session.seen_at, End::ClockStep);
                session.settled = true;
            }
        } else if session.started_at <= at + MARGIN {
            // The sample was a moment older than it said.
            self.0.remove(index);
            self.part(index);
        }
    }

    /// What samples saw behind `at` goes on by itself; what they saw around it was before.
    fn go_on_with(&mut self, ahead: impl Iterator<Item = Session>, at: Timestamp) {
        let index = self.0.len();
        self.0.extend(ahead.filter(|session| session.started_at > at + MARGIN));
        self.part(index);
    }

    /// The session at `index` does not go on with the one before.
    fn part(&mut self, index: usize) {
        if let Some(session) = self.0.get_mut(index) {
            session.joined_to = None;
        }
    }

    /// Makes one session of the last and those it is joined to.
    fn join_pieces(&mut self) {
        while self.0.len() > 1 && self.0.last().is_some_and(|last| last.joined_to.is_some()) {
            let Some(last) = self.0.pop() else { return };
            let Some(before) = self.0.last_mut() else { return };
            (before.seen_at, before.ended, before.gone_by) = (last.seen_at, last.ended, last.gone_by);
        }
    }

    fn settle(&mut self) {
        self.0.iter_mut().for_each(|session| session.settled = true);
    }

    /// Another run began at `at`. The one before was `lost` then, or `alive` then, where that is known.
    pub(super) fn next_run(&mut self, at: Timestamp, lost: Option<Timestamp>, alive: Option<Timestamp>) {
        let of_this_run = |session: &Session| session.start == Start::Sample && session.started_at > at;
        let count = self.0.iter().position(of_this_run).unwrap_or(self.0.len());
        let ahead = self.0.split_off(count);
        let mut seen_after = None;
        if let Some(last) = self.0.last_mut().filter(|last| !last.settled) {
            if last.is_open() && last.seen_at > at + MARGIN && last.started_at <= at {
                seen_after = Some(Session::begin(&last.player, last.seen_at, Start::Sample));
            }
            end_with_run(last, at, lost, alive);
            self.join_pieces();
        }
        self.settle();
        self.go_on_with(seen_after.into_iter().chain(ahead), at);
    }

    /// The game is gone, or cannot be reached.
    pub(super) fn lose(&mut self, at: Timestamp, end: End) {
        let Some(last) = self.0.last_mut() else { return };
        let later = |(ended, how): (Timestamp, End)| end == End::Crash && how == End::LinkLost && ended >= at;
        if last.settled || last.started_at > at || last.seen_at > at + MARGIN || !last.ended.is_none_or(later) {
            return;
        }
        last.end_at(at, end);
        last.gone_by = (end == End::Crash).then_some(at);
    }

    /// Whether the player is still there, nobody can say.
    pub(super) fn unwatched(&mut self) {
        if let Some(last) = self.0.last_mut().filter(|last| last.is_open()) {
            last.end_at(last.seen_at, End::Unwatched);
        }
    }

    /// A sample has the player, by a game that answers `since` then. A session that was seen last before that is not made
    /// longer: whether it is of the same run, its log will tell.
    pub(super) fn present(&mut self, player: &str, at: Timestamp, since: Timestamp) {
        let mut session = Session::begin(player, at, Start::Sample);
        if let Some(last) = self.0.last_mut() {
            match last.ended {
                None if at <= last.seen_at => return,
                None if last.seen_at >= since && at <= last.seen_at + REACH => return last.seen_at = at,
                None => {
                    last.end_at(last.seen_at, End::Unwatched);
                    session.joined_to = Some(last.until());
                }
                Some((until, _)) if last.settled && until + MARGIN > at => return,
                Some((until, _)) if until >= at || last.gone_by >= Some(at) => return,
                Some((until, end)) => session.joined_to = (!last.settled && end.may_go_on()).then_some(until),
            }
        }
        self.0.push(session);
    }

    /// A sample misses the player.
    pub(super) fn absent(&mut self, at: Timestamp) {
        let Some(last) = self.0.last_mut().filter(|last| !last.settled) else { return };
        if last.started_at + MARGIN > at || last.until() >= at {
            return;
        }
        let (until, may_go_on) = last.ended.map_or((last.seen_at, true), |(until, end)| (until, end.may_go_on()));
        if may_go_on {
            last.end_at(until, End::Missed);
            last.gone_by = Some(at);
        }
    }
}

/// Whether a JOIN at `at` may be the beginning of what a sample saw.
fn was_begun_by_join(session: &Session, at: Timestamp) -> bool {
    let lasts = session.ended.is_none_or(|(until, _)| until >= at);
    !session.settled && session.start == Start::Sample && session.started_at + MARGIN >= at && lasts
}

fn end_with_run(session: &mut Session, next: Timestamp, lost: Option<Timestamp>, alive: Option<Timestamp>) {
    // A connection that broke in this run tells nothing of the one before.
    let evidence = if session.until() > next { session.seen_at.min(next) } else { session.until() };
    match session.ended {
        None if session.started_at > next => session.end_at(session.seen_at, End::ClockStep),
        None => {
            let alive = alive.map_or(evidence, |alive| alive.max(evidence));
            session.end_at(lost.filter(|lost| *lost >= evidence).unwrap_or(alive), End::NextRun);
        }
        // The game wrote on, and nobody left before.
        Some((_, end)) => {
            let alive = alive.filter(|alive| session.gone_by.is_none_or(|gone| *alive <= gone));
            session.end_at(alive.map_or(evidence, |alive| alive.max(evidence)), end);
        }
    }
    session.seen_at = session.until();
}
