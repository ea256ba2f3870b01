//! What real servers wrote, through the whole relay: what players would read in Discord.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::path::Path;

use factorio_isr::sim::discord::{RateLimits, SimChannel, SimDiscordConfig, SimMessage};

use crate::harness::{DEADLINE, Site, TOKEN, lines_of};

const CHANNEL: u64 = 1001;
const ALERTS: u64 = 1002;

/// Said last, so that everything before it has arrived when it has.
const LAST: &str = "2026-08-03 00:00:00 [CHAT] Reader: that was all";

fn sample(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)).unwrap()
}

/// A message as a reader sees it: its text, and the lines of its file.
fn read_aloud(message: &SimMessage) -> String {
    let files = message.attachments.iter().map(|file| format!("[{}]\n{}", file.filename, file.text()));
    std::iter::once(message.content.clone()).chain(files).collect::<Vec<_>>().join("\n")
}

/// Runs the program on the sample as a console log and returns what the two channels hold.
async fn relayed(name: &str) -> String {
    let channels = vec![SimChannel::new(CHANNEL, "everything"), SimChannel::new(ALERTS, "alerts")];
    let limits = RateLimits::none();
    let config = SimDiscordConfig { token: TOKEN.to_owned(), channels, limits, ..SimDiscordConfig::default() };
    let sim = crate::discord_sim::start(config).await.unwrap();
    let site = Site::new(&sim.base_url()).server_with("prod", &format!("default = {CHANNEL}, alerts = {ALERTS}"), "");
    // At once, so that it is one batch, one commit and one digest.
    site.append("prod", &format!("{}{LAST}\n", sample(name)));
    let _relay = site.start();
    let finished = |message: &SimMessage| lines_of(message).iter().any(|line| line.ends_with("that was all"));
    let arrived = sim.wait_for(DEADLINE, |state| state.messages(CHANNEL).any(|message| finished(message))).await;
    assert!(arrived, "the last line never came");
    let of = |channel| sim.messages(channel).iter().map(|message| read_aloud(message)).collect::<Vec<_>>().join("\n\n");
    format!("#everything\n{}\n\n#alerts\n{}", of(CHANNEL), of(ALERTS))
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_outputs_of_real_servers_read_well_in_discord() {
    for name in ["stdout-0.16.51-a.log", "stdout-0.16.51-b.log", "stdout-2.0.77.log", "engine-1.1.107.log"] {
        insta::assert_snapshot!(name, relayed(name).await);
    }
}
