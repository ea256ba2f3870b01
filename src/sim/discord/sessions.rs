//! The gateway's sessions: who hears what, and what a session that comes back has missed.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::gateway_faults::GatewayEnd;
use super::server::Peer;

/// Intent GUILDS.
pub(super) const GUILDS: u64 = 1;
/// Intent `GUILD_MESSAGES`.
pub(super) const GUILD_MESSAGES: u64 = 1 << 9;
/// Intent `MESSAGE_CONTENT`, privileged.
pub(super) const MESSAGE_CONTENT: u64 = 1 << 15;

/// Frames that wait for a client that does not read; beyond, its connection is cut.
pub(super) const SOCKET_QUEUE: usize = 8192;

/// Sessions without a connection that are still known; beyond, the oldest can no longer be resumed.
const WAITING_SESSIONS: usize = 8;

/// What a connection's task is told to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Send a text frame.
    Send(String),
    /// End the connection in this way, or stop serving it.
    End(GatewayEnd),
}

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    pub(super) queue: mpsc::Sender<Command>,
    pub(super) peer: Peer,
}

impl Socket {
    /// Queues a command; a connection that does not keep up is cut.
    pub(super) fn order(&self, command: Command) {
        if self.queue.try_send(command).is_err() {
            self.peer.cut();
        }
    }
}

#[derive(Debug)]
struct Session {
    intents: u64,
    sequence: u64,
    /// Sequence and frame of the last dispatches.
    sent: VecDeque<(u64, String)>,
    socket: Option<(u64, Socket)>,
}

/// All sessions, connected or waiting to be resumed, and all connections.
#[derive(Debug)]
pub(super) struct Sessions {
    known: BTreeMap<String, Session>,
    sockets: BTreeMap<u64, Socket>,
    opened: u64,
    begun: u64,
    replay: usize,
}

impl Sessions {
    /// `replay` is how many dispatches a session can be told again.
    pub(super) fn new(replay: usize) -> Self {
        Self { known: BTreeMap::new(), sockets: BTreeMap::new(), opened: 0, begun: 0, replay }
    }

    /// A connection is open.
    pub(super) fn open(&mut self, socket: Socket) -> u64 {
        self.opened += 1;
        self.sockets.insert(self.opened, socket);
        self.opened
    }

    /// A connection is gone. `ended` if the client said goodbye (close 1000 or 1001), which ends its session too.
    pub(super) fn close(&mut self, socket: u64, ended: bool) {
        self.sockets.remove(&socket);
        self.known.retain(|_, session| {
            let here = session.socket.as_ref().is_some_and(|(id, _)| *id == socket);
            if here {
                session.socket = None;
            }
            !(here && ended)
        });
    }

    /// Open connections.
    pub(super) fn open_sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Sessions that have a connection.
    pub(super) fn connected(&self) -> usize {
        self.known.values().filter(|session| session.socket.is_some()).count()
    }

    /// Begins a session on a connection; returns its id.
    pub(super) fn begin(&mut self, socket: u64, intents: u64) -> String {
        self.drop_oldest_waiting();
        self.begun += 1;
        let id = format!("{:032x}", self.begun);
        let sender = self.sockets.get(&socket).cloned().map(|sender| (socket, sender));
        self.known.insert(id.clone(), Session { intents, sequence: 0, sent: VecDeque::new(), socket: sender });
        id
    }

    fn drop_oldest_waiting(&mut self) {
        let waiting = || self.known.iter().filter(|(_, session)| session.socket.is_none());
        if waiting().count() < WAITING_SESSIONS {
            return;
        }
        if let Some(oldest) = waiting().next().map(|(id, _)| id.clone()) {
            self.known.remove(&oldest);
        }
    }

    /// Goes on with a session on another connection and repeats what came after `sequence`.
    /// `false` if the session is unknown or has forgotten that far back.
    pub(super) fn resume(&mut self, id: &str, sequence: u64, socket: u64) -> bool {
        let Some(session) = self.known.get_mut(id) else { return false };
        let forgotten = session.sent.front().map_or(session.sequence, |(first, _)| first - 1);
        if sequence < forgotten || sequence > session.sequence {
            return false;
        }
        session.socket = self.sockets.get(&socket).cloned().map(|sender| (socket, sender));
        let missed: Vec<String> =
            session.sent.iter().filter(|(at, _)| *at > sequence).map(|(_, frame)| frame.clone()).collect();
        for frame in missed {
            session.send(frame);
        }
        true
    }

    /// An event for one session.
    pub(super) fn dispatch_to(&mut self, id: &str, event: &str, data: &Value) {
        if let Some(session) = self.known.get_mut(id) {
            session.dispatch(event, data, self.replay);
        }
    }

    /// An event for every session with these intents; `data` may depend on the session's intents.
    pub(super) fn dispatch(&mut self, needs: u64, event: &str, data: impl Fn(u64) -> Value) {
        for session in self.known.values_mut().filter(|session| session.intents & needs == needs) {
            session.dispatch(event, &data(session.intents), self.replay);
        }
    }

    /// Every connection is told the same.
    pub(super) fn command_all(&self, command: impl Fn() -> Command) {
        for socket in self.sockets.values() {
            socket.order(command());
        }
    }

    /// Every connection ends without a word.
    pub(super) fn cut_all(&self) {
        for socket in self.sockets.values() {
            socket.peer.cut();
        }
    }

    /// Forgets a session: it cannot be resumed.
    pub(super) fn forget_one(&mut self, id: &str) {
        self.known.remove(id);
    }

    /// Forgets all sessions: none can be resumed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

impl Session {
    fn dispatch(&mut self, event: &str, data: &Value, replay: usize) {
        self.sequence += 1;
        let frame = json!({ "op": 0, "t": event, "s": self.sequence, "d": data }).to_string();
        self.sent.push_back((self.sequence, frame.clone()));
        while self.sent.len() > replay {
            self.sent.pop_front();
        }
        self.send(frame);
    }

    fn send(&mut self, frame: String) {
        if let Some((_, socket)) = &self.socket {
            socket.order(Command::Send(frame));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(sessions: &mut Sessions) -> (u64, mpsc::Receiver<Command>) {
        let (queue, receiver) = mpsc::channel(16);
        (sessions.open(Socket { queue, peer: Peer::default() }), receiver)
    }

    fn sequences(receiver: &mut mpsc::Receiver<Command>) -> Vec<u64> {
        let mut seen = Vec::new();
        while let Ok(Command::Send(frame)) = receiver.try_recv() {
            let frame: Value = serde_json::from_str(&frame).unwrap();
            seen.push(frame["s"].as_u64().unwrap());
        }
        seen
    }

    #[test]
    fn resumed_session_hears_what_it_missed() {
        let mut sessions = Sessions::new(10);
        let (first, mut heard) = connected(&mut sessions);
        let id = sessions.begin(first, 0);
        sessions.dispatch(0, "A", |_| Value::Null);
        sessions.close(first, false);
        sessions.dispatch(0, "B", |_| Value::Null);
        sessions.dispatch(0, "C", |_| Value::Null);
        assert_eq!(sequences(&mut heard), [1]);

        let (second, mut heard) = connected(&mut sessions);
        assert!(sessions.resume(&id, 1, second));
        assert_eq!(sequences(&mut heard), [2, 3]);
    }

    #[test]
    fn session_that_missed_too_much_cannot_resume() {
        let mut sessions = Sessions::new(2);
        let (socket, _heard) = connected(&mut sessions);
        let id = sessions.begin(socket, 0);
        for _ in 0..4 {
            sessions.dispatch(0, "A", |_| Value::Null);
        }
        assert!(!sessions.resume(&id, 1, socket));
        assert!(!sessions.resume(&id, 5, socket), "it never heard number 5");
        assert!(sessions.resume(&id, 2, socket));
    }

    #[test]
    fn sessions_nobody_resumes_are_forgotten_from_the_oldest_on() {
        let mut sessions = Sessions::new(2);
        let mut abandoned = || {
            let (socket, _heard) = connected(&mut sessions);
            let id = sessions.begin(socket, 0);
            sessions.close(socket, false);
            id
        };
        let ids: Vec<String> = (0..WAITING_SESSIONS).map(|_| abandoned()).collect();
        let (socket, _heard) = connected(&mut sessions);
        sessions.begin(socket, 0);
        assert!(!sessions.resume(&ids[0], 0, socket));
        assert!(sessions.resume(&ids[1], 0, socket));
    }

    #[test]
    fn session_ends_when_its_client_says_goodbye() {
        let mut sessions = Sessions::new(2);
        let (socket, _heard) = connected(&mut sessions);
        let id = sessions.begin(socket, 0);
        sessions.close(socket, true);
        assert!(!sessions.resume(&id, 0, socket));
    }
}
