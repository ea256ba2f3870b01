//! Two servers whose events reach one channel, as members of the Discord server read it.

use factorio_isr::sim::discord::SimDiscord;
use jiff::Timestamp;

use crate::config::{GOOD, Place};
use crate::harness::{DEADLINE, Site, discord_with, relayed_lines};

const BOTH: u64 = 1001;
const ALPHA: u64 = 1002;

fn stamped(lines: &[&str]) -> String {
    let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    lines.iter().map(|line| format!("{now} {line}\n")).collect::<Vec<_>>().concat()
}

async fn lines(sim: &SimDiscord, channel: u64, count: usize) -> Vec<String> {
    let arrived = sim.wait_for(DEADLINE, |state| {
        relayed_lines(&state.messages(channel).cloned().collect::<Vec<_>>()).len() >= count
    });
    assert!(arrived.await, "{:?}", sim.messages(channel));
    relayed_lines(&sim.messages(channel))
}

/// `alpha` has its own channel for joins; the operator wrote a template for leaves, and a pattern with one and one
/// without.
fn site(sim: &SimDiscord, relay: &str) -> Site {
    let patterns = "[[patterns]]\nid = \"trade\"\nregex = 'TRADE (?<what>.*)'\ntemplate = \"sold {what} on {server}\"\n\
                    [[patterns]]\nid = \"boss\"\nregex = 'BOSS'\n";
    Site::new(&sim.base_url())
        .server_with("alpha", &format!("default = {BOTH}, joins = {ALPHA}"), "name = \"Alpha_*1*\"")
        .server_with("beta", &format!("default = {BOTH}"), "")
        .extra(&format!("[relay]\n{relay}\n[events.leave]\ntemplate = \"{{player}} left {{server}}\"\n{patterns}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_in_a_shared_channel_begin_with_the_name_of_their_server() {
    let sim = discord_with(&[(BOTH, "both"), (ALPHA, "alpha")]).await;
    let site = site(&sim, "");
    let relay = site.start();
    relay.wait_until_ready().await;
    let of_alpha =
        ["[JOIN] Ann joined the game", "[CHAT] Ann: hello", "[LEAVE] Ann left the game", "TRADE ore", "BOSS"];
    site.append("alpha", &stamped(&of_alpha));
    assert_eq!(
        lines(&sim, BOTH, 3).await,
        [r"[Alpha\_\*1\*] **Ann**: hello", r"sold ore on Alpha\_\*1\*", r"[Alpha\_\*1\*] BOSS"]
    );
    // The joins of alpha reach no channel of beta.
    assert_eq!(lines(&sim, ALPHA, 2).await, ["🟢 **Ann** joined the game", r"Ann left Alpha\_\*1\*"]);
    site.append("beta", &stamped(&["[JOIN] Bob joined the game"]));
    assert_eq!(lines(&sim, BOTH, 4).await[3], "[beta] 🟢 **Bob** joined the game");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_refuse_the_names() {
    let sim = discord_with(&[(BOTH, "both"), (ALPHA, "alpha")]).await;
    let site = site(&sim, "server_prefix = \"never\"");
    let relay = site.start();
    relay.wait_until_ready().await;
    site.append("alpha", &stamped(&["[CHAT] Ann: hello"]));
    assert_eq!(lines(&sim, BOTH, 1).await, ["**Ann**: hello"]);
}

#[test]
fn check_mentions_channels_of_several_servers() {
    let two = format!("{GOOD}[servers.test]\nconsole_log = \"test.log\"\nchannels = {{ default = 111 }}\n");
    let said = Place::with(&two).run(&["check"]).out;
    let note =
        "note: channel 111 has events of prod, test: lines of the built-in templates begin with the server's name";
    assert!(said.contains(note), "{said}");
    assert!(!said.contains("channel 112"), "{said}");
    let never = format!("{two}[relay]\nserver_prefix = \"never\"\n");
    let said = Place::with(&never).run(&["check"]).out;
    assert!(said.contains("note: channel 111 has events of prod, test: lines do not name their server"), "{said}");
    assert!(!Place::with(GOOD).run(&["check"]).out.contains("note:"));
}
