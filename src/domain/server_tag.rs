//! The short name of a configured server.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a `[servers.TAG]` table: 1 to 32 of `A-Z a-z 0-9 - _`. It is the `server` label of metrics and logs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerTag(Arc<str>);

/// Why a text is no [`ServerTag`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no server tag: use 1 to 32 letters, digits, `-` or `_`")]
pub struct InvalidServerTag(String);

impl ServerTag {
    /// Checks `text` and makes a tag of it.
    ///
    /// # Errors
    /// When `text` is empty, longer than 32 characters or has any other character than letters, digits, `-` and `_`.
    pub fn new(text: &str) -> Result<Self, InvalidServerTag> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > 32 || !text.chars().all(allowed) {
            return Err(InvalidServerTag(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for ServerTag {
    type Err = InvalidServerTag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for ServerTag {
    type Error = InvalidServerTag;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<ServerTag> for String {
    fn from(tag: ServerTag) -> Self {
        tag.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_short_plain_words() {
        for good in ["prod", "space-age_2", "A", &"x".repeat(32)] {
            assert_eq!(ServerTag::new(good).map(|t| t.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "two words", "ümlaut", "a.b", "a/b", &"x".repeat(33)] {
            assert!(ServerTag::new(bad).is_err(), "{bad}");
        }
    }
}
