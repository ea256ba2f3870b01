//! Faults that only the inside can arrange, and the house-keeping.

use std::time::Duration;

use super::*;
use crate::domain::{ChannelId, EventKind, FileId, Happening, Lane, LogSource, Mentions, Notice, Position, ServerTag};

fn at(offset: u64) -> Position {
    Position { generation: 1, file: FileId { device: 1, inode: 2 }, offset, ..Position::default() }
}

fn batch(from: Position, to: Position, lines: usize) -> IngestedBatch {
    let server = ServerTag::new("prod").unwrap();
    let notice = |line| Notice {
        server: server.clone(),
        channel: ChannelId::new(111).unwrap(),
        lane: Lane::Chat,
        event: "chat".into(),
        content: format!("line {line} {}", "x".repeat(500)),
        plain: format!("line {line}"),
        mentions: Mentions::default(),
        occurred_at: Timestamp::UNIX_EPOCH,
    };
    let notices = (0..lines).map(notice).collect();
    let read_at = Timestamp::UNIX_EPOCH;
    IngestedBatch {
        server: server.clone(),
        source: LogSource::Console,
        start: from,
        end: to,
        state: String::new(),
        happenings: Vec::new(),
        notices,
        chats: Vec::new(),
        read_at,
        utc_offset: None,
        trace: None,
    }
}

#[tokio::test]
async fn what_happens_on_a_server_wakes_those_who_wait_for_it_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    let (prod, test) = (ServerTag::new("prod").unwrap(), ServerTag::new("test").unwrap());
    let [mut prods, mut more, mut tests] = [&prod, &prod, &test].map(|server| store.happened(server));
    let (server, at) = (prod.clone(), Timestamp::UNIX_EPOCH);
    let happening = Happening { server, at, kind: EventKind::Join, player: Some("Ann".to_owned()), detail: None };
    let of_prod = IngestedBatch { happenings: vec![happening], ..batch(Position::default(), self::at(9), 0) };
    let of_test = IngestedBatch { server: test, ..batch(Position::default(), self::at(9), 1) };
    store.commit(&[of_test, of_prod.clone()]).await.unwrap();
    let mut woken = || {
        [&mut prods, &mut more, &mut tests].map(|waiting| {
            let woken = waiting.has_changed().unwrap();
            waiting.mark_unchanged();
            woken
        })
    };
    assert_eq!(woken(), [true, true, false]);
    store.commit(&[of_prod]).await.unwrap();
    assert_eq!(woken(), [false; 3], "it is stored already: nothing happened");
}

async fn pragma(store: &Store, pragma: &'static str) {
    sqlx::query(pragma).execute(&store.writer).await.unwrap();
}

#[tokio::test]
async fn full_disk_stores_nothing_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    pragma(&store, "PRAGMA max_page_count = 40").await;
    let batch = batch(Position::default(), at(9), 1000);
    let error = store.commit(std::slice::from_ref(&batch)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(store.checkpoint(&batch.server, batch.source).await.unwrap(), None);
    assert_eq!(store.outbox_stats().await.unwrap().chat_depth, 0);

    pragma(&store, "PRAGMA max_page_count = 1000000").await;
    assert_eq!(store.commit(&[batch]).await.unwrap(), [CommitOutcome::Committed]);
    assert_eq!(store.outbox_stats().await.unwrap().chat_depth, 1000);
}

#[tokio::test]
async fn another_writer_for_too_long_is_said_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("isr.db");
    let store = Store::open(&path).await.unwrap();
    pragma(&store, "PRAGMA busy_timeout = 20").await;
    let other = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let batch = batch(Position::default(), at(9), 1);
    let error = store.commit(std::slice::from_ref(&batch)).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    assert!(error.is_transient());

    held.rollback().await.unwrap();
    assert_eq!(store.commit(&[batch]).await.unwrap(), [CommitOutcome::Committed]);
}

#[tokio::test]
async fn a_short_wait_for_another_writer_is_not_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("isr.db");
    let store = Store::open(&path).await.unwrap();
    let other = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let batches = [batch(Position::default(), at(9), 1)];
    let release = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        held.rollback().await.unwrap();
    };
    let (outcomes, ()) = tokio::join!(store.commit(&batches), release);
    assert_eq!(outcomes.unwrap(), [CommitOutcome::Committed]);
}

#[tokio::test]
async fn the_file_shrinks_after_a_flood_is_delivered_and_old() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    let page_count = "PRAGMA page_count";
    let empty: i64 = sqlx::query_scalar(page_count).fetch_one(&store.writer).await.unwrap();
    store.commit(&[batch(Position::default(), at(9), 3000)]).await.unwrap();
    let channel = ChannelId::new(111).unwrap();
    let (mut last_row, mut pages) = (0, 0);
    while let Some(row) = store.pending_rows(channel, Lane::Chat, last_row, 5000).await.unwrap().last() {
        (last_row, pages) = (row.id, pages + 1);
    }
    assert_eq!(pages, 2, "1.5 MB are not held at once");
    let message = NewMessage {
        channel,
        lane: Lane::Chat,
        content: "3,000 lines".into(),
        filename: None,
        mentions: Mentions::default(),
        rows: 3000,
        last_row,
        edits: None,
    };
    let now = Timestamp::from_second(1_000).unwrap();
    let message = store.assign(&message, now).await.unwrap();
    let read = store.delivered(&message, 7, now).await.unwrap();
    assert_eq!(read, [(Timestamp::UNIX_EPOCH, 3000)].into());
    let before: i64 = sqlx::query_scalar(page_count).fetch_one(&store.writer).await.unwrap();

    while store.prune(now, now).await.unwrap() {}
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&store.writer).await.unwrap();
    assert_eq!(kept, 3000, "what was delivered just now is kept");

    let later = now + Duration::from_secs(1);
    while store.prune(later, later).await.unwrap() {}
    let after: i64 = sqlx::query_scalar(page_count).fetch_one(&store.writer).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM messages)")
        .fetch_one(&store.writer)
        .await
        .unwrap();
    assert_eq!(left, 0);
    assert!(before > 400 && after < empty + 10, "{empty} pages became {before} and {after}");
}

#[tokio::test]
async fn the_old_part_of_the_audit_goes_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
        INSERT INTO audit (happened_at, guild, channel, member, member_name, server, command, outcome, answer)
        SELECT i * 1000, 1, 1, 1, 'Ann', '', '/factorio save', 'done', '' FROM n";
    sqlx::query(insert).execute(&store.writer).await.unwrap();
    let before = Timestamp::from_second(2400).unwrap();
    let mut steps = 1;
    while store.prune_audit(before).await.unwrap() {
        steps += 1;
    }
    let kept = store.audit_entries(5000).await.unwrap();
    assert_eq!((steps, kept.len()), (3, 101), "in steps, and what is of that moment stays");
    assert!(kept.iter().all(|entry| entry.at >= before));
}
