//! Answers that come late: who sees one does not depend on how long the game took.

use std::time::Duration;

use factorio_isr::sim::discord::{self, FaultKind, Scope};
use factorio_isr::sim::rcon::Fault;
use insta::assert_snapshot;
use serde_json::json;

use super::world::{CHANNEL, World, player, shown};

const ANSWERED: &str = "POST /interactions/{id}/{token}/callback";
const EDITED: &str = "PATCH /webhooks/{id}/{token}/messages/@original";

impl World {
    /// The game takes its time, until Discord is told to wait.
    async fn deferred(&self, id: u64) {
        self.eventually(|| (self.discord.stats().requested(ANSWERED) > 0).then_some(())).await;
        assert!(self.discord.interaction_reply(id).is_none(), "deferred");
    }

    /// What Discord shows is counted a moment later, when it has told the relay so.
    async fn edited(&self, times: u64) {
        self.eventually(|| (self.discord.stats().requested(EDITED) >= times).then_some(())).await;
        assert_eq!(self.discord.stats().requested(EDITED), times);
    }

    /// The game takes its time, until Discord is told to wait; then it answers as `fault` says.
    async fn answered_late(&self, id: u64, fault: Fault) -> String {
        self.deferred(id).await;
        self.rcon.set_fault(fault);
        let answer = self.answer(id, |_| true).await;
        shown(&answer)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_for_everybody_as_a_quick_one_is() {
    let world = World::new().await;
    world.rcon.set_fault(Fault::Hang);
    let id = world.start("Ann", "seed", &[]);
    assert_snapshot!(world.answered_late(id, Fault::None).await, @"public [Seed] ```1234567890``` (Production)");
    assert_eq!(world.discord.stats().requested(ANSWERED), 1, "deferred once");
    world.edited(1).await;
    assert_eq!(world.discord.messages(CHANNEL).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_refusal_is_for_the_caller_alone() {
    let world = World::new().await;
    world.rcon.set_fault(Fault::Hang);
    let id = world.start("Mod", "kick", &[player("Bob")]);
    assert_snapshot!(world.answered_late(id, Fault::None).await, @"private [Kick] ```Bob isn't online.``` (Production)");
    assert!(world.discord.messages(CHANNEL).is_empty(), "nobody else sees it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_failure_is_for_the_caller_alone() {
    let world = World::new().await;
    world.rcon.set_fault(Fault::Hang);
    let id = world.start("Ann", "players", &[]);
    assert_snapshot!(world.answered_late(id, Fault::CutMidReply).await, @"private The connection to the game broke. Whether the command ran is not known.");
    assert!(world.discord.messages(CHANNEL).is_empty(), "nobody else sees it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_comes_through_while_discord_is_busy() {
    let world = World::new().await;
    world.rcon.set_fault(Fault::Hang);
    let id = world.start("Ann", "seed", &[]);
    world.deferred(id).await;
    let busy = FaultKind::rate_limited(Duration::from_millis(200), Scope::User);
    for kind in [FaultKind::server_error(503), busy] {
        world.discord.set_fault(discord::Fault::new(kind).everywhere().times(1));
    }
    assert_snapshot!(world.answered_late(id, Fault::None).await, @"public [Seed] ```1234567890``` (Production)");
    world.edited(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_to_a_question_that_was_confirmed_stays_where_it_was_asked() {
    let world = World::new().await;
    let id = world.start("Admin", "ban", &[player("Alice")]);
    world.answer(id, |_| true).await;
    world.rcon.set_fault(Fault::Hang);
    let pressed = world.press_only("Admin", id, "confirm").await;
    world.answer(pressed, |reply| reply.content == "Asking the game …").await;
    world.rcon.set_fault(Fault::None);
    let answer = world.answer(pressed, |reply| reply.content.is_empty()).await;
    assert_snapshot!(shown(&answer), @"private [Ban] ```Alice was banned by <server>. Reason: unspecified.``` (Production)");
    assert!(world.discord.messages(CHANNEL).is_empty(), "nobody else sees it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_to_a_whisper_is_for_the_caller_alone_from_the_first() {
    let world = World::new().await;
    world.rcon.set_fault(Fault::Hang);
    let id = world.start("Mod", "whisper", &[player("Alice"), ("message", json!("psst"))]);
    assert_snapshot!(world.answered_late(id, Fault::None).await, @"private [Whisper] The game took it and said nothing, as it does when all is well. (Production)");
    // What was deferred is private already.
    world.edited(1).await;
    assert!(world.discord.messages(CHANNEL).is_empty(), "nobody else sees it");
}
