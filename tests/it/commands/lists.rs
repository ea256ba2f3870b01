//! The whitelist, and the console itself.

use insta::assert_snapshot;

use super::matrix::{Cell, Family, Row, Situation};
use super::world::ROLES;

use Cell::Typed;

pub const FAMILY: Family = Family {
    commands: "rcon = true\nrcon_allow = [\"/players\", \"/kick\"]",
    more: ROLES,
    for_everyone: false,
    refusals: &[],
    rows: &[
        Row {
            command: "whitelist",
            allowed: Typed(&[
                "Admin | action:list",
                "Admin | action:add | player:Bob",
                "Admin | action:remove | player:Alice",
                "Admin | action:enable",
                "Admin | action:disable",
            ]),
            denied: Typed(&["Ann | action:list", "Mod | action:list"]),
            down: Typed(&["Admin | action:list", "Admin | action:disable"]),
            bad_input: Typed(&[
                "Admin | action:add",
                "Admin | action:remove | player:Bob\n/c x",
                "Admin | action:burn",
            ]),
            refused: Typed(&["Admin | action:add | player:Alice", "Admin | action:remove | player:Bob"]),
        },
        Row {
            command: "rcon",
            allowed: Typed(&["Admin | command:/players count"]),
            denied: Typed(&["Ann | command:/players", "Mod | command:/players"]),
            down: Typed(&["Admin | command:/players"]),
            bad_input: Typed(&["Admin | command:/players\n/c x", "Admin | command: "]),
            refused: Typed(&["Admin | command:/kick Bob"]),
        },
    ],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_the_console_that_are_allowed_are_done() {
    assert_snapshot!(FAMILY.in_situation(Situation::Allowed).await, @r"
    Admin: whitelist action:list
      > /whitelist get
      public [Whitelist] ```Whitelisted players: Alice``` (Production · by Admin)
    Admin: whitelist action:add | player:Bob
      > /whitelist add Bob
      public [Whitelist] ```Added Bob to the whitelist.``` (Production · by Admin)
    Admin: whitelist action:remove | player:Alice
      > /whitelist remove Alice
      public [Whitelist] ```Removed Alice from the whitelist.``` (Production · by Admin)
    Admin: whitelist action:enable
      > /whitelist enable
      public [Whitelist] ```The whitelist has been enabled.``` (Production · by Admin)
    Admin: whitelist action:disable
      > /whitelist disable
      asked back, private [Whitelist] ```The whitelist has been disabled.``` (Production)
    Admin: rcon command:/players count
      > /players count
      asked back, private [Console] ```Players (3)``` (Production)
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_the_console_are_denied_to_those_who_may_not() {
    assert_snapshot!(FAMILY.in_situation(Situation::Denied).await, @r"
    Ann: whitelist action:list
      private `/factorio whitelist` is for the level **admin** and above, which you do not have here.
    Mod: whitelist action:list
      private `/factorio whitelist` is for the level **admin** and above, which you do not have here.
    Ann: rcon command:/players
      private `/factorio rcon` is for the level **admin** and above, which you do not have here.
    Mod: rcon command:/players
      private `/factorio rcon` is for the level **admin** and above, which you do not have here.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_the_console_say_that_the_game_is_down() {
    assert_snapshot!(FAMILY.in_situation(Situation::Down).await, @r"
    Admin: whitelist action:list
      private The game is not running, or is still loading its map.
    Admin: whitelist action:disable
      asked back, private The game is not running, or is still loading its map.
    Admin: rcon command:/players
      asked back, private The game is not running, or is still loading its map.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_the_console_say_what_is_wrong_with_what_was_typed() {
    assert_snapshot!(FAMILY.in_situation(Situation::BadInput).await, @r"
    Admin: whitelist action:add
      private The option `player` is missing.
    Admin: whitelist action:remove | player:Bob\n/c x
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Admin: whitelist action:burn
      private `action` is one of `list`, `add`, `remove`, `enable`, `disable`.
    Admin: rcon command:/players\n/c x
      private A command must be one line of plain text.
    Admin: rcon command:
      private The option `command` is missing.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_the_console_show_the_games_refusal() {
    assert_snapshot!(FAMILY.in_situation(Situation::Refused).await, @r"
    Admin: whitelist action:add | player:Alice
      > /whitelist add Alice
      private [Whitelist] ```Alice is already whitelisted.``` (Production)
    Admin: whitelist action:remove | player:Bob
      > /whitelist remove Bob
      private [Whitelist] ```Bob is not whitelisted.``` (Production)
    Admin: rcon command:/kick Bob
      > /kick Bob
      asked back, private [Console] ```Bob isn't online.``` (Production)
    ");
}
