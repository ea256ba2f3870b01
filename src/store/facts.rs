//! What is known of each game from single lines and answers: written in the transaction that stores the lines.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection};

use super::{Store, StoreError, from_millis, to_millis};
use crate::domain::{EventKind, Happening, ServerTag};

/// What lines and answers told of a game, which is so until another line says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GameFacts {
    /// When its run began, by the log; `None` where that is not known or it has ended.
    pub started_at: Option<Timestamp>,
    /// When the first Lua ran that is known of.
    pub lua_at: Option<Timestamp>,
    /// How old the map was at least when that ran; `None` until it is known.
    pub lua_age: Option<Duration>,
    /// What is researched, where a mod tells: its internal name.
    pub technology: Option<String>,
    /// Whether anybody was ever known to be in the game.
    pub had_players: bool,
}

impl Store {
    /// What is known of `server`.
    pub async fn game_facts(&self, server: &ServerTag) -> Result<GameFacts, StoreError> {
        let query = "SELECT started_at, lua_at, lua_age, technology,
                            EXISTS (SELECT 1 FROM sessions WHERE server = $1) AS had_players
                     FROM (SELECT $1 AS server) LEFT JOIN game_facts USING (server)";
        sqlx::query(query)
            .bind(server.as_str())
            .try_map(|row| facts_of(&row))
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.in_words(&error))
    }

    /// Remembers that Lua ran in the game at `at`, where none is known to have run before.
    pub async fn lua_ran(&self, server: &ServerTag, at: Timestamp) -> Result<(), StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            remember(&mut tx, server, &Fact::Lua(at)).await?;
            tx.commit().await
        };
        work.await.map_err(|error| self.in_words(&error))
    }

    /// Remembers that the map was at least so old when Lua ran at `lua_at`, if that is still the first; what is not whole
    /// seconds is cut off.
    pub async fn lua_ran_at_age(&self, server: &ServerTag, lua_at: Timestamp, age: Duration) -> Result<(), StoreError> {
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let query =
            sqlx::query("UPDATE game_facts SET lua_age = $3 WHERE server = $1 AND lua_at = $2 AND lua_age IS NULL");
        self.change_facts(query.bind(server.as_str()).bind(to_millis(lua_at)).bind(seconds)).await
    }

    /// Forgets the Lua of the runs before: it ran in another map than the one of this run.
    pub async fn lua_was_in_another_map(&self, server: &ServerTag) -> Result<(), StoreError> {
        let query = "UPDATE game_facts SET lua_age = NULL,
                         lua_at = (SELECT min(happened_at) FROM happenings
                                   WHERE server = $1 AND kind = $2 AND happened_at >= started_at)
                     WHERE server = $1 AND lua_at < started_at";
        self.change_facts(sqlx::query(query).bind(server.as_str()).bind(EventKind::Command.as_str())).await
    }

    async fn change_facts(&self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<(), StoreError> {
        let work = async {
            let mut tx = self.begin().await?;
            query.execute(&mut *tx).await?;
            tx.commit().await
        };
        work.await.map_err(|error| self.in_words(&error))
    }
}

fn facts_of(row: &SqliteRow) -> sqlx::Result<GameFacts> {
    let time = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(from_millis));
    Ok(GameFacts {
        started_at: time("started_at")?,
        lua_at: time("lua_at")?,
        lua_age: row.try_get::<Option<i64>, _>("lua_age")?.map(|age| Duration::from_secs(age.unsigned_abs())),
        technology: row.try_get("technology")?,
        had_players: row.try_get("had_players")?,
    })
}

/// One thing to remember.
enum Fact<'a> {
    Run(Option<Timestamp>),
    /// By the engine's log, which may be read behind the start of the next run.
    Crash(Timestamp),
    Lua(Timestamp),
    Research(Option<&'a str>),
}

impl<'a> Fact<'a> {
    fn of(happening: &'a Happening) -> Option<Self> {
        match happening.kind {
            EventKind::ServerOnline | EventKind::ServerCrashed => Some(Self::Run(Some(happening.at))),
            EventKind::ServerOffline => Some(Self::Run(None)),
            EventKind::Crash => Some(Self::Crash(happening.at)),
            EventKind::Command => Some(Self::Lua(happening.at)),
            EventKind::ResearchStarted => Some(Self::Research(happening.detail.as_deref())),
            EventKind::ResearchFinished => Some(Self::Research(None)),
            _ => None,
        }
    }
}

/// Remembers what the happenings tell, in order.
pub(super) async fn remember_facts(
    tx: &mut SqliteConnection,
    happenings: impl Iterator<Item = &Happening>,
) -> sqlx::Result<()> {
    for happening in happenings {
        if let Some(fact) = Fact::of(happening) {
            remember(&mut *tx, &happening.server, &fact).await?;
        }
    }
    Ok(())
}

async fn remember(tx: &mut SqliteConnection, server: &ServerTag, fact: &Fact<'_>) -> sqlx::Result<()> {
    let (column, value) = match fact {
        Fact::Run(_) => ("started_at", "excluded.started_at"),
        Fact::Crash(_) => ("started_at", "CASE WHEN started_at > $3 THEN started_at END"),
        // The age is that of the first.
        Fact::Lua(_) => (
            "lua_at",
            "min(coalesce(lua_at, excluded.lua_at), excluded.lua_at),
             lua_age = CASE WHEN lua_at <= excluded.lua_at THEN lua_age END",
        ),
        Fact::Research(_) => ("technology", "excluded.technology"),
    };
    let query = AssertSqlSafe(format!(
        "INSERT INTO game_facts (server, {column}) VALUES ($1, $2) ON CONFLICT (server) DO UPDATE SET {column} = {value}"
    ));
    let query = sqlx::query(query).bind(server.as_str());
    let query = match fact {
        Fact::Run(at) => query.bind(at.map(to_millis)),
        Fact::Crash(at) => query.bind(None::<i64>).bind(to_millis(*at)),
        Fact::Lua(at) => query.bind(to_millis(*at)),
        Fact::Research(technology) => query.bind(*technology),
    };
    query.execute(tx).await.map(drop)
}
