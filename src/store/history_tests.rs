//! Roll-ups: what they come to, that a second time changes nothing, and that nothing is let go before.

use proptest::prelude::*;

use super::*;

const BEGIN: i64 = 1_790_000_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + seconds).unwrap()
}

fn prod() -> ServerTag {
    ServerTag::new("prod").unwrap()
}

async fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("isr.db")).await.unwrap();
    (dir, store)
}

async fn keep(store: &Store, seconds: i64, players: Option<u32>, ups: Option<f64>) {
    let sample = SampleRow { at: at(seconds), players, ups, evolution: None };
    store.keep_sample(&prod(), &sample).await.unwrap();
}

async fn roll_up(store: &Store, now: i64) {
    while store.roll_up(at(now)).await.unwrap() {}
}

/// `(at, samples, players, least, most, UPS, least)`
type Row7 = (i64, i64, Option<f64>, Option<i64>, Option<i64>, Option<f64>, Option<f64>);

async fn rows(store: &Store, step: i64) -> Vec<Row7> {
    let query = "SELECT at / 1000, samples, players, players_min, players_max, ups, ups_min FROM history
                 WHERE step = $1 ORDER BY at";
    let rows: Vec<Row7> = sqlx::query_as(query).bind(step).fetch_all(&store.readers).await.unwrap();
    rows.into_iter().map(|row| (row.0 - BEGIN, row.1, row.2, row.3, row.4, row.5, row.6)).collect()
}

#[tokio::test]
async fn a_step_is_rolled_up_when_it_is_whole() {
    let (_dir, store) = fresh().await;
    keep(&store, 0, Some(1), Some(60.0)).await;
    keep(&store, 60, None, None).await;
    keep(&store, 120, Some(4), Some(30.0)).await;
    keep(&store, 300, Some(2), None).await;
    roll_up(&store, 299).await;
    assert_eq!(rows(&store, 300).await, []);
    roll_up(&store, 400).await;
    let first = (0, 3, Some(2.5), Some(1), Some(4), Some(45.0), Some(30.0));
    assert_eq!(rows(&store, 300).await, [first]);
    roll_up(&store, 600).await;
    assert_eq!(rows(&store, 300).await, [first, (300, 1, Some(2.0), Some(2), Some(2), None, None)]);
}

#[tokio::test]
async fn what_is_old_goes_when_it_is_rolled_up_and_not_before() {
    let (_dir, store) = fresh().await;
    for minute in 0..(3 * 24 * 60) {
        keep(&store, minute * 60, Some(u32::try_from(minute % 7).unwrap()), Some(60.0)).await;
    }
    let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
    let retention = Retention { raw: 48 * hour, five_minutes: 30 * day, happenings: day };
    let now = 3 * 86_400;
    while store.prune_history(at(now), &retention).await.unwrap() {}
    assert_eq!(rows(&store, 0).await.len(), 3 * 24 * 60, "nothing is rolled up, so nothing may go");
    roll_up(&store, now).await;
    while store.prune_history(at(now), &retention).await.unwrap() {}
    let samples = |rows: &[Row7]| rows.iter().map(|row| row.1).sum::<i64>();
    let (raw, fine, hourly) = (rows(&store, 0).await, rows(&store, 300).await, rows(&store, 3600).await);
    assert_eq!((raw.len(), fine.len()), (48 * 60, 3 * 24 * 12));
    assert_eq!((samples(&fine), samples(&hourly)), (3 * 24 * 60, (3 * 24 - 1) * 60 + 40));

    let prod = prod();
    let points = |from: i64, to: i64| store.history(&prod, at(from), at(to));
    // A day is shown by its samples, three days by five minutes, with the samples' own mean.
    assert_eq!(points(2 * 86_400, now).await.unwrap().len(), 24 * 60);
    let days = points(0, now).await.unwrap();
    assert_eq!(days.len(), 3 * 24 * 12);
    assert!(days.is_sorted_by_key(|point| point.at));
    // Long afterwards, five minutes are gone, too.
    while store.prune_history(at(now + 40 * 86_400), &retention).await.unwrap() {}
    assert!(points(0, now).await.unwrap().len() >= 3 * 24 - 1);
}

#[tokio::test]
async fn a_clock_that_was_ahead_stops_nothing() {
    let (_dir, store) = fresh().await;
    keep(&store, 1_000_000_000, Some(9), None).await;
    roll_up(&store, 1_000_000_400).await;
    keep(&store, 0, Some(1), None).await;
    roll_up(&store, 300).await;
    assert!(rows(&store, 300).await.contains(&(0, 1, Some(1.0), Some(1), Some(1), None, None)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the rolling up is cut and repeated, it comes to what the samples come to.
    #[test]
    fn roll_ups_are_the_samples(gaps in prop::collection::vec((1_i64..900, 0_u32..5), 1..60), often in 1_usize..10) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_dir, store) = fresh().await;
            let (mut now, mut samples) = (0, Vec::new());
            for (index, (gap, players)) in gaps.iter().enumerate() {
                now += gap;
                keep(&store, now, Some(*players), None).await;
                samples.push((now, *players));
                if index % often == 0 {
                    store.roll_up(at(now)).await.unwrap();
                }
            }
            roll_up(&store, now + 7200).await;
            roll_up(&store, now + 7200).await;
            for step in [300, 3600] {
                let start = |time: i64| (BEGIN + time).div_euclid(step) * step - BEGIN;
                for row in rows(&store, step).await {
                    let here: Vec<_> = samples.iter().filter(|(time, _)| start(*time) == row.0).collect();
                    let sum: u32 = here.iter().map(|(_, players)| players).sum();
                    assert_eq!(row.1, i64::try_from(here.len()).unwrap());
                    assert!((row.2.unwrap() - f64::from(sum) / here.len() as f64).abs() < 1e-9);
                    assert_eq!(row.4, here.iter().map(|(_, players)| i64::from(*players)).max());
                }
            }
            let rolled: i64 = rows(&store, 300).await.iter().map(|row| row.1).sum();
            assert_eq!(rolled, i64::try_from(samples.len()).unwrap(), "no sample is left out");
        });
    }
}
