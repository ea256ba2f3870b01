//! `/player` and `/top` of servers that were busy for years: Discord waits three seconds for a first answer.

use criterion::Criterion;
use factorio_isr::domain::ServerTag;
use factorio_isr::store::Store;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::runtime::Runtime;

/// 100,000 sessions of 2000 players on two servers within 90 days; one in ten is Regular's.
const SESSIONS: &str = include_str!("sessions.sql");

pub(crate) fn rates(criterion: &mut Criterion, runtime: &Runtime) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("isr.db");
    let now = Timestamp::now();
    let store = runtime.block_on(async {
        let store = Store::open(&path).await.expect("opened");
        let mut database = SqliteConnectOptions::new().filename(&path).connect().await.expect("opened");
        sqlx::query(SESSIONS).bind(now.as_millisecond()).execute(&mut database).await.expect("inserted");
        database.close().await.expect("closed");
        store
    });
    let tags = ["prod", "other"].map(|tag| ServerTag::new(tag).expect("a tag"));
    let mut group = criterion.benchmark_group("records_of_100000_sessions");
    group.sample_size(10);
    group.bench_function("player", |bencher| {
        bencher.iter(|| runtime.block_on(store.player_record(&tags, "regular", now)).expect("read"));
    });
    group.bench_function("top", |bencher| {
        let from = now - SignedDuration::from_hours(24 * 30);
        bencher.iter(|| runtime.block_on(store.most_played(&tags, from, now, 20)).expect("read"));
    });
    group.bench_function("names", |bencher| {
        bencher.iter(|| runtime.block_on(store.recorded_players(&tags)).expect("read"));
    });
    group.finish();
}
