-- Account: one account at a vendor of GPUs. Documents are JSON, so that a release can add fields without
-- touching the table. All of it lives in memory as well and is written through.

-- What the registry says, the sealed credential, counters, the vendor's moods. Outlives a removal, so that a
-- late message does not connect it again.
CREATE TABLE IF NOT EXISTS account (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    record TEXT NOT NULL
);

-- One attempt to rent, `{instance}/{attempt}`, until a week after it is over.
CREATE TABLE IF NOT EXISTS attempts (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- One call that the vendor must get. It is marked as sent in the turn that sends it, so whatever is evicted,
-- a call that may have left is known.
CREATE TABLE IF NOT EXISTS calls (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- One machine with a marker of ours that no attempt owns, by the vendor's id, until a week after it is gone.
CREATE TABLE IF NOT EXISTS strays (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- When each region was last listed to its end.
CREATE TABLE IF NOT EXISTS regions (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- The sweep that is running: what is left to list, and where the current list is.
CREATE TABLE IF NOT EXISTS sweep (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    record TEXT NOT NULL
);

-- What the vendor told by itself in the last week, to know it again.
CREATE TABLE IF NOT EXISTS hints (
    event_id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
