//! What moderators write to players: cleaned like chat, with their names where the operator wants it.

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind};
use serde_json::json;

use super::world::{CHANNEL, GENEROUS, MODERATORS, ROLES, World};

#[tokio::test]
async fn ids_and_markdown_do_not_reach_the_game() {
    let world = World::new().await;
    world.discord.say(CHANNEL, "Ann", "hi").unwrap();
    let ann = world.discord.messages(CHANNEL)[0].author.id;
    let text = format!("**hi** <@!{ann}> <@&{GUILD}> <#{CHANNEL}> <:kek:99> [color=red]x", GUILD = super::world::GUILD);
    world.call("Mod", "broadcast", &[("message", json!(text))]).await;
    world.call("Mod", "whisper", &[("player", json!("Alice")), ("message", json!("psst <@5> ||secret||"))]).await;
    world.call("Mod", "kick", &[("player", json!("Alice")), ("reason", json!("see <#111>, *twice*"))]).await;
    insta::assert_snapshot!(world.rcon.seen().commands.join("\n"), @"
    hi @Ann @@everyone #factory :kek: ［color=red］x
    /whisper Alice psst @unknown-user (spoiler)
    /kick Alice see #factory, twice
    ");
}

#[tokio::test]
async fn a_text_of_which_nothing_is_left_is_refused() {
    let world = World::new().await;
    let answer = world.call("Mod", "broadcast", &[("message", json!("\u{200b}\u{2060}"))]).await;
    assert!(answer.contains("There is no text in it."), "{answer}");
    assert_eq!(world.rcon.seen().commands, [""; 0]);
}

#[tokio::test]
async fn reasons_name_the_moderator_where_the_operator_wants_it() {
    let world = World::with(&format!("{GENEROUS}\nname_moderator = true"), ROLES).await;
    world.discord.set_standing("Ada [x]", &[MODERATORS], 0);
    let answer = world.call("Ada [x]", "kick", &[("player", json!("Alice")), ("reason", json!("spamming"))]).await;
    assert!(answer.contains("by Ada [x]"), "{answer}");
    world.confirmed("Ada [x]", "ban", &[("player", json!("Bob"))]).await;
    insta::assert_snapshot!(world.rcon.seen().commands.join("\n"), @"
    /kick Alice spamming, by Ada ［x］ (Discord)
    /ban Bob by Ada ［x］ (Discord)
    ");
}

#[tokio::test]
async fn a_first_answer_that_fails_is_sent_once_more() {
    let world = World::new().await;
    for fault in [
        FaultKind::Answer(ApiError::server(500)),
        FaultKind::Cut { processed: false },
        FaultKind::Cut { processed: true },
        FaultKind::Hang { processed: false },
    ] {
        world.discord.set_fault(Fault::new(fault.clone()).everywhere().times(1));
        let answer = world.call("Mod", "unban", &[("player", json!("Griefer"))]).await;
        assert!(answer.contains("Unban"), "{fault:?}: {answer}");
    }
}
