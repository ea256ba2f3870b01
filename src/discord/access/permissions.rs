//! Discord's permission bits, and what a member may do in a channel. Pure.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::objects::{Member, OverwriteKind, PermissionOverwrite, Role};

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Bits")]
pub struct Permissions(u128);

/// Bits as JSON has them: a decimal string, in old objects a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bits {
    Text(String),
    Number(u64),
}

impl TryFrom<Bits> for Permissions {
    type Error = std::num::ParseIntError;

    fn try_from(bits: Bits) -> Result<Self, Self::Error> {
        Ok(Self(match bits {
            Bits::Text(text) => text.parse()?,
            Bits::Number(number) => number.into(),
        }))
    }
}

/// The permissions that something here needs, with the names that Discord's settings show.
const NAMED: [(Permissions, &str); 11] = [
    (Permissions::VIEW_CHANNEL, "View Channel"),
    (Permissions::CONNECT, "Connect"),
    (Permissions::SEND_MESSAGES, "Send Messages"),
    (Permissions::SEND_MESSAGES_IN_THREADS, "Send Messages in Threads"),
    (Permissions::EMBED_LINKS, "Embed Links"),
    (Permissions::ATTACH_FILES, "Attach Files"),
    (Permissions::READ_MESSAGE_HISTORY, "Read Message History"),
    (Permissions::ADD_REACTIONS, "Add Reactions"),
    (Permissions::MANAGE_CHANNELS, "Manage Channels"),
    (Permissions::MANAGE_THREADS, "Manage Threads"),
    (Permissions::ADMINISTRATOR, "Administrator"),
];

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// All, those of the future included.
    pub const ALL: Self = Self(u128::MAX);
    /// Includes all others, in every channel.
    pub const ADMINISTRATOR: Self = Self(1 << 3);
    /// To change a channel's name and topic.
    pub const MANAGE_CHANNELS: Self = Self(1 << 4);
    /// To react with an emoji that is not on the message yet.
    pub const ADD_REACTIONS: Self = Self(1 << 6);
    /// To see a channel at all.
    pub const VIEW_CHANNEL: Self = Self(1 << 10);
    /// To write in a channel, not in its threads.
    pub const SEND_MESSAGES: Self = Self(1 << 11);
    /// Without it Discord removes embeds.
    pub const EMBED_LINKS: Self = Self(1 << 14);
    /// To send files.
    pub const ATTACH_FILES: Self = Self(1 << 15);
    /// To read messages of the past.
    pub const READ_MESSAGE_HISTORY: Self = Self(1 << 16);
    /// To use a voice channel in any way, its chat included.
    pub const CONNECT: Self = Self(1 << 20);
    /// To unlock threads, and to see private ones.
    pub const MANAGE_THREADS: Self = Self(1 << 34);
    /// To write in threads.
    pub const SEND_MESSAGES_IN_THREADS: Self = Self(1 << 38);

    /// Both together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` does not have.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        other.without(self).is_none()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The number as an invite link has it.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The names, in a fixed order; permissions that nothing here needs have none.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        NAMED.iter().filter(|(permission, _)| self.contains(*permission)).map(|(_, name)| *name).collect()
    }
}

/// What `member` may do in the guild as a whole: everyone's role and the member's own, or all for the owner and for
/// administrators.
pub(super) fn guild_permissions(guild: u64, owner: u64, roles: &[Role], (user, member): (u64, &Member)) -> Permissions {
    if user == owner {
        return Permissions::ALL;
    }
    let held = roles.iter().filter(|role| role.id.0 == guild || member.has_role(role.id));
    let permissions = held.fold(Permissions::NONE, |all, role| all.union(role.permissions));
    if permissions.contains(Permissions::ADMINISTRATOR) { Permissions::ALL } else { permissions }
}

/// What a member with `base` in the guild may do in a channel with these overwrites, before what Discord takes away
/// implicitly (without View Channel everything, without Send Messages files and embeds).
pub(super) fn channel_permissions(
    base: Permissions,
    guild: u64,
    (user, member): (u64, &Member),
    overwrites: &[PermissionOverwrite],
) -> Permissions {
    if base == Permissions::ALL {
        return base;
    }
    let of_roles = || overwrites.iter().filter(|overwrite| overwrite.kind == OverwriteKind::Role);
    let everyone = of_roles().filter(|overwrite| overwrite.id.0 == guild);
    let roles: BTreeSet<_> = member.roles.iter().copied().collect();
    let own_roles = of_roles().filter(|overwrite| overwrite.id.0 != guild && roles.contains(&overwrite.id));
    let own = overwrites.iter().filter(|overwrite| overwrite.kind == OverwriteKind::Member && overwrite.id.0 == user);
    apply(apply(apply(base, everyone), own_roles), own)
}

/// Denies first, then allows: of several roles, one that allows wins.
fn apply<'a>(base: Permissions, overwrites: impl Iterator<Item = &'a PermissionOverwrite>) -> Permissions {
    let mut denied = Permissions::NONE;
    let mut allowed = Permissions::NONE;
    for overwrite in overwrites {
        denied = denied.union(overwrite.deny);
        allowed = allowed.union(overwrite.allow);
    }
    base.without(denied).union(allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const GUILD: u64 = 100;
    const BOT: u64 = 900;
    const SEND: &str = "2048";

    fn member(roles: &[u64]) -> Member {
        let roles: Vec<String> = roles.iter().map(u64::to_string).collect();
        serde_json::from_value(json!({ "roles": roles })).unwrap()
    }

    fn roles(roles: &[(u64, u64)]) -> Vec<Role> {
        let role = |(id, bits): &(u64, u64)| json!({ "id": id.to_string(), "permissions": bits.to_string() });
        serde_json::from_value(roles.iter().map(role).collect()).unwrap()
    }

    fn overwrites(overwrites: &Value) -> Vec<PermissionOverwrite> {
        serde_json::from_value(overwrites.clone()).unwrap()
    }

    fn may_send(base: u64, roles: &[u64], given: &Value) -> bool {
        let base = Permissions(base.into());
        let found = channel_permissions(base, GUILD, (BOT, &member(roles)), &overwrites(given));
        found.contains(Permissions::SEND_MESSAGES)
    }

    #[test]
    fn a_member_has_the_permissions_of_everyone_and_of_the_own_roles() {
        let all = roles(&[(GUILD, 1 << 10), (1, 1 << 11), (2, 1 << 15)]);
        let found = guild_permissions(GUILD, 7, &all, (BOT, &member(&[1])));
        assert_eq!(found, Permissions::VIEW_CHANNEL.union(Permissions::SEND_MESSAGES));
    }

    #[test]
    fn the_owner_and_administrators_have_all_whatever_a_channel_denies() {
        let deny = overwrites(&json!([{ "id": "900", "type": 1, "allow": "0", "deny": SEND }]));
        for (owner, bits) in [(BOT, 0), (7, 1 << 3)] {
            let base = guild_permissions(GUILD, owner, &roles(&[(GUILD, 0), (1, bits)]), (BOT, &member(&[1])));
            let found = channel_permissions(base, GUILD, (BOT, &member(&[1])), &deny);
            assert!(found.contains(Permissions::SEND_MESSAGES), "owner {owner}, role {bits}");
        }
    }

    #[test]
    fn a_member_overwrite_beats_a_roles_and_that_beats_everyones() {
        let everyone = json!({ "id": "100", "type": 0, "allow": "0", "deny": SEND });
        let role_allows = json!({ "id": "1", "type": 0, "allow": SEND, "deny": "0" });
        let role_denies = json!({ "id": "2", "type": 0, "allow": "0", "deny": SEND });
        let own_denies = json!({ "id": "900", "type": 1, "allow": "0", "deny": SEND });
        let own_allows = json!({ "id": "900", "type": 1, "allow": SEND, "deny": "0" });
        assert!(!may_send(1 << 11, &[], &json!([everyone])));
        assert!(may_send(0, &[1], &json!([everyone, role_allows])));
        assert!(!may_send(0, &[], &json!([everyone, role_allows])), "a role the bot does not have changes nothing");
        assert!(may_send(0, &[1, 2], &json!([role_denies, role_allows])), "of two roles, the one that allows wins");
        assert!(!may_send(0, &[1], &json!([role_allows, own_denies])));
        assert!(may_send(0, &[2], &json!([everyone, role_denies, own_allows])));
    }

    #[test]
    fn somebody_elses_overwrites_change_nothing() {
        let of_another = json!([{ "id": "901", "type": 1, "allow": SEND, "deny": "0" }]);
        assert!(!may_send(0, &[], &of_another));
        // The bot's id as a role's, or everyone's role as a member's, is another thing.
        assert!(!may_send(0, &[], &json!([{ "id": "900", "type": 0, "allow": SEND, "deny": "0" }])));
        assert!(!may_send(0, &[], &json!([{ "id": "100", "type": 1, "allow": SEND, "deny": "0" }])));
    }

    #[test]
    fn bits_beyond_51_and_of_the_future_are_kept() {
        let all: Permissions = serde_json::from_value(json!("4503599627370496")).unwrap();
        assert_eq!(all.bits(), 1 << 52);
        let far: Permissions = serde_json::from_value(json!((1_u128 << 70).to_string())).unwrap();
        assert_eq!(far.bits(), 1 << 70);
        let old: Permissions = serde_json::from_value(json!(2048)).unwrap();
        assert_eq!(old, Permissions::SEND_MESSAGES);
        assert!(serde_json::from_value::<Permissions>(json!("many")).is_err());
    }

    #[test]
    fn permissions_have_the_names_of_discords_settings() {
        let some = Permissions::ATTACH_FILES.union(Permissions::VIEW_CHANNEL);
        assert_eq!(some.names(), ["View Channel", "Attach Files"]);
        assert_eq!(Permissions(1 << 60).names(), Vec::<&str>::new());
    }
}
