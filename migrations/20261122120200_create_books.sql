-- Counters that the accepting and settling transactions keep, so that the tables can be held against them.
CREATE TABLE books (
    source  TEXT    NOT NULL,
    day     TEXT    NOT NULL,                       -- UTC, 2026-11-22
    counter TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (source, day, counter)
) STRICT, WITHOUT ROWID;

-- Refused requests by minute: no body, no secret; a flood adds to a count.
CREATE TABLE rejections (
    source TEXT    NOT NULL,                        -- '' where the URL named none of ours
    reason TEXT    NOT NULL,
    minute INTEGER NOT NULL,                        -- milliseconds, start of the minute
    count  INTEGER NOT NULL,
    PRIMARY KEY (minute, source, reason)
) STRICT, WITHOUT ROWID;

-- What must be remembered of a configured account.
CREATE TABLE accounts (
    name          TEXT    PRIMARY KEY,
    base_url      TEXT    NOT NULL,
    account_id    INTEGER NOT NULL,
    paused_at     INTEGER,
    paused_by     TEXT CHECK (paused_by IN ('fault', 'hand')),
    pause_code    TEXT,
    pause_reason  TEXT,
    probe_at      INTEGER,                          -- when a paused account is tried next
    probes        INTEGER NOT NULL DEFAULT 0,
    hold_until    INTEGER NOT NULL DEFAULT 0,       -- rate limited by the server until then
    CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    CHECK ((paused_at IS NULL) = (pause_reason IS NULL))
) STRICT, WITHOUT ROWID;
