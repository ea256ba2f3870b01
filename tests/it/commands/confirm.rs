//! Commands that ask back.

use insta::assert_snapshot;

use super::world::{ROLES, World, buttons, player, shown};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_caller_can_press_and_only_once() {
    let world = World::new().await;
    let id = world.start("Admin", "ban", &[player("Alice")]);
    let question = world.answer(id, |_| true).await;
    assert_snapshot!(shown(&question), @"private `/factorio ban player:Alice` on `Production`: are you sure? The buttons work for 60 s.");
    let custom = buttons(&question);
    assert!(world.discord.press("Mod", id, &custom[0]).is_err(), "Discord shows it to the caller alone");
    world.forged_press(4242, &custom[0]).await;
    assert!(world.sent().is_empty(), "somebody else confirmed: {:?}", world.sent());
    assert_snapshot!(world.press("Admin", id, "confirm").await, @"private [Ban] ```Alice was banned by <server>. Reason: unspecified.``` (Production)");
    world.forged_press(question.interaction.as_ref().unwrap().user.id, &custom[0]).await;
    assert_eq!(world.sent(), ["/ban Alice"], "confirmed twice");
    let id = world.start("Admin", "demote", &[player("Alice")]);
    assert_snapshot!(world.press("Admin", id, "cancel").await, @"private Cancelled: nothing was done.");
    assert_eq!(world.sent(), ["/ban Alice"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_nobody_confirms_expires() {
    let world = World::with("confirm_within = \"5s\"\naction_limit = 1", ROLES).await;
    let id = world.start("Admin", "ban", &[player("Alice")]);
    let end = world.answer(id, |reply| buttons(reply).is_empty()).await;
    assert_snapshot!(shown(&end), @"private Not confirmed in time: nothing was done.");
    assert!(world.sent().is_empty());
    assert!(world.call("Admin", "save", &[]).await.starts_with("public"), "the call was given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_the_role_cannot_confirm_any_more() {
    let world = World::new().await;
    let id = world.start("Admin", "promote", &[player("Bob")]);
    world.answer(id, |_| true).await;
    world.discord.set_standing("Admin", &[], 0);
    assert_snapshot!(world.press("Admin", id, "confirm").await, @"private `/factorio promote` is for the level **admin** and above, which you do not have here.");
    assert!(world.sent().is_empty());
}
