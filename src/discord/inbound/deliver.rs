//! The store to one game: line by line, in order, for as long as each may wait.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use metrics::{counter, gauge, histogram};
use tokio::pin;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Shared;
use super::traced::{GameAway, Waited};
use crate::rcon::{ChatText, Command, LinkState, Priority, RconClient, RconError};
use crate::store::{LineEnd, QueuedChat};
use crate::telemetry::metrics::{INBOUND_CHATS, INBOUND_LATENCY, INBOUND_WAITING};
use crate::telemetry::traces;

/// What a game may take before its chat is marked as waiting: a save blocks it for so long now and then.
const GRACE: Duration = Duration::from_secs(3);
/// The longest that chat is held back on purpose, the longest `chat.delay`.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// The wait between attempts while a game is down.
const RETRY: Duration = Duration::from_millis(500);

/// What became of an attempt to say a line.
enum Told {
    /// It is over with.
    Over(LineEnd),
    /// It was sent, and its answer was cut off.
    Cut(RconError),
    /// The game cannot hear it now.
    NotNow(RconError),
}

/// Says what waits for `game` until `cancel`.
pub(super) async fn say_all(shared: &Shared, game: &RconClient, cancel: &CancellationToken) -> anyhow::Result<()> {
    let (store, server) = (&shared.store, game.server());
    let mut changes = store.inbound();
    let mut link = game.link();
    let mut away = GameAway::default();
    while !cancel.is_cancelled() {
        changes.borrow_and_update();
        gauge!(INBOUND_WAITING, "server" => server.to_string()).set(store.chats_waiting(server).await? as f64);
        let now = shared.clock.now();
        let Some(chat) = store.next_chat(server, now).await? else {
            let _stopped = cancel.run_until_cancelled(changes.changed()).await;
            continue;
        };
        if let Some(wait) = until_due(&chat, now) {
            tokio::select! {
                () = cancel.cancelled() => {}
                _ = changes.changed() => {}
                () = sleep(wait) => {}
            }
            continue;
        }
        if age(&chat, shared.clock.now()) > shared.chat.ttl {
            store.expire(&chat, shared.clock.now()).await?;
            away.over(&chat, server, shared.clock.now(), Waited::Expired);
            counter!(INBOUND_CHATS, "server" => server.to_string(), "outcome" => "expired").increment(1);
            continue;
        }
        link.borrow_and_update();
        let sent_at = shared.clock.now();
        let told = say(shared, game, &chat).await?;
        match &told {
            Told::NotNow(_) => away.away(sent_at),
            Told::Over(_) | Told::Cut(_) => away.over(&chat, server, sent_at, Waited::Sent),
        }
        match told {
            Told::Over(end) => {
                over(shared, game, &chat, end).await?;
                continue;
            }
            Told::Cut(error) => {
                debug!(%server, %error, "A line of chat was sent, its answer was cut off, and it is sent once more");
                store.answer_cut(&chat).await?;
            }
            Told::NotNow(error) => debug!(%server, %error, "Chat waits for the game"),
        }
        store.mark_waiting(server, shared.clock.now()).await?;
        tokio::select! {
            () = cancel.cancelled() => {}
            moved = link.changed() => if moved.is_err() { sleep(RETRY).await },
            () = sleep(RETRY) => {}
        }
    }
    Ok(())
}

/// `None` where it may be said. No delay is longer than the longest, unless the clock was set back.
fn until_due(chat: &QueuedChat, now: Timestamp) -> Option<Duration> {
    let wait = Duration::try_from(chat.due_at.duration_since(now)).ok()?;
    (!wait.is_zero() && wait <= LONGEST_DELAY).then_some(wait)
}

fn age(chat: &QueuedChat, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(chat.written_at).max(SignedDuration::ZERO)).unwrap_or_default()
}

/// Says the next line of `chat`. Whoever waits for long is marked meanwhile.
async fn say(shared: &Shared, game: &RconClient, chat: &QueuedChat) -> anyhow::Result<Told> {
    let Some(text) = chat.lines.get(chat.said).and_then(|line| ChatText::new(line).ok()) else {
        return Ok(Told::Over(LineEnd::Said));
    };
    if let Some(error) = not_connected(game).await {
        return Ok(Told::NotNow(error));
    }
    let sent = traces::below(chat.trace, game.command(Priority::Person, Command::Say { text }, None));
    pin!(sent);
    let outcome = if let Ok(outcome) = timeout(GRACE, &mut sent).await {
        outcome
    } else {
        shared.store.mark_waiting(game.server(), shared.clock.now()).await?;
        sent.await
    };
    Ok(outcome.err().map_or(Told::Over(LineEnd::Said), |error| told(game, chat, error)))
}

/// Why there is no connection, once it has had a moment to come about.
async fn not_connected(game: &RconClient) -> Option<RconError> {
    let mut link = game.link();
    let settled = link.wait_for(|state| *state != LinkState::Connecting);
    let state = match timeout(GRACE, settled).await {
        Ok(Ok(state)) => state.clone(),
        Ok(Err(_)) => LinkState::Stopping,
        Err(_) => return Some(RconError::WaitedTooLong(GRACE)),
    };
    match state {
        LinkState::Down(error) => Some(error),
        LinkState::Stopping => Some(RconError::Stopping),
        LinkState::Up | LinkState::Connecting => None,
    }
}

/// A game that does not answer in time is saving, and says the line behind the save: it is not sent twice. Nor is one
/// whose answer could not be read: it was heard. One that was cut off has stopped, or its network has: the line is sent
/// once more, and no more than that, since something in between may cut every answer.
fn told(game: &RconClient, chat: &QueuedChat, error: RconError) -> Told {
    let server = game.server();
    match error {
        error @ RconError::CutMidReply if chat.cuts == 0 => Told::Cut(error),
        error if error.may_have_run() => {
            debug!(%server, %error, "A line of chat was sent, and whether the game heard it is not known");
            Told::Over(LineEnd::InDoubt)
        }
        error @ (RconError::LuaNotAllowed { .. }
        | RconError::EmptyCommand
        | RconError::TooLong { .. }
        | RconError::NotOneLine) => {
            warn!(%server, %error, "A line of chat cannot be said");
            Told::Over(LineEnd::Said)
        }
        error => Told::NotNow(error),
    }
}

async fn over(shared: &Shared, game: &RconClient, chat: &QueuedChat, end: LineEnd) -> anyhow::Result<()> {
    let now = shared.clock.now();
    let said = shared.store.line_over(chat, end, now).await?;
    if said.whole {
        let (server, outcome) = (game.server().to_string(), if said.in_doubt { "doubt" } else { "said" });
        histogram!(INBOUND_LATENCY).record(age(chat, now).as_secs_f64());
        counter!(INBOUND_CHATS, "server" => server, "outcome" => outcome).increment(1);
    }
    Ok(())
}
