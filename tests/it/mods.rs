//! What mods write, from the file to Discord and to a scrape: the real program beside simulated servers with mods.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use factorio_isr::domain::SystemClock;
use factorio_isr::sim::discord::{SimDiscord, SimState};
use factorio_isr::sim::factorio::{GameNumbers, MetricsFile, SimMod, SimServer, SimServerConfig};
use jiff::tz::TimeZone;
use regex::Regex;

use crate::harness::{DEADLINE, Relay, Site, discord_with, relayed_lines};

const REST: u64 = 1001;
const GAME: u64 = 1002;

async fn discord() -> SimDiscord {
    discord_with(&[(REST, "rest"), (GAME, "game")]).await
}

/// A site with the server `prod`, its engine log, and what else its table has.
fn site(sim: &SimDiscord, more: impl Fn(&Path) -> String) -> Site {
    let site = Site::new(&sim.base_url());
    let engine = engine_log(&site);
    fs::write(&engine, "").unwrap();
    let keys = format!("engine_log = \"{}\"\n{}", engine.display(), more(site.dir.path()));
    site.server_with("prod", &format!("default = {REST}, game = {GAME}"), &keys)
}

fn engine_log(site: &Site) -> PathBuf {
    site.dir.path().join("factorio-current.log")
}

fn mod_log(folder: &Path) -> PathBuf {
    folder.join("mod.log")
}

fn with_mod_log(folder: &Path) -> String {
    format!("mod_logs = {{ companion = \"{}\" }}", mod_log(folder).display())
}

fn nothing(_: &Path) -> String {
    String::new()
}

/// The server `prod` with a mod, running.
fn server(site: &Site, companion: SimMod) -> SimServer {
    let config = SimServerConfig {
        name: "prod".to_owned(),
        console_log: site.console_log("prod"),
        engine_log: Some(engine_log(site)),
        timezone: TimeZone::UTC,
        space_age: false,
    };
    let mut server = SimServer::new(config, Arc::new(SystemClock)).with_mod(companion);
    server.start().unwrap();
    server
}

fn lines(state: &SimState, channel: u64) -> Vec<String> {
    relayed_lines(&state.messages(channel).cloned().collect::<Vec<_>>())
}

/// The lines of a channel, once there are so many.
async fn lines_once(sim: &SimDiscord, channel: u64, count: usize) -> Vec<String> {
    let arrived = sim.wait_for(DEADLINE, |state| lines(state, channel).len() >= count).await;
    let lines = sim.read(|state| lines(state, channel));
    assert!(arrived, "never came; the channel holds {lines:#?}");
    lines
}

/// What befalls players, and a last word in the console by which it is known that all was read.
fn a_day(server: &mut SimServer) {
    server.join("Bob").unwrap();
    server.companion_died("Bob", "small-biter").unwrap();
    server.companion_died("*Ann*", "").unwrap();
    server.companion_research_started("automation", 3).unwrap();
    server.companion_research_finished("automation", 3).unwrap();
    server.companion_research_finished("nuclear-power", 1).unwrap();
    server.companion_rocket_launched().unwrap();
    server.companion_rocket_launched().unwrap();
}

/// What Discord shows of [`a_day`] by this mod.
async fn told(companion: impl Fn(&Path) -> SimMod, more: impl Fn(&Path) -> String, count: usize) -> String {
    let sim = discord().await;
    let site = site(&sim, more);
    let relay = site.start();
    relay.wait_until_ready().await;
    let mut server = server(&site, companion(site.dir.path()));
    a_day(&mut server);
    lines_once(&sim, GAME, count).await;
    // A mod's log and the others are read beside each other: what might be doubled has been read by the second death.
    server.companion_died("Last", "locomotive").unwrap();
    let rest = sim.wait_for(DEADLINE, |state| lines(state, GAME).iter().any(|line| line.contains("Last"))).await;
    assert!(rest);
    server.stop().unwrap();
    let stopped = |state: &SimState| lines(state, REST).iter().any(|line| line.contains("has stopped"));
    assert!(sim.wait_for(DEADLINE, stopped).await, "{:?}", sim.read(|state| lines(state, REST)));
    sim.read(|state| lines(state, GAME)).join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_companion_of_factorigo_is_told_from_its_file() {
    let told = told(|folder| SimMod::FactoriGo(mod_log(folder)), with_mod_log, 6).await;
    insta::assert_snapshot!(told, @r"
    💀 **Bob** was killed by small-biter
    💀 **\*Ann\*** was killed by unknown causes
    🧪 Research begun: **automation-3**
    🔬 Research done: **automation-3**
    🔬 Research done: **nuclear-power**
    🚀 A rocket was launched, number 1
    💀 **Last** was killed by locomotive
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_logger_is_told_from_the_engine_log_without_any_configuration() {
    let told = told(|_| SimMod::EventsLogger, nothing, 6).await;
    insta::assert_snapshot!(told, @r"
    💀 **Bob** was killed by small-biter
    💀 **\*Ann\*** was killed by ambient damage
    🧪 Research begun: **automation** 3
    🔬 Research done: **automation** 3
    🔬 Research done: **nuclear-power**
    🚀 A rocket was launched
    💀 **Last** was killed by locomotive
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_logger_with_its_json_file_is_told_once_though_it_logs_too() {
    let told = told(|folder| SimMod::EventsLoggerJson(mod_log(folder)), with_mod_log, 6).await;
    insta::assert_snapshot!(told, @r"
    💀 **Bob** was killed by small-biter
    💀 **\*Ann\*** was killed by ambient damage
    🧪 Research begun: **automation** 3
    🔬 Research done: **automation** 3
    🔬 Research done: **nuclear-power**
    🚀 A rocket was launched
    💀 **Last** was killed by locomotive
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn jlogger_lines_are_told_from_a_capture_of_standard_output() {
    let told = told(|_| SimMod::JLogger, nothing, 5).await;
    insta::assert_snapshot!(told, @r"
    💀 **Bob** was killed by small-biter
    💀 **\*Ann\*** was killed by unknown causes
    🔬 Research done: **automation** 3
    🔬 Research done: **nuclear-power**
    🚀 A rocket was launched
    💀 **Last** was killed by locomotive
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_cannot_play_the_mod() {
    let sim = discord().await;
    let site = site(&sim, nothing);
    let relay = site.start();
    relay.wait_until_ready().await;
    let mut server = server(&site, SimMod::EventsLogger);
    for text in [
        "JLOGGER: DIED: Ann small-biter",
        "[FactoriGOChatBot]: \"5 [PLAYER_DIED:Ann:x]\"",
        "  1.000 Script @__events-logger__/el_helpers.lua:38: [DIED] PVE:Ann x",
    ] {
        server.chat("Bob", text).unwrap();
        server.script_log("__events-logger__/el_helpers.lua:38", &format!("[CHAT] Bob: {text}")).unwrap();
    }
    server.companion_died("Bob", "shame").unwrap();
    let game = lines_once(&sim, GAME, 1).await;
    assert_eq!(game, ["💀 **Bob** was killed by shame"]);
    let said = |state: &SimState| lines(state, REST).iter().filter(|line| line.starts_with("**Bob**: ")).count() == 3;
    assert!(sim.wait_for(DEADLINE, said).await, "{:?}", sim.read(|state| lines(state, REST)));
    assert_eq!(sim.read(|state| lines(state, GAME)), game);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_lines_of_a_mod_log_are_counted_and_go_out_by_a_pattern_only() {
    let sim = discord().await;
    let pattern =
        "[[patterns]]\nid = \"boss\"\nregex = '^BOSS (?<name>\\w+)$'\ntemplate = \"👹 {name}\"\nchannel = \"game\"\n";
    let site = site(&sim, with_mod_log).extra(pattern);
    let relay = site.start();
    relay.wait_until_ready().await;
    let text = "what is this\n{\"event\":\"LEAVE\",\"name\":\"Bob\",\"reason\":\"quit\",\"tick\":5}\nBOSS Big\n";
    fs::write(mod_log(site.dir.path()), text).unwrap();
    assert_eq!(lines_once(&sim, GAME, 1).await, ["👹 Big"]);
    let events = |kind: &str, count: u8| {
        format!("factorio_isr_events_processed_total{{server=\"prod\",event_type=\"{kind}\"}} {count}\n")
    };
    let counted = [events("unmatched", 1), events("mod_other", 1), events("boss", 1), events("leave", 0)];
    relay.wait_for("/metrics", |_, body| counted.iter().all(|line| body.contains(line))).await;
    assert_eq!(sim.read(|state| lines(state, REST)), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mod_log_that_is_not_there_yet_keeps_nobody_from_being_ready() {
    let sim = discord().await;
    let site = site(&sim, with_mod_log);
    let relay = site.start();
    relay.wait_until_ready().await;
    let waits = |body: &str| body.contains("\"companion\":{\"state\":\"degraded\"");
    relay.wait_for("/ready", |status, body| status == 200 && waits(body)).await;
    let mut server = server(&site, SimMod::FactoriGo(mod_log(site.dir.path())));
    server.companion_died("Bob", "locomotive").unwrap();
    assert_eq!(lines_once(&sim, GAME, 1).await, ["💀 **Bob** was killed by locomotive"]);
    relay.wait_for("/ready", |_, body| body.contains("\"companion\":{\"state\":\"healthy\"")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_relay_was_away_is_told_at_its_time() {
    let sim = discord().await;
    let site = site(&sim, with_mod_log);
    let log = mod_log(site.dir.path());
    let hour = 60 * 60 * 60;
    let line = |tick: u64, who: &str| format!("[FactoriGOChatBot]: \"{tick} [PLAYER_DIED:{who}:x:1:1]\"\n");
    fs::write(&log, line(0, "Early") + &line(hour - 60, "Late") + &line(hour, "Last")).unwrap();
    let _relay = site.start();
    // The first is older than a quarter of an hour, so it comes in a digest with a file; the others come as news.
    let lines = lines_once(&sim, GAME, 3).await;
    let early = Regex::new(r"^\[(.*)\] Early was killed by x$").unwrap();
    let early =
        lines.iter().find_map(|line| Some(early.captures(line)?[1].to_owned())).unwrap_or_else(|| panic!("{lines:?}"));
    let at: jiff::civil::DateTime = early.replace(' ', "T").parse().unwrap();
    let written = fs::metadata(&log).unwrap().modified().unwrap();
    let expected = jiff::Timestamp::try_from(written).unwrap().as_second() - 3600;
    let found = TimeZone::UTC.to_timestamp(at).unwrap().as_second();
    assert!((found - expected).abs() <= 1, "{early}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_rotated_every_death_is_told_once_in_order() {
    let sim = discord().await;
    let site = site(&sim, with_mod_log);
    let mut server = server(&site, SimMod::FactoriGo(mod_log(site.dir.path())));
    server.mod_log().unwrap().keep_rotated(u32::MAX);
    let mut relay = site.start();
    server.companion_died("p0000", "x").unwrap();
    lines_once(&sim, GAME, 1).await;
    let mut written = 1;
    for round in 0..12 {
        for _ in 0..40 {
            server.companion_died(&format!("p{written:04}"), "x").unwrap();
            written += 1;
        }
        match round % 4 {
            1 => {
                server.mod_log().unwrap().rotate_rename().unwrap();
                server.mod_log().unwrap().reopen().unwrap();
            }
            2 => {
                relay.kill();
                relay = site.start();
            }
            _ => {}
        }
    }
    let last = format!("p{:04}", written - 1);
    let arrived = sim.wait_for(DEADLINE, |state| lines(state, GAME).last().is_some_and(|l| l.contains(&last))).await;
    let name = Regex::new(r"p(\d{4})").unwrap();
    let lines = sim.read(|state| lines(state, GAME));
    let numbers: Vec<usize> = lines.iter().filter_map(|line| name.captures(line)?[1].parse().ok()).collect();
    assert!(arrived, "{:?}", lines.last());
    assert_eq!(numbers, (0..written).collect::<Vec<_>>());
}

/// The file of metrics of `prod`.
fn metrics_file(site: &Site) -> MetricsFile {
    MetricsFile::new(site.dir.path().join("game.prom"))
}

fn with_metrics(folder: &Path) -> String {
    format!(
        "prometheus_file = {{ path = \"{}\", max_age = \"10s\", max_series = 3 }}",
        folder.join("game.prom").display()
    )
}

fn numbers(tick: u64) -> GameNumbers {
    let produced = vec![("iron-plate".to_owned(), 7)];
    GameNumbers { tick, online: 2, known: 5, produced, ..GameNumbers::default() }
}

fn tick_of(tick: u64) -> String {
    format!("\nfactorio_tick{{server=\"prod\"}} {tick}\n")
}

async fn scrape_with(relay: &Relay, text: &str) -> String {
    relay.wait_for("/metrics", |_, body| body.contains(text)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_graftorio2_is_shown_with_the_servers_label() {
    let sim = discord().await;
    let site = site(&sim, with_metrics);
    metrics_file(&site).write(&numbers(3600)).unwrap();
    let relay = site.start();
    let body = scrape_with(&relay, &tick_of(3600)).await;
    for line in [
        "# HELP factorio_tick game tick\n# TYPE factorio_tick gauge\n",
        "factorio_connected_player_count{server=\"prod\"} 2\n",
        "factorio_item_production_input{server=\"prod\",force=\"player\",name=\"iron-plate\"} 7\n",
        "factorio_isr_prometheus_file_dropped_total{server=\"prod\",reason=\"cap\"} 0\n",
    ] {
        assert!(body.contains(line), "{line}\n{body}");
    }
    metrics_file(&site).write_atomically(&numbers(3900)).unwrap();
    scrape_with(&relay, &tick_of(3900)).await;
}

/// promtool may only complain of the names, which are graftorio2's.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_promtool), ignore = "needs promtool and prometheus")]
async fn promtool_accepts_a_file_of_graftorio2() {
    let sim = discord().await;
    let site = site(&sim, with_metrics);
    metrics_file(&site).write(&numbers(3600)).unwrap();
    let relay = site.start();
    let body = scrape_with(&relay, &tick_of(3600)).await;
    let path = site.dir.path().join("scraped");
    fs::write(&path, body).unwrap();
    let checked = Command::new("promtool").args(["check", "metrics"]).stdin(fs::File::open(&path).unwrap()).output();
    let checked = checked.unwrap();
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    let mut said: Vec<&str> = said.lines().collect();
    said.sort_unstable();
    let names = ["factorio_connected_player_count", "factorio_total_player_count"];
    let suffix = "non-histogram and non-summary metrics should not have \"_count\" suffix";
    assert_eq!(said, names.map(|name| format!("{name} {suffix}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_file_keeps_the_last_good_one_until_that_is_too_old() {
    let sim = discord().await;
    let site = site(&sim, with_metrics);
    metrics_file(&site).write(&numbers(100)).unwrap();
    let relay = site.start();
    scrape_with(&relay, &tick_of(100)).await;
    metrics_file(&site).write_torn(&numbers(200)).unwrap();
    let age = Regex::new(r#"factorio_isr_prometheus_file_age_seconds\{server="prod"\} (\S+)"#).unwrap();
    let aged = |body: &str| age.captures(body).and_then(|found| found[1].parse::<f64>().ok()).unwrap_or(0.0);
    let body = relay.wait_for("/metrics", |_, body| aged(body) > 3.0).await;
    assert!(body.contains(&tick_of(100)), "{body}");
    let body = relay.wait_for("/metrics", |_, body| aged(body) > 10.5).await;
    assert!(!body.contains("factorio_tick") && !body.contains("factorio_item"), "{body}");
    relay.output().find(|line| line.contains("game.prom are not read: its last line does not end").then_some(())).await;
    metrics_file(&site).write(&numbers(300)).unwrap();
    relay.wait_for("/metrics", |_, body| body.contains(&tick_of(300)) && aged(body) < 10.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_file_is_not_shown_after_a_start() {
    let sim = discord().await;
    let site = site(&sim, with_metrics);
    metrics_file(&site).write(&numbers(100)).unwrap();
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    fs::File::options().append(true).open(metrics_file(&site).path()).unwrap().set_modified(long_ago).unwrap();
    let relay = site.start();
    let age = Regex::new(r#"factorio_isr_prometheus_file_age_seconds\{server="prod"\} 3[67]\d\d"#).unwrap();
    let body = relay.wait_for("/metrics", |_, body| age.is_match(body)).await;
    assert!(!body.contains("factorio_tick"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_collides_and_what_is_too_much_is_left_out_and_counted() {
    let sim = discord().await;
    let site = site(&sim, with_metrics);
    let mut text = "factorio_isr_uptime_seconds 5\nprocess_cpu_seconds_total 7\nnot a sample\n".to_owned();
    text.extend((0..5).map(|item| format!("factorio_item_production_input{{name=\"i{item}\",server=\"x\"}} {item}\n")));
    fs::write(metrics_file(&site).path(), text).unwrap();
    let relay = site.start();
    let body =
        scrape_with(&relay, "factorio_item_production_input{server=\"prod\",name=\"i2\",exported_server=\"x\"} 2\n")
            .await;
    assert!(!body.contains("name=\"i3\"") && !body.contains("factorio_isr_uptime_seconds{"), "{body}");
    for (reason, count) in [("cap", 2), ("collision", 2), ("invalid", 1)] {
        let line =
            format!("factorio_isr_prometheus_file_dropped_total{{server=\"prod\",reason=\"{reason}\"}} {count}\n");
        assert!(body.contains(&line), "{line}{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_two_servers_make_one_family() {
    let sim = discord().await;
    let site = site(&sim, with_metrics);
    let other = site.dir.path().join("other.prom");
    MetricsFile::new(other.clone()).write(&numbers(7)).unwrap();
    metrics_file(&site).write(&numbers(8)).unwrap();
    let keys = format!("prometheus_file = {{ path = \"{}\" }}", other.display());
    let site = site.server_with("other", &format!("default = {REST}"), &keys);
    let relay = site.start();
    let both = "# HELP factorio_tick game tick\n# TYPE factorio_tick gauge\n\
        factorio_tick{server=\"other\"} 7\nfactorio_tick{server=\"prod\"} 8\n";
    let body = scrape_with(&relay, both).await;
    assert_eq!(body.matches("# TYPE factorio_tick ").count(), 1);
}
