-- How often the answer to the line in turn was cut off, and of how many lines nobody knows whether the game heard them.
ALTER TABLE inbound ADD COLUMN cuts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbound ADD COLUMN in_doubt INTEGER NOT NULL DEFAULT 0;

-- The same, with the mark 'doubt'.
CREATE TABLE inbound_marks_new (
    channel INTEGER NOT NULL,
    message INTEGER NOT NULL,
    mark    TEXT    NOT NULL CHECK (mark IN ('waiting', 'failed', 'doubt', 'flood')),
    wanted  INTEGER NOT NULL,
    shown   INTEGER NOT NULL DEFAULT 0,
    set_at  INTEGER NOT NULL,
    PRIMARY KEY (message, mark)
) STRICT, WITHOUT ROWID;
INSERT INTO inbound_marks_new SELECT channel, message, mark, wanted, shown, set_at FROM inbound_marks;
DROP TABLE inbound_marks;
ALTER TABLE inbound_marks_new RENAME TO inbound_marks;
CREATE INDEX inbound_marks_open ON inbound_marks (set_at) WHERE wanted <> shown;
