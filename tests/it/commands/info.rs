//! Questions to the game.

use insta::assert_snapshot;

use super::matrix::{Cell, Family, Row, Situation};
use super::world::ROLES;

use Cell::Typed;

pub const FAMILY: Family = Family {
    commands: "",
    more: ROLES,
    for_everyone: true,
    refusals: &[
        ("/players online", "Unknown command \"players\". Type /h or /help for more help about commands.\n"),
        ("/time", "Unknown command \"time\". Type /h or /help for more help about commands.\n"),
        ("/version", "Unknown command \"version\". Type /h or /help for more help about commands.\n"),
        ("/evolution", "Unknown command \"evolution\". Type /h or /help for more help about commands.\n"),
        ("/seed", "Unknown command \"seed\". Type /h or /help for more help about commands.\n"),
        ("/admins", "Unknown command \"admins\". Type /h or /help for more help about commands.\n"),
    ],
    rows: &[
        Row {
            command: "status",
            allowed: Typed(&["Ann"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Typed(&["Ann"]),
        },
        Row {
            command: "players",
            allowed: Typed(&["Ann"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Typed(&["Ann"]),
        },
        Row {
            command: "version",
            allowed: Typed(&["Ann"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Typed(&["Ann"]),
        },
        Row {
            command: "seed",
            allowed: Typed(&["Ann"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Typed(&["Ann"]),
        },
        Row {
            command: "evolution",
            allowed: Typed(&["Ann", "Ann | surface:nauvis"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann"]),
            bad_input: Typed(&["Ann | surface:a\"b", "Ann | server:nowhere"]),
            refused: Typed(&["Ann", "Ann | surface:mars"]),
        },
        Row {
            command: "admins",
            allowed: Typed(&["Ann"]),
            denied: Typed(&["Ann"]),
            down: Typed(&["Ann"]),
            bad_input: Typed(&["Ann | server:nowhere"]),
            refused: Typed(&["Ann"]),
        },
    ],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_to_the_game_that_are_allowed_are_done() {
    assert_snapshot!(FAMILY.in_situation(Situation::Allowed).await, @r"
    Ann: status
      > /players online
      > /time
      > /version
      > /evolution
      public [Status] <Players online: `1`> <Age of the map: `1 day, 11 hours, 1 minute and 26 seconds`> <Version: `2.0.77`> <Evolution of Nauvis: `94.85 %`> (Production)
    Ann: players
      > /players online
      public [Players online: 1] ```Alice``` (Production)
    Ann: version
      > /version
      public [Version] <Factorio: `2.0.77`> (Production)
    Ann: seed
      > /seed
      public [Seed] ```1234567890``` (Production)
    Ann: evolution
      > /evolution
      public [Evolution] <Factor of Nauvis: `94.85 % (time 7 %, pollution 82 %, spawner kills 12 %)`> (Production)
    Ann: evolution surface:nauvis
      > /evolution nauvis
      public [Evolution] <Factor of Nauvis: `94.85 % (time 7 %, pollution 82 %, spawner kills 12 %)`> (Production)
    Ann: admins
      > /admins
      public [Admins: 1] ```Alice (online)``` (Production)
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_to_the_game_are_denied_to_those_who_may_not() {
    assert_snapshot!(FAMILY.in_situation(Situation::Denied).await, @r"
    Ann: status
      private `/factorio status` is for the level **moderator** and above, which you do not have here.
    Ann: players
      private `/factorio players` is for the level **moderator** and above, which you do not have here.
    Ann: version
      private `/factorio version` is for the level **moderator** and above, which you do not have here.
    Ann: seed
      private `/factorio seed` is for the level **moderator** and above, which you do not have here.
    Ann: evolution
      private `/factorio evolution` is for the level **moderator** and above, which you do not have here.
    Ann: admins
      private `/factorio admins` is for the level **moderator** and above, which you do not have here.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_to_the_game_say_that_the_game_is_down() {
    assert_snapshot!(FAMILY.in_situation(Situation::Down).await, @r"
    Ann: status
      private The game is not running, or is still loading its map.
    Ann: players
      private The game is not running, or is still loading its map.
    Ann: version
      private The game is not running, or is still loading its map.
    Ann: seed
      private The game is not running, or is still loading its map.
    Ann: evolution
      private The game is not running, or is still loading its map.
    Ann: admins
      private The game is not running, or is still loading its map.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_to_the_game_say_what_is_wrong_with_what_was_typed() {
    assert_snapshot!(FAMILY.in_situation(Situation::BadInput).await, @r#"
    Ann: status server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: players server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: version server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: seed server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: evolution surface:a\"b
      private That is no surface: use at most 100 letters, digits, blanks, `.`, `_` or `-`.
    Ann: evolution server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    Ann: admins server:nowhere
      private There is no server `nowhere`. There are: `prod`.
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_to_the_game_show_the_games_refusal() {
    assert_snapshot!(FAMILY.in_situation(Situation::Refused).await, @r#"
    Ann: status
      > /players online
      > /time
      > /version
      > /evolution
      private [Status] <Players online: `Unknown command "players". Type /h or /help for more help about commands.`> <Age of the map: `Unknown command "time". Type /h or /help for more help about commands.`> <Version: `Unknown command "version". Type /h or /help for more help about commands.`> <Evolution: `Unknown command "evolution". Type /h or /help for more help about commands.`> (Production)
    Ann: players
      > /players online
      private [Players online] ```Unknown command "players". Type /h or /help for more help about commands.``` (Production)
    Ann: version
      > /version
      private [Version] ```Unknown command "version". Type /h or /help for more help about commands.``` (Production)
    Ann: seed
      > /seed
      private [Seed] ```Unknown command "seed". Type /h or /help for more help about commands.``` (Production)
    Ann: evolution
      > /evolution
      private [Evolution] ```Unknown command "evolution". Type /h or /help for more help about commands.``` (Production)
    Ann: evolution surface:mars
      > /evolution mars
      private [Evolution] ```Surface "mars" does not exist.``` (Production)
    Ann: admins
      > /admins
      private [Admins] ```Unknown command "admins". Type /h or /help for more help about commands.``` (Production)
    "#);
}
