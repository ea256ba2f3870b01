//! Permissions of the bot in a channel.

use super::model::{SimBot, SimChannel, SimGuild};
use super::objects::{EVERYONE_PERMISSIONS, bot_role};

pub(super) const ADD_REACTIONS: u64 = 1 << 6;
pub(super) const VIEW_CHANNEL: u64 = 1 << 10;
pub(super) const SEND_MESSAGES: u64 = 1 << 11;
pub(super) const EMBED_LINKS: u64 = 1 << 14;
pub(super) const ATTACH_FILES: u64 = 1 << 15;
pub(super) const READ_MESSAGE_HISTORY: u64 = 1 << 16;
const ADMINISTRATOR: u64 = 1 << 3;

/// What the bot may do in a channel: its role's permissions and everyone's, then the overwrites of everyone, of its role
/// and of the bot itself, in Discord's order. Without `VIEW_CHANNEL` it may do nothing.
pub(super) fn of_bot(bot: &SimBot, guild: &SimGuild, channel: &SimChannel) -> u64 {
    let mut permissions = EVERYONE_PERMISSIONS | bot.permissions;
    if permissions & ADMINISTRATOR != 0 {
        return u64::MAX >> 1;
    }
    for target in [guild.id, bot_role(bot), bot.id] {
        if let Some(overwrite) = channel.overwrites.iter().find(|overwrite| overwrite.target == target) {
            permissions = permissions & !overwrite.deny | overwrite.allow;
        }
    }
    if permissions & VIEW_CHANNEL == 0 { 0 } else { permissions }
}

#[cfg(test)]
mod tests {
    use super::super::model::SimOverwrite;
    use super::*;

    fn permissions(role: u64, overwrites: &[(u64, u64, u64)]) -> u64 {
        let overwrite = |&(target, allow, deny): &(u64, u64, u64)| SimOverwrite { target, allow, deny };
        let channel =
            SimChannel { overwrites: overwrites.iter().map(overwrite).collect(), ..SimChannel::new(1, "factory") };
        let bot = SimBot { id: 900, name: "bot".into(), permissions: role };
        of_bot(&bot, &SimGuild { id: 100, name: "guild".into() }, &channel)
    }

    #[test]
    fn more_special_overwrites_win() {
        assert_eq!(permissions(0, &[]), EVERYONE_PERMISSIONS);
        assert_eq!(permissions(0, &[(100, 0, SEND_MESSAGES)]) & SEND_MESSAGES, 0);
        assert_ne!(permissions(0, &[(100, 0, SEND_MESSAGES), (901, SEND_MESSAGES, 0)]) & SEND_MESSAGES, 0);
        assert_eq!(permissions(0, &[(901, SEND_MESSAGES, 0), (900, 0, SEND_MESSAGES)]) & SEND_MESSAGES, 0);
        assert_eq!(permissions(0, &[(100, 0, VIEW_CHANNEL)]), 0);
        assert_ne!(permissions(ADMINISTRATOR, &[(100, 0, VIEW_CHANNEL)]) & VIEW_CHANNEL, 0);
    }
}
