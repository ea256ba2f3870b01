//! The commands the game itself has, which keep achievements. Arguments are types that cannot hold another command
//! or a second line.

use super::command_line::{CommandLine, breaks_line};
use super::guard::is_ignorable;
use super::names::PlayerName;

/// The longest chat line, reason or whisper, in characters; the rest is cut and marked.
const MAX_TEXT_CHARS: usize = 500;
/// The longest name of a surface or a save.
const MAX_NAME_CHARS: usize = 100;

/// A native command of the game's console.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments their types name")]
pub enum Command {
    /// `/players`: everybody who ever played here.
    Players,
    /// `/players online`
    PlayersOnline,
    /// `/players count`: how many ever played here.
    PlayersCount,
    /// `/time`: how old the map is.
    Time,
    /// `/evolution`, of one surface or of all.
    Evolution { surface: Option<SurfaceName> },
    /// `/seed`
    Seed,
    /// `/version`
    Version,
    /// `/admins`
    Admins,
    /// `/server-save`, under this name or the running one.
    ServerSave { name: Option<SaveName> },
    /// `/kick`
    Kick { player: PlayerName, reason: Option<Reason> },
    /// `/ban`
    Ban { player: PlayerName, reason: Option<Reason> },
    /// `/unban`
    Unban { player: PlayerName },
    /// `/mute`
    Mute { player: PlayerName },
    /// `/unmute`
    Unmute { player: PlayerName },
    /// `/promote`: makes an admin.
    Promote { player: PlayerName },
    /// `/demote`
    Demote { player: PlayerName },
    /// `/whitelist add`
    WhitelistAdd { player: PlayerName },
    /// `/whitelist remove`
    WhitelistRemove { player: PlayerName },
    /// `/whitelist get`
    WhitelistGet,
    /// `/whitelist enable`
    WhitelistEnable,
    /// `/whitelist disable`
    WhitelistDisable,
    /// `/whitelist clear`
    WhitelistClear,
    /// `/banlist get`
    Banlist,
    /// `/whisper`
    Whisper { player: PlayerName, text: ChatText },
    /// Plain text: the game says it as `<server>`.
    Say { text: ChatText },
}

impl From<&Command> for CommandLine {
    fn from(command: &Command) -> Self {
        Self::of_valid_parts(command.text())
    }
}

impl From<Command> for CommandLine {
    fn from(command: Command) -> Self {
        Self::from(&command)
    }
}

impl Command {
    fn text(&self) -> String {
        match self {
            Self::Players => "/players".to_owned(),
            Self::PlayersOnline => "/players online".to_owned(),
            Self::PlayersCount => "/players count".to_owned(),
            Self::Time => "/time".to_owned(),
            Self::Evolution { surface } => with("/evolution", surface.as_ref().map(SurfaceName::as_str)),
            Self::Seed => "/seed".to_owned(),
            Self::Version => "/version".to_owned(),
            Self::Admins => "/admins".to_owned(),
            Self::ServerSave { name } => with("/server-save", name.as_ref().map(SaveName::as_str)),
            Self::Kick { player, reason } => with(&format!("/kick {player}"), reason.as_ref().map(Reason::as_str)),
            Self::Ban { player, reason } => with(&format!("/ban {player}"), reason.as_ref().map(Reason::as_str)),
            Self::Unban { player } => format!("/unban {player}"),
            Self::Mute { player } => format!("/mute {player}"),
            Self::Unmute { player } => format!("/unmute {player}"),
            Self::Promote { player } => format!("/promote {player}"),
            Self::Demote { player } => format!("/demote {player}"),
            Self::WhitelistAdd { player } => format!("/whitelist add {player}"),
            Self::WhitelistRemove { player } => format!("/whitelist remove {player}"),
            Self::WhitelistGet => "/whitelist get".to_owned(),
            Self::WhitelistEnable => "/whitelist enable".to_owned(),
            Self::WhitelistDisable => "/whitelist disable".to_owned(),
            Self::WhitelistClear => "/whitelist clear".to_owned(),
            Self::Banlist => "/banlist get".to_owned(),
            Self::Whisper { player, text } => format!("/whisper {player} {}", text.as_str()),
            Self::Say { text } => text.as_str().to_owned(),
        }
    }
}

fn with(command: &str, argument: Option<&str>) -> String {
    argument.map_or_else(|| command.to_owned(), |argument| format!("{command} {argument}"))
}

/// Why a text cannot be an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArgument {
    /// Nothing is left of the text once it is cleaned.
    #[error("there is no text in it")]
    Empty,
    /// Not the name of a surface.
    #[error("that is no surface: use at most 100 letters, digits, blanks, `.`, `_` or `-`")]
    Surface,
    /// Not a name for a save.
    #[error("that is no name for a save: use at most 100 letters, digits, `.`, `_` or `-`, and no dot in front")]
    Save,
}

/// `text` as one line: line ends and tabs become blanks, controls and invisible characters go, long text is cut at
/// [`MAX_TEXT_CHARS`]. The joiners inside emoji stay.
fn one_line(text: &str) -> String {
    let spaced = text.chars().map(|c| if breaks_line(c) && c.is_whitespace() { ' ' } else { c });
    let joins = |c: char| matches!(c, '\u{200d}' | '\u{fe0f}');
    let line: String = spaced.filter(|c| !breaks_line(*c) && (!is_ignorable(*c) || joins(*c))).collect();
    // A variation selector at the end belongs to the emoji before it, as in `❤️`.
    cut(line.trim_start_matches(is_margin).trim_end_matches(|c| is_margin(c) && c != '\u{fe0f}'))
}

fn is_margin(c: char) -> bool {
    c.is_whitespace() || is_ignorable(c)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        None => text.to_owned(),
        Some(_) => text.chars().take(MAX_TEXT_CHARS - 1).chain(['…']).collect(),
    }
}

/// What is said in the game: one line that never begins with a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatText(String);

impl ChatText {
    /// Cleans `text`: one line, no controls, no slashes in front (they would make a command of it), at most 500
    /// characters.
    pub fn new(text: &str) -> Result<Self, InvalidArgument> {
        let line = one_line(text);
        let said = line.trim_start_matches(|c: char| is_margin(c) || matches!(c, '/' | '／' | '⁄' | '∕' | '⧸'));
        if said.is_empty() {
            return Err(InvalidArgument::Empty);
        }
        Ok(Self(said.to_owned()))
    }

    /// The text as it is said.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why somebody is kicked or banned: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Cleans `text` as [`ChatText`] does, but for the slashes. `None` when nothing is left: then the game says
    /// `unspecified`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let line = one_line(text);
        (!line.is_empty()).then_some(Self(line))
    }

    /// The reason as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a surface, as `nauvis`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurfaceName(String);

impl SurfaceName {
    /// Letters, digits, `.`, `_`, `-` and blanks inside.
    pub fn new(text: &str) -> Result<Self, InvalidArgument> {
        let name = text.trim();
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ');
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || !name.chars().all(allowed) {
            return Err(InvalidArgument::Surface);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a save: a file name, never a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveName(String);

impl SaveName {
    /// Letters, digits, `.`, `_` and `-`, not beginning with a dot.
    pub fn new(text: &str) -> Result<Self, InvalidArgument> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > MAX_NAME_CHARS || text.starts_with('.') || !text.bytes().all(allowed) {
            return Err(InvalidArgument::Save);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
