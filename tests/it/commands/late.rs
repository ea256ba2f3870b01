//! Answers that come late.

use std::time::Duration;

use factorio_isr::sim::rcon::Fault;

use super::world::{CHANNEL, World, shown};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_game_is_answered_later_to_the_caller_alone() {
    let world = World::new().await;
    world.rcon.set_fault(Fault::Slow(Duration::from_secs(4)));
    let id = world.start("Ann", "seed", &[]);
    let answer = world.answer(id, |_| true).await;
    assert!(shown(&answer).contains("1234567890"), "{answer:?}");
    let stats = world.discord.stats();
    assert_eq!(stats.requested("POST /interactions/{id}/{token}/callback"), 1, "deferred once");
    assert_eq!(stats.requested("PATCH /webhooks/{id}/{token}/messages/@original"), 1);
    assert!(world.discord.messages(CHANNEL).is_empty(), "nobody else sees it");
}
