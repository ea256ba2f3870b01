//! What the unmodified game writes, read into events: one arm per line the game knows.

pub(super) mod console;
pub(super) mod engine;

use std::borrow::Cow;

use crate::domain::EventKind;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// What happened.
    pub(super) kind: EventKind,
    /// The line's text behind its envelope.
    pub(super) text: Cow<'a, str>,
    /// The values of the kind's own placeholders. `None`: the kind is sure, from tag or level, but the wording is
    /// not known (another language, another version), and the text itself has to be shown.
    pub(super) fields: Option<Vec<Field<'a>>>,
}

/// A placeholder and its value, as the game wrote it.
pub(super) type Field<'a> = (&'static str, Cow<'a, str>);

impl<'a> Event<'a> {
    /// An event of known wording.
    pub(super) fn new<const N: usize>(kind: EventKind, text: &'a str, fields: [(&'static str, &'a str); N]) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name, Cow::Borrowed(value))).collect();
        Self { kind, text: text.into(), fields: Some(fields) }
    }

    /// An event of which only the kind is known.
    pub(super) fn raw(kind: EventKind, text: &'a str) -> Self {
        Self { kind, text: text.into(), fields: None }
    }

    /// The value of the placeholder `name`.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().flatten().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }
}
