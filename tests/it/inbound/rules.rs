//! Which messages are relayed: ignored texts, roles, the delay, threads.

use factorio_isr::config::settings::IgnoreRule;
use factorio_isr::sim::discord::{SimPost, SimRole, SimThread};
use serde_json::json;

use super::*;

const GENERAL: u64 = CHANNELS[0];
const PLAYERS: u64 = 7001;
const MUTED: u64 = 7002;

#[tokio::test(flavor = "multi_thread")]
async fn ignored_texts_and_roles_keep_messages_out_of_the_game() {
    let role = |id, name: &str| SimRole { id, name: name.to_owned(), permissions: 0 };
    let roles = vec![role(PLAYERS, "players"), role(MUTED, "muted")];
    let world = World::with(&["a"], SimDiscordConfig { roles, ..config() }).await;
    for (name, roles) in [("Ann", &[PLAYERS][..]), ("Bob", &[PLAYERS, MUTED]), ("Carl", &[])] {
        world.discord.set_standing(name, roles, 0);
    }
    let chat = || ChatSettings {
        ignore: ["!", "/(?i)^brb/"].map(|rule| IgnoreRule::parse(rule).unwrap()).into(),
        roles: RoleRules { require: [PLAYERS].into(), block: [MUTED].into() },
        ..settings(&[(GENERAL, &["a"])])
    };
    let relay = world.relay(chat()).await;
    let ignored = world.discord.say(GENERAL, "Ann", "!play music").unwrap();
    world.discord.say(GENERAL, "Ann", "BRB dinner").unwrap();
    let muted = world.discord.say(GENERAL, "Bob", "spam").unwrap();
    let stranger = world.discord.say(GENERAL, "Carl", "let me in").unwrap();
    world.discord.say(GENERAL, "Ann", "hello!").unwrap();
    assert_eq!(world.told("a", 1).await, ["[Discord] Ann: hello!"]);
    world.reactions(GENERAL, muted, &["🚫"]).await;
    world.reactions(GENERAL, stranger, &["🚫"]).await;
    world.reactions(GENERAL, ignored, &[]).await;
    relay.stop().await;

    world.discord.say(GENERAL, "Bob", "spam while you were away").unwrap();
    world.discord.say(GENERAL, "Ann", "and this is missed").unwrap();
    let relay = world.relay(chat()).await;
    assert_eq!(world.told("a", 2).await[1], "[Discord] Ann: and this is missed", "roles are looked up");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_deleted_within_the_delay_is_never_relayed() {
    let world = World::new(&["a"]).await;
    let delay = Duration::from_secs(20);
    let relay = world.relay(ChatSettings { delay, ..settings(&[(GENERAL, &["a"])]) }).await;
    let waiting = |count: u64| {
        let store = relay.store.clone();
        async move {
            let mut changes = store.inbound();
            while store.chats_waiting(&tag("a")).await.unwrap() != count {
                within(changes.changed()).await.unwrap();
            }
        }
    };
    let regretted = world.discord.say(GENERAL, "Ann", "my password is").unwrap();
    let misspelt = world.discord.say(GENERAL, "Ann", "helo").unwrap();
    within(waiting(2)).await;
    world.discord.delete_message(GENERAL, regretted).unwrap();
    world.discord.edit_message(GENERAL, misspelt, "hello").unwrap();
    within(waiting(1)).await;
    let store = &relay.store;
    let edited = async {
        let mut changes = store.inbound();
        while store.next_chat(&tag("a"), Timestamp::now()).await.unwrap().unwrap().revision == 0 {
            within(changes.changed()).await.unwrap();
        }
    };
    within(edited).await;
    assert_eq!(world.games["a"].seen().commands, [""; 0], "nothing is said before its time");
    world.clock.advance(delay);
    world.discord.say(GENERAL, "Ann", "wakes the relay").unwrap();
    assert_eq!(world.told("a", 1).await, ["[Discord] Ann: hello"]);
    world.reactions(GENERAL, misspelt, &[]).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_text_of_a_message_is_relayed_after_the_delay() {
    let world = World::new(&["a"]).await;
    let delay = Duration::from_secs(20);
    let ignore = vec![IgnoreRule::parse("!").unwrap()];
    let relay = world.relay(ChatSettings { delay, ignore, ..settings(&[(GENERAL, &["a"])]) }).await;
    let all_in = |last| {
        let store = relay.store.clone();
        async move {
            let mut changes = store.inbound();
            while store.last_seen(channel(GENERAL)).await.unwrap() != Some(last) {
                within(changes.changed()).await.unwrap();
            }
        }
    };
    let to_a_bot = world.discord.say(GENERAL, "Ann", "play my song").unwrap();
    let emptied = world.discord.say(GENERAL, "Ann", "my password").unwrap();
    let misspelt = world.discord.say(GENERAL, "Ann", "helo").unwrap();
    for (message, text) in [(to_a_bot, "!play"), (emptied, "** **"), (misspelt, "hell")] {
        world.discord.edit_message(GENERAL, message, text).unwrap();
    }
    // Two edits within one millisecond count as the same one.
    let between = world.discord.say(GENERAL, "Ann", "between").unwrap();
    within(all_in(between)).await;
    world.discord.edit_message(GENERAL, misspelt, "hello").unwrap();
    let last = world.discord.say(GENERAL, "Ann", "all in").unwrap();
    within(all_in(last)).await;
    world.clock.advance(delay);
    world.discord.say(GENERAL, "Ann", "wakes the relay").unwrap();
    let expected = ["hello", "between", "all in"].map(|text| format!("[Discord] Ann: {text}"));
    assert_eq!(world.told("a", 3).await, expected);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_proxy_bot_one_line_is_relayed() {
    const PROXY: u64 = 466;
    let world = World::new(&["a"]).await;
    let delay = Duration::from_secs(5);
    let chat = ChatSettings { delay, allowed_bots: [PROXY].into(), ..settings(&[(GENERAL, &["a"])]) };
    let relay = world.relay(chat).await;
    let typed = world.discord.say(GENERAL, "Ann", "S: hello from us").unwrap();
    let fields = json!({
        "webhook_id": "4711", "application_id": PROXY.to_string(),
        "author": { "id": "4711", "username": "Sam", "bot": true, "discriminator": "0000" },
    });
    let proxied = SimPost { text: "hello from us", bot: true, fields: Some(&fields), ..SimPost::default() };
    world.discord.post_as(GENERAL, "Sam", proxied).unwrap();
    world.discord.delete_message(GENERAL, typed).unwrap();
    let last = world.discord.say(GENERAL, "Bob", "hi").unwrap();
    let mut changes = relay.store.inbound();
    let all_in = async {
        while relay.store.last_seen(channel(GENERAL)).await.unwrap() != Some(last) {
            within(changes.changed()).await.unwrap();
        }
    };
    within(all_in).await;
    world.clock.advance(delay);
    world.discord.say(GENERAL, "Bob", "wakes the relay").unwrap();
    assert_eq!(world.told("a", 2).await, ["[Discord] Sam: hello from us", "[Discord] Bob: hi"]);
    relay.stop().await;
}

fn thread(id: u64, parent: u64) -> SimThread {
    SimThread { id, parent, name: "planning".to_owned(), ..SimThread::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_are_relayed_where_the_operator_wants_it() {
    let world = World::new(&["a"]).await;
    world.discord.set_thread(thread(601, GENERAL));
    world.discord.set_thread(thread(602, CHANNELS[1]));
    let chat = |threads| ChatSettings { threads, ..settings(&[(GENERAL, &["a"])]) };
    let relay = world.relay(chat(ThreadChat::Ignore)).await;
    world.discord.say(601, "Ann", "in a thread, ignored").unwrap();
    world.discord.say(GENERAL, "Ann", "one").unwrap();
    assert_eq!(world.told("a", 1).await, ["[Discord] Ann: one"]);
    relay.stop().await;

    let relay = world.relay(chat(ThreadChat::Relay)).await;
    let said = world.discord.say(601, "Ann", "two").unwrap();
    world.told("a", 2).await;
    world.discord.say(602, "Ann", "below another channel").unwrap();
    world.discord.say(GENERAL, "Ann", "three").unwrap();
    assert_eq!(world.told("a", 3).await[1..], ["[Discord] Ann: two", "[Discord] Ann: three"]);
    world.discord.edit_message(601, said, "2").unwrap();
    assert_eq!(world.told("a", 4).await[3], "[Discord] Ann: * 2");
    relay.stop().await;

    world.discord.say(601, "Ann", "while you were away").unwrap();
    let relay = world.relay(chat(ThreadChat::Relay)).await;
    assert_eq!(world.told("a", 5).await[4], "[Discord] Ann: while you were away");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_a_channel_by_its_own_id() {
    let world = World::new(&["a"]).await;
    world.discord.set_thread(thread(601, 999));
    let relay = world.relay(settings(&[(601, &["a"])])).await;
    let said = world.discord.say(601, "Ann", "from a forum's post").unwrap();
    assert_eq!(world.told("a", 1).await, ["[Discord] Ann: from a forum's post"]);
    world.games["a"].stop();
    let waits = world.discord.say(601, "Ann", "are you there?").unwrap();
    world.reactions(601, waits, &["⏳"]).await;
    world.reactions(601, said, &[]).await;
    relay.stop().await;
}
