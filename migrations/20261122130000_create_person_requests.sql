-- A person, or a shop for all of its persons, asks to be erased or to see what is kept of them.
CREATE TABLE person_requests (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id   INTEGER NOT NULL UNIQUE REFERENCES webhooks (id),
    source       TEXT    NOT NULL,
    account      TEXT    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN ('erase', 'export', 'erase_shop')),
    key          TEXT,                              -- the identifier, else email:… or phone:…; NULL: the sender named nobody
    identifier   TEXT,
    email        TEXT,
    phone_number TEXT,
    received_at  INTEGER NOT NULL,
    due_at       INTEGER,                           -- when the sender wants it done; NULL: not known
    state        TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'ignored')),
    closed_at    INTEGER,
    closed_by    TEXT,
    CHECK ((state = 'open') = (closed_at IS NULL)),
    CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
    CHECK (due_at IS NULL OR due_at >= received_at)
) STRICT;

CREATE INDEX person_requests_open ON person_requests (due_at, id) WHERE state = 'open';
