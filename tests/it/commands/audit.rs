//! What the audit keeps of what people tried and did.

use std::time::Duration;

use factorio_isr::sim::rcon::Fault;
use factorio_isr::store::AuditEntry;
use insta::assert_snapshot;
use regex::Regex;
use serde_json::json;

use super::world::{GUILD, ROLES, World, buttons, player, shown};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_an_act_is_audited() {
    let world = World::with("action_limit = 1\naction_window = \"1h\"\nconfirm_within = \"5s\"", ROLES).await;
    let asked = world.start("Admin", "ban", &[player("Alice")]);
    world.press("Admin", asked, "cancel").await;
    let asked = world.start("Admin", "promote", &[player("Bob")]);
    world.answer(asked, |reply| !buttons(reply).is_empty()).await;
    world.answer(asked, |reply| buttons(reply).is_empty()).await;
    world.call("Ann", "kick", &[player("Alice")]).await;
    world.call("Mod", "kick", &[player("../x")]).await;
    world.call("Mod", "kick", &[player("Bob"), ("reason", json!("spam"))]).await;
    world.call("Mod", "save", &[]).await;
    world.call("Admin", "save", &[("server", json!("nowhere"))]).await;
    world.call("Admin", "speed", &[]).await;
    world.call("Admin", "whitelist", &[("action", json!("list"))]).await;
    world.call("Ann", "seed", &[]).await;
    let audited = world.audited().await.join("\n");
    let wait = Regex::new(r"again in \d+ s").unwrap();
    assert_snapshot!(wait.replace(&audited, "again in N s"), @r"
    Admin | /factorio ban player:Alice | prod | cancelled | Cancelled: nothing was done.
    Admin | /factorio promote player:Bob | prod | expired | Not confirmed in time: nothing was done.
    Ann | /factorio kick player:Alice | prod | denied | `/factorio kick` is for the level **moderator** and above, which you do not have here.
    Mod | /factorio kick player:../x | prod | bad_input | That is no player name: use 1 to 60 letters, digits, `.`, `_` or `-`.
    Mod | /factorio kick player:Bob reason:spam | prod | refused | Bob isn't online.
    Mod | /factorio save | prod | rate_limited | That was too often. Try again in N s.
    Admin | /factorio save server:nowhere |  | bad_input | There is no server `nowhere`. There are: `prod`.
    Admin | /factorio speed | prod | denied | Only Lua can do this, and Lua disables achievements on the save for ever. It is not allowed for this server. Its operator allows it with `allow_lua = true` in the server's table `rcon`.
    Admin | /factorio whitelist action:list | prod | done | Whitelisted players: Alice
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_of_which_nobody_knows_whether_it_was_done_is_not_called_a_failure() {
    let world = World::new().await;
    world.rcon.set_fault(Fault::CutMidReply);
    world.call("Mod", "kick", &[player("Alice")]).await;
    world.game_stops().await;
    world.call("Mod", "kick", &[player("Alice")]).await;
    let audited = world.audited().await;
    let cut = "The connection to the game broke. Whether the command ran is not known.";
    assert_eq!(audited[0], format!("Mod | /factorio kick player:Alice | prod | unknown | {cut}"));
    // Why it was not sent depends on how far the connection has come again meanwhile.
    assert!(audited[1].starts_with("Mod | /factorio kick player:Alice | prod | failed | "), "{audited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_a_year_is_forgotten() {
    let world = World::new().await;
    world.call("Mod", "save", &[]).await;
    let new = world.store.audit_entries(1).await.unwrap().remove(0);
    let day = Duration::from_hours(24);
    for days in [500, 366, 364] {
        let old = AuditEntry { at: new.at - day * days, command: format!("{days} days ago"), ..new.clone() };
        world.store.audit(&old, None).await.unwrap();
    }
    let _restarted = world.restarted(&[GUILD]);
    let kept = ["/factorio save", "364 days ago"];
    world.audit_becomes(|entries| entries.iter().map(|entry| &*entry.command).eq(kept)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_open_when_the_program_stops_ends_with_it() {
    let world = World::new().await;
    let asked = world.start("Admin", "ban", &[player("Alice")]);
    world.answer(asked, |reply| !buttons(reply).is_empty()).await;
    world.stop.cancel();
    let end = world.answer(asked, |reply| buttons(reply).is_empty()).await;
    assert_snapshot!(shown(&end), @"private Not confirmed in time: nothing was done.");
    assert_snapshot!(world.audited().await.join("\n"), @"Admin | /factorio ban player:Alice | prod | expired | Not confirmed in time: nothing was done.");
    assert!(world.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_rights_does_not_flood_the_audit() {
    let more = format!("{ROLES}\n[servers.test]\nconsole_log = \"t.log\"\nchannels = {{ default = 111, audit = 112 }}");
    let world = World::with("query_limit = 3\nquery_window = \"1h\"\naction_limit = 1", &more).await;
    let test = || ("server", json!("test"));
    for _ in 0..9 {
        let answer = world.call("Ann", "kick", &[player("Alice"), test()]).await;
        assert!(answer.contains("is for the level"), "{answer}");
    }
    let denied = "Ann | /factorio kick player:Alice server:test | test | denied";
    let audited = world.audited().await;
    assert_eq!(audited.len(), 3, "{audited:?}");
    assert!(audited.iter().all(|entry| entry.starts_with(denied)), "{audited:?}");
    assert_eq!(world.store.outbox_stats().await.unwrap().chat_depth, 3, "posts");
    assert!(
        world.call("Ann", "seed", &[("server", json!("prod"))]).await.starts_with("public"),
        "questions are counted apart"
    );
    world.call("Eve", "kick", &[player("Alice"), test()]).await;
    world.call("Mod", "save", &[("server", json!("prod"))]).await;
    for _ in 0..9 {
        world.call("Mod", "save", &[("server", json!("prod"))]).await;
    }
    assert_eq!(world.audited().await.len(), 3 + 1 + 1 + 3, "others are heard, what was done is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_that_a_dead_game_gives_back_do_not_flood_the_audit() {
    let world = World::with("query_limit = 2\nquery_window = \"1h\"", ROLES).await;
    world.game_stops().await;
    for _ in 0..3 {
        let answer = world.call("Mod", "connect", &[("server", json!("nowhere"))]).await;
        assert!(answer.contains("no server"), "costs no entry: {answer}");
    }
    for _ in 0..6 {
        world.call("Mod", "save", &[]).await;
    }
    assert_eq!(world.audited().await.len(), 2);
}
