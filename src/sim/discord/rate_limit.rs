//! Rate limits by fixed windows, and the headers that announce them. Pure: the caller says what time it is.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use tokio::time::Instant;

/// So many requests in so much time, counted from the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Requests that pass.
    pub requests: u32,
    /// Until the count starts anew.
    pub per: Duration,
}

impl Window {
    /// `requests` in `per`.
    #[must_use]
    pub const fn new(requests: u32, per: Duration) -> Self {
        Self { requests, per }
    }
}

/// Which limits hold. `None` is no limit, and no headers either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Creating and editing messages, one bucket per channel.
    pub messages: Option<Window>,
    /// A channel's name and topic, per channel.
    pub channel_edits: Option<Window>,
    /// Adding and removing reactions, per channel.
    pub reactions: Option<Window>,
    /// Editing messages older than an hour, per channel: beyond, the error code is 30046.
    pub old_edits: Option<Window>,
    /// All requests of the bot; interaction answers are exempt.
    pub global: Option<Window>,
}

impl RateLimits {
    /// What Discord does: 5 messages per 5 s and channel, 2 channel edits per 10 min, 1 reaction per 250 ms,
    /// 3 edits of old messages per 6 s, 50 requests per second.
    ///
    /// Only the global one is documented; the others are what bots observe.
    #[must_use]
    pub const fn discord() -> Self {
        Self {
            messages: Some(Window::new(5, Duration::from_secs(5))),
            channel_edits: Some(Window::new(2, Duration::from_mins(10))),
            reactions: Some(Window::new(1, Duration::from_millis(250))),
            old_edits: Some(Window::new(3, Duration::from_secs(6))),
            global: Some(Window::new(50, Duration::from_secs(1))),
        }
    }

    /// No limits, for speed.
    #[must_use]
    pub const fn none() -> Self {
        Self { messages: None, channel_edits: None, reactions: None, old_edits: None, global: None }
    }
}

/// Whose limit a 429 is about, as in `X-RateLimit-Scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The bot, on this route.
    User,
    /// The bot, everywhere.
    Global,
    /// The resource, whoever asks: not counted as an invalid request.
    Shared,
}

impl Scope {
    /// As the header says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Global => "global",
            Self::Shared => "shared",
        }
    }
}

/// What a request uses up, beside the global limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    /// Messages of a channel.
    Messages(u64),
    /// Name and topic of a channel.
    ChannelEdits(u64),
    /// Reactions in a channel.
    Reactions(u64),
    /// Old messages of a channel.
    OldEdits(u64),
}

impl Bucket {
    fn name(self) -> &'static str {
        match self {
            Self::Messages(_) | Self::OldEdits(_) => "5e77a1b0c2d94f6883a7d1e0b4c6f215",
            Self::Reactions(_) => "d3f0b6a81c5e47299be04a7c6d21f853",
            Self::ChannelEdits(_) => "c19f3d5a7b2e4806914d6f8ea0b3c572",
        }
    }
}

/// How a bucket stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    bucket: Bucket,
    limit: u32,
    /// Requests that still pass.
    pub(super) remaining: u32,
    /// Until it is full again.
    pub(super) reset_after: Duration,
}

/// A request that came too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) scope: Scope,
    pub(super) retry_after: Duration,
}

/// Uses of one window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    started: Instant,
    used: u32,
}

impl Count {
    pub(super) fn new(now: Instant) -> Self {
        Self { started: now, used: 0 }
    }

    /// Counts one request; `Err` when the window is full, with the rest of it.
    pub(super) fn take(&mut self, window: Window, now: Instant) -> Result<(u32, Duration), Duration> {
        if now.duration_since(self.started) >= window.per {
            *self = Self::new(now);
        }
        let rest = window.per.saturating_sub(now.duration_since(self.started));
        if self.used >= window.requests {
            return Err(rest);
        }
        self.used += 1;
        Ok((window.requests - self.used, rest))
    }
}

/// Counts requests against the limits.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: RateLimits,
    global: Option<Count>,
    buckets: HashMap<Bucket, Count>,
}

impl Limiter {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self { limits, global: None, buckets: HashMap::new() }
    }

    /// The global limit, then the bucket's.
    pub(super) fn admit(&mut self, bucket: Option<Bucket>, now: Instant) -> Result<Option<Standing>, Refused> {
        if let Some(window) = self.limits.global {
            let count = self.global.get_or_insert(Count::new(now));
            count.take(window, now).map_err(|retry_after| Refused { scope: Scope::Global, retry_after })?;
        }
        let Some((bucket, window)) = bucket.and_then(|bucket| Some((bucket, self.window(bucket)?))) else {
            return Ok(None);
        };
        let count = self.buckets.entry(bucket).or_insert(Count::new(now));
        match count.take(window, now) {
            Ok((remaining, reset_after)) => {
                Ok(Some(Standing { bucket, limit: window.requests, remaining, reset_after }))
            }
            Err(retry_after) => Err(Refused { scope: Scope::User, retry_after }),
        }
    }

    fn window(&self, bucket: Bucket) -> Option<Window> {
        match bucket {
            Bucket::Messages(_) => self.limits.messages,
            Bucket::ChannelEdits(_) => self.limits.channel_edits,
            Bucket::Reactions(_) => self.limits.reactions,
            Bucket::OldEdits(_) => self.limits.old_edits,
        }
    }

    /// The standing that a refused request is told.
    pub(super) fn exhausted(&self, bucket: Bucket, retry_after: Duration) -> Option<Standing> {
        let limit = self.window(bucket)?.requests;
        Some(Standing { bucket, limit, remaining: 0, reset_after: retry_after })
    }
}

/// `X-RateLimit-Limit`, `-Remaining`, `-Reset` (Unix seconds), `-Reset-After` (seconds) and `-Bucket`.
pub(super) fn announce(headers: &mut HeaderMap, standing: Standing, now: Timestamp) {
    let reset = now.as_duration().as_secs_f64() + standing.reset_after.as_secs_f64();
    insert(headers, "x-ratelimit-limit", &standing.limit.to_string());
    insert(headers, "x-ratelimit-remaining", &standing.remaining.to_string());
    insert(headers, "x-ratelimit-reset", &format!("{reset:.3}"));
    insert(headers, "x-ratelimit-reset-after", &format!("{:.3}", standing.reset_after.as_secs_f64()));
    insert(headers, "x-ratelimit-bucket", standing.bucket.name());
}

/// Sets a header from text that is known to be a valid value.
pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(headers.insert(HeaderName::from_static(name), value)),
        Err(error) => tracing::warn!(%error, name, "Cannot send a header"),
    }
}

/// Whole seconds, rounded up: what the header `Retry-After` says.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: Option<Bucket> = Some(Bucket::Messages(7));

    #[test]
    fn sixth_message_in_five_seconds_waits_for_the_rest_of_the_window() {
        let mut limiter = Limiter::new(RateLimits::discord());
        let start = Instant::now();
        let remaining: Vec<u32> = (0..5).map(|_| limiter.admit(CHANNEL, start).unwrap().unwrap().remaining).collect();
        assert_eq!(remaining, [4, 3, 2, 1, 0]);
        let refused = limiter.admit(CHANNEL, start + Duration::from_secs(2)).unwrap_err();
        assert_eq!(refused, Refused { scope: Scope::User, retry_after: Duration::from_secs(3) });
        assert!(limiter.admit(CHANNEL, start + Duration::from_secs(5)).is_ok());
    }

    #[test]
    fn another_channel_has_its_own_bucket() {
        let mut limiter = Limiter::new(RateLimits::discord());
        let start = Instant::now();
        for _ in 0..5 {
            limiter.admit(CHANNEL, start).unwrap();
        }
        assert!(limiter.admit(Some(Bucket::Messages(8)), start).is_ok());
    }

    #[test]
    fn fifty_first_request_in_a_second_is_refused_globally() {
        let mut limiter = Limiter::new(RateLimits::discord());
        let start = Instant::now();
        for _ in 0..50 {
            limiter.admit(None, start).unwrap();
        }
        assert_eq!(limiter.admit(None, start).unwrap_err().scope, Scope::Global);
    }

    #[test]
    fn retry_after_header_rounds_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }
}
