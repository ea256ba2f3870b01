//! Asks Discord for what the judgement needs: three requests for each guild, one for each channel that no guild lists
//! (threads, and ids that are wrong).

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::finding::Finding;
use super::judge::{Observed, ObservedChannel, ObservedGuild, judge};
use super::objects::{Channel, CurrentUser, Guild, Member, readable};
use super::requirements::Requirements;
use crate::config::Settings;
use crate::discord::error_class::{TOKEN_REFUSED, answered_retry_after, status_text};
use crate::discord::rest::Rest;
use crate::domain::ChannelId;

const UNKNOWN_CHANNEL: i64 = 10003;
const UNKNOWN_GUILD: i64 = 10004;
const UNKNOWN_MEMBER: i64 = 10007;
const MISSING_ACCESS: i64 = 50001;
const MISSING_PERMISSIONS: i64 = 50013;

/// Checks the access that a configuration needs. Reads only.
#[derive(Debug)]
pub struct AccessChecker {
    rest: Rest,
    required: Requirements,
}

/// Why a check has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CheckFailed {
    /// For people.
    pub reason: String,
    /// How long Discord asks to wait.
    pub retry_after: Option<Duration>,
}

/// What Discord answers to a question about one object.
enum Reply<T> {
    Found(T),
    /// An error code that is about the object, not about the moment.
    Refused(i64),
}

impl AccessChecker {
    /// A checker for `settings`. Connects to nothing yet.
    ///
    /// # Errors
    /// When the token or `discord.api_base` cannot be used at all.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let rest = Rest::new(&settings.discord).context("Cannot check the access to Discord's channels")?;
        Ok(Self { rest, required: Requirements::from_settings(settings) })
    }

    /// What is needed.
    #[must_use]
    pub fn required(&self) -> &Requirements {
        &self.required
    }

    /// Everything that is wrong now.
    ///
    /// # Errors
    /// When Discord cannot be reached or does not answer all questions: nothing is known then.
    pub async fn check(&self) -> Result<Vec<Finding>, CheckFailed> {
        let bot: CurrentUser = match self.ask("/users/@me").await? {
            Reply::Found(bot) => bot,
            Reply::Refused(code) => return Err(failed(format!("Discord refuses to name the bot ({code})"))),
        };
        let mut observed = Observed { bot: bot.id.0, ..Observed::default() };
        for guild in &self.required.guilds {
            self.observe_guild(&mut observed, *guild).await?;
        }
        for channel in self.required.channels.keys() {
            self.observe_channel(&mut observed, *channel).await?;
        }
        Ok(judge(&self.required, &observed, Timestamp::now()))
    }

    async fn observe_guild(&self, observed: &mut Observed, id: u64) -> Result<(), CheckFailed> {
        if observed.guilds.contains_key(&id) {
            return Ok(());
        }
        let found = self.guild(id, observed.bot).await?;
        observed.guilds.insert(id, found);
        Ok(())
    }

    /// `None` where the guild does not exist or the bot is not in it.
    async fn guild(&self, id: u64, bot: u64) -> Result<Option<ObservedGuild>, CheckFailed> {
        let Reply::Found(guild) = self.ask::<Guild>(&format!("/guilds/{id}")).await? else { return Ok(None) };
        let Reply::Found(member) = self.ask::<Member>(&format!("/guilds/{id}/members/{bot}")).await? else {
            return Ok(None);
        };
        let Reply::Found(listed) = self.ask::<Vec<Value>>(&format!("/guilds/{id}/channels")).await? else {
            return Ok(None);
        };
        let channels = readable::<Channel>(listed).into_iter().map(|channel| (channel.id.0, channel)).collect();
        Ok(Some(ObservedGuild { guild, member, channels }))
    }

    async fn observe_channel(&self, observed: &mut Observed, id: ChannelId) -> Result<(), CheckFailed> {
        let listed = observed.guilds.iter().find_map(|(guild, seen)| {
            let channel = seen.as_ref()?.channels.get(&id.get())?;
            Some(ObservedChannel::Found(channel.clone(), Some(*guild)))
        });
        let found = match listed {
            Some(found) => found,
            None => match self.ask::<Channel>(&format!("/channels/{id}")).await? {
                Reply::Found(channel) => {
                    let guild = channel.guild_id.map(|guild| guild.0);
                    if let Some(guild) = guild {
                        self.observe_guild(observed, guild).await?;
                    }
                    ObservedChannel::Found(channel, guild)
                }
                Reply::Refused(UNKNOWN_CHANNEL) => ObservedChannel::Unknown,
                Reply::Refused(_) => ObservedChannel::NoAccess,
            },
        };
        observed.channels.insert(id, found);
        Ok(())
    }

    /// Only Discord's own error codes count as an answer: a proxy's 404 says nothing about a channel.
    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<Reply<T>, CheckFailed> {
        let answer = self.rest.get(path).await.map_err(|error| failed(error.to_string()))?;
        if answer.status.is_success() {
            let found = answer.json().map(Reply::Found);
            return found.ok_or_else(|| failed("Discord's answer cannot be read".to_owned()));
        }
        let code = answer.json::<Value>().and_then(|body| body.get("code")?.as_i64());
        let about_object = [UNKNOWN_CHANNEL, UNKNOWN_GUILD, UNKNOWN_MEMBER, MISSING_ACCESS, MISSING_PERMISSIONS];
        match (answer.status, code) {
            (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, Some(code)) if about_object.contains(&code) => {
                Ok(Reply::Refused(code))
            }
            (StatusCode::UNAUTHORIZED, _) => Err(failed(TOKEN_REFUSED.to_owned())),
            (status, _) => {
                let retry_after = answered_retry_after(&answer.headers, &answer.body);
                Err(CheckFailed { reason: format!("Discord answers {}", status_text(status)), retry_after })
            }
        }
    }
}

fn failed(reason: String) -> CheckFailed {
    CheckFailed { reason, retry_after: None }
}
