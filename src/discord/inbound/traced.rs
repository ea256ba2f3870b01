//! Chat into the games as spans: heard, waited, said. What is said is an `rcon.command` of the same trace.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::heard::{Heard, written_at};
use crate::domain::ServerTag;
use crate::store::QueuedChat;
use crate::telemetry::traces::Recording;
use crate::telemetry::traces::spans::{CHAT_WAIT, DISCORD_MESSAGE};

/// Somebody wrote what `games` games shall hear as `lines`, or edited it.
pub(super) fn heard(heard: &Heard, games: usize, lines: &[String], now: Timestamp) -> Option<Recording> {
    let span = Recording::begin(&DISCORD_MESSAGE, None, SystemTime::now())?;
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let channel = heard.channel.to_string();
    span.set("channel", channel.clone());
    span.set("games", count(games));
    span.set("lines", count(lines.len()));
    span.set("edit", heard.edited.is_some());
    span.set("seconds_since_written", now.duration_since(written_at(heard.id)).as_secs_f64().max(0.0));
    span.set("messaging.system", "discord");
    span.set("messaging.operation.name", "receive");
    span.set("messaging.operation.type", "receive");
    span.set("messaging.destination.name", channel);
    span.set("messaging.message.id", heard.id.to_string());
    span.set_text("text", &lines.join("\n"));
    Some(span)
}

/// How long the chat in turn has waited for a game that could not hear it.
#[derive(Debug, Default)]
pub(super) struct GameAway {
    /// Until when it is counted.
    since: Option<Timestamp>,
    waited: Duration,
}

impl GameAway {
    /// The game cannot hear now.
    pub(super) fn away(&mut self, now: Timestamp) {
        self.until(now);
        self.since = Some(now);
    }

    fn until(&mut self, now: Timestamp) {
        if let Some(since) = self.since.take() {
            self.waited += Duration::try_from(now.duration_since(since)).unwrap_or_default();
        }
    }

    /// The wait of `chat` is over; the next begins anew.
    pub(super) fn over(&mut self, chat: &QueuedChat, server: &ServerTag, now: Timestamp, outcome: Waited) {
        self.until(now);
        let away = std::mem::take(self).waited;
        // Further lines of one chat wait for the lines before them.
        if chat.said > 0 || chat.cuts > 0 {
            return;
        }
        let Some(trace) = chat.trace else { return };
        let Some(span) = Recording::begin(&CHAT_WAIT, Some(trace), system(chat.written_at)) else { return };
        let total = now.duration_since(chat.written_at).as_secs_f64().max(0.0);
        span.set("server", server.to_string());
        span.set("lines", i64::try_from(chat.lines.len()).unwrap_or(i64::MAX));
        span.set("waited.total_seconds", total);
        span.set("waited.game_seconds", away.as_secs_f64().min(total));
        match outcome {
            Waited::Sent => span.set("outcome", "sent"),
            Waited::Expired => {
                span.set("outcome", "expired");
                span.fail("expired", &"the game was away for too long");
            }
        }
        span.end_at(system(now));
    }
}

fn system(at: Timestamp) -> SystemTime {
    let since_1970 = at.duration_since(Timestamp::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + Duration::try_from(since_1970).unwrap_or_default()
}

/// How a wait ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Waited {
    /// It goes to the game.
    Sent,
    /// It waited too long.
    Expired,
}
