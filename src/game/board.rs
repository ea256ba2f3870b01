//! How every game is now, for whoever looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::lua::{LuaPlayer, LuaReading};
use super::sample::{Achievements, Research, SampleSource, Ups};
use crate::domain::{AlertKind, ServerTag};
use crate::rcon::Evolution;

/// Whether the game can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GameLink {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// The server has no RCON: only its log tells.
    None,
    /// It answers.
    Up,
    /// It is connected, but did not answer the last time: it saves, or it hangs.
    Silent(String),
    /// It cannot be reached, for this reason.
    Down(String),
}

/// Somebody in the game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlinePlayer {
    /// As the game has it.
    pub name: String,
    /// Since when, where a session is known.
    pub since: Option<Timestamp>,
}

/// An alert of a server that fires now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringAlert {
    /// Which.
    pub kind: AlertKind,
    /// Since when its condition holds; of several subjects, the first.
    pub since: Timestamp,
    /// How many players or surfaces it fires for; 1 where it is about the server.
    pub subjects: usize,
}

/// How a game is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GameView {
    /// Whether it can be asked.
    pub link: GameLink,
    /// Since when it is as it is shown: its run, its pause, its silence or its absence; `None` where nobody knows.
    pub since: Option<Timestamp>,
    /// Whether a mod's file tells how the game is, now that nobody can ask it: [`Self::source`] is then that file.
    pub files_tell: bool,
    /// When it last answered, or its file was last written. What is below is from then.
    pub sampled_at: Option<Timestamp>,
    /// Where that is from.
    pub source: Option<SampleSource>,
    /// Who is in the game; `None` where nobody knows.
    pub players: Option<Vec<OnlinePlayer>>,
    /// How many more are there, by a file that counts them and gives no names.
    pub unnamed: usize,
    /// Measured over the last samples.
    pub ups: Option<Ups>,
    /// Whether the map stands still.
    pub paused: Option<bool>,
    /// The age of the map.
    pub age: Option<Duration>,
    /// By surface.
    pub evolution: Vec<Evolution>,
    /// What is researched, where Lua or a mod tells.
    pub research: Option<Research>,
    /// Rockets launched, ever, where Lua or a mod tells.
    pub rockets: Option<u64>,
    /// What of this mods told beside the source, in the words people read.
    pub told_by_mods: Vec<&'static str>,
    /// The game's version.
    pub version: Option<String>,
    /// Whether anything is known against achievements.
    pub achievements: Achievements,
    /// How many ever played here, where it is known.
    pub known_players: Option<u64>,
    /// What only Lua tells.
    pub lua: Option<Arc<LuaReading>>,
    /// Why the source is not Lua, where it should be.
    pub fallback: Option<String>,
    /// How long the answers took, and how many bytes they had.
    pub cost: Option<(Duration, usize)>,
    /// The alerts that fire, without announcements, which have no end.
    pub alerts: Vec<FiringAlert>,
}

impl GameView {
    /// How many are in the game, with and without names; `None` where nobody knows.
    #[must_use]
    pub fn headcount(&self) -> Option<usize> {
        Some(self.players.as_ref()?.len() + self.unnamed)
    }

    /// How long somebody who is in the game was there, ever, on this save, as the game itself counts it; `None` where Lua
    /// does not tell.
    #[must_use]
    pub fn online_time(&self, player: &str) -> Option<Duration> {
        let players = self.lua.as_ref().filter(|_| self.link == GameLink::Up)?.players.as_ref()?;
        players.iter().find(|one| one.name.eq_ignore_ascii_case(player)).map(LuaPlayer::online_time)
    }
}

/// All games. Clones share them.
#[derive(Debug, Clone)]
pub struct GameBoard {
    games: Arc<BTreeMap<ServerTag, watch::Sender<GameView>>>,
}

/// Writes the view of one game.
#[derive(Debug, Clone)]
pub struct BoardHandle {
    games: Arc<BTreeMap<ServerTag, watch::Sender<GameView>>>,
    server: ServerTag,
}

impl GameBoard {
    /// A board of these servers, of which nothing is known.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = ServerTag>) -> Self {
        let games = servers.into_iter().map(|tag| (tag, watch::Sender::new(GameView::default())));
        Self { games: Arc::new(games.collect()) }
    }

    /// The servers, in order.
    pub fn servers(&self) -> impl Iterator<Item = &ServerTag> {
        self.games.keys()
    }

    /// How a game is now; `None` for a server that is not configured.
    #[must_use]
    pub fn view(&self, server: &ServerTag) -> Option<GameView> {
        self.look(server, GameView::clone)
    }

    /// The same without a copy. Who writes the view waits until `at` is through with it.
    pub fn look<T>(&self, server: &ServerTag, at: impl FnOnce(&GameView) -> T) -> Option<T> {
        Some(at(&self.games.get(server)?.borrow()))
    }

    /// The same, now and as it changes.
    #[must_use]
    pub fn watch(&self, server: &ServerTag) -> Option<watch::Receiver<GameView>> {
        Some(self.games.get(server)?.subscribe())
    }

    /// For the one who writes it; `None` for a server that is not configured.
    #[must_use]
    pub fn handle(&self, server: &ServerTag) -> Option<BoardHandle> {
        self.games.contains_key(server).then(|| BoardHandle { games: Arc::clone(&self.games), server: server.clone() })
    }
}

impl BoardHandle {
    /// Changes the view; who watches is told only if it did change.
    pub fn update(&self, change: impl FnOnce(&mut GameView)) {
        let Some(game) = self.games.get(&self.server) else { return };
        game.send_if_modified(|view| {
            let before = view.clone();
            change(view);
            *view != before
        });
    }

    /// The view as it is.
    #[must_use]
    pub fn view(&self) -> GameView {
        self.games.get(&self.server).map(|game| game.borrow().clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_watches_is_told_of_changes_alone() {
        let tag = ServerTag::new("prod").unwrap();
        let board = GameBoard::new([tag.clone()]);
        let mut watch = board.watch(&tag).unwrap();
        let handle = board.handle(&tag).unwrap();
        handle.update(|view| view.link = GameLink::Unknown);
        assert!(!watch.has_changed().unwrap());
        handle.update(|view| view.link = GameLink::Up);
        assert!(watch.has_changed().unwrap());
        assert_eq!(watch.borrow_and_update().link, GameLink::Up);
        assert_eq!(board.view(&ServerTag::new("other").unwrap()), None);
    }
}
