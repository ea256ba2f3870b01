use tokio::time::interval;

use super::super::tests::{World, at, down, sees};
use super::*;
use crate::game::files::A_LITTLE;
use crate::game::prom_file::FileNumbers;
use crate::game::sample::{Achievements, SampleSource};
use crate::rcon::Evolution;

const MAX_AGE: Duration = Duration::from_mins(2);
const INTERVAL: Duration = Duration::from_secs(30);

/// A file that was written at a second, just now.
fn written(second: i64, numbers: FileNumbers) -> Arc<FileTold> {
    aged(second, numbers, Duration::ZERO)
}

/// The same, so long ago by the measuring clock.
fn aged(second: i64, numbers: FileNumbers, age: Duration) -> Arc<FileTold> {
    let seen_at = Instant::now() - age;
    let (written, resolution) = (at(second), Duration::from_millis(10));
    Arc::new(FileTold { numbers, written, written_at: seen_at, resolution, seen: written, seen_at })
}

fn counts(players: usize) -> FileNumbers {
    FileNumbers { players: Some(players), ..FileNumbers::default() }
}

fn ticks(tick: u64) -> FileNumbers {
    FileNumbers { tick: Some(tick), players: Some(1), ..FileNumbers::default() }
}

fn beside_a_file(keeper: Keeper, max_age: Duration) -> Keeper {
    let updates = tokio::sync::watch::channel(None).1;
    keeper.with_file(FileSource::new(max_age, Duration::from_mins(1)), updates, INTERVAL)
}

impl World {
    fn without_rcon(&self) -> Keeper {
        beside_a_file(self.keeper(), MAX_AGE)
    }

    fn with_rcon(&self) -> Keeper {
        beside_a_file(self.asking(), MAX_AGE)
    }

    /// Who is there by name, and how many at all.
    fn present(&self) -> (Vec<String>, Option<usize>) {
        let view = self.view();
        (view.players.iter().flatten().map(|player| player.name.clone()).collect(), view.headcount())
    }

    async fn open(&self) -> usize {
        self.store.open_sessions(&self.prod).await.unwrap().len()
    }
}

fn named(names: &[&str], count: usize) -> (Vec<String>, Option<usize>) {
    (names.iter().map(ToString::to_string).collect(), Some(count))
}

#[tokio::test]
async fn a_game_without_rcon_is_shown_as_its_file_tells() {
    let world = World::new().await;
    let mut keeper = world.without_rcon();
    let evolution = vec![Evolution { surface: None, factor: 0.61, time: 0, pollution: 0, spawner_kills: 0 }];
    let research = Some(Research { technology: "rocket-silo".to_owned(), progress: Some(0.4) });
    let known_players = Some(9);
    let numbers =
        FileNumbers { tick: Some(3600), players: Some(2), known_players, evolution, research, rockets: Some(7) };
    let news = keeper.take_file(&written(100, numbers.clone())).await;
    let Some(FileNews::Tells(reading, Some(2))) = news else { panic!("{news:?}") };
    assert_eq!((reading.at, &reading.numbers), (at(100), &numbers));
    let view = world.view();
    assert_eq!((view.files_tell, view.source, view.sampled_at), (true, Some(SampleSource::Files), Some(at(100))));
    assert_eq!((view.age, view.known_players, view.rockets), (Some(Duration::from_mins(1)), Some(9), Some(7)));
    assert_eq!((&view.evolution, &view.research), (&numbers.evolution, &numbers.research));
    assert_eq!(world.present(), named(&[], 2));
    assert!(view.told_by_mods.is_empty(), "the file is the source");
    let history = world.store.history(&world.prod, at(0), at(1000)).await.unwrap();
    assert_eq!(history.iter().map(|point| (point.at, point.players)).collect::<Vec<_>>(), [(at(100), Some(2.0))]);
}

#[tokio::test]
async fn the_log_gives_the_names_and_the_file_counts_the_others() {
    let mut world = World::new().await;
    let mut keeper = world.without_rcon();
    world.tell(&[(EventKind::Join, None, 10)]).await;
    keeper.catch_up().await;
    keeper.take_file(&written(20, counts(3))).await;
    assert_eq!(world.present(), named(&["Ann"], 3));
    // The line of a leave comes before the file is written again.
    world.tell(&[(EventKind::Leave, None, 21)]).await;
    keeper.catch_up().await;
    assert_eq!(world.present(), named(&[], 2));
    // Somebody leaves of whom the log does not know that he came.
    world.tell(&[(EventKind::Leave, None, 22)]).await;
    keeper.catch_up().await;
    assert_eq!(world.present(), named(&[], 1));
    keeper.take_file(&written(40, counts(1))).await;
    assert_eq!(world.present(), named(&[], 1));
}

#[tokio::test]
async fn a_player_whose_lines_are_read_behind_the_file_is_counted_once() {
    let mut world = World::new().await;
    let mut keeper = world.without_rcon();
    keeper.take_file(&written(20, counts(1))).await;
    assert_eq!(world.present(), named(&[], 1));
    world.tell(&[(EventKind::Join, None, 19)]).await;
    keeper.catch_up().await;
    assert_eq!(world.present(), named(&["Ann"], 1));
    // The map stands when the last one has left, and the file goes on to say 1.
    world.tell(&[(EventKind::Leave, None, 21)]).await;
    keeper.catch_up().await;
    assert_eq!(world.present(), named(&[], 0));
}

#[tokio::test]
async fn a_file_that_goes_on_to_count_nobody_ends_a_session_whose_end_was_lost() {
    let mut world = World::new().await;
    let mut keeper = world.without_rcon();
    world.tell(&[(EventKind::Join, None, 10)]).await;
    keeper.catch_up().await;
    for second in [20, 40, 60, 75] {
        keeper.take_file(&written(second, counts(0))).await;
        assert_eq!(world.open().await, 1, "at {second}: it may be the last second's news");
    }
    keeper.take_file(&written(85, counts(0))).await;
    assert_eq!(world.open().await, 0);
    // A file that counts somebody in between says that nothing was lost.
    world.tell(&[(EventKind::Join, None, 100)]).await;
    keeper.catch_up().await;
    for (second, players) in [(110, 0), (120, 1), (180, 0)] {
        keeper.take_file(&written(second, counts(players))).await;
    }
    assert_eq!(world.open().await, 1);
}

#[tokio::test]
async fn a_file_stands_in_for_rcon_once_it_is_written_behind_the_failure() {
    let world = World::new().await;
    let mut keeper = world.with_rcon();
    keeper.take(sees(&["Ann"], 10)).await;
    assert_eq!(keeper.take_file(&written(11, counts(1))).await, None, "the game itself tells");
    assert_eq!(world.view().source, Some(SampleSource::Native));
    keeper.take(down(40)).await;
    assert_eq!(keeper.look_at_file().await, None);
    assert_eq!(keeper.take_file(&written(41, counts(1))).await, None, "it may have been written before");
    assert_eq!(world.present(), (Vec::new(), None));
    assert!(keeper.take_file(&written(47, counts(4))).await.is_some());
    let view = world.view();
    assert_eq!((view.files_tell, view.source, view.headcount()), (true, Some(SampleSource::Files), Some(4)));
    assert!(matches!(view.link, GameLink::Down(_)), "what is wrong with RCON stays known");
    // That it is asked in vain again changes nothing, and tells nothing.
    keeper.take(down(70)).await;
    assert_eq!(world.view().headcount(), Some(4));
    keeper.take(sees(&["Ann"], 100)).await;
    let view = world.view();
    assert_eq!((view.files_tell, view.source, view.headcount()), (false, Some(SampleSource::Native), Some(1)));
    let history = world.store.history(&world.prod, at(0), at(1000)).await.unwrap();
    let players: Vec<_> = history.into_iter().map(|point| point.players).collect();
    assert_eq!(players, [Some(1.0), None, Some(4.0), Some(1.0)]);
}

/// Looks at the file until it has news, as time passes.
async fn news(keeper: &mut Keeper) -> FileNews {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        assert!(Instant::now() < deadline, "the file never had news");
        if let Some(news) = keeper.look_at_file().await {
            return news;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_old_file_is_no_source() {
    let mut world = World::new().await;
    world.tell(&[(EventKind::Join, None, 10)]).await;
    let mut keeper = beside_a_file(world.keeper(), Duration::from_secs(1));
    keeper.show_what_is_known().await;
    keeper.take_file(&written(20, counts(3))).await;
    assert_eq!(world.present(), named(&["Ann"], 3));
    assert_eq!(news(&mut keeper).await, FileNews::Ended { empty: false });
    let view = world.view();
    assert_eq!((view.files_tell, view.ups, view.paused), (false, None, None));
    assert_eq!(world.present(), named(&["Ann"], 1));
    assert_eq!(keeper.look_at_file().await, None, "it is told once");
}

#[tokio::test]
async fn sessions_go_on_while_the_file_is_written_though_the_connection_broke() {
    let world = World::new().await;
    let mut keeper = world.with_rcon();
    keeper.take(sees(&["Ann"], 10)).await;
    keeper.take_file(&aged(11, ticks(600), Duration::from_secs(5))).await;
    keeper.take_file(&written(16, ticks(900))).await;
    keeper.take(down(20)).await;
    keeper.take_file(&written(26, ticks(1200))).await;
    assert_eq!(world.present(), named(&["Ann"], 1));
    let view = world.view();
    assert_eq!(view.players.unwrap()[0].since, Some(at(10)));
    keeper.take(down(50)).await;
    assert_eq!(world.open().await, 1);
}

#[tokio::test]
async fn sessions_end_when_the_connection_broke_if_the_file_is_not_written_on() {
    let world = World::new().await;
    let mut keeper = world.with_rcon();
    keeper.take(sees(&["Ann"], 10)).await;
    // Rewritten each millisecond, so it is late soon.
    keeper.take_file(&aged(11, ticks(600), Duration::from_millis(1))).await;
    keeper.take_file(&aged(12, ticks(601), Duration::ZERO)).await;
    keeper.take(down(20)).await;
    assert_eq!(world.open().await, 1);
    let (deadline, mut tick) =
        (Instant::now() + A_LITTLE + Duration::from_mins(1), interval(Duration::from_millis(50)));
    while world.open().await == 1 {
        tick.tick().await;
        assert!(Instant::now() < deadline, "the session never ended");
        assert_eq!(keeper.look_at_file().await, None);
    }
    let record = world.store.player_record(std::slice::from_ref(&world.prod), "Ann", at(100)).await.unwrap().unwrap();
    assert_eq!(record.last_seen, at(20), "when the connection broke");
}

#[tokio::test]
async fn what_the_games_own_commands_cannot_tell_is_filled_in() {
    let mut world = World::new().await;
    let mut keeper = world.with_rcon();
    let research = Some(Research { technology: "rocket-silo".to_owned(), progress: Some(0.4) });
    keeper.take_file(&written(5, FileNumbers { research: research.clone(), rockets: Some(7), ..counts(3) })).await;
    keeper.take(sees(&["Ann"], 10)).await;
    let view = world.view();
    assert_eq!((view.source, &view.research, view.rockets), (Some(SampleSource::Native), &research, Some(7)));
    assert_eq!(view.told_by_mods, ["research", "rockets"]);
    assert_eq!(world.present(), named(&["Ann"], 1), "who is there, the game tells better");
    // A line of a mod, where the file does not tell.
    keeper.take_file(&written(35, counts(3))).await;
    world.tell(&[(EventKind::RocketLaunched, Some("50"), 36), (EventKind::Evolution, Some("0.62 on gleba"), 37)]).await;
    keeper.catch_up().await;
    keeper.take(sees(&["Ann"], 40)).await;
    let view = world.view();
    assert_eq!((view.research, view.rockets, view.evolution.len()), (None, Some(50), 1));
    assert_eq!(view.told_by_mods, ["evolution", "rockets"]);
}

#[tokio::test]
async fn a_new_map_has_its_achievements_again_also_where_a_file_tells_how_old_it_is() {
    let mut world = World::new().await;
    world.tell(&[(EventKind::ServerOnline, None, 0)]).await;
    let mut keeper = world.without_rcon();
    keeper.take_file(&written(100, ticks(60_000))).await;
    world.tell(&[(EventKind::Command, None, 120)]).await;
    keeper.catch_up().await;
    assert_eq!(world.view().achievements, Achievements::Lost { lua_at: at(120) });
    world.tell(&[(EventKind::ServerOnline, None, 200)]).await;
    world.without_rcon().take_file(&written(210, ticks(600))).await;
    assert_eq!(world.view().achievements, Achievements::Possible);
}

#[tokio::test]
async fn what_mods_told_before_is_known_after_a_restart() {
    let mut world = World::new().await;
    world.tell(&[(EventKind::Evolution, Some("0.62 on gleba"), 1), (EventKind::RocketLaunched, Some("50"), 2)]).await;
    world.tell(&[(EventKind::Evolution, Some("0.63 on gleba"), 3)]).await;
    let mut keeper = world.keeper();
    keeper.read_mod_lines().await;
    keeper.show_what_is_known().await;
    let view = world.view();
    assert_eq!((view.evolution[0].factor, view.rockets), (0.63, Some(50)));
    assert_eq!(view.told_by_mods, ["evolution", "rockets"]);
}
