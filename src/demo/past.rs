//! The week before the demo, so that `/history`, `/top` and `/player` have something to show. It is **made up**: no
//! game ran. But it goes the way of real samples, through the store's own functions, into the demo's throw-away
//! database.

use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::ServerTag;
use crate::domain::sessions::Observation;
use crate::sim::story::{Place, Player};
use crate::store::{SampleRow, Store};

/// Shorter than what parts a session in two, long enough for a quick start.
const INTERVAL: SignedDuration = SignedDuration::from_secs(120);
const DAYS: i64 = 7;

/// The same week every time, but for when it ends.
const SEED: u64 = 0x0fac_7021;

/// Somebody's way to play.
struct Habit {
    player: Player,
    /// On so many of ten days.
    of_ten_days: u32,
    /// The usual time of day it begins at, in hours.
    from: f64,
    /// For about so many hours.
    hours: f64,
}

const fn habit(player: Player, of_ten_days: u32, from: f64, hours: f64) -> Habit {
    Habit { player, of_ten_days, from, hours }
}

const NAUVIS: [Habit; 9] = [
    habit("Marit.K", 8, 7.2, 2.0),
    habit("Marit.K", 8, 19.0, 3.5),
    habit("old_pete", 10, 9.5, 8.0),
    habit("HexWrench", 8, 19.5, 3.5),
    habit("Brindle", 6, 17.5, 3.5),
    habit("zinc-and-tin", 7, 20.0, 2.5),
    habit("zinc-and-tin", 3, 12.2, 1.0),
    habit("Player_42", 3, 15.0, 2.0),
    habit("Tobbe", 4, 20.5, 2.0),
];

const SPACE_AGE: [Habit; 9] = [
    habit("Juno", 9, 18.5, 4.5),
    habit("Juno", 3, 10.0, 2.0),
    habit("voidhauler", 8, 20.0, 3.5),
    habit("gleba_hater", 7, 16.0, 3.5),
    habit("gleba_hater", 5, 21.0, 2.5),
    habit("Ines-77", 7, 17.0, 4.0),
    habit("Ines-77", 4, 8.5, 1.5),
    habit("Tobbe", 7, 13.5, 3.0),
    habit("HexWrench", 3, 14.0, 2.0),
];

/// What is seen of one server.
#[derive(Default)]
pub(super) struct Week {
    observations: Vec<Observation>,
    samples: Vec<SampleRow>,
}

/// When somebody is there.
struct Stay {
    player: Player,
    time: Stretch,
}

/// From when to when.
#[derive(Clone, Copy)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
}

impl Stretch {
    /// From the last time it was `hour` o'clock, `days` days before `until`.
    fn before(until: Timestamp, zone: &TimeZone, (days, hour): (i64, i8), minutes: i64) -> Option<Self> {
        let clock = Time::new(hour, 0, 0, 0).ok()?;
        let date = zone.to_datetime(until - SignedDuration::from_hours(24 * days)).date();
        let from = zone.to_timestamp(date.to_datetime(clock)).ok()?;
        Some(Self { from, to: from + SignedDuration::from_mins(minutes) })
    }

    fn has(&self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// How far into it, 0 to 1.
    fn share(&self, at: Timestamp) -> Option<f64> {
        self.has(at).then(|| (at - self.from).as_secs_f64() / (self.to - self.from).as_secs_f64())
    }
}

/// Stores the week before `until` of both servers.
pub(super) async fn store(store: &Store, tag: impl Fn(Place) -> &'static str, until: Timestamp) -> anyhow::Result<()> {
    for place in Place::ALL {
        let server = ServerTag::new(tag(place)).expect("the demo's tags are tags");
        let week = week(place, until, &TimeZone::system());
        store
            .observe_all(&server, &week.observations, &week.samples)
            .await
            .context("The made-up past cannot be stored")?;
    }
    Ok(())
}

/// A week of samples that ends at `until` with nobody there; days are those of `zone`.
fn week(place: Place, until: Timestamp, zone: &TimeZone) -> Week {
    let mut rng = Rng::with_seed(SEED + place as u64);
    let from = until - SignedDuration::from_hours(24 * DAYS);
    let stays = stays(place, from, zone, &mut rng);
    let (unwatched, slow) = (unwatched(place, until, zone), slow(place, until, zone));
    let mut week = Week::default();
    let mut at = from;
    while at < until - INTERVAL {
        if let Some(unwatched) = unwatched.filter(|unwatched| unwatched.has(at)) {
            // As when a machine goes down: the connection breaks, and nothing is known until it is up again.
            week.observations.push(Observation::LinkLost { at });
            at = unwatched.to;
        }
        let there = stays.iter().filter(|stay| stay.time.has(at)).map(|stay| stay.player.to_owned());
        let passed = (at - from).as_secs_f64() / (until - from).as_secs_f64();
        week.sees(at, there.collect(), (slow.and_then(|slow| slow.share(at)), passed), &mut rng);
        at += INTERVAL;
    }
    week.sees(at, Vec::new(), (None, 1.0), &mut rng);
    week
}

fn stays(place: Place, from: Timestamp, zone: &TimeZone, rng: &mut Rng) -> Vec<Stay> {
    let habits = match place {
        Place::Nauvis => NAUVIS,
        Place::SpaceAge => SPACE_AGE,
    };
    let first = zone.to_datetime(from).date();
    // Some are there already when the week begins.
    let days = (-1..=DAYS).filter_map(|day| first.checked_add(SignedDuration::from_hours(24 * day)).ok());
    days.flat_map(|day| habits.iter().filter_map(|habit| stay(habit, day, zone, rng)).collect::<Vec<_>>()).collect()
}

fn stay(habit: &Habit, day: Date, zone: &TimeZone, rng: &mut Rng) -> Option<Stay> {
    let free = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let (late, length) = (rng.f64() * 2.0 - 1.0, 0.4 + 1.2 * rng.f64());
    let plays = rng.u32(0..10) < habit.of_ten_days + if free { 2 } else { 0 };
    let hours = |hours: f64| Duration::from_secs_f64(hours.max(0.0) * 3600.0);
    let midnight = zone.to_timestamp(day.to_datetime(Time::midnight())).ok().filter(|_| plays)?;
    let from = midnight + hours(habit.from + late);
    let longer = if free { 1.5 } else { 1.0 };
    Some(Stay { player: habit.player, time: Stretch { from, to: from + hours(habit.hours * length * longer) } })
}

/// While nothing is known.
fn unwatched(place: Place, until: Timestamp, zone: &TimeZone) -> Option<Stretch> {
    match place {
        Place::Nauvis => Stretch::before(until, zone, (1, 14), 100),
        Place::SpaceAge => Stretch::before(until, zone, (3, 1), 11 * 60),
    }
}

/// While the game was too slow.
fn slow(place: Place, until: Timestamp, zone: &TimeZone) -> Option<Stretch> {
    match place {
        Place::Nauvis => Stretch::before(until, zone, (1, 20), 200),
        Place::SpaceAge => Stretch::before(until, zone, (2, 19), 320),
    }
}

impl Week {
    /// `slow`: how far into the time of trouble, which begins at once and is mended little by little; `passed`: how much
    /// of the week, 0 to 1.
    fn sees(&mut self, at: Timestamp, online: Vec<String>, (slow, passed): (Option<f64>, f64), rng: &mut Rng) {
        let trouble = slow.map_or(0.0, |share| 19.0 * (1.0 - share * share));
        let ups = 60.0 - 0.12 * online.len() as f64 - trouble - rng.f64() * (0.3 + trouble / 8.0);
        let players = u32::try_from(online.len()).ok();
        self.samples.push(SampleRow { at, players, ups: Some(ups), evolution: Some(0.85 + 0.09 * passed) });
        self.observations.push(Observation::Answered { at, since: Timestamp::MIN, online: Some(online) });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const UNTIL: i64 = 1_790_000_000;

    fn until() -> Timestamp {
        Timestamp::from_second(UNTIL).unwrap()
    }

    #[test]
    fn the_week_is_the_same_every_time_and_people_sleep_in_it() {
        let of = |place| week(place, until(), &TimeZone::UTC);
        for place in Place::ALL {
            assert_eq!(of(place).observations, of(place).observations);
            let at_night = |sample: &&SampleRow| TimeZone::UTC.to_datetime(sample.at).hour() == 5;
            assert!(of(place).samples.iter().filter(at_night).all(|sample| sample.players == Some(0)));
            let most = of(place).samples.iter().filter_map(|sample| sample.players).max();
            assert!(most >= Some(3), "{most:?}");
            let least = of(place).samples.iter().filter_map(|sample| sample.ups).fold(60.0, f64::min);
            assert!((35.0..50.0).contains(&least), "{least}");
        }
    }

    #[tokio::test]
    async fn the_week_becomes_sessions_and_a_history_with_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let database = Store::open(&dir.path().join("demo.db")).await.unwrap();
        let tag = |place| if place == Place::Nauvis { "nauvis" } else { "space-age" };
        store(&database, tag, until()).await.unwrap();
        let tags = Place::ALL.map(|place| ServerTag::new(tag(place)).unwrap());
        let from = until() - SignedDuration::from_hours(24 * DAYS);
        let top = database.most_played(&tags, from, until(), 20).await.unwrap();
        let names: BTreeSet<&str> = top.iter().map(|one| one.player.as_str()).collect();
        assert!(names.is_superset(&["Marit.K", "old_pete", "HexWrench", "Juno", "voidhauler"].into()), "{top:?}");
        for tag in &tags {
            assert_eq!(database.open_sessions(tag).await.unwrap(), []);
            let points = database.history(tag, from, until()).await.unwrap();
            let gaps = points.windows(2).filter(|pair| pair[1].at - pair[0].at > SignedDuration::from_hours(1));
            assert_eq!(gaps.count(), 1, "{tag}");
        }
    }
}
