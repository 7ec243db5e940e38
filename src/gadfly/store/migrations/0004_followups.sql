-- Schema 4. Never edit this file once released: add a new, higher-numbered one.

-- Two more kinds of phases that go back to the questions of another one: put to another target, step for step and index
-- for index ("transfer"), and to fresh images, to see whether failure modes hold there ("confirm"). SQLite cannot widen
-- a CHECK, so the table is made anew.
CREATE TABLE wider_replays (
    phase      TEXT PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('rejudged', 'null', 'transfer', 'confirm')),
    source     TEXT NOT NULL,
    verifier   TEXT NOT NULL,  -- JSON: the settings of the verifier that judged
    created_at REAL NOT NULL,
    target     TEXT            -- JSON: the settings of the target that answered, NULL where it is not another one
) STRICT;
INSERT INTO wider_replays (phase, kind, source, verifier, created_at)
    SELECT phase, kind, source, verifier, created_at FROM replays;
DROP TABLE replays;
ALTER TABLE wider_replays RENAME TO replays;
