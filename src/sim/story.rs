//! The demo's story: two servers, the people on them, and what befalls them, for ever.
//!
//! [`Story`] is the schedule, pure and seeded: which beat comes after which pause. [`play`] acts it out on two
//! [`SimGame`]s in real time, with whatever moderators change meanwhile.

mod patterns;
mod scenes;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use patterns::DEMO_PATTERNS;

use super::factorio::{SERVER_ACTOR, SimGame};
use scenes::{DECK, FIRST_SCENES, Line, OPENING, TROLL, TROLLS};

/// The story's servers, in the order [`play`] takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Old friends and old rails.
    Nauvis,
    /// Platforms, quality and the smell of Gleba.
    SpaceAge,
}

impl Place {
    /// Both servers.
    pub const ALL: [Self; 2] = [Self::Nauvis, Self::SpaceAge];

    /// The server's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nauvis => "Nauvis Main",
            Self::SpaceAge => "Space Age",
        }
    }
}

/// A player's name.
pub type Player = &'static str;
/// What somebody says.
pub type Text = Cow<'static, str>;

/// What happens in one beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The server starts.
    Start,
    /// The server stops in order.
    Stop,
    /// The server dies without a word.
    Crash,
    /// A player comes.
    Join(Player),
    /// A player goes.
    Leave(Player),
    /// A player says something.
    Chat(Player, Text),
    /// A player says something to all forces.
    Shout(Player, Text),
    /// The server's console says something.
    ServerChat(Text),
    /// A player tries a Lua command on a save that has seen none: the game warns.
    TryCommand(Player, &'static str),
    /// A player runs a Lua command.
    Command(Player, &'static str),
    /// A player is kicked: who, by whom, why.
    Kick(Player, Player, &'static str),
    /// A player is banned: who, by whom, why.
    Ban(Player, Player, &'static str),
    /// A ban is lifted, if there is one: whose, by whom.
    Unban(Player, Player),
    /// A player becomes an admin, by the server's hand.
    Promote(Player),
    /// A player dies: who, of what.
    Died(Player, &'static str),
    /// A technology is done: its name and level.
    Research(&'static str, u32),
    /// A rocket goes up.
    Rocket,
    /// The game saves itself.
    Autosave,
    /// A player's game goes out of step.
    Desync(Player),
    /// The console log is copied and emptied.
    RotateCopyTruncate,
    /// The console log is moved away while the server is down.
    RotateRename,
}

impl Action {
    /// Who has to be in the game for this.
    fn needs(&self) -> Vec<Player> {
        match *self {
            Self::Leave(player)
            | Self::Chat(player, _)
            | Self::Shout(player, _)
            | Self::TryCommand(player, _)
            | Self::Command(player, _)
            | Self::Died(player, _)
            | Self::Desync(player)
            | Self::Promote(player) => vec![player],
            Self::Unban(_, actor) => vec![actor],
            Self::Kick(player, actor, _) | Self::Ban(player, actor, _) => vec![player, actor],
            _ => Vec::new(),
        }
    }
}

/// An action, where, and the pause before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// How long after the beat before.
    pub delay: Duration,
    /// On which server.
    pub place: Place,
    /// What happens.
    pub action: Action,
}

/// The endless schedule. Two stories of one seed are equal.
///
/// Only who is there speaks, dies or leaves: somebody absent joins first.
#[derive(Debug)]
pub struct Story {
    random: fastrand::Rng,
    ready: VecDeque<Beat>,
    deck: Vec<&'static [Line]>,
    round: usize,
    present: BTreeSet<(Place, Player)>,
    pause: std::ops::Range<u64>,
}

/// Milliseconds between beats while the story opens.
const BRISK: std::ops::Range<u64> = 150..420;
/// Milliseconds between beats afterwards.
const NATURAL: std::ops::Range<u64> = 1_000..4_000;
/// More players than this at one place, and somebody is called to dinner.
const CROWD: usize = 4;

impl Story {
    /// The story that `seed` tells.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut story = Self {
            random: fastrand::Rng::with_seed(seed),
            ready: VecDeque::new(),
            deck: Vec::new(),
            round: 0,
            present: BTreeSet::new(),
            pause: BRISK,
        };
        story.tell_scene(OPENING);
        story.pause = NATURAL;
        for scene in FIRST_SCENES {
            story.tell_scene(scene);
        }
        story
    }

    fn tell_next_scene(&mut self) {
        if self.deck.is_empty() {
            self.deck = DECK.to_vec();
            self.random.shuffle(&mut self.deck);
            self.round += 1;
        }
        if let Some(scene) = self.deck.pop() {
            self.tell_scene(scene);
        }
        for place in Place::ALL {
            self.thin_out(place);
        }
    }

    fn tell_scene(&mut self, scene: &[Line]) {
        for line in scene {
            let action = self.cast(&line.action);
            for player in action.needs() {
                self.tell(line.place, Action::Join(player), None);
            }
            self.tell(line.place, action, line.delay);
        }
    }

    /// Sends somebody home from a crowded place.
    fn thin_out(&mut self, place: Place) {
        let there: Vec<Player> =
            self.present.iter().filter(|(at, _)| *at == place).map(|(_, player)| *player).collect();
        if there.len() > CROWD
            && let Some(player) = self.random.choice(there)
        {
            self.tell(place, Action::Leave(player), None);
        }
    }

    /// Schedules `action`, unless it is the coming of somebody who is there.
    fn tell(&mut self, place: Place, action: Action, delay: Option<Duration>) {
        match action {
            Action::Join(player) if !self.present.insert((place, player)) => return,
            Action::Leave(player) | Action::Kick(player, ..) | Action::Ban(player, ..) => {
                self.present.remove(&(place, player));
            }
            Action::Crash | Action::Stop => self.present.retain(|(at, _)| *at != place),
            _ => {}
        }
        let delay = delay.unwrap_or_else(|| Duration::from_millis(self.random.u64(self.pause.clone())));
        self.ready.push_back(Beat { delay, place, action });
    }

    /// The action with this round's troll and places on the map.
    fn cast(&mut self, action: &Action) -> Action {
        let troll = TROLLS[self.round % TROLLS.len()];
        let name = |player: Player| if player == TROLL { troll } else { player };
        match action.clone() {
            Action::Join(player) => Action::Join(name(player)),
            Action::Leave(player) => Action::Leave(name(player)),
            Action::Chat(player, text) => Action::Chat(name(player), self.fill(text)),
            Action::Kick(player, actor, reason) => Action::Kick(name(player), actor, reason),
            Action::Ban(player, actor, reason) => Action::Ban(name(player), actor, reason),
            Action::Unban(player, actor) => Action::Unban(name(player), actor),
            action => action,
        }
    }

    /// Puts a number for each `{x}` (a coordinate) and `{n}` (a small count).
    fn fill(&mut self, text: Text) -> Text {
        let mut filled = text;
        for (placeholder, numbers) in [("{x}", -900..900), ("{n}", 2..60)] {
            while filled.contains(placeholder) {
                filled = filled.replacen(placeholder, &self.random.i32(numbers.clone()).to_string(), 1).into();
            }
        }
        filled
    }
}

impl Iterator for Story {
    type Item = Beat;

    fn next(&mut self) -> Option<Beat> {
        while self.ready.is_empty() {
            self.tell_next_scene();
        }
        self.ready.pop_front()
    }
}

/// Acts the story out on `games` (as [`Place::ALL`]) in real time until `cancel`. The servers are left as they are.
///
/// Who was kicked over RCON comes back when it is his turn to speak; who is banned or muted misses his turns; a server
/// that was told to quit is started again.
///
/// # Errors
/// When a log cannot be written or rotated, or RCON cannot listen.
pub async fn play(story: Story, games: [SimGame; 2], cancel: CancellationToken) -> io::Result<()> {
    for beat in story {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(beat.delay) => {}
        }
        let [nauvis, space_age] = &games;
        let game = match beat.place {
            Place::Nauvis => nauvis,
            Place::SpaceAge => space_age,
        };
        perform(game, &beat.action).await?;
    }
    Ok(())
}

async fn perform(game: &SimGame, action: &Action) -> io::Result<()> {
    match action {
        Action::Start if game.is_running() => Ok(()),
        Action::Start => game.start().await,
        Action::Stop if game.is_running() => game.stop(),
        Action::Crash => {
            game.crash();
            Ok(())
        }
        Action::Stop => Ok(()),
        Action::RotateCopyTruncate => game.server().console().rotate_copytruncate(),
        Action::RotateRename => game.server().console().rotate_rename(),
        action => {
            if !game.is_running() {
                game.start().await?;
            }
            if can_happen(game, action)? { happen(game, action) } else { Ok(()) }
        }
    }
}

/// Whether everybody is there for it; who can come, comes.
fn can_happen(game: &SimGame, action: &Action) -> io::Result<bool> {
    for player in action.needs() {
        if game.rcon().game().bans.contains(player) {
            return Ok(false);
        }
        if !game.is_online(player) {
            game.join(player)?;
        }
    }
    let state = game.rcon().game();
    let online = |player: &str| state.players.get(player).is_some_and(|player| player.online);
    Ok(match action {
        Action::Join(player) => !online(player) && !state.bans.contains(*player),
        Action::Chat(player, _) | Action::Shout(player, _) => state.players.get(*player).is_some_and(|p| !p.muted),
        Action::Promote(player) => !state.admins.contains(*player),
        Action::Unban(player, _) => state.bans.contains(*player),
        _ => true,
    })
}

fn happen(game: &SimGame, action: &Action) -> io::Result<()> {
    match action {
        Action::Join(player) => game.join(player),
        Action::Leave(player) => game.leave(player),
        Action::Chat(player, text) => game.server().chat(player, text),
        Action::Shout(player, text) => game.server().shout(player, text),
        Action::ServerChat(text) => game.server().server_chat(text),
        Action::TryCommand(player, lua) => game.server().command_warning(player, lua),
        Action::Command(player, lua) => game.server().command(player, lua),
        Action::Kick(player, actor, reason) => game.kick(player, actor, Some(reason)),
        Action::Ban(player, actor, reason) => game.ban(player, actor, Some(reason)),
        Action::Unban(player, actor) => game.unban(player, actor),
        Action::Promote(player) => game.promote(player, SERVER_ACTOR),
        Action::Died(player, cause) => game.server().companion_died(player, cause),
        Action::Research(technology, level) => game.server().companion_research_finished(technology, *level),
        Action::Rocket => game.server().companion_rocket_launched(),
        Action::Autosave => game.server().autosave(),
        Action::Desync(player) => game.server().desync(player),
        Action::Start | Action::Stop | Action::Crash | Action::RotateCopyTruncate | Action::RotateRename => Ok(()),
    }
}

#[cfg(test)]
#[path = "story/tests.rs"]
mod tests;
