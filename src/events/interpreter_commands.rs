//! The interpreter's part for Lua commands: those of programs are folded, those of the relay itself are not shown.

use jiff::{SignedDuration, Timestamp};

use super::{Interpreter, Said};
use crate::domain::{EventKind, SAMPLING_LUA};
use crate::events::vanilla::console::SERVER;

/// A command of the server that repeats one within this time is counted and not shown.
const BETWEEN_COMMANDS: SignedDuration = SignedDuration::from_mins(10);
/// Different commands of the server that are shown within [`RATE_WINDOW`].
const COMMANDS_SHOWN: usize = 5;
const RATE_WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// Different commands that are remembered, and the characters by which they are compared.
const COMMANDS_KEPT: usize = 32;
const COMMAND_CHARS: usize = 120;

/// The second line of the warning that precedes the first Lua command.
const WARNING_ENDS: &str = "Using Lua console commands will disable achievements";

impl Interpreter {
    /// Decides whether a command or a warning is shown.
    pub(super) fn limit_commands(&mut self, said: &mut Said<'_>) {
        let text = &said.event.text;
        let is_own = SAMPLING_LUA.iter().any(|lua| text.contains(lua));
        match said.event.kind {
            EventKind::Warning => {
                said.quiet |= is_own || (self.memory.commands.own_warning && text.starts_with(WARNING_ENDS));
                self.memory.commands.own_warning = is_own;
            }
            EventKind::Command => {
                let hidden = if is_own { None } else { self.fold_command(said) };
                said.quiet |= hidden.is_none();
                if let Some(fields) = &mut said.event.fields {
                    fields.push(("more", hidden.unwrap_or_default().into()));
                }
            }
            _ => {}
        }
    }

    /// What is said of the commands that were not shown, where this one is.
    fn fold_command(&mut self, said: &Said<'_>) -> Option<String> {
        let (Some(SERVER), Some(message)) = (said.event.field("player"), said.event.field("message")) else {
            return Some(String::new());
        };
        let key: String = message.chars().filter(|c| !c.is_ascii_digit()).take(COMMAND_CHARS).collect();
        let shown = &mut self.memory.commands.shown;
        let within = |then: Timestamp, time: SignedDuration| said.at.duration_since(then).abs() < time;
        if let Some((then, hidden)) = shown.get_mut(&key)
            && within(*then, BETWEEN_COMMANDS)
        {
            *hidden += 1;
            return None;
        }
        if shown.values().filter(|(then, _)| within(*then, RATE_WINDOW)).count() >= COMMANDS_SHOWN {
            self.memory.commands.hidden += 1;
            return None;
        }
        let same = shown.insert(key, (said.at, 0)).map_or(0, |(_, hidden)| hidden);
        if shown.len() > COMMANDS_KEPT
            && let Some(oldest) = shown.iter().min_by_key(|(_, (then, _))| *then).map(|(key, _)| key.clone())
        {
            shown.remove(&oldest);
        }
        let others = std::mem::take(&mut self.memory.commands.hidden);
        Some(match (same, others) {
            (0, 0) => String::new(),
            (same, 0) => format!(" ({same} more like this since the last one)"),
            (0, others) => format!(" ({others} other commands not shown)"),
            (same, others) => format!(" ({same} more like this since the last one, {others} others not shown)"),
        })
    }
}
