//! What is about the program and its servers as a whole.

use insta::assert_snapshot;

use super::matrix::{Cell, Family, Row, Situation};
use super::world::ROLES;

use Cell::{Never, Typed};

pub const FAMILY: Family = Family {
    commands: "",
    more: ROLES,
    for_everyone: true,
    refusals: &[("/players online", "Unknown command \"players\". Type /h or /help for more help about commands.\n")],
    rows: &[
        Row {
            command: "servers",
            allowed: Typed(&["Ann", "Ann | server:prod"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Never("the game is not asked"),
        },
        Row {
            command: "connect",
            allowed: Typed(&["Ann | server:prod"]),
            denied: Typed(&["Ann | server:prod"]),
            down: Typed(&["Ann | server:prod"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Never("the game is not asked"),
        },
        Row {
            command: "health",
            allowed: Typed(&["Ann", "Ann | server:prod"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann", "Ann | server:prod"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Never("the game is not asked"),
        },
        Row {
            command: "help",
            allowed: Typed(&["Ann | command:kick", "Mod | command:clock | server:prod"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann | command:seed | server:prod"]),
            bad_input: Typed(&["Ann | command:fly", "Ann | server:nowhere"]),
            refused: Never("the game is not asked"),
        },
        Row {
            command: "online",
            allowed: Typed(&["Ann", "Ann | server:prod"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Typed(&["Ann"]),
        },
        Row {
            command: "player",
            allowed: Typed(&["Ann | player:Bob"]),
            denied: Typed(&["Ann | player:Bob"]),
            down: Typed(&["Ann | player:Bob | server:prod"]),
            bad_input: Typed(&["Ann | player:Bob | server:nowhere"]),
            refused: Never("the game is not asked"),
        },
        Row {
            command: "top",
            allowed: Typed(&["Ann", "Ann | value:all"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann | value:month"]),
            bad_input: Typed(&["Ann | value:fortnight", "Ann | server:nowhere"]),
            refused: Never("the game is not asked"),
        },
        Row {
            command: "history",
            allowed: Typed(&["Ann", "Ann | value:week"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann | server:prod"]),
            bad_input: Typed(&["Ann | value:year", "Ann | server:nowhere"]),
            refused: Never("the game is not asked"),
        },
        Row {
            command: "alerts",
            allowed: Typed(&["Ann | action:list", "Ann | action:why | name:low_ups"]),
            denied: Typed(&["Ann | action:list"]),
            down: Typed(&["Ann | action:list | server:prod"]),
            bad_input: Typed(&["Mod | action:silence | name:low_ups | value:soon", "Ann | action:why | name:rain"]),
            refused: Never("the game is not asked"),
        },
    ],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_about_the_program_that_are_allowed_are_done() {
    assert_snapshot!(FAMILY.in_situation(Situation::Allowed).await, @r"
    Ann: servers
      public [Servers: 1] ```prod - Production: up```
    Ann: servers server:prod
      public [Servers: 1] ```prod - Production: up``` (Production)
    Ann: connect server:prod
      public [Connected] From now on your commands mean `Production`. (Production)
    Ann: health
      public [Health] ```discord: healthy
    rcon: starting```
    Ann: health server:prod
      public [Health] ```rcon: starting``` (Production)
    Ann: help command:kick
      public [/factorio kick] Throw a player out of the game <Level: `moderator`> <player: `The player's name`> <[reason]: `Why; the player sees it`> <[server]: `Which server; without it, the one you named last, or this channel's`>
    Mod: help command:clock | server:prod
      public [/factorio clock] The age of the map; setting the time of day needs Lua <Level: `admin`> <[value]: `Set the time of day (Lua); without it, the age of the map`> <[surface]: `Which surface; nauvis by default`> <[server]: `Which server; without it, the one you named last, or this channel's`> <Works for you here: `for the level admin and above`> <Your level: `moderator`> <RCON: `yes`> <Lua: `not allowed`> (Production)
    Ann: online
      > /players online
      public [Online] ```Production: Alice (1)```
    Ann: online server:prod
      > /players online
      public [Online] ```Production: Alice (1)``` (Production)
    Ann: player player:Bob
      public [Player] I have never seen `Bob` in the game. (Production)
    Ann: top
      public [Most played, 7 days] Nobody played in that time, as far as I have seen. (Production)
    Ann: top value:all
      public [Most played, all time] Nobody played in that time, as far as I have seen. (Production)
    Ann: history
      public [The last day] (Production)
    Ann: history value:week
      public [The last week] (Production)
    Ann: alerts action:list
      public [Alerts] No alert fires. (Production)
    Ann: alerts action:why | name:low_ups
      public [Low UPS] It does not fire.
    Fires when 3 samples in a row have surely less than 55 of 60 updates per second.
    Over at the first sample that may be 58 of 60 or more.
    That it aims at 60 is assumed: a `game.speed` below 1, set on purpose, cannot be seen without Lua. Where it is so, set `below` and `recovered` of this server in `[servers.TAG.alerts.low_ups]`.
    Look at the load of the machine and at what was built last; fewer players or mods help. (Production)
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_about_the_program_are_denied_to_those_who_may_not() {
    assert_snapshot!(FAMILY.in_situation(Situation::Denied).await, @r"
    Ann: servers
      private `/factorio servers` is for the level **moderator** and above, which you do not have here.
    Ann: connect server:prod
      private `/factorio connect` is for the level **moderator** and above, which you do not have here.
    Ann: health
      private `/factorio health` is for the level **moderator** and above, which you do not have here.
    Ann: help
      private `/factorio help` is for the level **moderator** and above, which you do not have here.
    Ann: online
      private `/online` is for the level **moderator** and above, which you do not have here.
    Ann: player player:Bob
      private `/player` is for the level **moderator** and above, which you do not have here.
    Ann: top
      private `/top` is for the level **moderator** and above, which you do not have here.
    Ann: history
      private `/history` is for the level **moderator** and above, which you do not have here.
    Ann: alerts action:list
      private `/alerts` is for the level **moderator** and above, which you do not have here.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_about_the_program_say_that_the_game_is_down() {
    assert_snapshot!(FAMILY.in_situation(Situation::Down).await, @r"
    Ann: servers
      public [Servers: 1] ```prod - Production: down```
    Ann: connect server:prod
      public [Connected] From now on your commands mean `Production`. (Production)
    Ann: health
      public [Health] ```discord: healthy
    rcon: unhealthy```
    Ann: health server:prod
      public [Health] ```rcon: unhealthy``` (Production)
    Ann: help command:seed | server:prod
      public [/factorio seed] The map's seed <Level: `everyone`> <[server]: `Which server; without it, the one you named last, or this channel's`> <Works for you here: `yes`> <Your level: `everyone`> <RCON: `yes`> <Lua: `not allowed`> (Production)
    Ann: online
      public [Online] ```Production: The game is not running, or is still loading its map.```
    Ann: player player:Bob | server:prod
      public [Player] I have never seen `Bob` in the game. (Production)
    Ann: top value:month
      public [Most played, 30 days] Nobody played in that time, as far as I have seen. (Production)
    Ann: history server:prod
      public [The last day] (Production)
    Ann: alerts action:list | server:prod
      public [Alerts] No alert fires. (Production)
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_about_the_program_say_what_is_wrong_with_what_was_typed() {
    assert_snapshot!(FAMILY.in_situation(Situation::BadInput).await, @r"
    Ann: servers server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: connect server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: health server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: help command:fly
      private There is no command `fly`. `/factorio help` lists all.
    Ann: help server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: online server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: player player:Bob | server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: top value:fortnight
      private `value` is one of `week`, `month`, `all`.
    Ann: top server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: history value:year
      private `value` is one of `day`, `week`.
    Ann: history server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Mod: alerts action:silence | name:low_ups | value:soon
      private Say how long as `30m`, `2h` or `1d`, at most `30d`.
    Ann: alerts action:why | name:rain
      private There is no alert `rain`.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_about_the_program_show_the_games_refusal() {
    assert_snapshot!(FAMILY.in_situation(Situation::Refused).await, @r#"
    servers never: the game is not asked
    connect never: the game is not asked
    health never: the game is not asked
    help never: the game is not asked
    Ann: online
      > /players online
      public [Online] ```Production: Unknown command "players". Type /h or /help for more help about commands.```
    player never: the game is not asked
    top never: the game is not asked
    history never: the game is not asked
    alerts never: the game is not asked
    "#);
}
