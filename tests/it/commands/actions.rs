//! What is done to players, to the chat and to the save.

use insta::assert_snapshot;

use super::matrix::{Cell, Family, Row, Situation};
use super::world::ROLES;

use Cell::{Never, Typed};

pub const FAMILY: Family = Family {
    commands: "",
    more: ROLES,
    for_everyone: false,
    refusals: &[("/server-save", "Unknown command \"server-save\". Type /h or /help for more help about commands.\n")],
    rows: &[
        Row {
            command: "kick",
            allowed: Typed(&["Mod | player:Alice | reason:spamming\n/c game.x()", "Mod | player:Alice"]),
            denied: Typed(&["Ann | player:Alice | reason:spamming\n/c game.x()"]),
            down: Typed(&["Mod | player:Alice | reason:spamming\n/c game.x()"]),
            bad_input: Typed(&["Mod | player:Bob\n/c x", "Mod | player:Alice | server:nowhere"]),
            refused: Typed(&["Mod | player:Bob"]),
        },
        Row {
            command: "ban",
            allowed: Typed(&["Mod | player:Bob | reason:griefing", "Mod | player:Alice"]),
            denied: Typed(&["Ann | player:Bob | reason:griefing"]),
            down: Typed(&["Mod | player:Bob | reason:griefing"]),
            bad_input: Typed(&["Mod | player:Bob\n/c x"]),
            refused: Typed(&["Mod | player:Griefer"]),
        },
        Row {
            command: "unban",
            allowed: Typed(&["Mod | player:Griefer"]),
            denied: Typed(&["Ann | player:Griefer"]),
            down: Typed(&["Mod | player:Griefer"]),
            bad_input: Typed(&["Mod | player:Bob\n/c x"]),
            refused: Typed(&["Mod | player:Bob"]),
        },
        Row {
            command: "mute",
            allowed: Typed(&["Mod | player:Alice"]),
            denied: Typed(&["Ann | player:Alice"]),
            down: Typed(&["Mod | player:Alice"]),
            bad_input: Typed(&["Mod | player:Bob\n/c x"]),
            refused: Typed(&["Mod | player:Nobody"]),
        },
        Row {
            command: "unmute",
            allowed: Typed(&["Mod | player:Carol"]),
            denied: Typed(&["Ann | player:Carol"]),
            down: Typed(&["Mod | player:Carol"]),
            bad_input: Typed(&["Mod | player:Bob\n/c x"]),
            refused: Typed(&["Mod | player:Alice"]),
        },
        Row {
            command: "promote",
            allowed: Typed(&["Admin | player:Bob", "Admin | player:Newcomer"]),
            denied: Typed(&["Ann | player:Bob", "Mod | player:Bob"]),
            down: Typed(&["Admin | player:Bob"]),
            bad_input: Typed(&["Admin | player:Bob\n/c x"]),
            refused: Typed(&["Admin | player:Alice"]),
        },
        Row {
            command: "demote",
            allowed: Typed(&["Admin | player:Alice"]),
            denied: Typed(&["Ann | player:Alice", "Mod | player:Alice"]),
            down: Typed(&["Admin | player:Alice"]),
            bad_input: Typed(&["Admin | player:Bob\n/c x"]),
            refused: Typed(&["Admin | player:Bob"]),
        },
        Row {
            command: "save",
            allowed: Typed(&["Mod", "Mod | name:before-rocket"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Mod"]),
            bad_input: Typed(&["Mod | name:../../etc/passwd"]),
            refused: Typed(&["Mod"]),
        },
        Row {
            command: "broadcast",
            allowed: Typed(&["Mod | message:/c game.x()"]),
            denied: Typed(&["Ann | message:/c game.x()"]),
            down: Typed(&["Mod | message:/c game.x()"]),
            bad_input: Typed(&["Mod | message: // \n"]),
            refused: Never("the game says every plain text"),
        },
        Row {
            command: "whisper",
            allowed: Typed(&["Mod | player:Alice | message:psst\n/c game.x()"]),
            denied: Typed(&["Ann | player:Alice | message:psst\n/c game.x()"]),
            down: Typed(&["Mod | player:Alice | message:psst\n/c game.x()"]),
            bad_input: Typed(&["Mod | player:Bob\n/c x | message:hi", "Mod | player:Alice | message: // "]),
            refused: Typed(&["Mod | player:Bob | message:hi"]),
        },
    ],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_that_are_allowed_are_done() {
    assert_snapshot!(FAMILY.in_situation(Situation::Allowed).await, @r"
    Mod: kick player:Alice | reason:spamming\n/c game.x()
      > /kick Alice spamming /c game.x()
      public [Kick] ```Alice was kicked by <server>. Reason: spamming /c game.x().``` (Production · by Mod)
    Mod: kick player:Alice
      > /kick Alice
      public [Kick] ```Alice was kicked by <server>. Reason: unspecified.``` (Production · by Mod)
    Mod: ban player:Bob | reason:griefing
      > /ban Bob griefing
      asked back, private [Ban] ```Bob (not on map) was banned by <server>. Reason: griefing.``` (Production)
    Mod: ban player:Alice
      > /ban Alice
      asked back, private [Ban] ```Alice was banned by <server>. Reason: unspecified.``` (Production)
    Mod: unban player:Griefer
      > /unban Griefer
      public [Unban] ```Griefer was unbanned by <server>.``` (Production · by Mod)
    Mod: mute player:Alice
      > /mute Alice
      public [Mute] ```Alice has been muted by <server>.``` (Production · by Mod)
    Mod: unmute player:Carol
      > /unmute Carol
      public [Unmute] ```Carol has been unmuted by <server>.``` (Production · by Mod)
    Admin: promote player:Bob
      > /promote Bob
      asked back, private [Promote] ```Bob was promoted to admin by <server>.``` (Production)
    Admin: promote player:Newcomer
      > /promote Newcomer
      asked back, private [Promote] ```Newcomer was added to the admin list by <server> and will be promoted upon joining the game.``` (Production)
    Admin: demote player:Alice
      > /demote Alice
      asked back, private [Demote] ```Alice was demoted from admin by <server>.``` (Production)
    Mod: save
      > /server-save
      public [Save] The game took it and said nothing, as it does when all is well. (Production · by Mod)
    Mod: save name:before-rocket
      > /server-save before-rocket
      public [Save] The game took it and said nothing, as it does when all is well. (Production · by Mod)
    Mod: broadcast message:/c game.x()
      > c game.x()
      public [Broadcast] The game took it and said nothing, as it does when all is well. (Production · by Mod)
    Mod: whisper player:Alice | message:psst\n/c game.x()
      > /whisper Alice psst /c game.x()
      private [Whisper] The game took it and said nothing, as it does when all is well. (Production)
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_are_denied_to_those_who_may_not() {
    assert_snapshot!(FAMILY.in_situation(Situation::Denied).await, @r"
    Ann: kick player:Alice | reason:spamming\n/c game.x()
      private `/factorio kick` is for the level **moderator** and above, which you do not have here.
    Ann: ban player:Bob | reason:griefing
      private `/factorio ban` is for the level **moderator** and above, which you do not have here.
    Ann: unban player:Griefer
      private `/factorio unban` is for the level **moderator** and above, which you do not have here.
    Ann: mute player:Alice
      private `/factorio mute` is for the level **moderator** and above, which you do not have here.
    Ann: unmute player:Carol
      private `/factorio unmute` is for the level **moderator** and above, which you do not have here.
    Ann: promote player:Bob
      private `/factorio promote` is for the level **admin** and above, which you do not have here.
    Mod: promote player:Bob
      private `/factorio promote` is for the level **admin** and above, which you do not have here.
    Ann: demote player:Alice
      private `/factorio demote` is for the level **admin** and above, which you do not have here.
    Mod: demote player:Alice
      private `/factorio demote` is for the level **admin** and above, which you do not have here.
    Ann: save
      private `/factorio save` is for the level **moderator** and above, which you do not have here.
    Ann: broadcast message:/c game.x()
      private `/factorio broadcast` is for the level **moderator** and above, which you do not have here.
    Ann: whisper player:Alice | message:psst\n/c game.x()
      private `/factorio whisper` is for the level **moderator** and above, which you do not have here.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_say_that_the_game_is_down() {
    assert_snapshot!(FAMILY.in_situation(Situation::Down).await, @r"
    Mod: kick player:Alice | reason:spamming\n/c game.x()
      private The game is not running, or is still loading its map.
    Mod: ban player:Bob | reason:griefing
      asked back, private The game is not running, or is still loading its map.
    Mod: unban player:Griefer
      private The game is not running, or is still loading its map.
    Mod: mute player:Alice
      private The game is not running, or is still loading its map.
    Mod: unmute player:Carol
      private The game is not running, or is still loading its map.
    Admin: promote player:Bob
      asked back, private The game is not running, or is still loading its map.
    Admin: demote player:Alice
      asked back, private The game is not running, or is still loading its map.
    Mod: save
      private The game is not running, or is still loading its map.
    Mod: broadcast message:/c game.x()
      private The game is not running, or is still loading its map.
    Mod: whisper player:Alice | message:psst\n/c game.x()
      private The game is not running, or is still loading its map.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_say_what_is_wrong_with_what_was_typed() {
    assert_snapshot!(FAMILY.in_situation(Situation::BadInput).await, @r"
    Mod: kick player:Bob\n/c x
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Mod: kick player:Alice | server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Mod: ban player:Bob\n/c x
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Mod: unban player:Bob\n/c x
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Mod: mute player:Bob\n/c x
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Mod: unmute player:Bob\n/c x
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Admin: promote player:Bob\n/c x
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Admin: demote player:Bob\n/c x
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Mod: save name:../../etc/passwd
      private That is no name for a save: use at most 100 letters, digits, `.`, `_` or `-`, and no dot in front.
    Mod: broadcast message: // \n
      private There is no text in it.
    Mod: whisper player:Bob\n/c x | message:hi
      private That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Mod: whisper player:Alice | message: //
      private There is no text in it.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_show_the_games_refusal() {
    assert_snapshot!(FAMILY.in_situation(Situation::Refused).await, @r#"
    Mod: kick player:Bob
      > /kick Bob
      private [Kick] ```Bob isn't online.``` (Production)
    Mod: ban player:Griefer
      > /ban Griefer
      asked back, private [Ban] ```Griefer is already banned.``` (Production)
    Mod: unban player:Bob
      > /unban Bob
      private [Unban] ```Cannot unban Bob as the player is not banned.``` (Production)
    Mod: mute player:Nobody
      > /mute Nobody
      private [Mute] ```Player Nobody doesn't exist.``` (Production)
    Mod: unmute player:Alice
      > /unmute Alice
      private [Unmute] ```Alice is not muted.``` (Production)
    Admin: promote player:Alice
      > /promote Alice
      asked back, private [Promote] ```Alice is already an admin.``` (Production)
    Admin: demote player:Bob
      > /demote Bob
      asked back, private [Demote] ```Bob is not an admin.``` (Production)
    Mod: save
      > /server-save
      private [Save] ```Unknown command "server-save". Type /h or /help for more help about commands.``` (Production)
    broadcast never: the game says every plain text
    Mod: whisper player:Bob | message:hi
      > /whisper Bob hi
      private [Whisper] ```Bob isn't online.``` (Production)
    "#);
}
