//! The whole relay: a process beside log files, and what Discord shows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::sync::Arc;
use std::time::Duration;

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind, Ping, Scope, SimDiscord, SimMessage, SimThread};
use factorio_isr::sim::factorio::check_exactly_once;
use factorio_isr::sim::rcon::{Game, SimRcon};
use nix::sys::signal::Signal;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use crate::harness::{DEADLINE, Site, TOKEN, discord_with, lines_of, relayed_lines, within};

const CHAT: u64 = 1001;
const JOINS: u64 = 1002;
const ALERTS: u64 = 1003;

async fn discord() -> SimDiscord {
    discord_with(&[(CHAT, "chat"), (JOINS, "joins"), (ALERTS, "alerts")]).await
}

/// Waits until the messages of a channel suit.
async fn wait_for_messages(
    sim: &SimDiscord,
    channel: u64,
    suits: impl Fn(&[Arc<SimMessage>]) -> bool,
) -> Vec<Arc<SimMessage>> {
    let arrived = sim.wait_for(DEADLINE, |state| suits(&state.messages(channel).cloned().collect::<Vec<_>>())).await;
    let messages = sim.messages(channel);
    let contents: Vec<_> = messages.iter().map(|message| &message.content).collect();
    assert!(arrived, "never came; the channel holds {contents:#?}");
    messages
}

/// The console's way to write the time: now, in UTC.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_appears_in_its_channel() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server_with("prod", &format!("default = {CHAT}, joins = {JOINS}"), "");
    let relay = site.start();
    relay.wait_until_ready().await;
    let now = now();
    site.append("prod", &format!("{now} [JOIN] Bob joined the game\n{now} [CHAT] Bob: hello *world*\n"));

    let chat = wait_for_messages(&sim, CHAT, |messages| !messages.is_empty()).await;
    let joins = wait_for_messages(&sim, JOINS, |messages| !messages.is_empty()).await;
    insta::assert_snapshot!(chat[0].content, @r"**Bob**: hello \*world\*");
    insta::assert_snapshot!(joins[0].content, @"🟢 **Bob** joined the game");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blueprint_string_is_named_and_attached_and_silence_posts_nothing() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let relay = site.start();
    relay.wait_until_ready().await;
    let (now, blueprint) = (now(), "0eNq".to_owned() + &"x9+/".repeat(15_359));
    let lines = [
        "Bob: ".to_owned(),
        "Bob: [color=red] \u{200b}[/color]".to_owned(),
        format!("Bob: use {blueprint} *now*"),
        format!("Bob: [special-item={blueprint}]"),
        "Bob: [special-item=internal_12] 1\u{fe0f}\u{20e3} ❤\u{fe0f}".to_owned(),
    ];
    for line in &lines {
        site.append("prod", &format!("{now} [CHAT] {line}\n"));
    }

    let chat =
        wait_for_messages(&sim, CHAT, |messages| messages.iter().any(|message| message.content.contains('❤'))).await;
    let contents: Vec<&str> = chat.iter().flat_map(|message| message.content.lines()).collect();
    assert_eq!(
        contents,
        [
            r"**Bob**: use blueprint (60 KB) \*now\*",
            "**Bob**: blueprint (60 KB)",
            "**Bob**: blueprint 1\u{fe0f}\u{20e3} ❤\u{fe0f}",
        ]
    );
    for message in &chat[..2] {
        assert!(message.attachments[0].text().contains(&blueprint), "{}", message.content);
    }
    assert!(chat[2].attachments.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_takes_messages_and_a_locked_one_has_a_remedy() {
    const THREAD: u64 = 1101;
    let sim = discord().await;
    let thread = SimThread { id: THREAD, parent: CHAT, name: "factory".to_owned(), ..SimThread::default() };
    sim.set_thread(SimThread { archived: true, ..thread.clone() });
    let site = Site::new(&sim.base_url()).server("prod", THREAD).extra("[relay]\npark_retry = \"1s\"");
    let relay = site.start();
    relay.wait_until_ready().await;
    let now = now();
    site.append("prod", &format!("{now} [CHAT] Bob: hello\n"));
    let messages = wait_for_messages(&sim, THREAD, |messages| !messages.is_empty()).await;
    assert_eq!(messages[0].content, "**Bob**: hello");

    sim.set_thread(SimThread { locked: true, archived: true, ..thread.clone() });
    site.append("prod", &format!("{now} [CHAT] Bob: again\n"));
    let remedy = "is a locked or archived thread: unlock and reopen it";
    relay.wait_for("/ready", |_, body| body.contains(remedy)).await;
    sim.set_thread(thread);
    wait_for_messages(&sim, THREAD, |messages| messages.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_pinged_from_the_game() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let relay = site.start();
    relay.wait_until_ready().await;
    let now = now();
    site.append("prod", &format!("{now} [CHAT] Bob: @everyone @here <@1> <@&2> [x](https://evil.example)\n"));

    let chat = wait_for_messages(&sim, CHAT, |messages| !messages.is_empty()).await;
    assert_eq!(chat[0].pinged, []);
    assert!(!chat[0].content.contains("](http"), "{}", chat[0].content);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_the_relay_was_away_comes_after_its_start() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let mut relay = site.start();
    relay.wait_until_ready().await;
    let now = now();
    site.append("prod", &format!("{now} [CHAT] Bob: before\n"));
    wait_for_messages(&sim, CHAT, |messages| messages.len() == 1).await;
    assert_eq!(relay.terminate().await.code(), Some(0));

    site.append("prod", &format!("{now} [CHAT] Bob: rotated\n"));
    std::fs::rename(site.console_log("prod"), site.dir.path().join("prod-console.log.1")).unwrap();
    site.append("prod", &format!("{now} [CHAT] Bob: after\n"));
    let _relay = site.start();
    let lines = wait_for_messages(&sim, CHAT, |messages| relayed_lines(messages).len() == 3).await;
    let lines = relayed_lines(&lines);
    assert_eq!(lines, ["**Bob**: before", "**Bob**: rotated", "**Bob**: after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_lines_come_as_one_digest_with_a_file() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    for minute in 10..50 {
        site.append("prod", &format!("2024-05-01 20:{minute}:00 [CHAT] Bob: line 0000{minute} of prod\n"));
    }
    let _relay = site.start();
    let messages = wait_for_messages(&sim, CHAT, |messages| !messages.is_empty()).await;
    assert_eq!(messages.len(), 1, "one digest, not forty messages");
    let lines: Vec<String> = messages.iter().flat_map(|message| lines_of(message)).collect();
    assert_eq!(check_exactly_once(lines, "prod", 10..50), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_said_and_does_not_become_a_busy_loop() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let relay = site.start_with(&[("DISCORD_BOT_TOKEN", "wrong.token")]);
    let body = relay.wait_for("/ready", |status, body| status == 503 && body.contains("token")).await;
    assert!(body.contains("discord_unhealthy"), "{body}");
    assert!(!relay.output().text().contains("wrong.token"));
    assert!(sim.stats().invalid_requests < 10, "{:?}", sim.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_refuses_rests_and_loses_nothing() {
    let sim = discord().await;
    sim.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).channel(CHAT));
    let site = Site::new(&sim.base_url())
        .server_with("prod", &format!("default = {CHAT}, joins = {JOINS}"), "")
        .extra("[relay]\npark_retry = \"1s\"");
    let relay = site.start();
    relay.wait_until_ready().await;
    let now = now();
    site.append("prod", &format!("{now} [CHAT] Bob: one\n{now} [JOIN] Al joined the game\n{now} [CHAT] Bob: two\n"));

    wait_for_messages(&sim, JOINS, |messages| messages.len() == 1).await;
    relay.wait_for("/ready", |_, body| body.contains("degraded") && body.contains("50001")).await;
    sim.clear_faults();
    let chat = wait_for_messages(&sim, CHAT, |messages| relayed_lines(messages).len() == 2).await;
    assert_eq!(relayed_lines(&chat), ["**Bob**: one", "**Bob**: two"]);
    relay.wait_for("/ready", |_, body| !body.contains("50001")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_kept_to_the_letter() {
    let sim = discord().await;
    let wait = Duration::from_secs(2);
    sim.set_fault(Fault::new(FaultKind::rate_limited(wait, Scope::User)).channel(CHAT).times(1));
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let relay = site.start();
    relay.wait_until_ready().await;
    let now = jiff::Timestamp::now();
    let stamp = now.strftime("%Y-%m-%d %H:%M:%S");
    site.append("prod", &format!("{stamp} [CHAT] Bob: patience\n"));
    let chat = wait_for_messages(&sim, CHAT, |messages| messages.len() == 1).await;
    assert!(chat[0].timestamp.duration_since(now).unsigned_abs() >= wait, "{chat:?}");
    assert_eq!(sim.stats().limited(Scope::User), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_stops_in_order_even_while_discord_hangs() {
    let sim = discord().await;
    sim.set_fault(Fault::new(FaultKind::Hang { processed: false }));
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let mut relay = site.start();
    relay.wait_until_ready().await;
    let now = now();
    site.append("prod", &format!("{now} [CHAT] Bob: still here\n"));
    assert!(sim.wait_for(DEADLINE, |state| state.stats().unanswered > 0).await);
    let asked = std::time::Instant::now();
    relay.signal(Signal::SIGINT);
    assert_eq!(relay.exit().await.code(), Some(0), "the message is kept: nothing went wrong");
    assert!(asked.elapsed() < Duration::from_secs(10));

    sim.clear_faults();
    let _relay = site.start();
    let chat = wait_for_messages(&sim, CHAT, |messages| !messages.is_empty()).await;
    assert_eq!(relayed_lines(&chat), ["**Bob**: still here"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_twice_appears_twice_though_the_second_was_in_doubt_over_a_restart() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let mut relay = site.start();
    relay.wait_until_ready().await;
    let line = format!("{} [CHAT] Bob: gg\n", now());
    site.append("prod", &line);
    wait_for_messages(&sim, CHAT, |messages| messages.len() == 1).await;
    sim.set_fault(Fault::new(FaultKind::Cut { processed: false }).channel(CHAT));
    site.append("prod", &line);
    assert!(sim.wait_for(DEADLINE, |state| state.stats().unanswered > 0).await);
    relay.kill();

    // As long ago that Discord has forgotten the nonce.
    let options = SqliteConnectOptions::new().filename(site.dir.path().join("isr.db"));
    let database = SqlitePool::connect_with(options).await.unwrap();
    let earlier = "UPDATE messages SET first_attempt_at = first_attempt_at - 120000 WHERE state = 'open'";
    assert_eq!(sqlx::query(earlier).execute(&database).await.unwrap().rows_affected(), 1);
    database.close().await;
    sim.clear_faults();
    let _relay = site.start();
    let chat = wait_for_messages(&sim, CHAT, |messages| messages.len() == 2).await;
    assert_eq!(relayed_lines(&chat), ["**Bob**: gg", "**Bob**: gg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_relay_on_the_same_database_is_refused() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let first = site.start();
    first.wait_until_ready().await;
    let mut second = site.start();
    assert_eq!(second.exit().await.code(), Some(1));
    second.output().find(|line| line.contains("isr.db").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out_of_the_log_at_every_level() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server_with(
        "prod",
        &format!("default = {CHAT}"),
        "rcon = { password = \"rcon-secret-41\" }",
    );
    let mut relay = site.start_with(&[("RUST_LOG", "trace")]);
    relay.wait_until_ready().await;
    let now = now();
    site.append("prod", &format!("{now} [CHAT] Bob: hello\n"));
    wait_for_messages(&sim, CHAT, |messages| messages.len() == 1).await;
    relay.terminate().await;
    let said = relay.output().text();
    assert!(!said.contains(TOKEN) && !said.contains("rcon-secret-41"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_does_not_answer_over_rcon_is_named_and_blocks_nothing() {
    let sim = discord().await;
    let game = SimRcon::start("rcon-secret-41", Game::default(), |_| {}).await.unwrap();
    let rcon = format!("rcon = {{ port = {}, password = \"rcon-secret-41\" }}", game.address().port());
    let site = Site::new(&sim.base_url()).server_with("prod", &format!("default = {CHAT}"), &rcon);
    let relay = site.start();
    relay.wait_for("/ready", |status, body| status == 200 && body.contains("\"rcon\":\"healthy\"")).await;
    game.stop();
    let body = relay.wait_for("/ready", |_, body| body.contains("rcon_unhealthy")).await;
    assert!(body.contains("\"ready\":true"), "{body}");
    game.start_again().await.unwrap();
    relay.wait_for("/ready", |_, body| body.contains("\"rcon\":\"healthy\"")).await;
    assert_eq!(game.seen().lua_commands(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_and_commands_go_to_the_game_and_its_answers_come_back() {
    let sim = discord().await;
    let game = SimRcon::start("rcon-secret-41", Game::default(), |_| {}).await.unwrap();
    game.game().join("Ann");
    let rcon = format!("rcon = {{ port = {}, password = \"rcon-secret-41\" }}", game.address().port());
    let site = Site::new(&sim.base_url())
        .server_with("prod", &format!("default = {JOINS}, chat = {CHAT}"), &rcon)
        .discord_key("guild_id = 100");
    let relay = site.start();
    relay.wait_for("/ready", |status, body| status == 200 && body.contains("\"rcon\":\"healthy\"")).await;

    sim.say(CHAT, "Bob", "/ban Ann [gps=1,2]\nplease").unwrap();
    within(game.until(|seen| seen.chats().len() == 2)).await;
    insta::assert_snapshot!(game.seen().chats().join("\n"), @r"
    [Discord] Bob: /ban Ann ［gps=1,2］
    [Discord] Bob: please
    ");

    assert!(sim.wait_for(DEADLINE, |state| state.commands() != &serde_json::json!([])).await);
    let options = serde_json::json!([{ "type": 1, "name": "players", "options": [] }]);
    let call = sim.interact(CHAT, "Bob", "factorio", &options).unwrap();
    let answered = || sim.interaction_reply(call).is_some_and(|reply| reply.embeds.to_string().contains("Ann"));
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let asked = std::time::Instant::now();
    while !answered() {
        assert!(asked.elapsed() < DEADLINE, "{:?}", sim.interaction_reply(call));
        tick.tick().await;
    }
    assert_eq!(game.seen().lua_commands(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_one_game_is_heard_in_the_other_and_comes_back_from_neither() {
    let sim = discord().await;
    let (here, there) = (game().await, game().await);
    let site = Site::new(&sim.base_url())
        .server_with("here", &format!("default = {CHAT}"), &rcon_of(&here))
        .server_with("there", &format!("default = {JOINS}"), &rcon_of(&there))
        .extra("[chat]\nserver_to_server = true");
    let relay = site.start();
    relay.wait_until_ready().await;
    let now = now();
    site.append("here", &format!("{now} [CHAT] Bob: anybody there?\n"));
    within(there.until(|seen| !seen.chats().is_empty())).await;
    insta::assert_snapshot!(there.seen().chats().join("\n"), @"[Relay] Bob (here): anybody there?");
    // The other game's log has it too, as the game writes what it is told.
    let echo = there.seen().chats()[0].to_owned();
    site.append("there", &format!("{now} [CHAT] <server>: {echo}\n{now} [CHAT] Ann: yes\n"));
    within(here.until(|seen| !seen.chats().is_empty())).await;
    insta::assert_snapshot!(here.seen().chats().join("\n"), @"[Relay] Ann (there): yes");
    let joins = wait_for_messages(&sim, JOINS, |messages| !messages.is_empty()).await;
    assert_eq!(relayed_lines(&joins), ["**Ann**: yes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_pings_exactly_who_the_operator_allows() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT).extra("[mentions.users]\nalice = 4242");
    let relay = site.start();
    relay.wait_until_ready().await;
    let now = now();
    site.append("prod", &format!("{now} [CHAT] Bob: @Alice @everyone <@1> come\n"));
    let chat = wait_for_messages(&sim, CHAT, |messages| !messages.is_empty()).await;
    assert_eq!(chat[0].pinged, [Ping::User(4242)], "{}", chat[0].content);
}

async fn game() -> SimRcon {
    SimRcon::start("rcon-secret-41", Game::default(), |_| {}).await.unwrap()
}

fn rcon_of(game: &SimRcon) -> String {
    format!("rcon = {{ port = {}, password = \"rcon-secret-41\" }}", game.address().port())
}
