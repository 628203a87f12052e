-- Directory: every organisation and every account there is. Objects cannot be enumerated, so nothing is ever pruned here.
CREATE TABLE IF NOT EXISTS orgs (
    org TEXT PRIMARY KEY,
    enrolled_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- A row here means that the directory's own alarm stands in for the host's cron.
CREATE TABLE IF NOT EXISTS timekeeper (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    since_ms INTEGER NOT NULL
);

-- One account at a vendor of GPUs, from the moment it is connected until nothing of it can be alive any more.
-- Nothing else removes a row: an account that nobody pokes is one whose machines nobody looks for.
CREATE TABLE IF NOT EXISTS accounts (
    org TEXT NOT NULL,
    account TEXT NOT NULL,
    enrolled_at_ms INTEGER NOT NULL,
    swept_at_ms INTEGER,
    PRIMARY KEY (org, account)
) WITHOUT ROWID;
