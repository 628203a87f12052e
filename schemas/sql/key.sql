-- Key: what each request of the last minute is charged, and until when it holds a place. A row is written
-- over, slot by slot, once nothing in it counts any more, so that a busy key never pays for deletions.
-- lease_until_ms is NULL once the request has ended. over_ is what it used beyond its reservation.
CREATE TABLE IF NOT EXISTS charges (
    slot INTEGER PRIMARY KEY,
    request TEXT NOT NULL,
    admitted_at_ms INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    lease_until_ms INTEGER,
    over_at_ms INTEGER,
    over_tokens INTEGER
);
