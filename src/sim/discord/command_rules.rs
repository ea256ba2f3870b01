//! Discord's rules of application commands, for the bulk overwrite.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::components::require;
use super::errors::ApiError;

/// Commands of an application and guild.
const MOST_COMMANDS: usize = 100;
/// Options of a command, subcommand or group.
const MOST_OPTIONS: usize = 25;
/// Choices of an option.
const MOST_CHOICES: usize = 25;
/// Characters of a description, a choice's name and its value.
const MOST_TEXT: usize = 100;
/// Characters of a command: all names, descriptions and choices.
const MOST_CHARACTERS: usize = 8000;

const CHAT_INPUT: u64 = 1;
const SUBCOMMAND: u64 = 1;
const GROUP: u64 = 2;

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[-_'\p{L}\p{N}\p{Devanagari}\p{Thai}]{1,32}$").expect("a valid pattern"));

/// Refuses commands that Discord refuses.
pub(super) fn check(commands: &[Value]) -> Result<(), ApiError> {
    if commands.len() > MOST_COMMANDS {
        return Err(ApiError::new(400, 30032, "Maximum number of application commands reached (100)"));
    }
    let mut names = HashSet::new();
    for (at, command) in commands.iter().enumerate() {
        let path = at.to_string();
        let kind = command["type"].as_u64().unwrap_or(CHAT_INPUT);
        if !names.insert((kind, command["name"].as_str())) {
            let message = "Application command names must be unique";
            return Err(ApiError::invalid_form(&path, "APPLICATION_COMMANDS_DUPLICATE_NAME", message));
        }
        if kind == CHAT_INPUT {
            check_named(command, &path)?;
            check_options(command, &path, 0)?;
        } else {
            require(command, &path, "name", 32)?;
        }
        if characters(command) > MOST_CHARACTERS {
            let message = "Command exceeds maximum size (8000)";
            return Err(ApiError::invalid_form(&path, "APPLICATION_COMMAND_TOO_LARGE", message));
        }
    }
    Ok(())
}

/// Name and description of a command or option.
fn check_named(named: &Value, path: &str) -> Result<(), ApiError> {
    require(named, path, "name", 32)?;
    let name = named["name"].as_str().unwrap_or_default();
    if !NAME.is_match(name) || name.to_lowercase() != name {
        let path = format!("{path}.name");
        return Err(ApiError::invalid_form(&path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid"));
    }
    require(named, path, "description", MOST_TEXT)
}

fn check_options(parent: &Value, path: &str, depth: usize) -> Result<(), ApiError> {
    let path = format!("{path}.options");
    let options = parent["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    if options.len() > MOST_OPTIONS {
        return Err(ApiError::too_long(&path, MOST_OPTIONS));
    }
    let (mut names, mut optional, mut branches) = (HashSet::new(), false, 0);
    for (at, option) in options.iter().enumerate() {
        let path = format!("{path}.{at}");
        check_named(option, &path)?;
        if !names.insert(option["name"].as_str()) {
            let message = "Option names must be unique";
            return Err(ApiError::invalid_form(&path, "APPLICATION_COMMAND_OPTIONS_DUPLICATE_NAME", message));
        }
        match option["type"].as_u64() {
            Some(kind @ (SUBCOMMAND | GROUP)) => {
                let fits = if kind == GROUP { depth == 0 } else { depth < 2 };
                if !fits {
                    return Err(invalid_type(&path));
                }
                branches += 1;
                check_options(option, &path, if kind == GROUP { 1 } else { 2 })?;
            }
            Some(3..=11) if depth != 1 => check_value_option(option, &path, &mut optional)?,
            _ => return Err(invalid_type(&path)),
        }
    }
    if branches > 0 && branches < options.len() {
        let message = "Subcommands and other options cannot be mixed";
        return Err(ApiError::invalid_form(&path, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message));
    }
    Ok(())
}

fn check_value_option(option: &Value, path: &str, optional: &mut bool) -> Result<(), ApiError> {
    if option["required"] == true && *optional {
        let message = "Required options must be placed before non-required options";
        return Err(ApiError::invalid_form(path, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message));
    }
    *optional |= option["required"] != true;
    let choices = option["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let path = format!("{path}.choices");
    if choices.len() > MOST_CHOICES {
        return Err(ApiError::too_long(&path, MOST_CHOICES));
    }
    if !choices.is_empty() && option["autocomplete"] == true {
        let message = "Choices and autocomplete exclude each other";
        return Err(ApiError::invalid_form(&path, "APPLICATION_COMMAND_AUTOCOMPLETE_WITH_CHOICES", message));
    }
    for (at, choice) in choices.iter().enumerate() {
        let path = format!("{path}.{at}");
        require(choice, &path, "name", MOST_TEXT)?;
        if option["type"] == 3 {
            require(choice, &path, "value", MOST_TEXT)?;
        }
    }
    Ok(())
}

fn invalid_type(path: &str) -> ApiError {
    let message = "This option type is not allowed here";
    ApiError::invalid_form(&format!("{path}.type"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message)
}

/// The characters that count towards a command's size.
fn characters(named: &Value) -> usize {
    let text = |field: &str| named[field].as_str().map_or(0, |text| text.chars().count());
    let nested = ["options", "choices"].into_iter().flat_map(|list| named[list].as_array().into_iter().flatten());
    text("name") + text("description") + text("value") + nested.map(characters).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn option(name: &str) -> Value {
        json!({ "type": 3, "name": name, "description": "d" })
    }

    fn command(options: &[Value]) -> Value {
        json!({ "name": "factorio", "description": "d", "options": options })
    }

    fn with(mut object: Value, field: &str, value: Value) -> Value {
        object[field] = value;
        object
    }

    fn refused_at(command: &Value) -> String {
        check(std::slice::from_ref(command)).expect_err("refused").field_path()
    }

    #[test]
    fn names_and_descriptions_have_bounds() {
        assert_eq!(check(&[command(&[])]), Ok(()));
        for name in ["", "Upper", "two words", "x!", &"n".repeat(33)] {
            assert_eq!(refused_at(&with(command(&[]), "name", json!(name))), "0.name", "{name:?}");
        }
        assert_eq!(refused_at(&with(command(&[]), "description", json!(""))), "0.description");
        assert_eq!(refused_at(&with(command(&[]), "description", json!("d".repeat(101)))), "0.description");
        assert_eq!(refused_at(&json!({ "name": "factorio" })), "0.description");
        let nested = command(&[json!({ "type": 1, "name": "ban", "description": "d", "options": [option("A")] })]);
        assert_eq!(refused_at(&nested), "0.options.0.options.0.name");
        assert_eq!(check(&[command(&[]), command(&[])]).unwrap_err().field_path(), "1");
    }

    #[test]
    fn options_are_limited_ordered_and_unique() {
        let options: Vec<Value> = (0..26).map(|n| option(&n.to_string())).collect();
        assert_eq!(check(&[command(&options[..25])]), Ok(()));
        assert_eq!(refused_at(&command(&options)), "0.options");
        let required = with(option("b"), "required", json!(true));
        assert_eq!(check(&[command(&[required.clone(), option("a")])]), Ok(()));
        assert_eq!(refused_at(&command(&[option("a"), required])), "0.options.1");
        assert_eq!(refused_at(&command(&[option("a"), option("a")])), "0.options.1");
        let subcommand = json!({ "type": 1, "name": "ban", "description": "d" });
        assert_eq!(refused_at(&command(&[subcommand, option("a")])), "0.options");
    }

    #[test]
    fn choices_and_the_whole_command_have_limits() {
        let choice = |length: usize| json!({ "name": "n".repeat(length), "value": "v" });
        let with_choices = |choices: Vec<Value>| command(&[with(option("a"), "choices", json!(choices))]);
        assert_eq!(check(&[with_choices(vec![choice(100); 25])]), Ok(()));
        assert_eq!(refused_at(&with_choices(vec![choice(1); 26])), "0.options.0.choices");
        assert_eq!(refused_at(&with_choices(vec![choice(101)])), "0.options.0.choices.0.name");
        let large = with_choices(vec![choice(100); 25])["options"][0].clone();
        let large: Vec<Value> = (0..4).map(|n| with(large.clone(), "name", json!(n.to_string()))).collect();
        assert_eq!(refused_at(&command(&large)), "0");
    }
}
