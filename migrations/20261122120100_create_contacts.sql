-- A link from an external key to a contact in Chatwoot.
CREATE TABLE contacts (
    account       TEXT    NOT NULL,
    key           TEXT    NOT NULL,                 -- the identifier, else email:… or phone:…
    contact_id    INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('linked', 'conflict', 'gone')),
    origin        TEXT    NOT NULL CHECK (origin IN ('lookup', 'created', 'import', 'sync', 'webhook', 'hand')),
    first_seen_at INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    history       TEXT CHECK (history IS NULL OR json_valid(history)), -- former contact ids, and why they went
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX contacts_by_id ON contacts (contact_id);

-- What we last wrote to each field of a contact.
CREATE TABLE written (
    account      TEXT    NOT NULL,
    contact_id   INTEGER NOT NULL,
    field        TEXT    NOT NULL,
    effective_at INTEGER NOT NULL,                  -- with outbox_id: the order key of the value
    outbox_id    INTEGER NOT NULL,
    digest       BLOB,                              -- NULL: nothing known to stand
    policy       TEXT    NOT NULL CHECK (policy IN ('always', 'if_ours', 'if_empty')),
    in_doubt     INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)), -- a call with this field got no answer
    written_at   INTEGER NOT NULL,
    PRIMARY KEY (account, contact_id, field)
) STRICT, WITHOUT ROWID;

-- What a person must decide.
CREATE TABLE conflicts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    account     TEXT    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('field', 'link')),
    key         TEXT    NOT NULL,                   -- of the update that met it
    contact_id  INTEGER,
    field       TEXT,
    ours        TEXT CHECK (ours IS NULL OR json_valid(ours)),
    theirs      TEXT CHECK (theirs IS NULL OR json_valid(theirs)),
    holder      INTEGER,                            -- the contact that has the value
    digest      BLOB,                               -- of our value: it is not sent again until it changes
    code        TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    outbox_id   INTEGER,
    opened_at   INTEGER NOT NULL,
    resolved_at INTEGER,
    resolution  TEXT,
    resolved_by TEXT,
    CHECK ((kind = 'field') = (field IS NOT NULL)),
    CHECK (kind = 'link' OR contact_id IS NOT NULL),
    CHECK ((resolved_at IS NULL) = (resolution IS NULL))
) STRICT;

CREATE UNIQUE INDEX conflicts_open_field ON conflicts (account, contact_id, field) WHERE resolved_at IS NULL AND kind = 'field';
CREATE UNIQUE INDEX conflicts_open_link  ON conflicts (account, key) WHERE resolved_at IS NULL AND kind = 'link';
