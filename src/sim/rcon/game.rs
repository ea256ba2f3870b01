//! What the game behind the console knows, and what its console makes of a text.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use super::commands;
use super::lua::Lua;

/// The state of the game. Every field may be set by hand.
#[derive(Debug, Clone)]
pub struct Game {
    /// `2.0.77`
    pub version: String,
    /// The map's seed.
    pub seed: u32,
    /// The age of the map: what `/time` says.
    pub age: Duration,
    /// `game.tick_paused`
    pub halted: bool,
    /// Rockets, ever.
    pub rockets: u64,
    /// What the factory makes: internal name and pieces a minute.
    pub production: Vec<(String, f64)>,
    /// Space platforms, and where they stand; none before 2.0.
    pub platforms: Vec<(String, String)>,
    /// Everybody who ever played here, by name.
    pub players: BTreeMap<String, Player>,
    /// Admins, players or not.
    pub admins: BTreeSet<String>,
    /// Banned, players or not.
    pub bans: BTreeSet<String>,
    /// Who may join while the whitelist is on.
    pub whitelist: BTreeSet<String>,
    /// Whether the whitelist is on.
    pub whitelist_enabled: bool,
    /// Where enemies grow. The first is what a version before 2.0 speaks of.
    pub surfaces: Vec<Surface>,
    /// `game.speed`: 1 is normal.
    pub speed: f64,
    /// What the players' force researches.
    pub research: Research,
    /// Answers to commands of mods, by the whole command.
    pub answers: HashMap<String, String>,
    pub(super) lua: Lua,
}

/// One who played here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Player {
    /// In the game now.
    pub online: bool,
    /// May not chat.
    pub muted: bool,
}

/// The research of a force.
#[derive(Debug, Clone, PartialEq)]
pub struct Research {
    /// All technologies there are.
    pub technologies: BTreeSet<String>,
    /// What is researched now, and what comes next.
    pub queue: Vec<String>,
    /// How far the first of them is, 0 to 1.
    pub progress: f64,
    /// What is researched.
    pub done: BTreeSet<String>,
}

impl Default for Research {
    fn default() -> Self {
        let technologies = ["automation", "logistics", "rocket-silo"].map(ToOwned::to_owned).into();
        Self { technologies, queue: Vec::new(), progress: 0.0, done: BTreeSet::new() }
    }
}

/// A surface and its enemies' evolution, the shares in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct Surface {
    /// As it is shown; commands take it in any case.
    pub name: String,
    /// 0 to 1.
    pub factor: f64,
    /// By time.
    pub time: u32,
    /// By pollution.
    pub pollution: u32,
    /// By destroyed spawners.
    pub spawner_kills: u32,
    /// The time of day: 0 is noon, 0.5 midnight.
    pub daytime: f64,
}

/// What a real server would write into its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the words of the log line")]
pub enum RconEvent {
    /// `New RCON connection from IP ADDR:({…})`, in the engine log; one for every connect.
    Connected { from: SocketAddr },
    /// `[CHAT] <server>: text`
    Chat { text: String },
    /// `[SHOUT] <server>: text`
    Shout { text: String },
    /// Told to one player; the console log has no line of it.
    Whisper { player: String, text: String },
    /// `[KICK]`
    Kicked { player: String, reason: Option<String> },
    /// `[BAN]`
    Banned { player: String, reason: Option<String> },
    /// `[UNBANNED]`
    Unbanned { player: String },
    /// `[PROMOTE]`
    Promoted { player: String },
    /// `[DEMOTE]`
    Demoted { player: String },
    /// `/server-save`: saving lines in the engine log.
    ServerSave { name: Option<String> },
    /// `[WARNING]`: the first Lua command of the save, which is not run.
    LuaWarning { lua: String },
    /// `[COMMAND]`: Lua that ran by `/c`; the silent ways leave no line.
    LuaCommand { lua: String },
    /// `/quit`
    Quit,
}

/// What the factory of a [`Game`] makes unless told otherwise, in pieces a minute.
const PRODUCTION: [(&str, f64); 5] = [
    ("iron-plate", 1800.0),
    ("copper-plate", 1350.0),
    ("electronic-circuit", 640.0),
    ("automation-science-pack", 90.0),
    ("logistic-science-pack", 75.0),
];

impl Default for Game {
    /// A map of a day and a half, on which nobody ever played.
    fn default() -> Self {
        let nauvis = Surface {
            name: "Nauvis".to_owned(),
            factor: 0.9485,
            time: 7,
            pollution: 82,
            spawner_kills: 12,
            daytime: 0.0,
        };
        Self {
            version: "2.0.77".to_owned(),
            seed: 1_234_567_890,
            age: Duration::from_secs(126_086),
            halted: false,
            rockets: 0,
            production: PRODUCTION.map(|(name, a_minute)| (name.to_owned(), a_minute)).to_vec(),
            platforms: Vec::new(),
            players: BTreeMap::new(),
            admins: BTreeSet::new(),
            bans: BTreeSet::new(),
            whitelist: BTreeSet::new(),
            whitelist_enabled: false,
            surfaces: vec![nauvis],
            speed: 1.0,
            research: Research::default(),
            answers: HashMap::new(),
            lua: Lua::default(),
        }
    }
}

impl Game {
    /// A player comes in.
    pub fn join(&mut self, player: &str) {
        self.players.entry(player.to_owned()).or_default().online = true;
    }

    /// A player goes.
    pub fn leave(&mut self, player: &str) {
        if let Some(player) = self.players.get_mut(player) {
            player.online = false;
        }
    }

    /// Whether anybody is in the game.
    #[must_use]
    pub fn anybody_online(&self) -> bool {
        self.players.values().any(|player| player.online)
    }

    /// 60 a second.
    #[must_use]
    pub fn tick(&self) -> u128 {
        (self.age.as_nanos() * 60 + 500_000_000) / 1_000_000_000
    }

    /// A text at the console: the answer, and what the logs say of it. Of several lines, the game takes the first.
    pub fn run(&mut self, text: &str, events: &mut Vec<RconEvent>) -> String {
        let line = text.lines().next().unwrap_or_default();
        if let Some(answer) = self.answers.get(line) {
            return answer.clone();
        }
        if let Some(command) = line.strip_prefix('/') {
            return commands::run(self, command, events);
        }
        events.push(RconEvent::Chat { text: line.to_owned() });
        String::new()
    }
}

#[cfg(test)]
#[path = "game_tests.rs"]
mod tests;
