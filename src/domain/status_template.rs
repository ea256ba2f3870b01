//! What an operator may have said of a game in a channel's topic or name.

/// A placeholder of a [`StatusTemplate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPart {
    /// `{server}`: the server's name.
    Server,
    /// `{state}`: online, paused, offline ...
    State,
    /// `{players}`: how many are in the game.
    Players,
    /// `{ups}`: updates a second.
    Ups,
    /// `{version}`: the game's version.
    Version,
    /// `{age}`: the age of the map.
    Age,
    /// `{evolution}`: the highest factor of all surfaces.
    Evolution,
}

impl StatusPart {
    const ALL: [(&'static str, Self); 7] = [
        ("server", Self::Server),
        ("state", Self::State),
        ("players", Self::Players),
        ("ups", Self::Ups),
        ("version", Self::Version),
        ("age", Self::Age),
        ("evolution", Self::Evolution),
    ];
}

/// A text with placeholders: each piece of text, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusTemplate(Vec<(String, Option<StatusPart>)>);

/// What is wrong with a [`StatusTemplate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusTemplateError {
    /// Nothing would be shown.
    #[error("the template is empty")]
    Empty,
    /// There is no such placeholder.
    #[error(
        "`{{{0}}}` is no placeholder here; there are {{server}}, {{state}}, {{players}}, {{ups}}, {{version}}, {{age}} and {{evolution}}"
    )]
    Unknown(String),
    /// A brace stands alone.
    #[error("a brace has no partner")]
    Unbalanced,
}

impl StatusTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is blank, a placeholder is unknown or a brace stands alone.
    pub fn parse(source: &str) -> Result<Self, StatusTemplateError> {
        if source.trim().is_empty() {
            return Err(StatusTemplateError::Empty);
        }
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((text, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or(StatusTemplateError::Unbalanced)?;
            let known = StatusPart::ALL.into_iter().find(|(known, _)| *known == name);
            let (_, part) = known.ok_or_else(|| StatusTemplateError::Unknown(name.to_owned()))?;
            parts.push((text.to_owned(), Some(part)));
            rest = behind;
        }
        parts.push((rest.to_owned(), None));
        if parts.iter().any(|(text, _)| text.contains('}')) {
            return Err(StatusTemplateError::Unbalanced);
        }
        Ok(Self(parts))
    }

    /// The text with the values in their places.
    #[must_use]
    pub fn render(&self, value: impl Fn(StatusPart) -> String) -> String {
        let piece = |(text, part): &(String, Option<StatusPart>)| text.clone() + &part.map(&value).unwrap_or_default();
        self.0.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_order() {
        let template = StatusTemplate::parse("{players} on {server}!").unwrap();
        let shown = template.render(|part| if part == StatusPart::Players { "7".into() } else { "prod".into() });
        assert_eq!(shown, "7 on prod!");
    }

    #[test]
    fn every_placeholder_that_an_error_names_can_be_used() {
        let error = StatusTemplate::parse("{player}").unwrap_err().to_string();
        for (name, _) in StatusPart::ALL {
            let placeholder = format!("{{{name}}}");
            assert!(error.contains(&placeholder), "{error}");
            assert!(StatusTemplate::parse(&placeholder).is_ok());
        }
    }

    #[test]
    fn braces_without_a_partner_and_blank_texts_are_mistakes() {
        assert_eq!(StatusTemplate::parse("a { b"), Err(StatusTemplateError::Unbalanced));
        assert_eq!(StatusTemplate::parse("a } b"), Err(StatusTemplateError::Unbalanced));
        assert_eq!(StatusTemplate::parse(" "), Err(StatusTemplateError::Empty));
    }
}
