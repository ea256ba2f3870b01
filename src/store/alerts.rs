//! The alerts of each server: what their rules have seen, which are not at rest, and which are silenced. States, the
//! last happening that was judged and the notices that come of it are stored in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tokio::sync::watch;

use super::outbox::mentions_text;
use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::{ChannelId, Lane, LogSource, Notice, ServerTag};

/// The notice that told of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostedNotice {
    /// Its row in the outbox.
    pub notice: i64,
    /// Where it went.
    pub channel: ChannelId,
}

/// An alert that is not at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// The alert's key.
    pub alert: String,
    /// The player or surface it is about; empty where it is about the server.
    pub subject: String,
    /// The engine's own, opaque here.
    pub state: String,
    /// What told of it.
    pub posted: Option<PostedNotice>,
}

/// What a server's alerts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAlerts {
    /// The last happening that was judged.
    pub cursor: i64,
    /// What the rules have seen; opaque here.
    pub memory: String,
    /// In order of alert and subject.
    pub rows: Vec<AlertRow>,
}

/// Something to be said of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertNotice {
    /// What, and where.
    pub notice: Notice,
    /// The alert's key.
    pub alert: String,
    /// The player or surface it is about.
    pub subject: String,
    /// What it is to the alert.
    pub role: NoticeRole,
}

/// What a notice is to its alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeRole {
    /// It tells of it, and its message is edited when the alert is over.
    Tells,
    /// It replaces the text of the message that told of it, of which more will be told. It takes the place of another
    /// one that still waits.
    Grows(PostedNotice),
    /// It tells again.
    Reminds,
    /// It tells of one that is over. It may go together with others.
    Passed,
    /// It replaces the text of the message that told of it: the notice named here, or the one of the same commit. Where
    /// there is none, it is a message of its own. It takes the place of one that still waits to say that it grows.
    Ends(Option<PostedNotice>),
}

/// All that came of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertCommit {
    /// The server.
    pub server: ServerTag,
    /// As it now is.
    pub alerts: StoredAlerts,
    /// In order.
    pub notices: Vec<AlertNotice>,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// The alerts of `server` as they were last stored; `None` where they never were.
    pub async fn alerts(&self, server: &ServerTag) -> Result<Option<StoredAlerts>, StoreError> {
        self.read_alerts(server).await.map_err(|error| self.in_words(&error))
    }

    async fn read_alerts(&self, server: &ServerTag) -> sqlx::Result<Option<StoredAlerts>> {
        // Both of one commit.
        let mut reader = self.readers.begin().await?;
        let found = sqlx::query("SELECT cursor, memory FROM alert_memories WHERE server = $1")
            .bind(server.as_str())
            .fetch_optional(&mut *reader)
            .await?;
        let Some(found) = found else { return Ok(None) };
        let select = "SELECT alert, subject, state, notice, channel FROM alert_states
                      WHERE server = $1 ORDER BY alert, subject";
        let rows =
            sqlx::query(select).bind(server.as_str()).try_map(|row| row_of(&row)).fetch_all(&mut *reader).await?;
        Ok(Some(StoredAlerts { cursor: found.try_get("cursor")?, memory: found.try_get("memory")?, rows }))
    }

    /// The servers of which an alert is not at rest.
    pub async fn servers_with_alerts(&self) -> Result<Vec<ServerTag>, StoreError> {
        let tags = sqlx::query_scalar("SELECT DISTINCT server FROM alert_states ORDER BY server");
        let tags: Vec<String> = tags.fetch_all(&self.readers).await.map_err(|error| self.in_words(&error))?;
        Ok(tags.iter().filter_map(|tag| ServerTag::new(tag).ok()).collect())
    }

    /// Begins to judge what happens from now on, where nothing was ever judged.
    pub async fn begin_alerts(&self, server: &ServerTag) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR IGNORE INTO alert_memories (server, cursor, memory)
             VALUES ($1, (SELECT coalesce(max(id), 0) FROM happenings WHERE server = $1), '{}')",
        )
        .bind(server.as_str())
        .execute(&self.writer)
        .await
        .map(drop)
        .map_err(|error| self.in_words(&error))
    }

    /// Stores a step: states, cursor and notices, or nothing. Answers what told of the alerts whose messages can be
    /// edited later, by alert and subject.
    pub async fn commit_alerts(
        &self,
        commit: &AlertCommit,
    ) -> Result<BTreeMap<(String, String), PostedNotice>, StoreError> {
        let posted = self.write_alerts(commit).await.map_err(|error| self.in_words(&error))?;
        if !commit.notices.is_empty() {
            self.committed.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
        Ok(posted)
    }

    async fn write_alerts(&self, commit: &AlertCommit) -> sqlx::Result<BTreeMap<(String, String), PostedNotice>> {
        let mut tx = self.begin().await?;
        let mut posted = BTreeMap::new();
        for notice in &commit.notices {
            let key = (notice.alert.clone(), notice.subject.clone());
            let edited = match notice.role {
                NoticeRole::Ends(told) => told.or_else(|| posted.remove(&key)),
                NoticeRole::Grows(told) => Some(told),
                NoticeRole::Tells | NoticeRole::Reminds | NoticeRole::Passed => None,
            };
            if let Some(edited) = edited {
                drop_waiting_edits(&mut tx, edited, notice.notice.lane).await?;
            }
            let id = insert_alert(&mut tx, notice, edited, commit.at).await?;
            if notice.role == NoticeRole::Tells {
                posted.insert(key, PostedNotice { notice: id, channel: notice.notice.channel });
            }
        }
        let server = commit.server.as_str();
        sqlx::query("INSERT OR REPLACE INTO alert_memories (server, cursor, memory) VALUES ($1, $2, $3)")
            .bind(server)
            .bind(commit.alerts.cursor)
            .bind(&commit.alerts.memory)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM alert_states WHERE server = $1").bind(server).execute(&mut *tx).await?;
        for row in &commit.alerts.rows {
            let new = posted.get(&(row.alert.clone(), row.subject.clone())).copied();
            insert_state(&mut tx, server, row, new.or(row.posted)).await?;
        }
        tx.commit().await?;
        Ok(posted)
    }

    /// The events of `server` of which a notice in the alerts' lane is not delivered yet.
    pub async fn alerts_waiting(&self, server: &ServerTag) -> Result<BTreeSet<String>, StoreError> {
        let events: Vec<String> = sqlx::query_scalar(
            "SELECT event FROM outbox WHERE state = 'pending' AND server = $1 AND lane = $2
             UNION SELECT event FROM outbox WHERE state = 'assigned' AND server = $1 AND lane = $2",
        )
        .bind(server.as_str())
        .bind(Lane::Alert.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.in_words(&error))?;
        Ok(events.into_iter().collect())
    }

    /// When lines of any log were last read before the database was opened; `None` where none ever were.
    #[must_use]
    pub fn last_read_before(&self) -> Option<Timestamp> {
        self.last_read_before
    }

    /// When lines of the console log of `server` were last read. The other logs tell of no chat and no joins: that they
    /// go on says nothing of it.
    pub async fn last_read(&self, server: &ServerTag) -> Result<Option<Timestamp>, StoreError> {
        let query = "SELECT read_at FROM checkpoints WHERE server = $1 AND source = $2 AND read_at > 0";
        let read_at: Option<i64> = sqlx::query_scalar(query)
            .bind(server.as_str())
            .bind(LogSource::Console.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.in_words(&error))?;
        Ok(read_at.map(from_millis))
    }

    /// Until when alerts of `server` are silenced, by key; `*` is all of them. Those that are over are left out.
    pub async fn silences(
        &self,
        server: &ServerTag,
        now: Timestamp,
    ) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT alert, until_at FROM alert_silences WHERE server = $1 AND until_at > $2")
                .bind(server.as_str())
                .bind(to_millis(now))
                .fetch_all(&self.readers)
                .await
                .map_err(|error| self.in_words(&error))?;
        Ok(rows.into_iter().map(|(alert, until)| (alert, from_millis(until))).collect())
    }

    /// Silences an alert of `server`, or `*`, until then; `None` ends the silence.
    pub async fn silence(&self, server: &ServerTag, alert: &str, until: Option<Timestamp>) -> Result<(), StoreError> {
        let query = match until {
            Some(_) => "INSERT OR REPLACE INTO alert_silences (server, alert, until_at) VALUES ($1, $2, $3)",
            None => "DELETE FROM alert_silences WHERE server = $1 AND alert = $2 AND $3 IS NULL",
        };
        let query = sqlx::query(query).bind(server.as_str()).bind(alert).bind(until.map(to_millis));
        query.execute(&self.writer).await.map_err(|error| self.in_words(&error))?;
        self.silenced.send_modify(|changes| *changes = changes.wrapping_add(1));
        Ok(())
    }

    /// Changes with every silence that begins or is ended.
    #[must_use]
    pub fn silenced(&self) -> watch::Receiver<u64> {
        self.silenced.subscribe()
    }
}

/// In a message of its own, which holds only this row, so that it can be edited; one that has passed needs none. An edit goes where the message is that
/// it edits, in whatever channel alerts now are.
async fn insert_alert(
    tx: &mut SqliteConnection,
    alert: &AlertNotice,
    edited: Option<PostedNotice>,
    at: Timestamp,
) -> sqlx::Result<i64> {
    let notice = &alert.notice;
    let channel = edited.map_or(notice.channel, |edited| edited.channel);
    sqlx::query_scalar(
        "INSERT INTO outbox (server, channel, lane, event, content, plain, mentions, occurred_at, created_at,
                             group_limit, editable, edits)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
    )
    .bind(notice.server.as_str())
    .bind(channel.get().cast_signed())
    .bind(notice.lane.as_str())
    .bind(&*notice.event)
    .bind(&notice.content)
    .bind(&notice.plain)
    .bind(mentions_text(&notice.mentions))
    .bind(to_millis(notice.occurred_at))
    .bind(to_millis(at))
    .bind((alert.role != NoticeRole::Passed).then_some(1))
    .bind(alert.role == NoticeRole::Tells)
    .bind(edited.map(|edited| edited.notice))
    .fetch_one(tx)
    .await
}

/// Of edits of one message that wait for Discord, only the last is worth its request.
async fn drop_waiting_edits(tx: &mut SqliteConnection, edited: PostedNotice, lane: Lane) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM outbox WHERE state = 'pending' AND channel = $1 AND lane = $2 AND edits = $3")
        .bind(edited.channel.get().cast_signed())
        .bind(lane.as_str())
        .bind(edited.notice)
        .execute(tx)
        .await
        .map(drop)
}

async fn insert_state(
    tx: &mut SqliteConnection,
    server: &str,
    row: &AlertRow,
    posted: Option<PostedNotice>,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO alert_states (server, alert, subject, state, notice, channel) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(server)
    .bind(&row.alert)
    .bind(&row.subject)
    .bind(&row.state)
    .bind(posted.map(|posted| posted.notice))
    .bind(posted.map(|posted| posted.channel.get().cast_signed()))
    .execute(tx)
    .await
    .map(drop)
}

fn row_of(row: &SqliteRow) -> sqlx::Result<AlertRow> {
    let notice: Option<i64> = row.try_get("notice")?;
    let channel: Option<i64> = row.try_get("channel")?;
    let channel = channel.and_then(|id| ChannelId::new(id.cast_unsigned()));
    let posted = notice.zip(channel).map(|(notice, channel)| PostedNotice { notice, channel });
    let (alert, subject, state) = (row.try_get("alert")?, row.try_get("subject")?, row.try_get("state")?);
    Ok(AlertRow { alert, subject, state, posted })
}
