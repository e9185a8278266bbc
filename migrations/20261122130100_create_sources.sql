-- What must be remembered of a configured source.
CREATE TABLE sources (
    name      TEXT    PRIMARY KEY,
    paused_at INTEGER,                              -- its updates wait since then; its webhooks are stored
    paused_by TEXT,
    CHECK ((paused_at IS NULL) = (paused_by IS NULL))
) STRICT, WITHOUT ROWID;
