//! What the service keeps of those who did more than ask, posts where a server has a channel for it, and lets go of in
//! time.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::super::call::{Options, Origin};
use super::super::desk::Server;
use super::super::view::code;
use super::super::{SlashCommand, texts, typed};
use super::Service;
use crate::domain::{Lane, Mentions, Notice};
use crate::health::Component;
use crate::store::{AuditEntry, StoreError};
use crate::telemetry::metrics::count_error;

/// How often old entries of the audit are looked for.
const HOUSEKEEPING: Duration = Duration::from_hours(1);
/// Characters of an answer that the audit keeps.
const MOST_KEPT: usize = 4000;

impl Service {
    /// Deletes what the audit has kept for long enough.
    pub(super) async fn keep_tidy(&self, cancel: &CancellationToken) {
        while !cancel.is_cancelled() {
            if let Err(error) = self.prune_audit(cancel).await {
                count_error(Component::Store.as_str(), error.error_type());
                warn!(%error, "The old part of the audit cannot be deleted");
            }
            let _stopped = cancel.run_until_cancelled(sleep(HOUSEKEEPING)).await;
        }
    }

    /// In small steps, so that a commit of lines never waits long.
    async fn prune_audit(&self, cancel: &CancellationToken) -> Result<(), StoreError> {
        let before = Timestamp::now() - self.keep_audit;
        while !cancel.is_cancelled() && self.desk.store.prune_audit(before).await? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Keeps what was done beyond asking, and posts it where the server has a channel for it.
    pub(super) async fn audit(
        &self,
        origin: &Origin,
        (command, options): (&dyn SlashCommand, &Options),
        server: Option<&Server>,
        (outcome, answer): (&str, &str),
    ) {
        if !self.is_audited((command, options)) {
            return;
        }
        let at = Timestamp::now();
        let entry = AuditEntry {
            at,
            guild: origin.guild,
            channel: origin.channel,
            member: origin.caller.id,
            member_name: origin.caller.name.clone(),
            server: server.map(|server| server.tag.to_string()).unwrap_or_default(),
            command: format!("{}{options}", typed(command)),
            outcome: outcome.to_owned(),
            answer: answer.chars().take(MOST_KEPT).collect(),
        };
        let notice = server.and_then(|server| notice(server, &entry));
        if let Err(error) = self.desk.store.audit(&entry, notice.as_ref()).await {
            error!(%error, "What somebody did by a slash command cannot be stored");
        }
    }
}

fn notice(server: &Server, entry: &AuditEntry) -> Option<Notice> {
    let AuditEntry { member_name, command, outcome, answer, .. } = entry;
    let answer: String = answer.lines().next().unwrap_or_default().chars().take(300).collect();
    let said = if answer.is_empty() { outcome.clone() } else { format!("{outcome}, {}", code(&answer)) };
    let plain = format!("{member_name} used {command} on {}: {outcome}, {answer}", server.name);
    Some(Notice {
        server: server.tag.clone(),
        channel: server.audit?,
        lane: Lane::Chat,
        event: "audit".into(),
        content: texts::audit(member_name, command, &server.name, &said),
        plain: plain.replace(char::is_control, " "),
        occurred_at: entry.at,
        mentions: Mentions::default(),
    })
}
