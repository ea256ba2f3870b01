//! Signals, and stops while the game or the terminal does not cooperate.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use factorio_isr::sim::discord::SimDiscord;
use factorio_isr::sim::rcon::{Fault, Game, SimRcon};
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{DEADLINE, Site, TOKEN, discord_with, within};

const CHAT: u64 = 1001;

async fn discord() -> SimDiscord {
    discord_with(&[(CHAT, "chat")]).await
}

fn chat_line(text: &str) -> String {
    format!("{} [CHAT] Bob: {text}\n", Timestamp::now().strftime("%Y-%m-%d %H:%M:%S"))
}

async fn arrives(sim: &SimDiscord, text: &str) {
    let arrived = sim.wait_for(DEADLINE, |state| state.messages(CHAT).any(|message| message.content.contains(text)));
    assert!(arrived.await, "{text} never came");
}

/// A game that is frozen in a save takes commands and answers none of them until the save is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_game_is_frozen_in_a_save_is_orderly() {
    let sim = discord().await;
    let game = SimRcon::start("secret", Game::default(), |_| {}).await.unwrap();
    let rcon = format!("rcon = {{ port = {}, password = \"secret\" }}", game.address().port());
    let site = Site::new(&sim.base_url()).server_with("prod", &format!("default = {CHAT}"), &rcon);
    let mut relay = site.start();
    relay.wait_until_ready().await;
    relay.wait_for("/metrics", |_, body| body.contains("factorio_connected_player_count{server=\"prod\"} 0\n")).await;
    game.set_fault(Fault::Hang);
    let before = game.seen().commands.len();
    sim.say(CHAT, "Ann", "hello game").unwrap();
    game.until(|seen| seen.commands[before..].iter().any(|command| command.contains("hello game"))).await;
    let status = relay.terminate().await;
    let said = relay.output().text();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("Not done in time"), "{said}");

    // The game said the line when its save was done: it is not sent again.
    game.set_fault(Fault::None);
    let before = game.seen().commands.len();
    let _relay = site.start();
    sim.say(CHAT, "Ann", "hello again").unwrap();
    game.until(|seen| seen.commands[before..].iter().any(|command| command.contains("hello again"))).await;
    assert!(!game.seen().commands[before..].iter().any(|command| command.contains("hello game")));
}

/// The program with a pipe for its log, as a terminal that can be closed.
struct InTerminal {
    child: Child,
    log: Option<BufReader<ChildStderr>>,
}

impl InTerminal {
    fn start(site: &Site) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factorio-isr"));
        command.args(["run", "--config"]).arg(site.config()).env("DISCORD_BOT_TOKEN", TOKEN);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = child.stderr.take().map(BufReader::new);
        Self { child, log }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for InTerminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_closed_does_not_end_the_relay() {
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT);
    let mut relay = InTerminal::start(&site);
    site.append("prod", &chat_line("before"));
    arrives(&sim, "before").await;
    relay.signal(Signal::SIGHUP);
    let mut line = String::new();
    while !line.contains("SIGHUP ignored") {
        line.clear();
        assert!(relay.log.as_mut().unwrap().read_line(&mut line).unwrap() > 0, "it ended");
    }
    // With the terminal goes the place for the log.
    relay.log = None;
    relay.signal(Signal::SIGHUP);
    sim.close_gateway(None);
    site.append("prod", &chat_line("after"));
    arrives(&sim, "after").await;
    relay.signal(Signal::SIGTERM);
    let child = &mut relay.child;
    let code = within(async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(code.await, Some(0));
}
