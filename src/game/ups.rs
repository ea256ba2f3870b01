//! How fast a map runs, from looks at its clock. Pure.
//!
//! The rule: the median speed of the stretches between looks decides which of them belong together; the speed is the ticks
//! of those that agree with it, over their time. A stretch that does not agree (a save that halts the map, a pause that began
//! in it, a burst of lag) counts as a gap, and no average runs across it; so does what lies around an answer that took much
//! longer than most. A map that went back, leapt or changed its speed makes the measurement start anew; a map that stands
//! still has no speed.
//!
//! How far it may be off, where the speed is steady and each look takes `rtt` at most:
//!
//! | source | one look tells | ±UPS over a window of 60 s |
//! |---|---|---|
//! | `/time` | whole seconds, so ±60 ticks a run of looks | 1 (2.4 where a gap splits the window), and `ups * rtt / 60` |
//! | `game.tick` | ticks | 0.02, and `ups * rtt / 60` |
//! | a file that is rewritten | ticks, within the time a writing may take | 0.02, and `ups * 0.26 / 60`; `ups * 1.25 / 60` where files have whole seconds |
//!
//! A file is not looked at when we like, but when the map has gone on by so many ticks: between two looks it either ran
//! slowly or stood for a while, and one stretch alone cannot tell which. So stretches count by their ticks, of which a pause
//! has none; at least three must agree; and they are taken from as far back as it takes to have three. A map that is paused
//! again and again for as long, once in each stretch, cannot be told from a slow one.
//!
//! [`Ups::error`] is that bound for the looks at hand. Two things are beyond it, for nobody can see them: a halt between two
//! looks of less than about 3 s by `/time`, 1 s by ticks, lowers the result by its share of the window (1 UPS a second); and a
//! map slower than 3.5 UPS (7 by `/time`) may count as standing still while nobody is in it. With somebody in it, it is paused
//! where Lua says so, or where it does less than 1.2 UPS for two windows, a minute at least; until that is known, a map that
//! is not seen to move has no speed. Who raises an alarm compares `ups + error` with the limit.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::sample::Ups;

/// Ticks in a second at speed 1.
pub const TICKS_A_SECOND: f64 = 60.0;

/// Looks in a window.
const LOOKS: u32 = 6;

/// An answer that takes longer, and longer than most do, came out of a halt.
const SLOW: Duration = Duration::from_millis(500);

/// So many times what most answers take is longer than most do.
const SLOWER: u32 = 2;

/// Nobody knows what a map did that was left alone for more than so many times the cadence.
const SELDOM: u32 = 2;

/// Slower than this is standing still: each command lets a paused map advance a little.
const STANDING: f64 = 3.0;

/// The best a verdict of standing still must know: one second in ten.
const STANDING_AT_MOST: f64 = 7.0;

/// With somebody in the game, a map that does this much is slow, not paused.
const CRAWLING: f64 = 1.0;

/// The best a verdict of standing still must know, with somebody in the game: one second by `/time` in nearly a minute.
const CRAWLING_AT_MOST: f64 = 1.2;

/// With somebody in the game, a map must stand for at least so long to be called paused.
const PATIENCE: Duration = Duration::from_mins(1);

/// Stretches this close to a speed agree with it.
const AGREES: f64 = 0.03;

/// This part of the window must agree; else the map is restless.
const ENOUGH: f64 = 0.6;

/// So many stretches between the writings of a file must agree.
const LEAST_WRITINGS: usize = 3;

/// So many times what the map did, or should do, is no speed but a leap: another save was loaded.
const LEAP: f64 = 2.0;

/// One look at the map's clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockLook {
    /// When the question was sent.
    pub asked: Instant,
    /// When the answer was there.
    pub answered: Instant,
    /// The age of the map in ticks, or up to `resolution` ticks less.
    pub tick: u64,
    /// 60 by `/time`, 1 by `game.tick`.
    pub resolution: u64,
    /// `game.speed`, where the source tells.
    pub speed: Option<f64>,
    /// Whether somebody halted the map, where the source tells.
    pub halted: Option<bool>,
    /// Whether nobody was in the game, as far as is known.
    pub empty: bool,
}

impl ClockLook {
    /// The middle of when the clock may have been read.
    fn at(&self) -> Instant {
        self.asked + self.took() / 2
    }

    fn took(&self) -> Duration {
        self.answered - self.asked
    }
}

/// What lies between two looks.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    ticks: f64,
    /// How many ticks it may be off.
    ticks_off: f64,
    seconds: f64,
    seconds_off: f64,
}

impl Stretch {
    fn between(from: &ClockLook, to: &ClockLook) -> Self {
        Self {
            ticks: to.tick as f64 - from.tick as f64,
            ticks_off: to.resolution.max(from.resolution) as f64,
            seconds: (to.at() - from.at()).as_secs_f64(),
            seconds_off: (from.took() + to.took()).as_secs_f64() / 2.0,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            ticks: self.ticks + other.ticks,
            ticks_off: self.ticks_off + other.ticks_off,
            seconds: self.seconds + other.seconds,
            seconds_off: self.seconds_off + other.seconds_off,
        }
    }

    fn speed(&self) -> f64 {
        self.ticks / self.seconds
    }

    fn least(&self) -> f64 {
        ((self.ticks - self.ticks_off) / (self.seconds + self.seconds_off)).max(0.0)
    }

    fn most(&self) -> f64 {
        (self.ticks + self.ticks_off) / (self.seconds - self.seconds_off).max(0.001)
    }

    /// How far [`Self::speed`] may be off.
    fn error(&self) -> f64 {
        (self.most() - self.speed()).max(self.speed() - self.least())
    }

    fn agrees_with(&self, speed: f64, slack: f64) -> bool {
        self.least() <= speed + slack && self.most() >= speed - slack
    }
}

/// Two looks, one after the other, and whether what lies between them counts.
#[derive(Debug, Clone, Copy)]
struct Pair<'a> {
    from: &'a ClockLook,
    to: &'a ClockLook,
    counts: bool,
}

impl Pair<'_> {
    fn stretch(&self) -> Stretch {
        Stretch::between(self.from, self.to)
    }
}

/// Who chooses when the clock is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// We do, by the time: what the map did between looks that are far apart, nobody knows.
    Asked,
    /// The map does, by its ticks.
    Written,
}

/// Measures one map.
#[derive(Debug, Clone)]
pub struct UpsMeter {
    pace: Pace,
    window: Duration,
    /// The looks of the window, and one before it.
    kept: VecDeque<ClockLook>,
    /// Where the question whether the map moves is asked from.
    anchor: Option<ClockLook>,
    paused: Option<bool>,
    /// The look since which no tick was seen to pass.
    still: Option<ClockLook>,
}

impl UpsMeter {
    /// A meter that claims a speed once it has looked for `window`.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self::at(Pace::Asked, window)
    }

    /// The same of a map that writes its clock into a file once in so many ticks: each look is a writing.
    #[must_use]
    pub fn of_writings(window: Duration) -> Self {
        Self::at(Pace::Written, window)
    }

    fn at(pace: Pace, window: Duration) -> Self {
        Self { pace, window, kept: VecDeque::new(), anchor: None, paused: None, still: None }
    }

    /// How often the clock should be looked at.
    #[must_use]
    pub fn cadence(&self) -> Duration {
        self.window / LOOKS
    }

    /// Forgets everything: the connection was lost, or another source tells from now on.
    pub fn restart(&mut self) {
        *self = Self::at(self.pace, self.window);
    }

    /// Whether the map stands still; `None` until it is known.
    #[must_use]
    pub fn paused(&self) -> Option<bool> {
        self.paused
    }

    /// Takes a look into account.
    pub fn take(&mut self, look: ClockLook) {
        if self.kept.back().is_some_and(|last| is_other_map(last, &look) || self.leapt(last, &look)) {
            self.restart();
        }
        let stood = self.paused == Some(true);
        self.judge_pause(&look);
        if stood || self.paused == Some(true) {
            self.kept.clear();
        }
        self.kept.push_back(look);
        let least = if self.pace == Pace::Written { LEAST_WRITINGS + 1 } else { 0 };
        while self.kept.len() > least && self.kept.get(1).is_some_and(|next| look.at() - next.at() >= self.window) {
            self.kept.pop_front();
        }
    }

    fn leapt(&self, last: &ClockLook, look: &ClockLook) -> bool {
        let before = self.stretches();
        let usual = self.median(&before).max(target(look));
        !before.is_empty() && Stretch::between(last, look).least() > usual * LEAP
    }

    /// Moving, standing, or not to be told yet: since the last look, or since the last one that settled it.
    fn judge_pause(&mut self, look: &ClockLook) {
        let anchor = *self.anchor.get_or_insert(*look);
        let since = self.kept.back().copied().into_iter().chain([anchor]);
        let verdict = match look.halted {
            Some(true) => Some(true),
            Some(false) if !look.empty => Some(false),
            _ => since.map(|since| Stretch::between(&since, look)).find_map(|one| self.stands(&one, look.empty)),
        };
        if verdict.is_some() {
            (self.paused, self.anchor) = (verdict, Some(*look));
        }
        if self.still.is_none_or(|still| still.tick != look.tick) {
            self.still = Some(*look);
        }
    }

    /// Whether the map stood in this stretch, where it can tell. With nobody in the game it soon does; with somebody it may as
    /// well be slow, so that it must stand for long.
    fn stands(&self, stretch: &Stretch, empty: bool) -> Option<bool> {
        let (moves, stood) = if empty {
            (STANDING, stretch.most() < STANDING_AT_MOST && stretch.speed() < STANDING)
        } else {
            let long = stretch.seconds >= (self.window * 2).max(PATIENCE).as_secs_f64();
            (CRAWLING, long && stretch.most() < CRAWLING_AT_MOST)
        };
        (stretch.least() > moves || stood).then_some(stood)
    }

    /// Whether the map has not been seen to move for so long that it may be paused: it belies the speed, or goes on.
    fn may_stand(&self, claim: &Ups) -> bool {
        let Some((still, last)) = self.still.as_ref().zip(self.kept.back()) else { return false };
        let told = last.halted.is_some() && !last.empty;
        let stretch = Stretch::between(still, last);
        let belied = stretch.seconds > 0.0 && stretch.most() < claim.ups - claim.error;
        !told && (belied || stretch.seconds > self.window.as_secs_f64() / 4.0)
    }

    fn stretches(&self) -> Vec<Stretch> {
        self.pairs().filter(|pair| pair.counts).map(|pair| pair.stretch()).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        let seldom = if self.pace == Pace::Written { Duration::MAX } else { self.cadence() * SELDOM };
        let slow = self.slow();
        let counts = move |from: &ClockLook, to: &ClockLook| {
            from.took().max(to.took()) <= slow && to.asked - from.answered <= seldom
        };
        let pairs = self.kept.iter().zip(self.kept.iter().skip(1));
        pairs.map(move |(from, to)| Pair { from, to, counts: counts(from, to) })
    }

    /// What answers take at most that did not come out of a halt. Where all take long, it is the way, or the game is slow:
    /// then they tell, too, but less exactly.
    fn slow(&self) -> Duration {
        let mut took: Vec<Duration> = self.kept.iter().map(ClockLook::took).collect();
        took.sort_unstable();
        let usual = took.get(took.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        SLOW.max(usual * SLOWER)
    }

    /// The speed over the window; `None` while the map stands, and until the window is full.
    #[must_use]
    pub fn ups(&self) -> Option<Ups> {
        let (first, last) = (self.kept.front()?, self.kept.back()?);
        let window = last.at() - first.at();
        let stretches = self.stretches();
        let looked: f64 = stretches.iter().map(|stretch| self.weight(stretch)).sum();
        let enough = ENOUGH * if self.pace == Pace::Written { looked } else { self.window.as_secs_f64() };
        let many = self.pace == Pace::Asked || stretches.len() >= LEAST_WRITINGS;
        if self.paused != Some(false) || window < self.window || looked < enough || !many {
            return None;
        }
        let steady = self.steady(&stretches).filter(|sum| self.weight(sum) >= enough);
        let restless = || (self.median(&stretches), self.spread(&stretches));
        let (ups, error) = steady.map_or_else(restless, |sum| (sum.speed(), sum.error()));
        let claim = Ups { ups, target: target(last), window, error };
        (!self.may_stand(&claim)).then_some(claim)
    }

    /// What most of the time agrees with, summed. A steady speed lies within what every stretch may be, so that all of them
    /// agree, however coarse a single one is.
    fn steady(&self, stretches: &[Stretch]) -> Option<Stretch> {
        let middle = self.median(stretches);
        let agreeing = |speed: f64| stretches.iter().filter(move |one| one.agrees_with(speed, speed * AGREES));
        let weight = |speed: f64| -> f64 { agreeing(speed).map(|one| self.weight(one)).sum() };
        let by_agreement = |a: &f64, b: &f64| {
            let nearness = (b - middle).abs().total_cmp(&(a - middle).abs());
            weight(*a).total_cmp(&weight(*b)).then(nearness)
        };
        let speed = stretches.iter().map(Stretch::least).chain([middle]).max_by(by_agreement)?;
        if self.pace == Pace::Written && agreeing(speed).count() < LEAST_WRITINGS {
            return None;
        }
        let rough = self.agreeing(speed, speed * AGREES)?;
        // Now that the speed is known better, a halt that just agreed with it does no more.
        self.agreeing(rough.speed(), rough.error().max(rough.speed() * AGREES))
    }

    /// How much a stretch counts: by its time, which a file's pace would fill with pauses, or by its ticks.
    fn weight(&self, stretch: &Stretch) -> f64 {
        if self.pace == Pace::Written { stretch.ticks } else { stretch.seconds }
    }

    /// The speed that half of what counts is not faster than.
    fn median(&self, stretches: &[Stretch]) -> f64 {
        self.quantile(stretches, 0.5)
    }

    fn quantile(&self, stretches: &[Stretch], part: f64) -> f64 {
        let mut sorted = stretches.to_vec();
        sorted.sort_by(|a, b| a.speed().total_cmp(&b.speed()));
        let mut left = sorted.iter().map(|stretch| self.weight(stretch)).sum::<f64>() * part;
        let reached = sorted.iter().find(|stretch| {
            left -= self.weight(stretch);
            left <= 0.0
        });
        reached.or(sorted.last()).map_or(0.0, Stretch::speed)
    }

    /// Half of the distance between the quartiles, and what a look may be off at least: for a map whose speed jumps about.
    fn spread(&self, stretches: &[Stretch]) -> f64 {
        let between = (self.quantile(stretches, 0.75) - self.quantile(stretches, 0.25)) / 2.0;
        let off = |stretch: &Stretch| match self.pace {
            Pace::Asked => stretch.ticks_off / stretch.seconds,
            Pace::Written => stretch.error(),
        };
        stretches.iter().map(off).fold(between, f64::max)
    }

    /// The stretches that agree with a speed, summed run by run: looks within a run fall out of the sum, and out of its error.
    fn agreeing(&self, speed: f64, slack: f64) -> Option<Stretch> {
        let mut runs: Vec<(&ClockLook, &ClockLook)> = Vec::new();
        let mut goes_on = false;
        for pair in self.pairs() {
            let agrees = pair.counts && pair.stretch().agrees_with(speed, slack);
            match runs.last_mut() {
                Some(run) if agrees && goes_on => run.1 = pair.to,
                _ if agrees => runs.push((pair.from, pair.to)),
                _ => {}
            }
            goes_on = agrees;
        }
        runs.into_iter().map(|(from, to)| Stretch::between(from, to)).reduce(Stretch::and)
    }
}

/// Whether the looks cannot be compared: the map went back, or its speed or the source of the looks changed.
fn is_other_map(last: &ClockLook, look: &ClockLook) -> bool {
    look.tick < last.tick || look.resolution != last.resolution || look.speed != last.speed
}

/// What the map should do.
fn target(look: &ClockLook) -> f64 {
    TICKS_A_SECOND * look.speed.unwrap_or(1.0)
}

#[cfg(test)]
#[path = "ups_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "ups_writings_tests.rs"]
mod writings_tests;
