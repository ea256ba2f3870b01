//! What people wrote, in traces: nothing of it, unless the operator wants it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind};
use factorio_isr::sim::rcon::Fault as GameFault;

use super::collector::{Collector, Received};
use super::{CHAT, to, world};
use crate::harness::{DEADLINE, within};

/// What players, members and the game's operator write in this test, and who they are.
const WORDS: [&str; 6] =
    ["Zwiebelfisch", "kartoffelsalat", "Quasselstrippe", "donaudampfschiff", "apfelmus", "Streichholz"];

/// Lets everything happen that words of people go through, well and badly. Answers what the collector saw.
async fn everything_said(traces: &str) -> Collector {
    let collector = Collector::http().await;
    let (sim, game, site) = world(&format!("{}{traces}", to(&collector, "http"))).await;
    let mut relay = site.start();
    super::call_players(&sim, &relay).await;
    // A line, and a refusal by a Discord that quotes it.
    let quoting = ApiError::new(400, 50035, "kartoffelsalat is no content");
    sim.set_fault(Fault::new(FaultKind::Answer(quoting)).containing("kartoffelsalat"));
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    site.append(
        "prod",
        &format!("{now} [CHAT] Zwiebelfisch: kartoffelsalat\n{now} [JOIN] Zwiebelfisch joined the game\n"),
    );
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).any(|m| m.content.contains("joined"))).await);
    collector.find(|span| span.name == "discord.send" && span.failed).await;
    collector.find(|span| span.name == "discord.send" && span.attributes["outcome"] == "delivered").await;
    // Chat into the game, heard and not heard.
    sim.say(CHAT, "Quasselstrippe", "donaudampfschiff").unwrap();
    within(game.until(|seen| seen.chats().len() == 1)).await;
    collector.find(|span| span.name == "rcon.command" && span.attributes["verb"] == "chat").await;
    // A command with words, and one that fails.
    sim.set_standing("Bob", &[], 1 << 5);
    let options = |text: &str| {
        serde_json::json!([{ "type": 1, "name": "whisper", "options": [
        { "type": 3, "name": "player", "value": "Streichholz" }, { "type": 3, "name": "message", "value": text } ] }])
    };
    sim.interact(CHAT, "Bob", "factorio", &options("apfelmus")).unwrap();
    collector.find(|span| span.name == "rcon.command" && span.attributes["verb"] == "/whisper").await;
    game.set_fault(GameFault::Close);
    sim.interact(CHAT, "Bob", "factorio", &options("apfelmus")).unwrap();
    collector.find(|span| span.name == "rcon.command" && span.failed).await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    collector
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_people_write_and_no_name_of_theirs_is_in_a_trace() {
    let collector = everything_said("").await;
    for word in WORDS {
        assert!(!collector.was_sent(word), "{word} was sent to the collector");
    }
    assert!(collector.was_sent("discord.send"), "the search finds what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_wants_the_text_gets_it_but_no_secret() {
    let collector = everything_said("include_text = true\n").await;
    let text = |name: &str, attribute: &str| {
        let spans: Vec<Received> = collector.all().into_iter().filter(|span| span.name == name).collect();
        spans.iter().filter_map(|span| span.attributes.get(attribute)).fold(String::new(), |all, one| all + one + "\n")
    };
    assert!(text("event.parse", "text").contains("[CHAT] Zwiebelfisch: kartoffelsalat"));
    assert!(text("discord.send", "text").contains("kartoffelsalat"));
    assert!(text("discord.message", "text").contains("donaudampfschiff"));
    assert!(text("rcon.command", "command").contains("/whisper Streichholz apfelmus"));
    for secret in [crate::harness::TOKEN, "rcon-secret-41"] {
        assert!(!collector.was_sent(secret), "a secret was sent to the collector");
    }
}
