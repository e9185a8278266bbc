-- One accepted request. The body goes after `retention.bodies`; the row stays for the audit.
CREATE TABLE webhooks (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    source           TEXT    NOT NULL,
    topic            TEXT,
    event_id         TEXT,                          -- NULL: the sender has none; the body's digest stands in
    once_key         INTEGER UNIQUE,                -- digest of source, topic and event id; NULL once it no longer counts
    first_webhook_id INTEGER,                       -- the earlier webhook of the same event, where the bodies differ
    received_at      INTEGER NOT NULL,
    content_type     TEXT,
    method           TEXT    NOT NULL,
    query            TEXT    NOT NULL DEFAULT '',   -- without the parameter that carries a secret
    headers          TEXT    NOT NULL CHECK (json_valid(headers)), -- those worth keeping; none that carries a secret
    body             BLOB,                          -- raw bytes; NULL once pruned or erased
    body_size        INTEGER NOT NULL,
    body_digest      BLOB    NOT NULL CHECK (length(body_digest) = 16), -- first half of SHA-256
    signed_at        INTEGER,                       -- the time that the sender signed
    secret           INTEGER,                       -- which configured secret matched, counted from 0
    outcome          TEXT    NOT NULL CHECK (outcome IN ('mapped', 'ignored', 'unmappable')),
    reason           TEXT,
    left_out         TEXT CHECK (left_out IS NULL OR json_valid(left_out)), -- elements that gave no update, and why
    CHECK ((outcome = 'mapped') = (reason IS NULL))
) STRICT;

CREATE INDEX webhooks_source ON webhooks (source, id);

-- The unit of order, retry and leasing: one contact with open work.
CREATE TABLE lanes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account      TEXT    NOT NULL,
    key          TEXT    NOT NULL,                  -- contact:ID once the contact is known, else the key of its updates
    contact_id   INTEGER,
    due_at       INTEGER,                           -- NULL: nothing to do until something happens
    held         TEXT,                              -- why the lane waits for a person
    lease        INTEGER NOT NULL DEFAULT 0,        -- counts leases; fences every change made under one
    owner        TEXT,                              -- the instance that holds the lease
    leased_until INTEGER,
    begun_at     INTEGER NOT NULL DEFAULT 0,        -- when the last call was begun
    quiet_until  INTEGER NOT NULL DEFAULT 0,        -- no call before: one without an answer may still be at work
    failures     INTEGER NOT NULL DEFAULT 0,        -- failed calls in a row
    singly       INTEGER NOT NULL DEFAULT 0 CHECK (singly IN (0, 1)), -- rows go one by one, oldest first
    UNIQUE (account, key),
    CHECK (contact_id IS NULL OR key = 'contact:' || contact_id),
    CHECK ((owner IS NULL) = (leased_until IS NULL)),
    CHECK (held IS NULL OR due_at IS NULL)
) STRICT;

CREATE INDEX lanes_due    ON lanes (account, due_at) WHERE due_at IS NOT NULL AND owner IS NULL;
CREATE INDEX lanes_leased ON lanes (leased_until)    WHERE owner IS NOT NULL;

-- One contact update.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id   INTEGER NOT NULL REFERENCES webhooks (id),
    element      INTEGER NOT NULL,                  -- which element of the body, counted from 0
    run          INTEGER NOT NULL,                  -- 0: mapped on arrival; replays count up
    source       TEXT    NOT NULL,
    account      TEXT    NOT NULL,
    key          TEXT    NOT NULL,                  -- the identifier, else email:… or phone:…
    identifier   TEXT,
    email        TEXT,
    phone_number TEXT,
    changes      TEXT    NOT NULL CHECK (json_valid(changes)),  -- as Chatwoot's JSON has them
    policies     TEXT CHECK (policies IS NULL OR json_valid(policies)), -- by field, where not `always`
    dropped      TEXT CHECK (dropped IS NULL OR json_valid(dropped)),   -- values left out by mapping, and why
    occurred_at  INTEGER,
    effective_at INTEGER NOT NULL,                  -- with id: the order key
    created_at   INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'leased', 'waiting', 'conflict',
                     'delivered', 'unchanged', 'superseded', 'no_contact', 'dead', 'discarded', 'erased')),
    lane_id      INTEGER REFERENCES lanes (id),     -- while the row is open
    contact_id   INTEGER,
    outcomes     TEXT CHECK (outcomes IS NULL OR json_valid(outcomes)), -- by field
    reason_code  TEXT,
    reason       TEXT,
    failures     INTEGER NOT NULL DEFAULT 0,        -- those that count towards giving up
    settled_at   INTEGER,
    UNIQUE (webhook_id, element, run),
    CHECK ((state IN ('pending', 'leased', 'waiting', 'conflict')) = (lane_id IS NOT NULL)),
    CHECK ((lane_id IS NULL) = (settled_at IS NOT NULL)),
    CHECK (state NOT IN ('waiting', 'conflict', 'no_contact', 'dead', 'discarded') OR reason_code IS NOT NULL)
) STRICT;

CREATE INDEX outbox_lane       ON outbox (lane_id, effective_at, id) WHERE lane_id IS NOT NULL;
CREATE INDEX outbox_attention  ON outbox (state, id) WHERE state IN ('waiting', 'conflict', 'dead');
CREATE INDEX outbox_identifier ON outbox (identifier, id) WHERE identifier IS NOT NULL;
CREATE INDEX outbox_local_key  ON outbox (key, id) WHERE identifier IS NULL;

-- One call.
CREATE TABLE attempts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    TEXT    NOT NULL,
    lane_id    INTEGER NOT NULL,                    -- the lane may be gone by now
    contact_id INTEGER,
    method     TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    begun_at   INTEGER NOT NULL,
    ended_at   INTEGER,
    status     INTEGER,
    verdict    TEXT    NOT NULL CHECK (verdict IN ('unknown', 'delivered', 'answered', 'retry', 'pause', 'conflict', 'gone', 'dead')),
    code       TEXT,                                -- the failure's name
    request_id TEXT,
    sent       TEXT CHECK (sent IS NULL OR json_valid(sent)),           -- the fields of the call
    not_taken  TEXT CHECK (not_taken IS NULL OR json_valid(not_taken)), -- those that the echo shows otherwise
    answer     TEXT,                                -- up to 4 KiB, when it was not 2xx
    CHECK (ended_at IS NOT NULL OR verdict = 'unknown')
) STRICT;

CREATE TABLE attempt_rows (
    outbox_id  INTEGER NOT NULL REFERENCES outbox (id),
    attempt_id INTEGER NOT NULL REFERENCES attempts (id),
    PRIMARY KEY (outbox_id, attempt_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_rows_attempt ON attempt_rows (attempt_id);
