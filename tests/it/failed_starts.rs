//! What Discord shows of a server that cannot start, and of a script error that is written in pieces: the real program
//! and a stand-in for Discord.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::time::Duration;

use factorio_isr::sim::discord::{Ping, SimDiscord, SimState};
use jiff::Timestamp;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::alerts::{ALERTS, CHAT, Game, ROLE, discord, messages, shown};
use crate::harness::{DEADLINE, Site, lines_of};
use crate::records::until;

const FAILED_START: &str = "   0.015 Error Util.cpp:81: Failed to load mod \"somelib\": \n\
    • somelib\n    • Incompatible Factorio version (current: 2.0, required: 2.1)\n   0.016 Goodbye";

/// Waits until `text` is in the channel of everything else, and answers all that is.
async fn chat(sim: &SimDiscord, text: &str) -> Vec<String> {
    let said = |state: &SimState| state.messages(CHAT).any(|message| message.content.contains(text));
    assert!(sim.wait_for(DEADLINE, said).await, "{text} never came");
    sim.messages(CHAT)
        .iter()
        .flat_map(|message| message.content.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_ten_times_is_one_message_that_pings_once_counts_and_ends() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let _relay = game.started().await;
    let at = |n: u64| Timestamp::now() - Duration::from_secs(600 - 30 * n);
    game.begins(at(0));
    game.engine(FAILED_START);
    let posted = messages(&sim, |all| !all.is_empty()).await;
    assert_eq!(posted[0].pinged, [Ping::Role(ROLE)]);
    insta::assert_snapshot!(shown(&posted[0]), @r#"
    <@&77> 🚨 **Server cannot start** on prod, since <t:T:f>: Failed to load mod "somelib":
    • somelib
        • Incompatible Factorio version (current: 2.0, required: 2.1)
    "#);

    for n in 1..10 {
        game.begins(at(n));
        game.engine(FAILED_START);
    }
    let counted = messages(&sim, |all| all.iter().any(|message| message.content.contains("10 failed"))).await;
    assert_eq!((counted.len(), counted[0].id, counted[0].pinged.as_slice()), (1, posted[0].id, [].as_slice()));
    insta::assert_snapshot!(shown(&counted[0]), @r#"
    🚨 **Server cannot start** on prod, since <t:T:f>: 10 failed starts, the last at <t:T:f>
    Failed to load mod "somelib":
    • somelib
        • Incompatible Factorio version (current: 2.0, required: 2.1)
    "#);

    game.begins(at(10));
    game.runs();
    let over = messages(&sim, |all| all.iter().any(|message| message.content.starts_with("✅"))).await;
    assert_eq!(over.len(), 1);
    insta::assert_snapshot!(shown(&over[0]), @r#"
    ✅ **Server cannot start** on prod, over after D, from <t:T:f> to <t:T:f>: 10 failed starts, the last at <t:T:f>
    Failed to load mod "somelib":
    • somelib
        • Incompatible Factorio version (current: 2.0, required: 2.1)
    "#);
    let said = chat(&sim, "The server is ready").await;
    insta::assert_snapshot!(said.join("\n"), @r"
    ⏳ Factorio 2.0.77 is starting
    ✅ The server is ready
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_error_in_pieces_is_one_message_with_all_its_lines() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let _relay = game.started().await;
    game.begins(Timestamp::now() - Duration::from_secs(830));
    game.runs();
    let error = "The mod Some Mod (1.2.3) caused a non-recoverable error.";
    game.engine(&format!(" 812.104 Error MainLoop.cpp:1510: Exception at tick 48211: {error}"));
    let posted = messages(&sim, |all| !all.is_empty()).await;
    assert_eq!(posted[0].pinged, [Ping::Role(ROLE)]);
    let trace = "Please report this error to the mod author.\n\nError while running event somemod::on_tick (ID 0)\n\
                 __somemod__/control.lua:3560: attempt to index field 'x' (a nil value)";
    game.engine(trace);
    game.engine(&format!(
        " 812.105 Error ServerMultiplayerManager.cpp:92: MultiplayerManager failed: \"{error}\n{trace}\"\n 812.340 Goodbye"
    ));
    let whole = messages(&sim, |all| all.iter().any(|message| message.content.contains("control.lua:3560"))).await;
    assert_eq!((whole.len(), whole[0].id, whole[0].pinged.as_slice()), (1, posted[0].id, [].as_slice()));
    insta::assert_snapshot!(shown(&whole[0]), @r"
    🚨 **Script error** on prod, since <t:T:f>: Exception at tick 48211: The mod Some Mod (1.2.3) caused a non-recoverable error.
    Please report this error to the mod author.
    Error while running event somemod::on\_tick (ID 0)
    \_\_somemod\_\_/control.lua:3560: attempt to index field 'x' (a nil value)
    ");
    let said = chat(&sim, "has stopped").await;
    insta::assert_snapshot!(said.join("\n"), @r"
    ⏳ Factorio 2.0.77 is starting
    ✅ The server is ready
    🛑 The server has stopped
    ");
    assert_eq!(sim.messages(ALERTS).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_saves_is_down_until_it_is_ready_again() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let _relay = game.started().await;
    let began = Timestamp::now() - Duration::from_mins(5);
    game.console_opens(began);
    game.begins(began);
    game.runs();
    game.engine(" 41.511 Info AppManagerStates.cpp:2052: Saving progress: 0.012089%");
    let again = began + Duration::from_mins(1);
    game.begins(again);
    let posted = messages(&sim, |all| !all.is_empty()).await;
    insta::assert_snapshot!(shown(&posted[0]), @"<@&77> 💥 **Server crashed** on prod, since <t:T:f>: the last run did not end in order: it was killed while saving the map");
    game.console_opens(again);
    game.site.append("prod", &format!("{} [CHAT] Bob: read\n", again.strftime("%Y-%m-%d %H:%M:%S")));
    chat(&sim, "read").await;
    assert_eq!(sim.messages(ALERTS)[0].edited, None, "it is not ready yet");
    game.runs();
    let over = messages(&sim, |all| all.iter().any(|message| message.content.starts_with("✅"))).await;
    assert_eq!(over.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_time_without_the_relay_is_one_line_of_the_digest_with_its_times() {
    let sim = discord().await;
    let game = Game::new(&sim, "");
    let mut relay = game.started().await;
    let began = Timestamp::now() - Duration::from_hours(30);
    game.begins(began);
    game.runs();
    until(&game.site, "SELECT kind FROM happenings", |kinds| kinds.iter().any(|kind| kind == "ready")).await;
    assert!(relay.terminate().await.success());
    // The relay was stopped for a day.
    rewrite(&game.site, "UPDATE checkpoints SET read_at = read_at - 90000000 WHERE read_at > 0").await;
    let error = began + Duration::from_hours(10);
    game.engine(
        "36000.000 Error MainLoop.cpp:1510: Exception at tick 48211: The mod X failed.\n__x__/control.lua:7: nil",
    );
    game.engine("36000.100 Goodbye");
    game.begins(error + Duration::from_mins(1));
    game.runs();
    let _relay = game.started().await;
    let posted = messages(&sim, |all| !all.is_empty()).await;
    assert_eq!((posted.len(), posted[0].pinged.as_slice()), (1, [].as_slice()), "{posted:#?}");
    let lines = lines_of(&posted[0]);
    let times = [error, error + Duration::from_mins(15)].map(|at| at.strftime("%F %T").to_string());
    let expected = format!("from {}Z to {}Z (15 min), while the relay was not running", times[0], times[1]);
    let about = lines.iter().filter(|line| line.contains("Script error")).collect::<Vec<_>>();
    assert!(about.len() == 1 && about[0].contains(&expected), "{expected} in {lines:#?}");
}

/// Changes the database while the program is stopped.
async fn rewrite(site: &Site, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(site.dir.path().join("isr.db"));
    sqlx::query(sql).execute(&mut options.connect().await.unwrap()).await.unwrap();
}
