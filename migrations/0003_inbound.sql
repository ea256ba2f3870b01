-- Whom a notice or a message may ping: JSON, or NULL for nobody.
ALTER TABLE outbox ADD COLUMN mentions TEXT;
ALTER TABLE messages ADD COLUMN mentions TEXT;

-- Chat on its way into the games: a row for each game a message is said in.
CREATE TABLE inbound (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    server      TEXT    NOT NULL,
    -- Where it came from in Discord; NULL where it came from another game.
    channel     INTEGER,
    message     INTEGER,
    -- 0, or when the message was edited.
    revision    INTEGER NOT NULL,
    -- The lines, with a line end between them, and how many of them have been said.
    lines       TEXT    NOT NULL,
    said        INTEGER NOT NULL DEFAULT 0,
    written_at  INTEGER NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'said', 'expired', 'withdrawn')),
    finished_at INTEGER
) STRICT;

CREATE UNIQUE INDEX inbound_once ON inbound (message, server, revision) WHERE message IS NOT NULL;
CREATE INDEX inbound_pending ON inbound (server, id) WHERE state = 'pending';
CREATE INDEX inbound_finished ON inbound (finished_at) WHERE state <> 'pending';

-- The last message of each channel that was taken in: what came later is asked for after a gap.
CREATE TABLE inbound_seen (
    channel INTEGER PRIMARY KEY,
    message INTEGER NOT NULL
) STRICT;

-- The reactions below messages, as they should be and as they are.
CREATE TABLE inbound_marks (
    channel INTEGER NOT NULL,
    message INTEGER NOT NULL,
    mark    TEXT    NOT NULL CHECK (mark IN ('waiting', 'failed', 'flood')),
    wanted  INTEGER NOT NULL,
    shown   INTEGER NOT NULL DEFAULT 0,
    set_at  INTEGER NOT NULL,
    PRIMARY KEY (message, mark)
) STRICT, WITHOUT ROWID;

CREATE INDEX inbound_marks_open ON inbound_marks (set_at) WHERE wanted <> shown;
