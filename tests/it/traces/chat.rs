//! From a message in Discord to what a game says.

use super::collector::{Collector, Received};
use super::{CHAT, to, world};
use crate::harness::within;

/// The three spans of the chat with this many lines said.
async fn heard_waited_said(collector: &Collector) -> [Received; 3] {
    let heard = collector.named("discord.message").await;
    let waited = collector.find(|span| span.name == "chat.wait" && span.trace == heard.trace).await;
    let said = |span: &Received| span.name == "rcon.command" && span.trace == heard.trace && !span.failed;
    let said = collector.find(said).await;
    assert_eq!([&waited.parent, &said.parent], [&heard.id, &heard.id]);
    [heard, waited, said]
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_into_a_game_is_one_trace() {
    let collector = Collector::http().await;
    let (sim, game, site) = world(&to(&collector, "http")).await;
    let relay = site.start();
    relay.wait_for("/ready", |status, body| status == 200 && body.contains("\"rcon\":\"healthy\"")).await;
    let id = sim.say(CHAT, "Alice", "hello in there").unwrap();
    within(game.until(|seen| seen.chats().len() == 1)).await;
    let [heard, waited, said] = heard_waited_said(&collector).await;
    assert_eq!(heard.attributes["messaging.message.id"], id.to_string());
    assert_eq!((heard.parent.as_str(), heard.attributes["games"].as_str()), ("", "1"));
    assert_eq!((waited.attributes["outcome"].as_str(), waited.attributes["server"].as_str()), ("sent", "prod"));
    assert_eq!((said.attributes["verb"].as_str(), said.attributes["server.address"].as_str()), ("chat", "127.0.0.1"));
    assert_eq!(said.attributes["server.port"], game.address().port().to_string());
    assert!(heard.times.0 <= said.times.0 && waited.times.1 <= said.times.0 + 50_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_that_waits_for_a_game_and_a_new_relay_is_still_one_trace() {
    let collector = Collector::http().await;
    let (sim, game, site) = world(&to(&collector, "http")).await;
    let mut relay = site.start();
    relay.wait_for("/ready", |status, body| status == 200 && body.contains("\"rcon\":\"healthy\"")).await;
    game.stop();
    sim.say(CHAT, "Alice", "anybody there?").unwrap();
    collector.named("discord.message").await;
    relay.kill();
    let relay = site.start();
    relay.wait_for("/ready", |_, body| body.contains("\"rcon\":\"unhealthy\"")).await;
    // Seen waiting at least once before the game comes back.
    sim.wait_for(crate::harness::DEADLINE, |state| state.messages(CHAT).any(|m| !m.reactions.is_empty())).await;
    game.start_again().await.unwrap();
    within(game.until(|seen| seen.chats().len() == 1)).await;
    let [_, waited, _] = heard_waited_said(&collector).await;
    let number = |name: &str| waited.attributes[name].parse::<f64>().unwrap();
    assert!(number("waited.game_seconds") > 0.0, "{waited:?}");
    assert!(number("waited.total_seconds") >= number("waited.game_seconds"), "{waited:?}");
}
