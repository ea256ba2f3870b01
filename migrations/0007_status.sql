-- The status messages: one for each server, and those in channels that are no longer the server's, until they are deleted.
CREATE TABLE status_messages (
    server       TEXT    NOT NULL,
    channel      INTEGER NOT NULL,
    -- NULL while it is not known whether it was posted.
    message      INTEGER,
    -- Goes with every attempt to post it.
    nonce        TEXT    NOT NULL,
    attempted_at INTEGER NOT NULL,
    PRIMARY KEY (server, channel)
) STRICT, WITHOUT ROWID;

-- When a channel's topic and name were last changed, or tried to, and what they were last changed to.
CREATE TABLE channel_edits (
    channel   INTEGER PRIMARY KEY,
    edited_at INTEGER NOT NULL,
    topic     TEXT,
    name      TEXT
) STRICT;
