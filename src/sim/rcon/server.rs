//! The listener: logins, commands, stalls and faults.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::faults::Fault;
use super::game::{Game, RconEvent};
use super::wire::{COMMAND, LOGIN, NoPacket, Packet, frame, take_packet};
use crate::sim::port::ReservedPort;

/// What came over all connections so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// TCP connections: each is a line in a real server's log.
    pub connects: u64,
    /// Logins with the right password.
    pub logins: u64,
    /// Connections that are open now.
    pub open: usize,
    /// Every command and every plain text, as it came.
    pub commands: Vec<String>,
    /// Commands answered whole.
    pub answered: u64,
    /// Packets a client of Factorio must not send: empty commands, other types, the id 0.
    pub improper: u64,
}

impl Seen {
    /// What came to be said, and is no command.
    #[must_use]
    pub fn chats(&self) -> Vec<&str> {
        self.commands.iter().map(String::as_str).filter(|text| !text.starts_with('/')).collect()
    }

    /// The commands among them that disable achievements.
    #[must_use]
    pub fn lua_commands(&self) -> Vec<&str> {
        let lua = ["c", "command", "sc", "silent-command", "mc", "measured-command", "editor", "cheat"];
        let word = |text: &str| text.trim_start().strip_prefix('/')?.split_whitespace().next().map(str::to_lowercase);
        let is_lua = |text: &&str| word(text).is_some_and(|word| lua.contains(&word.as_str()));
        self.commands.iter().map(String::as_str).filter(is_lua).collect()
    }
}

type Hook = Arc<dyn Fn(RconEvent) + Send + Sync>;
type Before = Arc<dyn Fn(&mut Game) + Send + Sync>;

struct Inner {
    port: ReservedPort,
    password: String,
    game: Mutex<Game>,
    fault: watch::Sender<Fault>,
    saving: watch::Sender<bool>,
    seen: watch::Sender<Seen>,
    hook: Hook,
    before: Mutex<Option<Before>>,
    running: Mutex<Running>,
}

/// One run of the listener.
#[derive(Default)]
struct Running {
    stop: CancellationToken,
    listener: Option<JoinHandle<()>>,
}

/// An RCON server on 127.0.0.1. Clones are the same one; it runs until [`SimRcon::stop`] or the runtime's end.
#[derive(Clone)]
pub struct SimRcon {
    inner: Arc<Inner>,
}

impl SimRcon {
    /// Listens on a free port. `hook` hears what a real server would write into its logs.
    pub async fn start(
        password: &str,
        game: Game,
        hook: impl Fn(RconEvent) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let port = ReservedPort::reserve(0)?;
        let listener = port.listen().await?;
        let inner = Inner {
            port,
            password: password.to_owned(),
            game: Mutex::new(game),
            fault: watch::Sender::default(),
            saving: watch::Sender::default(),
            seen: watch::Sender::default(),
            hook: Arc::new(hook),
            before: Mutex::default(),
            running: Mutex::default(),
        };
        let sim = Self { inner: Arc::new(inner) };
        sim.listen(listener);
        Ok(sim)
    }

    /// Where it listens, also while it is stopped.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.port.address()
    }

    /// The state of the game, to look at and to change.
    pub fn game(&self) -> MutexGuard<'_, Game> {
        self.inner.game.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the game up to date before each command.
    pub fn before_each_command(&self, before: impl Fn(&mut Game) + Send + Sync + 'static) {
        *self.before() = Some(Arc::new(before));
    }

    fn before(&self) -> MutexGuard<'_, Option<Before>> {
        self.inner.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, text: &str, events: &mut Vec<RconEvent>) -> String {
        let before = self.before().clone();
        let mut game = self.game();
        if let Some(before) = before {
            before(&mut game);
        }
        game.run(text, events)
    }

    /// How answers are spoiled from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.inner.fault.send_replace(fault);
    }

    /// The game saves and answers nobody, until told that it is done.
    pub fn set_saving(&self, saving: bool) {
        self.inner.saving.send_replace(saving);
    }

    /// What came so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.inner.seen.borrow().clone()
    }

    /// Waits until what came meets `condition`.
    pub async fn until(&self, condition: impl FnMut(&Seen) -> bool) {
        let mut seen = self.inner.seen.subscribe();
        // The sender lives as long as `self`.
        drop(seen.wait_for(condition).await);
    }

    /// The game is gone: nothing listens, all connections are closed.
    pub fn stop(&self) {
        self.running().stop.cancel();
    }

    /// Closes all connections, as a network may, and goes on listening.
    pub async fn cut_connections(&self) -> io::Result<()> {
        self.stop();
        self.start_again().await
    }

    /// The game is back, on the same port.
    pub async fn start_again(&self) -> io::Result<()> {
        self.until(|seen| seen.open == 0).await;
        let before = self.running().listener.take();
        if let Some(listener) = before {
            listener.await.map_err(io::Error::other)?;
        }
        self.listen(self.inner.port.listen().await?);
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, listener: TcpListener) {
        let stop = CancellationToken::new();
        let accepting = self.clone().accept(listener, stop.clone());
        *self.running() = Running { stop, listener: Some(tokio::spawn(accepting)) };
    }

    async fn accept(self, listener: TcpListener, stop: CancellationToken) {
        while let Some(Ok((stream, from))) = stop.run_until_cancelled(listener.accept()).await {
            self.count(|seen| {
                seen.connects += 1;
                seen.open += 1;
            });
            (self.inner.hook)(RconEvent::Connected { from });
            tokio::spawn(self.clone().connection(stream, stop.clone()));
        }
    }

    fn count(&self, change: impl FnOnce(&mut Seen)) {
        self.inner.seen.send_modify(change);
    }

    async fn connection(self, stream: TcpStream, stop: CancellationToken) {
        // Whether the peer or the server ended it is all the same here.
        let _ended = stop.run_until_cancelled(self.serve(stream)).await;
        self.count(|seen| seen.open -= 1);
    }

    async fn serve(&self, mut stream: TcpStream) -> Result<(), Over> {
        let (mut received, mut logged_in) = (Vec::new(), false);
        loop {
            let mut commands = Vec::new();
            while let Some(packet) = take_packet(&mut received)? {
                match packet.kind {
                    LOGIN => logged_in = self.log_in(&mut stream, &packet).await?,
                    COMMAND if logged_in && !packet.body.is_empty() => commands.push(packet),
                    COMMAND if !logged_in => return Err(Over),
                    _ => self.count(|seen| seen.improper += 1),
                }
            }
            for packet in self.in_answering_order(commands) {
                self.answer(&mut stream, &packet).await?;
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
    }

    /// With a player in the game, a short command overtakes a long one that came in the same breath.
    fn in_answering_order(&self, mut commands: Vec<Packet>) -> Vec<Packet> {
        if self.game().anybody_online() {
            commands.sort_by_key(|packet| packet.body.len());
        }
        commands
    }

    async fn log_in(&self, stream: &mut TcpStream, packet: &Packet) -> Result<bool, Over> {
        self.not_saving().await;
        self.without_fault(Fault::HangLogin).await;
        let right = packet.body == self.inner.password;
        if right {
            self.count(|seen| seen.logins += 1);
        }
        stream.write_all(&frame(if right { packet.id } else { -1 }, COMMAND, b"")).await?;
        Ok(right)
    }

    async fn answer(&self, stream: &mut TcpStream, packet: &Packet) -> Result<(), Over> {
        self.count(|seen| {
            seen.commands.push(packet.body.clone());
            seen.improper += u64::from(packet.id == 0);
        });
        self.not_saving().await;
        self.without_fault(Fault::Hang).await;
        let mut events = Vec::new();
        let text = self.run(&packet.body, &mut events);
        for event in events {
            (self.inner.hook)(event);
        }
        let fault = *self.inner.fault.borrow();
        if let Some(delay) = fault.delay(&packet.body) {
            sleep(delay).await;
        }
        let answer = fault.spoil(packet.id, text.as_bytes());
        stream.write_all(&answer.bytes).await?;
        if answer.closes {
            return Err(Over);
        }
        self.count(|seen| seen.answered += 1);
        Ok(())
    }

    async fn not_saving(&self) {
        let mut saving = self.inner.saving.subscribe();
        // The sender lives as long as `self`.
        drop(saving.wait_for(|saving| !saving).await);
    }

    async fn without_fault(&self, fault: Fault) {
        let mut now = self.inner.fault.subscribe();
        // The sender lives as long as `self`.
        drop(now.wait_for(|now| *now != fault).await);
    }
}

impl fmt::Debug for SimRcon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRcon").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// The connection is over.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl From<NoPacket> for Over {
    fn from(_: NoPacket) -> Self {
        Self
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
