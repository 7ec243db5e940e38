-- Schema 5. Never edit this file once released: add a new, higher-numbered one.

-- What the texts of a probe can be found by: words in a row, upper and lower case and accents alike. (Any characters in a
-- row would be found by trigrams, at four times the time of writing.) The row id is the probe's number. Without content of its own: what is found is read from the tables above. Of each text the
-- first 10,000 characters are found (INDEXED_CHARS in codec.py), so that one endless answer does not hold up a run.
CREATE VIRTUAL TABLE probe_texts USING fts5 (
    question, answer, expected, reason, content = '', tokenize = 'unicode61 remove_diacritics 2'
);

INSERT INTO probe_texts (rowid, question, answer, expected, reason)
SELECT p.probe,
    (SELECT group_concat(substr(CAST(question AS TEXT), 1, 10000), char(10)) FROM turns t WHERE t.probe = p.probe),
    (SELECT group_concat(substr(CAST(answer AS TEXT), 1, 10000), char(10)) FROM turns t WHERE t.probe = p.probe),
    substr(CAST(expected AS TEXT), 1, 10000),
    substr(CAST(reason AS TEXT), 1, 10000)
FROM probes AS p;
