//! Every command in every situation it can be in. A command without a row, or a row without a situation, is an error:
//! the one at run time, by what is registered with Discord, the other by the compiler.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::{GENEROUS, World, buttons, game, shown};
use super::{actions, info, lists, lua, program};

/// What is typed in a situation, each as `CALLER | option:value | ...`, or why a command cannot be in it.
pub enum Cell {
    Typed(&'static [&'static str]),
    Never(&'static str),
}

/// One command in all situations.
pub struct Row {
    pub command: &'static str,
    pub allowed: Cell,
    pub denied: Cell,
    pub down: Cell,
    pub bad_input: Cell,
    pub refused: Cell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// The caller may, and the game does it.
    Allowed,
    /// The caller may not.
    Denied,
    /// The game is not running.
    Down,
    /// What was typed cannot be meant.
    BadInput,
    /// The game will not.
    Refused,
}

/// Commands that are tried under one configuration.
pub struct Family {
    /// More for `[commands]`.
    pub commands: &'static str,
    /// More behind `[servers.prod.rcon]`.
    pub more: &'static str,
    /// Whether everybody may use them, so that nobody is denied unless the configuration asks for a level.
    pub for_everyone: bool,
    /// What the game is made to say in [`Situation::Refused`], by the whole command.
    pub refusals: &'static [(&'static str, &'static str)],
    pub rows: &'static [Row],
}

const FAMILIES: [&Family; 5] = [&program::FAMILY, &info::FAMILY, &actions::FAMILY, &lists::FAMILY, &lua::FAMILY];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_registry_has_a_row() {
    let world = World::new().await;
    let registered = world.discord.read(|state| state.commands().clone());
    let mut names = BTreeSet::new();
    for command in registered.as_array().unwrap() {
        let below = command["options"].as_array().unwrap().iter().filter(|option| option["type"] == 1);
        let before = names.len();
        names.extend(below.map(|subcommand| subcommand["name"].as_str().unwrap().to_owned()));
        if names.len() == before {
            names.insert(command["name"].as_str().unwrap().to_owned());
        }
    }
    let rows = || FAMILIES.into_iter().flat_map(|family| family.rows);
    assert_eq!(rows().map(|row| row.command.to_owned()).collect::<BTreeSet<_>>(), names);
    assert_eq!(rows().count(), names.len(), "one row each");
}

impl Row {
    fn cell(&self, situation: Situation) -> &Cell {
        match situation {
            Situation::Allowed => &self.allowed,
            Situation::Denied => &self.denied,
            Situation::Down => &self.down,
            Situation::BadInput => &self.bad_input,
            Situation::Refused => &self.refused,
        }
    }
}

impl Family {
    /// All its commands in a situation: what was typed, what the game was sent (`>`), what the caller saw.
    pub async fn in_situation(&self, situation: Situation) -> String {
        let world = World::with(&self.configured(situation), self.more).await;
        if situation == Situation::Down {
            world.game_stops().await;
        }
        let mut told = Vec::new();
        for row in self.rows {
            match row.cell(situation) {
                Cell::Never(why) => told.push(format!("{} never: {why}", row.command)),
                Cell::Typed(calls) => {
                    assert!(!calls.is_empty(), "{} is not tried", row.command);
                    for call in *calls {
                        *world.rcon.game() = self.game(situation);
                        told.push(world.tried(row.command, call, situation).await);
                    }
                }
            }
        }
        told.join("\n")
    }

    fn configured(&self, situation: Situation) -> String {
        let mut commands = format!("{GENEROUS}\n{}", self.commands);
        if situation == Situation::Denied && self.for_everyone {
            let levels: Vec<_> = self.rows.iter().map(|row| format!("{} = \"moderator\"", row.command)).collect();
            commands.extend(["\nlevels = { ", &levels.join(", "), " }"]);
        }
        commands
    }

    fn game(&self, situation: Situation) -> factorio_isr::sim::rcon::Game {
        let mut game = game();
        if situation == Situation::Refused {
            game.answers.extend(self.refusals.iter().map(|(line, says)| ((*line).to_owned(), (*says).to_owned())));
        }
        game
    }
}

impl World {
    async fn tried(&self, command: &str, call: &str, situation: Situation) -> String {
        let before = self.sent().len();
        let (caller, given) = call.split_once(" | ").unwrap_or((call, ""));
        let options: Vec<(&str, Value)> =
            given.split(" | ").filter_map(|option| option.split_once(':')).map(typed).collect();
        let id = self.start(caller, command, &options);
        let first = self.answer(id, |_| true).await;
        let (asked, answer) = if buttons(&first).is_empty() {
            ("", shown(&first))
        } else {
            ("asked back, ", self.press(caller, id, "confirm").await)
        };
        let mut sent = self.sent().split_off(before);
        check(situation, &sent, &answer);
        // On the fresh save of each call, Lua is sent twice.
        sent.dedup();
        let typed = format!("{caller}: {command} {}", given.escape_debug()).trim_end().to_owned();
        let seen = format!("  {asked}{answer}");
        let sent = sent.iter().map(|line| format!("  > {line}"));
        [typed].into_iter().chain(sent).chain([seen]).collect::<Vec<_>>().join("\n")
    }
}

fn typed<'a>((name, value): (&'a str, &str)) -> (&'a str, Value) {
    let number = value.parse::<f64>().ok().filter(|_| name == "value");
    (name, number.map_or_else(|| json!(value), |number| json!(number)))
}

/// What holds of every command in a situation.
fn check(situation: Situation, sent: &[String], answer: &str) {
    match situation {
        Situation::Allowed => {}
        Situation::Denied => {
            assert!(answer.starts_with("private ") && answer.contains(" is for the level "), "{answer}");
        }
        Situation::Down => assert!(!answer.contains("127.0.0.1"), "{answer}"),
        Situation::BadInput => assert!(answer.starts_with("private "), "{answer}"),
        Situation::Refused => assert!(!sent.is_empty(), "{answer}"),
    }
    let reaches_the_game = matches!(situation, Situation::Allowed | Situation::Refused);
    assert!(reaches_the_game || sent.is_empty(), "{sent:?}");
}
