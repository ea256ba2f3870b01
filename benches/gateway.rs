//! The gateway connection against a gateway that fails: `cargo bench --bench gateway`.
//!
//! For each fault a process that holds nothing but the gateway connection runs against the simulator, with the product's
//! own timings, while a user writes 20 numbered messages per second. The table shows how long it took until the
//! component was reported as not healthy, until the session was up again (from the fault, or from its end where the
//! fault lasts), whether it was resumed, how many messages were lost or arrived twice, connection attempts and CPU.
//! `cargo bench --bench gateway -- FILTER` runs the cases whose name contains FILTER. All cases run at the same time.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factorio_isr::config::settings::DiscordSettings;
use factorio_isr::discord::{Dispatches, GatewayEvent, Inbound, run_gateway};
use factorio_isr::health::{Component, ComponentState, HealthRegistry};
use factorio_isr::sim::discord::{
    GatewayEnd, GatewayFaults, RateLimits, SimDiscord, SimDiscordConfig, SimStats, Upgrade,
};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

const CHANNEL: u64 = 111;
const INTERVAL: Duration = Duration::from_secs(2);
const REAL_INTERVAL: Duration = Duration::from_millis(41_250);
/// How long a fault that lasts is kept up.
const OUTAGE: Duration = Duration::from_secs(15);
const DEADLINE: Duration = Duration::from_secs(150);

/// A fault: an end of the live connection, and faults that last.
struct Case {
    name: &'static str,
    heartbeat: Duration,
    end: Option<GatewayEnd>,
    faults: Option<GatewayFaults>,
}

fn once(name: &'static str, end: GatewayEnd) -> Case {
    Case { name, heartbeat: INTERVAL, end: Some(end), faults: None }
}

fn lasting(name: &'static str, faults: GatewayFaults) -> Case {
    Case { name, heartbeat: INTERVAL, end: Some(GatewayEnd::Close(Some(4000))), faults: Some(faults) }
}

fn cases() -> Vec<Case> {
    let well = GatewayFaults::default();
    let close = |code| GatewayEnd::Close(Some(code));
    vec![
        once("FIN", GatewayEnd::Fin),
        once("RST", GatewayEnd::Reset),
        once("close 1000", close(1000)),
        once("close 1001", close(1001)),
        once("close 4000", close(4000)),
        once("close without a code", GatewayEnd::Close(None)),
        once("close 4003", close(4003)),
        once("close 4007", close(4007)),
        once("close 4009", close(4009)),
        once("op 7", GatewayEnd::Reconnect),
        once("op 9 true", GatewayEnd::InvalidSession(true)),
        once("op 9 false", GatewayEnd::InvalidSession(false)),
        once("garbage", GatewayEnd::Garbage),
        once("half-open", GatewayEnd::HalfOpen),
        Case { heartbeat: REAL_INTERVAL, ..once("half-open, interval 41.25 s", GatewayEnd::HalfOpen) },
        Case {
            name: "no ACK for 60 s, interval 41.25 s",
            heartbeat: REAL_INTERVAL,
            end: None,
            faults: Some(GatewayFaults { acknowledge: false, ..well }),
        },
        lasting("FIN before HELLO, 15 s", GatewayFaults { before_hello: Some(GatewayEnd::Fin), ..well }),
        lasting("close 4000 on RESUME, 15 s", GatewayFaults { on_resume: Some(close(4000)), ..well }),
        lasting("RESUME unanswered, 15 s", GatewayFaults { on_resume: Some(GatewayEnd::HalfOpen), ..well }),
        lasting("TCP stalls, 15 s", GatewayFaults { upgrade: Upgrade::StallTcp, ..well }),
        lasting("HTTP stalls, 15 s", GatewayFaults { upgrade: Upgrade::Stall, ..well }),
        lasting("HTTP 503 on upgrade, 15 s", GatewayFaults { upgrade: Upgrade::Refuse(503), ..well }),
        Case {
            end: Some(close(4009)),
            ..lasting("READY, then 4009 at once, 15 s", GatewayFaults { after_ready: Some(close(4009)), ..well })
        },
    ]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let first = arguments.find(|argument| argument != "--bench");
    if first.as_deref() == Some("--child") {
        let base = arguments.next().expect("an address follows --child");
        return runtime.block_on(child(base));
    }
    runtime.block_on(report(first.as_deref().unwrap_or_default()));
}

/// Holds the gateway connection, and prints each message (`M text`) and each change of the component (`H state`).
async fn child(base: String) {
    let settings = DiscordSettings {
        token: SimDiscordConfig::default().token.into(),
        api_base: Some(base),
        guild_ids: Vec::new(),
    };
    let health = HealthRegistry::new();
    let mut states = health.subscribe();
    let state_of = health.clone();
    tokio::spawn(async move {
        while states.changed().await.is_ok() {
            let healthy = state_of.state(Component::Discord) == Some(ComponentState::Healthy);
            print_line(if healthy { "H healthy" } else { "H failing" });
        }
    });
    let mut dispatches = Dispatches::default();
    let mut events = dispatches.messages(Inbound::INTENTS);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let GatewayEvent::Message(message) = event {
                print_line(&format!("M {}", message.json["content"].as_str().unwrap_or_default()));
            }
        }
    });
    let part = health.component(Component::Discord);
    run_gateway(settings, dispatches, part, CancellationToken::new()).await.expect("settings that can be used");
}

fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent reads");
}

async fn report(filter: &str) {
    println!(
        "| case | noticed, s | up again, s | how | lost | twice | attempts: all, most in 1 s | CPU, % of a core |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let running: Vec<_> =
        cases().into_iter().filter(|case| case.name.contains(filter)).map(|case| tokio::spawn(measure(case))).collect();
    for case in running {
        println!("{}", case.await.expect("a case does not panic"));
    }
}

/// What the child printed.
#[derive(Default)]
struct Seen {
    messages: Vec<u64>,
    health: Vec<(Instant, bool)>,
}

/// Ends with the measurement.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        ended.expect("a child can be killed");
    }
}

async fn measure(case: Case) -> String {
    let config = SimDiscordConfig {
        heartbeat_interval: case.heartbeat,
        limits: RateLimits::none(),
        ..SimDiscordConfig::default()
    };
    let sim = SimDiscord::start(config).await.expect("a port");
    let program = std::env::current_exe().expect("this program");
    let mut child =
        Command::new(program).args(["--child", &sim.base_url()]).stdout(Stdio::piped()).spawn().expect("a process");
    let process = child.id();
    let output = child.stdout.take().expect("it is piped");
    let _killed = Killed(child);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let reader = Arc::clone(&seen);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut seen = reader.lock().expect("no panic");
            match line.split_once(' ') {
                Some(("M", text)) => seen.messages.extend(text.parse::<u64>().ok()),
                Some(("H", state)) => seen.health.push((Instant::now(), state == "healthy")),
                _ => {}
            }
        }
    });
    until(|| seen.lock().expect("no panic").health.last().is_some_and(|(_, healthy)| *healthy)).await;

    let stop = CancellationToken::new();
    let written = tokio::spawn(write_messages(sim.clone(), stop.clone()));
    sleep(Duration::from_secs(2)).await;
    let (before, attempts) = (sim.stats(), sim.gateway_log().attempts.len());
    let (start, cpu) = (Instant::now(), cpu_seconds(process));
    if let Some(faults) = case.faults {
        sim.set_gateway_faults(faults);
    }
    if let Some(end) = case.end {
        sim.end_gateway(end);
    }
    let recovered_from = if case.faults.is_some() {
        sleep(if case.heartbeat == INTERVAL { OUTAGE } else { Duration::from_mins(1) }).await;
        sim.clear_faults();
        Instant::now()
    } else {
        start
    };
    let failing = |seen: &Seen| seen.health.iter().find(|(at, healthy)| *at >= start && !healthy).map(|(at, _)| *at);
    until(|| {
        let seen = seen.lock().expect("no panic");
        failing(&seen).is_some() && seen.health.last().is_some_and(|(_, healthy)| *healthy)
    })
    .await;
    let (elapsed, used) = (start.elapsed().as_secs_f64(), cpu_seconds(process) - cpu);
    let mut log = sim.gateway_log();
    log.attempts.drain(..attempts);
    sleep(Duration::from_secs(2)).await;
    stop.cancel();
    let count = written.await.expect("it writes");
    sleep(Duration::from_secs(1)).await;

    let seen = seen.lock().expect("no panic");
    let noticed = failing(&seen).map_or(f64::NAN, |at| (at - start).as_secs_f64());
    let up = seen.health.last().map_or(f64::NAN, |(at, _)| at.saturating_duration_since(recovered_from).as_secs_f64());
    let distinct: BTreeSet<u64> = seen.messages.iter().copied().collect();
    let ordered = seen.messages.is_sorted();
    let lost = count - distinct.len() as u64;
    let twice = seen.messages.len() - distinct.len();
    format!(
        "| {} | {noticed:.2} | {up:.1} | {}{} | {lost} | {twice} | {}, {} | {:.1} |",
        case.name,
        how(&before, &sim.stats()),
        if ordered { "" } else { ", NOT IN ORDER" },
        log.attempts.len(),
        log.most_attempts_per_second(),
        100.0 * used / elapsed,
    )
}

fn how(before: &SimStats, after: &SimStats) -> String {
    let (identified, resumed) = (after.identifies - before.identifies, after.resumes - before.resumes);
    match (identified, resumed) {
        (0, resumed) => format!("resumed {resumed}x"),
        (identified, 0) => format!("identified {identified}x"),
        (identified, resumed) => format!("identified {identified}x, resumed {resumed}x"),
    }
}

/// Numbered messages, 20 a second; returns how many.
async fn write_messages(sim: SimDiscord, stop: CancellationToken) -> u64 {
    let mut tick = interval(Duration::from_millis(50));
    let mut count = 0;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        sim.say(CHANNEL, "Ada", &count.to_string()).expect("the channel exists");
        count += 1;
    }
    count
}

async fn until(reached: impl Fn() -> bool) {
    let wait = async {
        let mut tick = interval(Duration::from_millis(10));
        while !reached() {
            tick.tick().await;
        }
    };
    timeout(DEADLINE, wait).await.expect("the state is reached in time");
}

/// CPU seconds that a process has used, in steps of 10 ms.
fn cpu_seconds(process: u32) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
    let ticks = |at: usize| fields.split_whitespace().nth(at).and_then(|field| field.parse::<f64>().ok());
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / TICKS_PER_SECOND
}
