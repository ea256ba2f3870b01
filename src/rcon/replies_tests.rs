use proptest::prelude::*;

use super::*;

fn player(name: &str, online: bool) -> ListedPlayer {
    ListedPlayer { name: name.to_owned(), online }
}

#[test]
fn players_are_read_with_who_is_online() {
    let all = parse_players("Players (3):\n  Ann (online)\n  foo-bar\n  Player 7 (online)\n").unwrap();
    assert_eq!(all.count, 3);
    assert_eq!(all.listed, [player("Ann", true), player("foo-bar", false), player("Player 7", true)]);
    let online = parse_players("Online players (1):\n  Ann (online)\n").unwrap();
    assert_eq!(online.listed, [player("Ann", true)]);
    assert_eq!(parse_players("Online players (0):\n"), Some(Players { count: 0, listed: vec![] }));
    assert_eq!(parse_players("Players (12)\n"), Some(Players { count: 12, listed: vec![] }));
    assert_eq!(parse_players("Joueurs (2):\n  Ann"), None);
    assert_eq!(parse_players(""), None);
}

#[test]
fn time_is_read_in_every_plural_form() {
    let table = [
        ("7 seconds", 7),
        ("1 second\n", 1),
        ("0 seconds", 0),
        ("1 minute and 1 second", 61),
        ("2 hours and 5 seconds", 7205),
        ("3 hours, 2 minutes and 1 second", 10_921),
        ("1 day, 11 hours, 1 minute and 26 seconds", 126_086),
        ("40 days", 3_456_000),
    ];
    for (text, seconds) in table {
        assert_eq!(parse_time(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    for unknown in ["", "soon", "7", "7 Sekunden", "-1 seconds", "99999999999999999999 seconds", "1 day, "] {
        assert_eq!(parse_time(unknown), None, "{unknown}");
    }
}

#[test]
fn evolution_is_read_before_and_since_2_0() {
    let old = parse_evolution("Evolution factor: 0.6161. (Time 28%) (Pollution 53%) (Spawner kills 19%)\n").unwrap();
    assert_eq!(old, [Evolution { surface: None, factor: 0.6161, time: 28, pollution: 53, spawner_kills: 19 }]);
    let new = "Nauvis - Evolution factor: 0.9485. (Time 7%) (Pollution 82%) (Spawner kills 12%)\n\
        Gleba - Evolution factor: 0. (Time 0%) (Pollution 0%) (Spawner kills 0%)\n";
    let surfaces = parse_evolution(new).unwrap();
    let factors: Vec<_> = surfaces.iter().map(|surface| (surface.surface.as_deref(), surface.factor)).collect();
    assert_eq!(factors, [(Some("Nauvis"), 0.9485), (Some("Gleba"), 0.0)]);
    assert_eq!(parse_evolution("Surface \"x\" does not exist."), None);
    assert_eq!(parse_evolution(""), None);
}

#[test]
fn lists_of_names_are_read() {
    assert_eq!(parse_name_list("Whitelisted players: Ann, foo-bar and C.D\n").unwrap(), ["Ann", "foo-bar", "C.D"]);
    assert_eq!(parse_name_list("Banned players: Ann").unwrap(), ["Ann"]);
    assert_eq!(parse_name_list("Banned players: Ann and and").unwrap(), ["Ann", "and"]);
    for empty in ["The whitelist is empty.", "The banlist is empty.", "No players are banned."] {
        assert_eq!(parse_name_list(empty), Some(vec![]), "{empty}");
    }
    assert_eq!(parse_name_list("Whitelisted players: two words"), None);
    assert_eq!(parse_name_list("Something else"), None);
    assert_eq!(parse_admins("  Ann (online)\n  Bob\n").unwrap(), [player("Ann", true), player("Bob", false)]);
    assert_eq!(parse_admins("").unwrap(), []);
    assert_eq!(parse_admins("There are no admins."), None);
}

#[test]
fn version_and_seed_are_read() {
    assert_eq!(parse_version("2.0.77\n"), Some("2.0.77"));
    assert_eq!(parse_version("Unknown command"), None);
    assert_eq!(parse_seed("1234567890\n"), Some(1_234_567_890));
    assert_eq!(parse_seed("none"), None);
}

#[test]
fn a_refusal_is_told_from_success() {
    let table = [
        ("Unknown command \"foo\". Type /h or /help for more help about commands.", Some(Refusal::UnknownCommand)),
        ("Cannot execute command. Error: [string \"x\"]:1: oops", Some(Refusal::Failed)),
        ("Cannot unban Bob as the player is not banned.", Some(Refusal::Failed)),
        ("Player Bob doesn't exist.", Some(Refusal::NotFound)),
        ("Surface \"a b\" does not exist.", Some(Refusal::NotFound)),
        ("foo-bar isn't online.", Some(Refusal::NotOnline)),
        ("Bob is already an admin.", Some(Refusal::NothingToDo)),
        ("Bob is not an admin.", Some(Refusal::NothingToDo)),
        ("Bob is already whitelisted.\n", Some(Refusal::NothingToDo)),
        ("", None),
        ("Bob was kicked by <server>. Reason: he isn't online.", None),
        ("Bob was banned by <server>. Reason: Bob is not an admin.", None),
        ("Added Bob to the whitelist.", None),
        ("Bob was promoted to admin by <server>.", None),
    ];
    for (text, expected) in table {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

fn spelled(number: u64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

proptest! {
    #[test]
    fn every_age_the_game_can_spell_is_read(seconds in 0..1_000_000_000_u64) {
        let counts = [(seconds / 86_400, "day"), (seconds / 3600 % 24, "hour"), (seconds / 60 % 60, "minute"), (seconds % 60, "second")];
        let mut parts: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| spelled(*count, unit)).collect();
        let last = parts.pop().unwrap_or_else(|| "0 seconds".to_owned());
        let text = if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) };
        prop_assert_eq!(parse_time(&text), Some(Duration::from_secs(seconds)), "{}", text);
    }

    #[test]
    fn every_roster_is_read(names in prop::collection::btree_map("[A-Za-z0-9._-]{1,20}", any::<bool>(), 0..20)) {
        let line = |(name, online): (&String, &bool)| format!("  {name}{}\n", if *online { " (online)" } else { "" });
        let text = format!("Players ({}):\n{}", names.len(), names.iter().map(line).collect::<String>());
        let expected: Vec<ListedPlayer> = names.iter().map(|(name, online)| player(name, *online)).collect();
        prop_assert_eq!(parse_players(&text), Some(Players { count: names.len(), listed: expected }));
    }

    #[test]
    fn no_answer_upsets_a_parser(text in any::<String>(), head in "(Players \\([0-9]{0,12}\\):|Evolution factor: |Banned players: |1 day)?") {
        let text = format!("{head}{text}");
        let _ = (parse_players(&text), parse_time(&text), parse_evolution(&text), parse_admins(&text));
        let _ = (parse_name_list(&text), parse_seed(&text), parse_version(&text), refusal(&text));
    }
}

#[test]
fn an_answer_that_no_game_gives_tells_nothing() {
    let evolution = |factor: &str| format!("Evolution factor: {factor}. (Time 1%) (Pollution 2%) (Spawner kills 3%)\n");
    assert!(parse_evolution(&evolution("0.9485")).is_some());
    assert_eq!(parse_evolution(&evolution(&"9".repeat(400))), None);
    assert_eq!(parse_evolution(&evolution("1.5000")), None);
    assert_eq!(parse_players("Online players (1):\n  Ann (online)\n  Bob (online)\n"), None);
}
