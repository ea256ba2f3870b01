//! Players who have left the game without a line of the log.

use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use super::keeper::Keeper;
use crate::domain::{ChannelId, Lane, Mentions, Notice};
use crate::events::markup;

/// So long after RCON first missed a player, the log has had time to say that the player left.
const GRACE: Duration = Duration::from_mins(1);

impl Keeper {
    /// The same, with a message in `channel` when RCON shows that a player has left of whom the log does not say it. The
    /// message begins with `prefix`, a server's name.
    #[must_use]
    pub fn with_missed_leaves(mut self, channel: Option<ChannelId>, prefix: Option<String>) -> Self {
        self.joins = channel;
        self.joins_prefix = prefix;
        self
    }

    /// Reports the players that samples have missed for long enough at `now`.
    pub(super) async fn report_missed(&self, now: Timestamp) {
        let (Some(channel), Ok(gone_by)) = (self.joins, now.checked_sub(GRACE)) else { return };
        let prefix = |name: fn(&str) -> String| {
            self.joins_prefix.as_deref().map(|server| format!("[{}] ", name(server))).unwrap_or_default()
        };
        let (in_discord, in_file) = (prefix(markup::to_discord), prefix(markup::to_plain));
        let notice = |player: &str, at: Timestamp| Notice {
            server: self.server.clone(),
            channel,
            lane: Lane::Chat,
            event: "leave".into(),
            content: format!("{in_discord}🔴 **{}** is no longer in the game", markup::to_discord(player)),
            plain: format!("{} {in_file}{} is no longer in the game", at.strftime("%F %TZ"), markup::to_plain(player)),
            mentions: Mentions::default(),
            occurred_at: at,
        };
        if let Err(error) = self.store.report_missed(&self.server, gone_by, now, notice).await {
            warn!(server = %self.server, %error, "Failed to report players who left without a line of the log");
        }
    }
}
