use super::*;
use crate::domain::{EventKind, Happening, LogSource, Position};
use crate::game::{Achievements, GameBoard, Research, SampleSource};
use crate::store::IngestedBatch;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub(super) fn sees(players: &[&str], seconds: i64) -> Sample {
    let players = Some(players.iter().map(ToString::to_string).collect());
    let reading = Reading { players, ..Reading::of(SampleSource::Native) };
    Sample { at: at(seconds), outcome: Ok(reading) }
}

fn shown(board: &GameBoard, server: &ServerTag) -> Option<Vec<(String, Option<i64>)>> {
    let players = board.view(server).unwrap().players?;
    let since = |since: Timestamp| since.as_second() - at(0).as_second();
    Some(players.into_iter().map(|player| (player.name, player.since.map(since))).collect())
}

#[tokio::test]
async fn who_is_in_the_game_is_shown_with_the_time_since_when() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    let prod = ServerTag::new("prod").unwrap();
    let board = GameBoard::new([prod.clone()]);
    let (_states, link) = watch::channel(LinkState::Up);
    let keeper = || Keeper::new(prod.clone(), store.clone(), board.handle(&prod).unwrap(), mpsc::channel(1).1);
    let mut first = keeper().with_link(link.clone());
    first.take(sees(&["Ann", "Bob"], 10)).await;
    first.take(sees(&["bob"], 40)).await;
    assert_eq!(shown(&board, &prod), Some(vec![("bob".to_owned(), Some(10))]));
    // Another keeper, as after a restart of the relay, goes on with the session.
    let mut second = keeper().with_link(link);
    second.take(sees(&["bob"], 900)).await;
    assert_eq!(shown(&board, &prod), Some(vec![("bob".to_owned(), Some(10))]));
    second.take(Sample { at: at(930), outcome: Err(Absence::Silent("it saves".to_owned())) }).await;
    assert_eq!(shown(&board, &prod), Some(vec![("bob".to_owned(), Some(10))]));
    second.take(Sample { at: at(960), outcome: Err(Absence::Down("refused".to_owned())) }).await;
    assert_eq!(shown(&board, &prod), None);
    let history = store.history(&prod, at(0), at(1000)).await.unwrap();
    let players: Vec<_> = history.into_iter().map(|point| point.players).collect();
    assert_eq!(players, [Some(2.0), Some(1.0), Some(1.0), None, None]);
}

#[tokio::test]
async fn nobody_who_looks_sees_a_player_without_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    let prod = ServerTag::new("prod").unwrap();
    let board = GameBoard::new([prod.clone()]);
    let (_states, link) = watch::channel(LinkState::Up);
    let handle = board.handle(&prod).unwrap();
    let mut keeper = Keeper::new(prod.clone(), store, handle, mpsc::channel(1).1).with_link(link);
    let mut watch = board.watch(&prod).unwrap();
    let keep = async {
        for second in [10, 40, 70, 100] {
            keeper.take(sees(&["Ann"], second)).await;
        }
    };
    // As the status message does, beside the keeper: whatever is published is looked at.
    let look = async {
        loop {
            watch.changed().await.unwrap();
            let players = watch.borrow_and_update().players.clone().unwrap();
            assert_eq!(players.iter().map(|one| one.since).collect::<Vec<_>>(), [Some(at(10))]);
        }
    };
    tokio::select! {
        biased;
        () = look => {}
        () = keep => {}
    }
}

#[tokio::test]
async fn who_joins_an_empty_game_is_shown_before_the_next_sample() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    let prod = ServerTag::new("prod").unwrap();
    let board = GameBoard::new([prod.clone()]);
    let (_states, link) = watch::channel(LinkState::Up);
    let keeper = Keeper::new(prod.clone(), store, board.handle(&prod).unwrap(), mpsc::channel(1).1);
    let mut keeper = keeper.with_link(link);
    keeper.take(sees(&[], 10)).await;
    let (player, kind) = (Some("Ann".to_owned()), EventKind::Join);
    let join = Happening { server: prod.clone(), at: at(20), kind, player, detail: None };
    keeper.happened(&join);
    keeper.happened(&join);
    assert_eq!(shown(&board, &prod), Some(vec![("Ann".to_owned(), Some(20))]));
}

/// A store, and what a keeper of one game in it shows.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) prod: ServerTag,
    pub(super) board: GameBoard,
    position: Position,
    _dir: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
        let prod = ServerTag::new("prod").unwrap();
        let board = GameBoard::new([prod.clone()]);
        Self { store, prod, board, position: Position::default(), _dir: dir }
    }

    /// A keeper as after a restart of the relay.
    pub(super) fn keeper(&self) -> Keeper {
        let handle = self.board.handle(&self.prod).unwrap();
        Keeper::new(self.prod.clone(), self.store.clone(), handle, mpsc::channel(1).1)
    }

    pub(super) fn asking(&self) -> Keeper {
        self.keeper().with_link(watch::channel(LinkState::Up).1)
    }

    /// Lines are read.
    pub(super) async fn tell(&mut self, happened: &[(EventKind, Option<&str>, i64)]) {
        let happening = |(kind, detail, second): &(EventKind, Option<&str>, i64)| Happening {
            server: self.prod.clone(),
            at: at(*second),
            kind: *kind,
            player: Some("Ann".to_owned()).filter(|_| matches!(kind, EventKind::Join | EventKind::Leave)),
            detail: detail.map(ToOwned::to_owned),
        };
        let start = self.position;
        self.position.offset += 1;
        let batch = IngestedBatch {
            server: self.prod.clone(),
            source: LogSource::Console,
            start,
            end: self.position,
            state: String::new(),
            notices: Vec::new(),
            happenings: happened.iter().map(happening).collect(),
            chats: Vec::new(),
            read_at: at(0),
            utc_offset: None,
            trace: None,
        };
        self.store.commit(&[batch]).await.unwrap();
    }

    pub(super) fn view(&self) -> GameView {
        self.board.view(&self.prod).unwrap()
    }

    fn since(&self) -> Option<i64> {
        self.view().since.map(|since| since.as_second() - at(0).as_second())
    }
}

fn stands(paused: bool, seconds: i64) -> Sample {
    let Sample { at, outcome } = sees(&[], seconds);
    Sample { at, outcome: outcome.map(|reading| Reading { paused: Some(paused), ..reading }) }
}

fn silent(seconds: i64) -> Sample {
    Sample { at: at(seconds), outcome: Err(Absence::Silent("it saves".to_owned())) }
}

pub(super) fn down(seconds: i64) -> Sample {
    Sample { at: at(seconds), outcome: Err(Absence::Down("refused".to_owned())) }
}

#[tokio::test]
async fn a_game_is_online_since_its_run_began() {
    let mut world = World::new().await;
    let mut keeper = world.asking();
    keeper.take(stands(false, 10)).await;
    assert_eq!(world.since(), None, "it was there before anybody looked");
    world.tell(&[(EventKind::ServerOnline, None, 5)]).await;
    keeper.catch_up().await;
    assert_eq!(world.since(), Some(5));
    // A long save, a pause, a broken connection and a restart of the relay do not make it younger.
    for sample in [silent(40), stands(false, 70), stands(true, 100), down(130), stands(false, 160)] {
        keeper.take(sample).await;
    }
    assert_eq!(world.since(), Some(5));
    let mut keeper = world.asking();
    keeper.take(stands(false, 900)).await;
    assert_eq!(world.since(), Some(5));
    world.tell(&[(EventKind::ServerOffline, None, 950), (EventKind::ServerOnline, None, 960)]).await;
    keeper.catch_up().await;
    assert_eq!(world.since(), Some(960));
}

#[tokio::test]
async fn a_crash_that_is_read_after_the_next_start_ends_only_the_run_before() {
    let mut world = World::new().await;
    let mut keeper = world.asking();
    // The engine's log tells of the crash, the console's of the starts.
    world.tell(&[(EventKind::ServerOnline, None, 5), (EventKind::ServerOnline, None, 60)]).await;
    world.tell(&[(EventKind::Crash, None, 50)]).await;
    keeper.take(stands(false, 70)).await;
    assert_eq!(world.since(), Some(60));
    world.tell(&[(EventKind::Crash, None, 90)]).await;
    let mut keeper = world.asking();
    keeper.take(stands(false, 95)).await;
    assert_eq!(world.since(), None);
}

#[tokio::test]
async fn a_pause_a_silence_and_an_absence_have_their_own_beginnings() {
    let world = World::new().await;
    let mut keeper = world.asking();
    let samples = [
        (stands(true, 10), None),
        (stands(false, 40), None),
        (stands(true, 70), Some(70)),
        (stands(true, 100), Some(70)),
        (silent(130), Some(130)),
        (silent(160), Some(130)),
        (stands(true, 190), Some(70)),
        (down(220), Some(220)),
        (down(250), Some(220)),
    ];
    for (sample, expected) in samples {
        keeper.take(sample).await;
        assert_eq!(world.since(), expected, "{:?}", world.view().link);
    }
    // What began while nobody looked began nobody knows when.
    let mut keeper = world.asking();
    keeper.take(down(900)).await;
    assert_eq!(world.since(), None);
}

const LUA: EventKind = EventKind::Command;

fn lua_ran(second: i64) -> Achievements {
    Achievements::Lost { lua_at: at(second) }
}

#[tokio::test]
async fn lua_that_ran_is_known_also_after_a_restart_and_whoever_sent_it() {
    let mut world = World::new().await;
    let mut keeper = world.asking();
    keeper.take(sees(&[], 10)).await;
    assert_eq!(world.view().achievements, Achievements::Possible);
    world.tell(&[(LUA, Some("game.player.cheat_mode = true"), 20)]).await;
    keeper.catch_up().await;
    assert_eq!(world.view().achievements, lua_ran(20));
    let mut keeper = world.asking();
    keeper.take(sees(&[], 900)).await;
    assert_eq!(world.view().achievements, lua_ran(20));
}

/// A sample of a map that is so many seconds old.
fn aged(age: u64, second: i64) -> Sample {
    let sample = sees(&[], second);
    let outcome = sample.outcome.map(|reading| Reading { age: Some(Duration::from_secs(age)), ..reading });
    Sample { outcome, ..sample }
}

/// Lua ran at 120, in a map that was 1,000 seconds old at 100, and no sample was taken since.
async fn world_where_lua_ran() -> World {
    let mut world = World::new().await;
    world.tell(&[(EventKind::ServerOnline, None, 0)]).await;
    let mut keeper = world.asking();
    keeper.take(aged(1000, 100)).await;
    world.tell(&[(LUA, None, 120)]).await;
    keeper.catch_up().await;
    assert_eq!(world.view().achievements, lua_ran(120));
    world
}

#[tokio::test]
async fn an_older_save_or_a_new_map_has_its_achievements_again() {
    for age in [0, 999] {
        let mut world = world_where_lua_ran().await;
        let mut keeper = world.asking();
        world.tell(&[(EventKind::ServerOnline, None, 200)]).await;
        keeper.take(aged(age, 210)).await;
        assert_eq!(world.view().achievements, Achievements::Possible, "{age}");
        keeper.take(aged(2000, 2300)).await;
        assert_eq!(world.view().achievements, Achievements::Possible, "it grows old as well");
        world.tell(&[(LUA, None, 2400)]).await;
        keeper.catch_up().await;
        assert_eq!(world.view().achievements, lua_ran(2400));
    }
}

#[tokio::test]
async fn the_same_map_in_a_later_run_has_lost_its_achievements() {
    let mut world = world_where_lua_ran().await;
    let mut keeper = world.asking();
    world.tell(&[(EventKind::ServerOnline, None, 200)]).await;
    keeper.take(aged(1020, 210)).await;
    assert_eq!(world.view().achievements, lua_ran(120));
}

#[tokio::test]
async fn an_older_map_in_between_does_not_make_the_map_where_lua_ran_another_one() {
    let mut world = world_where_lua_ran().await;
    let mut keeper = world.asking();
    for (started, age) in [(200, 90_000), (300, 1020)] {
        world.tell(&[(EventKind::ServerOnline, None, started)]).await;
        keeper.take(aged(age, started + 10)).await;
        assert_eq!(world.view().achievements, lua_ran(120), "{age}");
    }
}

#[tokio::test]
async fn lua_that_is_read_only_in_a_later_run_stays_known() {
    let mut world = World::new().await;
    world.tell(&[(EventKind::ServerOnline, None, 0), (LUA, None, 120), (EventKind::ServerOnline, None, 200)]).await;
    let mut keeper = world.asking();
    for sample in [aged(90_000, 210), aged(5, 240)] {
        keeper.take(sample).await;
        assert_eq!(world.view().achievements, lua_ran(120), "nobody knows in which map it ran");
    }
}

#[tokio::test]
async fn lua_of_the_relay_is_of_the_map_that_answered() {
    let mut world = World::new().await;
    world.tell(&[(EventKind::ServerOnline, None, 0)]).await;
    let Sample { outcome, .. } = aged(1000, 100);
    let by_lua = outcome.map(|reading| Reading { fallback: Some("an error".to_owned()), ..reading });
    // Clocks are finer than what is stored.
    let sampled = at(100) + Duration::from_nanos(1_234_567);
    world.asking().take(Sample { at: sampled, outcome: by_lua }).await;
    assert!(matches!(world.view().achievements, Achievements::Lost { .. }));
    world.tell(&[(EventKind::ServerOnline, None, 200)]).await;
    let mut keeper = world.asking();
    keeper.take(aged(1000, 210)).await;
    assert!(matches!(world.view().achievements, Achievements::Lost { .. }), "it is as old");
    keeper.take(aged(999, 240)).await;
    assert_eq!(world.view().achievements, Achievements::Possible);
}

#[tokio::test]
async fn a_younger_map_is_another_one_only_once_its_run_is_read() {
    let mut world = world_where_lua_ran().await;
    let mut keeper = world.asking();
    keeper.take(aged(5, 210)).await;
    assert_eq!(world.view().achievements, lua_ran(120));
    world.tell(&[(EventKind::ServerOnline, None, 200), (LUA, None, 207)]).await;
    keeper.catch_up().await;
    keeper.take(aged(35, 240)).await;
    assert_eq!(world.view().achievements, lua_ran(207), "there it ran at once");
}

#[tokio::test]
async fn lua_that_was_answered_by_an_error_ran_all_the_same() {
    let world = World::new().await;
    let Sample { at, outcome } = sees(&[], 10);
    let failed = outcome.map(|reading| Reading { fallback: Some("an error".to_owned()), ..reading });
    world.asking().take(Sample { at, outcome: failed }).await;
    assert_eq!(world.view().achievements, lua_ran(10));
    world.asking().take(sees(&[], 900)).await;
    assert_eq!(world.view().achievements, lua_ran(10), "without Lua, after a restart");
}

#[tokio::test]
async fn a_log_tells_that_nobody_is_there_only_once_it_told_of_a_run_or_a_player() {
    let mut world = World::new().await;
    let mut keeper = world.keeper();
    keeper.show_what_is_known().await;
    assert_eq!(world.view().players, None);
    world.tell(&[(EventKind::SaveStarted, None, 5)]).await;
    keeper.catch_up().await;
    assert_eq!(world.view().players, None);
    world.tell(&[(EventKind::Join, None, 10), (EventKind::Leave, None, 20)]).await;
    keeper.catch_up().await;
    assert_eq!(world.view().players, Some(Vec::new()));
    let mut fresh = World::new().await;
    fresh.tell(&[(EventKind::ServerOnline, None, 5)]).await;
    fresh.keeper().show_what_is_known().await;
    assert_eq!(fresh.view().players, Some(Vec::new()));
}

#[tokio::test]
async fn research_that_a_mod_tells_of_is_shown_until_it_is_done() {
    let mut world = World::new().await;
    let mut keeper = world.asking();
    world.tell(&[(EventKind::ResearchStarted, Some("rocket-silo"), 5)]).await;
    keeper.take(sees(&[], 10)).await;
    keeper.take(sees(&[], 40)).await;
    let research = Research { technology: "rocket-silo".to_owned(), progress: None };
    assert_eq!(world.view().research, Some(research));
    world.tell(&[(EventKind::ResearchFinished, Some("rocket-silo"), 50)]).await;
    keeper.catch_up().await;
    assert_eq!(world.view().research, None);
}

#[tokio::test]
async fn a_player_whom_rcon_misses_for_a_minute_without_a_leave_is_reported_once() {
    let mut world = World::new().await;
    let joins = ChannelId::new(7).unwrap();
    let mut keeper = world.asking().with_missed_leaves(Some(joins), Some("A_b".to_owned()));
    let said = async |store: &Store| {
        let rows = store.pending_rows(joins, crate::domain::Lane::Chat, 0, 10).await.unwrap();
        rows.into_iter().map(|row| row.content).collect::<Vec<_>>()
    };
    world.tell(&[(EventKind::Join, None, 10)]).await;
    keeper.take(sees(&["Ann"], 40)).await;
    keeper.take(sees(&[], 60)).await;
    world.tell(&[(EventKind::Leave, None, 58)]).await;
    keeper.take(sees(&[], 150)).await;
    assert_eq!(said(&world.store).await, [""; 0], "the line came, late");

    world.tell(&[(EventKind::Join, None, 200)]).await;
    keeper.take(sees(&["Ann"], 230)).await;
    keeper.take(sees(&[], 260)).await;
    keeper.take(sees(&[], 300)).await;
    assert_eq!(said(&world.store).await, [""; 0], "the line may still come");
    keeper.take(sees(&[], 330)).await;
    keeper.take(sees(&[], 360)).await;
    assert_eq!(said(&world.store).await, [r"[A\_b] 🔴 **Ann** is no longer in the game"]);
}
