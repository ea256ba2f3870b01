use super::*;

/// What the console answers to these lines in turn, each behind its line.
fn console(game: &mut Game, lines: &[&str]) -> String {
    let mut events = Vec::new();
    let answers = lines.iter().map(|line| {
        format!(
            "> {line}
{}",
            game.run(line, &mut events)
        )
    });
    answers.collect()
}

fn peopled() -> Game {
    let mut game = Game::default();
    game.join("Ann");
    game.join("foo-bar");
    game.leave("foo-bar");
    game.admins.insert("Ann".to_owned());
    game
}

#[test]
fn questions_are_answered_in_the_games_words() {
    let asked = [
        "/players",
        "/p o",
        "/players online count",
        "/admins",
        "/time",
        "/seed",
        "/version",
        "/evolution",
        "/evolution NAUVIS",
        "/evolution x",
        "/foo bar",
    ];
    insta::assert_snapshot!(console(&mut peopled(), &asked), @r#"
    > /players
    Players (2):
      Ann (online)
      foo-bar
    > /p o
    Online players (1):
      Ann (online)
    > /players online count
    Online players (1)
    > /admins
    Ann (online)
    > /time
    1 day, 11 hours, 1 minute and 26 seconds
    > /seed
    1234567890
    > /version
    2.0.77
    > /evolution
    Nauvis - Evolution factor: 0.9485. (Time 7%) (Pollution 82%) (Spawner kills 12%)
    > /evolution NAUVIS
    Nauvis - Evolution factor: 0.9485. (Time 7%) (Pollution 82%) (Spawner kills 12%)
    > /evolution x
    Surface "x" does not exist.
    > /foo bar
    Unknown command "foo". Type /h or /help for more help about commands.
    "#);
}

#[test]
fn moderation_changes_the_game_and_says_so() {
    let orders = [
        "/kick ann rude words",
        "/kick Ann",
        "/kick Nobody",
        "/ban Zed",
        "/ban Zed",
        "/bans",
        "/unban Zed",
        "/unban Zed",
        "/mute Ann",
        "/mute Ann",
        "/unmute Ann",
        "/promote Ann",
        "/promote New",
        "/demote New",
        "/demote New",
        "/whitelist get",
        "/whitelist add A",
        "/whitelist add B",
        "/whitelist add C",
        "/whitelist add C",
        "/whitelist get",
        "/whitelist remove B",
        "/whitelist remove B",
        "/whitelist enable",
        "/banlist get",
        "/whisper Ann hi",
    ];
    insta::assert_snapshot!(console(&mut peopled(), &orders), @r"
    > /kick ann rude words
    Ann was kicked by <server>. Reason: rude words.
    > /kick Ann
    Ann isn't online.
    > /kick Nobody
    Player Nobody doesn't exist.
    > /ban Zed
    Zed (not on map) was banned by <server>. Reason: unspecified.
    > /ban Zed
    Zed is already banned.
    > /bans
    Banned players: Zed
    > /unban Zed
    Zed was unbanned by <server>.
    > /unban Zed
    Cannot unban Zed as the player is not banned.
    > /mute Ann
    Ann has been muted by <server>.
    > /mute Ann
    Ann is already muted.
    > /unmute Ann
    Ann has been unmuted by <server>.
    > /promote Ann
    Ann is already an admin.
    > /promote New
    New was added to the admin list by <server> and will be promoted upon joining the game.
    > /demote New
    New was demoted from admin by <server>.
    > /demote New
    New is not an admin.
    > /whitelist get
    The whitelist is empty.
    > /whitelist add A
    Added A to the whitelist.
    > /whitelist add B
    Added B to the whitelist.
    > /whitelist add C
    Added C to the whitelist.
    > /whitelist add C
    C is already whitelisted.
    > /whitelist get
    Whitelisted players: A, B and C
    > /whitelist remove B
    Removed B from the whitelist.
    > /whitelist remove B
    B is not whitelisted.
    > /whitelist enable
    The whitelist has been enabled.
    > /banlist get
    No players are banned.
    > /whisper Ann hi
    Ann isn't online.
    ");
}

#[test]
fn an_age_is_spelled_with_the_right_plurals() {
    let mut game = Game::default();
    for (seconds, spelled) in
        [(0, "0 seconds"), (1, "1 second"), (61, "1 minute and 1 second"), (7205, "2 hours and 5 seconds")]
    {
        game.age = Duration::from_secs(seconds);
        assert_eq!(game.run("/time", &mut Vec::new()), format!("{spelled}\n"));
    }
}

#[test]
fn the_first_lua_command_must_come_twice_and_ends_achievements() {
    let mut game = Game::default();
    let mut events = Vec::new();
    assert!(game.run("/sc rcon.print(game.tick)", &mut events).contains("Please repeat the command to proceed."));
    assert!(game.run("/sc rcon.print(1)", &mut events).contains("Please repeat"), "another command is no repetition");
    assert!(!game.achievements_disabled());
    assert_eq!(game.run("/sc rcon.print(1)", &mut events), "");
    assert!(game.achievements_disabled());
    assert_eq!(game.run("/c rcon.print(game.tick)", &mut events), "7565160\n");
    assert_eq!(events.last(), Some(&RconEvent::LuaCommand { lua: "rcon.print(game.tick)".to_owned() }));
}

#[test]
fn lua_that_the_relay_sends_changes_the_game() {
    let mut game = Game { lua: Lua::disabled(), ..Game::default() };
    let mut lua = |script: &str| game.run(&format!("/sc {script}"), &mut Vec::new());
    assert_eq!(lua("game.speed=2.500 rcon.print(game.speed)"), "2.5\n");
    assert_eq!(lua("rcon.print(game.speed)"), "2.5\n");
    let clock = |surface: &str| {
        format!(
            "local s=game.surfaces[\"{surface}\"] if not s then rcon.print(\"Cannot find the surface.\") return end \
             s.daytime=0.5 rcon.print(s.name..\": \"..s.daytime)"
        )
    };
    assert_eq!(lua(&clock("nauvis")), "nauvis: 0.5\n");
    assert_eq!(lua(&clock("mars")), "Cannot find the surface.\n");
    let research = |force: &str, rest: &str| {
        format!(
            "local f=game.forces[\"{force}\"] if not f then rcon.print(\"Cannot find the force.\") return end {rest}"
        )
    };
    let technology = |name: &str, then: &str| {
        let missing = "if not t then rcon.print(\"Cannot find the technology.\") return end";
        research("player", &format!("local t=f.technologies[\"{name}\"] {missing} {then}"))
    };
    let queue = "rcon.print(f.add_research(t) and \"Queued.\" or \"Cannot queue it.\")";
    assert_eq!(lua(&technology("rocket\\045silo", queue)), "Queued.\n");
    assert_eq!(lua(&technology("rocket\\045silo", queue)), "Cannot queue it.\n");
    assert_eq!(lua(&research("player", "local t=f.current_research rcon.print(t.name)")), "rocket-silo 0 %\n");
    assert_eq!(lua(&technology("logistics", "t.researched=true rcon.print(\"Completed.\")")), "Completed.\n");
    assert_eq!(lua(&technology("logistics", queue)), "Cannot queue it.\n");
    assert_eq!(lua(&technology("magic", queue)), "Cannot find the technology.\n");
    assert_eq!(lua(&research("player", "f.cancel_current_research() rcon.print(\"Cancelled.\")")), "Cancelled.\n");
    assert_eq!(lua(&research("player", "local t=f.current_research rcon.print(t.name)")), "Nothing.\n");
    assert_eq!(lua(&research("biters", "x")), "Cannot find the force.\n");
    assert_eq!(game.research.done, ["logistics".to_owned()].into());
}

#[test]
fn plain_text_is_said_by_the_server_its_first_line_alone() {
    let mut events = Vec::new();
    assert_eq!(Game::default().run("hello\n/c x", &mut events), "");
    assert_eq!(events, [RconEvent::Chat { text: "hello".to_owned() }]);
}
