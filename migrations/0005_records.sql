-- Who was in which game from when to when; the rules are in src/domain/sessions.
CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    server     TEXT    NOT NULL,
    player     TEXT    NOT NULL COLLATE NOCASE,
    started_at INTEGER NOT NULL,
    -- How the beginning is known: join, sample.
    start      TEXT    NOT NULL,
    -- The end of the piece before, where this one goes on with it.
    joined_to  INTEGER,
    -- The last evidence that the player was there.
    seen_at    INTEGER NOT NULL,
    -- NULL while it lasts.
    ended_at   INTEGER,
    -- How the end is known: leave, kick, link_lost ...
    ended_by   TEXT,
    gone_by    INTEGER,
    -- Whether no line that is still to be read can change it.
    settled    INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_of_player ON sessions (player, server, started_at);
CREATE INDEX sessions_unsettled ON sessions (server) WHERE settled = 0;
CREATE INDEX sessions_ended ON sessions (ended_at);

-- What is known of each game's run.
CREATE TABLE run_evidence (
    server      TEXT    PRIMARY KEY,
    lost_at     INTEGER,
    alive_at    INTEGER,
    answered_at INTEGER
) STRICT, WITHOUT ROWID;

-- How each game was, at one time (step 0) or over a step of 300 or 3600 seconds that begins at the time.
CREATE TABLE history (
    server      TEXT    NOT NULL,
    step        INTEGER NOT NULL CHECK (step IN (0, 300, 3600)),
    at          INTEGER NOT NULL,
    -- Samples in it.
    samples     INTEGER NOT NULL,
    -- NULL where the game did not say.
    players     REAL,
    players_min INTEGER,
    players_max INTEGER,
    ups         REAL,
    ups_min     REAL,
    -- The highest of all surfaces.
    evolution   REAL,
    PRIMARY KEY (server, step, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX happenings_by_age ON happenings (happened_at) WHERE kind <> 'death';
CREATE INDEX happenings_of_player ON happenings (player COLLATE NOCASE, kind) WHERE player IS NOT NULL;
