use proptest::prelude::*;

use super::*;

pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// What a simulated map does from a second on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// It runs at so many updates a second.
    Runs(f64),
    /// It stands, and answers: somebody paused it, or nobody is there.
    Stands,
    /// It stands and does not answer: it saves.
    Saves,
    /// It is another save with this age in ticks, which goes on as before.
    Loads(f64),
}

/// A map by its turns, each with its second. Time is in seconds; nothing waits.
#[derive(Debug, Clone)]
pub(super) struct SimMap {
    from: f64,
    pub(super) turns: Vec<(f64, Turn)>,
}

impl SimMap {
    pub(super) fn running(ups: f64) -> Self {
        Self { from: 7_654_321.4, turns: vec![(0.0, Turn::Runs(ups))] }
    }

    pub(super) fn then(mut self, at: f64, turn: Turn) -> Self {
        self.turns.push((at, turn));
        self
    }

    /// The map stands in a save for so long, then runs on.
    pub(super) fn saving(self, at: f64, length: f64, ups: f64) -> Self {
        self.then(at, Turn::Saves).then(at + length, Turn::Runs(ups))
    }

    pub(super) fn tick(&self, now: f64) -> f64 {
        let (mut tick, mut speed, mut since) = (self.from, 0.0, 0.0);
        for (at, turn) in self.turns.iter().filter(|(at, _)| *at <= now) {
            tick += speed * (at - since);
            since = *at;
            match turn {
                Turn::Runs(ups) => speed = *ups,
                Turn::Stands | Turn::Saves => speed = 0.0,
                Turn::Loads(age) => tick = *age,
            }
        }
        tick + speed * (now - since)
    }

    /// When a question that came at `now` is answered.
    fn answers(&self, now: f64) -> f64 {
        let saves =
            self.turns.iter().rposition(|(at, _)| *at <= now).filter(|turn| matches!(self.turns[*turn].1, Turn::Saves));
        saves.and_then(|turn| self.turns.get(turn + 1)).map_or(now, |(end, _)| *end)
    }
}

/// How it is looked at.
#[derive(Debug, Clone)]
struct Eye {
    resolution: u64,
    /// To the game and back, in seconds; the look itself happens anywhere within.
    rtt: f64,
    /// Answers take `rtt` of this from this second on.
    later: Option<(f64, f64)>,
    /// Whether nobody is in the game.
    empty: bool,
    /// Where in the round trip, 0 to 1, one after another.
    within: Vec<f64>,
    /// How late each look is, in seconds.
    late: Vec<f64>,
}

impl Eye {
    fn by_time() -> Self {
        Self { resolution: 60, rtt: 0.02, later: None, empty: true, within: vec![0.5], late: vec![0.0] }
    }

    fn by_ticks() -> Self {
        Self { resolution: 1, ..Self::by_time() }
    }

    /// What a halt that nobody can see may cost.
    fn unseen(&self) -> f64 {
        if self.resolution == 60 { 3.5 } else { 1.0 }
    }

    fn any(resolution: u64) -> impl Strategy<Value = Self> {
        Self::far(resolution, 0.001..0.3)
    }

    fn far(resolution: u64, rtt: std::ops::Range<f64>) -> impl Strategy<Value = Self> {
        let parts = || prop::collection::vec(0.0..1.0, 1..20);
        let eye = move |(rtt, within, late)| Self { resolution, rtt, later: None, empty: true, within, late };
        (rtt, parts(), parts()).prop_map(eye)
    }

    /// Looks at the map until `end`, from `begin` on, and gives what the meter says behind each look.
    fn watch(&self, map: &SimMap, begin: f64, end: f64) -> Vec<(f64, Option<Ups>, Option<bool>)> {
        self.watch_by(WINDOW, map, begin, end)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks are whole and positive")]
    fn watch_by(&self, window: Duration, map: &SimMap, begin: f64, end: f64) -> Vec<(f64, Option<Ups>, Option<bool>)> {
        let (mut meter, start) = (UpsMeter::new(window), Instant::now());
        let cadence = meter.cadence().as_secs_f64();
        let (mut now, mut said) = (begin, Vec::new());
        for turn in 0.. {
            let (within, late) = (self.within[turn % self.within.len()], self.late[turn % self.late.len()]);
            let asked = now + late;
            let rtt = self.later.filter(|(since, _)| asked >= *since).map_or(self.rtt, |(_, rtt)| rtt);
            let read = map.answers(asked + within * rtt);
            let answered = read + (1.0 - within) * rtt;
            if answered > end {
                break;
            }
            let tick = map.tick(read) as u64;
            let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
            meter.take(ClockLook {
                asked: at(asked),
                answered: at(answered),
                tick: tick - tick % self.resolution,
                resolution: self.resolution,
                speed: None,
                halted: None,
                empty: self.empty,
            });
            said.push((answered, meter.ups(), meter.paused()));
            now = (now + cadence).max(answered);
        }
        said
    }

    /// What it says last.
    fn last(&self, map: &SimMap, end: f64) -> (Option<Ups>, Option<bool>) {
        let (_, ups, paused) = *self.watch(map, 0.0, end).last().unwrap();
        (ups, paused)
    }
}

#[test]
fn a_measurement_above_the_target_is_shown_as_the_target_if_the_error_explains_it() {
    let shown = |ups, error, target| format!("{:.1}", Ups { ups, target, window: WINDOW, error }.shown());
    assert_eq!([shown(61.0, 1.0, 60.0), shown(60.3, 1.0, 60.0), shown(59.7, 1.0, 60.0)], ["60.0", "60.0", "59.7"]);
    assert_eq!(shown(121.0, 1.0, 120.0), "120.0", "at twice the speed");
    assert_eq!(shown(120.0, 1.0, 60.0), "120.0", "the speed was changed, which only Lua could tell");
}

#[test]
fn nothing_is_claimed_before_the_window_is_full() {
    for eye in [Eye::by_time(), Eye::by_ticks()] {
        for (at, ups, _) in eye.watch(&SimMap::running(60.0), 0.0, 200.0) {
            assert_eq!(ups.is_some(), at >= 60.0, "after {at} s");
        }
    }
}

#[test]
fn a_paused_map_has_no_speed_and_is_said_to_stand() {
    for eye in [Eye::by_time(), Eye::by_ticks()] {
        let map = SimMap::running(60.0).then(105.0, Turn::Stands).then(305.0, Turn::Runs(60.0));
        for (at, ups, paused) in eye.watch(&map, 0.0, 500.0) {
            assert!(ups.is_none_or(|ups| (ups.ups - 60.0).abs() < 1.1), "after {at} s: {ups:?}");
            match at {
                121.0..305.0 => assert_eq!((ups, paused), (None, Some(true)), "after {at} s"),
                331.0.. => assert_eq!(paused, Some(false), "after {at} s"),
                _ => {}
            }
        }
        assert!(eye.last(&map, 500.0).0.is_some());
    }
}

#[test]
fn a_map_that_is_nudged_by_every_question_still_stands() {
    let mut meter = UpsMeter::new(WINDOW);
    let start = Instant::now();
    for look in 0..30_u64 {
        let at = start + Duration::from_secs(10 * look);
        let look = ClockLook {
            asked: at,
            answered: at,
            tick: 9000 + 3 * look,
            resolution: 1,
            speed: Some(1.0),
            halted: None,
            empty: true,
        };
        meter.take(look);
        assert_eq!(meter.ups(), None);
    }
    assert_eq!(meter.paused(), Some(true));
}

#[test]
fn a_halt_by_lua_is_a_pause_at_once() {
    let mut meter = UpsMeter::new(WINDOW);
    let at = Instant::now();
    meter.take(ClockLook {
        asked: at,
        answered: at,
        tick: 9000,
        resolution: 1,
        speed: Some(1.0),
        halted: Some(true),
        empty: true,
    });
    assert_eq!(meter.paused(), Some(true));
}

#[test]
fn a_speed_set_by_lua_is_the_target_and_starts_anew() {
    let mut meter = UpsMeter::new(WINDOW);
    let start = Instant::now();
    let mut look = |second: u64, tick: u64, speed: f64| {
        let at = start + Duration::from_secs(second);
        meter.take(ClockLook {
            asked: at,
            answered: at,
            tick,
            resolution: 1,
            speed: Some(speed),
            halted: Some(false),
            empty: false,
        });
        meter.ups()
    };
    for n in 0..7 {
        look(10 * n, 600 * n, 1.0);
    }
    assert_eq!(look(70, 4200, 1.0).map(|ups| (ups.ups, ups.target)), Some((60.0, 60.0)));
    assert_eq!(look(80, 5400, 2.0), None);
    for n in 0..6 {
        look(90 + 10 * n, 6600 + 1200 * n, 2.0);
    }
    assert_eq!(look(150, 13_800, 2.0).map(|ups| (ups.ups, ups.target)), Some((120.0, 120.0)));
}

#[test]
fn a_drop_of_speed_is_seen_within_a_window() {
    for eye in [Eye::by_time(), Eye::by_ticks()] {
        let map = SimMap::running(60.0).then(123.0, Turn::Runs(30.0));
        let (ups, _) = eye.last(&map, 190.0);
        assert!((ups.unwrap().ups - 30.0).abs() < 3.0, "{ups:?}");
    }
}

#[test]
fn a_game_that_answers_late_and_slows_down_is_not_said_to_be_as_fast_as_before() {
    for rtt in [0.6, 0.8, 3.0, 12.0] {
        let eye = Eye { later: Some((100.0, rtt)), ..Eye::by_time() };
        let map = SimMap::running(60.0).then(100.0, Turn::Runs(12.0));
        let said = eye.watch(&map, 0.0, 400.0);
        let behind = said.iter().filter(|(at, ..)| *at > 180.0);
        let claims: Vec<Ups> = behind.filter_map(|(_, ups, _)| *ups).collect();
        assert!(claims.len() > 8, "with {rtt} s: {said:?}");
        for ups in claims {
            assert!((ups.ups - 12.0).abs() <= ups.error && ups.error < 5.0, "with {rtt} s: {ups:?}");
        }
    }
}

#[test]
fn somebody_who_joins_an_idle_game_is_not_told_that_it_is_slow() {
    // It is looked at once in two minutes while it stands; somebody joins in between.
    for joined in [1.0, 30.0, 61.0, 119.0] {
        let (mut meter, start, mut claims) = (UpsMeter::new(WINDOW), Instant::now(), 0);
        let idle = [0, 10, 130, 250, 370];
        for second in idle.into_iter().chain((380..600).step_by(10)) {
            let at = start + Duration::from_secs(second);
            let ran = (second as f64 - 250.0 - joined).max(0.0);
            let tick = 36_000 + 60 * Duration::from_secs_f64(ran).as_secs();
            meter.take(ClockLook {
                asked: at,
                answered: at,
                tick,
                resolution: 60,
                speed: None,
                halted: None,
                empty: true,
            });
            if let Some(ups) = meter.ups() {
                claims += 1;
                assert!((ups.ups - 60.0).abs() <= ups.error && ups.error < 2.5, "after {second} s: {ups:?}");
            }
        }
        assert!(claims > 10, "joined at {joined}");
    }
}

#[test]
fn a_crawling_map_with_players_in_it_is_slow_and_not_paused() {
    for ups in [1.5, 2.5, 3.5, 4.5, 5.5] {
        let map = SimMap::running(60.0).then(75.0, Turn::Runs(ups));
        let said = Eye { empty: false, ..Eye::by_time() }.watch(&map, 0.0, 600.0);
        let slow: Vec<_> = said.into_iter().filter(|(at, ..)| *at > 150.0).collect();
        let claims: Vec<Ups> = slow.iter().filter_map(|(_, ups, _)| *ups).collect();
        assert!(slow.iter().all(|(.., paused)| *paused == Some(false)), "{ups}: {slow:?}");
        assert!(claims.len() > slow.len() / 3, "{ups}: {slow:?}");
        assert!(claims.iter().all(|claim| (claim.ups - ups).abs() <= claim.error), "{ups}: {claims:?}");
    }
}

#[test]
fn a_pause_with_players_in_it_is_never_a_low_speed() {
    for at in [100.0, 103.0, 101.5, 109.9] {
        let map = SimMap::running(60.0).then(at, Turn::Stands);
        let said = Eye { empty: false, ..Eye::by_time() }.watch(&map, 0.0, 400.0);
        for (now, ups, _) in &said {
            assert!(
                ups.is_none_or(|ups| (ups.ups - 60.0).abs() <= ups.error),
                "paused at {at}, after {now} s: {ups:?}"
            );
        }
        assert_eq!(said.last().unwrap().2, Some(true));
    }
}

#[test]
fn a_restless_map_has_its_median() {
    let mut map = SimMap::running(60.0);
    for (turn, ups) in
        [22.0, 58.0, 34.0, 49.0, 40.0, 28.0, 55.0, 37.0, 44.0, 31.0].into_iter().cycle().take(40).enumerate()
    {
        map = map.then(turn as f64 * 9.7, Turn::Runs(ups));
    }
    for (at, ups, _) in Eye::by_ticks().watch(&map, 0.0, 380.0).into_iter().filter(|(at, ..)| *at > 60.0) {
        let ups = ups.unwrap_or_else(|| panic!("no claim after {at} s"));
        assert!((28.0..52.0).contains(&ups.ups) && ups.error > 1.0, "after {at} s: {ups:?}");
    }
}

proptest! {
    #[test]
    fn a_steady_speed_is_measured_within_the_stated_bound_by_time(eye in Eye::any(60), speed in 8.0..240.0) {
        for (at, ups, paused) in eye.watch(&SimMap::running(speed), 0.0, 200.0).into_iter().filter(|(at, ..)| *at > 72.0) {
            let ups = ups.ok_or_else(|| TestCaseError::fail(format!("no claim after {at} s")))?;
            prop_assert!((ups.ups - speed).abs() <= ups.error, "after {} s: {:?}", at, ups);
            prop_assert!(ups.error <= 1.02 + speed * eye.rtt / 58.0, "after {} s: {:?}", at, ups);
            prop_assert_eq!(paused, Some(false));
        }
    }

    #[test]
    fn a_steady_speed_is_measured_within_the_stated_bound_by_ticks(eye in Eye::any(1), speed in 8.0..240.0) {
        for (at, ups, _) in eye.watch(&SimMap::running(speed), 0.0, 200.0).into_iter().filter(|(at, ..)| *at > 72.0) {
            let ups = ups.ok_or_else(|| TestCaseError::fail(format!("no claim after {at} s")))?;
            prop_assert!((ups.ups - speed).abs() <= ups.error, "after {} s: {:?}", at, ups);
            prop_assert!(ups.error <= 0.02 + speed * eye.rtt / 58.0, "after {} s: {:?}", at, ups);
        }
    }

    /// Down to a tick in a minute: what is claimed is so, and only a map that is slow enough is said to stand.
    #[test]
    fn a_crawling_map_has_its_speed_within_the_error_or_none(
        eye in prop_oneof![Eye::any(60), Eye::any(1)], empty: bool, speed in prop_oneof![0.01..2.0, 2.0..8.0],
    ) {
        let eye = Eye { empty, ..eye };
        let standing = match (empty, eye.resolution) {
            (true, 60) => 7.0,
            (true, _) => 3.5,
            (false, _) => 1.2,
        };
        for (at, ups, paused) in eye.watch(&SimMap::running(speed), 0.0, 600.0) {
            prop_assert!(ups.is_none_or(|ups| (ups.ups - speed).abs() <= ups.error), "after {} s: {:?}", at, ups);
            prop_assert!(paused != Some(true) || speed < standing, "after {} s it is said to stand", at);
            let known = paused.is_some() || speed < f64::max(standing, 2.0);
            prop_assert!(at < 200.0 || known, "after {} s nothing is known", at);
        }
    }

    #[test]
    fn a_speed_is_known_however_long_the_answers_take(
        eye in prop_oneof![Eye::far(60, 0.3..14.0), Eye::far(1, 0.3..14.0)], speed in 12.0..100.0,
    ) {
        for (at, ups, _) in eye.watch(&SimMap::running(speed), 0.0, 400.0).into_iter().filter(|(at, ..)| *at > 100.0) {
            let ups = ups.ok_or_else(|| TestCaseError::fail(format!("no claim after {at} s")))?;
            prop_assert!((ups.ups - speed).abs() <= ups.error, "after {} s: {:?}", at, ups);
        }
    }

    /// 55 is where operators want to be woken.
    #[test]
    fn a_save_never_looks_like_low_ups(
        eye in prop_oneof![Eye::any(60), Eye::any(1)], at in 20.0..180.0, length in 0.05..40.0,
    ) {
        let map = SimMap::running(60.0).saving(at, length, 60.0);
        let unseen = eye.unseen();
        for (at, ups, _) in eye.watch(&map, 0.0, 400.0) {
            let Some(ups) = ups else { continue };
            prop_assert!((60.0 - unseen..=60.0).contains(&(ups.ups + ups.error).min(60.0)), "after {} s: {:?}", at, ups);
            prop_assert!(ups.ups <= 60.0 + ups.error && ups.error < 6.5, "after {} s: {:?}", at, ups);
        }
    }

    #[test]
    fn no_claim_runs_across_a_pause(
        eye in prop_oneof![Eye::any(60), Eye::any(1)], at in 20.0..180.0, length in 5.0..300.0,
    ) {
        let map = SimMap::running(60.0).then(at, Turn::Stands).then(at + length, Turn::Runs(60.0));
        for (at, ups, _) in eye.watch(&map, 0.0, 600.0) {
            let Some(ups) = ups else { continue };
            prop_assert!((ups.ups - 60.0).abs() <= ups.error + eye.unseen() && ups.error < 6.5, "after {} s: {:?}", at, ups);
        }
    }

    #[test]
    fn a_rollback_or_a_leap_starts_the_window_anew(
        eye in prop_oneof![Eye::any(60), Eye::any(1)], at in 75.0..150.0, by in prop_oneof![-1e6..-3e3, 5e3..1e6],
    ) {
        let map = SimMap::running(60.0);
        let age = map.tick(at) + by;
        let said = eye.watch(&map.then(at, Turn::Loads(age)), 0.0, 300.0);
        let behind: Vec<_> = said.iter().filter(|(now, ..)| *now - eye.rtt > at).collect();
        prop_assert_eq!(behind[0].1, None);
        for (now, ups, _) in &said {
            let off = ups.as_ref().map_or(0.0, |ups| (ups.ups - 60.0).abs() - ups.error);
            prop_assert!(off <= 0.0, "after {} s: {:?}", now, ups);
        }
        prop_assert!(behind.last().unwrap().1.is_some());
    }
}
