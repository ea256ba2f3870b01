//! What the sessions come to: a player's record, and who played most.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::company::{Company, Stay};
use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::ServerTag;

/// How many companions a record names.
const COMPANIONS: usize = 5;

/// How far back companions are looked for.
const COMPANIONS_FOR: Duration = Duration::from_hours(90 * 24);

/// Names suggested at once: more than Discord shows.
const MOST_NAMES: i64 = 500;

/// The sessions on the servers of the JSON list `$1`, as they count at `$2`: from `begin` to `finish`. A session that
/// lasts counts up to the last evidence where the game can be asked, else up to now.
const COUNTED: &str = "counted AS (
    SELECT server, player, started_at, joined_to, ended_at, coalesce(joined_to, started_at) AS begin,
           coalesce(ended_at, CASE WHEN answered_at IS NULL THEN max($2, seen_at) ELSE seen_at END) AS finish
    FROM sessions LEFT JOIN run_evidence USING (server) WHERE server IN (SELECT value FROM json_each($1)))";

/// What is known of a player, on some servers together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayerRecord {
    /// As the game last wrote it.
    pub name: String,
    /// The beginning of the first session.
    pub first_seen: Timestamp,
    /// The end of the last session, or the last evidence while it lasts.
    pub last_seen: Timestamp,
    /// All sessions together.
    pub play_time: Duration,
    /// How many there were.
    pub sessions: u64,
    /// Where the player is now.
    pub online: Vec<ServerTag>,
    /// How often the player died; `None` where nothing ever told of a death.
    pub deaths: Option<u64>,
    /// Who was there at the same time in the last 90 days, and how long, the longest first; at most 5.
    pub companions: Vec<PlayTime>,
}

/// A player, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayTime {
    /// The name.
    pub player: String,
    /// For how long.
    pub time: Duration,
}

impl Store {
    /// The record of `player` on `servers`; `None` where there is no session. Names are found in any case.
    pub async fn player_record(
        &self,
        servers: &[ServerTag],
        player: &str,
        now: Timestamp,
    ) -> Result<Option<PlayerRecord>, StoreError> {
        let work = async {
            let mut reader = self.readers.acquire().await?;
            read_record(&mut reader, (&list(servers), to_millis(now), player)).await
        };
        work.await.map_err(|error| self.in_words(&error))
    }

    /// Who played most on `servers` from `from` to `now`, the longest first, at most `limit`.
    pub async fn most_played(
        &self,
        servers: &[ServerTag],
        from: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<PlayTime>, StoreError> {
        // Beside one max(), SQLite takes the other columns from its row: the name as it was written last.
        let query = format!(
            "WITH {COUNTED} SELECT player, max(finish), sum(finish - max(begin, $3)) AS time FROM counted
             WHERE finish > $3 AND (ended_at IS NULL OR ended_at > $3)
             GROUP BY counted.player HAVING time > 0 ORDER BY time DESC, player LIMIT $4"
        );
        sqlx::query(AssertSqlSafe(query))
            .bind(list(servers))
            .bind(to_millis(now))
            .bind(to_millis(from))
            .bind(limit)
            .try_map(|row| play_time_of(&row))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.in_words(&error))
    }

    /// The names of those who have a session on `servers`, the last seen first, at most 500.
    pub async fn recorded_players(&self, servers: &[ServerTag]) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT player FROM sessions WHERE server IN (SELECT value FROM json_each($1))
             GROUP BY player ORDER BY max(seen_at) DESC, player LIMIT $2",
        )
        .bind(list(servers))
        .bind(MOST_NAMES)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.in_words(&error))
    }
}

/// As JSON. A tag has no character that needs escaping.
fn list(servers: &[ServerTag]) -> String {
    let tags: Vec<String> = servers.iter().map(|tag| format!("\"{tag}\"")).collect();
    format!("[{}]", tags.join(","))
}

type Asked<'a> = (&'a str, i64, &'a str);

async fn read_record(
    connection: &mut SqliteConnection,
    asked @ (servers, now, player): Asked<'_>,
) -> sqlx::Result<Option<PlayerRecord>> {
    let query = format!(
        "WITH {COUNTED} SELECT (SELECT player FROM counted WHERE player = $3 ORDER BY started_at DESC LIMIT 1) AS player,
                min(started_at) AS first, max(finish) AS last, sum(finish - begin) AS time,
                sum(joined_to IS NULL) AS sessions FROM counted WHERE player = $3"
    );
    let row =
        sqlx::query(AssertSqlSafe(query)).bind(servers).bind(now).bind(player).fetch_one(&mut *connection).await?;
    let Some(name) = row.try_get::<Option<String>, _>("player")? else { return Ok(None) };
    let online = "SELECT server FROM sessions WHERE player = $2 AND ended_at IS NULL
                  AND server IN (SELECT value FROM json_each($1)) ORDER BY server";
    let online: Vec<String> = sqlx::query_scalar(online).bind(servers).bind(player).fetch_all(&mut *connection).await?;
    Ok(Some(PlayerRecord {
        name,
        first_seen: from_millis(row.try_get("first")?),
        last_seen: from_millis(row.try_get("last")?),
        play_time: duration(row.try_get("time")?),
        sessions: row.try_get::<i64, _>("sessions")?.cast_unsigned(),
        online: online.iter().filter_map(|tag| ServerTag::new(tag).ok()).collect(),
        deaths: deaths(&mut *connection, servers, player).await?,
        companions: companions(&mut *connection, asked).await?,
    }))
}

async fn deaths(connection: &mut SqliteConnection, servers: &str, player: &str) -> sqlx::Result<Option<u64>> {
    let known = "SELECT EXISTS (SELECT 1 FROM happenings WHERE player IS NOT NULL AND kind = 'death'
                 AND server IN (SELECT value FROM json_each($1)))";
    if !sqlx::query_scalar::<_, bool>(known).bind(servers).fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    let query = "SELECT count(*) FROM happenings WHERE player = $2 COLLATE NOCASE AND kind = 'death'
                 AND server IN (SELECT value FROM json_each($1))";
    let deaths: i64 = sqlx::query_scalar(query).bind(servers).bind(player).fetch_one(connection).await?;
    Ok(Some(deaths.cast_unsigned()))
}

async fn companions(
    connection: &mut SqliteConnection,
    (servers, now, player): Asked<'_>,
) -> sqlx::Result<Vec<PlayTime>> {
    let from = from_millis(now).saturating_sub(COMPANIONS_FOR).map_or(0, to_millis);
    let recent = |whose: &str| {
        format!(
            "WITH {COUNTED} SELECT server, player, max(begin, $4) AS begin, finish FROM counted
             WHERE {whose} AND finish > $4 AND (ended_at IS NULL OR ended_at > $4)"
        )
    };
    let bound = |query| sqlx::query(AssertSqlSafe(query)).bind(servers).bind(now).bind(player).bind(from);
    let own = bound(recent("player = $3")).fetch_all(&mut *connection).await?;
    let own: sqlx::Result<Vec<_>> = own.iter().map(|row| Ok((row.try_get("server")?, stay_of(row)?))).collect();
    let mut company = Company::of(own?);
    let mut others = bound(recent("player <> $3")).fetch(connection);
    while let Some(row) = others.try_next().await? {
        company.meet(row.try_get("server")?, row.try_get("player")?, stay_of(&row)?);
    }
    Ok(company.longest(COMPANIONS))
}

fn stay_of(row: &SqliteRow) -> sqlx::Result<Stay> {
    Ok((row.try_get("begin")?, row.try_get("finish")?))
}

fn play_time_of(row: &SqliteRow) -> sqlx::Result<PlayTime> {
    Ok(PlayTime { player: row.try_get("player")?, time: duration(row.try_get("time")?) })
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
