//! A whole server: its logs and its RCON, with one game behind both.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::metrics_file::GameNumbers;
use super::server::{SERVER_ACTOR, SimServer};
use crate::sim::rcon::{Game, RconEvent, SimRcon};

/// How often the age of the map is set, so that `/time` goes on.
const TICKING: Duration = Duration::from_millis(100);

/// A server whose logs and RCON tell of the same game: who joins in the log is online over RCON, what is ordered over
/// RCON stands in the log. Clones are the same server.
///
/// It is created stopped; its RCON has a port already, and listens while the server runs.
#[derive(Clone)]
pub struct SimGame {
    server: Arc<Mutex<SimServer>>,
    rcon: SimRcon,
    _tasks: Arc<[AbortOnDropHandle<()>; 2]>,
}

impl SimGame {
    /// A server that has not been started: no file is touched, RCON refuses connections.
    pub async fn new(server: SimServer, password: &str, game: Game) -> io::Result<Self> {
        let server = Arc::new(Mutex::new(server));
        let quit = Arc::new(Notify::new());
        let (logs, ended) = (Arc::clone(&server), Arc::clone(&quit));
        let hook = move |event| {
            let quits = event == RconEvent::Quit;
            // Nobody waits for the writer: a log that cannot be written is told, and the game goes on.
            if let Err(error) = write(&mut lock(&logs), event) {
                tracing::warn!(%error, "A simulated server cannot write its log");
            }
            if quits {
                ended.notify_one();
            }
        };
        let rcon = SimRcon::start(password, game, hook).await?;
        rcon.stop();
        let map = Arc::clone(&server);
        rcon.before_each_command(move |game| {
            let mut server = lock(&map);
            server.nudge();
            game.age = server.map_age();
            (game.speed, game.halted) = (server.map().speed, server.map().halted);
        });
        let tasks = [
            AbortOnDropHandle::new(tokio::spawn(keep_time(Arc::clone(&server), rcon.clone()))),
            AbortOnDropHandle::new(tokio::spawn(stop_at_quit(quit, rcon.clone()))),
        ];
        Ok(Self { server, rcon, _tasks: Arc::new(tasks) })
    }

    /// The writer of the logs, for what changes nothing behind RCON: chat, deaths, saves, rotations.
    pub fn server(&self) -> MutexGuard<'_, SimServer> {
        lock(&self.server)
    }

    /// The RCON server: its address, its faults, what came.
    #[must_use]
    pub fn rcon(&self) -> &SimRcon {
        &self.rcon
    }

    /// The server starts, and RCON listens behind the ready line. It must be stopped.
    pub async fn start(&self) -> io::Result<()> {
        self.server().start()?;
        self.rcon.start_again().await?;
        self.server().rcon_is_up(self.rcon.address())
    }

    /// The server stops in order; RCON is gone.
    pub fn stop(&self) -> io::Result<()> {
        self.silence();
        self.server().stop()
    }

    /// The server dies without a word; RCON is gone.
    pub fn crash(&self) {
        self.silence();
        self.server().crash();
    }

    /// The game begins a blocking save: the map stands, and RCON is silent. It must end by [`Self::end_save`].
    pub fn begin_save(&self) {
        self.server().stall(true);
        self.rcon.set_saving(true);
    }

    /// The save is done.
    pub fn end_save(&self) {
        self.server().stall(false);
        self.rcon.set_saving(false);
    }

    /// The server stops and starts with a save that is this much older.
    pub async fn restart_with_older_save(&self, by: Duration) -> io::Result<()> {
        self.stop()?;
        self.server().roll_back(by);
        self.start().await
    }

    fn silence(&self) {
        self.rcon.stop();
        everybody_leaves(&self.rcon);
    }

    /// Whether it was started, and not stopped since.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.server().is_running()
    }

    /// Whether a player is in the game.
    #[must_use]
    pub fn is_online(&self, player: &str) -> bool {
        self.rcon.game().players.get(player).is_some_and(|player| player.online)
    }

    /// A player comes in.
    pub fn join(&self, player: &str) -> io::Result<()> {
        self.rcon.game().join(player);
        self.server().join(player)
    }

    /// A player goes.
    pub fn leave(&self, player: &str) -> io::Result<()> {
        self.rcon.game().leave(player);
        self.server().leave(player)
    }

    /// An admin in the game kicks a player.
    pub fn kick(&self, player: &str, actor: &str, reason: Option<&str>) -> io::Result<()> {
        self.rcon.game().leave(player);
        self.server().kick(player, actor, reason)
    }

    /// An admin in the game bans a player.
    pub fn ban(&self, player: &str, actor: &str, reason: Option<&str>) -> io::Result<()> {
        {
            let mut game = self.rcon.game();
            game.leave(player);
            game.bans.insert(player.to_owned());
        }
        self.server().ban(player, actor, reason)
    }

    /// An admin in the game lifts a ban.
    pub fn unban(&self, player: &str, actor: &str) -> io::Result<()> {
        self.rcon.game().bans.remove(player);
        self.server().unban(player, actor)
    }

    /// A player becomes an admin.
    pub fn promote(&self, player: &str, actor: &str) -> io::Result<()> {
        self.rcon.game().admins.insert(player.to_owned());
        self.server().promote(player, actor)
    }

    /// A player is no longer an admin.
    pub fn demote(&self, player: &str, actor: &str) -> io::Result<()> {
        self.rcon.game().admins.remove(player);
        self.server().demote(player, actor)
    }
}

fn lock(server: &Mutex<SimServer>) -> MutexGuard<'_, SimServer> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

fn everybody_leaves(rcon: &SimRcon) {
    for player in rcon.game().players.values_mut() {
        player.online = false;
    }
}

async fn keep_time(server: Arc<Mutex<SimServer>>, rcon: SimRcon) {
    let mut ticking = tokio::time::interval(TICKING);
    loop {
        ticking.tick().await;
        let age = lock(&server).map_age();
        rcon.game().age = age;
        write_metrics(&server, &rcon);
    }
}

/// What graftorio2 does, where the server has it.
fn write_metrics(server: &Mutex<SimServer>, rcon: &SimRcon) {
    let numbers = {
        let game = rcon.game();
        let progress =
            |(at, name): (usize, &String)| (name.clone(), if at == 0 { game.research.progress } else { 0.0 });
        GameNumbers {
            online: game.players.values().filter(|player| player.online).count(),
            evolution: game.surfaces.iter().map(|surface| (surface.name.to_lowercase(), surface.factor)).collect(),
            research: game.research.queue.iter().enumerate().map(progress).collect(),
            rockets: Some(game.rockets),
            ..GameNumbers::default()
        }
    };
    if let Err(error) = lock(server).write_metrics(numbers) {
        tracing::warn!(%error, "A simulated server cannot write its metrics");
    }
}

/// RCON cannot stop itself in the middle of an answer.
async fn stop_at_quit(quit: Arc<Notify>, rcon: SimRcon) {
    loop {
        quit.notified().await;
        rcon.stop();
        everybody_leaves(&rcon);
    }
}

/// What the logs say of something that came over RCON.
fn write(server: &mut SimServer, event: RconEvent) -> io::Result<()> {
    match event {
        RconEvent::Connected { from } => server.rcon_connected(from),
        RconEvent::Chat { text } => server.server_chat(&text),
        RconEvent::Shout { text } => server.shout(SERVER_ACTOR, &text),
        RconEvent::Whisper { .. } => Ok(()),
        RconEvent::Kicked { player, reason } => server.kick(&player, SERVER_ACTOR, reason.as_deref()),
        RconEvent::Banned { player, reason } => server.ban(&player, SERVER_ACTOR, reason.as_deref()),
        RconEvent::Unbanned { player } => server.unban(&player, SERVER_ACTOR),
        RconEvent::Promoted { player } if server.has_seen(&player) => server.promote(&player, SERVER_ACTOR),
        RconEvent::Promoted { player } => server.enlist_admin(&player, SERVER_ACTOR),
        RconEvent::Demoted { player } => server.demote(&player, SERVER_ACTOR),
        RconEvent::ServerSave { name } => server.save(name.as_deref()),
        RconEvent::LuaWarning { lua } => server.command_warning(SERVER_ACTOR, &lua),
        RconEvent::LuaCommand { lua } => server.command(SERVER_ACTOR, &lua),
        RconEvent::Quit => server.quit(),
    }
}

impl fmt::Debug for SimGame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimGame").field("rcon", &self.rcon).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "game_tests.rs"]
mod tests;
