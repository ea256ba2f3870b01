//! Commands that need Lua.

use insta::assert_snapshot;
use serde_json::json;

use super::matrix::{Cell, Family, Row, Situation};
use super::world::World;

use Cell::Typed;

pub const FAMILY: Family = Family {
    commands: "",
    more: "allow_lua = true\n[permissions]\nmoderator = [501]\nadmin = [502]",
    for_everyone: false,
    refusals: &[("/sc game.speed=2.000 rcon.print(game.speed)", "Cannot execute command. Error: no.\n")],
    rows: &[
        Row {
            command: "clock",
            allowed: Typed(&["Admin", "Admin | value:noon", "Admin | value:midnight | surface:Nauvis"]),
            denied: Typed(&["Ann", "Mod | value:noon"]),
            down: Typed(&["Admin", "Admin | value:noon"]),
            bad_input: Typed(&["Admin | surface:a\"b", "Admin | value:teatime"]),
            refused: Typed(&["Admin | value:noon | surface:mars"]),
        },
        Row {
            command: "speed",
            allowed: Typed(&["Admin", "Admin | value:2.5"]),
            denied: Typed(&["Ann", "Mod | value:2"]),
            down: Typed(&["Admin", "Admin | value:2"]),
            bad_input: Typed(&["Admin | value:11", "Admin | value:0", "Admin | value:fast"]),
            refused: Typed(&["Admin | value:2"]),
        },
        Row {
            command: "research",
            allowed: Typed(&[
                "Admin | action:status",
                "Admin | action:queue | technology:rocket-silo",
                "Admin | action:cancel",
                "Admin | action:complete | technology:automation | force:player",
            ]),
            denied: Typed(&["Ann | action:status", "Mod | action:cancel"]),
            down: Typed(&["Admin | action:status", "Admin | action:cancel"]),
            bad_input: Typed(&[
                "Admin | action:queue",
                "Admin | action:queue | technology:x\"]) game.y(",
                "Admin | action:status | force:a\"b",
                "Admin | action:burn",
            ]),
            refused: Typed(&[
                "Admin | action:queue | technology:magic",
                "Admin | action:complete | technology:magic",
                "Admin | action:status | force:biters",
                "Admin | action:cancel | force:biters",
            ]),
        },
    ],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_lua_is_done_where_it_is_allowed() {
    assert_snapshot!(FAMILY.in_situation(Situation::Allowed).await, @r#"
    Admin: clock
      > /time
      public [Age of the map] ```1 day, 11 hours, 1 minute and 26 seconds``` (Production · by Admin)
    Admin: clock value:noon
      > /sc local s=game.surfaces["nauvis"] if not s then rcon.print("Cannot find the surface.") return end s.daytime=0 rcon.print(s.name..": "..s.daytime)
      public [Time of day] ```nauvis: 0``` (Production · by Admin)
    Admin: clock value:midnight | surface:Nauvis
      > /sc local s=game.surfaces["nauvis"] if not s then rcon.print("Cannot find the surface.") return end s.daytime=0.5 rcon.print(s.name..": "..s.daytime)
      public [Time of day] ```nauvis: 0.5``` (Production · by Admin)
    Admin: speed
      > /sc rcon.print(game.speed)
      public [Game speed] ```1``` (Production · by Admin)
    Admin: speed value:2.5
      > /sc game.speed=2.500 rcon.print(game.speed)
      asked back, private [Game speed] ```2.5``` (Production)
    Admin: research action:status
      > /sc local f=game.forces["player"] if not f then rcon.print("Cannot find the force.") return end local t=f.current_research rcon.print(t and t.name.." "..math.floor(f.research_progress*100).." %" or "Nothing.")
      public [Research] ```Nothing.``` (Production · by Admin)
    Admin: research action:queue | technology:rocket-silo
      > /sc local f=game.forces["player"] if not f then rcon.print("Cannot find the force.") return end local t=f.technologies["rocket\045silo"] if not t then rcon.print("Cannot find the technology.") return end rcon.print(f.add_research(t) and "Queued." or "Cannot queue it.")
      asked back, private [Research] ```Queued.``` (Production)
    Admin: research action:cancel
      > /sc local f=game.forces["player"] if not f then rcon.print("Cannot find the force.") return end f.cancel_current_research() rcon.print("Cancelled.")
      asked back, private [Research] ```Cancelled.``` (Production)
    Admin: research action:complete | technology:automation | force:player
      > /sc local f=game.forces["player"] if not f then rcon.print("Cannot find the force.") return end local t=f.technologies["automation"] if not t then rcon.print("Cannot find the technology.") return end t.researched=true rcon.print("Completed.")
      asked back, private [Research] ```Completed.``` (Production)
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_lua_is_denied_to_those_who_may_not() {
    assert_snapshot!(FAMILY.in_situation(Situation::Denied).await, @r"
    Ann: clock
      private `/factorio clock` is for the level **admin** and above, which you do not have here.
    Mod: clock value:noon
      private `/factorio clock` is for the level **admin** and above, which you do not have here.
    Ann: speed
      private `/factorio speed` is for the level **admin** and above, which you do not have here.
    Mod: speed value:2
      private `/factorio speed` is for the level **admin** and above, which you do not have here.
    Ann: research action:status
      private `/factorio research` is for the level **admin** and above, which you do not have here.
    Mod: research action:cancel
      private `/factorio research` is for the level **admin** and above, which you do not have here.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_lua_says_that_the_game_is_down() {
    assert_snapshot!(FAMILY.in_situation(Situation::Down).await, @r"
    Admin: clock
      private The game is not running, or is still loading its map.
    Admin: clock value:noon
      private The game is not running, or is still loading its map.
    Admin: speed
      private The game is not running, or is still loading its map.
    Admin: speed value:2
      asked back, private The game is not running, or is still loading its map.
    Admin: research action:status
      private The game is not running, or is still loading its map.
    Admin: research action:cancel
      asked back, private The game is not running, or is still loading its map.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_lua_says_what_is_wrong_with_what_was_typed() {
    assert_snapshot!(FAMILY.in_situation(Situation::BadInput).await, @r#"
    Admin: clock surface:a\"b
      private That is no surface: use at most 100 letters, digits, blanks, `.`, `_` or `-`.
    Admin: clock value:teatime
      private `value` is one of `noon`, `evening`, `midnight`, `morning`.
    Admin: speed value:11
      private `value` goes from 0.1 to 10.
    Admin: speed value:0
      private `value` goes from 0.1 to 10.
    Admin: speed value:fast
      private `value` goes from 0.1 to 10.
    Admin: research action:queue
      private The option `technology` is missing.
    Admin: research action:queue | technology:x\"]) game.y(
      private That is no technology: use at most 100 letters, digits, `_` or `-`.
    Admin: research action:status | force:a\"b
      private That is no force: use at most 100 letters, digits, blanks, `.`, `_` or `-`.
    Admin: research action:burn
      private `action` is one of `status`, `queue`, `cancel`, `complete`.
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_lua_shows_the_games_refusal() {
    assert_snapshot!(FAMILY.in_situation(Situation::Refused).await, @r#"
    Admin: clock value:noon | surface:mars
      > /sc local s=game.surfaces["mars"] if not s then rcon.print("Cannot find the surface.") return end s.daytime=0 rcon.print(s.name..": "..s.daytime)
      private [Time of day] ```Cannot find the surface.``` (Production)
    Admin: speed value:2
      > /sc game.speed=2.000 rcon.print(game.speed)
      asked back, private [Game speed] ```Cannot execute command. Error: no.``` (Production)
    Admin: research action:queue | technology:magic
      > /sc local f=game.forces["player"] if not f then rcon.print("Cannot find the force.") return end local t=f.technologies["magic"] if not t then rcon.print("Cannot find the technology.") return end rcon.print(f.add_research(t) and "Queued." or "Cannot queue it.")
      asked back, private [Research] ```Cannot find the technology.``` (Production)
    Admin: research action:complete | technology:magic
      > /sc local f=game.forces["player"] if not f then rcon.print("Cannot find the force.") return end local t=f.technologies["magic"] if not t then rcon.print("Cannot find the technology.") return end t.researched=true rcon.print("Completed.")
      asked back, private [Research] ```Cannot find the technology.``` (Production)
    Admin: research action:status | force:biters
      > /sc local f=game.forces["biters"] if not f then rcon.print("Cannot find the force.") return end local t=f.current_research rcon.print(t and t.name.." "..math.floor(f.research_progress*100).." %" or "Nothing.")
      private [Research] ```Cannot find the force.``` (Production)
    Admin: research action:cancel | force:biters
      > /sc local f=game.forces["biters"] if not f then rcon.print("Cannot find the force.") return end f.cancel_current_research() rcon.print("Cancelled.")
      asked back, private [Research] ```Cannot find the force.``` (Production)
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lua_is_refused_by_default_and_says_how_to_allow_it() {
    let world = World::new().await;
    let noon = ("value", json!("noon"));
    let queue = [("action", json!("queue")), ("technology", json!("logistics"))];
    assert_snapshot!(world.call("Admin", "clock", &[noon]).await, @"private Only Lua can do this, and Lua disables achievements on the save for ever. It is not allowed for this server. Its operator allows it with `allow_lua = true` in the server's table `rcon`.");
    let same = world.call("Admin", "speed", &[("value", json!(2.0))]).await;
    assert_eq!(same, world.call("Admin", "research", &queue).await);
    assert!(same.contains("allow_lua = true"), "{same}");
    assert!(world.sent().is_empty());
}
