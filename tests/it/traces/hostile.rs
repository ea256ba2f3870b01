//! Collectors that are away, slow or lying: no line is later for it, no memory grows, and the lost spans are counted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use factorio_isr::sim::discord::SimDiscord;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::collector::Collector;
use super::{CHAT, discord, to};
use crate::harness::{DEADLINE, Relay, Site, within};

/// How a collector misbehaves, once it has been sent something.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    /// Says nothing, ever.
    Hang,
    /// Closes at once.
    Close,
    /// No HTTP.
    Garbage,
    /// `200 OK` with a page.
    Page,
    /// `200 OK` and a length of a terabyte, sent as fast as it is read.
    Huge,
    /// `200 OK` in chunks without end, a byte at a time.
    Drip,
    /// Sends the client somewhere else.
    Redirect,
    /// Asks it to come again in an hour.
    Later,
}

const LIES: [Lie; 8] =
    [Lie::Hang, Lie::Close, Lie::Garbage, Lie::Page, Lie::Huge, Lie::Drip, Lie::Redirect, Lie::Later];

async fn tell(mut socket: TcpStream, lie: Lie) -> std::io::Result<()> {
    let mut request = vec![0; 64 * 1024];
    if socket.read(&mut request).await? == 0 {
        return Ok(());
    }
    match lie {
        Lie::Hang => std::future::pending().await,
        Lie::Close => Ok(()),
        Lie::Garbage => socket.write_all(&[0xff; 4096]).await,
        Lie::Page => {
            let page = "<html>welcome</html>";
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len());
            socket.write_all(head.as_bytes()).await?;
            std::future::pending().await
        }
        Lie::Huge => {
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n").await?;
            loop {
                socket.write_all(&vec![b'x'; 64 * 1024]).await?;
            }
        }
        Lie::Drip => {
            socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            loop {
                tick.tick().await;
                socket.write_all(b"1\r\nx\r\n").await?;
            }
        }
        Lie::Redirect => {
            socket.write_all(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n").await
        }
        Lie::Later => socket.write_all(b"HTTP/1.1 429 No\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n").await,
    }
}

async fn liar(lie: Lie) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(tell(socket, lie));
        }
    };
    (address, AbortOnDropHandle::new(tokio::spawn(serve)))
}

/// What became of spans.
async fn spans(relay: &Relay, outcome: &str) -> u64 {
    let name = format!("factorio_isr_trace_spans_total{{outcome=\"{outcome}\"}} ");
    let (_, body) = relay.get("/metrics").await;
    body.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
}

fn line(n: usize) -> String {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    format!("{now} [CHAT] Bob: line {n}\n")
}

/// Many probes, each of which is a span.
async fn burst(probe: &str) {
    let client = reqwest::Client::new();
    let some = async || {
        for _ in 0..100 {
            client.get(probe).send().await.unwrap();
        }
    };
    futures_util::future::join_all((0..8).map(|_| some())).await;
}

/// More spans than the queue holds, while lines go on.
async fn keeps_its_pace(lie: Lie, protocol: &str) {
    let (address, _liar) = liar(lie).await;
    let traces = format!("[traces]\nenabled = true\nendpoint = \"http://{address}\"\nprotocol = \"{protocol}\"\n");
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT).extra(&traces);
    let mut relay = site.start_with(&[("RUST_LOG", "warn,factorio_isr::app=info")]);
    relay.wait_until_ready().await;
    let before = relay.resident_memory();
    let probe = format!("{}/healthz", relay.address().await);
    for n in 0..3 {
        burst(&probe).await;
        let begun = Instant::now();
        site.append("prod", &line(n));
        let arrived = format!("line {n}");
        assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).any(|m| m.content.contains(&arrived))).await);
        assert!(begun.elapsed() < Duration::from_secs(3), "{lie:?}: a line took {:?}", begun.elapsed());
    }
    if matches!(lie, Lie::Hang | Lie::Drip) {
        // An export that is given up makes room: a slow machine needs more of them to fill it.
        let filled = async {
            while spans(&relay, "dropped").await == 0 {
                burst(&probe).await;
            }
        };
        within(filled).await;
    }
    let grown = relay.resident_memory().saturating_sub(before);
    assert!(grown < 40 << 20, "{lie:?}: {grown} bytes more");
    let begun = Instant::now();
    assert_eq!(relay.terminate().await.code(), Some(0), "{lie:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{lie:?}: the stop took {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_lies_by_http_delays_nothing() {
    for lie in LIES {
        keeps_its_pace(lie, "http").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_lies_by_grpc_delays_nothing() {
    for lie in [Lie::Hang, Lie::Garbage, Lie::Huge] {
        keeps_its_pace(lie, "grpc").await;
    }
}

/// A relay of which the collector has been told what became of a line.
async fn one_line_to(collector: &Collector, protocol: &str) -> (SimDiscord, Site, Relay) {
    let traces = format!("[traces]\nenabled = true\n{}", to(collector, protocol));
    let sim = discord().await;
    let site = Site::new(&sim.base_url()).server("prod", CHAT).extra(&traces);
    let relay = site.start();
    relay.wait_until_ready().await;
    site.append("prod", &line(0));
    collector.find(|span| span.name == "discord.send").await;
    (sim, site, relay)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_dies_in_mid_flight_loses_spans_and_gets_the_next_when_it_is_back() {
    let collector = Collector::http().await;
    let (sim, site, relay) = one_line_to(&collector, "http").await;
    let port = collector.stop();
    site.append("prod", &line(1));
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() == 2).await);
    relay.wait_for("/metrics", |_, body| !body.contains("trace_spans_total{outcome=\"failed\"} 0\n")).await;
    relay.output().find(|line| line.contains("The collector takes no traces").then_some(())).await;
    let back = Collector::http_at(port).await;
    site.append("prod", &line(2));
    back.find(|span| span.name == "discord.send" && !span.links.is_empty()).await;
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() == 3).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_why_a_collector_cannot_be_reached() {
    let (address, _liar) = liar(Lie::Garbage).await;
    // Nothing listens there; what answers speaks no TLS.
    for (endpoint, why) in
        [("http://127.0.0.1:9".to_owned(), "refused"), (format!("https://{address}"), "InvalidContentType")]
    {
        let sim = discord().await;
        let traces = format!("[traces]\nenabled = true\nendpoint = \"{endpoint}\"\n");
        let site = Site::new(&sim.base_url()).server("prod", CHAT).extra(&traces);
        let relay = site.start();
        relay.wait_until_ready().await;
        relay.wait_for("/metrics", |_, body| !body.contains("trace_spans_total{outcome=\"failed\"} 0\n")).await;
        let told = |line: &str| line.contains("The collector takes no traces").then(|| line.to_owned());
        let line = relay.output().find(told).await;
        assert!(line.contains(why), "{endpoint}: {line}");
    }
}

/// Works, hangs, works again: lines go on all the while, and what the collector did not take is counted.
async fn hangs_in_mid_flight(protocol: &str) {
    let collector = Collector::speaking(protocol).await;
    let (sim, site, relay) = one_line_to(&collector, protocol).await;
    collector.hang(true);
    for n in 1..4 {
        let begun = Instant::now();
        site.append("prod", &line(n));
        assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() > n).await);
        assert!(begun.elapsed() < Duration::from_secs(3), "line {n} took {:?}", begun.elapsed());
    }
    relay.wait_for("/metrics", |_, body| !body.contains("trace_spans_total{outcome=\"failed\"} 0\n")).await;
    collector.hang(false);
    site.append("prod", &line(4));
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() == 5).await);
    let last = sim.messages(CHAT).last().unwrap().id.to_string();
    collector.find(|span| span.attributes.get("messaging.message.id") == Some(&last)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_in_mid_flight_delays_no_line_by_http() {
    hangs_in_mid_flight("http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_in_mid_flight_delays_no_line_by_grpc() {
    hangs_in_mid_flight("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_refuses_of_an_export_is_not_counted_as_exported() {
    for protocol in ["http", "grpc"] {
        for claimed in [1, i64::MAX] {
            let collector = Collector::refusing(protocol, claimed).await;
            let sim = discord().await;
            let traces = format!("[traces]\nenabled = true\n{}", to(&collector, protocol));
            let site = Site::new(&sim.base_url()).server("prod", CHAT).extra(&traces);
            let relay = site.start();
            relay.wait_until_ready().await;
            relay.wait_for("/metrics", |_, body| !body.contains("trace_spans_total{outcome=\"failed\"} 0\n")).await;
            if claimed > 1 {
                assert_eq!(spans(&relay, "exported").await, 0, "{protocol}: none of them");
            }
            relay.output().find(|line| line.contains("The collector refuses some of the spans").then_some(())).await;
        }
    }
}
