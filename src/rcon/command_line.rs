//! One line for the game's console.

use std::borrow::Cow;
use std::fmt;

use super::error::RconError;
use super::guard::is_ignorable;

/// The most bytes a command may have. The game takes a megabyte, but sends every command on to all players in
/// pieces: what is longer than this costs them.
pub const MAX_COMMAND_BYTES: usize = 4096;

/// A line that may be sent: not empty, one line, no control characters, at most [`MAX_COMMAND_BYTES`].
/// It may be a Lua command: whether that is sent is the guard's decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandLine(String);

impl CommandLine {
    /// Checks what a person typed. Blanks and invisible characters around it are dropped; inside, a line end or
    /// another control character is refused.
    pub fn parse(text: &str) -> Result<Self, RconError> {
        let is_margin = |c: char| c.is_whitespace() || is_ignorable(c);
        // A variation selector at the end belongs to the emoji before it, as in `❤️`.
        let line = text.trim_start_matches(is_margin).trim_end_matches(|c| is_margin(c) && c != '\u{fe0f}');
        if line.is_empty() {
            return Err(RconError::EmptyCommand);
        }
        if line.len() > MAX_COMMAND_BYTES {
            return Err(RconError::TooLong { bytes: line.len() });
        }
        if line.chars().any(breaks_line) {
            return Err(RconError::NotOneLine);
        }
        Ok(Self(line.to_owned()))
    }

    /// A line of parts that are valid by their types.
    pub(super) fn of_valid_parts(line: String) -> Self {
        debug_assert!(Self::parse(&line).is_ok_and(|parsed| parsed.0 == line), "{line:?}");
        Self(line)
    }

    /// The line as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The line as people may read it: the game's password, which `/config set password` sets, is not in it.
    pub(super) fn without_secrets(&self) -> Cow<'_, str> {
        let mut words = self.0.split_whitespace();
        let sets_password = words.next().is_some_and(|verb| verb.eq_ignore_ascii_case("/config"))
            && words.any(|word| word.to_ascii_lowercase().contains("password"));
        if sets_password { Cow::Borrowed("/config ... password <private>") } else { Cow::Borrowed(&self.0) }
    }

    /// [`Self::verb`], where it looks like the name of a command: whatever a person typed instead is not shown.
    pub(super) fn command_name(&self) -> &str {
        let verb = self.verb();
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_');
        if verb.len() <= 32 && verb.bytes().all(is_name) { verb } else { "/..." }
    }

    /// What kind of command it is, without arguments: what may stand in a log.
    #[must_use]
    pub fn verb(&self) -> &str {
        if self.0.starts_with('/') { self.0.split_whitespace().next().unwrap_or("/") } else { "chat" }
    }
}

/// Whether a reader could see the end of a line here, or something that is no text.
pub(super) fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_trimmed_and_one_line() {
        assert_eq!(CommandLine::parse(" \u{feff}/time\r\n").map(|line| line.0), Ok("/time".to_owned()));
        assert_eq!(CommandLine::parse("\u{200b} \n"), Err(RconError::EmptyCommand));
        assert_eq!(CommandLine::parse("/time\n/c x"), Err(RconError::NotOneLine));
        assert_eq!(CommandLine::parse("/time\u{2028}/c x"), Err(RconError::NotOneLine));
        assert_eq!(CommandLine::parse("/time\0"), Ok(CommandLine("/time".to_owned())));
        assert_eq!(CommandLine::parse(&"x".repeat(4097)), Err(RconError::TooLong { bytes: 4097 }));
        assert!(CommandLine::parse(&"x".repeat(4096)).is_ok());
    }

    #[test]
    fn logs_see_the_verb_alone() {
        let verb = |text| CommandLine::parse(text).unwrap().verb().to_owned();
        assert_eq!(verb("/whisper Bob a secret"), "/whisper");
        assert_eq!(verb("a secret"), "chat");
    }

    #[test]
    fn a_trace_sees_a_name_of_a_command_and_nothing_else_a_person_typed() {
        let name = |text| CommandLine::parse(text).unwrap().command_name().to_owned();
        assert_eq!([name("/silent-command x"), name("hello"), name("/c x")], ["/silent-command", "chat", "/c"]);
        assert_eq!([name("/my.secret"), name("/größe"), name(&format!("/{}", "x".repeat(40)))], ["/..."; 3]);
    }

    #[test]
    fn the_password_that_a_command_sets_is_not_shown() {
        let shown = |text| CommandLine::parse(text).unwrap().without_secrets().into_owned();
        assert_eq!(shown("/Config set game-password hunter2"), "/config ... password <private>");
        assert_eq!(shown("/config set afk-auto-kick 5"), "/config set afk-auto-kick 5");
        assert_eq!(shown("what is the password"), "what is the password");
    }

    proptest! {
        #[test]
        fn whatever_passes_can_be_sent(text in any::<String>()) {
            if let Ok(line) = CommandLine::parse(&text) {
                prop_assert!(!line.as_str().is_empty() && line.as_str().len() <= MAX_COMMAND_BYTES);
                prop_assert!(!line.as_str().contains(['\n', '\r', '\0']));
            }
        }
    }
}
