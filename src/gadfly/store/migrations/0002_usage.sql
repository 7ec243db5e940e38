-- Schema 2: what the models of a run were used for, role by role and attempt by attempt. Superseded steps cost what they
-- cost, so no row is ever superseded. cost is NULL without a price, or where the server does not say what an answer took.

CREATE TABLE usage (
    attempt           INTEGER NOT NULL REFERENCES attempts,
    role              TEXT    NOT NULL,
    calls             INTEGER NOT NULL,
    cached            INTEGER NOT NULL,
    errors            INTEGER NOT NULL,
    prompt_tokens     INTEGER,
    completion_tokens INTEGER,
    uncounted         INTEGER NOT NULL,
    seconds           REAL    NOT NULL,
    cost              REAL,
    PRIMARY KEY (attempt, role)
) STRICT, WITHOUT ROWID;
