//! The database from outside: what is stored once, what is refused, what an operator is told.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use CommitOutcome::{AlreadyCommitted, Committed};
use factorio_isr::domain::{
    ChannelId, EventKind, FileId, Fingerprint, Happening, Lane, LogSource, Mentions, Notice, Position, ServerTag,
    TraceContext,
};
use factorio_isr::store::{
    AlertCommit, AlertNotice, BatchTrace, CommitOutcome, IngestedBatch, LineEnd, Mark, MarkChange, NewMessage,
    NoticeRole, OutboxRow, PostedNotice, Store, StoreError, StoredAlerts, StoredCheckpoint, StoredMessage,
};
use jiff::Timestamp;
use proptest::prelude::*;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

fn prod() -> ServerTag {
    ServerTag::new("prod").unwrap()
}

fn channel() -> ChannelId {
    ChannelId::new(111).unwrap()
}

fn position(generation: u64, offset: u64) -> Position {
    let fingerprint = Fingerprint { head_len: 9, head_hash: u64::MAX, tail_len: 4, tail_hash: 1 << 63 };
    Position { generation, file: FileId { device: u64::MAX, inode: generation }, offset, fingerprint, seen_at: -7 }
}

fn notice(text: &str) -> Notice {
    Notice {
        server: prod(),
        channel: channel(),
        lane: Lane::Chat,
        event: "chat".into(),
        content: text.into(),
        plain: text.into(),
        mentions: Mentions::default(),
        occurred_at: Timestamp::UNIX_EPOCH,
    }
}

fn batch(start: Position, end: Position, texts: &[&str]) -> IngestedBatch {
    IngestedBatch {
        happenings: Vec::new(),
        server: prod(),
        source: LogSource::Console,
        start,
        end,
        state: format!("at {}", end.offset),
        notices: texts.iter().map(|text| notice(text)).collect(),
        chats: Vec::new(),
        read_at: Timestamp::UNIX_EPOCH,
        utc_offset: None,
        trace: None,
    }
}

async fn fresh() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    (dir, store)
}

async fn raw(path: &Path) -> SqlitePool {
    SqlitePool::connect_with(SqliteConnectOptions::new().filename(path).create_if_missing(true)).await.unwrap()
}

async fn pending(store: &Store) -> Vec<String> {
    let rows = store.pending_rows(channel(), Lane::Chat, 0, 10_000).await.unwrap();
    rows.into_iter().map(|row: OutboxRow| row.content).collect()
}

#[tokio::test]
async fn lines_and_checkpoint_survive_a_restart_together() {
    let (dir, store) = fresh().await;
    let end = position(1, 40);
    assert_eq!(store.checkpoint(&prod(), LogSource::Console).await.unwrap(), None);
    store.commit(&[batch(Position::default(), end, &["a", "b"])]).await.unwrap();
    store.close().await;
    drop(store);

    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    let stored = store.checkpoint(&prod(), LogSource::Console).await.unwrap();
    assert_eq!(stored, Some(StoredCheckpoint { position: end, state: "at 40".into(), utc_offset: None }));
    assert_eq!(store.checkpoint(&prod(), LogSource::Engine).await.unwrap(), None);
    assert_eq!(pending(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_repeated_batch_is_stored_once() {
    let (_dir, store) = fresh().await;
    let batches = [
        batch(Position::default(), position(1, 10), &["a"]),
        batch(position(1, 10), position(1, 20), &["b"]),
        batch(position(1, 10), position(1, 20), &["b"]),
    ];
    assert_eq!(store.commit(&batches).await.unwrap(), [Committed, Committed, AlreadyCommitted]);
    assert_eq!(store.commit(&batches).await.unwrap(), [AlreadyCommitted; 3]);
    assert_eq!(pending(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_batch_that_does_not_follow_is_refused_alone() {
    let (_dir, store) = fresh().await;
    let first = position(1, 10);
    let other_file = Position { file: FileId { device: 7, inode: 7 }, ..first };
    let outcomes = store
        .commit(&[
            batch(Position::default(), first, &["a"]),
            batch(position(1, 15), position(1, 20), &["ahead"]),
            batch(position(1, 5), position(1, 20), &["overlapping"]),
            batch(other_file, position(1, 30), &["of another file"]),
            batch(first, position(2, 5), &["b"]),
        ])
        .await
        .unwrap();
    let conflict = CommitOutcome::Conflict { stored: first };
    assert_eq!(outcomes, [Committed, conflict, conflict, conflict, Committed]);
    assert_eq!(pending(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn delivery_is_woken_by_notices_only() {
    let (_dir, store) = fresh().await;
    let mut committed = store.committed();
    store.commit(&[batch(Position::default(), position(1, 10), &[])]).await.unwrap();
    assert!(!committed.has_changed().unwrap());
    store.commit(&[batch(position(1, 10), position(1, 20), &["a"])]).await.unwrap();
    assert!(committed.has_changed().unwrap());
    committed.mark_unchanged();
}

#[tokio::test]
async fn a_large_batch_keeps_its_order() {
    let (_dir, store) = fresh().await;
    let texts: Vec<String> = (0..4321).map(|line| format!("line {line}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    store.commit(&[batch(Position::default(), position(1, 10), &texts)]).await.unwrap();
    assert_eq!(pending(&store).await, texts);
}

#[tokio::test]
async fn a_second_relay_on_the_same_database_is_refused() {
    let (dir, store) = fresh().await;
    let path = dir.path().join("isr.db");
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("isr.db.lock"), "{error}");
    assert!(!error.is_transient());
    store.close().await;
    drop(store);
    Store::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let (dir, store) = fresh().await;
    let path = dir.path().join("isr.db");
    store.close().await;
    drop(store);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, x'00', 0)";
    let database = raw(&path).await;
    sqlx::query(newer).execute(&database).await.unwrap();
    database.close().await;
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerVersion { found: 9999, .. }), "{error:?}");
    assert!(error.to_string().contains("run the newer version"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("isr.db");
    let text = "[servers.prod]\n".repeat(400);
    std::fs::write(&path, &text).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("isr.db"), "{error}");
    assert!(!error.is_transient());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn damaged_pages_are_said_and_not_retried() {
    let (dir, store) = fresh().await;
    let path = dir.path().join("isr.db");
    let texts: Vec<&str> = std::iter::repeat_n("some words of a player", 2000).collect();
    store.commit(&[batch(Position::default(), position(1, 10), &texts)]).await.unwrap();
    store.close().await;
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8192..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();

    let store = Store::open(&path).await;
    let error = match store {
        Err(error) => error,
        Ok(store) => store.commit(&[batch(position(1, 10), position(1, 20), &["a"])]).await.unwrap_err(),
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_missing_directory_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open(&dir.path().join("nowhere/isr.db")).await.unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains("nowhere/isr.db"), "{error}");
}

#[tokio::test]
async fn rows_of_the_first_version_are_still_understood() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("isr.db");
    let migrations = tempfile::tempdir().unwrap();
    let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/0001_outbox.sql");
    std::fs::copy(first, migrations.path().join("0001_outbox.sql")).unwrap();
    let database = raw(&path).await;
    sqlx::migrate::Migrator::new(migrations.path()).await.unwrap().run(&database).await.unwrap();
    for sample in [
        "INSERT INTO instance VALUES (1, 46655)",
        "INSERT INTO checkpoints VALUES ('prod', 'console', 3, -1, 2, 77, 9, -1, 4, -9223372036854775808, -7, 'Bob', 0)",
        "INSERT INTO messages VALUES (5, 111, 'chat', 'a', NULL, 1, 'open', 1, 1000, 'HTTP 503', NULL, NULL)",
        "INSERT INTO outbox VALUES (8, 'prod', 111, 'chat', 'chat', 'a', 'a', 0, 0, 'assigned', 5, NULL, NULL, NULL)",
        "INSERT INTO outbox VALUES (9, 'prod', 111, 'chat', 'chat', 'b', 'b', 0, 0, 'pending', NULL, 1, NULL, NULL)",
        "INSERT INTO outbox VALUES (7, 'prod', 111, 'chat', 'chat', 'x', 'x', 0, 0, 'dead', 4, 1, 500, 'refused')",
    ] {
        sqlx::query(sample).execute(&database).await.unwrap();
    }
    database.close().await;

    let store = Store::open(&path).await.unwrap();
    let checkpoint = store.checkpoint(&prod(), LogSource::Console).await.unwrap().unwrap();
    assert_eq!((checkpoint.position.generation, checkpoint.position.offset), (3, 77));
    assert_eq!(checkpoint.position.file, FileId { device: u64::MAX, inode: 2 });
    assert_eq!(checkpoint.position.fingerprint.tail_hash, 1 << 63);
    let message = store.open_message(channel(), Lane::Chat).await.unwrap().unwrap();
    assert_eq!((message.nonce.as_str(), message.content.as_str()), ("27irx2s1o1-5", "a"));
    assert_eq!(pending(&store).await, ["b"]);
    let stats = store.outbox_stats().await.unwrap();
    assert_eq!((stats.chat_depth, stats.alert_depth, stats.dead), (2, 0, 1));
    assert_eq!(store.channels_with_work().await.unwrap(), [channel()]);
}

#[tokio::test]
async fn chat_and_marks_of_the_third_version_are_still_understood() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("isr.db");
    let migrations = tempfile::tempdir().unwrap();
    for file in ["0001_outbox.sql", "0002_commands.sql", "0003_inbound.sql"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(file);
        std::fs::copy(source, migrations.path().join(file)).unwrap();
    }
    let database = raw(&path).await;
    sqlx::migrate::Migrator::new(migrations.path()).await.unwrap().run(&database).await.unwrap();
    for sample in [
        "INSERT INTO inbound VALUES (3, 'prod', 111, 77, 0, 'one\ntwo', 1, 1000, 'pending', NULL)",
        "INSERT INTO inbound_marks VALUES (111, 77, 'waiting', 1, 0, 5)",
        "INSERT INTO inbound_marks VALUES (111, 76, 'failed', 1, 1, 4)",
    ] {
        sqlx::query(sample).execute(&database).await.unwrap();
    }
    database.close().await;

    let store = Store::open(&path).await.unwrap();
    let chat = store.next_chat(&prod(), Timestamp::now()).await.unwrap().unwrap();
    assert_eq!((chat.said, chat.cuts, chat.lines.len()), (1, 0, 2));
    let waiting = MarkChange { channel: channel(), message: 77, mark: Mark::Waiting, wanted: true };
    assert_eq!(store.mark_changes(9).await.unwrap(), [waiting]);
    let over = store.line_over(&chat, LineEnd::InDoubt, Timestamp::UNIX_EPOCH).await.unwrap();
    assert!(over.whole && over.in_doubt);
    let marks = store.mark_changes(9).await.unwrap();
    assert_eq!(marks, [MarkChange { mark: Mark::Doubt, ..waiting }], "it waits no more");
}

#[tokio::test]
async fn who_joined_is_known_with_the_lines_and_last_seen_comes_first() {
    let (_dir, store) = fresh().await;
    let at = |second| Timestamp::from_second(second).unwrap();
    let join = |(name, second): &(&str, i64)| Happening {
        server: prod(),
        at: at(*second),
        kind: EventKind::Join,
        player: Some((*name).to_owned()),
        detail: None,
    };
    let seen = |names: &[(&str, i64)]| names.iter().map(join).collect();
    let first = IngestedBatch {
        happenings: seen(&[("Ann", 10), ("Bob", 20)]),
        ..batch(Position::default(), position(1, 9), &[])
    };
    let again =
        IngestedBatch { happenings: seen(&[("bob", 5), ("Carl", 15)]), ..batch(position(1, 9), position(1, 20), &[]) };
    let stale = IngestedBatch { happenings: seen(&[("Never", 99)]), ..first.clone() };
    store.commit(&[first, again, stale]).await.unwrap();
    assert_eq!(store.known_players(&prod()).await.unwrap(), ["Bob", "Carl", "Ann"]);
    store.know_players(&prod(), &["Ann".to_owned()], at(30)).await.unwrap();
    assert_eq!(store.known_players(&prod()).await.unwrap(), ["Ann", "Bob", "Carl"]);
}

#[tokio::test]
async fn an_empty_file_is_no_line_and_another_log_says_nothing_of_the_console() {
    let (_dir, store) = fresh().await;
    let at = |second| Timestamp::from_second(second).unwrap();
    let read = |start, end, second| IngestedBatch { read_at: at(second), ..batch(start, end, &[]) };
    let engine = IngestedBatch { source: LogSource::Engine, ..read(Position::default(), position(1, 9), 10) };
    store.commit(&[engine, read(Position::default(), position(1, 0), 20)]).await.unwrap();
    assert_eq!(store.last_read(&prod()).await.unwrap(), None, "the file was found, and it is empty");
    store.commit(&[read(position(1, 0), position(1, 9), 30), read(position(1, 9), position(2, 0), 40)]).await.unwrap();
    assert_eq!(store.last_read(&prod()).await.unwrap(), Some(at(30)), "the next file is empty, too");
    store.commit(&[read(position(2, 0), position(3, 0), 50)]).await.unwrap();
    assert_eq!(store.last_read(&prod()).await.unwrap(), Some(at(30)));
    store.commit(&[read(position(3, 0), position(4, 5), 60)]).await.unwrap();
    assert_eq!(store.last_read(&prod()).await.unwrap(), Some(at(60)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However batches of one log are cut, repeated and reordered, its lines are stored once and in order.
    #[test]
    fn any_sequence_of_batches_stores_a_prefix_once(cuts in prop::collection::vec((0_usize..30, 1_usize..6), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let texts: Vec<String> = (0..40).map(|line| line.to_string()).collect();
        let at = |line: usize| if line == 0 { Position::default() } else { position(1 + line as u64 / 10, line as u64) };
        runtime.block_on(async {
            let (_dir, store) = fresh().await;
            let mut reached = 0;
            for (from, lines) in cuts {
                let to = from + lines;
                let said: Vec<&str> = texts[from..to].iter().map(String::as_str).collect();
                let outcome = store.commit(&[batch(at(from), at(to), &said)]).await.unwrap().remove(0);
                let expected = if from == reached {
                    reached = to;
                    Committed
                } else if reached >= to {
                    AlreadyCommitted
                } else {
                    CommitOutcome::Conflict { stored: at(reached) }
                };
                assert_eq!(outcome, expected);
            }
            assert_eq!(pending(&store).await, texts[..reached]);
        });
    }
}

#[tokio::test]
async fn a_message_of_very_many_batches_names_some_of_them_and_those_that_were_sent_first() {
    let (_dir, store) = fresh().await;
    let commit = |n: u64| TraceContext { trace: u128::from(n), span: n, sampled: n > 60 };
    let place = |n: u64| if n == 0 { Position::default() } else { position(1, n * 10) };
    for n in 1..=70 {
        let trace = Some(BatchTrace { commit: commit(n), line_ends: vec![n * 10 - 5, n * 10] });
        store.commit(&[IngestedBatch { trace, ..batch(place(n - 1), place(n), &["a", "b"]) }]).await.unwrap();
    }
    let rows = store.pending_rows(channel(), Lane::Chat, 0, 1000).await.unwrap();
    let (channel, lane, mentions) = (channel(), Lane::Chat, Mentions::default());
    let last_row = rows.last().unwrap().id;
    let (content, rows) = ("all".to_owned(), rows.len());
    let new = NewMessage { channel, lane, content, filename: None, mentions, rows, last_row, edits: None };
    let message = store.assign(&new, Timestamp::UNIX_EPOCH).await.unwrap();
    let origins = store.origins(message.id, 64).await.unwrap();
    assert_eq!((rows, origins.batches.len(), origins.waiting_since), (140, 64, Some(Timestamp::UNIX_EPOCH)));
    let named: Vec<u64> = origins.batches.iter().map(|origin| origin.commit.span).collect();
    assert_eq!(named, (61..=70).chain(1..=54).collect::<Vec<_>>());
    let first = origins.batches[0];
    assert_eq!((first.commit, first.rows, first.line_ends), (commit(61), 2, (605, 610)));
}

/// A step of the alerts of a server, which says this of a desync.
fn step(text: &str, role: NoticeRole) -> AlertCommit {
    let said = Notice { lane: Lane::Alert, ..notice(text) };
    let (alert, subject) = ("desync".to_owned(), String::new());
    let alerts = StoredAlerts { cursor: 0, memory: "{}".to_owned(), rows: Vec::new() };
    let notices = vec![AlertNotice { notice: said, alert, subject, role }];
    AlertCommit { server: prod(), alerts, notices, at: Timestamp::UNIX_EPOCH }
}

async fn waiting_alerts(store: &Store) -> Vec<OutboxRow> {
    store.pending_rows(channel(), Lane::Alert, 0, 100).await.unwrap()
}

/// Sends the next alert; it becomes this message.
async fn send_alert(store: &Store, discord_id: u64) -> StoredMessage {
    let row = waiting_alerts(store).await.remove(0);
    let message = NewMessage {
        channel: channel(),
        lane: Lane::Alert,
        content: row.content,
        filename: None,
        mentions: Mentions::default(),
        rows: 1,
        last_row: row.id,
        edits: row.edits,
    };
    let stored = store.assign(&message, Timestamp::UNIX_EPOCH).await.unwrap();
    store.delivered(&stored, discord_id, Timestamp::UNIX_EPOCH).await.unwrap();
    stored
}

#[tokio::test]
async fn of_edits_of_one_alert_that_wait_the_last_is_kept() {
    let (_dir, store) = fresh().await;
    let told = store.commit_alerts(&step("one", NoticeRole::Tells)).await.unwrap();
    let told = *told.values().next().unwrap();
    let other = PostedNotice { notice: told.notice + 1000, ..told };
    for (text, role) in [
        ("two", NoticeRole::Grows(told)),
        ("another alert", NoticeRole::Grows(other)),
        ("three", NoticeRole::Grows(told)),
        ("over", NoticeRole::Ends(Some(told))),
    ] {
        store.commit_alerts(&step(text, role)).await.unwrap();
    }
    let rows = waiting_alerts(&store).await;
    let said: Vec<_> = rows.iter().map(|row| (row.content.as_str(), row.edits)).collect();
    let (first, other) = (Some(told.notice), Some(other.notice));
    assert_eq!(said, [("one", None), ("another alert", other), ("over", first)]);
}

#[tokio::test]
async fn the_message_that_takes_the_place_of_a_deleted_one_is_edited_from_then_on() {
    let (_dir, store) = fresh().await;
    let told = store.commit_alerts(&step("one", NoticeRole::Tells)).await.unwrap();
    let told = *told.values().next().unwrap();
    send_alert(&store, 71).await;
    store.commit_alerts(&step("two", NoticeRole::Grows(told))).await.unwrap();
    assert_eq!(send_alert(&store, 72).await.edits, Some(71), "it was deleted, and posted as 72");
    store.commit_alerts(&step("three", NoticeRole::Grows(told))).await.unwrap();
    assert_eq!(send_alert(&store, 72).await.edits, Some(72));
}
