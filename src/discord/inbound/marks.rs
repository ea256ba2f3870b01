//! The reactions below messages: ⏳, ❌, ❔, 🐌, 🚫. One at a time, since Discord takes four a second.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Shared;
use crate::discord::error_class::answered_retry_after;
use crate::domain::ChannelId;
use crate::health::Component;
use crate::store::{Mark, MarkChange};

/// Reactions read from the store at a time.
const PAGE: u32 = 16;
/// Discord's limit of reactions, unofficial: one in 250 ms.
const PACE: Duration = Duration::from_millis(250);
/// The wait after a failure of Discord or the network.
const RETRY: Duration = Duration::from_secs(5);

/// What Discord said to a reaction.
enum Reacted {
    /// It is as it should be.
    Done,
    /// The bot may not react there.
    Forbidden,
    /// Never: the message is gone.
    Never,
    /// Not now.
    Later(Duration),
}

/// Brings reactions to what the store wants, until `cancel`.
pub(super) async fn react(shared: &Shared, cancel: &CancellationToken) -> anyhow::Result<()> {
    let mut changes = shared.store.inbound();
    let mut forbidden = HashSet::new();
    while !cancel.is_cancelled() {
        changes.borrow_and_update();
        let wanted = shared.store.mark_changes(PAGE).await?;
        if wanted.is_empty() {
            let _stopped = cancel.run_until_cancelled(changes.changed()).await;
            continue;
        }
        for change in wanted {
            let Some(wait) = cancel.run_until_cancelled(bring_about(shared, &change, &mut forbidden)).await else {
                return Ok(());
            };
            let wait = wait?;
            let _stopped = cancel.run_until_cancelled(sleep(wait)).await;
            if wait > PACE {
                break;
            }
        }
    }
    Ok(())
}

/// Answers how long to wait before the next.
async fn bring_about(
    shared: &Shared,
    change: &MarkChange,
    forbidden: &mut HashSet<ChannelId>,
) -> anyhow::Result<Duration> {
    match ask(shared, change).await {
        Reacted::Later(wait) => return Ok(wait.max(PACE * 2)),
        Reacted::Forbidden => {
            if forbidden.insert(change.channel) {
                say_forbidden(shared, change.channel);
            }
        }
        Reacted::Done => {
            if forbidden.remove(&change.channel) {
                shared.health.part(Component::Discord, &part(change.channel)).remove();
            }
        }
        Reacted::Never => {}
    }
    shared.store.mark_changed(change).await?;
    Ok(PACE)
}

fn part(channel: ChannelId) -> String {
    format!("{channel}/reactions")
}

fn say_forbidden(shared: &Shared, channel: ChannelId) {
    let reason =
        format!("cannot mark messages in channel {channel}: grant Add Reactions and Read Message History there");
    shared.health.part(Component::Discord, &part(channel)).degraded(reason);
    warn!(%channel, "Cannot mark messages: grant Add Reactions and Read Message History");
}

/// The emoji as a path has it: its bytes in percent form.
fn in_path(mark: Mark) -> &'static str {
    match mark {
        Mark::Waiting => "%E2%8F%B3",
        Mark::Failed => "%E2%9D%8C",
        Mark::Doubt => "%E2%9D%94",
        Mark::Flood => "%F0%9F%90%8C",
        Mark::NotRelayed => "%F0%9F%9A%AB",
    }
}

async fn ask(shared: &Shared, change: &MarkChange) -> Reacted {
    let emoji = in_path(change.mark);
    let path = format!("/channels/{}/messages/{}/reactions/{emoji}/@me", change.channel, change.message);
    let answer = if change.wanted { shared.rest.put_empty(&path).await } else { shared.rest.delete(&path).await };
    match answer {
        Err(error) => {
            debug!(%error, "A reaction waits for Discord");
            Reacted::Later(RETRY)
        }
        Ok(answer) if answer.status.is_success() => Reacted::Done,
        Ok(answer) => match answer.status {
            StatusCode::FORBIDDEN => Reacted::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => {
                Reacted::Later(answered_retry_after(&answer.headers, &answer.body).unwrap_or(RETRY))
            }
            StatusCode::UNAUTHORIZED => Reacted::Later(RETRY * 12),
            status if status.is_server_error() => Reacted::Later(RETRY),
            status => {
                debug!(status = status.as_u16(), "A message cannot be marked");
                Reacted::Never
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_emoji_of_its_mark() {
        for mark in Mark::ALL {
            let bytes = in_path(mark).split('%').skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap());
            assert_eq!(String::from_utf8(bytes.collect()).unwrap(), mark.emoji());
        }
    }
}
