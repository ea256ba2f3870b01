-- A notice whose message can be edited later, and one that edits the message of another.
ALTER TABLE outbox ADD COLUMN editable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN edits INTEGER;
-- The notice whose message this one replaces the text of.
ALTER TABLE messages ADD COLUMN edits INTEGER;

-- Where editable notices went. It outlives the outbox: an alert may last for days.
CREATE TABLE editable (
    notice    INTEGER PRIMARY KEY,
    -- Discord's id.
    message   INTEGER NOT NULL,
    posted_at INTEGER NOT NULL
) STRICT;

CREATE INDEX editable_posted ON editable (posted_at);

-- What the alert rules of a server have seen, and the last happening they have judged.
CREATE TABLE alert_memories (
    server TEXT    PRIMARY KEY,
    cursor INTEGER NOT NULL,
    memory TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Alerts that are not at rest. The subject is the player or the surface where an alert is about one.
CREATE TABLE alert_states (
    server  TEXT    NOT NULL,
    alert   TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    -- The notice that told of it, and where that went.
    notice  INTEGER,
    channel INTEGER,
    PRIMARY KEY (server, alert, subject)
) STRICT, WITHOUT ROWID;

-- Alerts that are not to be told for a time; `*` is all of a server's.
CREATE TABLE alert_silences (
    server   TEXT    NOT NULL,
    alert    TEXT    NOT NULL,
    until_at INTEGER NOT NULL,
    PRIMARY KEY (server, alert)
) STRICT, WITHOUT ROWID;
