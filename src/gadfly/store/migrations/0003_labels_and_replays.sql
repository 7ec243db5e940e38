-- Schema 3. Never edit this file once released: add a new, higher-numbered one.

-- What somebody who looked said of a probe. One label a labeller and probe; saying it anew replaces it. UNDECIDED means
-- that the labeller could not tell. drawn is 1 where an audit drew the probe at random, 0 where somebody picked it:
-- only what was drawn can be extrapolated to the run.
CREATE TABLE labels (
    labeller    TEXT    NOT NULL,
    probe       INTEGER NOT NULL REFERENCES probes,
    verdict     TEXT    NOT NULL CHECK (verdict IN ('RIGHT', 'WRONG', 'INVALID', 'UNDECIDED')),
    drawn       INTEGER NOT NULL CHECK (drawn IN (0, 1)),
    labelled_at REAL    NOT NULL,
    PRIMARY KEY (labeller, probe)
) STRICT, WITHOUT ROWID;

-- A phase that puts the questions of another phase through the loop again, step for step and index for index: with the
-- stored answers and another verifier ("rejudged"), or with the verifier's own answers in the target's place ("null").
CREATE TABLE replays (
    phase      TEXT PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('rejudged', 'null')),
    source     TEXT NOT NULL,
    verifier   TEXT NOT NULL,  -- JSON: the settings of the verifier that judged
    created_at REAL NOT NULL
) STRICT;
