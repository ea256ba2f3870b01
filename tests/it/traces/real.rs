//! A real collector between the relay and the test: the package `rotel` takes the spans by either protocol, reads them, and
//! hands them on.
//!
//! Where it is not installed these tests are ignored. The variable `RELAY_TEST_ROTEL`, at build time and when the tests
//! run, names the program where it is not in `PATH`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use factorio_isr::sim::port::ReservedPort;
use tokio::net::TcpStream;
use tokio::time::interval;

use super::collector::{Collector, Received};
use super::{CHAT, call_players, world};
use crate::harness::{DEADLINE, within};

/// Killed when dropped.
struct Rotel {
    child: Child,
    http: ReservedPort,
    grpc: ReservedPort,
}

impl Drop for Rotel {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Rotel {
    /// Waits until it listens on both ports.
    async fn listens(self) -> Self {
        let mut tick = interval(Duration::from_millis(50));
        for port in [&self.http, &self.grpc] {
            within(async {
                while TcpStream::connect(port.address()).await.is_err() {
                    tick.tick().await;
                }
            })
            .await;
        }
        self
    }
}

/// A collector that hands on to `to`.
async fn start(to: SocketAddr) -> Rotel {
    let program = std::env::var("RELAY_TEST_ROTEL").unwrap_or_else(|_| "rotel-agent".to_owned());
    let (http, grpc) = (ReservedPort::reserve(0).unwrap(), ReservedPort::reserve(0).unwrap());
    let mut command = Command::new(program);
    command
        .args(["start", "--otlp-http-endpoint", &http.address().to_string()])
        .args(["--otlp-grpc-endpoint", &grpc.address().to_string()])
        .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
        .args(["--otlp-exporter-endpoint", &format!("http://{to}"), "--otlp-exporter-compression", "none"])
        .args(["--disable-batching"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().expect("the build found the collector; RELAY_TEST_ROTEL names it");
    Rotel { child, http, grpc }.listens().await
}

/// The same story by each protocol: a line to Discord, chat to the game, a slash command.
async fn every_span_arrives(protocol: &str) {
    let collector = Collector::http().await;
    let rotel = start(collector.address).await;
    let address = if protocol == "grpc" { rotel.grpc.address() } else { rotel.http.address() };
    let (sim, _game, site) = world(&format!("endpoint = \"http://{address}\"\nprotocol = \"{protocol}\"\n")).await;
    let mut relay = site.start();
    call_players(&sim, &relay).await;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    site.append("prod", &format!("{now} [CHAT] Bob: for the collector\n"));
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).any(|m| m.content.contains("for the"))).await);
    sim.say(CHAT, "Alice", "and back").unwrap();

    let sent = collector.find(|span| span.name == "discord.send" && !span.links.is_empty()).await;
    let commit = collector.find(|span| span.id == sent.links[0].id).await;
    let parse = collector.find(|span| span.id == commit.parent).await;
    let read = collector.find(|span| span.id == parse.parent).await;
    assert_eq!([&*read.name, &*parse.name, &*commit.name], ["log.read", "event.parse", "outbox.commit"]);
    assert_eq!([&read.trace, &parse.trace, &commit.trace], [&sent.links[0].trace; 3]);
    assert_eq!(sent.links[0].attributes["line_end.last"], read.attributes["offset.end"]);
    assert_eq!(sent.attributes["http.response.status_code"], "200");
    let heard = collector.named("discord.message").await;
    for name in ["chat.wait", "rcon.command"] {
        collector.find(|span| span.name == name && span.parent == heard.id && span.trace == heard.trace).await;
    }
    let players = |span: &Received| span.name == "slash_command" && span.attributes["command"] == "players";
    let call = collector.find(players).await;
    collector.find(|span| span.name == "rcon.command" && span.parent == call.id).await;
    collector.named("health_readiness_check").await;
    for span in collector.all() {
        assert_eq!(span.resource["service.name"], "factorio-isr", "{span:?}");
        assert!(span.times.0 > 0 && span.times.0 <= span.times.1, "{span:?}");
    }
    assert_eq!(relay.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_collector), ignore = "needs an OTLP collector (rotel)")]
async fn every_span_arrives_at_a_real_collector_by_http() {
    every_span_arrives("http").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_collector), ignore = "needs an OTLP collector (rotel)")]
async fn every_span_arrives_at_a_real_collector_by_grpc() {
    every_span_arrives("grpc").await;
}
