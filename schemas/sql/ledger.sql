-- Ledger: an organisation's money. Sums are micro-dollars.

-- One cost window, for ever: the last statement, what is advanced, what was posted of it (JSON, last, so that
-- a scan reads none of it where the times do not fit). `matters_until_ms` is NULL while it is open. A month
-- after it, the window counts in sums only, by `project` (empty: none) and `microusd`, what it cost.
CREATE TABLE IF NOT EXISTS windows (
    window TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    matters_until_ms INTEGER,
    microusd INTEGER NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- The books: the same sum out of one account and into another. Rows are added and, after 400 days, summed
-- up in `opening`. None is ever changed.
CREATE TABLE IF NOT EXISTS postings (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    microusd INTEGER NOT NULL CHECK (microusd > 0),
    window TEXT NOT NULL,
    memo TEXT NOT NULL
);

-- What postings older than that came to.
CREATE TABLE IF NOT EXISTS opening (
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    microusd INTEGER NOT NULL,
    PRIMARY KEY (debit, credit)
) WITHOUT ROWID;

-- One budget, and what was told of it in its period.
CREATE TABLE IF NOT EXISTS budgets (
    scope TEXT PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- Counters: audit messages and suspensions of keys written so far.
CREATE TABLE IF NOT EXISTS meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    audits INTEGER NOT NULL,
    suspensions INTEGER NOT NULL
);
