"""Reads a page of probes by their numbers, finds numbers by text or image. Knows the tables; filters nothing else.

A probe's number is its row in the store: it never changes, and grows in the order in which probes were stored.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadfly.records import Image, Probe
from gadfly.store.codec import decode_image, decode_text
from gadfly.store.queries import with_children

_SEARCH_SCHEMA = 5


@dataclass(frozen=True, slots=True)
class NumberedProbe:
    """A probe with its number, and when it was stored (seconds since 1970 UTC)."""

    number: int
    stored_at: float
    probe: Probe


def read_numbered(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[NumberedProbe]:
    """The probes with these numbers, in that order; a number that is not there is left out."""
    rows = connection.execute(
        "SELECT phase, created_at, probe, attempt, step, idx, group_idx, verdict, reason, expected, depth, program,"
        " skills, reward FROM probes JOIN attempts USING (attempt) WHERE probe IN (SELECT value FROM json_each(?))",
        (json.dumps([int(number) for number in numbers]),),
    ).fetchall()
    found: dict[int, NumberedProbe] = {}
    for phase in {row[0] for row in rows}:
        some: list[Any] = [row for row in rows if row[0] == phase]
        for row, probe in zip(some, with_children(connection, phase, [row[2:] for row in some]), strict=True):
            found[row[2]] = NumberedProbe(row[2], row[1], probe)
    return [found[int(number)] for number in numbers if int(number) in found]


def search(connection: sqlite3.Connection, text: str, limit: int, column: str | None = None) -> NDArray[np.int64]:
    """The numbers of the newest `limit` probes with these words in a row, newest first, of which the last may be the
    beginning of a word. `column` is question, answer, expected or reason; None is any."""
    assert column in (None, "question", "answer", "expected", "reason")
    # A quoted text is words to FTS5, never syntax; the star behind it lets the last one go on. It needs no index of
    # prefixes, which would be written with each probe: words that begin alike stand side by side in the index.
    quoted = '"' + text.replace("\0", " ").encode("utf-8", "replace").decode().replace('"', '""') + '"*'
    rows = connection.execute(
        "SELECT rowid FROM probe_texts WHERE probe_texts MATCH ? ORDER BY rowid DESC LIMIT ?",
        (quoted if column is None else f"{column} : {quoted}", limit),
    ).fetchall()
    return np.array([row[0] for row in rows], dtype=np.int64)


def search_is_there(connection: sqlite3.Connection) -> bool:
    """Whether the store has the index: one of an older schema, open for reading only, does not."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version) >= _SEARCH_SCHEMA


def read_image(connection: sqlite3.Connection, image_id: str) -> Image | None:
    """The image of this id that the run has asked about; None where there is none."""
    row = connection.execute("SELECT id, path, width, height FROM images WHERE id = ?", (image_id,)).fetchone()
    return None if row is None else decode_image(row)


def find_images(connection: sqlite3.Connection, name: str) -> list[int]:
    """The row numbers of images that have this path or a path that holds it, this id or an id that begins so."""
    rows = connection.execute("SELECT image, id, path FROM images")
    wanted = name.casefold()
    return [image for image, id_, path in rows if id_.startswith(wanted) or wanted in decode_text(path).casefold()]


def numbers_of_images(connection: sqlite3.Connection, images: Sequence[int]) -> NDArray[np.int64]:
    """The numbers of the probes about any of these images (by row number), ascending."""
    rows = connection.execute(
        "SELECT DISTINCT probe FROM probe_images WHERE image IN (SELECT value FROM json_each(?)) ORDER BY probe",
        (json.dumps(list(images)),),
    ).fetchall()
    return np.array([row[0] for row in rows], dtype=np.int64)


def labelled_numbers(connection: sqlite3.Connection) -> list[tuple[str, int, str, bool]]:
    """(labeller, probe's number, verdict, drawn) of each label, in the order in which they were given."""
    rows = connection.execute(
        "SELECT labeller, probe, verdict, drawn FROM labels ORDER BY labelled_at, labeller, probe"
    )
    return [(who, number, verdict, bool(drawn)) for who, number, verdict, drawn in rows]
