-- Instance: one server. One small record, a row for each lease, and figures that may be lost.

CREATE TABLE IF NOT EXISTS record (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  json TEXT NOT NULL
);

-- Written behind, at most once a second (see instance_do).
CREATE TABLE IF NOT EXISTS leases (
  request TEXT PRIMARY KEY,
  json TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS figures (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  json TEXT NOT NULL
);

-- Of a rented GPU: row 1 is what was launched, row 2 its life.
CREATE TABLE IF NOT EXISTS rental (
  id INTEGER PRIMARY KEY CHECK (id IN (1, 2)),
  json TEXT NOT NULL
);

-- What happened to it, for people. The oldest are dropped.
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY,
  json TEXT NOT NULL
);
