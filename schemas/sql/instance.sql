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
