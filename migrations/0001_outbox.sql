-- Times are Unix milliseconds, UTC. Unsigned 64-bit values are stored with the same bits, signed.

-- One row: what makes this database's nonces different from every other's.
CREATE TABLE instance (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    nonce_seed INTEGER NOT NULL
) STRICT;

-- How far each log has been read. A log without a row stands at its very beginning.
CREATE TABLE checkpoints (
    server     TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    device     INTEGER NOT NULL,
    inode      INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    head_len   INTEGER NOT NULL,
    head_hash  INTEGER NOT NULL,
    tail_len   INTEGER NOT NULL,
    tail_hash  INTEGER NOT NULL,
    -- Nanoseconds since 1970, by the clock of the log's file system.
    seen_at    INTEGER NOT NULL,
    -- What the parser remembers across lines.
    state      TEXT    NOT NULL,
    read_at    INTEGER NOT NULL,
    PRIMARY KEY (server, source)
) STRICT, WITHOUT ROWID;

-- One row per notice.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    server      TEXT    NOT NULL,
    channel     INTEGER NOT NULL,
    lane        TEXT    NOT NULL CHECK (lane IN ('alert', 'chat')),
    event       TEXT    NOT NULL,
    content     TEXT    NOT NULL,
    plain       TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'assigned', 'delivered', 'dead')),
    -- The message it went into, or goes into now.
    message     INTEGER,
    -- At most this many rows in its next message: a larger one was refused.
    group_limit INTEGER,
    finished_at INTEGER,
    -- Why it is dead.
    reason      TEXT
) STRICT;

CREATE INDEX outbox_pending ON outbox (channel, lane, id, created_at) WHERE state = 'pending';
CREATE INDEX outbox_assigned ON outbox (message, id, lane, created_at) WHERE state = 'assigned';
CREATE INDEX outbox_delivered ON outbox (finished_at) WHERE state = 'delivered';
CREATE INDEX outbox_dead ON outbox (finished_at) WHERE state = 'dead';

-- One row per message, stored before it is first sent. Its nonce is derived from the seed and its id.
CREATE TABLE messages (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    channel          INTEGER NOT NULL,
    lane             TEXT    NOT NULL CHECK (lane IN ('alert', 'chat')),
    content          TEXT    NOT NULL,
    -- Where there is one, the plain text of the rows goes along as a file.
    filename         TEXT,
    row_count        INTEGER NOT NULL,
    state            TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'delivered', 'refused')),
    attempts         INTEGER NOT NULL DEFAULT 0,
    -- The first attempt that may have arrived.
    first_attempt_at INTEGER NOT NULL,
    last_error       TEXT,
    discord_id       INTEGER,
    finished_at      INTEGER
) STRICT;

CREATE INDEX messages_open ON messages (channel, lane, id) WHERE state = 'open';
CREATE INDEX messages_finished ON messages (finished_at) WHERE state <> 'open';
