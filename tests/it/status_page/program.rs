//! The page of the running program: what it says follows what happens.

use std::path::Path;
use std::time::{Duration, Instant};

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind, SimChannel, SimDiscord, SimDiscordConfig, SimState};
use nix::sys::signal::Signal;

use super::{Events, page, seen};
use crate::harness::{DEADLINE, Relay, Site, TOKEN, relayed_lines};

const CHAT: u64 = 1001;
const CLOSED: u64 = 1002;

pub(super) async fn discord() -> SimDiscord {
    let config = SimDiscordConfig {
        token: TOKEN.to_owned(),
        channels: vec![SimChannel::new(CHAT, "chat"), SimChannel::new(CLOSED, "closed")],
        ..SimDiscordConfig::default()
    };
    crate::discord_sim::start(config).await.unwrap()
}

/// A relay of one server, and a viewer of its page.
async fn watched(site: &Site) -> (Relay, String, Events) {
    let relay = site.start();
    relay.wait_until_ready().await;
    let base = relay.address().await;
    let events = Events::open(&base, &seen(&page(&base).await)).await;
    (relay, base, events)
}

/// Puts something in the place of a log that cannot be read as one.
pub(super) fn spoil(log: &Path) {
    std::fs::remove_file(log).unwrap();
    std::fs::create_dir(log).unwrap();
}

/// A line of chat of now: the page of a relay that catches up is another thing.
pub(super) fn chat(text: &str) -> String {
    format!("{} [CHAT] Bob: {text}\n", jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pulse_counts_what_the_game_writes_and_what_discord_gets() {
    let discord = discord().await;
    let site = Site::new(&discord.base_url()).server("prod", CHAT);
    let (relay, _, mut events) = watched(&site).await;
    for text in ["one", "two", "three"] {
        site.append("prod", &chat(text));
    }
    events.part_with("pulse", "3 lines, 3 events since the start").await;
    let told = |state: &SimState| relayed_lines(&state.messages(CHAT).cloned().collect::<Vec<_>>()).len() == 3;
    assert!(discord.wait_for(DEADLINE, told).await, "{:?}", discord.messages(CHAT));
    let delivered = discord.messages(CHAT).len();
    let pulse = events.part_with("pulse", &format!("{delivered} messages since the start")).await;
    assert!(pulse.contains("median</p>") && pulse.contains("99 % within"), "{pulse}");
    if !pulse.contains("nothing waits") {
        events.part_with("pulse", "nothing waits").await;
    }
    relay.wait_for("/metrics", |_, body| body.contains("\nfactorio_isr_status_page_viewers 1\n")).await;
    drop(events);
    relay.wait_for("/metrics", |_, body| body.contains("\nfactorio_isr_status_page_viewers 0\n")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_goes_away_appears_with_its_reason_and_among_the_errors() {
    let discord = discord().await;
    let site = Site::new(&discord.base_url()).server("prod", CHAT);
    let (_relay, _, mut events) = watched(&site).await;
    spoil(&site.console_log("prod"));
    let gone = events.until(|update| update.part("s-prod").is_some_and(|card| card.contains("card unhealthy"))).await;
    let card = gone.part("s-prod").unwrap();
    assert!(card.contains("data-list=\"trouble\"") && card.contains("prod-console.log"), "{card}");
    assert!(gone.part("headline").unwrap().contains("<h1>Not ready</h1>"), "{gone:?}");
    let errors = events.part_with("errors", "The log is not read").await;
    assert!(
        errors.contains("<b>Logs</b> The log is not read") && errors.contains("<code>server prod</code>"),
        "{errors}"
    );
    std::fs::remove_dir(site.console_log("prod")).unwrap();
    site.append("prod", "");
    events.until(|update| update.part("s-prod").is_some_and(|card| card.contains("data-list=\"well\""))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discord_that_is_down_shows_what_waits() {
    let discord = discord().await;
    let site = Site::new(&discord.base_url()).server("prod", CHAT);
    let (_relay, _, mut events) = watched(&site).await;
    discord.set_fault(Fault::new(FaultKind::server_error(503)));
    site.append("prod", &chat("waits"));
    let pulse = events.part_with("pulse", "the oldest waits").await;
    assert!(pulse.contains("<b>1</b> notice<"), "{pulse}");
    events.part_with("errors", "server_error").await;
    discord.clear_faults();
    events.part_with("pulse", "nothing waits").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_refuses_is_named_with_discords_words() {
    let discord = discord().await;
    discord.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).channel(CLOSED));
    let site = Site::new(&discord.base_url()).server("prod", CLOSED);
    let (_relay, _, mut events) = watched(&site).await;
    site.append("prod", &chat("refused"));
    let cards = events.part_with("components", "Channel 1002").await;
    assert!(cards.contains("Missing Access"), "{cards}");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_see_the_stop_and_do_not_delay_it() {
    let discord = discord().await;
    let site = Site::new(&discord.base_url()).server("prod", CHAT);
    let (mut relay, _, mut events) = watched(&site).await;
    events.part_with("pulse", "Lines read").await;
    relay.signal(Signal::SIGTERM);
    let begun = Instant::now();
    while events.next().await.is_some() {}
    let status = relay.exit().await;
    assert!(events.shown["headline"].contains("<h1>Stopping</h1>"), "{}", events.shown["headline"]);
    assert!(status.success(), "{status}: {}", relay.output().text());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(!relay.output().text().contains("Not done in time"), "{}", relay.output().text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_opened_while_starting_is_whole() {
    let discord = discord().await;
    discord.set_gateway_faults(factorio_isr::sim::discord::GatewayFaults {
        upgrade: factorio_isr::sim::discord::Upgrade::Stall,
        ..Default::default()
    });
    let site = Site::new(&discord.base_url()).server("prod", CHAT);
    let relay = site.start();
    let base = relay.address().await;
    let page = page(&base).await;
    assert!(page.contains("<h1>Starting</h1>") && page.contains("Discord has not answered yet."), "{page}");
    let mut events = Events::open(&base, &seen(&page)).await;
    events.until(|update| update.part("pulse").is_some()).await;
}
