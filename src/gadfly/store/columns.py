"""What probes are filtered and counted by, of all probes of a run, as arrays in memory. Knows rows, not what they mean.

A probe takes 70 bytes, and a million are read in seconds, once; then every filter and every count is a few passes over
arrays, whatever is combined with what, and a refresh reads only what is new. Probes are never changed, so rows are only
ever appended; what is superseded is one number an attempt and is worked out when it is asked for.

Suffix N: the probes in the order of their numbers, which is the order in which they were stored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from gadfly.records import Verdict
from gadfly.store.codec import decode_skills
from gadfly.store.queries import Attempt, read_attempts

VERDICTS: Final = tuple(Verdict)
"""verdict_N holds places in this."""

CHUNK_PROBES: Final = 20_000
_FIELDS: Final[dict[str, type[np.generic]]] = {
    "number": np.int64,  # the probe's row in the store
    "attempt": np.int32,
    "step": np.int64,
    "index": np.int64,
    "group": np.int64,
    "verdict": np.int8,
    "settled": np.bool_,  # INVALID for the reason that was given to the constructor
    "combination": np.int32,  # a place in `combinations`; -1 where the skills are unknown
    "pictures": np.int32,  # a place in `picture_sets`
    "pair": np.int64,  # equal for equal (images, questions), but for one chance in 10⁷ among a million
    "question": np.int64,  # equal for equal questions, as surely
    "draw": np.uint64,  # the probe's place in a draw, as `analysis.audit.draw` has it (its first 8 bytes)
}


@final
class ProbeColumns:
    """The columns of the probes read so far; `refresh` reads what has been stored since.

    `settled_reason` is the reason with which a question is INVALID without a verifier; `draw_seed` that of the draw.
    """

    def __init__(self, connection: sqlite3.Connection, settled_reason: str, draw_seed: int = 0) -> None:
        self._connection = connection
        self._settled_reason = settled_reason
        self._draw_seed = draw_seed
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros(1024, dtype) for name, dtype in _FIELDS.items()}
        self._combination_of: dict[str, int] = {}
        self._picture_set_of: dict[tuple[int, ...], int] = {}
        self._ranks = np.zeros(0, dtype=np.int64)
        self.n = 0
        self.attempts: dict[int, Attempt] = {}
        """By number, ascending."""
        self.combinations: list[tuple[str, ...]] = []
        self.picture_sets: list[tuple[int, ...]] = []
        """Row numbers of images in the store."""

    def __getattr__(self, name: str) -> NDArray[Any]:
        """`verdict_N` and so on: the column up to the probe read last. It stays as it is when more are read."""
        column: NDArray[Any] | None = self.__dict__.get("_columns", {}).get(name.removesuffix("_N"))
        if column is None or not name.endswith("_N"):
            raise AttributeError(name)
        return column[: self.n]

    def refresh(self, limit: int | None = None, on_progress: Callable[[int], None] | None = None) -> int:
        """Read what is new, at most about `limit` probes; returns how many were read."""
        attempts = sorted(read_attempts(self._connection, None), key=lambda one: one.attempt)
        self.attempts = {one.attempt: one for one in attempts}
        before = self.n
        while (limit is None or self.n - before < limit) and self._read_chunk():
            if on_progress is not None:
                on_progress(self.n)
        return self.n - before

    def current_N(self) -> NDArray[np.bool_]:
        """Whether a probe is not superseded."""
        limits = np.array([one.step_limit(False) for one in self.attempts.values()], dtype=np.int64)
        return self.step_N < limits[self._attempt_places_N()]

    def phase_N(self, phase: str) -> NDArray[np.bool_]:
        within = np.array([one.phase == phase for one in self.attempts.values()], dtype=np.bool_)
        found: NDArray[np.bool_] = within[self._attempt_places_N()]
        return found

    def picture_ranks(self) -> NDArray[np.int64]:
        """For each of `picture_sets` its place in the order of the images' ids."""
        if len(self._ranks) < len(self.picture_sets):
            ids = dict(self._connection.execute("SELECT image, id FROM images"))
            order = sorted(range(len(self.picture_sets)), key=lambda k: [ids[i] for i in self.picture_sets[k]])
            self._ranks = np.empty(len(order), dtype=np.int64)
            self._ranks[order] = np.arange(len(order))
        return self._ranks

    def skill_N(self, skill: str) -> NDArray[np.bool_]:
        """Whether a probe needs the skill."""
        needs = np.array([skill in skills for skills in self.combinations] + [False])  # -1 finds the last: unknown
        found: NDArray[np.bool_] = needs[self.combination_N]
        return found

    def skills(self) -> dict[str, int]:
        """How many probes need each skill, by name."""
        known_N = self.combination_N[self.combination_N >= 0]
        counts_K = np.bincount(known_N, minlength=len(self.combinations))
        total: dict[str, int] = {}
        for skills, count in zip(self.combinations, counts_K, strict=True):
            for skill in skills:
                total[skill] = total.get(skill, 0) + int(count)
        return dict(sorted(total.items()))

    def places(self, numbers: NDArray[np.int64]) -> NDArray[np.intp]:
        """Where these probes are in the columns; those that were not read yet are left out."""
        at = np.searchsorted(self.number_N, numbers)
        inside = at < self.n
        inside[inside] = self.number_N[at[inside]] == numbers[inside]
        return at[inside]

    def _attempt_places_N(self) -> NDArray[np.intp]:
        return np.searchsorted(np.array(list(self.attempts), dtype=np.int32), self.attempt_N)

    def _read_chunk(self) -> int:
        newest = int(self._columns["number"][self.n - 1]) if self.n else 0
        rows = self._connection.execute(
            "SELECT probe, attempt, step, idx, group_idx, verdict, skills, verdict = 'INVALID' AND reason IS ?"
            " FROM probes WHERE probe > ? ORDER BY probe LIMIT ?",
            (self._settled_reason, newest, CHUNK_PROBES),
        ).fetchall()
        # An attempt that was begun since `attempts` was read comes next time, and all that was stored after it.
        known = next((i for i, row in enumerate(rows) if row[1] not in self.attempts), len(rows))
        if known == 0:
            return 0
        rows = rows[:known]
        span = (newest, rows[-1][0])
        images = _grouped(self._connection, "SELECT probe, image FROM probe_images", span)
        questions = _grouped(self._connection, "SELECT probe, question FROM turns", span)
        self._append(rows, images, questions)
        return known

    def _append(self, rows: list[Any], images: Iterator[tuple[Any, ...]], questions: Iterator[tuple[Any, ...]]) -> None:
        phases = {number: one.phase for number, one in self.attempts.items()}
        verdicts = {verdict.value: place for place, verdict in enumerate(VERDICTS)}
        new: dict[str, list[Any]] = {name: [] for name in _FIELDS}
        for (number, attempt, step, idx, group, verdict, skills, settled), pictures, asked in zip(
            rows, images, questions, strict=True
        ):
            place = sha256(f"{self._draw_seed}/{phases[attempt]}/{attempt}/{step}/{idx}".encode()).digest()
            values = (
                *(number, attempt, step, idx, group, verdicts[verdict], settled),
                -1 if skills is None else self._combination(skills),
                self._picture_set(pictures),
                hash((pictures, asked)),
                hash(asked),
                int.from_bytes(place[:8], "big"),
            )
            for some, value in zip(new.values(), values, strict=True):
                some.append(value)
        end = self.n + len(rows)
        for name, column in self._columns.items():
            if len(column) < end:
                grown = np.zeros(max(end, 2 * len(column)), column.dtype)
                grown[: self.n] = column[: self.n]
                self._columns[name] = column = grown
            column[self.n : end] = new[name]
        self.n = end

    def _combination(self, stored: str) -> int:
        if stored not in self._combination_of:
            self._combination_of[stored] = len(self.combinations)
            self.combinations.append(decode_skills(stored) or ())
        return self._combination_of[stored]

    def _picture_set(self, pictures: tuple[int, ...]) -> int:
        if pictures not in self._picture_set_of:
            self._picture_set_of[pictures] = len(self.picture_sets)
            self.picture_sets.append(pictures)
        return self._picture_set_of[pictures]


def _grouped(connection: sqlite3.Connection, select: str, span: tuple[int, int]) -> Iterator[tuple[Any, ...]]:
    """What the rows of each probe in (first, last] hold, in the order of probes and positions."""
    rows = connection.execute(f"{select} WHERE probe > ? AND probe <= ? ORDER BY probe, position", span)
    for _, some in groupby(rows, key=itemgetter(0)):
        yield tuple(value for _, value in some)
