//! Situations, what holds of any input, and a simulated life whose truth is known.

#[path = "life_tests.rs"]
mod life;

use proptest::prelude::*;

use super::*;
use crate::domain::ServerTag;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn line(kind: EventKind, player: Option<&str>, seconds: i64) -> Happening {
    let server = ServerTag::new("prod").unwrap();
    Happening { server, at: at(seconds), kind, player: player.map(ToOwned::to_owned), detail: None }
}

/// A book that is stored and loaded again after each step.
#[derive(Default)]
struct Kept {
    evidence: RunEvidence,
    rows: BTreeMap<i64, Session>,
    next: i64,
}

impl Kept {
    fn step(&mut self, work: impl FnOnce(&mut SessionBook)) {
        let mut book = SessionBook::new(self.evidence, self.rows.values().cloned().collect());
        work(&mut book);
        self.evidence = book.evidence();
        let changes = book.changes();
        changes.delete.iter().for_each(|id| drop(self.rows.remove(id)));
        for mut session in changes.write {
            let id = session.id.unwrap_or(self.next);
            self.next = self.next.max(id + 1);
            session.id = Some(id);
            self.rows.insert(id, session);
        }
    }

    fn line(&mut self, kind: EventKind, player: Option<&str>, seconds: i64) -> &mut Self {
        self.step(|book| book.happened(&line(kind, player, seconds)));
        self
    }

    fn join(&mut self, player: &str, seconds: i64) -> &mut Self {
        self.line(EventKind::Join, Some(player), seconds)
    }

    fn leave(&mut self, player: &str, seconds: i64) -> &mut Self {
        self.line(EventKind::Leave, Some(player), seconds)
    }

    fn sample(&mut self, online: &[&str], seconds: i64) -> &mut Self {
        self.sample_since(online, seconds, -1_000_000)
    }

    /// By a game that answers without a break since then.
    fn sample_since(&mut self, online: &[&str], seconds: i64, since: i64) -> &mut Self {
        let online = Some(online.iter().map(|name| (*name).to_owned()).collect());
        self.step(|book| book.observed(&Observation::Answered { at: at(seconds), since: at(since), online }));
        self
    }

    fn lost(&mut self, seconds: i64) -> &mut Self {
        self.step(|book| book.observed(&Observation::LinkLost { at: at(seconds) }));
        self
    }

    /// `name start..end how`, in order of their beginning; `~` marks what is not exact, `+` what goes on with the one before.
    fn shown(&self) -> Vec<String> {
        let mut sessions: Vec<_> = self.rows.values().collect();
        sessions.sort_by_key(|session| (session.started_at, session.id));
        let second = |time: Timestamp| time.as_second() - 1_000_000;
        let show = |session: &&Session| {
            let about = if session.start == Start::Sample { "~" } else { "" };
            let on = if session.joined_to.is_some() { "+" } else { "" };
            let from = second(session.started_at);
            let end = session.ended.map_or("..".to_owned(), |(until, end)| {
                format!("..{}{} {}", if end.is_exact() { "" } else { "~" }, second(until), end.as_str())
            });
            format!("{} {on}{about}{from}{end}", session.player)
        };
        sessions.iter().map(show).collect()
    }
}

#[test]
fn lines_make_a_session_to_the_second() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).sample(&["Ann"], 30).leave("Ann", 50).sample(&[], 60);
    assert_eq!(kept.shown(), ["Ann 10..50 leave"]);
}

#[test]
fn names_differ_by_more_than_their_case() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).sample(&["ann"], 30).leave("ANN", 50);
    assert_eq!(kept.shown(), ["Ann 10..50 leave"]);
}

#[test]
fn a_kick_ends_a_session_once() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).line(EventKind::Kick, Some("Ann"), 40).leave("Ann", 41);
    kept.join("Ann", 60).line(EventKind::Ban, Some("Ann"), 70).sample(&[], 90);
    assert_eq!(kept.shown(), ["Ann 10..40 kick", "Ann 60..70 ban"]);
}

#[test]
fn somebody_who_is_away_is_banned_without_a_session() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).leave("Ann", 20).line(EventKind::Ban, Some("Ann"), 40).line(EventKind::Ban, Some("Bob"), 50);
    assert_eq!(kept.shown(), ["Ann 10..20 leave"]);
}

#[test]
fn a_killed_game_leaves_no_ghost() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).sample(&["Ann"], 30).lost(47);
    assert_eq!(kept.shown(), ["Ann 10..~47 link_lost"]);
    kept.sample(&[], 90).line(EventKind::ServerCrashed, None, 60).line(EventKind::ServerOnline, None, 60);
    assert_eq!(kept.shown(), ["Ann 10..~47 missed"]);
    kept.join("Ann", 100).leave("Ann", 120);
    assert_eq!(kept.shown(), ["Ann 10..~47 missed", "Ann 100..120 leave"]);
}

#[test]
fn a_join_that_is_read_after_the_game_was_killed_ends_with_it() {
    let mut kept = Kept::default();
    kept.lost(47).join("Ann", 45);
    assert_eq!(kept.shown(), ["Ann 45..~47 link_lost"]);
}

#[test]
fn a_broken_connection_alone_ends_nothing() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).join("Bob", 10).join("Cid", 10).sample(&["Ann", "Bob", "Cid"], 30).lost(47);
    kept.leave("Bob", 400).join("Dan", 450).sample(&["Ann", "Dan"], 500);
    assert_eq!(
        kept.shown(),
        ["Ann 10..~47 link_lost", "Bob 10..400 leave", "Cid 10..~47 missed", "Dan 450..", "Ann +~500.."]
    );
    kept.leave("Cid", 410).leave("Ann", 900).leave("Dan", 901);
    assert_eq!(kept.shown(), ["Ann 10..900 leave", "Bob 10..400 leave", "Cid 10..410 leave", "Dan 450..901 leave"]);
}

#[test]
fn a_sample_before_its_lines_are_read_makes_no_ghost_and_cuts_nothing() {
    let mut kept = Kept::default();
    // It saw Ann before her JOIN is read, Bob before his LEAVE is, and misses Cid, whose LEAVE is not read yet.
    kept.join("Bob", 0).join("Cid", 0).sample(&["Bob", "Cid"], 10);
    kept.sample(&["Ann", "Bob"], 40).leave("Cid", 37).join("Ann", 38).leave("Bob", 41);
    assert_eq!(kept.shown(), ["Bob 0..41 leave", "Cid 0..37 leave", "Ann 38..~38 unwatched", "Ann +~40.."]);
    // Taken just before a JOIN and a LEAVE that are read first.
    kept.join("Dan", 60).leave("Ann", 60).sample(&["Ann"], 59);
    assert_eq!(kept.shown(), ["Bob 0..41 leave", "Cid 0..37 leave", "Ann 38..60 leave", "Dan 60.."]);
}

#[test]
fn who_was_there_before_the_relay_is_seen() {
    let mut kept = Kept::default();
    kept.sample(&["Ann", "Bob"], 100).sample(&["Ann"], 130).leave("Ann", 140);
    assert_eq!(kept.shown(), ["Ann ~100..140 leave", "Bob ~100..~100 missed"]);
}

#[test]
fn two_joins_are_two_sessions() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).sample(&["Ann"], 30).join("Ann", 60).join("Ann", 60).leave("Ann", 70);
    assert_eq!(kept.shown(), ["Ann 10..~30 rejoin", "Ann 60..70 leave"]);
}

#[test]
fn a_backlog_is_put_right_behind_a_sample() {
    let mut kept = Kept::default();
    // The relay is down from 40 to 1000; meanwhile Ann leaves and comes back, Bob stays, Cid leaves.
    kept.join("Ann", 10).join("Bob", 10).join("Cid", 10).sample(&["Ann", "Bob", "Cid"], 30);
    kept.sample(&["Ann", "Bob"], 1000);
    kept.leave("Ann", 100).leave("Cid", 150).join("Cid", 200).leave("Cid", 300).join("Ann", 900);
    kept.sample(&["Ann", "Bob"], 1030).leave("Bob", 1040).leave("Ann", 1050);
    let expected =
        ["Ann 10..100 leave", "Bob 10..1040 leave", "Cid 10..150 leave", "Cid 200..300 leave", "Ann 900..1050 leave"];
    assert_eq!(kept.shown(), expected);
}

#[test]
fn a_run_that_began_unwatched_parts_the_sessions() {
    let mut kept = Kept::default();
    // The game is killed at 500, when the relay is down; its last line is an autosave at 480.
    kept.join("Ann", 10).sample(&["Ann"], 30);
    kept.sample(&["Ann"], 1000).line(EventKind::SaveFinished, None, 480);
    kept.line(EventKind::ServerCrashed, None, 520).line(EventKind::ServerOnline, None, 520);
    assert_eq!(kept.shown(), ["Ann 10..~480 unwatched", "Ann ~1000.."]);
    kept.join("Ann", 700).leave("Ann", 1100);
    assert_eq!(kept.shown(), ["Ann 10..~480 unwatched", "Ann 700..1100 leave"]);
}

#[test]
fn a_save_of_the_next_run_that_is_read_first_hides_no_evidence_of_the_last() {
    let mut kept = Kept::default();
    // Both runs are read afterwards, the engine's log before the console's.
    kept.line(EventKind::SaveFinished, None, 220).join("Ann", 100).join("Bob", 150);
    kept.line(EventKind::ServerCrashed, None, 200).line(EventKind::ServerOnline, None, 200);
    assert_eq!(kept.shown(), ["Ann 100..~150 next_run", "Bob 150..~150 next_run"]);
}

#[test]
fn a_save_of_the_next_run_that_is_read_in_between_hides_no_evidence_of_the_last() {
    let mut kept = Kept::default();
    // The console's log was rotated between the runs: the engine's is read between the two files.
    kept.join("Ann", 100).join("Bob", 150).line(EventKind::SaveFinished, None, 220);
    kept.line(EventKind::ServerCrashed, None, 200).line(EventKind::ServerOnline, None, 200);
    assert_eq!(kept.shown(), ["Ann 100..~150 next_run", "Bob 150..~150 next_run"]);
}

#[test]
fn a_connection_that_breaks_before_the_log_is_read_tells_nothing_of_the_run_before() {
    let mut kept = Kept::default();
    // The run Ann was in was killed unseen, the next one at 200, when nothing was read yet.
    kept.sample(&[], 190).lost(200).join("Ann", 100).line(EventKind::Command, None, 130);
    kept.line(EventKind::ServerCrashed, None, 180).line(EventKind::ServerOnline, None, 180);
    assert_eq!(kept.shown(), ["Ann 100..~130 link_lost"]);
}

#[test]
fn a_join_far_before_the_sample_that_saw_the_player_is_parted_by_the_run_between() {
    let mut kept = Kept::default();
    kept.sample(&["Ann"], 1000).join("Ann", 100);
    assert_eq!(kept.shown(), ["Ann 100..~100 unwatched", "Ann +~1000.."]);
    kept.line(EventKind::ServerCrashed, None, 500).join("Ann", 600).leave("Ann", 1100);
    assert_eq!(kept.shown(), ["Ann 100..~100 unwatched", "Ann 600..1100 leave"]);
}

#[test]
fn a_join_just_before_the_sample_that_saw_the_player_may_be_of_the_run_before() {
    let mut kept = Kept::default();
    // The game was killed at 39 and started at 42, where Ann came back at 43; the relay is there since then.
    kept.sample_since(&["Ann"], 44, 44).join("Ann", 39);
    kept.line(EventKind::ServerCrashed, None, 42).line(EventKind::ServerOnline, None, 42).join("Ann", 43);
    kept.leave("Ann", 60);
    assert_eq!(kept.shown(), ["Ann 39..~39 unwatched", "Ann 43..60 leave"]);
}

#[test]
fn a_join_that_is_read_twice_is_one_session() {
    let mut kept = Kept::default();
    kept.sample(&["Ann"], 40).join("Ann", 38).join("Ann", 38).leave("Ann", 60);
    assert_eq!(kept.shown(), ["Ann 38..60 leave"]);
}

#[test]
fn what_another_log_told_before_the_clock_went_back_is_no_evidence() {
    let mut kept = Kept::default();
    kept.line(EventKind::SaveFinished, None, 5000).line(EventKind::ServerCrashed, None, 100).join("Ann", 110);
    kept.line(EventKind::ServerCrashed, None, 6000);
    assert_eq!(kept.shown(), ["Ann 110..~110 next_run"]);
}

#[test]
fn a_stop_in_order_ends_all_to_the_second() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).join("Bob", 20).leave("Bob", 30).lost(61).line(EventKind::ServerOffline, None, 60);
    assert_eq!(kept.shown(), ["Ann 10..60 stop", "Bob 20..30 leave"]);
}

#[test]
fn a_crash_of_the_engine_ends_all_to_the_second() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).sample(&["Ann"], 30).lost(52).line(EventKind::Crash, None, 50);
    assert_eq!(kept.shown(), ["Ann 10..50 crash"]);
}

#[test]
fn a_file_that_counts_nobody_ends_sessions_and_is_no_answer_of_the_game() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).step(|book| book.observed(&Observation::Nobody { at: at(200) }));
    assert_eq!(kept.shown(), ["Ann 10..~10 missed"]);
    assert_eq!(kept.evidence.answered_at, None);
}

#[test]
fn a_sample_before_the_log_is_read_makes_no_session_of_the_run_before_longer() {
    let mut kept = Kept::default();
    // The game was killed after 11 and started at 15; the relay is there since 17, and its log is read slowly.
    kept.sample_since(&[], 17, 17).join("Ann", 11).sample_since(&["Ann"], 18, 17).sample_since(&["Ann"], 19, 17);
    kept.line(EventKind::ServerCrashed, None, 15).line(EventKind::ServerOnline, None, 15).join("Ann", 17);
    assert_eq!(kept.shown(), ["Ann 11..~11 unwatched", "Ann 17.."]);
    kept.sample_since(&["Ann"], 40, 17).leave("Ann", 50);
    assert_eq!(kept.shown(), ["Ann 11..~11 unwatched", "Ann 17..50 leave"]);
}

#[test]
fn who_stays_while_the_relay_is_away_has_one_session() {
    let mut kept = Kept::default();
    kept.join("Ann", 10).sample(&["Ann"], 30).sample_since(&["Ann"], 60, 60).sample_since(&["Ann"], 90, 60);
    assert_eq!(kept.shown(), ["Ann 10..~30 unwatched", "Ann +~60.."]);
    kept.leave("Ann", 100);
    assert_eq!(kept.shown(), ["Ann 10..100 leave"]);
}

#[test]
fn a_clock_that_goes_back_makes_nothing_negative() {
    let mut kept = Kept::default();
    kept.join("Ann", 3600).leave("Ann", 60).join("Ann", 120).leave("Ann", 180);
    assert_eq!(kept.shown(), ["Ann 3600..~3600 clock_step", "Ann 3600..~3600 clock_step"]);
}

const NAMES: [&str; 3] = ["Ann", "bob", "BOB"];

#[derive(Debug, Clone)]
enum Input {
    Line(EventKind, Option<usize>, i64),
    Sample(Vec<usize>, i64),
    Lost(i64),
    Unreachable,
}

fn any_input() -> impl Strategy<Value = Input> {
    use EventKind::{Ban, Crash, Join, Kick, Leave, SaveFinished, ServerCrashed, ServerOffline, ServerOnline};
    let about = prop::sample::select(vec![Join, Join, Leave, Leave, Kick, Ban]);
    let of_all = prop::sample::select(vec![ServerOnline, ServerOffline, ServerCrashed, Crash, SaveFinished]);
    prop_oneof![
        6 => (about, 0..NAMES.len(), 0_i64..900).prop_map(|(kind, who, at)| Input::Line(kind, Some(who), at)),
        1 => (of_all, 0_i64..900).prop_map(|(kind, at)| Input::Line(kind, None, at)),
        4 => (prop::collection::vec(0..NAMES.len(), 0..3), 0_i64..900).prop_map(|(who, at)| Input::Sample(who, at)),
        1 => (0_i64..900).prop_map(Input::Lost),
        1 => Just(Input::Unreachable),
    ]
}

impl Kept {
    fn input(&mut self, input: &Input) {
        match input {
            Input::Line(kind, who, seconds) => drop(self.line(*kind, who.map(|who| NAMES[who]), *seconds)),
            Input::Sample(who, seconds) => {
                let names: Vec<_> = who.iter().map(|who| NAMES[*who]).collect();
                self.sample(&names, *seconds);
            }
            Input::Lost(seconds) => drop(self.lost(*seconds)),
            Input::Unreachable => self.step(|book| book.observed(&Observation::Unreachable)),
        }
    }

    fn check(&self) {
        let mut of_player = BTreeMap::<String, Vec<&Session>>::new();
        for session in self.rows.values() {
            assert!(session.ended.is_none_or(|(until, _)| until >= session.started_at), "negative: {session:?}");
            assert!(session.joined_to.is_none_or(|from| from <= session.started_at), "negative: {session:?}");
            assert!(!session.settled || !session.is_open(), "open for ever: {session:?}");
            of_player.entry(player_key(&session.player)).or_default().push(session);
        }
        for sessions in of_player.values_mut() {
            sessions.sort_by_key(|one| (one.started_at, !one.settled, one.is_open(), one.until(), one.id));
            for pair in sessions.windows(2) {
                let until = pair[0].ended.unwrap_or_else(|| panic!("a ghost: {pair:#?}")).0;
                assert!(until <= pair[1].joined_to.unwrap_or(pair[1].started_at), "overlap: {pair:#?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_input_makes_sessions_overlap_or_negative(inputs in prop::collection::vec(any_input(), 0..40)) {
        let mut kept = Kept::default();
        for input in &inputs {
            kept.input(input);
            kept.check();
        }
    }
}
