//! What a member called, out of what Discord sent.

use std::collections::BTreeMap;
use std::fmt;

use serenity::all::{
    CommandDataOption, CommandDataOptionValue, CommandInteraction, ComponentInteraction, Member, User,
};

use super::super::interactions::Key;
use super::super::permissions::Caller;
use super::{ALONE, GROUP, SlashCommand, find};

/// A value as typed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Text(String),
    Number(f64),
}

/// The options as typed; Discord has held them to their types, not to their suggestions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Options(BTreeMap<String, Given>);

impl Options {
    /// What makes every command do its worst: for the documentation.
    pub(super) fn fullest() -> Self {
        Self::default().with("action", "disable").with("value", "noon")
    }

    fn with(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), Given::Text(text.to_owned()));
        self
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Given::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            Given::Number(_) => None,
        }
    }

    pub(super) fn is_given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.0.get(name)? {
            Given::Number(number) if number.is_finite() => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, given)| match given {
            Given::Text(text) => write!(f, " {name}:{}", text.replace(char::is_control, " ")),
            Given::Number(number) => write!(f, " {name}:{number}"),
        })
    }
}

/// Where and by whom something was called or pressed.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) key: Key,
    pub(super) guild: u64,
    pub(super) channel: u64,
    pub(super) caller: Caller,
}

impl Origin {
    /// `None` outside of Discord servers.
    pub(super) fn of_call(call: &CommandInteraction) -> Option<Self> {
        let key = Key { id: call.id.get(), application: call.application_id.get(), token: call.token.clone() };
        let caller = caller(&call.user, call.member.as_deref()?);
        Some(Self { key, guild: call.guild_id?.get(), channel: call.channel_id.get(), caller })
    }

    /// `None` outside of Discord servers.
    pub(super) fn of_press(press: &ComponentInteraction) -> Option<Self> {
        let key = Key { id: press.id.get(), application: press.application_id.get(), token: press.token.clone() };
        let caller = caller(&press.user, press.member.as_ref()?);
        Some(Self { key, guild: press.guild_id?.get(), channel: press.channel_id.get(), caller })
    }
}

fn caller(user: &User, member: &Member) -> Caller {
    Caller {
        id: user.id.get(),
        name: member.nick.clone().or_else(|| user.global_name.clone()).unwrap_or_else(|| user.name.clone()),
        roles: member.roles.iter().map(|role| role.get()).collect(),
        permissions: member.permissions.map_or(0, |permissions| permissions.bits()),
    }
}

/// A known command with its options, and the option being typed where it is not finished.
pub(super) struct Called {
    pub(super) command: &'static dyn SlashCommand,
    pub(super) options: Options,
    pub(super) focused: Option<(String, String)>,
}

impl Called {
    /// `None` for a command that is not ours, as one of an earlier registration.
    pub(super) fn of(call: &CommandInteraction) -> Option<Self> {
        let (name, given) = if call.data.name == GROUP {
            let subcommand = call.data.options.first()?;
            let CommandDataOptionValue::SubCommand(given) = &subcommand.value else { return None };
            (subcommand.name.as_str(), given)
        } else {
            (ALONE.into_iter().find(|name| *name == call.data.name)?, &call.data.options)
        };
        let mut options = Options::default();
        let mut focused = None;
        for option in given {
            options.0.extend(value(option).map(|value| (option.name.clone(), value)));
            if let CommandDataOptionValue::Autocomplete { value, .. } = &option.value {
                focused = Some((option.name.clone(), value.clone()));
            }
        }
        Some(Self { command: find(name)?, options, focused })
    }
}

fn value(option: &CommandDataOption) -> Option<Given> {
    match &option.value {
        CommandDataOptionValue::String(text) => Some(Given::Text(text.clone())),
        CommandDataOptionValue::Number(number) => Some(Given::Number(*number)),
        _ => None,
    }
}
