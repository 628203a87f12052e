-- Journal, totals: everything that was ever logged, summed up. One row a model and server.
CREATE TABLE IF NOT EXISTS series (
    model TEXT NOT NULL,
    server TEXT NOT NULL,
    sums TEXT NOT NULL,
    PRIMARY KEY (model, server)
) WITHOUT ROWID;

-- The last roll-up of each part of the log (`2026-11-21/0`) that is in the sums.
CREATE TABLE IF NOT EXISTS sources (
    source TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;

-- Log entries that were lost on their way.
CREATE TABLE IF NOT EXISTS lost (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    entries INTEGER NOT NULL
);
