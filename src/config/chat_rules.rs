//! Rules of `[chat]` that decide which messages of Discord reach the games.

use std::collections::BTreeSet;

use figment::value::Value;
use regex::{Regex, RegexBuilder};

use super::value::Scalar;

/// Bytes that a compiled regex may take.
const MAX_REGEX_SIZE: usize = 1 << 20;

/// An entry of `chat.ignore`.
#[derive(Debug, Clone)]
pub enum IgnoreRule {
    /// The message begins with this.
    Prefix(String),
    /// The regex matches somewhere in the message. The engine is linear in the message's length.
    Pattern(Regex),
}

impl IgnoreRule {
    /// `/regex/` between slashes, everything else a prefix.
    ///
    /// # Errors
    /// When the regex is none, or too large.
    pub fn parse(text: &str) -> Result<Self, regex::Error> {
        match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|regex| !regex.is_empty()) {
            Some(regex) => RegexBuilder::new(regex).size_limit(MAX_REGEX_SIZE).build().map(Self::Pattern),
            None => Ok(Self::Prefix(text.to_owned())),
        }
    }

    /// Whether a message with this text is ignored.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.trim_start().starts_with(prefix),
            Self::Pattern(regex) => regex.is_match(text),
        }
    }
}

/// `chat.require_roles` and `chat.block_roles`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleRules {
    /// One of these is needed; empty = none is.
    pub require: BTreeSet<u64>,
    /// None of these may be held.
    pub block: BTreeSet<u64>,
}

impl RoleRules {
    /// Whether roles matter at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.require.is_empty() && self.block.is_empty()
    }

    /// Whether a person with these roles is relayed. Unknown roles are refused where roles matter.
    #[must_use]
    pub fn permit(&self, roles: Option<&BTreeSet<u64>>) -> bool {
        if self.is_empty() {
            return true;
        }
        roles.is_some_and(|roles| {
            self.block.is_disjoint(roles) && (self.require.is_empty() || !self.require.is_disjoint(roles))
        })
    }
}

/// `chat.threads`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThreadChat {
    /// Only threads that `chat_from` names.
    #[default]
    Ignore,
    /// Also the public threads below the channels of `chat_from`.
    Relay,
}

impl Scalar for ThreadChat {
    const EXPECTED: &'static str = "`ignore` or `relay`";

    fn parse(value: &Value) -> Option<Self> {
        match value.as_str()?.trim() {
            "ignore" => Some(Self::Ignore),
            "relay" => Some(Self::Relay),
            _ => None,
        }
    }
}
