//! What the story promises, and that playing it leaves logs a relay can read.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use regex::Regex;

use super::*;
use crate::domain::SystemClock;
use crate::sim::factorio::{LogFeed, SimServer, SimServerConfig};
use crate::sim::rcon::Game;

/// Some rounds of the deck.
const LONG: usize = 1_500;

/// What happens within ten seconds.
fn opening(seed: u64) -> Vec<Beat> {
    let mut elapsed = Duration::ZERO;
    let within = |beat: &Beat| {
        elapsed += beat.delay;
        elapsed < Duration::from_secs(10)
    };
    Story::new(seed).take_while(within).collect()
}

fn texts(beats: &[Beat], at: Place) -> Vec<&str> {
    let said = beats.iter().filter(|beat| beat.place == at);
    said.filter_map(|beat| if let Action::Chat(_, text) = &beat.action { Some(text.as_ref()) } else { None }).collect()
}

#[test]
fn ten_seconds_show_people_talk_and_rich_text_on_both_servers() {
    for seed in 0..20 {
        let beats = opening(seed);
        assert!(beats.len() >= 25, "seed {seed}: {} beats", beats.len());
        for place in Place::ALL {
            let joins = beats.iter().filter(|b| b.place == place && matches!(b.action, Action::Join(_))).count();
            let chat = texts(&beats, place);
            assert!(joins >= 3 && chat.len() >= 6, "seed {seed} {place:?}: {joins} joins, {} chats", chat.len());
            assert!(chat.iter().filter(|text| text.contains("[gps=") || text.contains("[item=")).count() >= 2);
        }
    }
}

#[test]
fn first_words_come_within_two_seconds() {
    let before_words = opening(1).into_iter().take_while(|beat| !matches!(beat.action, Action::Chat(..)));
    assert!(before_words.map(|beat| beat.delay).sum::<Duration>() < Duration::from_secs(2));
}

#[test]
fn first_minute_has_a_troll_and_no_restart() {
    for seed in 0..20 {
        let mut elapsed = Duration::ZERO;
        let minute: Vec<Beat> = Story::new(seed)
            .take_while(|beat| {
                elapsed += beat.delay;
                elapsed.as_secs() < 60
            })
            .collect();
        assert!(minute.iter().any(|beat| matches!(beat.action, Action::Kick(..))), "seed {seed}");
        assert!(minute[2..].iter().all(|beat| !matches!(beat.action, Action::Start | Action::Stop | Action::Crash)));
    }
}

#[test]
fn every_kind_of_action_occurs() {
    let kinds: HashSet<_> = Story::new(7).take(LONG).map(|beat| std::mem::discriminant(&beat.action)).collect();
    assert_eq!(kinds.len(), 21);
}

#[test]
fn every_name_is_one_the_game_allows() {
    let legal = Regex::new(r"^[A-Za-z0-9._-]{1,60}$").unwrap();
    for beat in Story::new(7).take(LONG) {
        let mut names = beat.action.needs();
        if let Action::Join(player) = beat.action {
            names.push(player);
        }
        assert!(names.iter().all(|name| legal.is_match(name) && *name != TROLL), "{beat:?}");
    }
}

#[test]
fn nobody_acts_who_is_not_there_and_no_stopped_server_talks() {
    let mut present = HashSet::new();
    let mut running = HashSet::new();
    for beat in Story::new(3).take(LONG) {
        let here = |player: &Player| (beat.place as u8, *player);
        assert!(beat.action.needs().iter().all(|player| present.contains(&here(player))), "{beat:?}");
        let down = matches!(beat.action, Action::Start | Action::RotateRename);
        assert_eq!(running.contains(&(beat.place as u8)), !down, "{beat:?}");
        match beat.action {
            Action::Start => assert!(running.insert(beat.place as u8)),
            Action::Stop | Action::Crash => {
                running.remove(&(beat.place as u8));
                present.retain(|(place, _)| *place != beat.place as u8);
            }
            Action::Join(player) => assert!(present.insert(here(&player)), "{beat:?}"),
            Action::Leave(player) | Action::Kick(player, ..) | Action::Ban(player, ..) => {
                present.remove(&here(&player));
            }
            _ => {}
        }
    }
}

#[test]
fn after_the_opening_the_pace_is_natural() {
    let calm: Vec<Beat> = Story::new(5).skip(opening(5).len()).take(LONG).collect();
    let total: Duration = calm.iter().map(|beat| beat.delay).sum();
    let mean = total.as_secs_f64() / calm.len() as f64;
    assert!((1.0..4.0).contains(&mean), "{mean}");
    assert!(calm.iter().all(|beat| beat.delay <= Duration::from_secs(5)));
}

#[test]
fn rounds_vary_and_seeds_repeat() {
    let beats = |seed| Story::new(seed).take(LONG).collect::<Vec<_>>();
    assert_eq!(beats(1), beats(1));
    assert_ne!(beats(1), beats(2));
    let said: HashSet<String> = beats(1).iter().map(|beat| format!("{:?}", beat.action)).collect();
    assert!(said.len() > 300, "{}", said.len());
    assert!(!said.iter().any(|action| action.contains("{x}") || action.contains("{n}")));
}

#[test]
fn spam_comes_five_times_in_a_burst() {
    let beats: Vec<Beat> = Story::new(1).take(LONG).collect();
    let same = |run: &[Beat]| run.iter().all(|beat| beat.action == run[0].action);
    let burst = |run: &&[Beat]| same(run) && run[1..].iter().all(|beat| beat.delay < Duration::from_millis(100));
    assert!(beats.windows(5).find(burst).is_some());
}

async fn games(dir: &std::path::Path, feed: &LogFeed) -> [SimGame; 2] {
    let [nauvis, space_age] = Place::ALL.map(|place| {
        let config = SimServerConfig {
            name: place.name().to_owned(),
            console_log: dir.join(format!("{}.log", place.name())),
            engine_log: Some(dir.join(place.name()).join("factorio-current.log")),
            timezone: TimeZone::UTC,
            space_age: place == Place::SpaceAge,
        };
        std::fs::create_dir(dir.join(place.name())).unwrap();
        SimServer::new(config, Arc::new(SystemClock)).shown_by(feed)
    });
    let game = async |server| SimGame::new(server, "secret", Game::default()).await.unwrap();
    [game(nauvis).await, game(space_age).await]
}

#[tokio::test]
async fn every_beat_can_be_performed() {
    let dir = tempfile::tempdir().unwrap();
    let games = games(dir.path(), &LogFeed::new()).await;
    games[0].server().console().keep_rotated(1_000);
    for beat in Story::new(1).take(LONG) {
        perform(&games[beat.place as usize], &beat.action).await.unwrap();
    }
    let space_age = std::fs::read_to_string(dir.path().join("Space Age.log")).unwrap();
    assert!(space_age.matches("=== Log opened").count() > 1);
    assert!(!space_age.contains("=== Log closed"), "it only ever crashes");
    let nauvis: String = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.ends_with("Space Age.log"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(nauvis.matches("[PROMOTE]").count(), 1, "an admin is not promoted again");
    assert!(nauvis.matches("[BAN]").count() > nauvis.matches("[UNBANNED]").count());
}

/// What a line of the story leaves in the console log, without the date.
async fn performed(game: &SimGame, dir: &std::path::Path, action: Action) -> Vec<String> {
    let log = || std::fs::read_to_string(dir.join("Nauvis Main.log")).unwrap();
    let before = log().len();
    perform(game, &action).await.unwrap();
    log()[before..].lines().map(|line| line.get(20..).unwrap_or(line).to_owned()).collect()
}

#[tokio::test]
async fn story_follows_what_moderators_do_over_rcon() {
    let dir = tempfile::tempdir().unwrap();
    let [game, _] = games(dir.path(), &LogFeed::new()).await;
    perform(&game, &Action::Start).await.unwrap();
    let words = || Action::Chat("old_pete", "WHO scheduled this".into());
    let (came, said) = ("[JOIN] old_pete joined the game", "[CHAT] old_pete: WHO scheduled this");
    assert_eq!(performed(&game, dir.path(), words()).await, [came, said]);
    let order = |text: &str| drop(game.rcon().game().run(text, &mut Vec::new()));
    order("/kick old_pete");
    assert_eq!(performed(&game, dir.path(), words()).await, [came, said]);
    order("/mute old_pete");
    assert!(performed(&game, dir.path(), words()).await.is_empty());
    order("/unmute old_pete");
    order("/ban old_pete");
    assert!(performed(&game, dir.path(), words()).await.is_empty());
    assert!(performed(&game, dir.path(), Action::Join("old_pete")).await.is_empty());
}

#[tokio::test]
async fn played_story_is_told_on_both_servers_and_ends_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let feed = LogFeed::new();
    let (_, mut lines) = feed.subscribe();
    let playing = tokio::spawn(play(Story::new(1), games(dir.path(), &feed).await, cancel.clone()));
    let mut awaited: HashSet<_> =
        Place::ALL.into_iter().flat_map(|at| [(at.name(), "[JOIN]"), (at.name(), "[CHAT]")]).collect();
    let all_seen = async {
        while !awaited.is_empty() {
            let line = lines.recv().await.unwrap();
            awaited.retain(|(server, tag)| *server != &*line.server || !line.text.contains(tag));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all_seen).await.unwrap();
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(10), playing).await.unwrap().unwrap().unwrap();
}
