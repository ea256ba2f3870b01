use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::game::{GameLink, Ups};

fn prod() -> ServerTag {
    ServerTag::new("prod").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn player(name: &str, since: Option<i64>) -> OnlinePlayer {
    OnlinePlayer { name: name.to_owned(), since: since.map(at) }
}

fn surface(name: Option<&str>, factor: f64) -> Evolution {
    Evolution { surface: name.map(ToOwned::to_owned), factor, time: 7, pollution: 82, spawner_kills: 11 }
}

fn busy() -> GameView {
    GameView {
        link: GameLink::Up,
        since: Some(at(1_000)),
        sampled_at: Some(at(9_000)),
        source: Some(SampleSource::Native),
        players: Some(vec![player("Zoe", Some(5_000)), player("New", None), player("Bob", Some(2_000))]),
        ups: Some(Ups { ups: 59.4, target: 60.0, window: Duration::from_mins(1), error: 1.0 }),
        paused: Some(false),
        age: Some(Duration::from_secs(126_086)),
        evolution: vec![surface(Some("Nauvis"), 0.9485), surface(Some("Gleba"), 0.6161)],
        research: Some(Research { technology: "rocket-silo".into(), progress: Some(0.429) }),
        version: Some("2.0.77".into()),
        achievements: Achievements::Possible,
        ..GameView::default()
    }
}

fn embed(view: &GameView) -> Embed {
    render(&prod(), "Production", view, at(10_000))
}

fn value(embed: &Embed, name: &str) -> Option<String> {
    embed.fields.iter().find(|field| field.name == name).map(|field| field.value.clone())
}

#[test]
fn a_busy_game_shows_all_that_is_known() {
    let embed = embed(&busy());
    assert_eq!((embed.title.as_str(), embed.color), ("Production", State::Online.colour()));
    assert_eq!(embed.description, "🟢 **Online** since <t:1000:R>");
    let fields: Vec<_> = embed.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
    let expected = [
        ("UPS", "59 of 60"),
        ("Map age", "1 d 11 h"),
        ("Evolution", "Nauvis 94.8 %\nGleba 61.6 %"),
        ("Research", r"rocket-silo, 42 %"),
        ("Version", "2.0.77"),
        ("Achievements", "nothing known against them"),
        ("Players (3)", "Bob · <t:2000:R>\nZoe · <t:5000:R>\nNew"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(embed.footer.text, "Status of prod · from the game's own commands");
}

#[test]
fn a_game_that_is_down_shows_no_players_and_no_speed() {
    let down = GameView { link: GameLink::Down("10.0.0.7:27015 refused".into()), ..busy() };
    let embed = embed(&down);
    assert_eq!(embed.description, "🔴 **Offline** since <t:1000:R>");
    assert_eq!(value(&embed, "Last answer").as_deref(), Some("<t:9000:R>"));
    assert_eq!(value(&embed, "Version").as_deref(), Some("2.0.77"));
    assert_eq!((value(&embed, "UPS"), value(&embed, "Research")), (None, None));
    let told = serde_json::to_string(&embed).unwrap();
    assert!(!told.contains("Bob") && !told.contains("10.0.0.7"), "{told}");
}

#[test]
fn every_state_has_a_look_of_its_own() {
    let silent = GameLink::Silent("saves".into());
    let down = GameLink::Down("refused".into());
    let looks = [GameLink::Up, silent, down, GameLink::Unknown].map(|link| {
        let embed = embed(&GameView { link, ..busy() });
        (embed.description, embed.color)
    });
    let paused = embed(&GameView { paused: Some(true), ..busy() });
    assert_eq!(paused.description, "🔵 **Paused** since <t:1000:R>");
    assert_eq!(value(&paused, "UPS"), None);
    let mut all: Vec<_> = looks.into_iter().chain([(paused.description, paused.color)]).collect();
    all.sort();
    all.dedup_by(|a, b| a.0 == b.0 || a.1 == b.1);
    assert_eq!(all.len(), 5, "{all:?}");
}

#[test]
fn what_nobody_knows_is_not_made_up() {
    let new = embed(&GameView::default());
    assert_eq!((new.description.as_str(), new.fields.len()), ("⚪ **Not asked yet**", 0));
    let unread = embed(&GameView { link: GameLink::Up, ..GameView::default() });
    assert_eq!(value(&unread, "Players").as_deref(), Some("unknown"));
    let empty = embed(&GameView { players: Some(Vec::new()), ..busy() });
    assert_eq!(value(&empty, "Players (0)").as_deref(), Some("nobody"));
    let without_rcon = GameView { link: GameLink::None, players: Some(Vec::new()), ..GameView::default() };
    assert_eq!(value(&embed(&without_rcon), "Players (0)").as_deref(), Some("nobody"));
    assert_eq!(embed(&without_rcon).footer.text, "Status of prod · from the log alone");
}

/// A game whose file tells, of which the log knows two players.
fn by_file(link: GameLink) -> GameView {
    let players = Some(vec![player("Bob", Some(2_000)), player("Zoe", Some(5_000))]);
    GameView { link, files_tell: true, source: Some(SampleSource::Files), players, unnamed: 1, ..busy() }
}

#[test]
fn a_game_of_which_a_mods_file_tells_says_so() {
    let embed = embed(&GameView { rockets: Some(12), ..by_file(GameLink::None) });
    assert_eq!(embed.description, "🟢 **Online** since <t:1000:R>");
    assert_eq!(embed.footer.text, "Status of prod · from files that a mod writes");
    assert_eq!(value(&embed, "UPS").as_deref(), Some("59 of 60"));
    assert_eq!(value(&embed, "Rockets").as_deref(), Some("12"));
    let who = "Bob · <t:2000:R>\nZoe · <t:5000:R>\nand 1 whose names are not known";
    assert_eq!(value(&embed, "Players (3)").as_deref(), Some(who));
    assert_eq!((value(&embed, "RCON"), value(&embed, "File last written")), (None, None));
}

#[test]
fn what_is_wrong_with_rcon_is_said_where_a_file_stands_in_for_it() {
    let down = embed(&by_file(GameLink::Down("10.0.0.7:27015 refused".into())));
    assert_eq!(value(&down, "RCON").as_deref(), Some("cannot be reached"));
    assert_eq!(value(&embed(&by_file(GameLink::Silent("saves".into()))), "RCON").as_deref(), Some("does not answer"));
    assert!(!serde_json::to_string(&down).unwrap().contains("10.0.0.7"));
}

#[test]
fn a_file_that_is_not_rewritten_is_said_to_be_old() {
    let standing = embed(&GameView { ups: None, paused: None, ..by_file(GameLink::None) });
    assert_eq!(value(&standing, "File last written").as_deref(), Some("<t:9000:R>"));
    let old = embed(&GameView { files_tell: false, ups: None, paused: None, unnamed: 0, ..by_file(GameLink::None) });
    assert_eq!(old.description, "⚪ **Without RCON** since <t:1000:R>");
    assert_eq!(value(&old, "File last written").as_deref(), Some("<t:9000:R>"));
    assert_eq!(old.footer.text, "Status of prod · from the log alone");
}

#[test]
fn what_mods_tell_beside_the_game_is_told_apart() {
    let embed = embed(&GameView { told_by_mods: vec!["research", "rockets"], ..busy() });
    assert_eq!(embed.footer.text, "Status of prod · from the game's own commands; research, rockets from mods");
}

#[test]
fn lost_achievements_are_said_to_be_lost() {
    let lost = embed(&GameView {
        achievements: Achievements::Lost { lua_at: at(60) },
        source: Some(SampleSource::Lua),
        ..busy()
    });
    assert_eq!(value(&lost, "Achievements").as_deref(), Some("no longer possible: Lua ran <t:60:R>"));
    assert_eq!(lost.footer.text, "Status of prod · from Lua");
}

#[test]
fn hundreds_of_players_are_listed_without_times_and_then_counted() {
    let crowd = |count: usize| {
        let players = (0..count).map(|n| player(&format!("engineer{n:03}"), Some(2_000))).collect();
        let embed = embed(&GameView { players: Some(players), ..busy() });
        value(&embed, &format!("Players ({count})")).unwrap()
    };
    assert!(crowd(30).contains(" · <t:2000:R>\n"));
    let sixty = crowd(60);
    assert!(sixty.starts_with("engineer000, engineer001") && sixty.ends_with("engineer059"), "{sixty}");
    let hundreds = crowd(400);
    let listed = hundreds.matches("engineer").count();
    assert!(hundreds.ends_with(&format!(", +{} more", 400 - listed)) && listed > 60, "{hundreds}");
}

#[test]
fn nothing_in_a_players_name_is_live() {
    let name = "**@everyone** <t:0:R> [free](https://evil.example) ||x|| `y`";
    let embed = embed(&GameView { players: Some(vec![player(name, None)]), ..busy() });
    let shown = value(&embed, "Players (1)").unwrap();
    assert!(shown.starts_with(r"\*\*@") && !shown.contains("@everyone"), "{shown}");
    for live in [" <t:0", "](http", " **", " ||", " `"] {
        assert!(!shown.contains(live), "{live} in {shown}");
    }
}

#[test]
fn time_alone_changes_nothing() {
    let view = busy();
    let later = at(10_000).checked_add(SignedDuration::from_hours(5)).unwrap();
    assert!(embed(&view).says_the_same(&render(&prod(), "Production", &view, later)));
    let other = GameView { version: Some("2.0.78".into()), ..view };
    assert!(!embed(&busy()).says_the_same(&embed(&other)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a game says, Discord takes it.
    #[test]
    fn the_limits_of_embeds_are_kept(
        server in ".{1,300}",
        names in prop::collection::vec(".{0,90}", 0..300),
        surfaces in prop::collection::vec((".{0,90}", 0.0..1.0), 0..60),
        technology in ".{0,300}",
        version in ".{0,300}",
        times in any::<bool>(),
    ) {
        let players = names.iter().map(|name| player(name, times.then_some(1_800_000_000)));
        let view = GameView {
            players: Some(players.collect()),
            evolution: surfaces.iter().map(|(name, factor)| surface(Some(name), *factor)).collect(),
            research: Some(Research { technology, progress: Some(0.5) }),
            version: Some(version),
            ..busy()
        };
        let embed = render(&prod(), &server, &view, at(0));
        let mut total = length(&embed.title) + length(&embed.description) + length(&embed.footer.text);
        prop_assert!((1..=256).contains(&length(&embed.title)));
        prop_assert!(embed.fields.len() <= 25);
        for field in &embed.fields {
            prop_assert!((1..=256).contains(&length(&field.name)));
            prop_assert!((1..=1024).contains(&length(&field.value)), "{}", field.value);
            total += length(&field.name) + length(&field.value);
        }
        prop_assert!(total <= 6000, "{}", total);
    }
}
