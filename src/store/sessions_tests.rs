use super::*;

fn prod() -> ServerTag {
    ServerTag::new("prod").unwrap()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

async fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    (dir, store)
}

async fn session(store: &Store, server: &str, (player, second, settled): (&str, i64, bool)) {
    let at = Timestamp::from_second(second).unwrap();
    let session = Session {
        id: None,
        player: player.to_owned(),
        started_at: at,
        start: Start::Join,
        joined_to: None,
        seen_at: at,
        ended: settled.then_some((at, End::Leave)),
        gone_by: None,
        settled,
    };
    let mut tx = store.begin().await.unwrap();
    write(&mut tx, &ServerTag::new(server).unwrap(), &session).await.unwrap();
    tx.commit().await.unwrap();
}

/// `name second` of each that is found.
async fn found(store: &Store, wanted: &BTreeSet<String>) -> Vec<String> {
    let mut reader = store.readers.acquire().await.unwrap();
    let sessions = last_settled(&mut reader, &prod(), wanted).await.unwrap();
    let mut shown: Vec<_> =
        sessions.iter().map(|session| format!("{} {}", session.player, session.started_at.as_second())).collect();
    shown.sort();
    shown
}

#[tokio::test]
async fn of_many_names_each_ones_last_settled_session_is_found() {
    let (_dir, store) = fresh().await;
    for player in [("Ann", 10, true), ("ANN", 30, true), ("Ann", 40, false), ("b\"o\\b", 20, true), ("Cid", 50, false)]
    {
        session(&store, "prod", player).await;
    }
    session(&store, "other", ("Ann", 60, true)).await;
    session(&store, "other", ("Eve", 70, true)).await;
    session(&store, "prod", ("Nobody asked", 80, true)).await;
    let wanted = names(&["ann", "b\"o\\b", "cid", "eve"]);
    assert_eq!(found(&store, &wanted).await, ["ANN 30", "b\"o\\b 20"]);
    assert!(found(&store, &BTreeSet::new()).await.is_empty());
}

#[tokio::test]
async fn thousands_of_names_are_one_search_of_the_index_each() {
    let (_dir, store) = fresh().await;
    session(&store, "prod", ("P4999", 10, true)).await;
    let many: BTreeSet<String> = (0..5000).map(|number| format!("p{number}")).collect();
    assert_eq!(found(&store, &many).await, ["P4999 10"]);
    let query = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} {LAST_SETTLED}"));
    let plan = sqlx::query(query).bind("prod").bind("[]").fetch_all(&store.readers).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
    assert!(plan.iter().any(|step| step.contains("INDEX sessions_of_player (player=? AND server=?)")), "{plan:?}");
    assert!(plan.iter().all(|step| !step.contains("SCAN sessions")), "{plan:?}");
}
