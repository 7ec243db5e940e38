"""Reads records out of an open store, page by page. Knows the tables; knows nothing of files, locks and writing.

Each page is a few complete statements, so no read transaction stays open while the caller works: a slow reader never
keeps the writer's log from being folded back into the file. What a page refers to was committed with it and is never
changed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gadfly.records import Image, PastQuestion, Probe, Turn, Usage, Verdict
from gadfly.store.codec import decode_image, decode_probe, decode_skills, decode_text, decode_turn

PAGE_PROBES = 512
_NO_STEP_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sitting of one phase. What it wrote for steps >= `superseded_from` was done anew by a later attempt.
    Times are seconds since 1970 UTC; `ended_at` and `outcome` are None while it runs, and after it was killed."""

    attempt: int
    phase: str
    from_step: int
    superseded_from: int | None
    started_at: float
    ended_at: float | None
    outcome: str | None

    def step_limit(self, include_superseded: bool) -> int:
        """The first step not to read."""
        return _NO_STEP_LIMIT if include_superseded or self.superseded_from is None else self.superseded_from


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """The metrics of one step, as they were added."""

    phase: str
    attempt: int
    step: int
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProbeFilter:
    """Which probes to read; None is any. `image` is an image's id."""

    verdict: Verdict | None = None
    skill: str | None = None
    image: str | None = None


def read_attempts(connection: sqlite3.Connection, phase: str | None) -> list[Attempt]:
    """In the order of probe keys: by phase, then by attempt."""
    rows = connection.execute(
        "SELECT attempt, phase, from_step, superseded_from, started_at, ended_at, outcome FROM attempts"
        " WHERE ?1 IS NULL OR phase = ?1 ORDER BY phase, attempt",
        (phase,),
    )
    return [Attempt(*row) for row in rows]


def read_usage(connection: sqlite3.Connection, attempt: Attempt) -> dict[str, Usage]:
    """What each role used in an attempt. By name, which is the order in which the roles come in a probe as well."""
    rows = connection.execute(
        "SELECT role, calls, cached, errors, prompt_tokens, completion_tokens, uncounted, seconds, cost FROM usage"
        " WHERE attempt = ? ORDER BY role",
        (attempt.attempt,),
    )
    return {role: Usage(*figures) for role, *figures in rows}


def read_seconds(connection: sqlite3.Connection, attempt: Attempt) -> float:
    """How long an attempt took; of one that was killed, up to its last whole step."""
    if attempt.ended_at is not None:
        return attempt.ended_at - attempt.started_at
    (last,) = connection.execute("SELECT max(created_at) FROM steps WHERE attempt = ?", (attempt.attempt,)).fetchone()
    return 0.0 if last is None else last - attempt.started_at


def read_probes(
    connection: sqlite3.Connection, attempt: Attempt, step_limit: int, wanted: ProbeFilter, newest_first: bool = False
) -> Iterator[list[Probe]]:
    """Pages of one attempt's probes below `step_limit`, by (step, index), or the other way round."""
    # The unary plus keeps SQLite from walking the whole attempt by key where the image's index finds the few at once.
    attempt_column = "attempt" if wanted.image is None else "+attempt"
    conditions, parameters = (
        [f"{attempt_column} = ?", "step < ?", f"(step, idx) {'<' if newest_first else '>'} (?, ?)"],
        [attempt.attempt, step_limit],
    )
    extra: list[Any] = []
    if wanted.verdict is not None:
        conditions.append("verdict = ?")
        extra.append(wanted.verdict.value)
    if wanted.skill is not None:
        conditions.append("EXISTS (SELECT 1 FROM json_each(skills) WHERE json_each.value = ?)")
        extra.append(wanted.skill)
    if wanted.image is not None:
        conditions.append("probe IN (SELECT probe FROM probe_images JOIN images USING (image) WHERE images.id = ?)")
        extra.append(wanted.image)
    order = "step DESC, idx DESC" if newest_first else "step, idx"
    statement = (
        "SELECT probe, attempt, step, idx, group_idx, verdict, reason, expected, depth, program, skills, reward"
        f" FROM probes WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT {PAGE_PROBES}"
    )
    after = (_NO_STEP_LIMIT, _NO_STEP_LIMIT) if newest_first else (-1, -1)
    while True:
        rows = connection.execute(statement, (*parameters, *after, *extra)).fetchall()
        if rows:
            yield with_children(connection, attempt.phase, rows)
        if len(rows) < PAGE_PROBES:
            return
        after = (rows[-1][2], rows[-1][3])


def read_valid_questions(connection: sqlite3.Connection, attempts: list[Attempt], limit: int) -> list[PastQuestion]:
    """The last questions of the last `limit` valid, current probes, oldest first."""
    newest_first: list[PastQuestion] = []
    # The unary plus before verdict: walk back by key and stop at the limit, instead of sorting all that are valid.
    for attempt in reversed(attempts):
        rows = connection.execute(
            "SELECT (SELECT question FROM turns t WHERE t.probe = probes.probe ORDER BY position DESC LIMIT 1), skills,"
            " verdict FROM probes WHERE attempt = ? AND step < ? AND +verdict IN (?, ?)"
            " ORDER BY step DESC, idx DESC LIMIT ?",
            (attempt.attempt, attempt.step_limit(False), Verdict.RIGHT, Verdict.WRONG, limit - len(newest_first)),
        )
        newest_first += [
            PastQuestion(decode_text(question), decode_skills(skills), verdict == Verdict.WRONG)
            for question, skills, verdict in rows
        ]
    return newest_first[::-1]


def read_steps(connection: sqlite3.Connection, attempt: Attempt, step_limit: int) -> list[StepMetrics]:
    """One attempt's steps below `step_limit`, in order."""
    rows = connection.execute(
        "SELECT step, metrics FROM steps WHERE attempt = ? AND step < ? ORDER BY step", (attempt.attempt, step_limit)
    )
    return [StepMetrics(attempt.phase, attempt.attempt, step, json.loads(metrics)) for step, metrics in rows]


def read_counts(connection: sqlite3.Connection, attempt: Attempt, step_limit: int) -> dict[Verdict, int]:
    """How many of one attempt's probes below `step_limit` have each verdict that occurs."""
    rows = connection.execute(
        "SELECT verdict, count(*) FROM probes WHERE attempt = ? AND step < ? GROUP BY verdict",
        (attempt.attempt, step_limit),
    )
    return {Verdict(verdict): count for verdict, count in rows}


def with_children(connection: sqlite3.Connection, phase: str, rows: list[Any]) -> list[Probe]:
    """Whole probes from (probe, attempt, step, idx, group_idx, verdict, reason, expected, depth, program, skills,
    reward), in that order."""
    numbers = json.dumps([row[0] for row in rows])
    images: dict[int, list[Image]] = {row[0]: [] for row in rows}
    turns: dict[int, list[Turn]] = {row[0]: [] for row in rows}
    terms: dict[int, dict[str, float | None]] = {row[0]: {} for row in rows}
    for number, *row in connection.execute(
        "SELECT probe, id, path, width, height FROM probe_images JOIN images USING (image)"
        " WHERE probe IN (SELECT value FROM json_each(?)) ORDER BY probe, position",
        (numbers,),
    ):
        images[number].append(decode_image(tuple(row)))
    for number, *row in connection.execute(
        "SELECT probe, question, answer, error FROM turns"
        " WHERE probe IN (SELECT value FROM json_each(?)) ORDER BY probe, position",
        (numbers,),
    ):
        turns[number].append(decode_turn(tuple(row)))
    for number, name, value in connection.execute(
        "SELECT probe, name, value FROM reward_terms WHERE probe IN (SELECT value FROM json_each(?))", (numbers,)
    ):
        terms[number][name] = value
    return [decode_probe(phase, row[1:], images[row[0]], turns[row[0]], terms[row[0]]) for row in rows]
