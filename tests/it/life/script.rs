//! What goes wrong in a life, and when: made of its seed alone.

use std::time::Duration;

use fastrand::Rng;

/// Something that befalls the game, the relay or Discord.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// As `kill -9`: no line tells.
    KillGame,
    /// In order, as on SIGTERM.
    StopGame,
    StartGame,
    /// By `kill -9`.
    KillRelay,
    StartRelay,
    DiscordGoes,
    DiscordIsBack,
    RconHangs,
    RconAnswers,
    /// The map stands, and RCON is silent.
    SaveBegins,
    SaveEnds,
    RotateByRename,
    RotateByCopy,
    /// Every gateway connection ends, in a way that chance chooses.
    EndGateway,
}

/// How long a chapter is at its quickest.
const CHAPTER: f64 = 12.0;

/// From this length on, chapters are of different lengths, and what goes wrong lasts longer.
const LONG: Duration = Duration::from_mins(5);

/// What happens when, in the order in which it happens.
#[derive(Debug)]
pub struct Script {
    acts: Vec<(Duration, Act)>,
    next: usize,
    /// When each chapter ends, and how slow it is.
    paces: Vec<(Duration, f64)>,
}

impl Script {
    /// A script of chapters. In each of them the game ends and comes back, the relay is killed and comes back, RCON
    /// hangs, the game saves, and the log is rotated. Discord goes in every other one. The game is killed but for every
    /// fifth time, in turn while the relay is dead and while it looks, as far as chance has it.
    pub fn new(rng: &mut Rng, length: Duration) -> Self {
        let (mut acts, mut paces, mut begin) = (Vec::new(), Vec::new(), Duration::ZERO);
        for number in 0.. {
            if begin >= length {
                break;
            }
            let pace = if length >= LONG { 1.0 + 4.0 * rng.f64() * rng.f64() } else { 1.0 };
            let mut chapter = Chapter { rng, begin, pace, acts: &mut acts };
            chapter.write(number);
            begin += Duration::from_secs_f64(CHAPTER * pace);
            paces.push((begin, pace));
        }
        acts.retain(|(at, _)| *at < length);
        acts.sort();
        Self { acts, next: 0, paces }
    }

    /// The next act, once its time has come.
    pub fn due(&mut self, elapsed: Duration) -> Option<Act> {
        let (_, act) = self.acts.get(self.next).filter(|(at, _)| *at <= elapsed)?;
        self.next += 1;
        Some(*act)
    }

    /// How slow life is now; 1 is the quickest.
    pub fn pace(&self, elapsed: Duration) -> f64 {
        self.paces.iter().find(|(end, _)| elapsed < *end).map_or(1.0, |(_, pace)| *pace)
    }
}

struct Chapter<'a> {
    rng: &'a mut Rng,
    begin: Duration,
    pace: f64,
    acts: &'a mut Vec<(Duration, Act)>,
}

impl Chapter<'_> {
    fn write(&mut self, number: usize) {
        let watched = number % 2 == 1;
        let game_goes = self.within(4.0, 6.0);
        let ending = if number % 5 == 4 { Act::StopGame } else { Act::KillGame };
        self.spell((ending, Act::StartGame), game_goes, (1.2, 3.0));
        let (relay_goes, dead_for) = if watched {
            (self.within(8.0, 10.0), (0.1, 2.0))
        } else {
            let before = self.span(0.0, 2.0);
            (game_goes.saturating_sub(before), (2.0, 6.0))
        };
        self.spell((Act::KillRelay, Act::StartRelay), relay_goes, dead_for);
        if !watched {
            let begin = self.within(0.0, 6.0);
            self.spell((Act::DiscordGoes, Act::DiscordIsBack), begin, (2.0, 6.0));
        }
        let begin = self.within(0.0, 9.0);
        self.spell((Act::RconHangs, Act::RconAnswers), begin, (0.5, 2.5));
        let begin = self.within(0.0, 10.0);
        self.spell((Act::SaveBegins, Act::SaveEnds), begin, (0.3, 2.0));
        let rotated = self.within(0.0, CHAPTER);
        let rotation = if self.rng.bool() { Act::RotateByRename } else { Act::RotateByCopy };
        self.acts.push((rotated, rotation));
        let ended = self.within(0.0, CHAPTER);
        self.acts.push((ended, Act::EndGateway));
    }

    /// `first` at `begin`, and `last` so many seconds later, at the chapter's pace.
    fn spell(&mut self, (first, last): (Act, Act), begin: Duration, (from, to): (f64, f64)) {
        let end = begin + self.span(from, to);
        self.acts.extend([(begin, first), (end, last)]);
    }

    fn within(&mut self, from: f64, to: f64) -> Duration {
        self.begin + self.span(from, to)
    }

    fn span(&mut self, from: f64, to: f64) -> Duration {
        Duration::from_secs_f64(self.pace * (from + (to - from) * self.rng.f64()))
    }
}

#[test]
fn even_a_short_life_has_its_adventures() {
    for seed in 0..200 {
        let script = Script::new(&mut Rng::with_seed(seed), Duration::from_secs(super::SHORT));
        let count = |wanted: Act| script.acts.iter().filter(|(_, act)| *act == wanted).count();
        let rotations = count(Act::RotateByRename) + count(Act::RotateByCopy);
        let counts = [Act::KillGame, Act::KillRelay, Act::DiscordGoes, Act::RconHangs, Act::SaveBegins].map(count);
        assert!(counts[0] >= 3 && counts[1] >= 3, "seed {seed}: {counts:?}");
        assert!(counts[2..].iter().all(|count| *count >= 2) && rotations >= 2, "seed {seed}: {counts:?} {rotations}");
    }
}
