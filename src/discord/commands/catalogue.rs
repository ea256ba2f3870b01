//! What holds of every command.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::config::COMMAND_NAMES;

const OPTION_NAMES: [&str; 11] =
    ["server", "player", "reason", "message", "name", "action", "value", "surface", "force", "technology", "command"];

fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

fn check_described(described: &Value) {
    assert!(is_name(described["name"].as_str().unwrap()), "{described}");
    assert!((1..=100).contains(&described["description"].as_str().unwrap().chars().count()), "{described}");
}

#[test]
fn the_configuration_knows_every_command_by_name() {
    assert_eq!(COMMANDS.map(SlashCommand::name), COMMAND_NAMES);
}

#[test]
fn discord_takes_all_that_is_registered() {
    let payload = registration::payload();
    let commands = payload.as_array().unwrap();
    assert_eq!(commands.len(), 1 + ALONE.len());
    assert!(payload[0]["options"].as_array().unwrap().len() <= 25, "Discord takes 25 subcommands");
    assert!(payload.to_string().len() < 3 * 8000);
    let subcommands = payload[0]["options"].as_array().unwrap().iter().chain(&commands[1..]);
    for command in subcommands {
        check_described(command);
        let options = command["options"].as_array().unwrap();
        assert!(options.is_sorted_by_key(|option| !option["required"].as_bool().unwrap()), "required first: {command}");
        for option in options {
            check_described(option);
            assert!(OPTION_NAMES.contains(&option["name"].as_str().unwrap()), "{option}");
            assert!(option.get("choices").is_none() || option.get("autocomplete").is_none(), "{option}");
            assert!(option["choices"].as_array().is_none_or(|choices| choices.len() <= 25), "{option}");
        }
        let names: BTreeSet<_> = options.iter().map(|option| option["name"].as_str()).collect();
        assert_eq!(names.len(), options.len(), "{command}");
        assert!(names.contains(&Some("server")), "{command}");
    }
}

#[test]
fn questions_are_for_everyone_and_lua_for_admins() {
    for command in COMMANDS {
        if command.may_need_lua() {
            assert_eq!(command.level(), Level::Admin, "{}", command.name());
        }
        if command.scope() == Scope::Program {
            assert_eq!(command.level(), Level::Everyone, "{}", command.name());
        }
    }
    let asks: Vec<_> = COMMANDS.into_iter().filter(|command| command.may_ask_back()).map(SlashCommand::name).collect();
    assert_eq!(asks, ["ban", "promote", "demote", "whitelist", "speed", "research", "rcon"]);
}

#[test]
fn the_document_shows_the_registry() {
    let written = include_str!("../../../docs/commands.md");
    assert_eq!(written, table(), "write what `table()` gives into docs/commands.md");
}
