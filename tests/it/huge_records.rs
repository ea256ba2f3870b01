//! `/player` and `/top` of servers that were busy for years. How long that takes, `cargo bench` tells.

use factorio_isr::domain::ServerTag;
use factorio_isr::store::Store;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

/// 100,000 sessions of 2000 players on two servers within 90 days; one in ten is Regular's.
const SESSIONS: &str = include_str!("../../benches/relay/sessions.sql");

#[tokio::test]
async fn a_hundred_thousand_sessions_are_summed_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("isr.db");
    let store = Store::open(&path).await.unwrap();
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let mut database = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query(SESSIONS).bind(now.as_millisecond()).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let tags = ["prod", "other"].map(|tag| ServerTag::new(tag).unwrap());

    let record = store.player_record(&tags, "regular", now).await.unwrap().unwrap();
    assert_eq!((record.name.as_str(), record.sessions, record.companions.len()), ("Regular", 10_000, 5));
    let most = store.most_played(&tags, now - SignedDuration::from_hours(24 * 30), now, 20).await.unwrap();
    assert_eq!((most.len(), most[0].player.as_str()), (20, "Regular"));
    assert_eq!(store.recorded_players(&tags).await.unwrap().len(), 500);
}
