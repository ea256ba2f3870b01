//! `/player` and `/top` of servers that were busy for years: answered before Discord stops waiting.

use std::time::{Duration, Instant};

use factorio_isr::domain::ServerTag;
use factorio_isr::store::Store;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

/// How long Discord waits for a first answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// 100,000 sessions of 2000 players on two servers within 90 days; one in ten is Regular's.
const SESSIONS: &str = "
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 99999),
    played AS (SELECT n, $1 - 7776000000 + n * 77000 AS begin FROM numbers)
    INSERT INTO sessions (server, player, started_at, start, seen_at, ended_at, ended_by, settled)
    SELECT iif(n % 2, 'prod', 'other'), iif(n % 10 = 0, 'Regular', 'Player_' || (n * 7919 % 2000)), begin, 'join',
           begin + 60000 + n * 31 % 7200000, begin + 60000 + n * 31 % 7200000, 'leave', 1 FROM played";

#[tokio::test]
async fn a_hundred_thousand_sessions_are_told_before_discord_stops_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("isr.db");
    let store = Store::open(&path).await.unwrap();
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let mut database = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query(SESSIONS).bind(now.as_millisecond()).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let tags = ["prod", "other"].map(|tag| ServerTag::new(tag).unwrap());

    let begun = Instant::now();
    let record = store.player_record(&tags, "regular", now).await.unwrap().unwrap();
    let player = begun.elapsed();
    assert_eq!((record.name.as_str(), record.sessions, record.companions.len()), ("Regular", 10_000, 5));
    let begun = Instant::now();
    let most = store.most_played(&tags, now - SignedDuration::from_hours(24 * 30), now, 20).await.unwrap();
    let top = begun.elapsed();
    assert_eq!((most.len(), most[0].player.as_str()), (20, "Regular"));
    let begun = Instant::now();
    assert_eq!(store.recorded_players(&tags).await.unwrap().len(), 500);
    let names = begun.elapsed();
    println!("player {player:?}, top {top:?}, names {names:?}");
    assert!(player.max(top).max(names) < PATIENCE, "player {player:?}, top {top:?}, names {names:?}");
}
