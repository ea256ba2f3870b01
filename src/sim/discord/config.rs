//! What a caller chooses.

use std::time::Duration;

use super::gateway_limits::GatewayLimits;
use super::model::{SimBot, SimChannel, SimGuild, SimRole};
use super::rate_limit::RateLimits;

/// How the stand-in is set up.
#[derive(Debug, Clone)]
pub struct SimDiscordConfig {
    /// Port on 127.0.0.1; 0 takes any.
    pub port: u16,
    /// The address that clients use where a proxy stands in front, as `https://localhost:8443`; `None` is its own.
    pub public_url: Option<String>,
    /// The bot's token, without `Bot `.
    pub token: String,
    /// The guild.
    pub guild: SimGuild,
    /// The bot.
    pub bot: SimBot,
    /// Its channels.
    pub channels: Vec<SimChannel>,
    /// Roles members may have, beside everyone's and the bot's.
    pub roles: Vec<SimRole>,
    /// How long an interaction may wait for its first answer; 3 s in Discord.
    pub interaction_deadline: Duration,
    /// Rate limits; the default is [`RateLimits::discord`].
    pub limits: RateLimits,
    /// What HELLO asks for; Discord's 41.25 s by default.
    pub heartbeat_interval: Duration,
    /// Limits on what a client sends to the gateway; the default is [`GatewayLimits::discord`].
    pub gateway_limits: GatewayLimits,
    /// How long an enforced nonce is remembered: "a few minutes" in Discord's words, 3 min here.
    pub nonce_memory: Duration,
    /// Dispatches a session can be told again after RESUME.
    pub replay_limit: usize,
    /// The age from which edits of a message have a limit of their own; an hour in Discord.
    pub old_after: Duration,
    /// Messages kept per channel; `None` keeps all. Counts go on either way.
    pub keep_messages: Option<usize>,
}

impl Default for SimDiscordConfig {
    fn default() -> Self {
        Self {
            port: 0,
            public_url: None,
            token: "simulated-token".into(),
            guild: SimGuild { id: 100, name: "Simulated guild".into() },
            bot: SimBot { id: 900, name: "factorio-isr".into(), permissions: 274_878_024_784 },
            channels: vec![SimChannel::new(111, "factory")],
            roles: Vec::new(),
            interaction_deadline: Duration::from_secs(3),
            limits: RateLimits::discord(),
            heartbeat_interval: Duration::from_millis(41_250),
            gateway_limits: GatewayLimits::discord(),
            nonce_memory: Duration::from_mins(3),
            replay_limit: 1000,
            old_after: Duration::from_hours(1),
            keep_messages: None,
        }
    }
}
