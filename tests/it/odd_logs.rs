//! Logs that are not what they should be: wrapped by another program, compressed, exchanged, of no game at all. What
//! Discord, `/ready` and `check` show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fs;
use std::path::Path;

use factorio_isr::sim::discord::SimDiscord;
use serde_json::Value;

use crate::harness::{DEADLINE, Relay, Site, discord_with, lines_of, relayed_lines};

const CHANNEL: u64 = 1001;
const ALERTS: u64 = 1002;

async fn discord() -> SimDiscord {
    discord_with(&[(CHANNEL, "everything"), (ALERTS, "alerts")]).await
}

fn site(sim: &SimDiscord, keys: &str) -> Site {
    Site::new(&sim.base_url()).server_with("prod", &format!("default = {CHANNEL}, alerts = {ALERTS}"), keys)
}

/// The lines of a start of the game in a container, as standard output has them.
fn capture() -> Vec<String> {
    let now = now();
    [
        "+ mkdir -p /factorio/saves",
        "+ exec /opt/factorio/bin/x64/factorio --start-server a.zip --rcon-password hunter2secret",
        &format!("   0.000 {now}; Factorio 2.0.77 (build 84539, linux64, headless, space-age)"),
        "   0.001 Program arguments: \"/opt/factorio/bin/x64/factorio\" \"--rcon-password\" \"hunter2secret\" ",
        "   0.567 Info ServerMultiplayerManager.cpp:808: updateTick(0) changing state from(CreatingGame) to(InGame)",
        " 103.965 Refusing connection for address (IP ADDR:({203.0.113.9:61310})), username (alice). UserVerificationMissing",
        " 104.965 Info GameActionHandler.cpp:4996: UpdateTick (1) processed PlayerJoinGame peerID(1) playerIndex(0) mode(connect)",
        &format!("{now} [JOIN] Bob joined the game"),
        "/players",
        "Players (1):",
        &format!("{now} [CHAT] Bob: hello from 203.0.113.9"),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The console's way to write the time: now, in UTC.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn json_file(line: &str) -> String {
    let log = serde_json::to_string(&format!("{line}\n")).unwrap();
    format!(r#"{{"log":{log},"stream":"stdout","time":"2026-11-30T10:00:00.1Z"}}"#)
}

fn text_of(lines: &[String], wrap: impl Fn(&str) -> String) -> String {
    lines.iter().map(|line| wrap(line) + "\n").collect()
}

/// Waits until so many lines are in the channel; what it holds then.
async fn shown(sim: &SimDiscord, lines: usize) -> String {
    let all = |messages: Vec<_>| relayed_lines(&messages).join("\n");
    let arrived = sim
        .wait_for(DEADLINE, |state| state.messages(CHANNEL).flat_map(|message| lines_of(message)).count() >= lines)
        .await;
    let text = all(sim.messages(CHANNEL));
    assert!(arrived, "never came; the channel holds:\n{text}");
    text
}

/// The state of a log in `/ready`, and why.
fn log_state(body: &str, source: &str) -> (String, String) {
    let body: Value = serde_json::from_str(body).unwrap();
    let part = &body["servers"]["prod"][source];
    let text = |key: &str| part[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

/// Waits until a log is degraded; why it is.
async fn degraded(relay: &Relay, source: &str, site: &Site) -> String {
    let body = relay.wait_for("/ready", |_, body| log_state(body, source).0 == "degraded").await;
    log_state(&body, source).1.replace(&site.dir.path().display().to_string(), "DIR")
}

/// What `check` says about the logs: the lines of the files, and the warnings.
fn checked(site: &Site) -> String {
    let text = site.check();
    let about = |line: &&str| line.contains(" log ") || line.starts_with("warning");
    text.lines().filter(about).collect::<Vec<_>>().join("\n")
}

/// What another program makes of a line.
type Wrap = fn(&str) -> String;

const RELAYED: &str = "⏳ Factorio 2.0.77 is starting
✅ The server is ready
🟢 **Bob** joined the game
**Bob**: hello from \\<address>";

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_logs_are_relayed_as_the_game_wrote_them() {
    let wrappers: [(&str, Wrap); 7] = [
        ("Docker's json-file format", json_file),
        ("the prefix `factorio-1 |`", |line| format!("factorio-1  | {line}")),
        ("the prefix `<time>`", |line| format!("2026-11-30T10:00:00.100000000Z {line}")),
        ("the prefix `<time> host factorio[<number>]:`", |line| format!("Nov 30 10:00:00 host factorio[812]: {line}")),
        ("journald's JSON format", |line| {
            let line = serde_json::to_string(line).unwrap();
            format!(r#"{{"SYSLOG_IDENTIFIER":"factorio","MESSAGE":{line},"_PID":"812"}}"#)
        }),
        ("the prefix `[<time> <level>]:`", |line| format!("[10:00:00 INFO]: {line}")),
        ("the prefix `<time> | factorio |`", |line| format!("\u{1b}[36m10:00:00 | factorio |\u{1b}[0m {line}")),
    ];
    for (name, wrap) in wrappers {
        let sim = discord().await;
        let site = site(&sim, "");
        site.append("prod", &text_of(&capture(), wrap));
        let relay = site.start();
        assert_eq!(shown(&sim, 4).await, RELAYED, "{name}");
        relay.wait_for("/ready", |_, body| log_state(body, "console").0 == "healthy").await;
        let check = checked(&site);
        println!("=== {name}\n--- Discord\n{RELAYED}\n--- check\n{check}");
        let said = format!("a capture of standard output, unwrapped from {name})");
        assert!(check.contains(&said) && !check.contains("warning"), "{check}");
        assert!(!relay.output().text().contains("hunter2") && !relay.output().text().contains("203.0.113.9"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_is_remembered_over_a_kill_and_other_containers_are_left_out() {
    let sim = discord().await;
    let site = site(&sim, "");
    let compose = |line: &str| format!("factorio-1  | {line}");
    site.append("prod", &text_of(&capture(), compose));
    let mut relay = site.start();
    shown(&sim, 4).await;
    relay.kill();
    let now = now();
    site.append(
        "prod",
        &format!("db-1        | {now} [CHAT] Eve: not of the game\nfactorio-1  | {now} [CHAT] Bob: one line\n"),
    );
    let _relay = site.start();
    assert_eq!(shown(&sim, 5).await, format!("{RELAYED}\n**Bob**: one line"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_of_standard_output_is_relayed_without_a_warning() {
    let sim = discord().await;
    let site = site(&sim, "");
    site.append("prod", &text_of(&capture(), str::to_owned));
    let relay = site.start();
    assert_eq!(shown(&sim, 4).await, RELAYED);
    let body = relay.wait_for("/ready", |_, body| log_state(body, "console").0 == "healthy").await;
    println!("=== capture\n--- Discord\n{RELAYED}\n--- /ready\n{body}\n--- check\n{}", checked(&site));
    assert_eq!(
        checked(&site),
        "  console log  DIR/prod-console.log (readable, 770 bytes: a capture of standard output)"
    );
    relay
        .wait_for("/metrics", |_, body| {
            body.contains("factorio_isr_lines_unmatched_total{server=\"prod\",source=\"console\"} 4\n")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_a_byte_order_mark_and_windows_line_ends_are_removed() {
    let sim = discord().await;
    let site = site(&sim, "");
    let now = now();
    site.append(
        "prod",
        &format!("\u{feff}\u{1b}[32m{now} [CHAT] Bob: green\u{1b}[0m\r\n{now} [CHAT] Bob: \u{1b}[1mbold\u{1b}[0m\r\n"),
    );
    let _relay = site.start();
    assert_eq!(shown(&sim, 2).await, "**Bob**: green\n**Bob**: bold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_program_is_not_relayed_and_is_explained() {
    let sim = discord().await;
    let site = site(&sim, "");
    let access = |n: usize| format!("203.0.113.{n} - - \"GET /{n} HTTP/1.1\" 200\n");
    site.append("prod", &(0..25).map(access).collect::<String>());
    let mut relay = site.start();
    let reason = degraded(&relay, "console", &site).await;
    println!("=== other program\n--- /ready\n{reason}\n--- check\n{}", checked(&site));
    insta::assert_snapshot!(reason, @r#"DIR/prod-console.log: nothing of it is relayed: none of its first 25 lines is a line of Factorio; the first is `<address> - - "GET /0 HTTP/1.1" 200`. Start the game with `--console-log FILE` and set `console_log` to that file, or to a capture of the game's standard output"#);
    insta::assert_snapshot!(checked(&site), @r#"
      console log  DIR/prod-console.log (readable, 980 bytes)
    warning: servers.prod.console_log: DIR/prod-console.log: nothing of it is relayed: none of the 25 lines looked at is a line of Factorio; the first is `<address> - - "GET /0 HTTP/1.1" 200`. Start the game with `--console-log FILE` and set `console_log` to that file, or to a capture of the game's standard output
    "#);
    assert!(relay.output().text().contains("Log content is not what its key says"));
    assert!(!relay.output().text().contains("203.0.113."), "no address in the log");

    // Held lines survive a kill, and a line of the game releases them, once and in order.
    relay.kill();
    let relay = site.start();
    degraded(&relay, "console", &site).await;
    assert_eq!(sim.messages(CHANNEL).len(), 0);
    site.append("prod", &format!("{} [CHAT] Bob: at last\n", now()));
    let text = shown(&sim, 26).await;
    let numbers: Vec<&str> = text.lines().filter_map(|line| line.split("GET /").nth(1)?.split(' ').next()).collect();
    assert_eq!(numbers, (0..25).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(text.ends_with("**Bob**: at last") && !text.contains("203.0.113."), "{text}");
    relay.wait_for("/ready", |_, body| log_state(body, "console").0 == "healthy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_and_utf_16_files_are_named() {
    let utf16: Vec<u8> =
        format!("\u{feff}{} [CHAT] Bob: hi\n", now()).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH\xcd\xc9\xc9\xe7\n\x00 0:6\n\x06\x00\x00\x00\n".to_vec();
    for (bytes, word) in [(utf16, "encoded in UTF-16"), (gzip, "compressed")] {
        let sim = discord().await;
        let site = site(&sim, "");
        fs::write(site.console_log("prod"), bytes).unwrap();
        let relay = site.start();
        let reason = degraded(&relay, "console", &site).await;
        println!("=== {word}\n--- /ready\n{reason}\n--- check\n{}", checked(&site));
        assert!(reason.contains(word) && checked(&site).contains(word), "{reason}");
        assert_eq!(sim.messages(CHANNEL).len(), 0);
    }
}

fn sample(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanged_logs_are_told_with_the_remedy() {
    let sim = discord().await;
    let dir = tempfile::tempdir().unwrap();
    let console = dir.path().join("console.log");
    let site = site(&sim, &format!("engine_log = \"{}\"", console.display()));
    fs::write(site.console_log("prod"), sample("engine-1.1.107.log")).unwrap();
    let now = now();
    fs::write(&console, format!("=== Log opened {now} ===\n{now} [CHAT] Bob: hello\n")).unwrap();
    let relay = site.start();
    let reasons = [degraded(&relay, "console", &site).await, degraded(&relay, "engine", &site).await];
    let hide = |text: String| text.replace(&dir.path().display().to_string(), "DIR");
    let text = hide(format!("{}\n{}", reasons.join("\n"), checked(&site)));
    println!("=== swapped\n{text}");
    insta::assert_snapshot!(text, @"
    DIR/prod-console.log: this is the engine's log, and `engine_log` is the console log: exchange the paths of `console_log` and `engine_log`; until then nothing is relayed
    DIR/console.log: this is the console log, and `console_log` is the engine's log: exchange the paths of `console_log` and `engine_log`; until then nothing is relayed
      console log  DIR/prod-console.log (readable, 14398 bytes)
      engine log   DIR/console.log (readable, 77 bytes)
    warning: servers.prod.console_log: DIR/prod-console.log: this is the engine's log, and `engine_log` is the console log: exchange the paths of `console_log` and `engine_log`; until then nothing is relayed
    warning: servers.prod.engine_log: DIR/console.log: this is the console log, and `console_log` is the engine's log: exchange the paths of `console_log` and `engine_log`; until then nothing is relayed
    ");
    assert!(relay.output().text().contains("exchange the paths of `console_log` and `engine_log`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_log_under_another_name_is_told_when_a_player_joins_in_silence() {
    let sim = discord().await;
    let site = site(&sim, "");
    fs::write(site.console_log("prod"), sample("engine-2.0.55.log")).unwrap();
    let relay = site.start();
    let reason = degraded(&relay, "console", &site).await;
    println!("=== engine log as console_log\n{reason}\n--- check\n{}", checked(&site));
    insta::assert_snapshot!(reason, @"DIR/prod-console.log: this is the engine's log, as factorio-current.log is, and never contains chat, joins or leaves: start the game with `--console-log FILE`, set `console_log` to that file and `engine_log` to this one");
    assert!(checked(&site).contains("never contains chat"), "{}", checked(&site));
}
