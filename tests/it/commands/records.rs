//! `/player` and `/top`: what the sessions tell.

use std::sync::Arc;

use factorio_isr::domain::{EventKind, FileId, Happening, LogSource, Position, ServerTag};
use factorio_isr::game::{GameLink, LuaPlayer, LuaReading};
use factorio_isr::store::IngestedBatch;
use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::world::{GENEROUS, World};

/// Stores what happened `ago` seconds ago, as the pipeline does.
async fn happened(world: &World, server: &str, events: &[(EventKind, &str, i64)]) {
    let (now, tag) = (Timestamp::now(), ServerTag::new(server).unwrap());
    let happening = |(kind, player, ago): &(EventKind, &str, i64)| Happening {
        server: tag.clone(),
        at: now - SignedDuration::from_secs(*ago),
        kind: *kind,
        player: Some((*player).to_owned()),
        detail: None,
    };
    let end = Position { generation: 1, file: FileId { device: 1, inode: 1 }, offset: 9, ..Position::default() };
    let batch = IngestedBatch {
        server: tag.clone(),
        source: LogSource::Console,
        start: Position::default(),
        end,
        state: String::new(),
        notices: Vec::new(),
        happenings: events.iter().map(happening).collect(),
        chats: Vec::new(),
        read_at: now,
        utc_offset: None,
        trace: None,
    };
    world.store.commit(&[batch]).await.unwrap();
}

const DAY: i64 = 86_400;
const TWO_SERVERS: &str =
    "[servers.other]\nname = \"Other\"\nconsole_log = \"other.log\"\nchannels = { default = 111 }";

async fn world() -> World {
    use EventKind::{Death, Join, Leave};
    let world = World::with(GENEROUS, TWO_SERVERS).await;
    let prod = [
        (Join, "Alice", 20 * DAY),
        (Leave, "Alice", 20 * DAY - 7200),
        (Join, "Alice", DAY),
        (Join, "Bob_1", DAY - 600),
        (Death, "alice", DAY - 700),
        (Leave, "Alice", DAY - 3600),
        (Leave, "Bob_1", DAY - 7200),
    ];
    happened(&world, "prod", &prod).await;
    happened(&world, "other", &[(Join, "ALICE", 3 * DAY), (Leave, "ALICE", 3 * DAY - 60)]).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_players_record_is_of_all_servers_or_of_one() {
    let world = world().await;
    let all = world.call("Ann", "player", &[("player", json!("alice"))]).await;
    for part in
        ["<Play time: `3 h 1 min`>", "<Sessions: `3`>", "<Deaths: `1`>", "`Bob_1 (50 min)`", "(2 servers together)"]
    {
        assert!(all.contains(part), "{part} is not in {all}");
    }
    let one = world.call("Ann", "player", &[("player", json!("alice")), ("server", json!("other"))]).await;
    for part in ["<Play time: `1 min`>", "<Sessions: `1`>", "<Deaths: `not known`>", "(Other)"] {
        assert!(one.contains(part), "{part} is not in {one}");
    }
    let never = world.call("Ann", "player", &[("player", json!("<@1> `x`"))]).await;
    assert_snapshot!(never, @"public [Player] I have never seen `<@1> ˋxˋ` in the game. (2 servers together)");
    let nowhere = world.call("Ann", "player", &[("player", json!("alice")), ("server", json!("nope"))]).await;
    assert_snapshot!(nowhere, @"private There is no server `nope`. There are: `other`, `prod`.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_played_most_depends_on_the_time_looked_at() {
    let world = world().await;
    let top = async |options: &[(&str, Value)]| world.call("Ann", "top", options).await;
    assert_snapshot!(top(&[]).await, @r"
    public [Most played, 7 days] ```1. Bob_1 - 1 h 50 min
    2. Alice - 1 h 1 min``` (2 servers together)
    ");
    assert_snapshot!(top(&[("value", json!("month"))]).await, @r"
    public [Most played, 30 days] ```1. Alice - 3 h 1 min
    2. Bob_1 - 1 h 50 min``` (2 servers together)
    ");
    assert_snapshot!(top(&[("value", json!("all")), ("server", json!("other"))]).await, @"public [Most played, all time] ```1. ALICE - 1 min``` (Other)");
    assert_snapshot!(top(&[("value", json!("all")), ("server", json!("prod"))]).await, @r"
    public [Most played, all time] ```1. Alice - 3 h 0 min
    2. Bob_1 - 1 h 50 min``` (Production)
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_with_a_record_are_suggested() {
    let world = world().await;
    assert_eq!(world.choices("Ann", "player", "player", "b").await, ["Bob_1"]);
    assert_eq!(world.choices("Ann", "top", "server", "o").await, ["other", "prod"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_games_own_count_of_somebody_who_is_there_is_shown_where_lua_tells_it() {
    let world = world().await;
    let own = async || world.call("Ann", "player", &[("player", json!("alice"))]).await;
    assert!(!own().await.contains("own count"), "nobody has told it");
    let online = vec![LuaPlayer { name: "Alice".to_owned(), ticks: 60 * 3600 * 12 }];
    world.board.handle(&ServerTag::new("prod").unwrap()).unwrap().update(|view| {
        let lua = LuaReading { players: Some(online), ..LuaReading::default() };
        (view.link, view.lua) = (GameLink::Up, Some(Arc::new(lua)));
    });
    let told = own().await;
    assert!(told.contains("<In the game's own count: `12 h 0 min on prod`>"), "{told}");
    world.rcon.game().join("Alice");
    let online = world.call("Ann", "online", &[]).await;
    assert!(online.contains("Alice (12 h 0 min on this save)"), "{online}");
    world.board.handle(&ServerTag::new("prod").unwrap()).unwrap().update(|view| {
        view.link = GameLink::Down("refused".to_owned());
    });
    assert!(!own().await.contains("own count"), "it is of a game that is away");
}
