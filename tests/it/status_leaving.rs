//! What the status message says when the relay stops: that nobody watches any longer, without holding up the stop.

use std::time::Duration;

use factorio_isr::sim::discord::{Fault, FaultKind, SimState};
use tokio::time::Instant;

use crate::status::{EDIT, STATUS, config, site, told, until};

fn shows(text: &str) -> impl Fn(&SimState) -> bool {
    move |state| state.messages(STATUS).any(|message| told(message).contains(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_orderly_stop_the_message_says_that_nobody_watches() {
    let discord = crate::discord_sim::start(config()).await.unwrap();
    let (site, _rcon) = site(&discord, &["Bob"]).await;
    let mut relay = site.start();
    until(&discord, shows("Bob")).await;
    assert!(relay.terminate().await.success());
    let left = discord.messages(STATUS).remove(0);
    let text = told(&left);
    assert!(text.contains("**Not watched** since <t:") && text.contains("Production"), "{text}");
    assert!(!text.contains("Bob"), "who is there by now, nobody knows: {text}");
    let _relay = site.start();
    until(&discord, shows("Bob")).await;
    assert_eq!(discord.messages(STATUS).iter().map(|message| message.id).collect::<Vec<_>>(), [left.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discord_that_hangs_does_not_hold_up_the_stop() {
    let discord = crate::discord_sim::start(config()).await.unwrap();
    let (site, _rcon) = site(&discord, &["Bob"]).await;
    let mut relay = site.start();
    until(&discord, shows("Bob")).await;
    discord.set_fault(Fault::new(FaultKind::Hang { processed: false }).everywhere());
    let begun = Instant::now();
    assert!(relay.terminate().await.success());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let said = relay.output().text();
    assert!(!said.contains("Not done in time"), "{said}");
    assert!(discord.read(shows("Bob")), "the message is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discord_that_is_down_is_not_asked_once_more() {
    let discord = crate::discord_sim::start(config()).await.unwrap();
    let (site, rcon) = site(&discord, &["Bob"]).await;
    let site = site.extra("[game]\ninterval = \"1s\"\n[status]\nfloor = \"1s\"");
    let mut relay = site.start();
    until(&discord, shows("Bob")).await;
    discord.set_fault(Fault::new(FaultKind::server_error(503)).everywhere());
    rcon.game().join("Zoe");
    // The relay has the answer when it says that it waits.
    relay.output().find(|line| (line.contains("waits") && line.contains("what=\"message\"")).then_some(())).await;
    let asked = discord.stats().requested(EDIT);
    assert!(relay.terminate().await.success());
    assert_eq!(discord.stats().requested(EDIT), asked);
}
