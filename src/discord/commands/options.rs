//! What may be typed behind a command, with Discord's own types and limits.

use serde_json::{Value, json};

/// Characters of a server's tag.
const TAG_LENGTH: u16 = 32;
/// Characters of a player's name.
const NAME_LENGTH: u16 = 60;

/// Where names to choose from come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Servers,
    OnlinePlayers,
    KnownPlayers,
    /// Those with a session on the server named, or on any.
    RecordedPlayers,
    Admins,
    Banned,
    /// The whitelist where a name is to be removed, else all players.
    Whitelist,
    Surfaces,
    Technologies,
    Commands,
    Alerts,
}

/// The type of an option.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// A text of at most so many characters.
    Text(u16),
    /// A text of at most so many characters, with suggestions.
    Name(u16, Names),
    /// One of these.
    Choice(&'static [&'static str]),
    /// A number within these bounds.
    Number(f64, f64),
}

/// An option of a command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OptionSpec {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) required: bool,
    pub(super) kind: Kind,
}

impl OptionSpec {
    pub(super) const fn required(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self { name, description, required: true, kind }
    }

    pub(super) const fn optional(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self { name, description, required: false, kind }
    }

    /// `player`, suggested from `names`.
    pub(super) const fn player(names: Names) -> Self {
        Self::required("player", Kind::Name(NAME_LENGTH, names), "The player's name")
    }

    /// As Discord registers it.
    pub(super) fn json(&self) -> Value {
        let mut json =
            json!({ "name": self.name, "description": self.description, "required": self.required, "type": 3 });
        match self.kind {
            Kind::Text(most) => json["max_length"] = json!(most),
            Kind::Name(most, _) => {
                json["max_length"] = json!(most);
                json["autocomplete"] = json!(true);
            }
            Kind::Choice(values) => {
                json["choices"] = values.iter().map(|value| json!({ "name": value, "value": value })).collect();
            }
            Kind::Number(least, most) => {
                json["type"] = json!(10);
                json["min_value"] = json!(least);
                json["max_value"] = json!(most);
            }
        }
        if self.required && !matches!(self.kind, Kind::Choice(_) | Kind::Number(..)) {
            json["min_length"] = json!(1);
        }
        json
    }

    /// As documentation names it: `player`, or `[reason]` where it may be left out.
    pub(super) fn shown(&self) -> String {
        if self.required { self.name.to_owned() } else { format!("[{}]", self.name) }
    }
}

/// `server`, as commands about one have it.
pub(super) const SERVER: OptionSpec = server("Which server; without it, the one you named last, or this channel's");

/// `server`, as commands about all of them have it.
pub(super) const ONLY_SERVER: OptionSpec = server("Only this server; without it, all of them");

/// `server` that may be left out, which then means this.
pub(super) const fn server(description: &'static str) -> OptionSpec {
    OptionSpec::optional("server", Kind::Name(TAG_LENGTH, Names::Servers), description)
}
