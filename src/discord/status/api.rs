//! The few requests it takes, and what Discord's answers mean here.

use std::time::Duration;

use serde_json::{Value, json};

use super::embed::Embed;
use crate::delivery::{Outcome, RetryScope};
use crate::discord::error_class::classify;
use crate::discord::rest::{Answer, Rest, Unanswered};
use crate::domain::ChannelId;
use crate::store::StatusMessage;

/// The first wait after a failure that does not say how long; it doubles up to `RETRY_LONGEST`.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It is done; the id is of the message it was about.
    Done(u64),
    /// There is no such message any more.
    Gone,
    /// Not now.
    Later {
        /// Discord's own wish.
        after: Option<Duration>,
        /// Whether everything is to wait.
        everywhere: bool,
        /// For people.
        reason: String,
    },
    /// Not until somebody changes something.
    Refused(String),
}

/// Puts the message there. Discord answers a repeated nonce with the message it has.
pub(super) async fn post(rest: &Rest, message: &StatusMessage, embed: &Embed) -> Said {
    let mut payload = payload(embed);
    payload["nonce"] = json!(message.nonce);
    payload["enforce_nonce"] = json!(true);
    let path = format!("/channels/{}/messages", message.channel);
    said(message.channel, rest.post(&path, &payload, None).await)
}

/// Changes the message in place.
pub(super) async fn edit(rest: &Rest, channel: ChannelId, message: u64, embed: &Embed) -> Said {
    let path = format!("/channels/{channel}/messages/{message}");
    said(channel, rest.patch(&path, &payload(embed), None).await)
}

/// Takes the message away.
pub(super) async fn delete(rest: &Rest, channel: ChannelId, message: u64) -> Said {
    said(channel, rest.delete(&format!("/channels/{channel}/messages/{message}")).await)
}

/// Gives the channel a topic, and a name where there is one.
pub(super) async fn retitle(rest: &Rest, channel: ChannelId, topic: &str, name: Option<&str>) -> Said {
    let mut payload = json!({ "topic": topic });
    if let Some(name) = name {
        payload["name"] = json!(name);
    }
    said(channel, rest.patch(&format!("/channels/{channel}"), &payload, None).await)
}

/// The newest of the bot's own messages among the 100 after `after` (or the last 100) whose footer begins with `mark`.
/// `Ok(None)` also where the bot may not read there.
pub(super) async fn find(rest: &Rest, channel: ChannelId, after: Option<u64>, mark: &str) -> Result<Option<u64>, Said> {
    let me = read(channel, rest.get("/users/@me").await)?;
    let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
    let listed = match read(channel, rest.get(&format!("/channels/{channel}/messages?limit=100{after}")).await) {
        Ok(listed) => listed,
        Err(Said::Refused(_) | Said::Gone) => return Ok(None),
        Err(later) => return Err(later),
    };
    let is_it = |message: &&Value| {
        let footer = message["embeds"][0]["footer"]["text"].as_str();
        message["author"]["id"] == me["id"] && footer.is_some_and(|footer| footer.starts_with(mark))
    };
    let found = listed.as_array().into_iter().flatten().filter(is_it).filter_map(id_of);
    Ok(found.max())
}

/// How long to wait after so many failures in a row.
pub(super) fn backoff(failures: u32, after: Option<Duration>) -> Duration {
    let doubled = RETRY.saturating_mul(1 << failures.min(6)).min(RETRY_LONGEST);
    after.map_or(doubled, |after| after.max(Duration::from_millis(500)))
}

/// Nobody is pinged, at a post or at an edit, which parses mentions anew.
fn payload(embed: &Embed) -> Value {
    json!({ "content": "", "embeds": [embed], "allowed_mentions": { "parse": [] } })
}

fn id_of(message: &Value) -> Option<u64> {
    message["id"].as_str()?.parse().ok()
}

fn read(channel: ChannelId, answer: Result<Answer, Unanswered>) -> Result<Value, Said> {
    match answer {
        Ok(answer) if answer.status.is_success() => answer.json().ok_or_else(|| Said::Later {
            after: None,
            everywhere: false,
            reason: "Discord's answer cannot be read".to_owned(),
        }),
        other => Err(said(channel, other)),
    }
}

fn said(channel: ChannelId, answer: Result<Answer, Unanswered>) -> Said {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Said::Later { after: None, everywhere: true, reason: error.to_string() },
    };
    let code = answer.json::<Value>().and_then(|body| body["code"].as_i64());
    if !answer.status.is_success() && matches!(code, Some(10008 | 50005)) {
        return Said::Gone;
    }
    match classify(channel, answer.status, &answer.headers, &answer.body) {
        Outcome::Delivered { message_id, .. } => Said::Done(message_id),
        Outcome::Gone { .. } => Said::Gone,
        Outcome::Rejected { reason, .. } => Said::Refused(reason),
        Outcome::Retry { after, scope, reason, .. } => {
            Said::Later { after, everywhere: scope == RetryScope::Global, reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_unless_discord_says_how_long() {
        let waits: Vec<u64> = (0..7).map(|failures| backoff(failures, None).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 30, 30, 30, 30]);
        assert_eq!(backoff(9, Some(Duration::from_secs(3))), Duration::from_secs(3));
        assert_eq!(backoff(0, Some(Duration::ZERO)), Duration::from_millis(500));
    }
}
