-- Chat may be held back for a while, in case its author deletes it: the earliest time at which it is said.
ALTER TABLE inbound ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;

-- The program knows the marks; a list here had to be rebuilt for each new one.
CREATE TABLE inbound_marks_new (
    channel INTEGER NOT NULL,
    message INTEGER NOT NULL,
    mark    TEXT    NOT NULL,
    wanted  INTEGER NOT NULL,
    shown   INTEGER NOT NULL DEFAULT 0,
    set_at  INTEGER NOT NULL,
    PRIMARY KEY (message, mark)
) STRICT, WITHOUT ROWID;
INSERT INTO inbound_marks_new SELECT channel, message, mark, wanted, shown, set_at FROM inbound_marks;
DROP TABLE inbound_marks;
ALTER TABLE inbound_marks_new RENAME TO inbound_marks;
CREATE INDEX inbound_marks_open ON inbound_marks (set_at) WHERE wanted <> shown;
