//! Player names that are safe to stand in a command.

use std::fmt;
use std::str::FromStr;

/// The longest name that is taken.
const MAX_LENGTH: usize = 60;

/// The name of a player: 1 to 60 of `A-Z a-z 0-9 . _ -`, which is what Factorio accounts may have.
/// Compares as written; the game itself does not tell upper from lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayerName(String);

/// Why a text is no [`PlayerName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`")]
pub struct InvalidPlayerName;

impl PlayerName {
    /// Checks `text` and makes a name of it.
    pub fn new(text: &str) -> Result<Self, InvalidPlayerName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(allowed) {
            return Err(InvalidPlayerName);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PlayerName {
    type Err = InvalidPlayerName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_accounts_may_have() {
        for good in ["Bob", "foo-bar", "a.b_c", "7", &"x".repeat(60)] {
            assert_eq!(PlayerName::new(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "two words", "Bob\n/c", "Bob\u{200b}", "<server>", "Jörg", "a\"b", "a/b", &"x".repeat(61)] {
            assert_eq!(PlayerName::new(bad), Err(InvalidPlayerName), "{bad:?}");
        }
    }
}
