use serde_json::{Value, json};

use super::super::objects::readable;
use super::*;

const GUILD: u64 = 100;
const CHANNEL: u64 = 1002;
/// View Channel, Send Messages, Attach Files, Read Message History.
const NOTICES: u64 = 1 << 10 | 1 << 11 | 1 << 15 | 1 << 16;

/// One channel of one guild, as the API shows them.
struct World {
    everyone: u64,
    member: Value,
    channel: Value,
    /// The other channels of the guild.
    others: Vec<Value>,
    needed: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            everyone: NOTICES,
            member: json!({ "roles": [] }),
            channel: json!({ "id": "1002", "type": 0, "guild_id": "100" }),
            others: Vec::new(),
            needed: NOTICES,
        }
    }
}

impl World {
    fn problem(&self) -> Option<Problem> {
        let all: Vec<Channel> = readable(self.others.clone());
        let guild = json!({ "owner_id": "7", "roles": [{ "id": "100", "permissions": self.everyone.to_string() }] });
        let seen = ObservedGuild {
            guild: serde_json::from_value(guild).unwrap(),
            member: serde_json::from_value(self.member.clone()).unwrap(),
            channels: all.into_iter().map(|channel| (channel.id.0, channel)).collect(),
        };
        let channel: Channel = serde_json::from_value(self.channel.clone()).unwrap();
        let id = ChannelId::new(CHANNEL).unwrap();
        let guild = channel.guild_id.map(|guild| guild.0);
        let observed = Observed {
            bot: 900,
            guilds: [(GUILD, Some(seen))].into(),
            channels: [(id, ObservedChannel::Found(channel, guild))].into(),
        };
        let permissions = serde_json::from_value(json!(self.needed)).unwrap();
        let requirement = Requirement { permissions, keys: vec!["servers.prod.channels.chat".to_owned()] };
        let required = Requirements { guilds: vec![GUILD], channels: [(id, requirement)].into() };
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let mut findings = judge(&required, &observed, now);
        assert!(findings.len() <= 1, "{findings:?}");
        findings.pop().map(|finding| finding.problem)
    }

    fn of_kind(kind: u16) -> Self {
        Self { channel: json!({ "id": "1002", "type": kind, "guild_id": "100" }), ..Self::default() }
    }

    fn thread(everyone: u64, metadata: &Value) -> Self {
        let channel = json!({
            "id": "1002", "type": 11, "guild_id": "100", "parent_id": "1001", "thread_metadata": metadata,
        });
        Self { everyone, channel, ..Self::default() }
    }

    fn missing(&self) -> Vec<&'static str> {
        match self.problem() {
            Some(Problem::MissingPermissions { missing, .. }) => missing.names(),
            None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_channel_that_grants_what_is_needed_has_no_finding() {
    for kind in [0, 5, 99] {
        assert_eq!(World::of_kind(kind).problem(), None, "kind {kind}");
    }
}

#[test]
fn the_chat_of_a_voice_channel_needs_connect() {
    for kind in [2, 13] {
        assert_eq!(World::of_kind(kind).missing(), ["Connect"], "kind {kind}");
        let granted = World { everyone: NOTICES | 1 << 20, ..World::of_kind(kind) };
        assert_eq!(granted.problem(), None, "kind {kind}");
    }
}

#[test]
fn only_what_is_needed_and_not_granted_is_missing() {
    for bit in [10, 11, 15, 16] {
        let names = World { everyone: NOTICES & !(1 << bit), ..World::default() }.missing();
        assert_eq!(names.len(), 1, "{names:?}");
    }
    let topic = World { needed: 1 << 10 | 1 << 4, ..World::default() };
    assert_eq!(topic.missing(), ["Manage Channels"]);
    let status = World { needed: NOTICES | 1 << 14, ..World::default() };
    assert_eq!(status.missing(), ["Embed Links"]);
    let chat = World { needed: 1 << 10 | 1 << 16 | 1 << 6, ..World::default() };
    assert_eq!(chat.missing(), ["Add Reactions"]);
}

#[test]
fn an_overwrite_of_the_channel_takes_a_permission_away() {
    let denied = json!([{ "id": "900", "type": 1, "allow": "0", "deny": "2048" }]);
    let channel = json!({ "id": "1002", "type": 0, "guild_id": "100", "permission_overwrites": denied });
    assert_eq!(World { channel, ..World::default() }.missing(), ["Send Messages"]);
}

#[test]
fn kinds_that_take_no_messages_are_named() {
    let kinds = [(4, "a category"), (15, "a forum"), (16, "a forum"), (14, "a directory")];
    for (kind, name) in kinds {
        assert_eq!(World::of_kind(kind).problem(), Some(Problem::WrongKind(name)));
    }
    // A forum has a topic.
    let topic = World { needed: 1 << 10, ..World::of_kind(15) };
    assert_eq!(topic.problem(), None);
}

#[test]
fn a_thread_follows_its_parent_and_has_a_permission_of_its_own() {
    let open = json!({ "locked": false, "archived": true });
    let in_threads: u64 = 1 << 38;
    assert_eq!(World::thread(NOTICES, &open).missing(), ["Send Messages in Threads"]);
    assert_eq!(
        World::thread(NOTICES & !(1 << 11) | in_threads, &open).problem(),
        None,
        "Send Messages is not asked for"
    );
    let hidden = json!([{ "id": "100", "type": 0, "allow": "0", "deny": "1024" }]);
    let parent = json!({ "id": "1001", "type": 15, "permission_overwrites": hidden });
    let world = World { others: vec![parent], ..World::thread(NOTICES | in_threads, &open) };
    let missing = Permissions::VIEW_CHANNEL;
    assert_eq!(world.problem(), Some(Problem::MissingPermissions { missing, parent: Some(1001) }));
}

#[test]
fn a_locked_thread_needs_manage_threads() {
    let (locked, may_write) = (json!({ "locked": true }), NOTICES | 1 << 38);
    assert_eq!(World::thread(may_write, &locked).problem(), Some(Problem::LockedThread));
    assert_eq!(World::thread(may_write | 1 << 34, &locked).problem(), None);
    let topic = World { needed: 1 << 10 | 1 << 4, ..World::thread(may_write | 1 << 4, &locked) };
    assert_eq!(topic.problem(), Some(Problem::TopicOfThread));
}

#[test]
fn a_bot_that_is_timed_out_can_only_read() {
    let member = |until: &str| json!({ "roles": [], "communication_disabled_until": until });
    let now = World { member: member("2026-11-30T13:00:00Z"), ..World::default() };
    assert!(matches!(now.problem(), Some(Problem::TimedOut(_))));
    let over = World { member: member("2026-11-30T11:00:00Z"), ..World::default() };
    assert_eq!(over.problem(), None);
    let reads = World { needed: 1 << 10 | 1 << 16, ..now };
    assert_eq!(reads.problem(), None);
}

#[test]
fn a_guild_that_is_unknown_is_found_with_the_guild_of_the_channels() {
    let id = ChannelId::new(CHANNEL).unwrap();
    let channel: Channel = serde_json::from_value(json!({ "id": "1002", "type": 0, "guild_id": "100" })).unwrap();
    let observed = Observed {
        bot: 900,
        guilds: [(999, None), (GUILD, None)].into(),
        channels: [(id, ObservedChannel::Found(channel, Some(GUILD)))].into(),
    };
    let requirement = Requirement { permissions: Permissions::VIEW_CHANNEL, keys: Vec::new() };
    let required = Requirements { guilds: vec![999], channels: [(id, requirement)].into() };
    let findings = judge(&required, &observed, Timestamp::UNIX_EPOCH);
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(
        finding.to_string(),
        "Discord server 999 (discord.guild_id) is unknown to the bot: the id is wrong, or the bot is not in it; the \
         configured channels are in 100: use that id, or invite the bot: \
         https://discord.com/oauth2/authorize?client_id=900&scope=bot&permissions=1024"
    );
}

#[test]
fn a_channel_of_another_guild_is_found_unless_no_guild_is_configured() {
    let elsewhere = json!({ "id": "1002", "type": 0, "guild_id": "200" });
    let world = World { channel: elsewhere, ..World::default() };
    assert_eq!(world.problem(), Some(Problem::OtherGuild(200)));
    let channel: Channel = serde_json::from_value(world.channel).unwrap();
    let id = ChannelId::new(CHANNEL).unwrap();
    let observed =
        Observed { channels: [(id, ObservedChannel::Found(channel, Some(200)))].into(), ..Observed::default() };
    let required = Requirements { guilds: Vec::new(), channels: [(id, Requirement::default())].into() };
    assert_eq!(judge(&required, &observed, Timestamp::UNIX_EPOCH), []);
}
