//! The game's console as commands, the operator and the game's log see it: the real actor against the simulator.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, also in what it is built of")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use factorio_isr::config::settings::RconSettings;
use factorio_isr::domain::ServerTag;
use factorio_isr::health::{Component, ComponentState, HealthRegistry, Lifecycle, States, worst_part};
use factorio_isr::rcon::{
    ChatText, Command, CommandLine, Garbage, LinkState, PlayerName, Priority, RconActor, RconClient, RconError,
    RconTarget, RconTimes, Reason, Reply, SaveName, SurfaceName, connect, parse_evolution, parse_players, parse_time,
};
use factorio_isr::sim::rcon::{Fault, Game, RconEvent, SimRcon};
use factorio_isr::supervisor::Backoff;
use factorio_isr::telemetry::{MetricsExporter, ServerSeries};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::within;

const PASSWORD: &str = "hunter2";
/// Short enough to wait for, long enough for a slow machine to answer within.
const IMPATIENT: Duration = Duration::from_millis(300);

fn times() -> RconTimes {
    let (first, max) = (Duration::from_millis(5), Duration::from_millis(40));
    RconTimes { backoff: Backoff { first, max, ..Backoff::default() }, ..RconTimes::default() }
}

fn target(sim: &SimRcon) -> RconTarget {
    let settings = RconSettings {
        host: sim.address().ip().to_string(),
        port: sim.address().port(),
        password: SecretString::from(PASSWORD),
        allow_lua: false,
    };
    RconTarget::of(&ServerTag::new("prod").unwrap(), &settings)
}

/// A client whose actor runs until this is dropped.
struct Linked {
    client: RconClient,
    health: HealthRegistry,
    cancel: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Linked {
    fn new(target: RconTarget, times: RconTimes) -> Self {
        let health = HealthRegistry::new();
        let (client, actor): (RconClient, RconActor) = connect(target, times, &health);
        let cancel = CancellationToken::new();
        let running = tokio::spawn(actor.run(cancel.clone()));
        Self { client, health, cancel, running }
    }

    async fn link(&self, wanted: impl Fn(&LinkState) -> bool) {
        within(self.client.link().wait_for(|state| wanted(state))).await.unwrap();
    }

    async fn ask(&self, command: impl Into<CommandLine>) -> Result<String, RconError> {
        self.ask_for(command, None).await
    }

    async fn ask_for(&self, command: impl Into<CommandLine>, limit: Option<Duration>) -> Result<String, RconError> {
        within(self.client.command(Priority::Person, command, limit)).await.map(|reply: Reply| reply.text)
    }

    fn state(&self) -> ComponentState {
        self.health.state(Component::Rcon).unwrap()
    }

    async fn is_unhealthy_because(&self, reason: &str) {
        let mut states = self.health.subscribe();
        let says =
            |states: &States| worst_part(states, Component::Rcon)?.state.reason().map(|told| told.contains(reason));
        let told = within(states.wait_for(|states| says(states) == Some(true))).await.unwrap();
        assert!(told.keys().any(|(_, part)| part == "prod/rcon"));
    }
}

async fn sim() -> SimRcon {
    SimRcon::start(PASSWORD, Game::default(), |_| {}).await.unwrap()
}

async fn linked() -> (SimRcon, Linked) {
    let sim = sim().await;
    let linked = Linked::new(target(&sim), times());
    linked.link(|state| *state == LinkState::Up).await;
    (sim, linked)
}

fn line(text: &str) -> CommandLine {
    CommandLine::parse(text).unwrap()
}

fn bob() -> PlayerName {
    PlayerName::new("Bob").unwrap()
}

/// Every native command there is.
fn every_command() -> Vec<Command> {
    let text = || ChatText::new("/c game.print(1)\n/sc x").unwrap();
    let reason = || Reason::new("/c x\n/sc y");
    vec![
        Command::Players,
        Command::PlayersOnline,
        Command::Time,
        Command::Evolution { surface: None },
        Command::Evolution { surface: Some(SurfaceName::new("nauvis").unwrap()) },
        Command::Seed,
        Command::Version,
        Command::Admins,
        Command::ServerSave { name: Some(SaveName::new("c").unwrap()) },
        Command::Kick { player: bob(), reason: reason() },
        Command::Ban { player: bob(), reason: reason() },
        Command::Unban { player: bob() },
        Command::Mute { player: bob() },
        Command::Unmute { player: bob() },
        Command::Promote { player: bob() },
        Command::Demote { player: bob() },
        Command::WhitelistAdd { player: bob() },
        Command::WhitelistRemove { player: bob() },
        Command::WhitelistGet,
        Command::WhitelistEnable,
        Command::WhitelistDisable,
        Command::WhitelistClear,
        Command::Banlist,
        Command::Whisper { player: bob(), text: text() },
        Command::Say { text: text() },
    ]
}

#[tokio::test]
async fn the_games_own_answers_come_back() {
    let (sim, linked) = linked().await;
    sim.game().join("Ann");
    let players = linked.ask(Command::PlayersOnline).await.unwrap();
    assert_eq!(parse_players(&players).unwrap().listed[0].name, "Ann");
    let age = linked.ask(Command::Time).await.unwrap();
    assert_eq!(age, "1 day, 11 hours, 1 minute and 26 seconds");
    assert_eq!(parse_time(&age), Some(sim.game().age));
    let evolution = parse_evolution(&linked.ask(Command::Evolution { surface: None }).await.unwrap()).unwrap();
    assert_eq!(evolution[0].surface.as_deref(), Some("Nauvis"));
    assert_eq!(linked.state(), ComponentState::Healthy);
    assert_eq!(sim.seen().connects, 1);
}

#[tokio::test]
async fn chat_is_said_and_every_connect_is_a_line_in_the_games_log() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let sim = SimRcon::start(PASSWORD, Game::default(), move |event| log.lock().unwrap().push(event)).await.unwrap();
    let linked = Linked::new(target(&sim), times());
    let text = ChatText::new("[Discord] Ann: hello").unwrap();
    assert_eq!(linked.ask(Command::Say { text }).await, Ok(String::new()));
    assert_eq!(linked.ask(Command::Seed).await.as_deref(), Ok("1234567890"));
    let told = told.lock().unwrap().clone();
    assert!(matches!(told[0], RconEvent::Connected { .. }), "{told:?}");
    assert_eq!(told[1..], [RconEvent::Chat { text: "[Discord] Ann: hello".to_owned() }]);
}

#[tokio::test]
async fn with_default_settings_not_one_lua_command_is_sent() {
    let (sim, linked) = linked().await;
    sim.game().join("Bob");
    for command in every_command() {
        linked.ask(command).await.unwrap();
    }
    for lua in
        ["/c game.print(1)", " /SC x", "/silent-command x", "/mc x", "/Editor", "/cheat all", "//c x", "/\u{200b}c x"]
    {
        let refused = linked.ask(line(lua)).await.unwrap_err();
        assert!(matches!(refused, RconError::LuaNotAllowed { .. }), "{lua}: {refused:?}");
    }
    let seen = sim.seen();
    assert_eq!(seen.lua_commands(), [""; 0]);
    assert_eq!(seen.commands.len(), every_command().len());
    assert_eq!(seen.improper, 0);
    assert!(!sim.game().achievements_disabled());
}

#[tokio::test]
async fn allowed_lua_that_the_game_swallows_is_repeated_once() {
    let sim = sim().await;
    let linked = Linked::new(RconTarget { allow_lua: true, ..target(&sim) }, times());
    let tick = "/sc rcon.print(game.tick)";
    assert_eq!(linked.ask(line(tick)).await.as_deref(), Ok("7565160"));
    assert_eq!(linked.ask(line(tick)).await.as_deref(), Ok("7565160"));
    assert_eq!(sim.seen().commands, [tick; 3], "one was swallowed");
}

#[tokio::test]
async fn a_repeated_lua_command_has_no_more_time_than_one() {
    let sim = sim().await;
    let linked = Linked::new(RconTarget { allow_lua: true, ..target(&sim) }, times());
    sim.set_fault(Fault::Slow(IMPATIENT * 2 / 3));
    let late = linked.ask_for(line("/sc rcon.print(1)"), Some(IMPATIENT)).await;
    assert_eq!(late, Err(RconError::TimedOut(IMPATIENT)));
}

#[tokio::test]
async fn a_wrong_password_is_said_to_the_operator_and_tried_again() {
    let sim = sim().await;
    let linked = Linked::new(RconTarget { password: SecretString::from("guess"), ..target(&sim) }, times());
    linked.is_unhealthy_because("--rcon-password").await;
    linked.link(|state| matches!(state, LinkState::Down(_))).await;
    assert_eq!(linked.ask(Command::Time).await, Err(RconError::WrongPassword));
    within(sim.until(|seen| seen.connects >= 3)).await;
    assert_eq!(sim.seen().logins, 0);
    assert!(!format!("{:?}{:?}", linked.client, linked.health.snapshot()).contains("guess"));
}

#[tokio::test]
async fn a_game_that_is_down_fails_commands_at_once_until_it_is_back() {
    let sim = sim().await;
    sim.stop();
    within(sim.until(|seen| seen.open == 0)).await;
    let linked = Linked::new(target(&sim), times());
    linked.link(|state| *state == LinkState::Down(RconError::Refused)).await;
    assert_eq!(linked.ask(Command::Time).await, Err(RconError::Refused));
    linked.is_unhealthy_because("still loads its map").await;
    within(sim.start_again()).await.unwrap();
    linked.link(|state| *state == LinkState::Up).await;
    assert!(linked.ask(Command::Time).await.is_ok());
    assert_eq!(sim.seen().connects, 1, "refused attempts are no lines in the game's log");
}

#[tokio::test]
async fn an_address_without_a_way_to_it_is_unreachable() {
    let sim = sim().await;
    let linked = Linked::new(RconTarget { host: "255.255.255.255".to_owned(), ..target(&sim) }, times());
    linked.link(|state| matches!(state, LinkState::Down(_))).await;
    let error = linked.ask(Command::Time).await.unwrap_err();
    assert!(matches!(error, RconError::Unreachable(_)), "{error:?}");
    let shown = format!("{error} {}", error.public_message());
    assert!(!shown.contains("255.255") && !shown.contains(&sim.address().port().to_string()), "{shown}");
}

#[tokio::test]
async fn a_login_that_is_never_answered_times_out() {
    let sim = sim().await;
    sim.set_fault(Fault::HangLogin);
    let linked = Linked::new(target(&sim), RconTimes { connect: IMPATIENT, ..times() });
    linked.link(|state| *state == LinkState::Down(RconError::TimedOut(IMPATIENT))).await;
    let error = linked.ask(Command::Kick { player: bob(), reason: None }).await.unwrap_err();
    assert!(!error.may_have_run(), "{error:?}");
    insta::assert_snapshot!(error.public_message(), @"The game does not answer now; the command was not sent.");
    assert_eq!(sim.seen().commands, Vec::<String>::new());
    sim.set_fault(Fault::None);
    linked.link(|state| *state == LinkState::Up).await;
}

#[tokio::test]
async fn after_a_timeout_the_next_command_gets_its_own_answer() {
    let (sim, linked) = linked().await;
    sim.set_fault(Fault::Hang);
    let late = linked.ask_for(Command::Seed, Some(IMPATIENT)).await;
    assert_eq!(late, Err(RconError::TimedOut(IMPATIENT)));
    sim.set_fault(Fault::None);
    assert_eq!(linked.ask(Command::Version).await.as_deref(), Ok("2.0.77"));
    assert_eq!(linked.ask(Command::Seed).await.as_deref(), Ok("1234567890"));
    assert_eq!(sim.seen().connects, 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_spoils_nothing() {
    let (sim, linked) = linked().await;
    sim.set_fault(Fault::Hang);
    let asked = linked.client.command(Priority::Person, Command::Seed, None);
    let gone = tokio::select! { _ = asked => false, () = sim.until(|seen| seen.commands.len() == 1) => true };
    assert!(gone);
    sim.set_fault(Fault::None);
    assert_eq!(linked.ask(Command::Version).await.as_deref(), Ok("2.0.77"));
    assert_eq!(sim.seen().connects, 1);
}

#[tokio::test]
async fn broken_answers_are_told_apart_and_the_connection_is_made_anew() {
    let table = [
        (Fault::CutMidReply, RconError::CutMidReply),
        (Fault::Close, RconError::CutMidReply),
        (Fault::Length(9), RconError::Garbage(Garbage::Length(9))),
        (Fault::Length(-1), RconError::Garbage(Garbage::Length(-1))),
        (Fault::Length(i32::MAX), RconError::Garbage(Garbage::Length(i32::MAX))),
        (Fault::WrongId, RconError::Garbage(Garbage::Id { expected: 2, got: 1002 })),
    ];
    for (fault, error) in table {
        let (sim, linked) = linked().await;
        sim.set_fault(fault);
        assert_eq!(linked.ask(Command::Seed).await, Err(error.clone()), "{fault:?}");
        assert!(error.may_have_run());
        sim.set_fault(Fault::None);
        assert_eq!(linked.ask(Command::Version).await.as_deref(), Ok("2.0.77"), "{fault:?}");
        assert_eq!(sim.seen().connects, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn odd_bytes_and_slow_answers_keep_the_connection() {
    let (sim, linked) = linked().await;
    sim.set_fault(Fault::NotUtf8);
    assert_eq!(linked.ask(Command::Version).await.as_deref(), Ok("\u{fffd}\u{fffd}\u{fffd}2.0.77"));
    sim.set_fault(Fault::Slow(Duration::from_millis(30)));
    assert_eq!(linked.ask(Command::Version).await.as_deref(), Ok("2.0.77"));
    assert_eq!(sim.seen().connects, 1);
}

#[tokio::test]
async fn an_answer_of_four_megabytes_comes_whole() {
    let (sim, linked) = linked().await;
    let long = "é[item=iron-plate]\n".repeat(4 * 1024 * 1024 / 20);
    sim.game().answers.insert("/dump".to_owned(), long.clone());
    assert_eq!(linked.ask(line("/dump")).await.as_deref(), Ok(long.trim_end()));
    assert_eq!(sim.seen().connects, 1);
}

#[tokio::test]
async fn a_save_holds_commands_up_and_people_go_first_after_it() {
    let (sim, linked) = linked().await;
    sim.set_saving(true);
    let client = &linked.client;
    let (in_flight, sampler, person, other, ()) = within(async {
        let in_flight = client.command(Priority::Sampler, Command::Time, None);
        let mut in_flight = Box::pin(in_flight);
        tokio::select! { _ = &mut in_flight => panic!("the game saves"), () = sim.until(|seen| seen.commands.len() == 1) => {} }
        tokio::join!(
            in_flight,
            client.command(Priority::Sampler, Command::Seed, None),
            client.command(Priority::Person, Command::Version, None),
            client.command(Priority::Person, Command::Admins, None),
            async { sim.set_saving(false) },
        )
    })
    .await;
    assert!(in_flight.is_ok() && sampler.is_ok() && person.is_ok() && other.is_ok());
    assert_eq!(sim.seen().commands, ["/time", "/version", "/admins", "/seed"]);
    assert_eq!(sim.seen().connects, 1);
}

#[tokio::test]
async fn a_game_that_restarts_is_connected_to_once_each_time() {
    let (sim, linked) = linked().await;
    for breaks in 1..=4 {
        within(sim.cut_connections()).await.unwrap();
        within(sim.until(|seen| seen.logins == 1 + breaks)).await;
        assert!(linked.ask(Command::Time).await.is_ok(), "commands wait for the new connection");
        assert_eq!(sim.seen().connects, 1 + breaks);
    }
}

#[tokio::test]
async fn a_game_that_is_slow_hangs_talks_garbage_is_killed_and_comes_back_is_connected_to_once_each_time() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let write = log.clone();
    let hook = move |event| {
        if let RconEvent::Connected { from } = event {
            write.lock().unwrap().push(format!("New RCON connection from IP ADDR:({{{from}}})"));
        }
    };
    let sim = SimRcon::start(PASSWORD, Game::default(), hook).await.unwrap();
    let linked = Linked::new(target(&sim), times());
    let connects = || log.lock().unwrap().len();
    assert!(linked.ask(Command::Time).await.is_ok());
    sim.set_fault(Fault::Slow(Duration::from_millis(20)));
    assert!(linked.ask(Command::Time).await.is_ok());
    assert_eq!(connects(), 1);

    let mut told = Vec::new();
    for (fault, limit) in [(Fault::Hang, Some(IMPATIENT)), (Fault::Length(3), None)] {
        sim.set_fault(fault);
        told.push(linked.ask_for(Command::Time, limit).await.unwrap_err());
        sim.set_fault(Fault::None);
        assert!(linked.ask(Command::Time).await.is_ok(), "{fault:?}");
    }
    assert_eq!(connects(), 3);

    sim.set_saving(true);
    let asked = sim.seen().commands.len();
    let killed = async {
        sim.until(|seen| seen.commands.len() > asked).await;
        sim.stop();
    };
    told.push(tokio::join!(linked.ask(Command::Seed), within(killed)).0.unwrap_err());
    linked.link(|state| matches!(state, LinkState::Down(_))).await;
    told.push(linked.ask(Command::Seed).await.unwrap_err());
    sim.set_saving(false);
    within(sim.start_again()).await.unwrap();
    linked.link(|state| *state == LinkState::Up).await;
    assert!(linked.ask(Command::Seed).await.is_ok());
    assert_eq!(connects(), 4);
    let told: Vec<String> = told.iter().map(RconError::public_message).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    The game did not answer in time; it may be saving. Whether the command ran is not known.
    The game's answer could not be read. Whether the command ran is not known.
    The connection to the game broke. Whether the command ran is not known.
    The game is not running, or is still loading its map.
    "#);
}

#[tokio::test]
async fn an_end_is_noticed_while_nothing_is_asked() {
    let (sim, linked) = linked().await;
    sim.stop();
    linked.link(|state| *state == LinkState::Down(RconError::Refused)).await;
    assert!(!linked.state().works());
    within(sim.start_again()).await.unwrap();
    linked.link(|state| *state == LinkState::Up).await;
    assert_eq!(linked.state(), ComponentState::Starting, "a login proves nothing");
    assert!(linked.ask(Command::Time).await.is_ok());
    assert_eq!(linked.state(), ComponentState::Healthy);
}

#[tokio::test]
async fn a_game_that_logs_in_and_never_answers_is_not_healthy() {
    let (sim, linked) = linked().await;
    assert_eq!(linked.state(), ComponentState::Starting);
    sim.set_fault(Fault::Hang);
    for connects in 2..=3 {
        let late = linked.ask_for(Command::Time, Some(IMPATIENT)).await;
        assert_eq!(late, Err(RconError::TimedOut(IMPATIENT)));
        within(sim.until(|seen| seen.logins >= connects)).await;
        linked.link(|state| *state == LinkState::Up).await;
        let reason = linked.state().reason().map(str::to_owned);
        assert!(reason.is_some_and(|reason| reason.contains("or the game hangs")), "{:?}", linked.state());
        assert!(!linked.state().works());
    }
    sim.set_fault(Fault::None);
    assert!(linked.ask(Command::Time).await.is_ok());
    assert_eq!(linked.state(), ComponentState::Healthy);
}

#[tokio::test]
async fn commands_wait_so_long_and_so_many_and_are_then_not_sent() {
    let sim = sim().await;
    let linked = Linked::new(target(&sim), RconTimes { queue: IMPATIENT, ..times() });
    linked.link(|state| *state == LinkState::Up).await;
    sim.set_saving(true);
    let (client, seed) = (linked.client.clone(), line("/seed"));
    let first = tokio::spawn(async move { client.command(Priority::Person, seed, None).await });
    within(sim.until(|seen| seen.commands.len() == 1)).await;
    let samples = (0..17).map(|_| linked.client.command(Priority::Sampler, Command::Time, None));
    let outcomes = within(futures_util::future::join_all(samples)).await;
    let count = |error: RconError| outcomes.iter().filter(|outcome| outcome.as_ref().err() == Some(&error)).count();
    assert_eq!((count(RconError::QueueFull), count(RconError::WaitedTooLong(IMPATIENT))), (1, 16));
    sim.set_saving(false);
    assert!(within(first).await.unwrap().is_ok());
    assert!(linked.ask(Command::Version).await.is_ok());
    assert_eq!(sim.seen().commands, ["/seed", "/version"]);
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_refuses_the_rest() {
    let (sim, mut linked) = linked().await;
    sim.set_saving(true);
    let client = linked.client.clone();
    let in_flight = tokio::spawn(async move { client.command(Priority::Person, Command::Seed, None).await });
    within(sim.until(|seen| seen.commands.len() == 1)).await;
    let waiting = within(async {
        let stop = async {
            linked.cancel.cancel();
            sim.set_saving(false);
        };
        tokio::join!(linked.client.command(Priority::Person, Command::Time, None), stop).0
    })
    .await;
    assert_eq!(waiting, Err(RconError::Stopping));
    assert_eq!(within(in_flight).await.unwrap().unwrap().text, "1234567890");
    within(&mut linked.running).await.unwrap().unwrap();
    assert_eq!(linked.ask(Command::Time).await, Err(RconError::Stopping));
    assert_eq!(sim.seen().commands, ["/seed"]);
}

#[test]
fn commands_reconnects_and_failures_are_counted() {
    let exporter = MetricsExporter::detached();
    let series = ServerSeries {
        tag: ServerTag::new("prod").unwrap(),
        logs: Vec::new(),
        rcon: true,
        lua: false,
        prometheus_file: false,
        alerts: Vec::new(),
        events: Vec::new(),
    };
    exporter.preregister(&[series]);
    let scrape = || exporter.scrape(&Lifecycle::new().facts(), &HealthRegistry::new().snapshot(), String::new());
    let zero = scrape();
    for series in ["factorio_isr_rcon_reconnects_total", "factorio_isr_rcon_queue_depth"] {
        assert!(zero.contains(&format!("{series}{{server=\"prod\"}} 0\n")), "{zero}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    exporter.record(|| {
        runtime.block_on(async {
            let (sim, linked) = linked().await;
            sim.set_fault(Fault::CutMidReply);
            linked.ask(Command::Seed).await.unwrap_err();
            sim.set_fault(Fault::None);
            linked.ask(Command::Seed).await.unwrap();
        });
    });
    let counted = scrape();
    for line in [
        "factorio_isr_rcon_reconnects_total{server=\"prod\"} 1",
        "factorio_isr_rcon_queue_depth{server=\"prod\"} 0",
        "factorio_isr_rcon_command_latency_seconds_count{server=\"prod\"} 2",
        "factorio_isr_errors_total{component=\"rcon\",error_type=\"network\"} 1",
    ] {
        assert!(counted.lines().any(|counted| counted == line), "{line} is not in {counted}");
    }
}
