//! The reactions below messages: ⏳, ❌, ❔, 🐌, 🚫. One at a time, since Discord takes four a second.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Shared;
use crate::discord::error_class::answered_retry_after;
use crate::domain::ChannelId;
use crate::health::{Component, ComponentState, HealthRegistry};
use crate::store::{Mark, MarkChange};

/// Reactions read from the store at a time.
const PAGE: u32 = 16;
/// Discord's limit of reactions, unofficial: one in 250 ms.
const PACE: Duration = Duration::from_millis(250);
/// The wait after a failure of Discord or the network.
const RETRY: Duration = Duration::from_secs(5);
/// How long a refusal is reported without another one: Discord does not announce when the permission is granted.
const REFUSAL_LIFE: Duration = Duration::from_hours(1);
/// What the parts of health begin with that report refusals; without `/`, which names a part of a server.
const PART: &str = "reactions ";

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
    let mut refusals = Refusals::new(shared.health.clone());
    while !cancel.is_cancelled() {
        changes.borrow_and_update();
        let wanted = shared.store.mark_changes(PAGE).await?;
        if wanted.is_empty() {
            tokio::select! {
                () = cancel.cancelled() => {}
                _ = changes.changed() => {}
                () = sleep(REFUSAL_LIFE), if !refusals.since.is_empty() => refusals.forget_old(Instant::now()),
            }
            continue;
        }
        for change in wanted {
            let Some(wait) = cancel.run_until_cancelled(bring_about(shared, &change, &mut refusals)).await else {
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
async fn bring_about(shared: &Shared, change: &MarkChange, refusals: &mut Refusals) -> anyhow::Result<Duration> {
    match ask(shared, change).await {
        Reacted::Later(wait) => return Ok(wait.max(PACE * 2)),
        Reacted::Forbidden => refusals.note(change.channel, Instant::now()),
        Reacted::Done => refusals.over(change.channel),
        Reacted::Never => {}
    }
    shared.store.mark_changed(change).await?;
    Ok(PACE)
}

/// The channels in which Discord refuses reactions, as health shows them.
struct Refusals {
    health: HealthRegistry,
    /// When each channel refused last.
    since: HashMap<ChannelId, Instant>,
}

impl Refusals {
    /// None yet; reports of a run of this task that failed are removed.
    fn new(health: HealthRegistry) -> Self {
        for (component, part) in health.snapshot().into_keys() {
            if component == Component::Discord && part.starts_with(PART) {
                health.part(component, &part).remove();
            }
        }
        Self { health, since: HashMap::new() }
    }

    fn note(&mut self, channel: ChannelId, now: Instant) {
        if self.since.insert(channel, now).is_some() {
            return;
        }
        let reason = format!(
            "reactions in channel {channel} are refused: grant the bot Add Reactions and Read Message History there"
        );
        self.health.report(Component::Discord, &part(channel), ComponentState::Degraded(reason));
        warn!(%channel, "Discord refuses reactions: grant the bot Add Reactions and Read Message History");
    }

    fn over(&mut self, channel: ChannelId) {
        if self.since.remove(&channel).is_some() {
            self.health.part(Component::Discord, &part(channel)).remove();
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |at: &Instant| now.duration_since(*at) >= REFUSAL_LIFE;
        let old: Vec<_> = self.since.iter().filter(|(_, at)| is_old(at)).map(|(channel, _)| *channel).collect();
        for channel in old {
            self.over(channel);
        }
    }
}

fn part(channel: ChannelId) -> String {
    format!("{PART}{channel}")
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
    fn a_refused_reaction_is_reported_until_one_is_taken_or_an_hour_passes() {
        let health = HealthRegistry::new();
        health.report(Component::Discord, "reactions 7", ComponentState::Degraded("of an earlier run".to_owned()));
        let mut refusals = Refusals::new(health.clone());
        let reported = || health.snapshot().into_keys().map(|(_, part)| part).collect::<Vec<_>>();
        assert!(reported().is_empty());
        let channel = |id| ChannelId::new(id).unwrap();
        let start = Instant::now();
        refusals.note(channel(501), start);
        refusals.note(channel(502), start);
        assert_eq!(reported(), ["reactions 501", "reactions 502"]);
        refusals.over(channel(501));
        assert_eq!(reported(), ["reactions 502"]);
        refusals.note(channel(503), start + REFUSAL_LIFE / 2);
        refusals.forget_old(start + REFUSAL_LIFE);
        assert_eq!(reported(), ["reactions 503"]);
    }

    #[test]
    fn a_path_names_the_emoji_of_its_mark() {
        for mark in Mark::ALL {
            let bytes = in_path(mark).split('%').skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap());
            assert_eq!(String::from_utf8(bytes.collect()).unwrap(), mark.emoji());
        }
    }
}
