//! Scrapes of a relay with a thousand servers, each with a log that is written and a game that is sampled.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, Instant};

use factorio_isr::sim::rcon::{Game, SimRcon};
use futures_util::future::join_all;
use reqwest::Client;

use super::{Site, lines, ms, percentiles};

const SERVERS: usize = 1000;
const SCRAPES: usize = 10_000;
/// How many ask at the same time at the end.
const TOGETHER: usize = 100;

pub(crate) async fn report() {
    let count = std::env::var("SCRAPES").ok().and_then(|count| count.parse().ok()).unwrap_or(SCRAPES);
    println!("\n{count} scrapes while {SERVERS} servers report (a log and a game each):");
    // One game stands for all: each server has a connection of its own to it.
    let game = SimRcon::start("bench", Game::default(), |_| {}).await.expect("started");
    let site = Site::with_rcon(SERVERS, Some(game.address().port())).await;
    let (process, ready, address) = site.run_at().await;
    let url = format!("{address}/metrics");
    let client = Client::new();
    let begun = Instant::now();
    while sampled(&scrape(&client, &url).await) < SERVERS {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("  ready after {:.0} ms, all games sampled {:.0} ms later", ms(ready), ms(begun.elapsed()));
    println!("  memory before: {}", process.memory());
    tokio::select! {
        () = measure(&client, &url, count) => {}
        never = write_logs(&site) => match never {},
    }
    println!("  memory after: {}", process.memory());
    let begun = Instant::now();
    let texts = join_all((0..TOGETHER).map(|_| scrape(&client, &url))).await;
    println!("  {} at the same time: {:.0} ms for all; memory: {}", texts.len(), ms(begun.elapsed()), process.memory());
}

async fn measure(client: &Client, url: &str, count: usize) {
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let asked = Instant::now();
        read(client, url).await;
        took.push(asked.elapsed());
    }
    percentiles("scrape", took);
    let text = scrape(client, url).await;
    let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    println!("  the last one: {series} series in {:.1} MB", text.len() as f64 / 1e6);
}

/// Reads to the last byte and keeps none: what is made of the text is not the relay's.
async fn read(client: &Client, url: &str) {
    let mut answer = client.get(url).send().await.expect("answered");
    while answer.chunk().await.expect("whole").is_some() {}
}

async fn scrape(client: &Client, url: &str) -> String {
    client.get(url).send().await.expect("answered").text().await.expect("whole")
}

/// Games whose players are known.
fn sampled(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("factorio_connected_player_count{")).count()
}

/// A line every 2 ms, to one log after the other.
async fn write_logs(site: &Site) -> Infallible {
    let lines = lines(SERVERS);
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    loop {
        for (at, line) in lines.iter().enumerate() {
            pace.tick().await;
            let mut log = OpenOptions::new().append(true).open(site.log(at)).expect("opened");
            log.write_all(format!("{line}\n").as_bytes()).expect("written");
        }
    }
}
