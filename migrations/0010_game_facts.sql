-- What lines and answers told of each game, which is so until another line says otherwise.
CREATE TABLE game_facts (
    server     TEXT    PRIMARY KEY,
    -- When its run began; NULL where that is not known, or the run ended in order or by a crash.
    started_at INTEGER,
    -- When the first Lua ran that is known of.
    lua_at     INTEGER,
    -- What is researched, where a mod tells.
    technology TEXT
) STRICT, WITHOUT ROWID;

INSERT INTO game_facts (server, started_at, lua_at)
SELECT server, CASE WHEN ended IS NULL OR ended < started THEN started END, lua FROM (
    SELECT server, max(CASE WHEN kind IN ('server_online', 'server_crashed') THEN happened_at END) AS started,
           max(CASE WHEN kind IN ('server_offline', 'crash') THEN happened_at END) AS ended,
           min(CASE WHEN kind = 'command' THEN happened_at END) AS lua
    FROM happenings GROUP BY server);

-- Whether anybody was ever seen on a server.
CREATE INDEX sessions_of_server ON sessions (server, started_at);

-- When a channel's topic was tried to be changed before the last time: Discord counts failures as well.
ALTER TABLE channel_edits ADD COLUMN before_at INTEGER;
