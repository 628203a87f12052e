-- Directory: every organisation there is. Objects cannot be enumerated, so nothing is ever pruned here.
CREATE TABLE IF NOT EXISTS orgs (
    org TEXT PRIMARY KEY,
    enrolled_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- A row here means that the directory's own alarm stands in for the host's cron.
CREATE TABLE IF NOT EXISTS timekeeper (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    since_ms INTEGER NOT NULL
);
