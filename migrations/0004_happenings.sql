-- What happened in the games, relayed or not: sessions, history and alerts are made of it.
CREATE TABLE happenings (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    server      TEXT    NOT NULL,
    -- The event's key.
    kind        TEXT    NOT NULL,
    player      TEXT,
    detail      TEXT,
    happened_at INTEGER NOT NULL,
    read_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX happenings_of_server ON happenings (server, id);
