use std::time::Duration;

use super::*;
use crate::game::{GameBoard, SampleSource};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn sees(players: &[&str], seconds: i64) -> Sample {
    let players = Some(players.iter().map(ToString::to_string).collect());
    let reading = Reading {
        source: SampleSource::Native,
        players,
        age: None,
        ups: None,
        paused: None,
        evolution: Vec::new(),
        version: None,
        known_players: None,
        lua: None,
        fallback: None,
        took: Duration::ZERO,
        bytes: 0,
    };
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
    assert_eq!(shown(&board, &prod), Some(vec![("Ann".to_owned(), None)]));
}
