//! The table of commands in the documentation.

use std::fmt::Write as _;

use super::{COMMANDS, options_of, typed};

/// The document of all commands, as `docs/commands.md` holds it.
#[must_use]
pub fn table() -> String {
    let mut out = String::from(
        "# Slash commands\n\n\
         Generated from the registry in `src/discord/commands`; a test holds it to the code.\n\n\
         Commands marked *asks back* show buttons before they act. Those marked *Lua* work only where \
         `servers.TAG.rcon.allow_lua = true`, since Lua disables achievements on the save.\n\n\
         Answers are for everybody to see; failures, the game's refusals and what asks back are for the caller alone; \
         so is all of `/factorio whisper`. What is above the level `everyone` is audited, whatever becomes of it; of \
         calls that are not done, as many of one member as `commands.query_limit` and `query_window` allow \
         questions.\n\n\
         Without `server`, a command about one server means the one that the member named last, or chose with \
         `/factorio connect`; else the one to which the channel belongs alone; else `commands.default_server`; else the \
         only one.\n\n\
         | command | options | level | what it does |\n|---|---|---|---|\n",
    );
    for command in COMMANDS {
        let options: Vec<String> = options_of(command).map(|option| format!("`{}`", option.shown())).collect();
        let marks = [(command.may_ask_back(), " *asks back*"), (command.may_need_lua(), " *Lua*")];
        let marks: String = marks.into_iter().filter_map(|(marked, mark)| marked.then_some(mark)).collect();
        let (typed, level, says) = (typed(command), command.level().as_str(), command.description());
        writeln!(out, "| `{typed}` | {} | {level} | {says}{marks} |", options.join(" "))
            .expect("a String takes every text");
    }
    out
}
