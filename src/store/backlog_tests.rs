use super::super::{IngestedBatch, NewMessage};
use super::*;
use crate::domain::{ChannelId, FileId, Lane, LogSource, Mentions, Notice, Position};

const NEVER: Duration = Duration::ZERO;
const MINUTE: Duration = Duration::from_mins(1);

fn tag(server: &str) -> ServerTag {
    ServerTag::new(server).unwrap()
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A log of the server is read at that second, and `events` come of it.
async fn read(store: &Store, server: &str, source: LogSource, (events, second): (&[&str], i64)) {
    let notice = |event: &&str| Notice {
        server: tag(server),
        channel: ChannelId::new(111).unwrap(),
        lane: Lane::Chat,
        event: (*event).into(),
        content: String::new(),
        plain: String::new(),
        mentions: Mentions::default(),
        occurred_at: time(second),
    };
    let file = FileId { device: 1, inode: 2 };
    let batch = IngestedBatch {
        server: tag(server),
        source,
        start: Position::default(),
        end: Position { generation: 1, file, offset: 9, ..Position::default() },
        state: String::new(),
        notices: events.iter().map(notice).collect(),
        happenings: Vec::new(),
        chats: Vec::new(),
        read_at: time(second),
        utc_offset: None,
        trace: None,
    };
    store.commit(&[batch]).await.unwrap();
}

async fn oldest(store: &Store, age: Duration) -> [Option<i64>; 3] {
    let mut all = [None; 3];
    for (found, server) in all.iter_mut().zip(["a", "b", "c"]) {
        let at = store.oldest_waiting(&tag(server), "alert_backlog", age).await.unwrap();
        *found = at.map(Timestamp::as_second);
    }
    all
}

#[tokio::test]
async fn the_oldest_line_of_each_server_is_known_whether_it_is_sent_or_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    assert_eq!(oldest(&store, NEVER).await, [None; 3]);
    read(&store, "a", LogSource::Console, (&["chat"], 100)).await;
    // On its way.
    let message = NewMessage {
        channel: ChannelId::new(111).unwrap(),
        lane: Lane::Chat,
        content: String::new(),
        filename: None,
        mentions: Mentions::default(),
        rows: 1,
        last_row: 1,
        edits: None,
    };
    let message = store.assign(&message, time(150)).await.unwrap();
    read(&store, "a", LogSource::Engine, (&["ready"], 200)).await;
    read(&store, "b", LogSource::Console, (&["alert_backlog", "chat"], 300)).await;
    read(&store, "c", LogSource::Console, (&["alert_backlog"], 50)).await;
    assert_eq!(oldest(&store, NEVER).await, [Some(100), Some(300), None]);
    store.delivered(&message, 7, time(400)).await.unwrap();
    assert_eq!(oldest(&store, NEVER).await, [Some(200), Some(300), None]);
}

#[tokio::test]
async fn all_servers_share_a_look_until_it_is_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    read(&store, "a", LogSource::Console, (&["chat"], 100)).await;
    assert_eq!(oldest(&store, MINUTE).await, [Some(100), None, None]);
    read(&store, "b", LogSource::Console, (&["chat"], 200)).await;
    assert_eq!(oldest(&store, MINUTE).await, [Some(100), None, None], "the look for a was one for b");
    let other = store.oldest_waiting(&tag("b"), "alert_crash", MINUTE).await.unwrap();
    assert_eq!(other, Some(time(200)), "another question is another look");
    assert_eq!(oldest(&store, NEVER).await, [Some(100), Some(200), None]);
}
