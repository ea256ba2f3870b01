-- The server each member last named, for commands that name none.
CREATE TABLE preferences (
    guild  INTEGER NOT NULL,
    member INTEGER NOT NULL,
    server TEXT    NOT NULL,
    PRIMARY KEY (guild, member)
) STRICT, WITHOUT ROWID;

-- Players the game has named, to be suggested while it is away.
CREATE TABLE known_players (
    server  TEXT    NOT NULL,
    name    TEXT    NOT NULL COLLATE NOCASE,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (server, name)
) STRICT, WITHOUT ROWID;

-- What people did by slash commands, beyond asking.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    happened_at INTEGER NOT NULL,
    guild       INTEGER NOT NULL,
    channel     INTEGER NOT NULL,
    member      INTEGER NOT NULL,
    member_name TEXT    NOT NULL,
    server      TEXT    NOT NULL,
    -- With its options, as they were given.
    command     TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    -- The game's words, or why there are none.
    answer      TEXT    NOT NULL
) STRICT;

-- What is registered with Discord, so that it is sent again only when it has changed.
CREATE TABLE registrations (
    application INTEGER NOT NULL,
    guild       INTEGER NOT NULL,
    fingerprint TEXT    NOT NULL,
    PRIMARY KEY (application, guild)
) STRICT, WITHOUT ROWID;
