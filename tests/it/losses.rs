//! Nothing lost, nothing doubled, in order: the real program killed at random moments, and a Discord that is away.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factorio_isr::domain::SystemClock;
use factorio_isr::sim::discord::{
    Chaos, ChaosRates, GatewayEnd, GatewayFaults, SimChannel, SimDiscord, SimDiscordConfig, SimState,
};
use factorio_isr::sim::factorio::{NumberedLine, SimServer, SimServerConfig, check_exactly_once, numbered_lines};
use jiff::tz::TimeZone;

use crate::harness::{DEADLINE, Relay, Site, TOKEN, lines_of};

const TAGS: [&str; 5] = ["alpha", "bravo", "charlie", "delta", "echo"];

/// A number from the environment, for the long run; the default keeps the test short.
fn scale(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn channel_of(tag: usize) -> u64 {
    2001 + tag as u64
}

async fn discord() -> SimDiscord {
    let channels = TAGS.iter().enumerate().map(|(at, tag)| SimChannel::new(channel_of(at), *tag)).collect();
    crate::discord_sim::start(SimDiscordConfig { token: TOKEN.to_owned(), channels, ..SimDiscordConfig::default() })
        .await
        .unwrap()
}

fn site(sim: &SimDiscord) -> Site {
    let site = Site::new(&sim.base_url());
    TAGS.iter().enumerate().fold(site, |site, (at, tag)| site.server(tag, channel_of(at)))
}

/// A growing log that is rotated now and then, each log in its own manner.
struct GrowingLog {
    tag: &'static str,
    server: SimServer,
    written: u64,
    rotations: u32,
}

impl GrowingLog {
    fn new(tag: &'static str, path: PathBuf) -> Self {
        let config = SimServerConfig {
            name: tag.to_owned(),
            console_log: path,
            engine_log: None,
            timezone: TimeZone::UTC,
            space_age: false,
        };
        let mut server = SimServer::new(config, Arc::new(SystemClock));
        // What is rotated away while nobody looks must still lie there.
        server.console().keep_rotated(u32::MAX);
        Self { tag, server, written: 0, rotations: 0 }
    }

    fn append(&mut self, lines: u64) {
        numbered_lines(&mut self.server, self.tag, self.written..self.written + lines).unwrap();
        self.written += lines;
    }

    /// The first two logs shift numbered files, the third gets a name that sorts like a date, the others are copied
    /// and truncated.
    fn rotate(&mut self) {
        self.rotations += 1;
        let log = self.server.console();
        match self.tag {
            "alpha" | "bravo" => log.rotate_rename().unwrap(),
            "charlie" => {
                let dated = format!("{}-{:08}", log.path().display(), 20_260_000 + self.rotations);
                fs::rename(log.path(), dated).unwrap();
            }
            _ => return log.rotate_copytruncate().unwrap(),
        }
        log.reopen().unwrap();
    }
}

fn resident_mib(relay: &Relay) -> u64 {
    relay.resident_memory() / (1024 * 1024)
}

/// Whether the last line of a log is the last thing in its channel.
fn is_complete(state: &SimState, at: usize, written: u64) -> bool {
    let last = state.messages(channel_of(at)).next_back();
    let line = last.and_then(|message| NumberedLine::find_all(lines_of(message).last()?).last());
    line.is_some_and(|line| line.number + 1 == written)
}

/// Waits until every line of every log is in its channel, then holds them to what was written.
async fn assert_whole(sim: &SimDiscord, written: &BTreeMap<&'static str, u64>, deadline: Duration) {
    let arrived = sim
        .wait_for(deadline, |state| TAGS.iter().enumerate().all(|(at, tag)| is_complete(state, at, written[tag])))
        .await;
    for (at, tag) in TAGS.iter().enumerate() {
        let messages = sim.messages(channel_of(at));
        let lines = messages.iter().flat_map(|message| lines_of(message));
        assert_eq!(check_exactly_once(lines, tag, 0..written[tag]), Ok(()), "{tag}");
    }
    assert!(arrived, "the last lines did not come last");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_every_line_arrives_once_in_order() {
    let kills = scale("RELAY_TEST_KILLS", 15);
    let lines_per_log = scale("RELAY_TEST_LINES", 3_000);
    let seed = scale("RELAY_TEST_SEED", 7);
    println!("RELAY_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = discord().await;
    let site = site(&sim);
    let mut logs: Vec<GrowingLog> = TAGS.iter().map(|tag| GrowingLog::new(tag, site.console_log(tag))).collect();
    let rates = ChaosRates {
        server_error: 0.1,
        rate_limited: 0.1,
        hang: 0.03,
        hang_processed: 0.03,
        cut: 0.05,
        cut_processed: 0.1,
        slow: 0.1,
        longest: Duration::from_millis(800),
    };
    // From the first line read on, nothing may be lost.
    let mut relay = site.start();
    for log in &mut logs {
        log.append(1);
    }
    let first = |state: &SimState| (0..TAGS.len()).all(|at| state.messages(channel_of(at)).len() == 1);
    assert!(sim.wait_for(DEADLINE, first).await);
    relay.kill();
    sim.set_chaos(Some(Chaos::new(seed, rates)));

    let started = Instant::now();
    let bursts_per_life = 8;
    let per_burst = lines_per_log / (kills * bursts_per_life) + 1;
    for _ in 0..kills {
        sim.set_gateway_faults(GatewayFaults::draw(&mut random));
        let mut relay = site.start();
        let mut pace = tokio::time::interval(Duration::from_millis(random.u64(10..150)));
        for _ in 0..bursts_per_life {
            pace.tick().await;
            if random.u8(..) < 40 {
                sim.end_gateway(GatewayEnd::draw(&mut random));
            }
            for log in &mut logs {
                log.append(per_burst);
                if random.u8(..) < 12 {
                    log.rotate();
                }
            }
        }
        relay.kill();
        // Also while nobody looks.
        for log in &mut logs {
            log.append(1);
            if random.u8(..) < 40 {
                log.rotate();
            }
        }
    }
    sim.clear_faults();
    for log in &mut logs {
        log.append(1);
    }
    let written: BTreeMap<_, _> = logs.iter().map(|log| (log.tag, log.written)).collect();
    let total: u64 = written.values().sum();
    let rotations: u32 = logs.iter().map(|log| log.rotations).sum();
    let mut relay = site.start();
    assert_whole(&sim, &written, Duration::from_mins(3)).await;
    println!(
        "{kills} kills, {total} lines, {rotations} rotations in {:.0} s; {} MiB resident; {:?}",
        started.elapsed().as_secs_f64(),
        resident_mib(&relay),
        sim.stats()
    );
    assert_eq!(relay.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_long_outage_are_delivered_whole_and_memory_stays_flat() {
    let lines = scale("RELAY_TEST_OUTAGE_LINES", 100_000) / 5;
    let sim = discord().await;
    let site = site(&sim);
    let relay = site.start();
    relay.wait_until_ready().await;
    let at_rest = resident_mib(&relay);
    sim.stop().await;
    for tag in TAGS {
        GrowingLog::new(tag, site.console_log(tag)).append(lines);
    }
    let all = format!("factorio_isr_outbox_depth{{lane=\"chat\"}} {}\n", lines * 5);
    relay.wait_within(3 * DEADLINE, "/metrics", |_, body| body.contains(&all)).await;
    let during = resident_mib(&relay);
    sim.restart().await.unwrap();
    let started = Instant::now();
    let written = TAGS.iter().map(|tag| (*tag, lines)).collect();
    assert_whole(&sim, &written, Duration::from_mins(3)).await;
    let messages: usize = (0..TAGS.len()).map(|at| sim.messages(channel_of(at)).len()).sum();
    let after = resident_mib(&relay);
    println!(
        "{} lines whole in {messages} messages {:.1} s after the outage; resident MiB {at_rest} at rest, {during} \
         with the backlog, {after} afterwards",
        lines * 5,
        started.elapsed().as_secs_f64()
    );
    assert!(after.max(during) < at_rest + 150, "{at_rest} -> {during} -> {after} MiB");
}
