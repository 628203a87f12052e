-- Journal, request log: what isolates sent, one row a batch, in the order of arrival. `entries` is JSON and
-- comes last, so that a search reads none of it where the times do not fit.
CREATE TABLE IF NOT EXISTS batches (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    entries TEXT NOT NULL
);

-- Which of them are in the totals, and how many roll-ups were sent.
CREATE TABLE IF NOT EXISTS rolled (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    until_seq INTEGER NOT NULL,
    number INTEGER NOT NULL
);
