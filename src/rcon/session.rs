//! One connection, from the login to its end: one command in flight.

use std::sync::Arc;
use std::time::Duration;

use metrics::histogram;
use rcon::{Builder, Connection};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::client::{Reply, Shared};
use super::command_line::CommandLine;
use super::error::RconError;
use super::guard::lua_command;
use super::queue::Request;
use super::stream::{SharedStream, Transport};
use crate::telemetry::metrics::RCON_LATENCY;

/// How the protocol's code is kept from the raw socket.
pub(super) type Guard = fn(SharedStream) -> Box<dyn Transport>;

/// How long a command in flight may take when the program stops. A game that is frozen in a save answers much later, and
/// must not hold up the stop.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// A connection that is logged in.
pub(super) struct Session {
    shared: Arc<Shared>,
    connection: Connection<Box<dyn Transport>>,
    stream: SharedStream,
}

impl Session {
    /// Connects and logs in.
    pub(super) async fn open(shared: Arc<Shared>, guard: Guard) -> Result<Self, RconError> {
        let limit = shared.times.connect;
        let target = &shared.target;
        let connecting = TcpStream::connect((target.host.as_str(), target.port));
        let no_answer = |_| RconError::Unreachable(format!("no answer within {} s", limit.as_secs_f64()));
        let tcp =
            timeout(limit, connecting).await.map_err(no_answer)?.map_err(|error| RconError::of_connect(&error))?;
        if let Err(error) = tcp.set_nodelay(true) {
            debug!(server = %target.server, %error, "The RCON socket cannot be set to send at once");
        }
        let stream = SharedStream::new(tcp);
        let login = Builder::new()
            .enable_factorio_quirks(true)
            .handshake(guard(stream.clone()), target.password.expose_secret());
        let connection = timeout(limit, login).await.map_err(|_| RconError::TimedOut(limit))?;
        let connection = connection.map_err(|error| match RconError::of_exchange(&error) {
            RconError::CutMidReply => RconError::Closed,
            other => other,
        })?;
        Ok(Self { shared, connection, stream })
    }

    /// Serves commands until the connection ends (why), or until it is told to stop (`None`). A command in flight then
    /// has [`STOP_PATIENCE`] left.
    pub(super) async fn serve(mut self, cancel: CancellationToken) -> Option<RconError> {
        loop {
            let request = tokio::select! {
                biased;
                () = cancel.cancelled() => return None,
                broken = self.stream.broken() => return Some(broken),
                request = self.shared.queue.next() => request,
            };
            if let Err(error) = self.answer(request, &cancel).await {
                return (!cancel.is_cancelled()).then_some(error);
            }
        }
    }

    async fn answer(&mut self, request: Request, cancel: &CancellationToken) -> Result<(), RconError> {
        let Request { line, timeout, started, answer } = request;
        if started.send(()).is_err() {
            return Ok(());
        }
        let give_up = async {
            cancel.cancelled().await;
            sleep(STOP_PATIENCE).await;
        };
        let reply = tokio::select! {
            reply = self.ask(&line, timeout) => reply,
            () = give_up => Err(RconError::TimedOut(STOP_PATIENCE)),
        };
        let outcome = reply.as_ref().map(|_| ()).map_err(Clone::clone);
        if outcome.is_ok() {
            self.shared.answered();
        }
        if answer.send(reply).is_err() {
            debug!(server = %self.shared.target.server, verb = line.verb(), "Nobody waits for the answer any more");
        }
        outcome
    }

    async fn ask(&mut self, line: &CommandLine, limit: Duration) -> Result<Reply, RconError> {
        let begun = Instant::now();
        let end = begun + limit;
        let mut text = self.exchange(line, (end, limit)).await?;
        if is_swallowed(line, &text) {
            info!(server = %self.shared.target.server, "The game warned of the save's first Lua command; it is sent again");
            text = self.exchange(line, (end, limit)).await?;
        }
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        Ok(Reply { text, took: begun.elapsed() })
    }

    /// One command and its answer, until `end`, which was `limit` away when the first one was sent.
    async fn exchange(&mut self, line: &CommandLine, (end, limit): (Instant, Duration)) -> Result<String, RconError> {
        let begun = Instant::now();
        let outcome = timeout_at(end, self.connection.cmd(line.as_str())).await;
        let server = &self.shared.target.server;
        histogram!(RCON_LATENCY, "server" => server.to_string()).record(begun.elapsed().as_secs_f64());
        debug!(%server, verb = line.verb(), took = ?begun.elapsed(), "An RCON command is over");
        match outcome {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(RconError::of_exchange(&error)),
            Err(_) => Err(RconError::TimedOut(limit)),
        }
    }
}

/// Whether the game did not run this Lua command but warned of it: the first one of a save, which counts when it is
/// repeated as it was.
fn is_swallowed(line: &CommandLine, reply: &str) -> bool {
    let warned = reply.contains("will disable achievements") && reply.contains("repeat the command");
    warned && lua_command(line.as_str()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lua_command_is_repeated_after_the_warning() {
        let line = |text| CommandLine::parse(text).unwrap();
        let warning = "Using Lua console commands will disable achievements. Please repeat the command to proceed.";
        assert!(is_swallowed(&line("/sc rcon.print(1)"), warning));
        assert!(!is_swallowed(&line("/whisper Bob x"), warning));
        assert!(!is_swallowed(&line("/sc rcon.print(1)"), "1"));
    }
}
