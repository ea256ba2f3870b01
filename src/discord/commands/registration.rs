//! Tells Discord which commands there are: in each configured guild, only when that has changed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::health::Component;
use crate::store::Store;
use crate::telemetry::metrics::{ErrorType, count_error};

use super::super::rest::{Answer, Rest, Unanswered};
use super::options::OptionSpec;
use super::{ALONE, COMMANDS, GROUP, SlashCommand, options_of};

/// The wait before the first new try; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait between tries.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// The commands as Discord takes them.
pub(super) fn payload() -> Value {
    let is_alone = |command: &&dyn SlashCommand| ALONE.contains(&command.name());
    let (alone, grouped): (Vec<_>, Vec<_>) = COMMANDS.into_iter().partition(is_alone);
    let subcommands: Vec<Value> = grouped.into_iter().map(describe).collect();
    let group = json!({
        "name": GROUP, "description": "Ask and command the Factorio servers", "type": 1, "options": subcommands,
    });
    let alone = alone.into_iter().map(describe);
    std::iter::once(group).chain(alone).collect()
}

fn describe(command: &dyn SlashCommand) -> Value {
    let options: Vec<Value> = options_of(command).map(OptionSpec::json).collect();
    json!({ "name": command.name(), "description": command.description(), "type": 1, "options": options })
}

/// FNV-1a, 64 bits: the same in every version of the program.
fn fingerprint(payload: &Value) -> String {
    let hash = payload
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Registers until it is done, or until `cancel`.
pub(super) async fn register(rest: &Rest, store: &Store, guilds: &[u64], cancel: &CancellationToken) {
    if guilds.is_empty() {
        info!("No slash commands: `discord.guild_id` names no Discord server");
    }
    let mut wait = FIRST_WAIT;
    while let Err(reason) = register_all(rest, store, guilds).await {
        warn!(reason, retry_in = ?wait, "The slash commands cannot be registered");
        if cancel.run_until_cancelled(sleep(wait)).await.is_none() {
            return;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Every guild is tried, also behind one that fails.
async fn register_all(rest: &Rest, store: &Store, guilds: &[u64]) -> Result<(), String> {
    let me = accepted(rest.get("/oauth2/applications/@me").await)?;
    let application = me.json::<Value>().and_then(|me| me["id"].as_str()?.parse::<u64>().ok());
    let application = application.ok_or("Discord does not say who the bot is")?;
    let present = store.registrations(application).await.map_err(|error| error.to_string())?;
    let (payload, nothing) = (payload(), json!([]));
    let print = fingerprint(&payload);
    let missing = guilds.iter().filter(|guild| !present.contains(&(**guild, print.clone())));
    let stale = present.iter().map(|(guild, _)| guild).filter(|guild| !guilds.contains(guild));
    let work =
        missing.map(|guild| (*guild, &payload, Some(&*print))).chain(stale.map(|guild| (*guild, &nothing, None)));
    let mut result = Ok(());
    for (guild, commands, print) in work {
        let path = format!("/applications/{application}/guilds/{guild}/commands");
        let answer = rest.put(&path, commands).await;
        let gone = answer.as_ref().is_ok_and(|answer| matches!(answer.status.as_u16(), 403 | 404));
        match accepted(answer) {
            Ok(_) => {
                store.registered(application, guild, print).await.map_err(|error| error.to_string())?;
                info!(guild, removed = print.is_none(), "Slash commands are sent to Discord");
            }
            // A guild that is no longer wanted and no longer there has no commands any more.
            Err(_) if print.is_none() && gone => {
                store.registered(application, guild, None).await.map_err(|error| error.to_string())?;
            }
            Err(reason) => result = Err(format!("guild {guild}: {reason}")),
        }
    }
    result
}

fn accepted(answer: Result<Answer, Unanswered>) -> Result<Answer, String> {
    let count = |kind| count_error(Component::Discord.as_str(), kind);
    match answer {
        Ok(answer) if answer.status.is_success() => Ok(answer),
        Ok(answer) => {
            count(if answer.status.is_server_error() { ErrorType::ServerError } else { ErrorType::Payload });
            let message = answer.json::<Value>().and_then(|body| body["message"].as_str().map(str::to_owned));
            Err(format!("Discord answers {}: {}", answer.status.as_u16(), message.unwrap_or_default()))
        }
        Err(error) => {
            count(ErrorType::Network);
            Err(error.to_string())
        }
    }
}
