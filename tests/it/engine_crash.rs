//! The engine writes that it crashed: nobody is in the game any longer, to the second, whichever log is read first.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fs;

use crate::harness::Site;
use crate::records::{SESSIONS, until};

/// Nobody listens there: Discord is away.
const NO_DISCORD: &str = "http://127.0.0.1:9";

const CONSOLE: &str = "2026-11-23 20:00:30 [JOIN] Bob joined the game\n\
                       2026-11-23 20:00:40 [JOIN] Ann joined the game\n\
                       2026-11-23 20:01:00 [LEAVE] Ann left the game\n";

/// From facts of the engine: seconds since the start of the run stand before each line.
const ENGINE: &str = "   0.000 2026-11-23 20:00:00; Factorio 2.0.77 (build 84539, linux64, headless)\n\
   4.100 Info ServerMultiplayerManager.cpp:808: updateTick(0) changing state from(CreatingGame) to(InGame)\n";
const CRASH: &str = "  75.250 Error CrashHandler.cpp:643: Received SIGSEGV\n\
                     Factorio crashed. Generating symbolized stacktrace, please wait ...\n";
const BACK: &str = "2026-11-23 20:05:10 [JOIN] Bob joined the game\n2026-11-23 20:06:00 [LEAVE] Bob left the game\n";

/// 20:00:30 and so on, as sessions are told here.
const AT: i64 = 1_795_464_000;

fn expected() -> [String; 3] {
    [
        format!("Bob {} {} crash", AT + 30, AT + 75),
        format!("Ann {} {} leave", AT + 40, AT + 60),
        format!("Bob {} {} leave", AT + 310, AT + 360),
    ]
}

fn site() -> Site {
    let site = Site::new(NO_DISCORD);
    let engine = site.dir.path().join("prod-current.log");
    fs::write(&engine, "").unwrap();
    site.server_with("prod", "default = 1", &format!("engine_log = \"{}\"", engine.display()))
}

fn append_engine(site: &Site, text: &str) {
    let path = site.dir.path().join("prod-current.log");
    let before = fs::read_to_string(&path).unwrap();
    fs::write(path, before + text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_at_the_second_of_the_crash() {
    let site = site();
    append_engine(&site, ENGINE);
    let _relay = site.start();
    site.append("prod", CONSOLE);
    until(&site, SESSIONS, |rows| rows.len() == 2 && rows[0].ends_with("open") && rows[1].ends_with("leave")).await;
    append_engine(&site, CRASH);
    until(&site, SESSIONS, |rows| rows.len() == 2 && rows[0] == expected()[0]).await;
    site.append("prod", BACK);
    until(&site, SESSIONS, |rows| rows == expected()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_that_is_read_before_the_joins_ends_their_sessions_too() {
    let site = site();
    append_engine(&site, &format!("{ENGINE}{CRASH}"));
    let _relay = site.start();
    let crashed = "SELECT CAST(count(*) AS TEXT) FROM happenings WHERE kind = 'crash'";
    until(&site, crashed, |rows| rows.first().is_some_and(|count| count != "0")).await;
    site.append("prod", CONSOLE);
    site.append("prod", BACK);
    // Of a run that is known to be over only the time is kept, not what ended it.
    let times = expected().map(|session| session.replace(" crash", " link_lost"));
    until(&site, SESSIONS, |rows| rows == times).await;
}
