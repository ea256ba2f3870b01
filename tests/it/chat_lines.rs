//! What chat and joins in the console log mean beyond their messages in Discord.

use factorio_isr::domain::EventKind;
use jiff::Timestamp;

use crate::events::{console, read};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_467_600 + second).expect("a time")
}

#[test]
fn who_joins_is_known_whatever_is_relayed() {
    let said = read(
        &mut console(),
        &[
            "2026-11-23 21:00:01 [JOIN] Bob joined the game",
            "2026-11-23 21:00:02 [JOIN] foo-bar joined the game.",
            "2026-11-23 21:00:03 [LEAVE] Bob left the game",
            "2026-11-23 21:00:04 [JOIN] Bob joined the game",
            "2026-11-23 21:00:05 [JOIN] something else",
            "2026-11-23 21:00:06 [CHAT] Eve: Dan joined the game",
        ],
    );
    let joins = said.happenings.iter().filter(|happening| happening.kind == EventKind::Join);
    let joins: Vec<_> = joins.filter_map(|join| Some((join.player.as_deref()?, join.at))).collect();
    assert_eq!(joins, [("Bob", at(1)), ("foo-bar", at(2)), ("Bob", at(4))]);
}

#[test]
fn what_another_relay_brings_back_from_discord_goes_there_no_more() {
    let said = read(
        &mut console(),
        &[
            "2026-11-23 21:00:01 [CHAT] Bob: ore at [gps=1,2]?",
            "2026-11-23 21:00:01 [CHAT] <server>: B | Factorio: **Bob**: ore at 📍 1, 2?",
            "2026-11-23 21:00:02 [CHAT] <server>: restart",
            "2026-11-23 21:00:02 [CHAT] <server>: Factorio: 🖥️ Server: restart",
            "2026-11-23 21:00:02 [CHAT] <server>: Factorio: 🖥️ Server: Factorio: 🖥️ Server: restart",
            "2026-11-23 21:00:03 [CHAT] <server>: Bob: no ore",
            "2026-11-23 21:00:04 [CHAT] Carl: Bob: ore at [gps=1,2]?",
            "2026-11-23 21:01:02 [CHAT] <server>: I say: Bob: ore at 📍 1, 2?",
        ],
    );
    let relayed: Vec<&str> = said.notices.iter().map(|notice| notice.content.as_str()).collect();
    insta::assert_snapshot!(relayed.join("\n"), @r#"
    **Bob**: ore at 📍 1, 2?
    🖥️ **Server**: restart
    🖥️ **Server**: Factorio: 🖥️ Server: restart
    🖥️ **Server**: Bob: no ore
    **Carl**: Bob: ore at 📍 1, 2?
    🖥️ **Server**: I say: Bob: ore at 📍 1, 2?
    "#);
}
