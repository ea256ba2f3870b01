//! Alerts that fire, and that nobody judges any more since the configuration was changed: the rule is off, the name is no
//! longer on the watch-list, the server is gone. Their messages say so, once, instead of telling for ever that they fire.

use jiff::Timestamp;

use super::alerts::texts::{Voice, of_unwatched};
use super::alerts::{AlertState, Phase};
use crate::config::settings::ServerSettings;
use crate::domain::{AlertKind, Lane, Mentions, Notice, ServerTag};
use crate::store::{AlertCommit, AlertNotice, AlertRow, NoticeRole, Store, StoreError};

/// The edit of the message of such an alert of `server`, called `name`. `None` where none fires, or no message tells of
/// it.
pub(super) fn ending(server: &ServerTag, name: &str, row: &AlertRow, at: Timestamp) -> Option<AlertNotice> {
    let (kind, posted) = (AlertKind::from_key(&row.alert)?, row.posted?);
    let state: AlertState = serde_json::from_str(&row.state).ok()?;
    if state.phase != Phase::Firing {
        return None;
    }
    let key = (kind, row.subject.clone());
    let said = |voice| of_unwatched(voice, name, &key, &state, at);
    let notice = Notice {
        server: server.clone(),
        channel: posted.channel,
        lane: Lane::Alert,
        event: format!("alert_{kind}").into(),
        content: said(Voice::Discord)?,
        plain: said(Voice::Plain)?,
        mentions: Mentions::default(),
        occurred_at: at,
    };
    let role = NoticeRole::Ends(Some(posted));
    Some(AlertNotice { notice, alert: row.alert.clone(), subject: row.subject.clone(), role })
}

/// Ends the alerts of servers that are not among `servers` any more. What their rules have seen stays, should they come
/// back.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn end_alerts_of_removed(store: &Store, servers: &[ServerSettings]) -> Result<(), StoreError> {
    for tag in store.servers_with_alerts().await? {
        if servers.iter().any(|server| server.tag == tag) {
            continue;
        }
        let Some(mut alerts) = store.alerts(&tag).await? else { continue };
        let now = Timestamp::now();
        let rows = std::mem::take(&mut alerts.rows);
        let notices = rows.iter().filter_map(|row| ending(&tag, tag.as_str(), row, now)).collect();
        store.commit_alerts(&AlertCommit { server: tag, alerts, notices, at: now }).await?;
    }
    Ok(())
}
