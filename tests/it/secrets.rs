//! Secrets stay secret: whatever the real program says while things fail, at the loudest level.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fmt::Write as _;

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind, SimChannel, SimDiscord, SimDiscordConfig, SimGuild};
use factorio_isr::sim::rcon::{Fault as GameFault, Game, SimRcon};
use tokio::net::TcpListener;

use crate::harness::{DEADLINE, Relay, Site, TOKEN, within};

const CHAT: u64 = 1001;
const PASSWORD: &str = "rcon?secret/41";
const OTHER_PASSWORD: &str = "rcon>wrong/52";
const HEADER: &str = "otlp-header?63";
const USER: &str = "otlp-user-85";
/// Also of libraries that are quiet unless they are named.
const LOUDEST: &str = "trace,opentelemetry=trace,opentelemetry_sdk=trace,opentelemetry-otlp=trace,h2=trace,hyper=trace";
const SECRETS: [&str; 5] = [TOKEN, PASSWORD, OTHER_PASSWORD, HEADER, USER];

fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let digit = |chunk: &[u8], at: usize| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        char::from(alphabet[(bits >> (18 - 6 * at)) as usize & 63])
    };
    let chunk = |chunk: &[u8]| (0..=chunk.len()).map(|at| digit(chunk, at)).collect::<String>();
    bytes.chunks(3).map(chunk).collect()
}

/// The forms in which a secret could be said: plain, in base 64 (at each offset; the digits that hold only it), in hexadecimal, in a URL.
fn forms(secret: &str) -> Vec<String> {
    let plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let url = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut forms = vec![secret.to_owned()];
    for alphabet in [plain, url] {
        for skip in 0..3 {
            let bytes = &secret.as_bytes()[skip..];
            forms.push(base64(&bytes[..bytes.len() / 3 * 3], alphabet));
        }
    }
    let mut escaped = String::new();
    let mut hex = String::new();
    for byte in secret.bytes() {
        write!(hex, "{byte:02x}").unwrap();
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => escaped.push(char::from(byte)),
            _ => write!(escaped, "%{byte:02X}").unwrap(),
        }
    }
    forms.extend([escaped, hex]);
    forms
}

fn assert_silent(said: &str, secrets: &[&str]) {
    for secret in secrets {
        for form in forms(secret) {
            let place = said.lines().find(|line| line.contains(&form));
            assert_eq!(place, None, "this line has {secret}, as {form}");
        }
    }
}

#[test]
fn the_forms_are_those_that_encoders_make() {
    let plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!([base64(b"foobar", plain), base64(b"foob", plain)], ["Zm9vYmFy", "Zm9vYg"]);
    let basic = base64(b"user:rcon?secret/41", plain);
    assert!(forms(PASSWORD).iter().any(|form| basic.contains(form.as_str())), "found in the middle, too");
    assert!(forms("a?b/c").contains(&"a%3Fb%2Fc".to_owned()));
}

async fn discord() -> SimDiscord {
    let config = SimDiscordConfig {
        token: TOKEN.to_owned(),
        channels: vec![SimChannel::new(CHAT, "chat")],
        guild: SimGuild { id: 100, name: "Test".to_owned() },
        ..SimDiscordConfig::default()
    };
    crate::discord_sim::start(config).await.unwrap()
}

/// A run at `trace` through what can fail with a secret at hand. Answers all that was said, and the tokens of the
/// slash commands.
async fn a_bad_day(format: &str, protocol: &str) -> (String, Vec<String>) {
    let sim = discord().await;
    let game = SimRcon::start(PASSWORD, Game::default(), |_| {}).await.unwrap();
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rcon = |password: &str| format!("rcon = {{ port = {}, password = \"{password}\" }}", game.address().port());
    let site = Site::new(&sim.base_url())
        .server_with("prod", &format!("default = {CHAT}"), &rcon(PASSWORD))
        .server_with("other", &format!("default = {CHAT}"), &rcon(OTHER_PASSWORD))
        .discord_key("guild_id = 100")
        .extra(&format!("[log]\nlevel = \"{LOUDEST}\"\nformat = \"{format}\"\n[traces]\nenabled = true\n"));
    let endpoint = format!("http://{USER}:{USER}@{}", hanging.local_addr().unwrap());
    drop(hanging);
    let environment = [
        ("RUST_LOG", ""),
        ("OTEL_EXPORTER_OTLP_HEADERS", &*format!("authorization=Bearer {HEADER}")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
    ];
    let mut relay = site.start_with(&environment);
    relay.wait_for("/ready", |status, body| status == 200 && body.contains("password")).await;
    let mut tokens = Vec::new();
    let options = serde_json::json!([{ "type": 1, "name": "players", "options": [] }]);
    assert!(sim.wait_for(DEADLINE, |state| state.commands() != &serde_json::json!([])).await);
    for fault in [GameFault::None, GameFault::Length(7), GameFault::NotUtf8, GameFault::Close] {
        game.set_fault(fault);
        tokens.push(format!("interaction-{:x}", sim.interact(CHAT, "Bob", "factorio", &options).unwrap()));
    }
    // Discord fails in all ways, answers included, and refuses the token in the end.
    let page = FaultKind::Page(502);
    for fault in [page, FaultKind::Answer(ApiError::missing_access()), FaultKind::Cut { processed: false }] {
        sim.set_fault(Fault::new(fault).everywhere());
        site.append("prod", "2026-11-23 20:54:41 [CHAT] Bob: hello\n");
        sim.interact(CHAT, "Bob", "factorio", &options).unwrap();
        sim.clear_faults();
    }
    sim.set_fault(Fault::new(FaultKind::Answer(ApiError::unauthorized())).everywhere());
    sim.close_gateway(Some(4004));
    site.append("prod", "2026-11-23 20:54:42 [CHAT] Bob: hello again\n");
    relay.output().find(|line| line.contains("Discord refuses the bot").then_some(())).await;
    relay.wait_for("/metrics", |_, body| lost_spans(body)).await;
    for path in ["/", "/health", "/ready", "/metrics"] {
        assert_silent(&relay.get(path).await.1, &SECRETS);
    }
    assert_eq!(relay.terminate().await.code(), Some(0));
    (relay.output().text(), tokens)
}

fn lost_spans(metrics: &str) -> bool {
    let failed = "factorio_isr_trace_spans_total{outcome=\"failed\"} ";
    metrics.lines().any(|line| line.strip_prefix(failed).is_some_and(|n| n != "0"))
}

async fn says_no_secret(format: &str, protocol: &str) {
    let (said, tokens) = a_bad_day(format, protocol).await;
    assert!(said.contains("TRACE") && said.contains("RCON cannot log in"), "it was loud: {}", said.len());
    let secrets: Vec<&str> = SECRETS.into_iter().chain(tokens.iter().map(String::as_str)).collect();
    assert_silent(&said, &secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_day_at_trace_says_no_secret_to_people() {
    says_no_secret("console", "http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_day_at_trace_says_no_secret_to_machines() {
    says_no_secret("json", "grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_wrong_around_a_secret_does_not_show_it() {
    let rcon = format!("rcon = {{ port = \"{PASSWORD}\", password = [\"{OTHER_PASSWORD}\"] }}");
    let site = Site::new("http://127.0.0.1:9")
        .server_with("prod", &format!("default = {CHAT}"), &rcon)
        .extra(&format!("[traces]\nendpoint = \"http://{USER}@\"\n"));
    let mut relay = site.start();
    assert_ne!(relay.exit().await.code(), Some(0));
    relay.output().find(|line| line.contains("rcon").then_some(())).await;
    assert_silent(&relay.output().text(), &[TOKEN, OTHER_PASSWORD, USER]);
}

/// What players write and who they are is for Discord, not for the journal of the machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_at_info_has_no_words_of_players() {
    let sim = discord().await;
    let game = SimRcon::start(PASSWORD, Game::default(), |_| {}).await.unwrap();
    let rcon = format!("rcon = {{ port = {}, password = \"{PASSWORD}\" }}", game.address().port());
    let site = Site::new(&sim.base_url()).server_with("prod", &format!("default = {CHAT}"), &rcon);
    let mut relay: Relay = site.start_with(&[("RUST_LOG", "info")]);
    relay.wait_for("/ready", |status, body| status == 200 && body.contains("\"rcon\":\"healthy\"")).await;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    site.append("prod", &format!("{now} [CHAT] Zwiebelfisch: kartoffelsalat\n"));
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() == 1).await);
    sim.say(CHAT, "Quasselstrippe", "donaudampfschiff").unwrap();
    within(game.until(|seen| seen.chats().len() == 1)).await;
    game.set_fault(GameFault::Close);
    sim.say(CHAT, "Quasselstrippe", "apfelmus").unwrap();
    relay.output().find(|line| line.contains("RCON is not connected").then_some(())).await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    assert_silent(&relay.output().text(), &["Zwiebelfisch", "kartoffelsalat", "Quasselstrippe", "donaudampfschiff"]);
}
