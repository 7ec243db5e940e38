-- Schema 1. Never edit this file once released: add a new, higher-numbered one.
-- One store holds one run, so no table carries a run's id; to look at several runs, ATTACH their stores.
-- Times are seconds since 1970 UTC. Columns of type ANY hold text that a model or a file system wrote: TEXT, or a
-- BLOB of its UTF-8 where it holds a NUL or a lone surrogate (see codec.py).

CREATE TABLE run (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    id         TEXT    NOT NULL,
    created_at REAL    NOT NULL,
    config     TEXT    NOT NULL,  -- JSON
    versions   TEXT    NOT NULL,  -- JSON
    seed       INTEGER NOT NULL
) STRICT;

-- One sitting of one phase. A later attempt resumes from a checkpoint and does the steps from from_step on anew;
-- what earlier attempts of its phase wrote for those steps is superseded. superseded_from is the smallest from_step
-- of all later attempts of the phase: one number an attempt says it of all its probes, and no probe is rewritten.
CREATE TABLE attempts (
    attempt         INTEGER PRIMARY KEY,
    phase           TEXT    NOT NULL,
    from_step       INTEGER NOT NULL,
    superseded_from INTEGER,
    started_at      REAL    NOT NULL,
    ended_at        REAL,
    outcome         TEXT
) STRICT;

CREATE TABLE images (
    image  INTEGER PRIMARY KEY,
    id     TEXT    NOT NULL UNIQUE,  -- SHA-256 of the bytes
    path   ANY     NOT NULL,
    width  INTEGER NOT NULL,         -- px
    height INTEGER NOT NULL          -- px
) STRICT;

CREATE TABLE probes (
    probe      INTEGER PRIMARY KEY,
    attempt    INTEGER NOT NULL REFERENCES attempts,
    step       INTEGER NOT NULL CHECK (step >= 0),
    idx        INTEGER NOT NULL CHECK (idx >= 0),
    group_idx  INTEGER NOT NULL,
    verdict    TEXT    NOT NULL CHECK (verdict IN ('RIGHT', 'WRONG', 'INVALID', 'UNDECIDED')),
    reason     ANY,
    expected   ANY,
    depth      INTEGER,
    program    ANY,
    skills     TEXT,                 -- JSON list, NULL where unknown
    reward     REAL,
    created_at REAL    NOT NULL
) STRICT;
CREATE UNIQUE INDEX probes_by_key ON probes (attempt, step, idx);
CREATE INDEX probes_by_verdict ON probes (attempt, verdict, step, idx);

CREATE TABLE probe_images (
    probe    INTEGER NOT NULL REFERENCES probes,
    position INTEGER NOT NULL,
    image    INTEGER NOT NULL REFERENCES images,
    PRIMARY KEY (probe, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX probe_images_by_image ON probe_images (image, probe);

CREATE TABLE turns (
    probe    INTEGER NOT NULL REFERENCES probes,
    position INTEGER NOT NULL,
    question ANY     NOT NULL,
    answer   ANY,
    error    ANY,
    PRIMARY KEY (probe, position),
    CHECK ((answer IS NULL) <> (error IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE reward_terms (
    probe INTEGER NOT NULL REFERENCES probes,
    name  TEXT    NOT NULL,
    value REAL,                      -- NULL where the term does not apply
    PRIMARY KEY (probe, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
    attempt    INTEGER NOT NULL REFERENCES attempts,
    step       INTEGER NOT NULL CHECK (step >= 0),
    metrics    TEXT    NOT NULL,     -- JSON; Python's NaN and Infinity where a metric is not finite
    created_at REAL    NOT NULL,
    PRIMARY KEY (attempt, step)
) STRICT, WITHOUT ROWID;

-- For people with an SQLite shell: what counts, with the phase and the last question spelt out.
CREATE VIEW current_probes AS
SELECT a.phase, p.*, t.question, t.answer, t.error
FROM probes AS p
JOIN attempts AS a USING (attempt)
JOIN turns AS t ON t.probe = p.probe
    AND t.position = (SELECT max(position) FROM turns WHERE turns.probe = p.probe)
WHERE a.superseded_from IS NULL OR p.step < a.superseded_from;
