-- Fleet: one organisation's registry. Every table is small and keyed by what its object is asked for:
-- documents are JSON, so that a release can add fields without touching the table.

-- One server. `status` is what the instance announced last, `sequence` orders its announcements,
-- `generation` counts the changes of `entry` and fences what the instance is told.
CREATE TABLE IF NOT EXISTS servers (
    id TEXT PRIMARY KEY,
    entry TEXT NOT NULL,
    status TEXT NOT NULL,
    draining_since_ms INTEGER,
    generation INTEGER NOT NULL,
    sequence INTEGER,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- One API key, with only the hashes of its secrets.
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- One model alias, project or fallback route.
CREATE TABLE IF NOT EXISTS routes (
    name TEXT PRIMARY KEY,
    route TEXT NOT NULL
) WITHOUT ROWID;

-- The reliability policy, once it differs from the defaults.
CREATE TABLE IF NOT EXISTS policy (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    policy TEXT NOT NULL
);

-- Who may ask without a key, once it was set.
CREATE TABLE IF NOT EXISTS anonymous (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    policy TEXT NOT NULL
);

-- Counters: the snapshot's version, audit messages written so far, whether the directory was told.
CREATE TABLE IF NOT EXISTS meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    audits INTEGER NOT NULL,
    enrolled INTEGER NOT NULL
);

-- Quarters of an hour since 1970: the last one in which somebody asked for the snapshot, and the last one in
-- which the parts of the request log were woken.
CREATE TABLE IF NOT EXISTS traffic (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    asked INTEGER NOT NULL,
    woken INTEGER NOT NULL
);

-- One change that may be repeated, by a MAC of who asked for what under which idempotency key. `due_at_ms` is
-- when something in it is to be erased, or all of it.
CREATE TABLE IF NOT EXISTS once (
    id TEXT PRIMARY KEY,
    due_at_ms INTEGER NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- One runtime profile, with its secrets sealed.
CREATE TABLE IF NOT EXISTS profiles (
    name TEXT PRIMARY KEY,
    profile TEXT NOT NULL
) WITHOUT ROWID;

-- One account at a vendor of GPUs. Its credential rests with the account's own object. `generation` counts the
-- changes of `entry` and fences what that object is told.
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY,
    entry TEXT NOT NULL,
    generation INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- One rented GPU: what was launched, what its object announced last (`sequence` orders announcements), the
-- private half of its key pair, sealed. `server_generation` outlives its server entry, which comes and goes.
CREATE TABLE IF NOT EXISTS rentals (
    id TEXT PRIMARY KEY,
    launch TEXT NOT NULL,
    status TEXT NOT NULL,
    sealed_ssh_key TEXT,
    sequence INTEGER NOT NULL,
    server_generation INTEGER NOT NULL,
    over INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
