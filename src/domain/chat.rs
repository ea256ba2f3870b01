//! Chat on its way into a game.

use jiff::Timestamp;

use super::{ChannelId, ServerTag, TraceContext};

/// What chat from Discord begins with in the game, behind any colour. A line of the server that begins so is our own,
/// come back through the log, and goes nowhere.
pub const RELAY_PREFIX: &str = "[Discord]";

/// What all our words in a game begin with: those from Discord, and those from another game.
pub const RELAY_PREFIXES: [&str; 2] = [RELAY_PREFIX, "[Relay]"];

/// Beginnings of the Lua that the relay itself sends to sample a game. Log lines that contain one of them are not shown.
pub const SAMPLING_LUA: [&str; 2] = ["local G,V,N,B,E,P,T=game,helpers,", "rcon.print(game.tick..' '..game.speed.."];

/// What a player said in a game, for the other games.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayerChat {
    /// Where.
    pub server: ServerTag,
    /// Who.
    pub player: String,
    /// What, rich text and all.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// Chat that is to be said in one game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChat {
    /// Where to.
    pub server: ServerTag,
    /// The Discord channel and message it came from; `None` where it came from another game.
    pub source: Option<(ChannelId, u64)>,
    /// The lines as they are said, in order. Never empty.
    pub lines: Vec<String>,
    /// When it was written: the time to live counts from here.
    pub written_at: Timestamp,
    /// The earliest time at which it is said; `None` = at once.
    pub due_at: Option<Timestamp>,
    /// What it comes from, where that is traced.
    pub trace: Option<TraceContext>,
}

/// A piece of a [`ChatTemplate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatPart {
    /// Who speaks.
    Name,
    /// What is said.
    Text,
    /// In which game, for chat from another one.
    Server,
}

/// How a line is said in a game. It begins with one of [`RELAY_PREFIXES`], so that the relay knows its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatTemplate(Vec<(String, Option<ChatPart>)>);

/// Why a text is no [`ChatTemplate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatTemplateError {
    /// Our own words would not be known again.
    #[error(
        "it must begin with `{0}`: by that the relay knows its own words in the game's log, and does not repeat them"
    )]
    Prefix(&'static str),
    /// No place for the words.
    #[error("`{{text}}` must stand in it once")]
    Text,
    /// A brace that belongs to no placeholder.
    #[error("it knows {0} only")]
    Placeholder(&'static str),
    /// A line end or another control character, or too much of it.
    #[error("it must be one line of at most 100 characters")]
    OneLine,
}

impl ChatTemplate {
    /// Reads the template for chat from Discord: `{name}` and `{text}`.
    ///
    /// # Errors
    /// When our own words could not be known again, or the words have no place.
    pub fn from_discord(source: &str) -> Result<Self, ChatTemplateError> {
        Self::parse(source, RELAY_PREFIXES[0], "`{name}` and `{text}`", false)
    }

    /// Reads the template for chat from another game: `{name}`, `{server}` and `{text}`.
    ///
    /// # Errors
    /// As [`ChatTemplate::from_discord`].
    pub fn from_game(source: &str) -> Result<Self, ChatTemplateError> {
        Self::parse(source, RELAY_PREFIXES[1], "`{name}`, `{server}` and `{text}`", true)
    }

    fn parse(source: &str, prefix: &'static str, known: &'static str, server: bool) -> Result<Self, ChatTemplateError> {
        if source.chars().any(char::is_control) || source.chars().count() > 100 {
            return Err(ChatTemplateError::OneLine);
        }
        if !behind_colour(source).starts_with(prefix) {
            return Err(ChatTemplateError::Prefix(prefix));
        }
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((literal, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or(ChatTemplateError::Placeholder(known))?;
            let part = match name {
                "name" => ChatPart::Name,
                "text" => ChatPart::Text,
                "server" if server => ChatPart::Server,
                _ => return Err(ChatTemplateError::Placeholder(known)),
            };
            parts.push((literal.to_owned(), Some(part)));
            rest = behind;
        }
        parts.push((rest.to_owned(), None));
        if parts.iter().filter(|(_, part)| *part == Some(ChatPart::Text)).count() != 1 {
            return Err(ChatTemplateError::Text);
        }
        Ok(Self(parts))
    }

    /// Fills the placeholders.
    pub fn render<'v>(&self, value: impl Fn(ChatPart) -> &'v str) -> String {
        self.0.iter().fold(String::new(), |mut out, (literal, part)| {
            out.push_str(literal);
            out.push_str(part.map_or("", &value));
            out
        })
    }
}

/// `source` without the colour and font tags in front.
fn behind_colour(source: &str) -> &str {
    let mut rest = source;
    while let Some((_, behind)) =
        ["[color=", "[font="].iter().find_map(|tag| rest.strip_prefix(tag)).and_then(|tag| tag.split_once(']'))
    {
        rest = behind;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_must_let_the_relay_know_its_own_words() {
        for good in ["[Discord] {name}: {text}", "[color=#7289DA][Discord][/color] {text}", "[Discord]{text} ({name})"]
        {
            assert!(ChatTemplate::from_discord(good).is_ok(), "{good}");
        }
        let why = |source| ChatTemplate::from_discord(source).unwrap_err().to_string();
        assert!(why("{name}: {text}").contains("does not repeat them"));
        assert!(why(" [Discord] {text}").contains("begin with `[Discord]`"));
        assert!(why("[Discord] {name}").contains("`{text}` must stand in it once"));
        assert!(why("[Discord] {text} {text}").contains("`{text}` must stand in it once"));
        assert!(why("[Discord] {text} {server}").contains("knows `{name}` and `{text}` only"));
        assert!(why("[Discord] {text} {").contains("only"));
        assert!(why("[Discord]\n{text}").contains("one line"));
        assert!(ChatTemplate::from_game("[Relay] {name} ({server}): {text}").is_ok());
    }

    #[test]
    fn what_stands_in_a_value_is_no_placeholder() {
        let template = ChatTemplate::from_discord("[Discord] {name}: {text}!").unwrap();
        let said = template.render(|part| if part == ChatPart::Name { "{text}" } else { "{name}" });
        assert_eq!(said, "[Discord] {text}: {name}!");
    }
}
